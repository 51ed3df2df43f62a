"""What a batch came to: a table of all jobs, and their images on a sheet."""

from __future__ import annotations

import csv
import io
import logging
import math
import os
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ..errors import ImageError, OutputError
from ..files import output_error, write_whole
from ..images.contact_sheet import make_grid, shrink
from ..images.reading import read_image
from ..images.saving import save_image
from ..metrics.perceptual import Distances
from .batch import Outcome
from .job import Job

log = logging.getLogger(__name__)

_KINDS = {"style": "style_loss", "motif": "motif_loss", "content": "content_loss", "total": "variation"}
_BEFORE = ("image", "state", "content", "styles", "recipe")
_AFTER = ("seed", "width", "height", "steps", "stop", "loss", *_KINDS.values(), "style_distance", "content_distance")
_LAST = ("seconds", "error")

# The table is brought up to date at most so often, unless writing it would take more than this share of the time.
PAUSE_SECONDS, GREATEST_SHARE = 1.0, 0.01

SHEET_HEIGHT = 128  # of every image on the sheet, in pixels
MOST_ON_SHEET = 400


class Table:
    """A CSV file with a line for every job, in the order of the jobs; brought up to date while they run.

    The lines are also where a later start finds what was measured, so that nothing is measured twice.

    Parameters
    ----------
    path : str
    jobs : sequence of Job
    clock : callable
        Returns seconds.
    """

    def __init__(self, path: str, jobs: Sequence[Job], clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._clock, self._write_from = path, clock, clock()
        settings = [dict(job.recipe.settings()) for job in jobs]
        names = list(dict.fromkeys(name for one in settings for name in one))
        self._varied = [name for name in names if len({repr(one.get(name)) for one in settings}) > 1]
        self._rows = {job.outputs.final: self._describe(Outcome(job, "left")) for job in jobs}
        self._before = _read(path)

    def find_distances(self, job: Job, record: Mapping[str, Any]) -> Optional[Distances]:
        """Return the distances of a result if they were measured at an earlier start."""
        row = self._before.get(job.outputs.final, {})
        try:
            distances = Distances(float(row["style_distance"]), float(row["content_distance"]))
            same = float(row["loss"]) == _number(_sum(record))
        except (KeyError, ValueError):
            return None
        if same:
            # How long it took is known from then, too.
            self._rows[job.outputs.final]["seconds"] = row.get("seconds", "")
        return distances if same else None

    def add(self, outcome: Outcome) -> None:
        """Put an outcome into its line, and write the file if it is time to; a failure is only logged."""
        row = self._rows[outcome.job.outputs.final]
        new = self._describe(outcome)
        row.update(new, seconds=new["seconds"] or row["seconds"])
        begun = self._clock()
        if begun >= self._write_from:
            try:
                self.write()
            except OutputError as error:
                log.warning("%s", error)
            self._write_from = begun + max(PAUSE_SECONDS, (self._clock() - begun) / GREATEST_SHARE)

    def write(self) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, [*_BEFORE, *self._varied, *_AFTER, *_LAST])
        writer.writeheader()
        writer.writerows(self._rows.values())
        try:
            write_whole(self.path, text.getvalue().encode("utf-8"))
        except OSError as error:
            raise output_error(self.path, error) from error

    def _describe(self, outcome: Outcome) -> Dict[str, Any]:
        job, record, distances = outcome.job, outcome.record, outcome.distances
        settings = job.recipe.settings()
        row: Dict[str, Any] = dict.fromkeys([*_BEFORE, *self._varied, *_AFTER, *_LAST], "")
        row.update(
            image=job.outputs.final,
            state=outcome.state,
            content=job.content,
            styles=" + ".join(style.file for style in job.styles),
            recipe=job.recipe.name,
            seed="" if job.seed is None else job.seed,
            error=outcome.error,
        )
        row.update((name, _write(settings.get(name, ""))) for name in self._varied)
        if outcome.seconds is not None:
            row.update(seconds=f"{outcome.seconds:.1f}")
        if distances is not None:
            row.update(style_distance=f"{distances.style:.6g}", content_distance=f"{distances.content:.6g}")
        if record is not None:
            row.update(width=record["size"][0], height=record["size"][1], steps=record["steps"], stop=record["stop"])
            row.update(_losses(record.get("losses", {})), loss=_number(_sum(record)))
        return row


def _sum(record):
    return sum(record.get("losses", {}).values())


def _number(value):
    return float(f"{value:.9g}")


def _losses(losses):
    sums: Dict[str, float] = {}
    for name, value in losses.items():
        column = _KINDS.get(name.split("_")[0])
        if column:
            sums[column] = sums.get(column, 0.0) + value
    return {column: _number(value) for column, value in sums.items()}


def _write(value):
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _read(path: str) -> Dict[str, Dict[str, str]]:
    """Return the lines of an earlier table by image; none if there is no such table."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return {row["image"]: row for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}


def save_sheet(path: str, jobs: Sequence[Job]) -> None:
    """Save the results of jobs on one sheet, in their order, each with its name; what is missing is left blank.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    shown, images, captions = jobs[:MOST_ON_SHEET], [], []
    if len(shown) < len(jobs):
        log.info("the contact sheet shows the first %d of %d images", len(shown), len(jobs))
    for job in shown:
        try:
            images.append(shrink(read_image(job.outputs.final), SHEET_HEIGHT))
        except ImageError:
            images.append(None)
        captions.append(os.path.splitext(os.path.basename(job.outputs.final))[0])
    if any(image is not None for image in images):
        save_image(path, make_grid(images, captions, _choose_columns(jobs)))


def _choose_columns(jobs: Sequence[Job]) -> int:
    """Return how many images stand side by side: those of one content, if that makes a row and several."""
    contents: List[str] = [job.content for job in jobs]
    columns = contents.count(contents[0])
    if 2 <= columns <= 16 and all(len(set(contents[i : i + columns])) == 1 for i in range(0, len(jobs), columns)):
        return columns
    return max(1, math.ceil(math.sqrt(len(jobs[:MOST_ON_SHEET]))))
