"""A run: its steps, why it stopped, where it is, and what it ends with."""

import enum
from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from .._mxnet import mx
from ..images import colour, units
from ..recipes.recipe import Recipe


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
