"""Many runs in one process, two at once in threads, one under an event loop, and one in a fork: the same bits."""

import asyncio
import gc
import os
import threading

import numpy as np
import pytest

from neural_style import get_recipe, stylize
from neural_style.transfer.compute import Compute

RECIPE = get_recipe("mxnet-0.7").override(max_long_edge=40, max_steps=2, stop_eps=0.0, save_every=0)


@pytest.fixture
def run(lowrank_alone):
    random = np.random.RandomState(0)
    content, style = (random.randint(0, 256, size).astype("uint8") for size in ((32, 40, 3), (36, 24, 3)))

    def call(seed=0):
        return stylize(content, style, RECIPE, seed=seed, compute=Compute(-1)).canvas.tobytes()

    return call


def test_two_threads_at_once(run):
    expected, found = {seed: run(seed) for seed in (1, 2)}, {}
    assert expected[1] != expected[2]

    def repeat(seed):
        found[seed] = [run(seed) for _ in range(4)]

    threads = [threading.Thread(target=repeat, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: [canvas] * 4 for seed, canvas in expected.items()}


def test_under_an_event_loop(run):
    async def both():
        return run(1), await asyncio.get_running_loop().run_in_executor(None, run, 1)

    assert asyncio.run(both()) == (run(1),) * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_in_a_fork(run):
    expected = run(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, b"same" if run(1) == expected else b"other")
        finally:
            os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(read, 10) == b"same"
    os.close(read)


def test_a_run_that_is_over_holds_nothing(run):
    """With a cycle of references the arrays of a run would stay until Python looks for cycles."""
    from neural_style._mxnet import mx

    run()
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(thing, mx.nd.NDArray) for thing in gc.get_objects())
        for _ in range(3):
            run()
        assert sum(isinstance(thing, mx.nd.NDArray) for thing in gc.get_objects()) == before
    finally:
        gc.enable()
