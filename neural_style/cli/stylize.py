"""``neural-style`` without a command: stylise a picture."""

from ..errors import CheckpointError, SettingsError
from ..recipes.presets import DEFAULT_RECIPE, RECIPES
from ..recipes.recipe import CHOICES
from .console import repaint_visibly
from .flags import FURTHER_FLAGS, add_flags, add_original_flags, make_parser, override_recipe

# Where the recipe of an original program puts its pictures if no flag says so.
_DEFAULT_OUTPUT = "output/out.jpg"
_DEFAULT_OUTPUT_DIRS = {"mxnet-1.9": "output/"}

_CHECKPOINT_EVERY = 20

# What may be given with --resume.
_WITH_RESUME = (
    "resume",
    "output",
    "output_dir",
    "weights",
    "models_dir",
    "checkpoint",
    "checkpoint_every",
    "tile_size",
    "memory",
    "report",
    "trace",
    "log_level",
    "run",
)


def add_arguments(parser):
    """Add the flags of the program without a command to its parser."""
    add_original_flags(parser)
    parser.add_argument(
        "--recipe",
        choices=list(RECIPES),
        default=DEFAULT_RECIPE,
        help="named settings; 'neural-style recipes' tells of them (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the noise the image starts from; 0 gives that of the original programs, which did not seed "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--init",
        metavar="|".join(CHOICES["initial"]) + "|PICTURE",
        help="what the image starts from (default: the recipe's)",
    )
    parser.add_argument(
        "--weights", metavar="FILE", help="parameters of the network (default: MODEL.params in the known places)"
    )
    parser.add_argument("--models-dir", metavar="DIR", help="folder where parameters are looked for first")
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--output",
        metavar="FILE",
        help="the result, PNG, JPEG or TIFF by its suffix; pictures on the way stand beside it as tmp_<steps> "
        f"(default: {_DEFAULT_OUTPUT})",
    )
    places.add_argument(
        "--output_dir",
        "--output-dir",
        metavar="DIR/",
        help="as in the original from 0.8 on: DIR/final.jpg and, no slash added, DIRe_<steps>.jpg (default with "
        f"mxnet-1.9: {_DEFAULT_OUTPUT_DIRS['mxnet-1.9']})",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="write an HTML page about the run: pictures, plots, settings (needs the extra 'report')",
    )
    parser.add_argument(
        "--trace",
        metavar="FILE",
        help="keep every step and setting in a JSON file, readable during the run (default: with --report, trace.json "
        "beside it)",
    )
    parser.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="least severe messages to show (default: %(default)s)",
    )
    parser.add_argument(
        "--tile-size",
        type=int,
        metavar="N",
        help="compute in tiles of this many pixels, with 0 whole; the result is the same up to rounding (default: "
        "whole if it fits into memory, else the largest tiles that do)",
    )
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="what the program may use, such as 4GB or 512MiB (default: what the machine, or the container, has left)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep there what the run can go on from, also after Ctrl-C and SIGTERM",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        metavar="N",
        help=f"steps between two checkpoints (default: {_CHECKPOINT_EVERY})",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        help="go on from a checkpoint, bit for bit; pictures and settings come from it, and it is kept up to date "
        "unless --checkpoint names another. Only --output, --output_dir, --weights, --models-dir, "
        "--memory, --checkpoint, --checkpoint-every and --log-level can be given with it",
    )
    group = parser.add_argument_group("more settings of the recipe", "each has the value of the recipe unless given")
    add_flags(group, FURTHER_FLAGS)
    parser.set_defaults(run=_run)


def _resume(args):
    """Go on from a checkpoint."""
    parser = make_parser(None)
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    for name, value in vars(args).items():
        if value != usual[name] and name not in _WITH_RESUME:
            raise SettingsError(
                f"--{name.replace('_', '-')} cannot be given with --resume, which takes it from the file"
            )

    from ..jobs.checkpoints import load_checkpoint
    from ..jobs.job import Outputs
    from ..jobs.provenance import recall_recipe
    from ..objective.memory import parse_size
    from ..weights.lookup import find_weights

    checkpoint = load_checkpoint(args.resume)
    recipe, strange = recall_recipe(checkpoint.run)
    if strange:
        raise CheckpointError(f"checkpoint {args.resume} has settings that this program does not know; use a later one")
    outputs = _find_outputs(args) or Outputs(**checkpoint.outputs)
    weights = checkpoint.run["weights"]
    named = args.weights or (weights["file"] if weights and not weights["found"] else None)
    return repaint_visibly(
        checkpoint.inputs["content"],
        checkpoint.inputs["style"],
        outputs.telling(args.report, args.trace),
        recipe,
        weights=find_weights(recipe.model, named, args.models_dir),
        gpu=checkpoint.run["gpu"],
        seed=checkpoint.run["seed"],
        initial=checkpoint.inputs["initial"],
        checkpoint=args.checkpoint or args.resume,
        checkpoint_every=_find_interval(args),
        memory=None if args.memory is None else parse_size(args.memory),
        resume=checkpoint,
    )


def _find_interval(args):
    if args.checkpoint_every is None:
        return _CHECKPOINT_EVERY
    if args.checkpoint_every < 1:
        raise SettingsError(f"--checkpoint-every is {args.checkpoint_every}; it must be 1 or more")
    return args.checkpoint_every


def _find_outputs(args):
    from ..jobs.job import Outputs

    if args.output_dir is not None:
        return Outputs.in_folder(args.output_dir)
    return Outputs.beside(args.output) if args.output is not None else None


def _run(args):
    if args.resume is not None:
        return _resume(args)
    recipe = override_recipe(args.recipe, args)
    initial = None if args.init in CHOICES["initial"] else args.init

    # The heavy imports come when the arguments are known to be good.
    from ..jobs.job import Outputs
    from ..objective.memory import parse_size
    from ..weights.lookup import find_network

    outputs = _find_outputs(args)
    if outputs is None:
        folder = _DEFAULT_OUTPUT_DIRS.get(args.recipe)
        outputs = Outputs.beside(_DEFAULT_OUTPUT) if folder is None else Outputs.in_folder(folder)
    model, weights = find_network(recipe.model, args.model, args.weights, args.models_dir)
    return repaint_visibly(
        args.content_image,
        args.style_image,
        outputs.telling(args.report, args.trace),
        recipe.override(model=model),
        weights=weights,
        gpu=args.gpu,
        seed=args.seed,
        initial=initial,
        checkpoint=args.checkpoint,
        checkpoint_every=_find_interval(args),
        tile_size=args.tile_size,
        memory=None if args.memory is None else parse_size(args.memory),
    )
