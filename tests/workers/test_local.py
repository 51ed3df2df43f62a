"""Processes that work: results, errors and deaths of single calls, and their end with the process they work for."""

import operator
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from neural_style.errors import SettingsError, WorkerError
from neural_style.workers.local import MOST_DEATHS, LocalWorkers


@pytest.fixture(scope="module")
def workers():
    with LocalWorkers(2, 3) as workers:
        yield workers


def test_results_and_errors_come_back(workers):
    assert workers.submit(operator.add, 2, 3).result() == 5
    with pytest.raises(ZeroDivisionError):
        workers.submit(operator.truediv, 1, 0).result()
    code = "from neural_style.errors import SettingsError; raise SettingsError('`seed` is odd')"
    with pytest.raises(SettingsError, match="`seed` is odd"):
        workers.submit(exec, code).result()


def test_they_are_other_processes_that_are_kept(workers):
    first = workers.submit(os.getpid).result()
    assert first != os.getpid() and workers.submit(os.getpid).result() == first


def test_threads_are_as_said_unless_the_environment_says_otherwise(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for given, expected in ((None, "3"), ("5", "5")):
        if given:
            monkeypatch.setenv("OMP_NUM_THREADS", given)
        with LocalWorkers(1, 3) as workers:
            assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == expected


def test_a_death_costs_one_call_which_runs_again(workers, tmp_path):
    died, other = str(tmp_path / "died"), str(tmp_path / "other")
    # It appends a letter, dies the first time, and waits for the other.
    code = (
        "import os, signal, time\n"
        "with open({0!r}, 'a') as file: file.write('x')\n"
        "if {2} and os.path.getsize({0!r}) == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "while not {2} and os.path.getsize({1!r}) < 2: time.sleep(0.01)\n"
    )
    open(died, "w").close()
    calls = [workers.submit(exec, code.format(*names)) for names in ((other, died, False), (died, other, True))]
    assert [call.result(60) for call in calls] == [None, None]
    assert os.path.getsize(died) == 2 and os.path.getsize(other) == 1


def test_a_call_that_kills_every_process_is_given_up(workers, tmp_path):
    count = str(tmp_path / "count")
    code = f"import os\nwith open({count!r}, 'a') as file: file.write('x')\nos.kill(os.getpid(), 9)"
    with pytest.raises(WorkerError, match="3 processes died of it"):
        workers.submit(exec, code).result(60)
    assert os.path.getsize(count) == MOST_DEATHS
    assert workers.submit(operator.add, 2, 3).result() == 5


def test_closing_ends_what_is_under_way(tmp_path):
    workers = LocalWorkers(1, 1)
    pid = workers.submit(os.getpid).result()
    waiting = [workers.submit(time.sleep, 600), workers.submit(time.sleep, 600)]
    workers.close()
    assert all(call.done() for call in waiting) and not psutil.pid_exists(pid)


def test_they_end_with_the_process_they_work_for(tmp_path):
    path = tmp_path / "pid"
    code = (
        "import os, time\nfrom neural_style.workers.local import LocalWorkers\n"
        "if __name__ == '__main__':\n"
        f"    workers = LocalWorkers(1, 1); pid = workers.submit(os.getpid).result()\n"
        "    workers.submit(time.sleep, 600)\n"
        f"    open({str(path) + '.part'!r}, 'w').write(str(pid)); os.replace({str(path) + '.part'!r}, {str(path)!r})\n"
        "    time.sleep(600)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)
    worker = psutil.Process(int(path.read_text()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    worker.wait(30)
