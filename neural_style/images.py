"""Pictures: read, resize, bring to and from the network's input space, denoise, save.

A picture is a uint8 array (H, W, 3), RGB. What the network sees is float32 (1, 3, H, W): RGB in grey levels less the
means of its training data; what is optimised is that, or the same in another unit (`units`). With the defaults every
arithmetic step is that of the original programs, value for value.

Pillow and scikit-image are imported by the functions that need them: scikit-image alone takes longer to import than
everything else here, and saving or `check_output` does without.
"""

import io
import logging
import os
import stat
import warnings
from collections import OrderedDict

import numpy as np

from .errors import ImageError, OutputError
from .files import check_writable, output_error, write_whole
from .units import UNITS

logger = logging.getLogger(__name__)

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

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF, in either byte order

# TIFF 6.0: tags, and values of PhotometricInterpretation, PlanarConfiguration and ExtraSamples
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _PLANAR_CONFIGURATION = 258, 262, 274, 284
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2
_IN_PLANES = 2
_PREMULTIPLIED_ALPHA, _ALPHA = 1, 2

# Exif 2.32, 4.6.4: what makes a stored array (H, W, C) upright. A table of our own, because it serves tifffile too.
_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


class _Unsupported(Exception):
    """The file is sound, but what it holds has no one meaning as an 8-bit RGB picture."""


def read_image(path):
    """Read a picture of any kind as 8-bit RGB, upright.

    Ordinary 8-bit RGB pictures come out as `skimage.io.imread` gives them, bit for bit. Beyond those: grey is repeated
    over the channels; palettes, CMYK, YCbCr and CIELAB are converted; of 16 bits the upper 8 are kept, as
    `skimage.util.img_as_ubyte` does; floats in [0, 1] are scaled and rounded; a picture that its EXIF or TIFF tag calls
    rotated or mirrored is turned upright; of an animation or a file of many pages the first is taken. Transparent
    parts are laid over white, and a log line says so. Embedded colour profiles are not applied.

    Parameters
    ----------
    path : str or os.PathLike
        Any format that Pillow reads, or a TIFF that tifffile reads.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3), values 0 to 255, contiguous.

    Raises
    ------
    ImageError
        If the file is missing, cannot be opened, is empty, is not a picture, is damaged, is too large (twice
        `PIL.Image.MAX_IMAGE_PIXELS`), or holds values that are neither 8- or 16-bit nor floats in [0, 1].
    """
    from PIL import Image, UnidentifiedImageError

    path = os.fspath(path)
    with _open(path) as file, warnings.catch_warnings():
        # What decoders warn of is broken metadata and pictures of half the size limit; what hurts the pixels is raised.
        warnings.simplefilter("ignore")
        try:
            pixels, orientation = _decode(file)
        except _Unsupported as error:
            raise ImageError(f"{path}: {error}; convert it to an 8-bit PNG or JPEG") from error
        except Image.DecompressionBombError as error:
            raise ImageError(
                f"{path}: more than {_pixel_limit()} pixels are not read; scale the picture down first"
            ) from error
        except MemoryError as error:
            raise ImageError(f"{path}: does not fit into memory; scale the picture down first") from error
        except UnidentifiedImageError as error:
            raise ImageError(f"{path}: is not a picture of a known format; convert it to PNG or JPEG") from error
        except Exception as error:  # on damaged files, decoders raise anything from SyntaxError to struct.error
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(
                f"{path}: cannot be decoded ({reason}); it may be damaged or cut short: get it again, or convert it to "
                "PNG"
            ) from error
    if 0 in pixels.shape:
        raise ImageError(f"{path}: has no pixels; choose another picture")
    if pixels.shape[2] == 4:
        if pixels[..., 3].min() < 255:
            logger.warning("%s: its transparent parts are laid over white", path)
        pixels = _over_white(pixels)
    # A copy, because the memory of Pillow's pictures is read-only.
    return np.array(_UPRIGHT.get(orientation, lambda a: a)(pixels), order="C")


def long_edge_size(shape, long_edge):
    """Give the size with the proportions of `shape` whose longer side is `long_edge`.

    Each side is ``int(side * factor)`` with ``factor = long_edge / max(shape)``, as in both original programs; float
    rounding can make a side one pixel smaller than exact arithmetic. Small pictures are enlarged.

    Departure from the originals: a side is at least 1 pixel. Theirs would be 0 for very long and narrow pictures, on
    which they crash.

    Parameters
    ----------
    shape : sequence of int
        Height and width in pixels first; anything after them is ignored.
    long_edge : int
        In pixels.

    Returns
    -------
    (int, int)
        Height and width in pixels.
    """
    factor = float(long_edge) / max(shape[:2])
    height, width = (max(1, int(side * factor)) for side in shape[:2])
    return height, width


