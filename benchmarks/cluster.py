"""A large canvas on the workers of this machine: time of an evaluation and memory of every process.

    python benchmarks/cluster.py CONTENT STYLE --size 8192 --tile-size 512 --workers local,1,2

Every number of workers gets a Dask cluster of its own, one thread each, and evaluates the objective at the same canvas;
`local` is the same in this process, with one thread. On a machine that others use, seconds by the clock say little;
seconds of the processors, of this process and of the busiest worker, add up to what an evaluation would take alone.
Memory is the most that a process ever held (VmHWM), with what it held before the run in brackets. Gradients are
compared with the first. `--own` measures instead what this process does itself at every step, whoever computes the
network: total variation, L-BFGS, and cutting up and putting together what travels.
"""

import argparse
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np

# Before MXNet starts: what this process computes itself is to take one thread, too.
os.environ["OMP_NUM_THREADS"] = "1"

from neural_style import get_recipe, read_image  # noqa: E402
from neural_style._mxnet import mx  # noqa: E402
from neural_style.objective.objective import Objective  # noqa: E402
from neural_style.objective.variation import TVGradientExecutor  # noqa: E402
from neural_style.optimizers import make_optimizer  # noqa: E402
from neural_style.transfer.inputs import Inputs, Style, load_parameters, starting_canvas  # noqa: E402
from neural_style.weights.lookup import find_weights  # noqa: E402
from neural_style.workers.cluster import Cluster  # noqa: E402


def peak():
    """Return the most memory, in MB, that this process has held."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))


def make_objective(args, workers):
    """Make the objective of the recipe at its start; return it with its canvas."""
    settings = dict(max_long_edge=args.size, model=args.model, style_scale=args.style_scale)
    recipe = get_recipe(args.recipe).override(**settings)
    inputs = Inputs(read_image(args.content), [Style(read_image(args.style))], None, recipe)
    parameters = load_parameters(recipe.losses, find_weights(args.model), mx.cpu())
    canvas = starting_canvas(recipe.start, 0, inputs)
    known = recipe.losses, parameters, inputs.content, inputs.styles, canvas
    return Objective(*known, 10**12, args.tile_size, workers=workers), canvas


def measure(args, count):
    """Measure one number of workers in this process, and keep the gradient in a file."""
    before = peak()
    workers = None if count == "local" else Cluster("", int(count), 1)

    def ask(function):
        return [] if workers is None else list(workers.client.run(function).values())

    idle, begun = ask(peak), time.monotonic()
    objective, canvas = make_objective(args, workers)
    prepared, rows = time.monotonic() - begun, []
    for _ in range(args.evaluations + 1):
        begun, here, there = time.monotonic(), time.process_time(), ask(time.process_time)
        evaluation = objective.evaluate()
        gradient = evaluation.gradient.asnumpy()
        there = [after - before for after, before in zip(ask(time.process_time), there)]
        rows.append((time.monotonic() - begun, time.process_time() - here, max(there, default=0.0)))
    # The first binds executors.
    wall, here, there = np.median(rows[1:], axis=0)
    np.save(args.keep, gradient)
    memory = ", ".join(f"{most:.0f} ({at:.0f})" for most, at in zip(ask(peak), idle))
    size = f"{canvas.shape[3]} x {canvas.shape[2]}"
    print(f"| {count} | {size} | {prepared:.0f} | {wall:.1f} | {here:.1f} | {there:.1f} | ", end="")
    print(f"{peak():.0f} ({before:.0f}) | {memory} |", end="", flush=True)
    if workers is not None:
        workers.close()


def measure_own(args, shape=(1, 3, 512, 2048), steps=12):
    """Print the microseconds that this process takes for every pixel, in a run of the optimizer without the network."""
    losses = get_recipe(args.recipe).losses
    canvas = mx.nd.array(np.random.RandomState(0).uniform(-100, 100, shape))
    bounds = tuple(mx.nd.full((1, 3, 1, 1), bound) for bound in (-128, 127))
    optimizer = make_optimizer(get_recipe(args.recipe).optimizer, canvas, bounds)
    variation = TVGradientExecutor(canvas, losses.tv_weight, mx.cpu(), losses.tv_kind)
    curvature = mx.nd.array(np.linspace(0.1, 10, shape[3], dtype=np.float32).reshape((1, 1, 1, -1)))
    gradient, spent = mx.nd.zeros(shape), {"others": 0.0}

    def evaluate():
        begun = time.process_time()
        mx.nd.broadcast_mul(canvas, curvature, out=gradient)
        loss = float((canvas * gradient).sum().asscalar()) / 2
        spent["others"] += time.process_time() - begun
        half = shape[3] // 2
        for part in (slice(0, half), slice(half, None)):
            there = np.ascontiguousarray(canvas.asnumpy()[..., part])
            gradient[:, :, :, part] = gradient[:, :, :, part] + 0 * mx.nd.array(there)
        variation.run()
        gradient[:] = gradient + 0 * variation.gradient
        return SimpleNamespace(gradient=gradient, loss=loss)

    rows = []
    for _ in range(steps):
        begun, spent["others"] = time.process_time(), 0.0
        optimizer.step(canvas, evaluate)
        mx.nd.waitall()
        rows.append((time.process_time() - begun - spent["others"]) / (shape[2] * shape[3]) * 1e6)
    print(f"{np.median(rows[steps // 2 :]):.2f} microseconds a pixel")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content", nargs="?")
    parser.add_argument("style", nargs="?")
    parser.add_argument("--size", type=int, default=8192, help="long edge in pixels")
    parser.add_argument("--tile-size", type=int, default=512)
    parser.add_argument("--evaluations", type=int, default=1)
    parser.add_argument("--recipe", default="paint")
    parser.add_argument("--style-scale", type=float, default=1.0)
    parser.add_argument("--model", default="vgg16-lowrank")
    parser.add_argument("--workers", default="local,1,2")
    parser.add_argument("--keep", default="gradient.npy", help="file for the last gradient")
    parser.add_argument("--one", action="store_true", help="measure in this process, without starting another")
    parser.add_argument("--own", action="store_true", help="measure what a step costs this process")
    args = parser.parse_args()
    if args.own:
        measure_own(args)
        return
    if args.one:
        measure(args, args.workers)
        return
    print("| workers | canvas | targets, s | evaluation, s | here, CPU s | busiest worker, CPU s |", end="")
    print(" memory here, MB | of workers, MB | to the first |\n|---|---|---|---|---|---|---|---|---|", flush=True)
    first = None
    for count in args.workers.split(","):
        subprocess.run([sys.executable, *sys.argv, "--one", "--workers", count], check=True)
        gradient = np.load(args.keep)
        first = gradient if first is None else first
        print(f" {np.linalg.norm(gradient - first) / np.linalg.norm(first):.1e} |", flush=True)
    os.remove(args.keep)


if __name__ == "__main__":
    main()
