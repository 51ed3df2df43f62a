"""The algorithms of two other style transfer programs, rewritten in PyTorch for ``peers.py``.

They are written from what the programs do and from their numbers, each of which has its source below; they contain none
of the programs' code. Both run on VGG-16: neural-style-pt offers it besides its default, VGG-19; style-transfer-pytorch
supports only VGG-19, whose layers have counterparts of the same names in VGG-16. The weights expect RGB where Caffe's
expect BGR, with the same means, which is the same network.

A peer is a function ``run(network, content, style, long_edge, seconds)`` that stops when the time is over, or earlier
when the program's own number of steps is reached. The step in which the time ends is finished, and every scale of a
pyramid gets at least one step, so a peer gets slightly more than its time. Its clock starts with the images and the
network in memory.

neural-style-pt
---------------
https://github.com/ProGamerGov/neural-style-pt, ``neural_style.py`` at 02c55a4a, ``CaffeLoader.py`` at 1dc686b3. All
settings are the defaults, except for the network.

- Sizes (``preprocess``): each side is ``int(side * image_size / longer side)``, of the content and, with style_scale 1,
  of the style too, small ones enlarged; Pillow's bilinear resampling. Full intensity is 256, the means are 103.939,
  116.779, 123.68.
- Start: normal noise of standard deviation 0.001 around the mean. Its seed is drawn anew for each run there; here it is
  always 0.
- Content (``ContentLoss``): 5 times the mean squared difference at relu4_2.
- Style (``GramMatrix``, ``StyleLoss``): at each of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, 100 times the mean
  squared difference of Gram matrices divided by the number of elements of the activation. Gradients are not normalised.
- Total variation (``TVLoss``): 0.001 times the sum of absolute differences of neighbours.
- Maximum pooling of 2 x 2.
- ``torch.optim.LBFGS`` with its learning rate of 1, a history of 100, no line search, and both tolerances -1, which is
  never; 1000 iterations. One ``step`` of 1000 iterations there is 1000 of one iteration here, with as many evaluations
  and the same state between them.
- Different here: the result is the image with the smallest objective, where the program saves the latest one. Without a
  line search some steps overshoot and are reverted by the next one, and the clock would stop some runs just there.
- The result is cut off at black and white and truncated to 8 bits.

style-transfer-pytorch
----------------------
https://github.com/crowsonkb/style-transfer-pytorch, ``style_transfer/style_transfer.py`` and ``sqrtm.py``. The style
loss was of Gram matrices first (as at 015afe14) and became the Wasserstein-2 distance of normal distributions (by
4cba99d7; here as at e7e2c713), with which other losses and numbers changed; `style_transfer_pytorch` is the later one,
the earlier is `style_transfer_pytorch_gram`. ``cli.py`` has the same defaults. Both:

- Scales (``gen_scales``): ``round(end_scale / sqrt(2) ** i)`` down to min_scale, 128. The other side is rounded
  (``size_to_fit``); the style has the scale's long edge at every scale, but is never enlarged.
- Start: the content at the first scale; later the averaged image of the scale before, enlarged by bicubic
  interpolation.
- Layers 1, 6, 11, 20, 29 of VGG-19 for style, which are relu1_1, relu2_1, relu3_1, relu4_1, relu5_1, with weights 256,
  64, 16, 4, 1 divided by their sum; 22, relu4_2, for content, with weight 0.015. Those of the same names here.
- The first convolution replicates the edge, the others pad with zeros; maximum pooling.
- Adam with step_size 0.02, 1000 steps (initial_iterations) at the first scale and 500 (iterations) at the others; both
  of its moments, enlarged, the first bicubic and the second bilinear, continue at the next scale (``scale_adam``).
  After every step the image is clipped to [0, 1].
- The result of a scale is the bias-corrected exponential moving average of its images, including the first, with
  avg_decay 0.99 (``EMA``).

Of the later one:

- Style (``StyleLossW2``): with mean m and covariance C of a layer's activations, 1e-4 added to C's diagonal, the mean
  squared difference of means plus the mean of the diagonal of ``C + Cs - 2 (Cs^½ C Cs^½)^½``. Roots are Newton and
  Schulz's of 12 iterations, the gradient of a root is the solution of a Lyapunov equation by 12 more.
- Content (``ContentLossMSE``): mean squared difference.
- Total variation (``TVLoss``, "nine point stencil"), weight 2: twice the sum of the mean squared differences of
  neighbours, a third of those along each axis and a twelfth of those along each diagonal.
- Adam's decays are 0.9 and 0.99. Images are resized by Pillow's bicubic resampling.

Of the earlier one:

- Style and content (``ScaledMSELoss``): the sum of squared differences over the sum of absolute ones and 1e-8, of
  activations and of Gram matrices divided by the number of positions.
- Total variation, weight 2: the mean of the squared differences of neighbours, both axes summed.
- Adam's decays are PyTorch's, 0.9 and 0.999. Images are resized by Lanczos.

What is different here:

- Its network is torchvision's VGG-19, which expects images divided by the spread of each channel, 0.229, 0.224 and
  0.225. The VGG-16 here is Simonyan & Zisserman's, for grey levels. `VGG.in_unit` gives the same function in units of
  the mean spread, 57.6 grey levels: the weights of losses, which are not all of one degree, then mean what they mean
  there, as nearly as two networks allow.
- The gradient of the root's trace, all that the loss needs of it, is a function of one symmetric matrix, with which
  the steps of the Lyapunov equation commute: it takes the same 12 iterations with half of the products.
- The schedule is scaled to the time, because a pyramid that is stopped early does not have the size of the result.
  Every scale gets the same share of the time as in the program's own schedule, assuming that a step's time is
  proportional to its floating-point operations; time that a scale leaves over or exceeds is shared by those after it.
- Only numbers of steps are scaled. The average keeps its decay of 0.99 where a scale has fewer steps than the hundred
  that it reaches back. One that reached back over a fifth of the steps, as it does in 500, was tried with the earlier
  version on one pair: further from the content, and from the style nearer with 34 steps, further with 112.
"""

