"""Statistics that count positions by weights: against NumPy in float64, whole and in tiles, and what follows."""

import numpy as np
import pytest
from subjects import Subject

from neural_style._mxnet import mx
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective import memory
from neural_style.objective.regions import Region, bring_to_layer
from neural_style.objective.terms import STYLE_NORMS, Term, loss_factors
from neural_style.recipes.presets import get_recipe

TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
LAYERS = ("relu1_1", "relu2_1", "relu3_1")
SHARES = (0.5, 0.3, 0.2)
HEIGHT, WIDTH = 36, 48


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def of_recipe(**settings):
    changed = dict(
        model="tiny", pooling="avg", content_layers=("relu2_2",), style_layers=LAYERS, style_layer_weights=SHARES
    )
    return get_recipe("paint").override(**{**changed, "max_long_edge": WIDTH, **settings})


def soft_masks():
    """Two masks of a slanted, soft edge that add up to one."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    first = np.clip((x + 0.5 * y - 28) / 9, 0, 1).astype("float32")
    return first, 1 - first


class Case(Subject):
    """Two styles on a canvas, with NumPy's idea of what is minimised."""

    def __init__(self, recipe, seed=4):
        rng = np.random.RandomState(seed)
        content = rng.randint(0, 256, (HEIGHT, WIDTH, 3)).astype("uint8")
        styles = [rng.randint(0, top, (50, 40, 3)).astype("uint8") for top in (256, 120)]
        super().__init__(recipe, TINY, content, styles, rng)

    def objective(self, regions=(), sources=(), tile_size=0, styles=None):
        return super().objective(tile_size, styles, regions=regions, sources=sources)

    def expect(self, regions, sources):
        """Give the losses of style of each region: its share of what the whole would have, were it all alike."""
        here, losses = self.activations(self.image.asnumpy()), {}
        measure = mean_gram if self.recipe.losses.style_statistic == "gram" else moments
        for region in regions:
            (style,) = region.styles
            there = self.activations(self.inputs.styles[style][0])
            for layer, share in zip(LAYERS, SHARES):
                weights, source = (at_layer(mask, layer) for mask in (region.weights, sources[style]))
                pairs = zip(measure(here[layer], weights), measure(there[layer], source))
                loss = np.mean([((one - two) ** 2).sum() / (two**2).sum() for one, two in pairs])
                losses[f"style_{region.name}_{layer}"] = region.factor * share * weights.mean() * loss
        return losses


