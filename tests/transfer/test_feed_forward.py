"""A picture in one pass: any size, strength, mixtures, and what it refuses."""

import numpy as np
import pytest
import random_generators

from neural_style._mxnet import mx
from neural_style.errors import SettingsError, WeightsError
from neural_style.recipes.presets import get_recipe
from neural_style.transfer import feed_forward
from neural_style.transfer.compute import Compute
from neural_style.transfer.inputs import Style
from neural_style.transfer.run import StopReason
from neural_style.transfer.stylize import begin, stylize

WEIGHTS = random_generators.random_microast()
CPU = Compute(-1)


def image(height, width, seed=0):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype("uint8")


def run(content, styles, weights=WEIGHTS, compute=CPU, **settings):
    recipe = get_recipe("one-pass").override(**{"max_long_edge": max(content.shape[:2]), "style_edge": 32, **settings})
    return stylize(content, styles, recipe, weights=weights, compute=compute)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 50), (33, 2), (16, 16), (47, 31), (20, 61)])
def test_a_picture_of_any_size(height, width):
    result = run(image(height, width), image(5, 9, 1))
    assert result.image.shape == (height, width, 3) and result.image.dtype == np.uint8
    assert result.canvas.shape == (1, 3, height, width)


def test_what_reflection_adds_is_cut_off():
    content = image(48, 48)
    # The generator takes 48 x 48 as it is, and sees the same in an image that has been reflected already.
    small = content[:47, :46]
    np.testing.assert_array_equal(np.pad(small, ((0, 1), (0, 2), (0, 0)), "reflect")[:47, :46], small)
    reflected = run(np.pad(small, ((0, 1), (0, 2), (0, 0)), "reflect"), image(30, 30, 1))
    np.testing.assert_allclose(run(small, image(30, 30, 1)).canvas, reflected.canvas[:, :, :47, :46], atol=1e-5)


def test_a_run_has_one_step_and_an_end():
    with begin(
        image(20, 20), image(9, 9), get_recipe("one-pass").override(max_long_edge=20), weights=WEIGHTS, compute=CPU
    ) as one:
        assert one.result.reason is StopReason.INTERRUPTED and not one.result.history
        (step,) = list(one)
    assert step.number == 1 and step.losses == {} and 0 < step.relative_change
    assert one.result.reason is StopReason.ONE_PASS and one.state() is None and not one.has_converged
    np.testing.assert_array_equal(one.image(), one.result.image)


def test_a_run_that_is_stopped_before_its_step_has_none():
    with begin(image(20, 20), image(9, 9), "one-pass", weights=WEIGHTS, compute=CPU) as one:
        one.stop()
        assert list(one) == [] and one.result.history == []


