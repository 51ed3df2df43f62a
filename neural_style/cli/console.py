"""What the commands show on a terminal: messages, the progress of a run, and how it ends after a signal."""

import contextlib
import json
import logging
import signal
import sys
import threading

from ..errors import SettingsError, with_names
from .flags import flags_of_settings

log = logging.getLogger(__name__)

EXIT_FAILURE = 1  # argparse exits with 2 for arguments it does not understand
EXIT_INTERRUPTED = 130  # the shell's code for a program that SIGINT ended


def run_visibly(job, resume=None, as_json=False):
    """Run a job, show the progress, and finish the step at a signal.

    Parameters
    ----------
    job : jobs.job.Job
    resume : jobs.checkpoints.Checkpoint, optional
        As `jobs.running.run_job` takes it.
    as_json : bool
        Whether to print the record of the result.

    Returns
    -------
    int
        What the program should exit with: 0, or 130 if a signal came.

    Raises
    ------
    SettingsError
        If the run came to values that are not finite.
    NeuralStyleError
        As `jobs.running.run_job`.
    """
    # The heavy imports, scikit-image's among them, come when the arguments are known to be good.
    from ..jobs import running
    from ..jobs.provenance import read_record
    from ..transfer.run import StopReason
    from .observers import Interrupt, following_on_terminal

    interrupt = Interrupt()
    with following_on_terminal(job, resume) as observers, finishing_on_signals(interrupt):
        result = running.run_job(job, [interrupt, *observers], resume)
    final = job.outputs.final
    if result.reason is StopReason.NOT_FINITE:
        what = f"{final} holds the last good image" if result.history else "nothing is saved"
        raise SettingsError(
            f"step {len(result.history) + 1} gave values that are not finite; {what}. A smaller `learning_rate` or "
            "smaller weights may help"
        )
    if result.reason is StopReason.INTERRUPTED and not result.history:
        log.warning("interrupted before the first step was complete; nothing is saved")
    elif as_json:
        print(json.dumps(dict(read_record(final), file=final), indent=2))
    return EXIT_INTERRUPTED if result.reason is StopReason.INTERRUPTED else 0


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
        message = with_names(super().format(record), flags_of_settings())
        return message if record.levelno <= logging.INFO else f"neural-style: {record.levelname.lower()}: {message}"


class _StderrHandler(logging.Handler):
    """Writes around a progress bar, if there is one."""

    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def finishing_on_signals(interrupt, message="finishing the step and saving; press Ctrl-C again to quit immediately"):
    """Let Ctrl-C and SIGTERM set an event and say so; a second one ends the program at once."""

    # The signal may come in the middle of a line to stderr, which takes no other one from the same thread meanwhile.
    saying_so = threading.Thread(target=log.warning, args=("%s", message))

    def finish(number, frame):
        if interrupt.is_set():
            raise KeyboardInterrupt
        interrupt.set()
        saying_so.start()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, finish) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
        if saying_so.ident is not None:
            saying_so.join()
