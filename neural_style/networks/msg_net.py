"""MSG-Net, which MXNet's Gluon example has: Zhang & Dana, Multi-style Generative Network (2017).

An encoder of residual blocks at a quarter of the resolution serves content and style. The style is the Gram matrix of
its features, and a learned matrix times it turns the content's features. The example reads the content as RGB and the
style as BGR. Every norm is instance normalisation with a shift; images are RGB from 0 to 255.
"""

from .._mxnet import mx
from . import blocks

_EPSILON = 1e-5
RESIDUAL_BLOCKS = 6


def encode(layers):
    """Build the code of ``style`` (1, 3, H, W): the Gram matrix (1, C, C), divided by C, H and W."""
    # (1, C, H, W) -> (1, C, M)
    flat = mx.sym.reshape(_encode(layers, mx.sym.reverse(mx.sym.Variable("style"), axis=1)), shape=(0, 0, -1))
    ones = mx.sym.ones_like(mx.sym.slice_axis(flat, axis=1, begin=0, end=1))
    count = mx.sym.batch_dot(ones, ones, transpose_b=True) * layers.channels("down2_conv3")
    return mx.sym.broadcast_div(mx.sym.batch_dot(flat, flat, transpose_b=True), count)


def code_shape(layers):
    """Return the shape of a code without its first axis."""
    return layers.shape("match_weight")[1:]


def transform(layers):
    """Build the picture of ``data`` (1, 3, H, W), sides multiples of 4, and ``code`` (1, C, C)."""
    x = _encode(layers, mx.sym.Variable("data"))
    turn = mx.sym.batch_dot(layers.variable("match_weight"), mx.sym.Variable("code"))
    flat = mx.sym.reshape(x, shape=(0, 0, -1))
    # (1, C, C) (1, C, M) -> (1, C, M) -> (1, C, H, W)
    x = mx.sym.reshape_like(mx.sym.batch_dot(turn, flat, transpose_a=True), x)
    for number in range(1, RESIDUAL_BLOCKS + 1):
        x = x + _branch(layers, x, f"block{number}")
    for name in ("up1", "up2"):
        x = layers.convolution(blocks.enlarge_nearest(x), f"{name}_skip") + _branch(layers, x, name, up=True)
    x = blocks.relu(_norm(layers, x, "norm2"))
    return layers.few_channels(x, "output")


def _encode(layers, x):
    x = blocks.relu(_norm(layers, layers.convolution(x, "conv1"), "norm1"))
    for name in ("down1", "down2"):
        x = layers.convolution(x, f"{name}_skip", 2) + _branch(layers, x, name, 2)
    return x


def _branch(layers, x, name, stride=1, up=False):
    """Build norm, ReLU and convolution three times; in the middle one the resolution changes."""
    x = layers.convolution(blocks.relu(_norm(layers, x, f"{name}_norm1")), f"{name}_conv1")
    x = blocks.relu(_norm(layers, x, f"{name}_norm2"))
    x = blocks.enlarge_nearest(x) if up else x
    x = layers.convolution(x, f"{name}_conv2", stride, blocks.ZERO if up else blocks.REFLECT)
    return layers.convolution(blocks.relu(_norm(layers, x, f"{name}_norm3")), f"{name}_conv3")


def _norm(layers, x, name):
    return layers.instance_norm(x, name, _EPSILON)
