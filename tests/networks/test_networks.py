import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, random_parameters

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.executors import FeatureExecutor
from neural_style.networks import graph, vgg
from neural_style.weights.params_file import read_index

TINY = vgg.Architecture("tiny", ((2, 4), (3, 6), (1, 5)))


def evaluate(symbol, parameters, image):
    parameters = {name: mx.nd.array(value) for name, value in parameters.items()}
    return [output.asnumpy() for output in FeatureExecutor(symbol, parameters, image.shape, mx.cpu()).read(image)]


@pytest.mark.parametrize("pooling", graph.POOLINGS)
@pytest.mark.parametrize("size", [(12, 20), (13, 19), (4, 4)])
def test_every_activation_equals_numpys(pooling, size):
    layers = TINY.layers
    parameters = random_parameters(TINY.parameter_shapes(layers))
    image = np.random.RandomState(1).standard_normal((1, 3) + size)
    if min(size) < TINY.minimum_side(layers):
        layers = [layer for layer in layers if TINY.stride(layer) <= min(size)]
    outputs = evaluate(graph.build_symbol(TINY, layers, pooling), parameters, image)
    expected = NumpyVGG(TINY.blocks, parameters, pooling).forward(image[0])
    for layer, output in zip(layers, outputs):
        np.testing.assert_allclose(output[0], expected[layer], rtol=1e-4, atol=1e-5, err_msg=layer)


def test_vgg19_has_the_papers_parameters():
    # Simonyan & Zisserman 2015, table 2: configuration E has 144 million parameters, D 138 million, of which the three
    # fully connected layers have 25088·4096 + 4096 + 4096·4096 + 4096 + 4096·1000 + 1000.
    dense = 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    for name, millions in [("vgg19", 144), ("vgg16", 138)]:
        architecture = vgg.ARCHITECTURES[name]
        shapes = architecture.parameter_shapes(["pool5"])
        assert round((sum(np.prod(shape) for shape in shapes.values()) + dense) / 1e6) == millions
        assert len(shapes) == 2 * (int(name[3:]) - 3)  # the number in the name counts layers with weights


def test_the_symbol_is_cut_after_the_deepest_layer():
    symbol = graph.build_symbol(vgg.ARCHITECTURES["vgg19"], ["relu3_1", "relu1_1"])
    names = set(symbol.list_arguments())
    assert names == set(vgg.ARCHITECTURES["vgg19"].parameter_shapes(["relu1_1", "relu3_1"])) | {"data"}
    assert "conv3_1_weight" in names and "conv3_2_weight" not in names
    assert symbol.list_outputs() == ["relu3_1_output", "relu1_1_output"]


