"""The flags that change settings of a recipe: to and from the command line."""

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Callable, Optional, Tuple

from ..errors import printable
from ..images.units import UNITS
from ..networks.external import is_external
from ..networks.graph import POOLINGS
from ..networks.vgg import ARCHITECTURES, STAND_INS
from ..objective.representations import STYLE_STATISTICS
from ..objective.terms import CONTENT_NORMS, STYLE_NORMS
from ..objective.variation import TV_KINDS
from ..recipes.parts import CHOICES, OPTIMIZERS
from ..recipes.presets import RECOMMENDED_RECIPE, get_recipe


def make_parser(description, **settings):
    """Make an argument parser in the manner of this program."""
    return _Parser(
        prog=settings.pop("prog", None),
        description=description,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
        **settings,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        # It repeats words of the command line, which may be names of files.
        super().error(printable(message))


class PrintHelp(argparse.Action):
    """A flag that prints the help of another parser, which `shown` makes, and exits."""

    def __init__(self, option_strings, dest, **settings):
        super().__init__(option_strings, dest=argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, **settings)

    def __call__(self, parser, namespace, values, option_string=None):
        """Print and exit."""
        self.shown(parser).print_help()
        parser.exit()


class SettingsHelp(PrintHelp):
    """Prints every setting of a recipe with the recommended recipe's value."""

    @staticmethod
    def shown(parser):
        """Make a parser of all settings."""
        listed = make_parser(
            f"Settings of a recipe, by flag, with the values of {RECOMMENDED_RECIPE}. 'neural-style recipes NAME' "
            "lists those of another recipe, with their sources.",
            usage=argparse.SUPPRESS,
            add_help=False,
        )
        add_flags(listed.add_argument_group("settings"), FLAGS, shown=RECOMMENDED_RECIPE)
        return listed


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
    if word in ARCHITECTURES or is_external(word):
        return word
    raise argparse.ArgumentTypeError(
        f"invalid choice: '{word}' (choose from {', '.join(ARCHITECTURES)}, or the prefix of an external network: "
        f"{word}-symbol.json is not there)"
    )


def _yes_or_no(word):
    if word not in ("yes", "no"):
        raise argparse.ArgumentTypeError(f"'{word}' is neither yes nor no")
    return word == "yes"


def _names(word):
    return tuple(name for name in word.split(",") if name)


def numbers(word):
    """Read numbers with commas between them."""
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
    numbers: "X,...",
    _counts: "N,...",
    _model: "NAME|PREFIX",
    str: "NAME|FILE",
}

# Of the original programs, in their order.
ORIGINAL_FLAGS = {
    "--model": Flag("model", _model, "network, or the prefix of an external one"),
    "--stop-eps": Flag("stop_eps", float, "stop when the relative change of the image is below this"),
    "--content-weight": Flag("content_weight", float, "weight of the content loss"),
    "--style-weight": Flag("style_weight", float, "weight of the style loss"),
    "--tv-weight": Flag("tv_weight", float, "weight of total variation: more is smoother; 0 for none"),
    "--max-num-epochs": Flag("max_steps", int, "maximum number of steps"),
    "--max-long-edge": Flag("max_long_edge", int, "long edge of the result in pixels"),
    "--lr": Flag("learning_rate", float, "initial learning rate, of every optimizer but lbfgs"),
    "--save-epochs": Flag("save_every", int, "steps between intermediate images; 0 for none"),
    "--remove-noise": Flag("remove_noise", float, "strength of the noise filter on saved images; 0 for none"),
    "--lr-sched-delay": Flag("schedule_delay", int, "steps between reductions of the learning rate"),
    "--lr-sched-factor": Flag("schedule_factor", float, "factor of each reduction of the learning rate"),
}

