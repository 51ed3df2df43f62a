"""Flow, warping and reliability, against translations that are known and against plain NumPy."""

import importlib.util

import numpy as np
import pytest
from scipy import ndimage

from neural_style.errors import SettingsError
from neural_style.images import flow

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
METHODS = [pytest.param("dis", marks=needs_opencv), "tv-l1"]


def texture(seed, height=80, width=112):
    """Return an image of soft spots of all sizes, uint8 (H, W, 3)."""
    noise = np.random.RandomState(seed).normal(size=(height, width, 3))
    spots = sum(ndimage.gaussian_filter(noise, (s, s, 0)) * s for s in (1.5, 3, 6))
    return np.uint8(np.clip(128 + 60 * spots / spots.std(), 0, 255))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [(3, -2), (-4, 5)])
def test_the_flow_of_a_translation(method, shift):
    large = texture(0, 100, 132)
    across, down = shift
    there = large[10:90, 10:122]
    here = large[10 + down : 90 + down, 10 + across : 122 + across]
    found = flow.estimate_flow(here, there, method)
    assert found.shape == (80, 112, 2) and found.dtype == np.float32
    error = np.linalg.norm(found - shift, axis=2)[12:-12, 12:-12]
    assert np.median(error) < 0.1 and error.mean() < 0.3
    back = flow.estimate_flow(there, here, method)
    reliability = flow.find_reliability(found, back)
    assert reliability[15:-15, 15:-15].mean() > 0.9
    moved = flow.warp(there, found)
    assert np.abs(moved - here)[reliability > 0.9].mean() < 3 < np.abs(there - here.astype(float)).mean()


@pytest.mark.parametrize("method", METHODS)
def test_a_cut_is_where_little_of_the_flow_is_reliable(method):
    large = texture(0, 100, 132)
    a, b, black = large[10:90, 10:122], large[11:91, 13:125], np.zeros((80, 112, 3), np.uint8)

    def cut(before, after):
        there, back = (flow.estimate_flow(*pair, method) for pair in ((after, before), (before, after)))
        return flow.is_cut(after, before, there, flow.find_reliability(there, back))

    assert not cut(a, b) and not cut(a, a) and not cut(a, b - b // 8)
    assert cut(a, texture(1)) and cut(texture(2), b) and cut(black, a) and cut(a, black) and cut(black, black + 200)


@needs_opencv
def test_the_flow_does_not_depend_on_the_number_of_threads():
    import cv2

    before, flows = cv2.getNumThreads(), []
    for threads in (1, 4):
        cv2.setNumThreads(threads)
        flows.append(flow.estimate_flow(texture(0), texture(3), "dis"))
        assert cv2.getNumThreads() == threads
    cv2.setNumThreads(before)
    assert (flows[0] == flows[1]).all()


def test_an_unknown_flow_is_refused():
    with pytest.raises(SettingsError, match="unknown flow 'farneback'; choose from dis, tv-l1"):
        flow.estimate_flow(texture(0), texture(0), "farneback")


def test_the_best_flow_that_there_is(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert flow.choose_flow() == "tv-l1"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert flow.choose_flow() == "dis"


def warp_by_hand(image, field):
    height, width = image.shape[:2]
    warped = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            at_x = min(max(x + float(field[y, x, 0]), 0), width - 1)
            at_y = min(max(y + float(field[y, x, 1]), 0), height - 1)
            left, top = int(at_x), int(at_y)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            u, v = at_x - left, at_y - top
            warped[y, x] = (1 - v) * ((1 - u) * image[top, left] + u * image[top, right]) + v * (
                (1 - u) * image[bottom, left] + u * image[bottom, right]
            )
    return warped


def test_warping_is_bilinear_and_repeats_the_border():
    random = np.random.RandomState(0)
    image, field = random.rand(9, 13, 3) * 255, random.normal(0, 4, (9, 13, 2)).astype(np.float32)
    np.testing.assert_allclose(flow.warp(image, field), warp_by_hand(image, field), atol=1e-3)


def test_warping_by_whole_pixels_is_exact():
    image = texture(0, 20, 30)
    field = np.full((20, 30, 2), (4, -3), np.float32)
    assert (flow.warp(image, field)[3:, :-4] == image[:-3, 4:]).all()


def reliability_by_hand(field, back):
    """Ruder et al.'s rules, pixel by pixel, as the published program writes them: 255, 0 or -255, then the blur."""
    height, width = field.shape[:2]
    levels, returning = np.full((height, width), 255.0), warp_by_hand(back, field)
    for y in range(height):
        for x in range(width):
            f, u = field[y, x].astype(float), returning[y, x]
            east, west = field[y, min(x + 1, width - 1)], field[y, max(x - 1, 0)]
            south, north = field[min(y + 1, height - 1), x], field[max(y - 1, 0), x]
            steepness = (((east - west) / 2) ** 2).sum() + (((south - north) / 2) ** 2).sum()
            if not (0 <= x + f[0] <= width - 1 and 0 <= y + f[1] <= height - 1):
                levels[y, x] = 0
            elif ((f + u) ** 2).sum() >= 0.01 * ((f**2).sum() + (u**2).sum()) + 0.5:
                levels[y, x] = -255
            elif steepness > 0.01 * (f**2).sum() + 0.002:
                levels[y, x] = 0
    return np.clip(ndimage.gaussian_filter(levels, 0.8), 0, 255) / 255


def test_reliability_is_that_of_the_published_program():
    random = np.random.RandomState(0)
    field = (2.5, -1.5) + ndimage.gaussian_filter(random.normal(0, 4, (24, 30, 2)), (4, 4, 0))
    field[14:19, 18:26] += 2  # something that moves otherwise
    back = -field
    back[4:10, 8:20] += 1.5  # nothing leads back there
    field, back = field.astype(np.float32), back.astype(np.float32)
    found, expected = flow.find_reliability(field, back), reliability_by_hand(field, back)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert 0.1 < found.mean() < 0.9  # all of the rules are at work


def test_what_comes_into_view_is_unreliable():
    # A square of 10 pixels moves 6 to the right over a ground that stands still.
    field, back = np.zeros((30, 50, 2), np.float32), np.zeros((30, 50, 2), np.float32)
    field[10:20, 26:36, 0], back[10:20, 20:30, 0] = -6, 6
    reliability = flow.find_reliability(field, back)
    assert reliability[12:18, 21:25].max() < 0.01  # was behind the square
    assert reliability[13:17, 29:33].min() > 0.99 and reliability[:5].min() > 0.99
    assert reliability[12:18, 26].max() < 0.5  # its edge
