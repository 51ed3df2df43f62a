"""What the commands show on a terminal: messages, the progress of a run, and how it ends after a signal."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading

from ..errors import printable, with_names
from .flags import flags_of_settings

log = logging.getLogger(__name__)

EXIT_FAILURE = 1  # argparse exits with 2 for arguments it does not understand
EXIT_INTERRUPTED = 130  # the shell's code for a program that SIGINT ended

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


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
    running.check_finite(job, result)
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


def say(text):
    """Print a line on the standard output, in which nothing is left that a terminal could obey."""
    print(printable(str(text)))


def say_path(path):
    """Print the name of a file: to a person as `say` does, to a program byte for byte."""
    if sys.stdout.isatty() or str(path).isprintable():
        say(path)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")


def say_failure(message):
    """Print why the program ends, in one line on the standard error."""
    print(f"neural-style: error: {printable(with_names(message, flags_of_settings()))}", file=sys.stderr)


class _Formatter(logging.Formatter):
    def format(self, record):
        message = printable(with_names(super().format(record), flags_of_settings()))
        return message if record.levelno <= logging.INFO else f"neural-style: {record.levelname.lower()}: {message}"


class _StderrHandler(logging.Handler):
    """Writes around a progress bar, if there is one."""

    def emit(self, record):
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def finishing_on_signals(interrupt, message="finishing the step and saving; press Ctrl-C again to quit immediately"):
    """Let Ctrl-C, SIGTERM and a hang-up set an event and say so; a second one ends the program at once."""

    # The signal may come in the middle of a line to stderr, which takes no other one from the same thread meanwhile.
    saying_so = threading.Thread(target=log.warning, args=("%s", message))

    def finish(number, frame):
        if interrupt.is_set():
            raise KeyboardInterrupt
        interrupt.set()
        saying_so.start()

    try:
        with _handling_signals(finish):
            yield
    finally:
        if saying_so.ident is not None:
            saying_so.join()


@contextlib.contextmanager
def ending_on_signals():
    """Let SIGTERM and a hang-up end the program as Ctrl-C does, so that it leaves nothing half-written behind."""
    came = []

    def end(number, frame):
        came.append(number)
        raise KeyboardInterrupt

    try:
        with _handling_signals(end):
            yield
    except Exception as error:
        if came:  # a library made another error of it, as NumPy does while it is imported
            raise KeyboardInterrupt from error
        raise


@contextlib.contextmanager
def _handling_signals(handler):
    """Have a function called for every signal that asks the program to end, unless its caller has it ignored."""
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():  # Python allows it there only
            for name in _SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
