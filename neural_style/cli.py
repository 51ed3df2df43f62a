"""The command line, and the only place that exits.

``neural-style`` with the flags of the original programs stylises a picture; ``neural-style COMMAND`` does the rest.
Nothing here imports MXNet before the arguments are known to make sense.
"""

import argparse
import importlib
import sys
from collections import OrderedDict

from . import __version__
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, logging_to_stderr, repaint_visibly
from .errors import CheckpointError, NeuralStyleError, SettingsError
from .flags import FURTHER_FLAGS, add_flags, add_original_flags, override_recipe
from .recipes.presets import DEFAULT_RECIPE, RECIPES
from .recipes.recipe import CHOICES

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

# What each command does; it is in the module called cli_ and its name, which is imported when the command is given.
_COMMANDS = OrderedDict(
    [
        ("demo", "repaint a photograph of scikit-image's in the style of a painting of this program's own"),
        ("recipes", "list the recipes, or every setting of one with its source"),
        ("compare", "tell how near two pictures are, or how near ours is to the original program's published one"),
        ("show", "tell how a picture was made, as a command line that makes it again"),
        ("weights", "list, fetch, verify and import network parameters"),
        ("distill", "train vgg19-compact, a network of a quarter of VGG-19's channels, from weights of VGG-19"),
    ]
)


def make_parser(description, **settings):
    """Make an argument parser in the manner of this program."""
    return argparse.ArgumentParser(
        prog=settings.pop("prog", None),
        description=description,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
        **settings,
    )


def _make_main_parser():
    parser = make_parser(
        "Repaint a photograph in the style of a picture (Gatys, Ecker & Bethge 2015), with MXNet.",
        prog="neural-style",
        usage="%(prog)s [flags]\n       %(prog)s COMMAND [flags]",
        epilog="commands: "
        + "; ".join(f"{name}: {what}" for name, what in _COMMANDS.items())
        + ". 'neural-style COMMAND --help' tells more.",
    )
    parser.add_argument("--version", action="version", version=f"neural-style {__version__}")
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
    parser.set_defaults(run=_run_stylize)
    return parser


def _make_command_parser(name):
    parser = make_parser(_COMMANDS[name], prog=f"neural-style {name}")
    parser.set_defaults(log_level="info")
    importlib.import_module(f".cli_{name}", __package__).add_arguments(parser)
    return parser


def _parse(argv):
    # Not argparse's subparsers: with them a mistyped flag's value is taken for an unknown command.
    if not argv or argv[0].startswith("-"):
        return _make_main_parser().parse_args(argv)
    if argv[0] not in _COMMANDS:
        _make_main_parser().error(f"unknown command '{argv[0]}'; choose from {', '.join(_COMMANDS)}")
    return _make_command_parser(argv[0]).parse_args(argv[1:])


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; the process's own if not given.

    Returns
    -------
    int
        0 for success, 1 for an expected failure, of which one line on stderr tells, 130 after Ctrl-C or SIGTERM.

    Raises
    ------
    SystemExit
        With code 2 for arguments that cannot be understood, with 0 after ``--help`` and ``--version``.
    """
    args = _parse(sys.argv[1:] if argv is None else list(argv))
    with logging_to_stderr(args.log_level):
        try:
            return args.run(args)
        except NeuralStyleError as error:
            print(f"neural-style: error: {error}", file=sys.stderr)
            return EXIT_FAILURE
        except KeyboardInterrupt:
            print("neural-style: interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED


def _resume(args):
    """Go on from a checkpoint."""
    usual = vars(_make_main_parser().parse_args([]))
    for name, value in vars(args).items():
        if value != usual[name] and name not in _WITH_RESUME:
            raise SettingsError(
                f"--{name.replace('_', '-')} cannot be given with --resume, which takes it from the file"
            )

    from .jobs.checkpoints import load_checkpoint
    from .jobs.job import Outputs
    from .jobs.provenance import recall_recipe
    from .objective.memory import parse_size
    from .weights.lookup import find_weights

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
    from .jobs.job import Outputs

    if args.output_dir is not None:
        return Outputs.in_folder(args.output_dir)
    return Outputs.beside(args.output) if args.output is not None else None


def _run_stylize(args):
    if args.resume is not None:
        return _resume(args)
    recipe = override_recipe(args.recipe, args)
    initial = None if args.init in CHOICES["initial"] else args.init

    # The heavy imports come when the arguments are known to be good.
    from .jobs.job import Outputs
    from .objective.memory import parse_size
    from .weights.lookup import find_network

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
