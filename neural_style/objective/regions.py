"""Regions: which positions of the canvas count for which styles, and how much, brought to each layer of a network.

Gatys, Ecker, Bethge, Hertzmann & Shechtman, Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017
(arXiv:1611.07865), section 4, weight the activations at every position with a guide before they take the Gram matrix.
Here a guide is the root of what a position counts, where the paper multiplies by the mask itself: so a soft edge
between two regions, whose masks add up to one, counts every position once.
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from .._mxnet import mx


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the canvas that has styles of its own.

    Attributes
    ----------
    name : str
    weights : numpy.ndarray
        Float32 (H, W) in [0, 1], of the canvas's size: how much each pixel counts.
    styles : tuple of int
        Numbers of the styles, from 0; they are blended by their weights.
    factor : float
        Further factor of the region's style weight.
    """

    name: str
    weights: np.ndarray
    styles: Tuple[int, ...]
    factor: float = 1.0


def bring_to_layer(weights, height, width):
    """Average the weights of pixels over the pixels of each position of a layer.

    Parameters
    ----------
    weights : numpy.ndarray
        (H, W).
    height, width : int
        Of the layer. Where both are those of poolings with a stride of 2, which drop what is left over at the border,
        the pixels of a position are exactly those; else, and where only what is left over counts, the sides are divided
        evenly.

    Returns
    -------
    numpy.ndarray
        Float32 (height, width).
    """
    stride = next((s for s in (2**i for i in range(16)) if _sides(weights, s) == (height, width)), None)
    if stride is not None:
        blocks = weights[: height * stride, : width * stride].reshape(height, stride, width, stride)
        means = blocks.mean(axis=(1, 3), dtype=np.float64)
        if means.any():
            return means.astype(np.float32)
    rows, columns = _shares(weights.shape[0], height), _shares(weights.shape[1], width)
    return (rows @ weights @ columns.T).astype(np.float32)


def _sides(weights, stride):
    return tuple(side // stride for side in weights.shape)


def _shares(pixels, positions):
    """Return the matrix (positions, pixels) that averages each of so many equal parts of a side."""
    edges = np.linspace(0, pixels, positions + 1)
    starts = np.arange(pixels)
    covered = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return np.maximum(covered, 0) / (edges[1:] - edges[:-1])[:, None]


class Guides:
    """The guides of some terms, and how many positions count for each.

    Parameters
    ----------
    terms : sequence of terms.Term
    weights : mapping of str to numpy.ndarray
        Region name to (H, W).
    shapes : mapping of str to tuple of int
        Layer name to the shape (N, C, h, w) of its activation.
    ctx : mxnet.Context

    Attributes
    ----------
    arrays : dict of str to mxnet.nd.NDArray
        By `Term.guide`, (1, 1, h, w), on `ctx`; none of terms without one.
    shares : dict of str to float
        By `Term.guide`, the part of the layer's positions that count, weighted.
    """

    def __init__(self, terms, weights, shapes, ctx):
        self.arrays, self.shares = {}, {}
        for term in terms:
            if term.guide:
                at_layer = bring_to_layer(weights[term.region], *shapes[term.layer][2:])
                self.arrays[term.guide] = mx.nd.array(np.sqrt(at_layer)[np.newaxis, np.newaxis], ctx=ctx)
                self.shares[term.guide] = float(at_layer.mean(dtype=np.float64))

    def positions(self, term, shapes):
        """Return how many positions of a term's layer count."""
        return np.prod(shapes[term.layer][2:]) * self.shares.get(term.guide, 1)
