"""The flags that change settings of a recipe: to and from the command line."""

import argparse
from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from ..images.units import UNITS
from ..networks.external import is_checkpoint
from ..networks.graph import POOLINGS
from ..networks.vgg import ARCHITECTURES, STAND_INS
from ..objective.representations import STYLE_STATISTICS
from ..objective.terms import CONTENT_NORMS, STYLE_NORMS
from ..objective.variation import TV_KINDS
from ..optimizers import OPTIMIZERS
from ..recipes.presets import RECIPES, get_recipe
from ..recipes.recipe import CHOICES
from ..transfer.compute import PRECISIONS


def make_parser(description, **settings):
    """Make an argument parser in the manner of this program."""
    return argparse.ArgumentParser(
        prog=settings.pop("prog", None),
        description=description,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
        **settings,
    )


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
ORIGINAL_FLAGS = OrderedDict(
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
FURTHER_FLAGS = OrderedDict(
    [
        ("--pooling", Flag("pooling", str, "average or maximum", POOLINGS)),
        ("--precision", Flag("precision", str, "of the convolutions; auto is bf16 where it is faster", PRECISIONS)),
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
            "--style-statistic",
            Flag(
                "style_statistic",
                str,
                "what of the style's activations is compared: Gram matrices, or means and covariances",
                tuple(STYLE_STATISTICS),
            ),
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
        (
            "--style-scale",
            Flag("style_scale", float, "size of the style beside the result; less than 1 makes smaller strokes"),
        ),
        ("--denoise-final", Flag("denoise_final", _yes_or_no, "whether the noise filter is for the last picture too")),
        ("--noise", Flag("noise", str, "what a start from noise is drawn from", CHOICES["noise"])),
        ("--noise-center", Flag("noise_center", float, "its mean")),
        ("--noise-range", Flag("noise_range", float, "how far it reaches, or its standard deviation")),
        ("--noise-share", Flag("noise_share", float, "part of the noise in the start; the rest is content")),
    ]
)

# Every setting of a recipe but ``initial``, which --init sets.
FLAGS = OrderedDict(list(ORIGINAL_FLAGS.items()) + list(FURTHER_FLAGS.items()))


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
    add_flags(parser, ORIGINAL_FLAGS, recipe)
    add_gpu_flag(parser)


def add_gpu_flag(parser):
    """Add the flag that chooses the device to a parser."""
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if MXNet can use one, else the CPU)",
    )


def add_flags(parser, flags, recipe=None, shown=RECIPES):
    """Add some of `FLAGS` to a parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    flags : mapping of str to Flag
    recipe : str, optional
        As `add_original_flags` takes it.
    shown : iterable of str
        Names of the recipes whose values the help shows where the defaults are None.
    """
    for name, flag in flags.items():
        parser.add_argument(
            name,
            type=flag.type,
            # A network that is the recipe's has a stand-in, one that is named has none.
            default=getattr(get_recipe(recipe), flag.setting) if recipe and flag.setting != "model" else None,
            choices=flag.choices,
            metavar=flag.metavar,
            help=f"{flag.help} ({describe_default(flag.setting, [recipe] if recipe else shown)})",
        )


# How a shell writes an empty list.
_NOTHING = "''"


def describe_default(setting, recipes):
    """Describe the values that some recipes, by name, have for a setting, as the help of a flag ends."""
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
