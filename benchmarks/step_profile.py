"""Where the time of a step goes, by MXNet's own profiler, compared with its floating-point operations at the peak.

    python benchmarks/step_profile.py [--network vgg19] [--size 400x600] [--steps 8]

The table lists every operator that takes at least half a per cent of a step of mxnet-0.7: how often it runs, its
milliseconds, its share, and its milliseconds relative to those of all floating-point operations of the step at the
machine's measured peak of float32 convolutions. The last rows are the sum, and the step as measured by a clock. A
separate process measures the peak, before and after. Nothing else should run meanwhile.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import bench

WARM_UP = 2  # steps


def profile(network, size, steps):
    """Return per operator the calls and the seconds of a step, and the seconds of a step."""
    sys.path[:0] = [str(bench.ROOT)]
    from neural_style._mxnet import mx

    times = []

    def watch(step, run):
        times.append(time.perf_counter())
        if step.number in (WARM_UP, steps):
            mx.nd.waitall()
            mx.profiler.set_state("run" if step.number == WARM_UP else "stop")

    with tempfile.TemporaryDirectory() as folder:
        mx.profiler.set_config(
            profile_symbolic=True,
            profile_imperative=True,
            profile_memory=False,
            profile_api=False,
            aggregate_stats=True,
            filename=str(Path(folder) / "profile.json"),
        )
        bench.run(network, size, steps, watch)
        table = mx.profiler.dumps(format="table")
    operators = {}
    for line in table.splitlines():
        # name, calls, total, least, most and mean milliseconds; the engine's own entries are not operators
        words = line.split()
        if len(words) == 6 and words[1].isdigit() and words[0] not in ("WaitForVar", "DeleteVariable"):
            operators[words[0]] = int(words[1]) / (steps - WARM_UP), float(words[2]) / 1e3 / (steps - WARM_UP)
    return operators, statistics.median(bench.differences(times[WARM_UP - 1 :]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="vgg19", choices=bench.NETWORKS)
    parser.add_argument("--size", default="400x600", help="height x width (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=8, help=f"of which {WARM_UP} are not counted (default: %(default)s)"
    )
    args = parser.parse_args()
    if args.steps <= WARM_UP:
        parser.error(f"--steps {args.steps} leaves none to count; give more than {WARM_UP}")
    size = bench.parse_size(args.size)
    peaks = bench.run_child("peak")
    operators, step = profile(args.network, size, args.steps)
    peaks += bench.run_child("peak")
    peak = statistics.median(peaks)
    ideal = bench.operations(args.network, size) / peak
    print(f"{bench.describe_machine()}\n\n{args.network}, {args.size}, convolution peak {peak / 1e9:.0f} GFLOP/s\n")
    print("| operator | calls | ms | share | to the convolution peak |\n| --- | --- | --- | --- | --- |")
    total = sum(seconds for _, seconds in operators.values())
    for name, (calls, seconds) in sorted(operators.items(), key=lambda item: -item[1][1]):
        if seconds >= 0.005 * total:
            print(f"| {name} | {calls:.0f} | {seconds * 1e3:.1f} | {seconds / total:.3f} | {seconds / ideal:.2f} |")
    print(f"| all operators | | {total * 1e3:.1f} | 1.000 | {total / ideal:.2f} |")
    print(f"| step | | {step * 1e3:.1f} | | {step / ideal:.2f} |")


if __name__ == "__main__":
    main()
