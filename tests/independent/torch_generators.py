"""Feed-forward generators once more, in PyTorch: their layers as their papers and programs describe them.

Parameters come as dicts of tensors by the names of the programs themselves.
"""

import torch
from torch.nn import functional as F


class MicroAST:
    """MicroAST (AAAI 2023).

    Parameters
    ----------
    content, style, modulator, decoder : dict of str to torch.Tensor
    """

    def __init__(self, content, style, modulator, decoder):
        self.content, self.style, self.modulator, self.decoder = content, style, modulator, decoder

    @staticmethod
    def convolve(weights, name, x, stride=1):
        weight = weights[f"{name}.conv_layer.weight"]
        x = F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect")
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, weights[f"{name}.conv_layer.bias"], stride, groups=groups)

    def residual(self, weights, name, x, factor=None, term=None):
        def step(inner, x):
            y = self.convolve(weights, f"{name}.{inner}", x)
            return y if factor is None else factor * y + term * x

        return x + step("conv2", step("conv1", x).relu())

    def encode(self, weights, x):
        for place, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
            x = self.convolve(weights, f"enc1.{place}", x, stride).relu()
        shallow = self.residual(weights, "enc1.10", x)
        return shallow, self.residual(weights, "enc2.0", shallow)

    @staticmethod
    def adain(x, style):
        def moments(y):
            return y.mean((2, 3), keepdim=True), (y.var((2, 3), keepdim=True) + 1e-5).sqrt()

        (mean, deviation), (wanted_mean, wanted_deviation) = moments(x), moments(style)
        return (x - mean) / deviation * wanted_deviation + wanted_mean

    def __call__(self, content, style):
        """Return the picture (N, 3, H, W) of images (N, 3, H, W) in [0, 1], not clipped."""
        (_, deep), styles = self.encode(self.content, content), self.encode(self.style, style)
        signals = {
            f"{kind}{depth}": self.convolve(self.modulator, f"{kind}{depth}.0", features).mean((2, 3), keepdim=True)
            for depth, features in enumerate(styles, 1)
            for kind in ("weight", "bias")
        }
        x = self.residual(self.decoder, "dec1", self.adain(deep, styles[1]), signals["weight2"], signals["bias2"])
        x = self.residual(self.decoder, "dec2", self.adain(x, styles[0]), signals["weight1"], signals["bias1"])
        for places in ((1, 3), (6, 8)):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            for place in places:
                x = self.convolve(self.decoder, f"dec3.{place}", x).relu()
        return self.convolve(self.decoder, "dec3.10", x)


def instance_norm(x, gamma=None, beta=None, epsilon=1e-5):
    return F.instance_norm(x, weight=gamma, bias=beta, eps=epsilon)


