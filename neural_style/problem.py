"""What a run has to solve: from a recipe, its network and the pictures to a start and an objective with a gradient."""

import logging
from collections.abc import Mapping

import numpy as np

from ._mxnet import mx
from .errors import ImageError, SettingsError
from .executors import FeatureExecutor, LossExecutor, TVGradientExecutor
from .images import colour, sizing, units
from .images.units import RGB_MEANS, UNITS
from .memory import available, bound, choose_tile, estimate, format_size
from .networks.external import CheckpointNetwork
from .networks.graph import OFFSET, Graph, bring_to_network, get_network
from .objectives import ADAPTIVE_GUARD, AdaptiveWeighting, FixedWeighting, Term, loss_factors, loss_symbol, represent
from .tiling import TiledLossExecutor, read_tiled
from .weights.checks import check_shapes
from .weights.lookup import find_weights
from .weights.params_file import load_weights

log = logging.getLogger(__name__)

# Arrays of the image's size that the executor of total variation holds: its gradient.
_TV_ARRAYS = 1


def required_parameters(recipe):
    """Give the names and shapes of the parameters that a recipe's network needs.

    Raises
    ------
    SettingsError
        If the recipe's network or one of its layers does not exist.
    """
    return get_network(recipe.model).parameter_shapes([term.layer for term in _terms(recipe)])


def picture_size(content, recipe):
    """Give height and width, in pixels, of what a recipe makes of a content picture (H, W, 3)."""
    edge = recipe.max_long_edge
    return (edge, edge) if recipe.shape == "square" else sizing.long_edge_size(content.shape, edge)


def required_side(recipe):
    """Give the least height and width, in pixels, that a recipe's network can take."""
    return get_network(recipe.model).minimum_side([term.layer for term in _terms(recipe)])


def load_parameters(recipe, weights, ctx):
    """Load the parameters that a recipe's network needs.

    Parameters
    ----------
    recipe : Recipe
    weights : str, pathlib.Path or mapping of str to mxnet.nd.NDArray
        The parameters themselves, or their file.
    ctx : mxnet.Context

    Returns
    -------
    dict of str to mxnet.nd.NDArray

    Raises
    ------
    WeightsError, SettingsError
        If the weights or the recipe cannot be used.
    """
    shapes = required_parameters(recipe)
    if isinstance(weights, Mapping):
        check_shapes(weights, shapes, "the given weights")
        return {name: weights[name].as_in_context(ctx) for name in shapes}
    return load_weights(find_weights(recipe.model, weights), shapes, ctx)


def image_unit(recipe):
    """Give the `images.units.Unit` of a recipe.

    Raises
    ------
    SettingsError
        If there is none of that name.
    """
    if recipe.unit not in UNITS:
        raise SettingsError(f"unknown unit '{recipe.unit}'; choose from {', '.join(UNITS)}")
    return UNITS[recipe.unit]


class Pictures:
    """The pictures of a run in the sizes and the unit of its recipe.

    Parameters
    ----------
    content, style : numpy.ndarray
        uint8 (H, W, 3).
    initial : numpy.ndarray or None
        The same, to start from.
    recipe : Recipe

    Attributes
    ----------
    content, style, initial : numpy.ndarray
        float32 (1, 3, H, W); the content and the start of one size; initial may be None.

    Raises
    ------
    ImageError
        If one of them would be too small for the network.
    SettingsError
        If the recipe cannot be used.
    """

    def __init__(self, content, style, initial, recipe):
        edge, size = recipe.max_long_edge, picture_size(content, recipe)
        log.info("content %d x %d pixels, resized to %d x %d", content.shape[1], content.shape[0], size[1], size[0])
        style_size = sizing.long_edge_size(style.shape, edge) if recipe.style_size == "own" else size
        least = required_side(recipe)
        for what, (height, width) in (("picture", size), ("style", style_size)):
            if min(height, width) < least:
                raise ImageError(
                    f"the {what} would be {width} x {height} pixels, too small for the layers of {recipe.model}; its "
                    f"short edge must be at least {least} pixels, choose a greater --max-long-edge or a less elongated "
                    f"{'content' if what == 'picture' else what} image"
                )
        unit = image_unit(recipe)

        def convert(picture, size):
            return units.to_network(sizing.resize(picture, size), recipe.white, unit)

        self.content, self.style = convert(content, size), convert(style, style_size)
        self.initial = None if initial is None else convert(initial, size)