# What the originals fixed in their code, and what other recipes have.
FURTHER_FLAGS = {
    "--pooling": Flag("pooling", str, "average or maximum", POOLINGS),
    "--content-layers": Flag("content_layers", _names, "activations compared with the content"),
    "--style-layers": Flag(
        "style_layers", _names, "activations compared with the style; #5 is the ReLU of the fifth convolution"
    ),
    "--content-norm": Flag("content_norm", str, "divisor of the content loss's sums of squares", tuple(CONTENT_NORMS)),
    "--style-norm": Flag("style_norm", str, "the same for the differences of Gram matrices", tuple(STYLE_NORMS)),
    "--style-statistic": Flag(
        "style_statistic",
        str,
        "what of the style's activations is compared: Gram matrices, or means and covariances",
        tuple(STYLE_STATISTICS),
    ),
    "--style-layer-weights": Flag(
        "style_layer_weights", numbers, "one weight per style layer, or one for all; '' splits 1 equally"
    ),
    "--motif-weight": Flag(
        "motif_weight", float, "weight of motifs: each place like some place of the style; 0 for none"
    ),
    "--motif-layers": Flag("motif_layers", _names, "activations in which motifs are compared; they share the weight"),
    "--adaptive": Flag("adaptive", _yes_or_no, "divide content, style and total variation by their current values"),
    "--tv-kind": Flag("tv_kind", str, "kind of total variation", tuple(TV_KINDS)),
    "--unit": Flag("unit", str, "unit of the optimised values, of learning rates and of noise", tuple(UNITS)),
    "--clip-gradient": Flag(
        "clip_gradient", _yes_or_no, "shorten gradients to a norm of the number of elements of the image"
    ),
    "--pyramid": Flag("pyramid", _counts, "maximum steps at smaller sizes, smallest first; '' for none"),
    "--surrogate": Flag("surrogate", int, "steps on the network after all others on its low-rank twin; 0 for none"),
    "--pyramid-factor": Flag("pyramid_factor", float, "size ratio between consecutive pyramid levels"),
    "--pyramid-least": Flag("pyramid_least", int, "long edge in pixels below which pyramid levels are left out"),
    "--shape": Flag("shape", str, "proportions of the result", CHOICES["shape"]),
    "--style-size": Flag(
        "style_size", str, "resize the style to the result's size, or keep its proportions", CHOICES["style_size"]
    ),
    "--style-scale": Flag("style_scale", float, "size of the strokes: 0.5 is finer, 2 is coarser"),
    "--white": Flag("white", float, "grey level of pure white in the images that are read"),
    "--noise": Flag("noise", str, "distribution of a start from noise", CHOICES["noise"]),
    "--noise-center": Flag("noise_center", float, "its mean"),
    "--noise-range": Flag("noise_range", float, "its half width, or its standard deviation"),
    "--noise-share": Flag("noise_share", float, "share of the noise in the start; the rest is content"),
    "--optimizer": Flag("optimizer", str, "the optimizer", tuple(OPTIMIZERS)),
    "--clip-pixels": Flag("clip_pixels", _yes_or_no, "keep the image between black and white"),
    "--momentum": Flag("momentum", float, "of sgd and nag"),
    "--beta1": Flag("beta1", float, "decay of adam's first moment"),
    "--beta2": Flag("beta2", float, "decay of adam's second moment"),
    "--epsilon": Flag("epsilon", float, "what adam adds to the root of the second moment"),
    "--history": Flag("history", int, "steps that lbfgs remembers"),
    "--weight-decay": Flag("weight_decay", float, "pull towards zero, of sgd, nag and adam"),
    "--colors": Flag("colors", str, "whose colours the result has, and by what method", CHOICES["colors"]),
    "--denoise-final": Flag("denoise_final", _yes_or_no, "apply the noise filter to the result, too"),
}

# Of a recipe in one pass.
GENERATOR_FLAGS = {
    "--generator": Flag("generator", str, "with --recipe one-pass: the generator, a file or a name"),
    "--style-numbers": Flag(
        "style_numbers", _counts, "with a generator of several styles: which to mix in equal parts, from 1"
    ),
    "--style-edge": Flag("style_edge", int, "with a generator: long edge of the style in pixels; 0 as it was trained"),
}

# Every setting of a recipe but ``initial``, which --init sets, and ``strength``, which is that of stylize.
FLAGS = {**ORIGINAL_FLAGS, **FURTHER_FLAGS, **GENERATOR_FLAGS}

# Parameters that are no settings of a recipe, by the names in the library's messages.
_OTHER_FLAGS = {
    "initial": "--init",
    "start": "--init",
    **{
        name: "--" + name.replace("_", "-")
        for name in (
            *("gpu", "precision", "memory", "tile_size", "weights", "models_dir", "seed", "resume", "checkpoint"),
            *("checkpoint_every", "output", "replace", "layout", "report", "trace", "recipe", "images", "batches"),
            *("rate", "crop", "numbers", "time", "evaluate_every", "state_file", "strength", "pairs"),
            *("keep", "palette", "workers", "scheduler", "frame_steps", "temporal_weight", "blend", "flow", "frames"),
            *("batch_size", "width", "losses"),
        )
    },
}


