"""Contact sheets: several images side by side in one."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Neutral, so that no colour of an image is seen against another.
_GROUND = (232, 232, 232)
_INK = (88, 88, 88)

# Pixels that a letter of the smallest captions takes, about.
_LETTER = 6


def make_contact_sheet(images, captions=None, height=None):
    """Lay images side by side on a neutral background, at one height.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        uint8 (H, W, 3) of any size; their proportions are kept.
    captions : sequence of str, optional
        One for each image, written below it.
    height : int, optional
        Of every image on the sheet, in pixels; by default that of the last one.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3). The background around and between the images is `margin` wide, below captioned images twice
        that.
    """
    height = height or images[-1].shape[0]
    space = margin(height)
    images = [_resize_to_height(image, height) for image in images]
    below = space if captions is None else 2 * space
    shape = space + height + below, space + sum(image.shape[1] + space for image in images), 3
    sheet = np.full(shape, _GROUND, np.uint8)
    left = space
    for i, image in enumerate(images):
        width = image.shape[1]
        sheet[space : space + height, left : left + width] = image
        if captions is not None:
            # A caption stays within the strip below its own image.
            sheet[space + height :, left : left + width] = _set_caption(captions[i], width, below)
        left += width + space
    return sheet


def make_grid(images, captions, columns):
    """Lay captioned images out in rows, from left to right, with their columns in line.

    Parameters
    ----------
    images : sequence of (numpy.ndarray or None)
        uint8 (H, W, 3), about of one size, see `shrink`; None leaves a place empty.
    captions : sequence of str
        One for each, shortened in the middle where it is too long.
    columns : int
        Images side by side.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    height, widest = (max(image.shape[axis] for image in images if image is not None) for axis in (0, 1))
    empty, most = np.full((height, widest, 3), _GROUND, np.uint8), max(widest // _LETTER, 5)
    cells, words = [], []
    for i in range(-(-len(images) // columns) * columns):
        image = images[i] if i < len(images) else None
        cell = empty.copy()
        if image is not None:
            top, left = (height - image.shape[0]) // 2, (widest - image.shape[1]) // 2
            cell[top : top + image.shape[0], left : left + image.shape[1]] = image
        cells.append(cell)
        words.append(_shorten(captions[i], most) if i < len(images) else "")
    rows = range(0, len(cells), columns)
    return np.concatenate(
        [make_contact_sheet(cells[i : i + columns], words[i : i + columns], height) for i in rows], axis=0
    )


def shrink(image, height):
    """Bring an image to a height, in pixels, in its proportions, but to no more than twice that width."""
    width = image.shape[1] * height / image.shape[0]
    return _resize_to_height(image, height if width <= 2 * height else max(round(height * 2 * height / width), 1))


def margin(height):
    """Return the space around images of this height, in pixels."""
    return max(height // 16, 8)


def _resize_to_height(image, height):
    width = max(round(image.shape[1] * height / image.shape[0]), 1)
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.LANCZOS))


def _set_caption(text, width, height):
    size = max(height * 2 // 5, 11)
    # Drawn at a fixed height, whatever its letters, so that all captions share a baseline; then centred.
    line = Image.new("L", (width, height))
    ImageDraw.Draw(line).text((0, (height - size) // 2), text, fill=255, font=_load_font(size))
    box = line.getbbox() or (0, 0, 0, 0)
    strip = Image.new("RGB", (width, height), _GROUND)
    strip.paste(_INK, ((width - box[2] - box[0]) // 2, 0), line)
    return np.asarray(strip)


def _shorten(text, most):
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}~{text[len(text) - end :]}"


def _load_font(size):
    try:
        return ImageFont.load_default(size)
    except (TypeError, OSError, ImportError):  # before Pillow 10.1, or without FreeType, there is only one size
        return ImageFont.load_default()
