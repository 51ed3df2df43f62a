"""Other programs' generators, on files that the tests write as those programs do."""

import numpy as np
import pytest
import random_generators

from neural_style.cli.main import main
from neural_style.errors import SettingsError, WeightsError
from neural_style.weights.generator_importers import detect_generator_layout, import_generator
from neural_style.weights.generators import find_generator, read_generator
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
