"""Where styles go and what stays: regions of masks, and whole runs with them."""

import logging

import numpy as np
import pytest
from numpy_vgg import random_parameters

from neural_style._mxnet import mx
from neural_style.errors import ImageError, SettingsError
from neural_style.images.sizing import resize
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.objective import required_parameters
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.controls import Controls, describe_cover, make_regions
from neural_style.transfer.inputs import Style
from neural_style.transfer.run import finish_image
from neural_style.transfer.stylize import begin, stylize

TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
RECIPE = get_recipe("fast").override(
    model="tiny",
    content_layers=("relu2_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1"),
    max_long_edge=48,
    max_steps=4,
    save_every=0,
    remove_noise=0.0,
)
IMAGE = np.zeros((4, 4, 3), "uint8")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


@pytest.fixture
def weights():
    return {name: mx.nd.array(array) for name, array in random_parameters(required_parameters(RECIPE.losses)).items()}


def left(width=48, height=36, until=24):
    mask = np.zeros((height, width), "float32")
    mask[:, :until] = 1
    return mask


def images():
    rng = np.random.RandomState(1)
    return [rng.randint(0, most, (36, 48, 3)).astype("uint8") for most in (256, 256, 80)]


# Regions.


def test_without_masks_there_are_no_regions():
    assert make_regions([Style(IMAGE), Style(IMAGE, 2.0)], Controls(), (36, 48)) == []


def test_a_style_without_a_mask_has_what_the_others_leave():
    mask = left()
    first, second = make_regions([Style(IMAGE, mask=0.75 * mask), Style(IMAGE)], Controls(), (36, 48))
    np.testing.assert_allclose(first.weights, 0.75 * mask)
    np.testing.assert_allclose(first.weights + second.weights, 1)
    assert (first.styles, second.styles) == ((0,), (1,)) and first.name != second.name


def test_styles_with_the_same_mask_share_a_region_and_regions_count_by_weight():
    mask = left()
    styles = [Style(IMAGE, 3.0, mask=mask), Style(IMAGE, 2.0, mask=1 - mask), Style(IMAGE, 1.0, mask=mask.copy())]
    first, second = make_regions(styles, Controls(), (36, 48))
    assert (first.styles, second.styles) == ((0, 2), (1,))
    assert (first.factor, second.factor) == (1.0, 1.0)
    styles[1] = Style(IMAGE, 5.0, mask=1 - mask)
    assert [region.factor for region in make_regions(styles, Controls(), (36, 48))] == pytest.approx([2 / 3, 5 / 3])


def test_what_is_kept_or_weak_counts_less():
    keep, strength = left(until=12), np.full((3, 4), 0.5, "float32")
    (region,) = make_regions([Style(IMAGE)], Controls(keep, strength), (36, 48))
    np.testing.assert_allclose(region.weights, 0.5 * (1 - keep))
    faint = Controls(strength=np.full((3, 4), 0.075, "float32"))
    np.testing.assert_allclose(faint.kept((36, 48)), 0.5)
    assert Controls(strength=strength).kept((36, 48)).max() == 0 and Controls().kept((36, 48)) is None


def test_a_mask_that_leaves_nothing():
    with pytest.raises(ImageError, match="leave nothing of the image to style 2"):
        make_regions([Style(IMAGE, mask=np.ones((2, 2))), Style(IMAGE)], Controls(), (36, 48))
    with pytest.raises(ImageError, match="leave nothing of the image to style 1"):
        make_regions([Style(IMAGE)], Controls(keep=np.ones((2, 2))), (36, 48))
    with pytest.raises(SettingsError, match="`source_mask` must be"):
        Style(IMAGE, source_mask=np.ones((2, 2), "uint8"))


def test_masks_that_do_not_add_up_are_named(caplog):
    caplog.set_level(logging.WARNING)
    mask = left()
    describe_cover([Style(IMAGE, mask=mask), Style(IMAGE)], (36, 48))
    describe_cover([Style(IMAGE), Style(IMAGE)], (36, 48))
    assert caplog.messages == []
    describe_cover([Style(IMAGE, mask=mask), Style(IMAGE, mask=left(until=36))], (36, 48))
    assert caplog.messages == [
        "25 % of the image have no style, because no mask is white there",
        "50 % of the image have more than one style, because masks overlap there",
    ]