def resize(image, size):
    """Resize a picture with `skimage.transform.resize` and its defaults, as both original programs do.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3).
    size : (int, int)
        Height and width in pixels. The proportions are not kept unless `size` has them.

    Returns
    -------
    numpy.ndarray
        float64 (height, width, 3) in [0, 1].
    """
    from skimage import transform

    return transform.resize(image, tuple(size))


def to_network(image, white=256.0, unit=UNITS["centred"]):
    """Turn a picture into an image, by default into the network's input.

    The arithmetic is float64 and rounded once, at the end, as in the original programs.

    Parameters
    ----------
    image : numpy.ndarray
        float64 (H, W, 3) in [0, 1].
    white : float
        Grey level of full intensity. 256, and not 255, is what both original programs use.
    unit : Unit
        Of the result.

    Returns
    -------
    numpy.ndarray
        float32 (1, 3, H, W).
    """
    # (H, W, 3) -> (3, H, W) -> (1, 3, H, W)
    values = (image * white - np.asarray(unit.means)) / unit.levels
    return values.transpose(2, 0, 1)[np.newaxis].astype(np.float32, order="C")


def from_network(array, unit=UNITS["centred"]):
    """Turn an image, by default in the network's input space, into a picture.

    Grey levels are computed in float32, then clipped to [0, 255] and truncated, not rounded, as in the original
    programs. There is no counterpart to the `white` of `to_network`: full intensity, 256, becomes 255 by clipping.

    Parameters
    ----------
    array : numpy.ndarray
        float32 (1, 3, H, W), finite. It is not changed.
    unit : Unit
        Of the array.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    # (1, 3, H, W) -> (H, W, 3)
    pixels = np.asarray(array, np.float32)[0].transpose(1, 2, 0) * np.float32(unit.levels)
    return np.ascontiguousarray(np.clip(pixels + np.asarray(unit.means, np.float32), 0, 255).astype(np.uint8))


def resize_image(array, size):
    """Resize an image with cubic splines, for the next level of a pyramid.

    Parameters
    ----------
    array : numpy.ndarray
        float32 (1, 3, H, W) in any unit.
    size : (int, int)
        Height and width in pixels.

    Returns
    -------
    numpy.ndarray
        float32 (1, 3, height, width).
    """
    from skimage import transform

    # (1, 3, H, W) -> (H, W, 3) -> (height, width, 3) -> (1, 3, height, width)
    resized = transform.resize(array[0].transpose(1, 2, 0), tuple(size), order=3, preserve_range=True)
    return resized.transpose(2, 0, 1)[np.newaxis].astype(np.float32, order="C")


def recolour(content, style):
    """Give the content the mean and the covariance of the style's colours, by the linear map that moves them least.

    The map is Monge and Kantorovich's for normal distributions (Pitié & Kokaram, The linear Monge-Kantorovitch linear
    colour mapping for example-based colour transfer, CVMP 2007).

    Parameters
    ----------
    content, style : numpy.ndarray
        float32 (1, 3, H, W), each of any height and width, in one unit.

    Returns
    -------
    numpy.ndarray
        float32 of the content's shape. Values may lie beyond black and white.
    """
    # (1, 3, H, W) -> (3, H*W)
    flat, other = (array.reshape(3, -1).astype(np.float64) for array in (content, style))
    means = [pixels.mean(axis=1, keepdims=True) for pixels in (flat, other)]
    # A grey or plain picture has no spread in some direction; one of a hundredth of a level is too small to be seen and
    # keeps the roots finite.
    floor = np.eye(3) * 1e-4 * max(np.ptp(flat), np.ptp(other), 1e-6) ** 2 / 255**2
    here, there = (np.cov(pixels - mean, bias=True) + floor for pixels, mean in zip((flat, other), means))
    root, inverse = _power(here, 0.5), _power(here, -0.5)
    mapping = inverse @ _power(root @ there @ root, 0.5) @ inverse
    return (mapping @ (flat - means[0]) + means[1]).reshape(content.shape).astype(np.float32)


def _power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T


def denoise(image, weight):
    """Reduce total variation by Chambolle's method, as both original programs do before they save.

    Chambolle, An algorithm for total variation minimization and applications, 2004, as
    `skimage.restoration.denoise_tv_chambolle` has it, over all channels together; then rounded to 8 bits.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3).
    weight : float
        Non-negative, for intensities in [0, 1]; more is smoother. 0 gives the picture back unchanged.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    if weight == 0:
        return image
    from skimage import restoration, util

    smooth = restoration.denoise_tv_chambolle(image, weight=weight, channel_axis=-1)
    # It stops before it has converged, and may then be a little beyond white, which img_as_ubyte refuses.
    return util.img_as_ubyte(np.clip(smooth, 0, 1, out=smooth))


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
    with _open(path) as file, warnings.catch_warnings():
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


