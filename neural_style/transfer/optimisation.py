"""A run that optimises the canvas, on one level of a pyramid after the other."""

import functools
import logging
import re
from typing import Any, Optional

import numpy as np

from .._mxnet import mx
from ..errors import CheckpointError, SettingsError, first_line, last_line
from ..images import sizing, units
from ..networks.graph import get_network
from ..networks.vgg import ARCHITECTURES
from ..objective.objective import Objective, euclidean_norm, required_side
from ..objective.terms import check_losses
from ..optimizers import count_arrays, make_optimizer
from .compute import available, choose_device, choose_precision, open_workers
from .controls import describe_cover
from .finishing import Finishing
from .inputs import (
    Inputs,
    as_plane,
    choose_network,
    find_twin,
    image_size,
    load_parameters,
    starting_canvas,
    style_size,
)
from .run import Result, Run, RunState, Step, StopReason, finish_image

log = logging.getLogger(__name__)

# The original's line per epoch, apart, so that whoever shows a progress bar can silence it.
epoch_log = logging.getLogger(__name__ + ".epochs")

# Of the canvas's size, that the loop holds besides the canvas: the one before, and room for what MXNet has not freed
# yet.
_ARRAYS = 2

# What MXNet's allocators and oneDNN say when memory is short.
NO_MEMORY = re.compile(
    r"(?i)failed to allocate[^\n]*|[^\n]*out of memory[^\n]*|bad_alloc|could not execute a primitive"
)

# What MXNet says of a number that is too large or too small for float32.
_BEYOND = re.compile(r"Out of range value for (\w+), value='([^']{1,40})'")

# A tile of which a step takes less than a GB and little longer than of a larger one.
_USUAL_TILE = 480


