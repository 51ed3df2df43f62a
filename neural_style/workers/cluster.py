"""Workers on a Dask cluster, or on one of this machine that is started for the purpose.

Dask runs again what a lost worker was doing, up to three times. What was *placed* on a lost worker is lost with it:
`fetch` then raises a WorkerError, and whoever placed it places it anew.

Dask forgets what it was told to cancel, but a function that has begun runs to its end. One that takes long asks
`is_abandoned` now and then.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import os
import threading
from concurrent.futures import CancelledError, Future

from ..errors import DependencyError, WorkerError, first_line

log = logging.getLogger(__name__)

# Seconds until a scheduler that does not answer is given up, and one that has no workers, which may be on their way.
TIMEOUT, PATIENCE = 30.0, 300.0

# Of the limit at which Dask pauses or ends a worker, what a function may count on.
_SHARE_OF_LIMIT = 0.6

# Results are added up in groups of so many, on the workers.
_FAN_IN = 8


def import_distributed():
    """Return the package `distributed`.

    Raises
    ------
    DependencyError
        If it is missing.
    """
    try:
        import distributed
    except ImportError as error:
        raise DependencyError(
            f"a cluster needs the package distributed, which cannot be imported ({first_line(error)}); install it "
            "with: pip install 'mxnet-neural-style[dask]'"
        ) from error
    return distributed


# On a worker: the clients that have left, and the one for which a thread works.
_left = set()
_serving = threading.local()


def _serve(client, function, *arguments):
    _serving.client = client
    try:
        return function(*arguments)
    finally:
        _serving.client = None


def _leave(client):
    _left.add(client)


def is_abandoned():
    """Return whether whoever submitted what this thread is doing has left the cluster; False anywhere else."""
    return getattr(_serving, "client", None) in _left


class Cluster:
    """Workers on a cluster; a context manager.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://192.168.0.1:8786``; empty to start workers on this machine.
    processes, threads : int
        To start on this machine, and what MXNet uses in each.
    memory : int or None
        Bytes of each that is started.
    limit : callable, optional
        Called in each worker with the bytes that it may use.

    Raises
    ------
    WorkerError
        If the scheduler cannot be reached, has no workers, or they cannot import this package.
    DependencyError
        If Dask is not installed.
    """

    def __init__(self, address, processes=1, threads=1, memory=None, limit=None):
        distributed = import_distributed()
        self.address = address or "of this machine"
        self._stack, self._at_close, self._has_submitted = contextlib.ExitStack(), set(), False
        try:
            self._stack.enter_context(_quiet())
            if not address:
                address = self._stack.enter_context(_start(distributed, processes, threads, memory))
            self.client = self._stack.enter_context(_connect(distributed, address))
            self.client.wait_for_workers(1, timeout=PATIENCE)
            if limit is not None:
                self.client.register_worker_callbacks(functools.partial(_limit_worker, limit, memory))
        except (OSError, ImportError, ValueError, asyncio.TimeoutError) as error:
            self._stack.close()
            raise WorkerError(f"scheduler {self.address}: {_explain(error)}") from error
        except BaseException:
            self._stack.close()
            raise
        known = CancelledError, asyncio.CancelledError, OSError, asyncio.TimeoutError, distributed.KilledWorker
        self._lost = (*known, *_cancelled(distributed))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Leave the cluster; one that was started ends."""
        if self._has_submitted:
            self._at_close.add(functools.partial(_leave, self.client.id))
        for function in self._at_close if self.client.status == "running" else ():  # else there is no scheduler to ask
            with contextlib.suppress(*self._lost):
                self.client.run(function, on_error="ignore")
        self._stack.close()

    def at_close(self, function):
        """Call a function without arguments in every worker when the cluster is left."""
        self._at_close.add(function)

    def submit(self, function, *arguments):
        """Run a function on any worker; it finds `is_abandoned` when the cluster is left.

        Returns
        -------
        concurrent.futures.Future
            Of what the function returns or raises. It raises a WorkerError if worker after worker died of it, and a
            CancelledError if the scheduler is lost.
        """
        self._has_submitted = True
        future, remote = Future(), self.client.submit(_serve, self.client.id, function, *arguments, pure=False)

        def finish(remote):
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self.fetch(remote))
                except BaseException as error:
                    is_lost = isinstance(error, WorkerError) and self.client.status != "running"
                    future.set_exception(CancelledError() if is_lost else error)

        def cancel(future):
            if future.cancelled():
                remote.cancel()

        remote.add_done_callback(finish)
        future.add_done_callback(cancel)
        return future

    def workers(self):
        """Return the addresses of the workers there are now, in a fixed order.

        Raises
        ------
        WorkerError
            If there are none, or the scheduler is lost.
        """
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
            return sorted(self.client.scheduler_info(n_workers=-1)["workers"])
        except TypeError:  # older versions tell of all in any case
            return sorted(self.client.scheduler_info()["workers"])
        except self._lost as error:
            raise WorkerError(f"scheduler {self.address}: {_explain(error)}") from error

    def place(self, value, worker=None):
        """Send a value to a worker, past the scheduler; return a handle, an argument of `call`.

        Without a worker it goes to any one, and the others fetch it from there when they need it. Dask's broadcast,
        which replicates it on all, may turn in circles for ever when workers are busy (2026.8).
        """
        try:
            return self.client.scatter(value, None if worker is None else [worker], direct=True, hash=False)
        except self._lost as error:
            raise WorkerError(f"scheduler {self.address}: {_explain(error)}") from error

    def call(self, function, *arguments, worker=None):
        """Run a function on a worker, or on another if that is lost; return a handle of its result, which stays there.

        Handles among the arguments stand for their values.
        """
        where = {} if worker is None else {"workers": [worker], "allow_other_workers": True}
        return self.client.submit(function, *arguments, pure=False, **where)

    def add_up(self, add, handles):
        """Return a handle of the sum of results, which are added up on the workers, always in the same order.

        Parameters
        ----------
        add : callable
            Takes a list of results.
        handles : list
        """
        while len(handles) > 1:
            groups = [handles[i : i + _FAN_IN] for i in range(0, len(handles), _FAN_IN)]
            handles = [self.call(add, group) if len(group) > 1 else group[0] for group in groups]
        return handles[0]

    def fetch(self, handle):
        """Return the value of a handle, straight from the worker that has it.

        Raises
        ------
        WorkerError
            If it is lost. What the function raised passes through.
        """
        try:
            return handle.result()
        except self._lost as error:
            raise WorkerError(f"a worker of scheduler {self.address} is lost ({_explain(error)})") from error


