"""The loop: steps on one level of a pyramid until there is a reason to stop."""

import logging

import numpy as np

from .._mxnet import mx
from ..errors import CheckpointError, SettingsError
from ..images import units
from ..objective.objective import euclidean_norm
from ..optimizers import make_optimizer
from .run import RunState, Step, StopReason

# The original's line per epoch, apart, so that whoever shows a progress bar can silence it.
epoch_log = logging.getLogger(__name__ + ".epochs")

# Of the image's size, that the loop holds besides the image: the one before, and room for what MXNet has not freed yet.
ARRAYS = 2


def _make_optimizer(recipe, image):
    bounds = None
    if recipe.clip_pixels:
        unit = units.get_unit(recipe.unit)
        # (3,) -> (1, 3, 1, 1)
        bounds = tuple(mx.nd.array(b, ctx=image.context).reshape((1, -1, 1, 1)) for b in (unit.black, unit.white))
    return make_optimizer(recipe.optimizer, image, recipe.settings(), bounds)


class Descent:
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
            try:
                optimizer.load(state)
            except (SettingsError, KeyError, ValueError, TypeError, IndexError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
                raise CheckpointError(
                    f"the checkpoint does not fit the optimizer {recipe.optimizer} ({reason}); begin the run anew"
                ) from error
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
