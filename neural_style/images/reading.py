"""Read images of any kind as upright RGB: uint8 arrays (H, W, 3).

Pillow and scikit-image are imported by the functions that need them: scikit-image takes longer to import than
everything else here.
"""

import contextlib
import logging
import os
import re
import warnings

import numpy as np

from ..errors import ImageError, first_line
from ..files import NotRegular, open_regular
from ..limits import max_pixels
from ..silence import silent_stderr

log = logging.getLogger(__name__)

# Pillow's names of the formats that are read, and how their files begin. It knows more, among them some whose reader
# starts another program, such as Ghostscript, which obeys what stands in the file.
FORMATS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "WEBP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM",
    "PPM": rb"P[1-6f]\s",
    "AVIF": rb"....ftyp(?:avi[fs]|m[is]f1)",
}
_HEAD = 16

# Truevision TGA 2.0 can be told by its end only.
_TGA, _TGA_END = "TGA", b"TRUEVISION-XFILE.\0"
# Of the files that are taken for images where a folder is given; a file that is named may have any.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF, in both byte orders

# TIFF 6.0: tags, and values of PhotometricInterpretation, PlanarConfiguration and ExtraSamples
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _PLANAR_CONFIGURATION = 258, 262, 274, 284
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_IN_PLANES = 2
_PREMULTIPLIED_ALPHA, _ALPHA = 1, 2

# Exif 2.32, 4.6.4: what makes a stored array (H, W, C) upright. Pillow has such a table, but not for tifffile.
_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


_NOWHERE = logging.NullHandler()


class _Unsupported(Exception):
    """The file is sound, but its content has no unique meaning as an 8-bit RGB image."""


def read_image(path, alpha=False):
    """Read an image of any kind as upright 8-bit RGB.

    Ordinary 8-bit RGB images are returned as by `skimage.io.imread`, bit for bit. In other cases: grey is repeated over
    the channels; palettes, CMYK, YCbCr and CIELAB are converted; of 16 bits the upper 8 are kept, as by
    `skimage.util.img_as_ubyte`; floats in [0, 1] are scaled and rounded; an image that is rotated or mirrored according
    to its EXIF or TIFF tag is turned upright; of an animation or a file of several pages the first is used. Transparent
    parts are laid over white, with a warning in the log. Embedded colour profiles are not applied.

    Parameters
    ----------
    path : str or os.PathLike
        A file of one of `FORMATS`, whatever its name is, or a TIFF that tifffile reads.
    alpha : bool
        Whether an image with transparent parts is returned with its alpha, not laid over white.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3), values 0 to 255, contiguous; with transparent parts and `alpha`, (H, W, 4).

    Raises
    ------
    ImageError
        If the file is missing, cannot be opened, is empty, is not an image, is damaged, is too large
        (`limits.max_pixels`), or contains values that are neither 8- or 16-bit nor floats in [0, 1].
    """
    path = os.fspath(path)
    with open_image(path) as file:
        pixels, orientation = _decode(file)
    if 0 in pixels.shape:
        raise ImageError(f"{path}: has no pixels; choose another image")
    if pixels.shape[2] == 4 and not (alpha and pixels[..., 3].min() < 255):
        if pixels[..., 3].min() < 255:
            log.warning("%s: laying its transparent parts over white", path)
        pixels = over_white(pixels)
    # A copy, because the memory of Pillow's images is read-only.
    return np.array(_UPRIGHT.get(orientation, lambda a: a)(pixels), order="C")


@contextlib.contextmanager
def open_image(path):
    """Open an image file, and turn whatever a decoder raises about it into an ImageError.

    Parameters
    ----------
    path : str

    Yields
    ------
    file object
        Of a regular, non-empty file, open for reading.

    Raises
    ------
    ImageError
    """
    from PIL import Image, UnidentifiedImageError

    for library in ("PIL", "tifffile"):  # without a handler Python prints what they say of damage
        logging.getLogger(library).addHandler(_NOWHERE)
    with _open(path) as file, warnings.catch_warnings():
        # Decoders warn of broken metadata, and of images of half the size limit. What affects the pixels is raised.
        warnings.simplefilter("ignore")
        try:
            yield file
        except _Unsupported as error:
            raise ImageError(f"{path}: {error}; convert it to an 8-bit PNG or JPEG") from error
        except Image.DecompressionBombError as error:
            raise ImageError(
                f"{path}: more than {max_pixels()} pixels are not read; scale the image down first"
            ) from error
        except MemoryError as error:
            raise ImageError(f"{path}: does not fit into memory; scale the image down first") from error
        except UnidentifiedImageError as error:
            raise ImageError(f"{path}: is not an image of a known format; convert it to PNG or JPEG") from error
        except Exception as error:  # on damaged files, decoders raise anything from SyntaxError to struct.error
            raise ImageError(
                f"{path}: cannot be decoded ({first_line(error)}); it may be damaged or cut short: get it again, or "
                "convert it to PNG"
            ) from error


def is_image(head):
    """Return whether a file that begins like this is in one of `FORMATS`."""
    return _format(head) is not None


def _format(head):
    return next((name for name, beginning in FORMATS.items() if re.match(beginning, head, re.DOTALL)), None)


def identify(file):
    """Open a file as Pillow's image, of one of `FORMATS` and no other.

    Raises
    ------
    PIL.UnidentifiedImageError
    """
    from PIL import Image, UnidentifiedImageError

    name = _format(file.read(_HEAD))
    if name is None and os.fstat(file.fileno()).st_size >= len(_TGA_END):
        file.seek(-len(_TGA_END), os.SEEK_END)
        name = _TGA if file.read() == _TGA_END else None
    if name is not None and name not in Image.OPEN:
        Image.init()
    if name not in Image.OPEN:  # Pillow before 11.3 has no AVIF
        raise UnidentifiedImageError
    file.seek(0)
    return Image.open(file, formats=[name])


