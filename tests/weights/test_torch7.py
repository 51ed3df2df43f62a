"""Torch 7's files: read as OpenCV reads them, and refused in one line where they are damaged or of something else."""

import random

import numpy as np
import pytest
import torch7_writer
from torch7_writer import Writer

from neural_style._mxnet import mx
from neural_style.errors import WeightsError
from neural_style.transfer.feed_forward import Painter
from neural_style.weights.generator_importers import detect_generator_layout, import_generator
from neural_style.weights.generators import check_generator
from neural_style.weights.torch7_file import Module, is_torch7, read_torch7


def save(path, value):
    path.write_bytes(Writer().write(value).data)
    return path


def test_values_come_back(tmp_path):
    array = np.arange(24, dtype="float32").reshape(2, 3, 4)
    value = {"number": 1.5, "whole": 3, "text": "caf\xe9", "true": True, "none": None, "list": ["a", {"deep": array}]}
    found = read_torch7(save(tmp_path / "a.t7", {**value, "layer": ("nn.ReLU", {"inplace": True})}))
    np.testing.assert_array_equal(found["list"][2]["deep"], array)
    assert found["list"][1] == "a" and found["layer"] == Module("nn.ReLU", {"inplace": True})
    assert {name: found[name] for name in list(value)[:5]} == {name: value[name] for name in list(value)[:5]}
    assert type(found["whole"]) is int and found["true"] is True


def test_what_comes_again_is_the_same_object(tmp_path):
    writer = Writer()
    writer.number_of_object(3)
    writer.integer(2)
    writer.write("a").write({"x": 1})
    writer.write("b").integer(3, 2)
    (tmp_path / "a.t7").write_bytes(writer.data)
    found = read_torch7(tmp_path / "a.t7")
    assert found["a"] == {"x": 1} and found["b"] is found["a"]


def test_a_tensor_is_a_view_of_its_storage(tmp_path):
    """Transposed, from the third number on."""
    writer = Writer()
    writer.number_of_object(4)
    writer.text("V 1")
    writer.text("torch.DoubleTensor")
    writer.integer(2)
    writer.integer(2, 3, 1, 2, 3, form="q")
    writer.number_of_object(4)
    writer.text("V 1")
    writer.text("torch.DoubleStorage")
    writer.integer(10, form="q")
    writer.integer(*map(float, range(10)), form="d")
    (tmp_path / "a.t7").write_bytes(writer.data)
    expected = np.arange(2.0, 8.0).reshape(3, 2).T
    np.testing.assert_array_equal(read_torch7(tmp_path / "a.t7"), expected)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_generator_is_what_opencv_makes_of_the_same_file(tmp_path, batch_norm):
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "readNetFromTorch"):
        pytest.skip("this OpenCV reads no Torch")
    for name, checkpoint in (("whole", True), ("model", False)):
        torch7_writer.johnson(tmp_path / f"{name}.t7", batch_norm=batch_norm, checkpoint=checkpoint)
    content = (np.random.RandomState(0).rand(1, 3, 64, 72) * 200 - 100).astype("float32")
    network = cv2.dnn.readNetFromTorch(str(tmp_path / "model.t7"))
    network.setInput(content[:, ::-1].copy())
    expected = network.forward()[:, ::-1]
    for name in ("whole", "model"):
        assert detect_generator_layout(tmp_path / f"{name}.t7") == "johnson"
        parameters = import_generator(tmp_path / f"{name}.t7")
        kind = check_generator(parameters, name)
        assert kind.name == "fast_neural_style" and ("fast_neural_style_up1_norm_gamma" in parameters) != batch_norm
        arrays = {one: mx.nd.array(value) for one, value in parameters.items()}
        np.testing.assert_allclose(Painter(kind, arrays, mx.cpu()).paint(content, None), expected, atol=0.03)


@pytest.mark.parametrize(
    "changed", [dict(pad=40), dict(more=(("nn.SpatialUpSamplingNearest", {"scale_factor": 2}),)), dict(blocks=0)]
)
def test_another_network_of_the_program_is_refused(tmp_path, changed):
    torch7_writer.johnson(tmp_path / "a.t7", **changed)
    with pytest.raises(WeightsError, match="a.t7 is another network than the published ones"):
        import_generator(tmp_path / "a.t7", "johnson")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="holds no model of Torch"):
        import_generator(save(tmp_path / "a.t7", {"model": {"weight": 1}}), "johnson")
    with pytest.raises(WeightsError, match="has a layer that is none"):
        import_generator(save(tmp_path / "a.t7", ("nn.Sequential", {"modules": [{"weight": 1}]})), "johnson")
    writer = Writer()
    writer.number_of_object(4)
    writer.text("V 1")
    writer.text("nn.Sequential")
    writer.number_of_object(3)
    writer.integer(1)
    writer.write("modules")
    writer.number_of_object(3)  # number 3: a list of a container of the same list
    writer.integer(1)
    writer.write(1)
    writer.number_of_object(4)
    writer.text("V 1")
    writer.text("nn.Sequential")
    writer.number_of_object(3)
    writer.integer(1)
    writer.write("modules").integer(3, 3)
    (tmp_path / "b.t7").write_bytes(writer.data)
    with pytest.raises(WeightsError, match="has a layer that is none"):
        import_generator(tmp_path / "b.t7", "johnson")
    assert not is_torch7(tmp_path / "none.t7") and detect_generator_layout(tmp_path / "a.t7") is None


def tensor_of(sizes, strides, offset=1, stored=4, count=None):
    def write(writer):
        writer.number_of_object(4)
        writer.text("V 1")
        writer.text("torch.FloatTensor")
        writer.integer(len(sizes))
        writer.integer(*sizes, *strides, offset, form="q")
        writer.number_of_object(4)
        writer.text("V 1")
        writer.text("torch.FloatStorage")
        writer.integer(stored if count is None else count, form="q")
        writer.data += bytes(4 * stored)

    return write


def nested(writer):
    for _ in range(5000):
        writer.number_of_object(3)
        writer.integer(1)
        writer.write("a")


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda writer: writer.integer(9), "there is no type 9"),
        (lambda writer: writer.integer(2, 10**9), "it is cut short"),
        (lambda writer: writer.integer(3, 1, -1), "it is cut short"),
        (lambda writer: writer.integer(3, 1), "unpack_from"),
        (nested, "too deep in each other"),
        (tensor_of([2**40], [0]), "larger than what is stored"),
        (tensor_of([4], [1], offset=2), "ends behind what is stored"),
        (tensor_of([2], [-1], offset=4), "larger than what is stored"),
        (tensor_of([4], [1], count=2**60), "it is cut short"),
        (tensor_of([1] * 9, [1] * 9), "a tensor of 9 dimensions"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, write, message):
    writer = Writer()
    write(writer)
    (tmp_path / "a.t7").write_bytes(writer.data)
    with pytest.raises(WeightsError, match=message) as caught:
        read_torch7(tmp_path / "a.t7")
    assert "\n" not in str(caught.value) and "is not a Torch 7 file that can be read" in str(caught.value)


def test_random_damage_is_refused_or_read(tmp_path):
    torch7_writer.johnson(tmp_path / "a.t7", channels=(1, 1, 1), blocks=1)
    sound, rng = (tmp_path / "a.t7").read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "b.t7").write_bytes(bytes(data[: rng.choice((len(data), rng.randrange(len(data)))) or 1]))
        try:
            import_generator(tmp_path / "b.t7", "johnson")
        except WeightsError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100
