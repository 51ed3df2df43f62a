"""Save images, uint8 arrays (H, W, 3) or with alpha (H, W, 4), whole or not at all, with metadata.

Pillow is imported by the functions that need it; `check_output` does not.
"""

import io
import os

import numpy as np

from ..errors import OutputError
from ..files import Output, check_writable, output_error, write_whole
from .reading import identify, is_image, open_image, over_white

# By suffix, Pillow's name of the format and its options. 4:4:4 JPEG, because style transfer produces colour detail.
# Not `optimize`: with it Pillow must guess the size of the file, and fails where a noisy image exceeds the guess.
# Deflate for TIFF, because tifffile, and therefore scikit-image, reads it without further packages.
FORMATS = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"subsampling": 0}),
    ".jpeg": ("JPEG", {"subsampling": 0}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".webp": ("WEBP", {"lossless": True}),
}

# The metadata of a saved image: names of PNG's tEXt chunks, which Exif and TIFF also have, under these tags.
METADATA = ("Software", "Comment")
_SOFTWARE, _IMAGE_DESCRIPTION = 305, 270  # TIFF 6.0; the first one also in Exif 2.32
_EXIF_DIRECTORY, _USER_COMMENT, _ASCII = 0x8769, 0x9286, b"ASCII\0\0\0"  # Exif 2.32, 4.6.5 and table 9


def check_output(path):
    """Check that an image can be saved at `path`, before there is one, as `files.check_writable` does.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    OutputError
        If the suffix is not one of `FORMATS`, or as `files.check_writable`.
    """
    path = os.fspath(path)
    _format(path)
    check_writable(path)


def as_output(path, what):
    """Return an image that is going to be saved, as `files.check_outputs` takes it.

    Raises
    ------
    OutputError
        If the suffix is not one of `FORMATS`.
    """
    path = os.fspath(path)
    _format(path)
    return Output(path, what, is_image)


def save_image(path, image, quality=95, metadata=None):
    """Save an image in the format of the path's suffix; see `FORMATS`.

    The folder is created if it is missing. The file appears whole or not at all; until then, an older file of that
    name remains unchanged. See `files.replacing`.

    Parameters
    ----------
    path : str or os.PathLike
    image : numpy.ndarray
        uint8 (H, W, 3), or with alpha (H, W, 4), which JPEG does not have: there it is laid over white.
    quality : int
        Of JPEG, 1 to 95; without effect on other formats. The originals left it to the library, which chose 75 and
        halved the resolution of colour.
    metadata : mapping of str to str, optional
        ASCII text under keys of `METADATA`, stored in PNG as tEXt chunks, in JPEG and WebP as Exif Software and
        UserComment, in TIFF as Software and ImageDescription. The pixels are the same with and without metadata.

    Raises
    ------
    OutputError
        If the file cannot be written, or as `check_output`.
    ValueError
        If `image` is not such an array, or `metadata` not ASCII.
    """
    from PIL import Image

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ValueError(f"an image is uint8 (H, W, 3) or (H, W, 4), not {image.dtype} {image.shape}")
    path = os.fspath(path)
    check_output(path)
    name, options = _format(path)
    if name == "JPEG":
        options = dict(options, quality=quality)
        image = over_white(image) if image.shape[2] == 4 else image
    options = dict(options, **_metadata_options(name, metadata or {}))
    encoded = io.BytesIO()  # encoding directly to the file would hide why writing fails
    try:
        Image.fromarray(np.ascontiguousarray(image)).save(encoded, name, **options)
        write_whole(path, encoded.getbuffer())
    except OSError as error:
        raise output_error(path, error) from error


def read_metadata(path):
    """Read the metadata that `save_image` wrote.

    Parameters
    ----------
    path : str or os.PathLike
        An image of any origin.

    Returns
    -------
    dict of str to str
        The entries of `METADATA` that the image has.

    Raises
    ------
    ImageError
        If the file is missing, cannot be opened, is empty, is not an image, or is damaged.
    """
    with open_image(os.fspath(path)) as file, identify(file) as image:
        found = _find_metadata(image)
    return {key: value for key, value in zip(METADATA, found) if isinstance(value, str)}


def _metadata_options(name, metadata):
    """Return the options with which Pillow's encoder called `name` writes `metadata`."""
    from PIL import Image, PngImagePlugin

    software, comment = (metadata.get(key, "") for key in METADATA)
    (software + comment).encode("ascii")  # all that the fields of Exif and TIFF can contain
    if not metadata:
        return {}
    if name == "PNG":
        chunks = PngImagePlugin.PngInfo()
        for key in METADATA:
            chunks.add_text(key, metadata.get(key, ""))
        return {"pnginfo": chunks}
    if name == "TIFF":
        return {"tiffinfo": {_SOFTWARE: software, _IMAGE_DESCRIPTION: comment}}
    exif = Image.Exif()
    exif[_SOFTWARE] = software
    exif[_EXIF_DIRECTORY] = {_USER_COMMENT: _ASCII + comment.encode("ascii")}
    return {"exif": exif.tobytes()}


def _find_metadata(image):
    """Return software and comment of a Pillow image, None where there is none."""
    if image.format == "TIFF":
        return image.tag_v2.get(_SOFTWARE), image.tag_v2.get(_IMAGE_DESCRIPTION)
    if image.format == "PNG":
        image.load()  # chunks may follow the pixels
        return tuple(image.info.get(key) for key in METADATA)
    exif = image.getexif()
    comment = exif.get_ifd(_EXIF_DIRECTORY).get(_USER_COMMENT)
    if isinstance(comment, bytes):
        comment = comment[len(_ASCII) :].decode("ascii", "replace") if comment.startswith(_ASCII) else None
    return exif.get(_SOFTWARE), comment


def _format(path):
    """Return the entry of FORMATS for a path; raise OutputError if there is none."""
    known = ", ".join(FORMATS)
    if not os.path.basename(path):
        raise OutputError(f"{path or 'the output'}: names no file; add a name that ends in one of {known}")
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in FORMATS:
        wrong = f"has the unknown suffix '{suffix}'" if suffix else "has no suffix"
        raise OutputError(f"{path}: {wrong}; use one of {known}")
    return FORMATS[suffix.lower()]
