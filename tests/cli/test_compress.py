"""``neural-style compress``: its flags, its table, and how it ends."""

import dataclasses
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage.io
from numpy_vgg import random_parameters

from neural_style.cli.main import main
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.training.compression import Compression
from neural_style.training.settings import CompressionSettings
from neural_style.weights.params_file import save_weights

REQUIRED = "compress --weights w.params --images photos --images paintings --output a.params".split()


@pytest.fixture
def calls(monkeypatch):
    """Record what is compressed, in place of doing it."""
    found = []

    class Recorded:
        complete = True

        def __init__(self, *arguments, **keywords):
            found.append(inspect.signature(Compression).bind(*arguments, **keywords).arguments)

        def run(self, interrupt):
            errors = {"relu1_2": (np.array([0.5, 0.25]), np.array([0.125, 0.0625]))}
            return {"batch": 100, "loss": 0.5, "complete": Recorded.complete, "errors": errors}

    monkeypatch.setattr("neural_style.training.compression.Compression", Recorded)
    found.append(Recorded)
    return found


def test_the_defaults_are_those_of_the_class(calls):
    assert main(REQUIRED) == 0
    defaults = {name: p.default for name, p in inspect.signature(Compression).parameters.items()}
    given = dict(weights="w.params", folders=["photos", "paintings"], output="a.params", ranks={})
    assert calls[1] == dict(defaults, **given)


def test_every_setting_has_a_flag(calls):
    argv = "--model vgg16 --start s.params --time 1.5 --numbers 7 --batches 8 --rate 0.5 --crop 64 --seed 9".split()
    argv += "--evaluate-every 10 --state-file s.npz --resume --gpu -1".split()
    argv += "--ranks conv4_2=136,216 --ranks conv5_2=96,128".split()
    assert main(REQUIRED + argv) == 0
    assert calls[1] == dict(
        weights="w.params",
        folders=["photos", "paintings"],
        output="a.params",
        model="vgg16",
        start="s.params",
        ranks={"conv4_2": (136, 216), "conv5_2": (96, 128)},
        settings=CompressionSettings(time=1.5, numbers=7, batches=8, rate=0.5, crop=64, seed=9, evaluate_every=10),
        state_file="s.npz",
        resume=True,
        gpu=-1,
    )


@pytest.mark.parametrize("ranks", ["conv4_2", "conv4_2=136", "conv4_2=136,-2", "=1,2"])
def test_ranks_that_are_none(calls, ranks, capfd):
    with pytest.raises(SystemExit) as error:
        main([*REQUIRED, "--ranks", ranks])
    assert error.value.code == 2 and f"'{ranks}' is not of the form conv4_2=136,216" in capfd.readouterr().err


def test_it_prints_a_table_and_says_what_to_do_after_an_interrupt(calls, capfd):
    assert main(REQUIRED) == 0
    out, err = capfd.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["layer", "before", "after", "Gram", "before", "after"],
        ["relu1_2", "0.5000", "0.1250", "0.2500", "0.0625"],
    ]
    assert err == "a.params: the best of all evaluations, after 100 batches\n"
    calls[0].complete = False
    assert main(REQUIRED) == 130
    assert capfd.readouterr().err.endswith("continue with --resume\n")


def test_help_names_every_flag_and_its_default(capfd):
    with pytest.raises(SystemExit) as raised:
        main(["compress", "--help"])
    out = " ".join(capfd.readouterr().out.split())
    assert raised.value.code == 0
    for name in set(inspect.signature(Compression).parameters) - {"settings"}:
        assert ("--images" if name == "folders" else "--" + name.replace("_", "-")) in out
    for setting in dataclasses.fields(CompressionSettings):
        assert "--" + setting.name.replace("_", "-") in out and f"(default: {setting.default})" in out


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys\nfrom neural_style.cli.main import main\ntry:\n    main(['compress', '--help'])\n"
        "except SystemExit:\n    print(sorted({'numpy', 'mxnet', 'skimage', 'PIL'} & set(sys.modules)))"
    )
    root = str(Path(__file__).resolve().parents[2])
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root).decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize("argv", [REQUIRED[:3], REQUIRED[:-2], [*REQUIRED, "--crop", "many"], [*REQUIRED, "--teacher"]])
def test_what_cannot_be_understood_exits_with_2(argv, capfd):
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2
    assert "neural-style compress: error: " in capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "weights file w.params does not exist"),
        (["--crop", "70"], "the crop is 70; it must be a multiple of 16 and at least 64 pixels"),
        (["--model", "vgg11"], "'vgg11' is no network that can be compressed; choose from vgg19, vgg16"),
    ],
)
def test_an_expected_failure_is_one_line(more, message, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(REQUIRED + more) == 1
    assert capfd.readouterr() == ("", f"neural-style: error: {message}\n")
    assert os.listdir(".") == []


def test_ctrl_c_before_the_training_ends_it_at_once_and_leaves_nothing(tmp_path):
    # Random weights of the full network: to measure and factorise them takes a minute or more.
    network = ARCHITECTURES["vgg16"]
    save_weights(tmp_path / "vgg16.params", random_parameters(network.parameter_shapes(["pool5"])), dtype="float16")
    rng = np.random.RandomState(0)
    (tmp_path / "images").mkdir()
    for number in range(40):
        picture = rng.randint(0, 256, (70, 70, 3)).astype("uint8")
        skimage.io.imsave(str(tmp_path / "images" / f"{number}.png"), picture, check_contrast=False)
    argv = [sys.executable, "-m", "neural_style", "compress", "--weights", str(tmp_path / "vgg16.params")]
    argv += ["--images", str(tmp_path / "images"), "--output", str(tmp_path / "a.params"), "--crop", "64"]
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        argv,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        cwd=root,
        # Children of a shell's background job ignore SIGINT unless somebody heeds it again.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    lines = []
    while not (lines and lines[-1].startswith("measuring")):
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert (process.returncode, rest) == (130, "neural-style: interrupted\n")
    assert sorted(os.listdir(str(tmp_path))) == ["images", "vgg16.params"]
