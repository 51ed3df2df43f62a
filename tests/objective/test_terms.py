"""Norms and weightings, against their formulas."""

import pytest

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.objective.terms import (
    CONTENT_NORMS,
    STYLE_NORMS,
    AdaptiveWeighting,
    FixedWeighting,
    Term,
    find_relative,
    loss_factors,
    make_terms,
)
from neural_style.recipes.presets import get_recipe

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


def test_relative_norms_divide_by_the_targets_own_squares():
    energies = {STYLE.target: 8.0, CONTENT.target: 5.0}
    factors = loss_factors([STYLE, CONTENT], SHAPES, 10, [2], "relative", "relative", energies)
    assert factors == pytest.approx([2 / 8, 10 / 5], rel=1e-12)


def test_a_target_of_zeros_does_not_divide_by_zero():
    (factor,) = loss_factors([CONTENT], SHAPES, 0.5, [], "relative", energies={CONTENT.target: 0.0})
    assert 0 < factor * 1e20 < 3e38  # a large loss times it is a float32


def test_which_terms_need_to_know_their_targets():
    moments = Term("style", "a", "moments")
    terms = [STYLE, moments, CONTENT]
    assert find_relative(terms, "sum", "gatys") == []
    assert find_relative(terms, "relative", "relative") == [STYLE, CONTENT]
    assert loss_factors([moments], SHAPES, 1, [7.0], style_norm="relative") == [7.0]


def test_moments_go_with_the_relative_norm_alone():
    recipe = get_recipe("mxnet-0.7").override(style_statistic="moments")
    with pytest.raises(SettingsError, match="`style_norm` mean-per-position does not fit .* moments"):
        make_terms(recipe.losses)
    assert {term.statistic for term in make_terms(recipe.override(style_norm="relative").losses)} == {"moments", "gram"}
    with pytest.raises(SettingsError, match="unknown style statistic 'median'; choose from gram, moments"):
        make_terms(recipe.override(style_statistic="median").losses)


def test_every_norm_is_covered():
    assert list(STYLE_NORMS) == ["mean-per-position", "gatys", "mean-of-means", "mean", "relative"]
    assert list(CONTENT_NORMS) == ["sum", "half", "mean", "quarter-mean", "relative"]


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
