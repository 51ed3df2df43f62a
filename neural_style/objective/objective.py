"""What a run minimises: the objective of an image, its parts weighted as a recipe says, and its gradient."""

import numpy as np

from .._mxnet import mx
from ..images.units import RGB_MEANS, get_unit
from ..networks.graph import OFFSET, Graph, bring_to_network, get_network
from .targets import Computation
from .terms import ADAPTIVE_GUARD, AdaptiveWeighting, FixedWeighting, find_relative, loss_factors, make_terms
from .variation import TVGradientExecutor

# Arrays of the image's size that the executor of total variation holds: its gradient.
_TV_ARRAYS = 1


def required_parameters(recipe, found=None):
    """Return the names and shapes of the parameters that a recipe's network needs.

    Parameters
    ----------
    recipe : Recipe
    found : mapping of str to object, optional
        The parameters there are, things with a shape, from which a low-rank network learns its ranks.

    Raises
    ------
    SettingsError
        If the recipe's network or one of its layers does not exist.
    """
    layers = [term.layer for term in make_terms(recipe)]
    return get_network(recipe.model).fitted(found or {}).parameter_shapes(layers)


def required_side(recipe):
    """Give the least height and width, in pixels, that a recipe's network can take."""
    return get_network(recipe.model).minimum_side([term.layer for term in make_terms(recipe)])


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
    room : int
        Bytes that may be used.
    tile_size : int, optional
        Compute in tiles of this side, in pixels; see `tiling.cut`; 0 computes whole. If not given, the picture is
        computed whole if it fits into `room`, else in the largest tiles that do.
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

    def __init__(self, recipe, parameters, pictures, image, room, tile_size=None, arrays=0):
        self._ctx = image.context
        self._recipe = recipe
        self._image = image
        network, terms = get_network(recipe.model).fitted(parameters), make_terms(recipe)
        unit = get_unit(recipe.unit)
        parameters = dict(parameters)
        prepare = None
        if recipe.unit != "centred":
            offset = np.subtract(unit.means, RGB_MEANS).reshape((1, 3, 1, 1))
            parameters[OFFSET] = mx.nd.array(offset, ctx=self._ctx)

            def prepare(image):
                return bring_to_network(image, unit.levels)

        computation = Computation(
            Graph(network, recipe.pooling, prepare, recipe.precision), terms, parameters, self._ctx
        )
        here, there = (computation.shapes(picture.shape) for picture in (pictures.content, pictures.style))
        shares = recipe.style_layer_weights or (1 / max(len(recipe.style_layers), 1),)
        shares = shares if len(shares) > 1 else shares * len(recipe.style_layers)
        style_weights = [recipe.style_weight * share for share in shares]
        arrays += _TV_ARRAYS if recipe.tv_weight > 0 else 0
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
        norms = recipe.content_norm, recipe.style_norm
        energies = _read_energies(targets, find_relative(terms, *norms))
        factors = loss_factors(terms, here, recipe.content_weight, style_weights, *norms, energies)

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


def _read_energies(targets, terms):
    """Return the sum of squares of some terms' targets by name, waiting for the device once."""
    if not terms:
        return {}
    flat = [targets[term.target].reshape((-1,)) for term in terms]
    energies = mx.nd.concat(*(mx.nd.dot(one, one) for one in flat), dim=0).asnumpy()
    return {term.target: float(energy) for term, energy in zip(terms, energies)}


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
