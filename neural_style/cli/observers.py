"""What follows a run from a terminal: the progress bar, and the signals that end it."""

import contextlib
import logging
import sys

from ..jobs.observers import Observer
from ..transfer.optimisation import epoch_log

log = logging.getLogger(__name__)


class Interrupt(Observer):
    """Ends a run after the step under way, or before the first; `is_set` and `set` as `threading.Event`."""

    def __init__(self):
        self._run, self._set = None, False

    def is_set(self):
        """Return whether the run was asked to end."""
        return self._set

    def set(self):
        """Ask the run to end, also before there is one."""
        self._set = True
        if self._run is not None:
            self._run.stop()

    def begin(self, run):
        """See `Observer`."""
        self._run = run
        if self._set:
            run.stop()


class _ProgressBar(Observer):
    def __init__(self, bar):
        self._bar = bar

    def step(self, step, run):
        if not run.has_converged:
            told = f"loss {step.loss:.4g}, relative change {step.relative_change:.6f}"
            self._bar.set_postfix_str(told, refresh=False)
            self._bar.update()


@contextlib.contextmanager
def following_on_terminal(job, resume):
    """Return observers for a run: a progress bar on a terminal; elsewhere none, for there the log's lines tell.

    Parameters
    ----------
    job : jobs.job.Job
    resume : jobs.checkpoints.Checkpoint or None
    """
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        yield []
        return
    from tqdm import tqdm

    recipe, total = job.recipe, 1
    if not recipe.feed_forward:
        total = sum(recipe.size.pyramid) + recipe.stopping.max_steps + recipe.stopping.surrogate
    done = len(resume.state.history) if resume else 0
    epoch_log.disabled = True
    try:
        with tqdm(total=total, initial=done, unit="step", file=sys.stderr, dynamic_ncols=True) as bar:
            yield [_ProgressBar(bar)]
    finally:
        epoch_log.disabled = False
