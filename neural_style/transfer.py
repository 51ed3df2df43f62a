"""The loop: from two pictures and a recipe to a stylised picture."""

import enum
import logging
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional

import numpy as np

from . import images
from ._mxnet import mx
from .devices import choose_device
from .errors import ImageError, SettingsError
from .executors import FeatureExecutor, LossExecutor, TVGradientExecutor
from .networks import ARCHITECTURES, build_symbol
from .objectives import Term, head_gradients, loss_symbol, represent
from .optimizers import make_optimizer
from .recipes import DEFAULT_RECIPE, Recipe, get_recipe
from .weights import check_shapes, find_network, find_weights, load_weights

log = logging.getLogger(__name__)
# The original's line per epoch, apart, so that whoever shows a progress bar can silence it.
epoch_log = logging.getLogger(__name__ + ".epochs")

# Left unseeded, a fresh MXNet process draws what seed 0 draws, so this is what the original programs started from.
DEFAULT_SEED = 0


class StopReason(enum.Enum):
    """Why a run stopped; the value says it in words."""

    CONVERGED = "converged: the relative change fell below the threshold"
    STEP_LIMIT = "reached the step limit"
    NOT_FINITE = "stopped at a value that is not finite; the picture is that of the step before"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Step:
    """What is known of one step.

    Attributes
    ----------
    number : int
        From 1. The original programs count their epochs from 0 in the log and from 1 in file names and callbacks.
    losses : dict of str to float
        Each part of the objective, weights included, for the image *before* the step's update, where the gradient was
        taken: ``style_<layer>``, ``content_<layer>``, ``total_variation``.
    loss : float
        Their sum.
    gradient_norm : float
        ‖gradient of style and content‖₂ before clipping.
    clip_norm : float
        What longer gradients are shortened to: the number of elements of the image.
    learning_rate : float
        Rate of the update.
    relative_change : float
        ‖old − new‖₂ / ‖new‖₂.
    """

    number: int
    losses: Dict[str, float]
    loss: float
    gradient_norm: float
    clip_norm: float
    learning_rate: float
    relative_change: float


@dataclass(frozen=True)
class Result:
    """What a run ended with.

    Attributes
    ----------
    image : numpy.ndarray
        Float32 (1, 3, H, W) in network space.
    picture : numpy.ndarray
        Uint8 (H, W, 3), finished as the recipe finishes its last picture.
    reason : StopReason
    history : list of Step
        Every step whose update was kept, in order.
    recipe : Recipe
        The settings that were used.
    seed : int or None
    """

    image: np.ndarray
    picture: np.ndarray
    reason: StopReason
    history: List[Step]
    recipe: Recipe
    seed: Optional[int]


def finish_picture(image, recipe, last):
    """Turn an image into a picture as a recipe does before saving it.

    Parameters
    ----------
    image : numpy.ndarray or mxnet.nd.NDArray
        Float32 (1, 3, H, W) in network space.
    recipe : Recipe
    last : bool
        Whether it is the picture at the end or one on the way.

    Returns
    -------
    numpy.ndarray
        Uint8 (H, W, 3).
    """
    if isinstance(image, mx.nd.NDArray):
        image = image.asnumpy()
    picture = images.from_network(image)
    return images.denoise(picture, recipe.remove_noise) if recipe.denoise_final or not last else picture


