"""Optical flow between frames of a video: where each pixel was in the former frame, how far that can be trusted, and
images warped along it.

A flow is float32 (H, W, 2): what is at column x and row y of one frame is at (x, y) + flow[y, x] of another one, in
pixels, columns first. OpenCV, SciPy and scikit-image are imported by the functions that need them.
"""

import importlib.util

import numpy as np

from ..errors import unknown

# The reliability of Ruder, Dosovitskiy & Brox (arXiv:1604.08610, section 3.2), with the numbers of the program they
# published with it: of inconsistency, of motion boundaries, and of the blur that widens both.
_INCONSISTENT, _INCONSISTENT_LEAST = 0.01, 0.5
_BOUNDARY, _BOUNDARY_LEAST = 0.01, 0.002
_BLUR = 0.8

# Two frames are not of one shot below this share of reliable pixels, or above this mean difference in grey levels
# after motion. Between photographs the share was 0.11 at most, within shots 0.85 at least; of a plain frame, such as
# black, every flow is as good as another, hence the second.
_CUT_SHARE, _CUT_DIFFERENCE = 0.3, 50


def _flow_by_dis(here, there):
    import cv2

    # OpenCV divides the image among its threads, and the flow near the borders of the parts depends on their number.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(here, there, None)
    finally:
        cv2.setNumThreads(threads)


def _flow_by_tv_l1(here, there):
    from skimage.registration import optical_flow_tvl1

    # (2, H, W), rows first -> (H, W, 2), columns first
    flow = optical_flow_tvl1(here / np.float32(255), there / np.float32(255), dtype=np.float32)
    return np.ascontiguousarray(flow[::-1].transpose(1, 2, 0))


# Kroeger, Timofte, Dai & Van Gool 2016 (arXiv:1603.03590), of OpenCV; Zach, Pock & Bischof 2007, of scikit-image.
FLOWS = {"dis": _flow_by_dis, "tv-l1": _flow_by_tv_l1}


def choose_flow():
    """Return the name of the best method of `FLOWS` that can be used: ``dis`` needs OpenCV."""
    return "dis" if importlib.util.find_spec("cv2") else "tv-l1"


def estimate_flow(here, there, method):
    """Estimate where what is seen in one frame is in another.

    Parameters
    ----------
    here, there : numpy.ndarray
        uint8 (H, W, 3).
    method : str
        A name of `FLOWS`.

    Returns
    -------
    numpy.ndarray
        The flow from `here` to `there`, float32 (H, W, 2).

    Raises
    ------
    SettingsError
        If there is no such method.
    """
    if method not in FLOWS:
        raise unknown("flow", method, FLOWS)
    return FLOWS[method](_grey(here), _grey(there))


def warp(image, flow):
    """Bring an image into the place of another frame, with bilinear interpolation.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, C), of the frame that the flow leads to.
    flow : numpy.ndarray
        float32 (H, W, 2).

    Returns
    -------
    numpy.ndarray
        float32 (H, W, C): at every pixel the image where the flow leads; beyond the image, the pixel next to it.
    """
    from scipy import ndimage

    image, places = np.asarray(image, np.float32), _places(flow)
    warped = [ndimage.map_coordinates(image[..., i], places, order=1, mode="nearest") for i in range(image.shape[2])]
    return np.stack(warped, axis=2)


def find_reliability(flow, back):
    """Find how far a flow can be trusted, pixel by pixel.

    Nothing can be said where it leaves the image, where there and back again leads elsewhere, which is where something
    comes into view, and at the boundaries of what moves.

    Parameters
    ----------
    flow, back : numpy.ndarray
        float32 (H, W, 2), from one frame to another and back.

    Returns
    -------
    numpy.ndarray
        float32 (H, W): 1 where the flow is reliable, 0 where it is not, blurred in between.
    """
    from scipy import ndimage

    places = _places(flow)
    returning = warp(back, flow)
    length = _squared(flow)
    inconsistent = _squared(flow + returning) >= _INCONSISTENT * (length + _squared(returning)) + _INCONSISTENT_LEAST
    padded = np.pad(flow, ((1, 1), (1, 1), (0, 0)), mode="edge")
    # (H, W, 2) each
    across, down = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2, (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    boundary = _squared(across) + _squared(down) > _BOUNDARY * length + _BOUNDARY_LEAST
    outside = np.zeros(length.shape, bool)
    for place, side in zip(places, length.shape):
        outside |= (place < 0) | (place > side - 1)
    # Below zero, so that the blur takes more from what is beside it; the first that holds counts.
    reliable = np.select([outside, inconsistent, boundary], [0.0, -1.0, 0.0], 1.0).astype(np.float32)
    return np.clip(ndimage.gaussian_filter(reliable, _BLUR), 0, 1)


def is_cut(here, there, flow, reliability):
    """Return whether two frames are of different shots.

    They are where less than 0.3 of the flow is reliable, or where one differs from the other, brought into its place,
    by more than 50 grey levels on average.

    Parameters
    ----------
    here, there : numpy.ndarray
        uint8 (H, W, 3).
    flow : numpy.ndarray
        From `here` to `there`, float32 (H, W, 2).
    reliability : numpy.ndarray
        Of the flow, float32 (H, W).
    """
    difference = np.abs(warp(there, flow) - here).mean()
    return bool(reliability.mean() < _CUT_SHARE or difference > _CUT_DIFFERENCE)


def _grey(image):
    # ITU-R BT.601, as OpenCV and video have it
    return np.rint(image @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)


def _places(flow):
    """Return the rows and columns that a flow leads to, float32 (2, H, W)."""
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return np.stack([rows + flow[..., 1], columns + flow[..., 0]])


def _squared(vectors):
    return np.square(vectors).sum(axis=-1)
