"""Transparent images: uint8 (H, W, 4), whose last channel, alpha, is the opacity of each pixel, apart from its colour.

SciPy is imported by the function that needs it.
"""

import numpy as np

from ..errors import ImageError
from .sizing import resize

# Below this alpha a pixel cannot be seen, and files hold any colour there.
_INVISIBLE = 8


def split_alpha(image, what):
    """Take an image apart into its colours and its opacity.

    Pixels that cannot be seen get the colours that lie mirrored beyond the nearest edge of what can be, so that a
    network that looks across the edge sees more of the same.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3) or (H, W, 4).
    what : str
        What the image is, for the message.

    Returns
    -------
    colours : numpy.ndarray
        uint8 (H, W, 3).
    opacity : numpy.ndarray or None
        float32 (H, W) in [0, 1]; None if the image has no alpha.

    Raises
    ------
    ImageError
        If nothing of it can be seen.
    """
    if image.shape[2] < 4:
        return image, None
    colours, alpha = image[..., :3], image[..., 3]
    hidden = alpha < _INVISIBLE
    if hidden.all():
        raise ImageError(f"the {what} is transparent all over; choose another image")
    if hidden.any():
        colours = _fill(colours, hidden)
    return np.ascontiguousarray(colours), (alpha / 255).astype(np.float32)


def _fill(colours, hidden):
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    mirrored = 2 * nearest - np.indices(hidden.shape)
    inside = np.ones(hidden.shape, bool)
    for places, length in zip(mirrored, hidden.shape):
        inside &= (places >= 0) & (places < length)
    mirrored = np.where(inside, mirrored, nearest)
    mirrored = np.where(hidden[tuple(mirrored)], nearest, mirrored)
    return colours[tuple(mirrored)]


def join_alpha(image, opacity):
    """Return an image (H, W, 3) with an opacity of any size as its alpha: uint8 (H, W, 4)."""
    if opacity.shape != image.shape[:2]:
        opacity = resize(opacity, image.shape[:2])
    alpha = np.rint(np.clip(opacity, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([image, alpha[..., np.newaxis]], axis=2)
