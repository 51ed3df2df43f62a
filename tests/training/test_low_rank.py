"""Factorisation: exact where ranks suffice, the best possible where they do not, and ranks that no others beat."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from numpy_vgg import NumpyVGG, convolve, random_parameters

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.training import low_rank

TINY = Architecture("tiny", ((2, 6), (2, 8)))
LATER = TINY.convolutions[1:]
FULL_RANKS = {"conv1_2": (6, 6), "conv2_1": (6, 8), "conv2_2": (8, 8)}


@pytest.fixture(autouse=True)
def fine(monkeypatch):
    """Ranks in steps of two, for few channels."""
    monkeypatch.setattr(low_rank, "_MULTIPLE", 2)
    monkeypatch.setattr(low_rank, "_EVEN_MULTIPLE", 2)


@pytest.fixture
def exact(monkeypatch):
    """No ridge, which shrinks what is hardly there."""
    monkeypatch.setattr(low_rank, "_RIDGE", 1e-12)


@pytest.fixture(scope="module")
def parameters():
    return random_parameters(TINY.parameter_shapes(["pool2"]))


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.RandomState(1)
    return [mx.nd.array(rng.standard_normal((2, 3, 24, 20))) for _ in range(3)]


def images(pictures):
    return [image for batch in pictures for image in batch.asnumpy()]


def outputs_of(network, parameters, pictures, layer):
    """Give an activation of all images, (C, N), in float64 NumPy."""
    model = NumpyVGG(network.blocks, parameters)
    return np.concatenate(
        [model.forward(x)[layer].reshape(network.channels(layer), -1) for x in images(pictures)], axis=1
    )


def error(parameters, decomposed, pictures, layer):
    wanted, found = (outputs_of(TINY, one, pictures, layer) for one in (parameters, decomposed))
    return np.square(wanted - found).sum() / np.square(wanted - wanted.mean(axis=1, keepdims=True)).sum()


def test_full_ranks_leave_the_network_as_it_was(parameters, pictures, exact):
    found = low_rank.decompose(TINY, parameters, pictures, FULL_RANKS)
    network = Architecture("tiny", TINY.blocks, low_rank=True).fitted(found)
    assert {name: value.shape for name, value in found.items()} == network.parameter_shapes(["pool2"])
    assert list(found) == list(network.parameter_shapes(["pool2"]))
    assert network.ranks == tuple(FULL_RANKS.values())
    for layer in TINY.layers:
        assert error(parameters, found, pictures, layer) < 1e-8, layer
    # The full network and the three parts are the same on images they were not fitted to, too.
    others = [mx.nd.array(np.random.RandomState(9).standard_normal((1, 3, 16, 16)))]
    assert error(parameters, found, others, "conv2_2") < 1e-8


def test_kernels_of_low_rank_are_found(parameters, pictures, exact):
    rng, truly = np.random.RandomState(2), dict(parameters)
    ranks = {"conv1_2": (2, 4), "conv2_1": (4, 2), "conv2_2": (4, 4)}
    for layer, (before, after) in ranks.items():
        outputs, inputs = parameters[f"{layer}_weight"].shape[:2]
        parts = rng.standard_normal((outputs, after)), rng.standard_normal((after, before, 3, 3))
        kernel = np.einsum("oq,qryx,ri->oiyx", *parts, rng.standard_normal((before, inputs)))
        truly[f"{layer}_weight"] = (kernel / np.sqrt(9 * inputs * before * after)).astype("float32")
    found = low_rank.decompose(TINY, truly, pictures, ranks)
    for layer in TINY.layers:
        assert error(truly, found, pictures, layer) < 1e-8, layer
    for layer in LATER:
        parts = (found[f"{layer}_{part}_weight"] for part in ("out", "core", "in"))
        kernel = np.einsum("oqab,qryx,ricd->oiyx", *parts)
        np.testing.assert_allclose(kernel, truly[f"{layer}_weight"], atol=1e-4)


def test_the_error_falls_with_the_ranks(parameters, pictures):
    for place in (0, 1):
        errors = []
        for rank in (2, 4, 6):
            ranks = dict(FULL_RANKS, conv1_2=tuple(rank if i == place else 6 for i in (0, 1)))
            found = low_rank.decompose(TINY, parameters, pictures, ranks)
            errors.append(error(parameters, found, pictures, "conv1_2"))
        assert errors[0] > 1.5 * errors[1] > 2 * errors[2] and errors[2] < 1e-3


def test_outputs_are_reduced_as_well_as_can_be(parameters, pictures, exact):
    # All channels before the 3x3, so that only the regression is left, and a first layer that is the full one's.
    found = low_rank.decompose(TINY, parameters, pictures, dict(FULL_RANKS, conv1_2=(6, 2)))
    y = outputs_of(TINY, parameters, pictures, "conv1_2")
    z = y - parameters["conv1_2_bias"][:, None]
    # The least squared error of rank 2 with means: singular values of what ordinary least squares predicts.
    y, z = y - y.mean(axis=1, keepdims=True), z - z.mean(axis=1, keepdims=True)
    fit, *_ = scipy.linalg.lstsq(z.T, y.T)
    values = scipy.linalg.svdvals(fit.T.dot(z))
    least = (np.square(y - fit.T.dot(z)).sum() + np.square(values[2:]).sum()) / np.square(y).sum()
    assert error(parameters, found, pictures, "conv1_2") == pytest.approx(least, rel=1e-3)


def test_a_layer_makes_good_what_those_before_it_lost(parameters, pictures, exact):
    # The best map of rank 4 from what the factorised network has to what the full one has, by NumPy.
    found = low_rank.decompose(TINY, parameters, pictures, {"conv1_2": (6, 2), "conv2_1": (6, 4), "conv2_2": (8, 8)})
    y = outputs_of(TINY, parameters, pictures, "conv2_1")
    before = NumpyVGG(TINY.blocks, found)
    z = [convolve(before.forward(x)["pool1"], parameters["conv2_1_weight"]).reshape(8, -1) for x in images(pictures)]
    y, z = y - y.mean(axis=1, keepdims=True), np.concatenate(z, axis=1)
    z = z - z.mean(axis=1, keepdims=True)
    fit, *_ = scipy.linalg.lstsq(z.T, y.T)
    left, values, right = scipy.linalg.svd(fit.T.dot(z), full_matrices=False)
    best = (left[:, :4] * values[:4]).dot(right[:4])
    least = np.square(y - best).sum() / np.square(y).sum()
    assert error(parameters, found, pictures, "conv2_1") == pytest.approx(least, rel=1e-3)
    # Without the regression, from the directions of most variance of what is left, it would be worse.
    left, values, right = scipy.linalg.svd(z, full_matrices=False)
    without = y - (left[:, :4] * values[:4]).dot(right[:4])
    assert np.square(without).sum() / np.square(y).sum() > 1.02 * least


def test_inputs_are_reduced_by_what_the_kernel_sees_of_them(parameters, pictures, exact):
    found = low_rank.decompose(TINY, parameters, pictures, dict(FULL_RANKS, conv1_2=(2, 6)))
    parts = (found[f"conv1_2_{part}_weight"].astype("float64") for part in ("out", "core", "in"))
    kernel = np.einsum("oqab,qryx,ricd->oiyx", *parts)
    inputs = outputs_of(TINY, parameters, pictures, "relu1_1")
    moments = inputs.dot(inputs.T) / inputs.shape[1]

    def weighted(kernel):
        matrix = kernel.transpose(0, 2, 3, 1).reshape(-1, 6)
        return np.einsum("ki,ij,kj", matrix, moments, matrix)

    # Eckart & Young, with inputs that are uncorrelated from one position to the next.
    full = parameters["conv1_2_weight"].astype("float64")
    matrix = full.transpose(0, 2, 3, 1).reshape(-1, 6).dot(scipy.linalg.sqrtm(moments).real)
    assert weighted(full - kernel) == pytest.approx(np.square(scipy.linalg.svdvals(matrix)[2:]).sum(), rel=1e-3)


def test_a_wider_convolution_computes_the_same_and_offers_what_was_left_out(parameters, pictures, exact):
    narrow = {"conv1_2": (6, 4), "conv2_1": (4, 4), "conv2_2": (6, 6)}
    known = low_rank.decompose(TINY, parameters, pictures, narrow)
    wide = {"conv1_2": (6, 6), "conv2_1": (6, 4), "conv2_2": (8, 8)}
    found = low_rank.decompose(TINY, parameters, pictures, wide, known)
    for layer in LATER:
        (before, after), (r, q) = wide[layer], narrow[layer]
        assert found[f"{layer}_core_weight"].shape[1::-1] == (before, after)
        np.testing.assert_array_equal(found[f"{layer}_in_weight"][:r], known[f"{layer}_in_weight"])
        np.testing.assert_array_equal(found[f"{layer}_core_weight"][:q, :r], known[f"{layer}_core_weight"])
        np.testing.assert_array_equal(found[f"{layer}_core_weight"][:q, r:], 0)
        np.testing.assert_array_equal(found[f"{layer}_out_weight"][:, :q], known[f"{layer}_out_weight"])
        np.testing.assert_array_equal(found[f"{layer}_out_weight"][:, q:], 0)
        np.testing.assert_array_equal(found[f"{layer}_bias"], known[f"{layer}_bias"])

    def through(layer, *kernels):
        """Give what kernels make of a layer of the factorised network, (C, N)."""
        model = NumpyVGG(TINY.blocks, found)
        outputs = [model.forward(x)[layer] for x in images(pictures)]
        for kernel in kernels:
            outputs = [convolve(x, kernel) for x in outputs]
        return np.concatenate([x.reshape(len(x), -1) for x in outputs], axis=1)

    # The full convolution is a linear map of all channels, but not of those that were there before.
    wanted = through("relu1_1", parameters["conv1_2_weight"])
    features = through("relu1_1", found["conv1_2_in_weight"], found["conv1_2_core_weight"])
    for count, least, most in ((4, 0.02, 1), (6, 0, 1e-9)):
        left = wanted - wanted.dot(np.linalg.pinv(features[:count])).dot(features[:count])
        assert least <= np.square(left).sum() / np.square(wanted).sum() < most
    # Further channels before the 3x3 tell what the others do not.
    channels = through("pool1", found["conv2_1_in_weight"])
    moments = channels.dot(channels.T) / channels.shape[1]
    np.testing.assert_allclose(moments[4:, :4], 0, atol=1e-3)
    np.testing.assert_allclose(moments[4:, 4:], np.eye(2), atol=1e-2)


def test_convolutions_that_have_the_ranks_already_are_taken_over(parameters, pictures):
    ranks = {"conv1_2": (4, 4), "conv2_1": (4, 4), "conv2_2": (4, 6)}
    known = low_rank.decompose(TINY, parameters, pictures, ranks)
    # As a training leaves them: no longer what the decomposition would give.
    known = {name: value * np.float32(1.25) for name, value in known.items()}
    taken = {name: value for name, value in known.items() if not name.startswith("conv2_1")}
    found = low_rank.decompose(TINY, parameters, pictures, dict(ranks, conv2_1=(6, 8)), taken)
    for layer in ("conv1_2", "conv2_2"):
        for part in ("in_weight", "core_weight", "out_weight", "bias"):
            np.testing.assert_array_equal(found[f"{layer}_{part}"], known[f"{layer}_{part}"])
    # What is factorised anew is fitted to what those before it make, not to what they should.
    assert found["conv2_1_core_weight"].shape == (8, 6, 3, 3)
    assert error(parameters, found, pictures, "conv2_1") < 0.5 * error(parameters, known, pictures, "conv2_1")


def test_spectra_are_numpys(parameters, pictures):
    found = low_rank.spectra(TINY, parameters, pictures)
    assert list(found) == list(LATER)
    for layer, (outputs, inputs) in found.items():
        values = np.linalg.eigvalsh(np.cov(outputs_of(TINY, parameters, pictures, layer)))[::-1]
        np.testing.assert_allclose(outputs, values / values.sum(), rtol=1e-3)
        assert inputs.shape == (parameters[f"{layer}_weight"].shape[1],)
        assert inputs.sum() == pytest.approx(1) and np.all(np.diff(inputs) <= 0)


def test_maximum_pooling_is_followed_where_it_is_asked_for(parameters, pictures):
    average, largest = (low_rank.spectra(TINY, parameters, pictures, pooling) for pooling in ("avg", "max"))
    np.testing.assert_array_equal(average["conv1_2"][0], largest["conv1_2"][0])
    assert abs(average["conv2_1"][0] - largest["conv2_1"][0]).max() > 1e-3


def test_thinned_moments_are_near(parameters, pictures, monkeypatch):
    exact = low_rank.spectra(TINY, parameters, pictures)
    monkeypatch.setattr(low_rank, "_POSITIONS", 400)
    thinned = low_rank.spectra(TINY, parameters, pictures)
    for layer in LATER:
        np.testing.assert_allclose(thinned[layer][0], exact[layer][0], atol=0.1)


# Ranks.


def objective(found, ranks):
    """The sum over activations of what is left out up to each, relative to even ranks."""
    even = {layer: low_rank.even_ranks(TINY.parameter_shapes(["pool2"])[f"{layer}_weight"]) for layer in LATER}

    def left_out(ranks):
        return np.cumsum(
            [found[layer][0][ranks[layer][1] :].sum() + found[layer][1][ranks[layer][0] :].sum() for layer in LATER]
        )

    return (left_out(ranks) / left_out(even)).sum()


def cost(ranks):
    shapes = TINY.parameter_shapes(["pool2"])
    return sum(low_rank.step_cost(TINY, layer, shapes[f"{layer}_weight"], *ranks[layer]) for layer in LATER)


def numbers(ranks):
    network = Architecture("tiny", TINY.blocks, low_rank=True, ranks=tuple(ranks.values()))
    shapes = network.parameter_shapes(["pool2"])
    return sum(np.prod(shape) for name, shape in shapes.items() if not name.startswith("conv1_1"))


def every_choice():
    pairs = [itertools.product(range(2, a + 1, 2), range(2, b + 1, 2)) for a, b in FULL_RANKS.values()]
    return [dict(zip(LATER, ranks)) for ranks in itertools.product(*pairs)]


@pytest.mark.parametrize("time", [1.0, 1.2, 1.5, 2.0])
def test_no_other_ranks_that_take_as_long_are_better(parameters, pictures, time):
    found = low_rank.spectra(TINY, parameters, pictures)
    even = {layer: low_rank.even_ranks(TINY.parameter_shapes(["pool2"])[f"{layer}_weight"]) for layer in LATER}
    chosen = low_rank.choose_ranks(TINY, found, time)
    assert list(chosen) == list(LATER) and cost(chosen) <= time * cost(even)
    others = every_choice()
    assert len(others) == 9 * 12 * 16 and chosen in others
    best = min(objective(found, ranks) for ranks in others if cost(ranks) <= cost(chosen) * (1 + 1e-9))
    assert objective(found, chosen) <= best + 1e-9


def test_more_time_means_less_error_and_all_of_it_full_ranks(parameters, pictures):
    found = low_rank.spectra(TINY, parameters, pictures)
    errors = [objective(found, low_rank.choose_ranks(TINY, found, time)) for time in (1, 1.2, 1.4, 1.6, 2, 9)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-9
    assert low_rank.choose_ranks(TINY, found, 9) == FULL_RANKS


def test_the_number_of_parameters_is_a_limit_too(parameters, pictures):
    found = low_rank.spectra(TINY, parameters, pictures)
    free = low_rank.choose_ranks(TINY, found, 9)
    for limit in (1500, 1000, 700):
        chosen = low_rank.choose_ranks(TINY, found, 9, limit)
        assert numbers(chosen) <= limit < numbers(free)


def test_limits_that_nothing_keeps(parameters, pictures):
    smallest = dict.fromkeys(LATER, (2, 2))
    found = low_rank.spectra(TINY, parameters, pictures)
    assert low_rank.choose_ranks(TINY, found, 9, numbers(smallest)) == smallest
    with pytest.raises(SettingsError, match=f"smallest ranks have {numbers(smallest)}, allow that or more"):
        low_rank.choose_ranks(TINY, found, 9, numbers(smallest) - 1)
    with pytest.raises(SettingsError, match="the time of a step is 0.1; the smallest ranks take 1.000"):
        low_rank.choose_ranks(TINY, found, 0.1)


def test_a_network_that_is_of_low_rank_already_has_its_own_ranks(parameters, pictures):
    # Nothing is left out by even ranks, and nothing is divided by that.
    found = {
        layer: (np.eye(1, len(a))[0], np.eye(1, len(b))[0])
        for layer, (a, b) in low_rank.spectra(TINY, parameters, pictures).items()
    }
    assert low_rank.choose_ranks(TINY, found, 1.0) == dict.fromkeys(LATER, (2, 2))


def test_even_ranks_of_vgg(monkeypatch):
    monkeypatch.undo()
    assert low_rank.even_ranks((512, 256, 3, 3)) == (88, 168)
    assert low_rank.even_ranks((8, 8, 3, 3)) == (8, 8)
    low_rank.check_limits(ARCHITECTURES["vgg19"], 1.06, 2800000)
