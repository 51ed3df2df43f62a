"""Memory: how much a gradient will need, and the tile size that fits.

What an executor allocates is read from MXNet's own plan: the symbol of the largest tile is bound for a few small tiles
with the same halo, which touches no memory, and the plan is a polynomial in the tile's sides. What is added at run time
was measured with MXNet 1.9.1 on the CPU and depends on the largest activation; `estimate` says how. Nothing is run.
"""

import re

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError
from .motifs import KEPT
from .tiling import Span, Tile, cut, loss_parts

_FLOAT = 4  # bytes

# Tiles of these sides are bound to see how the plan grows: three, for the coefficients of a quadratic polynomial. MXNet
# reports a plan in whole MiB, so they must not be too close to each other.
_TRIAL_SIDES = (128, 320, 512)

# Copies of the largest activation, and planes of float32 for input and its gradient, that oneDNN's operators hold while
# they run: reorders between its blocked layouts and the plain one, with 3 channels padded to 16. VGG-19 needs up to 4.3
# and 3.3 * 16 on a processor with AVX-512, 3.0 and 2 * 16 on one with only AVX2. With vgg16-lowrank, at 400 x 600
# pixels, processes used 0.94 to 0.95 of the whole estimate.
_SCRATCH_COPIES, _SCRATCH_PLANES = 4.5, 3 * 16
# Executors of border and inner tiles place most of their arrays, but not all, in the pool of the first one. Measured:
# 1.3 to 1.7 of the plan of the first one for all nine.
_SHARED_PLAN = 1.7
# Compiled kernels, thread stacks, and the allocator's slack. The slack grows when the engine and the kernels run in
# threads of their own: small tiles of vgg16-lowrank took 460 to 520 MB with one thread, and with two 515 to 630 MB.
_FIXED = 128 * 2**20

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(text):
    """Read a number of bytes.

    Parameters
    ----------
    text : str
        ``4GB``, ``512MiB``, ``1.5g``, ``3000000000``: a positive number, optionally followed by k, M, G or T for
        powers of 1000 or Ki, Mi, Gi or Ti for powers of 1024, and by B. Case does not matter.

    Returns
    -------
    int

    Raises
    ------
    SettingsError
        If the text has another form, or is less than one byte.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([kmgt]i?)?b?\s*", text, re.ASCII | re.IGNORECASE)
    size = float(match.group(1)) * _UNITS[(match.group(2) or "").lower()] if match else 0.0
    if not 1 <= size < 2**63:
        raise SettingsError(f"'{text}' is no amount of memory; write it like 4GB, 512MiB or 1.5g")
    return int(size)


def format_size(size):
    """Format a number of bytes for a reader: ``2.4 GB``, ``310 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def estimate(graph, terms, parameters, size, tile_size=None, arrays=0):
    """Estimate how many bytes the losses and the gradient of an image need, targets included.

    The estimate consists of: MXNet's plan for the executor, and a further 0.7 of it for the executors of other tiles;
    four and a half copies of the largest activation and 48 planes, which the CPU's operators hold while they run; a
    second copy of the parameters, in the kernels' layouts; content targets, guides and gradient of the whole image; in
    tiles, the image, gradient, content targets and guides of a window; 128 MiB for the rest. The workspace of cuDNN's
    convolutions on a GPU, up to 1 GiB, is not known beforehand and not included.

    Parameters
    ----------
    graph : networks.graph.Graph
        Of an Architecture.
    terms : sequence of terms.Term
    parameters : mapping of str to mxnet.nd.NDArray
        The arguments of the network besides ``data``; only their shapes matter.
    size : tuple of int
        (height, width) of the image in pixels.
    tile_size : int, optional
        See `tiling.cut`; if not given, the image is computed whole.
    arrays : int
        Further float32 arrays of the image's size, with three channels each, that the caller will allocate: the
        optimizer's state, temporaries.

    Returns
    -------
    int
        Bytes in addition to what the process holds when the parameters are loaded.
    """
    architecture, layers = graph.network, list(dict.fromkeys(term.layer for term in terms))
    tiling = cut(architecture, layers, size, max(size) if tile_size is None else tile_size)
    window = tiling.window
    tile = max(tiling.tiles, key=lambda tile: _area(tile.shape(1, 1)[2:]))
    plan = planned_bytes(graph, terms, parameters, tile)
    if len({tile.crops for tile in tiling.tiles}) > 1:
        plan *= _SHARED_PLAN

    kept = 0
    if tile_size is not None:
        kept = _sliced_bytes(architecture, terms, window) + 6 * _area(window) * _FLOAT
    return int(plan + kept + _beside_the_plan(architecture, terms, parameters, size, window, arrays))


