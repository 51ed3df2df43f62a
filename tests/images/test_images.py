"""Pictures of every kind are read as the pixels they show, and saved whole or not at all."""

import errno
import io
import logging
import os
import stat
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import skimage
import skimage.io
import tifffile
from PIL import Image, ImageFile
from skimage import restoration

from neural_style import files
from neural_style.errors import ImageError, OutputError
from neural_style.images import reading, saving, sizing, units
from neural_style.images.colour import denoise, recolour

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "golden")
SKIMAGE_DATA = os.path.join(os.path.dirname(skimage.__file__), "data")

# Two rows of three pixels that no flip or rotation maps onto itself
CORNERS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [90, 120, 200], [255, 255, 255]]], np.uint8)
GREY = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)


def smooth(height=48, width=64):
    """Make a picture that JPEG keeps well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(np.uint8)


def noise(height, width, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def repeated(grey):
    return np.stack([grey] * 3, -1)


def png(width, height, depth, colour, rows, *chunks):
    """Write a PNG by hand: Pillow writes neither 16-bit colour nor all kinds of transparency."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    parts = [(b"IHDR", header)] + list(chunks) + [(b"IDAT", pixels)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts + [(b"IEND", b"")])


def encoded(array_or_picture, name, **options):
    picture = array_or_picture if isinstance(array_or_picture, Image.Image) else Image.fromarray(array_or_picture)
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path):
    def write_bytes(data, name="picture"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write_bytes


@pytest.fixture
def no_noise(capfd):
    """Fail if anything, C libraries included, writes to the terminal or warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg"])
def test_ordinary_pictures_are_read_as_scikit_image_reads_them(name):
    path = os.path.join(SKIMAGE_DATA, name)
    image = reading.read_image(path)
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.flags.writeable
    np.testing.assert_array_equal(image, skimage.io.imread(path))


@pytest.mark.parametrize("name, options", [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("TGA", {})])
def test_lossless_rgb(write, name, options):
    np.testing.assert_array_equal(reading.read_image(write(encoded(CORNERS, name, **options))), CORNERS)


def test_path_objects_are_taken(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(CORNERS, "PNG"))
    np.testing.assert_array_equal(reading.read_image(path), CORNERS)


WIDE = np.array([[0, 255, 256], [0x1234, 65279, 65535]], np.uint16)  # the upper bytes are 0, 0, 1, 0x12, 254, 255
WIDE_AS_8_BIT = np.array([[0, 0, 1], [18, 254, 255]], np.uint8)
WIDE_RGB = np.stack([WIDE, WIDE[:, ::-1], WIDE[::-1]], -1)
WIDE_RGB_AS_8_BIT = np.stack([WIDE_AS_8_BIT, WIDE_AS_8_BIT[:, ::-1], WIDE_AS_8_BIT[::-1]], -1)
FLOAT = np.array([[0.0, 0.5, 1.0], [0.1, 0.0019, 0.002]])
FLOAT_AS_8_BIT = np.array([[0, 128, 255], [26, 0, 1]], np.uint8)  # 127.5 goes to the even 128, 25.5 of 0.1 to 26
FLOAT_RGB = np.stack([FLOAT, FLOAT[::-1], FLOAT[:, ::-1]], -1)
FLOAT_RGB_AS_8_BIT = np.stack([FLOAT_AS_8_BIT, FLOAT_AS_8_BIT[::-1], FLOAT_AS_8_BIT[:, ::-1]], -1)
BITS = np.array([[True, False, True], [False, False, True]])


def palette_picture():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    picture.putdata([1, 0])
    return picture


def planes(array):
    return np.moveaxis(array, -1, 0).copy()


KINDS = {
    "grey PNG": (encoded(GREY, "PNG"), repeated(GREY)),
    "1-bit PNG": (png(3, 2, 1, 0, [b"\xa0", b"\x20"]), repeated(BITS * np.uint8(255))),
    "2-bit PNG": (png(3, 1, 2, 0, [b"\x1b"]), repeated(np.array([[0, 85, 170]], np.uint8))),
    "palette PNG": (encoded(palette_picture(), "PNG"), [[[200, 100, 50], [10, 20, 30]]]),
    "16-bit grey PNG": (png(3, 2, 16, 0, WIDE.astype(">u2")), repeated(WIDE_AS_8_BIT)),
    "16-bit RGB PNG": (png(3, 2, 16, 2, WIDE_RGB.astype(">u2")), WIDE_RGB_AS_8_BIT),
    "GIF": (encoded(palette_picture(), "GIF"), [[[200, 100, 50], [10, 20, 30]]]),
    # Red is (255 - cyan) * (255 - black) / 255, and so on.
    "CMYK TIFF": (
        tiff(np.array([[[255, 0, 0, 0], [10, 20, 30, 0], [0, 0, 0, 255]]], np.uint8), photometric="separated"),
        [[[0, 255, 255], [245, 235, 225], [0, 0, 0]]],
    ),
    "grey TIFF": (tiff(GREY, photometric="minisblack"), repeated(GREY)),
    "inverted grey TIFF": (tiff(255 - GREY, photometric="miniswhite"), repeated(GREY)),
    "1-bit TIFF": (tiff(BITS, photometric="minisblack"), repeated(BITS * np.uint8(255))),
    "RGB TIFF": (tiff(CORNERS, photometric="rgb"), CORNERS),
    "RGB TIFF in planes": (tiff(planes(CORNERS), photometric="rgb", planarconfig="separate"), CORNERS),
    "RGB TIFF with a fourth channel": (
        tiff(np.dstack([CORNERS, GREY]), photometric="rgb", extrasamples=["unspecified"]),
        CORNERS,
    ),
    "16-bit grey TIFF": (tiff(WIDE, photometric="minisblack"), repeated(WIDE_AS_8_BIT)),
    "16-bit grey TIFF, big-endian": (tiff(WIDE, photometric="minisblack", byteorder=">"), repeated(WIDE_AS_8_BIT)),
    "inverted 16-bit grey TIFF": (tiff(65535 - WIDE, photometric="miniswhite"), repeated(WIDE_AS_8_BIT)),
    "16-bit RGB TIFF": (tiff(WIDE_RGB, photometric="rgb"), WIDE_RGB_AS_8_BIT),
    "16-bit RGB TIFF, big-endian": (tiff(WIDE_RGB, photometric="rgb", byteorder=">"), WIDE_RGB_AS_8_BIT),
    "16-bit RGB TIFF in planes": (
        tiff(planes(WIDE_RGB), photometric="rgb", planarconfig="separate"),
        WIDE_RGB_AS_8_BIT,
    ),
    "16-bit RGB BigTIFF": (tiff(WIDE_RGB, photometric="rgb", bigtiff=True), WIDE_RGB_AS_8_BIT),
    "float grey TIFF": (tiff(FLOAT.astype(np.float32), photometric="minisblack"), repeated(FLOAT_AS_8_BIT)),
    "double grey TIFF": (tiff(FLOAT, photometric="minisblack"), repeated(FLOAT_AS_8_BIT)),
    "inverted double grey TIFF": (tiff(FLOAT, photometric="miniswhite"), 255 - repeated(FLOAT_AS_8_BIT)),
    "float RGB TIFF": (tiff(FLOAT_RGB.astype(np.float32), photometric="rgb"), FLOAT_RGB_AS_8_BIT),
    "float RGB TIFF in planes": (
        tiff(planes(FLOAT_RGB).astype(np.float32), photometric="rgb", planarconfig="separate"),
        FLOAT_RGB_AS_8_BIT,
    ),
    "first page of a TIFF": (
        encoded(CORNERS, "TIFF", save_all=True, append_images=[Image.fromarray(255 - CORNERS)]),
        CORNERS,
    ),
    "first page of a float TIFF": (
        tiff(np.stack([FLOAT_RGB, 1 - FLOAT_RGB]).astype(np.float32), photometric="rgb"),
        FLOAT_RGB_AS_8_BIT,
    ),
    "one pixel": (encoded(CORNERS[:1, :1], "PNG"), CORNERS[:1, :1]),
    "one pixel wide": (encoded(noise(50, 1), "PNG"), noise(50, 1)),
    "one pixel high": (encoded(noise(1, 50), "PNG"), noise(1, 50)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(write, kind, caplog, no_noise):
    data, expected = KINDS[kind]
    image = reading.read_image(write(data))
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)
    assert not caplog.records


# Over white: colour * alpha / 255 + 255 - alpha, to the nearest
TRANSPARENT = {
    "RGBA PNG": (
        encoded(np.array([[[200, 100, 0, 255], [200, 100, 0, 51], [200, 100, 0, 0]]], np.uint8), "PNG"),
        [[[200, 100, 0], [244, 224, 204], [255, 255, 255]]],
    ),
    "grey and alpha PNG": (
        encoded(np.array([[[100, 255], [100, 51], [100, 0]]], np.uint8), "PNG"),
        [[[100] * 3, [224] * 3, [255] * 3]],
    ),
    "palette PNG with alpha": (
        encoded(palette_picture(), "PNG", transparency=b"\x33\xff"),
        [[[200, 100, 50], [206, 208, 210]]],
    ),
    "palette PNG with a transparent entry": (
        encoded(palette_picture(), "PNG", transparency=0),
        [[[200, 100, 50], [255, 255, 255]]],
    ),
    "grey PNG with a transparent value": (
        png(3, 1, 8, 0, [b"\1\2\3"], (b"tRNS", b"\0\2")),
        [[[1] * 3, [255] * 3, [3] * 3]],
    ),
    "RGB PNG with a transparent colour": (
        png(2, 1, 8, 2, [b"\1\2\3\4\5\6"], (b"tRNS", b"\0\4\0\5\0\6")),
        [[[1, 2, 3], [255, 255, 255]]],
    ),
    "16-bit RGBA PNG": (
        png(1, 1, 16, 6, [np.array([200, 100, 0, 51], ">u2") * np.array(257, ">u2")]),
        [[[244, 224, 204]]],
    ),
    "transparent GIF": (encoded(palette_picture(), "GIF", transparency=0), [[[200, 100, 50], [255, 255, 255]]]),
    "RGBA TIFF": (
        tiff(np.full((1, 2, 4), [200, 100, 0, 51], np.uint8), photometric="rgb", extrasamples=["unassalpha"]),
        [[[244, 224, 204]] * 2],
    ),
    "grey and alpha 16-bit TIFF": (
        tiff(
            np.array([[[100, 255], [100, 51]]], np.uint16) * 257,
            photometric="minisblack",
            planarconfig="contig",
            extrasamples=["unassalpha"],
        ),
        [[[100] * 3, [224] * 3]],
    ),
    "float RGBA TIFF": (
        tiff(
            np.full((1, 2, 4), [200 / 255, 100 / 255, 0, 0.2], np.float32),
            photometric="rgb",
            extrasamples=["unassalpha"],
        ),
        [[[244, 224, 204]] * 2],
    ),
    "premultiplied float RGBA TIFF": (
        tiff(
            np.full((1, 2, 4), [40 / 255, 20 / 255, 0, 0.2], np.float32),
            photometric="rgb",
            extrasamples=["assocalpha"],
        ),
        [[[244, 224, 204]] * 2],
    ),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparency_is_laid_over_white_and_said_so(write, kind, caplog):
    data, expected = TRANSPARENT[kind]
    path = write(data)
    np.testing.assert_array_equal(reading.read_image(path), expected)
    assert caplog.record_tuples == [
        ("neural_style.images.reading", logging.WARNING, f"{path}: laying its transparent parts over white")
    ]


def test_alpha_that_hides_nothing_changes_nothing(write, caplog):
    opaque = np.dstack([CORNERS, np.full((2, 3), 255, np.uint8)])
    np.testing.assert_array_equal(reading.read_image(write(encoded(opaque, "PNG"))), CORNERS)
    assert not caplog.records


def test_compositing_is_exact_for_every_value_and_opacity(write):
    value, opacity = np.mgrid[:256, :256]
    pixels = np.stack([value, value, value, opacity], -1).astype(np.uint8)
    exact = value * opacity / 255 + (255 - opacity)
    assert np.abs(reading.read_image(write(encoded(pixels, "PNG")))[..., 1] - exact).max() <= 0.5 + 1e-9


def cmyk_jpeg(*inks):
    return encoded(Image.new("CMYK", (16, 16), inks), "JPEG", quality=95)


def test_cmyk_jpeg_with_adobe_marker(write):
    data = cmyk_jpeg(200, 100, 30, 0)
    assert b"Adobe" in data
    assert np.abs(reading.read_image(write(data)).astype(int) - [55, 155, 225]).max() <= 3


def test_cmyk_jpeg_without_adobe_marker(write):
    # Stored as 255 - ink; without the marker, which says so, the stored values are the inks: 55, 155, 225, 0.
    data = cmyk_jpeg(200, 100, 30, 255)
    start = data.index(b"\xff\xee")
    (length,) = struct.unpack(">H", data[start + 2 : start + 4])
    assert data[start + 4 : start + 9] == b"Adobe"
    image = reading.read_image(write(data[:start] + data[start + 2 + length :]))
    assert np.abs(image.astype(int) - [200, 100, 30]).max() <= 3


def test_ycbcr_tiff(write):
    # ITU-R BT.601, full range: R = Y + 1.402 (Cr - 128) = 120 + 42.06, and so on
    picture = Image.new("YCbCr", (8, 8), (120, 100, 158))
    image = reading.read_image(write(encoded(picture, "TIFF", compression="tiff_lzw")))
    red, green, blue = 120 + 1.402 * 30, 120 - 0.344136 * -28 - 0.714136 * 30, 120 + 1.772 * -28
    assert np.abs(image - np.array([red, green, blue])).max() <= 1.5


def lab_to_srgb(lab):
    """Convert CIELAB under D50 to 8-bit sRGB, by CIE 15, Bradford's adaptation to D65, and IEC 61966-2-1."""
    lightness, a, b = np.moveaxis(lab, -1, 0)
    f = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.96422, 1.0, 0.82521]
    to_linear = np.array(
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    )
    linear = np.clip(xyz @ to_linear.T, 0, 1)
    return 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def test_lab_tiff(write):
    stored = np.array([[[255, 0, 0], [137, 0, 0], [0, 0, 0]], [[138, 40, 30], [150, -40, 20], [100, 20, -50]]])
    expected = lab_to_srgb(stored * [100 / 255, 1, 1])
    assert np.ptp(expected[1], axis=1).min() > 50  # colours worth the name, inside the gamut
    image = reading.read_image(write(tiff(stored.astype(np.uint8), photometric="cielab")))
    assert np.abs(image - expected).max() <= 2