def test_one_symbol_serves_every_image_size():
    symbol = graph.build_symbol(TINY, ["relu3_1", "pool1"])
    for height, width in [(16, 16), (17, 33)]:
        _, shapes, _ = symbol.infer_shape(data=(1, 3, height, width))
        assert shapes == [(1, 5, height // 4, width // 4), (1, 4, height // 2, width // 2)]


@pytest.mark.parametrize("layer, side", [("relu1_2", 1), ("pool1", 2), ("conv5_1", 16), ("pool5", 32)])
def test_the_least_side_leaves_one_position_and_one_pixel_less_none(layer, side):
    architecture = vgg.ARCHITECTURES["vgg19"]
    symbol = graph.build_symbol(architecture, [layer])
    assert architecture.minimum_side([layer]) == side
    _, (shape,), _ = symbol.infer_shape(data=(1, 3, side, side))
    assert shape[2:] == (1, 1)
    if side > 1:
        with pytest.raises(mx.base.MXNetError):
            symbol.infer_shape(data=(1, 3, side - 1, side - 1))


@pytest.mark.parametrize("layer", ["relu6_1", "relu1_3", "fc6", "relu", ""])
def test_an_unknown_layer_is_named(layer):
    with pytest.raises(SettingsError, match=f"vgg19 has no layer '{layer}'"):
        graph.build_symbol(vgg.ARCHITECTURES["vgg19"], ["relu1_1", layer])


def test_layers_by_position_count_convolutions():
    for name, fifth, thirteenth in (("vgg16", "relu3_1", "relu5_3"), ("vgg19", "relu3_1", "relu5_1")):
        assert vgg.ARCHITECTURES[name].resolve(["#5", "#13", "#1"]) == (fifth, thirteenth, "relu1_1")
    with pytest.raises(SettingsError, match="tiny has no layer '#7'; it has 6 convolutions"):
        TINY.resolve(["#7"])


def test_a_convolution_that_a_block_lacks_is_replaced_by_its_last(caplog):
    with caplog.at_level("INFO", "neural_style"):
        assert TINY.resolve(["relu1_1", "relu3_2", "conv2_4"]) == ("relu1_1", "relu3_1", "conv2_3")
    assert [record.getMessage() for record in caplog.records] == [
        "tiny has no relu3_2; using relu3_1",
        "tiny has no conv2_4; using conv2_3",
    ]


@pytest.mark.parametrize("layer", ["relu4_1", "relu1_5", "pool4", "#0", "#", "relu2_0"])
def test_what_no_vgg_network_has_is_not_replaced(layer):
    with pytest.raises(SettingsError, match=f"tiny has no layer '{layer}'"):
        TINY.resolve([layer])


def test_an_image_of_another_unit_is_brought_to_the_networks():
    image = np.random.RandomState(0).uniform(0, 1, (1, 3, 4, 5))
    offset = np.array([-3.0, -2.0, -1.0]).reshape((1, 3, 1, 1))
    symbol = graph.bring_to_network(mx.sym.Variable("data"), 255.0)
    assert symbol.infer_shape(data=image.shape)[1] == [image.shape]
    (found,) = evaluate(symbol, {graph.OFFSET: offset}, image)
    np.testing.assert_allclose(found, image * 255 + offset, rtol=1e-6)


def test_unknown_pooling_and_no_layers_are_errors():
    with pytest.raises(SettingsError, match="pooling 'median'"):
        graph.build_symbol(TINY, ["relu1_1"], "median")
    with pytest.raises(SettingsError, match="at least one layer"):
        graph.build_symbol(TINY, [])


def test_the_network_in_the_box_has_every_parameter_that_its_table_names():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "models", "vgg16-lowrank.params")
    index = read_index(path)
    network = vgg.ARCHITECTURES["vgg16-lowrank"].fitted(index)
    assert {name: entry.shape for name, entry in index.items()} == network.parameter_shapes(["pool5"])
    assert {entry.dtype for entry in index.values()} == {"<f2"}


# Low rank.


def test_every_activation_of_low_rank_equals_numpys():
    network = vgg.Architecture("tiny", TINY.blocks, low_rank=True, ranks=((2, 3), (1, 2), (3, 1), (4, 4), (2, 2)))
    parameters = random_parameters(network.parameter_shapes(network.layers))
    image = np.random.RandomState(1).standard_normal((1, 3, 13, 18))
    for pooling in graph.POOLINGS:
        outputs = evaluate(graph.build_symbol(network, network.layers, pooling), parameters, image)
        expected = NumpyVGG(network.blocks, parameters, pooling).forward(image[0])
        assert len(expected) == len(outputs) == len(network.layers)
        for layer, output in zip(network.layers, outputs):
            np.testing.assert_allclose(output[0], expected[layer], rtol=1e-4, atol=1e-5, err_msg=layer)


def test_the_three_parts_are_one_convolution_of_their_product():
    network = vgg.Architecture("tiny", ((2, 5),), low_rank=True, ranks=((2, 3),))
    parameters = random_parameters(network.parameter_shapes(["conv1_2"]))
    image = np.random.RandomState(1).standard_normal((1, 3, 7, 6))
    (found,) = evaluate(graph.build_symbol(network, ["conv1_2"]), parameters, image)
    parts = (parameters.pop(f"conv1_2_{part}_weight") for part in ("in", "core", "out"))
    # (r, C) (q, r, 3, 3) (K, q) -> (K, C, 3, 3)
    parameters["conv1_2_weight"] = np.einsum("rcyx,qrij,kqyx->kcij", *parts)
    (full,) = evaluate(graph.build_symbol(vgg.Architecture("full", ((2, 5),)), ["conv1_2"]), parameters, image)
    np.testing.assert_allclose(found, full, rtol=1e-4, atol=1e-5)


BACKWARD = """
import sys
sys.path[:0] = [{root!r}, {independent!r}]
from neural_style._mxnet import mx
from neural_style.executors import bind
from neural_style.networks import graph, vgg
from numpy_vgg import random_parameters
network = vgg.Architecture("tiny", ((2, 16), (2, 16), (2, 16)), low_rank=True, ranks=((8, 16),) * 5)
layers = ["relu2_1", "relu3_2"]
parameters = random_parameters(network.parameter_shapes(layers))
parameters = {{name: mx.nd.array(value) for name, value in parameters.items()}}
image = mx.nd.zeros((1, 3, 64, 64))
executor = bind(graph.build_symbol(network, layers), {{"data": image}}, parameters, mx.cpu(), {{"data": image.copy()}})
executor.forward(is_train=True)
executor.backward([output.copy() for output in executor.outputs])
mx.nd.waitall()
"""


def test_the_gradient_of_the_image_computes_none_of_the_weights():
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    program = BACKWARD.format(root=os.path.abspath(root), independent=os.path.join(root, "tests", "independent"))
    # oneDNN, formerly MKL-DNN, tells what it computes.
    environment = dict(os.environ, DNNL_VERBOSE="1", MKLDNN_VERBOSE="1")
    told = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True).stdout
    passes = re.findall(r"convolution,[^,]*,(\w+)", told.decode())
    if "backward_data" not in passes:
        pytest.skip("this MXNet does not tell which convolutions it computes")
    assert "backward_weights" not in passes


