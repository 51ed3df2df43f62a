"""Optimizers that use one gradient per step: MXNet's own, and normalised descent. The package states the contract."""

from .._mxnet import mx
from .states import ARRAY, COUNT, NUMBER, check_state


class MXNetOptimizer:
    """One of MXNet's optimizers with a learning rate that decays in steps.

    Parameters
    ----------
    optimizer : callable
        An optimizer class of MXNet.
    image : mxnet.nd.NDArray
        What will be updated; the state has the same shape and context.
    bounds : tuple of mxnet.nd.NDArray or None
        Smallest and largest values, of a shape that broadcasts to the image's. The image is clipped to them after each
        step.
    learning_rate : float
        The initial rate.
    schedule_delay : int
        Number of updates between two changes of the rate.
    schedule_factor : float
        Factor by which the rate is multiplied at each change.
    settings : float
        Further settings of the class: ``momentum``, ``wd``, ``beta1``, ...
    """

    stalled = False

    def __init__(self, optimizer, image, bounds, learning_rate, schedule_delay, schedule_factor, **settings):
        schedule = mx.lr_scheduler.FactorScheduler(step=schedule_delay, factor=schedule_factor, base_lr=learning_rate)
        self._optimizer = optimizer(learning_rate=learning_rate, lr_scheduler=schedule, **settings)
        self._state = self._optimizer.create_state(0, image)
        self._bounds = bounds

    @property
    def learning_rate(self):
        """Rate of the last step; before the first step, the initial rate."""
        return float(self._optimizer.learning_rate)

    def step(self, image, evaluate):
        """Move `image` (1, 3, H, W) against its gradient, without waiting for the device."""
        evaluation = evaluate()
        self._optimizer.update(0, image, evaluation.gradient, self._state)
        clip(image, self._bounds)
        return evaluation

    def state(self):
        """Return what `load` needs: moments, the number of updates, and the position in the schedule."""
        schedule = self._optimizer.lr_scheduler
        state = {f"moment_{i}": moment.asnumpy() for i, moment in enumerate(self._moments())}
        state.update(updates=self._optimizer.num_update, rate=schedule.base_lr, count=schedule.count)
        return state

    def load(self, state):
        """Continue from a `state`; call it before the first step.

        Raises
        ------
        SettingsError
            If it is not the state of such an optimizer for such an image.
        """
        expected = {f"moment_{i}": (ARRAY, moment.shape) for i, moment in enumerate(self._moments())}
        check_state(state, dict(expected, updates=(COUNT, ()), rate=(NUMBER, ()), count=(COUNT, ())))
        for i, moment in enumerate(self._moments()):
            moment[:] = mx.nd.array(state[f"moment_{i}"], ctx=moment.context)
        # MXNet counts updates starting from begin_num_update.
        self._optimizer.begin_num_update = self._optimizer.num_update = int(state["updates"])
        self._optimizer.lr_scheduler.base_lr = float(state["rate"])
        self._optimizer.lr_scheduler.count = int(state["count"])

    def renew(self):
        """Go on with another objective; moments are those of the gradients so far."""

    def _moments(self):
        if self._state is None:
            return ()
        return self._state if isinstance(self._state, (tuple, list)) else (self._state,)


class NormalizedDescent:
    """Plain gradient descent with a gradient that is divided by its standard deviation.

    The rule of M. E. H. Pedersen's TensorFlow tutorial 15 (2016): ``x -= rate / (std(g) + 1e-8) · g``.

    Parameters
    ----------
    image, bounds
        As for `MXNetOptimizer`.
    learning_rate : float
        Standard deviation of a step, in the image's unit.
    """

    stalled = False

    def __init__(self, image, bounds, learning_rate):
        self.learning_rate = learning_rate
        self._bounds = bounds

    def step(self, image, evaluate):
        """Move `image` (1, 3, H, W) against its gradient, without waiting for the device."""
        evaluation = evaluate()
        gradient = evaluation.gradient
        # Scaled by its largest value first, because squares of a small gradient would leave the range of float32.
        greatest = mx.nd.maximum(mx.nd.max(mx.nd.abs(gradient)), _TINY)
        scaled = mx.nd.broadcast_div(gradient, greatest)
        deviation = mx.nd.sqrt(mx.nd.mean(mx.nd.square(mx.nd.broadcast_sub(scaled, mx.nd.mean(scaled)))))
        image -= mx.nd.broadcast_mul(scaled, self.learning_rate * greatest / (deviation * greatest + 1e-8))
        clip(image, self._bounds)
        return evaluation

    def state(self):
        """Return what `load` needs: nothing, because steps do not depend on earlier ones."""
        return {}

    def load(self, state):
        """Continue from a `state`."""
        check_state(state, {})

    def renew(self):
        """Go on with another objective, of which nothing is kept between steps."""


# The smallest normal number of float32.
_TINY = 1.1754944e-38


def clip(image, bounds):
    """Clip an image in place to bounds that broadcast to its shape, if there are any."""
    if bounds is not None:
        mx.nd.broadcast_maximum(image, bounds[0], out=image)
        mx.nd.broadcast_minimum(image, bounds[1], out=image)
