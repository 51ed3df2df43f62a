"""Motifs against NumPy in float64: the loss, its gradient, tiles, masks, and which positions of a style are kept."""

import numpy as np
import pytest
from subjects import Subject

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.networks.graph import Graph
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective import memory, motifs
from neural_style.objective.regions import Region
from neural_style.objective.terms import Term
from neural_style.objective.tiling import cut, loss_parts
from neural_style.recipes.presets import get_recipe

# Of enough channels that no position is without any activation.
TINY = Architecture("tiny", ((2, 8), (2, 12), (1, 16)))
LAYERS = ("relu2_1", "relu3_1")
WEIGHT = 0.6
HEIGHT, WIDTH = 36, 48


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def distances(activation, style):
    """Give 1 less the cosine with the most similar position, (H, W)."""
    ours, theirs = (array.reshape(len(array), -1).astype(np.float64) for array in (activation, style))
    ours, theirs = (array / np.maximum(np.linalg.norm(array, axis=0), 1e-9) for array in (ours, theirs))
    return (1 - (theirs.T @ ours).max(axis=0)).reshape(activation.shape[1:])


class Case(Subject):
    """Motifs and nothing else, of one or two styles."""

    def __init__(self, **settings):
        layers = dict(content_layers=(), style_layers=(), style_layer_weights=(), motif_layers=LAYERS)
        weights = dict(content_weight=0.0, style_weight=1.0, tv_weight=0.0, motif_weight=WEIGHT)
        recipe = get_recipe("paint").override(
            **{"model": "tiny", "pooling": "avg", "max_long_edge": WIDTH, **layers, **weights, **settings}
        )
        rng = np.random.RandomState(4)
        content, *styles = (
            rng.randint(0, 256, (h, w, 3)).astype("uint8") for h, w in ((HEIGHT, WIDTH), (50, 40), (40, 44))
        )
        super().__init__(recipe, TINY, content, styles, rng)

    def objective(self, tile_size=0, styles=slice(0, 1), **more):
        return super().objective(tile_size, self.inputs.styles[styles], **more)

    def expect(self, canvas=None):
        here = self.activations(self.image.asnumpy() if canvas is None else canvas)
        there = self.activations(self.inputs.styles[0][0])
        return {f"motif_{layer}": WEIGHT / 2 * distances(here[layer], there[layer]).mean() for layer in LAYERS}


@pytest.fixture
def all_kept(monkeypatch):
    """For comparisons in which every position of a style takes part."""
    monkeypatch.setattr(motifs, "KEPT", 10**6)


def relative(one, two):
    return np.linalg.norm(one - two) / np.linalg.norm(two)


@pytest.mark.parametrize("tile_size", [0, 8])
def test_losses_are_numpys(all_kept, tile_size):
    case = Case()
    losses, _ = case.evaluate(tile_size)
    assert losses == pytest.approx(case.expect(), rel=1e-4)


def test_the_gradient_is_that_of_finite_differences(all_kept):
    case = Case()
    _, gradient = case.evaluate()
    start, direction = case.image.asnumpy().astype(float), np.random.RandomState(1).standard_normal(case.image.shape)
    values = [sum(case.expect(start + step * direction).values()) for step in (1e-6, -1e-6)]
    assert (gradient * direction).sum() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-3)


def test_tiles_make_the_gradient_of_the_whole():
    case = Case()
    (losses, whole), (in_tiles, tiled) = case.evaluate(0), case.evaluate(8)
    assert losses == pytest.approx(in_tiles, rel=1e-5)
    assert relative(tiled, whole) < 1e-6


def test_the_style_itself_has_no_distance(all_kept):
    case = Case(style_size="result")
    case.image[:] = case.inputs.styles[0][0]
    losses, _ = case.evaluate()
    assert max(abs(loss) for loss in losses.values()) < 1e-6


