"""Gram matrices and losses as symbols, and the head gradients that weight them.

Gatys, Ecker & Bethge, A Neural Algorithm of Artistic Style, arXiv:1508.06576 (2015), in the form of MXNet's
neural-style example: a loss is a plain sum of squares, and its weight is not part of the symbol but the head gradient
that backward starts from.
"""

from dataclasses import dataclass

import numpy as np

from ._mxnet import mx


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
            mx.sym.sum(mx.sym.square(mx.sym.Variable(term.target) - representation))
            for term, representation in zip(terms, representations)
        ]
    )


def head_gradients(terms, shapes, content_weight, style_weight):
    """Compute the factor of each term in the objective, which is its head gradient in backward.

    A style layer of C channels and H x W positions has style_weight / (C² · H · W), a content layer has content_weight,
    as in MXNet's example.

    Parameters
    ----------
    terms : sequence of Term
    shapes : mapping of str to tuple of int
        Layer name to the shape (1, C, H, W) of its activation.
    content_weight, style_weight : float

    Returns
    -------
    list of float
    """
    factors = []
    for term in terms:
        if term.kind == "style":
            _, channels, height, width = shapes[term.layer]
            factors.append(float(style_weight) / (float(channels) ** 2 * height * width))
        else:
            factors.append(float(content_weight))
    return factors


# Each pixel times 4 minus its four neighbours; the factor 1/8 is that of MXNet's example.
TV_KERNEL = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], dtype=np.float32) / 8


def total_variation_symbol(weight, channels=3):
    """Build the gradient of the total variation, and its value.

    The stencil is symmetric, zero-padded borders included, so what it gives is the gradient of
    ``weight/2 · ⟨x, stencil(x)⟩ = weight/16 · (Σ (xᵢ − xⱼ)² + Σ xₖ²)``, the first sum over all pairs of neighbours, the
    second over the border with zero as the missing neighbour. A flat picture is thus still pulled towards the mean
    colour at its border.

    Parameters
    ----------
    weight : float
        Factor of the total variation in the objective.
    channels : int
        Colours of the image.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``image`` (1, channels, H, W) and ``kernel`` (1, 1, 3, 3); outputs the gradient (1, channels, H, W) and
        the value (1,).
    """
    image = mx.sym.Variable("image")
    kernel = mx.sym.Variable("kernel")
    # (1, channels, H, W) -> channels x (1, 1, H, W)
    slices = mx.sym.SliceChannel(image, num_outputs=channels)
    filtered = [
        mx.sym.Convolution(
            data=slices[i], weight=kernel, num_filter=1, kernel=(3, 3), pad=(1, 1), no_bias=True, name=f"tv{i}"
        )
        for i in range(channels)
    ]
    # channels x (1, 1, H, W) -> (1, channels, H, W)
    gradient = mx.sym.Concat(*filtered, dim=1) * weight
    value = mx.sym.sum(image * gradient) * 0.5
    return mx.sym.Group([gradient, value])
