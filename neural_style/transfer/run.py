"""A run: something to iterate, step by step, that can be left at any step and resumed.

with begin(content, style, "paint") as run:
    for step in run:
        print(step.number, step.loss)
save_image("result.png", run.result.image)
"""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional

import numpy as np

from .._mxnet import mx
from ..images import colour, units
from ..recipes.recipe import Recipe

log = logging.getLogger(__name__)


class StopReason(enum.Enum):
    """Why a run stopped; the value says it in words."""

    CONVERGED = "converged: the relative change fell below the threshold"
    STEP_LIMIT = "reached the step limit"
    NOT_FINITE = "stopped at a value that is not finite; the image is that of the step before"
    STALLED = "stopped where no step makes the objective smaller"
    INTERRUPTED = "interrupted"
    ONE_PASS = "made in one pass"


@dataclass(frozen=True)
class Step:
    """One step of a run.

    Attributes
    ----------
    number : int
        From 1. The original programs count their epochs from 0 in the log and from 1 in file names and callbacks.
    losses : dict of str to float
        Each part of the objective, weights included, at the canvas *before* the step's update, where the gradient was
        taken: ``style_<layer>``, ``content_<layer>``, ``total_variation``, and of frames of a video ``temporal``. Empty
        in one pass, which has no objective.
    loss : float
        Their sum.
    gradient_norm : float
        ‖gradient of style and content‖₂ before clipping.
    clip_norm : float
        What longer gradients are shortened to: the number of elements of the canvas, or infinite.
    learning_rate : float
        Rate of the update; of L-BFGS the length of the step, in parts of the direction.
    relative_change : float
        ‖old − new‖₂ / ‖new‖₂.
    evaluations : int
        How often the objective and its gradient were computed for it: once, except by L-BFGS.
    level : int
        Of the pyramid, 0 the smallest size; 0 where there is no pyramid.
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
    """Where a run is between two steps: what it is resumed from bit for bit, given the same inputs.

    Attributes
    ----------
    level : int
        Of the pyramid.
    canvas : numpy.ndarray
        Float32 (1, 3, H, W) in the recipe's unit.
    optimizer : dict of str to (numpy.ndarray or number)
        What the optimizer's ``state`` returned.
    history : list of Step
    tile_size : int
        Of this level; 0 if it is computed whole. Tiles round otherwise, so a run is resumed with its own.
    """

    level: int
    canvas: np.ndarray
    optimizer: Dict[str, Any]
    history: List[Step]
    tile_size: int


@dataclass(frozen=True)
class Result:
    """What a run ended with.

    Attributes
    ----------
    image : numpy.ndarray
        Uint8 (H, W, 3), finished as the recipe finishes its result; with alpha, (H, W, 4), if the content has some.
    canvas : numpy.ndarray
        Float32 (1, 3, H, W) in the recipe's unit.
    reason : StopReason
    history : list of Step
        Every step whose update was kept, in order.
    recipe : Recipe
        The settings that were used.
    seed : int or None
    """

    image: np.ndarray
    canvas: np.ndarray
    reason: StopReason
    history: List[Step]
    recipe: Recipe
    seed: Optional[int]


class Run:
    """A run of a recipe: ``for step in run`` takes a step and yields it, until there is a reason to stop.

    It is iterated once. Leaving the loop ends the run and frees its executors; so does `close`, which a ``with``
    statement calls. What was computed stays.

    Attributes
    ----------
    recipe : Recipe
        The settings that are used, the network that runs included.
    seed : int or None
    history : list of Step
        Every step whose update was kept, those before it was resumed included.
    reason : StopReason
        Why it stopped; `StopReason.INTERRUPTED` until there is another reason.
    canvas : mxnet.nd.NDArray or None
        (1, 3, H, W) on the device, in the recipe's unit and at the size of the current level; the next step overwrites
        it. None before the first step.
    """

    def __init__(self, recipe: Recipe, seed: Optional[int], history: List[Step]) -> None:
        self.recipe = recipe
        self.seed = seed
        self.history = list(history)
        self.reason = StopReason.INTERRUPTED
        self.canvas: Any = None
        self._asked_to_stop = self._begun = False

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Step]:
        if self._begun:
            raise RuntimeError("a run is iterated once; begin another one with its state()")
        self._begun = True
        try:
            yield from self._steps()
            log.info("%s", self.reason.value)
        finally:
            self.close()

    def _steps(self) -> Iterator[Step]:
        raise NotImplementedError

    def stop(self) -> None:
        """End the run after the step that is under way, or before the first; a signal handler or thread may call it."""
        self._asked_to_stop = True

    def close(self) -> None:
        """Free the executors; the run cannot be iterated any further."""
        self.stop()

    @property
    def has_converged(self) -> bool:
        """Whether the last step changed the canvas less than the recipe's threshold."""
        return bool(self.history) and self.history[-1].relative_change < self.recipe.stopping.stop_eps

    def image(self) -> np.ndarray:
        """Return the canvas as an intermediate image, uint8 (H, W, 3); this waits for the device."""
        return finish_image(self.canvas, self.recipe, last=False)

    def state(self) -> Optional[RunState]:
        """Return what `transfer.stylize.begin` resumes from, or None before the first step."""
        raise NotImplementedError

    @property
    def result(self) -> Result:
        """The `Result` after the last step, or the last so far."""
        raise NotImplementedError


def finish_image(canvas: Any, recipe: Recipe, last: bool) -> np.ndarray:
    """Turn a canvas into an image as a recipe does before saving it.

    Parameters
    ----------
    canvas : numpy.ndarray or mxnet.nd.NDArray
        Float32 (1, 3, H, W) in the recipe's unit.
    recipe : Recipe
    last : bool
        Whether it is the result or an intermediate image.

    Returns
    -------
    numpy.ndarray
        Uint8 (H, W, 3).
    """
    if isinstance(canvas, mx.nd.NDArray):
        canvas = canvas.asnumpy()
    image = units.from_network(canvas, units.get_unit(recipe.losses.unit))
    finish = recipe.finish
    return colour.denoise(image, finish.remove_noise) if finish.denoise_final or not last else image
