"""A canvas in tiles on the workers of a cluster: the two passes of `tiling` as remote calls.

The tiles are dealt out in blocks, rectangles of neighbouring tiles, one for each worker. A worker holds of the canvas
and of its content what the windows of its block cover, and the content's targets of its own positions. An evaluation
sends every worker its part of the canvas; each sums what its tiles contribute; the sums are added up on the workers, in
float64, so that it makes no difference how tiles were dealt out; this process computes losses from the totals, and
sends the gradient with respect to them, which all fetch; each worker returns the gradient of its part of the canvas.
The calls depend on nothing but their arguments, so that any worker can take the place of one that died.
"""

import atexit
import itertools
import logging
import math
import threading
import uuid
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Tuple

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError, WorkerError
from .targets import make_computation, read_energies
from .terms import make_terms
from .tiled_losses import SummedLosses
from .tiling import Tile, TilePasses, Tiling, cut, read_tiles

log = logging.getLogger(__name__)

# A tile of which a step takes less than a GB, where nobody says how large they are to be.
USUAL_TILE = 480

# Evaluations that are begun again, one after the other, before a cluster that loses its workers is given up.
MOST_LOSSES = 5


@dataclass(frozen=True)
class Block:
    """Neighbouring tiles of a canvas.

    Attributes
    ----------
    rows, columns : (int, int)
        First and last pixel, exclusive, that their windows cover.
    tiling : Tiling
        The tiles as tiles of these pixels alone.
    """

    rows: Tuple[int, int]
    columns: Tuple[int, int]
    tiling: Tiling

    @property
    def shape(self):
        """The shape (1, 3, h, w) of the block's part of the canvas."""
        return (1, 3) + tuple(end - begin for begin, end in (self.rows, self.columns))

    def pixels(self):
        """Return the index of the block's pixels in a (1, 3, H, W) array."""
        return slice(None), slice(None), slice(*self.rows), slice(*self.columns)