class OptimisationRun(Run):
    """See `transfer.stylize.begin`, whose parameters these are, the styles as a sequence of `inputs.Style`."""

    def __init__(self, content, styles, recipe, start, seed, weights, compute, resume, controls):
        self._ctx = choose_device(compute.gpu)
        self._precision = choose_precision(compute.precision, self._ctx)
        if weights is None:
            recipe, weights = choose_network(recipe)
        super().__init__(recipe, seed, resume.history if resume is not None else [])
        self._content, self._styles, self._start = content, styles, start
        self._compute, self._resume, self._controls = compute, resume, controls
        describe_cover(styles, image_size(content, recipe.size))
        self._levels = _levels(recipe, content, styles)
        self._parameters = {recipe.losses.model: load_parameters(recipe.losses, weights, self._ctx)}
        if recipe.stopping.surrogate:
            self._add_surrogate(recipe)
        self._level = resume.level if resume is not None else 0
        if not 0 <= self._level < len(self._levels):
            raise CheckpointError(
                f"the checkpoint is of level {self._level}, of {len(self._levels)} from 0 on that there are; begin the "
                "run anew"
            )
        self._objective: Any = None
        self._optimizer: Any = None
        self._workers = open_workers(compute)
        self._tile_size: Any = None
        self._result: Optional[Result] = None
        self._free: Any = None  # (1, 1, H, W): where the canvas may change; None everywhere
        self._finishing = Finishing(content, recipe.colours.colors, controls)

    def _add_surrogate(self, recipe):
        """Take all levels to a low-rank twin, and add one of the network itself."""
        twin, weights = find_twin(recipe.losses.model)
        self._levels = [level.with_network(twin, "the low-rank twin") for level in self._levels]
        self._levels.append(recipe.override(max_steps=recipe.stopping.surrogate))
        losses = self._levels[0].losses
        check_losses(losses)
        self._parameters[twin] = load_parameters(losses, weights, self._ctx)
        log.info("using %s for all but the last %d steps", twin, recipe.stopping.surrogate)

    def _steps(self):
        for number in range(self._level, len(self._levels)):
            self._level, recipe = number, self._levels[number]
            size = image_size(self._content, recipe.size)
            self._tile_size = self._compute.tile_size
            try:
                self._begin_level(recipe, size)
                yield from self._descend(recipe)
            except (MemoryError, mx.base.MXNetError) as error:
                if isinstance(error, mx.base.MXNetError) and not NO_MEMORY.search(str(error)):
                    _refuse_input(error, recipe.losses.model)
                    raise
                raise _explain_lack_of_memory(error, size, self._tile_size) from error
            finally:
                # The state may be asked for later, and finishing a large image takes memory of its own.
                self._objective = None
            if self.reason in (StopReason.NOT_FINITE, StopReason.INTERRUPTED):
                return

    def _begin_level(self, recipe, size):
        resume = self._resume
        inputs = Inputs(self._content, self._styles, self._start, recipe, self._controls)
        if resume is not None:
            if resume.canvas.shape[2:] != size:
                raise CheckpointError(
                    f"the checkpoint has an image of {resume.canvas.shape[3]} x {resume.canvas.shape[2]} pixels, not "
                    f"{size[1]} x {size[0]}; begin the run anew"
                )
            canvas, self._tile_size = mx.nd.array(resume.canvas), resume.tile_size
        elif self.canvas is None:
            canvas = starting_canvas(recipe.start, self.seed, inputs)
        elif self.canvas.shape[2:] == size:
            canvas = self.canvas.copy()
        else:
            canvas = mx.nd.array(_with_content(sizing.resize_image(self.canvas.asnumpy(), size), inputs))
        self.canvas = canvas.as_in_context(self._ctx)
        self._free = None if inputs.kept is None else as_plane(inputs.kept < 1, self._ctx)
        self._objective = self._bind(recipe, inputs)
        self._tile_size = self._objective.tile_size
        if self._takes_over():
            self._optimizer.renew()
        else:
            self._optimizer = prepare_optimizer(recipe, self.canvas)
        if resume is not None:
            self._resume = None
            self._load_optimizer(resume.optimizer, recipe.optimizer.optimizer)

    def _takes_over(self):
        """Return whether the network takes over now from its twin, whose curvature is nearly its own."""
        last = len(self._levels) - 1
        return bool(self.recipe.stopping.surrogate) and self._level == last and self._optimizer is not None

    def _bind(self, recipe, inputs, temporal_weight=0.0):
        """Return the objective of the canvas."""
        objective = Objective(
            recipe.losses,
            self._parameters[recipe.losses.model],
            inputs.content,
            inputs.styles,
            self.canvas,
            available(self._ctx, self._compute.memory),
            self._tile_size,
            arrays=_ARRAYS + count_arrays(recipe.optimizer),
            precision=self._precision,
            exact=_is_exact(recipe),
            regions=inputs.regions,
            sources=inputs.sources,
            temporal_weight=temporal_weight,
            workers=self._workers,
        )
        _warn_of_version(recipe.losses.model)  # now that there is no error to say instead
        return objective

    def _load_optimizer(self, state, name):
        try:
            self._optimizer.load(state)
        except (SettingsError, KeyError, ValueError, TypeError, IndexError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else first_line(error)
            raise CheckpointError(
                f"the checkpoint does not fit the optimizer {name} ({reason}); begin the run anew"
            ) from error

    def _descend(self, recipe):
        """Take steps on one level until there is a reason to stop."""
        canvas, optimizer, history, stopping = self.canvas, self._optimizer, self.history, recipe.stopping
        exact = _is_exact(recipe)
        begun = sum(step.level < self._level for step in history)
        evaluations = 0

        def evaluate():
            nonlocal evaluations
            evaluations += 1
            evaluation = self._objective.evaluate()
            if self._free is not None:
                mx.nd.broadcast_mul(evaluation.gradient, self._free, out=evaluation.gradient)
            return evaluation

        previous = canvas.copy()
        self.reason = StopReason.INTERRUPTED
        while True:
            steps = len(history) - begun
            if steps and history[-1].relative_change < stopping.stop_eps:
                self.reason = StopReason.CONVERGED
            elif steps >= stopping.max_steps:
                self.reason = StopReason.STEP_LIMIT
            if self.reason is not StopReason.INTERRUPTED or self._asked_to_stop:
                return
            canvas.copyto(previous)
            evaluations = 0
            evaluation = optimizer.step(canvas, evaluate)
            # The gradient has been used, so that its memory can take the difference.
            change = mx.nd.elemwise_sub(previous, canvas, out=evaluation.gradient)
            change, size = (euclidean_norm(array, exact) for array in (change, canvas))
            # The step's only wait for the device, if the optimizer has none.
            values = mx.nd.concat(evaluation.values, change, size, dim=0).asnumpy()
            if not np.isfinite(values).all() or optimizer.stalled:
                self.reason = StopReason.STALLED if np.isfinite(values).all() else StopReason.NOT_FINITE
                self.canvas = previous
                return
            evaluation = change = size = self._result = None
            step = self._describe(values, evaluations)
            history.append(step)
            epoch_log.info("epoch %d, relative change %f", step.number - 1, step.relative_change)
            yield step

    def _describe(self, values, evaluations):
        objective = self._objective
        parts = {name: float(v) * factor for name, v, factor in zip(objective.names, values, objective.factors)}
        norm, change, size = values[-3:]
        # In float32 like the original's, and 0 / 0 is a canvas that stays at zero: no change.
        relative_change = float(change / size) if size > 0 else 0.0
        return Step(
            number=len(self.history) + 1,
            losses=parts,
            loss=sum(parts.values()),
            gradient_norm=float(norm),
            clip_norm=objective.clip_norm,
            learning_rate=self._optimizer.learning_rate,
            relative_change=relative_change,
            evaluations=evaluations,
            level=self._level,
        )

    @property
    def tile_size(self):
        """Side of the tiles, in pixels, in which the current level is computed; 0 if it is computed whole."""
        return self._tile_size

    def close(self):
        """See `Run`."""
        super().close()
        self._objective = None
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def state(self):
        """See `Run`."""
        if self._optimizer is None:
            return self._resume
        canvas, optimizer = self.canvas.asnumpy(), self._optimizer.state()
        return RunState(self._level, canvas, optimizer, list(self.history), self._tile_size)

    def image(self):
        """See `Run`."""
        return self._finishing(super().image())

    @property
    def result(self):
        """See `Run`."""
        if self._result is None or self._result.reason is not self.reason:
            canvas, size = self.canvas.asnumpy(), image_size(self._content, self.recipe.size)
            if canvas.shape[2:] != size:
                canvas = sizing.resize_image(canvas, size)
            image = self._finishing(finish_image(canvas, self.recipe, last=True))
            self._result = Result(image, canvas, self.reason, list(self.history), self.recipe, self.seed)
        return self._result


def _with_content(canvas, inputs):
    """Return a canvas with the content where it stays."""
    return canvas if inputs.kept is None else canvas + (inputs.content - canvas) * inputs.kept


def _is_exact(recipe):
    """Return whether norms decide what is computed, so that they must be those of the originals to the last bit."""
    return recipe.losses.clip_gradient or recipe.stopping.stop_eps > 0


def prepare_optimizer(recipe, canvas):
    """Return the optimizer of a recipe for a canvas."""
    bounds = None
    if recipe.optimizer.clip_pixels:
        unit = units.get_unit(recipe.losses.unit)
        # (3,) -> (1, 3, 1, 1)
        bounds = tuple(mx.nd.array(b, ctx=canvas.context).reshape((1, -1, 1, 1)) for b in (unit.black, unit.white))
    return make_optimizer(recipe.optimizer, canvas, bounds)


def _explain_lack_of_memory(error, size, tile_size):
    """Turn what MXNet and Python say when there is none left into one line with the setting that helps."""
    found = NO_MEMORY.search(str(error))
    reason = found.group() if found else "allocation failed"
    how = f" in tiles of {tile_size} pixels" if tile_size else " whole" if tile_size == 0 else ""
    smaller = max(tile_size // 2 if tile_size else min(max(size) // 2, _USUAL_TILE), 16)
    return SettingsError(
        f"not enough memory to compute {size[1]} x {size[0]} pixels{how} ({reason}); set `tile_size` to {smaller}, or "
        "`memory` to what there is"
    )


def _refuse_input(error, model):
    """Raise a SettingsError if what MXNet refuses is not ours: a number beyond float32, somebody else's network."""
    beyond = _BEYOND.search(str(error))
    if beyond:
        what, value = beyond.groups()
        raise SettingsError(
            f"{value} as MXNet's {what} is no float32; choose `learning_rate`, weights and decays nearer to 1"
        ) from error
    if model not in ARCHITECTURES:
        raise SettingsError(f"{model} cannot be computed ({last_line(error)}); choose another `model`") from error


@functools.lru_cache(maxsize=None)  # once, whatever number of sizes and frames there is
def _warn_of_version(model):
    later = get_network(model).later_version
    if later:
        log.warning(
            "%s was written by MXNet %s, this is %s; it may mean something else here", model, later, mx.__version__
        )


def _levels(recipe, content, styles):
    """Return the recipes of a pyramid, from the smallest size on, without those too small for the network."""
    levels, edge, least_side = [recipe], float(recipe.size.max_long_edge), required_side(recipe.losses)
    for steps in reversed(recipe.size.pyramid):
        edge /= recipe.size.pyramid_factor
        if edge < recipe.size.pyramid_least:
            least, first = levels[0], recipe.size.pyramid[0]
            levels[0] = least.override(max_steps=max(least.stopping.max_steps, first))
            break
        level = recipe.override(max_long_edge=max(1, round(edge)), max_steps=steps)
        size = image_size(content, level.size)
        sides = [side for style in styles for side in style_size(style, level.size, size)]
        if min([*size, *sides]) < least_side:
            log.info("leaving out sizes of %d pixels and less: too small for the network", level.size.max_long_edge)
            break
        levels.insert(0, level)
    return levels
