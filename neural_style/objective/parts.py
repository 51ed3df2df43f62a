"""What belongs to one tile of arrays that have a value at every position of a layer: content targets and guides."""

import numpy as np

from .._mxnet import mx


def guides_of(terms, guides):
    """Return the guides of some terms as `Parts` takes them.

    Parameters
    ----------
    terms : sequence of terms.Term
    guides : mapping of str to mxnet.nd.NDArray
        By `Term.guide`, (1, 1, h, w) each.
    """
    return {term.guide: (term.layer, 1, guides[term.guide]) for term in terms if term.guide}


class Parts:
    """What of some arrays is the current tile's, in memory that all tiles share.

    Parameters
    ----------
    architecture : networks.vgg.Architecture
    arrays : mapping of str to (str, int, mxnet.nd.NDArray)
        By the name of the variable, the layer, its channels, and the array (1, channels, h, w) of the whole image.
    tiles : sequence of tiling.Tile
        One for each shape.
    ctx : mxnet.Context
    """

    def __init__(self, architecture, arrays, tiles, ctx):
        self._items = []
        for name, (layer, channels, array) in arrays.items():
            stride = architecture.stride(layer)
            largest = max(int(np.prod(tile.shape(channels, stride))) for tile in tiles)
            self._items.append((name, channels, stride, array, mx.nd.zeros((largest,), ctx=ctx)))

    def views(self, tile):
        """Return the arrays, by name, to which an executor of a tile is bound."""
        return {item[0]: self._view(item, tile) for item in self._items}

    def fill(self, tile):
        """Copy what belongs to a tile's own positions."""
        for item in self._items:
            _, _, stride, array, _ = item
            self._view(item, tile)[:] = array[tile.positions(stride)]

    @staticmethod
    def _view(item, tile):
        _, channels, stride, _, memory = item
        shape = tile.shape(channels, stride)
        return memory[: int(np.prod(shape))].reshape(shape)
