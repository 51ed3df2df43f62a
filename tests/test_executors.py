"""Losses and gradients against float64 NumPy and against finite differences, borders included."""

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, gram, random_parameters

from neural_style import executors
from neural_style._mxnet import mx
from neural_style.executors import FeatureExecutor, LossExecutor
from neural_style.networks import graph, vgg
from neural_style.objective.representations import gram_symbol, loss_symbol, represent
from neural_style.objective.terms import FixedWeighting, Term, loss_factors

TINY = vgg.Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
TERMS = [Term("style", "relu1_1"), Term("style", "relu2_1"), Term("style", "relu3_1"), Term("content", "relu2_2")]
LAYERS = [term.layer for term in TERMS]
CONTENT_WEIGHT, STYLE_WEIGHT = 3.0, 40.0


class Problem:
    """One small objective, in MXNet and in NumPy."""

    def __init__(self, size):
        rng = np.random.RandomState(3)
        shapes = TINY.parameter_shapes(LAYERS)
        arrays = random_parameters(shapes)
        self.image, self.content, self.style = rng.standard_normal((3, 1, 3) + size).astype("float32")
        self.parameters = {name: mx.nd.array(value) for name, value in arrays.items()}
        network = graph.build_symbol(TINY, LAYERS)
        self.symbols = represent(TERMS, dict(zip(LAYERS, network)), {layer: TINY.channels(layer) for layer in LAYERS})
        _, activation_shapes, _ = network.infer_shape(data=self.image.shape)
        self.factors = loss_factors(TERMS, dict(zip(LAYERS, activation_shapes)), CONTENT_WEIGHT, [STYLE_WEIGHT] * 3)
        self.vgg = NumpyVGG(TINY.blocks, arrays)
        self.targets = [self.represent(self.style if t.kind == "style" else self.content, t) for t in TERMS]

    def represent(self, image, term):
        activation = self.vgg.forward(image[0])[term.layer]
        return gram(activation) if term.kind == "style" else activation

    def numpy_losses(self, image):
        return [((target - self.represent(image, term)) ** 2).sum() for term, target in zip(TERMS, self.targets)]

    def numpy_objective(self, image):
        total = 0
        for term, loss in zip(TERMS, self.numpy_losses(image)):
            activation = self.vgg.forward(image[0])[term.layer]
            channels, positions = len(activation), activation[0].size
            total += loss * (STYLE_WEIGHT / (channels**2 * positions) if term.kind == "style" else CONTENT_WEIGHT)
        return total

    def numpy_gradient(self):
        gradients, activations = {}, self.vgg.forward(self.image[0])
        for term, target in zip(TERMS, self.targets):
            activation = activations[term.layer]
            if term.kind == "style":
                # d/dF sum (G_target - F Fᵀ)² = 4 (F Fᵀ - G_target) F, both matrices being symmetric
                features = activation.reshape(len(activation), -1)
                gradient = 4 * (gram(activation) - target) @ features
                gradient *= STYLE_WEIGHT / (len(activation) ** 2 * features.shape[1])
            else:
                gradient = 2 * CONTENT_WEIGHT * (activation - target)
            gradients[term.layer] = gradient.reshape(activation.shape)
        return self.vgg.backward(self.image[0], gradients)

    def executor(self):
        targets = {term.target: mx.nd.array(target) for term, target in zip(TERMS, self.targets)}
        for term in TERMS:
            if term.kind == "content":
                targets[term.target] = targets[term.target].expand_dims(0)
        image = mx.nd.array(self.image)
        symbol = loss_symbol(TERMS, self.symbols)
        return image, LossExecutor(
            symbol, self.parameters, targets, FixedWeighting(self.factors, mx.cpu()), image, mx.cpu()
        )


@pytest.fixture(params=[(8, 12), (9, 15), (4, 4)], ids=str)
def problem(request):
    return Problem(request.param)


