"""Explicit executors: one reads targets, one gives losses and their gradient, one gives total variation's gradient.

They are handed symbols and parameters and open no file. As in MXNet's neural-style example the network has a gradient
for the image alone, and total variation has an executor of its own whose output *is* the gradient.
"""

from ._mxnet import mx
from .objectives import TV_KERNEL, total_variation_symbol

_UNUSED = "unused"

# Pixels up to which total variation is computed whole: more than the recipes' own pictures have.
TV_STRIP = 2**19


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
        `objectives.FixedWeighting` or `objectives.AdaptiveWeighting`.
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


class TVGradientExecutor:
    """The gradient of total variation, and its value.

    Bound on the image itself, which it reads at every `run` and never writes. See
    `objectives.total_variation_symbol` for the formula. Large images are computed in strips, because convolution and
    differences hold several times what they are given.

    Parameters
    ----------
    image : mxnet.nd.NDArray
        Float32 (1, C, H, W) on `ctx`.
    weight : float
        Factor of the total variation in the objective.
    ctx : mxnet.Context
    kind : str
        A name of `objectives.TV_KINDS`.
    strip : int
        Most pixels of a strip; it has whole rows, at least two.

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape, already multiplied by `weight`, at the last `run`.
    loss : mxnet.nd.NDArray
        Shape (1,), already multiplied by `weight`, at the last `run`.
    """

    def __init__(self, image, weight, ctx, kind="quadratic", strip=TV_STRIP):
        kernel = {"kernel": mx.nd.array([[TV_KERNEL]], ctx=ctx)}  # (1, 1, 3, 3)
        channels, height, width = image.shape[1:]
        rows = max(2, strip // width)
        self._image, self._strips, executors = image, [], {}
        if height <= rows:
            symbol = total_variation_symbol(weight, image.shape, kind)
            self._executor = bind(symbol, {"image": image}, kernel, ctx)
            self.gradient, self.loss = self._executor.outputs[:2]
            return
        self.gradient, self.loss = mx.nd.zeros(image.shape, ctx=ctx), mx.nd.zeros((1,), ctx=ctx)
        for begin in range(0, height, rows):
            end = min(begin + rows, height)
            above, below = int(begin > 0), int(end < height)
            key = above, end - begin, below
            if key not in executors:
                window = mx.nd.zeros((1, channels, above + end - begin + below, width), ctx=ctx)
                symbol = total_variation_symbol(weight, image.shape, kind, above, below)
                executors[key] = window, bind(symbol, {"image": window}, kernel, ctx)
            self._strips.append((slice(begin, end), slice(begin - above, end + below)) + executors[key])

    def run(self):
        """Compute `gradient` and `loss` for the image as it is now. Does not wait for the device."""
        if not self._strips:
            self.gradient, self.loss = self._executor.forward(is_train=False)[:2]
            return
        self.loss = mx.nd.zeros((1,), ctx=self._image.context)
        for own, rows, window, executor in self._strips:
            window[:] = self._image[:, :, rows]
            gradient, loss = executor.forward(is_train=False)[:2]
            self.gradient[:, :, own] = gradient
            self.loss += loss


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
