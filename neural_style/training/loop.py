"""The loop of every training: one schedule, one rule, evaluations on held-out data, and a state to resume from.

What is trained is a task, which knows its parameters and computes their gradients for the batch of a given number; the
loop knows nothing about networks. A training that is interrupted and resumed takes the same steps as an uninterrupted
one, bit for bit, because a batch depends only on its number and the state on disk contains everything else.
"""

import json
import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Dict, Mapping

import numpy as np

from .._mxnet import mx
from ..archives import is_archive, read_arrays
from ..errors import CheckpointError, SettingsError
from ..files import output_error, replacing
from .rules import Adam

log = logging.getLogger(__name__)

# Number of batches between two log lines.
_LOG_EVERY = 20


class Task:
    """The interface of something that the loop can train.

    Attributes
    ----------
    parameters : mapping of str to mxnet.nd.NDArray
        What is trained; the loop changes the arrays in place. What has no gradient, such as the moving means of batch
        normalisation, the task changes itself.
    scales : mapping of str to float
        By parameter with a gradient, the factor of the learning rate: the typical size of its values, so that a rate
        means the same relative change of every parameter. A task that resumes must have the same scales as before.
    rule : rules.Adam or rules.Sgd
        How the loop changes them.
    """

    rule: Any = Adam()

    def gradients(self, number):
        """Compute the loss of batch `number` and the gradients of the parameters.

        Returns
        -------
        loss : float
        gradients : mapping of str to mxnet.nd.NDArray
        """
        raise NotImplementedError

    def evaluate(self):
        """Return the loss on held-out data, a float, and one line that describes it."""
        raise NotImplementedError

    def pictures(self):
        """Return what it now makes of a few held-out images, a list of uint8 (H, W, 3)."""
        return []

    def state(self):
        """Return what the task needs to resume besides its parameters, a mapping of str to numpy.ndarray."""
        return {}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes
    ----------
    batches : int
    rate : float
        Learning rate at its highest, relative to `Task.scales`. It falls to zero along half a cosine (Loshchilov &
        Hutter, SGDR, ICLR 2017).
    warm_up : int
        Number of batches at the beginning during which it also rises linearly.
    evaluate_every : int
        Number of batches between two evaluations, each followed by writing the state.
    """

    batches: int
    rate: float
    warm_up: int = 30
    evaluate_every: int = 100

    def __post_init__(self):
        for name in ("batches", "warm_up", "evaluate_every"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be 1 or more")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise SettingsError(f"the learning rate is {self.rate}; it must be more than 0")

    def at(self, number):
        """Return the learning rate of a batch, counted from 0."""
        rising = min(1.0, (number + 1) / self.warm_up)
        return self.rate * rising * 0.5 * (1 + math.cos(math.pi * number / self.batches))


@dataclass(frozen=True)
class Trained:
    """The parameters with the smallest loss of all evaluations.

    Attributes
    ----------
    loss : float
        On held-out data.
    batch : int
        Number of batches before that evaluation.
    parameters : dict of str to numpy.ndarray
    complete : bool
        Whether the training was complete; if not, it was interrupted.
    """

    loss: float
    batch: int
    parameters: Dict[str, np.ndarray]
    complete: bool


def train(task, schedule, state_file, settings, resume=None, interrupt=None, journal=None):
    """Train until the schedule ends or `interrupt` is set.

    Parameters
    ----------
    task : Task
    schedule : Schedule
    state_file : str
        Where the state is saved, at every evaluation and when the training is interrupted.
    settings : dict
        What the training depends on, as values of JSON; written to the state for `read_state` to compare.
    resume : mapping of str to numpy.ndarray, optional
        The result of `read_state`, to continue from it.
    interrupt : threading.Event, optional
        Set it to finish the batch, save the state and return.
    journal : journal.Journal, optional
        Gets every evaluation.

    Returns
    -------
    Trained

    Raises
    ------
    CheckpointError
        If the state to resume is damaged or belongs to another task.
    SettingsError
        If a loss is not finite.
    OutputError
        If the state or the page of the journal cannot be written.
    """
    moments = {name: [mx.nd.zeros_like(a) for _ in task.rule.state] for name, a in task.parameters.items()}
    if resume is None:
        number, best = 0, _evaluate(task, 0, None, journal)
    else:
        number, best = _restore(task, moments, resume, state_file, journal)
    begun, first = time.time(), number
    while number < schedule.batches and not (interrupt is not None and interrupt.is_set()):
        loss, gradients = task.gradients(number)
        if not math.isfinite(loss):
            raise SettingsError(f"the loss of batch {number + 1} is not finite; use a lower learning rate")
        for name, gradient in gradients.items():
            task.rule.step(task.parameters[name], gradient, moments[name], schedule, number, task.scales[name])
        number += 1
        if number % _LOG_EVERY == 0:
            pace = (time.time() - begun) / (number - first)
            log.info("batch %d of %d, loss %.4g, %.2f s per batch", number, schedule.batches, loss, pace)
        if number % schedule.evaluate_every == 0 or number == schedule.batches:
            best = _evaluate(task, number, best, journal)
            _write_state(state_file, task, moments, number, best, settings, journal)
    complete = number >= schedule.batches
    if not complete:
        _write_state(state_file, task, moments, number, best, settings, journal)
    return Trained(best["loss"], best["batch"], best["parameters"], complete)


def read_state(path, settings, may_differ=("batches",)):
    """Read the state of a training that was started with the same settings.

    Parameters
    ----------
    path : str
    settings : dict
        Of the training that is to continue.
    may_differ : sequence of str
        Settings that may have changed.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    CheckpointError
        If the file cannot be read, or is not the state of a training with these settings.
    """
    try:
        arrays = read_arrays(path)
        before = dict(json.loads(str(arrays["settings"])))
    except OSError as error:
        raise CheckpointError(
            f"{path}: the state of the training cannot be read ({error.strerror or error})"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: not the state of a training of this program") from error
    changed = [name for name, value in settings.items() if name not in may_differ and before.get(name) != value]
    if changed:
        what = ", ".join(f"{name} {before.get(name)} instead of {settings[name]}" for name in changed)
        raise CheckpointError(f"{path}: begun with other settings ({what}); resume with those, or begin anew")
    return arrays


def is_state(head):
    """Return whether a file that begins like this is the state of a training."""
    return is_archive(head, ("settings",))


def own_parameters(arrays):
    """Return the parameters by name from the result of `read_state`."""
    return _part(arrays, "now")


def own_state(arrays):
    """Return the result of `Task.state` from the result of `read_state`."""
    return _part(arrays, "task")


def _evaluate(task, number, best, journal):
    loss, line = task.evaluate()
    log.info("after %d batches, held out: %s", number, line)
    if not math.isfinite(loss):
        raise SettingsError(f"the held-out loss after {number} batches is not finite; use a lower learning rate")
    if journal is not None:
        journal.add(number, loss, task.pictures())
    if best is not None and best["loss"] <= loss:
        return best
    parameters = {name: array.asnumpy() for name, array in task.parameters.items()}
    return {"loss": loss, "batch": number, "parameters": parameters}


def _write_state(path, task, moments, number, best, settings, journal):
    arrays = {"settings": np.array(json.dumps(settings, sort_keys=True)), "number": np.array(number)}
    for name, array in task.parameters.items():
        arrays[f"now:{name}"] = array
        arrays.update((f"{kept}:{name}", moment) for kept, moment in zip(task.rule.state, moments[name]))
    arrays = {name: value if isinstance(value, np.ndarray) else value.asnumpy() for name, value in arrays.items()}
    arrays.update({"best_loss": np.array(best["loss"]), "best_batch": np.array(best["batch"])})
    arrays.update((f"best:{name}", value) for name, value in best["parameters"].items())
    arrays.update((f"task:{name}", value) for name, value in task.state().items())
    if journal is not None:
        arrays.update((f"journal:{name}", value) for name, value in journal.state().items())
    try:
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise output_error(path, error) from error


def _restore(task, moments, arrays, path, journal):
    try:
        if journal is not None:
            journal.restore(_part(arrays, "journal"))
        for name, array in task.parameters.items():
            for kept, place in zip(("now", *task.rule.state), (array, *moments[name])):
                place[:] = mx.nd.array(_sound(arrays[f"{kept}:{name}"], array.shape))
        best = {"loss": float(_sound(arrays["best_loss"], ())), "batch": int(_sound(arrays["best_batch"], ()))}
        parameters = ((name, _sound(arrays[f"best:{name}"], array.shape)) for name, array in task.parameters.items())
        return int(_sound(arrays["number"], ())), dict(best, parameters=dict(parameters))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the state of the training is damaged ({error}); begin anew") from error


def _sound(value, shape):
    if value.shape != shape or not np.isfinite(value).all():
        raise ValueError(f"shape {value.shape} for {shape}, or values that are not finite")
    return value


def _part(arrays: Mapping[str, np.ndarray], kind: str):
    return {name[len(kind) + 1 :]: value for name, value in arrays.items() if name.startswith(kind + ":")}