import math
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from neural_style._mxnet import usable_cores
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights.params_file import read_parameters

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"

# Grey levels of red, green and blue.
MEANS = (123.68, 116.779, 103.939)

# Grey levels; torchvision's standard deviations of the channels, from its documentation of pretrained VGG networks.
SPREAD = 255 * (0.229 + 0.224 + 0.225) / 3

# As many as this package uses for itself, unless the user has decided.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(usable_cores())


@dataclass(frozen=True)
class Painting:
    """What a peer has made.

    Attributes
    ----------
    picture : numpy.ndarray
        uint8 (H, W, 3).
    steps : dict of int to int
        By long edge in pixels; several where there is a pyramid.
    seconds : float
        That the run took.
    """

    picture: np.ndarray
    steps: dict
    seconds: float


class VGG:
    """A VGG network on the CPU.

    Parameters
    ----------
    model : str
        A name of `neural_style.networks.ARCHITECTURES`.
    path : str or path-like
        A ``.params`` file.
    layers : sequence of str
        The activations that will be asked for.

    Raises
    ------
    WeightsError
        If the file does not have the parameters that `layers` depend on.
    """

    def __init__(self, model, path, layers):
        parameters = read_parameters(path, ARCHITECTURES[model].parameter_shapes(layers))
        self._layers = ARCHITECTURES[model].layers
        self._parameters = {name: torch.from_numpy(np.array(value)) for name, value in parameters.items()}
        self._unit = 1.0

    def in_unit(self, levels):
        """Return the same network for images, and with activations, in units of so many grey levels.

        Every layer is homogeneous of degree 1 in its input and bias together, so that biases are all that changes.
        """
        network = object.__new__(VGG)
        network._layers, network._unit = self._layers, levels
        network._parameters = {
            name: value * (self._unit / levels) if name.endswith("bias") else value
            for name, value in self._parameters.items()
        }
        return network

    def prepare(self, pixels):
        """Convert grey levels (1, 3, H, W) to the input of `look`."""
        return (pixels - torch.tensor(MEANS).reshape(1, 3, 1, 1)) / self._unit

    def look(self, image, layers, pooling="max", edge="constant"):
        """Return activations.

        Parameters
        ----------
        image : torch.Tensor
            float32 (1, 3, H, W), RGB, centred.
        layers : sequence of str
        pooling : {"max", "avg"}
        edge : {"constant", "replicate"}
            What the first convolution sees beyond the edge.

        Returns
        -------
        dict of str to torch.Tensor
            (1, C, h, w) by layer.
        """
        pool = {"max": F.max_pool2d, "avg": F.avg_pool2d}[pooling]
        found, x = {}, F.pad(image, (1, 1, 1, 1), edge)
        for layer in self._layers:
            if layer.startswith("conv"):
                weight, bias = (self._parameters[f"{layer}_{kind}"] for kind in ("weight", "bias"))
                x = F.conv2d(x, weight, bias, padding=0 if layer == "conv1_1" else 1)
            else:
                x = pool(x, 2) if layer.startswith("pool") else F.relu(x)
            if layer in layers:
                found[layer] = x
                if len(found) == len(set(layers)):
                    return found
        raise ValueError(f"no such layers: {layers}")

    def channels(self, layer):
        """Return the number of channels of an activation after a ReLU."""
        return len(self._parameters[f"{layer.replace('relu', 'conv')}_bias"])

    def operations(self, pixels, layers):
        """Count the floating-point operations of the convolutions up to `layers`, forward, on so many pixels."""
        deepest = max(self._layers.index(layer) for layer in layers)
        operations = 0
        for layer in self._layers[: deepest + 1]:
            if layer.startswith("pool"):
                pixels /= 4
            elif layer.startswith("conv"):
                operations += 2 * self._parameters[f"{layer}_weight"].numel() * pixels
        return operations