def deal(tiling, count):
    """Deal the tiles of a canvas out in blocks of about equal numbers of tiles.

    Parameters
    ----------
    tiling : Tiling
    count : int
        Of workers. There may be fewer blocks, so that the largest is as small as possible.

    Returns
    -------
    list of Block
    """
    rows, columns = (list(dict.fromkeys(spans)) for spans in zip(*(tile.spans for tile in tiling.tiles)))
    sizes = [(down, min(len(columns), count // down)) for down in range(1, min(len(rows), count) + 1)]
    # The largest block is what the others wait for. Of equal ones, the wider: rows lie together in memory.
    down, across = min(sizes, key=lambda size: (-(-len(rows) // size[0]) * -(-len(columns) // size[1]), -size[0]))
    blocks = []
    for some_rows, some_columns in itertools.product(_split(rows, down), _split(columns, across)):
        (top, bottom), (left, right) = ((spans[0].begin, spans[-1].end) for spans in (some_rows, some_columns))
        tiles = itertools.product([s.moved(top) for s in some_rows], [s.moved(left) for s in some_columns])
        part = Tiling(tuple(Tile(*spans) for spans in tiles), tiling.window)
        blocks.append(Block((top, bottom), (left, right), part))
    return blocks


def _split(items, count):
    edges = [round(i * len(items) / count) for i in range(count + 1)]
    return [items[begin:end] for begin, end in zip(edges, edges[1:])]


# What runs on a worker. Everything is NumPy's on the way, because it travels without being copied.


@dataclass(frozen=True)
class Task:
    """What a worker needs to know of a canvas besides its pixels.

    Attributes
    ----------
    key : str
        Of this canvas and block, under which a worker keeps what it has bound.
    losses : recipes.parts.Losses
    precision : str
    block : Block
    """

    key: str
    losses: Any
    precision: str
    block: Block


class _BoundBlock:
    """A block of which this process has read the targets, and whose executors it has bound."""

    def __init__(self, task, parameters, content):
        computation = _compute(task, parameters)
        graph, terms, known, ctx = computation.graph, computation.terms, computation.parameters, computation.ctx
        contents, tiling, targets = [term for term in terms if term.kind == "content"], task.block.tiling, {}
        if contents:
            read = read_tiles(graph, contents, known, content, ctx, tiling)
            targets = {term.target: array for term, array in zip(contents, read)}
        self.energies = read_energies(targets, contents, "float64")
        self.canvas = mx.nd.zeros(task.block.shape, ctx=ctx)
        self.passes = TilePasses(graph, terms, known, targets, self.canvas, ctx, tiling)
        self.evaluation = 0  # the number of the last whose first pass was here


def _compute(task, parameters):
    arrays = {name: mx.nd.array(value, ctx=mx.cpu()) for name, value in parameters.items()}
    return make_computation(task.losses, arrays, task.precision, mx.cpu(), make_terms(task.losses))


# The block that this process worked on last: what is bound for another would take as much memory again.
_held: Tuple[Any, Any] = (None, None)
# MXNet's executors share memory here, so that calls take turns.
_turn = threading.RLock()


def _bind(task, parameters, content):
    global _held
    if _held[0] != task.key:
        _held = None, None  # freed before the next is bound
        _held = task.key, _BoundBlock(task, parameters, content)
    return _held[1]


def free():
    """Free what this process holds of a canvas."""
    global _held
    with _turn:
        _held = None, None


atexit.register(free)  # before MXNet is gone


def read_totals(task, parameters, style):
    """Return what the tiles of a block of a style contribute to its statistics, float64, as a list by term."""
    with _turn:
        computation = _compute(task, parameters)
        terms = [term for term in computation.terms if term.kind == "style"]
        known, ctx = computation.parameters, computation.ctx
        read = read_tiles(computation.graph, terms, known, style, ctx, task.block.tiling)
        return [array.asnumpy() for array in read]


def begin_block(task, parameters, content):
    """Read the content's targets of a block; return their sums of squares, [dict of str to float]."""
    with _turn:
        return [_bind(task, parameters, content).energies]


def sum_block(task, parameters, content, canvas, evaluation):
    """Return what the tiles of a block contribute to the totals of a canvas, float64; see `tiling.TilePasses`."""
    with _turn:
        bound = _bind(task, parameters, content)
        bound.canvas[:] = canvas
        bound.passes.sum()
        bound.evaluation = evaluation
        return [total.asnumpy() for total in bound.passes.totals]


def pull_block(task, parameters, content, canvas, evaluation, heads):
    """Return the gradient, float32 (1, 3, h, w), of a block's part of the canvas."""
    with _turn:
        bound = _bind(task, parameters, content)
        if bound.evaluation != evaluation:  # another worker did the first pass
            bound.canvas[:] = canvas
            bound.passes.sum()
        bound.passes.pull([mx.nd.array(head, ctx=bound.canvas.context) for head in heads])
        bound.evaluation = 0  # the tiles of the second pass have taken the place of the last of the first
        return bound.passes.gradient.asnumpy()


def add(results):
    """Add up lists of arrays, or of dicts of numbers, one by one."""
    return [_add(parts) for parts in zip(*results)]


def _add(parts):
    if isinstance(parts[0], dict):
        return {name: math.fsum(part[name] for part in parts) for name in parts[0]}
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


# What runs here.


class _Dealt:
    """A canvas of which every worker has a block: where the blocks are, and calls for each of them.

    Parameters
    ----------
    workers : workers.cluster.Cluster
    known : tuple
        Losses, parameters as NumPy arrays, and precision.
    tiling : Tiling
        Of the canvas.
    pixels : numpy.ndarray or None
        (1, 3, H, W) that stay with the blocks: the content, or a style.
    """

    def __init__(self, workers, known, tiling, pixels):
        losses, self._parameters, precision = known
        self._workers, self._pixels = workers, pixels
        self.blocks, key = deal(tiling, len(workers.workers())), uuid.uuid4().hex
        self._tasks = [Task(f"{key}/{i}", losses, precision, block) for i, block in enumerate(self.blocks)]
        self._owners, self._placed = [None] * len(self.blocks), None

    def call(self, function, *arguments):
        """Call a function for every block; return handles of the results.

        Parameters
        ----------
        function : callable
            Takes task, parameters, the block's pixels, and `arguments`.
        arguments : list
            Of lists with an argument for every block.
        """
        parameters, pixels = self._place()
        rows = zip(self._tasks, itertools.repeat(parameters), pixels, *arguments)
        return [self._workers.call(function, *row, worker=owner) for row, owner in zip(rows, self._owners)]

    def place_blocks(self, canvas):
        """Send every block's part of a canvas to its worker; return handles."""
        self._place()
        parts = (np.ascontiguousarray(canvas[block.pixels()]) for block in self.blocks)
        return [self._workers.place(part, owner) for part, owner in zip(parts, self._owners)]

    def _place(self):
        if self._placed is None:
            there = self._workers.workers()
            free = itertools.cycle([worker for worker in there if worker not in self._owners] or there)
            self._owners = [owner if owner in there else next(free) for owner in self._owners]
            pixels = [None] * len(self.blocks)
            if self._pixels is not None:
                parts = (np.ascontiguousarray(self._pixels[block.pixels()]) for block in self.blocks)
                pixels = [self._workers.place(part, owner) for part, owner in zip(parts, self._owners)]
            self._placed = self._workers.place(self._parameters), pixels
        return self._placed

    def insist(self, compute):
        """Call a function without arguments, again if a worker is lost on the way; return what it returns.

        Raises
        ------
        WorkerError
            If workers are lost time and again, or none is left.
        """
        for _ in range(MOST_LOSSES):
            try:
                return compute()
            except WorkerError as error:
                log.warning("%s; computing again", error)
                self._placed = None
        return compute()


class RemoteComputation:
    """What `targets.Computation` does, on workers.

    Parameters
    ----------
    computation : targets.Computation
        Of the same losses, here.
    losses : recipes.parts.Losses
    parameters : mapping of str to mxnet.nd.NDArray
        Of their network.
    precision : str
    workers : workers.cluster.Cluster
    """

    def __init__(self, computation, losses, parameters, precision, workers):
        if any(term.kind == "motif" for term in computation.terms):
            raise SettingsError("motifs cannot be compared on the workers of a `scheduler`; set `motif_weight` to 0")
        self._computation, self._workers = computation, workers
        self._known = losses, {name: array.asnumpy() for name, array in parameters.items()}, precision
        self._dealt = self._energies = None
        workers.at_close(free)

    def shapes(self, canvas):
        """See `targets.Computation`."""
        return self._computation.shapes(canvas)

    def choose_tile(self, terms, canvas, tile_size, room, arrays=0):
        """Return the tile size, by default one that any worker has the memory for; log it."""
        if tile_size == 0:
            raise SettingsError("`tile_size` is 0, but a `scheduler` hands out tiles; leave one of them out")
        tile_size = tile_size or USUAL_TILE
        tiles, size = len(self._cut(terms, canvas, tile_size).tiles), f"{canvas[3]} x {canvas[2]}"
        workers = len(self._workers.workers())
        log.info("computing %s pixels in %d tiles of %d pixels on %d workers", size, tiles, tile_size, workers)
        return tile_size

    def _cut(self, terms, canvas, tile_size):
        return cut(self._computation.graph.network, [term.layer for term in terms], canvas[2:], tile_size)

    def read(self, terms, canvas, tile_size, guides=MappingProxyType({})):
        """Return the targets of style terms by their names; those of content stay on the workers."""
        _refuse(guides)
        if terms[0].kind == "content":
            dealt = self._dealt = self._deal(canvas, tile_size, canvas)
            (self._energies,) = dealt.insist(lambda: self._total(dealt.call(begin_block)))
            return {}
        # As in this process, to the last bit: a style is cut as its own layers need it.
        dealt = _Dealt(self._workers, self._known, self._cut(terms, canvas.shape, tile_size), canvas)
        totals = dealt.insist(lambda: self._total(dealt.call(read_totals)))
        ctx = self._computation.ctx
        return {term.target: mx.nd.array(total, ctx=ctx, dtype="float32") for term, total in zip(terms, totals)}

    def _deal(self, canvas, tile_size, pixels):
        tiling = self._cut(self._computation.terms, canvas.shape, tile_size)
        return _Dealt(self._workers, self._known, tiling, pixels)

    def _total(self, handles):
        return self._workers.fetch(self._workers.add_up(add, handles))

    def energies(self, targets, terms, tile_size):
        """Return the sum of squares of some terms' targets by name."""
        here = [term for term in terms if term.kind == "style"]
        there = {term.target: self._energies[term.target] for term in terms if term.kind == "content"}
        return {**read_energies(targets, here, "float64"), **there}

    def bind(self, targets, weigh, canvas, tile_size, guides=MappingProxyType({})):
        """Return what computes losses and gradient of a canvas, with the interface of `executors.LossExecutor`."""
        _refuse(guides)
        if self._dealt is None:  # there are no terms of content
            self._dealt = self._deal(canvas, tile_size, None)
        return RemoteLossExecutor(self._workers, self._dealt, self._computation, targets, weigh, canvas)


def _refuse(guides):
    if guides:
        raise SettingsError("masks cannot be computed on the workers of a `scheduler`; leave one of them out")


class RemoteLossExecutor:
    """The losses of a canvas and the gradient of their weighted sum, as `executors.LossExecutor`, by workers.

    Parameters
    ----------
    workers : workers.cluster.Cluster
    dealt : _Dealt
    computation : targets.Computation
    targets : mapping of str to mxnet.nd.NDArray
        Those of style, by `Term.target`.
    weigh : callable
        See `tiled_losses.SummedLosses`.
    canvas : mxnet.nd.NDArray

    Attributes
    ----------
    gradient, losses
        See `executors.LossExecutor`.
    """

    def __init__(self, workers, dealt, computation, targets, weigh, canvas):
        terms, ctx = computation.terms, canvas.context
        shapes = [targets[t.target].shape if t.representation.additive else (1,) for t in terms]
        self._totals = [mx.nd.zeros(shape, ctx=ctx, dtype="float64") for shape in shapes]
        self._summed = SummedLosses(terms, self._totals, targets, weigh, ctx)
        self._workers, self._dealt, self._canvas, self._evaluations = workers, dealt, canvas, itertools.count(1)
        self.gradient = mx.nd.zeros(canvas.shape, ctx=ctx)
        self.losses = [mx.nd.zeros((1,), ctx=ctx) for _ in terms]

    def run(self):
        """Compute `losses` and `gradient` for the current canvas; this waits for the workers."""
        self._dealt.insist(self._run)

    def _run(self):
        workers, dealt = self._workers, self._dealt
        parts, count = dealt.place_blocks(self._canvas.asnumpy()), len(dealt.blocks)
        number = [next(self._evaluations)] * count
        sums = dealt.call(sum_block, parts, number)
        for total, value in zip(self._totals, workers.fetch(workers.add_up(add, sums))):
            total[:] = value
        self.losses, heads = self._summed.weigh()
        heads = workers.place([head.asnumpy() for head in heads])
        pulls = dealt.call(pull_block, parts, number, [heads] * count)
        self.gradient[:] = 0
        for block, pull in zip(dealt.blocks, pulls):
            pixels = block.pixels()
            part = mx.nd.array(workers.fetch(pull), ctx=self.gradient.context)
            self.gradient[pixels] = self.gradient[pixels] + part
