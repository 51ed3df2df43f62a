"""Colour transfer between images, and the filter with which the original programs smooth their results."""

import numpy as np


def recolour(content, style, here=None, there=None):
    """Return the content with the mean and covariance of the style's colours, by the linear map that moves them least.

    The map is that of Monge and Kantorovich for normal distributions (Pitié & Kokaram, The linear Monge-Kantorovitch
    linear colour mapping for example-based colour transfer, CVMP 2007).

    Parameters
    ----------
    content, style : numpy.ndarray
        float32 (1, 3, H, W), each of any height and width, in the same unit.
    here, there : numpy.ndarray, optional
        (H, W): how much each pixel of the content and of the style counts; all the same if not given.

    Returns
    -------
    numpy.ndarray
        float32, of the content's shape. Values may lie beyond black and white.
    """
    # (1, 3, H, W) -> (3, H*W)
    flat, other = (array.reshape(3, -1).astype(np.float64) for array in (content, style))
    counts = [None if weights is None else weights.ravel().astype(np.float64) for weights in (here, there)]
    means = [
        pixels.mean(axis=1, keepdims=True) if count is None else np.average(pixels, 1, count)[:, np.newaxis]
        for pixels, count in zip((flat, other), counts)
    ]
    # A grey or plain image has no spread in some direction. A spread of a hundredth of a level is too small to be seen
    # and keeps the roots finite.
    floor = np.eye(3) * 1e-4 * max(np.ptp(flat), np.ptp(other), 1e-6) ** 2 / 255**2
    now, wanted = (
        np.cov(pixels - mean, bias=True, aweights=count) + floor
        for pixels, mean, count in zip((flat, other), means, counts)
    )
    root, inverse = _power(now, 0.5), _power(now, -0.5)
    mapping = inverse @ _power(root @ wanted @ root, 0.5) @ inverse
    return (mapping @ (flat - means[0]) + means[1]).reshape(content.shape).astype(np.float32)


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
