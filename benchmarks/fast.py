"""Time to the objective at which the original's run stops: the original's loop, and recipes.

    python benchmarks/fast.py [--size 256x384] [--recipe fast] [--rounds 3] [--content C --style S]

The original's loop runs with MXNet's own number of threads, as it was shipped, until its relative change falls below
0.005. The goal is mxnet-0.7's objective at its last image, and the recipes run until a step's objective is no larger.
Times start with the images in memory and include the reading of targets. Every run has its own process, the runs take
turns, and the table shows medians. The network is vgg16-lowrank, because pretrained weights of VGG-19 are not part of
the project; --weights names others. The images are the demo's unless others are given.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load_pictures(args):
    """Return content and style, the content with the proportions of the size."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "independent")]
    from skimage import data, util

    from neural_style.images.painting import paint
    from neural_style.images.reading import read_image
    from neural_style.images.sizing import resize

    size = tuple(int(side) for side in args.size.split("x"))
    content = read_image(args.content) if args.content else data.chelsea()
    style = read_image(args.style) if args.style else paint(size)
    return util.img_as_ubyte(resize(content, size)), style, size


def run_original(args):
    """Run the original's loop and save its image; return seconds and steps."""
    import numpy as np

    np.bool = bool
    import mxnet  # noqa: F401  (before the package, which then leaves its threads as they are)

    content, style, size = load_pictures(args)
    import original_loop

    from neural_style._mxnet import mx
    from neural_style.images.sizing import resize
    from neural_style.images.units import to_network
    from neural_style.transfer.inputs import load_parameters

    recipe = find_recipe(args, "mxnet-0.7", size)
    weights = {f"arg:{name}": value for name, value in load_parameters(recipe.losses, args.weights, mx.cpu()).items()}
    begun = time.perf_counter()
    arrays = [to_network(resize(picture, size)) for picture in (content, style)]
    image, changes = original_loop.run(original_loop.Flags("0.7"), *arrays, weights, 0)
    mx.nd.waitall()
    seconds = time.perf_counter() - begun
    np.save(args.image, image)
    return {"seconds": seconds, "steps": len(changes)}


def find_recipe(args, name, size):
    """Return a recipe for the size and for the network whose weights are used."""
    from neural_style import get_recipe
    from neural_style.weights.lookup import describe_weights

    models, _ = describe_weights(args.weights)
    return get_recipe(name).override(model=models[0], max_long_edge=max(size), save_every=0)


def measure_objective(args):
    """Return mxnet-0.7's objective at the original's last image."""
    import numpy as np

    content, style, size = load_pictures(args)
    from neural_style._mxnet import mx
    from neural_style.objective.objective import Objective
    from neural_style.transfer.inputs import Inputs, Style, load_parameters

    recipe = find_recipe(args, "mxnet-0.7", size)
    inputs = Inputs(content, [Style(style)], None, recipe)
    parameters = load_parameters(recipe.losses, args.weights, mx.cpu())
    canvas = mx.nd.array(np.load(args.image))
    objective = Objective(recipe.losses, parameters, inputs.content, inputs.styles, canvas, tile_size=0)
    return {"loss": objective.evaluate().loss}


def run_recipe(args):
    """Run a recipe until it reaches the goal; return seconds, steps and evaluations."""
    content, style, size = load_pictures(args)
    from neural_style import Compute, stylize
    from neural_style._mxnet import mx

    mx.nd.ones((1,)).wait_to_read()  # imported here, as it is before the original's time begins
    recipe = find_recipe(args, args.recipe[0], size).override(max_steps=1000, stop_eps=0.0)
    reached = {}

    def watch(step, run):
        # The objective of a step is that of the image before it.
        if step.loss <= args.aim and not reached:
            reached.update(seconds=watch.before - begun, steps=step.number - 1, evaluations=watch.evaluations)
            run.stop()
        watch.before = time.perf_counter()
        watch.evaluations += step.evaluations

    begun = watch.before = time.perf_counter()
    watch.evaluations = 0
    stylize(content, style, recipe, weights=args.weights, compute=Compute(gpu=-1), watch=watch)
    return reached


def _child(args, **more):
    command = [sys.executable, "-W", "ignore", __file__, "--size", args.size, "--weights", args.weights]
    for name, value in dict(more, content=args.content, style=args.style).items():
        command += [f"--{name}", str(value)] if value is not None else []
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="256x384", help="height x width (default: %(default)s)")
    parser.add_argument("--recipe", action="append", help="default: fast, and mxnet-0.7 of this package")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default=str(ROOT / "models" / "vgg16-lowrank.params"))
    parser.add_argument("--content")
    parser.add_argument("--style")
    parser.add_argument("--child", choices=["original", "objective", "recipe"], help=argparse.SUPPRESS)
    parser.add_argument("--image", help=argparse.SUPPRESS)
    parser.add_argument("--aim", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run = {"original": run_original, "objective": measure_objective, "recipe": run_recipe}[args.child]
        print(json.dumps(run(args)))
        return
    recipes = args.recipe or ["fast", "mxnet-0.7"]
    originals, found = [], {name: [] for name in recipes}
    with tempfile.TemporaryDirectory() as folder:
        image = str(Path(folder) / "image.npy")
        for _ in range(args.rounds):
            originals.append(_child(args, child="original", image=image))
            aim = _child(args, child="objective", image=image)["loss"]
            for name in recipes:
                found[name].append(_child(args, child="recipe", recipe=name, aim=aim))
    reference = statistics.median(run["seconds"] for run in originals)
    print(f"{args.size}, {Path(args.weights).stem}, to an objective of {aim:.4g}\n")
    print("| what | steps | evaluations | seconds | to the original |\n| --- | --- | --- | --- | --- |")
    steps = originals[0]["steps"]
    print(f"| the original's loop, MXNet's thread default | {steps} | {steps} | {reference:.1f} | 1.00 |")
    for name, runs in found.items():
        if not all(runs):
            print(f"| {name} | not reached | | | |")
            continue
        seconds = statistics.median(run["seconds"] for run in runs)
        cells = [name, runs[0]["steps"], runs[0]["evaluations"], f"{seconds:.1f}", f"{seconds / reference:.3f}"]
        print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