UPRIGHT = {  # how the upright picture is stored under each EXIF orientation, by Pillow's own operations
    1: None,
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_90,  # is shown turned clockwise, so stored counter-clockwise
    7: Image.TRANSVERSE,
    8: Image.ROTATE_270,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "compressed TIFF", "float TIFF"])
def test_orientation(write, orientation, kind, no_noise):
    upright = Image.fromarray(np.kron(CORNERS, np.ones((16, 16, 1), np.uint8)))  # JPEG needs blocks to be near
    operation = UPRIGHT[orientation]
    stored = upright if operation is None else upright.transpose(operation)
    if kind.endswith("TIFF"):
        array = np.asarray(stored)
        array = array / np.float32(255) if kind == "float TIFF" else array
        options = {"compression": "zlib"} if kind == "compressed TIFF" else {}
        tag = (274, "H", 1, orientation, True)
        data = tiff(array, photometric="rgb", extratags=[tag], **options)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
        data = encoded(stored, kind, exif=exif.tobytes(), **options)
    image = reading.read_image(write(data))
    assert image.shape == (32, 48, 3) and image.flags.c_contiguous
    if kind == "JPEG":
        assert psnr(image, np.asarray(upright)) > 35
    else:
        np.testing.assert_array_equal(image, np.asarray(upright))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_broken_exif_does_not_matter(write, exif, no_noise):
    data = encoded(smooth(), "JPEG")
    broken = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    np.testing.assert_array_equal(reading.read_image(write(broken)), reading.read_image(write(data)))


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP"])
def test_first_frame_of_an_animation(write, name, no_noise):
    first, second = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    first[:, 4:] = 255
    options = {"lossless": True} if name == "WEBP" else {}
    data = encoded(first, name, save_all=True, append_images=[Image.fromarray(second)], duration=100, **options)
    path = write(data)
    with Image.open(path) as picture:
        assert picture.n_frames == 2
    np.testing.assert_array_equal(reading.read_image(path), first)


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def tiff_bomb():
    data = tiff(np.zeros((1, 1, 3), np.float32), photometric="rgb")
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    data = bytearray(data)
    for name in ("ImageWidth", "ImageLength"):
        tag = page.tags[name]
        data[tag.valueoffset : tag.valueoffset + 2] = struct.pack("<H", 60000)
    return bytes(data)


