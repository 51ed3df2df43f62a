"""The command for many jobs, from arguments to files, exit codes and lines."""

import contextlib
import csv
import json
import os
import shutil
import signal
from concurrent.futures import CancelledError, Future

import pytest

from neural_style.cli import batch
from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.jobs.job import Job
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import read_record
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute


@pytest.fixture
def folder(pictures, tmp_path, monkeypatch):
    for name, image in (
        ("photos/cat.png", "content.png"),
        ("photos/dog.png", "content.png"),
        ("wave.png", "style.png"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(str(pictures / image), str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


PRODUCT = ["batch", "--content", "photos", "--style", "wave.png", "-o", "out"]
SHORT = [
    "--gpu",
    "-1",
    "--model",
    "vgg16-lowrank",
    "--recipe",
    "fast",
    "--max-long-edge",
    "40",
    "--max-num-epochs",
    "2",
]


def rows(path="out/batch.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return [(row["image"], row["state"]) for row in csv.DictReader(file)]


def test_from_folders_to_images_table_and_sheet(folder, capsys):
    (folder / "photos" / "torn.png").write_bytes((folder / "photos" / "cat.png").read_bytes()[:90])
    names = [f"out/{name}-wave-seed={seed}.png" for name in ("cat", "dog", "torn") for seed in (1, 2)]
    argv = [*PRODUCT, *SHORT, "--vary", "seed=1,2", "--workers", "2"]
    assert main(argv) == 1
    assert rows() == [(name, "failed" if "torn" in name else "made") for name in names]
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("neural-style: ")]
    assert len(errors) == 3 and all("torn" in line for line in errors[:2])
    assert errors[2] == "neural-style: warning: 6 jobs: 4 made, 2 failed"
    assert read_record(names[1])["seed"] == 2 and read_image(names[0]).shape == (32, 40, 3)
    assert read_image("out/batch.jpg").ndim == 3
    assert not [name for name in os.listdir("out") if name.startswith(".")]

    (folder / "photos" / "torn.png").unlink()
    os.remove(names[0])
    stamps = [os.stat(name).st_mtime_ns for name in names[1:4]]
    assert main(argv) == 0
    assert rows() == [(name, "kept" if i else "made") for i, name in enumerate(names[:4])]
    assert stamps == [os.stat(name).st_mtime_ns for name in names[1:4]]
    assert "4 jobs: 1 made, 3 kept" in capsys.readouterr().err


@pytest.fixture
def jobs(monkeypatch):
    """Give the jobs of a command line in place of running them."""
    made = []

    class Told(Exception):
        pass

    def tell(jobs):
        made.extend(jobs)
        raise Told

    monkeypatch.setattr("neural_style.jobs.sweep.check_distinct", tell)

    def read(*argv):
        made.clear()
        with pytest.raises(Told):
            main(list(argv))
        return list(made)

    return read


def test_every_combination_of_values(folder, jobs):
    vary = ["--vary", "style_weight=0.5,2", "--vary", "style_layers=relu1_1,relu2_1;relu1_1", "--vary", "recipe=fast"]
    made = jobs(*PRODUCT, *vary, "--max-long-edge", "64")
    assert len(made) == 2 * 2 * 2
    layers = {(job.recipe.losses.style_layers, job.recipe.losses.style_weight) for job in made}
    assert layers == {(layers, w) for layers in (("relu1_1", "relu2_1"), ("relu1_1",)) for w in (0.5, 2.0)}
    assert {job.recipe.name for job in made} == {"fast"} and {job.recipe.size.max_long_edge for job in made} == {64}
    assert made[0].outputs.final == "out/cat-wave-style_weight=0.5,style_layers=relu1_1,relu2_1,recipe=fast.png"


def test_a_list_of_jobs(folder, jobs):
    job = Job("photos/cat.png", ["wave.png"], Outputs.beside("o.png"), get_recipe("fast"), compute=Compute(gpu=-1))
    (folder / "jobs.json").write_text(json.dumps([job.to_json()]))
    assert jobs("batch", "jobs.json") == [job]


@pytest.mark.parametrize(
    "argv, message",
    [
        (["batch"], "give either a list of jobs, or both --content and --style"),
        (["batch", "--content", "photos"], "give either a list of jobs"),
        (["batch", "jobs.json", "--style", "wave.png"], "give either a list of jobs"),
        (["batch", "jobs.json"], "jobs.json: cannot be read"),
        (["batch", "jobs.json", "--max-long-edge", "64"], "--max-long-edge cannot be given with a list of jobs"),
        (["batch", "jobs.json", "--vary", "seed=1"], "--vary cannot be given with a list of jobs"),
        ([*PRODUCT, "--workers", "0"], "--workers is 0"),
        (["batch", "--content", "fotos", "--style", "wave.png"], "fotos: there is no such file or folder"),
        ([*PRODUCT, "--vary", "sparkle=1"], "--vary sparkle=1 names no setting"),
        ([*PRODUCT, "--vary", "style_weight"], "write it like style_weight=0.5,1,2"),
        ([*PRODUCT, "--vary", "style_weight=1,x"], "'x' is no value of style_weight"),
        ([*PRODUCT, "--vary", "recipe=oil"], "unknown recipe"),
        ([*PRODUCT, "--vary", "max_steps=-1"], "--max-num-epochs is -1"),
        ([*PRODUCT[:-1], "photos"], "--output is photos, where"),
    ],
)
def test_what_makes_no_sense_is_one_line(folder, argv, message, capsys):
    assert main(argv) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("neural-style: error: ") and message in line
    assert sorted(os.listdir(".")) == ["photos", "wave.png"]


def test_a_signal_ends_the_batch_after_the_jobs_under_way(folder, monkeypatch, capsys):
    add = batch.log.info

    def info(message, *values):
        add(message, *values)
        if "saved" in message and values[0] == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(batch.log, "info", info)
    assert main([*PRODUCT, *SHORT, "--vary", "seed=1,2,3,4", "--workers", "1"]) == 130
    states = [state for _, state in rows()]
    assert "left" in states and "failed" not in states and "made" in states
    assert "finishing the jobs under way" in capsys.readouterr().err


def test_a_lost_scheduler_is_one_line_and_costs_nothing_that_was_finished(folder, monkeypatch, capsys):
    calls = []

    def lose(function, *arguments):
        calls.append(Future())
        if len(calls) == 1:
            calls[0].set_result(function(*arguments))
        else:
            calls[-1].set_exception(CancelledError())
        return calls[-1]

    monkeypatch.setattr(batch, "_workers", lambda args, jobs: contextlib.nullcontext(lose))
    assert main([*PRODUCT, *SHORT, "--quiet"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: the scheduler is lost; what is finished stays")
    assert [state for _, state in rows()] == ["made", "left"]