# Runs.


@pytest.mark.parametrize("more", [{}, {"pyramid": (2,), "pyramid_factor": 1.3}, {"initial": "noise"}])
@pytest.mark.parametrize("tile_size", [0, 8])
def test_what_is_kept_is_the_photograph_to_the_last_bit(weights, more, tile_size):
    content, style, _ = images()
    keep = left(until=20)
    recipe = RECIPE.override(**more)
    result = stylize(
        content, style, recipe, weights=weights, compute=Compute(gpu=-1, tile_size=tile_size), controls=Controls(keep)
    )
    np.testing.assert_array_equal(result.image[:, :20], content[:, :20])
    assert np.abs(result.image[:, 24:].astype(int) - content[:, 24:]).mean() > 2


def test_a_soft_edge_blends(weights):
    content, style, _ = images()
    keep = np.full((36, 48), 0.5, "float32")
    result = stylize(content, style, RECIPE, weights=weights, compute=Compute(gpu=-1), controls=Controls(keep))
    plain = finish_image(result.canvas, RECIPE, last=True).astype(float)
    np.testing.assert_allclose(result.image, 0.5 * plain + 0.5 * content, atol=0.51)


def test_another_size_keeps_the_photograph_at_that_size(weights):
    content, style, _ = images()
    recipe = RECIPE.override(max_long_edge=40)
    with begin(
        content, style, recipe, weights=weights, compute=Compute(gpu=-1), controls=Controls(left(until=24))
    ) as run:
        next(iter(run))
        image = run.image()
    wanted = np.rint(resize(content, (30, 40)) * 255)
    np.testing.assert_array_equal(image[:, :18], wanted[:, :18])


def test_where_there_is_no_strength_the_photograph_stays(weights):
    content, _, style = images()
    recipe = RECIPE.override(initial="content", max_steps=8, tv_weight=0.0)
    strength = 1 - left(until=24)
    result = stylize(
        content, style, recipe, weights=weights, compute=Compute(gpu=-1), controls=Controls(strength=strength)
    )
    moved = np.abs(result.image.astype(int) - content).mean(axis=(0, 2))
    assert moved[:24].max() == 0
    assert moved[30:].mean() > 3


def test_a_resumed_run_with_masks_makes_the_same(weights):
    content, first, second = images()
    styles = [Style(first, mask=left()), Style(second, 2.0, 0.8, source_mask=left(10, 10, 6))]
    controls = Controls(keep=left(until=6), strength=np.full((2, 2), 0.7, "float32"))
    more = dict(weights=weights, compute=Compute(gpu=-1), controls=controls)
    recipe = RECIPE.override(optimizer="adam", learning_rate=2.0, pyramid=(2,), pyramid_factor=1.3)
    whole = stylize(content, styles, recipe, **more)
    with begin(content, styles, recipe, **more) as run:
        for step in run:
            if step.number == 3:
                state = run.state()
                break
    with begin(content, styles, recipe, resume=state, **more) as again:
        for _ in again:
            pass
    np.testing.assert_array_equal(again.result.canvas, whole.canvas)
    assert len(whole.history) == 6 and any("style_2_relu3_1" in step.losses for step in whole.history)


def test_two_styles_with_a_hard_edge_after_a_step(weights):
    """Beyond the view of the edge, the first step makes the image of the one style."""
    content, first, second = images()
    recipe = RECIPE.override(optimizer="adam", learning_rate=3.0, initial="content", max_steps=1)
    more = dict(weights=weights, compute=Compute(gpu=-1))
    mask, inside = left(until=32), slice(0, 32 - TINY.halo(RECIPE.losses.style_layers))
    both, one = (
        stylize(content, [Style(first, mask=mask), Style(other, mask=1 - mask)], recipe, **more).canvas
        for other in (second, first)
    )
    np.testing.assert_array_equal(both[..., inside], one[..., inside])
    assert np.abs(both - one)[..., 34:].mean() > 0.5
