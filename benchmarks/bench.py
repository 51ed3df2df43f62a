"""Time and memory of a step: this package, the original's loop as it was, and the same objective in PyTorch.

    make bench                                  # everything, into one table
    python benchmarks/bench.py --network vgg19 --size 170x256 --rounds 3

Every measurement runs in its own process, because MXNet reads the number of threads only once and memory only grows.
The variants take turns, so that other load on the machine affects all of them equally. Times are medians over all steps
but the first two of each process; memory is the maximum of a process. Weights and images are random, which affects
neither. If the processor has no instructions for bfloat16, its variants, which would emulate them, are skipped unless
they are named. The last columns are ratios: to the original's loop, and to the time that the step's floating-point
operations would take at the machine's measured peak of float32 convolutions. Nothing else should run meanwhile.
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections import OrderedDict
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SIZES = ("170x256", "256x384", "400x600")
NETWORKS = ("vgg19", "vgg16-lowrank")
STYLE, CONTENT = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), "relu4_2"

VARIANTS = OrderedDict(
    [
        ("original", "the original's loop, MXNet's thread default"),
        ("ours-default", "this package, MXNet's thread default"),
        ("ours", "this package"),
        ("ours-bf16", "this package, bfloat16"),
        ("torch", "PyTorch, NCHW float32"),
        ("torch-channels-last", "PyTorch, channels_last float32"),
        ("torch-bf16", "PyTorch, channels_last bfloat16"),
    ]
)


def measure(variant, network, size, steps):
    """Return the seconds of every step; runs in a child process."""
    import numpy as np

    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "independent")]
    if variant in ("original", "ours-default"):
        np.bool = bool
        import mxnet  # noqa: F401  (before the package, which then leaves its threads as they are)
    if variant.startswith("ours"):
        times = [time.perf_counter()]
        precision = "bf16" if variant == "ours-bf16" else "float32"
        run(network, size, steps, lambda step, run: times.append(time.perf_counter()), precision)
        return differences(times)
    inputs = random_inputs(network, size)
    if variant == "original":
        return _time_original(*inputs, steps)
    return _time_torch(variant, network, *inputs, steps)


def random_inputs(network, size):
    """Return parameters by name, a content and a style, in NumPy."""
    import numpy as np

    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "independent")]
    from numpy_vgg import random_parameters

    content, style = np.random.RandomState(0).randint(0, 256, (2,) + size + (3,)).astype("uint8")
    return random_parameters(find_architecture(network).parameter_shapes([STYLE[-1]])), content, style


def find_architecture(network):
    """Return a network; one of low rank has the ranks of its installed weights."""
    from neural_style.networks.vgg import ARCHITECTURES
    from neural_style.weights.lookup import find_weights
    from neural_style.weights.params_file import read_index

    architecture = ARCHITECTURES[network]
    return architecture.fitted(read_index(find_weights(network))) if architecture.low_rank else architecture


def run(network, size, steps, watch, precision="float32"):
    """Run mxnet-0.7 of this package on random inputs."""
    parameters, content, style = random_inputs(network, size)
    from neural_style import Compute, get_recipe, stylize
    from neural_style._mxnet import mx

    settings = dict(model=network, max_long_edge=max(size), max_steps=steps, save_every=0, stop_eps=0)
    weights = {name: mx.nd.array(value) for name, value in parameters.items()}
    recipe, compute = get_recipe("mxnet-0.7").override(**settings), Compute(-1, precision)
    stylize(content, style, recipe, weights=weights, compute=compute, watch=watch)


def _time_original(parameters, content, style, steps):
    import original_loop

    from neural_style._mxnet import mx
    from neural_style.images.sizing import resize
    from neural_style.images.units import to_network

    norm, times, calls = mx.nd.norm, [], []  # the last of a step's three norms is followed by its last wait

    def timed(array):
        calls.append(None)
        if len(calls) % 3 == 1:
            times.append(time.perf_counter())
        return norm(array)

    mx.nd.norm = timed
    flags = original_loop.Flags("0.7", max_num_epochs=steps + 1, stop_eps=0)
    weights = {f"arg:{name}": mx.nd.array(value) for name, value in parameters.items()}
    original_loop.run(flags, *(to_network(resize(p, content.shape[:2])) for p in (content, style)), weights, 0)
    return differences(times)


def _time_torch(variant, network, parameters, content, style, steps):
    """The objective of mxnet-0.7 and its optimizer, as ports to PyTorch write it: eager, with autograd."""
    import numpy as np
    import torch
    import torch.nn.functional as F

    from neural_style.images.sizing import resize
    from neural_style.images.units import to_network
    from neural_style.networks.vgg import ARCHITECTURES

    layout = torch.contiguous_format if variant == "torch" else torch.channels_last
    dtype = torch.bfloat16 if variant == "torch-bf16" else torch.float32
    tensors = {}
    for name, value in parameters.items():
        tensor = torch.from_numpy(np.asarray(value, np.float32)).to(dtype)
        tensors[name] = tensor.to(memory_format=layout) if tensor.dim() == 4 else tensor

    def convolve(x, name):
        bias = tensors[f"{name}_bias"]
        if f"{name}_weight" in tensors:
            return F.conv2d(x, tensors[f"{name}_weight"], bias, padding=1)
        x = F.conv2d(F.conv2d(x, tensors[f"{name}_in_weight"]), tensors[f"{name}_core_weight"], padding=1)
        return F.conv2d(x, tensors[f"{name}_out_weight"], bias)

    def features(x):
        relus = {}
        x = x.to(dtype).to(memory_format=layout)
        for b, (convolutions, _) in enumerate(ARCHITECTURES[network].blocks, 1):
            for c in range(1, convolutions + 1):
                x = F.relu(convolve(x, f"conv{b}_{c}"))
                relus[f"relu{b}_{c}"] = x
                if f"relu{b}_{c}" == STYLE[-1]:
                    return relus
            x = F.avg_pool2d(x, 2)

    def gram(relu):
        flat = relu.float().reshape(relu.shape[1], -1)
        return flat @ flat.T

    content, style = (torch.from_numpy(to_network(resize(p, content.shape[:2]))) for p in (content, style))
    with torch.no_grad():
        grams = {layer: gram(relu) for layer, relu in features(style).items() if layer in STYLE}
        wanted = features(content)[CONTENT].float()
    x = (torch.rand(content.shape) * 0.2 - 0.1).requires_grad_()
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]).reshape(1, 1, 3, 3).repeat(3, 1, 1, 1) / 8
    optimizer = torch.optim.SGD([x], lr=0.001, momentum=0.9, weight_decay=0.0005)
    times = [time.perf_counter()]
    for _ in range(steps):
        optimizer.zero_grad()
        relus = features(x)
        loss = 10 * ((relus[CONTENT].float() - wanted) ** 2).sum()
        for layer in STYLE:
            _, c, h, w = relus[layer].shape
            loss = loss + ((gram(relus[layer]) - grams[layer]) ** 2).sum() / (c * c * h * w)
        loss.backward()
        with torch.no_grad():
            torch.nn.utils.clip_grad_norm_([x], x.numel())
            x.grad += 0.01 * F.conv2d(x, kernel, padding=1, groups=3)
            before = x.detach().clone()
            optimizer.step()
            float((x - before).norm() / x.norm())
        times.append(time.perf_counter())
    return differences(times)


def differences(times):
    return [after - before for before, after in zip(times, times[1:])]


def operations(network, size):
    """Count the floating-point operations of one step: convolutions, Gram products, and both backward to the image."""
    sys.path[:0] = [str(ROOT)]
    architecture, total = find_architecture(network), 0
    for name, shape in architecture.parameter_shapes([STYLE[-1]]).items():
        if name.endswith("_weight"):
            layer = "_".join(name.split("_")[:2])  # of conv1_2_in_weight, too
            positions = (size[0] // architecture.stride(layer)) * (size[1] // architecture.stride(layer))
            multiplications = shape[0] * shape[1] * shape[2] * shape[3] * positions
            total += 2 * 2 * multiplications  # forward, and backward to the data
            if layer.replace("conv", "relu") in STYLE and name in (f"{layer}_weight", f"{layer}_out_weight"):
                # F F' forward; backward there are two products of the same size, as F is both factors.
                total += 3 * 2 * shape[0] ** 2 * positions
    return total


def convolution_peak(seconds=6.0):
    """Measure the most operations per second of a float32 convolution of VGG's kind, forward, in MXNet."""
    sys.path[:0] = [str(ROOT)]
    from neural_style._mxnet import mx

    best = 0.0
    for channels, height, width in ((64, 128, 192), (128, 128, 192), (256, 64, 96), (512, 32, 48)):
        data = mx.nd.ones((1, channels, height, width))
        symbol = mx.sym.Convolution(
            mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=channels, name="a"),
            kernel=(3, 3),
            pad=(1, 1),
            num_filter=channels,
            name="b",
        )
        shapes, _, _ = symbol.infer_shape(data=data.shape)
        arguments = {name: mx.nd.ones(shape) for name, shape in zip(symbol.list_arguments(), shapes)}
        arguments["data"] = data
        executor = symbol.bind(mx.cpu(), arguments, grad_req="null")
        begun, times = time.perf_counter(), []
        while time.perf_counter() - begun < seconds / 4:
            before = time.perf_counter()
            executor.forward(is_train=False)[0].wait_to_read()
            times.append(time.perf_counter() - before)
        best = max(best, 2 * 2 * 9 * channels**2 * height * width / statistics.median(times[2:] or times))
    return best


