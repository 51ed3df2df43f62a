"""The command line, and the only place that exits.

``neural-style`` with the flags of the original programs stylises a picture; ``neural-style COMMAND`` does the rest.
Nothing here imports MXNet before the arguments are known to make sense.
"""

import argparse
import importlib
import sys
from collections import OrderedDict
from dataclasses import dataclass

from . import __version__
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, logging_to_stderr, repaint_visibly
from .errors import NeuralStyleError
from .networks import ARCHITECTURES, STAND_INS
from .recipes import DEFAULT_RECIPE, RECIPES, get_recipe


@dataclass(frozen=True)
class _Flag:
    """A flag of the original programs that changes a setting of the recipe."""

    setting: str
    type: type
    help: str


_FLAGS = OrderedDict(
    [
        ("--model", _Flag("model", str, "network")),
        ("--stop-eps", _Flag("stop_eps", float, "stop when the relative change of the image is less than this")),
        ("--content-weight", _Flag("content_weight", float, "weight of the content loss")),
        ("--style-weight", _Flag("style_weight", float, "weight of the style loss")),
        ("--tv-weight", _Flag("tv_weight", float, "weight of the total variation; 0 leaves it out")),
        ("--max-num-epochs", _Flag("max_steps", int, "greatest number of steps")),
        ("--max-long-edge", _Flag("max_long_edge", int, "long edge of the result in pixels")),
        ("--lr", _Flag("learning_rate", float, "initial learning rate")),
        ("--save-epochs", _Flag("save_every", int, "save a picture every so many steps; 0 for none on the way")),
        ("--remove-noise", _Flag("remove_noise", float, "strength of the noise filter on saved pictures; 0 for none")),
        ("--lr-sched-delay", _Flag("schedule_delay", int, "steps between two reductions of the learning rate")),
        ("--lr-sched-factor", _Flag("schedule_factor", float, "what the learning rate is multiplied with then")),
    ]
)

# Where the recipe of an original program puts its pictures if no flag says so.
_DEFAULT_OUTPUT = "output/out.jpg"
_DEFAULT_OUTPUT_DIRS = {"mxnet-1.9": "output/"}


# What each command does; it is in the module called cli_ and its name, which is imported when the command is given.
_COMMANDS = OrderedDict(
    [
        ("demo", "repaint a photograph of scikit-image's in the style of a painting of this program's own"),
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


def add_original_flags(parser, recipe=None):
    """Add the flags that both original programs have, and the schedule's.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    recipe : str, optional
        Whose settings are the defaults. Without it the defaults are None, which leaves the recipe to be chosen by
        another flag, and the help shows the value of every recipe.
    """
    parser.add_argument(
        "--content-image", default="input/IMG_4343.jpg", help="picture to repaint (default: %(default)s)"
    )
    parser.add_argument(
        "--style-image", default="input/starry_night.jpg", help="picture whose style to take (default: %(default)s)"
    )
    for name, flag in _FLAGS.items():
        parser.add_argument(
            name,
            type=flag.type,
            # A network that is the recipe's has a stand-in, one that is named has none.
            default=getattr(get_recipe(recipe), flag.setting) if recipe and flag.setting != "model" else None,
            choices=list(ARCHITECTURES) if flag.setting == "model" else None,
            metavar=None if flag.setting == "model" else "N" if flag.type is int else "X",
            help=f"{flag.help} ({_describe_default(flag.setting, [recipe] if recipe else RECIPES)})",
        )
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if MXNet can use one, else the CPU)",
    )


def _describe_default(setting, recipes):
    values = OrderedDict((name, getattr(RECIPES[name], setting)) for name in recipes)
    if len(set(values.values())) == 1:
        value = next(iter(values.values()))
        if setting == "model" and value in STAND_INS:
            return f"default: {value}, or {STAND_INS[value]} where the weights of {value} are not found"
        return f"default: {value}"
    return "default: " + ", ".join(f"{value} in {name}" for name, value in values.items())


def override_recipe(name, args):
    """Give the recipe called `name` with the settings that the flags in `args` give.

    Raises
    ------
    SettingsError
        If a value makes no sense.
    """
    given = {flag.setting: getattr(args, _destination(option)) for option, flag in _FLAGS.items()}
    return get_recipe(name).override(**{setting: value for setting, value in given.items() if value is not None})


def _destination(option):
    return option.lstrip("-").replace("-", "_")


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
    parser.add_argument("--recipe", choices=list(RECIPES), default=DEFAULT_RECIPE, help=_describe_recipes())
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the noise the image starts from; 0 gives that of the original programs, which did not seed "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--init", metavar="noise|content|PICTURE", help="what the image starts from (default: the recipe's)"
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
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="least severe messages to show (default: %(default)s)",
    )
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


def _describe_recipes():
    described = "; ".join(f"{recipe.name}: {recipe.summary}" for recipe in RECIPES.values())
    return f"named settings (default: %(default)s). {described}"


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


def _run_stylize(args):
    recipe = override_recipe(args.recipe, args)
    initial = None
    if args.init in ("noise", "content"):
        recipe = recipe.override(initial=args.init)
    elif args.init is not None:
        initial = args.init

    # The heavy imports come when the arguments are known to be good.
    from .job import Outputs
    from .weights import find_network

    folder = args.output_dir
    if folder is None and args.output is None:
        folder = _DEFAULT_OUTPUT_DIRS.get(args.recipe)
    outputs = Outputs.in_folder(folder) if folder is not None else Outputs.beside(args.output or _DEFAULT_OUTPUT)
    model, weights = find_network(recipe.model, args.model, args.weights, args.models_dir)
    return repaint_visibly(
        args.content_image,
        args.style_image,
        outputs,
        recipe.override(model=model),
        weights=weights,
        gpu=args.gpu,
        seed=args.seed,
        initial=initial,
    )
