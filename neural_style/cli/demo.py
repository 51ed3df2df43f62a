"""``neural-style demo``: a first image, from what is there once the package is installed."""

import logging
import os

from ..errors import ImageError
from ..networks.vgg import ARCHITECTURES
from ..recipes.presets import RECOMMENDED_RECIPE, get_recipe
from .console import run_visibly, say_path
from .flags import add_gpu_flag, describe_default

log = logging.getLogger(__name__)

# In the public domain (CC0), and in the wheels of scikit-image from 0.19 to 0.26, which download most others.
CONTENTS = ("chelsea", "coffee", "rocket")
_MAX_LONG_EDGE = 384
# A smaller sea has no waves to paint; a smaller result is refused.
_SMALLEST_SEA = 16


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    recipe = get_recipe(RECOMMENDED_RECIPE)
    parser.add_argument(
        "--output-dir", default="output", metavar="DIR", help="where the images go (default: %(default)s)"
    )
    parser.add_argument(
        "--content",
        choices=CONTENTS,
        default=CONTENTS[0],
        help="photograph to repaint: a cat, a cup of coffee or a rocket (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the painting: another seed, another sea")
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
        help="take only so many steps, and none at smaller sizes (default: those of recipe paint)",
    )
    parser.add_argument(
        "--model",
        choices=list(ARCHITECTURES),
        help=f"network ({describe_default('model', recipe.name)})",
    )
    add_gpu_flag(parser)
    parser.set_defaults(run=_run)


def _run(args):
    recipe = get_recipe(RECOMMENDED_RECIPE).override(max_long_edge=args.max_long_edge)
    if args.max_num_epochs is not None:
        recipe = recipe.override(max_steps=args.max_num_epochs, pyramid=())
    if args.model is not None:
        recipe = recipe.override(model=args.model)

    from ..images.contact_sheet import make_contact_sheet
    from ..images.painting import SEA_SEED, paint
    from ..images.reading import read_image
    from ..images.saving import save_image
    from ..images.sizing import long_edge_size
    from ..jobs.job import Job
    from ..jobs.outputs import Outputs
    from ..transfer.compute import Compute
    from ..transfer.inputs import check_seed, choose_network

    check_seed(args.seed)
    recipe, weights = choose_network(recipe)  # so that missing weights are reported before anything is written
    names = ("content", "style", "result")
    content_path, style_path, result_path = (os.path.join(args.output_dir, f"demo-{name}.png") for name in names)
    content = _load_content(args.content)
    save_image(content_path, content)
    log.info("painting an image to take the style from")
    size = long_edge_size(content.shape, max(recipe.size.max_long_edge, _SMALLEST_SEA))
    save_image(style_path, paint(size, SEA_SEED if args.seed is None else args.seed))
    outputs = Outputs.beside(result_path)
    job = Job(content_path, (style_path,), outputs, recipe, weights=str(weights), compute=Compute(args.gpu))
    code = run_visibly(job)
    if code == 0:
        sheet_path = os.path.join(args.output_dir, "demo.png")
        images = [read_image(path) for path in (content_path, style_path, result_path)]
        save_image(sheet_path, make_contact_sheet(images, names))
        for path in (content_path, style_path, result_path, sheet_path):
            say_path(path)
    return code


def _load_content(name):
    from skimage import data

    try:
        return getattr(data, name)()
    except OSError as error:  # not in this wheel, and not to be downloaded either
        raise ImageError(f"scikit-image cannot load its image '{name}' ({error}); choose another --content") from error
