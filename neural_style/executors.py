"""Explicit executors: one reads targets, one gives losses and their gradient.

They are handed symbols and parameters and open no file. As in MXNet's neural-style example the network has a gradient
for the image alone.
"""

from ._mxnet import mx

_UNUSED = "unused"


class FeatureExecutor:
    """Evaluates a symbol on pictures, forward only.

    Bind it, read the targets, and drop it: its memory is freed with it.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        With the input ``data``.
    parameters : mapping of str to mxnet.nd.NDArray
        All other arguments and the auxiliary states of the symbol, on `ctx`; more than those do no harm.
    shape : tuple of int
        (1, 3, H, W) of the pictures.
    ctx : mxnet.Context
    """

    def __init__(self, symbol, parameters, shape, ctx):
        self._data = mx.nd.empty(shape, ctx=ctx)
        self._executor = bind(symbol, {"data": self._data}, parameters, ctx)

    def read(self, picture):
        """Give the symbol's outputs for a picture.

        Parameters
        ----------
        picture : mxnet.nd.NDArray or numpy.ndarray
            Float32 (1, 3, H, W) in network space.

        Returns
        -------
        list of mxnet.nd.NDArray
            Copies, which stay when the executor is gone.
        """
        self._data[:] = picture
        return [output.copy() for output in self._executor.forward(is_train=False)[:-1]]


class LossExecutor:
    """The losses of an image and the gradient of their weighted sum.

    Bound on the image itself, which it reads at every `run` and never writes.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        A group of losses of shape (1,) with the input ``data``.
    parameters, targets : mapping of str to mxnet.nd.NDArray
        The other arguments and the auxiliary states of the symbol, on `ctx`.
    weigh : callable
        From the losses, (1,) each, to the head gradients of backward, (1,) each, on the device:
        `objective.terms.FixedWeighting` or `objective.terms.AdaptiveWeighting`.
    image : mxnet.nd.NDArray
        Float32 (1, 3, H, W) on `ctx`.
    ctx : mxnet.Context

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape: the gradient of Σ head gradient · loss with respect to the image at the last `run`.
    losses : list of mxnet.nd.NDArray
        The losses at the last `run`, shape (1,) each, not weighted.
    """

    def __init__(self, symbol, parameters, targets, weigh, image, ctx):
        self.gradient = mx.nd.zeros(image.shape, ctx=ctx)
        self._weigh = weigh
        others = dict(parameters, **targets)
        self._executor = bind(symbol, {"data": image}, others, ctx, gradients={"data": self.gradient})
        self.losses = self._executor.outputs

    def run(self):
        """Compute `losses` and `gradient` for the image as it is now. Does not wait for the device."""
        self.losses = self._executor.forward(is_train=True)
        self._executor.backward(self._weigh(self.losses))


def bind(symbol, inputs, others, ctx, gradients=None, shared=None):
    """Bind a symbol so that its graph is computed as it was built.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
    inputs, others : mapping of str to mxnet.nd.NDArray
        Arguments, the inputs first where both have a name; the auxiliary states are among the others. More than the
        symbol's do no harm.
    ctx : mxnet.Context
    gradients : dict of str to mxnet.nd.NDArray, optional
        Where backward writes the gradients of some arguments; if not given, the executor is for forward only and has
        one output more than the symbol, the last.
    shared : mxnet.executor.Executor, optional
        Whose memory this one uses, too.

    Returns
    -------
    mxnet.executor.Executor
    """
    arguments = {name: inputs[name] if name in inputs else others[name] for name in symbol.list_arguments()}
    if not gradients:
        # MXNet 1.9 rewrites graphs that have no gradient for oneDNN, and the result is wrong for ours: it takes the
        # weight of a FullyConnected for a constant, so that a Gram matrix is right once and then stale, and it
        # returns a convolution's output in place of its ReLU's where both are asked for. A gradient for an argument
        # that nothing depends on keeps the graph as it was built and costs nothing.
        symbol = mx.sym.Group([symbol, mx.sym.Variable(_UNUSED) * 1])
        arguments[_UNUSED], gradients = mx.nd.zeros((1,), ctx=ctx), {_UNUSED: mx.nd.zeros((1,), ctx=ctx)}
    requests = {name: "write" if name in gradients else "null" for name in arguments}
    states = {name: others[name] for name in symbol.list_auxiliary_states()}
    return symbol.bind(
        ctx, args=arguments, args_grad=gradients, grad_req=requests, aux_states=states, shared_exec=shared
    )
