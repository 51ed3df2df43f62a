"""The loop: from two pictures and a recipe to a stylised picture."""

import enum
import logging
from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from . import images
from ._mxnet import mx
from .devices import choose_device
from .errors import SettingsError
from .optimizers import OPTIMIZERS, make_optimizer
from .problem import Objective, Pictures, image_unit, required_parameters, starting_image
from .recipes import CHOSEN, DEFAULT_RECIPE, Recipe, get_recipe
from .weights import find_network

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
    STALLED = "stopped where no step makes the objective smaller"
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
        What longer gradients are shortened to: the number of elements of the image, or infinite.
    learning_rate : float
        Rate of the update; of L-BFGS the length of the step, in parts of the direction.
    relative_change : float
        ‖old − new‖₂ / ‖new‖₂.
    evaluations : int
        How often the objective and its gradient were computed for it: once, but for L-BFGS.
    """

    number: int
    losses: Dict[str, float]
    loss: float
    gradient_norm: float
    clip_norm: float
    learning_rate: float
    relative_change: float
    evaluations: int


@dataclass(frozen=True)
class Result:
    """What a run ended with.

    Attributes
    ----------
    image : numpy.ndarray
        Float32 (1, 3, H, W) in the recipe's unit.
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
        Float32 (1, 3, H, W) in the recipe's unit.
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
    picture = images.from_network(image, image_unit(recipe))
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
        Pictures, uint8 (H, W, 3), of any size; `images.read_image` reads them. They are resized as the recipe says; in
        the original programs the content so that its long edge is the recipe's, the style to the same height and width.
    recipe : Recipe or str
        What to compute; `Recipe.override` changes single settings.
    weights : str or pathlib.Path or mapping of str to mxnet.nd.NDArray, optional
        The parameters of the recipe's network, or their file. If not given, they are looked for, and where there are
        none, `weights.find_network` may put a smaller network in its place, unless `Recipe.override` named this one;
        the result's recipe names the one that ran.
    gpu : int, optional
        See `devices.choose_device`.
    seed : int, optional
        Of the noise that the image starts from. With seed 0 it is the noise of an original program, which never seeded;
        None leaves MXNet's generator as it is.
    initial : numpy.ndarray, optional
        A picture to start from, uint8 (H, W, 3), instead of what the recipe says; resized to the content's size.
    callback : callable, optional
        Called as ``callback(step, image)`` after every step with a `Step` and the image on the device, an NDArray
        (1, 3, H, W) in the recipe's unit that the next step overwrites. Reading it waits for the device.
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
    _check(recipe)
    if weights is None:
        named = recipe.model if recipe.sources["model"] == CHOSEN else None
        model, weights = find_network(recipe.model, named)
        recipe = recipe.override(model=model)
    pictures = Pictures(content, style, initial, recipe)
    image = starting_image(recipe, seed, pictures).as_in_context(ctx)
    objective = Objective(recipe, weights, pictures, image)
    image, reason, history = _descend(objective, image, recipe, callback, interrupt)
    image = image.asnumpy()
    log.info("%s", reason.value)
    return Result(image, finish_picture(image, recipe, last=True), reason, history, recipe, seed)


def _check(recipe):
    required_parameters(recipe)  # whether the network and its layers exist, before its weights are looked for
    if recipe.optimizer in OPTIMIZERS and OPTIMIZERS[recipe.optimizer].fixed_objective:
        if recipe.clip_gradient or recipe.adaptive:
            what, flag = ("shortened", "--clip-gradient") if recipe.clip_gradient else ("reweighted", "--adaptive")
            raise SettingsError(
                f"the optimizer {recipe.optimizer} compares values of the objective, so its gradient must not be "
                f"{what}; give {flag} no with it"
            )


def _make_optimizer(recipe, image):
    bounds = None
    if recipe.clip_pixels:
        unit = image_unit(recipe)
        # (3,) -> (1, 3, 1, 1)
        bounds = tuple(mx.nd.array(b, ctx=image.context).reshape((1, -1, 1, 1)) for b in (unit.black, unit.white))
    return make_optimizer(recipe.optimizer, image, recipe.settings(), bounds)


def _descend(objective, image, recipe, callback, interrupt):
    optimizer = _make_optimizer(recipe, image)
    evaluations = 0

    def evaluate():
        nonlocal evaluations
        evaluations += 1
        return objective.evaluate()

    previous = image.copy()
    history = []
    for number in range(1, recipe.max_steps + 1):
        if interrupt is not None and interrupt.is_set():
            return image, StopReason.INTERRUPTED, history
        image.copyto(previous)
        evaluations = 0
        evaluation = optimizer.step(image, evaluate)
        change = mx.nd.norm(previous - image).reshape((1,))
        size = mx.nd.norm(image).reshape((1,))
        # The step's only wait for the device, if the optimizer has none.
        values = mx.nd.concat(evaluation.values, change, size, dim=0).asnumpy()
        if not np.isfinite(values).all():
            return previous, StopReason.NOT_FINITE, history
        if optimizer.stalled:
            return previous, StopReason.STALLED, history
        step = _describe(number, values, objective, optimizer.learning_rate, evaluations)
        history.append(step)
        epoch_log.info("epoch %d, relative change %f", number - 1, step.relative_change)
        if callback is not None:
            callback(step, image)
        if step.relative_change < recipe.stop_eps:
            return image, StopReason.CONVERGED, history
    return image, StopReason.STEP_LIMIT, history


def _describe(number, values, objective, learning_rate, evaluations):
    parts = {name: float(v) * factor for name, v, factor in zip(objective.names, values, objective.factors)}
    norm, change, size = values[-3:]
    # In float32 like the original's, and 0 / 0 is an image that stays at zero: no change.
    relative_change = float(change / size) if size > 0 else 0.0
    loss = sum(parts.values())
    return Step(number, parts, loss, float(norm), objective.clip_norm, learning_rate, relative_change, evaluations)
