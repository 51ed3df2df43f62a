"""Save pictures, uint8 arrays (H, W, 3), whole or not at all, with what they can tell of themselves.

Pillow is imported by the functions that need it; `check_output` does without.
"""

import io
import os
import warnings
from collections import OrderedDict

import numpy as np

from ..errors import ImageError, OutputError
from ..files import check_writable, output_error, write_whole
from .reading import open_image

# Suffix to Pillow's name of the format and its options. 4:4:4 JPEG, because colour detail is what style transfer makes.
# Not `optimize`: with it Pillow must guess the size of the file, and fails where a noisy picture exceeds the guess.
# Deflate for TIFF, because tifffile, and so scikit-image, reads it without further packages.
FORMATS = OrderedDict(
    [
        (".png", ("PNG", {})),
        (".jpg", ("JPEG", {"subsampling": 0})),
        (".jpeg", ("JPEG", {"subsampling": 0})),
        (".tif", ("TIFF", {"compression": "tiff_adobe_deflate"})),
        (".tiff", ("TIFF", {"compression": "tiff_adobe_deflate"})),
    ]
)

# What a saved picture can tell of itself: names of PNG's tEXt chunks, which Exif and TIFF have too, under these tags.
METADATA = ("Software", "Comment")
_SOFTWARE, _IMAGE_DESCRIPTION = 305, 270  # TIFF 6.0, and the first of them Exif 2.32 in its own directory of tags
_EXIF_DIRECTORY, _USER_COMMENT, _ASCII = 0x8769, 0x9286, b"ASCII\0\0\0"  # Exif 2.32, 4.6.5 and table 9


def check_output(path):
    """Find out whether a picture can be saved at `path`, before there is one, as `files.check_writable` does.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    OutputError
        If the suffix is not one of `FORMATS`; also all that `files.check_writable` finds.
    """
    path = os.fspath(path)
    _format(path)
    check_writable(path)


def save_image(path, image, quality=95, metadata=None):
    """Save a picture; the suffix decides the format, see `FORMATS`.

    The folder is made if it is missing. The file appears whole or not at all, and an older one of that name stays as
    it was until then, see `files.replacing`.

    Parameters
    ----------
    path : str or os.PathLike
    image : numpy.ndarray
        uint8 (H, W, 3).
    quality : int
        Of JPEG, 1 to 95; without effect on the others. The originals left it to the library, which chose 75 and halved
        the resolution of colour.
    metadata : mapping of str to str, optional
        ASCII text under keys of `METADATA`: PNG gets them as tEXt chunks, JPEG as Exif Software and UserComment, TIFF
        as Software and ImageDescription. The pixels are the same with and without.

    Raises
    ------
    OutputError
        If the file cannot be written; also all that `check_output` finds.
    ValueError
        If `image` is not uint8 (H, W, 3), or `metadata` not ASCII.
    """
    from PIL import Image

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    path = os.fspath(path)
    check_output(path)
    name, options = _format(path)
    if name == "JPEG":
        options = dict(options, quality=quality)
    options = dict(options, **_metadata_options(name, metadata or {}))
    encoded = io.BytesIO()  # encoding to the file would hide why writing fails
    try:
        Image.fromarray(np.ascontiguousarray(image)).save(encoded, name, **options)
        write_whole(path, encoded.getbuffer())
    except OSError as error:
        raise output_error(path, error) from error


def read_metadata(path):
    """Read what `save_image` wrote as metadata.

    Parameters
    ----------
    path : str or os.PathLike
        A picture of any origin.

    Returns
    -------
    dict of str to str
        Those of `METADATA` that are there.

    Raises
    ------
    ImageError
        If the file is missing, cannot be opened, is empty, or is not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    path = os.fspath(path)
    with open_image(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as picture:
                found = _find_metadata(picture)
        except UnidentifiedImageError as error:
            raise ImageError(f"{path}: is not a picture of a known format; give a PNG, JPEG or TIFF") from error
        except Exception as error:  # on damaged files, decoders raise anything from SyntaxError to struct.error
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{path}: its metadata cannot be read ({reason}); it may be damaged") from error
    return {key: value for key, value in zip(METADATA, found) if isinstance(value, str)}


def _metadata_options(name, metadata):
    """Give the options of Pillow's encoder called `name` that write `metadata`."""
    from PIL import Image, PngImagePlugin

    software, comment = (metadata.get(key, "") for key in METADATA)
    (software + comment).encode("ascii")  # what Exif's and TIFF's fields hold
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


def _find_metadata(picture):
    """Give software and comment of a Pillow image, None where there is none."""
    if picture.format == "TIFF":
        return picture.tag_v2.get(_SOFTWARE), picture.tag_v2.get(_IMAGE_DESCRIPTION)
    if picture.format == "PNG":
        picture.load()  # chunks may stand after the pixels
        return tuple(picture.info.get(key) for key in METADATA)
    exif = picture.getexif()
    comment = exif.get_ifd(_EXIF_DIRECTORY).get(_USER_COMMENT)
    if isinstance(comment, bytes):
        comment = comment[len(_ASCII) :].decode("ascii", "replace") if comment.startswith(_ASCII) else None
    return exif.get(_SOFTWARE), comment


def _format(path):
    """Give the entry of FORMATS for a path; OutputError if there is none."""
    known = ", ".join(FORMATS)
    if not os.path.basename(path):
        raise OutputError(f"{path or 'the output'}: names no file; add one that ends in one of {known}")
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in FORMATS:
        wrong = f"has the unknown suffix '{suffix}'" if suffix else "has no suffix"
        raise OutputError(f"{path}: {wrong}; use one of {known}")
    return FORMATS[suffix.lower()]
