"""How much a network of low rank costs in terms of the full network's objective.

    python benchmarks/same_objective.py --weights vgg16.params [--lowrank FILE] [--long-edge 256] [--recipe fast]
        [--recipe paint] [--steps 40] [--surrogate 2] [--precision auto] CONTENT STYLE [CONTENT STYLE ...]

Every pair is stylized twice with the same recipe and number of steps, once optimised with the network of low rank, once
with the full one. The table shows the full network's objective at both results, their ratio, and the processor seconds
of both, from reading the weights to the result. With --surrogate the second takes so many more steps on the full
network, after those on its twin; --precision is that of the second alone.
"""

import argparse
import time
from pathlib import Path

from neural_style._mxnet import mx
from neural_style.images.reading import read_image
from neural_style.objective.objective import Objective
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.inputs import Inputs, Style, load_parameters
from neural_style.transfer.stylize import stylize

FULL, LOWRANK = "vgg16", "vgg16-lowrank"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="of the full VGG-16")
    parser.add_argument("--lowrank", help="of the network of low rank (default: the one in models/)")
    parser.add_argument("--long-edge", type=int, default=256)
    parser.add_argument("--recipe", action="append", help="(default: fast and paint)")
    parser.add_argument("--steps", type=int, help="at the result's size (default: the recipe's)")
    parser.add_argument("--surrogate", type=int, default=0)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16", "auto"])
    parser.add_argument("pictures", nargs="+", metavar="CONTENT STYLE")
    args = parser.parse_args()
    if args.surrogate and args.lowrank:
        parser.error("--surrogate takes the twin in models/")
    if len(args.pictures) % 2:
        parser.error("give pictures in pairs of a content and a style")
    print("| recipe | pair | optimised with the full network | with low rank | ratio | CPU s | CPU s | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.recipe or ("fast", "paint"):
        recipe = get_recipe(name).override(model=FULL, max_long_edge=args.long_edge, save_every=0)
        if args.steps is not None:
            recipe = recipe.override(max_steps=args.steps)
        for content, style in zip(args.pictures[::2], args.pictures[1::2]):
            pictures = read_image(content), read_image(style)
            row = [compare(recipe, *pictures, model, args) for model in (FULL, LOWRANK)]
            (full, full_time), (low, low_time) = row
            pair = f"{Path(content).stem} x {Path(style).stem}"
            print(
                f"| {name} | {pair} | {full:.4g} | {low:.4g} | {low / full:.3f} | {full_time:.1f} | {low_time:.1f} "
                f"| {low_time / full_time:.2f} |",
                flush=True,
            )


def compare(recipe, content, style, model, args):
    """Optimise with one network; return the full network's objective at the result, and the CPU seconds it took."""
    settings, weights, precision = {}, args.weights, "float32"
    if model == LOWRANK:
        precision = args.precision
        if args.surrogate:
            settings["surrogate"] = args.surrogate
        else:
            settings["model"], weights = model, args.lowrank
    begun = time.process_time()
    compute = Compute(gpu=-1, precision=precision)
    result = stylize(content, style, recipe.override(**settings), weights=weights, compute=compute)
    elapsed = time.process_time() - begun
    canvas, inputs = mx.nd.array(result.canvas), Inputs(content, [Style(style)], None, recipe)
    parameters = load_parameters(recipe.losses, args.weights, mx.cpu())
    objective = Objective(recipe.losses, parameters, inputs.content, inputs.styles, canvas, tile_size=0)
    return objective.evaluate().loss, elapsed


if __name__ == "__main__":
    main()
