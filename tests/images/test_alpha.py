"""Transparent images: taken apart, put together, read and saved."""

import numpy as np
import pytest
from PIL import Image

from neural_style.errors import ImageError
from neural_style.images.alpha import join_alpha, split_alpha
from neural_style.images.reading import read_image
from neural_style.images.saving import FORMATS, save_image

RNG = np.random.RandomState(0)
PIXELS = RNG.randint(0, 256, (12, 16, 4)).astype("uint8")


@pytest.mark.parametrize("suffix", [suffix for suffix, (name, _) in FORMATS.items() if name != "JPEG"])
def test_alpha_is_saved_and_read(tmp_path, suffix):
    image = PIXELS.copy()
    image[..., 3] = np.maximum(image[..., 3], 1)  # WebP may change colours that cannot be seen
    save_image(tmp_path / ("a" + suffix), image, metadata={"Software": "x", "Comment": "y"})
    np.testing.assert_array_equal(read_image(tmp_path / ("a" + suffix), alpha=True), image)
    assert read_image(tmp_path / ("a" + suffix)).shape == (12, 16, 3)
    # Other programs see it, too.
    with Image.open(tmp_path / ("a" + suffix)) as other:
        assert other.mode == "RGBA" and (np.asarray(other)[..., 3] == image[..., 3]).all()


def test_jpeg_has_no_alpha(tmp_path):
    image = np.zeros((8, 8, 4), "uint8")
    image[:4, :, 3] = 255
    save_image(tmp_path / "a.jpg", image)
    found = read_image(tmp_path / "a.jpg", alpha=True)
    assert found.shape == (8, 8, 3) and found[:3].max() < 30 and found[5:].min() > 225


def test_an_opaque_image_has_none(tmp_path):
    image = PIXELS.copy()
    image[..., 3] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", alpha=True), image[..., :3])


def test_what_cannot_be_seen_mirrors_what_can():
    row = np.array([9, 9, 10, 20, 30, 9, 9, 9, 9], np.uint8)
    image = np.zeros((3, 9, 4), np.uint8)
    image[..., :3], image[:, 2:5, 3] = row[None, :, None], 255
    colours, opacity = split_alpha(image, "content")
    # Beyond what there is to mirror, the edge goes on.
    np.testing.assert_array_equal(colours[1, :, 0], [30, 20, 10, 20, 30, 20, 10, 30, 30])
    np.testing.assert_array_equal(opacity, (image[..., 3] / 255).astype("float32"))
    assert split_alpha(image[..., :3], "content")[1] is None
    with pytest.raises(ImageError, match="the style is transparent all over"):
        split_alpha(np.zeros((3, 3, 4), "uint8"), "style")


def test_alpha_takes_the_size_of_the_image():
    opacity = np.zeros((6, 8), "float32")
    opacity[:, :4] = 1
    joined = join_alpha(PIXELS[..., :3], opacity)
    np.testing.assert_array_equal(joined[..., :3], PIXELS[..., :3])
    assert (joined[:, :7, 3] == 255).all() and (joined[:, 9:, 3] == 0).all()
