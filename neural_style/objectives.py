"""Gram matrices, losses and total variation as symbols, and the head gradients that weight them.

Gatys, Ecker & Bethge, A Neural Algorithm of Artistic Style, arXiv:1508.06576 (2015), in the form of MXNet's
neural-style example: a loss is a plain sum of squares. Whatever a source divides or multiplies it by is not part of the
symbol but of the head gradient that backward starts from.
"""

from collections import OrderedDict
from dataclasses import dataclass

from ._mxnet import mx
from .errors import SettingsError

# What the sum of squared differences of an activation (1, C, H, W) is divided by.
CONTENT_NORMS = OrderedDict(
    [
        ("sum", lambda c, h, w: 1.0),
        ("half", lambda c, h, w: 2.0),
        ("mean", lambda c, h, w: float(c) * h * w),
        ("quarter-mean", lambda c, h, w: 4.0 * c * h * w),
    ]
)

# The same for the Gram matrix (C, C) of such an activation, which itself is a plain sum over positions. A source that
# divides the Gram matrix by the positions has their square here.
STYLE_NORMS = OrderedDict(
    [
        ("mean-per-position", lambda c, h, w: float(c) ** 2 * h * w),
        ("gatys", lambda c, h, w: 4.0 * float(c) ** 2 * (float(h) * w) ** 2),
        ("mean-of-means", lambda c, h, w: float(c) ** 2 * (float(h) * w) ** 2),
        ("mean", lambda c, h, w: float(c) ** 2),
    ]
)

# Added to a loss before it divides, as the tutorial that divides by losses does.
ADAPTIVE_GUARD = 1e-10


@dataclass(frozen=True)
class Term:
    """One summand of the objective: what is compared, at which layer.

    Attributes
    ----------
    kind : {"style", "content"}
        Whether the layer's Gram matrix or the activation itself is compared with its target.
    layer : str
        The usual name of the activation, such as ``relu4_2``.
    """

    kind: str
    layer: str

    @property
    def name(self):
        """Name of the term in logs and histories, such as ``style_relu4_1``."""
        return f"{self.kind}_{self.layer}"

    @property
    def target(self):
        """Name of the variable that holds the target."""
        return f"target_{self.name}"


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


def loss_factors(terms, shapes, content_weight, style_weights, content_norm="sum", style_norm="mean-per-position"):
    """Compute the factor of each term's sum of squares in the objective: the weight of its kind over its norm.

    Parameters
    ----------
    terms : sequence of Term
    shapes : mapping of str to tuple of int
        Layer name to the shape (1, C, H, W) of its activation.
    content_weight : float
    style_weights : sequence of float
        One for each style term, in their order.
    content_norm, style_norm : str
        Names of `CONTENT_NORMS` and `STYLE_NORMS`. The defaults are those of MXNet's example.

    Returns
    -------
    list of float

    Raises
    ------
    SettingsError
        If there is no such norm.
    """
    for name, norm, norms in (("content", content_norm, CONTENT_NORMS), ("style", style_norm, STYLE_NORMS)):
        if norm not in norms:
            raise SettingsError(f"unknown {name} norm '{norm}'; choose from {', '.join(norms)}")
    style_weights = iter(style_weights)
    factors = []
    for term in terms:
        _, channels, height, width = shapes[term.layer]
        if term.kind == "style":
            factors.append(float(next(style_weights)) / STYLE_NORMS[style_norm](channels, height, width))
        else:
            factors.append(float(content_weight) / CONTENT_NORMS[content_norm](channels, height, width))
    return factors


class FixedWeighting:
    """Head gradients that are the factors of the terms.

    Parameters
    ----------
    factors : sequence of float
    ctx : mxnet.Context
    """

    def __init__(self, factors, ctx):
        # A factor is rounded to float32 here and here alone, as the original's was.
        self._heads = [mx.nd.ones((1,), ctx=ctx) * factor for factor in factors]

    def __call__(self, losses):
        """Give the head gradients, (1,) each; the losses make no difference."""
        return self._heads


class AdaptiveWeighting:
    """Head gradients that divide each part of the objective, content and style, by its own current value.

    The value counts as a constant for the gradient, so that a part pulls as hard as its weight says, however large it
    is. Nothing here waits for the device.

    Parameters
    ----------
    terms : sequence of Term
    factors : sequence of float
        Those of `loss_factors`, the weights included.
    weights : mapping of str to float
        The weight of each kind of term.
    ctx : mxnet.Context
    """

    def __init__(self, terms, factors, weights, ctx):
        self._kinds = [term.kind for term in terms]
        # Divided by the weight, so that the value of a part is free of it; a part without weight has no gradient.
        self._norms = [f / weights[kind] if weights[kind] else 0.0 for f, kind in zip(factors, self._kinds)]
        self._factors = factors
        self._ctx = ctx

    def __call__(self, losses):
        """Give the head gradients, (1,) each, for the losses as they are, (1,) each."""
        values = {kind: mx.nd.full((1,), ADAPTIVE_GUARD, ctx=self._ctx) for kind in set(self._kinds)}
        for kind, norm, loss in zip(self._kinds, self._norms, losses):
            values[kind] = values[kind] + loss * norm
        return [factor / values[kind] for factor, kind in zip(self._factors, self._kinds)]


