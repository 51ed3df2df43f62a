"""Careless and hostile commands: one line, an exit code, and every file as it was. `hostile.py` has the table."""

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from neural_style.cli.main import main
from neural_style.errors import CheckpointError
from neural_style.training.loop import read_state

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pipes and links")


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hostile = _load("hostile")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder, before = tmp_path_factory.mktemp("world"), os.getcwd()
    os.chdir(folder)
    try:
        hostile.make_world()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(world, tmp_path, monkeypatch):
    """Stand in a copy of the world, hard links included, with a Ghostscript that leaves a trace."""
    subprocess.check_call(["cp", "-a", f"{world}/.", str(tmp_path)])
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content_of(folder):
    """Return the content of all files of moderate size."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size < 10**8:
            found[path] = path.read_bytes()
    return found


NEEDS = {".h5": "h5py", ".pth": "torch"}


@pytest.mark.parametrize("case", hostile.CASES, ids=lambda case: f"{case.border}-{case.name.replace(' ', '_')[:40]}")
def test_a_command_ends_in_one_line_and_changes_nothing(case, place, capfd):
    for suffix, package in NEEDS.items():
        if any(word.endswith(suffix) for word in case.argv):
            pytest.importorskip(package, reason=f"needs {package}, which an extra installs")
    case.prepare()
    capfd.readouterr()
    before = content_of(place)
    try:
        code = main(case.argv)
    except SystemExit as end:
        code = end.code
    lines = capfd.readouterr().err.splitlines()
    assert code == case.code, lines
    assert lines[-1].startswith("neural-style") and "error: " in lines[-1], lines
    assert re.search(case.says, lines[-1]), lines
    assert code == 2 or [line for line in lines if "error" in line or "warning" in line] == lines[-1:]
    after = content_of(place)
    assert {path: after.get(path) for path in before} == before
    assert not [path for path in after if path.suffix == ".part"]


@pytest.mark.parametrize("more", [["--quiet"], ["--quiet", "--lr", "1e38"], ["--quiet", "--init", "nothing.png"]])
def test_quiet_leaves_the_error_alone(place, capfd, more):
    shutil.copy("content.png", "o.png")
    argv = [*hostile.STYLIZE, *more]
    if more == ["--quiet"]:
        argv += ["--tile-size", "3"]
    code = main(argv)
    assert len(capfd.readouterr().err.splitlines()) == code


def bound_by_permissions():
    """Return the beginning of a command whose process permissions bind, even if it is root's."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("permissions do not bind root, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.mark.parametrize(
    "argv, says",
    [
        (["weights", "list", "--models-dir", "closed"], None),
        (["weights", "verify", "closed/w.params"], "closed/w.params does not exist|denied"),
        (["weights", "import", "w.params", "--output", "closed/out.params"], "closed/out.params.*denied"),
        (["weights", "fetch", "vgg19", "--models-dir", "closed"], "closed"),
        ([*hostile.STYLIZE, "-o", "closed/o.png"], "closed/o.png.*denied"),
        ([*hostile.STYLIZE, "--weights", "closed/w.params"], "closed/w.params"),
        (["closed/content.png", *hostile.STYLIZE[1:]], "closed/content.png"),
        (["--resume", "closed/run.npz"], "closed/run.npz"),
    ],
    ids=["list", "verify", "import", "fetch", "result", "weights", "content", "resume"],
)
def test_closed_folders(place, argv, says):
    os.mkdir("closed", 0)
    done = subprocess.run(
        [*bound_by_permissions(), sys.executable, "-m", "neural_style", *argv],
        env={**os.environ, "HOME": str(place / "closed"), "XDG_CACHE_HOME": "", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    lines = done.stderr.decode().splitlines()
    if says is None:
        assert done.returncode == 0 and "Traceback" not in "".join(lines)
    else:
        errors = [line for line in lines if line.startswith("neural-style: error: ")]
        assert done.returncode == 1 and errors == lines[-1:] and re.search(says, lines[-1]), lines


def test_a_working_folder_that_is_gone(place):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir(os.getcwd())\n"
        "from neural_style.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", code, str(ROOT), "../content.png", "../style.png", "--checkpoint", "x.npz"]
    done = subprocess.run(argv, stderr=subprocess.PIPE, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith("neural-style: error: "), lines


def test_a_full_disk_is_said_once(place, capfd, monkeypatch):
    from neural_style.jobs import checkpoints

    def full(path, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(checkpoints, "write_whole", full)
    argv = [*hostile.STYLIZE, "--max-num-epochs", "6", "--checkpoint", "c.npz", "--checkpoint-every", "1", "--quiet"]
    assert main(argv) == 0
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", hostile.ARCHIVES)
def test_a_damaged_state_of_a_training(name, tmp_path):
    (tmp_path / "state.npz").write_bytes(hostile.ARCHIVES[name])
    with pytest.raises(CheckpointError, match="not the state of a training"):
        read_state(tmp_path / "state.npz", {"seed": 0})
