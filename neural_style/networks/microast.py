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
# content, and, in features, a pixel of `decode` on features.
CELL, ENCODING_HALO, DECODING_HALO = 4, 8, 4

_EPSILON = 1e-5


def encode(layers):
    """Build the code of a style image: ``style`` (N, 3, H, W) to (N, 8 C, 1, 1)."""
    shallow = _encode_locally(layers, mx.sym.Variable("style"), "style")
    shallow = _residual(layers, shallow, "style_residual1")
    deep = _residual(layers, shallow, "style_residual2")
    code = []
    for features in (deep, shallow):
        center, _, deviation = blocks.statistics(features, _EPSILON, unbiased=True)
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
    return decode(layers, repaint(layers, encode_content(layers, mx.sym.Variable("data")), mx.sym.Variable("code")))


def encode_content(layers, x):
    """Build the content's features at a quarter of the resolution, which depend only on pixels near them."""
    return _encode_locally(layers, x, "content")


def repaint(layers, features, code):
    """Build what is at a quarter of the resolution, where statistics are of the whole image."""
    parts = mx.sym.split(code, num_outputs=CODE_PARTS, axis=1)
    shallow = _residual(layers, features, "content_residual1")
    x = _residual(layers, shallow, "content_residual2")
    for name, (center, deviation), modulation in (
        ("decoder_residual2", (parts[0], parts[1]), (parts[4], parts[5])),
        ("decoder_residual1", (parts[2], parts[3]), (parts[6], parts[7])),
    ):
        x = blocks.scale_and_shift(blocks.normalise(x, _EPSILON, unbiased=True), deviation, center)
        x = _residual(layers, x, name, modulation)
    return x


def decode(layers, x):
    """Build the picture from repainted features, of which a pixel depends only on those near it."""
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