def starting_image(recipe, seed, pictures):
    """Make the image that a run starts from, on the CPU, so that a seed means the same image on every device.

    Parameters
    ----------
    recipe : Recipe
    seed : int or None
        None leaves MXNet's generator as it is.
    pictures : Pictures

    Returns
    -------
    mxnet.nd.NDArray
        (1, 3, H, W).
    """
    if seed is not None:
        mx.random.seed(seed)
    if pictures.initial is not None:
        return mx.nd.array(pictures.initial)
    if recipe.initial == "recoloured":
        return mx.nd.array(colour.recolour(pictures.content, pictures.style))
    content = mx.nd.array(pictures.content)
    if recipe.initial == "content":
        return content
    center, spread, shape = recipe.noise_center, recipe.noise_range, content.shape
    if recipe.noise == "uniform":
        noise = mx.random.uniform(center - spread, center + spread, shape, ctx=mx.cpu())
    else:
        noise = mx.random.normal(center, spread, shape, ctx=mx.cpu())
    return noise if recipe.noise_share == 1 else noise * recipe.noise_share + content * (1 - recipe.noise_share)


class Evaluation:
    """The objective at one image.

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        (1, 3, H, W), which the next evaluation overwrites.
    values : mxnet.nd.NDArray
        (N + 1,): each part of the objective, to be multiplied by its factor, and the norm of the gradient of style and
        content before it was shortened.
    """

    def __init__(self, gradient, values, factors):
        self.gradient = gradient
        self.values = values
        self._factors = factors

    @property
    def loss(self):
        """The objective, a float of double precision; reading it waits for the device."""
        return float(np.dot(self.values.asnumpy()[:-1].astype(np.float64), self._factors))