def test_a_region_has_its_share_and_its_own_style(all_kept):
    """With a hard edge on whole positions: there the mean over a region is that over a part of the picture."""
    case = Case()
    left = np.zeros((HEIGHT, WIDTH), "float32")
    left[:, :24] = 1
    regions = [Region("1", left, (0,), 1.5), Region("2", 1 - left, (1,), 0.5)]
    here, expected = case.activations(case.image.asnumpy()), {}
    for region, part, style in (regions[0], np.s_[:, : 24 // 4], 0), (regions[1], np.s_[:, 24 // 4 :], 1):
        there = case.activations(case.inputs.styles[style][0])["relu3_1"]
        distance = distances(here["relu3_1"], there)[part].mean()
        expected[f"motif_{region.name}_relu3_1"] = region.factor * WEIGHT / 2 * 0.5 * distance
    for tile_size in 0, 8:
        losses, _ = case.evaluate(tile_size, slice(0, 2), regions=regions)
        assert {name: losses[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_masks_that_add_up_to_one_change_nothing_with_one_style():
    case = Case()
    first = np.clip((np.mgrid[:HEIGHT, :WIDTH][1] - 20) / 9, 0, 1).astype("float32")
    regions = [Region("1", first, (0,)), Region("2", 1 - first, (0,))]
    assert relative(case.evaluate(regions=regions)[1], case.evaluate()[1]) < 1e-5


def test_what_a_source_mask_leaves_out_is_no_motif(all_kept):
    case = Case(motif_layers=("relu1_2",))
    source = np.zeros(case.inputs.styles[0][0].shape[2:], "float32")
    source[:, 20:] = 1
    style = case.activations(case.inputs.styles[0][0])["relu1_2"][..., 20:]
    expected = WEIGHT * distances(case.activations(case.image.asnumpy())["relu1_2"], style).mean()
    assert case.evaluate(sources=[source])[0] == pytest.approx({"motif_relu1_2": expected}, rel=1e-4)


def test_images_of_a_batch_add_up():
    case = Case()
    first, second = case.image.asnumpy(), case.image.asnumpy()[..., ::-1] * np.float32(0.7)
    gradients = []
    for canvas in first, second, np.concatenate([first, second]):
        case.image, case.inputs.content = mx.nd.array(canvas), np.zeros(canvas.shape, "float32")
        gradients.append(case.evaluate()[1])
    assert relative(gradients[2], np.concatenate(gradients[:2])) < 1e-5


# What is kept of styles.


def read(*shape, seed=0):
    values = np.random.RandomState(seed).uniform(0, 9, shape).astype("float32")
    values[:, -1] = 1
    return mx.nd.array(values)


def test_positions_are_drawn_from_each_style_by_its_weight(monkeypatch):
    monkeypatch.setattr(motifs, "KEPT", 40)
    reads = [read(1, 4, 6, 9), read(1, 4, 10, 10, seed=1)]
    target = motifs.MOTIFS.prepare(reads, [3.0, 1.0]).asnumpy()
    assert target.shape == (40, 3)
    np.testing.assert_allclose(np.linalg.norm(target, axis=1), 1, rtol=1e-6)
    for part, one in (target[:30], reads[0]), (target[30:], reads[1]):
        positions = one.asnumpy()[0, :-1].reshape(3, -1).T
        positions /= np.linalg.norm(positions, axis=1, keepdims=True)
        nearest = np.abs(part[:, None] - positions).max(axis=2)
        assert nearest.min(axis=1).max() < 1e-6  # each is one of that style's,
        assert len(set(nearest.argmin(axis=1))) == len(part)  # and another one
    again = motifs.MOTIFS.prepare(reads, [3.0, 1.0]).asnumpy()
    np.testing.assert_array_equal(target, again)


def test_all_positions_of_a_small_style_are_kept_and_those_that_do_not_count_are_not():
    style = read(1, 4, 5, 6)
    style[:, -1, :, :2] = 0
    assert motifs.MOTIFS.prepare([style], [1.0]).shape == (20, 3)


# Settings and memory.


def test_layers_are_needed():
    with pytest.raises(SettingsError, match="`motif_layers` is empty; name at least one"):
        Case(motif_layers=())


@pytest.mark.parametrize("size, tile_size", [((300, 420), None), ((640, 400), 208)], ids=str)
def test_the_plan_is_that_of_the_executor_at_full_size(size, tile_size):
    network = ARCHITECTURES["vgg16"]
    terms = [Term("motif", "relu2_1"), Term("content", "relu2_1")]
    parameters = {name: mx.nd.empty(shape) for name, shape in network.parameter_shapes(["relu2_1"]).items()}
    tile = max(
        cut(network, ["relu2_1"], size, tile_size or max(size)).tiles, key=lambda tile: np.prod(tile.shape(1, 1))
    )
    symbol = loss_parts(Graph(network), terms, tile)
    shapes = {
        "data": (1, 3) + tuple(span.end - span.begin for span in tile.spans),
        terms[0].target: (motifs.KEPT, 128),
        terms[1].target: tile.shape(128, 2),
    }
    known = {**parameters, **{name: mx.nd.empty(shape) for name, shape in shapes.items()}}
    arguments = {name: known[name] for name in symbol.list_arguments()}
    requests = {name: "write" if name == "data" else "null" for name in arguments}
    executor = symbol.bind(mx.cpu(), arguments, {"data": mx.nd.empty(shapes["data"])}, requests)
    (planned,) = [int(line.split()[1]) for line in executor.debug_str().splitlines() if line.endswith("MB allocated")]
    found = memory.planned_bytes(Graph(network), terms, parameters, tile)
    assert found == pytest.approx(planned * 2**20, rel=0.03, abs=4 * 2**20)


@pytest.mark.parametrize("size", [(256, 384), (683, 1024)])
def test_the_bound_is_above_the_estimate(size):
    network = ARCHITECTURES["vgg16"]
    terms = [Term("motif", "relu3_1"), Term("motif", "relu4_1"), Term("content", "relu4_2")]
    shapes = network.parameter_shapes([term.layer for term in terms])
    arguments = Graph(network), terms, {name: mx.nd.empty(shape) for name, shape in shapes.items()}, size
    assert memory.estimate(*arguments) < memory.upper_bound(*arguments)