def stylize(
    content,
    style,
    recipe=DEFAULT_RECIPE,
    weights=None,
    gpu=None,
    seed=DEFAULT_SEED,
    initial=None,
    callback=None,
    interrupt=None,
):
    """Repaint `content` in the style of `style`.

    Parameters
    ----------
    content, style : numpy.ndarray
        Pictures, uint8 (H, W, 3), of any size; `images.read_image` reads them. The content is resized so that its long
        edge is the recipe's, the style to the content's height and width, as in the original programs.
    recipe : Recipe or str
        What to compute; `Recipe.override` changes single settings.
    weights : str or pathlib.Path or mapping of str to mxnet.nd.NDArray, optional
        The parameters of the recipe's network, or their file. If not given, they are looked for, and where there are
        none, `weights.find_network` may put a smaller network in its place; the result's recipe names the one that ran.
    gpu : int, optional
        See `devices.choose_device`.
    seed : int, optional
        Of the noise that the image starts from. With seed 0 it is the noise of an original program, which never seeded;
        None leaves MXNet's generator as it is.
    initial : numpy.ndarray, optional
        A picture to start from, uint8 (H, W, 3), instead of what the recipe says; resized like the style.
    callback : callable, optional
        Called as ``callback(step, image)`` after every step with a `Step` and the image on the device, an NDArray
        (1, 3, H, W) in network space that the next step overwrites. Reading it waits for the device, nothing else does.
    interrupt : threading.Event, optional
        Set it, from another thread or a signal handler, to stop after the step that is under way, or before the first.

    Returns
    -------
    Result

    Raises
    ------
    ImageError
        If the picture would be too small for the network.
    WeightsError, DeviceError, SettingsError
        If the weights, the device or the recipe cannot be used.
    """
    recipe = recipe if isinstance(recipe, Recipe) else get_recipe(recipe)
    ctx = choose_device(gpu)
    content_array, style_array, initial_array = _prepare_pictures(content, style, initial, recipe)
    if weights is None:
        model, weights = find_network(recipe.model)
        recipe = recipe.override(model=model)
    objective = _Objective(recipe, weights, content_array, style_array, ctx)
    image = _initial_image(recipe, seed, content_array, initial_array).as_in_context(ctx)
    image, reason, history = _descend(objective, image, recipe, callback, interrupt)
    image = image.asnumpy()
    log.info("%s", reason.value)
    return Result(image, finish_picture(image, recipe, last=True), reason, history, recipe, seed)


def required_parameters(recipe):
    """Give the names and shapes of the parameters that a recipe's network needs, as `weights.load_weights` takes them.

    Raises
    ------
    SettingsError
        If the recipe's network or one of its layers does not exist.
    """
    return _architecture(recipe).parameter_shapes([term.layer for term in _terms(recipe)])


