"""The weights command at the border; what it calls is tested where it is."""

import shutil

import numpy as np
import pytest
from numpy_vgg import random_parameters

from neural_style.cli.main import main
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights.catalogue import digest
from neural_style.weights.params_file import load_weights, save_weights

SHAPES = ARCHITECTURES["vgg19"].parameter_shapes(["relu5_1"])


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch, tmp_path):
    monkeypatch.setenv("NEURAL_STYLE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NEURAL_STYLE_MIRROR", "http://127.0.0.1:9/")  # the discard port: nobody answers
    monkeypatch.setattr("neural_style.weights.lookup.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("neural_style.cli.weights.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("neural_style.weights.downloads.cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def models(vgg19_file, tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copy(str(vgg19_file), str(tmp_path / "models" / "vgg19.params"))
    return tmp_path / "models"


def failure(capfd, *argv):
    assert main(list(map(str, argv))) == 1
    lines = capfd.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("neural-style: error: ")
    return lines[-1]


def test_list_shows_what_is_here_and_what_can_be_fetched(models, capfd):
    (models / "broken.params").write_bytes(b"nothing")
    assert main(["weights", "list"]) == 0
    lines = {line.split()[0]: line for line in capfd.readouterr().out.splitlines()}
    assert str(models / "vgg19.params") in lines["vgg19"] and "to conv5_1" in lines["vgg19"]
    assert "not here: neural-style weights fetch vgg16" in lines["vgg16"]
    assert str(models / "broken.params") in lines["broken"]


def test_verify_reads_a_file_by_name_or_path_and_prints_its_digest(models, capfd):
    for name in ("vgg19", models / "vgg19.params"):
        assert main(["weights", "verify", str(name)]) == 0
        out = capfd.readouterr().out
        assert "26 parameters complete and finite" in out and f"sha256 {digest(models / 'vgg19.params')}" in out


def test_verify_names_the_parameter_that_is_broken(tmp_path, capfd):
    params = random_parameters(SHAPES)
    params["conv4_3_weight"][1, 2, 0, 1] = np.nan
    save_weights(tmp_path / "vgg19.params", params)
    line = failure(capfd, "weights", "verify", tmp_path / "vgg19.params")
    assert "1 of the 2359296 values of parameter conv4_3_weight" in line


def test_import_writes_this_programs_layout(models, tmp_path, capfd):
    target = tmp_path / "new" / "mine.params"
    assert main(["weights", "import", str(models / "vgg19.params"), "--output", str(target)]) == 0
    assert capfd.readouterr().out == f"{target}: vgg19 to conv5_1\n"
    before, after = (load_weights(path, SHAPES) for path in (models / "vgg19.params", target))
    for name in SHAPES:
        np.testing.assert_array_equal(after[name].asnumpy(), before[name].asnumpy())


def test_import_goes_to_the_cache_where_it_is_found(models, tmp_path, capfd):
    assert main(["weights", "import", str(models / "vgg19.params")]) == 0
    assert capfd.readouterr().out.startswith(f"{tmp_path / 'cache' / 'vgg19.params'}: ")


def test_import_tells_vgg16_from_vgg19_and_asks_where_nothing_can(tmp_path, capfd):
    shapes = ARCHITECTURES["vgg16"].parameter_shapes(["relu5_1"])
    save_weights(tmp_path / "a.params", random_parameters(shapes))
    assert main(["weights", "import", str(tmp_path / "a.params"), "--models-dir", str(tmp_path / "m")]) == 0
    assert capfd.readouterr().out == f"{tmp_path / 'm' / 'vgg16.params'}: vgg16 to conv5_1\n"
    shapes = ARCHITECTURES["vgg16"].parameter_shapes(["relu2_2"])
    save_weights(tmp_path / "b.params", random_parameters(shapes))
    line = failure(capfd, "weights", "import", tmp_path / "b.params")
    assert "fits vgg19 and vgg16" in line and "--model" in line


def test_import_overwrites_only_if_told(models, tmp_path, capfd):
    target = tmp_path / "mine.params"
    target.write_bytes(b"precious")
    argv = ["weights", "import", models / "vgg19.params", "--output", target]
    assert "is already there" in failure(capfd, *argv)
    assert target.read_bytes() == b"precious"
    assert main([*map(str, argv), "--replace"]) == 0
    assert target.stat().st_size > 1e6


def test_import_never_replaces_its_source(models, capfd):
    path = models / "vgg19.params"
    assert "another file of this run has this name" in failure(
        capfd, "weights", "import", path, "--output", path, "--replace"
    )


def test_import_refuses_what_is_no_weights_file(tmp_path, capfd):
    (tmp_path / "x.h5").write_text("hello")
    assert "is not a weights file of a known layout" in failure(capfd, "weights", "import", tmp_path / "x.h5")


def test_fetching_without_a_network_says_what_to_do(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    line = failure(capfd, "weights", "fetch", "vgg19")
    assert "vgg19 could not be fetched" in line and "Without a network:" in line and "vgg19.params" in line
    assert not list(tmp_path.rglob("*.params"))


@pytest.mark.parametrize("argv", [["fetch", "vgg20"], ["verify"], ["dance"], ["import", "x", "--layout", "onnx"]])
def test_what_cannot_be_understood_exits_with_2(argv, capfd):
    with pytest.raises(SystemExit) as end:
        main(["weights", *argv])
    assert end.value.code == 2
    assert "neural-style weights" in capfd.readouterr().err
