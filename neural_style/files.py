"""Files: open only regular ones, write them whole or not at all, check that beforehand, compute their digests."""

import atexit
import contextlib
import errno
import hashlib
import os
import shutil
import socket
import stat
import time
import uuid
from typing import Any, BinaryIO, Callable, Iterable, Iterator, List, NamedTuple, Set

from .errors import OutputError

_ADVICE = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of its path is a file; choose another folder",
    errno.EACCES: "make it writable or choose another place",
    errno.EPERM: "make it writable or choose another place",
    errno.ENOSPC: "free some space or choose another place",
}


# Names of temporary files, which say which process is responsible for them.
_PREFIX, _PART = ".neural-style-", ".part"
# Older ones are left behind, too, also those of another machine, for whose processes nobody can ask.
_PART_SECONDS = 24 * 3600
# Those that this process has not removed yet.
_temporary: Set[str] = set()

# Every format that is written here can be told by its first bytes.
HEAD_BYTES = 4096


class NotRegular(OSError):
    """A name is of a pipe or a device, which never need to end."""


class Output(NamedTuple):
    """A file that is going to be written.

    Attributes
    ----------
    path : str or os.PathLike
    what : str
        What it is to the reader of a message: ``checkpoint``.
    is_own : callable
        From the first `HEAD_BYTES` of a file to whether it is of the kind that is written here.
    """

    path: Any
    what: str
    is_own: Callable[[bytes], bool]


def open_regular(path: Any) -> BinaryIO:
    """Open a regular file for reading, without waiting for the writer of a pipe.

    Raises
    ------
    OSError
        If there is none, it cannot be opened, or it is a folder, a pipe or a device (`NotRegular`).
    """
    try:
        _require_regular(os.stat(path), path)  # before opening, which for a device is an action
        file = open(path, "rb", opener=_open_without_waiting)
    except ValueError as error:  # a zero byte, or half of a character
        raise OSError(errno.EINVAL, "no file can have this name", path) from error
    try:
        _require_regular(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def _open_without_waiting(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(status, path):
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(errno.EINVAL, "it is a device or pipe", path)


def is_same_file(first: Any, second: Any) -> bool:
    """Return whether two names are of one file, through links of either kind, or would be once it is written."""
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return os.path.realpath(first) == os.path.realpath(second)


def check_outputs(outputs: Iterable[Output], inputs: Iterable[Any]) -> None:
    """Check, before anything is read, that files can be written and that nothing is lost by it.

    Parameters
    ----------
    outputs : iterable of Output
    inputs : iterable of str or os.PathLike
        What is read; None is ignored.

    Raises
    ------
    OutputError
        If an output is one of the inputs or an earlier output, would replace a file that is not of its kind, or as
        `check_writable`.
    """
    outputs, taken = list(outputs), [path for path in inputs if path]
    for output in outputs:
        if any(is_same_file(output.path, path) for path in taken):
            raise OutputError(
                f"{output.path}: another file of this run has this name; choose another for the {output.what}"
            )
        taken.append(output.path)
        _check_kind(output)
    for output in outputs[1:] + outputs[:1]:  # the first is the result, whose folder is not made for nothing
        check_writable(output.path)


def _check_kind(output):
    try:
        with open_regular(output.path) as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return  # there is none, or nobody may look: to replace it is no worse than before
    if head and not output.is_own(head):
        raise OutputError(
            f"{output.path}: is there already and is no {output.what} of this program; move it away or choose another "
            "name"
        )


@contextlib.contextmanager
def replacing(path):
    """Yield the name of a temporary file to write, which replaces `path` when the block ends without an error.

    The temporary file is in the same folder, so that moving it is one atomic step. It is flushed to the disk first.
    A new file has the usual permissions, a replaced one keeps its own; a symbolic link stays and its target is
    replaced. After any failure, including Ctrl-C, the temporary file is removed and what was at `path` is unchanged.

    Parameters
    ----------
    path : str or os.PathLike
        In a folder that exists.

    Yields
    ------
    str
        A name that does not exist yet.

    Raises
    ------
    OSError
        If the file cannot be flushed or moved. What the block raises passes through. `output_error` turns it into a
        message.
    """
    target = os.path.realpath(os.fspath(path))
    mode = _existing_mode(target)
    with _temporary_beside(target) as temporary:
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        if mode is not None:
            with contextlib.suppress(OSError):  # a file system without permissions must not cost the result
                os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)


def write_whole(path, data):
    """Write `data`, a bytes-like object, to `path` as `replacing` does.

    Raises
    ------
    OSError
    """
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(data)


def check_writable(path):
    """Check that a file can be written at `path`, before there is anything to write.

    The folder is created if it is missing, because writing will need it. Whether it is writable is tested with a
    temporary file, because permissions mean little for root, on network drives and on read-only file systems. If the
    check fails, nothing is left behind. A disk that fills up in the meantime is not detected.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    OutputError
        If `path` is a folder or a device, its folder cannot be created or written to, a file of that name is
        write-protected, or the name is too long.
    """
    path = os.fspath(path)
    target = os.path.realpath(path)
    made: List[str] = []
    try:
        _make_folders(os.path.dirname(target), made)
        if _existing_mode(target) is not None:
            if not os.path.isfile(target):
                kind = "a folder" if os.path.isdir(target) else "a device or pipe"
                raise OutputError(f"{path}: is {kind}; give the name of a file")
            # Replacing needs no permission on the file itself, but write protection is respected.
            with open(target, "r+b"):
                pass
        with _temporary_beside(target) as temporary, open(temporary, "xb"):
            pass
    except OSError as error:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise output_error(path, error) from error


def output_error(path, error):
    """Return an OutputError, for the caller to raise, that describes an OSError met while writing `path`."""
    advice = _ADVICE.get(error.errno, "choose another place")
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); {advice}")


