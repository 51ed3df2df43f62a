"""Where an image comes from: the record of a run that travels in the metadata of the images it saved.

A record is a plain dict that JSON can hold. Schema ``neural-style/image``, version 1:

=============  =========================================================================================================
schema         ``neural-style/image``
version        1; a later version may change the meaning of what is there, anybody may add
program        version of neural-style that made the image
recipe         name of the recipe
settings       every setting of the run by name, those that came from the recipe too, so that the record keeps its
               meaning when a recipe changes; tuples are lists
seed           of the noise, or null where the generator was left as it was
compute        ``gpu``, ``precision``, ``memory`` and ``tile_size`` that were asked for; see `transfer.compute.Compute`
weights        ``file``, ``sha256``, and ``found``: whether it is the one that is found without being named, then
               ``file`` is without folders
surrogate      the same of its low-rank twin, if that took most steps, else null
generator      the same of the generator whose picture the canvas started from, else null
content        ``file``, as it was given, and ``sha256`` of the file
styles         a list of the same, with ``weight`` and ``scale``; ``mask``: its mask, with ``color``, or null;
               ``source_mask``: what of it counts, or null
start          the same of an image that the canvas started from, else null
controls       ``keep`` and ``strength``, the same of masks, and ``palette``, of an image; else null
steps          steps that were done
stop           name of the `transfer.run.StopReason`, null for an intermediate image
size           width and height in pixels
losses         each part of the objective at the last step, see `transfer.run.Step`; missing before the first
=============  =========================================================================================================
"""

import json
import os
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from .. import __version__
from ..errors import ImageError, SettingsError, WeightsError, first_line
from ..files import sha256
from ..images.saving import METADATA, read_metadata
from ..transfer.inputs import find_twin
from ..transfer.run import Step, StopReason
from ..transfer.stylize import first_recipe
from ..weights.generators import find_generator
from ..weights.lookup import find_weights
from .inputs import CONTROLS, FILE, MASK, STYLE
from .job import RUN, Job, read_recipe
from .schemas import DAMAGE, check_schema, check_text, optional

SCHEMA, VERSION = "neural-style/image", 1

_SOFTWARE, _COMMENT = METADATA


def describe_run(job: Job, weights: Any, digest: Callable[[Any], str] = sha256) -> Dict[str, Any]:
    """Describe a run before it begins: what all its images share.

    Parameters
    ----------
    job : job.Job
        With the network that runs.
    weights : str or path-like
        The file of its weights.
    digest : callable
        Computes the SHA-256 of a file; for many jobs with the same files, it may remember them.

    Returns
    -------
    dict

    Raises
    ------
    ImageError
        If a file cannot be read.
    WeightsError, SettingsError
        If the network has no twin and needs one, or there is no generator to start from.
    """
    told, model = job.to_json(), job.recipe.network
    twin = None if job.recipe.feed_forward or not job.recipe.stopping.surrogate else find_twin(model)
    first = None if job.start else first_recipe(job.recipe)
    generator = first and (first.network, find_generator(first.network))
    try:
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "program": __version__,
            **{key: told[key] for key in RUN},
            "weights": _describe_weights(model, weights, digest),
            "surrogate": twin and _describe_weights(twin[0], twin[1], digest),
            "generator": generator and _describe_weights(generator[0], generator[1], digest),
            "content": _with_digest(told["content"], digest),
            "styles": [
                dict(
                    _with_digest(style, digest),
                    **{mask: _with_digest(style[mask], digest) for mask in ("mask", "source_mask")},
                )
                for style in told["styles"]
            ],
            "start": _with_digest(told["start"], digest),
            "controls": {name: _with_digest(entry, digest) for name, entry in told["controls"].items()},
        }
    except OSError as error:
        raise ImageError(f"{error.filename}: cannot be read ({error.strerror}); check its name and folder") from error