def reflected(x, weight, bias=None, stride=1):
    return F.conv2d(F.pad(x, [weight.shape[-1] // 2] * 4, mode="reflect"), weight, bias, stride)


def transformer_net(state, x):
    """Return the picture of PyTorch's fast_neural_style example; `state` has its own names."""

    def convolve(x, name, stride=1):
        return reflected(x, state[f"{name}.conv2d.weight"], state[f"{name}.conv2d.bias"], stride)

    def norm(x, name):
        return instance_norm(x, state[f"{name}.weight"], state[f"{name}.bias"])

    for number, stride in ((1, 1), (2, 2), (3, 2)):
        x = norm(convolve(x, f"conv{number}", stride), f"in{number}").relu()
    for number in range(1, 6):
        y = norm(convolve(x, f"res{number}.conv1"), f"res{number}.in1").relu()
        x = x + norm(convolve(y, f"res{number}.conv2"), f"res{number}.in2")
    for number in (1, 2):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = norm(convolve(x, f"deconv{number}"), f"in{number + 3}").relu()
    return convolve(x, "deconv3")


def ml5(variables, x):
    """Return the picture of L. Engstrom's fast-style-transfer; `variables` are the 48 in TensorFlow's order."""

    def same(x, weight, stride=1):
        # (H, W, in, out) -> (out, in, H, W)
        weight, pads = weight.permute(3, 2, 0, 1), []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride)

    def norm(x, first):
        return instance_norm(x, variables[first + 2], variables[first + 1], 1e-3)

    for first, stride in ((0, 1), (3, 2), (6, 2)):
        x = norm(same(x, variables[first], stride), first).relu()
    for first in range(9, 39, 6):
        y = norm(same(x, variables[first]), first).relu()
        x = x + norm(same(y, variables[first + 3]), first + 3)
    for first in (39, 42):
        # What a convolution of stride 2 and padding "SAME" would make x of: its gradient.
        weight, size = variables[first].permute(3, 2, 0, 1), (x.shape[2] * 2, x.shape[3] * 2)
        x = norm(F.conv_transpose2d(x, weight, stride=2)[:, :, : size[0], : size[1]], first).relu()
    return torch.tanh(norm(same(x, variables[45]), 45)) * 150 + 127.5


def pastiche(state, x, shares):
    """Return the picture of the 26-style network in [0, 1]; `state` has the names of its ONNX file."""

    def unit(x, name, stride=1):
        gamma, beta = (shares @ state[f"{name}.norm.{part}"] for part in ("gamma", "beta"))
        return instance_norm(reflected(x, state[f"{name}.w"], stride=stride), gamma, beta)

    for number, stride in ((0, 1), (1, 2), (2, 2)):
        x = unit(x, f"contract.{number}", stride).relu()
    number = 0
    while f"res.{number}.0.w" in state:
        x = x + unit(unit(x, f"res.{number}.0").relu(), f"res.{number}.1")
        number += 1
    for number in (0, 1):
        x = unit(F.interpolate(x, scale_factor=2, mode="nearest"), f"expand.{number}").relu()
    return torch.sigmoid(unit(x, "expand.2"))


class MSGNet:
    """MSG-Net of Gluon's example; `state` has its structured names."""

    def __init__(self, state):
        self.state = state

    def convolve(self, x, name, stride=1, pad=F.pad):
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        if pad is None:
            return F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)
        return reflected(x, weight, bias, stride)

    def norm(self, x, name):
        return instance_norm(x, beta=self.state[f"{name}.beta"], gamma=torch.ones(x.shape[1])).relu()

    def branch(self, x, name, stride=1, up=False):
        x = self.convolve(self.norm(x, f"{name}.conv_block.0"), f"{name}.conv_block.2")
        x = self.norm(x, f"{name}.conv_block.3")
        x = F.interpolate(x, scale_factor=2, mode="nearest") if up else x
        x = self.convolve(x, f"{name}.conv_block.5.conv2d", stride, None if up else F.pad)
        return self.convolve(self.norm(x, f"{name}.conv_block.6"), f"{name}.conv_block.8")

    def encode(self, x):
        x = self.norm(self.convolve(x, "model.0.0.conv2d"), "model.0.1")
        for name in ("model.0.3", "model.0.4"):
            x = self.convolve(x, f"{name}.residual_layer", 2) + self.branch(x, name, 2)
        return x

    def __call__(self, content, style):
        """Return the picture, RGB; content and style are RGB, the network wants and makes BGR."""
        features = self.encode(style.flip(1)).flatten(2)[0]
        gram = features @ features.T / features.numel()
        x = self.encode(content)
        x = ((self.state["model.1.weight"][0] @ gram).T @ x.flatten(2)[0]).reshape(x.shape)
        for number in range(2, 8):
            x = x + self.branch(x, f"model.{number}")
        for name in ("model.8", "model.9"):
            larger = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.convolve(larger, f"{name}.residual_layer.conv2d") + self.branch(x, name, up=True)
        return self.convolve(self.norm(x, "model.10"), "model.12.conv2d").flip(1)


def end_to_end(stages, x):
    """Return the picture of MXNet's end_to_end chain, RGB minus means.

    A stage is a list of (kind, weight, bias or None, gamma, beta, mean, variance) in the order of its layers, where the
    kind is "convolution" or "deconvolution".
    """
    for stage in stages:
        x = _end_to_end_stage(stage, x)
    return x


def _end_to_end_stage(stage, before):
    def layer(number, x, stride=1, padding=None):
        kind, weight, bias, gamma, beta, mean, variance = stage[number]
        if kind == "convolution":
            x = F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)
        else:
            x = F.conv_transpose2d(x, weight, bias, 2, padding=padding)
            if weight.shape[-1] == 7:  # cropped by one pixel at the beginning
                x = x[:, :, 1:, 1:]
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    def leaky(x):
        return F.leaky_relu(x, 0.25)

    x = before
    if len(stage) == 7:
        for number in range(6):
            x = leaky(layer(number, x))
        x = layer(6, x)
    else:
        seen = []
        for number, stride in enumerate((2, 1, 2, 1, 2, 1)):
            x = leaky(layer(number, x, stride))
            seen.append(x)
        x = leaky(layer(6, x, padding=2)) + seen[2]
        x = leaky(layer(7, x))
        x = leaky(layer(8, x, padding=2)) + seen[0]
        x = layer(10, leaky(layer(9, x)), padding=3)
    means = torch.tensor([123.68, 116.779, 103.939]).reshape(1, 3, 1, 1)
    return 0.4 * (torch.tanh(x) * 128 + 128 - means) + 0.6 * before


