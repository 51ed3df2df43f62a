"""The command line, and the only place that exits.

``neural-style`` with the flags of the original programs stylises a picture; ``neural-style COMMAND`` does the rest.
Nothing here imports MXNet before the arguments are known to make sense.
"""

import argparse
import importlib
import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from . import __version__
from .checkpoint_networks import is_checkpoint
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, logging_to_stderr, repaint_visibly
from .errors import CheckpointError, NeuralStyleError, SettingsError
from .networks import ARCHITECTURES, POOLINGS, STAND_INS
from .objectives import CONTENT_NORMS, STYLE_NORMS, TV_KINDS
from .optimizers import OPTIMIZERS
from .recipes import CHOICES, DEFAULT_RECIPE, RECIPES, get_recipe
from .units import UNITS


@dataclass(frozen=True)
class Flag:
    """A flag that changes a setting of the recipe.

    Attributes
    ----------
    setting : str
    type : callable
        From the word on the command line to the setting's value.
    help : str
    choices : tuple of str or None
    """

    setting: str
    type: Callable
    help: str
    choices: Optional[Tuple[str, ...]] = None

    @property
    def metavar(self):
        """What stands for the value in the help."""
        return None if self.choices else _METAVARS.get(self.type)


def _model(word):
    if word in ARCHITECTURES or is_checkpoint(word):
        return word
    raise argparse.ArgumentTypeError(
        f"invalid choice: '{word}' (choose from {', '.join(ARCHITECTURES)}, or the prefix of a checkpoint: "
        f"{word}-symbol.json is not there)"
    )


def _yes_or_no(word):
    if word not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"'{word}' is neither yes nor no")
    return word == "yes"


def _names(word):
    return tuple(name for name in word.split(",") if name)


