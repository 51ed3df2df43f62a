"""Repaint again and again in one process: does its memory level off?

    python benchmarks/memory.py --runs 100
    python benchmarks/memory.py --what video --runs 1000

After every tenth run it prints the resident memory; what the C library holds in use and free, where it says so; and
Python's objects and the arrays among them. At the end it prints the growth per run over each half of the runs.
"""

import argparse
import ctypes
import gc
import os

import numpy as np

from neural_style import get_recipe, stylize
from neural_style._mxnet import mx
from neural_style.recipes.video import Following
from neural_style.transfer.compute import Compute
from neural_style.transfer.frames import OptimisedFrames
from neural_style.transfer.inputs import as_styles


# glibc's: arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost.
class _Mallinfo2(ctypes.Structure):
    _fields_ = [("numbers", ctypes.c_size_t * 10)]


def resident():
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocated():
    """Return the bytes that the C library has given out and those that it keeps; None where it does not say."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):  # before glibc 2.33, and elsewhere
        return None, None
    mallinfo2.restype = _Mallinfo2
    numbers = mallinfo2().numbers
    return numbers[7] + numbers[4], numbers[8]


def make_runs(args):
    """Return a function that repaints once."""
    random = np.random.RandomState(0)
    edge = args.long_edge
    content, style = (
        random.randint(0, 256, size).astype("uint8") for size in ((edge * 3 // 4, edge, 3), (edge, edge, 3))
    )
    recipe = get_recipe(args.recipe).override(
        max_long_edge=edge, max_steps=args.steps, stop_eps=0.0, save_every=0, model="vgg16-lowrank", pyramid=()
    )
    if args.what == "image":
        return lambda number: stylize(content, style, recipe, compute=Compute(-1))
    frames = OptimisedFrames(as_styles(style), recipe, Following(frame_steps=args.steps), compute=Compute(-1))
    moved = []

    def follow(number):
        with frames.begin(np.roll(content, number, axis=1), *moved) as run:
            for _ in run:
                pass
        moved[:] = run.result.canvas, np.ones(run.result.canvas.shape[2:], np.float32)

    return follow


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["image", "video"], default="image")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--recipe", default="mxnet-0.7")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--long-edge", type=int, default=40)
    args = parser.parse_args()
    run, found = make_runs(args), []
    print(f"{'run':>5} {'resident':>9} {'in use':>9} {'free':>9} kB {'objects':>8} {'arrays':>6}")
    for number in range(1, args.runs + 1):
        run(number)
        found.append(resident())
        if number % args.every == 0 or number == 1:
            mx.nd.waitall()
            in_use, free = (0 if value is None else value // 1024 for value in allocated())
            kinds = [isinstance(thing, mx.nd.NDArray) for thing in gc.get_objects()]
            print(f"{number:5} {found[-1] // 1024:9} {in_use:9} {free:9}    {len(kinds):8} {sum(kinds):6}", flush=True)
    half = len(found) // 2
    for first, last in ((0, half), (half, len(found) - 1)):
        growth = (found[last] - found[first]) / 1024 / max(1, last - first)
        print(f"runs {first + 1} to {last + 1}: {growth:.1f} kB a run")


if __name__ == "__main__":
    main()
