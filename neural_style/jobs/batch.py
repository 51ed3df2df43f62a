"""Many jobs on workers: what of them is done already, one job as a task, and what became of it.

Everything that a worker needs is in the job, and everything that it makes is in the files of the job, so that any
process which sees the same files can work, and what is finished survives whatever is lost.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import threading
import time
from concurrent.futures import CancelledError, Future, as_completed
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..errors import CheckpointError, NeuralStyleError, first_line
from ..files import sha256
from ..images import sizing
from ..images.reading import read_image
from ..metrics.perceptual import Distances, Judge
from ..transfer.compute import choose_device
from ..weights.lookup import find_weights
from ..workers.cluster import is_abandoned
from .checkpoints import Checkpoint, load_checkpoint
from .job import Job
from .observers import Observer
from .provenance import describe_run, read_record
from .running import check_finite, run_job

log = logging.getLogger(__name__)

# Memory that a process needs for a small image with the bundled network: MXNet, its kernels and the libraries.
LEAST_MEMORY = 600 * 2**20

# Distances are measured at this long edge, so that they cost little beside the run, whatever its size.
JUDGED_EDGE = 512

# Of a record, what does not decide how its image looks: names of files, for which their digests stand, and places.
_UNDECISIVE = ("schema", "version", "program", "recipe", "compute")
_PLACES = ("file", "found")

# MXNet's generator and its executors belong to a process, so a process that is given several jobs takes turns.
_turn = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    job : Job
    state : str
        ``made``; ``kept`` if it was done already; ``failed``; ``left`` if the batch ended before.
    record : dict or None
        Of the image, see `provenance`.
    distances : Distances or None
        See `metrics.perceptual`; None if they were not measured.
    seconds : float or None
        That it took.
    error : str
        What went wrong.
    """

    job: Job
    state: str
    record: Optional[Mapping[str, Any]] = None
    distances: Optional[Distances] = None
    seconds: Optional[float] = None
    error: str = ""


