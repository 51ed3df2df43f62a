"""How much a network of low rank costs in terms of the full network's objective.

    python benchmarks/same_objective.py --weights vgg16.params [--lowrank FILE] [--long-edge 256] [--recipe fast]
        [--recipe paint] [--steps 40] CONTENT STYLE [CONTENT STYLE ...]

Every pair is stylized twice with the same recipe and number of steps, once optimised with the network of low rank, once
with the full one. The table shows the full network's objective at both results, their ratio, and both times.
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
    parser.add_argument("pictures", nargs="+", metavar="CONTENT STYLE")
    args = parser.parse_args()
    if len(args.pictures) % 2:
        parser.error("give pictures in pairs of a content and a style")
    print("| recipe | pair | optimised with the full network | with low rank | ratio | s, full | s, low rank |")
    print("|---|---|---|---|---|---|---|")
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
                f"| {name} | {pair} | {full:.4g} | {low:.4g} | {low / full:.3f} | {full_time:.0f} | {low_time:.0f} |",
                flush=True,
            )


def compare(recipe, content, style, model, args):
    """Optimise with one network; return the full network's objective at the result, and the seconds it took."""
    weights = args.weights if model == FULL else args.lowrank
    begun = time.time()
    result = stylize(content, style, recipe.override(model=model), weights=weights, compute=Compute(gpu=-1))
    elapsed = time.time() - begun
    canvas, inputs = mx.nd.array(result.canvas), Inputs(content, [Style(style)], None, recipe)
    parameters = load_parameters(recipe.losses, args.weights, mx.cpu())
    objective = Objective(recipe.losses, parameters, inputs.content, inputs.styles, canvas, tile_size=0)
    return objective.evaluate().loss, elapsed


if __name__ == "__main__":
    main()
