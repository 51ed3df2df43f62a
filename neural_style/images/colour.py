"""Colour transfer between images, and the filter with which the original programs smooth their results."""

import numpy as np


def recolour(content, style):
    """Return the content with the mean and covariance of the style's colours, by the linear map that moves them least.

    The map is that of Monge and Kantorovich for normal distributions (Pitié & Kokaram, The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer, CVMP 2007).

    Parameters
    ----------
    content, style : numpy.ndarray
        float32 (1, 3, H, W), each of any height and width, in the same unit.

    Returns
    -------
    numpy.ndarray
        float32, of the content's shape. Values may lie beyond black and white.
    """
    # (1, 3, H, W) -> (3, H*W)
    flat, other = (array.reshape(3, -1).astype(np.float64) for array in (content, style))
    means = [pixels.mean(axis=1, keepdims=True) for pixels in (flat, other)]
    # A grey or plain image has no spread in some direction. A spread of a hundredth of a level is too small to be seen
    # and keeps the roots finite.
    floor = np.eye(3) * 1e-4 * max(np.ptp(flat), np.ptp(other), 1e-6) ** 2 / 255**2
    here, there = (np.cov(pixels - mean, bias=True) + floor for pixels, mean in zip((flat, other), means))
    root, inverse = _power(here, 0.5), _power(here, -0.5)
    mapping = inverse @ _power(root @ there @ root, 0.5) @ inverse
    return (mapping @ (flat - means[0]) + means[1]).reshape(content.shape).astype(np.float32)


def recolour_locally(content, painted, weight):
    """Return the content in the colours that a painted image has nearby: what the paint may be where it is missing.

    At every pixel a linear map of colours, from content to paint, is fitted to its neighbourhood, a Gaussian with a
    sixteenth of the short side; weighted least squares with a ridge of 0.02 of the content's variance. That is the
    guided filter (He, Sun & Tang 2010) with weights, its maps taken as they are at each pixel.

    Parameters
    ----------
    content, painted : numpy.ndarray
        float32 (1, 3, H, W), in the same unit.
    weight : numpy.ndarray
        float32 (H, W), from 0 to 1: how much of the painted image counts.

    Returns
    -------
    numpy.ndarray
        float32 (1, 3, H, W). Values may lie beyond black and white. Where the weight is 1 it is the painted image.
    """
    from scipy import ndimage

    wanted, sigma = weight < 1, min(weight.shape) / 16

    def nearby(values):
        """Return the weighted sum around the wanted pixels, with a little of all, for where nothing is near: (P,)."""
        weighted = values * weight
        return ndimage.gaussian_filter(weighted, sigma)[wanted] + 1e-3 * weighted.mean()

    # (1, 3, H, W) -> 3 x (H, W)
    seen, paint = (list(array[0].astype(np.float64)) for array in (content, painted))
    total = np.maximum(nearby(np.ones(weight.shape)), 1e-12)
    means, paints = (
        np.stack([nearby(plane) / total for plane in planes], axis=1) for planes in (seen, paint)
    )  # (P, 3)
    spread, common = np.empty((len(total), 3, 3)), np.empty((len(total), 3, 3))
    for i in range(3):
        for j in range(3):
            spread[:, i, j] = nearby(seen[i] * seen[j]) / total - means[:, i] * means[:, j]
            common[:, i, j] = nearby(seen[i] * paint[j]) / total - means[:, i] * paints[:, j]
    ridge = 0.02 * np.mean([plane.var() for plane in seen]) + 1e-9
    maps = np.linalg.solve(spread + ridge * np.eye(3), common)  # (P, 3, 3)
    here = np.stack([plane[wanted] for plane in seen], axis=1) - means
    result = painted.copy()
    result[0][:, wanted] = (paints + np.einsum("pi,pij->pj", here, maps)).T
    return result


def _power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T


def denoise(image, weight):
    """Smooth an image by reducing its total variation, as both original programs do before they save.

    The method is Chambolle's (An algorithm for total variation minimization and applications, 2004), as implemented by
    `skimage.restoration.denoise_tv_chambolle`, over all channels together. The result is rounded to 8 bits.

    Parameters
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3).
    weight : float
        Non-negative, for intensities in [0, 1]; larger is smoother. 0 returns the image unchanged.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    if weight == 0:
        return image
    from skimage import restoration, util

    smooth = restoration.denoise_tv_chambolle(image, weight=weight, channel_axis=-1)
    # It stops before convergence, and may then lie slightly beyond white, which img_as_ubyte refuses.
    return util.img_as_ubyte(np.clip(smooth, 0, 1, out=smooth))
