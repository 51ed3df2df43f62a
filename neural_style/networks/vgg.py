"""The VGG networks, as one table of blocks, and what a position of theirs depends on.

Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, configurations D
(VGG-16) and E (VGG-19), without the fully connected layers. Every convolution is 3x3 with zero padding 1 and a bias and
is followed by a ReLU; every block ends in a 2x2 pooling of stride 2. Activations have their usual names: ``conv3_2`` is
the second convolution of the third block before its ReLU, ``relu3_2`` after it, ``pool3`` the end of the block.

A low-rank network has the same blocks, channels and activations, but every convolution after the first is three: a 1x1
without bias to few channels, a 3x3 without bias between few channels, and a 1x1 with the bias back to VGG's number of
channels. Kim et al., Compression of Deep Convolutional Neural Networks, ICLR 2016, factorise convolutions in this way,
and Zhang, Zou, He & Sun, Accelerating Very Deep Convolutional Networks, TPAMI 2016, the outputs only. The few channels
are not in the table: their numbers are read from the shapes of the parameters, so that every compressed file brings its
own.
"""

import logging
import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from ..errors import SettingsError

log = logging.getLogger(__name__)

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
    low_rank : bool
        Whether every convolution after the first is three of low rank.
    ranks : tuple of (int or None, int or None), optional
        Of a low-rank network, per convolution after the first, from shallow to deep: the channels before and after its
        3x3 convolution. A number is None where the parameters do not tell it; there are no ranks at all before the
        network was `fitted` to parameters.
    """

    name: str
    blocks: Tuple[Tuple[int, int], ...]
    low_rank: bool = False
    ranks: Optional[Tuple[Tuple[int, int], ...]] = None

    def fitted(self, found):
        """Return this network with the ranks that parameters have; one that is not low-rank is returned as it is.

        Parameters
        ----------
        found : mapping of str to object
            Parameters by name: things with a shape.

        Returns
        -------
        Architecture
            With the ranks that the parameters have. Whether these are all there, and of shapes that go together, is for
            `weights.checks.check_shapes` to say.
        """
        if not self.low_rank:
            return self

        def outputs(name):
            shape = tuple(getattr(found.get(name), "shape", ()))
            return shape[0] if len(shape) == 4 and shape[0] > 0 else None

        ranks = ((outputs(f"{layer}_in_weight"), outputs(f"{layer}_core_weight")) for layer in self.convolutions[1:])
        return replace(self, ranks=tuple(ranks))

    def rank(self, convolution):
        """Return the channels before and after the 3x3 of a convolution of low rank, None if it is a full one.

        Raises
        ------
        SettingsError
            If the network is of low rank and not `fitted` to parameters.
        """
        place = self.convolutions.index(convolution)
        if not self.low_rank or place == 0:
            return None
        if self.ranks is None:
            raise SettingsError(f"the ranks of {self.name} are those of its parameters; fit it to them first")
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
            ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias`` (C_out,), ... from shallow to deep. A convolution
            of low rank has ``conv1_2_in_weight`` (r, C_in, 1, 1), ``conv1_2_core_weight`` (q, r, 3, 3) and
            ``conv1_2_out_weight`` (C_out, q, 1, 1) in place of its weight. r and q are None where the parameters that
            the network was fitted to do not tell them.

        Raises
        ------
        SettingsError
            If there is no such layer, or the network is of low rank and not `fitted` to parameters.
        """
        self.check(layers)
        deepest = max(self.layers.index(layer) for layer in layers)
        shapes, channels = OrderedDict(), 3
        for layer in self.layers[: deepest + 1]:
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


ARCHITECTURES = OrderedDict(
    (architecture.name, architecture)
    for architecture in (
        Architecture("vgg19", ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))),
        Architecture("vgg16", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))),
        # What `neural-style compress` makes of them; models/ has the first.
        Architecture("vgg16-lowrank", ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), low_rank=True),
        Architecture("vgg19-lowrank", ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), low_rank=True),
    )
)

# Which network runs in place of one that nobody named and whose weights are not here.
STAND_INS = {"vgg19": "vgg16-lowrank", "vgg16": "vgg16-lowrank"}


def _block(layer):
    return int(re.match(r"[a-z]+(\d+)", layer).group(1))


def halo(architecture, layers):
    """Give how many pixels beyond the ones it covers a position of the deepest of `layers` depends on.

    A position of a layer of stride s covers s pixels per axis; each 3x3 convolution up to it adds one position of the
    convolution's own stride on either side. Pooling of stride 2 and size 2 adds none.

    Raises
    ------
    SettingsError
        If it is the network of a checkpoint: what its positions depend on is not known.
    """
    if not isinstance(architecture, Architecture):
        raise SettingsError(f"{architecture.name} cannot be computed in tiles, only whole; leave out `tile_size`")
    deepest = max(architecture.layers.index(layer) for layer in layers)
    return sum(architecture.stride(layer) for layer in architecture.layers[: deepest + 1] if layer.startswith("conv"))


def alignment(architecture, layers):
    """Give what the beginnings of windows and tiles are multiples of, in pixels.

    With it, every pooling takes the same positions together in a window as in the whole picture.
    """
    return architecture.minimum_side(layers)
