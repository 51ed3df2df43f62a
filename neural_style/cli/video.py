"""``neural-style video``: a video in the style of a painting."""

import contextlib
import logging
import os
import sys

from ..recipes.presets import RECOMMENDED_RECIPE
from ..recipes.video import Following
from .console import EXIT_INTERRUPTED, finishing_on_signals
from .flags import override_recipe
from .running import add_run_flags, check_paintings, make_groups, make_job

log = logging.getLogger(__name__)

# What the run of a single image says, which for every frame would be too much.
_OF_ONE_RUN = ("transfer.optimisation", "transfer.inputs", "transfer.run", "objective.targets")


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.usage = "%(prog)s CLIP PAINTING [-o FILE] [flags]"
    parser.epilog = (
        "The same command again continues after the last finished frame, however the run was ended. Needs PyAV; with "
        "OpenCV the flow is found faster: pip install 'mxnet-neural-style[video]'."
    )
    groups = make_groups(parser)
    group = groups["input"]
    group.add_argument("clip", metavar="CLIP", help="video to repaint")
    group.add_argument(
        "painting",
        metavar="PAINTING",
        nargs="?",
        help="image whose style to use; none for a generator with its own",
    )
    group = groups["output"]
    group.add_argument(
        "-o", "--output", metavar="FILE", help="the result: .mp4, .mov or .mkv (default: CLIP-PAINTING.mp4)"
    )
    group.add_argument(
        "--frames", metavar="DIR", help="keep the frames in this folder (default: FILE.frames, removed at the end)"
    )
    group = groups["look"]
    usual = Following()
    group.add_argument(
        "--frame-steps",
        type=int,
        default=usual.frame_steps,
        metavar="N",
        help="maximum steps of a frame that follows another (default: %(default)s)",
    )
    group.add_argument(
        "--temporal-weight",
        type=float,
        default=usual.temporal_weight,
        metavar="X",
        help="how firmly frames are held to the one before, 0 for not at all (default: %(default)s)",
    )
    group.add_argument(
        "--blend",
        type=float,
        default=usual.blend,
        metavar="X",
        help="with --recipe one-pass: how much of a frame is the one before (default: %(default)s)",
    )
    group.add_argument(
        "--flow", choices=["dis", "tv-l1"], help="how motion is found (default: dis if OpenCV is installed)"
    )
    add_run_flags(groups, RECOMMENDED_RECIPE, one=False)
    parser.set_defaults(run=_run, report=None, trace=None, checkpoint=None, checkpoint_every=None)


def _run(args):
    recipe = override_recipe(args.recipe, args)
    check_paintings(recipe, args.painting, "CLIP")
    following = Following(args.frame_steps, args.temporal_weight, args.blend)

    # The heavy imports come when the arguments are known to be good.
    from ..images.frames import load_av
    from ..jobs import video
    from ..jobs.outputs import Outputs
    from .observers import Interrupt

    load_av()
    styles = [args.painting] if args.painting else []
    names = (os.path.splitext(os.path.basename(path))[0] for path in (args.clip, *(styles or [recipe.network])))
    outputs = Outputs.beside(args.output or "-".join(names) + ".mp4")
    job = make_job(args, recipe, args.clip, styles, outputs)
    interrupt = Interrupt()
    with finishing_on_signals(interrupt, "leaving the frame; press Ctrl-C again to quit immediately"):
        with _showing() as watch, _quietly():
            ended = video.run_video(video.VideoJob(job, following, args.flow, args.frames), [interrupt], watch)
    if ended.done < ended.total:
        log.info("%d of %d frames are finished; the same command continues", ended.done, ended.total)
        return EXIT_INTERRUPTED
    return 0


@contextlib.contextmanager
def _showing():
    """Yield what shows the progress: a bar on a terminal, a line for every frame elsewhere."""
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        yield _log_frame
        return
    from tqdm import tqdm

    with tqdm(unit="frame", file=sys.stderr, dynamic_ncols=True) as bar:

        def watch(progress):
            bar.total, bar.n = progress.total, progress.done
            bar.refresh()

        yield watch


def _log_frame(progress):
    if progress.done:
        log.info("frame %d of %d%s", progress.done, progress.total, ", the first of a shot" if progress.is_cut else "")


@contextlib.contextmanager
def _quietly():
    loggers = [logging.getLogger(f"neural_style.{name}") for name in _OF_ONE_RUN]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logging.WARNING, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)
