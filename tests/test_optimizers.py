"""MXNet's optimizers as we set them up, against their formulas in NumPy."""

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.optimizers import OPTIMIZERS, make_optimizer

SHAPE = (1, 3, 4, 5)
RATE, MOMENTUM, DECAY, DELAY, FACTOR = 0.1, 0.9, 0.01, 3, 0.5


def sgd(image, gradient, velocity, rate):
    """Gradient descent with (heavy-ball) momentum and weight decay."""
    velocity = MOMENTUM * velocity - rate * (gradient + DECAY * image)
    return image + velocity, velocity


def nag(image, gradient, velocity, rate):
    """Nesterov's accelerated gradient in the form that evaluates the gradient at the look-ahead point.

    MXNet's kernel works in place, so that the velocity it keeps has the weight decay of the image after the update.
    """
    before = MOMENTUM * velocity
    look_ahead = before - rate * (gradient + DECAY * image)
    moved = image - before + (MOMENTUM + 1) * look_ahead
    return moved, before - rate * (gradient + DECAY * moved)


@pytest.mark.parametrize("name, formula", [("sgd", sgd), ("nag", nag)])
def test_updates_follow_the_formula_and_the_schedule(name, formula):
    if name == "nag" and mx.__version__.startswith("1.5."):
        pytest.skip("MXNet 1.5 has another kernel for NAG; the formula here is that of 1.9")
    rng = np.random.RandomState(0)
    expected, velocity = rng.standard_normal(SHAPE), np.zeros(SHAPE)
    image = mx.nd.array(expected)
    optimizer = make_optimizer(name, image, RATE, MOMENTUM, DECAY, DELAY, FACTOR)
    assert optimizer.learning_rate == RATE
    for update in range(1, 9):
        gradient = rng.standard_normal(SHAPE)
        # The factor falls due when more than `DELAY` updates have been made with one rate.
        rate = RATE * FACTOR ** ((update - 1) // DELAY)
        expected, velocity = formula(expected, gradient, velocity, rate)
        optimizer.update(image, mx.nd.array(gradient))
        assert optimizer.learning_rate == pytest.approx(rate)
        np.testing.assert_allclose(image.asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_every_optimizer_is_covered():
    assert set(OPTIMIZERS) == {"sgd", "nag"}


def test_an_unknown_optimizer_is_named():
    with pytest.raises(SettingsError, match="unknown optimizer 'sdg'; choose from sgd, nag"):
        make_optimizer("sdg", mx.nd.zeros(SHAPE), RATE, MOMENTUM, DECAY, DELAY, FACTOR)
