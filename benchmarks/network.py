"""A network of low rank compared with its full one: error on held-out images, parameters, time of a step.

    python benchmarks/network.py --weights vgg16.params --images photos --images paintings [--lowrank FILE] [--even]
        [--pooling max]

The error E of a layer is the mean squared difference of the two networks' activations, divided by the variance of the
full one's over all crops, on crops of images that `neural-style compress` holds out. --even also factorises the full
network with ranks of a third of the channels everywhere, on the other images and without training, and adds its errors.
A step is forward and backward to the image from relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 and relu4_2, with gradients
of ones; even ranks are timed with random values. Every time is measured in its own process; the variants take turns,
and the table shows medians and ratios to the full network. Nothing else should run meanwhile. Without --images, only
time and size are measured, and --weights is not needed.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "independent")]

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu4_2")
SIZES = ("256x384", "400x600")
CROP, HELD_OUT, FITTED = 192, 24, 104  # crops; as many as `compress` uses


def find_networks(path):
    """Return by name the full network, that of the file, and that of even ranks."""
    from neural_style.networks.vgg import ARCHITECTURES
    from neural_style.training.low_rank import even_ranks
    from neural_style.weights.checks import fitting_models
    from neural_style.weights.params_file import read_index

    index = read_index(path)
    names = [name for name in fitting_models(index)[0] if ARCHITECTURES[name].low_rank]
    if len(names) != 1:
        raise SystemExit(f"{path} is not a whole network of low rank")
    lowrank, full = ARCHITECTURES[names[0]], ARCHITECTURES[names[0].replace("-lowrank", "")]
    shapes = full.parameter_shapes([full.layers[-1]])
    even = tuple(even_ranks(shapes[f"{layer}_weight"]) for layer in full.convolutions[1:])
    return OrderedDict([("full", full), ("file", lowrank.fitted(index)), ("even", replace(lowrank, ranks=even))])


def time_steps(network, size, steps):
    """Return the seconds of every step but the first two, of random values."""
    from numpy_vgg import random_parameters

    from neural_style._mxnet import mx
    from neural_style.executors import bind
    from neural_style.networks.graph import build_symbol

    arrays = {name: mx.nd.array(a) for name, a in random_parameters(network.parameter_shapes(LAYERS)).items()}
    image = mx.nd.random.uniform(-100, 100, (1, 3) + size)
    gradients = {"data": mx.nd.zeros(image.shape)}
    executor = bind(build_symbol(network, LAYERS), {"data": image}, arrays, mx.cpu(), gradients=gradients)
    heads = [mx.nd.ones(output.shape) for output in executor.outputs]
    times = []
    for _ in range(steps + 2):
        mx.nd.waitall()
        begun = time.perf_counter()
        executor.forward(is_train=True)
        executor.backward(heads)
        gradients["data"].wait_to_read()
        times.append(time.perf_counter() - begun)
    return times[2:]


def measure_errors(args, networks):
    """Return by network the errors of every ReLU after the first, and the layers."""
    import numpy as np

    from neural_style._mxnet import mx
    from neural_style.executors import FeatureExecutor
    from neural_style.networks.graph import build_symbol
    from neural_style.training import low_rank
    from neural_style.training.crops import Crops, read_images
    from neural_style.weights.params_file import read_parameters

    def read(path, network):
        return read_parameters(path, network.parameter_shapes([network.layers[-1]]))

    full = networks["full"]
    layers = [layer for layer in full.layers if layer.startswith("relu")][1:]
    parameters = {"full": read(args.weights, full), "file": read(args.lowrank, networks["file"])}
    training, held_out = map(Crops, read_images(args.images, 2 * CROP))
    if args.even:
        crops = [mx.nd.array(training.batch(0, 10**6 + i, 4, CROP)) for i in range(FITTED // 4)]
        ranks = dict(zip(full.convolutions[1:], networks["even"].ranks))
        parameters["even"] = low_rank.decompose(full, parameters["full"], crops, ranks)
        del crops
    readers = {}
    for name, values in parameters.items():
        arrays = {key: mx.nd.array(value) for key, value in values.items()}
        symbol = build_symbol(networks[name], layers, args.pooling)
        readers[name] = FeatureExecutor(symbol, arrays, (1, 3, CROP, CROP), mx.cpu())
    squares = {name: np.zeros((HELD_OUT, len(layers))) for name in parameters if name != "full"}
    means, energies = ([[] for _ in layers] for _ in range(2))
    for number in range(HELD_OUT):
        crop = held_out.batch(1, number, 1, CROP, noisy=0)
        wanted = [target.asnumpy() for target in readers["full"].read(crop)]
        for i, target in enumerate(wanted):
            means[i].append(target.mean(axis=(0, 2, 3)))
            energies[i].append(np.square(target).mean(axis=(0, 2, 3)))
        for name, found in squares.items():
            for i, activation in enumerate(readers[name].read(crop)):
                found[number, i] = np.square(activation.asnumpy() - wanted[i]).mean()
    variances = [float((np.mean(e, axis=0) - np.square(np.mean(m, axis=0))).mean()) for m, e in zip(means, energies)]
    return layers, {name: found.mean(axis=0) / variances for name, found in squares.items()}


def print_errors(layers, errors):
    """Print the errors as a table."""
    print("| layer | " + " | ".join(f"E, {name}" for name in errors) + " |\n| --- |" + " --- |" * len(errors))
    for i, layer in enumerate(layers):
        print(f"| {layer} | " + " | ".join(f"{values[i]:.4f}" for values in errors.values()) + " |")
    print(flush=True)


def print_times(args, networks):
    """Measure in child processes that take turns, and print a table."""
    sizes = args.size or SIZES
    found = {(name, size): [] for name in networks for size in sizes}
    for size in sizes:
        for _ in range(args.rounds):
            for name in networks:
                command = [sys.executable, "-W", "ignore", __file__, "--lowrank", args.lowrank, "--child", name, size]
                done = subprocess.run(command + ["--steps", str(args.steps)], stdout=subprocess.PIPE, check=True)
                found[name, size] += map(float, done.stdout.split())
    medians = {key: statistics.median(seconds) for key, seconds in found.items()}
    print("| network | parameters | " + " | ".join(f"s/step at {size} | ratio" for size in sizes) + " |")
    print("| --- | --- |" + " --- | --- |" * len(sizes))
    for name, network in networks.items():
        shapes = network.parameter_shapes([network.layers[-1]]).values()
        cells = [f"{network.name}, {name}", f"{sum(map(_product, shapes)) / 1e6:.2f} M"]
        for size in sizes:
            cells += [f"{medians[name, size]:.3f}", f"{medians[name, size] / medians['full', size]:.3f}"]
        print("| " + " | ".join(cells) + " |")


def _product(shape):
    size = 1
    for side in shape:
        size *= side
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowrank", default=str(ROOT / "models" / "vgg16-lowrank.params"), metavar="FILE")
    parser.add_argument("--weights", metavar="FILE", help="weights of the full network")
    parser.add_argument("--images", action="append", metavar="DIR", help="as 'neural-style compress' had them")
    parser.add_argument("--even", action="store_true", help="factorise with even ranks, too; takes minutes")
    parser.add_argument("--pooling", choices=["avg", "max"], default="avg", help="for the errors (default: avg)")
    parser.add_argument("--errors-only", action="store_true", help="measure no times")
    parser.add_argument("--size", action="append", help=f"height x width (default: {', '.join(SIZES)})")
    parser.add_argument("--rounds", type=int, default=3, help="processes per variant (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=6, help="steps per process (default: %(default)s)")
    parser.add_argument("--child", nargs=2, metavar=("NETWORK", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    networks = find_networks(args.lowrank)
    if args.child:
        name, size = args.child
        print(*time_steps(networks[name], tuple(int(side) for side in size.split("x")), args.steps))
        return
    if (args.images or args.even) and not (args.images and args.weights):
        parser.error("errors need both --images and --weights")
    if args.images:
        print_errors(*measure_errors(args, networks))
    if not args.errors_only:
        print_times(args, networks)


if __name__ == "__main__":
    main()