def test_strength_goes_from_the_contents_own_code_to_the_styles():
    content, style = image(32, 32), image(32, 32, 1)
    own, half, full, beyond = (run(content, style, strength=strength).canvas for strength in (0, 0.5, 1, 1.5))
    np.testing.assert_allclose(own, run(content, content, style_edge=32).canvas, atol=1e-4)
    distances = [np.abs(picture - own).mean() for picture in (half, full, beyond)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_a_mixture_is_of_codes_by_their_weights():
    content, one, other = image(32, 32), image(32, 32, 1), image(32, 32, 2) // 4
    mixed = run(content, [Style(one, 3.0), Style(other, 1.0)]).canvas
    assert not np.allclose(mixed, run(content, one).canvas, atol=1e-4)
    np.testing.assert_allclose(mixed, run(content, [Style(one, 6.0), Style(other, 2.0)]).canvas, atol=1e-6)
    twice = run(content, [one, one]).canvas
    np.testing.assert_allclose(twice, run(content, one).canvas, atol=1e-6)


def test_the_size_of_the_style_matters_and_its_scale_is_a_factor():
    content, style = image(32, 32), image(64, 64, 1)
    by_scale = run(content, style, style_edge=32, style_scale=0.5).canvas
    np.testing.assert_array_equal(by_scale, run(content, style, style_edge=16).canvas)
    np.testing.assert_array_equal(by_scale, run(content, Style(style, scale=0.5), style_edge=32).canvas)


def test_parameters_may_be_arrays_of_mxnet():
    arrays = {name: mx.nd.array(value) for name, value in WEIGHTS.items()}
    content, style = image(20, 24), image(9, 9)
    np.testing.assert_array_equal(run(content, style, arrays).image, run(content, style).image)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(styles=None), "any-style takes the style from an image; name one"),
        (dict(style_numbers=(1,)), "`style_numbers` is of no use with any-style"),
        (dict(compute=Compute(-1, precision="bf16")), "`precision` bf16 is not for generators"),
        (dict(compute=Compute(-1, tile_size=64)), "`tile_size` is of no use"),
        (dict(strength=-1), "`strength` is -1; it must be 0 or more"),
        (dict(max_steps=3), "`max_steps` is of no use with recipe one-pass, which optimises nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    arguments = {"styles": image(9, 9), **change}
    with pytest.raises(SettingsError) as raised:
        run(image(20, 20), **arguments)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "error", [MemoryError(), mx.base.MXNetError("Failed to allocate CPU Memory"), ValueError("bug")]
)
def test_a_picture_that_is_too_large_for_memory_is_one_line(error, monkeypatch):
    def fail(self, symbol, inputs):
        raise error

    monkeypatch.setattr(feed_forward.Painter, "_forward", fail)
    expected = ValueError if isinstance(error, ValueError) else SettingsError
    with pytest.raises(
        expected, match="bug|not enough memory for a picture of 24 x 20 pixels .* smaller `max_long_edge`"
    ):
        run(image(20, 24), image(9, 9))


def test_a_recipe_that_optimises_has_no_generator():
    with pytest.raises(SettingsError, match="`generator` is of no use with recipe paint, which optimises"):
        get_recipe("paint").override(generator="any-style")
    with pytest.raises(SettingsError, match="recipe one-pass makes an image in one pass and optimises nothing"):
        print(get_recipe("one-pass").losses)


def test_parameters_of_something_else_are_refused():
    with pytest.raises(WeightsError, match="the given weights holds no generator"):
        run(image(20, 20), image(9, 9), {"conv1_1_weight": np.zeros((64, 3, 3, 3), "float32")})
    broken = dict(WEIGHTS, microast_content_conv1_bias=np.full(4, np.nan, "float32"))
    with pytest.raises(WeightsError, match="4 of the 4 values of parameter microast_content_conv1_bias"):
        run(image(20, 20), image(9, 9), broken)
    with pytest.raises(WeightsError, match=r"microast_style_conv3_bias has shape \(7,\) where \(8,\) is needed"):
        run(image(20, 20), image(9, 9), dict(WEIGHTS, microast_style_conv3_bias=np.zeros(7, "float32")))


@pytest.mark.parametrize("size", [(100, 132), (64, 200), (90, 61)])
def test_in_tiles_the_picture_is_the_same(size, monkeypatch):
    content, style = image(*size), image(30, 40, 1)
    whole = run(content, style).canvas
    monkeypatch.setattr(feed_forward, "_TILE", 48)
    np.testing.assert_allclose(run(content, style).canvas, whole, atol=2e-5)


@pytest.mark.parametrize("side", [4, 48, 52, 96, 100, 400])
def test_windows_cover_a_side_once(side):
    windows = feed_forward.cut_windows(side, 48, 8, 4)
    assert sum(length for _, length, _, _ in windows) <= side + (len(windows) - 1) * 2 * 8 + len(windows) * 3
    assert [first for _, _, first, _ in windows] == [0] + [last for _, _, _, last in windows[:-1]]
    assert windows[-1][3] == side and len({length for _, length, _, _ in windows}) == 1
    for place, length, first, last in windows:
        assert place % 4 == 0 and 0 <= place and place + length <= side and first < last
        assert (place == 0 or first - place >= 8) and (place + length == side or place + length - last >= 8)
