"""What the commands that stylise an image have in common: the flags of a run, and the run."""

from ..errors import SettingsError
from ..recipes.presets import RECIPES
from ..recipes.recipe import CHOICES
from .console import repaint_visibly

_CHECKPOINT_EVERY = 20


def add_run_flags(parser, recipe):
    """Add the flags that say how a run goes, apart from the settings of its recipe.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    recipe : str
        Name of the recipe that runs if ``--recipe`` is not given.
    """
    parser.add_argument(
        "--recipe",
        choices=list(RECIPES),
        default=recipe,
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


def find_interval(args):
    """Return the steps between two checkpoints.

    Raises
    ------
    SettingsError
        If it is less than one.
    """
    if args.checkpoint_every is None:
        return _CHECKPOINT_EVERY
    if args.checkpoint_every < 1:
        raise SettingsError(f"--checkpoint-every is {args.checkpoint_every}; it must be 1 or more")
    return args.checkpoint_every


def run_recipe(args, recipe, content, style, outputs):
    """Run a recipe with the flags of `add_run_flags`, showing the progress.

    Parameters
    ----------
    args : argparse.Namespace
        Also with ``gpu``.
    recipe : Recipe
    content, style : str
        Paths of images.
    outputs : jobs.job.Outputs

    Returns
    -------
    int
        What the program should exit with.

    Raises
    ------
    NeuralStyleError
        As `console.repaint_visibly`.
    """
    # The heavy imports come when the arguments are known to be good.
    from ..objective.memory import parse_size
    from ..transfer.inputs import choose_network

    recipe, weights = choose_network(recipe, args.weights, args.models_dir)
    return repaint_visibly(
        content,
        style,
        outputs.telling(args.report, args.trace),
        recipe,
        weights=weights,
        gpu=args.gpu,
        seed=args.seed,
        initial=None if args.init in CHOICES["initial"] else args.init,
        checkpoint=args.checkpoint,
        checkpoint_every=find_interval(args),
        tile_size=args.tile_size,
        memory=None if args.memory is None else parse_size(args.memory),
    )
