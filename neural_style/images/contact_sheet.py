"""Several pictures side by side in one, as a photographer lays prints on a table."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Neutral, so that no colour of a picture is seen against another.
_GROUND = (232, 232, 232)
_INK = (88, 88, 88)


def make_contact_sheet(pictures, captions=None, height=None):
    """Lay pictures side by side on a neutral ground, at one height.

    Parameters
    ----------
    pictures : sequence of numpy.ndarray
        Uint8 (H, W, 3) of any size; their proportions are kept.
    captions : sequence of str, optional
        One for each picture, set below it.
    height : int, optional
        Of every picture on the sheet, in pixels; that of the last if not given.

    Returns
    -------
    numpy.ndarray
        Uint8 (H, W, 3). Around and between the pictures is `margin` of ground, below them with captions twice that.
    """
    height = height or pictures[-1].shape[0]
    space = margin(height)
    pictures = [_bring_to_height(picture, height) for picture in pictures]
    below = space if captions is None else 2 * space
    shape = space + height + below, space + sum(picture.shape[1] + space for picture in pictures), 3
    sheet = np.full(shape, _GROUND, np.uint8)
    left = space
    for i, picture in enumerate(pictures):
        width = picture.shape[1]
        sheet[space : space + height, left : left + width] = picture
        if captions is not None:
            # A caption keeps to the strip below its own picture.
            sheet[space + height :, left : left + width] = _set_caption(captions[i], width, below)
        left += width + space
    return sheet


def margin(height):
    """Give the space around pictures of this height, in pixels."""
    return max(height // 16, 8)


def _bring_to_height(picture, height):
    width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.LANCZOS))


def _set_caption(text, width, height):
    size = max(height * 2 // 5, 11)
    # Written from one height, whatever its letters, so that captions stand on one line; then centred.
    line = Image.new("L", (width, height))
    ImageDraw.Draw(line).text((0, (height - size) // 2), text, fill=255, font=_load_font(size))
    box = line.getbbox() or (0, 0, 0, 0)
    strip = Image.new("RGB", (width, height), _GROUND)
    strip.paste(_INK, ((width - box[2] - box[0]) // 2, 0), line)
    return np.asarray(strip)


def _load_font(size):
    try:
        return ImageFont.load_default(size)
    except (TypeError, OSError, ImportError):  # before Pillow 10.1, or without FreeType, there is one size
        return ImageFont.load_default()
