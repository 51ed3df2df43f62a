"""Targets of a network: read whole or in tiles, and losses bound to them."""

import logging
from types import MappingProxyType

import numpy as np

from .._mxnet import mx
from ..executors import FeatureExecutor, LossExecutor
from ..images.units import RGB_MEANS, get_unit
from ..networks.graph import OFFSET, Graph, bring_to_network, get_network
from .memory import choose_tile, estimate, format_size, upper_bound
from .representations import loss_symbol, represent
from .tiled_losses import TiledLossExecutor
from .tiling import read_tiled

log = logging.getLogger(__name__)

# Numbers of a target that are copied in another type at a time.
_COPIED = 2**20


def make_computation(losses, parameters, precision, ctx, terms):
    """Make the computation of the network of some losses.

    Parameters
    ----------
    losses : recipes.parts.Losses
    parameters : mapping of str to mxnet.nd.NDArray
        Of its network, on `ctx`.
    precision : {"float32", "bf16"}
    ctx : mxnet.Context
    terms : sequence of terms.Term
        Of the losses.
    """
    network, unit = get_network(losses.model).fitted(parameters), get_unit(losses.unit)
    parameters, prepare = dict(parameters), None
    if losses.unit != "centred":
        offset = np.subtract(unit.means, RGB_MEANS).reshape((1, 3, 1, 1))
        parameters[OFFSET] = mx.nd.array(offset, ctx=ctx)

        def prepare(canvas):
            return bring_to_network(canvas, unit.levels)

    return Computation(Graph(network, losses.pooling, prepare, precision), terms, parameters, ctx)


class Computation:
    """A network with its parameters: what reads targets and binds losses, whole or in tiles."""

    def __init__(self, graph, terms, parameters, ctx):
        self.graph = graph
        self.terms = terms
        self.parameters = parameters
        self.ctx = ctx
        self._layers = list(dict.fromkeys(term.layer for term in terms))
        self._symbol = graph.build(self._layers)

    def shapes(self, canvas):
        """Return the shape of every layer for the shape (N, 3, H, W) of a canvas."""
        return dict(zip(self._layers, self._symbol.infer_shape(data=canvas)[1]))

    def choose_tile(self, terms, canvas, tile_size, room, arrays=0):
        """Return the tile size for a canvas of shape (N, 3, H, W), None to compute it whole; log it."""
        # A network without tiles has no estimate either; asked for tiles, it says so. Nor is there one for a batch.
        if tile_size == 0 or not terms or not tile_size and (canvas[0] > 1 or not self.graph.network.has_tiles):
            return None
        size, known = canvas[2:], (self.graph, terms, self.parameters)
        needed = None if tile_size else upper_bound(*known, size, arrays)
        if needed is None or needed > room:
            if tile_size is None:
                tile_size = choose_tile(*known, size, room, arrays)
            needed = estimate(*known, size, tile_size, arrays)
        log.info(
            "computing %d x %d pixels %s (%s of %s)",
            size[1],
            size[0],
            "whole" if tile_size is None else f"in tiles of {tile_size} pixels",
            format_size(needed),
            format_size(room),
        )
        return tile_size

    def read(self, terms, canvas, tile_size, guides=MappingProxyType({})):
        """Return the targets of some terms by their names, of a canvas (N, 3, H, W); for style, N is 1."""
        if tile_size is not None:
            read = read_tiled(self.graph, terms, self.parameters, canvas, self.ctx, tile_size, guides)
        else:
            symbol, known = mx.sym.Group(self._represent(terms)), dict(self.parameters, **guides)
            read = FeatureExecutor(symbol, known, canvas.shape, self.ctx).read(canvas)
        return {term.target: array for term, array in zip(terms, read)}

    def bind(self, targets, weigh, canvas, tile_size, guides=MappingProxyType({})):
        """Return the executor of losses and gradient of a canvas."""
        terms, parameters, known = self.terms, self.parameters, dict(targets, **guides)
        if tile_size is None:
            batch = canvas.shape[0]
            symbol = loss_symbol(terms, self._represent(terms, batch), batch)
            return LossExecutor(symbol, parameters, known, weigh, canvas, self.ctx)
        return TiledLossExecutor(self.graph, terms, parameters, known, weigh, canvas, self.ctx, tile_size)

    def energies(self, targets, terms, tile_size):
        """Return the sum of squares of some terms' targets by name, in tiles that of float64."""
        return read_energies(targets, terms, "float32" if tile_size is None else "float64")

    def _represent(self, terms, batch=1):
        activations = {layer: self._symbol[i] for i, layer in enumerate(self._layers)}
        channels = {layer: self.graph.network.channels(layer) for layer in self._layers}
        return represent(terms, activations, channels, batch)


def read_energies(targets, terms, dtype):
    """Return the sum of squares of some terms' targets by name, waiting for the device once.

    Parameters
    ----------
    targets : mapping of str to mxnet.nd.NDArray
        By `Term.target`.
    terms : sequence of terms.Term
    dtype : {"float32", "float64"}
        In which squares are added up. From float64 the same comes out however an image is dealt out.
    """
    if not terms:
        return {}
    energies = mx.nd.concat(*(_energy(targets[term.target], dtype) for term in terms), dim=0).asnumpy()
    return {term.target: float(energy) for term, energy in zip(terms, energies)}


def _energy(target, dtype):
    flat = target.reshape((-1,))
    if dtype == "float32":
        return mx.nd.dot(flat, flat)
    ends = [*range(_COPIED, flat.size, _COPIED), flat.size]  # MXNet 1.5 slices no further than there is
    parts = (flat[begin:end].astype(dtype) for begin, end in zip([0, *ends], ends))
    return mx.nd.add_n(*(mx.nd.dot(part, part) for part in parts))
