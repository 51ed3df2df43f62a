"""What the commands show on a terminal: messages, the progress of a run, and how it ends after a signal."""

import contextlib
import logging
import signal
import sys
import threading

from ..errors import SettingsError

log = logging.getLogger(__name__)

EXIT_FAILURE = 1  # argparse exits with 2 for arguments it does not understand
EXIT_INTERRUPTED = 130  # the shell's code for a program that SIGINT ended


def repaint_visibly(content, style, outputs, recipe, **more):
    """Repaint as `jobs.job.repaint`, show the progress, and finish the step at a signal.

    Parameters
    ----------
    content, style, outputs, recipe
        As `jobs.job.repaint` takes them, the recipe as a Recipe.
    **more
        What else `jobs.job.repaint` takes, except for ``callback`` and ``interrupt``.

    Returns
    -------
    int
        What the program should exit with: 0, or 130 if a signal came.

    Raises
    ------
    SettingsError
        If the run came to values that are not finite.
    NeuralStyleError
        As `jobs.job.repaint`.
    """
    # The heavy imports, scikit-image's among them, come when the arguments are known to be good.
    from ..jobs.job import repaint
    from ..transfer.run import StopReason

    interrupt = threading.Event()
    done = len(more["resume"].state.history) if more.get("resume") else 0
    with _progress(sum(recipe.pyramid) + recipe.max_steps, done) as advance, finishing_on_signals(interrupt):
        result = repaint(content, style, outputs, recipe, callback=advance, interrupt=interrupt, **more)
    if result.reason is StopReason.NOT_FINITE:
        what = f"{outputs.final} holds the last good image" if result.history else "nothing is saved"
        raise SettingsError(
            f"step {len(result.history) + 1} gave values that are not finite; {what}. A smaller --lr or "
            "smaller weights may help"
        )
    if result.reason is StopReason.INTERRUPTED:
        if not result.history:
            log.warning("interrupted before the first step was complete; nothing is saved")
        return EXIT_INTERRUPTED
    return 0


@contextlib.contextmanager
def logging_to_stderr(level):
    """Show the package's messages, and those alone, without touching the root logger."""
    logger = logging.getLogger("neural_style")
    handler = _StderrHandler()
    handler.setFormatter(_Formatter())
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _Formatter(logging.Formatter):
    def format(self, record):
        message = super().format(record)
        return message if record.levelno <= logging.INFO else f"neural-style: {record.levelname.lower()}: {message}"


class _StderrHandler(logging.Handler):
    """Writes around a progress bar, if there is one."""

    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def _progress(total, done):
    """Give a callback that moves a progress bar on a terminal; elsewhere the original's log lines tell."""
    from ..transfer.optimisation import epoch_log

    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        yield None
        return
    from tqdm import tqdm

    epoch_log.disabled = True
    try:
        with tqdm(total=total, initial=done, unit="step", file=sys.stderr, dynamic_ncols=True) as bar:

            def advance(step, image, saved):
                bar.set_postfix_str(f"loss {step.loss:.4g}, relative change {step.relative_change:.6f}", refresh=False)
                bar.update()

            yield advance
    finally:
        epoch_log.disabled = False


@contextlib.contextmanager
def finishing_on_signals(interrupt, message="finishing the step and saving; press Ctrl-C again to quit immediately"):
    """Let Ctrl-C and SIGTERM set an event and say so; a second one ends the program at once."""

    def finish(number, frame):
        if interrupt.is_set():
            raise KeyboardInterrupt
        interrupt.set()
        log.warning("%s", message)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, finish) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