def _open(path):
    """Open a regular, non-empty file for reading; ImageError if there is none."""
    try:
        status = os.stat(path)  # before opening, because opening a pipe would wait for its writer
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path}: is a folder; give the name of a picture in it")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: is a device or pipe; give the name of a file")
        if status.st_size == 0:
            raise ImageError(f"{path}: is empty (0 bytes); get the picture again")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check its name and folder") from error
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read (permission denied); change its permissions or copy it") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check its name, or copy it") from error


def _decode(file):
    """Give the pixels as stored, uint8 (H, W, 3) or with alpha (H, W, 4), and the EXIF orientation, 1 to 8."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(file)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(4) not in _TIFF_MAGIC:
            raise
        return _decode_tiff(file)
    if picture.format == "TIFF":
        tags = picture.tag_v2
        # Pillow opens 16-bit planes, but takes every byte for a pixel.
        if tags.get(_PLANAR_CONFIGURATION) == _IN_PLANES and max(tags.get(_BITS_PER_SAMPLE, (1,))) > 8:
            return _decode_tiff(file)
    picture.load()
    return _to_rgb(picture), _orientation(picture)


def _orientation(picture):
    """Give the orientation of a loaded Pillow image, 1 to 8."""
    if picture.format == "TIFF":  # Pillow has turned it while loading; older versions keep the tag even so
        return 1
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data raise anything, and are no reason to refuse sound pixels
        return 1


def _to_rgb(picture):
    """Convert a Pillow image of any mode to uint8 (H, W, 3), or (H, W, 4) if it has transparency."""
    from PIL import ImageChops, ImageCms

    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        samples = np.asarray(picture)
        if mode == "I":  # 32-bit integers in a TIFF; elsewhere how older Pillows hand over 16 bits
            if picture.format == "TIFF" or samples.min() < 0 or samples.max() > 65535:
                raise _Unsupported("its samples are signed or 32-bit integers")
            samples = samples.astype(np.uint16)
        samples = _to_8_bit(samples)
        # Pillow sees to this for 8 bits only.
        if picture.format == "TIFF" and picture.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE:
            samples = 255 - samples
        return np.repeat(samples[..., np.newaxis], 3, axis=2)
    if mode == "LAB":
        white_d50, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return np.asarray(ImageCms.profileToProfile(picture, white_d50, srgb, outputMode="RGB"))
    if mode == "CMYK" and picture.format == "JPEG" and "adobe" not in picture.info:
        # Adobe stores CMYK inverted and marks its files; Pillow takes every CMYK JPEG for one of those.
        picture = ImageChops.invert(picture)
    transparent = mode in ("LA", "PA", "RGBA") or "transparency" in picture.info
    return np.asarray(picture.convert("RGBA" if transparent else "RGB"))


def _decode_tiff(file):
    """Do as `_decode` for TIFFs that Pillow does not read: floats in colour, 16-bit grey with alpha, and others."""
    import tifffile
    from PIL import Image

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        if page.imagewidth * page.imagelength > _pixel_limit():
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
        # c = premultiplied / opacity, to the nearest; where nothing shows, the colour is of no matter
        divisor = np.maximum(opacity, 1).astype(np.uint16)
        colour = np.minimum((colour.astype(np.uint16) * 255 + divisor // 2) // divisor, 255).astype(np.uint8)
    return np.concatenate([colour, opacity], axis=2), orientation


def _to_8_bit(samples):
    """Bring uint8, uint16 or bool, or floats in [0, 1], to uint8 as scikit-image does."""
    from skimage import util

    if samples.dtype.kind == "f":
        if not (samples.min() >= 0 and samples.max() <= 1):  # not so for NaN either
            raise _Unsupported("its samples are floats outside [0, 1]")
        # float16 could not hold the result of scaling exactly
        return util.img_as_ubyte(samples.astype(np.float64))
    if samples.dtype.kind not in "ub" or samples.dtype.itemsize > 2:
        raise _Unsupported(f"its samples are {samples.dtype.name}")
    return util.img_as_ubyte(samples.astype(samples.dtype.newbyteorder("=")))


def _over_white(pixels):
    """Lay uint8 (H, W, 4) over white, to the nearest of 255 levels; opaque pixels keep their values."""
    opacity = pixels[..., 3:].astype(np.uint16)
    # At most 255 * 255 + 127 = 65152, which uint16 holds.
    return ((pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _pixel_limit():
    """Give the most pixels that are read: Pillow refuses from twice the number at which it warns."""
    from PIL import Image

    return float("inf") if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


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
