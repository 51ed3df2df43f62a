"""The trace is whole at any moment, holds every step, and costs little."""

import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neural_style.cli.main import main
from neural_style.jobs import trace as trace_module
from neural_style.jobs.job import Job
from neural_style.jobs.observers import Observer
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import describe_run
from neural_style.jobs.running import run_job
from neural_style.jobs.trace import Trace
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.run import Step, StopReason

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "trace.md").read_text(encoding="utf-8")
RECIPE = get_recipe("mxnet-0.7").override(max_long_edge=40, max_steps=5, save_every=2, style_weight=0.5)


class Image:
    context = "cpu(0)"


def step(number, clip_norm=5.0):
    return Step(number, {"style_relu1_1": 2.0, "content_relu4_2": 1.0}, 3.0, 9.0, clip_norm, 0.001, 1 / number, 1)


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def run(pictures, vgg19_file):
    return describe_run(make_job(pictures, vgg19_file, Outputs.beside("o.png")), vgg19_file)


def make_job(pictures, vgg19_file, outputs, recipe=RECIPE):
    content, style = (str(pictures / name) for name in ("content.png", "style.png"))
    return Job(content, (style,), outputs, recipe, weights=str(vgg19_file), seed=3, compute=Compute(gpu=-1))


def read(path):
    return json.loads(Path(path).read_text(encoding="ascii"))


def test_a_run_leaves_everything_in_it(pictures, vgg19_file, tmp_path):
    steps = []
    outputs = Outputs.beside(str(tmp_path / "o.png")).with_report(trace=str(tmp_path / "t.json"))
    inputs = [str(pictures / name) for name in ("content.png", "style.png")]

    class Collect(Observer):
        def step(self, step, run):
            steps.append(step)

    result = run_job(make_job(pictures, vgg19_file, outputs), [Collect()])
    told = read(tmp_path / "t.json")
    assert [row.pop("seconds") > 0 for row in told["steps"]] == [True] * 5
    assert told["steps"] == [vars(step) for step in result.history] and len(steps) == 5
    assert told["settings"]["style_weight"] == {"value": 0.5, "source": "chosen for this run"}
    assert told["settings"]["momentum"] == {"value": 0.9, "source": RECIPE.sources["momentum"]}
    assert list(told["settings"]) == list(RECIPE.settings())
    assert (told["stop"], told["stop_text"], told["seed"]) == ("STEP_LIMIT", "reached the step limit", 3)
    assert told["pictures"] == [{"step": n, "file": str(tmp_path / f"tmp_{n}.png")} for n in (2, 4)]
    assert told["result"] == str(tmp_path / "o.png")
    assert told["content"]["file"] == inputs[0] and len(told["weights"]["sha256"]) == 64
    assert told["machine"]["device"] == "cpu(0)" and told["versions"]["python"] == sys.version.split()[0]
    assert 0 < sum(row["learning_rate"] for row in told["steps"]) and told["seconds"] > 0


def test_the_source_of_the_network(pictures, vgg19_file, lowrank_alone, tmp_path):
    argv = ["--content-image", pictures / "content.png", "--style-image", pictures / "style.png", "--gpu", -1]
    argv += ["--max-long-edge", 40, "--max-num-epochs", 1, "--output", tmp_path / "o.png"]

    def source(*more):
        assert main([*map(str, argv), "--trace", str(tmp_path / "t.json"), *map(str, more)]) == 0
        model = read(tmp_path / "t.json")["settings"]["model"]
        return model["value"], model["source"]

    own = RECIPE.sources["model"]
    assert source("--weights", vgg19_file) == source("--weights", vgg19_file, "--model", "vgg19") == ("vgg19", own)
    assert source() == ("vgg16-lowrank", "stands in for vgg19, whose weights are not installed")
    lowrank = lowrank_alone / "vgg16-lowrank.params"
    assert source("--weights", lowrank) == ("vgg16-lowrank", "the network that the given weights fit")
    assert source("--model", "vgg16-lowrank") == ("vgg16-lowrank", "chosen for this run")


def test_a_run_that_was_resumed_tells_of_all_its_steps(pictures, vgg19_file, tmp_path, capfd):
    argv = ["--content-image", pictures / "content.png", "--style-image", pictures / "style.png", "--gpu", -1]
    argv += ["--weights", vgg19_file, "--max-long-edge", 40, "--max-num-epochs", 6, "--stop-eps", 0]
    argv += [
        "--save-epochs",
        2,
        "--output",
        tmp_path / "o.png",
        "--checkpoint",
        tmp_path / "c",
        "--checkpoint-every",
        5,
    ]
    assert main(list(map(str, argv + ["--trace", tmp_path / "whole.json"]))) == 0
    (tmp_path / "tmp_2.png").write_bytes((pictures / "content.png").read_bytes())  # not of this run
    assert main(["--resume", str(tmp_path / "c"), "--trace", str(tmp_path / "t.json")]) == 0
    whole, told = read(tmp_path / "whole.json"), read(tmp_path / "t.json")
    assert [row.pop("seconds") is None for row in told["steps"]] == [True] * 5 + [False]
    assert all(row.pop("seconds") for row in whole["steps"])
    assert told["steps"] == whole["steps"] and len(told["steps"]) == 6
    assert told["pictures"] == whole["pictures"][1:] and len(told["pictures"]) == 2
    assert told["settings"] == whole["settings"] and told["content"] == whole["content"]


