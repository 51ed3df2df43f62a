"""Where a picture comes from: the record of a run that travels in the metadata of the pictures it saved.

A record is a plain dict that JSON can hold. Schema ``neural-style/picture``, version 1:

=============  =========================================================================================================
schema         ``neural-style/picture``
version        1; a later version may change the meaning of what is there, anybody may add
program        version of neural-style that made the picture
recipe         name of the recipe
settings       every setting of the run by name, those that came from the recipe too, so that the record keeps its
               meaning when a recipe changes; tuples are lists
seed           of the noise, or null where the generator was left as it was
gpu            what was asked for: a number, -1 for the CPU, or null
weights        ``file``, ``sha256``, and ``found``: whether it is the one that is found without being named, then
               ``file`` is without folders; null where parameters came from memory
content        ``file``, as it was given, and ``sha256`` of the file
style          the same
initial        the same of a picture that the image started from, else null
steps          steps that were done
stop           name of the `transfer.run.StopReason`, null for a picture on the way
size           width and height in pixels
=============  =========================================================================================================
"""

import json
import os
from collections import OrderedDict

from .. import __version__
from ..errors import ImageError, SettingsError, WeightsError
from ..files import sha256
from ..images.saving import METADATA, read_metadata
from ..recipes.presets import DEFAULT_RECIPE, RECIPES
from ..weights.lookup import find_weights

SCHEMA, VERSION = "neural-style/picture", 1

_SOFTWARE, _COMMENT = METADATA
_FILE = {"file": str, "sha256": str}


def describe_run(recipe, seed, gpu, weights, content, style, initial=None):
    """Describe a run before it begins: what all its pictures share.

    Parameters
    ----------
    recipe : Recipe
        The one that runs.
    seed, gpu : int or None
        As `transfer.stylize.stylize` takes them.
    weights : str, path-like, or mapping
        The file, or parameters.
    content, style, initial : str or path-like
        Files; the last may be None.

    Returns
    -------
    dict

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    try:
        return OrderedDict(
            schema=SCHEMA,
            version=VERSION,
            program=__version__,
            recipe=recipe.name,
            settings=OrderedDict((name, _plain(value)) for name, value in recipe.settings().items()),
            seed=_plain(seed),
            gpu=_plain(gpu),
            weights=_describe_weights(recipe.model, weights),
            content=_describe_file(content),
            style=_describe_file(style),
            initial=None if initial is None else _describe_file(initial),
        )
    except OSError as error:
        raise ImageError(f"{error.filename}: cannot be read ({error.strerror}); check its name and folder") from error


def describe_picture(run, steps, reason, shape):
    """Describe a picture of a run.

    Parameters
    ----------
    run : dict
        Of `describe_run`.
    steps : int
    reason : transfer.run.StopReason or None
        None for a picture on the way.
    shape : sequence of int
        Height and width in pixels first.

    Returns
    -------
    dict
    """
    stop = None if reason is None else reason.name
    return OrderedDict(run, steps=int(steps), stop=stop, size=[int(shape[1]), int(shape[0])])


def to_metadata(record):
    """Put a record in the form in which `images.saving.save_image` takes it."""
    return {_SOFTWARE: f"neural-style {record['program']}", _COMMENT: json.dumps(record, separators=(",", ":"))}


def read_record(path):
    """Read the record of a picture.

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
        If the file is no picture, carries no record, or one that is damaged or of a later version.
    """
    comment = read_metadata(path).get(_COMMENT)
    if comment is None or SCHEMA not in comment:
        raise ImageError(
            f"{path}: carries no settings of neural-style; another program made it, or saved it again without them"
        )
    try:
        record = json.loads(comment, parse_constant=_refuse, object_pairs_hook=OrderedDict)
        version = record["version"]
        if record["schema"] != SCHEMA or type(version) is not int:
            raise ValueError("it is not a record of a picture")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ImageError(f"{path}: its settings are damaged ({_first_line(error)}); get the picture again") from error
    if version > VERSION:
        raise ImageError(
            f"{path}: its settings are of version {version}, this program knows {VERSION}; use a later neural-style"
        )
    try:
        _check(record, _RECORD, "the record")
        _check_text(record)
        recall_recipe(record)
    except (ValueError, TypeError, SettingsError) as error:
        raise ImageError(f"{path}: its settings are damaged ({_first_line(error)}); get the picture again") from error
    return record


def check_run(run):
    """Check what `describe_run` gave after it was read from a file.

    Raises
    ------
    ValueError, TypeError, SettingsError
        If it is not that.
    """
    _check(run, {key: kind for key, kind in _RECORD.items() if key not in _OF_A_PICTURE}, "the record")
    _check_text(run)
    recall_recipe(run)


def recall_recipe(record):
    """Give the recipe that a record tells of, as this program has it.

    Parameters
    ----------
    record : dict
        Of `read_record`.

    Returns
    -------
    recipe : Recipe
        Its name is one that is known here; its settings are the record's.
    strange : dict
        Settings of the record that this program does not have.
    """
    base = RECIPES.get(record["recipe"], RECIPES[DEFAULT_RECIPE])
    known, strange = OrderedDict(), OrderedDict()
    for name, value in record["settings"].items():
        usual = base.settings().get(name)
        if isinstance(value, bool) and isinstance(usual, (int, float)) and not isinstance(usual, bool):
            raise SettingsError(f"{name.replace('_', ' ')} is {value}; it must be a number")
        (known if name in base.settings() else strange)[name] = tuple(value) if isinstance(value, list) else value
    return base.override(**known), strange


def _plain(value):
    """Turn NumPy's numbers and tuples into what JSON has."""
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value


