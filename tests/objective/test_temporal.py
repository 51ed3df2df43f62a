"""The temporal term, against NumPy and finite differences, alone and beside the other parts of the objective."""

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.objective.objective import Objective
from neural_style.objective.temporal import TemporalExecutor
from neural_style.recipes.presets import get_recipe

SHAPE = (1, 3, 18, 20)


@pytest.fixture
def arrays():
    random = np.random.RandomState(0)
    image, former = (random.normal(0, 40, SHAPE).astype(np.float32) for _ in "12")
    return image, former, random.rand(*SHAPE[2:]).astype(np.float32)


def loss_by_hand(image, former, reliability, weight):
    return weight * np.mean(reliability * (image.astype(np.float64) - former) ** 2)


def test_value_and_gradient(arrays):
    image, former, reliability = arrays
    canvas = mx.nd.array(image)
    term = TemporalExecutor(canvas, 7.0, mx.cpu())
    term.run()
    assert term.loss.asscalar() == 0 and not term.gradient.asnumpy().any()  # there is no former frame yet
    term.set_former(former, reliability)
    term.run()
    np.testing.assert_allclose(term.loss.asscalar(), loss_by_hand(*arrays, 7.0), rtol=1e-5)
    expected = 2 * 7.0 * reliability * (image - former) / image.size
    np.testing.assert_allclose(term.gradient.asnumpy(), expected, rtol=1e-4, atol=1e-6)
    assert (canvas.asnumpy() == image).all()
    for place in [(0, 0, 3, 4), (0, 2, 17, 19)]:
        ahead, behind = image.copy(), image.copy()
        ahead[place] += 0.5
        behind[place] -= 0.5
        slope = loss_by_hand(ahead, former, reliability, 7.0) - loss_by_hand(behind, former, reliability, 7.0)
        np.testing.assert_allclose(term.gradient.asnumpy()[place], slope, rtol=1e-3)


@pytest.mark.parametrize("recipe", ["paint", "tf-vgg16-adaptive"])
def test_it_joins_the_objective(arrays, recipe):
    from numpy_vgg import random_parameters

    from neural_style.networks.vgg import ARCHITECTURES

    losses = (
        get_recipe(recipe)
        .override(model="vgg16", style_layers=("relu1_1",), content_layers=("relu2_1",), style_layer_weights=())
        .losses
    )
    found = random_parameters(ARCHITECTURES["vgg16"].parameter_shapes(["relu2_1"]))
    parameters = {name: mx.nd.array(value) for name, value in found.items()}
    image, former, reliability = arrays
    canvas = mx.nd.array(image)

    def evaluate(weight, more=lambda objective: None):
        objective = Objective(losses, parameters, former, [(image[:, :, ::-1], 1.0)], canvas, 10**10, 0, **weight)
        more(objective)
        evaluation = objective.evaluate()
        return objective, evaluation.loss, evaluation.gradient.asnumpy()

    plain, loss, gradient = evaluate({})
    same, *unchanged = evaluate({"temporal_weight": 0.0}, lambda objective: objective.set_former(former, reliability))
    assert same.names == plain.names and unchanged[0] == loss and (unchanged[1] == gradient).all()
    held, more, pulled = evaluate({"temporal_weight": 0.3}, lambda objective: objective.set_former(former, reliability))
    assert held.names == [*plain.names, "temporal"]
    np.testing.assert_allclose(more - loss, loss_by_hand(*arrays, 0.3), rtol=1e-4)
    expected = 2 * 0.3 * reliability * (image - former) / image.size
    np.testing.assert_allclose(pulled - gradient, expected, atol=1e-4 * np.abs(pulled).max())
    # The next frame of a video.
    held.set_content(image)
    held.set_former(image, reliability)
    held.evaluate()
    np.testing.assert_allclose(dict(zip(held.names, held.evaluate().values.asnumpy()))["temporal"], 0, atol=1e-6)
