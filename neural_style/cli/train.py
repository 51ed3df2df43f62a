"""``neural-style train``: make a generator, which repaints in one pass."""

import logging
import threading

from ..errors import SettingsError
from ..training.settings import TrainingSettings
from .console import EXIT_INTERRUPTED, finishing_on_signals
from .flags import add_training_flags, training_settings

log = logging.getLogger(__name__)

_HELP = {
    "batches": "batches to train on",
    "rate": "learning rate at its highest, relative to the values of each parameter",
    "batch_size": "crops in a batch",
    "crop": "side of the crops in pixels, a multiple of 32",
    "seed": "seed of the crops and of new parameters",
    "evaluate_every": "batches between evaluations on held-out images; each saves the state",
}


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    parser.set_defaults(run=_run)
    styles = parser.add_mutually_exclusive_group(required=True)
    styles.add_argument("--style", metavar="IMAGE", help="learn the style of this image")
    styles.add_argument("--styles", metavar="DIR", help="learn to take any style, from the paintings in this folder")
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of photographs")
    parser.add_argument(
        "--output",
        required=True,
        metavar="NAME",
        help="of one style, NAME-symbol.json and NAME-0000.params, which MXNet loads by itself; of any, NAME.params",
    )
    parser.add_argument("--start", metavar="FILE", help="generator to train further; needed for any style")
    parser.add_argument(
        "--losses",
        choices=("paint", "johnson", "end-to-end"),
        default="paint",
        help="of one style: those of recipe paint, of Johnson et al. 2016, or the rule of MXNet's end_to_end example, "
        "which trains a chain of four; its author took --rate 0.0001 --batch-size 1 --crop 384 (default: %(default)s)",
    )
    parser.add_argument(
        "--width", type=int, default=16, metavar="N", help="of one style: channels of the first layer (default: 16)"
    )
    parser.add_argument("--report", metavar="FILE", help="write a page about the training, with pictures on the way")
    add_training_flags(parser, TrainingSettings, _HELP)


def _run(args):
    settings = training_settings(args, TrainingSettings)
    shared = {name: getattr(args, name) for name in ("state_file", "resume", "gpu", "report")}
    shared.update(settings=settings)
    # Until the training begins there is nothing to save, and Ctrl-C ends the program at once.
    if args.styles is None:
        from ..training.one_style import OneStyleTraining  # imports NumPy, for which --help must not wait

        training = OneStyleTraining(
            args.style, args.images, args.output, losses=args.losses, width=args.width, start=args.start, **shared
        )
    else:
        from ..training.any_style import AnyStyleTraining

        if args.start is None:
            raise SettingsError("--start is missing; a generator for any style is trained further from another")
        training = AnyStyleTraining(args.start, args.images, args.styles, args.output, **shared)
    interrupt = threading.Event()
    with finishing_on_signals(interrupt, "finishing the batch and saving; press Ctrl-C again to quit immediately"):
        best = training.run(interrupt)
    print(*training.files, sep="\n")
    log.info("the best of all evaluations, after %d batches: %.4f", best["batch"], best["loss"])
    if not best["complete"]:
        log.info("continue with --resume")
        return EXIT_INTERRUPTED
    return 0
