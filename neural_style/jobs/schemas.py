"""Check what was read from JSON, which anybody may have written, before any of it is used."""

from typing import Any

# What code that takes a checked record apart may still raise.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


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
        A type; a table of keys in turn, of all keys under `str`; a list of one kind; or a tuple to choose from. An
        integer passes for a float.
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
        if isinstance(one, type) and (one is bool or not isinstance(value, bool)):
            if isinstance(value, (int, float) if one is float else one):
                return
    raise ValueError(f"{name} is of the wrong kind")


def check_text(value: Any) -> None:
    """Raise a ValueError if there are control characters, which could harm a terminal, in any text of a value."""
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("there are control characters in it")
    if isinstance(value, dict):
        value = list(value) + list(value.values())
    for one in value if isinstance(value, list) else ():
        check_text(one)
