"""Total variation and its gradient, against their formulas and in strips."""

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.objective.variation import TV_KINDS, TV_STRIP, TVGradientExecutor, total_variation_symbol


@pytest.fixture
def noise():
    return np.random.RandomState(5).uniform(-100, 100, (1, 3, 7, 9)).astype("float32")


def total_variation(image, weight):
    """The sixteenth of squared differences to all neighbours, zeros standing around the picture."""
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    vertical, horizontal = np.diff(padded, axis=2)[..., 1:-1], np.diff(padded, axis=3)[:, :, 1:-1]
    return weight / 16 * ((vertical**2).sum() + (horizontal**2).sum())


def test_total_variation_is_the_stencil_with_zeros_around(noise):
    weight = 0.7
    executor = TVGradientExecutor(mx.nd.array(noise), weight, mx.cpu())
    executor.run()
    padded = np.pad(noise[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    centre = padded[:, 1:-1, 1:-1]
    around = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    np.testing.assert_allclose(executor.gradient.asnumpy()[0], weight * (4 * centre - around) / 8, rtol=1e-4, atol=1e-4)


def test_total_variations_gradient_is_that_of_its_value_at_every_pixel(noise):
    weight, step = 0.7, 1e-3
    executor = TVGradientExecutor(mx.nd.array(noise), weight, mx.cpu())
    executor.run()
    assert float(executor.loss.asscalar()) == pytest.approx(total_variation(noise, weight), rel=1e-5)
    gradient = executor.gradient.asnumpy()
    for index in np.ndindex(noise.shape):
        moved = [noise.astype(np.float64), noise.astype(np.float64)]
        moved[0][index] += step
        moved[1][index] -= step
        difference = (total_variation(moved[0], weight) - total_variation(moved[1], weight)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, rel=1e-3, abs=1e-3)


def test_a_flat_picture_is_pulled_to_the_mean_colour_at_its_border_only():
    executor = TVGradientExecutor(mx.nd.ones((1, 3, 5, 6)) * 8, 1.0, mx.cpu())
    executor.run()
    gradient = executor.gradient.asnumpy()[0, 0]
    expected = np.zeros((5, 6))
    expected[[0, -1], :] += 1
    expected[:, [0, -1]] += 1
    np.testing.assert_array_equal(gradient, expected)


def of_differences(image, kind):
    power = 2 if kind == "mean-squared" else 1
    vertical, horizontal = (np.abs(np.diff(image.astype(np.float64), axis=axis)) ** power for axis in (2, 3))
    return vertical.sum() + horizontal.sum() if kind == "absolute" else vertical.mean() + horizontal.mean()


@pytest.mark.parametrize("kind", ["absolute", "mean-absolute", "mean-squared"])
def test_variation_of_differences_and_its_gradient_at_every_pixel(kind):
    image = np.random.RandomState(5).uniform(-100, 100, (1, 3, 5, 4)).astype("float32")
    weight, step = 0.7, 1e-3
    executor = TVGradientExecutor(mx.nd.array(image), weight, mx.cpu(), kind)
    executor.run()
    assert float(executor.loss.asscalar()) == pytest.approx(weight * of_differences(image, kind), rel=1e-5)
    gradient = executor.gradient.asnumpy()
    for index in np.ndindex(image.shape):
        moved = [image.astype(np.float64), image.astype(np.float64)]
        moved[0][index] += step
        moved[1][index] -= step
        difference = weight * (of_differences(moved[0], kind) - of_differences(moved[1], kind)) / (2 * step)
        assert gradient[index] == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", TV_KINDS)
@pytest.mark.parametrize("rows", [0, 2, 3, 5, 6])
def test_strips_are_the_whole(kind, rows):
    image = mx.nd.array(np.random.RandomState(6).uniform(-100, 100, (1, 3, 7, 4)))
    whole = TVGradientExecutor(image, 0.7, mx.cpu(), kind)
    strips = TVGradientExecutor(image, 0.7, mx.cpu(), kind, strip=rows * 4 + 3)
    for _ in range(2):
        whole.run()
        strips.run()
        np.testing.assert_allclose(strips.gradient.asnumpy(), whole.gradient.asnumpy(), rtol=1e-6, atol=1e-5)
        assert strips.loss.asscalar() == pytest.approx(whole.loss.asscalar(), rel=1e-6)
        image *= -0.5


def test_pictures_of_a_recipes_size_are_no_strips():
    # Their numbers are compared bit for bit.
    assert 600 * 600 < TV_STRIP


@pytest.mark.parametrize("kind", ["absolute", "mean-absolute", "mean-squared"])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1)])
def test_variation_of_differences_of_a_line_and_of_a_flat_picture(kind, size):
    flat = TVGradientExecutor(mx.nd.ones((1, 3) + size) * 8, 1.0, mx.cpu(), kind)
    flat.run()
    np.testing.assert_array_equal(flat.gradient.asnumpy(), 0)
    assert flat.loss.asscalar() == 0
    ramp = np.arange(np.prod(size), dtype="float32").reshape((1, 1) + size).repeat(3, 1)
    executor = TVGradientExecutor(mx.nd.array(ramp), 1.0, mx.cpu(), kind)
    executor.run()
    pairs = 3 * (max(size) - 1)
    assert executor.loss.asscalar() == pytest.approx(pairs if kind == "absolute" else min(pairs, 1))


def test_an_unknown_total_variation_is_named():
    with pytest.raises(SettingsError, match="unknown total variation 'cubic'; choose from quadratic, absolute"):
        total_variation_symbol(1.0, (1, 3, 4, 4), "cubic")
