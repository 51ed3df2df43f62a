"""``neural-style stylize``: a photograph in the style of a painting, by the recommended recipe."""

import math
import os

from ..errors import SettingsError
from ..recipes.presets import RECOMMENDED_RECIPE
from .flags import FLAGS, add_flags, add_gpu_flag, override_recipe
from .running import add_run_flags, run_recipe

# The settings that a newcomer changes first.
_FIRST = ("--style-scale", "--max-long-edge", "--model")


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.epilog = (
        "'neural-style PHOTO PAINTING' means the same. A run that kept a --checkpoint is continued by "
        "'neural-style --resume FILE'."
    )
    parser.add_argument("photo", metavar="PHOTO", help="image to repaint")
    parser.add_argument("painting", metavar="PAINTING", help="image whose style to use")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the result, PNG, JPEG or TIFF by its suffix (default: PHOTO-PAINTING.png in the current folder, after "
        "the names of the two)",
    )
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="X",
        help="how much style: the content weight is divided by this, 0.1 to 10 (default: 1)",
    )
    add_flags(parser, {name: FLAGS[name] for name in _FIRST}, shown=[RECOMMENDED_RECIPE])
    add_gpu_flag(parser)
    add_run_flags(parser, RECOMMENDED_RECIPE)
    group = parser.add_argument_group(
        "settings of the recipe",
        f"each has the value of the recipe unless given; shown is that of {RECOMMENDED_RECIPE}",
    )
    rest = {name: flag for name, flag in FLAGS.items() if name not in _FIRST}
    add_flags(group, rest, shown=[RECOMMENDED_RECIPE])
    parser.set_defaults(run=_run)


def _run(args):
    recipe = override_recipe(args.recipe, args)
    if not (math.isfinite(args.strength) and args.strength > 0):
        raise SettingsError(f"--strength is {args.strength:g}; it must be more than 0")
    # The other way round, the total variation would lose its weight beside the style.
    recipe = recipe.override(content_weight=recipe.content_weight / args.strength)

    # The heavy imports come when the arguments are known to be good.
    from ..jobs.job import Outputs

    names = (os.path.splitext(os.path.basename(path))[0] for path in (args.photo, args.painting))
    outputs = Outputs.beside(args.output or "-".join(names) + ".png")
    return run_recipe(args, recipe, args.photo, args.painting, outputs)