def planned_bytes(graph, terms, parameters, tile):
    """Return the bytes that MXNet plans for a tile's executor.

    An activation of a tile of h x w pixels with a halo has (h + a)(w + a) pixels, so the plan, a sum of such terms, is
    p + q (h + w) + r h w.

    Parameters
    ----------
    graph, terms, parameters
        See `estimate`.
    tile : tiling.Tile

    Returns
    -------
    float
    """
    align = graph.network.alignment([term.layer for term in terms])
    sides = [-(-side // align) * align for side in _TRIAL_SIDES]
    plans = []
    for side in sides:
        spans = []
        for span in tile.spans:
            begin = span.own_begin - span.begin
            spans.append(Span(0, begin + side + span.end - span.own_end, begin, begin + side))
        trial = Tile(*spans)
        known = {term.guide: trial.shape(1, graph.network.stride(term.layer)) for term in terms if term.guide}
        for term in terms:
            if term.kind == "motif":
                known[term.target] = term.representation.target_shape(graph.network.channels(term.layer))
        plans.append(_read_plan(loss_parts(graph, terms, trial), spans, parameters, known))
    r, twice_q, p = np.polyfit(sides, plans, 2)
    height, width = tile.shape(1, 1)[2:]
    return p + twice_q / 2 * (height + width) + r * height * width


def upper_bound(graph, terms, parameters, size, arrays=0):
    """Return an upper bound, in bytes, for an image computed whole, from shapes only.

    It consists of every activation up to the deepest layer, including those between the parts of convolutions of low
    rank, those that a guide has multiplied and what motifs take, with its gradient, which is the most that MXNet's plan
    can contain, and of what `estimate` adds to the plan.
    `estimate` is closer, but binds executors, which takes a second.

    Parameters
    ----------
    graph, terms, parameters, size, arrays
        See `estimate`.

    Returns
    -------
    int
    """
    activations = _reached_bytes(graph.network, terms, size) + _narrow_bytes(graph.network, terms, size)
    activations += [_activation_bytes(graph.network, term.layer, size) for term in terms if term.guide]
    activations += [_motif_bytes(graph.network, term.layer, size) for term in terms if term.kind == "motif"]
    return 2 * sum(activations) + _beside_the_plan(graph.network, terms, parameters, size, size, arrays)


def choose_tile(graph, terms, parameters, size, room, arrays=0):
    """Choose the tile size with which the losses and the gradient of an image fit into memory.

    Parameters
    ----------
    graph, terms, parameters, size, arrays
        See `estimate`.
    room : int
        Bytes that may be used; see `transfer.compute.available`.

    Returns
    -------
    int or None
        None if the image fits as a whole, else the largest tile size that fits.

    Raises
    ------
    SettingsError
        If not even the smallest tile size fits.
    """
    layers = [term.layer for term in terms]
    align = graph.network.alignment(layers)

    def needed(tile_size):
        return estimate(graph, terms, parameters, size, tile_size, arrays)

    if needed(None) <= room:
        return None
    least = needed(align)
    if least > room:
        raise SettingsError(
            f"an image of {size[1]} x {size[0]} pixels needs at least {format_size(least)} more memory, and only "
            f"{format_size(room)} may be used; allow more with `memory`, or choose a smaller `max_long_edge`"
        )
    # Memory grows with the tile, so the largest that fits is found by bisection.
    fits, exceeds = 1, -(-max(size) // align) + 1
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if needed(middle * align) <= room:
            fits = middle
        else:
            exceeds = middle
    return fits * align


def _beside_the_plan(architecture, terms, parameters, size, window, arrays):
    """Return the bytes that are needed in addition to MXNet's plan; see `estimate`."""
    kept = _sliced_bytes(architecture, terms, size) + (1 + arrays) * 3 * _area(size) * _FLOAT
    scratch = _SCRATCH_COPIES * max(_reached_bytes(architecture, terms, window))
    scratch += _SCRATCH_PLANES * _area(window) * _FLOAT
    reordered = sum(array.size * _FLOAT for array in parameters.values())
    return kept + scratch + reordered + _FIXED


def _sliced_bytes(architecture, terms, size):
    """Return the bytes of what has a value at every position: content targets and guides."""
    contents = [term.layer for term in terms if term.representation.pointwise]
    return sum(_activation_bytes(architecture, layer, size) for layer in contents) + sum(
        _position_bytes(architecture, term.layer, size) for term in terms if term.guide
    )


def _reached_bytes(architecture, terms, size):
    """Return the bytes of every activation up to the deepest that a term compares."""
    reached = architecture.up_to([term.layer for term in terms])
    return [_activation_bytes(architecture, layer, size) for layer in reached]


def _narrow_bytes(architecture, terms, size):
    """Return the bytes between the parts of every convolution of low rank that a term depends on."""
    reached = [layer for layer in architecture.up_to([term.layer for term in terms]) if layer.startswith("conv")]
    ranks = {layer: architecture.rank(layer) for layer in reached}
    return [sum(rank) * _position_bytes(architecture, layer, size) for layer, rank in ranks.items() if rank]


def _motif_bytes(architecture, layer, size):
    """Return the bytes of the likenesses of positions to those of the style, and of copies of the activation."""
    return (KEPT + 3 * architecture.channels(layer)) * _position_bytes(architecture, layer, size)


def _activation_bytes(architecture, layer, size):
    return architecture.channels(layer) * _position_bytes(architecture, layer, size)


def _position_bytes(architecture, layer, size):
    """Return the bytes of one channel of an activation."""
    stride = architecture.stride(layer)
    return (size[0] // stride) * (size[1] // stride) * _FLOAT


def _area(size):
    return size[0] * size[1]


def _read_plan(symbol, spans, parameters, further):
    names = symbol.list_arguments()
    known = {**{name: parameters[name].shape for name in names if name in parameters}, **further}
    shapes, _, _ = symbol.infer_shape(data=(1, 3) + tuple(span.end for span in spans), **known)
    # On the CPU, the memory of an empty array, and of an executor, is not occupied until it is written.
    arguments = {name: mx.nd.empty(shape, ctx=mx.cpu()) for name, shape in zip(names, shapes)}
    gradients = {"data": mx.nd.empty(arguments["data"].shape, ctx=mx.cpu())}
    requests = {name: "write" if name == "data" else "null" for name in names}
    executor = symbol.bind(mx.cpu(), arguments, gradients, requests)
    return int(re.search(r"Total (\d+) MB allocated", executor.debug_str()).group(1)) * 2**20