DAMAGED = "it may be damaged or cut short: get it again, or convert it to PNG"
CONVERT = "; convert it to an 8-bit PNG or JPEG"
INTEGERS = "its samples are signed or 32-bit integers" + CONVERT
FLOATS = "its samples are floats outside [0, 1]" + CONVERT
TOO_LARGE = f"more than {2 * Image.MAX_IMAGE_PIXELS} pixels are not read; scale the image down first"
BAD = {
    "empty": (b"", "is empty (0 bytes); get the image again"),
    "text": (b"<html>not found</html>", "is not an image of a known format; convert it to PNG or JPEG"),
    "one byte": (b"\x89", "is not an image of a known format; convert it to PNG or JPEG"),
    "truncated PNG": (encoded(noise(64, 64), "PNG")[:5000], DAMAGED),
    "truncated JPEG": (encoded(noise(64, 64), "JPEG")[:2000], DAMAGED),
    "truncated TIFF": (tiff(noise(64, 64), photometric="rgb")[:5000], DAMAGED),
    "truncated float TIFF": (tiff(np.ones((64, 64, 3), np.float32), photometric="rgb")[:5000], DAMAGED),
    "TIFF without pages": (b"II*\0\0\0\0\0", DAMAGED),
    "PNG with a flipped bit": (flipped(encoded(noise(64, 64), "PNG"), 5000), DAMAGED),
    "PNG without pixels": (png(0, 4, 8, 2, [b""]), "is not an image of a known format; convert it to PNG or JPEG"),
    "decompression bomb": (png(60000, 60000, 8, 0, [b""]), TOO_LARGE),
    "TIFF bomb": (tiff_bomb(), TOO_LARGE),
    "32-bit integers": (tiff(np.ones((2, 2), np.uint32), photometric="minisblack"), INTEGERS),
    "signed 16-bit integers": (tiff(np.ones((2, 2), np.int16), photometric="minisblack"), INTEGERS),
    "32-bit integers in colour": (
        tiff(np.ones((2, 2, 3), np.uint32), photometric="rgb"),
        "its samples are uint32" + CONVERT,
    ),
    "complex numbers": (
        tiff(np.ones((2, 2), np.complex64), photometric="minisblack"),
        "its samples are complex64" + CONVERT,
    ),
    "floats of 0 to 255": (tiff(GREY.astype(np.float32), photometric="minisblack"), FLOATS),
    "floats with NaN": (tiff(np.full((2, 2, 3), np.nan, np.float32), photometric="rgb"), FLOATS),
    "five channels": (
        tiff(np.ones((2, 2, 5), np.uint16), photometric="minisblack", planarconfig="contig"),
        "its 5 channels have no known meaning" + CONVERT,
    ),
    "16-bit CIELAB": (
        tiff(np.ones((2, 2, 3), np.uint16), photometric="cielab"),
        "its layout is neither grey nor RGB" + CONVERT,
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_line(write, kind, no_noise):
    data, message = BAD[kind]
    path = write(data)
    with pytest.raises(ImageError) as caught:
        reading.read_image(path)
    assert str(caught.value).startswith(path + ": ")
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)


def test_large_pictures_below_the_limit_are_read_without_a_warning(write, monkeypatch, no_noise):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6)
    np.testing.assert_array_equal(reading.read_image(write(encoded(noise(3, 4), "PNG"))), noise(3, 4))
    with pytest.raises(ImageError, match="more than 12 pixels are not read"):
        reading.read_image(write(encoded(noise(13, 1), "PNG")))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(reading.read_image(write(encoded(noise(13, 1), "PNG"))), noise(13, 1))
    float_tiff = write(tiff(np.zeros((4, 4, 3), np.float32), photometric="rgb"))
    assert reading.read_image(float_tiff).shape == (4, 4, 3)


