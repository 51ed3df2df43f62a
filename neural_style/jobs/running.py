"""Run a job: from files to files."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ..errors import SettingsError
from ..images.reading import read_image
from ..transfer.run import Result, StopReason
from ..transfer.stylize import begin
from .checkpoints import Checkpoint, check_unchanged
from .inputs import read_styles
from .job import Job
from .observers import Observer, follow
from .provenance import describe_run


def run_job(job: Job, observers: Sequence[Observer] = (), resume: Optional[Checkpoint] = None) -> Result:
    """Run a job: read its images, stylise, and save the results, each with a record of the run in its metadata.

    Parameters
    ----------
    job : Job
    observers : sequence of observers.Observer
        What else follows the run.
    resume : checkpoints.Checkpoint, optional
        The state to continue from; of a job with the same images, recipe, weights and seed.

    Returns
    -------
    Result
        Its image is saved, unless the run ended before its first step was complete.

    Raises
    ------
    OutputError
        If a result cannot be written; found out before the first step wherever that is possible.
    CheckpointError
        If the checkpoint is of other images or weights.
    ImageError, WeightsError, DeviceError, SettingsError, DependencyError
        If the run cannot start.
    """
    job.check()
    content, styles, controls = read_image(job.content, alpha=True), read_styles(job.styles), job.controls.read()
    start = read_image(job.start) if job.start else None
    job, weights = job.find_weights()
    record: Mapping[str, Any] = describe_run(job, weights)
    if resume is not None:
        check_unchanged(resume.run, record)
        record = resume.run  # so that the images carry the same record, names of files included
    run = begin(
        content,
        styles,
        job.recipe,
        start=start,
        seed=job.seed,
        weights=weights,
        compute=job.compute,
        controls=controls,
        resume=None if resume is None else resume.state,
    )
    del content, styles, start, controls
    with run:
        following = follow(job, record, run, observers, resume)
        for observer in following:
            observer.begin(run)
        for step in run:
            for observer in following:
                observer.step(step, run)
    for observer in reversed(following):
        observer.end(run)
    return run.result


def check_finite(job: Job, result: Result) -> None:
    """Make sure that a run did not come to values that are not finite.

    Raises
    ------
    SettingsError
        If it did, with what was saved nevertheless.
    """
    if result.reason is StopReason.NOT_FINITE:
        what = f"{job.outputs.final} holds the last good image" if result.history else "nothing is saved"
        raise SettingsError(
            f"step {len(result.history) + 1} gave values that are not finite; {what}. A smaller `learning_rate` or "
            "smaller weights may help"
        )
