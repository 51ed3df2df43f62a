"""``neural-style demo``: a first picture, of what is there once the package is installed."""

import logging
import os

from ..errors import ImageError
from ..networks.vgg import ARCHITECTURES, STAND_INS
from ..recipes.presets import RECOMMENDED_RECIPE, get_recipe
from .console import repaint_visibly

log = logging.getLogger(__name__)

# In the public domain (CC0), and in the wheels of scikit-image from 0.19 to 0.26, which download most others.
CONTENTS = ("chelsea", "coffee", "rocket")
_MAX_LONG_EDGE = 384


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    recipe = get_recipe(RECOMMENDED_RECIPE)
    parser.add_argument(
        "--output-dir", default="output", metavar="DIR", help="where the pictures go (default: %(default)s)"
    )
    parser.add_argument(
        "--content",
        choices=CONTENTS,
        default=CONTENTS[0],
        help="photograph to repaint: a cat, a cup of coffee or a rocket (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of the painting; another seed, another sea (default: the one chosen)"
    )
    parser.add_argument(
        "--max-long-edge",
        type=int,
        default=_MAX_LONG_EDGE,
        metavar="N",
        help="long edge of the result in pixels (default: %(default)s)",
    )
    parser.add_argument(
        "--max-num-epochs",
        type=int,
        metavar="N",
        help="take only so many steps, and none on smaller sizes before (default: as recipe paint)",
    )
    parser.add_argument(
        "--model",
        choices=list(ARCHITECTURES),
        help=f"network (default: {recipe.model}, or {STAND_INS[recipe.model]} where its weights are not found)",
    )
    parser.add_argument(
        "--gpu", type=int, metavar="N", help="GPU to compute on, -1 for the CPU (default: as without a command)"
    )
    parser.set_defaults(run=_run)


def _run(args):
    recipe = get_recipe(RECOMMENDED_RECIPE).override(max_long_edge=args.max_long_edge)
    if args.max_num_epochs is not None:
        recipe = recipe.override(max_steps=args.max_num_epochs, pyramid=())
    if args.model is not None:
        recipe = recipe.override(model=args.model)

    from ..transfer.inputs import choose_network

    recipe, weights = choose_network(recipe)

    from ..images.contact_sheet import make_contact_sheet
    from ..images.painting import DEFAULT_SEED, paint
    from ..images.reading import read_image
    from ..images.saving import save_image
    from ..images.sizing import long_edge_size
    from ..jobs.job import Outputs

    names = ("content", "style", "result")
    content_path, style_path, result_path = (os.path.join(args.output_dir, f"demo-{name}.png") for name in names)
    content = _load_content(args.content)
    save_image(content_path, content)
    log.info("painting a picture to take the style from")
    size = long_edge_size(content.shape, recipe.max_long_edge)
    save_image(style_path, paint(size, DEFAULT_SEED if args.seed is None else args.seed))
    code = repaint_visibly(
        content_path,
        style_path,
        Outputs.beside(result_path),
        recipe,
        weights=weights,
        gpu=args.gpu,
    )
    if code == 0:
        sheet_path = os.path.join(args.output_dir, "demo.png")
        pictures = [read_image(path) for path in (content_path, style_path, result_path)]
        save_image(sheet_path, make_contact_sheet(pictures, names))
        print(content_path, style_path, result_path, sheet_path, sep="\n")
    return code


def _load_content(name):
    from skimage import data

    try:
        return getattr(data, name)()
    except OSError as error:  # not in this wheel, and not to be downloaded either
        raise ImageError(
            f"scikit-image cannot give its picture '{name}' ({error}); choose another --content"
        ) from error
