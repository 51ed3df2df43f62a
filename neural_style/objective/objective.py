"""What a run minimises: the objective of a canvas, its parts weighted as a recipe says, and its gradient."""

import weakref
from dataclasses import replace
from typing import Any

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError
from ..networks.graph import get_network
from .regions import Guides, Region
from .remote import RemoteComputation
from .targets import make_computation
from .temporal import TemporalExecutor
from .terms import ADAPTIVE_GUARD, AdaptiveWeighting, FixedWeighting, find_relative, loss_factors, make_terms
from .variation import TVGradientExecutor

# Arrays of the canvas's size that the executor of total variation holds: its gradient.
_TV_ARRAYS = 1
# The same of the temporal term: the former frame, its difference, that weighted by reliability, the gradient.
_TEMPORAL_ARRAYS = 4

# Name of the region of a style that is read.
_SOURCE = "source"


def required_parameters(losses, found=None):
    """Return the names and shapes of the parameters that a network needs.

    Parameters
    ----------
    losses : recipes.parts.Losses
    found : mapping of str to object, optional
        The parameters there are, things with a shape, from which a low-rank network learns its ranks.

    Raises
    ------
    SettingsError
        If the network or one of its layers does not exist.
    """
    layers = [term.layer for term in make_terms(losses)]
    return get_network(losses.model).fitted(found or {}).parameter_shapes(layers)


def required_side(losses):
    """Return the least height and width, in pixels, that a network can take."""
    return get_network(losses.model).minimum_side([term.layer for term in make_terms(losses)])


class Evaluation:
    """The objective at one canvas.

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        (N, 3, H, W). The next evaluation overwrites it; until then the caller may.
    values : mxnet.nd.NDArray
        (T + 1,): each of the T parts of the objective, to be multiplied by its factor, and the norm of the gradient of
        style and content before it was shortened.
    """

    def __init__(self, gradient, values, factors):
        self.gradient = gradient
        self.values = values
        self._factors = factors

    @property
    def loss(self):
        """The objective, a float of double precision; reading it waits for the device."""
        return float(np.dot(self.values.asnumpy()[:-1].astype(np.float64), self._factors))


