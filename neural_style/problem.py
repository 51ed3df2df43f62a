"""What a run has to solve: from a recipe, its network and the pictures to a start and an objective with a gradient."""

import logging
from collections.abc import Mapping

import numpy as np

from . import images
from ._mxnet import mx
from .errors import ImageError, SettingsError
from .executors import FeatureExecutor, LossExecutor, TVGradientExecutor
from .networks import OFFSET, bring_to_network, build_symbol, get_network
from .objectives import ADAPTIVE_GUARD, AdaptiveWeighting, FixedWeighting, Term, loss_factors, loss_symbol, represent
from .units import RGB_MEANS, UNITS
from .weights import check_shapes, find_weights, load_weights

log = logging.getLogger(__name__)


def required_parameters(recipe):
    """Give the names and shapes of the parameters that a recipe's network needs, as `weights.load_weights` takes them.

    Raises
    ------
    SettingsError
        If the recipe's network or one of its layers does not exist.
    """
    return get_network(recipe.model).parameter_shapes([term.layer for term in _terms(recipe)])


def picture_size(content, recipe):
    """Give height and width, in pixels, of what a recipe makes of a content picture (H, W, 3)."""
    edge = recipe.max_long_edge
    return (edge, edge) if recipe.shape == "square" else images.long_edge_size(content.shape, edge)


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
    """Give the `units.Unit` of a recipe.

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
        style_size = images.long_edge_size(style.shape, edge) if recipe.style_size == "own" else size
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
            return images.to_network(images.resize(picture, size), recipe.white, unit)

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

    Attributes
    ----------
    names : list of str
        What the parts are called, in the order of `Evaluation.values`.
    factors : list of float
        What their values are multiplied by. Where the recipe divides by current values, they still are the weights
        alone, because the divided values never change.
    clip_norm : float
        What longer gradients of style and content are shortened to; infinite if the recipe does not.

    Raises
    ------
    SettingsError
        If the recipe cannot be used.
    """

    def __init__(self, recipe, parameters, pictures, image):
        self._ctx = image.context
        self._recipe = recipe
        self._image = image
        network, terms = get_network(recipe.model), _terms(recipe)
        layers = list(dict.fromkeys(term.layer for term in terms))
        unit = image_unit(recipe)
        parameters = dict(parameters)
        prepare = None
        if recipe.unit != "centred":
            offset = np.subtract(unit.means, RGB_MEANS).reshape((1, 3, 1, 1))
            parameters[OFFSET] = mx.nd.array(offset, ctx=self._ctx)

            def prepare(image):
                return bring_to_network(image, unit.levels)

        symbol = build_symbol(network, layers, recipe.pooling, prepare)
        activations = {layer: symbol[i] for i, layer in enumerate(layers)}
        representations = represent(terms, activations, {layer: network.channels(layer) for layer in layers})

        def shapes(picture):
            return dict(zip(layers, symbol.infer_shape(data=picture.shape)[1]))

        here, there = shapes(pictures.content), shapes(pictures.style)
        shares = recipe.style_layer_weights or (1 / max(len(recipe.style_layers), 1),)
        shares = shares if len(shares) > 1 else shares * len(recipe.style_layers)
        style_weights = [recipe.style_weight * share for share in shares]
        factors = loss_factors(
            terms, here, recipe.content_weight, style_weights, recipe.content_norm, recipe.style_norm
        )
        targets = {}
        for kind, picture in (("style", pictures.style), ("content", pictures.content)):
            chosen = [(term, r) for term, r in zip(terms, representations) if term.kind == kind]
            if chosen:
                reader = FeatureExecutor(mx.sym.Group([r for _, r in chosen]), parameters, picture.shape, self._ctx)
                targets.update(zip((term.target for term, _ in chosen), reader.read(picture)))
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
        self._losses = LossExecutor(loss_symbol(terms, representations), parameters, targets, weigh, image, self._ctx)
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
        norm = mx.nd.norm(gradient).reshape((1,))
        if self._recipe.clip_gradient:
            # Computed on the device: asking whether the norm is above the bound would wait for it. A float32 quotient
            # is what the original's multiplication used, and multiplying with 1 changes nothing.
            shortening = mx.nd.minimum(self._bound / norm, 1.0).reshape((1, 1, 1, 1))
            gradient = mx.nd.broadcast_mul(gradient, shortening)
        parts = list(self._losses.losses)
        if self._variation is not None:
            self._variation.run()
            pull = self._variation.gradient
            if self._recipe.adaptive:
                factor = self._recipe.tv_weight / (self._variation.loss + ADAPTIVE_GUARD)
                pull = mx.nd.broadcast_mul(pull, factor.reshape((1, 1, 1, 1)))
            gradient = gradient + pull
            parts.append(self._variation.loss)
        return Evaluation(gradient, mx.nd.concat(*parts, norm, dim=0), self.factors)


def _terms(recipe):
    resolve = get_network(recipe.model).resolve
    return [Term("style", layer) for layer in resolve(recipe.style_layers)] + [
        Term("content", layer) for layer in resolve(recipe.content_layers)
    ]
