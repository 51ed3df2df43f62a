"""Means and covariances, against NumPy in float64 and finite differences."""

import ctypes
import gc
import os
import sys

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.executors import FeatureExecutor, LossExecutor
from neural_style.objective.representations import STYLE_STATISTICS, loss_symbol
from neural_style.objective.terms import FixedWeighting, Term

MOMENTS = STYLE_STATISTICS["moments"]
TERM = Term("style", "a", "moments")


def moments(activation):
    features = activation.astype(np.float64).reshape(activation.shape[-3], -1)
    return features.mean(1), np.cov(features, bias=True)


def loss(activation, target):
    halves = [((one - two) ** 2).sum() / (two**2).sum() for one, two in zip(moments(activation), moments(target))]
    return sum(halves) / 2


def relus(shape, seed, mean=0.0):
    """Activations as a ReLU leaves them: their mean is about as large as their deviation."""
    return np.maximum(np.random.RandomState(seed).normal(mean, 30, shape), 0).astype("float32")


def read(activation):
    symbol = MOMENTS.symbol(mx.sym.Variable("data"), activation.shape[1])
    (totals,) = FeatureExecutor(symbol, {}, activation.shape, mx.cpu()).read(activation)
    return totals


def evaluate(activation, target, factor=1.0):
    symbol = loss_symbol([TERM], [MOMENTS.symbol(mx.sym.Variable("data"), activation.shape[1])])
    image, targets = mx.nd.array(activation), {TERM.target: read(target)}
    executor = LossExecutor(symbol, {}, targets, FixedWeighting([factor], mx.cpu()), image, mx.cpu())
    executor.run()
    return float(executor.losses[0].asscalar()), executor.gradient.asnumpy()


def test_the_representation_is_sums_over_positions():
    activation = relus((1, 5, 6, 7), 0)
    features = activation[0].reshape(5, -1).astype(np.float64)
    totals = read(activation).asnumpy()
    assert totals.shape == MOMENTS.shape(5, 6, 7)
    np.testing.assert_allclose(totals[:, :5], features @ features.T, rtol=1e-5)
    np.testing.assert_allclose(totals[:, 5], features.sum(1), rtol=1e-5)
    np.testing.assert_array_equal(totals[:, 6], 42)


@pytest.mark.parametrize("size", [(9, 11), (300, 400)], ids=str)
def test_the_loss_is_numpys_whatever_the_targets_size(size):
    activation, target = relus((1, 5, 6, 7), 0, mean=10), relus((1, 5) + size, 1)
    assert evaluate(activation, target)[0] == pytest.approx(loss(activation, target), rel=1e-4)


def test_the_gradient_is_that_of_finite_differences_at_every_position():
    activation, target = relus((1, 3, 4, 5), 0, mean=10), relus((1, 3, 6, 4), 1)
    _, gradient = evaluate(activation, target, factor=2.0)
    step = 1e-4
    for index in np.ndindex(activation.shape):
        moved = [activation.astype(np.float64), activation.astype(np.float64)]
        moved[0][index] += step
        moved[1][index] -= step
        difference = 2.0 * (loss(moved[0], target) - loss(moved[1], target)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, rel=1e-3, abs=1e-5 * float(abs(gradient).max()))


def test_covariances_survive_what_float32_cancels():
    # A covariance is the small difference of two large numbers where the mean is many deviations, and the sum over many
    # positions rounds; activations of VGG have means of up to a few deviations.
    activation, target = relus((1, 8, 512, 512), 0, mean=150), relus((1, 8, 512, 512), 1, mean=145)
    assert evaluate(activation, target)[0] == pytest.approx(loss(activation, target), rel=1e-3)


def test_equal_activations_have_no_loss_and_no_gradient():
    activation = relus((1, 5, 6, 7), 0)
    value, gradient = evaluate(activation, activation)
    assert value < 1e-12 and abs(gradient).max() < 1e-8


def test_a_target_of_zeros_is_finite():
    value, gradient = evaluate(relus((1, 3, 4, 5), 0), np.zeros((1, 3, 4, 5), "float32"))
    assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of this process from /proc")
def test_a_gradient_leaves_no_memory_behind():
    # MXNet's Concat loses some every time that it goes back through oneDNN.
    image, target = relus((1, 8, 6, 6), 1), read(relus((1, 8, 6, 6), 2))
    symbol = loss_symbol([TERM], [MOMENTS.symbol(mx.sym.Variable("data"), 8)])
    executor = LossExecutor(
        symbol, {}, {TERM.target: target}, FixedWeighting([1.0], mx.cpu()), mx.nd.array(image), mx.cpu()
    )

    def held_after(runs):
        for _ in range(runs):
            executor.run()
        executor.gradient.wait_to_read()
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's: returns what is free to the system
        if trim:
            trim(0)
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = held_after(600)
    assert held_after(500) - before < 500 * 500  # bytes