def add_original_inputs(parser):
    """Add the flags of the original programs that name the two images."""
    parser.add_argument("--content-image", default="input/IMG_4343.jpg", help="image to repaint (default: %(default)s)")
    parser.add_argument(
        "--style-image", default="input/starry_night.jpg", help="image whose style to use (default: %(default)s)"
    )


def add_original_flags(parser, recipe):
    """Add the flags that both original programs have, and the schedule's, with the settings of a recipe as defaults."""
    add_original_inputs(parser)
    add_flags(parser, ORIGINAL_FLAGS, recipe)
    add_gpu_flag(parser)


def add_training_flags(parser, kind, helps):
    """Add the flags that every training has: its settings, its state, and where to compute.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    kind : type
        A dataclass of `training.settings`, whose fields are the settings.
    helps : mapping of str to str
        What each of them means.
    """
    for setting in dataclasses.fields(kind):
        parser.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=setting.type,
            default=setting.default,
            metavar="N" if setting.type is int else "X",
            help=f"{helps[setting.name]} (default: %(default)s)",
        )
    parser.add_argument("--state-file", metavar="FILE", help="state of the training (default: beside the output)")
    parser.add_argument("--resume", action="store_true", help="continue from the state, bit for bit")
    add_gpu_flag(parser)


def training_settings(args, kind):
    """Return the settings of a training that the flags of `add_training_flags` give."""
    return kind(**{setting.name: getattr(args, setting.name) for setting in dataclasses.fields(kind)})


def add_gpu_flag(parser):
    """Add the flag that chooses the device to a parser."""
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if it can be used)",
    )


def add_flags(parser, flags, recipe=None, shown=None, hidden=False):
    """Add some of `FLAGS` to a parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    flags : mapping of str to Flag
    recipe : str, optional
        Whose settings are the defaults. Without it the defaults are None, which leaves the recipe to another flag.
    shown : str, optional
        Name of the recipe whose values the help shows where the defaults are None.
    hidden : bool
        Whether the help leaves them out.
    """
    for name, flag in flags.items():
        default = None
        if recipe and flag.setting != "model":  # a network that is the recipe's has a stand-in, one that is named none
            default = get_recipe(recipe).settings()[flag.setting]
        described = f"{flag.help} ({describe_default(flag.setting, recipe or shown)})" if recipe or shown else flag.help
        parser.add_argument(
            name,
            type=flag.type,
            default=default,
            choices=flag.choices,
            metavar=flag.metavar,
            help=argparse.SUPPRESS if hidden else described,
        )


# How a shell writes an empty list.
_NOTHING = "''"


def describe_default(setting, recipe):
    """Describe the value that a recipe, by name, has for a setting, as the help of a flag ends."""
    settings = get_recipe(recipe).settings()
    if setting not in settings:
        return f"not used by {recipe}"
    what = write_value(settings[setting]) or _NOTHING
    if setting == "model" and what in STAND_INS:
        what += f", else {STAND_INS[what]}"
    # The help is not to be mistaken for a format by argparse.
    return f"default: {what}".replace("%", "%%")


def write_value(value):
    """Write the value of a setting as its flag takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(write_value(one) for one in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def override_recipe(name, args):
    """Return the recipe called `name` with the settings that the flags in `args` give.

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
    """Return the flags that make of the recipe with its name this one: the reverse of `override_recipe`.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    list of str
        Words of a command line, without ``--recipe`` itself.
    """
    options, words = flags_of_settings(), []
    # Another optimizer or start has its own defaults for what it does not share with the recipe's.
    parts = () if recipe.feed_forward else (recipe.start, recipe.optimizer)
    own = (entry for part in parts for entry in dataclasses.fields(part))
    usual = {**{entry.name: entry.default for entry in own}, **get_recipe(recipe.name).settings()}
    for setting, value in recipe.settings().items():
        if value != usual[setting]:
            words += write_flag(options[setting], write_value(value))
    return words


def flags_of_settings():
    """Return the flag of every setting of a recipe, and of whatever else messages name, by its name."""
    return {**_OTHER_FLAGS, **{flag.setting: option for option, flag in FLAGS.items()}}


def write_flag(option, value):
    """Return the words of a command line that give `option` a value."""
    word = str(value)
    # argparse takes a word that begins with a hyphen for a flag
    return [f"{option}={word}"] if word.startswith("-") else [option, word]


def _destination(option):
    return option.lstrip("-").replace("-", "_")