def _architecture(recipe):
    if recipe.model not in ARCHITECTURES:
        raise SettingsError(f"unknown model '{recipe.model}'; choose from {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[recipe.model]


def _terms(recipe):
    return [Term("style", layer) for layer in recipe.style_layers] + [
        Term("content", layer) for layer in recipe.content_layers
    ]


def _prepare_pictures(content, style, initial, recipe):
    size = images.long_edge_size(content.shape, recipe.max_long_edge)
    log.info("content %d x %d pixels, resized to %d x %d", content.shape[1], content.shape[0], size[1], size[0])
    least = _architecture(recipe).minimum_side([term.layer for term in _terms(recipe)])
    if min(size) < least:
        raise ImageError(
            f"the picture would be {size[1]} x {size[0]} pixels, too small for the layers of {recipe.model}; its short "
            f"edge must be at least {least} pixels, choose a greater --max-long-edge or a less elongated content image"
        )
    pictures = (content, style) if initial is None else (content, style, initial)
    arrays = [images.to_network(images.resize(picture, size)) for picture in pictures]
    return arrays[0], arrays[1], arrays[2] if initial is not None else None


def _initial_image(recipe, seed, content, initial):
    if seed is not None:
        mx.random.seed(seed)
    if initial is not None:
        return mx.nd.array(initial)
    if recipe.initial == "content":
        return mx.nd.array(content)
    if recipe.initial != "noise":
        raise SettingsError(f"unknown start '{recipe.initial}'; choose noise or content")
    # Drawn on the CPU, so that a seed means the same picture on every device.
    return mx.random.uniform(-recipe.noise_range, recipe.noise_range, content.shape, ctx=mx.cpu())


class _Objective:
    """Targets read once, and what binds executors to an image with them."""

    def __init__(self, recipe, weights, content, style, ctx):
        architecture, terms = _architecture(recipe), _terms(recipe)
        layers = list(dict.fromkeys(term.layer for term in terms))
        parameters = _load_parameters(recipe, weights, ctx)
        network = build_symbol(architecture, layers, recipe.pooling)
        activations = {layer: network[i] for i, layer in enumerate(layers)}
        representations = represent(terms, activations, {layer: architecture.channels(layer) for layer in layers})
        _, shapes, _ = network.infer_shape(data=content.shape)

        self.terms = terms
        self.factors = head_gradients(terms, dict(zip(layers, shapes)), recipe.content_weight, recipe.style_weight)
        self._tv_weight = recipe.tv_weight
        self._ctx = ctx
        self._parameters = parameters
        self._symbol = loss_symbol(terms, representations)
        self._targets = {}
        for kind, picture in (("style", style), ("content", content)):
            chosen = [(term, r) for term, r in zip(terms, representations) if term.kind == kind]
            if chosen:
                reader = FeatureExecutor(mx.sym.Group([r for _, r in chosen]), parameters, picture.shape, ctx)
                self._targets.update(zip((term.target for term, _ in chosen), reader.read(picture)))

    def bind(self, image):
        """Bind the losses, and total variation where it has a weight, on the image."""
        losses = LossExecutor(self._symbol, self._parameters, self._targets, self.factors, image, self._ctx)
        tv = TVGradientExecutor(image, self._tv_weight, self._ctx) if self._tv_weight > 0 else None
        return losses, tv


def _load_parameters(recipe, weights, ctx):
    shapes = required_parameters(recipe)
    if isinstance(weights, Mapping):
        check_shapes(weights, shapes, "the given weights")
        return {name: weights[name].as_in_context(ctx) for name in shapes}
    return load_weights(find_weights(recipe.model, weights), shapes, ctx)


def _descend(objective, image, recipe, callback, interrupt):
    losses, tv = objective.bind(image)
    optimizer = make_optimizer(
        recipe.optimizer,
        image,
        recipe.learning_rate,
        recipe.momentum,
        recipe.weight_decay,
        recipe.schedule_delay,
        recipe.schedule_factor,
    )
    clip_norm = float(image.size)
    clip = mx.nd.array([clip_norm], ctx=image.context)
    previous = image.copy()
    history = []
    for number in range(1, recipe.max_steps + 1):
        if interrupt is not None and interrupt.is_set():
            return image, StopReason.INTERRUPTED, history
        image.copyto(previous)
        losses.run()
        norm = mx.nd.norm(losses.gradient).reshape((1,))
        # Computed on the device: asking whether the norm is above the bound would wait for it. A float32 quotient is
        # what the original's multiplication used, and multiplying with 1 changes nothing.
        shortening = mx.nd.minimum(clip / norm, 1.0).reshape((1, 1, 1, 1))
        gradient = mx.nd.broadcast_mul(losses.gradient, shortening)
        parts = list(losses.losses)
        if tv is not None:
            tv.run()
            gradient = gradient + tv.gradient
            parts.append(tv.loss)
        optimizer.update(image, gradient)
        change = mx.nd.norm(previous - image).reshape((1,))
        size = mx.nd.norm(image).reshape((1,))
        # The step's only wait for the device.
        values = mx.nd.concat(*parts, norm, change, size, dim=0).asnumpy()
        if not np.isfinite(values).all():
            return previous, StopReason.NOT_FINITE, history
        step = _describe(number, values, objective, tv is not None, clip_norm, optimizer.learning_rate)
        history.append(step)
        epoch_log.info("epoch %d, relative change %f", number - 1, step.relative_change)
        if callback is not None:
            callback(step, image)
        if step.relative_change < recipe.stop_eps:
            return image, StopReason.CONVERGED, history
    return image, StopReason.STEP_LIMIT, history


def _describe(number, values, objective, has_tv, clip_norm, learning_rate):
    names = [term.name for term in objective.terms] + (["total_variation"] if has_tv else [])
    factors = objective.factors + ([1.0] if has_tv else [])
    parts = {name: float(value) * factor for name, value, factor in zip(names, values, factors)}
    norm, change, size = values[-3:]
    # In float32 like the original's, and 0 / 0 is an image that stays at the mean colour: no change.
    relative_change = float(change / size) if size > 0 else 0.0
    return Step(number, parts, sum(parts.values()), float(norm), clip_norm, learning_rate, relative_change)
