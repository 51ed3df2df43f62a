"""The frames of a video, one run after the other, each from what became of the frame before.

What makes the frames is an object with the methods of `OptimisedFrames`: `begin` gets a frame and, within a shot, the
result of the one before in its place, and returns a `run.Run`, whose result is the next; `state` returns numbers that
JSON can hold, and `load` takes them back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional

import numpy as np

from .._mxnet import mx
from ..images import colour, units
from ..recipes.recipe import Recipe
from ..recipes.video import Following
from .compute import Compute, choose_device, choose_precision
from .controls import Controls
from .feed_forward import FeedForwardRun, Painter
from .inputs import Inputs, as_styles, choose_network, load_parameters
from .optimisation import OptimisationRun, prepare_optimizer
from .run import Run


class OptimisedFrames:
    """Makes frames by optimisation: the first of a shot as an image, the others held to the one before.

    Parameters
    ----------
    styles : numpy.ndarray, Style, or sequence of them
    recipe : Recipe
    following : recipes.video.Following
    start, seed, weights, compute
        As `transfer.stylize.begin` takes them; start and seed are for the first frame of a shot.

    Raises
    ------
    WeightsError, DeviceError, SettingsError
        If the weights, the device or the recipe cannot be used.
    """

    def __init__(
        self,
        styles: Any,
        recipe: Recipe,
        following: Following = Following(),
        *,
        start: Optional[np.ndarray] = None,
        seed: Optional[int] = 0,
        weights: Any = None,
        compute: Compute = Compute(),
    ) -> None:
        if weights is None:
            recipe, weights = choose_network(recipe)
        ctx = choose_device(compute.gpu)
        self.recipe = recipe
        self._next = recipe.override(pyramid=(), surrogate=0, max_steps=following.frame_steps, save_every=0)
        self._weight = following.temporal_weight
        self._styles, self._start, self._seed = as_styles(styles), start, seed
        # Chosen once, and not for every frame anew.
        gpu = ctx.device_id if ctx.device_type == "gpu" else -1
        self._compute = replace(compute, gpu=gpu, precision=choose_precision(compute.precision, ctx))
        self._parameters = load_parameters(recipe.losses, weights, ctx)
        self._first: Any = None
        self._shot: Any = None

    def begin(
        self, frame: np.ndarray, warped: Optional[np.ndarray] = None, reliability: Optional[np.ndarray] = None
    ) -> Run:
        """Begin the run of a frame; the result of the run before must have been read.

        Parameters
        ----------
        frame
            uint8 (H, W, 3).
        warped
            The canvas that the frame before ended with, in the place of this one, float32 (1, 3, h, w). Without it a
            shot begins.
        reliability
            How far it can be trusted, float32 (h, w) from 0 to 1.
        """
        if warped is None or reliability is None:
            self._first, self._shot = OptimisationRun(*self._arguments(frame, self.recipe, self._start)), None
            return self._first
        arguments = self._arguments(frame, self._next, None)
        return _FollowingRun(arguments, self._current(), self._weight, warped, reliability)

    def _arguments(self, frame, recipe, start):
        named = self._seed, self._parameters, self._compute
        return (frame, self._styles, recipe, start, *named, None, Controls())

    def state(self) -> Dict[str, float]:
        """Return what the next frame of the shot needs besides the canvas; `load` takes it back."""
        shot = self._current()
        return {"reference": shot.reference, "tile_size": shot.tile_size}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue a shot that another process began.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is not what `state` returned.
        """
        self._first, self._shot = None, _Shot(float(state["reference"]), int(state["tile_size"]))

    def _current(self) -> _Shot:
        if self._first is not None:
            last = self._first.history[-1]
            # Where the gradient was shortened, the objective counted that much less.
            shortening = min(1.0, last.clip_norm / last.gradient_norm) if last.gradient_norm > 0 else 1.0
            self._shot = _Shot(last.loss * shortening, self._first.tile_size)
            self._first = None
        return self._shot


@dataclass
class _Shot:
    """What the frames of a shot share.

    Attributes
    ----------
    reference : float
        The objective that the first one ended with, in the measure of its gradient as it was used.
    tile_size : int
        Side of the tiles in which they are computed; 0 if they are computed whole.
    objective, canvas
        What all but the first are computed with, once there is a second.
    """

    reference: float
    tile_size: int
    objective: Any = None
    canvas: Any = None


class _FollowingRun(OptimisationRun):
    """The run of a frame that follows another one."""

    def __init__(self, arguments, shot, weight, warped, reliability):
        super().__init__(*arguments)
        self._shot, self._weight = shot, weight
        self._warped, self._reliability = warped, reliability

    def _begin_level(self, recipe, size):
        shot, unit = self._shot, units.get_unit(recipe.losses.unit)
        content = Inputs(self._content, (), None, recipe).content
        # What came into view has been painted in no frame yet: there the content shows, in the colours around it.
        start = colour.recolour_locally(content, self._warped, self._reliability)
        start += (self._warped - start) * self._reliability
        if shot.objective is None:
            shot.canvas = self.canvas = mx.nd.array(start, ctx=self._ctx)
            self._tile_size = shot.tile_size
            weight = self._weight * shot.reference * unit.levels**2
            shot.objective = self._bind(recipe, Inputs(self._content, self._styles, None, recipe), weight)
        else:
            self.canvas = shot.canvas
            self.canvas[:] = start
            shot.objective.set_content(content)
        self._objective = shot.objective
        self._objective.set_former(self._warped, self._reliability)
        self._tile_size = self._objective.tile_size
        self._optimizer = prepare_optimizer(recipe, self.canvas)


class GeneratedFrames:
    """Makes frames by a generator, in one pass each, and blends them with the one before within a shot.

    Parameters
    ----------
    styles, recipe, following, weights, compute
        As of `OptimisedFrames`, of a recipe in one pass.
    """

    def __init__(
        self,
        styles: Any,
        recipe: Recipe,
        following: Following = Following(),
        *,
        weights: Any = None,
        compute: Compute = Compute(),
    ) -> None:
        self._styles = as_styles(styles) if len(styles) else ()
        self._recipe, self._blend, self._weights, self._compute = recipe, following.blend, weights, compute
        self._codes: Dict[str, Any] = {}

    def begin(
        self, frame: np.ndarray, warped: Optional[np.ndarray] = None, reliability: Optional[np.ndarray] = None
    ) -> Run:
        """See `OptimisedFrames.begin`."""
        arguments = frame, self._styles, self._recipe, None, None, self._weights, self._compute, None, Controls()
        share = 0.0 if warped is None or reliability is None else self._blend * reliability
        return _BlendedRun(arguments, self._codes, warped, share)

    def state(self) -> Dict[str, float]:
        """Return what the next frame of the shot needs besides the canvas: nothing."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue a shot that another process began."""


class _BlendedRun(FeedForwardRun):
    """The run of one frame; `codes` keeps the code of the styles from one to the next."""

    def __init__(self, arguments: Any, codes: Dict[str, Any], warped: Any, share: Any) -> None:
        super().__init__(*arguments)
        self._codes, self._warped, self._share = codes, warped, share

    def _paint(self, painter: Painter, content: np.ndarray) -> np.ndarray:
        picture = super()._paint(painter, content)
        return picture if self._warped is None else picture + (self._warped - picture) * self._share

    def _code(self, painter: Painter, content: np.ndarray) -> Any:
        if self._method.strength != 1:  # then it depends on the content
            return super()._code(painter, content)
        if "styles" not in self._codes:
            self._codes["styles"] = super()._code(painter, content)
        return self._codes["styles"]
