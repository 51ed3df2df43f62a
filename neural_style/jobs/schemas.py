"""Check what was read from JSON, which anybody may have written, before any of it is used."""

import os
from typing import Any

# The kind of a file's name, in which there may be anything: the system's names are bytes. All other text is printable.
NAME = object()

# What code that takes a checked record apart may still raise.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


def optional(kind: Any) -> Any:
    """Return the kind of a value that may also be null."""
    return (kind, type(None))


def check_schema(value: Any, expected: Any, name: str) -> None:
    """Raise a ValueError if a value is not of the kind that is expected.

    Parameters
    ----------
    value : object
        Of JSON.
    expected : type, dict, list or tuple
        A type; `NAME`; a table of keys in turn, of all keys under `str`; a list of one kind; or a tuple to choose from.
        An integer passes for a float. Whole numbers are of 64 bits.
    name : str
        Of the value, for the message.
    """
    for one in expected if isinstance(expected, tuple) else (expected,):
        if isinstance(one, dict) and isinstance(value, dict):
            for key, kind in (dict.fromkeys(value, one[str]) if str in one else one).items():
                if key not in value:
                    raise ValueError(f"{name} has no {key}")
                check_schema(value[key], kind, key)
            return
        if isinstance(one, list) and isinstance(value, list):
            for item in value:
                check_schema(item, one[0], name)
            return
        if one is NAME and isinstance(value, str):
            os.fsencode(value)  # half of a character raises a ValueError
            if "\0" in value:
                raise ValueError(f"{name} has a zero byte, which no name can have")
            return
        if isinstance(one, type) and (one is bool or not isinstance(value, bool)):
            if isinstance(value, (int, float) if one is float else one):
                if isinstance(value, int) and not -(2**63) <= value < 2**63:
                    raise ValueError(f"{name} is too large")
                return
    raise ValueError(f"{name} is of the wrong kind")


def check_text(value: Any, expected: Any = None) -> None:
    """Raise a ValueError if there are control characters, which could harm a terminal, in text that is no `NAME`.

    Parameters
    ----------
    value : object
        Of JSON, for which `check_schema` has nothing to say.
    expected : type, dict, list or tuple, optional
        As for `check_schema`.
    """
    if isinstance(value, str):
        kinds = expected if isinstance(expected, tuple) else (expected,)
        if not value.isprintable() and NAME not in kinds:
            raise ValueError("there are control characters in it")
    elif isinstance(value, dict):
        tables = [one for one in (expected if isinstance(expected, tuple) else (expected,)) if isinstance(one, dict)]
        table = tables[0] if tables else {}
        for key, one in value.items():
            check_text(key)
            check_text(one, table.get(key, table.get(str)))
    elif isinstance(value, list):
        lists = [one for one in (expected if isinstance(expected, tuple) else (expected,)) if isinstance(one, list)]
        for one in value:
            check_text(one, lists[0][0] if lists else None)