@pytest.mark.parametrize("name, options", [("PNG", {}), ("JPEG", {}), ("TIFF", {}), ("GIF", {}), ("BMP", {})])
def test_cut_anywhere_gives_the_picture_or_an_error(write, name, options):
    data = encoded(smooth(12, 10), name, **options)
    whole = reading.read_image(write(data))
    for length in range(len(data)):
        try:
            image = reading.read_image(write(data[:length]))
        except ImageError as error:
            assert "\n" not in str(error)
        else:  # nothing that shows was cut off
            np.testing.assert_array_equal(image, whole)


def test_missing_file(tmp_path):
    path = str(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError) as caught:
        reading.read_image(path)
    assert str(caught.value) == f"{path}: there is no such file; check its name and folder"


def test_folder(tmp_path):
    with pytest.raises(ImageError) as caught:
        reading.read_image(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; give the name of an image in it"


def test_file_as_folder(write):
    path = os.path.join(write(b"x"), "picture.png")
    with pytest.raises(ImageError, match=r"cannot be read \(Not a directory\)"):
        reading.read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_is_refused_rather_than_waited_for(tmp_path):
    path = str(tmp_path / "pipe.png")
    os.mkfifo(path)
    with pytest.raises(ImageError, match="is a device or pipe; give the name of a file"):
        reading.read_image(path)


def test_no_permission(write, monkeypatch):
    path = write(encoded(CORNERS, "PNG"))

    def refuse(*_, **__):  # permissions do not bind root, under whom tests may run
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(ImageError) as caught:
        reading.read_image(path)
    assert str(caught.value) == (f"{path}: may not be read (permission denied); change its permissions or copy it")


def test_does_not_fit_into_memory(write, monkeypatch):
    def exhaust(_):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhaust)
    with pytest.raises(ImageError, match="does not fit into memory; scale the image down first"):
        reading.read_image(write(encoded(CORNERS, "PNG")))


