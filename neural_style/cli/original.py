"""``neural-style`` without a command: stylise an image with the flags of the original programs."""

from ..errors import CheckpointError, SettingsError
from ..recipes.presets import DEFAULT_RECIPE
from .console import repaint_visibly
from .flags import FURTHER_FLAGS, add_flags, add_original_flags, make_parser, override_recipe
from .running import add_run_flags, find_interval, run_recipe

# Where the recipe of an original program puts its pictures if no flag says so.
_DEFAULT_OUTPUT = "output/out.jpg"
_DEFAULT_OUTPUT_DIRS = {"mxnet-1.9": "output/"}

# What may be given with --resume.
_WITH_RESUME = (
    "--output",
    "--output_dir",
    "--weights",
    "--models-dir",
    "--tile-size",
    "--memory",
    "--checkpoint",
    "--checkpoint-every",
    "--report",
    "--trace",
    "--log-level",
)


def add_arguments(parser):
    """Add the flags of the program without a command to its parser."""
    add_original_flags(parser)
    add_run_flags(parser, DEFAULT_RECIPE)
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
        "--resume",
        metavar="FILE",
        help="go on from a checkpoint, bit for bit; pictures and settings come from it, and it is kept up to date "
        f"unless --checkpoint names another. Only {', '.join(_WITH_RESUME[:-1])} and {_WITH_RESUME[-1]} can be given "
        "with it; --tile-size and --memory hold from the next level of a pyramid on",
    )
    group = parser.add_argument_group("more settings of the recipe", "each has the value of the recipe unless given")
    add_flags(group, FURTHER_FLAGS)
    parser.set_defaults(run=_run)


def _resume(args):
    """Go on from a checkpoint."""
    parser = make_parser(None)
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    allowed = {"resume", "run"}.union(option.lstrip("-").replace("-", "_") for option in _WITH_RESUME)
    for name, value in vars(args).items():
        if value != usual[name] and name not in allowed:
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
        checkpoint_every=find_interval(args),
        tile_size=args.tile_size,
        memory=None if args.memory is None else parse_size(args.memory),
        resume=checkpoint,
    )


def _find_outputs(args):
    from ..jobs.job import Outputs

    if args.output_dir is not None:
        return Outputs.in_folder(args.output_dir)
    return Outputs.beside(args.output) if args.output is not None else None


def _run(args):
    if args.resume is not None:
        return _resume(args)
    recipe = override_recipe(args.recipe, args)
    # The heavy imports come when the arguments are known to be good.
    from ..jobs.job import Outputs

    outputs = _find_outputs(args)
    if outputs is None:
        folder = _DEFAULT_OUTPUT_DIRS.get(args.recipe)
        outputs = Outputs.beside(_DEFAULT_OUTPUT) if folder is None else Outputs.in_folder(folder)
    return run_recipe(args, recipe, args.content_image, args.style_image, outputs)
