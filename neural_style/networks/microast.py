"""MicroAST, a small network for any style: Wang et al., AAAI 2023 (MIT licence).

Two encoders of one form work at a quarter of the resolution, one for the content and one for the style. The style's
features reach the picture as means and deviations (adaptive instance normalisation, Huang & Belongie, ICCV 2017) and as
factors and terms for the decoder's residual blocks, so that a style is a few hundred numbers: its code. Every
convolution is padded by reflection and has a bias; images are RGB from 0 to 1. In the published network the 3x3
convolutions that change resolution are in groups; where the parameters are dense, they are dense here.
"""

from .._mxnet import mx
from . import blocks

# Numbers per channel in a code, in this order: mean and deviation of the deep and of the shallow features, factor and
# term of the deep and of the shallow block.
CODE_PARTS = 8

# Pixels per feature along each axis; and how far beyond itself, in pixels, a feature of `encode_content` depends on the
# content, and, in features, the outputs of `repaint` and `paint` on what they get.
CELL, ENCODING_HALO, REPAINTING_HALO, PAINTING_HALO = 4, 24, 2, 6

EPSILON = 1e-5


def encode(layers):
    """Build the code of a style image: ``style`` (N, 3, H, W) to (N, 8 C, 1, 1)."""
    shallow = _encode_locally(layers, mx.sym.Variable("style"), "style")
    shallow = _residual(layers, shallow, "style_residual1")
    deep = _residual(layers, shallow, "style_residual2")
    code = []
    for features in (deep, shallow):
        center, _, deviation = blocks.statistics(features, EPSILON, unbiased=True)
        code += [center, deviation]
    for features, depth in ((deep, 2), (shallow, 1)):
        channels = layers.channels("style_conv5")
        for what in ("factor", "term"):
            signal = layers.convolution(features, f"modulator_{what}{depth}", inputs=channels)
            code.append(blocks.mean(signal))
    return mx.sym.concat(*code, dim=1)


def code_shape(layers):
    """Return the shape of a code without its first axis."""
    return CODE_PARTS * layers.channels("style_conv5"), 1, 1


def transform(layers):
    """Build the picture: ``data`` (N, 3, H, W), sides multiples of 4, and ``code`` (N, 8 C, 1, 1)."""
    x, code = mx.sym.Variable("data"), mx.sym.Variable("code")
    x = encode_content(layers, x, code)
    for stage in (repaint, paint):
        x = stage(layers, blocks.normalise(x, EPSILON, unbiased=True), code)
    return x


def encode_content(layers, x, code):
    """Build the content's deep features, at a quarter of the resolution."""
    x = _encode_locally(layers, x, "content")
    return _residual(layers, _residual(layers, x, "content_residual1"), "content_residual2")


def repaint(layers, x, code):
    """Build features repainted by the style's deep ones, from normalised features."""
    parts = mx.sym.split(code, num_outputs=CODE_PARTS, axis=1)
    x = blocks.scale_and_shift(x, parts[1], parts[0])
    return _residual(layers, x, "decoder_residual2", (parts[4], parts[5]))


def paint(layers, x, code):
    """Build the picture from features that `repaint` made and that were normalised again."""
    parts = mx.sym.split(code, num_outputs=CODE_PARTS, axis=1)
    x = blocks.scale_and_shift(x, parts[3], parts[2])
    x = _residual(layers, x, "decoder_residual1", (parts[6], parts[7]))
    for wide, inputs in ((5, "decoder_residual1_conv2"), (3, "decoder_conv4")):
        channels = layers.channels(inputs)
        x = blocks.enlarge_bilinear(x, channels)
        x = blocks.relu(layers.convolution(x, f"decoder_conv{wide}", inputs=channels))
        if wide == 5:
            x = blocks.relu(layers.convolution(x, "decoder_conv4"))
    return layers.few_channels(x, "decoder_conv1", before="decoder_conv2")


def _encode_locally(layers, x, which):
    for number, stride in enumerate((1, 2, 1, 2, 1), 1):
        before = layers.channels(f"{which}_conv{number - 1}") if number > 1 else 3
        x = blocks.relu(layers.convolution(x, f"{which}_conv{number}", stride, inputs=before))
    return x


def _residual(layers, x, name, modulation=None):
    """Build x + conv2(relu(conv1(x))), both modulated to factor * convolution + term * input where there are such."""

    def convolution(x, number):
        y = layers.convolution(x, f"{name}_conv{number}")
        if modulation is None:
            return y
        factor, term = modulation
        return mx.sym.broadcast_mul(y, factor) + mx.sym.broadcast_mul(x, term)

    return x + convolution(blocks.relu(convolution(x, 1)), 2)