def test_the_step_that_converged_is_in_it(pictures, vgg19_file, tmp_path):
    outputs = Outputs.beside(str(tmp_path / "o.png")).with_report(trace=str(tmp_path / "t.json"))
    run_job(make_job(pictures, vgg19_file, outputs, RECIPE.override(stop_eps=10.0)))
    told = read(tmp_path / "t.json")
    assert (len(told["steps"]), told["stop"]) == (1, "CONVERGED")


def test_every_key_is_documented(run, tmp_path):
    trace = Trace(tmp_path / "t.json", run, RECIPE)
    trace.add_step(step(1), Image())
    trace.finish(StopReason.STEP_LIMIT, "o.png")
    told = trace.read()
    keys = set(told) | set(told["steps"][0]) | set(told["machine"]) | set(told["versions"]) | set(told["weights"])
    documented = set(re.findall(r"`([\w-]+)`", DOCS))
    assert keys <= documented, keys - documented
    for reason in StopReason:
        assert f"`{reason.name}`" in DOCS
    trace.write()
    assert read(tmp_path / "t.json") == trace.read()


def test_the_file_is_written_after_the_first_step_and_then_now_and_then(run, tmp_path, monkeypatch):
    clock, path = Clock(), tmp_path / "t.json"
    trace = Trace(path, run, RECIPE, clock)
    clock.now += 3.5
    assert not path.exists()
    trace.add_step(step(1), Image())
    trace.update()
    assert [row["seconds"] for row in read(path)["steps"]] == [3.5]
    lengths = []
    for number in range(2, 12):
        clock.now += 0.5
        trace.add_step(step(number), Image())
        trace.update()
        lengths.append(len(read(path)["steps"]))
    assert lengths == [1, 1, 1, 5, 5, 5, 5, 9, 9, 9]
    assert trace.read()["steps"][4]["seconds"] == 0.5
    assert read(path)["stop"] is None


def test_no_bound_is_null(run, tmp_path):
    trace = Trace(tmp_path / "t.json", run, RECIPE)
    trace.add_step(step(1, clip_norm=float("inf")), Image())
    trace.write()
    assert (
        "Infinity" not in (tmp_path / "t.json").read_text()
        and read(tmp_path / "t.json")["steps"][0]["clip_norm"] is None
    )


def test_slow_writing_becomes_rare(run, tmp_path, monkeypatch):
    clock, written = Clock(), []
    trace = Trace(tmp_path / "t.json", run, RECIPE, clock)

    def write(path, data):
        written.append(clock.now)
        clock.now += 3.0

    monkeypatch.setattr(trace_module, "write_whole", write)
    for number in range(1, 1201):
        clock.now += 0.5
        trace.add_step(step(number), Image())
        trace.update()
    assert len(written) == 3 and min(b - a for a, b in zip(written, written[1:])) >= 300
    # What the writing took is no part of a step.
    assert {row["seconds"] for row in trace.read()["steps"]} == {0.5}


def test_a_disk_that_fills_up_does_not_end_the_run(run, tmp_path, monkeypatch, caplog):
    def fail(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    clock = Clock()
    trace = Trace(tmp_path / "t.json", run, RECIPE, clock)
    monkeypatch.setattr(trace_module, "write_whole", fail)
    trace.add_step(step(1), Image())
    trace.update()
    assert "t.json: cannot be written (No space left on device); free some space" in caplog.text
    monkeypatch.undo()
    clock.now += 2
    trace.update()
    assert len(read(tmp_path / "t.json")["steps"]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_it_can_be_read_while_the_run_goes_on_and_after_a_kill(pictures, vgg19_file, tmp_path):
    path = tmp_path / "t.json"
    argv = ["--content-image", pictures / "content.png", "--style-image", pictures / "style.png", "--gpu", -1]
    argv += ["--weights", vgg19_file, "--max-long-edge", 40, "--max-num-epochs", 100000, "--stop-eps", 0]
    argv += ["--trace", path, "--output", tmp_path / "o.png", "--log-level", "error"]
    code = (  # at every step, so that a reader meets many writings
        "import sys, neural_style.jobs.trace as t; from neural_style.cli.main import main\n"
        "t.PAUSE_SECONDS, t.GREATEST_SHARE = 0, 1e9; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code] + list(map(str, argv)))
    try:
        lengths = set()
        deadline = time.monotonic() + 120
        while len(lengths) < 15 and time.monotonic() < deadline and process.poll() is None:
            if path.exists():
                lengths.add(len(read(path)["steps"]))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(lengths) >= 15
    told = read(path)
    assert len(told["steps"]) >= max(lengths) and told["stop"] is None
