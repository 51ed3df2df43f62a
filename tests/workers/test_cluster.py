"""Workers of a Dask cluster: results, errors, deaths, a lost scheduler; a batch and a canvas on them."""

import builtins
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

from neural_style.cli.main import main
from neural_style.errors import DependencyError, SettingsError, WorkerError
from neural_style.images.reading import read_image
from neural_style.jobs.batch import Batch
from neural_style.jobs.job import Job
from neural_style.jobs.outputs import Outputs
from neural_style.objective.remote import free
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute, limit_process
from neural_style.transfer.stylize import stylize
from neural_style.workers import cluster as cluster_module
from neural_style.workers.cluster import PATIENCE, Cluster

try:
    import distributed
except ImportError:
    distributed = None

needs_dask = pytest.mark.skipif(distributed is None, reason="needs the package distributed: pip install distributed")


@pytest.fixture(scope="module")
def started():
    with Cluster("", 2, 3, 2 * 10**9, limit_process) as cluster:
        yield cluster


@pytest.fixture
def cluster(started):
    started.client.wait_for_workers(2, timeout=PATIENCE)  # those that a test before has killed are replaced
    return started


@pytest.fixture
def address(cluster):
    return cluster.client.scheduler.address


@needs_dask
def test_results_and_errors_come_back(cluster):
    assert cluster.submit(operator.add, 2, 3).result(PATIENCE) == 5
    assert cluster.submit(os.getenv, "OMP_NUM_THREADS").result(PATIENCE) == os.environ.get("OMP_NUM_THREADS", "3")
    share = "from neural_style.transfer import compute; assert compute._share == 2 * 10**9"
    assert cluster.submit(exec, share).result(PATIENCE) is None
    with pytest.raises(ZeroDivisionError):
        cluster.submit(operator.truediv, 1, 0).result(PATIENCE)
    code = "from neural_style.errors import SettingsError; raise SettingsError('`seed` is odd')"
    with pytest.raises(SettingsError, match="`seed` is odd"):
        cluster.submit(exec, code).result(PATIENCE)


@needs_dask
def test_values_stay_where_they_are_placed_and_are_added_up_there(cluster):
    there = cluster.workers()
    assert len(there) == 2
    array = np.arange(6.0)
    handles = [
        cluster.call(np.multiply, cluster.place(array, worker), n, worker=worker) for n, worker in enumerate(there)
    ]
    np.testing.assert_array_equal(cluster.fetch(handles[1]), array)
    total = cluster.add_up(sum, [cluster.call(operator.mul, n, 2) for n in range(20)])
    assert cluster.fetch(total) == 380
    everywhere = cluster.place([array])
    for worker in there:
        assert cluster.fetch(cluster.call(len, everywhere, worker=worker)) == 1


@needs_dask
def test_a_batch_makes_the_same_images(address, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["batch", "--content", str(pictures / "content.png"), "--style", str(pictures / "style.png"), "--quiet"]
    argv += ["--gpu", "-1", "--model", "vgg16-lowrank", "--max-long-edge", "40", "--max-num-epochs", "2"]
    argv += ["--vary", "seed=1,2", "--recipe", "fast", "--init", "noise"]
    assert main([*argv, "-o", "there", "--scheduler", address]) == 0
    content, style = (read_image(pictures / name) for name in ("content.png", "style.png"))
    recipe = get_recipe("fast").override(max_long_edge=40, max_steps=2, model="vgg16-lowrank", initial="noise")
    for seed in (1, 2):
        made = stylize(content, style, recipe, seed=seed, compute=Compute(-1))
        np.testing.assert_array_equal(read_image(f"there/content-style-seed={seed}.png"), made.image)


@needs_dask
def test_a_canvas_is_that_of_this_process_though_a_worker_dies(address, cluster, pictures):
    content, style = (read_image(pictures / name) for name in ("content.png", "style.png"))
    recipe = get_recipe("paint").override(max_long_edge=128, max_steps=3, model="vgg16-lowrank", pyramid=())
    whole = stylize(content, style, recipe, compute=Compute(-1, tile_size=32))
    killed = []

    def kill(step, run):
        if step.number == 2:
            worker = cluster.workers()[0]
            killed.append(cluster.client.run(os.getpid, workers=[worker])[worker])
            os.kill(killed[0], signal.SIGKILL)

    made = stylize(content, style, recipe, compute=Compute(-1, tile_size=32, scheduler=address), watch=kill)
    assert killed and len(made.history) == len(whole.history)
    assert np.linalg.norm(made.canvas - whole.canvas) < 1e-6 * np.linalg.norm(whole.canvas)
    for one, other in zip(made.history, whole.history):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
    cluster.client.run(free)


@needs_dask
def test_a_death_costs_no_more_than_time(cluster, tmp_path):
    count = str(tmp_path / "count")
    code = (
        f"import os, time\nwith open({count!r}, 'a') as file: file.write('x')\n"
        "time.sleep(1)\n"  # Dask does not replace a worker that dies before it has settled
        f"if os.path.getsize({count!r}) == 1: os.kill(os.getpid(), 9)"
    )
    assert cluster.submit(exec, code).result(PATIENCE) is None
    assert os.path.getsize(count) == 2
    with pytest.raises(WorkerError, match="is lost"):
        cluster.submit(exec, "import os, time; time.sleep(1); os.kill(os.getpid(), 9)").result(PATIENCE)


@needs_dask
def test_what_was_placed_on_a_lost_worker_is_lost(cluster):
    worker = cluster.workers()[0]
    handle = cluster.call(np.add, cluster.place(np.zeros(3), worker), 1.0, worker=worker)
    cluster.fetch(handle)
    pid = cluster.client.run(os.getpid, workers=[worker])[worker]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="lost"):
        cluster.fetch(cluster.call(np.add, handle, 1.0, worker=worker))


