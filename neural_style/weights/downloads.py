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

from ..errors import DownloadError, WeightsError, first_line, unknown
from ..files import feed, sha256, temporary_folder
from .catalogue import BLOB, KNOWN_FILES, SHA1_INSIDE, SHA256, cache_folder, git_blob_id
from .generator_importers import import_generator
from .generators import check_generator
from .importers import import_weights
from .lookup import is_complete
from .params_file import read_index, save_weights

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
            if known.layout:
                save_weights(target, _import(known, came))
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


def _import(known, came):
    """Return the parameters of a download, by this project's names."""
    source = came
    if zipfile.is_zipfile(came):
        source = came.parent / "inside"
        with zipfile.ZipFile(came) as archive:
            inside = _parameters_inside(known, archive)
            for name, place in inside.items():
                (source / place).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as file, open(source / place, "wb") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)
        if len(inside) == 1:
            source = source / next(iter(inside.values()))
    if known.is_generator:
        return import_generator(source, known.layout)
    return import_weights(source, model=known.model, layout=known.layout)


def _parameters_inside(known, archive):
    """Return where the files of parameters in an archive belong, by their names in it."""
    if known.kind == SHA1_INSIDE:
        name = PurePosixPath(known.path).stem + ".params"
        return {name: name}
    # A chain: folders 0, 1 and so on, of which only the last two parts of a name are used.
    names = (PurePosixPath(name) for name in archive.namelist() if name.endswith(".params"))
    return {str(name): str(PurePosixPath(*name.parts[-2:])) for name in names if name.parent.name.isdigit()}


def _is_present(known, target):
    if not os.path.isfile(target):
        return False
    if known.model and known.layout:
        # An imported file has no published digest.
        return is_complete(target, known.model)
    if known.is_generator:
        try:
            check_generator(read_index(target), target)
        except WeightsError:
            return False
        return True
    return git_blob_id(target) == known.digest


def _digest_of_download(known, path):
    if known.kind == BLOB:
        return git_blob_id(path)
    if known.kind == SHA256:
        return sha256(path)
    sha = hashlib.sha1()
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = _parameters_inside(known, archive)
            inside = archive.getinfo(name)
            if inside.file_size > known.most_bytes:
                return "none: what is in it is longer than the known file"
            with archive.open(inside) as file:
                feed(sha, file)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        return f"none: {error}"
    return sha.hexdigest()[: len(known.digest)]


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
    if not known.layout:
        return f"download that address on another machine and put the file at {target}"
    got = f"download that address on another machine{', unzip it,' if url.endswith('.zip') else ''} and run: "
    if known.model:
        return got + (
            f"neural-style weights import FILE.params --layout {known.layout} --model {known.model} --output {target}"
        )
    return got + f"neural-style weights import FILE --layout {known.layout} --output {target}"


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
