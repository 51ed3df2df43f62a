"""Files: write them whole or not at all, check beforehand that they can be written, compute their digests."""

import contextlib
import errno
import hashlib
import os
import stat
import uuid
from typing import List

from .errors import OutputError

_ADVICE = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of its path is a file; choose another folder",
    errno.EACCES: "make it writable or choose another place",
    errno.EPERM: "make it writable or choose another place",
    errno.ENOSPC: "free some space or choose another place",
}


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
    with open(path, "rb") as file:
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
def _temporary_beside(path):
    """Yield an unused name in the folder of `path`; a file of that name is removed at the end.

    `tempfile` is not used, because its files are readable only by their owner, whatever the umask says.
    """
    temporary = os.path.join(os.path.dirname(path), f".neural-style-{uuid.uuid4().hex}.part")
    try:
        yield temporary
    finally:  # after success it has been moved away
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
