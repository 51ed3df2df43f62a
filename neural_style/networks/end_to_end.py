"""The generators of MXNet's end_to_end example, each alone or as the chain that the example trains.

There are two: one of a single resolution, and one that goes down to an eighth and up again with sums across. Batch
normalisations are part of the weights and biases that precede them; every layer but the last is followed by a leaky
ReLU. The picture is two fifths a generator's own and three fifths its input, RGB minus the means.
"""

from .._mxnet import mx
from . import blocks

_MEANS = (123.68, 116.779, 103.939)  # of the input, which the picture's own part does not have
_SLOPE = 0.25
_OWN = 0.4
# Of the generator with several resolutions: layers that go down, with their strides.
DOWN = (("conv1", 2), ("conv2", 1), ("conv3", 2), ("conv4", 1), ("conv5", 2), ("conv6", 1))
# Layers that go up, with pixels of padding and what follows: the layer of equal size that is added, and a convolution.
UP = (("up1", 2, "conv3", "conv7"), ("up2", 2, "conv1", "conv8"), ("up3", 3, None, None))
FLAT = tuple(f"conv{number}" for number in range(1, 8))
_MOST_STAGES = 99


def transform(layers):
    """Build the picture of ``data`` (N, 3, H, W), sides multiples of 8, by all stages in turn."""
    x = mx.sym.Variable("data")
    for number in range(_MOST_STAGES):
        if not layers.has(f"stage{number}_conv1_weight"):
            break
        x = _finish(_stage(layers, x, f"stage{number}"), x)
    return x


def _stage(layers, x, stage):
    if not layers.has(f"{stage}_up1_weight"):
        for name in FLAT[:-1]:
            x = _leaky(layers.convolution(x, f"{stage}_{name}", 1, blocks.ZERO))
        return layers.convolution(x, f"{stage}_{FLAT[-1]}", 1, blocks.ZERO)
    seen = {}
    for name, stride in DOWN:
        x = seen[name] = _leaky(layers.convolution(x, f"{stage}_{name}", stride, blocks.ZERO))
    for name, side, other, after in UP:
        x = _enlarge(layers, x, f"{stage}_{name}", side)
        if other is not None:
            x = _leaky(x) + seen[other]
            x = _leaky(layers.convolution(x, f"{stage}_{after}", 1, blocks.ZERO))
    return x


def _enlarge(layers, x, name, side):
    """Build a transposed convolution of stride 2; with an odd kernel its output is larger by one row and one column."""
    shape = layers.shape(f"{name}_weight")
    parts = (layers.variable(f"{name}_{part}", inferred=True) for part in ("weight", "bias"))
    kernel = shape[2:]
    x = mx.sym.Deconvolution(
        x, *parts, num_filter=shape[1], kernel=kernel, stride=(2, 2), pad=(side, side), no_bias=False
    )
    return mx.sym.slice(x, begin=(None, None, 1, 1), end=(None, None, None, None)) if kernel[0] % 2 else x


def _leaky(x):
    return mx.sym.LeakyReLU(x, act_type="leaky", slope=_SLOPE)


def _finish(x, before):
    shift = mx.sym.concat(*(mx.sym.full((1, 1, 1, 1), 128 - mean) for mean in _MEANS), dim=1)
    own = mx.sym.broadcast_add(mx.sym.Activation(x, act_type="tanh") * 128, shift)
    return own * _OWN + before * (1 - _OWN)
