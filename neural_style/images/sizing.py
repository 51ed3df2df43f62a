"""Sizes of images and canvases.

By default every arithmetic step is that of the original programs, value for value. scikit-image is imported by the
functions that need it, because it takes longer to import than everything else here.
"""

import numpy as np


def long_edge_size(shape, long_edge):
    """Return the size with the proportions of `shape` whose longer side is `long_edge`.

    Each side is ``int(side * factor)`` with ``factor = long_edge / max(shape)``, as in both original programs.
    Rounding can make a side one pixel smaller than exact arithmetic would. Small images are enlarged.

    Departure from the originals: a side is at least 1 pixel. In theirs it would be 0 for very long and narrow images,
    on which they crash.

    Parameters
    ----------
    shape : sequence of int
        Height and width in pixels; anything after them is ignored.
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
    """Resize an image with `skimage.transform.resize` and its defaults, as both original programs do.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3).
    size : (int, int)
        Height and width in pixels. Proportions are kept only if `size` has the same.

    Returns
    -------
    numpy.ndarray
        float64 (height, width, 3) in [0, 1].
    """
    from skimage import transform

    return transform.resize(image, tuple(size))


def resize_image(array, size):
    """Resize a canvas with cubic splines, for the next level of a pyramid.

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