def test_features_are_numpys_grams_and_activations(problem):
    reader = FeatureExecutor(mx.sym.Group(problem.symbols), problem.parameters, problem.image.shape, mx.cpu())
    for picture in (problem.style, problem.content):
        read = reader.read(picture)
        for term, array in zip(TERMS, read):
            expected = problem.represent(picture, term)
            np.testing.assert_allclose(
                array.asnumpy().reshape(expected.shape), expected, rtol=1e-4, atol=1e-4 * abs(expected).max()
            )


def test_what_was_read_outlives_the_executor_and_the_next_picture(problem):
    reader = FeatureExecutor(mx.sym.Group(problem.symbols), problem.parameters, problem.image.shape, mx.cpu())
    first = reader.read(problem.style)[0]
    before = first.asnumpy().copy()
    reader.read(problem.content)
    del reader
    mx.nd.waitall()
    np.testing.assert_array_equal(first.asnumpy(), before)


def test_losses_are_numpys(problem):
    _, executor = problem.executor()
    executor.run()
    losses = [float(loss.asscalar()) for loss in executor.losses]
    np.testing.assert_allclose(losses, problem.numpy_losses(problem.image), rtol=1e-4)


def test_the_gradient_is_numpys(problem):
    _, executor = problem.executor()
    executor.run()
    expected = problem.numpy_gradient()
    error = np.linalg.norm(executor.gradient.asnumpy()[0] - expected) / np.linalg.norm(expected)
    assert error < 1e-5


def test_the_gradient_is_that_of_finite_differences_at_corners_edges_and_inside(problem):
    _, executor = problem.executor()
    executor.run()
    gradient = executor.gradient.asnumpy()
    _, _, height, width = problem.image.shape
    step = 1e-6
    for channel in range(3):
        for y in (0, height // 2, height - 1):
            for x in (0, width // 2, width - 1):
                difference = 0
                for sign in (1, -1):
                    moved = problem.image.astype(np.float64)
                    moved[0, channel, y, x] += sign * step
                    difference += sign * problem.numpy_objective(moved)
                difference /= 2 * step
                assert gradient[0, channel, y, x] == pytest.approx(
                    difference, rel=1e-3, abs=1e-4 * float(abs(gradient).max())
                )


def test_only_the_image_has_a_gradient_and_it_is_never_written(problem, monkeypatch):
    bound, bind = [], executors.bind
    monkeypatch.setattr(
        executors, "bind", lambda *arguments, **more: bound.append(bind(*arguments, **more)) or bound[-1]
    )
    image, executor = problem.executor()
    executor.run()
    mx.nd.waitall()
    np.testing.assert_array_equal(image.asnumpy(), problem.image)
    assert [name for name, array in bound[-1].grad_dict.items() if array is not None] == ["data"]


def test_a_second_run_is_of_the_image_as_it_is_then(problem):
    image, executor = problem.executor()
    executor.run()
    problem.image = problem.image[..., ::-1] * np.float32(0.5)
    image[:] = problem.image
    executor.run()
    losses = [float(loss.asscalar()) for loss in executor.losses]
    np.testing.assert_allclose(losses, problem.numpy_losses(problem.image), rtol=1e-4)
    expected = problem.numpy_gradient()
    error = np.linalg.norm(executor.gradient.asnumpy()[0] - expected) / np.linalg.norm(expected)
    assert error < 1e-5


def test_gram_by_fully_connected_is_exact_for_whole_numbers():
    activation = np.random.RandomState(0).randint(-3, 4, (1, 5, 6, 7)).astype("float32")
    symbol = gram_symbol(mx.sym.Variable("data"), 5)
    output = symbol.bind(mx.cpu(), {"data": mx.nd.array(activation)}).forward()[0].asnumpy()
    np.testing.assert_array_equal(output, gram(activation[0]))


def test_factors_of_the_specification():
    # A style layer of C channels on H x W positions has w / (C² · H · W), a content layer its weight.
    terms = [Term("style", "a"), Term("content", "b")]
    shapes = {"a": (1, 4, 5, 6), "b": (1, 7, 2, 3)}
    assert loss_factors(terms, shapes, content_weight=10, style_weights=[2]) == [2 / (16 * 30), 10.0]
