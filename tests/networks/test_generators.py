"""Generators compute what their twins in PyTorch compute, and so do their gradients."""

from pathlib import Path

import numpy as np
import pytest
import random_generators

from neural_style._mxnet import mx
from neural_style.errors import WeightsError
from neural_style.executors import bind
from neural_style.networks.generators import GENERATORS, find_generator_kind
from neural_style.weights.generators import read_generator

WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights" / "feedforward"


def forward(symbol, inputs, parameters):
    arrays = {name: mx.nd.array(value) for name, value in inputs.items()}
    others = {name: mx.nd.array(value) for name, value in parameters.items()}
    return bind(symbol, arrays, others, mx.cpu()).forward(is_train=False)[0].asnumpy()


def images(seed=0, content=(40, 48), style=(32, 52)):
    random = np.random.RandomState(seed)
    return tuple(random.rand(1, 3, *size).astype("float32") for size in (content, style))


def paint(kind, parameters, content, style):
    code = forward(kind.build_encoder(parameters), {"style": style}, parameters)
    assert code.shape[1:] == kind.shape_of_code(parameters)
    return forward(kind.build(parameters), {"data": content, "code": code}, parameters)


def torch_names(parameters):
    """Return MicroAST's parameters as the four dicts of its own program."""
    from neural_style.weights.foreign_generators import _MICROAST_NAMES, _MICROAST_PARTS

    torch = pytest.importorskip("torch")
    parts = {}
    for part, prefix in _MICROAST_PARTS.items():
        found = parts.setdefault(part, {})
        for theirs, ours in _MICROAST_NAMES.items():
            for inner in ("", ".conv1", ".conv2"):
                for kind in ("weight", "bias"):
                    name = f"microast_{prefix}_{ours}{inner.replace('.', '_')}_{kind}"
                    if name in parameters:
                        found[f"{theirs}{inner}.conv_layer.{kind}"] = torch.tensor(parameters[name])
    return [parts[part] for part in ("content_encoder", "style_encoder", "modulator", "decoder")]


def test_microast_is_its_twin():
    torch = pytest.importorskip("torch")
    from torch_generators import MicroAST

    parameters, (content, style) = random_generators.random_microast(), images()
    expected = MicroAST(*torch_names(parameters))(torch.tensor(content), torch.tensor(style)).numpy()
    found = paint(GENERATORS["microast"], parameters, content, style)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_published_microast_is_its_twin():
    torch = pytest.importorskip("torch")
    if not WEIGHTS.is_dir():
        pytest.skip("the published weights are not here")
    from torch_generators import MicroAST

    from neural_style.weights.generator_importers import import_generator

    content, style = images(1)
    parts = ("content_encoder", "style_encoder", "modulator", "decoder")
    files = [WEIGHTS / "microast" / "models" / f"{part}_iter_160000.pth.tar" for part in parts]
    twin = MicroAST(*(torch.load(str(file), map_location="cpu", weights_only=True) for file in files))
    expected = twin(torch.tensor(content), torch.tensor(style)).numpy()
    parameters = import_generator(files[0].parent)
    assert sum(value.size for value in parameters.values()) == 471987
    found = paint(GENERATORS["microast"], parameters, content, style)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_gradients_through_a_generator_are_those_of_finite_differences():
    kind, parameters = GENERATORS["microast"], random_generators.random_microast(3)
    content, style = images(2, (16, 16), (16, 16))
    symbol = kind.build(parameters)(code=kind.build_encoder(parameters))
    arrays = {name: mx.nd.array(value) for name, value in parameters.items()}
    gradients = {name: mx.nd.zeros_like(value) for name, value in arrays.items()}
    inputs = {"data": mx.nd.array(content), "style": mx.nd.array(style)}
    executor = bind(symbol, inputs, arrays, mx.cpu(), gradients=gradients)
    head = np.random.RandomState(4).standard_normal((1, 3, 16, 16)).astype("float32")
    executor.forward(is_train=True)
    executor.backward([mx.nd.array(head)])
    random = np.random.RandomState(5)
    # Along a random direction in all parameters at once, each as long as its parameter's values are large.
    direction = {name: random.standard_normal(value.shape) * value.std() for name, value in parameters.items()}
    expected = sum(float((gradients[name].asnumpy() * step).sum()) for name, step in direction.items())
    values, length = [], 1e-4
    for sign in (1, -1):
        for name, value in parameters.items():
            arrays[name][:] = mx.nd.array(value + sign * length * direction[name])
        picture = executor.forward(is_train=True)[0].asnumpy().astype("float64")
        values.append((picture * head).sum())
    assert (values[0] - values[1]) / (2 * length) == pytest.approx(expected, rel=0.02)


def test_the_kind_is_found_by_the_names():
    assert find_generator_kind(random_generators.random_microast()).name == "microast"
    assert find_generator_kind({"conv1_1_weight": None}) is None


def test_parameters_that_do_not_belong_together_are_refused():
    kind, parameters = GENERATORS["microast"], random_generators.random_microast()
    shapes = {name: value.shape for name, value in parameters.items()}
    assert kind.parameter_shapes(parameters) == shapes
    missing = {name: value for name, value in parameters.items() if name != "microast_content_conv3_weight"}
    with pytest.raises(WeightsError, match="no parameter microast_content_conv3_weight"):
        kind.parameter_shapes(missing)


def test_the_generator_in_the_box_is_complete_and_small():
    path = Path(__file__).resolve().parents[2] / "models" / "any-style.params"
    if not path.is_file():
        pytest.skip("the models are not part of an installed package's tests")
    kind, parameters = read_generator(path)
    assert kind.name == "microast" and path.stat().st_size < 4e6
    content, style = images(6)
    picture = paint(kind, parameters, content, style)
    assert picture.shape == content.shape and np.isfinite(picture).all()
    # It is a picture, not far beyond black and white.
    assert -1 < picture.min() and picture.max() < 2 and picture.std() > 0.02
