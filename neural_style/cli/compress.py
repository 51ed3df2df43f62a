"""``neural-style compress``: make a network of low rank from a full one."""

import argparse
import logging
import re
import threading

from ..training.settings import CompressionSettings
from .console import EXIT_INTERRUPTED, finishing_on_signals
from .flags import add_training_flags, training_settings

log = logging.getLogger(__name__)

_HELP = {
    "time": "time of a step, relative to ranks of a third of the channels in every layer",
    "numbers": "maximum number of parameters",
    "batches": "crops to train on, one at a time",
    "rate": "learning rate at its highest, relative to the values of each parameter",
    "crop": "side of the crops in pixels, a multiple of 16",
    "seed": "seed of the crops",
    "evaluate_every": "crops between evaluations on held-out images; each saves the state",
}


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    parser.set_defaults(run=_run)
    parser.add_argument("--weights", required=True, metavar="FILE", help="weights of the full network")
    parser.add_argument(
        "--images",
        action="append",
        required=True,
        metavar="DIR",
        help="folder of images; given several times, photographs first and paintings last",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the .params file to write")
    parser.add_argument("--model", metavar="NAME", help="the network in the weights (default: the one that fits)")
    parser.add_argument("--start", metavar="FILE", help="compressed network to train further, instead of a new one")
    parser.add_argument(
        "--ranks",
        action="append",
        default=[],
        type=_ranks,
        metavar="CONVOLUTION=R,Q",
        help="channels before and after a 3x3, instead of those chosen or of the start; may be given several times",
    )
    add_training_flags(parser, CompressionSettings, _HELP)


def _ranks(text):
    found = re.fullmatch(r"(\w+)=(\d{1,6}),(\d{1,6})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form conv4_2=136,216")
    return found[1], (int(found[2]), int(found[3]))


def _run(args):
    from ..training.compression import Compression  # imports NumPy, for which --help must not wait

    # Until the training begins there is nothing to save, and Ctrl-C ends the program at once.
    compression = Compression(
        args.weights,
        args.images,
        args.output,
        model=args.model,
        start=args.start,
        ranks=dict(args.ranks),
        settings=training_settings(args, CompressionSettings),
        state_file=args.state_file,
        resume=args.resume,
        gpu=args.gpu,
    )
    interrupt = threading.Event()
    with finishing_on_signals(interrupt, "finishing the batch and saving; press Ctrl-C again to quit immediately"):
        best = compression.run(interrupt)
    print(f"{'layer':8} {'before':>9} {'after':>9} {'Gram before':>12} {'after':>9}")
    for layer, (before, after) in best["errors"].items():
        print(f"{layer:8} {before[0]:9.4f} {after[0]:9.4f} {before[1]:12.4f} {after[1]:9.4f}")
    log.info("%s: the best of all evaluations, after %d batches", args.output, best["batch"])
    if not best["complete"]:
        log.info("continue with --resume")
        return EXIT_INTERRUPTED
    return 0
