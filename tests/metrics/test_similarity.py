"""The measures against their definitions, written down a second time."""

import numpy as np
import pytest
import skimage.metrics
from scipy import ndimage

from neural_style.errors import ImageError
from neural_style.images.sizing import resize
from neural_style.metrics.similarity import compare_images, histogram_distance, reconcile

RNG = np.random.RandomState(0)
NOISE = RNG.randint(0, 256, (40, 50, 3)).astype("uint8")
NEAR = np.clip(NOISE.astype(int) + RNG.randint(-9, 10, NOISE.shape), 0, 255).astype("uint8")


def flat(*rgb):
    return np.full((20, 30, 3), rgb, "uint8")


def compare(a, b):
    return compare_images(*reconcile(a, b))


def test_equal_pictures():
    same = compare(NOISE, NOISE.copy())
    assert same.psnr is None and same.ssim == pytest.approx(1) and same.histogram == 0
    assert same.difference.max() == 0 and same.similarity == pytest.approx(np.ones((40, 50)))


def test_psnr():
    # One grey level everywhere: 20 log10(255).
    assert compare(flat(10, 20, 30), flat(11, 19, 31)).psnr == pytest.approx(48.1308, abs=1e-4)
    expected = skimage.metrics.peak_signal_noise_ratio(NOISE, NEAR)
    assert compare(NOISE, NEAR).psnr == pytest.approx(expected, rel=1e-12)
    assert compare(flat(0, 0, 0), flat(255, 255, 255)).psnr == pytest.approx(0)


def test_ssim_is_that_of_wang_et_al():
    def mean(x):
        return ndimage.gaussian_filter(x, 1.5, truncate=3.5)  # reaches 5 pixels: 11 x 11

    maps = []
    for c in range(3):
        x, y = NOISE[..., c].astype(float), NEAR[..., c].astype(float)
        mx, my = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        maps.append((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    found = compare(NOISE, NEAR)
    expected = np.mean(maps, axis=0)
    np.testing.assert_allclose(found.similarity, expected, atol=1e-9)
    assert found.ssim == pytest.approx(expected[5:-5, 5:-5].mean())  # where the window is within the picture


def test_histogram_distance_by_hand():
    black, white = flat(0, 0, 0), flat(255, 255, 255)
    half = black.copy()
    half[:10] = 255
    assert compare(black, white).histogram == pytest.approx(1)
    # ½ ((1 − ½)² / 1½ + ½² / ½) = 1/3
    assert compare(black, half).histogram == pytest.approx(1 / 3)
    assert compare(half, half[::-1]).histogram == 0


def test_histogram_distance_knows_no_size_and_is_symmetric():
    large = np.repeat(np.repeat(NOISE, 2, 0), 3, 1)
    assert histogram_distance(NOISE / 255.0, large / 255.0) == pytest.approx(0, abs=1e-12)
    one, two = NOISE / 255.0, resize(NEAR, (40, 50)) ** 2
    assert 0 < histogram_distance(one, two) < 1
    assert histogram_distance(one, two) == pytest.approx(histogram_distance(two, one))


def test_every_colour_is_within_the_histogram():
    corners = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], float).reshape(2, 4, 3)
    from neural_style.metrics.similarity import _histogram

    assert np.count_nonzero(_histogram(corners)) == 8 and _histogram(corners).sum() == pytest.approx(1)


def test_the_difference_is_in_grey_levels():
    found = compare(flat(10, 20, 30), flat(13, 20, 24))
    np.testing.assert_allclose(found.difference, 3, atol=1e-9)


def test_the_second_is_brought_to_the_size_of_the_first():
    a, b = reconcile(NOISE, NEAR[:20, :30])
    np.testing.assert_array_equal(a, NOISE / 255.0)
    np.testing.assert_array_equal(b, resize(NEAR[:20, :30], (40, 50)))
    _, b = reconcile(NOISE, NEAR)
    np.testing.assert_array_equal(b, NEAR / 255.0)


def test_too_small():
    with pytest.raises(ImageError, match="10 x 40 pixels are too small to compare; it takes 11 x 11"):
        compare(NOISE[:, :10], NOISE[:, :10])
    compare(NOISE[:, :11], NOISE[:, :11])