def to_tensor(picture, white=255.0):
    """Turn uint8 (H, W, 3) into grey levels, float32 (1, 3, H, W)."""
    # (H, W, 3) -> (1, 3, H, W)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].contiguous().float() * (white / 255)


def to_picture(image):
    """Turn intensities (1, 3, H, W) into uint8 (H, W, 3), as torchvision's ``to_pil_image``: truncated."""
    # (1, 3, H, W) -> (H, W, 3)
    return np.ascontiguousarray((image.detach()[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())


def neural_style_pt(network, content, style, long_edge, seconds):
    """Run neural-style-pt.

    Parameters
    ----------
    network : VGG
        Up to relu5_1, in units of one grey level.
    content, style : numpy.ndarray
        uint8 (H, W, 3).
    long_edge : int
        Of the result, in pixels.
    seconds : float
        After which it stops.

    Returns
    -------
    Painting
    """
    begun = time.perf_counter()

    def look(picture):
        factor = long_edge / max(picture.shape[:2])
        height, width = (int(side * factor) for side in picture.shape[:2])
        resized = Image.fromarray(picture).resize((width, height), Image.BILINEAR)
        with torch.no_grad():
            return network.look(network.prepare(to_tensor(resized, 256)), STYLE_LAYERS + (CONTENT_LAYER,))

    def gram(activation):
        # (1, C, h, w) -> (C, h*w) -> (C, C)
        flat = activation.flatten(2)[0]
        return flat @ flat.T / flat.numel()

    style_seen, content_seen = look(style), look(content)
    grams = {layer: gram(style_seen[layer]) for layer in STYLE_LAYERS}
    shape = (1, 3) + content_seen["relu1_1"].shape[2:]
    image = (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3).requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=1, history_size=100, tolerance_grad=-1, tolerance_change=-1)

    def evaluate():
        optimizer.zero_grad()
        seen = network.look(image, STYLE_LAYERS + (CONTENT_LAYER,))
        loss = 5 * F.mse_loss(seen[CONTENT_LAYER], content_seen[CONTENT_LAYER])
        for layer, wanted in grams.items():
            loss = loss + 100 * F.mse_loss(gram(seen[layer]), wanted)
        loss = loss + 1e-3 * (image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum())
        loss.backward()
        if loss.item() < best["loss"]:
            best.update(loss=loss.item(), image=image.detach().clone())
        return loss

    best, steps = {"loss": math.inf, "image": image.detach()}, 0
    while steps < 1000 and (steps == 0 or time.perf_counter() < begun + seconds):
        optimizer.step(evaluate)
        steps += 1
    intensities = (best["image"] + torch.tensor(MEANS).reshape(1, 3, 1, 1)) / 256
    return Painting(to_picture(intensities), {long_edge: steps}, time.perf_counter() - begun)


@dataclass(frozen=True)
class _Version:
    """What is different in two versions of style-transfer-pytorch.

    Attributes
    ----------
    resampling : int
        Pillow's.
    betas : (float, float)
        Adam's.
    match : callable
        Gives a content loss from an activation and the wanted one.
    represent : callable
        Gives what a style loss compares, from an activation.
    prepare : callable
        Gives what the loss keeps of the style's representation.
    compare : callable
        Gives a style loss from a representation and what `prepare` gave.
    vary : callable
        Gives the total variation of an image.
    root_iterations : int
        Of the matrix roots in a style loss, forward and backward together.
    """

    resampling: int
    betas: Tuple[float, float]
    match: Callable[..., Any]
    represent: Callable[..., Any]
    prepare: Callable[..., Any]
    compare: Callable[..., Any]
    vary: Callable[..., Any]
    root_iterations: int


def _run_pyramid(version, network, content, style, long_edge, seconds):
    begun = time.perf_counter()
    network = network.in_unit(SPREAD)
    weights = {layer: 4.0 ** (4 - i) / 341 for i, layer in enumerate(STYLE_LAYERS)}  # 256 + 64 + 16 + 4 + 1 = 341

    def read(picture, edge, enlarge):
        height, width = picture.shape[:2]
        if enlarge or max(height, width) > edge:
            height, width = (round(edge * side / max(height, width)) for side in (height, width))
        resized = Image.fromarray(picture).resize((width, height), version.resampling)
        return to_tensor(resized) / 255

    def look(image, layers):
        return network.look(network.prepare(image * 255), layers, edge="replicate")

    scales = _scales(min(128, long_edge), long_edge)
    schedule = {scale: 1000 if scale == scales[0] else 500 for scale in scales}
    work = {scale: schedule[scale] * _step_work(version, network, content, scale) for scale in scales}
    average, optimizer, steps = read(content, scales[0], True), None, {}
    for scale in scales:
        left = begun + seconds - time.perf_counter()
        end = time.perf_counter() + left * work[scale] / sum(work[later] for later in scales if later >= scale)
        pixels = read(content, scale, True)
        with torch.no_grad():
            wanted_content = look(pixels, [CONTENT_LAYER])[CONTENT_LAYER]
            seen = look(read(style, scale, False), STYLE_LAYERS)
            wanted = {layer: version.prepare(version.represent(seen[layer])) for layer in STYLE_LAYERS}
            image = _enlarge(average, pixels.shape[2:], "bicubic").clamp(0, 1)
        image.requires_grad_()
        optimizer = _go_on(optimizer, image, torch.optim.Adam([image], lr=0.02, betas=version.betas))
        mean = _Average(image)
        steps[scale] = 0
        while steps[scale] < schedule[scale] and (steps[scale] == 0 or time.perf_counter() < end):
            optimizer.zero_grad()
            seen = look(image, STYLE_LAYERS + (CONTENT_LAYER,))
            loss = 0.015 * version.match(seen[CONTENT_LAYER], wanted_content) + 2 * version.vary(image)
            for layer, weight in weights.items():
                loss = loss + weight * version.compare(version.represent(seen[layer]), wanted[layer])
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                image.clamp_(0, 1)
            mean.add(image)
            steps[scale] += 1
        average = mean.get()
    return Painting(to_picture(average), steps, time.perf_counter() - begun)


def _scales(least, greatest):
    """Return the long edges of a pyramid whose areas double, small to large."""
    count = int(math.log2(greatest / least) * 2) + 2
    return sorted({scale for scale in (round(greatest / 2 ** (i / 2)) for i in range(count)) if scale >= least})


def _step_work(version, network, content, scale):
    """Count the floating-point operations of a step: those of the network twice, there and back, and those of roots."""
    height, width = content.shape[:2]
    pixels = height * width * (scale / max(height, width)) ** 2
    # An iteration of a root is three products of matrices.
    roots = sum(version.root_iterations * 3 * 2 * network.channels(layer) ** 3 for layer in STYLE_LAYERS)
    return 2 * network.operations(pixels, STYLE_LAYERS) + roots


def _enlarge(image, size, mode):
    return F.interpolate(image, tuple(size), mode=mode, align_corners=False)


def _go_on(old, image, optimizer):
    """Copy to a new Adam for `image` the moments of that of the previous scale, if there is one."""
    if old is not None:
        (state,) = old.state.values()
        size = image.shape[2:]
        optimizer.state[image] = {
            "step": state["step"].clone(),
            "exp_avg": _enlarge(state["exp_avg"], size, "bicubic"),
            "exp_avg_sq": _enlarge(state["exp_avg_sq"], size, "bilinear").relu(),
        }
    return optimizer


class _Average:
    """An exponential moving average without the bias of its start."""

    def __init__(self, image, decay=0.99):
        self._decay, self._missing, self._sum = decay, 1.0, torch.zeros_like(image, requires_grad=False)
        self.add(image)

    def add(self, image):
        self._missing *= self._decay
        self._sum.mul_(self._decay).add_(image.detach(), alpha=1 - self._decay)

    def get(self):
        return self._sum / (1 - self._missing)


def _scaled_difference(one, wanted):
    difference = one - wanted
    return difference.square().sum() / (difference.abs().sum() + 1e-8)


def _gram(activation):
    # (1, C, h, w) -> (C, h*w) -> (C, C)
    flat = activation.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]


