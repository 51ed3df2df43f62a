"""Time one step of VGG-19, against the same loop with MXNet's own number of threads and the original's loop.

    python benchmarks/step_time.py [--size 170x256] [--steps 12] [--rounds 3]

Every measurement runs in a process of its own, because MXNet reads the number of threads once. The variants take turns,
so that whatever else the machine does falls on all of them; medians over all steps but the first two of each process.
The weights are random, which does not change the time. Nothing else should run meanwhile.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

VARIANTS = {
    "ours": "this package",
    "ours-default": "this package, MXNet's thread default",
    "original-default": "the original's loop, MXNet's thread default",
}


def measure(variant, size, steps):
    """Give the seconds of every step; runs in a child process."""
    import numpy as np

    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    if variant.endswith("-default"):
        np.bool = bool
        import mxnet  # noqa: F401  (before the package, which then leaves it as it is)
    import original_loop

    from neural_style import get_recipe, stylize
    from neural_style._mxnet import mx

    rng = np.random.RandomState(0)
    content, style = rng.randint(0, 256, (2,) + size + (3,)).astype("uint8")
    weights = original_loop.seeded_weights()
    times = [time.perf_counter()]
    if variant.startswith("ours"):
        recipe = get_recipe("mxnet-0.7").override(max_long_edge=max(size), max_steps=steps, save_every=0, stop_eps=0)
        parameters = {name[len("arg:") :]: value for name, value in weights.items()}
        stylize(
            content,
            style,
            recipe,
            weights=parameters,
            gpu=-1,
            callback=lambda step, image: times.append(time.perf_counter()),
        )
    else:
        from neural_style.images import resize, to_network

        norm = mx.nd.norm  # the last of a step's three norms is followed by its last wait
        calls = []

        def timed(array):
            calls.append(None)
            if len(calls) % 3 == 1:
                times.append(time.perf_counter())
            return norm(array)

        mx.nd.norm = timed
        flags = original_loop.Flags("0.7", max_num_epochs=steps + 1, stop_eps=0)
        original_loop.run(flags, *(to_network(resize(p, size)) for p in (content, style)), weights, 0)
        times = times[1:]
    return [after - before for before, after in zip(times, times[1:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="170x256", help="height x width in pixels (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="steps per process (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="processes per variant (default: %(default)s)")
    parser.add_argument("--child", choices=list(VARIANTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    size = tuple(int(side) for side in args.size.split("x"))
    if args.child:
        print(*measure(args.child, size, args.steps))
        return
    times = {variant: [] for variant in VARIANTS}
    for _ in range(args.rounds):
        for variant in VARIANTS:
            command = [sys.executable, "-W", "ignore", __file__, "--child", variant]
            command += ["--size", args.size, "--steps", str(args.steps)]
            output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
            times[variant] += [float(word) for word in output.split()][2:]
    reference = statistics.median(times["original-default"])
    print(f"VGG-19 to relu5_1, {size[0]} x {size[1]}, recipe mxnet-0.7, float32")
    print(f"{'':46} {'s/step':>8} {'ratio':>6}")
    for variant, description in VARIANTS.items():
        median = statistics.median(times[variant])
        print(f"{description:46} {median:8.3f} {median / reference:6.2f}")


if __name__ == "__main__":
    main()
