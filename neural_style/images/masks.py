"""Masks: how much each pixel of an image counts, float32 (H, W) in [0, 1]; white is 1, black is 0.

Pillow and scikit-image are imported by the functions that need them.
"""

import numpy as np

from ..errors import ImageError, SettingsError
from .reading import read_image

# Of a mask of several colours: further from a colour than this, in grey levels over the three channels, a pixel has
# another one. The blend of two primary colours at an edge is 180 from each of them.
_FARTHEST = 190
# Black and white are nobody's unless they are named, but at a smooth edge a colour is mixed with them: they must be
# nearer by this factor.
_GROUND, _NEARER = ("black", "white"), 0.5


def check_mask(mask, name):
    """Check that an array is a mask.

    Parameters
    ----------
    mask : object
    name : str
        Of the parameter, for the message.

    Raises
    ------
    SettingsError
        If it is not a two-dimensional array of floats in [0, 1].
    """
    fits = isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.size and mask.dtype.kind == "f"
    if not (fits and mask.min() >= 0 and mask.max() <= 1):
        raise SettingsError(f"`{name}` must be an array of floats from 0 to 1 with two dimensions, height and width")


def parse_color(text):
    """Return red, green and blue, from 0 to 255, of a colour as CSS writes it: ``red``, ``#ff0000``, ``#f00``.

    Raises
    ------
    SettingsError
        If it is none.
    """
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise SettingsError(f"'{text}' is no colour; write it like red or #ff0000") from error


def read_mask(path, color=None, others=()):
    """Read a mask from an image of any kind.

    Parameters
    ----------
    path : str or os.PathLike
    color : str, optional
        The colour in which the mask is drawn, see `parse_color`: a pixel counts if no other colour is nearer, black and
        white included, and if it is not far from this one either. Without it, a pixel counts by how light it is, from
        black to white.
    others : sequence of str
        Colours of other masks in the same image.

    Returns
    -------
    numpy.ndarray
        float32 (H, W), values in [0, 1].

    Raises
    ------
    ImageError
        If the file cannot be read, or has no pixel of the colour.
    SettingsError
        If a colour is none.
    """
    image = read_image(path)
    if color is None:
        return (image.mean(axis=2, dtype=np.float64) / 255).astype(np.float32)
    nearness = {one: 1.0 for one in map(parse_color, others)}
    nearness.update((one, _NEARER) for one in map(parse_color, _GROUND) if one not in nearness)
    nearness.pop(parse_color(color), None)
    # One colour after the other, so that a large image needs no array of all distances.
    distance = _distance(image, parse_color(color))
    here = distance <= _FARTHEST
    for other, factor in nearness.items():
        here &= _distance(image, other) >= factor * distance
    if not here.any():
        raise ImageError(f"{path}: nothing in it is {color}; check the colours of the mask")
    return here.astype(np.float32)


def _distance(image, colour):
    return np.sqrt(np.square(image.astype(np.float32) - np.float32(colour)).sum(axis=2))


def resize_mask(mask, size):
    """Resize a mask with smoothed edges; masks that add up to one still do.

    Parameters
    ----------
    mask : numpy.ndarray
        float (H, W).
    size : (int, int)
        Height and width in pixels.

    Returns
    -------
    numpy.ndarray
        float32 (height, width) in [0, 1].
    """
    if mask.shape == tuple(size):
        return np.asarray(mask, np.float32)
    from skimage import transform

    resized = transform.resize(mask.astype(np.float64), tuple(size), order=1, mode="reflect", anti_aliasing=True)
    return np.clip(resized, 0, 1).astype(np.float32)
