"""The expected failures of this package.

Libraries raise these; only the command line turns them into one line on stderr and an exit code. A message names the
thing, what is wrong with it, and what to do. Any other exception is a bug and keeps its traceback.

A message names settings and parameters as Python does, between backquotes, such as `tile_size`: the command line
writes the flag instead, and a form in a browser marks the field.
"""

import re
from typing import Iterable, Mapping, Optional

_NAME = re.compile(r"`([a-z_]\w*)`")


class NeuralStyleError(Exception):
    """Base of every expected failure."""

    @property
    def setting(self) -> Optional[str]:
        """Name of the setting or parameter that the message is about: the first it names, or None."""
        found = _NAME.search(str(self))
        return found.group(1) if found else None


def with_names(message: str, names: Mapping[str, str]) -> str:
    """Return a message with other names for settings.

    Parameters
    ----------
    message : str
        Which has names of settings between backquotes.
    names : mapping of str to str
        What to write instead of a name and its backquotes; a name that is missing stays as it is.
    """
    return _NAME.sub(lambda match: names.get(match.group(1), match.group()), message)


def printable(text: str) -> str:
    r"""Return text with escapes for whatever a terminal could obey, or a reader overlook.

    Names of files may hold anything: control characters, marks that change the direction of writing, spaces of no
    width, bytes that are no text. They are shown as ``\x1b``, ``\u202e``, ``\u200d`` and ``\xff``.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character):
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # how Python writes a byte of a name that is no text
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


class ImageError(NeuralStyleError):
    """An image cannot be read, is empty, or is too small for the network."""


class WeightsError(NeuralStyleError):
    """Parameters are not found, incomplete, of the wrong shape, not finite, or not of a known format."""


class DownloadError(NeuralStyleError):
    """A file cannot be fetched, or is not what was asked for."""


class DeviceError(NeuralStyleError):
    """The requested device is not available, or MXNet cannot run on it."""


class WorkerError(NeuralStyleError):
    """A process that works for this one is lost or cannot be reached."""


class SettingsError(NeuralStyleError):
    """A setting has a value that makes no sense, or that contradicts another."""


class CheckpointError(NeuralStyleError):
    """A checkpoint cannot be read, or belongs to another run than the one to resume."""


class OutputError(NeuralStyleError):
    """A result cannot be written where it was asked for."""


class DependencyError(NeuralStyleError):
    """A required package is missing, or its version does not work with MXNet 1.x."""


def unknown(what: str, name: str, known: Iterable[str]) -> SettingsError:
    """Return a `SettingsError` that lists the choices.

    Parameters
    ----------
    what : str
        Kind of thing, such as ``recipe``.
    name : str
        What was asked for.
    known : iterable of str
    """
    return SettingsError(f"unknown {what} '{name}'; choose from {', '.join(known)}")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, or the name of its class if it has none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def last_line(error: BaseException) -> str:
    """Return the last line of an exception's text, where MXNet puts the reason; see `first_line`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
