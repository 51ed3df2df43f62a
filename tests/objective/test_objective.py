"""Relative objectives of images with sizes of their own, whole and in tiles, against NumPy in float64."""

import numpy as np
import pytest
from numpy_vgg import gram
from subjects import Subject

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.objective import Objective
from neural_style.recipes.presets import get_recipe

TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
STYLES = ("relu1_1", "relu2_1", "relu3_1")
SHARES = (0.5, 0.3, 0.2)


def of_recipe(**settings):
    changed = dict(
        model="tiny", pooling="avg", content_layers=("relu2_2",), style_layers=STYLES, style_layer_weights=SHARES
    )
    return get_recipe("paint").override(**dict(changed, max_long_edge=48, **settings))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


@pytest.fixture(params=["moments", "gram"])
def statistic(request):
    return request.param


class Case(Subject):
    def __init__(self, recipe):
        rng = np.random.RandomState(4)
        content, style = (rng.randint(0, 256, size + (3,)).astype("uint8") for size in ((34, 48), (50, 40)))
        super().__init__(recipe, TINY, content, [style], rng)

    def expect(self):
        here, content, style = (
            self.activations(array) for array in (self.image.asnumpy(), self.inputs.content, self.inputs.styles[0][0])
        )
        measure = gram_per_position if self.recipe.losses.style_statistic == "gram" else moments
        losses = {}
        for layer, share in zip(STYLES, SHARES):
            pairs = list(zip(measure(here[layer]), measure(style[layer])))
            losses[f"style_{layer}"] = share * np.mean([relative(*pair) for pair in pairs])
        losses["content_relu2_2"] = self.recipe.losses.content_weight * relative(here["relu2_2"], content["relu2_2"])
        return losses


def gram_per_position(activation):
    return (gram(activation) / activation[0].size,)


def moments(activation):
    flat = activation.reshape(len(activation), -1)
    return flat.mean(1), np.cov(flat, bias=True)


def relative(one, two):
    return ((one - two) ** 2).sum() / (two**2).sum()


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("style_size", ["own", "result"])
@pytest.mark.parametrize("tile_size", [0, 8])
def test_losses_are_numpys_whatever_the_styles_size(statistic, scale, style_size, tile_size):
    case = Case(of_recipe(style_statistic=statistic, style_scale=scale, style_size=style_size))
    size = np.multiply((48, 38.4) if style_size == "own" else (34, 48), scale)
    assert abs(size - case.inputs.styles[0][0].shape[2:]).max() <= 1
    losses, _ = case.evaluate(tile_size)
    for name, expected in case.expect().items():
        assert losses[name] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("adaptive", [False, True])
def test_tiles_make_the_gradient_of_the_whole(statistic, adaptive):
    case = Case(of_recipe(style_statistic=statistic, optimizer="adam", adaptive=adaptive, style_scale=1.3))
    (losses, whole), (in_tiles, tiled) = case.evaluate(), case.evaluate(tile_size=8)
    assert losses == pytest.approx(in_tiles, rel=1e-4)
    assert np.linalg.norm(tiled - whole) < 1e-4 * np.linalg.norm(whole)


def test_the_gradient_is_that_of_finite_differences(statistic):
    case = Case(of_recipe(style_statistic=statistic, tv_weight=0.0))
    _, gradient = case.evaluate()
    start, direction = case.image.asnumpy(), np.random.RandomState(1).standard_normal(case.image.shape)
    values = []
    for sign in (1, -1):
        case.image[:] = start + sign * 0.01 * direction
        values.append(sum(case.expect().values()))
    assert (gradient * direction).sum() == pytest.approx((values[0] - values[1]) / 0.02, rel=2e-2)


def objective_of(case, styles=None, canvas=None, content=None, **more):
    inputs = case.inputs
    return Objective(
        case.recipe.losses,
        case.weights,
        inputs.content if content is None else content,
        inputs.styles if styles is None else styles,
        case.image if canvas is None else canvas,
        10**10,
        **more,
    )


def test_the_gradient_of_blended_styles_is_that_of_the_weighted_losses():
    """With Gram matrices and a fixed norm, of which a blend's loss differs from the weighted sum by a constant."""
    settings = dict(style_statistic="gram", style_norm="mean-of-means", content_weight=0.0, tv_weight=0.0)
    case = Case(of_recipe(style_size="result", **settings))
    other = case.inputs.styles[0][0][..., ::-1] * np.float32(0.5)
    styles = [(case.inputs.styles[0][0], 3.0), (np.ascontiguousarray(other), 1.0)]
    gradients = []
    for given in ([styles[0]], [styles[1]], styles):
        gradients.append(objective_of(case, styles=given).evaluate().gradient.asnumpy())
    weighted = 0.75 * gradients[0] + 0.25 * gradients[1]
    assert np.linalg.norm(gradients[2] - weighted) < 1e-5 * np.linalg.norm(weighted)
    assert np.linalg.norm(gradients[0] - gradients[1]) > 0.1 * np.linalg.norm(weighted)