# Each pixel times 4 minus its four neighbours; the factor 1/8 is that of MXNet's example.
TV_KERNEL = ((0, -1 / 8, 0), (-1 / 8, 4 / 8, -1 / 8), (0, -1 / 8, 0))


def _quadratic_variation(image, shape, weight, own, below):
    kernel = mx.sym.Variable("kernel")
    # (1, C, H, W) -> C x (1, 1, H, W)
    slices = mx.sym.SliceChannel(image, num_outputs=shape[1])
    filtered = [
        mx.sym.Convolution(
            data=slices[i], weight=kernel, num_filter=1, kernel=(3, 3), pad=(1, 1), no_bias=True, name=f"tv{i}"
        )
        for i in range(shape[1])
    ]
    # C x (1, 1, H, W) -> (1, C, H, W)
    gradient = own(mx.sym.Concat(*filtered, dim=1) * weight)
    # (1, C, H, W), (1, C, H, W) -> (1,)
    value = mx.sym.dot(mx.sym.Reshape(own(image), shape=(-1,)), mx.sym.Reshape(gradient, shape=(-1,))) * 0.5
    return gradient, value


def _absolute_variation(image, shape, weight, own, below, mean):
    gradient, value = image * 0, mx.sym.sum(image * 0)
    for axis in (2, 3):
        if shape[axis] < 2:
            continue
        pairs = shape[1] * (shape[axis] - 1) * shape[5 - axis]
        factor = weight / pairs if mean else weight
        ahead = mx.sym.slice_axis(image, axis=axis, begin=1, end=None)
        # (1, C, H - 1, W) or (1, C, H, W - 1)
        difference = ahead - mx.sym.slice_axis(image, axis=axis, begin=0, end=-1)
        # A vertical pair belongs to the strip of its lower row.
        counted = _crop_rows(difference, 0, below) if axis == 2 else own(difference)
        value = value + mx.sym.sum(mx.sym.abs(counted)) * factor
        # A difference pulls at the pixel ahead, and the other way at the one behind. Back to (1, C, H, W).
        before, after = [0] * 8, [0] * 8
        before[2 * axis], after[2 * axis + 1] = 1, 1
        for sign, width in ((factor, before), (-factor, after)):
            pull = mx.sym.sign(difference) * sign
            gradient = gradient + mx.sym.Pad(pull, mode="constant", constant_value=0, pad_width=tuple(width))
    return own(gradient), value


def _crop_rows(symbol, above, below):
    if not above and not below:
        return symbol
    return mx.sym.slice_axis(symbol, axis=2, begin=above, end=-below if below else None)


TV_KINDS = OrderedDict(
    [
        ("quadratic", _quadratic_variation),
        ("absolute", lambda *arguments: _absolute_variation(*arguments, mean=False)),
        ("mean-absolute", lambda *arguments: _absolute_variation(*arguments, mean=True)),
    ]
)


def total_variation_symbol(weight, shape, kind="quadratic", above=0, below=0):
    """Build the gradient of the total variation, and its value.

    ``quadratic`` is MXNet's example's, a stencil. It is symmetric, zero-padded borders included, so what it gives is
    the gradient of ``weight/2 · ⟨x, stencil(x)⟩ = weight/16 · (Σ (xᵢ − xⱼ)² + Σ xₖ²)``, the first sum over all pairs of
    neighbours, the second over the border with zero as the missing neighbour. A flat picture is thus still pulled
    towards zero, in the network's input space the mean colour, at its border.

    ``absolute`` is ``weight · Σ |xᵢ − xⱼ|`` over all pairs of neighbours; where two are equal, their pull is 0.
    ``mean-absolute`` has the mean over the vertical pairs plus the mean over the horizontal ones in place of the sum.

    Parameters
    ----------
    weight : float
        Factor of the total variation in the objective.
    shape : tuple of int
        (1, C, H, W) of the image.
    kind : str
        A name of `TV_KINDS`.
    above, below : int
        Rows of the input, 0 or 1, that belong to the strips above and below of the same image and are there as
        neighbours alone; the outputs are those of the other rows. The outputs of an image's strips are the rows of its
        gradient and the terms of its value.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``image`` and, if quadratic, ``kernel`` (1, 1, 3, 3); outputs the gradient (1, C, H, W) and the value
        (1,).

    Raises
    ------
    SettingsError
        If there is no such kind.
    """
    if kind not in TV_KINDS:
        raise SettingsError(f"unknown total variation '{kind}'; choose from {', '.join(TV_KINDS)}")

    def own(symbol):
        return _crop_rows(symbol, above, below)

    return mx.sym.Group(TV_KINDS[kind](mx.sym.Variable("image"), shape, weight, own, below))
