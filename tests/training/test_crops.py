"""Crops of pictures: what is held out stays held out, and a batch depends on its number only."""

import os

import numpy as np
import pytest
import skimage.io

from neural_style.errors import ImageError
from neural_style.training import crops


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    rng = np.random.RandomState(2)
    folders = []
    for kind, count in (("a", 40), ("b", 10)):
        folder = tmp_path_factory.mktemp(kind)
        for number in range(count):
            coarse = rng.randint(0, 256, (6, 7, 3)).astype("float32")
            picture = crops.resample(coarse, 60, 70).clip(0, 255).astype("uint8")
            skimage.io.imsave(str(folder / f"{kind}{number}.png"), picture, check_contrast=False)
        folders.append(str(folder))
    return folders


def _names(groups):
    return {os.path.basename(path) for group in groups for path in group}


def test_the_held_out_part_is_disjoint_and_does_not_depend_on_the_folder(folders):
    train, held_out = crops.read_images(folders, 64)
    assert [len(a) + len(b) for a, b in zip(train, held_out)] == [40, 10]
    assert not _names(train) & _names(held_out)
    names = _names(train) | _names(held_out)
    assert _names(held_out) == {name for name in names if crops.is_held_out(os.path.join("elsewhere", name))}


def test_copies_of_a_picture_held_out_are_held_out_too(folders, tmp_path):
    _, held_out = crops.read_images(folders, 64)
    path, picture = next(iter(held_out[0].items()))
    free = [name for name in ("copy0.png", "copy1.png", "copy2.png", "copy3.png") if not crops.is_held_out(name)]
    smaller = crops.resample(picture.astype("float32"), 40, 50)
    # A copy of that copy, darker and in other proportions; and what has nothing but its mean in common.
    copies = smaller, 0.7 * crops.resample(smaller, 64, 48), np.full((50, 50, 3), picture.mean())
    for name, copy in zip(free, copies):
        skimage.io.imsave(str(tmp_path / name), np.rint(copy).clip(0, 255).astype("uint8"), check_contrast=False)
    train, held_out = crops.read_images(folders + [str(tmp_path)], 64)
    assert set(free[:2]) <= _names(held_out) and free[2] in _names(train)


def test_likeness_is_passed_on():
    rng = np.random.RandomState(0)
    first, other = rng.uniform(0, 255, (2, 24, 24, 3))
    # Correlations of 0.93 between neighbours and less than 0.9 between the ends.
    chain = [np.cos(angle) * first + np.sin(angle) * (other - 127) for angle in (0, 0.37, 0.74)]
    found = crops.with_lookalikes(chain + [other], np.array([True, False, False, False]))
    assert found.tolist() == [True, True, True, False]
    found = crops.with_lookalikes([chain[0], chain[2], other], np.array([True, False, False]))
    assert found.tolist() == [True, False, False]


def test_pictures_are_shrunk_to_what_is_of_use(folders):
    train, _ = crops.read_images(folders, 48)
    assert {picture.shape for group in train for picture in group.values()} == {(48, 56, 3)}


def test_one_picture_in_twenty_or_so_is_held_out_and_stays_so():
    held_out = [number for number in range(2000) if crops.is_held_out(f"{number}.jpg")]
    assert 70 < len(held_out) < 130
    # Others' figures could not be compared any more if this changed.
    assert held_out[:4] == [7, 18, 46, 54]


def test_a_batch_depends_on_seed_and_number_alone(folders):
    train, _ = crops.read_images(folders, 64)
    source = crops.Crops(train)
    first = source.batch(5, 7, 4, 32)
    assert first.shape == (4, 3, 32, 32) and first.dtype == np.float32
    assert abs(first).max() <= 255
    source.batch(5, 8, 4, 32)
    np.testing.assert_array_equal(source.batch(5, 7, 4, 32), first)
    assert abs(source.batch(6, 7, 4, 32) - first).max() > 1
    assert abs(source.batch(5, 7, 4, 32)[0] - first[1]).max() > 1


def test_resampling_keeps_flat_pictures_flat_and_means_nearly():
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(crops.resample(np.full((9, 14, 3), 7, "float32"), 16, 5), 7, rtol=1e-5)
    picture = rng.uniform(size=(40, 64, 3)).astype("float32")
    small = crops.resample(picture, 10, 16)
    np.testing.assert_allclose(small.mean(), picture.mean(), atol=0.02)
    assert small.std() < picture.std() / 2
    np.testing.assert_allclose(crops.resample(picture, 40, 64), picture, rtol=1e-5, atol=1e-6)


def test_folders_without_enough_pictures(tmp_path):
    with pytest.raises(ImageError, match="cannot be read"):
        crops.read_images([str(tmp_path / "missing")], 64)
    with pytest.raises(ImageError, match="no images in it"):
        crops.read_images([str(tmp_path)], 64)
    skimage.io.imsave(str(tmp_path / "one.png"), np.zeros((40, 40, 3), "uint8"), check_contrast=False)
    with pytest.raises(ImageError, match="too few different images"):
        crops.read_images([str(tmp_path)], 64)
