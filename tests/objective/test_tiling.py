"""Tiled against whole: the geometry by brute force, losses and gradients against one executor and float64 NumPy."""

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, gram, random_parameters

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.executors import FeatureExecutor
from neural_style.networks import graph
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.representations import STYLE_STATISTICS, loss_symbol, represent
from neural_style.objective.terms import Term
from neural_style.objective.tiled_losses import TiledLossExecutor
from neural_style.objective.tiling import TilePasses, cut, read_tiled
from neural_style.weights.lookup import find_weights
from neural_style.weights.params_file import load_weights, read_index

VGG19, VGG16 = ARCHITECTURES["vgg19"], ARCHITECTURES["vgg16"]
# The depths of the real networks, so that halo and strides are theirs, with few channels.
THIN19 = Architecture("thin19", tuple((convolutions, 4 + 4 * b) for b, (convolutions, _) in enumerate(VGG19.blocks)))
THIN16 = Architecture("thin16", tuple((convolutions, 4 + 4 * b) for b, (convolutions, _) in enumerate(VGG16.blocks)))
TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
STYLES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
ALL16 = tuple(layer for layer in VGG16.layers if layer.startswith("relu"))


def make_terms(styles, contents, statistic="gram"):
    return [Term("style", layer, statistic) for layer in styles] + [Term("content", layer) for layer in contents]


class Problem:
    """An objective on pictures of noise, whole and in tiles."""

    def __init__(self, architecture, terms, size, pooling="avg", parameters=None, prepare=None, extras=None):
        rng = np.random.RandomState(3)
        self.architecture, self.terms = architecture, terms
        self.graph = graph.Graph(architecture, pooling, prepare)
        layers = list(dict.fromkeys(term.layer for term in terms))
        self.arrays = random_parameters(architecture.parameter_shapes(layers))
        self.parameters = parameters or {name: mx.nd.array(value) for name, value in self.arrays.items()}
        self.parameters.update(extras or {})
        network = self.graph.build(layers)
        channels = {layer: architecture.channels(layer) for layer in layers}
        self.representations = represent(terms, dict(zip(layers, network)), channels)
        # Grey levels around the mean, as the pictures that are stylised.
        self.image, self.style = rng.uniform(-100, 100, (2, 1, 3) + size).astype("float32")
        self.style *= np.float32(0.5)
        reader = FeatureExecutor(mx.sym.Group(self.representations), self.parameters, self.style.shape, mx.cpu())
        self.targets = dict(zip((term.target for term in terms), reader.read(self.style)))
        # About equal parts, so that no term hides the error of another.
        self.factors = [
            1.0 if term.representation.normalised else 1.0 / float((target**2).sum().asscalar())
            for term, target in zip(terms, self.targets.values())
        ]

    def weigh(self, losses):
        return [mx.nd.full((1,), factor) for factor in self.factors]

    def whole(self):
        """Give losses and gradient of a single executor on the whole image."""
        gradient = mx.nd.zeros(self.image.shape)
        known = dict(self.parameters, data=mx.nd.array(self.image), **self.targets)
        symbol = loss_symbol(self.terms, self.representations)
        arguments = {name: known[name] for name in symbol.list_arguments()}
        requests = {name: "write" if name == "data" else "null" for name in arguments}
        executor = symbol.bind(mx.cpu(), arguments, {"data": gradient}, requests)
        losses = executor.forward(is_train=True)
        executor.backward(self.weigh(losses))
        return [float(loss.asscalar()) for loss in losses], gradient.asnumpy()

    def tiled(self, tile_size, weigh=None):
        image = mx.nd.array(self.image)
        arguments = (self.graph, self.terms, self.parameters, self.targets)
        return image, TiledLossExecutor(*arguments, weigh or self.weigh, image, mx.cpu(), tile_size)

    def check(self, tile_size):
        """Compare tiles with the whole."""
        # A covariance is a difference, of numbers that were rounded.
        tolerance = 2e-5 if any(term.representation.normalised for term in self.terms) else 1e-6
        losses, gradient = self.whole()
        _, executor = self.tiled(tile_size)
        executor.run()
        np.testing.assert_allclose([float(loss.asscalar()) for loss in executor.losses], losses, rtol=tolerance)
        assert relative(executor.gradient.asnumpy(), gradient) <= tolerance

    def count(self, tile_size):
        layers = [term.layer for term in self.terms]
        return len(cut(self.architecture, layers, self.image.shape[2:], tile_size).tiles)


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


