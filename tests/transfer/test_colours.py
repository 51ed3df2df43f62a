"""Whose colours a result has, by number."""

import numpy as np
import pytest
from numpy_vgg import random_parameters
from skimage import color, data, exposure

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.images import colour
from neural_style.images.painting import paint
from neural_style.images.sizing import long_edge_size, resize
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.objective import required_parameters
from neural_style.recipes.parts import CHOICES
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.colours import MATCHES, Colouring
from neural_style.transfer.compute import Compute
from neural_style.transfer.controls import Controls
from neural_style.transfer.inputs import Inputs, Style
from neural_style.transfer.stylize import stylize

TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
RECIPE = get_recipe("fast").override(
    model="tiny",
    content_layers=("relu2_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1"),
    max_long_edge=72,
    max_steps=6,
    save_every=0,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


@pytest.fixture(scope="module")
def images():
    cat = data.chelsea()[::4, ::4]
    return cat, paint((60, 80)), data.coffee()[::6, ::6]


def statistics(image, weights=None):
    pixels = image.reshape(-1, 3).astype(float)
    weights = None if weights is None else weights.ravel()
    return np.average(pixels, 0, weights), np.cov(pixels.T, bias=True, aweights=weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_covariance_are_matched(images, weighted):
    cat, sea, _ = (image / 255 for image in images)
    here, there = (np.random.RandomState(1).uniform(size=one.shape[:2]) if weighted else None for one in (cat, sea))
    matched = colour.match_covariance(cat, sea, here, there)
    for found, wanted in zip(statistics(matched, here), statistics(sea, there)):
        np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_histograms_are_matched_as_scikit_image_does(images):
    cat, sea, _ = images
    matched = colour.match_histogram(cat / 255, sea / 255)
    # It puts a value at the end of the pixels that have it, not in their middle.
    assert np.abs(matched * 255 - exposure.match_histograms(cat, sea, channel_axis=-1)).mean() < 1.5
    for i in range(3):
        quantiles = [np.percentile(image[..., i], np.arange(5, 100, 5)) for image in (matched * 255, sea)]
        np.testing.assert_allclose(*quantiles, atol=3)


def test_histograms_count_by_weights(images):
    cat, sea, _ = (image / 255 for image in images)
    part = np.zeros(sea.shape[:2])
    part[20:50, 30:60] = 1
    np.testing.assert_allclose(
        colour.match_histogram(cat, sea, None, part), colour.match_histogram(cat, sea[20:50, 30:60]), atol=1e-6
    )


def test_light_and_colour_are_those_of_yiq(images):
    cat, sea, _ = (image / 255 for image in images)
    sea = np.resize(sea, cat.shape)
    np.testing.assert_allclose(colour.luminance(cat)[..., 0], color.rgb2yiq(cat)[..., 0], atol=1e-3)
    mixed = color.rgb2yiq(colour.with_light(cat, sea))
    np.testing.assert_allclose(mixed[..., 1:], color.rgb2yiq(cat)[..., 1:], atol=1e-6)
    np.testing.assert_allclose(mixed[..., 0], color.rgb2yiq(sea)[..., 0], atol=1e-3)
    light = colour.match_luminance(sea, cat)
    assert (light.mean(), light.std()) == pytest.approx([colour.luminance(cat).mean(), colour.luminance(cat).std()])


def run(images, colors, **controls):
    cat, sea, _ = images
    parameters = random_parameters(required_parameters(RECIPE.losses))
    weights = {name: mx.nd.array(array) for name, array in parameters.items()}
    recipe = RECIPE.override(colors=colors)
    return stylize(cat, sea, recipe, weights=weights, compute=Compute(gpu=-1), controls=Controls(**controls))


@pytest.fixture(scope="module")
def small(images):
    return resize(images[0], long_edge_size(images[0].shape, 72)) * 255


def test_the_contents_colours_stay_exactly(images, small):
    result = run(images, "content").image
    found, wanted = (color.rgb2yiq(image / 255) for image in (result, small))
    inside = (result > 0).all(2) & (result < 255).all(2)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found[inside][:, 1:], wanted[inside][:, 1:], atol=4e-3)
    assert np.abs(found[..., 0] - wanted[..., 0]).mean() > 0.015


@pytest.mark.parametrize("colors", MATCHES)
@pytest.mark.parametrize("palette", [False, True])
def test_the_result_has_the_colours_that_were_asked_for(images, small, colors, palette):
    usual, matched = run(images, "style").image, run(images, colors, palette=images[2] if palette else None).image
    wanted = images[2] if palette else small

    def distance(image):
        if colors == "match-histogram":
            return max(
                np.abs(
                    np.subtract(*(np.percentile(one[..., i], np.arange(5, 100, 5)) for one in (image, wanted)))
                ).max()
                for i in range(3)
            )
        (mean, covariance), (other, wished) = statistics(image), statistics(wanted)
        return np.abs(mean - other).max() + np.linalg.norm(covariance - wished) / np.linalg.norm(wished) * 10

    assert distance(matched) < 3 < distance(usual)
    # By either method, channels go together as they do there.
    (_, found), (_, wished) = statistics(matched), statistics(wanted)
    assert np.linalg.norm(found - wished) < 0.1 * np.linalg.norm(wished)


def test_the_style_that_the_run_sees_is_matched(images, small):
    cat, sea, coffee = images
    recipe = RECIPE.override(colors="match-covariance")
    inputs = Inputs(cat, [Style(sea)], None, recipe)
    (style, _), unit = inputs.styles[0], np.array((123.68, 116.779, 103.939))
    levels = style[0].transpose(1, 2, 0) + unit
    for found, wanted in zip(statistics(levels), statistics(small * recipe.size.white / 255)):
        np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=1)
    grey = Inputs(cat, [Style(sea)], coffee, RECIPE.override(colors="content"))
    for canvas in (grey.content, grey.start, grey.styles[0][0]):
        assert np.ptp(canvas[0].transpose(1, 2, 0) + unit, axis=2).max() < 1e-3


def test_what_is_kept_has_its_own_colours_and_does_not_count(images):
    cat, _, coffee = images
    keep = np.zeros(cat.shape[:2], "float32")
    keep[:, :40] = 1
    result = run(images, "match-covariance", keep=keep, palette=coffee).image
    size = result.shape[:2]
    painted = result[:, size[1] * 40 // cat.shape[1] + 2 :]
    for found, wanted in zip(statistics(painted), statistics(coffee)):
        np.testing.assert_allclose(found, wanted, rtol=0.2, atol=12)


def test_a_palette_must_be_of_use(images):
    for colors in ("style", "content"):
        with pytest.raises(
            SettingsError, match=f"`palette` is of no use with the colours of the {colors}; set `colors`"
        ):
            run(images, colors, palette=images[2])


@pytest.mark.parametrize("colors", CHOICES["colors"])
def test_a_plain_image_is_no_reason_to_fail(colors):
    grey, red = np.full((8, 8, 3), 0.5), np.zeros((8, 8, 3)) + (1, 0, 0)
    for content, style in ((grey, red), (red, grey)):
        colouring = Colouring(colors, content)
        assert np.isfinite(colouring.style(style)).all() and np.isfinite(colouring.result(style)).all()
