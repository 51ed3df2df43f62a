"""The VGG networks as MXNet symbols, built from one table of blocks.

Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, configurations D
(VGG-16) and E (VGG-19), without the fully connected layers. Every convolution is 3x3 with zero padding 1 and a bias and
is followed by a ReLU; every block ends in a 2x2 pooling of stride 2. Activations have their usual names: ``conv3_2`` is
the second convolution of the third block before its ReLU, ``relu3_2`` after it, ``pool3`` the end of the block.
"""

import logging
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable, Optional, Tuple, Union

from ._mxnet import mx
from .checkpoint_networks import CheckpointNetwork, is_checkpoint
from .errors import SettingsError
from .precision import lower

log = logging.getLogger(__name__)

POOLINGS = ("avg", "max")

# Input of the symbol beside the image, where the image is not in the network's own space.
OFFSET = "offset"

# Of a block of any VGG network.
_MOST_CONVOLUTIONS = 4


@dataclass(frozen=True)
class Architecture:
    """A stack of convolution blocks.

    Attributes
    ----------
    name : str
        What the user calls it.
    blocks : tuple of (int, int)
        Per block the number of convolutions and their number of output channels.
    """

    name: str
    blocks: Tuple[Tuple[int, int], ...]

    @property
    def layers(self):
        """Names of all activations, from shallow to deep."""
        names = []
        for b, (convolutions, _) in enumerate(self.blocks, 1):
            for c in range(1, convolutions + 1):
                names += [f"conv{b}_{c}", f"relu{b}_{c}"]
            names.append(f"pool{b}")
        return tuple(names)

    def channels(self, layer):
        """Give the number of channels of an activation."""
        self.check([layer])
        return self.blocks[_block(layer) - 1][1]

    def stride(self, layer):
        """Give the number of image pixels between two neighbours of an activation; also the least image side."""
        self.check([layer])
        return 2 ** (_block(layer) - (0 if layer.startswith("pool") else 1))

    def resolve(self, layers):
        """Name the activations of this network that a recipe means.

        Parameters
        ----------
        layers : sequence of str
            Names of activations, or ``#5`` for the ReLU of the fifth convolution, counted from the input. Where a block
            has fewer convolutions than the network that a name was written for, its last one is taken, and a line of
            the log says so.

        Returns
        -------
        tuple of str
            As many, known to `check`.

        Raises
        ------
        SettingsError
            If there is no such activation.
        """
        return tuple(self._resolve(layer) for layer in layers)

    def _resolve(self, layer):
        position = re.fullmatch(r"#([1-9]\d*)", layer)
        if position:
            relus = [name for name in self.layers if name.startswith("relu")]
            if int(position.group(1)) > len(relus):
                raise SettingsError(f"{self.name} has no layer '{layer}'; it has {len(relus)} convolutions")
            return relus[int(position.group(1)) - 1]
        named = re.fullmatch(r"(conv|relu)([1-9])_([1-9])", layer)
        if named and int(named.group(2)) <= len(self.blocks):
            kind, block, number = named.group(1), int(named.group(2)), int(named.group(3))
            convolutions = self.blocks[block - 1][0]
            if convolutions < number <= _MOST_CONVOLUTIONS:
                nearest = f"{kind}{block}_{convolutions}"
                log.info("%s has no %s; %s takes its place", self.name, layer, nearest)
                return nearest
        self.check([layer])
        return layer

    def check(self, layers):
        """Raise SettingsError if one of `layers` is not an activation of this network."""
        known = self.layers
        for layer in layers:
            if layer not in known:
                raise SettingsError(
                    f"{self.name} has no layer '{layer}'; its layers are conv1_1, relu1_1, ... {known[-2]}, {known[-1]}"
                )

    def minimum_side(self, layers):
        """Give the least height and width, in pixels, with which every one of `layers` has at least one position."""
        return max(self.stride(layer) for layer in layers)

    def parameter_shapes(self, layers):
        """Give the names and shapes of the parameters that `layers` depend on.

        Returns
        -------
        OrderedDict of str to tuple of int
            ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias`` (C_out,), ... from shallow to deep.
        """
        self.check(layers)
        deepest = max(self.layers.index(layer) for layer in layers)
        shapes, channels = OrderedDict(), 3
        for layer in self.layers[: deepest + 1]:
            if layer.startswith("conv"):
                shapes[f"{layer}_weight"] = (self.channels(layer), channels, 3, 3)
                shapes[f"{layer}_bias"] = (self.channels(layer),)
                channels = self.channels(layer)
        return shapes


