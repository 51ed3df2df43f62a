"""The VGG networks as one table of blocks, and what their positions depend on.

Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, configurations D
(VGG-16) and E (VGG-19), without the fully connected layers. Every convolution is 3x3 with a bias and zero padding 1,
and is followed by a ReLU; every block ends in a 2x2 pooling of stride 2. Activations have their usual names:
``conv3_2`` is the second convolution of the third block before its ReLU, ``relu3_2`` after it, ``pool3`` the end of the
block.

A low-rank network has the same blocks, channels and activations, but every convolution after the first is split into
three: a 1x1 without bias to few channels, a 3x3 without bias between few channels, and a 1x1 with the bias back to
VGG's number of channels. Kim et al., Compression of Deep Convolutional Neural Networks, ICLR 2016, factorise
convolutions in this way; Zhang, Zou, He & Sun, Accelerating Very Deep Convolutional Networks, TPAMI 2016, factorise
only the outputs. The numbers of these few channels are not in the table: they are read from the shapes of the
parameters, so that every compressed file has its own.
"""

import logging
import re
from dataclasses import dataclass, replace
from typing import ClassVar, Optional, Tuple

from .._mxnet import mx
from ..errors import SettingsError

log = logging.getLogger(__name__)

# Per block, in any VGG network.
_MOST_CONVOLUTIONS = 4