def at_layer(mask, layer):
    if mask is None:
        return None
    stride = TINY.stride(layer)
    height, width = (side // stride for side in mask.shape)
    cells = [
        [mask[y * stride : (y + 1) * stride, x * stride : (x + 1) * stride].mean() for x in range(width)]
        for y in range(height)
    ]
    return np.array(cells, np.float64)


def mean_gram(activation, weights=None):
    flat = activation.reshape(len(activation), -1)
    weights = np.ones(flat.shape[1]) if weights is None else weights.ravel()
    return ((flat * weights) @ flat.T / weights.sum(),)


def moments(activation, weights=None):
    flat = activation.reshape(len(activation), -1)
    weights = None if weights is None else weights.ravel()
    return np.average(flat, 1, weights), np.cov(flat, bias=True, aweights=weights)


def relative(one, two):
    return np.linalg.norm(one - two) / np.linalg.norm(two)


@pytest.fixture(params=["moments", "gram"])
def statistic(request):
    return request.param


@pytest.fixture
def guided(statistic):
    case = Case(of_recipe(style_statistic=statistic, tv_weight=0.0))
    regions = [Region("1", soft_masks()[0], (0,), 1.5), Region("2", soft_masks()[1], (1,), 0.5)]
    source = np.zeros(case.inputs.styles[0][0].shape[2:], "float32")
    source[8:40, 4:28] = np.random.RandomState(2).uniform(0.2, 1, (32, 24))
    return case, regions, [source, None]


@pytest.mark.parametrize("tile_size", [0, 8])
def test_losses_are_numpys(guided, tile_size):
    case, regions, sources = guided
    losses, _ = case.evaluate(regions, sources, tile_size)
    expected = case.expect(regions, sources)
    assert set(losses) == {*expected, "content_relu2_2"}
    for name, value in expected.items():
        assert losses[name] == pytest.approx(value, rel=1e-4)


def test_the_gradient_is_that_of_finite_differences(guided):
    case, regions, sources = guided
    case.recipe = case.recipe.override(content_weight=0.0)
    _, gradient = case.evaluate(regions, sources)
    start, direction = case.image.asnumpy(), np.random.RandomState(1).standard_normal(case.image.shape)
    values = []
    for sign in (1, -1):
        case.image[:] = start + sign * 0.01 * direction
        values.append(sum(case.expect(regions, sources).values()))
    assert (gradient * direction).sum() == pytest.approx((values[0] - values[1]) / 0.02, rel=2e-2)


def test_tiles_make_the_gradient_of_the_whole(guided, statistic):
    case, regions, sources = guided
    (losses, whole), (in_tiles, tiled) = (case.evaluate(regions, sources, size) for size in (0, 8))
    # A covariance is a difference of rounded numbers.
    tolerance = 1e-6 if statistic == "gram" else 2e-5
    assert losses == pytest.approx(in_tiles, rel=10 * tolerance)
    assert relative(tiled, whole) < tolerance


@pytest.mark.parametrize("norm", STYLE_NORMS)
def test_masks_that_add_up_to_one_change_nothing_with_one_style(norm):
    """Whatever the norm: a position is pulled as hard as without regions."""
    case = Case(of_recipe(style_statistic="gram", style_norm=norm, style_size="result", content_weight=0.0))
    styles = case.inputs.styles[:1]
    _, plain = case.evaluate(styles=styles)
    everywhere = np.ones((HEIGHT, WIDTH), "float32")
    for masks, tolerance in ([everywhere], 1e-5), ([0.25 * everywhere, 0.75 * everywhere], 1e-5):
        regions = [Region(str(i), mask, (0,)) for i, mask in enumerate(masks)]
        assert relative(case.evaluate(regions, styles=styles)[1], plain) < tolerance


def test_beyond_the_view_of_a_hard_edge_the_other_style_is_not_felt():
    """The gradient, and so the first step of any optimizer that moves each pixel by its own gradient."""
    case = Case(of_recipe(style_size="result", tv_weight=0.0))
    left = np.zeros((HEIGHT, WIDTH), "float32")
    left[:, :24] = 1
    styles = case.inputs.styles
    regions = [Region("1", left, (0,)), Region("2", 1 - left, (1,))]
    _, both = case.evaluate(regions)
    _, first = case.evaluate(regions[:1])
    _, other = case.evaluate(regions, styles=[styles[0], (styles[1][0][..., ::-1] * np.float32(0.3), 1.0)])
    reach = TINY.halo(LAYERS)
    inside = (..., slice(0, 24 - reach))
    np.testing.assert_array_equal(both[inside], first[inside])
    np.testing.assert_array_equal(both[inside], other[inside])
    assert relative(both[..., 24 - reach :], first[..., 24 - reach :]) > 0.01


def test_styles_of_one_region_are_blended():
    settings = dict(style_statistic="gram", style_norm="mean-of-means", content_weight=0.0, tv_weight=0.0)
    case = Case(of_recipe(style_size="result", **settings))
    (first, _), (second, _) = case.inputs.styles
    mask = soft_masks()[0]
    gradients = [
        case.evaluate([Region("1", mask, numbers)], styles=[(first, 3.0), (second, 1.0)])[1]
        for numbers in ((0,), (1,), (0, 1))
    ]
    weighted = 0.75 * gradients[0] + 0.25 * gradients[1]
    assert relative(gradients[2], weighted) < 1e-5 < relative(gradients[0], weighted)


def test_a_batch_shares_its_regions(guided):
    case, regions, sources = guided
    _, one = case.evaluate(regions, sources)
    case.image = mx.nd.concat(case.image, case.image, dim=0)
    case.inputs.content = np.concatenate([case.inputs.content] * 2)
    _, two = case.evaluate(regions, sources)
    assert relative(two, np.concatenate([one, one])) < 1e-4


@pytest.mark.parametrize("stride", [1, 4, 16])
def test_weights_at_a_layer_are_means_over_what_its_poolings_see(stride):
    mask = np.random.RandomState(0).uniform(0, 1, (37, 50)).astype("float32")
    height, width = 37 // stride, 50 // stride
    expected = [
        [mask[y * stride : (y + 1) * stride, x * stride : (x + 1) * stride].mean() for x in range(width)]
        for y in range(height)
    ]
    np.testing.assert_allclose(bring_to_layer(mask, height, width), expected, rtol=1e-6)


def test_weights_at_a_layer_of_another_network_are_means_over_equal_parts():
    mask = np.arange(24, dtype="float32").reshape(4, 6) / 23
    np.testing.assert_allclose(bring_to_layer(mask, 4, 4)[:, 0], (mask[:, 0] + 0.5 * mask[:, 1]) / 1.5, rtol=1e-6)
    np.testing.assert_allclose(bring_to_layer(np.ones((7, 5)), 3, 2), np.ones((3, 2)), rtol=1e-6)


def test_the_factor_of_a_region():
    term, shapes = Term("style", "a", region="sky"), {"a": (1, 4, 5, 6)}
    shares = {term.guide: 0.25}
    assert loss_factors([term], shapes, 1, [6], style_norm="gatys", shares=shares) == [
        pytest.approx(6 / 0.25 / (4 * 16 * 900))
    ]
    energies = {term.target: 8.0}
    assert loss_factors([term], shapes, 1, [6], "sum", "relative", energies, shares) == [pytest.approx(6 * 0.25 / 8)]
    moments_term = Term("style", "a", "moments", "sky")
    assert loss_factors([moments_term], shapes, 1, [6], "sum", "relative", shares=shares) == [pytest.approx(1.5)]


def test_a_region_in_what_the_poolings_leave_over():
    """It belongs to the last positions of the deep layers."""
    case = Case(of_recipe(max_long_edge=50))
    mask = np.zeros(case.image.shape[2:], "float32")
    mask[:, -1] = 1
    expected = np.zeros((9, 12))
    expected[:, -1] = 12 / 50
    np.testing.assert_allclose(bring_to_layer(mask, 9, 12), expected, rtol=1e-6)
    losses, gradient = case.evaluate([Region("1", mask, (0,))])
    assert np.isfinite(list(losses.values())).all() and np.isfinite(gradient).all()
    assert losses["style_1_relu3_1"] > 0


@pytest.mark.parametrize("tile_size", [None, 8])
def test_memory_counts_guides(tile_size):
    case = Case(of_recipe())
    plain, guided = (case.objective([Region("1", soft_masks()[0], (0,))] * n) for n in (0, 1))
    graph = plain._computation.graph
    sizes = [memory.estimate(graph, one._terms, case.weights, (512, 640), tile_size and 64) for one in (plain, guided)]
    assert sizes[0] < sizes[1]
    if tile_size is None:
        bounds = [memory.upper_bound(graph, one._terms, case.weights, (512, 640)) for one in (plain, guided)]
        assert bounds[0] < bounds[1] and sizes[1] <= bounds[1]
