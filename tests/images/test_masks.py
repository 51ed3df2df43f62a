"""Masks: read from grey and from colours, resized so that they still add up."""

import numpy as np
import pytest
from PIL import Image

from neural_style.errors import ImageError, SettingsError
from neural_style.images.masks import check_mask, parse_color, read_mask, resize_mask


def test_white_counts_and_grey_in_part(tmp_path):
    grey = np.array([[0, 51, 255], [102, 255, 0]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png")
    assert mask.dtype == np.float32
    np.testing.assert_allclose(mask, grey / 255, rtol=1e-6)


def drawn(path):
    """A disc of red on blue with a green corner and a black stripe, its edges smooth, as JPEG at that."""
    big = np.zeros((240, 320, 3), np.uint8)
    y, x = np.mgrid[:240, :320]
    big[...] = (0, 0, 255)
    big[(x - 160) ** 2 + (y - 120) ** 2 < 80**2] = (255, 0, 0)
    big[(x > 260) & (y > 180)] = (0, 128, 0)
    big[:, :20] = 0
    Image.fromarray(big).resize((160, 120), Image.LANCZOS).save(path, quality=90)
    return big[::2, ::2]


def test_one_image_with_several_colours(tmp_path):
    there = drawn(tmp_path / "m.jpg")
    colours = ["red", "#00f", "green"]
    masks = [read_mask(tmp_path / "m.jpg", one, [other for other in colours if other != one]) for one in colours]
    total = sum(masks)
    assert total.max() == 1
    # What is black belongs to nobody, and the rest to somebody, but for a few pixels along the edges.
    assert total[:, :9].max() == 0 and (total[:, 11:] == 1).mean() > 0.99
    for mask, colour in zip(masks, ((255, 0, 0), (0, 0, 255), (0, 128, 0))):
        assert (mask == (there == colour).all(2)).mean() > 0.98


def test_a_colour_that_is_not_there(tmp_path):
    drawn(tmp_path / "m.png")
    with pytest.raises(ImageError, match="m.png: nothing in it is yellow"):
        read_mask(tmp_path / "m.png", "yellow")
    with pytest.raises(SettingsError, match="'rde' is no colour; write it like red or #ff0000"):
        read_mask(tmp_path / "m.png", "rde")
    assert parse_color("#0a0b0c") == (10, 11, 12)


@pytest.mark.parametrize("size", [(37, 20), (11, 64), (90, 121)])
def test_masks_that_add_up_to_one_still_do(size):
    rng = np.random.RandomState(0)
    first = (rng.uniform(size=(37, 50)) > 0.5).astype("float32")
    small = [resize_mask(mask, size) for mask in (first, 1 - first)]
    np.testing.assert_allclose(small[0] + small[1], 1, atol=1e-6)
    assert small[0].shape == size and small[0].min() >= 0 and small[0].max() <= 1
    assert small[0].mean() == pytest.approx(first.mean(), abs=0.03)


def test_a_mask_of_the_same_size_is_the_same():
    mask = np.random.RandomState(0).uniform(size=(5, 6)).astype("float32")
    np.testing.assert_array_equal(resize_mask(mask, (5, 6)), mask)


@pytest.mark.parametrize(
    "mask", [np.ones((2, 2), "uint8"), np.ones((2, 2, 1)), [[1.0]], np.full((2, 2), 1.5), np.zeros((0, 2))]
)
def test_what_is_no_mask(mask):
    with pytest.raises(SettingsError, match="`keep` must be an array of floats from 0 to 1"):
        check_mask(mask, "keep")
    with pytest.raises(SettingsError):
        check_mask(np.full((2, 2), np.nan), "keep")
