"""The colours of one picture for another, and the filter that the original programs smooth their results with."""

import numpy as np


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
