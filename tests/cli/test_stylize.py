"""The command that takes a photograph and a painting, and how it is chosen."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from neural_style.cli.flags import FLAGS, write_value
from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.jobs import running
from neural_style.jobs.job import StyleFile
from neural_style.jobs.provenance import read_record
from neural_style.recipes.presets import OPTIMISING, RECIPES, get_recipe
from neural_style.transfer.compute import Compute


class Called(Exception):
    """Raised in place of a run, with the job."""


@pytest.fixture
def calls(monkeypatch, vgg19_file):
    def run_job(job, observers=(), resume=None):
        raise Called(job)

    monkeypatch.setattr(running, "run_job", run_job)

    def call(*argv):
        with pytest.raises(Called) as caught:
            main([*argv, "--weights", str(vgg19_file)])
        return caught.value.args[0]

    return call


def test_two_files_are_enough(calls):
    job = calls("stylize", "in/photo.jpg", "in/great wave.jpeg")
    assert (job.content, job.styles) == ("in/photo.jpg", (StyleFile("in/great wave.jpeg"),))
    assert job.outputs.final == "photo-great wave.png"
    # Where no network is named, the file of weights decides.
    assert job.recipe == get_recipe("paint").override(model="vgg19")
    assert job.compute == Compute() and job.seed == 0 and job.start is None and job.checkpoint is None


def test_a_file_in_place_of_a_command_means_stylize(calls, pictures):
    photo, painting = str(pictures / "content.png"), str(pictures / "style.png")
    flags = ["--strength", "2", "-o", "a.png"]
    assert calls(photo, painting, *flags) == calls("stylize", photo, painting, *flags)
    assert calls(photo, *flags, painting) == calls("stylize", photo, painting, *flags)


def test_a_command_wins_over_a_file_of_its_name(calls, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").write_bytes(b"")
    assert main(["recipes"]) == 0


@pytest.mark.parametrize("word", ["photo", "stylise", "paint"])
def test_a_word_that_is_neither_is_an_unknown_command(word, capsys):
    with pytest.raises(SystemExit) as end:
        main([word, "painting.jpg"])
    assert end.value.code == 2
    assert f"unknown command '{word}'; choose from stylize, demo" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_named(capsys):
    assert main(["phto.jpg", "painting.jpg"]) == 1
    assert capsys.readouterr().err.startswith("neural-style: error: phto.jpg: there is no such file")


@pytest.mark.parametrize("argv", [[], ["--strength", "2"]])
def test_a_photograph_is_required(argv, capsys):
    with pytest.raises(SystemExit) as end:
        main(["stylize", *argv])
    assert end.value.code == 2 and "PAINTING" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["paint", "fast"])
@pytest.mark.parametrize("strength", [0.1, 1, 10])
def test_strength_divides_the_content_weight_alone(calls, recipe, strength):
    changed = calls("stylize", "a.jpg", "b.jpg", "--recipe", recipe, "--strength", str(strength)).recipe
    usual = get_recipe(recipe).override(model="vgg19")
    assert changed == usual.override(content_weight=usual.losses.content_weight / strength)


def test_strength_goes_with_a_content_weight(calls):
    job = calls("stylize", "a.jpg", "b.jpg", "--content-weight", "0.2", "--strength", "4")
    assert job.recipe.losses.content_weight == pytest.approx(0.05)


@pytest.mark.parametrize("strength", ["0", "-1", "nan", "inf"])
def test_a_strength_that_makes_no_sense(strength, capsys):
    assert main(["stylize", "a.jpg", "b.jpg", "--strength=" + strength]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--strength is {strength}; it must be more than 0" in line


def test_every_flag_reaches_the_run(calls, tmp_path):
    argv = ["--gpu=-1", "--seed", "5", "--init", "c.png", "--checkpoint", "r.npz", "--checkpoint-every", "7"]
    argv += ["--tile-size", "96", "--memory", "1GB", "--report", "r/page.html", "-o", "x/y.tif"]
    argv += ["--style-scale", "0.5", "--max-long-edge", "300", "--history", "5"]
    job = calls("stylize", "a.jpg", "b.jpg", *argv)
    assert (job.seed, job.start) == (5, "c.png")
    assert (job.checkpoint, job.checkpoint_every) == ("r.npz", 7)
    assert job.compute == Compute(-1, "float32", 10**9, 96)
    outputs = job.outputs
    assert (outputs.final, outputs.report) == ("x/y.tif", "r/page.html")
    assert outputs.trace == os.path.join("r", "trace.json")
    recipe = job.recipe
    assert (recipe.size.style_scale, recipe.size.max_long_edge, recipe.optimizer.history) == (0.5, 300, 5)


@pytest.mark.parametrize("flag", FLAGS)
def test_every_setting_can_be_given(calls, flag):
    """With a recipe that has it, and its value there."""
    setting = FLAGS[flag].setting
    recipe = next(recipe for recipe in RECIPES.values() if setting in recipe.settings())
    value = write_value(recipe.settings()[setting])
    if setting == "model":
        value = "vgg19"
    job = calls("stylize", "a.jpg", "b.jpg", "--recipe", recipe.name, f"{flag}={value}")
    assert job.recipe == (recipe if recipe.feed_forward else recipe.override(model="vgg19"))


@pytest.mark.parametrize("name", OPTIMISING)
def test_any_recipe_can_be_chosen(calls, name):
    job = calls("stylize", "a.jpg", "b.jpg", "--recipe", name)
    assert job.recipe == get_recipe(name).override(model="vgg19")


def test_a_run_and_the_command_that_repeats_it(pictures, vgg19_file, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    flags = ["--max-long-edge", "40", "--max-num-epochs", "2", "--pyramid", "2", "--gpu=-1"]
    assert main(["content.png", "style.png", *flags, "--strength", "3", "--weights", str(vgg19_file)]) == 0
    first = read_image("content-style.png")
    assert read_record("content-style.png")["settings"]["content_weight"] == pytest.approx(
        get_recipe("paint").losses.content_weight / 3
    )
    capfd.readouterr()
    assert main(["show", "content-style.png"]) == 0
    words = capfd.readouterr().out.splitlines()[0].split()
    assert words[:4] == ["neural-style", "stylize", "content.png", "style.png"]
    assert main(words[1:] + ["-o", "again.png"]) == 0
    np.testing.assert_array_equal(first, read_image("again.png"))


def test_an_input_is_never_overwritten(pictures, vgg19_file, capfd):
    photo, painting = str(pictures / "content.png"), str(pictures / "style.png")
    assert main(["stylize", photo, painting, "-o", painting, "--weights", str(vgg19_file)]) == 1
    assert "would be overwritten" in capfd.readouterr().err


def test_standard_input_and_output(pictures, vgg19_file, tmp_path):
    photo, painting = (pictures / name for name in ("content.png", "style.png"))
    argv = ["-", str(painting), "--weights", str(vgg19_file), "--gpu=-1", "--max-long-edge", "40"]
    argv += ["--max-num-epochs", "1", "--pyramid", ""]
    command = [sys.executable, "-m", "neural_style", *argv]
    piped = subprocess.run(
        [*command, "-o", "-", "--quiet"], input=photo.read_bytes(), stdout=subprocess.PIPE, check=True
    )
    (tmp_path / "piped.png").write_bytes(piped.stdout)
    assert main([str(photo), *argv[1:], "-o", str(tmp_path / "file.png")]) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "piped.png"), read_image(tmp_path / "file.png"))


@pytest.mark.parametrize(
    "argv, message",
    [
        (["-", "-"], "PHOTO and PAINTING are both -"),
        (["a.jpg", "b.jpg", "-o", "-", "--json"], "both write to standard output"),
    ],
)
def test_standard_input_and_output_are_used_once(argv, message, capsys):
    assert main(["stylize", *argv]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_record_as_json_and_nothing_else(pictures, vgg19_file, tmp_path, capfd):
    photo, painting, output = str(pictures / "content.png"), str(pictures / "style.png"), str(tmp_path / "o.png")
    flags = ["--weights", str(vgg19_file), "--gpu=-1", "--max-long-edge", "40", "--max-num-epochs", "1"]
    assert main([photo, painting, *flags, "--pyramid", "", "-o", output, "--json", "--quiet"]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    told = json.loads(printed.out)
    assert told.pop("file") == output and told == read_record(output)
