"""The terms of the objective, and the head gradients that weight them.

Gatys, Ecker & Bethge, A Neural Algorithm of Artistic Style, arXiv:1508.06576 (2015), in the form of MXNet's
neural-style example: a loss is a plain sum of squares. Whatever a source divides or multiplies it by is not part of the
symbol but of the head gradient that backward starts from.
"""

from dataclasses import dataclass
from types import MappingProxyType

from .._mxnet import mx
from ..errors import SettingsError, unknown
from ..images.units import get_unit
from ..networks.graph import POOLINGS, get_network
from .motifs import MOTIFS
from .representations import ACTIVATION, RELATIVE_GUARD, STYLE_STATISTICS
from .variation import TV_KINDS

# Divides a sum of squared differences by that of the target's own squares, so that one weight means the same on every
# network, at every size and with every style.
RELATIVE = "relative"

# What the sum of squared differences of an activation (1, C, H, W) is divided by; the last argument is the sum of
# squares of its target.
CONTENT_NORMS = {
    "sum": lambda c, h, w, energy: 1.0,
    "half": lambda c, h, w, energy: 2.0,
    "mean": lambda c, h, w, energy: float(c) * h * w,
    "quarter-mean": lambda c, h, w, energy: 4.0 * c * h * w,
    RELATIVE: lambda c, h, w, energy: energy + RELATIVE_GUARD,
}

# The same for the Gram matrix (C, C) of such an activation, which itself is a plain sum over positions. A source that
# divides the Gram matrix by the positions has their square here.
STYLE_NORMS = {
    "mean-per-position": lambda c, h, w, energy: float(c) ** 2 * h * w,
    "gatys": lambda c, h, w, energy: 4.0 * float(c) ** 2 * (float(h) * w) ** 2,
    "mean-of-means": lambda c, h, w, energy: float(c) ** 2 * (float(h) * w) ** 2,
    "mean": lambda c, h, w, energy: float(c) ** 2,
    RELATIVE: lambda c, h, w, energy: energy + RELATIVE_GUARD,
}

# Added to a loss before it divides, as the tutorial that divides by losses does.
ADAPTIVE_GUARD = 1e-10


@dataclass(frozen=True)
class Term:
    """One summand of the objective: what is compared, at which layer.

    Attributes
    ----------
    kind : {"style", "motif", "content"}
        What of the layer is compared with its target: a statistic, each position with the most similar one of the
        style, or each with the same one of the content.
    layer : str
        The usual name of the activation, such as ``relu4_2``.
    statistic : str
        A name of `representations.STYLE_STATISTICS`, for a term of style.
    region : str
        Name of the `regions.Region` whose positions count; empty where all do.
    """

    kind: str
    layer: str
    statistic: str = "gram"
    region: str = ""

    @property
    def representation(self):
        """What is compared: for style an entry of `representations.STYLE_STATISTICS`."""
        if self.kind == "style":
            return STYLE_STATISTICS[self.statistic]
        return MOTIFS if self.kind == "motif" else ACTIVATION

    @property
    def name(self):
        """Name of the term in logs and histories, such as ``style_relu4_1``; of a region, ``style_2_relu4_1``."""
        return "_".join(filter(None, (self.kind, self.region, self.layer)))

    @property
    def target(self):
        """Name of the variable that holds the target."""
        return f"target_{self.name}"

    @property
    def guide(self):
        """Name of the variable that holds the root of how much each position counts, or None where all count once."""
        return f"guide_{self.region}_{self.layer}" if self.region else None


