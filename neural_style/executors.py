"""Explicit executors: one reads targets, the other computes losses and their gradient.

They receive symbols and parameters, and open no files. As in MXNet's neural-style example, the network computes a
gradient only for the image.
"""

from ._mxnet import mx

_UNUSED = "unused"


class FeatureExecutor:
    """Evaluates a symbol on images, forward only.

    Bind it, read the targets, and drop it: its memory is freed with it.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        With the input ``data``.
    parameters : mapping of str to mxnet.nd.NDArray
        All other arguments and the auxiliary states of the symbol, on `ctx`. Extra entries are ignored.
    shape : tuple of int
        (1, 3, H, W) of the images.
    ctx : mxnet.Context
    """

    def __init__(self, symbol, parameters, shape, ctx):
        self._data = mx.nd.empty(shape, ctx=ctx)
        self._executor = bind(symbol, {"data": self._data}, parameters, ctx)

    def read(self, image):
        """Return the symbol's outputs for an image.

        Parameters
        ----------
        image : mxnet.nd.NDArray or numpy.ndarray
            Float32 (1, 3, H, W) in network space.

        Returns
        -------
        list of mxnet.nd.NDArray
            Copies, which remain valid when the executor is gone.
        """
        self._data[:] = image
        return [output.copy() for output in self._executor.forward(is_train=False)[:-1]]


class LossExecutor:
    """The losses of an image and the gradient of their weighted sum.

    Bound to the image itself, which every `run` reads and never writes.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
        A group of losses of shape (1,) with the input ``data``.
    parameters, targets : mapping of str to mxnet.nd.NDArray
        The other arguments and the auxiliary states of the symbol, on `ctx`.
    weigh : callable
        Maps the losses, (1,) each, to the head gradients of the backward pass, (1,) each, on the device:
        `objective.terms.FixedWeighting` or `objective.terms.AdaptiveWeighting`.
    image : mxnet.nd.NDArray
        Float32 (1, 3, H, W) on `ctx`.
    ctx : mxnet.Context

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape: the gradient of Σ head gradient · loss with respect to the image at the last `run`.
    losses : list of mxnet.nd.NDArray
        The losses at the last `run`, of shape (1,) each, unweighted.
    """

    def __init__(self, symbol, parameters, targets, weigh, image, ctx):
        self.gradient = mx.nd.zeros(image.shape, ctx=ctx)
        self._weigh = weigh
        others = dict(parameters, **targets)
        self._executor = bind(symbol, {"data": image}, others, ctx, gradients={"data": self.gradient})
        self.losses = self._executor.outputs

    def run(self):
        """Compute `losses` and `gradient` for the current image, without waiting for the device."""
        self.losses = self._executor.forward(is_train=True)
        self._executor.backward(self._weigh(self.losses))


def bind(symbol, inputs, others, ctx, gradients=None, shared=None):
    """Bind a symbol so that its graph is computed exactly as built.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol
    inputs, others : mapping of str to mxnet.nd.NDArray
        The arguments; where both contain a name, `inputs` has precedence. `others` also contains the auxiliary states.
        Extra entries are ignored.
    ctx : mxnet.Context
    gradients : dict of str to mxnet.nd.NDArray, optional
        Where backward writes the gradients of some arguments. If not given, the executor is forward only, and has one
        more output than the symbol, at the end.
    shared : mxnet.executor.Executor, optional
        Its memory is reused by this one.

    Returns
    -------
    mxnet.executor.Executor
    """
    arguments = {name: inputs[name] if name in inputs else others[name] for name in symbol.list_arguments()}
    if not gradients:
        # MXNet 1.9 rewrites graphs without a gradient for oneDNN, and the result is wrong for ours: it treats the
        # weight of a FullyConnected as a constant, so that a Gram matrix is right once and then stale, and it returns
        # a convolution's output in place of its ReLU's where both are requested. A gradient for an argument that
        # nothing depends on keeps the graph as built and costs nothing.
        symbol = mx.sym.Group([symbol, mx.sym.Variable(_UNUSED) * 1])
        arguments[_UNUSED], gradients = mx.nd.zeros((1,), ctx=ctx), {_UNUSED: mx.nd.zeros((1,), ctx=ctx)}
    requests = {name: "write" if name in gradients else "null" for name in arguments}
    states = {name: others[name] for name in symbol.list_auxiliary_states()}
    return symbol.bind(
        ctx, args=arguments, args_grad=gradients, grad_req=requests, aux_states=states, shared_exec=shared
    )
