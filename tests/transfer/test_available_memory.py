"""What may be used of the memory: what the machine and its control groups have left, and what a user allows."""

import psutil
import pytest

from neural_style._mxnet import mx
from neural_style.transfer import compute

MB = 2**20


def write(directory, **files):
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("memory_", "memory.")).write_text(f"{text}\n")


def left(tmp_path, groups):
    processes = tmp_path / "processes"
    processes.write_text(groups)
    return compute._left_by_control_groups(processes, tmp_path / "mounts")


def test_control_groups_of_version_2_with_their_ancestors(tmp_path):
    mounts = tmp_path / "mounts"
    write(mounts / "a" / "b", memory_max="max", memory_current=500, memory_stat="inactive_file 0")
    write(mounts / "a", memory_max=1000, memory_current=700, memory_stat="anon 600\ninactive_file 100")
    assert left(tmp_path, "0::/a/b\n") == [1000 - 700 + 100]


def test_control_groups_of_version_1_in_a_container(tmp_path):
    # The path is the host's; what is mounted here is the container's own group.
    files = dict(memory_limit_in_bytes=900, memory_usage_in_bytes=300, memory_stat="total_inactive_file 50")
    write(tmp_path / "mounts" / "memory", **files)
    assert left(tmp_path, "7:cpu:/\n4:hugetlb,memory:/docker/f00\n0::/\n") == [900 - 300 + 50]


def test_no_control_groups(tmp_path):
    assert compute._left_by_control_groups(tmp_path / "missing", tmp_path) == []
    assert left(tmp_path, "0::/a\n") == []


def test_the_least_of_machine_and_groups_is_available(monkeypatch):
    monkeypatch.setattr(compute, "_left_by_control_groups", lambda: [12345, 99999])
    assert compute.available(mx.cpu()) == 12345
    monkeypatch.setattr(compute, "_left_by_control_groups", lambda: [2**60])
    assert 0 < compute.available(mx.cpu()) <= psutil.virtual_memory().total
    monkeypatch.setattr(compute, "_left_by_control_groups", lambda: [-5])
    assert compute.available(mx.cpu()) == 0


def test_a_limit_is_the_whole_processs():
    used = psutil.Process().memory_info().rss
    assert compute.available(mx.cpu(), used + 10**9) == pytest.approx(10**9, abs=50 * MB)
    assert compute.available(mx.cpu(), 1) == 0


def test_a_process_that_shares_the_machine_is_given_its_share(monkeypatch):
    held = psutil.Process().memory_info().rss
    monkeypatch.setattr(compute, "_share", None)
    compute.limit_process(held + 900 * MB)
    assert abs(compute.available(mx.cpu()) - 900 * MB) < 50 * MB
    assert abs(compute.available(mx.cpu(), held + 200 * MB) - 200 * MB) < 50 * MB
    assert abs(compute.available(mx.cpu(), held + 10**12) - 900 * MB) < 50 * MB