def test_parameters_of_low_rank_are_in_the_order_in_which_they_are_used():
    network = vgg.Architecture("tiny", ((2, 4), (1, 6)), low_rank=True, ranks=((2, 3), (1, 5)))
    assert list(network.parameter_shapes(["relu2_1"]).items()) == [
        ("conv1_1_weight", (4, 3, 3, 3)),
        ("conv1_1_bias", (4,)),
        ("conv1_2_in_weight", (2, 4, 1, 1)),
        ("conv1_2_core_weight", (3, 2, 3, 3)),
        ("conv1_2_out_weight", (4, 3, 1, 1)),
        ("conv1_2_bias", (4,)),
        ("conv2_1_in_weight", (1, 4, 1, 1)),
        ("conv2_1_core_weight", (5, 1, 3, 3)),
        ("conv2_1_out_weight", (6, 5, 1, 1)),
        ("conv2_1_bias", (6,)),
    ]
    symbol = graph.build_symbol(network, ["relu2_1"])
    assert set(symbol.list_arguments()) == set(network.parameter_shapes(["relu2_1"])) | {"data"}
    assert symbol.list_outputs() == ["relu2_1_output"]


def test_ranks_are_those_of_the_parameters():
    ranks = ((2, 3), (1, 2), (3, 1), (4, 4), (2, 2))
    network = vgg.Architecture("tiny", TINY.blocks, low_rank=True)
    arrays = random_parameters(replace(network, ranks=ranks).parameter_shapes(network.layers))
    assert network.fitted(arrays).ranks == ranks
    assert network.fitted(arrays).fitted({}).ranks == ((None, None),) * 5
    # A file that ends inside a convolution, or has something else in its place.
    del arrays["conv2_2_core_weight"], arrays["conv2_3_in_weight"]
    arrays["conv3_1_core_weight"] = np.zeros(3)
    assert network.fitted(arrays).ranks == ((2, 3), (1, 2), (3, None), (None, 4), (2, None))
    assert network.fitted(arrays).parameter_shapes(["conv2_2"])["conv2_2_core_weight"] == (None, 3, 3, 3)
    assert TINY.fitted(arrays) is TINY
    assert network.rank("conv1_1") is None and TINY.rank("conv2_1") is None
    with pytest.raises(SettingsError, match="the ranks of tiny depend on its parameters"):
        network.parameter_shapes(["relu1_2"])
    with pytest.raises(SettingsError, match="the ranks of tiny depend on its parameters"):
        graph.build_symbol(network, ["relu1_2"])


def test_low_rank_changes_neither_halo_nor_alignment():
    for lowrank, full in (("vgg16-lowrank", "vgg16"), ("vgg19-lowrank", "vgg19")):
        lowrank, full = vgg.ARCHITECTURES[lowrank], vgg.ARCHITECTURES[full]
        assert lowrank.layers == full.layers
        for layer in full.layers:
            assert lowrank.halo([layer]) == full.halo([layer])
            assert lowrank.alignment([layer]) == full.alignment([layer])
