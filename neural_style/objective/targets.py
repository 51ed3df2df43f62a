"""Targets of a network: read whole or in tiles, and losses bound to them."""

import logging
from types import MappingProxyType

from .._mxnet import mx
from ..executors import FeatureExecutor, LossExecutor
from .memory import choose_tile, estimate, format_size, upper_bound
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

    def shapes(self, canvas):
        """Return the shape of every layer for the shape (N, 3, H, W) of a canvas."""
        return dict(zip(self._layers, self._symbol.infer_shape(data=canvas)[1]))

    def choose_tile(self, terms, canvas, tile_size, room, arrays=0):
        """Return the tile size for a canvas of shape (N, 3, H, W), None to compute it whole; log it."""
        # A network without tiles has no estimate either; asked for tiles, it says so. Nor is there one for a batch.
        if tile_size == 0 or not terms or not tile_size and (canvas[0] > 1 or not self._graph.network.has_tiles):
            return None
        size, known = canvas[2:], (self._graph, terms, self._parameters)
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
            read = read_tiled(self._graph, terms, self._parameters, canvas, self._ctx, tile_size, guides)
        else:
            symbol, known = mx.sym.Group(self._represent(terms)), dict(self._parameters, **guides)
            read = FeatureExecutor(symbol, known, canvas.shape, self._ctx).read(canvas)
        return {term.target: array for term, array in zip(terms, read)}

    def bind(self, targets, weigh, canvas, tile_size, guides=MappingProxyType({})):
        """Return the executor of losses and gradient of a canvas."""
        terms, parameters, known = self._terms, self._parameters, dict(targets, **guides)
        if tile_size is None:
            batch = canvas.shape[0]
            symbol = loss_symbol(terms, self._represent(terms, batch), batch)
            return LossExecutor(symbol, parameters, known, weigh, canvas, self._ctx)
        return TiledLossExecutor(self._graph, terms, parameters, known, weigh, canvas, self._ctx, tile_size)

    def _represent(self, terms, batch=1):
        activations = {layer: self._symbol[i] for i, layer in enumerate(self._layers)}
        channels = {layer: self._graph.network.channels(layer) for layer in self._layers}
        return represent(terms, activations, channels, batch)


def blend(targets, weights):
    """Blend the targets of several styles, for the gradient of a weighted sum of losses is that of the blend's loss.

    The gradient of Σ wᵢ ‖G − Gᵢ‖² is that of ‖G − Σ wᵢ Gᵢ‖², if Σ wᵢ = 1. Of moments, the blend is that of a mixture of
    the styles' activations.

    Parameters
    ----------
    targets : list of dict of str to mxnet.nd.NDArray
        One dict for each style, by name of the target; the arrays of a name have one shape.
    weights : list of float

    Returns
    -------
    dict of str to mxnet.nd.NDArray
    """
    if len(targets) == 1:
        return targets[0]
    total = sum(weights)
    return {name: mx.nd.add_n(*(t[name] * (w / total) for t, w in zip(targets, weights))) for name in targets[0]}
