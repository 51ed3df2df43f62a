"""Many runs in one process, two at once in threads, one under an event loop, and one in a fork: the same bits."""

import asyncio
import ctypes
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


class Mallinfo2(ctypes.Structure):
    """What the C library says of its memory; the numbers in the order of its manual."""

    _fields_ = [("numbers", ctypes.c_size_t * 10)]


def allocated():
    """Return the bytes that are in use, in all threads and whether small or large, once everything is computed."""
    from neural_style._mxnet import mx

    mx.nd.waitall()
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    numbers = mallinfo2().numbers
    return numbers[7] + numbers[4]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later")
@pytest.mark.parametrize("recipe", ["mxnet-0.7", "paint"])
def test_the_memory_in_use_does_not_grow_from_run_to_run(lowrank_alone, recipe):
    """Resident memory rises and falls as freed blocks are used again; what is not freed shows here, to the kilobyte."""
    random = np.random.RandomState(0)
    content, style = (random.randint(0, 256, size).astype("uint8") for size in ((32, 40, 3), (36, 24, 3)))
    settings = get_recipe(recipe).override(max_long_edge=40, max_steps=8, stop_eps=0.0, save_every=0, pyramid=())

    def repeat(times):
        for _ in range(times):
            stylize(content, style, settings, compute=Compute(-1))
        return allocated()

    before = repeat(5)  # whatever is made once
    assert repeat(10) - before < 10 * 30000