@needs_dask
def test_a_batch_that_leaves_lets_its_workers_go(address, cluster, pictures, tmp_path):
    recipe = get_recipe("fast").override(max_long_edge=40, max_steps=10**6, model="vgg16-lowrank", save_every=1)
    files = [str(pictures / name) for name in ("content.png", "style.png")]
    outputs = Outputs.beside(str(tmp_path / "endless.png"))
    endless = Job(files[0], [files[1]], outputs, recipe, compute=Compute(-1))
    with Cluster(address) as leaving:
        batch = Batch([endless], leaving.submit)
        outcomes = iter(batch)
        found = []
        waiting = threading.Thread(target=lambda: found.extend(outcomes))
        waiting.start()
        while not os.path.exists(outputs.intermediate(1)):
            assert waiting.is_alive()
            time.sleep(0.1)
        batch.stop()
        waiting.join(PATIENCE)
        assert [outcome.state for outcome in found] == ["left"]
    for worker in cluster.workers():
        # Done when the worker is free again; the job would have kept it for days.
        assert cluster.client.submit(operator.add, 2, 3, workers=[worker], pure=False).result(PATIENCE) == 5
    assert not os.path.exists(outputs.final)


@needs_dask
def test_a_lost_scheduler_is_one_line(tmp_path):
    script = tmp_path / "cluster.py"
    script.write_text(
        "import sys, distributed\n"
        "if __name__ == '__main__':\n"
        "    cluster = distributed.LocalCluster(1, 1, host='127.0.0.1', dashboard_address=None, silence_logs=50)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        with Cluster(process.stdout.readline().strip()) as there:
            assert there.submit(operator.add, 2, 3).result(PATIENCE) == 5
            future = there.submit(exec, "import time; time.sleep(600)")
            process.kill()
            with pytest.raises(CancelledError):
                future.result(PATIENCE)
            with pytest.raises(WorkerError, match="scheduler tcp://127.0.0.1"):
                there.place(1)
    finally:
        process.kill()
        process.communicate()


@needs_dask
def test_no_scheduler_is_one_line(monkeypatch, pictures, capsys):
    monkeypatch.setattr(cluster_module, "TIMEOUT", 0.5)
    images = [str(pictures / name) for name in ("content.png", "style.png")]
    for address in ("tcp://127.0.0.1:1", "photo.jpg", "nonsense://x"):
        assert main([*images, "--quiet", "--gpu", "-1", "--scheduler", address]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"neural-style: error: scheduler {address}: ")


def test_without_dask_it_is_one_line(monkeypatch):
    load = builtins.__import__

    def refuse(name, *more):
        if name == "distributed":
            raise ImportError("No module named 'distributed'")
        return load(name, *more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError, match=r"pip install 'mxnet-neural-style\[dask\]'"):
        Cluster("")
