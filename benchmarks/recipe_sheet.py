"""Make an image with every recipe, and a sheet of them.

    python benchmarks/recipe_sheet.py --output DIR [--content C --style S] [--model vgg16-lowrank] [--long-edge 384]

Every recipe runs with its own numbers except for the size, on the demo's pair unless another one is given. The sheet,
``recipes.png``, starts with content and style. ``--reuse`` uses images that are already in the folder.
"""

import argparse
import os
import time

import numpy as np
from skimage import data

from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.painting import paint
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.images.sizing import long_edge_size
from neural_style.recipes.presets import OPTIMISING, RECIPES, get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.stylize import stylize

COLUMNS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--content")
    parser.add_argument("--style")
    parser.add_argument("--model", default="vgg16-lowrank")
    parser.add_argument("--long-edge", type=int, default=384)
    parser.add_argument("--reuse", action="store_true")
    args = parser.parse_args()
    content = read_image(args.content) if args.content else data.chelsea()
    style = read_image(args.style) if args.style else paint(long_edge_size(content.shape, args.long_edge))
    pictures, captions = [content, style], ["content", "style"]
    for name in RECIPES:
        path = os.path.join(args.output, f"{name}.png")
        if not (args.reuse and os.path.exists(path)):
            recipe = get_recipe(name)
            if name in OPTIMISING:
                recipe = recipe.override(model=args.model, save_every=0)
            # A square image of the same area.
            edge = args.long_edge if recipe.settings()["shape"] == "content" else round(args.long_edge * 2 / 3)
            begun = time.time()
            result = stylize(content, style, recipe.override(max_long_edge=edge), compute=Compute(gpu=-1))
            save_image(path, result.image)
            print(
                f"{name:20} {len(result.history):5} steps, {time.time() - begun:.0f} s, {result.reason.value}",
                flush=True,
            )
        pictures.append(read_image(path))
        captions.append(name)
    height = long_edge_size(content.shape, args.long_edge)[0]
    rows = [
        make_contact_sheet(pictures[i : i + COLUMNS], captions[i : i + COLUMNS], height)
        for i in range(0, len(pictures), COLUMNS)
    ]
    width = max(row.shape[1] for row in rows)
    ground = rows[0][0, 0]
    padded = [np.concatenate([row, np.tile(ground, (row.shape[0], width - row.shape[1], 1))], axis=1) for row in rows]
    save_image(os.path.join(args.output, "recipes.png"), np.concatenate(padded).astype(np.uint8))


if __name__ == "__main__":
    main()
