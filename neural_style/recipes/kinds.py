"""What kind of value a setting has, whoever wrote it: a caller, a flag, or a file from a stranger."""

import math
import numbers
import typing
from typing import Any

from ..errors import SettingsError
from ..limits import LARGEST_FLOAT, MAX_COUNT, MAX_LENGTH, SMALLEST_FLOAT

_WORDS = {bool: "True or False", int: "a number, and a whole one", float: "a number", str: "text"}


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Check that a value is of a kind, and that MXNet can take it.

    Parameters
    ----------
    name : str
        Of the setting, for the message.
    value : object
    kind : type
        bool, int, float or str, or a tuple of any number of one of these. A NumPy number is one as well.

    Raises
    ------
    SettingsError
        If it is not; if a number is not finite, or so large or small that no float32 is near it; if a whole number is
        above `limits.MAX_COUNT`.
    """
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (tuple, list)):
            raise SettingsError(f"`{name}` is {_show(value)}; it must be a list")
        if len(value) > MAX_LENGTH:
            raise SettingsError(f"`{name}` has {len(value)} values; it must have {MAX_LENGTH} or less")
        for one in value:
            check_kind(name, one, typing.get_args(kind)[0])
        return
    if not _is(value, kind):
        raise SettingsError(f"`{name}` is {_show(value)}; it must be {_WORDS[kind]}")
    if kind is int and abs(value) > MAX_COUNT:
        raise SettingsError(f"`{name}` is {_show(value)}; it must be {MAX_COUNT} or less")
    if kind is float:
        _check_range(name, value)


def _is(value, kind):
    if kind in (bool, str):
        return isinstance(value, kind)
    return isinstance(value, numbers.Integral if kind is int else numbers.Real) and not isinstance(value, bool)


def _check_range(name, value):
    whole = isinstance(value, numbers.Integral)
    # A whole number may have more digits than any float.
    if not (abs(value) <= LARGEST_FLOAT if whole else math.isfinite(value)):
        raise SettingsError(f"`{name}` is {_show(value)}; it must be a finite number")
    if value and not SMALLEST_FLOAT <= abs(value) <= LARGEST_FLOAT:
        raise SettingsError(
            f"`{name}` is {value}; it must be 0 or from {SMALLEST_FLOAT:.2g} to {LARGEST_FLOAT:.2g}, as every float32"
        )


def _show(value):
    try:
        text = str(value) if isinstance(value, numbers.Number) else repr(value)
    except ValueError:  # of more digits than Python writes
        return "too long a number"
    return text if len(text) <= 40 else text[:37] + "..."
