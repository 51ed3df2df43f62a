"""The loop: from two pictures and a recipe to a stylised picture."""

import enum
import logging
import re
from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from ._mxnet import mx
from .devices import choose_device
from .errors import SettingsError
from .images import colour, sizing, units
from .objective.memory import available
from .objective.objective import Objective, euclidean_norm, required_parameters, required_side
from .optimizers import OPTIMIZERS, count_arrays, make_optimizer
from .precision import choose_precision
from .problem import Pictures, load_parameters, picture_size, starting_image
from .recipes.presets import DEFAULT_RECIPE, get_recipe
from .recipes.recipe import CHOSEN, Recipe
from .weights.lookup import find_network

log = logging.getLogger(__name__)
# The original's line per epoch, apart, so that whoever shows a progress bar can silence it.
epoch_log = logging.getLogger(__name__ + ".epochs")

# Of the image's size, that the loop holds besides the image: the one before, and room for what MXNet has not freed yet.
_ARRAYS = 2

# What MXNet's allocators and oneDNN say when memory is short.
_NO_MEMORY = re.compile(
    r"(?i)failed to allocate[^\n]*|[^\n]*out of memory[^\n]*|bad_alloc|could not execute a primitive"
)

# A tile of which a step takes less than a GB and little longer than of a larger one.
_USUAL_TILE = 480

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
    level : int
        Of the pyramid, 0 the smallest picture; 0 where there is no pyramid.
    """

    number: int
    losses: Dict[str, float]
    loss: float
    gradient_norm: float
    clip_norm: float
    learning_rate: float
    relative_change: float
    evaluations: int
    level: int = 0


@dataclass(frozen=True)
class RunState:
    """Where a run is between two steps: what it goes on from bit for bit, its inputs being the same.

    Attributes
    ----------
    level : int
        Of the pyramid.
    image : numpy.ndarray
        Float32 (1, 3, H, W) in the recipe's unit.
    optimizer : dict of str to (numpy.ndarray or number)
        What the optimizer's ``state`` gave.
    history : list of Step
    tile_size : int
        Of this level; 0 if it is computed whole. Tiles round otherwise, so a run goes on with its own.
    """

    level: int
    image: np.ndarray
    optimizer: Dict[str, object]
    history: List[Step]
    tile_size: int


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
    picture = units.from_network(image, units.get_unit(recipe.unit))
    return colour.denoise(picture, recipe.remove_noise) if recipe.denoise_final or not last else picture


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
    keep=None,
    resume=None,
    tile_size=None,
    memory=None,
):
    """Repaint `content` in the style of `style`.

    Parameters
    ----------
    content, style : numpy.ndarray
        Pictures, uint8 (H, W, 3), of any size; `images.reading.read_image` reads them. They are resized as the recipe
        says; in the original programs the content so that its long edge is the recipe's, the style to the same height
        and width.
    recipe : Recipe or str
        What to compute; `Recipe.override` changes single settings.
    weights : str or pathlib.Path or mapping of str to mxnet.nd.NDArray, optional
        The parameters of the recipe's network, or their file. If not given, they are looked for, and where there are
        none, `weights.lookup.find_network` may put a smaller network in its place, unless `Recipe.override` named this
        one; the result's recipe names the one that ran.
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
    keep : callable, optional
        Called as ``keep(step, snapshot)`` after every step and `callback`; ``snapshot()`` gives the `RunState` then,
        waiting for the device.
    resume : RunState, optional
        Of an earlier run with the same pictures, recipe, weights and seed, to go on from.
    tile_size : int, optional
        Compute in tiles of this side, in pixels, or with 0 whole, instead of choosing by the memory there is; see
        `tiling`.
    memory : int, optional
        Bytes that the process (on a GPU: what is still to come) may use, instead of all that is left.

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
    recipe = recipe.override(precision=choose_precision(recipe.precision, ctx))
    if weights is None:
        recipe, weights = choose_network(recipe)
    parameters = load_parameters(recipe, weights, ctx)
    levels = _levels(recipe, content)
    first, history, image, state = 0, [], None, None
    if resume is not None:
        first, history, image, state = resume.level, list(resume.history), resume.image, resume.optimizer

    for number in range(first, len(levels)):
        level = levels[number]
        pictures = Pictures(content, style, initial, level)
        size = pictures.content.shape[2:]
        if image is None:
            image = starting_image(level, seed, pictures)
        elif image.shape[2:] != size:
            image = mx.nd.array(sizing.resize_image(image, size))
        else:
            image = mx.nd.array(image)
        image = image.as_in_context(ctx)
        arrays = _ARRAYS + count_arrays(level.optimizer, level.settings())
        tile = resume.tile_size if resume is not None and number == first else tile_size
        try:
            objective = Objective(level, parameters, pictures, image, tile, available(ctx, memory), arrays)
            tile = objective.tile_size
            del pictures  # from here on, the memory is for the executors
            descent = _Descent(objective, image, level, number, history, callback, keep, interrupt)
            del objective
            image, reason = descent.run(state)
            image, state = image.asnumpy(), None
        except (MemoryError, mx.base.MXNetError) as error:
            if isinstance(error, mx.base.MXNetError) and not _NO_MEMORY.search(str(error)):
                raise
            raise _explain_lack_of_memory(error, size, tile) from error
        if reason in (StopReason.NOT_FINITE, StopReason.INTERRUPTED):
            break
    if number < len(levels) - 1:
        image = sizing.resize_image(image, picture_size(content, recipe))
    log.info("%s", reason.value)
    return Result(image, finish_picture(image, recipe, last=True), reason, history, recipe, seed)


