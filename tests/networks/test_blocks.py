"""The blocks of generators compute what PyTorch and NumPy compute."""

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import WeightsError
from neural_style.executors import bind
from neural_style.networks import blocks

X = np.random.RandomState(0).standard_normal((2, 3, 9, 7)).astype("float32")


def compute(symbol, parameters=None, x=X):
    arrays = {name: mx.nd.array(value) for name, value in (parameters or {}).items()}
    return bind(symbol, {"data": mx.nd.array(x)}, arrays, mx.cpu()).forward(is_train=False)[0].asnumpy()


def data():
    return mx.sym.Variable("data")


def test_reflection_is_numpys():
    expected = np.pad(X, ((0, 0), (0, 0), (2, 2), (2, 2)), "reflect")
    np.testing.assert_array_equal(compute(blocks.pad(data(), 2)), expected)


@pytest.mark.parametrize("mode, numpys", [("zero", "constant"), ("edge", "edge")])
def test_other_padding(mode, numpys):
    expected = np.pad(X, ((0, 0), (0, 0), (0, 1), (0, 1)), numpys)
    np.testing.assert_array_equal(compute(blocks.pad(data(), (0, 1), mode)), expected)


def test_mean_and_deviation():
    center, centred, deviation = (compute(part) for part in blocks.statistics(data(), 1e-5, unbiased=True))
    np.testing.assert_allclose(center, X.mean((2, 3), keepdims=True), atol=1e-6)
    np.testing.assert_allclose(centred, X - X.mean((2, 3), keepdims=True), atol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(X.var((2, 3), ddof=1, keepdims=True) + 1e-5), atol=1e-6)


def test_the_deviation_of_a_single_position_is_finite():
    one = compute(blocks.normalise(data(), 1e-5, unbiased=True), x=X[:, :, :1, :1])
    np.testing.assert_array_equal(one, np.zeros((2, 3, 1, 1)))


def test_normalisation_is_instance_normalisation():
    expected = (X - X.mean((2, 3), keepdims=True)) / np.sqrt(X.var((2, 3), keepdims=True) + 1e-3)
    np.testing.assert_allclose(compute(blocks.normalise(data(), 1e-3)), expected, atol=1e-6)


def test_normalisation_to_train_and_its_gradients_are_those_of_the_composition():
    random = np.random.RandomState(1)
    values = {"data": 40 * X + 100, "gamma": random.rand(3) + 0.5, "beta": random.rand(3)}
    head, found = mx.nd.array(random.standard_normal(X.shape)), []
    gamma, beta = mx.sym.Variable("gamma"), mx.sym.Variable("beta")
    composed = blocks.normalise(data(), 1e-3), blocks.per_channel(gamma), blocks.per_channel(beta)
    fast = blocks.normalise_to_train(data(), gamma, beta, 1e-3, len(X), "states")
    for symbol in (blocks.scale_and_shift(*composed), fast):
        arrays = {name: mx.nd.array(value) for name, value in values.items()}
        gradients = {name: mx.nd.zeros_like(array) for name, array in arrays.items()}
        states = {name: mx.nd.zeros((6,)) for name in symbol.list_auxiliary_states()}
        executor = bind(symbol, arrays, states, mx.cpu(), gradients=gradients)
        outputs = executor.forward(is_train=True)
        executor.backward([head])
        found.append({"picture": outputs[0].asnumpy(), **{name: array.asnumpy() for name, array in gradients.items()}})
    for name, expected in found[0].items():
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_enlargements_are_pytorchs():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    expected = functional.interpolate(torch.tensor(X), scale_factor=2, mode="bilinear", align_corners=False).numpy()
    np.testing.assert_allclose(compute(blocks.enlarge_bilinear(data(), 3)), expected, atol=1e-6)
    expected = functional.interpolate(torch.tensor(X), scale_factor=2, mode="nearest").numpy()
    np.testing.assert_array_equal(compute(blocks.enlarge_nearest(data())), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("outputs, of_group", [(4, 3), (6, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_is_pytorchs(stride, outputs, of_group, bias):
    torch = pytest.importorskip("torch")
    random = np.random.RandomState(1)
    weight = random.standard_normal((outputs, of_group, 5, 5)).astype("float32")
    parameters = {"net_a_weight": weight}
    if bias:
        parameters["net_a_bias"] = random.standard_normal(outputs).astype("float32")
    symbol = blocks.Layers("net", parameters).convolution(data(), "a", stride, inputs=3)
    padded = torch.nn.functional.pad(torch.tensor(X), [2] * 4, mode="reflect")
    terms = [torch.tensor(value) for value in parameters.values()]
    expected = torch.nn.functional.conv2d(padded, *terms, stride=stride, groups=3 // of_group).numpy()
    np.testing.assert_allclose(compute(symbol, parameters), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("outputs", [3, 5])
@pytest.mark.parametrize("padding", ["reflect", "same"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("before", ["b", None])
def test_few_channels_are_a_plain_convolution_and_so_are_their_gradients(outputs, padding, bias, before):
    if before and padding == "same":
        pytest.skip("with zeros around, a 1x1 convolution with a bias does not commute")
    random, inputs, kernel = np.random.RandomState(2), 6, 7
    parameters = {"net_a_weight": random.standard_normal((outputs, inputs, kernel, kernel))}
    if bias:
        parameters["net_a_bias"] = random.standard_normal(outputs)
    if before:
        parameters.update(
            net_b_weight=random.standard_normal((inputs, 4, 1, 1)), net_b_bias=random.standard_normal(inputs)
        )
    parameters = {name: value.astype("float32") for name, value in parameters.items()}
    x = random.standard_normal((2, 4 if before else inputs, 10, 14)).astype("float32")
    layers, found = blocks.Layers("net", parameters), []
    plain = blocks.relu(layers.convolution(data(), "b")) if before else data()
    head = mx.nd.array(random.standard_normal((2, outputs, 10, 14)))
    for symbol in (layers.convolution(plain, "a", 1, padding), layers.few_channels(data(), "a", padding, before)):
        arrays = {"data": mx.nd.array(x), **{name: mx.nd.array(value) for name, value in parameters.items()}}
        gradients = {name: mx.nd.zeros_like(array) for name, array in arrays.items()}
        executor = bind(symbol, arrays, {}, mx.cpu(), gradients=gradients)
        output = executor.forward(is_train=True)[0].asnumpy()
        executor.backward([head])
        found.append({"output": output, **{name: array.asnumpy() for name, array in gradients.items()}})
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-4, atol=1e-3, err_msg=name)


def test_a_parameter_that_is_missing_or_misshapen_is_named():
    layers = blocks.Layers("net", {"net_a_weight": np.zeros((3, 3))})
    with pytest.raises(WeightsError, match="there is no parameter net_b_weight"):
        layers.convolution(data(), "b")
    with pytest.raises(WeightsError, match=r"net_a_weight has shape \(3, 3\)"):
        layers.convolution(data(), "a")
