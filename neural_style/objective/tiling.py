"""Exact tiling: the losses and the gradient of an image of any size, from windows of bounded size.

A Gram matrix and a squared difference are sums over positions, so they can be accumulated window by window, provided
that every position is counted once and is computed as in the whole image. A window is therefore larger than the tile
for which it is responsible: around the tile's own positions it has a halo as wide as the network's view, and where it
ends at the border of the image the network's own zero padding remains. A first pass accumulates the Gram matrices and
the content losses. A second pass propagates the gradient of the losses with respect to the *whole* image's Gram
matrices back through the network in each window, only from the window's own positions. The gradients at the window's
pixels, halo included, add up to the gradient of the image.

What tiles contribute is float32, and is added up in float64: a covariance is a small difference of such sums. It also
makes the sums the same, but for the rarest last bit, in whatever order tiles are added up.

All windows of an image have the same shape, so executors differ only in what they crop: there are at most nine of them,
three per axis (first, inner, last), and they share memory.
"""

import itertools
from dataclasses import dataclass
from types import MappingProxyType
from typing import Tuple

from .._mxnet import mx
from ..errors import SettingsError
from ..executors import FeatureExecutor, bind
from .parts import Parts, guides_of
from .representations import loss_symbol, represent


@dataclass(frozen=True)
class Span:
    """One window along one axis of the image, in pixels.

    Attributes
    ----------
    begin, end : int
        What the window covers.
    own_begin, own_end : int
        What it is responsible for, between 0 and the image's length.
    """

    begin: int
    end: int
    own_begin: int
    own_end: int

    def own(self, stride, start=0):
        """Return the own positions of a layer, counted from pixel `start`, as a slice."""
        return slice((self.own_begin - start) // stride, (self.own_end - start) // stride)

    def moved(self, by):
        """Return the same span where pixel `by`, on which every layer has a position, is the first."""
        return Span(*(end - by for end in (self.begin, self.end, self.own_begin, self.own_end)))

    def narrow(self, reach, align):
        """Return the same span with the smallest halo that its own positions need, `reach` pixels."""
        begin = max(self.begin, self.own_begin - _round_up(reach, align))
        return Span(begin, min(self.end, self.own_end + reach), self.own_begin, self.own_end)


@dataclass(frozen=True)
class Tile:
    """One window of the image and its own positions.

    Attributes
    ----------
    rows, columns : Span
    """

    rows: Span
    columns: Span

    @property
    def spans(self):
        """Both axes."""
        return self.rows, self.columns

    def pixels(self):
        """Return the index of the window's pixels in a (1, 3, H, W) array."""
        return (slice(None), slice(None)) + tuple(slice(span.begin, span.end) for span in self.spans)

    def positions(self, stride):
        """Return the index of the own positions in the whole (1, C, h, w) activation of a layer."""
        return (slice(None), slice(None)) + tuple(span.own(stride) for span in self.spans)

    def shape(self, channels, stride):
        """Return the shape (1, C, h, w) of the own positions of a layer."""
        return (1, channels) + tuple(own.stop - own.start for own in (span.own(stride) for span in self.spans))

    @property
    def crops(self):
        """Own pixels within the window, per axis; tiles for which they are equal have the same symbol."""
        return tuple((span.own_begin - span.begin, span.own_end - span.begin) for span in self.spans)

    def narrow(self, reach, align):
        """Return the same tile with the smallest halo that its own positions need."""
        return Tile(*(span.narrow(reach, align) for span in self.spans))

    def crop(self, symbol, stride):
        """Build the own positions of an activation (1, C, h, w) of the window."""
        return _slice(symbol, self, [span.own(stride, span.begin) for span in self.spans], stride)

    def trim(self, symbol, narrowed, stride):
        """Build the part of an activation (1, C, h, w) of the window that a narrowed window covers."""
        inner = [
            slice((new.begin - old.begin) // stride, (new.end - old.begin) // stride)
            for old, new in zip(self.spans, narrowed.spans)
        ]
        return _slice(symbol, self, inner, stride)


def _slice(symbol, tile, inner, stride):
    if all(part == slice(0, (span.end - span.begin) // stride) for part, span in zip(inner, tile.spans)):
        return symbol
    begin, end = zip(*((part.start, part.stop) for part in inner))
    return mx.sym.slice(symbol, begin=(None, None) + begin, end=(None, None) + end)


def _round_up(number, align):
    return -(-number // align) * align


@dataclass(frozen=True)
class Tiling:
    """An image cut into tiles; see `cut`.

    Attributes
    ----------
    tiles : tuple of Tile
        Every position of every layer belongs to exactly one.
    window : tuple of int
        (height, width) of every window in pixels.
    """

    tiles: Tuple[Tile, ...]
    window: Tuple[int, int]


def cut(architecture, layers, size, tile_size):
    """Cut an image into as few tiles of a limited size as possible, with equal windows that are as small as possible.

    Tiles at the border of the image have no halo there, and are larger by as much.

    Parameters
    ----------
    architecture : networks.vgg.Architecture
    layers : sequence of str
        Activations that the losses depend on.
    size : tuple of int
        (height, width) of the image in pixels.
    tile_size : int
        Side in pixels of what an inner tile is responsible for, without its halo; it is rounded down to a multiple of
        the network's alignment. A window is larger by the network's halo on one side, by the halo rounded up to the
        alignment on the other, and by less than the alignment so that the last window ends where the image ends and
        pooling drops the same pixels.

    Returns
    -------
    Tiling

    Raises
    ------
    SettingsError
        If `tile_size` is less than the alignment, or the network is an external one.
    """
    reach, align = architecture.halo(layers), architecture.alignment(layers)
    if tile_size < align:
        raise SettingsError(f"`tile_size` is {tile_size}; it must be at least {align} pixels for these layers")
    rows, columns = (_cut_axis(length, tile_size // align * align, reach, align) for length in size)
    tiles = tuple(Tile(row, column) for row, column in itertools.product(rows, columns))
    return Tiling(tiles, tuple(spans[0].end - spans[0].begin for spans in (rows, columns)))


def _cut_axis(length, largest_step, reach, align):
    before = _round_up(reach, align)

    def window(step):
        least = step + before + reach
        return least + (length - least) % align

    if length <= window(largest_step):
        return [Span(0, length, 0, length)]
    count = 1 - (window(largest_step) - length) // largest_step
    step = next(s for s in range(align, largest_step + 1, align) if (count - 1) * s + window(s) >= length)
    spans = []
    for i in range(count):
        last = i == count - 1
        # The last window is moved back to end with the image, but what it is responsible for is not.
        begin = length - window(step) if last else i * step
        own_begin, own_end = before + i * step, before + (i + 1) * step
        spans.append(Span(begin, begin + window(step), own_begin if i else 0, length if last else own_end))
    return spans


def represent_own(graph, terms, tile):
    """Build what each term compares, as `representations.represent` does, from a tile's own positions.

    After each pooling fewer pixels of the halo are needed by the layers that follow, so the rest is cut off.

    Parameters
    ----------
    graph : networks.graph.Graph
        Of an Architecture.
    terms : sequence of terms.Term
    tile : Tile

    Returns
    -------
    list of mxnet.symbol.Symbol
        One per term, of the shape of its representation, with the input ``data``, the window (1, 3, h, w).
    """
    architecture, layers = graph.network, list(dict.fromkeys(term.layer for term in terms))
    align, reach = architecture.alignment(layers), architecture.halo(layers)
    windows, narrowed, window = {}, {}, tile
    for layer in architecture.up_to(layers):
        windows[layer] = window
        if layer.startswith("pool"):
            window = narrowed[layer] = window.narrow(reach - architecture.halo([layer]), align)

    def trim(layer, symbol):
        if layer not in narrowed:
            return symbol
        return windows[layer].trim(symbol, narrowed[layer], architecture.stride(layer))

    network = graph.build(layers, trim)
    own = {layer: windows[layer].crop(network[i], architecture.stride(layer)) for i, layer in enumerate(layers)}
    return represent(terms, own, {layer: architecture.channels(layer) for layer in layers})


def loss_parts(graph, terms, tile):
    """Build what one tile contributes: per style term a sum over its own positions, per other term a loss over them.

    The parameters are those of `represent_own`.

    Returns
    -------
    mxnet.symbol.Symbol
        One output per term, of its representation's shape or (1,). The target variables of content terms are those of
        the own positions.
    """
    own = represent_own(graph, terms, tile)
    return mx.sym.Group(
        [symbol if term.representation.additive else loss_symbol([term], [symbol]) for term, symbol in zip(terms, own)]
    )


def read_tiled(graph, terms, parameters, image, ctx, tile_size, guides=MappingProxyType({})):
    """Read the targets of an image tile by tile.

    Parameters
    ----------
    graph : networks.graph.Graph
        Of an Architecture.
    terms : sequence of terms.Term
    parameters : mapping of str to mxnet.nd.NDArray
        The arguments of the network besides ``data``, on `ctx`. Extra entries are ignored.
    image : mxnet.nd.NDArray or numpy.ndarray
        Float32 (1, 3, H, W), on any context.
    ctx : mxnet.Context
    tile_size : int
        See `cut`.
    guides : mapping of str to mxnet.nd.NDArray
        By `Term.guide`, of the whole image, (1, 1, h, w) each.

    Returns
    -------
    list of mxnet.nd.NDArray
        Per term, on `ctx`, of its representation's shape. They differ from what a FeatureExecutor reads only by float32
        rounding.
    """
    tiling = cut(graph.network, [term.layer for term in terms], image.shape[2:], tile_size)
    read = read_tiles(graph, terms, parameters, image, ctx, tiling, guides)
    return [target.astype("float32", copy=False) for target in read]


def read_tiles(graph, terms, parameters, image, ctx, tiling, guides=MappingProxyType({})):
    """Read what some tiles of an image have of its targets, as `read_tiled`; what belongs to other tiles is 0.

    Parameters
    ----------
    tiling : Tiling

    Returns
    -------
    list of mxnet.nd.NDArray
        As `read_tiled`, but sums over positions are float64.
    """
    architecture, (height, width) = graph.network, image.shape[2:]
    targets = []
    for term in terms:
        channels, stride = architecture.channels(term.layer), architecture.stride(term.layer)
        shape = term.representation.shape(channels, height // stride, width // stride)
        targets.append(mx.nd.zeros(shape, ctx=ctx, dtype="float64" if term.representation.additive else "float32"))
    groups = _by_crops(tiling.tiles)
    parts = Parts(architecture, guides_of(terms, guides), [tiles[0] for _, tiles in groups], ctx)
    for _, tiles in groups:
        symbol = mx.sym.Group(represent_own(graph, terms, tiles[0]))
        reader = FeatureExecutor(symbol, dict(parameters, **parts.views(tiles[0])), (1, 3) + tiling.window, ctx)
        for tile in tiles:
            parts.fill(tile)
            for term, target, read in zip(terms, targets, reader.read(image[tile.pixels()])):
                if term.representation.additive:
                    target += read.astype("float64")
                else:
                    target[tile.positions(architecture.stride(term.layer))] = read
        # Executors of different crops do not share memory here: each must finish before the next is bound.
        mx.nd.waitall()
        del reader
    return targets


def _by_crops(tiles):
    groups = {}
    for tile in tiles:
        groups.setdefault(tile.crops, []).append(tile)
    # The largest pool first, so that the others fit into it.
    return sorted(groups.items(), key=lambda group: -_area(group[0]))


def _area(crops):
    (top, bottom), (left, right) = crops
    return (bottom - top) * (right - left)


class TilePasses:
    """The two passes over some tiles of an image: the first sums what they contribute, the second their gradients.

    Bound to the image itself, which is read and never written.

    Parameters
    ----------
    graph : networks.graph.Graph
        Of an Architecture.
    terms : sequence of terms.Term
    parameters : mapping of str to mxnet.nd.NDArray
        The arguments of the network besides ``data``, on `ctx`. Extra entries are ignored.
    targets : mapping of str to mxnet.nd.NDArray
        By `Term.target`, those of content, the whole activation (1, C, h, w) of the image, and of motifs; by
        `Term.guide`, (1, 1, h, w). Extra entries are ignored.
    image : mxnet.nd.NDArray
        Float32 (1, 3, H, W) on `ctx`.
    ctx : mxnet.Context
    tiling : Tiling

    Attributes
    ----------
    totals : list of mxnet.nd.NDArray
        Per term, float64, of its representation's shape or a loss (1,): the sums over all tiles after the last `sum`.
    gradient : mxnet.nd.NDArray
        Of the image's shape, after the last `pull`.
    """

    def __init__(self, graph, terms, parameters, targets, image, ctx, tiling):
        window = (1, 3) + tiling.window
        self._image = image
        self.gradient = mx.nd.zeros(image.shape, ctx=ctx)
        self._data, self._data_gradient = mx.nd.zeros(window, ctx=ctx), mx.nd.zeros(window, ctx=ctx)

        groups = _by_crops(tiling.tiles)
        sliced, others = guides_of(terms, targets), dict(parameters)
        for term in terms:
            if term.representation.pointwise:
                sliced[term.target] = term.layer, graph.network.channels(term.layer), targets[term.target]
            elif not term.representation.additive:
                others[term.target] = targets[term.target]
        self._parts = Parts(graph.network, sliced, [tiles[0] for _, tiles in groups], ctx)
        self._windows, first = [], None
        for _, tiles in groups:
            symbol = loss_parts(graph, terms, tiles[0])
            inputs = dict(self._parts.views(tiles[0]), data=self._data)
            # All share the pool of the first, not each that of the one before: whatever an executor needs in addition
            # goes into the pool that it was given, and its own contains no more than it uses.
            executor = bind(symbol, inputs, others, ctx, {"data": self._data_gradient}, first)
            first = first or executor
            self._windows += [(tile, executor) for tile in tiles]
        self.totals = [mx.nd.zeros(output.shape, ctx=ctx, dtype="float64") for output in first.outputs]

    def sum(self):
        """Compute `totals` for the current image, without waiting for the device."""
        for total in self.totals:
            total[:] = 0
        for tile, executor in self._windows:
            for total, part in zip(self.totals, self._forward(tile, executor)):
                total += part.astype("float64")

    def pull(self, heads):
        """Compute `gradient` for the image of the last `sum`, without waiting for the device.

        Every tile is computed again, except for the last of the first pass, which is the first of this one.

        Parameters
        ----------
        heads : list of mxnet.nd.NDArray
            The gradient of the objective with respect to each of `totals`, float32.
        """
        self.gradient[:] = 0
        for tile, executor in reversed(self._windows):
            if (tile, executor) != self._windows[-1]:
                self._forward(tile, executor)
            executor.backward(heads)
            pixels = tile.pixels()
            self.gradient[pixels] = self.gradient[pixels] + self._data_gradient

    def _forward(self, tile, executor):
        self._data[:] = self._image[tile.pixels()]
        self._parts.fill(tile)
        return executor.forward(is_train=True)
