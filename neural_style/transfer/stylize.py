"""From two pictures and a recipe to a stylised picture."""

import logging
import re

from .._mxnet import mx
from ..errors import CheckpointError, SettingsError
from ..images import sizing
from ..objective.objective import Objective, required_side
from ..objective.terms import make_terms
from ..optimizers import OPTIMIZERS, count_arrays
from ..recipes.presets import DEFAULT_RECIPE, get_recipe
from ..recipes.recipe import Recipe
from .compute import available, choose_device, choose_precision
from .inputs import Pictures, choose_network, load_parameters, picture_size, starting_image, style_size
from .optimisation import ARRAYS, Descent
from .run import Result, StopReason, finish_picture

log = logging.getLogger(__name__)

# What MXNet's allocators and oneDNN say when memory is short.
_NO_MEMORY = re.compile(
    r"(?i)failed to allocate[^\n]*|[^\n]*out of memory[^\n]*|bad_alloc|could not execute a primitive"
)

# A tile of which a step takes less than a GB and little longer than of a larger one.
_USUAL_TILE = 480

# Left unseeded, a fresh MXNet process draws what seed 0 draws, so this is what the original programs started from.
DEFAULT_SEED = 0


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
        See `compute.choose_device`.
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
        `tiling`. The level of a pyramid that `resume` is of keeps its own.
    memory : int, optional
        Bytes that the process (on a GPU: what is still to come) may use, instead of all that is left.

    Returns
    -------
    Result

    Raises
    ------
    ImageError
        If the picture would be too small for the network.
    CheckpointError
        If `resume` is not of such a run.
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
    levels = _levels(recipe, content, style)
    first, history, image, state = 0, [], None, None
    if resume is not None:
        first, history, image, state = resume.level, list(resume.history), resume.image, resume.optimizer
        if not 0 <= first < len(levels):
            raise CheckpointError(
                f"the checkpoint is of level {first}, of {len(levels)} from 0 on that there are; begin the run anew"
            )

    for number in range(first, len(levels)):
        level = levels[number]
        pictures = Pictures(content, style, initial, level)
        size = pictures.content.shape[2:]
        if image is None:
            image = starting_image(level, seed, pictures)
        elif image.shape[2:] != size:
            if number == first:
                raise CheckpointError(
                    f"the checkpoint has an image of {image.shape[3]} x {image.shape[2]} pixels, not {size[1]} x "
                    f"{size[0]}; begin the run anew"
                )
            image = mx.nd.array(sizing.resize_image(image, size))
        else:
            image = mx.nd.array(image)
        image = image.as_in_context(ctx)
        arrays = ARRAYS + count_arrays(level.optimizer, level.settings())
        tile = resume.tile_size if resume is not None and number == first else tile_size
        try:
            objective = Objective(level, parameters, pictures, image, available(ctx, memory), tile, arrays)
            tile = objective.tile_size
            del pictures  # from here on, the memory is for the executors
            descent = Descent(objective, image, level, number, history, callback, keep, interrupt)
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


def _levels(recipe, content, style):
    """Return the recipes of a pyramid, from the smallest image on, without those too small for the network."""
    levels, edge = [recipe], float(recipe.max_long_edge)
    for steps in reversed(recipe.pyramid):
        edge /= recipe.pyramid_factor
        level = recipe.override(max_long_edge=max(1, round(edge)), max_steps=steps)
        size = picture_size(content, level)
        if min(size + style_size(style, level, size)) < required_side(level):
            log.info("pictures of %d pixels and less are too small for the network and left out", level.max_long_edge)
            break
        levels.insert(0, level)
    return levels


def _check(recipe):
    make_terms(recipe)  # whether the network and its layers exist, before its weights are looked for
    if recipe.optimizer not in OPTIMIZERS:
        raise SettingsError(f"unknown optimizer '{recipe.optimizer}'; choose from {', '.join(OPTIMIZERS)}")
    if OPTIMIZERS[recipe.optimizer].fixed_objective:
        if recipe.clip_gradient or recipe.adaptive:
            what, flag = ("shortened", "--clip-gradient") if recipe.clip_gradient else ("reweighted", "--adaptive")
            raise SettingsError(
                f"the optimizer {recipe.optimizer} compares values of the objective, so its gradient must not be "
                f"{what}; give {flag} no with it"
            )
