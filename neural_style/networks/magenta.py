"""Magenta's arbitrary stylization (Ghiasi et al., BMVC 2017) with its small predictor.

A style is 100 numbers, from which 1x1 convolutions make the gamma and beta of every normalised layer of a generator of
Johnson's form. The numbers come from MobileNetV2 (Sandler et al., CVPR 2018). Batch normalisations are part of the
weights and biases that precede them. Images are RGB from 0 to 1.
"""

from .._mxnet import mx
from . import blocks, johnson

# Blocks of MobileNetV2, counted from 0, that halve the resolution.
_HALVING = (1, 3, 6, 13)
_STYLE_EPSILON = 1e-5


def transform(layers):
    """Build the picture of ``data`` (N, 3, H, W) and ``code`` (N, 100, 1, 1)."""
    code = mx.sym.Variable("code")

    def modulate(x, name, epsilon):
        if not layers.has(f"{name}_gamma_weight"):  # the first three layers do not see the style
            return x
        gamma, beta = (layers.convolution(code, f"{name}_{part}") for part in ("gamma", "beta"))
        return blocks.scale_and_shift(blocks.normalise(x, _STYLE_EPSILON), gamma, beta)

    return johnson.build(layers, johnson.MAGENTA, modulate)


def code_shape(layers):
    """Return the shape of a code without its first axis."""
    return layers.channels("style_code"), 1, 1


def encode(layers):
    """Build the code of ``style`` (N, 3, H, W), sides multiples of 32, by MobileNetV2."""

    def unit(x, name, stride=1, inputs=None, active=True):
        x = layers.convolution(x, f"style_{name}", stride, blocks.SAME, inputs=inputs)
        return mx.sym.clip(x, 0, 6) if active else x

    x, before, number = unit(mx.sym.Variable("style"), "conv1", 2), layers.channels("style_conv1"), 0
    while layers.has(f"style_block{number}_depthwise_weight"):
        name, y = f"block{number}", x
        if layers.has(f"style_{name}_expand_weight"):
            y = unit(y, f"{name}_expand")
        stride = 2 if number in _HALVING else 1
        y = unit(y, f"{name}_depthwise", stride, inputs=layers.channels(f"style_{name}_depthwise"))
        y = unit(y, f"{name}_project", active=False)
        after = layers.channels(f"style_{name}_project")
        x = x + y if stride == 1 and after == before else y
        before, number = after, number + 1
    return layers.convolution(blocks.mean(unit(x, "conv2")), "style_code")