def _moments(activation):
    """Return mean (C,) and covariance (C, C), a little more than that on the diagonal."""
    flat = activation.flatten(2)[0]
    mean = flat.mean(dim=1)
    return mean, flat @ flat.T / flat.shape[1] - torch.outer(mean, mean) + 1e-4 * torch.eye(len(flat))


def _moments_and_root(moments):
    mean, covariance = moments
    return mean, covariance, _root(covariance)


def _wasserstein(moments, wanted):
    (mean, covariance), (wanted_mean, wanted_covariance, wanted_root) = moments, wanted
    trace = _RootTrace.apply(wanted_root @ covariance @ wanted_root)
    between = covariance.trace() + wanted_covariance.trace() - 2 * trace
    return F.mse_loss(mean, wanted_mean) + between / len(mean)


ROOT_ITERATIONS = 12


def _root(matrix):
    """Return the square root of a symmetric positive matrix, by Newton and Schulz's iteration."""
    size = matrix.norm()
    three = 3 * torch.eye(len(matrix))
    root, inverse = matrix / size, torch.eye(len(matrix))
    for _ in range(ROOT_ITERATIONS):
        step = (three - inverse @ root) / 2
        root, inverse = root @ step, step @ inverse
    return root * size.sqrt()


class _RootTrace(torch.autograd.Function):
    """The trace of `_root`.

    The gradient X of the root R's trace solves R X + X R = 1. Its iteration begins with a multiple of 1 and stays among
    the polynomials of R, where it is X <- X (3 - A A) / 2 and A <- A (3 - A A) / 2, from A = R / |R|.
    """

    @staticmethod
    def forward(ctx, matrix):
        root = _root(matrix)
        ctx.save_for_backward(root)
        return root.trace()

    @staticmethod
    def backward(ctx, gradient):
        (root,) = ctx.saved_tensors
        size = root.norm()
        three = 3 * torch.eye(len(root))
        x, a = torch.eye(len(root)) / size, root / size
        for _ in range(ROOT_ITERATIONS):
            step = (three - a @ a) / 2
            x, a = x @ step, a @ step
        return gradient * x / 2


