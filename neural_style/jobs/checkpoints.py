"""Checkpoints: files from which a run is resumed bit for bit.

A checkpoint is NumPy's ``.npz`` without pickled objects: ``canvas`` (1, 3, H, W), what the optimizer keeps as
``optimizer/<name>``, and ``record``, UTF-8 JSON with the keys

==========  ============================================================================================================
schema      ``neural-style/checkpoint``
version     1
job         the job, with absolute paths; see `job.Job.to_json`
run         `provenance.describe_run` of the run: what its images carry, digests of inputs and weights among it
level       of the pyramid
tile_size   of this level, in pixels, 0 if it is computed whole
history     the fields of every `transfer.run.Step` so far
==========  ============================================================================================================

The noise that a run starts from is drawn before its first step and nothing is random after it, so that no state of a
generator is part of it.
"""

import dataclasses
import io
import json
from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from ..archives import read_arrays
from ..errors import CheckpointError, SettingsError, first_line
from ..files import output_error, write_whole
from ..limits import MAX_COUNT
from ..transfer.run import RunState, Step
from .job import Job
from .provenance import check_run
from .schemas import DAMAGE

SCHEMA, VERSION = "neural-style/checkpoint", 1

_OPTIMIZER = "optimizer/"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    job : Job
        With absolute paths.
    run : dict
        See `provenance.describe_run`.
    state : RunState
    """

    job: Job
    run: Mapping[str, Any]
    state: RunState

    def save(self, path: str) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written; what was at `path` is then as it was.
        """
        record = {
            "schema": SCHEMA,
            "version": VERSION,
            "job": self.job.to_json(),
            "run": self.run,
            "level": self.state.level,
            "tile_size": self.state.tile_size,
            "history": [dataclasses.asdict(step) for step in self.state.history],
        }
        arrays = {_OPTIMIZER + name: value for name, value in self.state.optimizer.items()}
        text = np.frombuffer(json.dumps(record).encode("utf-8"), np.uint8)
        data = io.BytesIO()
        np.savez(data, canvas=self.state.canvas, record=text, **arrays)
        try:
            write_whole(path, data.getbuffer())
        except OSError as error:
            raise output_error(path, error) from error


def load_checkpoint(path: str) -> Checkpoint:
    """Read a checkpoint.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If there is none, it is damaged or cut short, or it is of a later version.
    """
    try:
        arrays = read_arrays(path)
        record = json.loads(arrays.pop("record").tobytes().decode("utf-8"))
        schema, version = record["schema"], record["version"]
        if schema != SCHEMA or not isinstance(version, int):
            raise ValueError("it is something else")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise CheckpointError(f"checkpoint {path} does not exist; check `resume`") from error
        raise CheckpointError(f"checkpoint {path} cannot be read ({error.strerror or error})") from error
    except DAMAGE as error:
        raise _damaged(path, error) from error
    if version > VERSION:
        raise CheckpointError(
            f"checkpoint {path} is of version {version}, this program knows {VERSION}; use a later neural-style"
        )
    try:
        check_run(record["run"])
        canvas = arrays.pop("canvas")
        if canvas.dtype != np.float32 or canvas.ndim != 4 or canvas.shape[:2] != (1, 3):
            raise ValueError("its image is of the wrong kind")
        if not np.isfinite(canvas).all():
            raise ValueError("its image has values that are not finite")
        optimizer = {name[len(_OPTIMIZER) :]: value for name, value in arrays.items() if name.startswith(_OPTIMIZER)}
        history = [Step(**_step(step)) for step in record["history"]]
        level = _count(record["level"], "level")
        if [step.number for step in history] != list(range(1, len(history) + 1)):
            raise ValueError("its steps are not numbered one by one")
        if any(step.level > level for step in history):
            raise ValueError("its steps are of a later level than it is")
        state = RunState(level, canvas, optimizer, history, _count(record["tile_size"], "tile size"))
        return Checkpoint(Job.from_json(record["job"]), record["run"], state)
    except (SettingsError, *DAMAGE) as error:
        raise _damaged(path, error) from error


def check_unchanged(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a resumed run computes with what it began with.

    Parameters
    ----------
    then, now : dict
        `provenance.describe_run` of the checkpoint and of the run that is to continue.

    Raises
    ------
    CheckpointError
        If an image or the weights are others.
    """
    if len(then["styles"]) != len(now["styles"]):
        raise CheckpointError(f"the checkpoint is of {len(then['styles'])} styles, not {len(now['styles'])}")
    pairs = [("content image", then["content"], now["content"])]
    pairs += [("style image", *styles) for styles in zip(then["styles"], now["styles"])]
    pairs.append(("image to start from", then["start"], now["start"]))
    for before, after in zip(then["styles"], now["styles"]):
        pairs += [("mask", before[mask], after[mask]) for mask in ("mask", "source_mask")]
    pairs += [(f"file for `{name}`", then["controls"][name], now["controls"][name]) for name in now["controls"]]
    for what, before, after in pairs:
        if (before is None) != (after is None) or (before and before["sha256"] != after["sha256"]):
            raise CheckpointError(
                f"the checkpoint is of another {what} than {after['file'] if after else 'none'}; the run began with "
                f"SHA-256 {before['sha256'] if before else 'none'}"
            )
    for what, remedy in (("weights", ", name the file with `weights`"), ("surrogate", ""), ("generator", "")):
        before, after = then[what], now[what]
        if before and (after is None or before["sha256"] != after["sha256"]):
            raise CheckpointError(
                f"the checkpoint is of other weights than {after['file'] if after else 'none'}; the run began with "
                f"SHA-256 {before['sha256']}{remedy}"
            )


def _step(fields):
    names = {field.name for field in dataclasses.fields(Step)}
    if set(fields) != names:
        raise ValueError("its history is of another kind")
    for name in ("number", "level", "evaluations"):
        _count(fields[name], name)
    numbers = [fields[name] for name in names - {"number", "level", "evaluations", "losses"}]
    numbers += list(fields["losses"].values())
    # No bound is infinity; the rest of a step that is kept is finite.
    if not all(type(value) in (int, float) and float(value) == value for value in numbers):
        raise ValueError("its history has a number of the wrong kind")
    return fields


def _count(value, name):
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"its {name} is {value!r}")
    return value


def _damaged(path, error):
    return CheckpointError(f"checkpoint {path} is damaged or cut short ({first_line(error)}); begin the run anew")