def _usual_variants():
    sys.path[:0] = [str(ROOT)]
    from neural_style.transfer.compute import is_native

    native = is_native()
    return [name for name in VARIANTS if native or not name.endswith("bf16")]


def run_child(*words):
    command = [sys.executable, "-W", "ignore", __file__, "--child", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.strip().splitlines()[-1]}")
    return [float(word) for word in done.stdout.split()]


def _child(words):
    if words[0] == "peak":
        print(convolution_peak())
        return
    variant, network, size, steps = words
    times = measure(variant, network, parse_size(size), int(steps))
    print(*times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def parse_size(size):
    return tuple(int(side) for side in size.split("x"))


def main():
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: both")
    parser.add_argument("--size", action="append", help=f"height x width (default: {', '.join(SIZES)})")
    parser.add_argument(
        "--variant", action="append", choices=list(VARIANTS), help="default: all that the processor has"
    )
    parser.add_argument("--steps", type=int, default=8, help="steps per process (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="processes per variant (default: %(default)s)")
    args = parser.parse_args()
    variants = [name for name in VARIANTS if name in (args.variant or _usual_variants())]
    peaks = []
    print(f"{describe_machine()}\n")
    print("| network | size | variant | s/step | to the original | peak memory | to the convolution peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for network in args.network or NETWORKS:
        for size in args.size or SIZES:
            times, memory = {name: [] for name in variants}, dict.fromkeys(variants, 0.0)
            for _ in range(args.rounds):
                peaks += run_child("peak")
                for name in variants:
                    *seconds, peak = run_child(name, network, size, args.steps)
                    times[name] += seconds[2:]
                    memory[name] = max(memory[name], peak)
            medians = {name: statistics.median(values) for name, values in times.items()}
            ideal = operations(network, parse_size(size)) / statistics.median(peaks)
            for name in variants:
                ratio = f"{medians[name] / medians['original']:.2f}" if "original" in medians else ""
                cells = [network, size, VARIANTS[name], f"{medians[name]:.3f}", ratio]
                cells += [f"{memory[name] / 1e9:.2f} GB", f"{medians[name] / ideal:.2f}"]
                print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\nConvolution peak, float32: {statistics.median(peaks) / 1e9:.0f} GFLOP/s.")


def describe_machine():
    versions = []
    for package in ("mxnet", "numpy", "torch"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    return f"{processor}, Python {platform.python_version()}, {', '.join(versions)}"


if __name__ == "__main__":
    main()