def sha256(path):
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Raises
    ------
    OSError
    """
    sha = hashlib.sha256()
    with open_regular(path) as file:
        feed(sha, file)
    return sha.hexdigest()


def feed(sha, file):
    """Update a hash with the rest of an open file."""
    for block in iter(lambda: file.read(1 << 20), b""):
        sha.update(block)


def _make_folders(folder, made):
    """Create a folder and its parents; append each one that was missing to the list `made` once it exists."""
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            os.mkdir(folder)
            made.append(folder)


def _existing_mode(path):
    """Return the mode of a file, or None if it does not exist."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def temporary_folder(folder: str) -> Iterator[str]:
    """Yield the name of a new, empty folder in `folder`, which is removed at the end with all that is in it.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    with _temporary_beside(os.path.join(folder, "any")) as temporary:
        os.mkdir(temporary, 0o700)
        yield temporary


@contextlib.contextmanager
def _temporary_beside(path):
    """Yield an unused name in the folder of `path`; a file or folder of that name is removed at the end.

    `tempfile` is not used, because its files are readable only by their owner, whatever the umask says, and because a
    signal between making a file and noting that it is to be removed would leave it behind.
    """
    folder = os.path.dirname(path)
    sweep(folder)
    temporary = os.path.abspath(os.path.join(folder, f"{_PREFIX}{_mark()}{uuid.uuid4().hex}{_PART}"))
    _temporary.add(temporary)
    try:
        yield temporary
    finally:  # after success it has been moved away
        _remove(temporary)
        _temporary.discard(temporary)


@atexit.register
def _remove_the_rest():
    """Remove what is left where a second Ctrl-C has come while the first one's was being removed."""
    for path in list(_temporary):
        if _mark() in os.path.basename(path):  # not those of the process that this one is a fork of
            with contextlib.suppress(OSError):
                _remove(path)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


def _mark():
    """Return what says, in the name of a temporary file, which process is responsible for it."""
    return f"{_machine()}-{os.getpid()}-"


def sweep(folder: str) -> None:
    """Remove the temporary files in a folder whose processes were killed before they could do so."""
    try:
        left = [entry.path for entry in os.scandir(folder or ".") if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for path in left:
        with contextlib.suppress(OSError):
            if path.endswith(_PART) and _is_abandoned(path):
                _remove(path)


def _is_abandoned(path):
    """Return whether nobody is responsible any more for a temporary file or folder.

    Raises
    ------
    OSError
        If it is gone.
    """
    machine, process = (os.path.basename(path)[len(_PREFIX) :].split("-") + ["", ""])[:2]
    age = time.time() - os.stat(path).st_mtime
    return age > _PART_SECONDS or (machine == _machine() and process.isdecimal() and not is_running(int(process)))


def is_running(process: int) -> bool:
    """Return whether there is a process of this number on this machine."""
    import psutil  # only where something was left behind

    return psutil.pid_exists(process)


def _machine() -> str:
    """Return a few letters that stand for this machine: one folder may be shared by several."""
    return hashlib.sha1(socket.gethostname().encode("utf-8", "replace")).hexdigest()[:8]