# ------------------------------------------------------------------------------------------- sizes and network space


@pytest.mark.parametrize(
    "shape, long_edge, expected",
    [
        ((300, 451, 3), 96, (63, 96)),  # 63.86 is truncated
        ((427, 640, 3), 72, (48, 72)),
        ((451, 300), 96, (96, 63)),
        ((100, 100, 3), 600, (600, 600)),
        ((10, 20, 3), 50, (25, 50)),
        # float rounding: 107 * (100 / 107) is 99.99..., and 77 * (1000 / 77) 999.99..., in the originals too
        ((107, 50, 3), 100, (int(107 * (100.0 / 107)), int(50 * (100.0 / 107)))),
        ((1000, 1, 3), 96, (96, 1)),  # 0.096
        ((1, 1, 3), 1, (1, 1)),
    ],
)
def test_long_edge_size(shape, long_edge, expected):
    assert sizing.long_edge_size(shape, long_edge) == expected


def test_resize_gives_floats_in_0_1():
    image = noise(40, 60)
    small = sizing.resize(image, (20, 30))
    assert small.dtype == np.float64 and small.shape == (20, 30, 3)
    assert 0 <= small.min() and small.max() <= 1
    np.testing.assert_allclose(sizing.resize(image, (40, 60)), image / 255.0, atol=1e-15)
    flat = sizing.resize(np.full((9, 9, 3), 51, np.uint8), (4, 20))
    np.testing.assert_allclose(flat, 0.2, atol=1e-12)


@pytest.mark.parametrize("shape, size", [((50, 1), (96, 1)), ((1, 50), (2, 20)), ((1, 1), (7, 5))])
def test_one_pixel_wide_pictures_can_be_resized(shape, size):
    resized = sizing.resize(np.full(shape + (3,), 102, np.uint8), size)
    assert resized.shape == size + (3,)
    np.testing.assert_allclose(resized, 0.4, atol=1e-12)


def test_to_network():
    image = np.zeros((2, 3, 3))
    image[1, 2] = [1.0, 0.5, 0.25]
    array = units.to_network(image)
    assert array.dtype == np.float32 and array.shape == (1, 3, 2, 3) and array.flags.c_contiguous
    np.testing.assert_array_equal(array[0, :, 0, 0], np.float32([-123.68, -116.779, -103.939]))
    np.testing.assert_array_equal(array[0, :, 1, 2], np.float32([256 - 123.68, 128 - 116.779, 64 - 103.939]))
    levels = units.to_network(image, 255.0, units.UNITS["levels"])
    np.testing.assert_array_equal(levels[0, :, 1, 2], np.float32([255, 127.5, 63.75]))
    other = units.to_network(image, white=2, unit=units.Unit(4.0, (0, 1, 2)))
    np.testing.assert_array_equal(other[0, :, 1, 2], np.float32([0.5, 0, -0.375]))


@pytest.mark.parametrize("unit", units.UNITS.values(), ids=units.UNITS)
def test_units_are_undone_and_bounded(unit):
    picture = noise(5, 7)
    # Grey levels are truncated, so half a level keeps rounding from taking one away.
    array = units.to_network(picture / 255.0, 255.0, unit) + np.float32(0.5 / unit.levels)
    np.testing.assert_array_equal(units.from_network(array, unit), picture)
    for value, expected in ((unit.black, 0), (unit.white, 1)):
        array = units.to_network(np.full((1, 1, 3), float(expected)), 255.0, unit)
        np.testing.assert_allclose(array.ravel(), value, rtol=1e-6)


def test_to_network_rounds_once():
    # In float32 throughout, this red would come out one unit in the last place lower.
    value = 0.4831512
    red = units.to_network(np.full((1, 1, 3), value))[0, 0, 0, 0]
    assert red == np.float32(value * 256.0 - 123.68)
    assert red != np.float32(value) * np.float32(256.0) - np.float32(123.68)