def make_terms(losses, regions=("",)):
    """Return the terms of some losses, those of content last, with the layers as the network names them.

    Parameters
    ----------
    losses : recipes.parts.Losses
    regions : sequence of str
        Names of the regions, each of which has all the terms of style and motifs.

    Raises
    ------
    SettingsError
        If the network or a layer does not exist, or the statistic does not exist or fit the norm.
    """
    statistic = losses.style_statistic
    if statistic not in STYLE_STATISTICS:
        raise unknown("style statistic", statistic, STYLE_STATISTICS)
    if STYLE_STATISTICS[statistic].normalised and losses.style_norm != RELATIVE:
        raise SettingsError(
            f"`style_norm` {losses.style_norm} does not fit the style statistic {statistic}; set it to {RELATIVE}"
        )
    resolve = get_network(losses.model).resolve
    layers = resolve(losses.style_layers)
    motifs = resolve(losses.motif_layers) if losses.motif_weight > 0 else []
    terms = []
    for region in regions:
        terms += [Term("style", layer, statistic, region) for layer in layers]
        terms += [Term("motif", layer, region=region) for layer in motifs]
    return terms + [Term("content", layer) for layer in resolve(losses.content_layers)]


def check_losses(losses):
    """Check every name in some losses: the network, its layers, the pooling, the unit, the norms and the variation.

    Parameters
    ----------
    losses : recipes.parts.Losses

    Raises
    ------
    SettingsError
        If there is no such thing.
    """
    make_terms(losses)
    get_unit(losses.unit)
    for what, name, known in (
        ("pooling", losses.pooling, POOLINGS),
        ("content norm", losses.content_norm, CONTENT_NORMS),
        ("style norm", losses.style_norm, STYLE_NORMS),
        ("total variation", losses.tv_kind, TV_KINDS),
    ):
        if name not in known:
            raise unknown(what, name, known)


def loss_factors(
    terms,
    shapes,
    content_weight,
    style_weights,
    content_norm="sum",
    style_norm="mean-per-position",
    energies=None,
    shares=MappingProxyType({}),
):
    """Compute the factor of each term's loss in the objective: the weight of its kind over its norm.

    A region's style pulls at each of its positions as hard as it would if the region were the whole image. The gradient
    of ‖G − T‖² at a position grows with the positions that G sums over, so that its factor is divided by the region's
    share of them; that of a loss relative to its target falls with them, so that its factor is multiplied by the share.

    Parameters
    ----------
    terms : sequence of Term
    shapes : mapping of str to tuple of int
        Layer name to the shape (N, C, H, W) of its activation.
    content_weight : float
    style_weights : sequence of float
        One for each term that is not of content, in their order.
    content_norm, style_norm : str
        Names of `CONTENT_NORMS` and `STYLE_NORMS`. The defaults are those of MXNet's example.
    energies : mapping of str to float, optional
        `Term.target` to the sum of squares of the target, where a norm is relative; see `find_relative`.
    shares : mapping of str to float, optional
        `Term.guide` to the part of all positions, weighted, that count; above 0 and at most 1.

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
            raise unknown(f"{name} norm", norm, norms)
    style_weights = iter(style_weights)
    factors = []
    for term in terms:
        _, channels, height, width = shapes[term.layer]
        style = term.kind != "content"
        weight, norm = (next(style_weights), style_norm) if style else (content_weight, content_norm)
        if term.kind == "motif":
            # A mean over the positions that count, of which a region has its share.
            factors.append(float(weight) / (height * width))
            continue
        if term.guide:
            share = shares[term.guide]
            weight = weight * share if norm == RELATIVE else weight / share
        if term.representation.normalised:
            factors.append(float(weight))
            continue
        energy = energies[term.target] if norm == RELATIVE else None
        factors.append(float(weight) / (STYLE_NORMS if style else CONTENT_NORMS)[norm](channels, height, width, energy))
    return factors


def find_relative(terms, content_norm, style_norm):
    """Return the terms whose norm is the sum of squares of their target, which `loss_factors` has to know."""
    norms = {"style": style_norm, "content": content_norm}
    return [term for term in terms if norms.get(term.kind) == RELATIVE and not term.representation.normalised]


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
        """Return the head gradients, (1,) each; the losses make no difference."""
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
        """Return the head gradients, (1,) each, for the losses as they are, (1,) each."""
        values = {kind: mx.nd.full((1,), ADAPTIVE_GUARD, ctx=self._ctx) for kind in set(self._kinds)}
        for kind, norm, loss in zip(self._kinds, self._norms, losses):
            values[kind] = values[kind] + loss * norm
        return [factor / values[kind] for factor, kind in zip(self._factors, self._kinds)]
