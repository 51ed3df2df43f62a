"""bfloat16: what stays in float32, what is rounded, and who may ask for it."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from numpy_vgg import random_parameters

from neural_style._mxnet import mx
from neural_style.errors import DeviceError, SettingsError
from neural_style.executors import FeatureExecutor, LossExecutor
from neural_style.networks.graph import Graph, lower
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.objective.representations import loss_symbol, represent
from neural_style.objective.terms import FixedWeighting, Term
from neural_style.objective.tiled_losses import TiledLossExecutor
from neural_style.objective.tiling import read_tiled
from neural_style.recipes.presets import get_recipe
from neural_style.transfer import compute
from neural_style.transfer.compute import Compute
from neural_style.transfer.stylize import stylize

LOWRANK = replace(ARCHITECTURES["vgg16-lowrank"], ranks=((16, 16),) * 12)
TERMS = [Term("style", "relu1_1"), Term("style", "relu3_1"), Term("content", "relu3_2")]
LAYERS = [term.layer for term in TERMS]


@pytest.fixture(scope="module")
def computes():
    """Skip where MXNet cannot compute in bf16."""
    reason = compute._failure(mx.cpu())
    if reason is not None:
        pytest.skip(f"MXNet cannot compute in bf16 here: {reason}")


@pytest.fixture(scope="module")
def parameters():
    parameters = random_parameters(LOWRANK.parameter_shapes(LAYERS))
    return {name: mx.nd.array(value) for name, value in parameters.items()}


def rounded(array):
    """Round float32 to bfloat16: the upper 16 bits, to nearest, ties to even."""
    bits = np.ascontiguousarray(array, "float32").view("uint32")
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view("float32")


def losses_of(graph):
    """Build the losses of a whole picture."""
    activations = dict(zip(LAYERS, graph.build(LAYERS)))
    return loss_symbol(TERMS, represent(TERMS, activations, {layer: LOWRANK.channels(layer) for layer in LAYERS}))


def picture(height, width, seed=0):
    return np.random.RandomState(seed).uniform(-120, 120, (1, 3, height, width)).astype("float32")


def test_a_convolution_takes_rounded_numbers_and_adds_them_up_in_float32(computes):
    x = mx.sym.Variable("data")
    for name in ("first", "second"):
        x = mx.sym.Convolution(x, num_filter=4, kernel=(1, 1), name=name)
    rng = np.random.RandomState(1)
    values = {"data": rng.standard_normal((1, 3, 6, 5)), "first_weight": rng.standard_normal((4, 3, 1, 1))}
    values.update(second_weight=rng.standard_normal((4, 4, 1, 1)), first_bias=np.zeros(4), second_bias=np.zeros(4))
    values = {name: value.astype("float32") for name, value in values.items()}
    arrays = {name: mx.nd.array(value) for name, value in values.items()}
    (found,) = FeatureExecutor(lower(x), arrays, (1, 3, 6, 5), mx.cpu()).read(values["data"])
    assert found.dtype == np.float32
    # (O, I) (1, I, h, w) -> (1, O, h, w); the first not rounded, the second's input, weight and output are
    first = np.einsum("oi,nihw->nohw", values["first_weight"][:, :, 0, 0], values["data"])
    second = np.einsum("oi,nihw->nohw", rounded(values["second_weight"])[:, :, 0, 0], rounded(first))
    np.testing.assert_allclose(found.asnumpy(), rounded(second), rtol=2**-7, atol=1e-6)
    # The test could tell: without any rounding it is off.
    exact = np.einsum("oi,nihw->nohw", values["second_weight"][:, :, 0, 0], first)
    assert abs(found.asnumpy() - exact).max() > 3 * abs(found.asnumpy() - rounded(second)).max()


def test_the_first_convolution_and_gram_matrices_stay_in_float32(computes):
    nodes = json.loads(losses_of(Graph(LOWRANK, precision="bf16")).tojson(remove_amp_cast=False))["nodes"]
    for node in nodes:
        if node["op"] in ("Convolution", "FullyConnected"):
            lowered = "amp_cast" in {nodes[i]["op"] for i, _, _ in node["inputs"]}
            assert lowered == (node["op"] == "Convolution" and node["name"] != "conv1_1"), node["name"]


def run(graph, parameters, image, style, tile_size=None):
    """Give losses and gradient of an image whose content is its mirror image."""
    size = image.shape[2:]
    pictures = {"style": style, "content": np.ascontiguousarray(image[..., ::-1])}
    targets = {}
    for kind, target in pictures.items():
        terms = [term for term in TERMS if term.kind == kind]
        read = read_tiled(graph, terms, parameters, target, mx.cpu(), tile_size or max(size))
        targets.update({term.target: array for term, array in zip(terms, read)})
    weigh = FixedWeighting([1e-12, 1e-12, 1e-3], mx.cpu())
    data = mx.nd.array(image)
    if tile_size:
        executor = TiledLossExecutor(graph, TERMS, parameters, targets, weigh, data, mx.cpu(), tile_size)
    else:
        executor = LossExecutor(losses_of(graph), parameters, targets, weigh, data, mx.cpu())
    executor.run()
    return np.array([loss.asscalar() for loss in executor.losses]), executor.gradient.asnumpy().astype("float64")


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_the_gradient_is_near_that_of_float32(computes, parameters):
    arguments = parameters, picture(65, 83), picture(65, 83, seed=1)
    losses, gradient = run(Graph(LOWRANK), *arguments)
    near_losses, near = run(Graph(LOWRANK, precision="bf16"), *arguments)
    np.testing.assert_allclose(near_losses, losses, rtol=0.02)
    # Eight bits of precision through nine layers of three convolutions; and not the same computation by mistake.
    # Processors with instructions for bfloat16 round a little more often than those that imitate it.
    assert 1e-4 < relative(near, gradient) < 0.15


def test_tiles_compute_the_same_in_bf16(computes, parameters):
    arguments = parameters, picture(97, 131), picture(97, 131, seed=1)
    graph = Graph(LOWRANK, precision="bf16")
    losses, gradient = run(graph, *arguments)
    tiled_losses, tiled = run(graph, *arguments, tile_size=32)
    np.testing.assert_allclose(tiled_losses, losses, rtol=1e-3)
    # Sums over tiles differ in float32; where that tips a rounding to bfloat16, one activation differs by 2^-8.
    assert relative(tiled, gradient) < 0.01


def test_a_run_in_bf16_goes_where_one_in_float32_goes(computes, parameters):
    rng = np.random.RandomState(0)
    content, style = rng.randint(0, 256, (2, 48, 64, 3)).astype("uint8")
    recipe = get_recipe("mxnet-0.7").override(
        model="vgg16-lowrank", style_layers=("relu1_1", "relu3_1"), content_layers=("relu3_2",), max_long_edge=64
    )
    recipe = recipe.override(max_steps=4, stop_eps=0.0, initial="content")
    results = {
        kind: stylize(content, style, recipe, weights=parameters, compute=Compute(-1, precision=kind))
        for kind in ("float32", "bf16")
    }
    start = stylize(content, style, recipe.override(max_steps=0), weights=parameters, compute=Compute(-1)).canvas
    assert 0 < relative(results["bf16"].canvas - start, results["float32"].canvas - start) < 0.2


def test_everything_stays_in_float32_unless_asked():
    assert Compute().precision == "float32"


@pytest.mark.parametrize(
    ("native", "reason", "chosen"), [(True, None, "bf16"), (True, "no", "float32"), (False, None, "float32")]
)
def test_auto_is_bf16_where_the_processor_has_it_and_it_works(monkeypatch, caplog, native, reason, chosen):
    monkeypatch.setattr(compute, "is_native", lambda: native)
    monkeypatch.setattr(compute, "_failure", lambda ctx: reason)
    with caplog.at_level(logging.INFO):
        assert compute.choose_precision("auto", mx.cpu()) == chosen
    assert chosen in caplog.text


def test_bf16_that_cannot_be_computed_is_one_line(monkeypatch):
    monkeypatch.setattr(compute, "_failure", lambda ctx: "could not create a primitive")
    with pytest.raises(DeviceError) as error:
        compute.choose_precision("bf16", mx.cpu())
    message = str(error.value)
    assert message.startswith("`precision` bf16: ") and "could not create a primitive" in message
    assert "AVX-512" in message and "\n" not in message


def test_imitated_bf16_comes_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(compute, "is_native", lambda: False)
    monkeypatch.setattr(compute, "_failure", lambda ctx: None)
    assert compute.choose_precision("bf16", mx.cpu()) == "bf16"
    assert "slower than float32" in caplog.text


def test_what_mxnet_refuses_is_a_reason(monkeypatch):
    def refuse(symbol):
        raise AssertionError("target_dtype can only be float16\nsecond line")

    monkeypatch.setattr(compute, "lower", refuse)
    assert compute._failure(mx.cpu()) == "second line"


def test_the_processors_flags_are_read(tmp_path):
    file = tmp_path / "cpuinfo"
    for flags, native in (("fpu avx512f avx512_bf16", True), ("fpu avx512f avx512_vnni", False)):
        file.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
        assert compute.is_native(file) == native
    assert not compute.is_native(tmp_path / "missing")
    file.write_text("")
    assert not compute.is_native(file)


def test_an_unknown_precision():
    with pytest.raises(SettingsError, match="unknown precision 'float8'; choose from float32, bf16, auto"):
        Compute(precision="float8")
