"""The generators of MXNet's end_to_end example, each alone or as the chain that the example trains.

There are two: one of a single resolution, and one that goes down to an eighth and up again with sums across. Every
convolution is followed by a batch normalisation, which is folded into it after the training, and every layer but the
last by a leaky ReLU. The picture is two fifths a generator's own and three fifths its input, RGB minus the means.
"""

import numpy as np

from .._mxnet import mx
from . import blocks

PREFIX = "end_to_end"
_MEANS = (123.68, 116.779, 103.939)  # of the input, which the picture's own part does not have
_SLOPE = 0.25
_OWN = 0.4
# Of the generator with several resolutions: layers that go down, with their strides.
DOWN = (("conv1", 2), ("conv2", 1), ("conv3", 2), ("conv4", 1), ("conv5", 2), ("conv6", 1))
# Layers that go up, with pixels of padding and what follows: the layer of equal size that is added, and a convolution.
UP = (("up1", 2, "conv3", "conv7"), ("up2", 2, "conv1", "conv8"), ("up3", 3, None, None))
FLAT = tuple(f"conv{number}" for number in range(1, 8))
_MOST_STAGES = 99
# The generators by the names of the example, from the first of a chain to the last.
CHAIN = ("v4", "v3", "v3", "v4")
# Outputs, inputs and kernel of every layer.
_FLAT_SIZES = ((48, 3, 5), (32, 48, 5), (64, 32, 3), (32, 64, 5), (48, 32, 5), (32, 48, 5), (3, 32, 3))
_DOWN_SIZES = ((64, 3, 5), (48, 64, 3), (128, 48, 5), (96, 128, 3), (256, 96, 5), (192, 256, 3))
_AFTER_SIZES = {"conv7": (160, 128, 3), "conv8": (96, 64, 3)}
_UP_SIZES = {"up1": (128, 192, 7), "up2": (64, 160, 7), "up3": (3, 96, 8)}
# Of the batch normalisation.
EPSILON, MOMENTUM = 1e-3, 0.9
NORM_PARTS = ("gamma", "beta", "moving_mean", "moving_var")


def transform(layers):
    """Build the picture of ``data`` (N, 3, H, W), sides multiples of 8, by all stages in turn."""
    x = mx.sym.Variable("data")
    for number in range(_MOST_STAGES):
        if not layers.has(f"stage{number}_conv1_weight"):
            break
        x = build_stage(layers, x, f"stage{number}")
    return x


def build_stage(layers, before, stage, normalise=lambda x, name: x):
    """Build the picture of one generator.

    Parameters
    ----------
    layers : blocks.Layers
    before : mxnet.symbol.Symbol
        Its input.
    stage : str
        Of the names of its parameters.
    normalise : callable
        (convolution, its name) -> what follows it; nothing where batch normalisations are folded.
    """
    x = before

    def convolve(x, name, stride=1):
        name = f"{stage}_{name}"
        return normalise(layers.convolution(x, name, stride, blocks.ZERO), name)

    if not layers.has(f"{stage}_up1_weight"):
        for name in FLAT[:-1]:
            x = _leaky(convolve(x, name))
        return _finish(convolve(x, FLAT[-1]), before)
    seen = {}
    for name, stride in DOWN:
        x = seen[name] = _leaky(convolve(x, name, stride))
    for name, side, other, after in UP:
        x = normalise(_enlarge(layers, x, f"{stage}_{name}", side), f"{stage}_{name}")
        if other is not None:
            x = _leaky(x) + seen[other]
            x = _leaky(convolve(x, after))
    return _finish(x, before)


def batch_norm(x, name):
    """Build a batch normalisation, whose parameters are named after the convolution that it follows."""
    parts = (mx.sym.Variable(f"{PREFIX}_{name}_{part}") for part in NORM_PARTS)
    return mx.sym.BatchNorm(x, *parts, fix_gamma=False, eps=EPSILON, momentum=MOMENTUM)


def stage_shapes(generator):
    """Return the shapes of the weights of a generator of `CHAIN` by the names of its layers."""
    if generator == "v4":
        return {name: (outputs, inputs, k, k) for name, (outputs, inputs, k) in zip(FLAT, _FLAT_SIZES)}
    plain = {**dict(zip((name for name, _ in DOWN), _DOWN_SIZES)), **_AFTER_SIZES}
    shapes = {name: (outputs, inputs, k, k) for name, (outputs, inputs, k) in plain.items()}
    shapes.update({name: (inputs, outputs, k, k) for name, (outputs, inputs, k) in _UP_SIZES.items()})
    return shapes


def fold(layer, weight, bias, gamma, beta, mean, variance):
    """Make a batch normalisation part of the convolution before it.

    Parameters
    ----------
    layer : str
        Our name of the layer, which says whether it is a transposed convolution.
    weight : numpy.ndarray
        (C_out, C_in, k, k), of a transposed convolution (C_in, C_out, k, k).
    bias, gamma, beta, mean, variance : numpy.ndarray
        (C_out,).

    Returns
    -------
    weight, bias : numpy.ndarray
    """
    scale = np.asarray(gamma, np.float64) / np.sqrt(np.maximum(np.asarray(variance, np.float64), 0) + EPSILON)
    axis = (1, -1, 1, 1) if layer.startswith("up") else (-1, 1, 1, 1)
    return weight * scale.reshape(axis), beta + (np.asarray(bias, np.float64) - mean) * scale


def _enlarge(layers, x, name, side):
    """Build a transposed convolution of stride 2; with an odd kernel its output is larger by one row and one column."""
    shape = layers.shape(f"{name}_weight")
    parts = [
        layers.variable(f"{name}_{part}", inferred=True) for part in ("weight", "bias") if layers.has(f"{name}_{part}")
    ]
    kernel = shape[2:]
    x = mx.sym.Deconvolution(
        x, *parts, num_filter=shape[1], kernel=kernel, stride=(2, 2), pad=(side, side), no_bias=len(parts) == 1
    )
    return mx.sym.slice(x, begin=(None, None, 1, 1), end=(None, None, None, None)) if kernel[0] % 2 else x


def _leaky(x):
    return mx.sym.LeakyReLU(x, act_type="leaky", slope=_SLOPE)


def _finish(x, before):
    shift = mx.sym.concat(*(mx.sym.full((1, 1, 1, 1), 128 - mean) for mean in _MEANS), dim=1)
    own = mx.sym.broadcast_add(mx.sym.Activation(x, act_type="tanh") * 128, shift)
    return own * _OWN + before * (1 - _OWN)
