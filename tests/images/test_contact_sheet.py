"""Where each picture lies on a contact sheet, to the pixel."""

import numpy as np
import pytest

from neural_style.images.contact_sheet import make_contact_sheet, make_grid, margin, shrink


@pytest.fixture
def pictures():
    rng = np.random.RandomState(0)
    return [rng.randint(0, 256, (h, w, 3)).astype("uint8") for h, w in ((64, 90), (128, 64), (64, 48))]


def test_pictures_lie_side_by_side_at_the_height_of_the_last(pictures):
    space = margin(64)
    sheet = make_contact_sheet(pictures)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (64 + 2 * space, 90 + 32 + 48 + 4 * space, 3)
    np.testing.assert_array_equal(sheet[space : space + 64, space : space + 90], pictures[0])
    np.testing.assert_array_equal(sheet[space : space + 64, -space - 48 : -space], pictures[2])
    halved = pictures[1].reshape(64, 2, 32, 2, 3).mean((1, 3))
    left = 90 + 2 * space
    middle = sheet[space : space + 64, left : left + 32].astype(float)
    assert np.corrcoef(middle.ravel(), halved.ravel())[0, 1] > 0.8


def test_all_the_rest_is_ground(pictures):
    space = margin(64)
    sheet = make_contact_sheet(pictures).astype(int)
    ground = np.ones(sheet.shape[:2], bool)
    for left, width in ((space, 90), (90 + 2 * space, 32), (122 + 3 * space, 48)):
        ground[space : space + 64, left : left + width] = False
    colours = np.unique(sheet[ground], axis=0)
    assert len(colours) == 1 and len(set(colours[0])) == 1, "the ground is one grey"


def test_a_caption_stands_centred_in_the_strip_below_its_picture(pictures):
    space = margin(64)
    plain = make_contact_sheet(pictures)
    sheet = make_contact_sheet(pictures, ["content", "", "it"])
    assert sheet.shape == (64 + 3 * space, plain.shape[1], 3)
    np.testing.assert_array_equal(sheet[: 64 + space], plain[: 64 + space])
    written = (sheet[64 + space :] != sheet[0, 0]).any(axis=(0, 2))
    for left, width, text in ((space, 90, True), (90 + 2 * space, 32, False), (122 + 3 * space, 48, True)):
        ink = np.flatnonzero(written[left : left + width])
        assert (len(ink) > 0) == text
        if text:
            assert abs((ink[0] + ink[-1]) / 2 - (width - 1) / 2) <= 1
        written[left : left + width] = False
    assert not written.any()


def test_the_height_can_be_chosen(pictures):
    space = margin(32)
    assert make_contact_sheet(pictures[:1], height=32).shape == (32 + 2 * space, 45 + 2 * space, 3)


def test_a_grid_keeps_its_columns_in_line():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    sizes = [(40, 60), (40, 30), (40, 60), (20, 60), (40, 20)]
    images = [np.full((h, w, 3), colour, np.uint8) for (h, w), colour in zip(sizes, colours)]
    images[2] = None
    grid = make_grid(images, ["a name that is too long for its image", "b", "c", "d", "e"], 2).astype(int)
    centres = {}
    for i, colour in enumerate(colours):
        rows, columns = np.nonzero((grid == colour).all(axis=2))
        if i != 2:
            assert len(rows) == sizes[i][0] * sizes[i][1]
            centres[i] = rows.mean(), columns.mean()
    assert centres[0][0] == centres[1][0] < centres[3][0] < centres[4][0]
    assert centres[0][1] == centres[4][1] < centres[1][1] == centres[3][1]
    # Nothing else has a colour: captions are grey, and the one that is too long stays below its image.
    assert grid.shape[1] == 2 * 60 + 3 * margin(40)


@pytest.mark.parametrize("size, expected", [((200, 300), (100, 150)), ((50, 50), (100, 100)), ((10, 100), (20, 200))])
def test_shrinking_keeps_proportions_and_bounds_the_width(size, expected):
    assert shrink(np.zeros(size + (3,), np.uint8), 100).shape == expected + (3,)