def _explain_lack_of_memory(error, size, tile_size):
    """Turn what MXNet and Python say when there is none left into one line with the flag that helps."""
    found = _NO_MEMORY.search(str(error))
    reason = found.group() if found else "allocation failed"
    how = f" in tiles of {tile_size} pixels" if tile_size else " whole" if tile_size == 0 else ""
    smaller = max(tile_size // 2 if tile_size else min(max(size) // 2, _USUAL_TILE), 16)
    return SettingsError(
        f"not enough memory to compute {size[1]} x {size[0]} pixels{how} ({reason}); try --tile-size {smaller}, "
        "or tell with --memory how much there is"
    )


def choose_network(recipe):
    """Find the weights of a recipe's network, or those of its stand-in if `Recipe.override` did not name it.

    Returns
    -------
    recipe : Recipe
        With the network that is to run.
    weights : pathlib.Path

    Raises
    ------
    WeightsError
        If there are none.
    """
    named = recipe.model if recipe.sources["model"] == CHOSEN else None
    model, weights = find_network(recipe.model, named)
    return recipe.override(model=model), weights


def _levels(recipe, content):
    """Give the recipes of a pyramid, from the smallest picture on, without those too small for the network."""
    levels, edge = [recipe], float(recipe.max_long_edge)
    for steps in reversed(recipe.pyramid):
        edge /= recipe.pyramid_factor
        level = recipe.override(max_long_edge=max(1, round(edge)), max_steps=steps)
        if min(picture_size(content, level)) < required_side(level):
            log.info("pictures of %d pixels and less are too small for the network and left out", level.max_long_edge)
            break
        levels.insert(0, level)
    return levels


def _check(recipe):
    required_parameters(recipe)  # whether the network and its layers exist, before its weights are looked for
    if recipe.optimizer not in OPTIMIZERS:
        raise SettingsError(f"unknown optimizer '{recipe.optimizer}'; choose from {', '.join(OPTIMIZERS)}")
    if OPTIMIZERS[recipe.optimizer].fixed_objective:
        if recipe.clip_gradient or recipe.adaptive:
            what, flag = ("shortened", "--clip-gradient") if recipe.clip_gradient else ("reweighted", "--adaptive")
            raise SettingsError(
                f"the optimizer {recipe.optimizer} compares values of the objective, so its gradient must not be "
                f"{what}; give {flag} no with it"
            )


def _make_optimizer(recipe, image):
    bounds = None
    if recipe.clip_pixels:
        unit = units.get_unit(recipe.unit)
        # (3,) -> (1, 3, 1, 1)
        bounds = tuple(mx.nd.array(b, ctx=image.context).reshape((1, -1, 1, 1)) for b in (unit.black, unit.white))
    return make_optimizer(recipe.optimizer, image, recipe.settings(), bounds)


class _Descent:
    """The steps on one level."""

    def __init__(self, objective, image, recipe, level, history, callback, keep, interrupt):
        self._objective = objective
        self._image = image
        self._recipe = recipe
        self._level = level
        self._history = history
        self._callback = callback
        self._keep = keep
        self._interrupt = interrupt
        self._optimizer = _make_optimizer(recipe, image)
        self._tile_size = objective.tile_size

    def run(self, state=None):
        """Go until there is a reason to stop; give the image and the reason, and free the executors."""
        try:
            return self._run(state)
        finally:
            # A snapshot of the last step may be asked for later, and finishing a large picture takes memory of its own.
            self._objective = None

    def _run(self, state):
        image, optimizer, history, recipe = self._image, self._optimizer, self._history, self._recipe
        begun = sum(step.level < self._level for step in history)
        if state is not None:
            optimizer.load(state)
        evaluations = 0

        def evaluate():
            nonlocal evaluations
            evaluations += 1
            return self._objective.evaluate()

        previous = image.copy()
        while True:
            steps = len(history) - begun
            if steps and history[-1].relative_change < recipe.stop_eps:
                return image, StopReason.CONVERGED
            if steps >= recipe.max_steps:
                return image, StopReason.STEP_LIMIT
            if self._interrupt is not None and self._interrupt.is_set():
                return image, StopReason.INTERRUPTED
            image.copyto(previous)
            evaluations = 0
            evaluation = optimizer.step(image, evaluate)
            # The gradient has been used, so that its memory can take the difference.
            change = mx.nd.elemwise_sub(previous, image, out=evaluation.gradient)
            change, size = (euclidean_norm(array, recipe) for array in (change, image))
            # The step's only wait for the device, if the optimizer has none.
            values = mx.nd.concat(evaluation.values, change, size, dim=0).asnumpy()
            if not np.isfinite(values).all():
                return previous, StopReason.NOT_FINITE
            if optimizer.stalled:
                return previous, StopReason.STALLED
            evaluation = None
            step = self._describe(values, evaluations)
            history.append(step)
            epoch_log.info("epoch %d, relative change %f", step.number - 1, step.relative_change)
            if self._callback is not None:
                self._callback(step, image)
            if self._keep is not None:
                self._keep(step, self._snapshot)

    def _snapshot(self):
        image, optimizer = self._image.asnumpy(), self._optimizer.state()
        return RunState(self._level, image, optimizer, list(self._history), self._tile_size)

    def _describe(self, values, evaluations):
        objective = self._objective
        parts = {name: float(v) * factor for name, v, factor in zip(objective.names, values, objective.factors)}
        norm, change, size = values[-3:]
        # In float32 like the original's, and 0 / 0 is an image that stays at zero: no change.
        relative_change = float(change / size) if size > 0 else 0.0
        return Step(
            number=len(self._history) + 1,
            losses=parts,
            loss=sum(parts.values()),
            gradient_norm=float(norm),
            clip_norm=objective.clip_norm,
            learning_rate=self._optimizer.learning_rate,
            relative_change=relative_change,
            evaluations=evaluations,
            level=self._level,
        )