def describe_image(
    run: Mapping[str, Any], history: Sequence[Step], reason: Optional[StopReason], shape: Sequence[int]
) -> Dict[str, Any]:
    """Describe an image of a run.

    Parameters
    ----------
    run : dict
        Of `describe_run`.
    history : sequence of transfer.run.Step
        The steps so far.
    reason : transfer.run.StopReason or None
        None for an intermediate image.
    shape : sequence of int
        Height and width in pixels first.

    Returns
    -------
    dict
    """
    stop = None if reason is None else reason.name
    record = dict(run, steps=len(history), stop=stop, size=[int(shape[1]), int(shape[0])])
    return dict(record, losses=dict(history[-1].losses)) if history else record


def to_metadata(record: Mapping[str, Any]) -> Dict[str, str]:
    """Return a record in the form in which `images.saving.save_image` takes it."""
    return {_SOFTWARE: f"neural-style {record['program']}", _COMMENT: json.dumps(record, separators=(",", ":"))}


def read_record(path: Any) -> Dict[str, Any]:
    """Read the record of an image.

    Only the schema above is taken from a file, and nothing in it is ever run; text with control characters, which could
    harm a terminal, is refused.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    dict

    Raises
    ------
    ImageError
        If the file is no image, carries no record, or one that is damaged or of a later version.
    """
    comment = read_metadata(path).get(_COMMENT)
    if comment is None or SCHEMA not in comment:
        raise ImageError(
            f"{path}: carries no settings of neural-style; another program made it, or saved it again without them"
        )
    try:
        record = json.loads(comment, parse_constant=_refuse)
        version = record["version"]
        if record["schema"] != SCHEMA or type(version) is not int:
            raise ValueError("it is not a record of an image")
    except DAMAGE as error:
        raise ImageError(f"{path}: its settings are damaged ({first_line(error)}); get the image again") from error
    if version > VERSION:
        raise ImageError(
            f"{path}: its settings are of version {version}, this program knows {VERSION}; use a later neural-style"
        )
    try:
        check_run(record)
        check_schema(record, _OF_AN_IMAGE, "the record")
        check_schema(record.get("losses", {}), {str: float}, "losses")
    except (SettingsError, *DAMAGE) as error:
        raise ImageError(f"{path}: its settings are damaged ({first_line(error)}); get the image again") from error
    return record


def check_run(run: Mapping[str, Any]) -> None:
    """Check what `describe_run` returned after it was read from a file.

    Raises
    ------
    ValueError, TypeError, SettingsError
        If it is not that.
    """
    check_schema(run, _RUN, "the record")
    check_text(run, _RUN)
    read_recipe(run)


def _with_digest(entry, digest):
    return entry and dict(entry, sha256=digest(entry["file"]))


def _describe_weights(model, weights, digest):
    try:
        # A generator may be named by its file.
        found = not os.path.isfile(model) and os.path.samefile(find_weights(model), weights)
    except WeightsError:
        found = False
    described = _with_digest({"file": os.fspath(weights)}, digest)
    if found:
        described["file"] = os.path.basename(described["file"])
    return dict(described, found=found)


_DIGEST = {"sha256": str}
_RUN = {
    "program": str,
    **RUN,
    "weights": {**FILE, **_DIGEST, "found": bool},
    "surrogate": optional({**FILE, **_DIGEST, "found": bool}),
    "generator": optional({**FILE, **_DIGEST, "found": bool}),
    "content": {**FILE, **_DIGEST},
    "styles": [
        {**STYLE, **_DIGEST, "mask": optional({**MASK, **_DIGEST}), "source_mask": optional({**FILE, **_DIGEST})}
    ],
    "start": optional({**FILE, **_DIGEST}),
    "controls": dict.fromkeys(CONTROLS, optional({**FILE, **_DIGEST})),
}
_OF_AN_IMAGE = {"steps": int, "stop": optional(str), "size": [int]}


def _refuse(constant):
    raise ValueError(f"{constant} is not a number")
