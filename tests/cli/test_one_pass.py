"""A picture in one pass from the command line: like any other run, with its record and the command that repeats it."""

import numpy as np
import pytest
import random_generators

from neural_style.cli.main import main
from neural_style.files import sha256
from neural_style.images.reading import read_image
from neural_style.jobs.job import Job
from neural_style.jobs.observers import Observer
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import read_record
from neural_style.jobs.running import run_job
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.weights.params_file import save_weights


@pytest.fixture
def folder(tmp_path, pictures, monkeypatch):
    """Stand in a folder with two images and a generator, which is also the one that is found."""
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    (tmp_path / "models").mkdir()
    save_weights(tmp_path / "models" / "any-style.params", random_generators.random_microast())
    save_weights(tmp_path / "mine.params", random_generators.random_microast(1))
    monkeypatch.setattr("neural_style.weights.lookup.search_folders", lambda models_dir=None: [tmp_path / "models"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


FLAGS = ["--recipe", "one-pass", "--max-long-edge", "40", "--gpu=-1"]


@pytest.mark.parametrize("more", [[], ["--generator", "mine.params", "--strength", "0.7"], ["--style-edge", "20"]])
def test_the_record_repeats_the_picture(folder, more, capfd):
    assert main(["content.png", "style.png", *FLAGS, *more]) == 0
    first, record = read_image("content-style.png"), read_record("content-style.png")
    assert (record["stop"], record["steps"], record["size"]) == ("ONE_PASS", 1, [40, 32])
    assert record["weights"]["found"] == (more[:1] != ["--generator"])
    capfd.readouterr()
    assert main(["show", "content-style.png"]) == 0
    shown = capfd.readouterr().out
    assert "made in one pass; recipe one-pass" in shown
    words = shown.splitlines()[0].split()
    assert words[:6] == ["neural-style", "stylize", "content.png", "style.png", "--recipe", "one-pass"]
    assert main([*words[1:], "-o", "again.png"]) == 0
    np.testing.assert_array_equal(first, read_image("again.png"))


def test_the_report_and_the_trace_have_no_steps_on_the_way(folder, capfd):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    assert main(["content.png", "style.png", *FLAGS, "--report", "page.html"]) == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "made in one pass" in page and "Step by step" not in page and "Intermediate" not in page
    assert "content.png in the style of style.png" in page


@pytest.mark.parametrize(
    "words, message",
    [
        (["content.png", *FLAGS], "any-style takes the style from an image; name one"),
        (["content.png"], "recipe paint takes the style from a PAINTING; name one after PHOTO"),
        (["content.png", "style.png", *FLAGS, "--checkpoint", "c.npz"], "--checkpoint is of no use with an image made"),
        (["content.png", "style.png", *FLAGS, "--style-weight", "3"], "--style-weight is of no use with recipe one"),
        (["content.png", "style.png", "--generator", "mine.params"], "--generator is of no use with recipe paint"),
        (["content.png", "style.png", *FLAGS, "--generator", "no.params"], "weights file no.params does not exist"),
        (["content.png", "style.png", *FLAGS, "--generator", "content.png"], "content.png is not an MXNet .params"),
        (["content.png", "style.png", *FLAGS, "--strength", "-1"], "--strength is -1.0; it must be 0 or more"),
    ],
)
def test_what_cannot_be_is_one_line(folder, words, message, capfd):
    assert main(words) == 1
    error = [line for line in capfd.readouterr().err.splitlines() if line.startswith("neural-style: error: ")]
    assert len(error) == 1 and message in error[0]
    assert not (folder / "content-style.png").exists()


def test_an_optimisation_can_start_from_the_picture(lowrank_alone, pictures, tmp_path, monkeypatch):
    save_weights(lowrank_alone / "any-style.params", random_generators.random_microast())
    monkeypatch.chdir(tmp_path)
    inputs = [str(pictures / name) for name in ("content.png", "style.png")]
    size = ["--max-long-edge", "40", "--gpu=-1"]
    assert main([*inputs, "--recipe", "one-pass", *size, "-o", "picture.png"]) == 0
    steps = ["--init", "one-pass", "--pyramid", "", "--max-num-epochs"]
    assert main([*inputs, *size, *steps, "0", "-o", "start.png"]) == 0
    picture, start = (read_image(name).astype(int) for name in ("picture.png", "start.png"))
    assert np.abs(picture - start).max() <= 1
    assert read_record("start.png")["settings"]["initial"] == "one-pass"
    assert main([*inputs, *size, *steps, "1", "-o", "step.png"]) == 0
    assert np.abs(read_image("step.png").astype(int) - start).max() > 1


def test_the_generator_of_a_start_is_told_and_may_not_change(lowrank_alone, pictures, tmp_path, monkeypatch, capfd):
    generator = lowrank_alone / "any-style.params"
    save_weights(generator, random_generators.random_microast())
    monkeypatch.chdir(tmp_path)
    recipe = get_recipe("paint").override(initial="one-pass", max_long_edge=40, pyramid=(), max_steps=3)
    content, style = (str(pictures / name) for name in ("content.png", "style.png"))
    job = Job(content, [style], Outputs.beside("step.png"), recipe, compute=Compute(-1), checkpoint="state.npz")

    class Stop(Observer):
        def step(self, step, run):
            run.stop()

    run_job(job, [Stop()])
    told = read_record("step.png")["generator"]
    assert told == {"file": "any-style.params", "sha256": sha256(generator), "found": True}
    capfd.readouterr()
    assert main(["show", "step.png"]) == 0
    assert "# generator of the start any-style.params: unchanged" in capfd.readouterr().out
    save_weights(generator, random_generators.random_microast(1))
    assert main(["show", "step.png"]) == 0
    assert f"# generator of the start any-style.params: has changed, it was SHA-256 {told['sha256']}" in (
        capfd.readouterr().out
    )
    assert main(["--resume", "state.npz"]) == 1
    assert "the checkpoint is of other weights than any-style.params" in capfd.readouterr().err
    generator.unlink()
    assert main(["show", "step.png"]) == 0
    assert "# generator of the start any-style.params: not found here" in capfd.readouterr().out
