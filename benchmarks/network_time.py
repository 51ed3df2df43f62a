"""Time a step of vgg19-compact against one of VGG-19.

    python benchmarks/network_time.py [--size 256x384 --size 400x600] [--steps 5] [--rounds 3]

The networks take turns in one process; medians over all steps but the first two of each turn. Weights and pictures are
random, which does not change the time. Nothing else should run meanwhile.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
from numpy_vgg import random_parameters  # noqa: E402

from neural_style import get_recipe, stylize  # noqa: E402
from neural_style._mxnet import mx  # noqa: E402
from neural_style.problem import required_parameters  # noqa: E402

NETWORKS = ("vgg19", "vgg19-compact")


def measure(recipe, weights, size, steps):
    """Give the seconds of every step but the first two."""
    content, style = np.random.RandomState(0).randint(0, 256, (2,) + size + (3,)).astype("uint8")
    recipe = recipe.override(max_long_edge=max(size), max_steps=steps + 2, save_every=0, stop_eps=0)
    times = []
    stylize(content, style, recipe, weights, gpu=-1, callback=lambda step, image: times.append(time.perf_counter()))
    return [after - before for before, after in zip(times[1:], times[2:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help="height x width (default: 256x384 and 400x600)")
    parser.add_argument("--steps", type=int, default=5, help="steps per turn (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each network (default: %(default)s)")
    args = parser.parse_args()
    recipes = {name: get_recipe("mxnet-0.7").override(model=name) for name in NETWORKS}
    weights = {
        name: {key: mx.nd.array(value) for key, value in random_parameters(required_parameters(recipe)).items()}
        for name, recipe in recipes.items()
    }
    print(f"{'size':10} {'network':16} {'s/step':>8} {'ratio':>6}")
    for text in args.size or ["256x384", "400x600"]:
        size = tuple(int(side) for side in text.split("x"))
        times = {name: [] for name in NETWORKS}
        for _ in range(args.rounds):
            for name in NETWORKS:
                times[name] += measure(recipes[name], weights[name], size, args.steps)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name in NETWORKS:
            print(f"{text:10} {name:16} {medians[name]:8.3f} {medians[name] / medians['vgg19']:6.3f}", flush=True)


if __name__ == "__main__":
    main()
