import os

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
        "tiny has no relu3_2; relu3_1 takes its place",
        "tiny has no conv2_4; conv2_3 takes its place",
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
    path = os.path.join(os.path.dirname(__file__), "..", "..", "models", "vgg19-compact.params")
    carried = {name: entry.shape for name, entry in read_index(path).items()}
    assert carried == vgg.ARCHITECTURES["vgg19-compact"].parameter_shapes(["pool5"])
