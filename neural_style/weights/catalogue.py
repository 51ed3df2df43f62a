"""The known files: published networks, generators and images, with their digests; and the cache folder.

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
# Of MXNet's generators no size is published.
_GENERATORS_BYTES = 2**26

# The originals' data repository, MXNet's own model store, and the ONNX model zoo.
_WEB_DATA = "https://raw.githubusercontent.com/dmlc/web-data/master/"
_GLUON = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
_ONNX = "https://huggingface.co/onnxmodelzoo/"

# What a digest is of: git's name of the file (`git_blob_id`), its SHA-256, or the SHA-1 of the ``.params`` in a zip, as
# MXNet's model_store has it, or as many of its first digits as are published.
BLOB, SHA256, SHA1_INSIDE = "git blob", "SHA-256", "SHA-1 inside"


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
    most_bytes : int
        It is not larger, before any import and unzipped.
    description : str
        One line.
    model : str or None
        The network that it fits; None for a generator or an image.
    layout : str or None
        Of the importers: as what it is to be imported into this project's layout; None if it is used as it comes.
    base : str
        The base address.
    kind : {"git blob", "SHA-256", "SHA-1 inside"}
        Of the digest.
    """

    name: str
    filename: str
    path: str
    digest: str
    most_bytes: int
    description: str
    model: Optional[str] = None
    layout: Optional[str] = None
    base: str = _WEB_DATA
    kind: str = BLOB

    @property
    def url(self):
        """The address, taking mirrors in the environment into account."""
        base = os.environ.get(MIRROR_VARIABLE)
        if not base and self.base == _GLUON:
            base = os.environ.get(GLUON_VARIABLE)
        return (base or self.base).rstrip("/") + "/" + self.path

    @property
    def is_generator(self):
        """Whether it is a generator."""
        return self.model is None and self.layout is not None


def _onnx_style(name, digest):
    """Return the generator of a style in the ONNX model zoo, which are those of PyTorch's fast_neural_style example."""
    path = f"{name}-9/resolve/main/{name}-9.onnx"
    title = f"generator for the style {name} (PyTorch's fast_neural_style; ONNX model zoo)"
    return KnownFile(
        name, f"{name}.params", path, digest, 6728029, title, layout="transformer-net-onnx", base=_ONNX, kind=SHA256
    )


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
            layout="gluon",
            base=_GLUON,
            kind=SHA1_INSIDE,
        ),
        KnownFile(
            "gluon-vgg19",
            "gluon-vgg19.params",
            "gluon/models/vgg19-ad2f660d.zip",
            "ad2f660d101905472b83590b59708b71ea22b2e5",
            _VGG19_BYTES,
            "VGG-19 of Gluon's model zoo",
            "vgg19",
            layout="gluon",
            base=_GLUON,
            kind=SHA1_INSIDE,
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
        KnownFile(
            "end-to-end",
            "end-to-end.params",
            "mxnet/art/model.zip",
            "d3b913262c5a00716d0d1b58633b3478ced15480",
            _GENERATORS_BYTES,
            "the four generators in a chain of MXNet's end_to_end example",
            layout="end-to-end",
        ),
        KnownFile(
            "msg-net",
            "msg-net.params",
            "gluon/models/msgnet_21styles-2cb88353.zip",
            "2cb88353",
            _GENERATORS_BYTES,
            "MSG-Net of MXNet's Gluon example, for any style, best its 21",
            layout="msg-net",
            base=_GLUON,
            kind=SHA1_INSIDE,
        ),
        _onnx_style("candy", "9d11a3529d1e547da6ae07201d93484dbab2ec0a3614535752c8f40f0fe2968a"),
        _onnx_style("mosaic", "fa646dedade881243f8d5a2ceb7de2b93675b21fc24f7482894ac4851a9a0a47"),
        _onnx_style("pointilism", "5ee2b8d4d6bc60a777f54e0fe96a1b717360a004b79d56c67390d4a975b14d98"),
        _onnx_style("rain-princess", "4162912e6f75fedef6f810ae989b9e10d3d5d43308dab34b027c850cf255e152"),
        _onnx_style("udnie", "8656b6ce7dec8f22ee13c2d557d6b67bd6f550dde88d0f2e7c9972aeb765cc0d"),
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
