"""Johnson, Alahi & Fei-Fei's generator (ECCV 2016) and its descendants, from one table.

Two convolutions halve the resolution, residual blocks work at a quarter of it, and two layers double it again. The
descendants differ in padding, in how they enlarge, in where numbers for normalisation come from, and in their output;
how wide and deep one is shows in its parameters.
"""

from dataclasses import dataclass
from typing import Callable

from .._mxnet import mx
from . import blocks

# Names and strides of the layers before the residual blocks, and of those that enlarge after them.
DOWN, UP, LAST = (("conv1", 1), ("conv2", 2), ("conv3", 2)), ("up1", "up2"), "output"


# What Johnson's own program multiplies a picture from -1 to 1 by, and how many pixels it reflects at the beginning for
# each residual block, whose convolutions take as much away.
TANH_LEVELS, TORCH_PAD_PER_BLOCK = 150, 8


@dataclass(frozen=True)
class Form:
    """What descendants differ in.

    Attributes
    ----------
    finish : callable
        From the last layer to the picture.
    padding : {"reflect", "same"}
    transposed : bool
        Whether layers enlarge by transposed convolutions, rather than by repetition and a convolution.
    epsilon : float
        Of the normalisation.
    """

    finish: Callable
    padding: str = blocks.REFLECT
    transposed: bool = False
    epsilon: float = 1e-5


def as_it_is(x):
    """Return the last layer as the picture."""
    return x


def sigmoid(x):
    """Build a picture from 0 to 1."""
    return mx.sym.Activation(x, act_type="sigmoid")


def wide_tanh(x):
    """Build a picture from -22.5 to 277.5 grey levels."""
    return mx.sym.Activation(x, act_type="tanh") * TANH_LEVELS + 127.5


TRANSFORMER_NET = Form(as_it_is)
ML5 = Form(wide_tanh, blocks.SAME, True, 1e-3)
PASTICHE = MAGENTA = Form(sigmoid)


def build(layers, form, modulate):
    """Build the picture of ``data`` (N, 3, H, W), sides multiples of 4.

    Parameters
    ----------
    layers : blocks.Layers
    form : Form
    modulate : callable
        (activation, name of its layer, epsilon) -> normalised activation.
    """

    def unit(x, name, stride=1, active=True):
        x = modulate(layers.convolution(x, name, stride, form.padding), name, form.epsilon)
        return blocks.relu(x) if active else x

    x = mx.sym.Variable("data")
    for name, stride in DOWN:
        x = unit(x, name, stride)
    for number in range(1, _count_blocks(layers) + 1):
        x = x + unit(unit(x, f"residual{number}_conv1"), f"residual{number}_conv2", active=False)
    for name in UP:
        if form.transposed:
            x = blocks.relu(modulate(_enlarge(layers, x, name), name, form.epsilon))
        else:
            x = unit(blocks.enlarge_nearest(x), name)
    x = layers.few_channels(x, LAST, form.padding)
    return form.finish(modulate(x, LAST, form.epsilon))


def _count_blocks(layers):
    number = 0
    while layers.has(f"residual{number + 1}_conv1_weight"):
        number += 1
    return number


def own_numbers(layers, count=None):
    """Return instance normalisation with a gamma and a beta of each layer, where it has them.

    Given the number of images, it is for executors in training mode only: see `blocks.normalise_to_train`.
    """

    def modulate(x, name, epsilon):
        name = f"{name}_norm"
        if not layers.has(f"{name}_gamma"):
            return x
        if count is None:
            return layers.instance_norm(x, name, epsilon)
        parts = (layers.variable(f"{name}_{part}") for part in ("gamma", "beta"))
        return blocks.normalise_to_train(x, *parts, epsilon, count, f"{name}_states")

    return modulate


def numbers_of_styles(layers):
    """Return instance normalisation with a row of gamma and beta per style, of which ``code`` (N, styles) mixes.

    Dumoulin, Shlens & Kudlur, A Learned Representation for Artistic Style, ICLR 2017.
    """
    code = mx.sym.Variable("code")

    def modulate(x, name, epsilon):
        # (N, styles) (styles, C) -> (N, C) -> (N, C, 1, 1)
        mixed = (mx.sym.dot(code, layers.variable(f"{name}_norm_{part}")) for part in ("gamma", "beta"))
        gamma, beta = (mx.sym.reshape(one, shape=(0, 0, 1, 1)) for one in mixed)
        return blocks.scale_and_shift(blocks.normalise(x, epsilon), gamma, beta)

    return modulate


def count_styles(layers):
    """Return the shape of a code that mixes rows, without its first axis."""
    return layers.shape("conv1_norm_gamma")[:1]


def _enlarge(layers, x, name, begin=0):
    """Build a transposed convolution of stride 2, of weight (C_in, C_out, 3, 3), that doubles the resolution.

    Of its 2 n + 1 positions one belongs to the padding: the last one with TensorFlow's "SAME", the first with Torch's
    padding and adjustment of 1.
    """
    parts = [f"{name}_{part}" for part in ("weight", "bias") if layers.has(f"{name}_{part}")]
    arguments = [layers.variable(part, inferred=True) for part in parts]
    outputs = layers.shape(f"{name}_weight")[1]
    x = mx.sym.Deconvolution(
        x, *arguments, num_filter=outputs, kernel=(3, 3), stride=(2, 2), no_bias=len(arguments) == 1
    )
    end = begin - 1 or None
    return mx.sym.slice(x, begin=(None, None, begin, begin), end=(None, None, end, end))


def transform_torch(layers):
    """Build the picture of Johnson's own program in Torch, RGB minus means, of the same.

    It reflects the image once, at the beginning. The convolutions of residual blocks are not padded and the identity is
    cut to their size, which takes that away again; all others are padded with zeros.
    """
    modulate, count = own_numbers(layers), _count_blocks(layers)

    def unit(x, name, stride=1, side=None):
        return modulate(layers.convolution(x, name, stride, blocks.ZERO, side), name, 1e-5)

    x = blocks.pad(mx.sym.Variable("data"), TORCH_PAD_PER_BLOCK * count)
    for name, stride in DOWN:
        x = blocks.relu(unit(x, name, stride))
    for number in range(1, count + 1):
        y = blocks.relu(unit(x, f"residual{number}_conv1", side=0))
        y = unit(y, f"residual{number}_conv2", side=0)
        x = y + mx.sym.slice(x, begin=(None, None, 2, 2), end=(None, None, -2, -2))
    for name in UP:
        x = blocks.relu(modulate(_enlarge(layers, x, name, 1), name, 1e-5))
    x = layers.few_channels(x, LAST, blocks.ZERO)
    return mx.sym.Activation(x, act_type="tanh") * TANH_LEVELS


def transform_transformer_net(layers, count=None):
    """Build the picture of PyTorch's fast_neural_style example; for `count`, see `own_numbers`."""
    return build(layers, TRANSFORMER_NET, own_numbers(layers, count))


def transform_ml5(layers):
    """Build the picture of L. Engstrom's fast-style-transfer, whose networks ml5 has."""
    return build(layers, ML5, own_numbers(layers))


def transform_pastiche(layers):
    """Build the picture of a network of several styles."""
    return build(layers, PASTICHE, numbers_of_styles(layers))
