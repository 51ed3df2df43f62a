"""What the sources of the recipes compute, written down from their descriptions with PyTorch's autodiff and optimizers.

It shares nothing with the package but the pictures and parameters it is given: no recipe, no symbol, no optimizer.
"""

import numpy as np
import torch
import torch.nn.functional as F

MEANS = torch.tensor([123.68, 116.779, 103.939], dtype=torch.float64).reshape(1, 3, 1, 1)
FIVE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


class Network:
    """A VGG network in float64: convolutions per block, parameters by the usual names."""

    def __init__(self, blocks, parameters, pooling):
        self.blocks = blocks
        self.parameters = {name: torch.tensor(np.asarray(v, np.float64)) for name, v in parameters.items()}
        self.pool = F.avg_pool2d if pooling == "avg" else F.max_pool2d

    def __call__(self, x):
        """Give the ReLUs by name for (1, 3, H, W) without means, in order, as far as there are parameters."""
        relus = {}
        for b, (convolutions, _) in enumerate(self.blocks, 1):
            for c in range(1, convolutions + 1):
                if f"conv{b}_{c}_weight" not in self.parameters:
                    return relus
                weight, bias = (self.parameters[f"conv{b}_{c}_{kind}"] for kind in ("weight", "bias"))
                x = relus[f"relu{b}_{c}"] = F.relu(F.conv2d(x, weight, bias, padding=1))
            if b < len(self.blocks):
                x = self.pool(x, 2)
        return relus


def gram(features):
    flat = features.reshape(features.shape[1], -1)
    return flat @ flat.T


class Mxnet:
    """MXNet's example: SGD with momentum (0.7) or Nesterov's (1.9), of a shortened gradient plus the stencil's."""

    pooling, unit = "avg", "centred"

    def __init__(self, nesterov):
        self.nesterov = nesterov

    def targets(self, network, content, style):
        self.network = network
        with torch.no_grad():
            activations = network(style)
            self.grams = {layer: gram(activations[layer]) for layer in FIVE}
            self.content = network(content)["relu4_2"]

    def parts(self, x):
        relus = self.network(x)
        style = 0
        for layer in FIVE:
            _, c, h, w = relus[layer].shape
            style = style + ((self.grams[layer] - gram(relus[layer])) ** 2).sum() / (c * c * h * w)
        padded = F.pad(x, (1, 1, 1, 1))
        vertical, horizontal = padded[:, :, 1:, 1:-1] - padded[:, :, :-1, 1:-1], padded.diff(dim=3)[:, :, 1:-1]
        variation = 0.01 / 16 * ((vertical**2).sum() + (horizontal**2).sum())
        return style, 10 * ((self.content - relus["relu4_2"]) ** 2).sum(), variation

    def gradient(self, x):
        style, content, variation = self.parts(x)
        (gradient,) = torch.autograd.grad(style + content, x)
        gradient = gradient * min(1.0, x.numel() / gradient.norm().item())
        return gradient + torch.autograd.grad(variation, x)[0]

    def optimizer(self, x):
        momentum, decay = (0.95, 0.0001) if self.nesterov else (0.9, 0.0005)
        return torch.optim.SGD([x], lr=0.001, momentum=momentum, weight_decay=decay, nesterov=self.nesterov)


class Fast(Mxnet):
    """The objective of MXNet's example, whose gradient nothing shortens."""

    def __init__(self):
        super().__init__(nesterov=False)

    def gradient(self, x):
        return torch.autograd.grad(sum(self.parts(x)), x)[0]


class Autodiff:
    """A source whose gradient is that of its objective and nothing else."""

    def gradient(self, x):
        return torch.autograd.grad(sum(self.parts(x)), x)[0]

    def after(self, x, step):
        """What the source does to the image after each step."""


class Gatys(Autodiff):
    """Equations 1 to 7 of arXiv:1508.06576 with a ratio of 1e-3 between alpha and beta."""

    pooling, unit = "avg", "centred"
    content_weight, style_weight = 1.0, 1000.0

    def targets(self, network, content, style):
        self.network = network
        with torch.no_grad():
            activations = network(style)
            self.grams = {layer: gram(activations[layer]) for layer in FIVE}
            self.content = network(content)["relu4_2"]

    def content_loss(self, relu):
        return 0.5 * ((relu - self.content) ** 2).sum()

    def parts(self, x):
        relus = self.network(x)
        style = 0
        for layer in FIVE:
            _, n, h, w = relus[layer].shape
            style = style + 0.2 * ((gram(relus[layer]) - self.grams[layer]) ** 2).sum() / (4 * n**2 * (h * w) ** 2)
        return self.style_weight * style, self.content_weight * self.content_loss(relus["relu4_2"])


class Coursera(Gatys):
    """The exercise's costs: content over 4 n_H n_W n_C, J = 10 J_content + 40 J_style."""

    content_weight, style_weight = 10.0, 40.0

    def content_loss(self, relu):
        return ((relu - self.content) ** 2).sum() / (4 * relu.numel())

    def optimizer(self, x):
        return torch.optim.Adam([x], lr=2.0)


