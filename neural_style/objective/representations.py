"""What terms compare, Gram matrices and activations, and their losses, as symbols.

Gatys, Ecker & Bethge, A Neural Algorithm of Artistic Style, arXiv:1508.06576 (2015), in the form of MXNet's
neural-style example: a loss is a plain sum of squares. Whatever a source divides or multiplies it by is not part of the
symbol but of the head gradient that backward starts from.
"""

from .._mxnet import mx


def gram_symbol(activation, channels):
    """Build the Gram matrix of an activation, not normalised.

    Parameters
    ----------
    activation : mxnet.symbol.Symbol
        Of shape (1, C, H, W).
    channels : int
        C. FullyConnected has to know the number of its outputs when it is built.

    Returns
    -------
    mxnet.symbol.Symbol
        F Fᵀ of shape (C, C), where F is the activation as a (C, H*W) matrix.
    """
    # (1, C, H, W) -> (C, H*W)
    features = mx.sym.Reshape(activation, shape=(-3, -3))
    # (C, H*W), (C, H*W) -> (C, C): FullyConnected multiplies with the transpose of its weight
    return mx.sym.FullyConnected(data=features, weight=features, no_bias=True, num_hidden=channels)


def represent(terms, activations, channels):
    """Build what each term compares: a Gram matrix for style, the activation itself for content.

    Parameters
    ----------
    terms : sequence of Term
    activations : mapping of str to mxnet.symbol.Symbol
        Layer name to its activation (1, C, H, W).
    channels : mapping of str to int
        Layer name to C.

    Returns
    -------
    list of mxnet.symbol.Symbol
        Per term (C, C) for style, (1, C, H, W) for content.
    """
    return [
        gram_symbol(activations[term.layer], channels[term.layer]) if term.kind == "style" else activations[term.layer]
        for term in terms
    ]


def loss_symbol(terms, representations):
    """Build the sum of squared differences of each representation from its target variable.

    Returns
    -------
    mxnet.symbol.Symbol
        A group with one output of shape (1,) per term; the targets are variables named `Term.target`.
    """
    return mx.sym.Group(
        [
            _sum_of_squares(mx.sym.Variable(term.target) - representation)
            for term, representation in zip(terms, representations)
        ]
    )


def _sum_of_squares(symbol):
    # Sums of MXNet go through one thread, which takes twenty times as long as BLAS. The gradient has the same bits.
    flat = mx.sym.Reshape(symbol, shape=(-1,))
    return mx.sym.dot(flat, flat)
