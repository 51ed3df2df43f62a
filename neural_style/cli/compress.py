"""``neural-style compress``: make a network of low rank from a full one."""

import inspect
import logging
import threading

from ..training.compression import Compression
from .console import EXIT_INTERRUPTED, finishing_on_signals

log = logging.getLogger(__name__)

_SETTINGS = inspect.signature(Compression).parameters

# Flag, type and help of what has a default.
_FLAGS = (
    ("--time", float, "time of a step, relative to ranks of a third of the channels in every layer"),
    ("--numbers", int, "maximum number of parameters"),
    ("--batches", int, "crops to train on, one at a time"),
    ("--rate", float, "learning rate at its highest, relative to the values of each parameter"),
    ("--crop", int, "side of the crops in pixels, a multiple of 16"),
    ("--seed", int, "seed of the crops"),
    ("--evaluate-every", int, "crops between evaluations on held-out images; each saves the state"),
)


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
    for flag, kind, text in _FLAGS:
        default = _SETTINGS[flag.lstrip("-").replace("-", "_")].default
        metavar = "N" if kind is int else "X"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=f"{text} (default: %(default)s)")
    parser.add_argument("--state-file", metavar="FILE", help="state of the training (default: beside the output)")
    parser.add_argument("--resume", action="store_true", help="continue from the state, bit for bit")
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if usable, else the CPU)",
    )


def _run(args):
    settings = {name: getattr(args, name) for name in _SETTINGS if name != "folders"}
    # Until the training begins there is nothing to keep, and Ctrl-C ends the program at once.
    compression = Compression(folders=args.images, **settings)
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