def magenta(state, x, code):
    """Return the picture of Magenta's transformer in [0, 1] for a code (1, N, 1, 1); `state` has TensorFlow's names."""

    def plain(x, name, stride=1):
        return reflected(x, state[f"transformer/{name}/weights"], state.get(f"transformer/{name}/biases"), stride)

    def unit(x, name):
        maps = (f"style_params/transformer/{name}/StyleNorm/{part}" for part in ("Conv", "Conv_1"))
        beta, gamma = (F.conv2d(code, state[f"{one}/weights"], state[f"{one}/biases"]) for one in maps)
        return instance_norm(plain(x, name)) * gamma + beta

    for number, stride in ((1, 1), (2, 2), (3, 2)):
        x = plain(x, f"contract/conv{number}", stride).relu()
    for number in range(1, 6):
        name = f"residual/residual{number}"
        x = x + unit(unit(x, f"{name}/conv1").relu(), f"{name}/conv2")
    for number in (1, 2):
        x = unit(F.interpolate(x, scale_factor=2, mode="nearest"), f"expand/conv{number}/conv").relu()
    return torch.sigmoid(unit(x, "expand/conv3/conv"))


def magenta_code(state, x):
    """Return the code of a style in [0, 1], sides multiples of 32, by MobileNetV2."""

    def unit(x, name, stride=1, active=True, weights="weights"):
        weight = state[f"{name}/{weights}"]
        groups = x.shape[1] // weight.shape[1]
        if weight.shape[-1] == 3:
            x = F.pad(x, [1] * 4 if stride == 1 else [0, 1, 0, 1])
        x = F.conv2d(x, weight, state.get(f"{name}/biases"), stride, groups=groups)
        return x.clamp(0, 6) if active else x

    x = unit(x, "MobilenetV2/Conv", 2)
    for number in range(17):
        name = f"MobilenetV2/expanded_conv{f'_{number}' if number else ''}"
        stride = 2 if number in (1, 3, 6, 13) else 1
        y = unit(x, f"{name}/expand") if number else x
        y = unit(y, f"{name}/depthwise", stride, weights="depthwise_weights")
        y = unit(y, f"{name}/project", active=False)
        x = x + y if stride == 1 and x.shape == y.shape else y
    x = unit(x, "MobilenetV2/Conv_1").mean((2, 3), keepdim=True)
    return unit(x, "mobilenet_conv/Conv", active=False)
