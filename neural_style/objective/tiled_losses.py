"""The losses of a canvas in tiles: what the two passes over them have between them, and the passes of this process."""

from .._mxnet import mx
from ..executors import bind
from .representations import loss_symbol
from .tiling import TilePasses, cut


class SummedLosses:
    """The losses of a whole canvas as functions of what its tiles add up to.

    Parameters
    ----------
    terms : sequence of terms.Term
    totals : list of mxnet.nd.NDArray
        As `tiling.TilePasses.totals`, float64 on `ctx`; they are read at every `weigh`, and rounded to float32.
    targets : mapping of str to mxnet.nd.NDArray
        Those of style, by `Term.target`, of their representations' shapes. Extra entries are ignored.
    weigh : callable
        Maps the losses, a list of (1,) NDArrays in the order of `terms`, to their head gradients, in the same form.
    ctx : mxnet.Context
    """

    def __init__(self, terms, totals, targets, weigh, ctx):
        self._totals, self._weigh = totals, weigh
        self._rounded = [mx.nd.zeros(total.shape, ctx=ctx) for total in totals]
        self._styles = [i for i, term in enumerate(terms) if term.representation.additive]
        self._style_losses, self._total_gradients = None, []
        if self._styles:
            styles = [terms[i] for i in self._styles]
            self._total_gradients = [mx.nd.zeros(totals[i].shape, ctx=ctx) for i in self._styles]
            grams = {term.name: self._rounded[i] for i, term in zip(self._styles, styles)}
            gradients = {term.name: gradient for term, gradient in zip(styles, self._total_gradients)}
            symbol = loss_symbol(styles, [mx.sym.Variable(term.name) for term in styles])
            self._style_losses = bind(symbol, grams, targets, ctx, gradients)

    def weigh(self):
        """Return the losses, (1,) each, and the gradient of their weighted sum with respect to each of the totals."""
        for rounded, total in zip(self._rounded, self._totals):
            rounded[:] = total.astype("float32")
        losses = list(self._rounded)
        if self._style_losses is not None:
            for i, loss in zip(self._styles, self._style_losses.forward(is_train=True)):
                losses[i] = loss
        heads = list(self._weigh(losses))
        if self._style_losses is not None:
            self._style_losses.backward([heads[i] for i in self._styles])
            for i, gradient in zip(self._styles, self._total_gradients):
                heads[i] = gradient
        return losses, heads


class TiledLossExecutor:
    """The losses of an image and the gradient of their weighted sum, as `executors.LossExecutor`, tile by tile.

    Bound to the image itself, which every `run` reads and never writes.

    Parameters
    ----------
    graph, terms, parameters, image, ctx
        See `tiling.TilePasses`.
    targets : mapping of str to mxnet.nd.NDArray
        By `Term.target`, of the whole image, each of the shape of its representation.
    weigh : callable
        See `SummedLosses`.
    tile_size : int
        See `tiling.cut`.

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape: the gradient of Σ factor · loss with respect to the image at the last `run`.
    losses : list of mxnet.nd.NDArray
        The losses at the last `run`, of shape (1,) each, not multiplied by their factors.
    """

    def __init__(self, graph, terms, parameters, targets, weigh, image, ctx, tile_size):
        tiling = cut(graph.network, [term.layer for term in terms], image.shape[2:], tile_size)
        self._passes = TilePasses(graph, terms, parameters, targets, image, ctx, tiling)
        self._summed = SummedLosses(terms, self._passes.totals, targets, weigh, ctx)
        self.gradient = self._passes.gradient
        self.losses = [mx.nd.zeros((1,), ctx=ctx) for _ in terms]

    def run(self):
        """Compute `losses` and `gradient` for the current image, without waiting for the device."""
        self._passes.sum()
        self.losses, heads = self._summed.weigh()
        self._passes.pull(heads)
