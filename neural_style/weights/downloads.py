"""Fetch the known files of the `catalogue`.

A file is downloaded into a temporary folder beside its target, compared with its known digest, and only then moved to
its place, so a broken or wrong download is never used; one that is too long is broken off. `requests` respects the
usual proxy variables.
"""

import hashlib
import logging
import os
import shutil
import sys
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import DownloadError, first_line, unknown
from ..files import feed, temporary_folder
from .catalogue import KNOWN_FILES, cache_folder, git_blob_id
from .importers import import_weights
from .lookup import is_complete
from .params_file import save_weights

log = logging.getLogger(__name__)


class _TooLong(Exception):
    """More arrives than the file has."""


class _Bounded:
    """A file that takes so many bytes and no more."""

    def __init__(self, file, most_bytes):
        self._file, self._left = file, most_bytes

    def write(self, data):
        self._left -= len(data)
        if self._left < 0:
            raise _TooLong("the download is longer than the known file")
        self._file.write(data)

    def flush(self):
        self._file.flush()


def fetch(name, folder=None, timeout=30.0, retries=2, progress=None, replace=False):
    """Fetch a known file, unless it is already installed.

    Parameters
    ----------
    name : str
        A key of `KNOWN_FILES`.
    folder : str or path-like, optional
        Where to put it, created if necessary; by default the user's cache.
    timeout : float
        Seconds without a response, or without another byte of it, after which an attempt has failed.
    retries : int
        Further attempts, after a pause of 1 s, 2 s, ...
    progress : bool, optional
        Whether to draw a progress bar on stderr; by default, if it is a terminal.
    replace : bool
        Whether to overwrite another file of the same name.

    Returns
    -------
    pathlib.Path
        The file, complete and checked.

    Raises
    ------
    SettingsError
        If there is no such name.
    DownloadError
        If another file is in the way, the folder cannot be written to, or every attempt failed; the message says how to
        do it by hand.
    """
    if name not in KNOWN_FILES:
        raise unknown("file", name, KNOWN_FILES)
    known = KNOWN_FILES[name]
    folder = Path(os.path.expanduser(folder)) if folder else cache_folder()
    target = folder / known.filename
    if os.path.exists(target) and not replace:
        if _is_present(known, target):
            log.info("%s is already there: %s", name, target)
            return target
        raise DownloadError(f"{target} is already there and is not {known.description}; move it away or use `replace`")
    log.info("fetching %s from %s", name, known.url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(str(folder)) as scratch:
            came = _download(known, Path(scratch), timeout, retries, progress, target)
            if known.gluon:
                _import_gluon(known, came, target)
            else:
                _share(came)
                os.replace(came, target)
    except OSError as error:
        raise DownloadError(
            f"{name} cannot be stored in {folder} ({error.strerror or error}); choose another folder with `models_dir`"
        ) from error
    log.info("%s is complete: %s", name, target)
    return target


def _download(known, scratch, timeout, retries, progress, target):
    import pooch
    import requests

    if progress is None:
        progress = sys.stderr.isatty()
    http = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 18, timeout=timeout)

    def get(url, output_file, _):
        with open(output_file, "wb") as file:
            http(url, _Bounded(file, known.most_bytes), None)
        # Checked here because pooch knows neither git's blobs nor the contents of a zip. It retries on a ValueError.
        found = _digest_of_download(known, output_file)
        if found != known.digest:
            raise ValueError(f"the download is not the known file (digest {found}, expected {known.digest})")

    url, filename = known.url, PurePosixPath(known.path).name
    store = pooch.create(
        path=str(scratch), base_url="", registry={filename: None}, urls={filename: url}, retry_if_failed=retries
    )
    try:
        with _silent(pooch.get_logger()):
            return Path(store.fetch(filename, downloader=get))
    except (requests.exceptions.RequestException, ValueError, _TooLong) as error:
        # Other kinds of OSError must not be caught here: a full disk is not a bad connection.
        raise DownloadError(
            f"{known.name} could not be fetched from {url}: {_reason(error, timeout)}. "
            f"Without a network: {_by_hand(known, url, target)}"
        ) from error


def _import_gluon(known, archive, target):
    inside = archive.with_suffix(".params")
    with zipfile.ZipFile(archive) as file, file.open(inside.name) as source, open(inside, "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    save_weights(target, import_weights(inside, model=known.model, layout="gluon"))


def _is_present(known, target):
    if not os.path.isfile(target):
        return False
    if known.gluon:
        # An imported file has no published digest.
        return is_complete(target, known.model)
    return git_blob_id(target) == known.digest


def _digest_of_download(known, path):
    if not known.gluon:
        return git_blob_id(path)
    sha = hashlib.sha1()
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.getinfo(PurePosixPath(known.path).stem + ".params")
            if inside.file_size > known.most_bytes:
                return "none: what is in it is longer than the known file"
            with archive.open(inside) as file:
                feed(sha, file)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        return f"none: {error}"
    return sha.hexdigest()


def _reason(error, timeout):
    """Return in a few words why a download failed; requests wraps the same cause in several classes."""
    import requests

    if isinstance(error, requests.exceptions.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
        return f"no answer for {timeout:g} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off in the middle"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection to the server"
    return first_line(error)


def _by_hand(known, url, target):
    if known.gluon:
        return (
            f"download that address on another machine, unzip it, and run: neural-style weights import FILE.params "
            f"--layout gluon --model {known.model} --output {target}"
        )
    return f"download that address on another machine and put the file at {target}"


def _share(path):
    """Set a file's permissions to those of any new file; temporary files are readable only by their owner."""
    plain = path.with_name("plain")
    plain.touch()
    shutil.copymode(str(plain), str(path))


@contextmanager
def _silent(logger):
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
