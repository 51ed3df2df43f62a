"""The known files: published weights and the original program's images, with their digests; and the cache folder.

Two environment variables change where files come from:

- ``NEURAL_STYLE_MIRROR``: an address under which every file has its path of `KNOWN_FILES`;
- ``MXNET_GLUON_REPO``: MXNet's own variable, only for the files of Gluon's model zoo.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import WeightsError
from ..files import feed, open_regular, sha256

MIRROR_VARIABLE = "NEURAL_STYLE_MIRROR"
GLUON_VARIABLE = "MXNET_GLUON_REPO"

# At most: the parameters of VGG-16 and VGG-19 in float32, fully connected layers included, and 1 MiB for their names.
_VGG16_BYTES, _VGG19_BYTES = 4 * 138357544 + 2**20, 4 * 143667240 + 2**20

# The originals' data repository, and MXNet's own model store.
_WEB_DATA = "https://raw.githubusercontent.com/dmlc/web-data/master/"
_GLUON = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"


@dataclass(frozen=True)
class KnownFile:
    """A published file.

    Attributes
    ----------
    name : str
        What ``weights fetch`` calls it.
    filename : str
        Its name in the folder, after any import.
    path : str
        Its path relative to the base address.
    digest : str
        Git blob id (`git_blob_id`); for Gluon's files, from MXNet's model_store, SHA-1 of the ``.params`` in the zip.
    most_bytes : int
        It is not larger, before any import and unzipped.
    description : str
        One line.
    model : str or None
        The network that it fits; None for an image.
    gluon : bool
        Whether it is one of Gluon's zip files, to be imported into this project's layout.
    """

    name: str
    filename: str
    path: str
    digest: str
    most_bytes: int
    description: str
    model: Optional[str] = None
    gluon: bool = False

    @property
    def url(self):
        """The address, taking mirrors in the environment into account."""
        base = os.environ.get(MIRROR_VARIABLE)
        if not base and self.gluon:
            base = os.environ.get(GLUON_VARIABLE) or _GLUON
        return (base or _WEB_DATA).rstrip("/") + "/" + self.path


KNOWN_FILES = {
    known.name: known
    for known in (
        KnownFile(
            "vgg19",
            "vgg19.params",
            "mxnet/neural-style/model/vgg19.params",
            "9dfbe2ed44e0e8914f9551888bf763e14c09c778",
            _VGG19_BYTES,
            "VGG-19 of the original program (Simonyan & Zisserman)",
            "vgg19",
        ),
        KnownFile(
            "vgg16",
            "vgg16.params",
            "gluon/models/vgg16-e660d456.zip",
            "e660d4569ccb679ec68f1fd3cce07a387252a90a",
            _VGG16_BYTES,
            "VGG-16 of Gluon's model zoo",
            "vgg16",
            gluon=True,
        ),
        KnownFile(
            "gluon-vgg19",
            "gluon-vgg19.params",
            "gluon/models/vgg19-ad2f660d.zip",
            "ad2f660d101905472b83590b59708b71ea22b2e5",
            _VGG19_BYTES,
            "VGG-19 of Gluon's model zoo",
            "vgg19",
            gluon=True,
        ),
        KnownFile(
            "IMG_4343.jpg",
            "IMG_4343.jpg",
            "mxnet/neural-style/input/IMG_4343.jpg",
            "eeb9f8c4c55c3c2095397ff82417ad23f2201834",
            230594,
            "the original program's content image",
        ),
        KnownFile(
            "starry_night.jpg",
            "starry_night.jpg",
            "mxnet/neural-style/input/starry_night.jpg",
            "d4db3c8e88f1bc85c7ca9c7f669da82ae51a402b",
            315236,
            "the original program's style image",
        ),
        KnownFile(
            "4343_starry_night.jpg",
            "4343_starry_night.jpg",
            "mxnet/neural-style/output/4343_starry_night.jpg",
            "0b7e435a07ab9cf7192a9d948e4caae36876fc7d",
            104493,
            "the result that the original program's authors published",
        ),
    )
}


def cache_folder():
    """Return the user's cache folder, into which files are fetched; it need not exist."""
    import pooch  # with requests this takes a third of a second, for which --help must not wait

    return Path(pooch.os_cache("neural-style"))


def digest(path):
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror})") from error


def git_blob_id(path):
    """Return git's name for a file's content: SHA-1 over "blob", the size, a zero byte and the content."""
    sha = hashlib.sha1(b"blob %d\0" % os.path.getsize(path))
    with open_regular(path) as file:
        feed(sha, file)
    return sha.hexdigest()
