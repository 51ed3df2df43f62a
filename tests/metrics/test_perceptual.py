"""Distances against the network in NumPy, float64."""

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, gram

from neural_style._mxnet import mx
from neural_style.errors import ImageError, WeightsError
from neural_style.images.sizing import resize
from neural_style.images.units import RGB_MEANS
from neural_style.metrics.perceptual import Judge
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights.params_file import read_parameters, save_weights

RNG = np.random.RandomState(1)
CONTENT, STYLE, PICTURE = (RNG.randint(0, 256, (h, w, 3)).astype("uint8") for h, w in ((30, 40), (24, 20), (16, 12)))


@pytest.fixture(scope="module")
def shallow(vgg19_file, tmp_path_factory):
    """A file that holds conv1_1 to conv3_3 alone."""
    shapes = ARCHITECTURES["vgg19"].parameter_shapes(["relu3_3"])
    path = tmp_path_factory.mktemp("shallow") / "judge.params"
    save_weights(path, read_parameters(vgg19_file, shapes))
    return path


def test_the_definition(shallow):
    shapes = ARCHITECTURES["vgg19"].parameter_shapes(["relu3_3"])
    network = NumpyVGG(ARCHITECTURES["vgg19"].blocks, read_parameters(shallow, shapes))

    def look(picture):
        image = resize(picture, PICTURE.shape[:2]) * 256 - RGB_MEANS
        return network.forward(image.transpose(2, 0, 1))

    picture, content, style = map(look, (PICTURE, CONTENT, STYLE))
    ratios = []
    for layer in ("relu1_1", "relu2_1", "relu3_1"):
        wanted = gram(style[layer])
        ratios.append(np.sum((gram(picture[layer]) - wanted) ** 2) / np.sum(wanted**2))
    expected = np.sum((picture["relu3_3"] - content["relu3_3"]) ** 2) / np.sum(content["relu3_3"] ** 2)

    judge = Judge("vgg19", shallow, CONTENT, STYLE, mx.cpu())
    found = judge.measure(PICTURE / 255.0)
    assert found.style == pytest.approx(np.mean(ratios), rel=1e-4)
    assert found.content == pytest.approx(expected, rel=1e-4)
    assert judge.measure(PICTURE / 255.0) == found  # what it remembers is what it saw


def test_what_is_compared_with_itself_is_at_distance_0(shallow):
    judge = Judge("vgg19", shallow, CONTENT, STYLE, mx.cpu())
    assert judge.measure(CONTENT / 255.0).content == pytest.approx(0, abs=1e-9)
    assert judge.measure(resize(STYLE, STYLE.shape[:2])).style == pytest.approx(0, abs=1e-9)
    assert judge.measure(CONTENT / 255.0).style > 0.001


def test_a_picture_of_another_size_is_measured_at_its_own(shallow):
    judge = Judge("vgg19", shallow, CONTENT, STYLE, mx.cpu())
    first = judge.measure(PICTURE / 255.0)
    judge.measure(CONTENT / 255.0)
    assert judge.measure(PICTURE / 255.0) == first


def test_too_small(shallow):
    judge = Judge("vgg19", shallow, CONTENT, STYLE, mx.cpu())
    judge.measure(PICTURE[:4, :4] / 255.0)
    with pytest.raises(ImageError, match="3 x 4 pixels, too small .* at least 4 x 4"):
        judge.measure(PICTURE[:4, :3] / 255.0)


def test_weights_that_end_too_early(vgg19_file, tmp_path):
    shapes = ARCHITECTURES["vgg19"].parameter_shapes(["relu3_2"])
    save_weights(tmp_path / "w.params", read_parameters(vgg19_file, shapes))
    with pytest.raises(WeightsError, match="has no parameter conv3_3_weight"):
        Judge("vgg19", tmp_path / "w.params", CONTENT, STYLE, mx.cpu())
