"""Norms, weightings and the further kinds of total variation, against their formulas; symbols are in test_executors."""

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.objective.terms import (
    CONTENT_NORMS,
    STYLE_NORMS,
    AdaptiveWeighting,
    FixedWeighting,
    Term,
    loss_factors,
)
from neural_style.objective.variation import TV_KINDS, TV_STRIP, TVGradientExecutor, total_variation_symbol

STYLE, CONTENT = Term("style", "a"), Term("content", "b")
SHAPES = {"a": (1, 4, 5, 6), "b": (1, 7, 2, 3)}


@pytest.mark.parametrize(
    "norm, divisor",
    [("mean-per-position", 16 * 30), ("gatys", 4 * 16 * 900), ("mean-of-means", 16 * 900), ("mean", 16)],
)
def test_style_norms(norm, divisor):
    assert loss_factors([STYLE], SHAPES, 1, [6], style_norm=norm) == [pytest.approx(6 / divisor, rel=1e-15)]


@pytest.mark.parametrize("norm, divisor", [("sum", 1), ("half", 2), ("mean", 42), ("quarter-mean", 168)])
def test_content_norms(norm, divisor):
    assert loss_factors([CONTENT], SHAPES, 6, [], content_norm=norm) == [pytest.approx(6 / divisor, rel=1e-15)]


def test_every_norm_is_covered():
    assert list(STYLE_NORMS) == ["mean-per-position", "gatys", "mean-of-means", "mean"]
    assert list(CONTENT_NORMS) == ["sum", "half", "mean", "quarter-mean"]


def test_each_style_term_takes_its_own_weight():
    other = Term("style", "b")
    factors = loss_factors([STYLE, CONTENT, other], SHAPES, 10, [2, 3], style_norm="mean")
    assert factors == [2 / 16, 10, 3 / 49]


def test_unknown_norms_are_named():
    with pytest.raises(SettingsError, match="unknown style norm 'l1'; choose from mean-per-position, gatys"):
        loss_factors([STYLE], SHAPES, 1, [1], style_norm="l1")
    with pytest.raises(SettingsError, match="unknown content norm 'l1'; choose from sum, half"):
        loss_factors([STYLE], SHAPES, 1, [1], content_norm="l1")


def heads(weighting, losses):
    return [float(head.asscalar()) for head in weighting([mx.nd.array([loss]) for loss in losses])]


def test_fixed_weighting_gives_the_factors():
    assert heads(FixedWeighting([0.5, 3.0], mx.cpu()), [7, 9]) == [0.5, 3.0]


def test_adaptive_weighting_gives_every_kind_its_weight_in_all():
    terms = [STYLE, Term("style", "b"), CONTENT]
    factors, losses = [0.5, 2.0, 8.0], [300.0, 10.0, 25.0]
    found = heads(AdaptiveWeighting(terms, factors, {"style": 10.0, "content": 1.5}, mx.cpu()), losses)
    # By hand: the style's value, its weight left out, is 0.05 * 300 + 0.2 * 10 = 17, the content's 8 / 1.5 * 25.
    assert found == pytest.approx([0.5 / 17, 2.0 / 17, 8.0 / (8 / 1.5 * 25)], rel=1e-6)
    pulls = [head * loss for head, loss in zip(found, losses)]
    assert pulls[0] + pulls[1] == pytest.approx(10, rel=1e-6) and pulls[2] == pytest.approx(1.5, rel=1e-6)


def test_adaptive_weighting_without_loss_or_weight_is_finite():
    weighting = AdaptiveWeighting([STYLE, CONTENT], [2.0, 0.0], {"style": 2.0, "content": 0.0}, mx.cpu())
    assert heads(weighting, [0.0, 5.0]) == pytest.approx([2e10, 0.0])


def absolute(image, mean):
    vertical, horizontal = (np.abs(np.diff(image.astype(np.float64), axis=axis)) for axis in (2, 3))
    return vertical.mean() + horizontal.mean() if mean else vertical.sum() + horizontal.sum()


@pytest.mark.parametrize("kind, mean", [("absolute", False), ("mean-absolute", True)])
def test_absolute_variation_and_its_gradient_at_every_pixel(kind, mean):
    image = np.random.RandomState(5).uniform(-100, 100, (1, 3, 5, 4)).astype("float32")
    weight, step = 0.7, 1e-3
    executor = TVGradientExecutor(mx.nd.array(image), weight, mx.cpu(), kind)
    executor.run()
    assert float(executor.loss.asscalar()) == pytest.approx(weight * absolute(image, mean), rel=1e-5)
    gradient = executor.gradient.asnumpy()
    for index in np.ndindex(image.shape):
        moved = [image.astype(np.float64), image.astype(np.float64)]
        moved[0][index] += step
        moved[1][index] -= step
        difference = weight * (absolute(moved[0], mean) - absolute(moved[1], mean)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", TV_KINDS)
@pytest.mark.parametrize("rows", [0, 2, 3, 5, 6])
def test_strips_are_the_whole(kind, rows):
    image = mx.nd.array(np.random.RandomState(6).uniform(-100, 100, (1, 3, 7, 4)))
    whole = TVGradientExecutor(image, 0.7, mx.cpu(), kind)
    strips = TVGradientExecutor(image, 0.7, mx.cpu(), kind, strip=rows * 4 + 3)
    for _ in range(2):
        whole.run()
        strips.run()
        np.testing.assert_allclose(strips.gradient.asnumpy(), whole.gradient.asnumpy(), rtol=1e-6, atol=1e-5)
        assert strips.loss.asscalar() == pytest.approx(whole.loss.asscalar(), rel=1e-6)
        image *= -0.5


def test_pictures_of_a_recipes_size_are_no_strips():
    # Their numbers are compared bit for bit.
    assert 600 * 600 < TV_STRIP


@pytest.mark.parametrize("kind", ["absolute", "mean-absolute"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1)])
def test_absolute_variation_of_a_line_and_of_a_flat_picture(kind, size):
    flat = TVGradientExecutor(mx.nd.ones((1, 3) + size) * 8, 1.0, mx.cpu(), kind)
    flat.run()
    np.testing.assert_array_equal(flat.gradient.asnumpy(), 0)
    assert flat.loss.asscalar() == 0
    ramp = np.arange(np.prod(size), dtype="float32").reshape((1, 1) + size).repeat(3, 1)
    executor = TVGradientExecutor(mx.nd.array(ramp), 1.0, mx.cpu(), kind)
    executor.run()
    pairs = 3 * (max(size) - 1)
    assert executor.loss.asscalar() == pytest.approx(pairs if kind == "absolute" else min(pairs, 1))


def test_an_unknown_total_variation_is_named():
    with pytest.raises(SettingsError, match="unknown total variation 'cubic'; choose from quadratic, absolute"):
        total_variation_symbol(1.0, (1, 3, 4, 4), "cubic")