class Objective:
    """Style, content and total variation of one image as a recipe weights them, and their gradient.

    Targets are read when it is made; then it is bound to the image.

    Parameters
    ----------
    recipe : Recipe
    parameters : mapping of str to mxnet.nd.NDArray
        Of the recipe's network, as `load_parameters` gives them.
    pictures : Pictures
    image : mxnet.nd.NDArray
        (1, 3, H, W) on the device that computes; read at every `evaluate` and never written.
    tile_size : int, optional
        Compute in tiles of this side, in pixels; see `tiling.cut`; 0 computes whole. If not given, the picture is
        computed whole if it fits into `room`, else in the largest tiles that do.
    room : int, optional
        Bytes that may be used. If not given, what the device and the process have left.
    arrays : int
        Arrays of the image's size that whoever moves the image holds.

    Attributes
    ----------
    names : list of str
        What the parts are called, in the order of `Evaluation.values`.
    factors : list of float
        What their values are multiplied by. Where the recipe divides by current values, they still are the weights
        alone, because the divided values never change.
    clip_norm : float
        What longer gradients of style and content are shortened to; infinite if the recipe does not.
    tile_size : int
        That was chosen; 0 if the picture is computed whole.

    Raises
    ------
    SettingsError
        If the recipe cannot be used, or there is not enough memory.
    """

    def __init__(self, recipe, parameters, pictures, image, tile_size=None, room=None, arrays=0):
        self._ctx = image.context
        self._recipe = recipe
        self._image = image
        network, terms = get_network(recipe.model), _terms(recipe)
        unit = image_unit(recipe)
        parameters = dict(parameters)
        prepare = None
        if recipe.unit != "centred":
            offset = np.subtract(unit.means, RGB_MEANS).reshape((1, 3, 1, 1))
            parameters[OFFSET] = mx.nd.array(offset, ctx=self._ctx)

            def prepare(image):
                return bring_to_network(image, unit.levels)

        computation = _Computation(
            Graph(network, recipe.pooling, prepare, recipe.precision), terms, parameters, self._ctx
        )
        here, there = (computation.shapes(picture.shape) for picture in (pictures.content, pictures.style))
        shares = recipe.style_layer_weights or (1 / max(len(recipe.style_layers), 1),)
        shares = shares if len(shares) > 1 else shares * len(recipe.style_layers)
        style_weights = [recipe.style_weight * share for share in shares]
        factors = loss_factors(
            terms, here, recipe.content_weight, style_weights, recipe.content_norm, recipe.style_norm
        )
        arrays += _TV_ARRAYS if recipe.tv_weight > 0 else 0
        room = available(self._ctx) if room is None else room
        tile = computation.choose_tile(terms, image.shape, tile_size, room, arrays)
        self.tile_size = tile or 0
        targets = {}
        for kind, picture in (("style", pictures.style), ("content", pictures.content)):
            chosen = [term for term in terms if term.kind == kind]
            # A style of its own size may need tiles where the image does not.
            size = (
                tile
                if picture.shape == image.shape
                else computation.choose_tile(chosen, picture.shape, tile_size, room)
            )
            if chosen:
                targets.update(computation.read(chosen, picture, size))
        for term in terms:
            positions, read_from = (np.prod(s[term.layer][2:]) for s in (here, there))
            if term.kind == "style" and positions != read_from:
                # As if the style had as many positions as the image.
                targets[term.target] *= float(positions) / float(read_from)

        if recipe.adaptive:
            kinds = {"style": recipe.style_weight, "content": recipe.content_weight}
            weigh = AdaptiveWeighting(terms, factors, kinds, self._ctx)
        else:
            weigh = FixedWeighting(factors, self._ctx)
        self._losses = computation.bind(targets, weigh, image, tile)
        self._variation = None
        self.names, self.factors = [term.name for term in terms], list(factors)
        if recipe.tv_weight > 0:
            weight = 1.0 if recipe.adaptive else recipe.tv_weight
            self._variation = TVGradientExecutor(image, weight, self._ctx, recipe.tv_kind)
            self.names.append("total_variation")
            self.factors.append(recipe.tv_weight if recipe.adaptive else 1.0)
        self.clip_norm = float(image.size) if recipe.clip_gradient else float("inf")
        self._bound = mx.nd.array([image.size], ctx=self._ctx)

    def evaluate(self):
        """Compute the objective for the image as it is now, without waiting for the device.

        Returns
        -------
        Evaluation
        """
        self._losses.run()
        gradient = self._losses.gradient
        norm = euclidean_norm(gradient, self._recipe)
        # From here on in place, because with pictures of any size every copy counts.
        if self._recipe.clip_gradient:
            # Computed on the device: asking whether the norm is above the bound would wait for it. A float32 quotient
            # is what the original's multiplication used, and multiplying with 1 changes nothing.
            shortening = mx.nd.minimum(self._bound / norm, 1.0).reshape((1, 1, 1, 1))
            mx.nd.broadcast_mul(gradient, shortening, out=gradient)
        parts = list(self._losses.losses)
        if self._variation is not None:
            self._variation.run()
            pull = self._variation.gradient
            if self._recipe.adaptive:
                factor = self._recipe.tv_weight / (self._variation.loss + ADAPTIVE_GUARD)
                pull = mx.nd.broadcast_mul(pull, factor.reshape((1, 1, 1, 1)))
            gradient += pull
            parts.append(self._variation.loss)
        return Evaluation(gradient, mx.nd.concat(*parts, norm, dim=0), self.factors)


def euclidean_norm(array, recipe):
    """Compute the norm of all elements of an array, on its device.

    Where a recipe shortens gradients or stops by the change of the image, it is MXNet's norm, digit for digit that of
    the originals. That goes through one thread; BLAS, for the others, takes a twentieth of the time.

    Returns
    -------
    mxnet.nd.NDArray
        Shape (1,).
    """
    if recipe.clip_gradient or recipe.stop_eps > 0:
        return mx.nd.norm(array).reshape((1,))
    flat = array.reshape((-1,))
    return mx.nd.sqrt(mx.nd.dot(flat, flat))


class _Computation:
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


def _terms(recipe):
    resolve = get_network(recipe.model).resolve
    return [Term("style", layer) for layer in resolve(recipe.style_layers)] + [
        Term("content", layer) for layer in resolve(recipe.content_layers)
    ]
