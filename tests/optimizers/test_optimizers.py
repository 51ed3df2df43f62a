"""MXNet's optimizers as we set them up, against their formulas in NumPy."""

from dataclasses import replace

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.optimizers import count_arrays, make_optimizer
from neural_style.recipes.parts import LBFGS, NAG, OPTIMIZERS, SGD, Adam, Normalized

SHAPE = (1, 3, 4, 5)
RATE, MOMENTUM, DECAY, DELAY, FACTOR = 0.1, 0.9, 0.01, 3, 0.5
BETA1, BETA2, EPSILON = 0.8, 0.95, 0.03
SCHEDULE = dict(learning_rate=RATE, weight_decay=DECAY, schedule_delay=DELAY, schedule_factor=FACTOR)
SETTINGS = {
    "sgd": SGD(momentum=MOMENTUM, **SCHEDULE),
    "nag": NAG(momentum=MOMENTUM, **SCHEDULE),
    "adam": Adam(beta1=BETA1, beta2=BETA2, epsilon=EPSILON, **SCHEDULE),
    "normalized": Normalized(learning_rate=RATE),
    "lbfgs": LBFGS(history=5),
}


class Given:
    """An evaluation whose gradient is given."""

    def __init__(self, gradient):
        self.gradient = mx.nd.array(gradient)


def sgd(image, gradient, velocity, rate, update):
    """Gradient descent with (heavy-ball) momentum and weight decay."""
    velocity = MOMENTUM * velocity - rate * (gradient + DECAY * image)
    return image + velocity, velocity


def adam(image, gradient, moments, rate, update):
    """Kingma & Ba 2015, the last lines of section 2: epsilon is added to the root that is not corrected."""
    first, second = moments if update > 1 else (0, 0)
    gradient = gradient + DECAY * image
    first, second = BETA1 * first + (1 - BETA1) * gradient, BETA2 * second + (1 - BETA2) * gradient**2
    rate = rate * np.sqrt(1 - BETA2**update) / (1 - BETA1**update)
    return image - rate * first / (np.sqrt(second) + EPSILON), (first, second)


def nag(image, gradient, velocity, rate, update):
    """Nesterov's accelerated gradient in the form that evaluates the gradient at the look-ahead point.

    MXNet's kernel works in place, so that the velocity it keeps has the weight decay of the image after the update.
    """
    before = MOMENTUM * velocity
    look_ahead = before - rate * (gradient + DECAY * image)
    moved = image - before + (MOMENTUM + 1) * look_ahead
    return moved, before - rate * (gradient + DECAY * moved)


@pytest.mark.parametrize("name, formula", [("sgd", sgd), ("nag", nag), ("adam", adam)])
def test_steps_follow_the_formula_and_the_schedule(name, formula):
    if name == "nag" and mx.__version__.startswith("1.5."):
        pytest.skip("MXNet 1.5 has another kernel for NAG; the formula here is that of 1.9")
    rng = np.random.RandomState(0)
    expected, state = rng.standard_normal(SHAPE), np.zeros(SHAPE)
    image = mx.nd.array(expected)
    optimizer = make_optimizer(SETTINGS[name], image)
    assert optimizer.learning_rate == RATE and not optimizer.stalled
    for update in range(1, 9):
        gradient = rng.standard_normal(SHAPE)
        # The factor falls due when more than `DELAY` updates have been made with one rate.
        rate = RATE * FACTOR ** ((update - 1) // DELAY)
        expected, state = formula(expected, gradient, state, rate, update)
        given = Given(gradient)
        assert optimizer.step(image, lambda given=given: given) is given
        assert optimizer.learning_rate == pytest.approx(rate)
        np.testing.assert_allclose(image.asnumpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 1e-25, 1e25])
def test_a_normalized_step_has_the_deviation_of_the_rate(scale):
    gradient = np.random.RandomState(0).standard_normal(SHAPE) * scale
    image = mx.nd.zeros(SHAPE)
    make_optimizer(SETTINGS["normalized"], image).step(image, lambda: Given(gradient))
    np.testing.assert_allclose(image.asnumpy(), -RATE * gradient / (gradient.std() + 1e-8), rtol=1e-5)


def test_a_normalized_step_without_gradient_stays():
    image = mx.nd.ones(SHAPE)
    make_optimizer(SETTINGS["normalized"], image).step(image, lambda: Given(np.zeros(SHAPE)))
    np.testing.assert_array_equal(image.asnumpy(), 1)


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "normalized"])
def test_images_are_clipped_to_bounds_of_each_channel(name):
    bounds = [mx.nd.array(b).reshape((1, 3, 1, 1)) for b in ([-1, -2, -3], [1, 2, 3])]
    gradient = np.random.RandomState(0).choice([-1, 1], SHAPE) * 1e4
    gradient[..., :2] *= 1e-9
    image, free = mx.nd.zeros(SHAPE), mx.nd.zeros(SHAPE)
    settings = replace(SETTINGS[name], learning_rate=5.0)
    make_optimizer(settings, image, bounds).step(image, lambda: Given(gradient))
    make_optimizer(settings, free).step(free, lambda: Given(gradient))
    limits = np.array([1, 2, 3]).reshape((1, 3, 1, 1))
    np.testing.assert_array_equal(image.asnumpy(), np.clip(free.asnumpy(), -limits, limits))
    assert (np.abs(image.asnumpy()) == limits).sum() >= image.size / 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_made_and_holds_at_most_what_it_says(name):
    image = mx.nd.array(np.random.RandomState(0).standard_normal(SHAPE))
    optimizer = make_optimizer(SETTINGS[name], image)
    if name != "lbfgs":
        optimizer.step(image, lambda: Given(np.ones(SHAPE)))
    held = sum(np.asarray(value).size >= image.size for value in optimizer.state().values())
    assert held <= count_arrays(SETTINGS[name])