def test_blended_moments_are_those_of_all_activations_together():
    case = Case(of_recipe(style_size="result", tv_weight=0.0, content_weight=0.0))
    first = case.inputs.styles[0][0]
    second = np.ascontiguousarray(first[..., ::-1] * np.float32(0.5))
    objective = objective_of(case, styles=[(first, 1.0), (second, 1.0)])
    here, *there = (
        case.network.forward(np.asarray(array, np.float64)[0]) for array in (case.image.asnumpy(), first, second)
    )
    evaluation = objective.evaluate()
    losses = dict(zip(objective.names, evaluation.values.asnumpy()[:-1] * objective.factors))
    for layer, share in zip(STYLES, SHARES):
        together = np.concatenate([activations[layer] for activations in there], axis=2)
        pairs = zip(moments(here[layer]), moments(together))
        assert losses[f"style_{layer}"] == pytest.approx(share * np.mean([relative(*pair) for pair in pairs]), rel=1e-4)


@pytest.mark.parametrize("tile_size", [0, 8])
def test_another_content_takes_the_place_of_the_first(statistic, tile_size):
    case = Case(of_recipe(style_statistic=statistic))
    other = np.ascontiguousarray(case.inputs.content[..., ::-1] * np.float32(0.8))
    changed = objective_of(case, tile_size=tile_size)
    before = changed.evaluate().loss
    changed.set_content(other)
    fresh = objective_of(case, content=other, tile_size=tile_size)
    assert changed.factors == fresh.factors
    found, expected = changed.evaluate(), fresh.evaluate()
    np.testing.assert_array_equal(found.values.asnumpy(), expected.values.asnumpy())
    np.testing.assert_array_equal(found.gradient.asnumpy(), expected.gradient.asnumpy())
    assert found.loss != before
    with pytest.raises(SettingsError, match="the content is of shape"):
        changed.set_content(other[..., 1:])


@pytest.mark.parametrize("content_norm", ["sum", "mean"])
def test_the_objective_of_a_batch_is_the_sum_over_its_images(statistic, content_norm):
    settings = dict(style_statistic=statistic, content_norm=content_norm, tv_kind="mean-squared", tv_weight=0.01)
    case = Case(of_recipe(**settings))
    canvases = np.concatenate([case.image.asnumpy(), case.image.asnumpy()[..., ::-1] * np.float32(0.7)])
    contents = np.concatenate([case.inputs.content, case.inputs.content[:, :, ::-1]])
    batch = objective_of(case, canvas=mx.nd.array(canvases), content=contents, exact=False).evaluate()
    losses = []
    for i in range(2):
        canvas, content = mx.nd.array(canvases[i : i + 1]), contents[i : i + 1]
        evaluation = objective_of(case, canvas=canvas, content=content, exact=False).evaluate()
        losses.append(evaluation.loss)
        one = evaluation.gradient.asnumpy()
        assert np.linalg.norm(batch.gradient.asnumpy()[i] - one[0]) < 1e-4 * np.linalg.norm(one)
    assert batch.loss == pytest.approx(sum(losses), rel=1e-5)


def test_relative_losses_do_not_depend_on_the_networks_scale():
    usual = Case(of_recipe(tv_weight=0.0))
    scaled = Case(of_recipe(tv_weight=0.0))
    for kind in ("weight", "bias"):
        scaled.weights[f"conv1_1_{kind}"] = scaled.weights[f"conv1_1_{kind}"] * 4
    for name, value in scaled.weights.items():
        if name.endswith("bias") and not name.startswith("conv1_1"):
            scaled.weights[name] = value * 4
    assert usual.evaluate()[0] == pytest.approx(scaled.evaluate()[0], rel=1e-5)


def test_content_without_activations_is_finite(statistic):
    case = Case(of_recipe(style_statistic=statistic))
    for name, value in case.weights.items():
        if name.startswith("conv2_2"):
            value[:] = 0 if name.endswith("weight") else -1
    losses, gradient = case.evaluate()
    assert np.isfinite(list(losses.values())).all() and np.isfinite(gradient).all()
