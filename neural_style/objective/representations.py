"""What terms compare, and their losses, as symbols: activations for content, statistics of activations for style.

Gatys, Ecker & Bethge, A Neural Algorithm of Artistic Style, arXiv:1508.06576 (2015), in the form of MXNet's
neural-style example: a loss is a plain sum of squares. Whatever a source divides or multiplies it by belongs not to the
symbol but to the head gradient from which backward starts. `Moments` are the exception, because each of the two parts
of their loss has its own divisor.
"""

from .._mxnet import mx

# Added to the sum of squares of a target before dividing by it. From grey levels, networks compute activations from 1
# to 10,000, so a smaller sum means that the target is zero, and a loss divided by it still fits into float32.
RELATIVE_GUARD = 1e-12


def gram_symbol(activation, channels, batch=1, guide=None):
    """Build the Gram matrix of an activation, not normalised.

    Parameters
    ----------
    activation : mxnet.symbol.Symbol
        Of shape (N, C, H, W).
    channels : int
        C. FullyConnected must know its number of outputs when it is built.
    batch : int
        N.
    guide : mxnet.symbol.Symbol, optional
        (1, 1, H, W): the root of how much each position counts. Without it, every position counts once.

    Returns
    -------
    mxnet.symbol.Symbol
        F Fᵀ of shape (C, C), where F is the activation as a (C, H*W) matrix; for more than one, (N, C, C). With a
        guide, the sum over positions is Σ w f fᵀ.
    """
    if guide is not None:
        activation = mx.sym.broadcast_mul(activation, guide)
    features = _matrix(activation, batch)
    return _products(features, features, channels, batch)


def _matrix(activation, batch):
    """Bring (1, C, H, W) to (C, H*W), or (N, C, H, W) to (N, C, H*W)."""
    return mx.sym.Reshape(activation, shape=(0, 0, -1) if batch > 1 else (-3, -3))


def _products(left, right, outputs, batch):
    """Build the products of the rows of two matrices: (C, M), (O, M) -> (C, O); of a batch (N, C, O)."""
    if batch > 1:
        return mx.sym.batch_dot(left, right, transpose_b=True)
    # FullyConnected multiplies by the transpose of its weight, and is threaded, unlike MXNet's sums.
    return mx.sym.FullyConnected(data=left, weight=right, no_bias=True, num_hidden=outputs)


class Activation:
    """The activation itself, by which the content is compared.

    Every representation has the methods and attributes of this one.

    Attributes
    ----------
    additive : bool
        Whether the representation of an image is the sum of those of its tiles; if not, those of its tiles lie side by
        side.
    pointwise : bool
        Whether the target has a value for every position of the canvas.
    normalised : bool
        Whether the loss is already relative to the size of the target.
    """

    additive, pointwise, normalised = False, True, False

    def shape(self, channels, height, width):
        """Return the shape of the representation of an activation (1, C, H, W)."""
        return 1, channels, height, width

    def symbol(self, activation, channels, batch=1, guide=None):
        """Build the representation of an activation (N, C, H, W), those of a batch along the first axis.

        A guide (1, 1, H, W) holds the root of how much each position counts, if what is compared is a statistic.
        """
        return activation

    def prepare(self, reads, weights):
        """Return the target, an array on the same device, of the representations of images and their weights."""
        return _blend(reads, weights)

    def loss(self, target, found, batch=1):
        """Build the loss (1,) of a representation with respect to its target, summed over a batch."""
        return _sum_of_squares(target - found)


class Gram:
    """The Gram matrix of an activation, not normalised: Gatys, Ecker & Bethge (2015), equation 3."""

    additive, pointwise, normalised = True, False, False

    def shape(self, channels, height, width):
        """Return (C, C)."""
        return channels, channels

    def symbol(self, activation, channels, batch=1, guide=None):
        """Build the Gram matrix; see `gram_symbol`."""
        return gram_symbol(activation, channels, batch, guide)

    def prepare(self, reads, weights):
        """Return the weighted mean.

        The gradient of Σ wᵢ ‖G − Gᵢ‖² is that of ‖G − Σ wᵢ Gᵢ‖², if Σ wᵢ = 1.
        """
        return _blend(reads, weights)

    def loss(self, target, found, batch=1):
        """Build the sum of squared differences, (1,)."""
        return _sum_of_squares(_less(target, found, batch))