def _describe_file(path):
    return OrderedDict(file=os.fspath(path), sha256=sha256(path))


def _describe_weights(model, weights):
    if not isinstance(weights, (str, os.PathLike)):
        return None
    try:
        found = os.path.samefile(find_weights(model), weights)
    except WeightsError:
        found = False
    described = _describe_file(weights)
    if found:
        described["file"] = os.path.basename(described["file"])
    return OrderedDict(described, found=found)


def _optional(kind):
    return (kind, type(None))


_VALUE = (str, int, float, bool, type(None))
# What each key must be: a type, a table of keys in turn (of all keys under `str`), a list of one kind, or a choice.
_RECORD = {
    "program": str,
    "recipe": str,
    "settings": {str: _VALUE + ([_VALUE],)},
    "seed": _optional(int),
    "gpu": _optional(int),
    "weights": _optional(dict(_FILE, found=bool)),
    "content": _FILE,
    "style": _FILE,
    "initial": _optional(_FILE),
    "steps": int,
    "stop": _optional(str),
    "size": [int],
}


_OF_A_PICTURE = ("steps", "stop", "size")


def _check(value, expected, name):
    """Raise a ValueError if `value` is not as the table `expected` says."""
    for one in expected if isinstance(expected, tuple) else (expected,):
        if isinstance(one, dict) and isinstance(value, dict):
            for key, kind in (dict.fromkeys(value, one[str]) if str in one else one).items():
                if key not in value:
                    raise ValueError(f"{name} has no {key}")
                _check(value[key], kind, key)
            return
        if isinstance(one, list) and isinstance(value, list):
            for item in value:
                _check(item, one[0], name)
            return
        if isinstance(one, type) and isinstance(value, one) and (one is bool or not isinstance(value, bool)):
            return
    raise ValueError(f"{name} is of the wrong kind")


def _check_text(value):
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("there are control characters in it")
    if isinstance(value, dict):
        value = list(value) + list(value.values())
    for one in value if isinstance(value, list) else ():
        _check_text(one)


def _refuse(constant):
    raise ValueError(f"{constant} is not a number")


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
