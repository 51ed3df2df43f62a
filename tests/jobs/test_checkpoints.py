"""Runs that are stopped, killed and gone on with, and checkpoints that cannot be used."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.jobs import checkpoints
from neural_style.jobs.checkpoints import load_checkpoint
from neural_style.transfer import optimisation
from neural_style.transfer.compute import Compute

RUN = [sys.executable, "-m", "neural_style"]


@pytest.fixture
def inputs(pictures, lowrank_alone, tmp_path):
    """Pictures of their own, that a test may change, and the arguments of a run with them."""
    for name in ("content.png", "style.png"):
        shutil.copy(str(pictures / name), str(tmp_path / name))
    # Not where this process alone would find it without its name.
    shutil.copy(str(lowrank_alone / "vgg16-lowrank.params"), str(tmp_path / "w.params"))
    return ["--content-image", str(tmp_path / "content.png"), "--style-image", str(tmp_path / "style.png")] + [
        *("--weights", str(tmp_path / "w.params"), "--gpu", "-1", "--max-long-edge", "40"),
        *("--save-epochs", "3", "--stop-eps", "0"),
    ]


def arguments(inputs, folder, steps, *more):
    return inputs + ["--max-num-epochs", str(steps), "--output", str(folder / "o.png"), *map(str, more)]


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["--recipe", "mxnet-1.9", "--lr-sched-delay", "2"],
        ["--recipe", "coursera"],
        ["--recipe", "gatys-2015", "--history", "2"],
        ["--recipe", "tf-vgg16-adaptive"],
        ["--pyramid", "3,2"],
        ["--recipe", "paint", "--pyramid", "2", "--pyramid-factor", "1.2", "--style-scale", "1.3"],
    ],
    ids=lambda settings: "_".join(settings).replace("--", "") or "default",
)
def test_a_run_goes_on_bit_for_bit(inputs, tmp_path, settings):
    whole, stopped, resumed = (tmp_path / name for name in ("whole", "stopped", "resumed"))
    assert main(arguments(inputs, whole, 6, *settings)) == 0
    # Killed after the checkpoint of step 4: what the run did after it is lost.
    checkpoint = tmp_path / "run.npz"
    code = (
        "import os, sys, neural_style.jobs.checkpoints as c; from neural_style.cli.main import main\n"
        "save = c.Checkpoint.save\n"
        "def last(self, path):\n"
        "    save(self, path)\n"
        "    if len(self.state.history) == 4: os._exit(9)\n"
        "c.Checkpoint.save = last\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    more = settings + ["--checkpoint", checkpoint, "--checkpoint-every", 2]
    argv = [sys.executable, "-c", code] + arguments(inputs, stopped, 6, *more)
    assert subprocess.run(argv, stderr=subprocess.DEVNULL).returncode == 9
    assert len(load_checkpoint(checkpoint).state.history) == 4
    elsewhere = ["--output", str(resumed / "o.png"), "--checkpoint", str(tmp_path / "other.npz")]
    assert main(["--resume", str(checkpoint), *elsewhere]) == 0
    assert bytes_of(resumed)["o.png"] == bytes_of(whole)["o.png"]
    # Without --output it goes where the first run was to put it.
    assert main(["--resume", str(checkpoint)]) == 0
    assert bytes_of(stopped) == bytes_of(whole)


def test_what_was_asked_of_tiles_and_memory_holds_for_later_levels(inputs, tmp_path, monkeypatch):
    """The checkpoint is of the first level; the second is computed after it."""
    given, first, checkpoint = [], tmp_path / "first.npz", tmp_path / "run.npz"

    class Objective(optimisation.Objective):
        def __init__(self, losses, parameters, content, styles, canvas, room, tile_size, **more):
            given.append((tile_size, room))
            super().__init__(losses, parameters, content, styles, canvas, 10**9, tile_size, **more)

    monkeypatch.setattr(optimisation, "Objective", Objective)
    monkeypatch.setattr(optimisation, "available", lambda ctx, limit=None: limit)

    def run(*argv):
        given.clear()
        assert main([*map(str, argv)]) == 0
        return given[:]

    flags = ["--pyramid", "2", "--tile-size", "32", "--memory", "1GB", "--checkpoint-every", "1"]
    save = checkpoints.Checkpoint.save

    def save_once(self, path):
        if not first.exists():
            save(self, first)
        save(self, path)

    monkeypatch.setattr(checkpoints.Checkpoint, "save", save_once)
    assert run(*arguments(inputs, tmp_path / "a", 2, *flags, "--checkpoint", checkpoint)) == [(32, 10**9)] * 2
    kept = tmp_path / "kept.npz"

    def resume(*argv):
        return run("--resume", first, "--checkpoint", kept, "--checkpoint-every", 1, *argv)

    assert load_checkpoint(first).state.level == 0
    assert resume() == [(32, 10**9)] * 2
    assert load_checkpoint(kept).job.compute == Compute(-1, tile_size=32, memory=10**9)
    assert resume("--tile-size", 48, "--memory", "2GB") == [(32, 2 * 10**9), (48, 2 * 10**9)]
    assert load_checkpoint(kept).job.compute == Compute(-1, tile_size=48, memory=2 * 10**9)


def test_a_signal_leaves_a_checkpoint_of_the_last_step(inputs, tmp_path):
    checkpoint = tmp_path / "run.npz"
    argv = RUN + arguments(inputs, tmp_path / "a", 10**6, "--checkpoint", checkpoint, "--checkpoint-every", 10**6)
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, universal_newlines=True)
    for line in process.stderr:
        if line.startswith("epoch 5,"):
            process.send_signal(signal.SIGTERM)
            break
    rest = process.communicate()[1]
    assert process.returncode == 130
    assert f"saved {checkpoint}; the run can be resumed from it" in rest
    history = load_checkpoint(checkpoint).state.history
    assert len(history) >= 6 and [step.number for step in history] == list(range(1, len(history) + 1))


def test_runs_killed_at_random_moments_are_never_left_without_a_checkpoint(inputs, tmp_path):
    """Three of them here; benchmarks/kill.py does it as often as one likes."""
    assert main(arguments(inputs, tmp_path / "whole", 40)) == 0
    rng, checkpoint, argv = random.Random(1), tmp_path / "run.npz", None
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        if argv is None or not checkpoint.exists():
            argv = arguments(inputs, tmp_path / "killed", 40, "--checkpoint", checkpoint, "--checkpoint-every", 1)
        else:
            argv = ["--resume", str(checkpoint), "--checkpoint-every", "1"]
        process = subprocess.Popen(RUN + argv, stderr=subprocess.PIPE, universal_newlines=True)
        process.stderr.readline()
        time.sleep(rng.uniform(0.2, 1.0))
        process.send_signal(number)
        process.communicate()
        if checkpoint.exists():
            load_checkpoint(checkpoint)
    argv = ["--resume", str(checkpoint)] if checkpoint.exists() else arguments(inputs, tmp_path / "killed", 40)
    assert main(argv) == 0
    assert bytes_of(tmp_path / "killed")["o.png"] == bytes_of(tmp_path / "whole")["o.png"]


@pytest.fixture
def checkpoint(inputs, tmp_path):
    path = tmp_path / "run.npz"
    assert main(arguments(inputs, tmp_path / "a", 2, "--checkpoint", path, "--checkpoint-every", 1)) == 0
    return path


def refused(capfd, *argv):
    capfd.readouterr()
    assert main([*map(str, argv)]) == 1
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("neural-style: error")]
    return line


def test_other_pictures_and_weights_are_refused(checkpoint, lowrank_alone, tmp_path, capfd):
    before = checkpoint.read_bytes()
    picture = read_image(tmp_path / "content.png")
    save_image(tmp_path / "content.png", 255 - picture)
    assert "the checkpoint is of another content image than" in refused(capfd, "--resume", checkpoint)
    save_image(tmp_path / "content.png", picture)
    (tmp_path / "style.png").unlink()
    assert "style.png" in refused(capfd, "--resume", checkpoint)
    assert checkpoint.read_bytes() == before


def test_other_weights_are_refused(checkpoint, vgg19_file, capfd):
    assert "the checkpoint is of other weights than" in refused(capfd, "--resume", checkpoint, "--weights", vgg19_file)


def rewrite(path, **changes):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    record = json.loads(arrays.pop("record").tobytes().decode())
    record.update(changes)
    np.savez(path, record=np.frombuffer(json.dumps(record).encode(), np.uint8), **arrays)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "is damaged or cut short"),
        (lambda path: path.write_bytes(b""), "is damaged or cut short"),
        (lambda path: path.write_text("a text"), "is damaged or cut short"),
        (lambda path: np.savez(path, canvas=np.zeros(3)), "is damaged or cut short"),
        (lambda path: np.savez(path, record=np.array([{}], object)), "is damaged or cut short"),
        (lambda path: rewrite(path, version=2), "is of version 2, this program knows 1; use a later neural-style"),
        (lambda path: rewrite(path, schema="other"), "is damaged or cut short"),
        (lambda path: rewrite(path, history=[{"number": 1}]), "is damaged or cut short"),
        (lambda path: rewrite(path, run={}), "is damaged or cut short"),
        (lambda path: rewrite(path, job={"content": 3}), "is damaged or cut short"),
        (lambda path: set_value(path, "job", "outputs", "final", to=3), "is damaged or cut short"),
        (lambda path: set_value(path, "job", "settings", "sparkle", to=3), "is damaged or cut short"),
    ],
    ids=[
        "gone",
        "half",
        "empty",
        "text",
        "array",
        "pickle",
        "version",
        "schema",
        "history",
        "run",
        "job",
        "outputs",
        "setting",
    ],
)
def test_what_cannot_be_gone_on_from_is_one_line(checkpoint, damage, message, capfd):
    damage(checkpoint)
    line = refused(capfd, "--resume", checkpoint)
    assert line.startswith(f"neural-style: error: checkpoint {checkpoint} {message}")


def rearrange(path, **changes):
    """Change arrays of a checkpoint; None takes one away."""
    with np.load(path) as file:
        arrays = dict({name: file[name] for name in file.files}, **changes)
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def set_value(path, *place, to):
    with np.load(path) as file:
        record = json.loads(file["record"].tobytes().decode())
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = to
    rewrite(path, **record)


MOMENT = np.zeros((1, 3, 32, 40), "float32")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: rewrite(path, level=7), "the checkpoint is of level 7, of 1 "),
        (lambda path: rewrite(path, level=-1), "its level is -1"),
        (lambda path: rewrite(path, level=True), "its level is True"),
        (lambda path: rewrite(path, tile_size=True), "its tile size is True"),
        (lambda path: set_value(path, "job", "compute", "memory", to=True), "memory is of the wrong kind"),
        (lambda path: set_value(path, "history", 0, "number", to=True), "its number is True"),
        (lambda path: set_value(path, "history", 1, "relative_change", to=True), "a number of the wrong kind"),
        (
            lambda path: set_value(path, "run", "settings", "max_steps", to=True),
            "max-num-epochs is True; it must be a",
        ),
        (lambda path: set_value(path, "run", "seed", to=True), "seed is of the wrong kind"),
        (lambda path: rearrange(path, canvas=MOMENT[:, :, :8]), "an image of 40 x 8 pixels, not 40 x 32"),
        (lambda path: rearrange(path, canvas=MOMENT + np.nan), "values that are not finite"),
        (lambda path: rearrange(path, **{"optimizer/moment_0": None}), "lacks the moment_0"),
        (lambda path: rearrange(path, **{"optimizer/moment_0": MOMENT[:, :, 1:]}), "moment_0 of the wrong kind"),
        (lambda path: rearrange(path, **{"optimizer/moment_0": MOMENT + np.inf}), "moment_0 that makes no sense"),
        (lambda path: rearrange(path, **{"optimizer/moment_1": MOMENT}), "has an odd moment_1"),
        (lambda path: rearrange(path, **{"optimizer/updates": np.bool_(True)}), "updates of the wrong kind"),
        (lambda path: rearrange(path, **{"optimizer/count": np.int64(-1)}), "count that makes no sense"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_odd_values_are_one_line(checkpoint, damage, message, capfd):
    damage(checkpoint)
    line = refused(capfd, "--resume", checkpoint)
    assert message in line and "begin the run anew" in line


def test_an_odd_state_of_l_bfgs_is_one_line(inputs, tmp_path, capfd):
    path, more = tmp_path / "run.npz", ["--recipe", "gatys-2015", "--checkpoint-every", 1]
    assert main(arguments(inputs, tmp_path / "a", 2, *more, "--checkpoint", path)) == 0
    sound = path.read_bytes()
    for change, message in (
        ({"displacement_0": None}, "displacement_0"),
        ({"change_0": np.zeros(5, "float32")}, "a pair 0 of two shapes"),
        ({"newest": np.int64(9)}, "a newest pair that make no sense"),
        ({"products": np.zeros((2, 1))}, "products or a newest pair that make no sense"),
    ):
        path.write_bytes(sound)
        rearrange(path, **{f"optimizer/{name}": value for name, value in change.items()})
        line = refused(capfd, "--resume", path)
        assert "the checkpoint does not fit the optimizer lbfgs" in line and message in line


def test_settings_come_from_the_checkpoint_alone(checkpoint, capfd):
    assert "--lr cannot be given with --resume" in refused(capfd, "--resume", checkpoint, "--lr", "1")
    assert "--content-image cannot be given" in refused(capfd, "--resume", checkpoint, "--content-image", "x.png")


def test_a_refusal_names_every_flag_that_can_be_given_with_resume(checkpoint, tmp_path, capsys):
    assert main(["--resume", str(checkpoint), "--seed", "7"]) == 1
    allowed = (
        capsys.readouterr().err.split("only ")[1].split(" can be given with it")[0].replace(" and ", ", ").split(", ")
    )
    values = {"--tile-size": ["32"], "--memory": ["1GB"], "--trace": [str(tmp_path / "t.json")], "--quiet": []}
    for flag, value in values.items():
        assert flag in allowed
        assert main(["--resume", str(checkpoint), flag, *value]) == 0


def test_a_checkpoint_does_not_replace_an_input_and_its_place_is_tried_first(inputs, tmp_path, capfd):
    argv = arguments(inputs, tmp_path / "a", 2)
    for place in (tmp_path / "content.png", tmp_path / "a" / "o.png"):
        line = refused(capfd, *argv, "--checkpoint", place)
        assert line.endswith(f"{place}: another file of this run has this name; choose another for the checkpoint")
    line = refused(capfd, *argv, "--checkpoint", tmp_path / "x", "--trace", tmp_path / "x")
    assert "another file of this run has this name" in line
    (tmp_path / "file").write_text("")
    assert "choose another" in refused(capfd, *argv, "--checkpoint", tmp_path / "file" / "run.npz")
    assert "--checkpoint-every is 0" in refused(capfd, *argv, "--checkpoint-every", 0)
    assert not (tmp_path / "a").exists()


def test_a_disk_that_fills_up_costs_no_checkpoint_and_not_the_run(checkpoint, inputs, tmp_path, capfd, monkeypatch):
    before = checkpoint.read_bytes()

    def full(path, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(checkpoints, "write_whole", full)
    assert main(arguments(inputs, tmp_path / "b", 2, "--checkpoint", checkpoint, "--checkpoint-every", 1)) == 0
    err = capfd.readouterr().err
    assert f"neural-style: warning: {checkpoint}: cannot be written (No space left on device); free some space" in err
    assert checkpoint.read_bytes() == before and (tmp_path / "b" / "o.png").exists()
