"""What moves the image: MXNet's own optimizers behind one small contract.

An optimizer is made for one image and has ``update(image, gradient)``, which changes the image in place without waiting
for the device, and ``learning_rate``, the rate of the last update.
"""

from ._mxnet import mx
from .errors import SettingsError


class MXNetOptimizer:
    """One of MXNet's optimizers with a stepwise decaying learning rate.

    Parameters
    ----------
    optimizer : callable
        An optimizer class of MXNet.
    image : mxnet.nd.NDArray
        What will be updated; the state has its shape and context.
    learning_rate : float
        The initial rate.
    schedule_delay : int
        Updates between two changes of the rate.
    schedule_factor : float
        What the rate is multiplied with at each change.
    settings : float
        Further settings of the class: ``momentum``, ``wd``.
    """

    def __init__(self, optimizer, image, learning_rate, schedule_delay, schedule_factor, **settings):
        schedule = mx.lr_scheduler.FactorScheduler(step=schedule_delay, factor=schedule_factor, base_lr=learning_rate)
        self._optimizer = optimizer(learning_rate=learning_rate, lr_scheduler=schedule, **settings)
        self._state = self._optimizer.create_state(0, image)

    @property
    def learning_rate(self):
        """Rate of the last update, or the initial one before the first."""
        return float(self._optimizer.learning_rate)

    def update(self, image, gradient):
        """Move `image` against `gradient`, both (1, 3, H, W), in place."""
        self._optimizer.update(0, image, gradient, self._state)


def _sgd(image, **settings):
    return MXNetOptimizer(mx.optimizer.SGD, image, **settings)


def _nag(image, **settings):
    return MXNetOptimizer(mx.optimizer.NAG, image, **settings)


OPTIMIZERS = {"sgd": _sgd, "nag": _nag}


def make_optimizer(name, image, learning_rate, momentum, weight_decay, schedule_delay, schedule_factor):
    """Make the optimizer called `name` for `image`.

    Parameters
    ----------
    name : str
        A key of `OPTIMIZERS`: ``sgd`` is gradient descent with momentum, ``nag`` Nesterov's accelerated gradient.
    image : mxnet.nd.NDArray
        (1, 3, H, W).
    learning_rate, momentum, weight_decay : float
        As MXNet's classes take them; weight decay pulls towards the mean colour.
    schedule_delay, schedule_factor : int, float
        The rate is multiplied by the factor after every so many updates.

    Raises
    ------
    SettingsError
        If there is no such optimizer.
    """
    if name not in OPTIMIZERS:
        raise SettingsError(f"unknown optimizer '{name}'; choose from {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](
        image,
        learning_rate=learning_rate,
        momentum=momentum,
        wd=weight_decay,
        schedule_delay=schedule_delay,
        schedule_factor=schedule_factor,
    )