def test_from_network_adds_means_clips_and_truncates():
    values = np.array([-1000, -123.68, 0, 131.9, 132.32, 1000], np.float32)
    array = np.broadcast_to(values, (1, 3, 1, 6))
    image = units.from_network(array)
    assert image.dtype == np.uint8 and image.shape == (1, 6, 3) and image.flags.c_contiguous
    np.testing.assert_array_equal(image[0, :, 0], [0, 0, 123, 255, 255, 255])
    other = units.from_network(np.full((1, 3, 1, 1), 0.9, np.float32), units.Unit(10.0, (1, 2, 3)))
    np.testing.assert_array_equal(other[0, 0], [10, 11, 12])


def test_from_network_leaves_its_argument_alone():
    array = np.ones((1, 3, 2, 2), np.float32)
    units.from_network(array)
    np.testing.assert_array_equal(array, 1)


def test_recolouring_brings_mean_and_covariance_of_the_style():
    rng = np.random.RandomState(0)
    mix = rng.standard_normal((3, 3))
    content, style = rng.uniform(0, 255, (1, 3, 20, 30)), rng.standard_normal((1, 3, 15, 40))
    style = np.einsum("ij,njhw->nihw", mix, style) * 20 + rng.uniform(50, 200, (1, 3, 1, 1))
    result = recolour(content.astype("float32"), style.astype("float32"))
    assert result.dtype == np.float32 and result.shape == content.shape
    one, other = result.reshape(3, -1).astype(float), style.reshape(3, -1)
    np.testing.assert_allclose(one.mean(1), other.mean(1), rtol=1e-4)
    np.testing.assert_allclose(np.cov(one), np.cov(other), rtol=1e-2, atol=1)
    # Of all linear maps that do, the one without rotation: it is symmetric.
    flat = content.reshape(3, -1)
    mapping = np.linalg.lstsq((flat - flat.mean(1, keepdims=True)).T, (one - one.mean(1, keepdims=True)).T, rcond=None)
    np.testing.assert_allclose(mapping[0], mapping[0].T, atol=1e-3)


def test_recolouring_with_its_own_colours_changes_nothing_and_plain_pictures_are_finite():
    content = np.random.RandomState(0).uniform(0, 255, (1, 3, 9, 8)).astype("float32")
    np.testing.assert_allclose(recolour(content, content), content, atol=1e-2)
    plain = np.full((1, 3, 5, 5), 7, "float32")
    for one, other in ((content, plain), (plain, content), (plain, plain)):
        assert np.isfinite(recolour(one, other)).all()
    np.testing.assert_allclose(recolour(content, plain), 7, atol=0.1)


def test_resizing_an_image_keeps_flat_colours_and_ramps():
    flat = np.full((1, 3, 6, 8), -50.5, "float32")
    np.testing.assert_allclose(sizing.resize_image(flat, (12, 17)), -50.5, rtol=1e-5)
    ramp = np.broadcast_to(np.arange(16, dtype="float32"), (1, 3, 8, 16))
    larger = sizing.resize_image(ramp, (16, 32))
    assert larger.dtype == np.float32 and larger.shape == (1, 3, 16, 32)
    np.testing.assert_allclose(larger[0, 0, 5, 6:-6], (np.arange(32) * 0.5 - 0.25)[6:-6], atol=0.05)


def test_denoise_reduces_total_variation_and_keeps_the_kind():
    def variation(image):
        return sum(np.abs(np.diff(image.astype(float), axis=axis)).sum() for axis in (0, 1))

    image = noise(32, 32)
    light, heavy = denoise(image, 0.02), denoise(image, 0.2)
    assert light.dtype == heavy.dtype == np.uint8 and light.shape == heavy.shape == image.shape
    assert variation(heavy) < variation(light) < variation(image)


def test_denoise_of_a_picture_that_comes_out_beyond_white():
    rows = """
        00130000580000ff8b00ffff00ffff00ffd300ffff00ffff
        00000000170000dc0000ffd500ffff00fcff00ffff00ffff
        000043006e0000ff0000ff6e04d1ff5affff95ffff6aff8c
        00568100fa7300ffff00ffffa8b2ff88c1ff93ffffbfffa6
        1bc5ff00ffff00ffff13ffffb1a9ff3614ff2686ffaceaff
        ff17ffffffdeeeffff64ffff66ffc24126ff5f00ffab28ff
    """
    image = np.frombuffer(bytes.fromhex(rows), dtype=np.uint8).reshape((6, 8, 3))
    smooth = restoration.denoise_tv_chambolle(image, weight=0.1, channel_axis=-1)
    assert smooth.max() > 1
    np.testing.assert_allclose(denoise(image, 0.1), np.minimum(smooth, 1) * 255, atol=0.51)


def test_denoise_of_weight_0_changes_nothing():
    np.testing.assert_array_equal(denoise(noise(8, 8), 0), noise(8, 8))


# The originals' saved pictures that show the same state as `final_raw`, and the weight they were denoised with:
# mxnet-1.9 does not denoise its last one.
GOLDEN_PICTURES = {
    "mxnet-0.7": [("saved_out.jpg", 0.02), ("saved_tmp_40.jpg", 0.02)],
    "mxnet-0.7-early-stop": [("saved_out.jpg", 0.02)],
    "mxnet-1.9": [("saved_final.jpg", 0), ("saved_e_40.jpg", 0.02)],
    "mxnet-1.9-options": [("saved_final.jpg", 0), ("saved_e_50.jpg", 0)],
}