class Moments:
    """Mean and covariance of an activation over its positions.

    With F the activation as a (C, M) matrix, they are μ = F 1 / M and Σ = F Fᵀ / M − μ μᵀ, and the loss is

        ½ ‖Σ − Σₜ‖² / ‖Σₜ‖² + ½ ‖μ − μₜ‖² / ‖μₜ‖².

    A Gram matrix is the sum M (Σ + μ μᵀ), in which the mean outweighs how channels vary together. Separate mean and
    covariance are used in K. Crowson's style-transfer-pytorch, whose Gram matrices are of activations minus their mean.
    Means and variances represent style in Huang & Belongie, ICCV 2017 (arXiv:1703.06868), and Li et al., IJCAI 2017
    (arXiv:1701.01036), show that style is the distribution of activations.

    The representation consists of F Fᵀ, F 1 and, in every row, M, side by side in a matrix (C, C + 2). All of it is a
    sum over positions, from which mean and covariance follow for any number of tiles. Where positions count by weights
    w, the sums are Σ w f fᵀ, Σ w f and Σ w: a guide, which holds the roots, stands in place of the ones.
    """

    additive, pointwise, normalised = True, False, True

    def shape(self, channels, height, width):
        """Return (C, C + 2)."""
        return channels, channels + 2

    def symbol(self, activation, channels, batch=1, guide=None):
        """Build the sums over positions."""
        if guide is not None:
            activation = mx.sym.broadcast_mul(activation, guide)
        features = _matrix(activation, batch)
        # (1, H*W), or (N, 1, H*W)
        if guide is None:
            axis = 1 if batch > 1 else 0
            ones = mx.sym.BlockGrad(mx.sym.ones_like(mx.sym.slice_axis(features, axis=axis, begin=0, end=1)))
        else:
            ones = _matrix(guide if batch == 1 else mx.sym.broadcast_axis(guide, axis=0, size=batch), batch)
        # The gradient of the loss with respect to F Fᵀ is symmetric, so both factors would get the same gradient: one
        # gets it, twice, which takes half the time and has the same bits.
        half = _products(features, mx.sym.BlockGrad(features), channels, batch)
        products = 2 * half - mx.sym.BlockGrad(half)
        sums, count = _products(features, ones, 1, batch), _products(ones, ones, 1, batch)
        if batch > 1:
            return mx.sym.Concat(products, sums, mx.sym.broadcast_axis(count, axis=1, size=channels), dim=2)
        count = mx.sym.broadcast_axis(count, axis=0, size=channels)
        # Two axes, or four, would go to oneDNN, of which the backward pass loses 4 kB every time (MXNet 1.9.1).
        # (C, C), (C, 1), (C, 1) -> (1, C, C + 2) -> (C, C + 2)
        parts = (mx.sym.expand_dims(part, axis=0) for part in (products, sums, count))
        return mx.sym.Reshape(mx.sym.Concat(*parts, dim=2), shape=(-3, -2))

    def prepare(self, reads, weights):
        """Return the weighted mean of the sums: those of a mixture of the styles' activations."""
        return _blend(reads, weights)

    def loss(self, target, found, batch=1):
        """Build the sum of the two halves, (1,)."""
        halves = []
        for wanted, here in zip(self._unpack(target), self._unpack(found, batch)):
            difference = _less(wanted, here, batch)
            halves.append(0.5 * _sum_of_squares(difference) / (_sum_of_squares(wanted) + RELATIVE_GUARD))
        return halves[0] + halves[1]

    @staticmethod
    def _unpack(totals, batch=1):
        """Build mean (C, 1) and covariance (C, C); of a batch, (N, C, 1) and (N, C, C)."""
        axis, multiply = (1, mx.sym.dot) if batch == 1 else (2, mx.sym.batch_dot)
        products, sums, count = (
            mx.sym.slice_axis(totals, axis=axis, begin=begin, end=end) for begin, end in ((0, -2), (-2, -1), (-1, None))
        )
        # A count has no gradient, but MXNet would compute that of what it broadcasts, in one thread.
        count = mx.sym.BlockGrad(count)
        mean, counts = sums / count, mx.sym.broadcast_like(count, products)
        return mean, products / counts - multiply(mean, mean, transpose_b=True)


ACTIVATION = Activation()

# By what the style is compared.
STYLE_STATISTICS = {"gram": Gram(), "moments": Moments()}


def represent(terms, activations, channels, batch=1):
    """Build what each term compares.

    Parameters
    ----------
    terms : sequence of Term
    activations : mapping of str to mxnet.symbol.Symbol
        Layer name to its activation (N, C, H, W).
    channels : mapping of str to int
        Layer name to C.
    batch : int
        N.

    Returns
    -------
    list of mxnet.symbol.Symbol
        Per term, of the shape of its representation. Guides are variables named `Term.guide`, (1, 1, H, W) like the
        activation.
    """
    return [
        term.representation.symbol(
            activations[term.layer], channels[term.layer], batch, term.guide and mx.sym.Variable(term.guide)
        )
        for term in terms
    ]


def loss_symbol(terms, representations, batch=1):
    """Build the loss of each representation with respect to its target variable, summed over a batch.

    Returns
    -------
    mxnet.symbol.Symbol
        A group with one output of shape (1,) per term; the targets are variables named `Term.target`.
    """
    return mx.sym.Group(
        [
            term.representation.loss(mx.sym.Variable(term.target), representation, batch)
            for term, representation in zip(terms, representations)
        ]
    )


def _blend(arrays, weights):
    if len(arrays) == 1:
        return arrays[0]
    total = sum(weights)
    return mx.nd.add_n(*(array * (weight / total) for array, weight in zip(arrays, weights)))


def _less(target, found, batch):
    """Build the difference of a target to what was found; the images of a batch share their target."""
    if batch == 1:
        return target - found
    # (C, ...) -> (1, C, ...)
    return mx.sym.broadcast_sub(mx.sym.expand_dims(target, axis=0), found)


def _sum_of_squares(symbol):
    # MXNet's sums run in one thread, which takes twenty times as long as BLAS. The gradient has the same bits.
    flat = mx.sym.Reshape(symbol, shape=(-1,))
    return mx.sym.dot(flat, flat)
