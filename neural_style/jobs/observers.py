"""What follows a run of a job: saves images, writes the trace and the report, keeps the checkpoint."""

from __future__ import annotations

import logging
import os
from typing import Any, Dict, List, Optional, Sequence

from ..errors import ImageError, OutputError
from ..images.saving import save_image
from ..reports.pages import write_run_report
from ..transfer.run import Run, Step, StopReason
from .checkpoints import Checkpoint
from .complaint import Complaint
from .provenance import describe_image, read_record, to_metadata
from .trace import Trace

log = logging.getLogger(__name__)


class Observer:
    """Follows a run; a subclass overrides what it is interested in."""

    def begin(self, run: Run) -> None:
        """Before the first step."""

    def step(self, step: Step, run: Run) -> None:
        """After every step; ``run.stop()`` ends the run."""

    def saved(self, path: str, step: Step, run: Run) -> None:
        """After an intermediate image was saved, before `step` of observers that a caller gave."""

    def end(self, run: Run) -> None:
        """After the last step, why ever it was the last."""


class SaveImages(Observer):
    """Saves intermediate images and the result, each with its record; one that cannot be saved on the way is logged."""

    def __init__(self, outputs: Any, record: Any, followers: Sequence[Observer] = ()) -> None:
        self._complaint = Complaint()
        self._outputs, self._record, self._followers = outputs, record, followers
        self.final: Optional[str] = None

    def step(self, step: Step, run: Run) -> None:
        """Save the image if it is time to."""
        every = run.recipe.finish.save_every
        if run.has_converged or not every or step.number % every:
            return
        path = self._outputs.intermediate(step.number)
        try:
            self._save(path, run.image(), run.history)
        except OutputError as error:
            self._complaint.make(error)
        else:
            self._complaint.withdraw()
            for follower in self._followers:
                follower.saved(path, step, run)
        log.info("after %d steps: %s", step.number, _describe_objective(step))

    def end(self, run: Run) -> None:
        """Save the result, unless no step was complete."""
        result = run.result
        if result.history or result.reason is StopReason.STEP_LIMIT:
            self.final = self._outputs.final
            self._save(self.final, result.image, result.history, result.reason)

    def _save(self, path, image, history, reason=None):
        save_image(path, image, metadata=to_metadata(describe_image(self._record, history, reason, image.shape)))
        log.info("saved %s", path)


class WriteTrace(Observer):
    """Keeps the trace, and at the end writes it and the report."""

    def __init__(self, outputs: Any, trace: Trace, images: Optional[SaveImages] = None) -> None:
        self._outputs, self._trace, self.images = outputs, trace, images

    def step(self, step: Step, run: Run) -> None:
        """Add the step."""
        self._trace.add_step(step, run.canvas)

    def saved(self, path: str, step: Step, run: Run) -> None:
        """Add the image."""
        self._trace.add_picture(step.number, path)

    def end(self, run: Run) -> None:
        """Write the last state of the trace, then the report."""
        self._trace.finish(run.reason, self.images.final if self.images else None)
        self._trace.write()
        log.info("saved %s", self._outputs.trace)
        if self._outputs.report:
            write_run_report(self._outputs.report, self._trace.read())
            log.info("saved %s", self._outputs.report)


class UpdateTrace(Observer):
    """Brings the file of a trace up to date when everybody else is done with a step, so that it holds their doings."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def step(self, step: Step, run: Run) -> None:
        """Write the file if it is time to."""
        if not run.has_converged:
            self._trace.update()


class KeepCheckpoint(Observer):
    """Writes the state of the run; what cannot be written is logged."""

    def __init__(self, job: Any, record: Any) -> None:
        self._path, self._every = job.checkpoint, job.checkpoint_every
        self._job, self._record, self._stepped = job.absolute(), record, False
        self._complaint = Complaint()

    def step(self, step: Step, run: Run) -> None:
        """Write it if it is time to."""
        self._stepped = True
        if step.number % self._every == 0:
            self._write(run)

    def end(self, run: Run) -> None:
        """Write it if the run was interrupted."""
        if run.reason is StopReason.INTERRUPTED and self._stepped and self._write(run):
            log.info("saved %s; the run can be resumed from it", self._path)

    def _write(self, run):
        try:
            Checkpoint(self._job, self._record, run.state()).save(self._path)
        except OutputError as error:
            self._complaint.make(error)
            return False
        self._complaint.withdraw()
        return True


def follow(job: Any, record: Any, run: Run, observers: Sequence[Observer], resume: Any) -> List[Observer]:
    """Return all that follows the run of a job, in the order of its steps; the end comes in the reverse order.

    Parameters
    ----------
    job : job.Job
    record : dict
        Of `provenance.describe_run`.
    run : transfer.run.Run
    observers : sequence of Observer
        Of the caller.
    resume : checkpoints.Checkpoint or None
    """
    outputs, following = job.outputs, list(observers)
    if outputs.trace:
        trace = _begin_trace(job, record, run, resume)
        writer = WriteTrace(outputs, trace)
        images = SaveImages(outputs, record, [writer, *observers])
        writer.images = images
        following = [writer, images, *observers, UpdateTrace(trace)]
    else:
        following = [SaveImages(outputs, record, observers), *observers]
    return [*following, KeepCheckpoint(job, record)] if job.checkpoint is not None else following


def _begin_trace(job, record, run, resume):
    absolute = job.absolute()
    files = {
        "content": dict(record["content"], file=absolute.content),
        "styles": [_placed(entry, style.to_json()) for entry, style in zip(record["styles"], absolute.styles)],
        "controls": _placed(record["controls"], absolute.controls.to_json()),
        "start": record["start"] and dict(record["start"], file=absolute.start),
    }
    trace = Trace(job.outputs.trace, dict(record, **files), run.recipe)
    if resume is not None:
        trace.add_history(resume.state.history)
        every = job.recipe.finish.save_every
        for steps in (step.number for step in resume.state.history):
            path = job.outputs.intermediate(steps)
            if every and steps % every == 0 and _is_saved(path, record, steps):
                trace.add_picture(steps, path)
    return trace


def _placed(entry, there):
    """Return an entry of the record, and what is in it, with the names of files that another one has."""
    placed = {key: _placed(value, there[key]) if isinstance(value, dict) else value for key, value in entry.items()}
    return dict(placed, file=there["file"]) if "file" in entry else placed


def _is_saved(path, run, steps):
    """Return whether an image was saved by this run, or one like it, after so many steps."""
    if not os.path.exists(path):
        return False
    try:
        record = read_record(path)
    except ImageError:
        return False
    return record["steps"] == steps and all(record[key] == value for key, value in run.items())


def _describe_objective(step: Step) -> str:
    parts: Dict[str, float] = {}
    for name, loss in step.losses.items():
        kind = name.split("_")[0] if name != "total_variation" else "total variation"
        parts[kind] = parts.get(kind, 0.0) + loss
    return f"objective {step.loss:.6g}; " + ", ".join(f"{kind} {loss:.6g}" for kind, loss in sorted(parts.items()))