@contextlib.contextmanager
def _quiet():
    """Keep Dask's log to itself: tracebacks of lost connections, for which errors here stand."""
    handlers = {one for name in ("distributed", "distributed.client") for one in logging.getLogger(name).handlers}
    levels = {handler: handler.level for handler in handlers}
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)


@contextlib.contextmanager
def _start(distributed, processes, threads, memory):
    """Start a cluster on this machine, on the loopback interface alone; yield its address."""
    import dask

    settings = {
        # A worker that may hold so much has counted on it; Dask would end it shortly before.
        **{f"distributed.worker.memory.{what}": False for what in ("target", "spill", "pause", "terminate")},
        "distributed.scheduler.active-memory-manager.start": False,
        # On a busy machine a process takes longer to start again than Dask waits for it before it gives it up.
        "distributed.deploy.lost-worker-timeout": "1h",
    }
    with dask.config.set(settings):
        with distributed.LocalCluster(
            n_workers=processes,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=memory or 0,
            silence_logs=logging.CRITICAL,
            env={"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))},  # Dask would make it 1
        ) as cluster:
            yield cluster.scheduler_address


@contextlib.contextmanager
def _connect(distributed, address):
    client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False, direct_to_workers=True)
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, CancelledError, asyncio.CancelledError, asyncio.TimeoutError):
            client.close()


def _limit_worker(limit, memory, dask_worker=None):
    """Tell a worker what it may use; without a number of ours, by the limit that it was started with."""
    own = getattr(dask_worker, "memory_manager", dask_worker)
    memory = memory or int(_SHARE_OF_LIMIT * (getattr(own, "memory_limit", None) or 0))
    if memory:
        limit(memory)


def _cancelled(distributed):
    """Return Dask's own exceptions for results that are lost, which have changed their names."""
    names = itertools.product(("client", "comm", "core"), ("FutureCancelledError", "CommClosedError"))
    found = (getattr(getattr(distributed, module), name, None) for module, name in names)
    return tuple(filter(None, found))


def _explain(error):
    if isinstance(error, ImportError):
        return f"its workers cannot import this package ({first_line(error)}); install the same version there"
    return first_line(error) or type(error).__name__
