"""What the commands that stylise an image have in common: the flags of a run, and the job that they describe."""

import argparse

from ..errors import SettingsError
from ..recipes.parts import CHOICES
from ..recipes.presets import RECIPES
from ..transfer.compute import PRECISIONS
from .controls import ControlsHelp, add_control_flags
from .flags import FLAGS, SettingsHelp, add_flags, add_gpu_flag

# The settings that have their places in the groups of the help; --help-settings lists them all.
_LOOK = ("--style-scale", "--tv-weight", "--max-long-edge")
_SPEED = ("--model", "--max-num-epochs", "--pyramid")


def make_groups(parser):
    """Make the groups of the help of a command that stylises, by name."""
    names = ("input", "output", "look", "speed and memory", "stop and resume", "help")
    return {name: parser.add_argument_group(name) for name in names}


def add_run_flags(groups, recipe, one=True, controls=False):
    """Add the flags that say how a run goes, and all settings of a recipe.

    Parameters
    ----------
    groups : dict of str to argparse group
        Of `make_groups`; they may hold what a command has besides.
    recipe : str
        Name of the recipe that runs if ``--recipe`` is not given, whose values the help shows.
    one : bool
        Whether there is one run, so that there are flags for the files that it keeps beside its images.
    controls : bool
        Whether to add the flags of `controls`.
    """
    shown, group = recipe, groups["input"]
    group.add_argument("--init", metavar="START", help=f"{', '.join(CHOICES['initial'])}, or an image to start from")
    group.add_argument("--weights", metavar="FILE", help="parameters of the network (default: MODEL.params, found)")
    group.add_argument("--models-dir", metavar="DIR", help="folder where parameters are looked for first")

    if one:
        _add_files(groups)
    group = groups["output"]
    group.add_argument("--quiet", action="store_true", help="print only warnings and errors")
    group.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help=argparse.SUPPRESS
    )

    group = groups["look"]
    group.add_argument(
        "--recipe",
        choices=list(RECIPES),
        default=recipe,
        metavar="NAME",
        help=f"named settings, see 'neural-style recipes' (default: {shown})",
    )
    add_flags(group, {name: FLAGS[name] for name in _LOOK}, shown=shown)
    group.add_argument("--seed", type=int, default=0, metavar="N", help="seed of a start from noise (default: 0)")

    group = groups["speed and memory"]
    add_flags(group, {name: FLAGS[name] for name in _SPEED}, shown=shown)
    add_gpu_flag(group)
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        metavar="NAME",
        help="float32, bf16, or auto: bf16 where it is faster (default: float32)",
    )
    group.add_argument("--memory", metavar="SIZE", help="memory limit, such as 4GB (default: what is left)")
    group.add_argument(
        "--tile-size", type=int, metavar="N", help="compute in tiles of this size, 0 for none (default: by memory)"
    )

    group.add_argument(
        "--scheduler",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="compute on a Dask cluster; without an address, on one started here",
    )
    group = groups["help"]
    add_flags(group, {name: flag for name, flag in FLAGS.items() if name not in _LOOK + _SPEED}, hidden=True)
    if controls:
        add_control_flags(group)
    if one:
        group.add_argument(
            "--help-controls", action=ControlsHelp, help="list the flags for several styles, masks and colours"
        )
    group.add_argument("--help-settings", action=SettingsHelp, help="list every setting of a recipe")


def _add_files(groups):
    group = groups["output"]
    group.add_argument("--report", metavar="FILE", help="HTML page about the run: images, plots, settings")
    group.add_argument(
        "--trace", metavar="FILE", help="every step as JSON, also during the run (with --report: trace.json beside it)"
    )
    group.add_argument("--json", action="store_true", help="print the record of the result as JSON")
    group = groups["stop and resume"]
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep the state of the run, also on Ctrl-C; --checkpoint-every N: steps between (20)",
    )
    group.add_argument("--checkpoint-every", type=int, metavar="N", help=argparse.SUPPRESS)


def check_paintings(recipe, paintings, photo):
    """Refuse a recipe that needs a painting and has none; `photo` is what the first argument is called."""
    if not (recipe.feed_forward or paintings):
        raise SettingsError(f"recipe {recipe.name} takes the style from a PAINTING; name one after {photo}")


def make_job(args, recipe, content, styles, outputs, **more):
    """Make the job that the flags of `add_run_flags` describe.

    Parameters
    ----------
    args : argparse.Namespace
    recipe : Recipe
        The one that the flags name and override.
    content : str
        File of an image.
    styles : sequence of str or jobs.inputs.StyleFile
        Empty for a generator that has a style of its own.
    outputs : jobs.outputs.Outputs
    **more
        Further parts of the job.

    Returns
    -------
    jobs.job.Job

    Raises
    ------
    NeuralStyleError
        If a value makes no sense, or there are no such weights.
    """
    # The heavy imports come when the arguments are known to be good.
    from ..jobs.job import CHECKPOINT_EVERY, Job
    from ..objective.memory import parse_size
    from ..transfer.compute import Compute
    from ..transfer.inputs import choose_network
    from ..weights.generators import find_generator

    weights = None
    if recipe.feed_forward and args.models_dir is not None and args.weights is None:
        weights = find_generator(recipe.network, args.models_dir)
    elif recipe.feed_forward:
        weights = args.weights
    elif args.weights is not None or args.models_dir is not None:
        recipe, weights = choose_network(recipe, args.weights, args.models_dir)
    return Job(
        content,
        tuple(styles),
        outputs.with_report(args.report, args.trace),
        recipe,
        start=None if args.init in CHOICES["initial"] else args.init,
        weights=None if weights is None else str(weights),
        seed=args.seed,
        compute=Compute(
            args.gpu,
            args.precision,
            None if args.memory is None else parse_size(args.memory),
            args.tile_size,
            args.scheduler,
        ),
        checkpoint=args.checkpoint,
        checkpoint_every=CHECKPOINT_EVERY if args.checkpoint_every is None else args.checkpoint_every,
        **more,
    )