ARCHITECTURES = OrderedDict(
    (architecture.name, architecture)
    for architecture in (
        Architecture("vgg19", ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))),
        Architecture("vgg16", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))),
        # VGG-19 at a quarter of its channels (the plan of Wang et al., Collaborative Distillation, CVPR 2020); what
        # `distill` trains and models/ carries. No style or content layer lies beyond conv5_1, so it ends there.
        Architecture("vgg19-compact", ((2, 16), (2, 32), (4, 64), (4, 128), (1, 128))),
    )
)

# Which network runs in place of one that nobody named and whose weights are not here.
STAND_INS = {"vgg19": "vgg19-compact", "vgg16": "vgg19-compact"}


def build_symbol(architecture, layers, pooling="avg", prepare=None, trim=None):
    """Build the network up to the deepest of `layers`, with those activations as its outputs, in that order.

    No image size is part of the symbol: it can be bound with ``data`` of any (N, 3, H, W).

    Parameters
    ----------
    architecture : Architecture or checkpoint_networks.CheckpointNetwork
    layers : sequence of str
        Activations to give out, by their usual names.
    pooling : {"avg", "max"}
        Gatys et al. 2015 found average pooling to give slightly more appealing results; VGG was trained with maximum.
        The network of a checkpoint keeps its own.
    prepare : callable, optional
        From the symbol ``data`` to what the first convolution takes; see `bring_to_network`.
    trim : callable, optional
        ``trim(layer, symbol)`` gives what the next block takes of the pooling `layer`; `tiling` cuts off there what no
        loss depends on. What is given out is not trimmed.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``data`` (N, 3, H, W) and those of `Architecture.parameter_shapes`; one output per layer (N, C, h, w).

    Raises
    ------
    SettingsError
        If a layer or the kind of pooling is unknown, or no layer is asked for.
    """
    if not layers:
        raise SettingsError("at least one layer of the network must be asked for")
    if isinstance(architecture, CheckpointNetwork):
        return architecture.build(layers, prepare)
    architecture.check(layers)
    if pooling not in POOLINGS:
        raise SettingsError(f"unknown pooling '{pooling}'; choose from {', '.join(POOLINGS)}")
    activations = {}
    x = mx.sym.Variable("data")
    if prepare is not None:
        x = prepare(x)
    for layer in architecture.layers:
        if layer.startswith("conv"):
            x = mx.sym.Convolution(x, num_filter=architecture.channels(layer), kernel=(3, 3), pad=(1, 1), name=layer)
        elif layer.startswith("relu"):
            x = mx.sym.Activation(x, act_type="relu", name=layer)
        else:
            x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type=pooling, name=layer)
        activations[layer] = x
        if trim is not None and layer.startswith("pool"):
            x = trim(layer, x)
    return mx.sym.Group([activations[layer] for layer in layers])


@dataclass(frozen=True)
class Graph:
    """How a network is computed.

    Attributes
    ----------
    network : Architecture or checkpoint_networks.CheckpointNetwork
    pooling, prepare
        See `build_symbol`. What `prepare` does must concern each pixel alone.
    precision : {"float32", "bf16"}
        Of its convolutions; see `precision`.
    """

    network: Union[Architecture, CheckpointNetwork]
    pooling: str = "avg"
    prepare: Optional[Callable] = None
    precision: str = "float32"

    def build(self, layers, trim=None):
        """Build the symbol; see `build_symbol`."""
        symbol = build_symbol(self.network, layers, self.pooling, self.prepare, trim)
        return lower(symbol) if self.precision == "bf16" else symbol


def get_network(model):
    """Give the network that a recipe's model names: one of `ARCHITECTURES`, or that of a checkpoint.

    Returns
    -------
    Architecture or checkpoint_networks.CheckpointNetwork

    Raises
    ------
    SettingsError
        If there is none, or the checkpoint's symbol cannot be used.
    """
    if model in ARCHITECTURES:
        return ARCHITECTURES[model]
    if is_checkpoint(model):
        return CheckpointNetwork(model)
    raise SettingsError(
        f"unknown model '{model}'; choose from {', '.join(ARCHITECTURES)}, or give the prefix of a checkpoint: "
        f"{model}-symbol.json is not there"
    )


def bring_to_network(image, levels):
    """Build the network's input from an image in another unit.

    Parameters
    ----------
    image : mxnet.symbol.Symbol
        (1, 3, H, W).
    levels : float
        Grey levels in one unit.

    Returns
    -------
    mxnet.symbol.Symbol
        ``image * levels + OFFSET``, with the further input `OFFSET` of shape (1, 3, 1, 1): the grey levels at the
        unit's zero less the means of the training data.
    """
    return mx.sym.broadcast_add(image * levels, mx.sym.Variable(OFFSET, shape=(1, 3, 1, 1)))


def _block(layer):
    return int(re.match(r"[a-z]+(\d+)", layer).group(1))
