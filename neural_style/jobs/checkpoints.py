"""Checkpoints: files from which a run goes on bit for bit.

A checkpoint is NumPy's ``.npz`` without pickled objects: ``image`` (1, 3, H, W), what the optimizer keeps as
``optimizer/<name>``, and ``record``, UTF-8 JSON with the keys

==========  ============================================================================================================
schema      ``neural-style/checkpoint``
version     1
run         `provenance.describe_run` of the run: recipe, settings, seed, and digests of inputs and weights
inputs      absolute paths of ``content``, ``style`` and ``initial``
outputs     the fields of `job.Outputs`, absolute
level       of the pyramid
tile_size   of this level, in pixels, 0 if it is computed whole
asked       ``tile_size`` and ``memory`` that were asked for, null where they were not; it may be missing
history     the fields of every `transfer.run.Step` so far
==========  ============================================================================================================

The noise that a run starts from is drawn before its first step and nothing is random after it, so that no state of a
generator is part of it.
"""

import dataclasses
import io
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from ..errors import CheckpointError, SettingsError
from ..files import check_writable, output_error, write_whole
from ..transfer.run import RunState, Step
from .provenance import check_run

SCHEMA, VERSION = "neural-style/checkpoint", 1

_OPTIMIZER = "optimizer/"
_WHAT = {"content": "content picture", "style": "style picture", "initial": "picture to start from"}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    run : dict
        See `provenance.describe_run`.
    inputs : dict of str to (str or None)
        Paths of ``content``, ``style`` and ``initial``.
    outputs : dict of str to str
        The fields of `job.Outputs`.
    state : RunState
    asked : dict of str to (int or None)
        The ``tile_size`` and ``memory`` that `transfer.stylize.stylize` was given.
    """

    run: Mapping[str, object]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    state: RunState
    asked: Mapping[str, Optional[int]]

    def save(self, path):
        """Write the file, whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written; what was at `path` is then as it was.
        """
        record = dict(
            schema=SCHEMA,
            version=VERSION,
            run=self.run,
            inputs=self.inputs,
            outputs=self.outputs,
            level=self.state.level,
            tile_size=self.state.tile_size,
            asked=self.asked,
            history=[dataclasses.asdict(step) for step in self.state.history],
        )
        arrays = {_OPTIMIZER + name: value for name, value in self.state.optimizer.items()}
        text = np.frombuffer(json.dumps(record).encode("utf-8"), np.uint8)
        data = io.BytesIO()
        np.savez(data, image=self.state.image, record=text, **arrays)
        try:
            write_whole(path, data.getbuffer())
        except OSError as error:
            raise output_error(path, error) from error


def check_checkpoint(path, others):
    """Find out whether a checkpoint can be written at `path`, before there is one, and would replace no other file.

    Raises
    ------
    OutputError, CheckpointError
    """
    for other in filter(None, others):
        if os.path.realpath(other) == os.path.realpath(path):
            raise CheckpointError(f"{path}: another file of this run has this name; choose another for the checkpoint")
    check_writable(path)


def load_checkpoint(path):
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
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(arrays.pop("record").tobytes().decode("utf-8"))
        schema, version = record["schema"], record["version"]
        if schema != SCHEMA or not isinstance(version, int):
            raise ValueError("it is something else")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise CheckpointError(f"checkpoint {path} does not exist; check --resume") from error
        raise CheckpointError(f"checkpoint {path} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error
    if version > VERSION:
        raise CheckpointError(
            f"checkpoint {path} is of version {version}, this program knows {VERSION}; use a later neural-style"
        )
    try:
        check_run(record["run"])
        image = arrays.pop("image")
        if image.dtype != np.float32 or image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError("its image is of the wrong kind")
        if not np.isfinite(image).all():
            raise ValueError("its image has values that are not finite")
        optimizer = {name[len(_OPTIMIZER) :]: value for name, value in arrays.items() if name.startswith(_OPTIMIZER)}
        history = [Step(**_step(step)) for step in record["history"]]
        level = _count(record["level"], "level")
        if [step.number for step in history] != list(range(1, len(history) + 1)):
            raise ValueError("its steps are not numbered one by one")
        if any(step.level > level for step in history):
            raise ValueError("its steps are of a later level than it is")
        state = RunState(level, image, optimizer, history, _count(record["tile_size"], "tile size"))
        asked = _asked(record.get("asked", {}))
        return Checkpoint(record["run"], _texts(record["inputs"]), _texts(record["outputs"]), state, asked)
    except (ValueError, KeyError, TypeError, AttributeError, SettingsError) as error:
        raise _damaged(path, error) from error


def check_unchanged(then, now):
    """Make sure that a run that goes on computes with what it began with.

    Parameters
    ----------
    then, now : dict
        `provenance.describe_run` of the checkpoint and of the run that is to go on.

    Raises
    ------
    CheckpointError
        If a picture or the weights are others.
    """
    for kind, what in _WHAT.items():
        if (then[kind] is None) != (now[kind] is None) or (then[kind] and then[kind]["sha256"] != now[kind]["sha256"]):
            was = then[kind]["sha256"] if then[kind] else "none"
            raise CheckpointError(
                f"the checkpoint is of another {what} than {now[kind]['file'] if now[kind] else 'none'}; the run "
                f"began with SHA-256 {was}"
            )
    if then["weights"] and now["weights"] and then["weights"]["sha256"] != now["weights"]["sha256"]:
        raise CheckpointError(
            f"the checkpoint is of other weights than {now['weights']['file']}; the run began with SHA-256 "
            f"{then['weights']['sha256']}, name the file with --weights"
        )


def _step(fields):
    names = {field.name for field in dataclasses.fields(Step)}
    if set(fields) != names:
        raise ValueError("its history is of another kind")
    for name in ("number", "level", "evaluations"):
        _count(fields[name], name)
    numbers = [fields[name] for name in names - {"number", "level", "evaluations", "losses"}]
    if not all(type(value) in (int, float) for value in numbers + list(fields["losses"].values())):
        raise ValueError("its history has a number of the wrong kind")
    return fields


def _count(value, name):
    if type(value) is not int or value < 0:
        raise ValueError(f"its {name} is {value!r}")
    return value


def _asked(fields):
    asked = {name: fields.get(name) for name in ("tile_size", "memory")}
    if not all(value is None or type(value) is int and value >= 0 for value in asked.values()):
        raise ValueError("its limits are of the wrong kind")
    return asked


def _texts(fields: Dict[str, object]):
    if not all(value is None or isinstance(value, str) for value in fields.values()):
        raise ValueError("its paths are of the wrong kind")
    return dict(fields)


def _damaged(path, error):
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return CheckpointError(f"checkpoint {path} is damaged or cut short ({reason}); begin the run anew")
