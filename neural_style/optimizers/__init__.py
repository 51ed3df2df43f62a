"""What moves the canvas: MXNet's own optimizers, and others, behind one small contract.

An optimizer is made for one canvas and has

- ``step(canvas, evaluate)``, which changes the canvas in place. ``evaluate()`` computes the objective of the canvas as
  it is and returns an object with its ``gradient``, an array that the next call overwrites, and its ``loss``, a float
  for which the device is waited for. What is returned is the evaluation at the canvas as it was before;
- ``learning_rate``, the rate of the last step;
- ``stalled``, whether it could not find anything better;
- ``renew()``, which is called when the objective has become another one much like it: what was learnt of its curvature
  stays, values of the former one are forgotten;
- ``state()``, a dict of NumPy arrays and numbers, and ``load(state)``, with which a fresh one of the same settings
  continues bit for bit.
"""

from .._mxnet import mx
from ..recipes.parts import LBFGS, NAG, SGD, Adam, Normalized
from .first_order import MXNetOptimizer, NormalizedDescent


def _of_mxnet(name, *own):
    def make(canvas, bounds, settings):
        own_settings = {setting: getattr(settings, setting) for setting in own}
        return MXNetOptimizer(
            getattr(mx.optimizer, name),
            canvas,
            bounds,
            settings.learning_rate,
            settings.schedule_delay,
            settings.schedule_factor,
            wd=settings.weight_decay,
            **own_settings,
        )

    return make


def _normalized(canvas, bounds, settings):
    return NormalizedDescent(canvas, bounds, settings.learning_rate)


def _lbfgs(canvas, bounds, settings):
    from . import lbfgs  # imported late: listing names must not wait for NumPy

    return lbfgs.LBFGS(canvas, settings.history, bounds)


# By class of settings: how the optimizer is made, and how many arrays of the canvas's size it holds.
_KINDS = {
    SGD: (_of_mxnet("SGD", "momentum"), lambda settings: 1),
    NAG: (_of_mxnet("NAG", "momentum"), lambda settings: 1),
    Adam: (_of_mxnet("Adam", "beta1", "beta2", "epsilon"), lambda settings: 2),
    Normalized: (_normalized, lambda settings: 4),
    LBFGS: (_lbfgs, lambda settings: 2 * settings.history + 5),
}


def count_arrays(settings):
    """Return the number of arrays of the canvas's size that an optimizer holds; settings as for `make_optimizer`."""
    return _KINDS[type(settings)][1](settings)


def make_optimizer(settings, canvas, bounds=None):
    """Make an optimizer for a canvas.

    Parameters
    ----------
    settings : recipes.parts.Optimizer
        `SGD` is gradient descent with momentum, `NAG` Nesterov's accelerated gradient, `Adam` Kingma & Ba's (2015) in
        the form of MXNet, Keras and TensorFlow, all three MXNet's own; `Normalized` is
        `first_order.NormalizedDescent`, `LBFGS` is `lbfgs.LBFGS`.
    canvas : mxnet.nd.NDArray
        (1, 3, H, W).
    bounds : tuple of mxnet.nd.NDArray, optional
        Least and greatest values of the canvas, of a shape that broadcasts to it.
    """
    return _KINDS[type(settings)][0](canvas, bounds, settings)