@dataclass(frozen=True)
class Architecture:
    """A stack of convolution blocks.

    Attributes
    ----------
    name : str
        The name by which the user chooses it.
    blocks : tuple of (int, int)
        Per block, the number of convolutions and their number of output channels.
    low_rank : bool
        Whether every convolution after the first is split into three of low rank.
    ranks : tuple of (int or None, int or None), optional
        Of a low-rank network, per convolution after the first, from shallow to deep: the channels before and after its
        3x3 convolution. A number is None if the parameters do not determine it. There are no ranks before the network
        is `fitted` to parameters.
    has_tiles : bool
        Whether it can be computed in tiles; it can.
    later_version : str
        Of the MXNet that wrote it, if that is later than this one; empty, for this program has written it.
    """

    has_tiles: ClassVar[bool] = True
    later_version: ClassVar[str] = ""

    name: str
    blocks: Tuple[Tuple[int, int], ...]
    low_rank: bool = False
    ranks: Optional[Tuple[Tuple[int, int], ...]] = None

    def fitted(self, found):
        """Return this network with the ranks of some parameters; a full network is returned unchanged.

        Parameters
        ----------
        found : mapping of str to object
            Parameters by name: objects with a shape.

        Returns
        -------
        Architecture
            With the ranks of the parameters. `weights.checks.check_shapes` checks whether these are complete and their
            shapes consistent.
        """
        if not self.low_rank:
            return self

        def outputs(name):
            shape = tuple(getattr(found.get(name), "shape", ()))
            return shape[0] if len(shape) == 4 and shape[0] > 0 else None

        ranks = ((outputs(f"{layer}_in_weight"), outputs(f"{layer}_core_weight")) for layer in self.convolutions[1:])
        return replace(self, ranks=tuple(ranks))

    def rank(self, convolution):
        """Return the channels before and after the 3x3 of a convolution of low rank, or None for a full one.

        Raises
        ------
        SettingsError
            If the network is of low rank and not `fitted` to parameters.
        """
        place = self.convolutions.index(convolution)
        if not self.low_rank or place == 0:
            return None
        if self.ranks is None:
            raise SettingsError(f"the ranks of {self.name} depend on its parameters; fit it to them first")
        return self.ranks[place - 1]

    @property
    def convolutions(self):
        """Names of the convolutions, from shallow to deep."""
        return tuple(layer for layer in self.layers if layer.startswith("conv"))

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
        """Return the number of channels of an activation."""
        self.check([layer])
        return self.blocks[_block(layer) - 1][1]

    def stride(self, layer):
        """Return the number of image pixels between two neighbours of an activation; also the smallest image side."""
        self.check([layer])
        return 2 ** (_block(layer) - (0 if layer.startswith("pool") else 1))

    def resolve(self, layers):
        """Return the names of the activations of this network that a recipe refers to.

        Parameters
        ----------
        layers : sequence of str
            Names of activations, or ``#5`` for the ReLU of the fifth convolution, counted from the input. If a block
            has fewer convolutions than the network for which a name was written, its last one is used, which is logged.

        Returns
        -------
        tuple of str
            As many names, which pass `check`.

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
                log.info("%s has no %s; using %s", self.name, layer, nearest)
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

    def up_to(self, layers):
        """Return the names of all activations from the input to the deepest of `layers`, shallow to deep."""
        self.check(layers)
        names = self.layers
        return names[: max(map(names.index, layers)) + 1]

    def minimum_side(self, layers):
        """Return the smallest height and width, in pixels, with which each of `layers` has at least one position."""
        return max(self.stride(layer) for layer in layers)

    def parameter_shapes(self, layers):
        """Return the names and shapes of the parameters that `layers` depend on.

        Returns
        -------
        dict of str to tuple of int
            ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias`` (C_out,), ... from shallow to deep. A convolution
            of low rank has ``conv1_2_in_weight`` (r, C_in, 1, 1), ``conv1_2_core_weight`` (q, r, 3, 3) and
            ``conv1_2_out_weight`` (C_out, q, 1, 1) in place of its weight. r and q are None if the parameters that the
            network was fitted to do not determine them.

        Raises
        ------
        SettingsError
            If there is no such layer, or the network is of low rank and not `fitted` to parameters.
        """
        shapes, channels = {}, 3
        for layer in self.up_to(layers):
            if not layer.startswith("conv"):
                continue
            before, channels, rank = channels, self.channels(layer), self.rank(layer)
            if rank is None:
                shapes[f"{layer}_weight"] = (channels, before, 3, 3)
            else:
                shapes[f"{layer}_in_weight"] = (rank[0], before, 1, 1)
                shapes[f"{layer}_core_weight"] = (rank[1], rank[0], 3, 3)
                shapes[f"{layer}_out_weight"] = (channels, rank[1], 1, 1)
            shapes[f"{layer}_bias"] = (channels,)
        return shapes

    def halo(self, layers):
        """Return how many pixels beyond those it covers a position of the deepest of `layers` depends on.

        A position of a layer of stride s covers s pixels per axis. Each 3x3 convolution up to that layer adds one
        position, of the convolution's own stride, on either side. Pooling of stride 2 and size 2 adds none.
        """
        return sum(self.stride(layer) for layer in self.up_to(layers) if layer.startswith("conv"))

    def alignment(self, layers):
        """Return the number of pixels of which the beginnings of windows and tiles are multiples.

        It ensures that every pooling combines the same positions in a window as in the whole image.
        """
        return self.minimum_side(layers)

    def build(self, layers, pooling="avg", prepare=None, trim=None):
        """Build the network up to the deepest of `layers`; see `graph.build_symbol`."""
        activations = {}
        x = mx.sym.Variable("data")
        if prepare is not None:
            x = prepare(x)
        for layer in self.up_to(layers):
            if layer.startswith("conv"):
                x = self._convolution(x, layer)
            elif layer.startswith("relu"):
                x = mx.sym.Activation(x, act_type="relu", name=layer)
            else:
                x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type=pooling, name=layer)
            activations[layer] = x
            if trim is not None and layer.startswith("pool"):
                x = trim(layer, x)
        return mx.sym.Group([activations[layer] for layer in layers])

    def _convolution(self, x, layer):
        """Build a convolution; the last of the three parts of one of low rank has its name and its bias."""
        channels, rank = self.channels(layer), self.rank(layer)
        if rank is None:
            return mx.sym.Convolution(x, num_filter=channels, kernel=(3, 3), pad=(1, 1), name=layer)
        # (N, C_in, h, w) -> (N, r, h, w) -> (N, q, h, w) -> (N, C_out, h, w)
        x = _without_bias(x, num_filter=rank[0], kernel=(1, 1), name=f"{layer}_in")
        x = _without_bias(x, num_filter=rank[1], kernel=(3, 3), pad=(1, 1), name=f"{layer}_core")
        weight, bias = mx.sym.Variable(f"{layer}_out_weight"), mx.sym.Variable(f"{layer}_bias")
        return mx.sym.Convolution(x, weight, bias, num_filter=channels, kernel=(1, 1), name=layer)


def _without_bias(x, num_filter, name, **settings):
    """Build a convolution with a bias of zeros.

    In MXNet 1.9.1, the backward pass by oneDNN of a convolution that has no bias looks up beyond a list's end whether
    the bias's gradient is wanted, and by what it finds there computes the weight's, which nobody may have asked for.
    """
    weight = mx.sym.Variable(f"{name}_weight")
    return mx.sym.Convolution(x, weight, mx.sym.zeros((num_filter,)), num_filter=num_filter, name=name, **settings)


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture("vgg19", ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))),
        Architecture("vgg16", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))),
        # What `neural-style compress` makes of them; models/ contains the first.
        Architecture("vgg16-lowrank", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), low_rank=True),
        Architecture("vgg19-lowrank", ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), low_rank=True),
    )
}

# The network to use if none is named and the weights of the preferred one are not installed.
STAND_INS = {"vgg19": "vgg16-lowrank", "vgg16": "vgg16-lowrank"}


def _block(layer):
    return int(re.match(r"[a-z]+(\d+)", layer).group(1))
