"""Every kind of generator makes a picture of any size, from a single pixel to 4096 and of odd and narrow sides."""

import generator_files
import numpy as np
import pytest
import random_generators
import torch7_writer

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.networks.generators import FROM_IMAGE, FROM_NUMBERS, GENERATORS
from neural_style.transfer import feed_forward
from neural_style.transfer.compute import Compute
from neural_style.transfer.feed_forward import Painter
from neural_style.transfer.stylize import stylize
from neural_style.weights.generator_importers import import_generator


def end_to_end(folder):
    generator_files.end_to_end(folder / "0" / "a.params", random_generators.end_to_end_stage("v4"), 0)
    generator_files.end_to_end(folder / "1" / "a.params", random_generators.end_to_end_stage("v3"), 7)
    return folder


WRITERS = {
    "transformer_net": lambda folder: generator_files.transformer_net_onnx(
        folder / "a.onnx", random_generators.transformer_net_state()
    ),
    "fast_neural_style": lambda folder: torch7_writer.johnson(folder / "a.t7"),
    "ml5": lambda folder: generator_files.ml5(folder, random_generators.ml5_variables()),
    "pastiche": lambda folder: generator_files.pastiche(folder / "a.onnx", random_generators.pastiche_state()),
    "magenta": lambda folder: generator_files.magenta(folder, random_generators.magenta_state()),
    "msg_net": lambda folder: generator_files.msg_net(folder / "a.params", random_generators.msg_net_state()),
    "end_to_end": end_to_end,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return parameters of a small generator of every kind."""
    parameters = {"microast": random_generators.random_microast()}
    for name, write in WRITERS.items():
        folder = tmp_path_factory.mktemp(name)
        write(folder)
        files = [path for path in (folder / "a.onnx", folder / "a.params", folder / "a.t7") if path.exists()]
        parameters[name] = import_generator(files[0] if files else folder)
    assert set(parameters) == set(GENERATORS)
    return {name: {one: mx.nd.array(value) for one, value in own.items()} for name, own in parameters.items()}


def image(height, width):
    return np.random.RandomState(height + width).rand(1, 3, height, width).astype("float32")


def paint(name, parameters, content, style):
    kind = GENERATORS[name]
    painter = Painter(kind, parameters, mx.cpu())
    code = painter.encode(style) if kind.code == FROM_IMAGE else None
    return painter.paint(content, painter.shares((1,)) if kind.code == FROM_NUMBERS else code)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 2), (61, 47), (18, 95), (4096, 3), (5, 4095)])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_picture_has_the_size_of_its_content(made, name, size):
    style = image(*size[::-1]) if max(size) < 100 else image(40, 31)
    picture = paint(name, made[name], image(*size), style)
    assert picture.shape == (1, 3, *size) and np.isfinite(picture).all()


@pytest.mark.parametrize("name", GENERATORS)
def test_its_graph_is_for_large_pictures_too(made, name):
    """Whole, at the size to which 4096 x 4095 pixels are padded; only shapes are computed."""
    kind, parameters = GENERATORS[name], made[name]
    sides = [-(-(side + 2 * kind.margin) // kind.multiple) * kind.multiple for side in (4096, 4095)]
    inputs = {"data": (1, 3, *sides)}
    if kind.code is not None:
        inputs["code"] = (1, *kind.shape_of_code(parameters))
    _, (shape,), _ = kind.build(parameters).infer_shape(**inputs)
    assert shape == (1, 3, *sides)


def test_a_picture_for_which_the_memory_is_too_small_is_one_line(made, monkeypatch):
    def refuse(*arguments, **settings):
        raise mx.base.MXNetError("[12:00:00] src/storage/./cpu_device_storage.h:70: Failed to allocate CPU Memory")

    monkeypatch.setattr(feed_forward, "bind", refuse)
    content = np.zeros((20, 30, 3), "uint8")
    with pytest.raises(
        SettingsError, match=r"not enough memory for a picture of 1024 x 682 pixels in one pass .*"
    ) as e:
        stylize(content, None, "one-pass", weights=made["transformer_net"], compute=Compute(gpu=-1))
    assert "\n" not in str(e.value)
