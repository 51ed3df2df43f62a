"""The temporal term: what holds a frame of a video to the one before it, and the executor that computes it.

Like total variation it has its own executor, whose output *is* the gradient.
"""

from .._mxnet import mx
from ..executors import bind


def temporal_symbol(weight, shape):
    """Build the gradient of the temporal term, and its value, weight · mean(reliability · (image − former)²).

    That is the short-term loss of Ruder, Dosovitskiy & Brox (arXiv:1604.08610, equation 6).

    Parameters
    ----------
    weight : float
    shape : tuple of int
        (1, C, H, W) of the image.

    Returns
    -------
    mxnet.symbol.Symbol
        The inputs are ``image`` and ``former`` (1, C, H, W), and ``reliability`` (1, 1, H, W); the outputs are the
        gradient (1, C, H, W) and the value (1,).
    """
    size = shape[1] * shape[2] * shape[3]
    difference = mx.sym.Variable("image") - mx.sym.Variable("former")
    held = mx.sym.broadcast_mul(difference, mx.sym.Variable("reliability"))
    # (1, C, H, W), (1, C, H, W) -> (1,)
    value = mx.sym.dot(mx.sym.Reshape(held, shape=(-1,)), mx.sym.Reshape(difference, shape=(-1,))) * (weight / size)
    return mx.sym.Group([held * (2 * weight / size), value])


class TemporalExecutor:
    """The gradient of the temporal term, and its value.

    Bound to the image itself, which every `run` reads and never writes. See `temporal_symbol` for the formula.

    Parameters
    ----------
    image : mxnet.nd.NDArray
        Float32 (1, C, H, W) on `ctx`.
    weight : float
    ctx : mxnet.Context

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape, already multiplied by the weight, at the last `run`.
    loss : mxnet.nd.NDArray
        Shape (1,), likewise.
    """

    def __init__(self, image, weight, ctx):
        self._former = mx.nd.zeros(image.shape, ctx=ctx)
        self._reliability = mx.nd.zeros((1, 1, *image.shape[2:]), ctx=ctx)
        inputs = {"image": image, "former": self._former, "reliability": self._reliability}
        self._executor = bind(temporal_symbol(weight, image.shape), inputs, {}, ctx)
        self.gradient, self.loss = self._executor.outputs[:2]

    def set_former(self, former, reliability):
        """Set the image of the frame before, warped: float32 (1, C, H, W), and its reliability, (H, W) from 0 to 1."""
        self._former[:] = former
        self._reliability[:] = reliability.reshape(self._reliability.shape)

    def run(self):
        """Compute `gradient` and `loss` for the current image, without waiting for the device."""
        self.gradient, self.loss = self._executor.forward(is_train=False)[:2]