def share_machine(jobs: int, cores: int, room: int) -> Tuple[int, int, int]:
    """Share a machine among processes that run jobs.

    As many processes as cores, with one thread each, cost the fewest processor seconds for an image: 0.60 at 96 pixels
    against 0.67 with two threads, and the same at 256 (``benchmarks/README.md``). There are fewer processes where there
    is not enough memory for so many.

    Parameters
    ----------
    jobs : int
        That there are.
    cores : int
        That may be used.
    room : int
        Bytes that may be used.

    Returns
    -------
    processes : int
    threads : int
        Of each.
    memory : int
        Bytes of each.
    """
    processes = max(1, min(jobs, cores, room // LEAST_MEMORY))
    return processes, max(1, cores // processes), room // processes


class Results:
    """Finds out which jobs are done, and looks at every file that they share only once."""

    def __init__(self) -> None:
        self._digest = functools.lru_cache(maxsize=None)(sha256)
        self._networks: Dict[Any, Tuple[str, str]] = {}

    def name_network(self, job: Job) -> Tuple[Job, str]:
        """Return the job with its network named, so that every worker takes this one, and the file of its weights.

        Raises
        ------
        WeightsError
            If there are none.
        """
        key = job.weights, job.recipe.losses.model, job.recipe.network_named
        if key not in self._networks:
            found, path = job.find_weights()
            self._networks[key] = found.recipe.losses.model, path
        model, path = self._networks[key]
        recipe = job.recipe if model == job.recipe.losses.model else job.recipe.override(model=model)
        return dataclasses.replace(job, recipe=dataclasses.replace(recipe, network_named=True)), path

    def find(self, job: Job, weights: str) -> Optional[Dict[str, Any]]:
        """Return the record of a job's result if it is there and is what the job would make, else None.

        It is if it was made to its end of the same images, weights, settings and seed; where does not count.

        Parameters
        ----------
        job : Job
            Of `name_network`.
        weights : str
        """
        return _find_result(job, weights, self._digest)


def _find_result(job: Job, weights: str, digest: Callable[[Any], str]) -> Optional[Dict[str, Any]]:
    outputs = job.outputs
    if not all(os.path.exists(path) for path in (outputs.final, outputs.report, outputs.trace) if path):
        return None
    try:
        record = read_record(outputs.final)
        if record["stop"] in (None, "INTERRUPTED", "NOT_FINITE"):
            return None
        return record if _is_same(record, describe_run(job, weights, digest)) else None
    except NeuralStyleError:  # told when the job runs
        return None


def _is_same(record, run):
    """Return whether the record of an image, or of a checkpoint, is of a run that is described by `run`."""
    if record["compute"]["precision"] != run["compute"]["precision"]:
        return False
    return all(_decisive(record.get(key)) == _decisive(run[key]) for key in run if key not in _UNDECISIVE)


def _decisive(value):
    if isinstance(value, dict):
        return {key: _decisive(one) for key, one in value.items() if key not in _PLACES}
    return [_decisive(one) for one in value] if isinstance(value, list) else value


def run_task(task: Mapping[str, Any]) -> Dict[str, Any]:
    """Run a job in a worker and measure its result, or only measure it.

    Parameters
    ----------
    task : dict
        ``job``, of `Job.to_json`; ``done``, whether there is nothing to make; ``judge``, name and file of the network
        that measures, or None; see `Batch`.

    Returns
    -------
    dict
        ``record``, ``distances``, ``seconds``, and ``warnings``, a list of lines.

    Raises
    ------
    CancelledError
        If the batch has left the cluster in the meantime; then nothing is saved.
    """
    with _turn, _collecting_warnings() as warnings:
        begun, job = time.monotonic(), Job.from_json(task["job"])
        if not task["done"]:
            check_finite(job, run_job(job, [_EndAbandoned()], _find_checkpoint(job)))
        seconds = None if task["done"] else time.monotonic() - begun
        distances = None
        try:
            distances = _judge(job, task["judge"]) if task["judge"] else None
        except NeuralStyleError as error:
            log.warning("%s", error)
    return {
        "record": read_record(job.outputs.final),
        "distances": distances,
        "seconds": seconds,
        "warnings": warnings,
    }


class _EndAbandoned(Observer):
    """Ends a run that nobody waits for any longer, which would keep its worker busy."""

    def step(self, step: Any, run: Any) -> None:
        if is_abandoned():
            raise CancelledError


def _find_checkpoint(job: Job) -> Optional[Checkpoint]:
    """Return the state in which an earlier try of a job was lost, if it kept one."""
    if job.checkpoint is None or not os.path.exists(job.checkpoint):
        return None
    try:
        checkpoint = load_checkpoint(job.checkpoint)
    except CheckpointError as error:
        log.warning("%s", error)
        return None
    return checkpoint if _is_same(checkpoint.run, describe_run(*job.find_weights())) else None


def _judge(job: Job, judge: Tuple[str, Optional[str]]) -> Distances:
    image, content, style = (read_image(path) for path in (job.outputs.final, job.content, job.styles[0].file))
    size = sizing.long_edge_size(image.shape, min(JUDGED_EDGE, max(image.shape[:2])))
    weights, device = find_weights(*judge), choose_device(job.compute.gpu)
    return Judge(judge[0], weights, content, style, device).measure(sizing.resize(image, size))


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines: List[str] = []

    def emit(self, record):
        self.lines.append(self.format(record))


@contextlib.contextmanager
def _collecting_warnings():
    logger, handler = logging.getLogger("neural_style"), _Lines()
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


class Batch:
    """Jobs that run on workers: iterate over it for an `Outcome` after the other, as they come.

    Parameters
    ----------
    jobs : sequence of Job
        No two may write the same file; see `sweep.check_distinct`.
    submit : callable
        Of workers: takes a function and its arguments, and returns a `concurrent.futures.Future`.
    judge : (str, str or None) or None
        Name of the network by which results are measured, and the file of its weights, None to find it.
    known : callable
        Takes a job that is done and the record of its result, and returns its `Distances` if they are known, else None.

    Attributes
    ----------
    is_stopped : bool
        Whether `stop` was called.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        submit: Callable[..., Future],
        judge: Optional[Tuple[str, Optional[str]]] = None,
        known: Callable[[Job, Mapping[str, Any]], Optional[Distances]] = lambda job, record: None,
    ) -> None:
        self._jobs, self._submit, self._judge, self._known = jobs, submit, judge, known
        self._futures: Dict[Future, Tuple[Job, bool]] = {}
        self.is_stopped = False

    def stop(self) -> None:
        """Begin no other job; those under way are finished. A signal handler may call it."""
        self.is_stopped = True
        for future in list(self._futures):
            future.cancel()

    def __iter__(self) -> Iterator[Outcome]:
        results = Results()
        for job in self._jobs:
            if self.is_stopped:
                break
            try:
                named, weights = results.name_network(job)
            except NeuralStyleError as error:
                yield Outcome(job, "failed", error=str(error))
                continue
            record = results.find(named, weights)
            distances = None if record is None else self._known(job, record)
            if record is not None and (distances is not None or self._judge is None):
                yield Outcome(job, "kept", record, distances)
                continue
            task = {"job": named.absolute().to_json(), "done": record is not None, "judge": self._judge}
            self._futures[self._submit(run_task, task)] = job, record is not None
        if self.is_stopped:
            self.stop()
        told: set = set()
        for future in as_completed(list(self._futures)):
            yield self._describe(future, told)

    def _describe(self, future: Future, told: set) -> Outcome:
        job, done = self._futures[future]
        try:
            result = future.result()
        except CancelledError:
            return Outcome(job, "left")
        except NeuralStyleError as error:
            return Outcome(job, "failed", error=str(error))
        except Exception as error:  # a bug costs one job, too, but keeps its traceback
            log.error("%s: %s", job.outputs.final, first_line(error), exc_info=error)
            return Outcome(job, "failed", error=f"{type(error).__name__}: {first_line(error)}")
        for line in result["warnings"]:
            if line not in told:
                log.warning("%s", line)
            told.add(line)
        return Outcome(job, "kept" if done else "made", result["record"], result["distances"], result["seconds"])
