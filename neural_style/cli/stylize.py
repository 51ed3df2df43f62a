"""``neural-style stylize``: a photograph in the style of a painting, by the recommended recipe."""

import contextlib
import math
import os
import shutil
import sys
import tempfile

from ..errors import ImageError, SettingsError
from ..limits import MAX_STANDARD_BYTES
from ..recipes.presets import RECOMMENDED_RECIPE
from .console import run_visibly
from .controls import make_controls, make_styles
from .flags import override_recipe
from .running import add_run_flags, check_paintings, make_groups, make_job

# Standard input or output in place of a file.
_STANDARD = "-"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.usage = "%(prog)s PHOTO [PAINTING ...] [-o FILE] [flags]"
    parser.epilog = (
        "'neural-style PHOTO PAINTING' means the same. A run that kept a --checkpoint is continued by "
        "'neural-style --resume FILE'."
    )
    groups = make_groups(parser)
    group = groups["input"]
    group.add_argument("photo", metavar="PHOTO", help="image to repaint; - for standard input")
    group.add_argument(
        "paintings",
        metavar="PAINTING",
        nargs="*",
        help="images whose style to use; - for standard input; none for a generator with its own",
    )
    groups["output"].add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=".png, .jpg, .tif or .webp; - for standard output (default: PHOTO-PAINTING.png)",
    )
    groups["look"].add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="X",
        help="how much style, from 0.1 to 10, of a generator from 0 (default: 1)",
    )
    add_run_flags(groups, RECOMMENDED_RECIPE, controls=True)
    parser.set_defaults(run=_run)


def _run(args):
    recipe = _choose_recipe(args)
    if [args.photo, *args.paintings].count(_STANDARD) > 1:
        raise SettingsError("PHOTO and PAINTING are both -, and standard input is one image; name a file for one")
    if args.json and args.output == _STANDARD:
        raise SettingsError("--json and --output - both write to standard output; name a file for the image")

    # The heavy imports come when the arguments are known to be good.
    from ..jobs.outputs import Outputs

    with contextlib.ExitStack() as stack:
        photo, *paintings = (_from_standard(path, stack) for path in (args.photo, *args.paintings))
        styles, more = make_styles(args, paintings), {"controls": make_controls(args)}
        if args.output != _STANDARD:
            names = (os.path.splitext(os.path.basename(path))[0] for path in (photo, *(paintings or [recipe.network])))
            outputs = Outputs.beside(args.output or "-".join(names) + ".png")
            return run_visibly(make_job(args, recipe, photo, styles, outputs, **more), as_json=args.json)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        outputs = Outputs.beside(os.path.join(folder, "result.png"))
        code = run_visibly(make_job(args, recipe, photo, styles, outputs, **more))
        if os.path.exists(outputs.final):
            with open(outputs.final, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        return code


def _choose_recipe(args):
    recipe, strength = override_recipe(args.recipe, args), args.strength
    if args.palette is not None and args.colors is None:
        recipe = recipe.override(colors="match-covariance")
    if recipe.feed_forward:
        return recipe.override(strength=strength)
    check_paintings(recipe, args.paintings, "PHOTO")
    if not (math.isfinite(strength) and strength > 0):
        raise SettingsError(f"`strength` is {strength:g}; it must be more than 0")
    # The other way round, the total variation would lose its weight beside the style.
    return recipe.override(content_weight=recipe.losses.content_weight / strength)


def _from_standard(path, stack):
    """Return the name of a file with what standard input holds if the path is -, else the path."""
    if path != _STANDARD:
        return path
    copy = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "stdin")
    with open(copy, "wb") as file:
        while file.tell() <= MAX_STANDARD_BYTES:
            block = sys.stdin.buffer.read(1 << 20)
            if not block:
                return copy
            file.write(block)
    raise ImageError(f"standard input: has more than {MAX_STANDARD_BYTES} bytes, more than any image; name a file")