@pytest.mark.parametrize("name", GOLDEN_PICTURES)
def test_golden_inputs_bit_for_bit(name):
    with np.load(os.path.join(GOLDEN, name + ".npz")) as golden:
        flags = golden["flags"].tolist()
        flags = dict(zip(flags[::2], flags[1::2]))
        content = reading.read_image(os.path.join(SKIMAGE_DATA, flags["--content-image"]))
        style = reading.read_image(os.path.join(SKIMAGE_DATA, flags["--style-image"]))
        size = sizing.long_edge_size(content.shape, int(flags["--max-long-edge"]))
        np.testing.assert_array_equal(units.to_network(sizing.resize(content, size)), golden["content"])
        np.testing.assert_array_equal(units.to_network(sizing.resize(style, size)), golden["style"])


@pytest.mark.parametrize(
    "name, picture, weight", [(name, *rest) for name, pictures in GOLDEN_PICTURES.items() for rest in pictures]
)
def test_golden_pictures_bit_for_bit(name, picture, weight):
    with np.load(os.path.join(GOLDEN, name + ".npz")) as golden:
        np.testing.assert_array_equal(denoise(units.from_network(golden["final_raw"]), weight), golden[picture])


# ----------------------------------------------------------------------------------------------------------- saving


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG", ".TIF"])
def test_lossless_formats_come_back_equal(tmp_path, suffix):
    path = str(tmp_path / ("picture" + suffix))
    saving.save_image(path, noise(40, 30))
    np.testing.assert_array_equal(reading.read_image(path), noise(40, 30))
    np.testing.assert_array_equal(skimage.io.imread(path), noise(40, 30))
    assert os.listdir(str(tmp_path)) == ["picture" + suffix]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_jpeg_comes_back_near_and_with_all_its_colour(tmp_path, suffix):
    path = str(tmp_path / ("picture" + suffix))
    saving.save_image(path, smooth())
    assert psnr(reading.read_image(path), smooth()) > 42
    with Image.open(path) as picture:
        assert picture.format == "JPEG" and picture.mode == "RGB"
        assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3  # 4:4:4


def test_jpeg_quality(tmp_path):
    path = str(tmp_path / "picture.jpg")
    sizes = []
    for quality in (50, 75, 95):
        saving.save_image(path, noise(64, 64), quality=quality)
        sizes.append(os.path.getsize(path))
    assert sizes[0] < sizes[1] < sizes[2]
    saving.save_image(path, noise(64, 64))
    assert os.path.getsize(path) == sizes[2]


@pytest.mark.parametrize("suffix", saving.FORMATS)
def test_noise_can_be_saved_in_every_format(tmp_path, suffix):
    path = str(tmp_path / ("picture" + suffix))
    saving.save_image(path, noise(400, 300))
    assert reading.read_image(path).shape == (400, 300, 3)


def test_pictures_that_are_not_contiguous_can_be_saved(tmp_path):
    path = str(tmp_path / "picture.png")
    saving.save_image(path, noise(8, 6)[::-1, :, ::-1])
    np.testing.assert_array_equal(reading.read_image(path), noise(8, 6)[::-1, :, ::-1])


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 5), np.uint8)])
def test_what_is_not_a_picture_is_a_bug(tmp_path, image):
    with pytest.raises(ValueError, match=r"an image is uint8 \(H, W, 3\)"):
        saving.save_image(str(tmp_path / "picture.png"), image)


def test_folders_are_made(tmp_path, monkeypatch):
    saving.save_image(str(tmp_path / "a" / "b" / "picture.png"), CORNERS)
    assert (tmp_path / "a" / "b" / "picture.png").is_file()
    monkeypatch.chdir(tmp_path)
    saving.save_image("picture.png", CORNERS)
    saving.save_image(os.path.join("c", "picture.png"), CORNERS)
    assert (tmp_path / "picture.png").is_file() and (tmp_path / "c" / "picture.png").is_file()


FAILURES = [
    ("fsync", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OutputError),
    ("replace", OSError(errno.EACCES, os.strerror(errno.EACCES)), OutputError),
    ("fsync", KeyboardInterrupt(), KeyboardInterrupt),
    ("replace", KeyboardInterrupt(), KeyboardInterrupt),
]


@pytest.mark.parametrize("where, error, raised", FAILURES)
@pytest.mark.parametrize("existing", [True, False])
def test_a_failing_write_leaves_all_as_it_was(tmp_path, monkeypatch, where, error, raised, existing):
    path = str(tmp_path / "picture.png")
    if existing:
        saving.save_image(path, CORNERS)
    before = os.listdir(str(tmp_path))
    seen = []

    def fail(*_):
        seen.extend(os.listdir(str(tmp_path)))
        raise error

    monkeypatch.setattr(os, where, fail)
    with pytest.raises(raised):
        saving.save_image(path, noise(16, 16))
    monkeypatch.undo()
    assert len(seen) == len(before) + 1  # it did fail midway
    assert os.listdir(str(tmp_path)) == before
    if existing:
        np.testing.assert_array_equal(reading.read_image(path), CORNERS)


def test_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = str(tmp_path / "picture.jpg")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as caught:
        saving.save_image(path, CORNERS)
    assert str(caught.value) == (
        f"{path}: cannot be written (No space left on device); free some space or choose another place"
    )


posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and links")


