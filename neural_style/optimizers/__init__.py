"""What moves the image: MXNet's own optimizers, and others, behind one small contract.

An optimizer is made for one image and has

- ``step(image, evaluate)``, which changes the image in place. ``evaluate()`` computes the objective of the image as it
  is and gives an object with its ``gradient``, an array that the next call overwrites, and its ``loss``, a float for
  which the device is waited for. What is returned is the evaluation at the image as it was before;
- ``learning_rate``, the rate of the last step;
- ``stalled``, whether it could not find anything better;
- ``state()``, a dict of NumPy arrays and numbers, and ``load(state)``, with which a fresh one of the same settings goes
  on bit for bit.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Callable, Tuple

from .._mxnet import mx
from ..errors import SettingsError
from .first_order import MXNetOptimizer, NormalizedDescent


@dataclass(frozen=True)
class OptimizerKind:
    """How an optimizer is made.

    Attributes
    ----------
    make : callable
        ``make(image, bounds, **settings)``, the settings being those it heeds.
    heeds : tuple of str
        Names of settings of a recipe.
    arrays : callable
        From those settings to the number of arrays of the image's size that it holds.
    fixed_objective : bool
        Whether it compares values of the objective, so that the gradient must be that of one function, neither
        shortened nor of weights that change.
    """

    make: Callable
    heeds: Tuple[str, ...]
    arrays: Callable
    fixed_objective: bool = False


def _lbfgs(image, bounds, history):
    from .lbfgs import LBFGS  # imports NumPy, which who only asks for the names above need not wait for

    return LBFGS(image, history, bounds)


def _of_mxnet(name):
    def make(image, bounds, weight_decay, **settings):
        return MXNetOptimizer(getattr(mx.optimizer, name), image, bounds, wd=weight_decay, **settings)

    return make


_ALL_OF_MXNET = ("learning_rate", "schedule_delay", "schedule_factor", "weight_decay")

OPTIMIZERS = OrderedDict(
    [
        ("sgd", OptimizerKind(_of_mxnet("SGD"), _ALL_OF_MXNET + ("momentum",), lambda **_: 1)),
        ("nag", OptimizerKind(_of_mxnet("NAG"), _ALL_OF_MXNET + ("momentum",), lambda **_: 1)),
        ("adam", OptimizerKind(_of_mxnet("Adam"), _ALL_OF_MXNET + ("beta1", "beta2", "epsilon"), lambda **_: 2)),
        ("normalized", OptimizerKind(NormalizedDescent, ("learning_rate",), lambda **_: 4)),
        ("lbfgs", OptimizerKind(_lbfgs, ("history",), lambda history: 2 * history + 5, fixed_objective=True)),
    ]
)


def count_arrays(name, settings):
    """Give the number of arrays of the image's size that an optimizer holds; as `make_optimizer` takes it."""
    kind = OPTIMIZERS[name]
    return kind.arrays(**{setting: settings[setting] for setting in kind.heeds})


def make_optimizer(name, image, settings, bounds=None):
    """Make the optimizer called `name` for `image`.

    Parameters
    ----------
    name : str
        A key of `OPTIMIZERS`: ``sgd`` is gradient descent with momentum, ``nag`` Nesterov's accelerated gradient,
        ``adam`` Kingma & Ba's (2015) in the form of MXNet, Keras and TensorFlow, ``normalized`` `NormalizedDescent`,
        ``lbfgs`` `lbfgs.LBFGS`.
    image : mxnet.nd.NDArray
        (1, 3, H, W).
    settings : mapping of str to object
        Those of a recipe; the optimizer takes what it heeds. Weight decay pulls towards zero, and the learning rate is
        multiplied by ``schedule_factor`` after every ``schedule_delay`` updates.
    bounds : tuple of mxnet.nd.NDArray, optional
        Least and greatest values of the image, of a shape that broadcasts to it.

    Raises
    ------
    SettingsError
        If there is no such optimizer.
    """
    if name not in OPTIMIZERS:
        raise SettingsError(f"unknown optimizer '{name}'; choose from {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[name]
    return kind.make(image, bounds, **{setting: settings[setting] for setting in kind.heeds})