def _vary_by_two(image):
    padded = F.pad(image, (0, 1, 0, 1), "replicate")
    across = padded[..., :-1, 1:] - image
    down = padded[..., 1:, :-1] - image
    return (across.square() + down.square()).mean()


def _vary_by_nine(image):
    padded = F.pad(image, (1, 1, 1, 1), "replicate")
    centre = padded[..., 1:-1, 1:-1]
    axes = [padded[..., 1:-1, 2:] - centre, padded[..., 2:, 1:-1] - centre]
    diagonals = [padded[..., 1:, 1:] - padded[..., :-1, :-1], padded[..., 1:, :-1] - padded[..., :-1, 1:]]
    return 2 * (sum(d.square().mean() for d in axes) / 3 + sum(d.square().mean() for d in diagonals) / 12)


style_transfer_pytorch = partial(
    _run_pyramid,
    _Version(
        resampling=Image.BICUBIC,
        betas=(0.9, 0.99),
        match=F.mse_loss,
        represent=_moments,
        prepare=_moments_and_root,
        compare=_wasserstein,
        vary=_vary_by_nine,
        root_iterations=2 * ROOT_ITERATIONS,
    ),
)

style_transfer_pytorch_gram = partial(
    _run_pyramid,
    _Version(
        resampling=Image.LANCZOS,
        betas=(0.9, 0.999),
        match=_scaled_difference,
        represent=_gram,
        prepare=lambda gram: gram,
        compare=_scaled_difference,
        vary=_vary_by_two,
        root_iterations=0,
    ),
)

PEERS = {
    "neural-style-pt": neural_style_pt,
    "style-transfer-pytorch": style_transfer_pytorch,
    "style-transfer-pytorch-gram": style_transfer_pytorch_gram,
}
