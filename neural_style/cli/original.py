"""``neural-style`` without a command: stylise an image with the flags of the original programs."""

import dataclasses

from ..errors import SettingsError
from ..recipes.presets import DEFAULT_RECIPE
from .console import run_visibly
from .flags import add_original_inputs, make_parser, override_recipe
from .running import add_run_flags, make_groups, make_job

# Where the recipe of an original program puts its images if no flag says so.
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
    "--scheduler",
    "--checkpoint",
    "--checkpoint-every",
    "--report",
    "--trace",
    "--json",
    "--quiet",
    "--log-level",
)


def add_arguments(parser):
    """Add the flags of the program without a command to its parser."""
    groups = make_groups(parser)
    add_run_flags(groups, DEFAULT_RECIPE)
    add_original_inputs(groups["input"])
    places = groups["output"].add_mutually_exclusive_group()
    places.add_argument(
        "--output",
        metavar="FILE",
        help="the result, PNG, JPEG, TIFF or WebP by its suffix; intermediate images stand beside it as tmp_<steps> "
        f"(default: {_DEFAULT_OUTPUT})",
    )
    places.add_argument(
        "--output_dir",
        "--output-dir",
        metavar="DIR/",
        help="as in the original from 0.8 on: DIR/final.jpg and, no slash added, DIRe_<steps>.jpg (default with "
        f"mxnet-1.9: {_DEFAULT_OUTPUT_DIRS['mxnet-1.9']})",
    )
    groups["stop and resume"].add_argument(
        "--resume",
        metavar="FILE",
        help="continue from a checkpoint, bit for bit; images and settings come from it, and it is kept up to date "
        "unless --checkpoint names another",
    )
    parser.set_defaults(run=_run)


def _resume(args):
    """Continue from a checkpoint."""
    parser = make_parser(None)
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    allowed = {"resume", "run"}.union(option.lstrip("-").replace("-", "_") for option in _WITH_RESUME)
    for name, value in vars(args).items():
        if value != usual[name] and name not in allowed:
            raise SettingsError(
                f"--{name.replace('_', '-')} cannot be given with --resume, which takes it from the file; only "
                f"{', '.join(_WITH_RESUME[:-1])} and {_WITH_RESUME[-1]} can be given with it"
            )

    from ..jobs.checkpoints import load_checkpoint
    from ..objective.memory import parse_size
    from ..weights.lookup import find_weights

    checkpoint = load_checkpoint(args.resume)
    job, changed = checkpoint.job, {}
    if args.weights is not None or args.models_dir is not None:
        changed["weights"] = str(find_weights(job.recipe.losses.model, args.weights, args.models_dir))
    if args.checkpoint_every is not None:
        changed["checkpoint_every"] = args.checkpoint_every
    compute = job.compute
    if args.tile_size is not None:
        compute = dataclasses.replace(compute, tile_size=args.tile_size)
    if args.memory is not None:
        compute = dataclasses.replace(compute, memory=parse_size(args.memory))
    compute = dataclasses.replace(compute, scheduler=args.scheduler)
    outputs = _find_outputs(args) or dataclasses.replace(job.outputs, report=None, trace=None)
    job = dataclasses.replace(
        job,
        outputs=outputs.with_report(args.report, args.trace),
        compute=compute,
        checkpoint=args.checkpoint or args.resume,
        **changed,
    )
    return run_visibly(job, resume=checkpoint, as_json=args.json)


def _find_outputs(args):
    from ..jobs.outputs import Outputs

    if args.output_dir is not None:
        return Outputs.in_folder(args.output_dir)
    return Outputs.beside(args.output) if args.output is not None else None


def _run(args):
    if args.resume is not None:
        return _resume(args)
    recipe = override_recipe(args.recipe, args)
    # The heavy imports come when the arguments are known to be good.
    from ..jobs.outputs import Outputs

    outputs = _find_outputs(args)
    if outputs is None:
        folder = _DEFAULT_OUTPUT_DIRS.get(args.recipe)
        outputs = Outputs.beside(_DEFAULT_OUTPUT) if folder is None else Outputs.in_folder(folder)
    return run_visibly(make_job(args, recipe, args.content_image, [args.style_image], outputs), as_json=args.json)
