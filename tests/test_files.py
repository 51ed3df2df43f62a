"""Whole or not at all: also after a kill, on a full disk, in a closed folder."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from neural_style import files
from neural_style.errors import OutputError

FULL = "/dev/full"


def test_it_writes_and_replaces(tmp_path):
    path = tmp_path / "file"
    files.write_whole(path, b"one")
    assert path.read_bytes() == b"one"
    files.write_whole(str(path), memoryview(b"two"))
    assert path.read_bytes() == b"two"
    assert os.listdir(str(tmp_path)) == ["file"]


def test_a_relative_name_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.check_writable("file")
    files.write_whole("file", b"x")
    assert os.listdir(str(tmp_path)) == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("a bug")])
def test_whatever_ends_the_block_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        with files.replacing(path) as temporary:
            with open(temporary, "wb") as file:
                file.write(b"half")
            raise error
    assert path.read_bytes() == b"old" and os.listdir(str(tmp_path)) == ["file"]


@pytest.mark.skipif(not os.path.exists(FULL), reason="this system has no /dev/full")
def test_an_error_of_the_disk_is_left_to_the_caller_and_worded(tmp_path, monkeypatch):
    path = tmp_path / "file"

    def to_full_disk(name, mode):
        return open(FULL if mode == "xb" else name, "wb" if mode == "xb" else mode)

    monkeypatch.setattr(files, "open", to_full_disk, raising=False)
    with pytest.raises(OSError) as caught:
        files.write_whole(path, b"x")
    assert caught.value.errno == errno.ENOSPC
    assert str(files.output_error(path, caught.value)) == (
        f"{path}: cannot be written (No space left on device); free some space or choose another place"
    )
    assert os.listdir(str(tmp_path)) == []


def test_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_whole(tmp_path / "none" / "file", b"x")


def test_folders_that_were_made_for_a_trial_that_failed_are_gone(tmp_path):
    with pytest.raises(OutputError, match="choose a shorter name"):
        files.check_writable(tmp_path / "a" / "b" / (300 * "x"))
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    code = (
        "import itertools, sys; from neural_style.files import write_whole\n"
        "for n in itertools.count(): write_whole(sys.argv[1], bytes([n % 256]) * 300000)"
    )
    for delay in (0.0, 0.003, 0.011, 0.04):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        data = path.read_bytes()
        assert len(data) == 300000 and len(set(data)) == 1
        path.unlink()


@pytest.mark.skipif(not shutil.which("mount") or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], stderr=subprocess.DEVNULL):
        pytest.skip("mounting a small file system is not allowed here")
    try:
        files.write_whole(disk / "file", b"x" * 1000)
        with pytest.raises(OSError, match="No space left"):
            files.write_whole(disk / "file", b"y" * 200000)
        assert (disk / "file").read_bytes() == b"x" * 1000 and os.listdir(str(disk)) == ["file"]
    finally:
        subprocess.check_call(["umount", str(disk)])


def run(code, path):
    return subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_second_interrupt_in_the_middle_of_removing_leaves_nothing(tmp_path):
    """The first ends the block, the second comes before the temporary file of the first is removed."""
    code = """
import sys
from neural_style import files
remove, calls = files._remove, []
def interrupted(path):
    calls.append(path)
    if len(calls) == 1:
        raise KeyboardInterrupt
    remove(path)
files._remove = interrupted
with files.replacing(sys.argv[1]) as temporary:
    open(temporary, "wb").close()
    raise KeyboardInterrupt
"""
    assert b"KeyboardInterrupt" in run(code, tmp_path / "file").stderr
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_that_ends_leaves_the_temporary_files_of_its_parent(tmp_path):
    code = """
import atexit, os, sys
from neural_style import files
with files.replacing(sys.argv[1]) as temporary:
    open(temporary, "wb").close()
    child = os.fork()
    if child == 0:
        atexit._run_exitfuncs()
        os._exit(0)
    os.waitpid(child, 0)
"""
    assert run(code, tmp_path / "file").returncode == 0
    assert os.listdir(str(tmp_path)) == ["file"]


def test_a_temporary_folder(tmp_path):
    with pytest.raises(ValueError):
        with files.temporary_folder(str(tmp_path)) as folder:
            (tmp_path / os.path.basename(folder) / "inside").write_bytes(b"x")
            raise ValueError
    assert os.listdir(str(tmp_path)) == []
