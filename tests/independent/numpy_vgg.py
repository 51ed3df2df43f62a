"""A VGG in float64 NumPy, forward and backward, written without MXNet: what the tests compare with."""

import numpy as np


class NumpyVGG:
    """The same network as `networks.graph.build_symbol`, average pooling.

    Parameters
    ----------
    blocks : tuple of (int, int)
        Convolutions and channels per block.
    parameters : mapping of str to numpy.ndarray
        Of full convolutions or of low rank.
    """

    def __init__(self, blocks, parameters, pooling="avg"):
        self.pooling = pooling
        self.blocks = blocks
        self.parameters = {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}

    def operations(self):
        for b, (convolutions, _) in enumerate(self.blocks, 1):
            for c in range(1, convolutions + 1):
                yield "conv", f"conv{b}_{c}"
                yield "relu", f"relu{b}_{c}"
            yield "pool", f"pool{b}"

    def kernels(self, name):
        """Give the kernels of a convolution: one, three of low rank, or none where the parameters end."""
        names = (f"{name}_weight", f"{name}_in_weight", f"{name}_core_weight", f"{name}_out_weight")
        return [self.parameters[key] for key in names if key in self.parameters]

    def forward(self, image):
        """Give all activations (C, H, W) of an image (3, H, W), by name, in order."""
        activations, x = {}, np.asarray(image, dtype=np.float64)
        for kind, name in self.operations():
            if kind == "conv":
                kernels = self.kernels(name)
                if not kernels:
                    break
                for kernel in kernels:
                    x = convolve(x, kernel)
                x = x + self.parameters[f"{name}_bias"][:, None, None]
            elif kind == "relu":
                x = np.maximum(x, 0)
            else:
                height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
                if height == 0 or width == 0:
                    break
                windows = x[:, :height, :width].reshape(len(x), height // 2, 2, width // 2, 2)
                x = windows.mean((2, 4)) if self.pooling == "avg" else windows.max((2, 4))
            activations[name] = x
        return activations

    def backward(self, image, gradients):
        """Give the gradient (3, H, W) with respect to the image from gradients of some activations."""
        assert self.pooling == "avg"
        activations = self.forward(image)
        done = [(kind, name) for kind, name in self.operations() if name in activations]
        gradient = None
        for i, (kind, name) in reversed(list(enumerate(done))):
            if name in gradients:
                gradient = gradients[name] + (0 if gradient is None else gradient)
            if gradient is None:
                continue
            if kind == "conv":
                for kernel in reversed(self.kernels(name)):
                    gradient = convolve(gradient, kernel[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
            elif kind == "relu":
                gradient = gradient * (activations[name] > 0)
            else:
                spread = np.zeros_like(activations[done[i - 1][1]])
                up = np.repeat(np.repeat(gradient, 2, 1), 2, 2) / 4
                spread[:, : up.shape[1], : up.shape[2]] = up
                gradient = spread
        return gradient


def convolve(x, weight):
    """Cross-correlate (C, H, W) with (K, C, S, S), S odd, zero padding S // 2."""
    _, height, width = x.shape
    side = weight.shape[2]
    padded = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    return sum(
        np.einsum("kc,chw->khw", weight[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(side)
        for j in range(side)
    )


def gram(activation):
    """F Fᵀ of a (C, H, W) activation."""
    features = activation.reshape(len(activation), -1)
    return features @ features.T


def random_parameters(shapes, seed=0):
    """He-initialised parameters with small biases, float32, as a mapping of names to arrays."""
    rng = np.random.RandomState(seed)
    parameters = {}
    for name, shape in shapes.items():
        if name.endswith("_weight"):
            value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            value = rng.standard_normal(shape) * 0.1
        parameters[name] = value.astype("float32")
    return parameters
