"""The painting repeats itself, and has what a style is taken from: strokes, contrast and colour at every place."""

import numpy as np
import pytest

from neural_style.images.painting import paint


@pytest.fixture(scope="module")
def painting():
    return paint((192, 256))


def shrink(picture, factor):
    height, width = (side // factor for side in picture.shape[:2])
    return picture[: height * factor, : width * factor].reshape(height, factor, width, factor, -1).mean((1, 3))


def luminance(picture):
    return picture @ np.array((0.299, 0.587, 0.114))


def tiles(picture, count):
    rows = np.array_split(picture, count)
    return [tile for row in rows for tile in np.array_split(row, count, axis=1)]


@pytest.mark.parametrize("size", [(61, 35), (2, 3)])
def test_size_and_type(size):
    picture = paint(size)
    assert picture.shape == size + (3,) and picture.dtype == np.uint8


def test_a_seed_repeats_the_painting_and_another_changes_it():
    first = paint((48, 64), seed=3)
    np.random.rand()  # NumPy's own generator has no part in it
    np.testing.assert_array_equal(first, paint((48, 64), seed=3))
    assert np.abs(first.astype(float) - paint((48, 64), seed=4)).mean() > 10


def test_a_seed_means_the_same_strokes_at_every_size(painting):
    small, large = shrink(painting, 4), shrink(paint((384, 512)), 8)
    other = shrink(paint((192, 256), seed=1), 4)
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95
    assert np.corrcoef(small.ravel(), other.ravel())[0, 1] < 0.9


def test_it_goes_from_dark_to_light_and_from_cool_to_warm(painting):
    dark, light = np.percentile(luminance(painting), (5, 95))
    assert dark < 60 and light > 160
    warmth = painting[..., 0].astype(float) - painting[..., 2]
    assert (warmth > 40).mean() > 0.15 and (warmth < -20).mean() > 0.35
    assert len(np.unique(painting.reshape(-1, 3) // 32, axis=0)) > 100


def test_there_is_paint_everywhere(painting):
    assert min(luminance(tile).std() for tile in tiles(painting, 6)) > 15


@pytest.mark.parametrize("factor, least", [(1, 14), (2, 14), (4, 14), (8, 14)])
def test_there_are_edges_at_every_scale(painting, factor, least):
    down, right = np.gradient(luminance(shrink(painting, factor)))
    assert np.hypot(down, right).mean() > least


def test_strokes_have_a_direction_in_each_place_and_many_in_all(painting):
    down, right = np.gradient(luminance(painting))
    coherence, angles = [], []
    for d, r in zip(tiles(down, 12), tiles(right, 12)):
        # The structure tensor: 0 where edges go every way, 1 where they all go the same.
        difference, mixed, total = (r * r - d * d).mean(), 2 * (r * d).mean(), (r * r + d * d).mean()
        coherence.append(np.hypot(difference, mixed) / total)
        angles.append(0.5 * np.arctan2(mixed, difference))
    assert np.median(coherence) > 0.4
    # Level, upright and both slants: each is the way of some tiles.
    shares = np.bincount(np.rint(np.array(angles) / (np.pi / 4)).astype(int) % 4, minlength=4) / len(angles)
    assert shares.min() > 0.02
