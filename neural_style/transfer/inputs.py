"""What a run begins with: parameters, images in a recipe's sizes and unit, and the canvas it starts from.

An image is uint8 (H, W, 3). A canvas is float32 (1, 3, H, W) in a recipe's unit: what is optimised.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Optional, Tuple

import numpy as np

from .._mxnet import mx
from ..errors import ImageError, SettingsError, WeightsError
from ..images import colour, sizing, units
from ..images.alpha import split_alpha
from ..images.masks import check_mask, resize_mask
from ..limits import MAX_LONG_EDGE, MAX_SEED
from ..networks.vgg import ARCHITECTURES, STAND_INS
from ..objective.objective import required_parameters, required_side
from ..recipes.kinds import check_kind
from ..weights.checks import check_shapes
from ..weights.lookup import find_network, find_weights
from ..weights.params_file import load_weights, read_index
from .colours import Colouring, prepare_palette
from .controls import Controls, covered, make_regions

log = logging.getLogger(__name__)

# MXNet has one generator for all threads: what is drawn must follow its seed at once.
_SEEDING = threading.Lock()


@dataclass(frozen=True, eq=False)
class Style:
    """An image whose style is used.

    Attributes
    ----------
    image : numpy.ndarray
        uint8 (H, W, 3), of any size; with alpha, (H, W, 4), what is transparent does not count.
    weight : float
        Its share among several styles is this over their sum.
    scale : float
        Further factor of its size beside the recipe's ``style_scale``: above 1 its strokes are larger.
    mask : numpy.ndarray or None
        Where on the result it is used: float (H, W) in [0, 1], of any size. Without one it is for what the masks of
        other styles leave.
    source_mask : numpy.ndarray or None
        Which part of its image counts; as `mask`.

    Raises
    ------
    SettingsError
        If weight or scale makes no sense, or a mask is none.
    """

    image: np.ndarray
    weight: float = 1.0
    scale: float = 1.0
    mask: Optional[np.ndarray] = None
    source_mask: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        check_style(self.weight, self.scale)
        for name in ("mask", "source_mask"):
            if getattr(self, name) is not None:
                check_mask(getattr(self, name), name)


def check_style(weight: float, scale: float) -> None:
    """Check a style's weight among several, and its scale.

    Raises
    ------
    SettingsError
        If one of them is not a finite number above 0.
    """
    for name, value in (("weight", weight), ("scale", scale)):
        check_kind(name, value, float)
        if not value > 0:
            raise SettingsError(f"`{name}` of a style is {value}; it must be more than 0")


def check_seed(seed: Optional[int]) -> None:
    """Check the seed of what is drawn at random.

    Raises
    ------
    SettingsError
        If it is neither None nor a whole number that no other stands for.
    """
    if seed is not None and (type(seed) is bool or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED):
        raise SettingsError(f"`seed` is {seed}; it must be from 0 to {MAX_SEED}")


def as_styles(styles: Any) -> Tuple[Style, ...]:
    """Return a tuple of `Style` for an image, a `Style`, or a sequence of them.

    Raises
    ------
    SettingsError
        If it is an empty sequence.
    """
    several = styles if isinstance(styles, (list, tuple)) else [styles]
    if not several:
        raise SettingsError("`styles` is empty; at least one style is needed")
    return tuple(_without_alpha(style if isinstance(style, Style) else Style(style)) for style in several)


def _without_alpha(style):
    image, opacity = split_alpha(style.image, "style")
    if opacity is None:
        return style
    source = opacity if style.source_mask is None else opacity * resize_mask(style.source_mask, opacity.shape)
    return replace(style, image=image, source_mask=source)


def choose_network(recipe, weights=None, models_dir=None):
    """Find the weights of a recipe's network, or of another as `weights.lookup.find_network` says if it was not named.

    Parameters
    ----------
    recipe : Recipe
    weights, models_dir : str or path-like, optional
        As `weights.lookup.find_weights` takes them.

    Returns
    -------
    recipe : Recipe
        With the network that is to run.
    weights : pathlib.Path

    Raises
    ------
    WeightsError
        If there are none.
    """
    model = recipe.losses.model
    found, path = find_network(model, model if recipe.network_named else None, weights, models_dir)
    stands_in = f"stands in for {model}, whose weights are not installed"
    return recipe.with_network(found, stands_in if weights is None else "the network that the given weights fit"), path


def find_twin(model):
    """Find the low-rank network that takes most steps in place of a full one.

    Parameters
    ----------
    model : str

    Returns
    -------
    model : str
    weights : pathlib.Path

    Raises
    ------
    SettingsError
        If there is no such network.
    WeightsError
        If there are no weights of one.
    """
    twins = [name for name in (f"{model}-lowrank", STAND_INS.get(model)) if name in ARCHITECTURES]
    if not twins:
        raise SettingsError(f"{model} has no low-rank twin; set `surrogate` to 0")
    for twin in twins[:-1]:
        try:
            return twin, find_weights(twin)
        except WeightsError:
            continue
    return twins[-1], find_weights(twins[-1])


def image_size(content, size):
    """Return height and width, in pixels, of the image made of a content image (H, W, 3) with `recipes.parts.Size`."""
    edge = size.max_long_edge
    return (edge, edge) if size.shape == "square" else sizing.long_edge_size(content.shape, edge)


def load_parameters(losses, weights, ctx):
    """Load the parameters that a network needs.

    Parameters
    ----------
    losses : recipes.parts.Losses
    weights : str, pathlib.Path or mapping of str to mxnet.nd.NDArray
        The parameters themselves, or their file.
    ctx : mxnet.Context

    Returns
    -------
    dict of str to mxnet.nd.NDArray

    Raises
    ------
    WeightsError, SettingsError
        If the weights or the losses cannot be used.
    """
    if isinstance(weights, Mapping):
        shapes = required_parameters(losses, weights)
        check_shapes(weights, shapes, "the given weights")
        return {name: weights[name].as_in_context(ctx) for name in shapes}
    path = find_weights(losses.model, weights)
    return load_weights(path, required_parameters(losses, read_index(path)), ctx)


def style_size(style, size, result):
    """Return height and width, in pixels, that a `Style` is resized to beside a result of height and width `result`."""
    scale = size.style_scale * style.scale
    if size.style_size == "own":
        return sizing.long_edge_size(style.image.shape, max(1, round(size.max_long_edge * scale)))
    return tuple(max(1, round(side * scale)) for side in result)


class Inputs:
    """The images of a run in the sizes and the unit of its recipe.

    Parameters
    ----------
    content : numpy.ndarray
        uint8 (H, W, 3).
    styles : sequence of Style
    start : numpy.ndarray or None
        uint8 (H, W, 3), to start from.
    recipe : Recipe
    controls : Controls

    Attributes
    ----------
    content, start : numpy.ndarray
        float32 (1, 3, H, W), of one size; start may be None.
    styles : list of (numpy.ndarray, float)
        float32 (1, 3, H, W) each, and its weight.
    sources : list of (numpy.ndarray or None)
        For each style, float32 (H, W): how much its pixels count; None if all do.
    regions : list of objective.regions.Region
        Where which styles are used; none if all are everywhere.
    painted : numpy.ndarray or None
        Float32 (H, W): how much of the canvas is painted over, the rest being photograph; None if all is.
    kept : numpy.ndarray or None
        Float32 (H, W): how much of the photograph stays; None if nothing does.

    Raises
    ------
    ImageError
        If one of them would be too small for the network.
    SettingsError
        If the recipe cannot be used.
    """

    def __init__(self, content, styles, start, recipe, controls=Controls()):
        losses, sizes = recipe.losses, recipe.size
        size = image_size(content, sizes)
        log.info("content %d x %d pixels, resized to %d x %d", content.shape[1], content.shape[0], size[1], size[0])
        least = required_side(losses)
        style_sizes = [style_size(style, sizes, size) for style in styles]
        for what, (height, width) in [("result", size)] + [("style", one) for one in style_sizes]:
            if min(height, width) < least:
                scaled = sizes.style_scale != 1 or any(style.scale != 1 for style in styles)
                larger = "`max_long_edge` or `style_scale`" if scaled and what == "style" else "`max_long_edge`"
                raise ImageError(
                    f"the {what} would be {width} x {height} pixels, too small for the layers of {losses.model}; its "
                    f"short edge must be at least {least} pixels, choose a larger {larger} or a less elongated "
                    f"{'content' if what == 'result' else what} image"
                )
            if max(height, width) > MAX_LONG_EDGE:
                raise ImageError(
                    f"the {what} would have an edge of more than {MAX_LONG_EDGE} pixels; choose a smaller "
                    "`style_scale` or `max_long_edge`"
                )
        unit = units.get_unit(losses.unit)

        def convert(image):
            return units.to_network(image, sizes.white, unit)

        resized = sizing.resize(content, size)
        visible = controls.visible(size)
        colouring = Colouring(recipe.colours.colors, resized, prepare_palette(controls.palette), visible)
        self.content = convert(colouring.photograph(resized))
        self.sources = [_source(style, one) for style, one in zip(styles, style_sizes)]
        self.styles = [
            (convert(colouring.style(sizing.resize(style.image, one), source)), style.weight)
            for style, one, source in zip(styles, style_sizes, self.sources)
        ]
        self.start = None if start is None else convert(colouring.photograph(sizing.resize(start, size)))
        self.regions, self.kept = make_regions(styles, controls, size), controls.kept(size)
        self.painted, cover = controls.painted(size), covered(styles, size)
        if cover is not None:
            cover = np.minimum(cover, 1)
            self.painted = cover if self.painted is None else self.painted * cover


def _source(style, size):
    if style.source_mask is None:
        return None
    source = resize_mask(style.source_mask, size)
    if not source.any():
        raise ImageError("the mask of a style leaves nothing of it; make its white part larger")
    return source


def starting_canvas(start, seed, inputs):
    """Make the canvas that a run starts from, on the CPU, so that a seed means the same one on every device.

    Where nothing is painted, it is the content.

    Parameters
    ----------
    start : recipes.parts.Noise, Content or Recoloured
        Used unless `inputs` has an image to start from. With several styles, a recoloured start is the mean of those
        by each style, weighted; with regions, each region's.
    seed : int or None
        None leaves MXNet's generator as it is.
    inputs : Inputs

    Returns
    -------
    mxnet.nd.NDArray
        (1, 3, H, W).
    """
    with _SEEDING:
        return _starting_canvas(start, seed, inputs)


def _starting_canvas(start, seed, inputs):
    if seed is not None:
        mx.random.seed(seed)
    canvas = _start(start, inputs)
    if inputs.painted is None:
        return canvas
    content = mx.nd.array(inputs.content)
    return content + mx.nd.broadcast_mul(canvas - content, as_plane(inputs.painted))


def as_plane(mask, ctx=None):
    """Return a mask (H, W) as an array (1, 1, H, W) to multiply a canvas with."""
    return mx.nd.array(mask[np.newaxis, np.newaxis].astype(np.float32), ctx=ctx or mx.cpu())


def _start(start, inputs):
    if inputs.start is not None:
        return mx.nd.array(inputs.start)
    if start.initial == "recoloured":
        return mx.nd.array(_recoloured(inputs))
    content = mx.nd.array(inputs.content)
    if start.initial == "content":
        return content
    center, spread, shape = start.noise_center, start.noise_range, content.shape
    if start.noise == "uniform":
        noise = mx.random.uniform(center - spread, center + spread, shape, ctx=mx.cpu())
    else:
        noise = mx.random.normal(center, spread, shape, ctx=mx.cpu())
    return noise if start.noise_share == 1 else noise * start.noise_share + content * (1 - start.noise_share)


def _recoloured(inputs):
    """Return the content in the colours of its styles, region by region."""

    def of_styles(numbers, here=None):
        recoloured = [
            (colour.recolour(inputs.content, style, here, source), weight)
            for i, ((style, weight), source) in enumerate(zip(inputs.styles, inputs.sources))
            if i in numbers
        ]
        if len(recoloured) == 1:
            return recoloured[0][0]
        return sum(canvas * weight for canvas, weight in recoloured) / sum(weight for _, weight in recoloured)

    if not inputs.regions:
        return of_styles(range(len(inputs.styles)))
    total = np.maximum(sum(region.weights for region in inputs.regions), 1e-6)
    return sum(of_styles(region.styles, region.weights) * (region.weights / total) for region in inputs.regions)