def _numbers(word):
    try:
        return tuple(float(number) for number in _names(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a list of numbers with commas between them") from None


def _counts(word):
    try:
        return tuple(int(number) for number in _names(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{word}' is not a list of whole numbers with commas between them") from None


_METAVARS = {
    int: "N",
    float: "X",
    _yes_or_no: "yes|no",
    _names: "LAYER,...",
    _numbers: "X,...",
    _counts: "N,...",
    _model: "{" + ",".join(ARCHITECTURES) + "}|PREFIX",
}

# Of the original programs, in their order.
_ORIGINAL_FLAGS = OrderedDict(
    [
        ("--model", Flag("model", _model, "network, or the prefix of a checkpoint of MXNet's")),
        ("--stop-eps", Flag("stop_eps", float, "stop when the relative change of the image is less than this")),
        ("--content-weight", Flag("content_weight", float, "weight of the content loss")),
        ("--style-weight", Flag("style_weight", float, "weight of the style loss")),
        ("--tv-weight", Flag("tv_weight", float, "weight of the total variation; 0 leaves it out")),
        ("--max-num-epochs", Flag("max_steps", int, "greatest number of steps")),
        ("--max-long-edge", Flag("max_long_edge", int, "long edge of the result in pixels")),
        ("--lr", Flag("learning_rate", float, "initial learning rate")),
        ("--save-epochs", Flag("save_every", int, "save a picture every so many steps; 0 for none on the way")),
        ("--remove-noise", Flag("remove_noise", float, "strength of the noise filter on saved pictures; 0 for none")),
        ("--lr-sched-delay", Flag("schedule_delay", int, "steps between two reductions of the learning rate")),
        ("--lr-sched-factor", Flag("schedule_factor", float, "what the learning rate is multiplied with then")),
    ]
)

# What the originals fixed in their code, and what other recipes have.
_FURTHER_FLAGS = OrderedDict(
    [
        ("--pooling", Flag("pooling", str, "average or maximum", POOLINGS)),
        ("--content-layers", Flag("content_layers", _names, "activations compared with the content")),
        (
            "--style-layers",
            Flag(
                "style_layers", _names, "activations compared with the style; #5 is the ReLU of the fifth convolution"
            ),
        ),
        (
            "--content-norm",
            Flag("content_norm", str, "what sums of squares over the content are divided by", tuple(CONTENT_NORMS)),
        ),
        (
            "--style-norm",
            Flag("style_norm", str, "the same for the differences of Gram matrices", tuple(STYLE_NORMS)),
        ),
        (
            "--style-layer-weights",
            Flag("style_layer_weights", _numbers, "weights of the style layers, or one for each; '' shares 1 out"),
        ),
        (
            "--adaptive",
            Flag("adaptive", _yes_or_no, "divide content, style and total variation by their current values"),
        ),
        ("--tv-kind", Flag("tv_kind", str, "what total variation is", tuple(TV_KINDS))),
        ("--unit", Flag("unit", str, "what is optimised, and what rates and noise are in", tuple(UNITS))),
        ("--white", Flag("white", float, "grey level of pure white in the pictures that are read")),
        ("--clip-pixels", Flag("clip_pixels", _yes_or_no, "keep the image between black and white")),
        (
            "--clip-gradient",
            Flag("clip_gradient", _yes_or_no, "shorten gradients to a norm of the number of elements of the image"),
        ),
        ("--optimizer", Flag("optimizer", str, "what moves the image", tuple(OPTIMIZERS))),
        ("--momentum", Flag("momentum", float, "of sgd and nag")),
        ("--beta1", Flag("beta1", float, "decay of adam's first moment")),
        ("--beta2", Flag("beta2", float, "decay of adam's second moment")),
        ("--epsilon", Flag("epsilon", float, "what adam adds to the root of the second moment")),
        ("--history", Flag("history", int, "steps that lbfgs remembers")),
        ("--weight-decay", Flag("weight_decay", float, "pull towards zero, of sgd, nag and adam")),
        (
            "--pyramid",
            Flag("pyramid", _counts, "most steps on smaller pictures before, from the smallest on; '' for none"),
        ),
        ("--pyramid-factor", Flag("pyramid_factor", float, "ratio of the sizes of one of them and the next")),
        ("--shape", Flag("shape", str, "proportions of the result", CHOICES["shape"])),
        (
            "--style-size",
            Flag(
                "style_size", str, "bring the style to the result's size or keep its proportions", CHOICES["style_size"]
            ),
        ),
        ("--denoise-final", Flag("denoise_final", _yes_or_no, "whether the noise filter is for the last picture too")),
        ("--noise", Flag("noise", str, "what a start from noise is drawn from", CHOICES["noise"])),
        ("--noise-center", Flag("noise_center", float, "its mean")),
        ("--noise-range", Flag("noise_range", float, "how far it reaches, or its standard deviation")),
        ("--noise-share", Flag("noise_share", float, "part of the noise in the start; the rest is content")),
    ]
)

# Every setting of a recipe but ``initial``, which --init sets.
FLAGS = OrderedDict(list(_ORIGINAL_FLAGS.items()) + list(_FURTHER_FLAGS.items()))

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
    _add_flags(parser, _ORIGINAL_FLAGS, recipe)
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if MXNet can use one, else the CPU)",
    )


def _add_flags(parser, flags, recipe=None):
    for name, flag in flags.items():
        parser.add_argument(
            name,
            type=flag.type,
            # A network that is the recipe's has a stand-in, one that is named has none.
            default=getattr(get_recipe(recipe), flag.setting) if recipe and flag.setting != "model" else None,
            choices=flag.choices,
            metavar=flag.metavar,
            help=f"{flag.help} ({_describe_default(flag.setting, [recipe] if recipe else RECIPES)})",
        )


# How a shell writes an empty list.
_NOTHING = "''"


def _describe_default(setting, recipes):
    values = OrderedDict()
    for name in recipes:
        values.setdefault(write_value(getattr(RECIPES[name], setting)), []).append(name)
    first, *others = values
    what = first or _NOTHING
    if setting == "model" and first in STAND_INS:
        what += f", or {STAND_INS[first]} where the weights of {first} are not found"
    # The help is not to be mistaken for a format by argparse.
    described = [what] + [f"{value or _NOTHING} in {', '.join(values[value])}" for value in others]
    return ("default: " + "; ".join(described)).replace("%", "%%")


def write_value(value):
    """Write the value of a setting as its flag takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(write_value(one) for one in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def override_recipe(name, args):
    """Give the recipe called `name` with the settings that the flags in `args` give.

    Raises
    ------
    SettingsError
        If a value makes no sense.
    """
    given = {flag.setting: getattr(args, _destination(option), None) for option, flag in FLAGS.items()}
    if getattr(args, "init", None) in CHOICES["initial"]:
        given["initial"] = args.init
    return get_recipe(name).override(**{setting: value for setting, value in given.items() if value is not None})


def write_flags(recipe):
    """Give the flags that make of the recipe with its name this one: the reverse of `override_recipe`.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    list of str
        Words of a command line, without ``--recipe`` itself.
    """
    usual, options, words = get_recipe(recipe.name).settings(), flags_of_settings(), []
    for setting, value in recipe.settings().items():
        if value != usual[setting]:
            words += write_flag(options[setting], write_value(value))
    return words


def flags_of_settings():
    """Give the flag of every setting, by its name."""
    return dict({flag.setting: option for option, flag in FLAGS.items()}, initial="--init")


def write_flag(option, value):
    """Give the words of a command line that give `option` a value."""
    word = str(value)
    # argparse takes a word that begins with a hyphen for a flag
    return [f"{option}={word}"] if word.startswith("-") else [option, word]


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
    _add_flags(group, _FURTHER_FLAGS)
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

    from .checkpoints import load_checkpoint
    from .job import Outputs
    from .memory import parse_size
    from .provenance import recall_recipe
    from .weights import find_weights

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
    from .job import Outputs

    if args.output_dir is not None:
        return Outputs.in_folder(args.output_dir)
    return Outputs.beside(args.output) if args.output is not None else None


def _run_stylize(args):
    if args.resume is not None:
        return _resume(args)
    recipe = override_recipe(args.recipe, args)
    initial = None if args.init in CHOICES["initial"] else args.init

    # The heavy imports come when the arguments are known to be good.
    from .job import Outputs
    from .memory import parse_size
    from .weights import find_network

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
