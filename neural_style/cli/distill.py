"""``neural-style distill``: train vgg19-compact."""

import inspect
import logging

from ..training.distillation import distill

log = logging.getLogger(__name__)

_DEFAULTS = inspect.signature(distill).parameters


def add_arguments(parser):
    """Add the flags of the command to its parser."""
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--teacher",
        action="append",
        required=True,
        metavar="FILE",
        help="weights to learn from; if given several times, a layer is taught by the first that reaches it",
    )
    parser.add_argument(
        "--images", action="append", required=True, metavar="DIR", help="folder of pictures; may be given several times"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the .params file to write")
    parser.add_argument("--start", metavar="FILE", help="parameters to start from (default: random ones)")
    for flag, kind, help in (
        ("--batches", int, "batches to train for"),
        ("--batch-size", int, "crops per batch of the first size; fewer of larger sizes, as many pixels"),
        ("--lr", float, "learning rate at its highest"),
        ("--seed", int, "seed of the crops and of random parameters"),
        ("--reuse", int, "times that a batch is learned from"),
        ("--every", int, "batches between evaluations on held-out pictures, each with a checkpoint"),
    ):
        parser.add_argument(
            flag,
            type=kind,
            default=_default(flag),
            metavar="N" if kind is int else "X",
            help=f"{help} (default: %(default)s)",
        )
    parser.add_argument(
        "--crop",
        action="append",
        type=int,
        metavar="N",
        help="side of the crops in pixels, a multiple of 16; if given several times, in turn (default: "
        + ", ".join(map(str, _default("--crops")))
        + ")",
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="state of the training (default: beside the output)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument(
        "--gpu",
        type=int,
        metavar="N",
        help="GPU to compute on, -1 for the CPU (default: GPU 0 if MXNet can use one, else the CPU)",
    )


def _default(flag):
    return _DEFAULTS[flag.lstrip("-").replace("-", "_")].default


def _run(args):
    best = distill(
        args.teacher,
        args.images,
        args.output,
        start=args.start,
        batches=args.batches,
        batch_size=args.batch_size,
        crops=tuple(args.crop or _default("--crops")),
        lr=args.lr,
        seed=args.seed,
        reuse=args.reuse,
        checkpoint=args.checkpoint,
        resume=args.resume,
        every=args.every,
        gpu=args.gpu,
    )
    log.info("%s: the best, after batch %d, held-out loss %.4f", args.output, best["step"], best["loss"])
    return 0