class Keras(Autodiff):
    """The TensorFlow 2 tutorial, on pictures in [0, 1]."""

    pooling, unit = "max", "fractions"

    def targets(self, network, content, style):
        self.network = network
        with torch.no_grad():
            activations = network(self.prepare(style))
            self.grams = {layer: self.gram(activations[layer]) for layer in FIVE}
            self.content = network(self.prepare(content))["relu5_2"]

    @staticmethod
    def prepare(x):
        return x * 255 - MEANS

    @staticmethod
    def gram(features):
        return gram(features) / (features.shape[2] * features.shape[3])

    def parts(self, x):
        relus = self.network(self.prepare(x))
        style = sum(((self.gram(relus[layer]) - self.grams[layer]) ** 2).mean() for layer in FIVE)
        content = ((relus["relu5_2"] - self.content) ** 2).mean()
        variation = x.diff(dim=2).abs().sum() + x.diff(dim=3).abs().sum()
        return 1e-2 / 5 * style, 1e4 * content, 50 * variation

    def optimizer(self, x):
        # PyTorch adds epsilon to the corrected root of the second moment, Keras to the uncorrected one.
        optimizer, steps = torch.optim.Adam([x], lr=0.02, betas=(0.99, 0.999), eps=0.1), 0

        def correct(*_):
            nonlocal steps
            steps += 1
            optimizer.param_groups[0]["eps"] = 0.1 / (1 - 0.999**steps) ** 0.5

        optimizer.register_step_pre_hook(correct)
        return optimizer

    def after(self, x, step):
        with torch.no_grad():
            x.clamp_(0, 1)


class Adaptive(Autodiff):
    """The TensorFlow 1 tutorial: each of three losses divided by its value; plain steps of a given deviation."""

    pooling, unit = "max", "levels"

    def targets(self, network, content, style):
        self.network = network
        with torch.no_grad():
            self.grams = [gram(relu) for relu in list(network(style - MEANS).values())[:13]]
            self.content = list(network(content - MEANS).values())[4]

    def plain(self, x):
        relus = list(self.network(x - MEANS).values())
        style = sum(((gram(relu) - target) ** 2).mean() for relu, target in zip(relus, self.grams)) / 13
        content = ((relus[4] - self.content) ** 2).mean()
        return style, content, x.diff(dim=2).abs().mean() + x.diff(dim=3).abs().mean()

    def parts(self, x):
        return [w * loss / (loss.detach() + 1e-10) for w, loss in zip((10.0, 1.5, 0.3), self.plain(x))]

    def optimizer(self, x):
        return torch.optim.SGD([x], lr=1.0)

    def before(self, x, optimizer):
        optimizer.param_groups[0]["lr"] = 10 / (x.grad.std(unbiased=False).item() + 1e-8)

    def after(self, x, step):
        with torch.no_grad():
            x.clamp_(0, 255)


class Paint(Autodiff):
    """This project's own recipe: relative losses of means and covariances, and of the content."""

    pooling, unit = "max", "centred"
    # Grey levels 0 and 255 less the means of red, green and blue.
    bounds = [(-mean, 255 - mean) for mean in (123.68, 116.779, 103.939)]
    parameters = dict(content_weight=0.2, style_weight=1.0, tv_weight=2e-4, shares=(0.2, 0.25, 0.25, 0.2, 0.1))

    def targets(self, network, content, style):
        self.network = network
        with torch.no_grad():
            activations = network(style)
            self.moments = {layer: self.measure(activations[layer]) for layer in FIVE}
            self.content = network(content)["relu4_2"]

    @staticmethod
    def measure(features):
        flat = features.reshape(features.shape[1], -1)
        return flat.mean(1), torch.cov(flat, correction=0)

    @staticmethod
    def relative(one, two):
        return ((one - two) ** 2).sum() / (two**2).sum()

    def parts(self, x):
        relus, known = self.network(x), self.parameters
        style = 0
        for layer, share in zip(FIVE, known["shares"]):
            pairs = zip(self.measure(relus[layer]), self.moments[layer])
            style = style + share * sum(0.5 * self.relative(one, two) for one, two in pairs)
        content = self.relative(relus["relu4_2"], self.content)
        variation = (x.diff(dim=2) ** 2).mean() + (x.diff(dim=3) ** 2).mean()
        return known["style_weight"] * style, known["content_weight"] * content, known["tv_weight"] * variation


class Motifs(Paint):
    """The same with, at each position, 1 less the cosine with the most similar position of the style."""

    layers = ("relu3_1", "relu4_1")

    def targets(self, network, content, style):
        super().targets(network, content, style)
        with torch.no_grad():
            activations = network(style)
            self.places = {layer: self.kept(activations[layer]) for layer in self.layers}

    @staticmethod
    def kept(features):
        return features.reshape(features.shape[1], -1)

    @staticmethod
    def mean(values):
        return values.mean()

    def parts(self, x):
        style, *others = super().parts(x)
        relus = self.network(x)
        for layer in self.layers:
            places = F.normalize(self.places[layer], dim=0)
            cosines = torch.einsum("ck,cyx->kyx", places, F.normalize(relus[layer][0], dim=0))
            style = style + 0.5 * self.mean(1 - cosines.max(dim=0).values)
        return style, *others


SOURCES = {
    "mxnet-0.7": lambda: Mxnet(nesterov=False),
    "mxnet-1.9": lambda: Mxnet(nesterov=True),
    "gatys-2015": Gatys,
    "coursera": Coursera,
    "keras-vgg19": Keras,
    "tf-vgg16-adaptive": Adaptive,
    "fast": Fast,
    "paint": Paint,
    "motifs": Motifs,
}


def run(source, start, steps):
    """Give the image after each step of the source's optimizer."""
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer, images = source.optimizer(x), []
    for step in range(1, steps + 1):
        x.grad = source.gradient(x)
        if hasattr(source, "before"):
            source.before(x, optimizer)
        optimizer.step()
        if hasattr(source, "after"):
            source.after(x, step)
        images.append(x.detach().numpy().copy())
    return images
