"""From images and a recipe to a stylised image."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import numpy as np

from ..images.alpha import split_alpha
from ..objective.terms import check_losses
from ..recipes.parts import OnePass
from ..recipes.presets import RECOMMENDED_RECIPE, get_recipe
from ..recipes.recipe import Recipe
from .colours import check_palette
from .compute import Compute
from .controls import Controls
from .feed_forward import FeedForwardRun
from .inputs import Style, as_styles, check_seed
from .optimisation import OptimisationRun
from .run import Result, Run, RunState, Step

# Left unseeded, a fresh MXNet process draws what seed 0 draws, so this is what the original programs started from.
DEFAULT_SEED = 0

Styles = Union[np.ndarray, Style, Sequence[Union[np.ndarray, Style]]]
Weights = Union[str, Path, Mapping[str, Any]]


def begin(
    content: np.ndarray,
    styles: Optional[Styles],
    recipe: Union[Recipe, str] = RECOMMENDED_RECIPE,
    *,
    start: Optional[np.ndarray] = None,
    seed: Optional[int] = DEFAULT_SEED,
    weights: Optional[Weights] = None,
    compute: Compute = Compute(),
    controls: Controls = Controls(),
    resume: Optional[RunState] = None,
) -> Run:
    """Begin a run, without taking its first step.

    Parameters
    ----------
    content
        Image to repaint, uint8 (H, W, 3), of any size; `read_image` reads it. It is resized as the recipe says. With
        alpha, (H, W, 4), what is transparent counts for no style, and the result has alpha, too.
    styles
        Image whose style to use, a `Style`, or several of them, which are blended by their weights. None for a
        generator that has a style of its own.
    recipe
        What to compute; `Recipe.override` changes single settings.
    start
        Image to start from, uint8 (H, W, 3), in place of the recipe's start; it is resized to the content's size.
    seed
        Of the noise that the canvas starts from. With seed 0 it is the noise of an original program, which never
        seeded; None leaves MXNet's generator as it is.
    weights
        Parameters of the recipe's network or generator, mxnet.nd.NDArray by name, or their file. If not given, they
        are looked for, and if there are none, the bundled network may take the place of one that was not named; see
        `weights.lookup.find_network`.
    compute
        Device, precision, memory.
    controls
        Where the photograph stays, how much style there is from place to place, and a palette.
    resume
        State of an earlier run with the same images, recipe, weights and seed, which this one continues bit for bit.

    Raises
    ------
    ImageError
        If an image would be too small for the network; when the first step is taken.
    CheckpointError
        If `resume` is not the state of such a run.
    WeightsError, DeviceError, SettingsError
        If the weights, the device or the recipe cannot be used.
    """
    recipe = recipe if isinstance(recipe, Recipe) else get_recipe(recipe)
    check_seed(seed)
    check_palette(recipe.colours.colors, controls.palette)
    content, opacity = split_alpha(content, "content")
    if opacity is not None:
        controls = dataclasses.replace(controls, opacity=opacity)
    if recipe.feed_forward:
        styles = as_styles(styles) if isinstance(styles, (np.ndarray, Style)) or styles else ()
        return FeedForwardRun(content, styles, recipe, start, seed, weights, compute, resume, controls)
    check_losses(recipe.losses)
    first = first_recipe(recipe)
    if first is not None and start is None and resume is None:
        start = stylize(content, styles, first, compute=Compute(compute.gpu)).image
    return OptimisationRun(content, as_styles(styles), recipe, start, seed, weights, compute, resume, controls)


def first_recipe(recipe: Recipe) -> Optional[Recipe]:
    """Return the recipe that makes the picture from which another starts, in its size; None if it starts otherwise."""
    if recipe.feed_forward or not isinstance(recipe.start, OnePass):
        return None
    size = recipe.size
    return get_recipe("one-pass").override(
        max_long_edge=size.max_long_edge, shape=size.shape, style_scale=size.style_scale
    )


def stylize(
    content: np.ndarray,
    styles: Optional[Styles],
    recipe: Union[Recipe, str] = RECOMMENDED_RECIPE,
    *,
    start: Optional[np.ndarray] = None,
    seed: Optional[int] = DEFAULT_SEED,
    weights: Optional[Weights] = None,
    compute: Compute = Compute(),
    controls: Controls = Controls(),
    watch: Optional[Callable[[Step, Run], object]] = None,
) -> Result:
    """Repaint `content` in the style of `styles`: `begin` a run, and take all its steps.

    The other parameters, and what is raised, are those of `begin`.

    Parameters
    ----------
    watch
        Called as ``watch(step, run)`` after every step. ``run.image()`` is the image so far, and ``run.stop()`` ends
        the run.

    Examples
    --------
    >>> from neural_style import read_image, save_image, stylize
    >>> result = stylize(read_image("photo.jpg"), read_image("painting.jpg"))
    >>> save_image("result.png", result.image)
    """
    with begin(
        content, styles, recipe, start=start, seed=seed, weights=weights, compute=compute, controls=controls
    ) as run:
        for step in run:
            if watch is not None:
                watch(step, run)
    return run.result
