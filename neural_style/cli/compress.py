"""``neural-style compress``: make a network of low rank from a full one."""

import inspect
import logging
import threading

from .console import EXIT_INTERRUPTED, finishing_on_signals

log = logging.getLogger(__name__)

# Flag, type and help of what has a default.
_SETTINGS = (
    ("--time", float, "time of a step, relative to ranks of a third of the channels in every layer"),
    ("--numbers", int, "the most parameters"),
    ("--batches", int, "crops to train on, one at a time"),
    ("--rate", float, "learning rate at its highest, relative to the values of each parameter"),
    ("--crop", int, "side of the crops in pixels, a multiple of 16"),
    ("--seed", int, "seed of the crops"),
    ("--evaluate-every", int, "crops between two evaluations on held-out images, each keeping the state"),
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
    parser.add_argument("--start", metavar="FILE", help="compressed network to train on, instead of a new one")
    for flag, kind, text in _SETTINGS:
        parser.add_argument(flag, type=kind, metavar="N" if kind is int else "X", help=text)
    parser.add_argument("--state-file", metavar="FILE", help="state of the training (default: beside the output)")
    parser.add_argument("--resume", action="store_true", help="continue from the state, bit for bit")
    parser.add_argument(
        "--gpu", type=int, metavar="N", help="GPU to compute on, -1 for the CPU (default: as without a command)"
    )


def _run(args):
    # The heavy imports come when the arguments are known to be good.
    from ..training.compression import compress

    given = {name: getattr(args, name) for name in inspect.signature(compress).parameters if hasattr(args, name)}
    given = {name: value for name, value in given.items() if value is not None}
    interrupt = threading.Event()
    with finishing_on_signals(interrupt, "finishing the batch and keeping the state; press Ctrl-C again to quit"):
        best = compress(folders=args.images, interrupt=interrupt, **given)
    print(f"{'layer':8} {'before':>9} {'after':>9} {'Gram before':>12} {'after':>9}")
    for layer, (before, after) in best["errors"].items():
        print(f"{layer:8} {before[0]:9.4f} {after[0]:9.4f} {before[1]:12.4f} {after[1]:9.4f}")
    log.info("%s: the best of the evaluations, after %d batches", args.output, best["batch"])
    return 0 if best["complete"] else EXIT_INTERRUPTED