class Objective:
    """Style, content and total variation of one canvas as losses weight them, and their gradient.

    Targets are read when it is made; then it is bound to the canvas. Of a batch of N it is the sum over its images,
    which share the style.

    Parameters
    ----------
    losses : recipes.parts.Losses
    parameters : mapping of str to mxnet.nd.NDArray
        Of the losses' network, as `transfer.inputs.load_parameters` returns them.
    content : numpy.ndarray or mxnet.nd.NDArray
        Float32 (N, 3, H, W), in the losses' unit like the styles.
    styles : sequence of (numpy.ndarray, float)
        Float32 (1, 3, h, w) each, and its weight among them.
    canvas : mxnet.nd.NDArray
        (N, 3, H, W) on the device that computes; read at every `evaluate` and never written.
    room : int, optional
        Bytes that may be used; needed unless `tile_size` is given.
    tile_size : int, optional
        Compute in tiles of this side, in pixels; see `tiling.cut`; 0 computes whole. If not given, the canvas is
        computed whole if it fits into `room`, else in the largest tiles that do.
    arrays : int
        Arrays of the canvas's size that whoever moves it holds.
    precision : {"float32", "bf16"}
    exact : bool
        Whether the norm of the gradient must be MXNet's to the last bit; see `euclidean_norm`.
    regions : sequence of regions.Region
        Where on the canvas which styles are used; if there are none, everywhere all of them.
    sources : sequence of (numpy.ndarray or None)
        For each style, float32 (h, w): how much each of its pixels counts; None, or no entry, if all do.
    temporal_weight : float
        Of the temporal term, in the square of the losses' unit; 0 for none. See `set_former`.
    workers : workers.cluster.Cluster, optional
        Compute style and content in tiles on these; see `remote`.

    Attributes
    ----------
    names : list of str
        What the parts are called, in the order of `Evaluation.values`.
    factors : list of float
        What their values are multiplied by. Where losses are divided by their current values, these are the weights
        only, because the divided values never change.
    clip_norm : float
        What longer gradients of style and content are shortened to; infinite if they are not.
    tile_size : int
        That was chosen; 0 if the canvas is computed whole.

    Raises
    ------
    SettingsError
        If the losses cannot be used, or there is not enough memory.
    """

    def __init__(
        self,
        losses,
        parameters,
        content,
        styles,
        canvas,
        room=None,
        tile_size=None,
        arrays=0,
        precision="float32",
        exact=True,
        regions=(),
        sources=(),
        temporal_weight=0.0,
        workers=None,
    ):
        self._ctx = canvas.context
        self._losses = losses
        self._canvas = canvas
        self._exact = exact
        self._terms, self._regions = make_terms(losses, [region.name for region in regions] or [""]), regions
        self._computation = make_computation(losses, parameters, precision, self._ctx, self._terms)
        if workers is not None:
            self._computation = RemoteComputation(self._computation, losses, parameters, precision, workers)
        self._shapes = self._computation.shapes(canvas.shape)
        self._guides = Guides(self._terms, {r.name: r.weights for r in regions}, self._shapes, self._ctx)
        arrays += _TV_ARRAYS if losses.tv_weight > 0 else 0
        arrays += _TEMPORAL_ARRAYS if temporal_weight > 0 else 0
        self._tile = self._computation.choose_tile(self._terms, canvas.shape, tile_size, room, arrays)
        self.tile_size = self._tile or 0
        self._targets = self._read_styles(styles, sources, tile_size, room)
        self._targets.update(self._read_content(content))
        self._temporal = TemporalExecutor(canvas, temporal_weight, self._ctx) if temporal_weight > 0 else None
        self._weigh()
        # The executor must not keep what keeps it: with a cycle, memory would be freed only when Python looks for one.
        own = weakref.proxy(self)
        self._executor = self._computation.bind(
            self._targets, lambda values: own._weighting(values), canvas, self._tile, self._guides.arrays
        )
        self._variation = None
        if losses.tv_weight > 0:
            weight = 1.0 if losses.adaptive else losses.tv_weight
            self._variation = TVGradientExecutor(canvas, weight, self._ctx, losses.tv_kind)
        self.clip_norm = float(canvas.size) if losses.clip_gradient else float("inf")
        self._longest = mx.nd.array([canvas.size], ctx=self._ctx)

    def _read_styles(self, styles, sources, tile_size, room):
        of_styles = [term for term in self._terms if term.kind != "content"]
        if not of_styles:
            return {}
        targets = {}
        for region in self._regions or [Region("", None, tuple(range(len(styles))))]:
            terms = [term for term in of_styles if term.region == region.name]
            read = []
            for i in region.styles:
                source = sources[i] if i < len(sources) else None
                read.append(self._read_style(terms, styles[i][0], source, tile_size, room))
            weights = [styles[i][1] for i in region.styles]
            for term in terms:
                targets[term.target] = term.representation.prepare([one[term.target] for one in read], weights)
        return targets

    def _read_style(self, terms, style, source, tile_size, room):
        """Return what a region's terms compare of a style or, if there is a source, of a part of it."""
        # A style of its own size may need tiles where the canvas does not.
        same = style.shape == self._canvas.shape
        reading = [replace(term, region="" if source is None else _SOURCE) for term in terms]
        there = self._computation.shapes(style.shape)
        guides = Guides(reading, {_SOURCE: source}, there, self._ctx)
        tile = self._tile if same else self._computation.choose_tile(reading, style.shape, tile_size, room)
        read, targets = self._computation.read(reading, style, tile, guides.arrays), {}
        for term, reads in zip(terms, reading):
            targets[term.target] = read[reads.target]
            positions, read_from = self._guides.positions(term, self._shapes), guides.positions(reads, there)
            if term.representation.additive and positions != read_from:
                # As if the style had as many positions as the canvas, or the region.
                targets[term.target] *= float(positions) / float(read_from)
        return targets

    def _read_content(self, content):
        terms = [term for term in self._terms if term.kind == "content"]
        return self._computation.read(terms, content, self._tile) if terms else {}

    def _weigh(self):
        """Find the factors of the terms, which may depend on the targets."""
        losses, terms = self._losses, self._terms
        shares = losses.style_layer_weights or (1 / max(len(losses.style_layers), 1),)
        shares = shares if len(shares) > 1 else shares * len(losses.style_layers)
        style_weights = [losses.style_weight * share for share in shares]
        if losses.motif_weight > 0:
            style_weights += [losses.motif_weight / len(losses.motif_layers)] * len(losses.motif_layers)
        if self._regions:
            style_weights = [weight * region.factor for region in self._regions for weight in style_weights]
        norms = losses.content_norm, losses.style_norm
        energies = self._computation.energies(self._targets, find_relative(terms, *norms), self._tile)
        for term in terms:
            # Of a batch, the mean of its images.
            if term.kind == "content" and term.target in energies:
                energies[term.target] /= self._canvas.shape[0]
        factors = loss_factors(
            terms, self._shapes, losses.content_weight, style_weights, *norms, energies, self._guides.shares
        )
        if losses.adaptive:
            kinds = {
                "style": losses.style_weight,
                "motif": losses.motif_weight,
                "content": losses.content_weight,
            }
            self._weighting: Any = AdaptiveWeighting(terms, factors, kinds, self._ctx)
        else:
            self._weighting = FixedWeighting(factors, self._ctx)
        self.names, self.factors = [term.name for term in terms], list(factors)
        if losses.tv_weight > 0:
            self.names.append("total_variation")
            self.factors.append(losses.tv_weight if losses.adaptive else 1.0)
        if self._temporal is not None:
            self.names.append("temporal")
            self.factors.append(1.0)

    def set_content(self, content):
        """Put another content in place of the one before: the next image of a video, the next batch of a training.

        Parameters
        ----------
        content : numpy.ndarray or mxnet.nd.NDArray
            Float32, of the canvas's shape.

        Raises
        ------
        SettingsError
            If it has another shape.
        """
        if content.shape != self._canvas.shape:
            raise SettingsError(f"the content is of shape {content.shape}, not {self._canvas.shape} like the canvas")
        for name, target in self._read_content(content).items():
            target.copyto(self._targets[name])
        self._weigh()

    def set_former(self, former, reliability):
        """Set what the temporal term compares the canvas with; until then it is 0.

        Parameters
        ----------
        former : numpy.ndarray
            Float32, of the canvas's shape: the frame before as it became, warped into the place of this one.
        reliability : numpy.ndarray
            Float32 (H, W), from 0 to 1.
        """
        if self._temporal is not None:
            self._temporal.set_former(former, reliability)

    def evaluate(self):
        """Compute the objective of the canvas as it is now, without waiting for the device.

        Returns
        -------
        Evaluation
        """
        self._executor.run()
        gradient = self._executor.gradient
        norm = euclidean_norm(gradient, self._exact)
        # From here on in place, because with canvases of any size every copy counts.
        if self._losses.clip_gradient:
            # Computed on the device: asking whether the norm is above the limit would wait for it. A float32 quotient
            # is what the original's multiplication used, and multiplying with 1 changes nothing.
            shortening = mx.nd.minimum(self._longest / norm, 1.0).reshape((1, 1, 1, 1))
            mx.nd.broadcast_mul(gradient, shortening, out=gradient)
        parts = list(self._executor.losses)
        if self._variation is not None:
            self._variation.run()
            pull = self._variation.gradient
            if self._losses.adaptive:
                factor = self._losses.tv_weight / (self._variation.loss + ADAPTIVE_GUARD)
                pull = mx.nd.broadcast_mul(pull, factor.reshape((1, 1, 1, 1)))
            gradient += pull
            parts.append(self._variation.loss)
        if self._temporal is not None:
            self._temporal.run()
            gradient += self._temporal.gradient
            parts.append(self._temporal.loss)
        return Evaluation(gradient, mx.nd.concat(*parts, norm, dim=0), self.factors)


def euclidean_norm(array, exact):
    """Compute the norm of all elements of an array, on its device.

    Parameters
    ----------
    array : mxnet.nd.NDArray
    exact : bool
        Whether it must be MXNet's norm, digit for digit that of the originals: where gradients are shortened by it, or
        a run stops by it. That goes through one thread; BLAS takes a twentieth of the time.

    Returns
    -------
    mxnet.nd.NDArray
        Shape (1,).
    """
    if exact:
        return mx.nd.norm(array).reshape((1,))
    flat = array.reshape((-1,))
    return mx.nd.sqrt(mx.nd.dot(flat, flat))