@posix
@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_have_the_usual_permissions(tmp_path, mask, mode):
    path = str(tmp_path / "picture.png")
    old = os.umask(mask)
    try:
        saving.save_image(path, CORNERS)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


@posix
def test_replaced_files_keep_their_permissions(tmp_path):
    path = str(tmp_path / "picture.png")
    saving.save_image(path, CORNERS)
    os.chmod(path, 0o640)
    saving.save_image(path, noise(4, 4))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_symbolic_links_stay(tmp_path, exists):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.png", tmp_path / "link.png"
    if exists:
        saving.save_image(real, noise(4, 4))
    link.symlink_to(real)
    saving.save_image(link, CORNERS)
    assert link.is_symlink() and not real.is_symlink()
    np.testing.assert_array_equal(reading.read_image(real), CORNERS)


# --------------------------------------------------------------------------------------------------- check_output


def everything_below(folder):
    return sorted(os.path.join(root, name) for root, folders, files in os.walk(str(folder)) for name in folders + files)


def test_check_output_makes_the_folder_and_nothing_else(tmp_path):
    saving.check_output(tmp_path / "a" / "b" / "picture.jpg")
    assert everything_below(tmp_path) == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]


def test_check_output_leaves_an_existing_file_alone(tmp_path):
    path = tmp_path / "picture.png"
    saving.save_image(path, CORNERS)
    os.utime(str(path), (1, 1))
    before = path.read_bytes()
    saving.check_output(path)
    assert path.read_bytes() == before and os.stat(str(path)).st_mtime == 1
    assert everything_below(tmp_path) == [str(path)]


SUFFIXES = ".png, .jpg, .jpeg, .tif, .tiff, .webp"
BAD_OUTPUTS = {
    "picture": f"has no suffix; use one of {SUFFIXES}",
    ".png": f"has no suffix; use one of {SUFFIXES}",
    "picture.bmp": f"has the unknown suffix '.bmp'; use one of {SUFFIXES}",
    "new/picture.gif": f"has the unknown suffix '.gif'; use one of {SUFFIXES}",
    "folder/": f"names no file; add a name that ends in one of {SUFFIXES}",
    "folder.png": "is a folder; give the name of a file",
    "pipe.png": "is a device or pipe; give the name of a file",
    "file/picture.png": "cannot be written (Not a directory); a part of its path is a file; choose another folder",
    "file/a/b/picture.png": "cannot be written (Not a directory); a part of its path is a file; choose another folder",
    "new/" + 300 * "x" + ".png": "cannot be written (File name too long); choose a shorter name",
    "new/" + 300 * "x" + "/picture.png": "cannot be written (File name too long); choose a shorter name",
    "loop.png": "cannot be written (Too many levels of symbolic links); choose another place",
}


@posix
@pytest.mark.parametrize("name", BAD_OUTPUTS)
@pytest.mark.parametrize("attempt", [saving.check_output, lambda path: saving.save_image(path, CORNERS)])
def test_bad_outputs_are_refused_in_one_line_and_leave_nothing(tmp_path, name, attempt):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(str(tmp_path / "pipe.png"))
    before = everything_below(tmp_path)
    path = f"{tmp_path}/{name}"
    with pytest.raises(OutputError) as caught:
        attempt(path)
    assert str(caught.value) == f"{path}: {BAD_OUTPUTS[name]}"
    assert everything_below(tmp_path) == before


def test_no_name_at_all():
    with pytest.raises(OutputError, match="^the output: names no file; add a name that ends in"):
        saving.check_output("")


REFUSALS = [("xb", "folder that may not be written to"), ("r+b", "write-protected file")]


@pytest.mark.parametrize("refused", [mode for mode, _ in REFUSALS], ids=[what for _, what in REFUSALS])
def test_missing_permission_is_found_and_leaves_nothing(tmp_path, monkeypatch, refused):
    path = str(tmp_path / "picture.png")
    saving.save_image(path, CORNERS)

    def refuse(name, mode):  # permissions do not bind root, under whom tests may run
        if mode == refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open(name, mode)

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(OutputError) as caught:
        saving.check_output(path)
    assert str(caught.value) == (
        f"{path}: cannot be written (Permission denied); make it writable or choose another place"
    )
    assert everything_below(tmp_path) == [path]


@posix
def test_real_permissions(tmp_path):
    closed, path = tmp_path / "closed", tmp_path / "picture.png"
    closed.mkdir()
    saving.save_image(path, CORNERS)
    os.chmod(str(closed), 0o555)
    if os.access(str(closed), os.W_OK):
        pytest.skip("permissions do not bind root")
    os.chmod(str(path), 0o444)
    try:
        for output in (closed / "picture.png", closed / "new" / "picture.png", path):
            with pytest.raises(OutputError, match="Permission denied"):
                saving.check_output(output)
        os.chmod(str(path), 0)
        with pytest.raises(ImageError, match="may not be read"):
            reading.read_image(path)
    finally:
        os.chmod(str(closed), 0o755)


# ---------------------------------------------------------------------------------------------------------- imports


def test_importing_images_imports_neither_scikit_image_nor_pillow():
    code = (
        "import sys; from neural_style.images import colour, reading, saving, sizing, units\n"
        "print(sorted({'skimage', 'scipy', 'PIL', 'mxnet'} & set(sys.modules)))"
    )
    root = os.path.dirname(os.path.dirname(os.path.abspath(files.__file__)))
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root).decode().strip() == "[]"
