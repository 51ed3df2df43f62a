"""Compare two images of any origin, pixel by pixel and by their colours."""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..errors import ImageError
from ..images.sizing import resize

# Bins of the colour histogram: 10 units of lightness (0 to 100) by 16 of a and of b (-128 to 128), close enough to what
# the eye distinguishes side by side, and wide enough for thousands of pixels to fill them.
_LIGHTNESS_BINS, _COLOUR_BINS = 10, 16

# Wang et al. 2004: Gaussian weights of 1.5 pixels in a window of 11 x 11, and biased variances.
_SSIM = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1)
_WINDOW = 11


@dataclass(frozen=True)
class Comparison:
    """How similar two images are.

    Attributes
    ----------
    psnr : float or None
        Peak signal-to-noise ratio in dB over all pixels and channels; None if the images are equal.
    ssim : float
        Mean structural similarity (Wang et al. 2004, Gaussian window), over the channels red, green and blue; 1 means
        equal.
    histogram : float
        Chi-square distance ½ Σ (p − q)² / (p + q) of the joint histograms of both images in CIELAB, in bins of 10
        units of lightness by 16 of a and of b, normalised to a sum of 1; 0 means the same colours, 1 no common colour.
    difference : numpy.ndarray
        float64 (H, W): mean over the channels of the absolute difference, in grey levels from 0 to 255.
    similarity : numpy.ndarray
        float64 (H, W): structural similarity at every pixel, mean over the channels.
    """

    psnr: Optional[float]
    ssim: float
    histogram: float
    difference: np.ndarray
    similarity: np.ndarray


def reconcile(image, other):
    """Resize the second of two images to the size of the first, and convert both to values in [0, 1].

    Parameters
    ----------
    image, other : numpy.ndarray
        uint8 (H, W, 3).

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        float64 (H, W, 3) of the height and width of `image`. An image that already has them keeps its values.
    """
    size = image.shape[:2]
    return image / 255.0, other / 255.0 if other.shape[:2] == size else resize(other, size)


def compare_images(image, other):
    """Compare two images of the same size.

    Parameters
    ----------
    image, other : numpy.ndarray
        float64 (H, W, 3) in [0, 1], as `reconcile` returns them.

    Returns
    -------
    Comparison

    Raises
    ------
    ImageError
        If they are smaller than the window of SSIM.
    """
    from skimage import metrics

    if min(image.shape[:2]) < _WINDOW:
        height, width = image.shape[:2]
        raise ImageError(f"{width} x {height} pixels are too small to compare; it takes {_WINDOW} x {_WINDOW}")
    error = np.mean(np.square(image - other))
    ssim, similarity = metrics.structural_similarity(image, other, full=True, **_SSIM)
    return Comparison(
        psnr=None if error == 0 else float(-10 * np.log10(error)),
        ssim=float(ssim),
        histogram=histogram_distance(image, other),
        difference=np.abs(image - other).mean(axis=2) * 255,
        similarity=similarity.mean(axis=2),
    )


def histogram_distance(image, other):
    """Return the chi-square distance of the colours of two images; see `Comparison`.

    Parameters
    ----------
    image, other : numpy.ndarray
        float64 (H, W, 3) in [0, 1]; their sizes may differ.

    Returns
    -------
    float
        From 0 to 1.
    """
    one, two = _histogram(image), _histogram(other)
    filled = one + two > 0
    return float(0.5 * np.sum(np.square(one - two)[filled] / (one + two)[filled]))


def _histogram(image):
    from skimage import color

    bins = (_LIGHTNESS_BINS, _COLOUR_BINS, _COLOUR_BINS)
    ranges = ((0, 100.0001), (-128, 128), (-128, 128))  # rounding puts the lightness of white slightly above 100
    counts, _ = np.histogramdd(color.rgb2lab(image).reshape(-1, 3), bins=bins, range=ranges)
    return counts / counts.sum()
