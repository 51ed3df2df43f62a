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


def match_covariance(image, target, here=None, there=None):
    """Return an image with the mean and covariance of another one's colours; see `recolour`.

    Gatys, Bethge, Hertzmann & Shechtman, Preserving Color in Neural Artistic Style Transfer (arXiv:1606.05897), section
    3, give the style the photograph's colours by such a map before the run.

    Parameters
    ----------
    image, target : numpy.ndarray
        float (H, W, 3) in [0, 1], each of any size.
    here, there : numpy.ndarray, optional
        (H, W): how much each pixel of the image and of the target counts.

    Returns
    -------
    numpy.ndarray
        float32 (H, W, 3). Values may lie beyond black and white.
    """
    # (H, W, 3) -> (1, 3, H, W) and back
    flat, other = (array.transpose(2, 0, 1)[np.newaxis] for array in (image, target))
    return recolour(flat, other, here, there)[0].transpose(1, 2, 0)


def match_histogram(image, target, here=None, there=None):
    """Return an image with the histogram of another one, channel by channel; arguments as `match_covariance`.

    Every value becomes the one that as large a part of the target's pixels lie below. How the channels go together is
    not changed.
    """
    counts, others = (
        np.ones(pixels.shape[:2]).ravel() if weights is None else weights.ravel().astype(np.float64)
        for pixels, weights in ((image, here), (target, there))
    )
    matched = [
        _match_values(image[..., i].ravel(), target[..., i].ravel(), counts, others).reshape(image.shape[:2])
        for i in range(image.shape[2])
    ]
    return np.stack(matched, axis=-1).astype(np.float32)


def _match_values(values, others, counts, other_counts):
    known, places = np.unique(values, return_inverse=True)
    wanted, other_places = np.unique(others[other_counts > 0], return_inverse=True)
    mass = np.bincount(places.ravel(), counts, len(known))
    other_mass = np.bincount(other_places.ravel(), other_counts[other_counts > 0], len(wanted))
    # A value that many pixels have lies in the middle of them.
    below, other_below = ((np.cumsum(m) - m / 2) / m.sum() for m in (mass, other_mass))
    return np.interp(below, other_below, wanted)[places.ravel()]


# Of YIQ, in which the light of an image and its colour are apart, as in television of 1953 (NTSC).
_LUMINANCE = np.array((0.299, 0.587, 0.114))


def luminance(image):
    """Return the luminance (H, W, 1) of an image (H, W, 3)."""
    return (image @ _LUMINANCE)[..., np.newaxis]


def match_luminance(image, target, here=None, there=None):
    """Return the luminance of an image, repeated over the channels, with the mean and spread of another one's.

    Gatys et al. (arXiv:1606.05897), equation 10, do so before they transfer only the luminance of a style. Arguments
    and result as `match_covariance`.
    """
    light, other = luminance(image), luminance(target)
    (mean, spread), (wanted, wanted_spread) = (
        _mean_and_spread(values.ravel(), weights) for values, weights in ((light, here), (other, there))
    )
    return np.repeat((light - mean) * (wanted_spread / max(spread, 1e-6)) + wanted, 3, axis=2)


def _mean_and_spread(values, weights):
    weights = None if weights is None else weights.ravel()
    mean = np.average(values, weights=weights)
    return mean, np.sqrt(np.average((values - mean) ** 2, weights=weights))


def with_light(image, light):
    """Return an image (H, W, 3) with the luminance of another one: chrominance I and Q of YIQ stay as they are."""
    return image + (luminance(light) - luminance(image))


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