# Geometry.


def test_halo_and_alignment_of_vgg19():
    # relu5_1 sees 156 pixels: its own 16 and 70 on either side.
    assert VGG19.halo(STYLES) == 70 and VGG19.alignment(STYLES) == 16
    assert VGG19.halo(["relu1_1"]) == 1 and VGG19.alignment(["relu1_1"]) == 1
    assert VGG19.halo(["pool1"]) == 2 and VGG19.alignment(["pool1"]) == 2


@pytest.mark.parametrize("layer", ["relu1_1", "pool1", "relu3_3", "conv4_2", "pool4", "relu5_1"])
def test_the_halo_is_what_a_position_depends_on(layer):
    # By the support of a backward pass: with positive weights and biases and no negative input nothing cancels.
    reach, stride = THIN19.halo([layer]), THIN19.stride(layer)
    shapes = THIN19.parameter_shapes([layer])
    vgg = NumpyVGG(THIN19.blocks, {name: np.full(shape, 0.1) for name, shape in shapes.items()})
    side = 2 * (reach // stride + 2) * stride + stride
    image = np.ones((3, side, side))
    activation = vgg.forward(image)[layer]
    position = activation.shape[1] // 2
    head = np.zeros_like(activation)
    head[:, position, position] = 1
    seen = np.flatnonzero(vgg.backward(image, {layer: head}).any((0, 1)))
    assert (seen[0], seen[-1]) == (position * stride - reach, (position + 1) * stride - 1 + reach)


@pytest.mark.parametrize("length", [16, 33, 150, 166, 203, 331, 1024, 1031])
@pytest.mark.parametrize("tile_size", [16, 31, 96, 200, 5000])
def test_every_position_is_owned_once_by_a_window_that_can_compute_it(length, tile_size):
    align, reach = VGG19.alignment(STYLES), VGG19.halo(STYLES)
    tiling = cut(VGG19, STYLES, (length, 160), tile_size)
    spans = [tile.rows for tile in tiling.tiles]
    for layer in STYLES:
        stride = VGG19.stride(layer)
        owners = np.zeros(length // stride, int)
        for span in spans:
            own = span.own(stride)
            assert own.start < own.stop
            owners[own] += 1
        assert (owners == 1).all()
    for span in spans:
        assert span.end - span.begin == tiling.window[0] and span.begin % align == span.own_begin % align == 0
        assert span.begin <= max(0, span.own_begin - reach) and span.end >= min(length, span.own_end + reach)
        assert 0 <= span.begin and span.end <= length
    assert tiling.window[0] <= tile_size + 80 + 70 + 15


def test_tiles_are_as_few_as_the_size_allows_and_alike():
    # 4096 pixels in tiles of 704: six windows, whose halos add 150 pixels five times.
    tiling = cut(VGG19, STYLES, (160, 4096), 704)
    assert len(tiling.tiles) == 6 and 4096 + 5 * 150 <= 6 * tiling.window[1] < 4096 + 5 * 150 + 6 * 32
    assert len({tile.crops for tile in tiling.tiles}) == 3


def test_a_tile_must_hold_a_position_of_every_layer():
    with pytest.raises(SettingsError, match="`tile_size` is 15; it must be at least 16 pixels for these layers"):
        cut(VGG19, STYLES, (300, 300), 15)
    assert cut(VGG19, STYLES, (300, 300), 16).tiles


def test_the_network_of_a_checkpoint_is_computed_whole(tmp_path):
    x = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=4, kernel=(5, 5), name="first")
    x.save(str(tmp_path / "other-symbol.json"))
    network = graph.get_network(str(tmp_path / "other"))
    with pytest.raises(SettingsError, match="other cannot be computed in tiles.*`tile_size`"):
        cut(network, ["first"], (300, 300), 96)


# Values.

FULL = make_terms(STYLES, ["relu4_2"])


@pytest.mark.parametrize("pooling", graph.POOLINGS)
@pytest.mark.parametrize(
    ("size", "tile_size", "tiles"),
    [((203, 331), 48, 4), ((97, 450), 96, 3), ((40, 333), 16, 11), ((319, 305), 48, 12), ((64, 48), 500, 1)],
    ids=str,
)
def test_tiled_is_whole(size, tile_size, tiles, pooling):
    problem = Problem(THIN19, FULL, size, pooling)
    assert problem.count(tile_size) == tiles
    problem.check(tile_size)


@pytest.mark.parametrize(
    ("architecture", "terms"),
    [
        (THIN16, make_terms(ALL16, [])),
        (THIN19, make_terms(STYLES, ["relu5_2"])),
        (THIN19, make_terms([], ["relu3_1"])),
        (THIN19, make_terms(["relu3_1", "pool2"], ["relu3_1", "conv2_2"])),
        (THIN19, make_terms(STYLES, ["relu4_2"], "moments")),
    ],
    ids=["every relu of vgg16", "relu5_2", "content alone", "one layer twice, and others", "moments"],
)
def test_tiled_is_whole_for_any_layers(architecture, terms):
    problem = Problem(architecture, terms, (131, 333))
    assert problem.count(32) > 1
    problem.check(32)


def test_tiled_is_whole_with_the_network_in_the_box():
    path = find_weights("vgg16-lowrank")
    lowrank = ARCHITECTURES["vgg16-lowrank"].fitted(read_index(path))
    parameters = load_weights(path, lowrank.parameter_shapes([term.layer for term in FULL]), mx.cpu())
    problem = Problem(lowrank, FULL, (203, 331), parameters=parameters)
    assert problem.count(96) == 3 and problem.count(32) > 6
    problem.check(96)
    problem.check(32)


def test_pixels_may_be_prepared_before_the_network():
    # Fractions of the full intensity less means: outside the picture the network pads with its own zeros, not with the
    # mean's negative.
    def prepare(data):
        return mx.sym.broadcast_add(data * 255.0, mx.sym.Variable("offset"))

    extras = {"offset": mx.nd.array([-123.68, -116.779, -103.939]).reshape((1, 3, 1, 1))}
    problem = Problem(THIN19, FULL, (131, 203), prepare=prepare, extras=extras)
    problem.image, problem.style = abs(problem.image) / 100, abs(problem.style) / 100
    assert problem.count(32) > 1
    problem.check(32)


def numpy_problem(problem):
    """Give losses and gradient in float64, without MXNet."""
    vgg = NumpyVGG(problem.architecture.blocks, problem.arrays)
    activations = vgg.forward(problem.image[0])
    losses, heads = [], {}
    for term, factor in zip(problem.terms, problem.factors):
        activation = activations[term.layer]
        target = problem.targets[term.target].asnumpy().astype(np.float64)
        if term.kind == "style":
            features = activation.reshape(len(activation), -1)
            difference = gram(activation) - target
            # d/dF sum (F Fᵀ - G)² = 4 (F Fᵀ - G) F
            head = (4 * factor * difference @ features).reshape(activation.shape)
        else:
            difference = activation - target[0]
            head = 2 * factor * difference
        losses.append((difference**2).sum())
        heads[term.layer] = heads.get(term.layer, 0) + head
    return losses, vgg.backward(problem.image[0], heads)


@pytest.mark.parametrize("size", [(57, 83), (41, 18)], ids=str)
def test_tiled_is_numpys(size):
    terms = make_terms(["relu1_1", "relu2_1", "relu3_1"], ["relu2_2"])
    problem = Problem(TINY, terms, size)
    assert problem.count(8) > 1
    losses, gradient = numpy_problem(problem)
    _, executor = problem.tiled(8)
    executor.run()
    np.testing.assert_allclose([float(loss.asscalar()) for loss in executor.losses], losses, rtol=1e-5)
    assert relative(executor.gradient.asnumpy()[0], gradient) < 2e-6


def test_covariances_of_many_tiles_are_numpys_though_means_are_far_from_zero():
    layers = ["relu1_1", "relu2_1"]
    problem = Problem(TINY, make_terms(layers, [], "moments"), (24, 1600))
    # The sums are thousands of times the covariances that follow from them.
    problem.image = 100 + problem.image / np.float32(50)
    tiling = cut(TINY, layers, (24, 1600), 8)
    assert len(tiling.tiles) == 398
    arguments = (problem.graph, problem.terms, problem.parameters, {}, mx.nd.array(problem.image), mx.cpu(), tiling)
    passes = TilePasses(*arguments)
    for _ in range(2):
        passes.sum()
    activations = NumpyVGG(TINY.blocks, problem.arrays).forward(problem.image[0])
    for layer, totals in zip(layers, passes.totals):
        totals = totals.asnumpy()
        mean, products = totals[:, -2] / totals[:, -1], totals[:, :-2] / totals[:, -1]
        features = activations[layer].reshape(len(mean), -1)
        np.testing.assert_array_equal(totals[:, -1], features.shape[1])
        assert relative(mean, features.mean(axis=1)) < 1e-7
        # Added up in float32, those of relu1_1 are off by 7e-5.
        assert relative(products - np.outer(mean, mean), np.cov(features, bias=True)) < 3e-6


def test_a_second_run_is_of_the_image_as_it_is_then_and_the_image_is_never_written():
    problem = Problem(THIN19, FULL, (131, 203))
    image, executor = problem.tiled(32)
    executor.run()
    problem.image = problem.image[..., ::-1] * np.float32(0.7)
    image[:] = problem.image
    for _ in range(2):
        executor.run()
        losses, gradient = problem.whole()
        np.testing.assert_allclose([float(loss.asscalar()) for loss in executor.losses], losses, rtol=1e-6)
        assert relative(executor.gradient.asnumpy(), gradient) <= 1e-6
    np.testing.assert_array_equal(image.asnumpy(), problem.image)


def test_head_gradients_are_those_of_the_whole_pictures_losses():
    # As recipes that divide each loss by its own value: the factors depend on all tiles together.
    problem = Problem(THIN19, FULL, (131, 203))
    given = []

    def weigh(losses):
        given.append([float(loss.asscalar()) for loss in losses])
        return [2.0 / loss for loss in losses]

    _, executor = problem.tiled(32, weigh)
    executor.run()
    problem.factors = [2.0 / loss for loss in problem.whole()[0]]
    losses, gradient = problem.whole()
    assert len(given) == 1
    np.testing.assert_allclose(given[0], losses, rtol=1e-6)
    assert relative(executor.gradient.asnumpy(), gradient) <= 1e-6


@pytest.mark.parametrize("as_numpy", [True, False], ids=["numpy", "mxnet"])
@pytest.mark.parametrize("tile_size", [16, 48, 500])
@pytest.mark.parametrize("statistic", STYLE_STATISTICS)
def test_targets_are_those_of_the_whole_picture(tile_size, as_numpy, statistic):
    terms = make_terms(STYLES, ["relu4_2"], statistic)
    problem = Problem(THIN19, terms, (203, 331))
    picture = problem.style if as_numpy else mx.nd.array(problem.style)
    read = read_tiled(graph.Graph(THIN19), terms, problem.parameters, picture, mx.cpu(), tile_size)
    for term, target in zip(terms, read):
        expected = problem.targets[term.target].asnumpy()
        assert target.shape == expected.shape
        assert relative(target.asnumpy(), expected) <= 1e-6
