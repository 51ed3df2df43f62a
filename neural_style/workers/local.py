"""Processes of this machine that run functions, one at a time each; one that dies is replaced.

`concurrent.futures` gives a whole pool up when one of its processes dies, and with it what the others were doing. Here
every process is a pool of its own, so that a death costs only the call that it was busy with, which runs again.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from .._mxnet import THREAD_VARIABLES
from ..errors import WorkerError

# A call that has cost so many processes will cost the next one, too.
MOST_DEATHS = 3


class LocalWorkers:
    """Processes that run functions; a context manager.

    Every process is started afresh (spawned), because MXNet's threads do not survive a fork, and ends with this one,
    however this one ends.

    Parameters
    ----------
    processes : int
    threads : int
        That MXNet uses in each, unless the environment says how many.
    prepare : callable, optional
        Called in each process before anything else.
    arguments : tuple
        Of `prepare`.
    """

    def __init__(self, processes, threads, prepare=None, arguments=()):
        self._settings = threads, prepare, arguments
        self._idle = queue.LifoQueue()
        self._pools = set()
        for _ in range(processes):
            self._idle.put(None)
        # Each of these threads only waits for a process.
        self._waiting = ThreadPoolExecutor(processes)
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def submit(self, function, *arguments):
        """Run a function of a module as soon as a process is free.

        Returns
        -------
        concurrent.futures.Future
            Of what the function returns or raises. It raises a WorkerError if process after process died of it.
        """
        return self._waiting.submit(self._run, function, arguments)

    def close(self):
        """End the processes at once, whatever they are doing."""
        self._closed = True
        for pool in list(self._pools):
            _kill(pool)
        self._waiting.shutdown()
        for pool in list(self._pools):
            pool.shutdown()

    def _run(self, function, arguments):
        for _ in range(MOST_DEATHS):
            if self._closed:
                raise CancelledError
            pool = self._idle.get()
            try:
                pool = pool or self._start()
                future = pool.submit(function, *arguments)
                if self._closed:  # in the meantime, when there was no process yet
                    _kill(pool)
                return future.result()
            except BrokenProcessPool:
                self._pools.discard(pool)
                pool.shutdown()
                pool = None
            finally:
                self._idle.put(pool)
        raise WorkerError(
            f"{MOST_DEATHS} processes died of it, one after the other; if memory is short, use fewer `workers`"
        )

    def _start(self):
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare, self._settings)
        self._pools.add(pool)
        return pool


def _prepare(threads, prepare, arguments):
    """Make a new process ready: it ends with its parent, leaves Ctrl-C to it, and says nothing by itself."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("neural_style").addHandler(logging.NullHandler())
    if not any(name in os.environ for name in THREAD_VARIABLES):
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent():
    connection.wait([multiprocessing.parent_process().sentinel])
    # What it was doing is of use to nobody: files are written whole or not at all.
    os.kill(os.getpid(), signal.SIGKILL)


def _kill(pool):
    # There is no public way before Python 3.14, which has `kill_workers`.
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(OSError, ValueError):
            process.kill()