def _open(path):
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check its name and folder") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder; give the name of an image in it") from error
    except NotRegular as error:
        raise ImageError(f"{path}: is a device or pipe; give the name of a file") from error
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read (permission denied); change its permissions or copy it") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check its name, or copy it") from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise ImageError(f"{path}: is empty (0 bytes); get the image again")
    return file


def _decode(file):
    """Return the pixels as stored, uint8 (H, W, 3) or with alpha (H, W, 4), and the EXIF orientation, 1 to 8."""
    from PIL import UnidentifiedImageError

    try:
        image = identify(file)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(4) not in _TIFF_MAGIC:
            raise
        return _decode_tiff(file)
    if image.format == "TIFF":
        tags = image.tag_v2
        # Pillow opens 16-bit planes, but reads every byte as a pixel.
        if tags.get(_PLANAR_CONFIGURATION) == _IN_PLANES and max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8:
            return _decode_tiff(file)
        with silent_stderr():  # the C library says on it what is raised as well
            image.load()
    else:
        image.load()
    return _to_rgb(image), _orientation(image)


def _orientation(image):
    """Return the orientation of a loaded Pillow image, 1 to 8."""
    if image.format == "TIFF":  # Pillow has turned it while loading; older versions keep the tag anyway
        return 1
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data can raise anything, and are no reason to refuse sound pixels
        return 1


def _to_rgb(image):
    """Convert a Pillow image of any mode to uint8 (H, W, 3), or (H, W, 4) if it has transparency."""
    from PIL import ImageChops, ImageCms

    mode = image.mode
    if mode.startswith("I") or mode == "F":
        samples = np.asarray(image)
        if mode == "I":  # 32-bit integers in a TIFF; in other formats, how older Pillows return 16 bits
            if image.format == "TIFF" or samples.min() < 0 or samples.max() > 65535:
                raise _Unsupported("its samples are signed or 32-bit integers")
            samples = samples.astype(np.uint16)
        samples = _to_8_bit(samples)
        # Pillow does this only for 8 bits.
        if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE:
            samples = 255 - samples
        return np.repeat(samples[..., np.newaxis], 3, axis=2)
    if mode == "LAB":
        white_d50, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return np.asarray(ImageCms.profileToProfile(image, white_d50, srgb, outputMode="RGB"))
    if mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Adobe stores CMYK inverted and marks its files; Pillow treats every CMYK JPEG as one of those.
        image = ImageChops.invert(image)
    transparent = mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB"))


def _decode_tiff(file):
    """Do the same as `_decode` for TIFFs that Pillow cannot read: colour floats, 16-bit grey with alpha, and others."""
    import tifffile
    from PIL import Image

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength > max_pixels():
            raise Image.DecompressionBombError
        photometric, extra = int(page.photometric), [int(kind) for kind in page.extrasamples]
        colours = {_MIN_IS_WHITE: 1, _MIN_IS_BLACK: 1, _RGB: 3}.get(photometric)
        if colours is None or page.axes not in ("YX", "YXS", "SYX"):
            raise _Unsupported("its layout is neither grey nor RGB")
        samples = page.asarray()
        orientation = int(page.tags["Orientation"].value) if "Orientation" in page.tags else 1
    if page.axes == "YX":
        samples = samples[..., np.newaxis]
    elif page.axes == "SYX":
        samples = np.moveaxis(samples, 0, -1)
    alpha = extra[0] if extra else None
    if samples.shape[2] > colours and alpha not in (_ALPHA, _PREMULTIPLIED_ALPHA) and colours == 1:
        raise _Unsupported(f"its {samples.shape[2]} channels have no known meaning")
    samples = _to_8_bit(samples)
    colour = samples[..., :colours]
    if photometric == _MIN_IS_WHITE:
        colour = 255 - colour
    colour = np.broadcast_to(colour, colour.shape[:2] + (3,))
    if alpha not in (_ALPHA, _PREMULTIPLIED_ALPHA):
        return colour, orientation
    opacity = samples[..., colours : colours + 1]
    if alpha == _PREMULTIPLIED_ALPHA:
        # c = premultiplied / opacity, to the nearest; where opacity is 0, the colour does not matter
        divisor = np.maximum(opacity, 1).astype(np.uint16)
        colour = np.minimum((colour.astype(np.uint16) * 255 + divisor // 2) // divisor, 255).astype(np.uint8)
    return np.concatenate([colour, opacity], axis=2), orientation


def _to_8_bit(samples):
    """Convert uint8, uint16, bool or floats in [0, 1] to uint8, as scikit-image does."""
    from skimage import util

    if samples.dtype.kind == "f":
        if not (samples.min() >= 0 and samples.max() <= 1):  # false for NaN, too
            raise _Unsupported("its samples are floats outside [0, 1]")
        # float16 cannot represent the scaled values exactly
        return util.img_as_ubyte(samples.astype(np.float64))
    if samples.dtype.kind not in "ub" or samples.dtype.itemsize > 2:
        raise _Unsupported(f"its samples are {samples.dtype.name}")
    return util.img_as_ubyte(samples.astype(samples.dtype.newbyteorder("=")))


def over_white(pixels):
    """Lay uint8 (H, W, 4) over white, to the nearest of 255 levels; opaque pixels keep their values."""
    opacity = pixels[..., 3:].astype(np.uint16)
    # At most 255 * 255 + 127 = 65152, which fits into uint16.
    return ((pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
