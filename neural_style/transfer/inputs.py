"""What a run begins with: parameters, pictures in a recipe's sizes and unit, and the image it starts from."""

import logging
from collections.abc import Mapping

from .._mxnet import mx
from ..errors import ImageError
from ..images import colour, sizing, units
from ..objective.objective import required_parameters, required_side
from ..weights.checks import check_shapes
from ..weights.lookup import find_network, find_weights
from ..weights.params_file import load_weights, read_index

log = logging.getLogger(__name__)


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
    model, path = find_network(recipe.model, recipe.model if recipe.network_named else None, weights, models_dir)
    stands_in = f"stands in for {recipe.model}, whose weights are not installed"
    return recipe.with_network(model, stands_in if weights is None else "the network that the given weights fit"), path


def picture_size(content, recipe):
    """Give height and width, in pixels, of what a recipe makes of a content picture (H, W, 3)."""
    edge = recipe.max_long_edge
    return (edge, edge) if recipe.shape == "square" else sizing.long_edge_size(content.shape, edge)


def load_parameters(recipe, weights, ctx):
    """Load the parameters that a recipe's network needs.

    Parameters
    ----------
    recipe : Recipe
    weights : str, pathlib.Path or mapping of str to mxnet.nd.NDArray
        The parameters themselves, or their file.
    ctx : mxnet.Context

    Returns
    -------
    dict of str to mxnet.nd.NDArray

    Raises
    ------
    WeightsError, SettingsError
        If the weights or the recipe cannot be used.
    """
    if isinstance(weights, Mapping):
        shapes = required_parameters(recipe, weights)
        check_shapes(weights, shapes, "the given weights")
        return {name: weights[name].as_in_context(ctx) for name in shapes}
    path = find_weights(recipe.model, weights)
    return load_weights(path, required_parameters(recipe, read_index(path)), ctx)


def style_size(style, recipe, size):
    """Return height and width, in pixels, that a style picture (H, W, 3) is brought to beside a result of `size`."""
    scale = recipe.style_scale
    if recipe.style_size == "own":
        return sizing.long_edge_size(style.shape, max(1, round(recipe.max_long_edge * scale)))
    return tuple(max(1, round(side * scale)) for side in size)


class Pictures:
    """The pictures of a run in the sizes and the unit of its recipe.

    Parameters
    ----------
    content, style : numpy.ndarray
        uint8 (H, W, 3).
    initial : numpy.ndarray or None
        The same, to start from.
    recipe : Recipe

    Attributes
    ----------
    content, style, initial : numpy.ndarray
        float32 (1, 3, H, W); the content and the start of one size; initial may be None.

    Raises
    ------
    ImageError
        If one of them would be too small for the network.
    SettingsError
        If the recipe cannot be used.
    """

    def __init__(self, content, style, initial, recipe):
        size = picture_size(content, recipe)
        of_style = style_size(style, recipe, size)
        log.info("content %d x %d pixels, resized to %d x %d", content.shape[1], content.shape[0], size[1], size[0])
        least, scaled = required_side(recipe), recipe.style_scale != 1
        for what, (height, width) in (("picture", size), ("style", of_style)):
            if min(height, width) < least:
                greater = "--max-long-edge or --style-scale" if scaled and what == "style" else "--max-long-edge"
                raise ImageError(
                    f"the {what} would be {width} x {height} pixels, too small for the layers of {recipe.model}; its "
                    f"short edge must be at least {least} pixels, choose a greater {greater} or a less elongated "
                    f"{'content' if what == 'picture' else what} image"
                )
        unit = units.get_unit(recipe.unit)

        def convert(picture, size):
            return units.to_network(sizing.resize(picture, size), recipe.white, unit)

        self.content, self.style = convert(content, size), convert(style, of_style)
        self.initial = None if initial is None else convert(initial, size)


def starting_image(recipe, seed, pictures):
    """Make the image that a run starts from, on the CPU, so that a seed means the same image on every device.

    Parameters
    ----------
    recipe : Recipe
    seed : int or None
        None leaves MXNet's generator as it is.
    pictures : Pictures

    Returns
    -------
    mxnet.nd.NDArray
        (1, 3, H, W).
    """
    if seed is not None:
        mx.random.seed(seed)
    if pictures.initial is not None:
        return mx.nd.array(pictures.initial)
    if recipe.initial == "recoloured":
        return mx.nd.array(colour.recolour(pictures.content, pictures.style))
    content = mx.nd.array(pictures.content)
    if recipe.initial == "content":
        return content
    center, spread, shape = recipe.noise_center, recipe.noise_range, content.shape
    if recipe.noise == "uniform":
        noise = mx.random.uniform(center - spread, center + spread, shape, ctx=mx.cpu())
    else:
        noise = mx.random.normal(center, spread, shape, ctx=mx.cpu())
    return noise if recipe.noise_share == 1 else noise * recipe.noise_share + content * (1 - recipe.noise_share)
