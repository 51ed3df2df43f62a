"""Targets of a network: read whole or in tiles, and losses bound to them."""

import logging

from .._mxnet import mx
from ..executors import FeatureExecutor, LossExecutor
from ..networks.external import CheckpointNetwork
from .memory import bound, choose_tile, estimate, format_size
from .representations import loss_symbol, represent
from .tiling import TiledLossExecutor, read_tiled

log = logging.getLogger(__name__)


class Computation:
    """A network with its parameters: what reads targets and binds losses, whole or in tiles."""

    def __init__(self, graph, terms, parameters, ctx):
        self._graph = graph
        self._terms = terms
        self._parameters = parameters
        self._ctx = ctx
        self._layers = list(dict.fromkeys(term.layer for term in terms))
        self._symbol = graph.build(self._layers)

    def shapes(self, picture):
        """Give the shape of every layer for one (1, 3, H, W) of a picture."""
        return dict(zip(self._layers, self._symbol.infer_shape(data=picture)[1]))

    def choose_tile(self, terms, picture, tile_size, room, arrays=0):
        """Give the tile size for a picture, None to compute it whole; say so."""
        # A checkpoint's network knows neither tiles nor an estimate; asked for tiles, it says so.
        if tile_size == 0 or not terms or not tile_size and isinstance(self._graph.network, CheckpointNetwork):
            return None
        size, known = picture[2:], (self._graph, terms, self._parameters)
        needed = None if tile_size else bound(*known, size, arrays)
        if needed is None or needed > room:
            if tile_size is None:
                tile_size = choose_tile(*known, size, room, arrays)
            needed = estimate(*known, size, tile_size, arrays)
        log.info(
            "%d x %d pixels are computed %s, for which %s of %s of memory suffice",
            size[1],
            size[0],
            "whole" if tile_size is None else f"in tiles of {tile_size} pixels",
            format_size(needed),
            format_size(room),
        )
        return tile_size

    def read(self, terms, picture, tile_size):
        """Give the targets of some terms by their names."""
        if tile_size is not None:
            read = read_tiled(self._graph, terms, self._parameters, picture, self._ctx, tile_size)
        else:
            symbol = mx.sym.Group(self._represent(terms))
            read = FeatureExecutor(symbol, self._parameters, picture.shape, self._ctx).read(picture)
        return {term.target: array for term, array in zip(terms, read)}

    def bind(self, targets, weigh, image, tile_size):
        """Give the executor of losses and gradient of an image."""
        terms, parameters = self._terms, self._parameters
        if tile_size is None:
            symbol = loss_symbol(terms, self._represent(terms))
            return LossExecutor(symbol, parameters, targets, weigh, image, self._ctx)
        return TiledLossExecutor(self._graph, terms, parameters, targets, weigh, image, self._ctx, tile_size)

    def _represent(self, terms):
        activations = {layer: self._symbol[i] for i, layer in enumerate(self._layers)}
        return represent(terms, activations, {layer: self._graph.network.channels(layer) for layer in self._layers})
