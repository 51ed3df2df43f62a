"""The demo's files, lines and failures, small and with few steps."""

import os

import numpy as np
import pytest

from neural_style.cli import demo as command
from neural_style.cli.main import main
from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.painting import paint
from neural_style.images.reading import read_image
from neural_style.jobs import running
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute

NAMES = ["demo-content.png", "demo-style.png", "demo-result.png", "demo.png"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "pictures"


def demo(folder, *more, edge=48, steps=2):
    argv = ["demo", "--output-dir", folder, "--max-long-edge", edge, "--max-num-epochs", steps, "--gpu", -1, *more]
    return main(list(map(str, argv)))


@pytest.fixture
def given(monkeypatch):
    """What the run is given, in place of a run."""
    calls = []
    monkeypatch.setattr(command, "run_visibly", lambda job: calls.append(job) or 130)
    return calls


def test_it_leaves_three_pictures_and_a_sheet_and_prints_where_they_are(folder, lowrank_alone, capfd):
    from skimage import data

    assert demo(folder) == 0
    out, err = capfd.readouterr()
    assert out.splitlines() == [str(folder / name) for name in NAMES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    content, style, result, sheet = (read_image(folder / name) for name in NAMES)
    np.testing.assert_array_equal(content, data.chelsea())
    np.testing.assert_array_equal(style, paint(result.shape[:2]))
    assert result.shape == (31, 48, 3)
    np.testing.assert_array_equal(sheet, make_contact_sheet([content, style, result], ["content", "style", "result"]))
    assert "epoch 1, relative change" in err
    assert len([line for line in err.splitlines() if "using vgg16-lowrank" in line]) == 1


def test_without_flags_it_is_the_recommended_recipe_at_384_pixels(given, lowrank_alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neural_style.images.painting.paint", lambda size, seed: np.zeros(size + (3,), "uint8"))
    assert main(["demo"]) == 130
    (job,) = given
    assert job.recipe == get_recipe("paint").override(model="vgg16-lowrank", max_long_edge=384)
    style = job.styles[0].file
    assert (job.content, style, job.outputs.final) == tuple(f"output/{name}" for name in NAMES[:3])
    assert job.weights == str(lowrank_alone / "vgg16-lowrank.params") and job.compute == Compute()
    assert read_image(style).shape == (255, 384, 3)


@pytest.mark.parametrize("name", command.CONTENTS)
def test_every_content_is_in_scikit_image_itself(name, given, lowrank_alone, folder, monkeypatch):
    def refuse(*args, **more):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("SKIMAGE_DATADIR", str(folder / "empty"))
    demo(folder, "--content", name)
    assert min(read_image(folder / NAMES[0]).shape[:2]) >= 300


def test_another_seed_paints_another_picture(given, lowrank_alone, folder):
    demo(folder)
    first = read_image(folder / NAMES[1])
    demo(folder, "--seed", 0)
    np.testing.assert_array_equal(read_image(folder / NAMES[1]), paint((31, 48), 0))
    assert not np.array_equal(first, read_image(folder / NAMES[1]))


def test_the_full_network_runs_where_its_weights_are(given, lowrank_alone, vgg16_file, folder, monkeypatch, capfd):
    monkeypatch.setattr(
        "neural_style.weights.lookup.search_folders", lambda models_dir=None: [lowrank_alone, vgg16_file.parent]
    )
    demo(folder)
    demo(folder, "--model", "vgg16-lowrank")
    assert [(job.recipe.losses.model, os.path.basename(job.weights)) for job in given] == [
        ("vgg16", "vgg16.params"),
        ("vgg16-lowrank", "vgg16-lowrank.params"),
    ]
    assert "not installed" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "argv, code, message",
    [
        (["--model", "vgg19"], 1, "no weights 'vgg19'"),
        (["--max-long-edge", "0"], 1, "--max-long-edge is 0; it must be 1 or more"),
        (["--max-num-epochs", "-1"], 1, "--max-num-epochs is -1; it must be 0 or more"),
        (["--content", "astronaut"], 2, "invalid choice: 'astronaut'"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(argv, code, message, lowrank_alone, folder, capfd):
    try:
        assert demo(folder, *argv) == code
    except SystemExit as end:
        assert end.code == code
    assert message in capfd.readouterr().err.splitlines()[-1]
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_named(lowrank_alone, folder, capfd):
    folder.parent.mkdir()
    folder.write_text("a file")
    assert demo(folder) == 1
    assert str(folder) in capfd.readouterr().err.splitlines()[-1]


def test_a_picture_that_scikit_image_does_not_have_is_named(lowrank_alone, folder, monkeypatch, capfd):
    from skimage import data

    def fail():
        raise ConnectionError("no network")

    monkeypatch.setattr(data, "coffee", fail, raising=False)
    assert demo(folder, "--content", "coffee") == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert "'coffee' (no network); choose another --content" in line


def test_an_interrupted_demo_makes_no_sheet(lowrank_alone, folder, monkeypatch, capfd):
    real = running.run_job

    def interrupt(job, observers, resume):
        observers[0].set()
        return real(job, observers, resume)

    monkeypatch.setattr(running, "run_job", interrupt)
    assert demo(folder) == 130
    assert "nothing is saved" in capfd.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES[:2])
