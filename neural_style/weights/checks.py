"""Checks of parameters before use: names, shapes, types, finite values, and which networks they fit."""

import re

import numpy as np

from ..errors import WeightsError
from ..networks.vgg import ARCHITECTURES


def check_shapes(found, shapes, source):
    """Check names, shapes and types before any value is used.

    Parameters
    ----------
    found : mapping of str to Entry, numpy.ndarray or mxnet.nd.NDArray
        The content of `source`: objects with a shape and a dtype.
    shapes : dict of str to tuple of int
        What is needed. None, the rank of a layer that is missing from `found`, matches nothing.
    source : str or path-like
        For the message.

    Raises
    ------
    WeightsError
        At the first parameter that is wrong.
    """
    for name, shape in shapes.items():
        if name not in found:
            # A full convolution and one of low rank have the same place but different parameters.
            instead = [
                other for other in found if other not in shapes and _place(other) and _place(other) == _place(name)
            ]
            remedy = "choose weights that go deeper, or shallower layers"
            if instead:
                remedy = (
                    f"it has {instead[0]} instead: these are the weights of another network, choose it with `model`"
                )
            raise WeightsError(
                f"{source} has no parameter {name}, which must be {_format(shape)}{_extent(found)}; {remedy}"
            )
        if tuple(found[name].shape) != tuple(shape):
            raise WeightsError(
                f"{source}: parameter {name} has shape {tuple(found[name].shape)} where {_format(shape)} is needed; "
                "these are the weights of another network"
            )
        if _type_name(found[name].dtype) not in ("float16", "float32", "float64"):
            raise WeightsError(
                f"{source}: parameter {name} {tuple(shape)} is of type {_type_name(found[name].dtype)}, which is not a "
                "floating-point type that can be read; save it as float32"
            )
    # Layers that VGG-16 and VGG-19 share have the same shapes, so only those in between distinguish the two.
    needed = [place for place in map(_place, shapes) if place]
    for name in found:
        if name not in shapes and _place(name) and needed and _place(name) < max(needed):
            raise WeightsError(
                f"{source} also has the parameter {name} {tuple(found[name].shape)}, a layer that the chosen network "
                "does not have; these are the weights of another network, choose it with `model`"
            )


def check_finite(arrays, source):
    """Raise WeightsError about the first of `arrays` (name to numpy.ndarray) that contains NaN or infinity."""
    for name, array in arrays.items():
        broken = array.size - np.count_nonzero(np.isfinite(array))
        if broken:
            raise WeightsError(
                f"{source}: {broken} of the {array.size} values of parameter {name} {array.shape} are not finite "
                "in float32; fetch or import the file again"
            )


def fitting_models(found):
    """Return which networks parameters fit, by names and shapes, and how deep they go.

    A network fits if the parameters are its own from the first convolution to some last one, without a gap, and without
    convolutions in between that it does not have: all names and shapes of VGG-16 also occur in VGG-19.

    Parameters
    ----------
    found : dict of str to Entry or numpy.ndarray
        Objects with a shape and a dtype.

    Returns
    -------
    models : tuple of str
        Empty if none fits; more than one only if the parameters end before the networks differ.
    deepest : str or None
        The last convolution, such as ``conv5_1``.
    """
    depths = ((model, _depth(found, architecture)) for model, architecture in ARCHITECTURES.items())
    depths = {model: depth for model, depth in depths if depth}
    return tuple(depths), next(iter(depths.values()), None)


def _format(shape):
    return str(tuple(shape)).replace("None", "?")


def _place(name):
    """Return (block, convolution) of a parameter name such as conv3_1_weight, or None."""
    match = re.fullmatch(r"conv(\d+)_(\d+)_(?:(?:in_|core_|out_)?weight|bias)", name)
    return tuple(map(int, match.groups())) if match else None


def _extent(found):
    places = [place for place in map(_place, found) if place]
    return " (it goes to conv{}_{})".format(*max(places)) if places else " (it has no convolution of VGG at all)"


def _type_name(dtype):
    return str(dtype) if str(dtype) in ("bfloat16", "none") else np.dtype(dtype).name


def _depth(index, architecture):
    architecture = architecture.fitted(index)
    if architecture.low_rank and None in architecture.ranks[0]:
        return None  # the first convolution, which is full, is not enough for a network of low rank
    shapes = architecture.parameter_shapes([architecture.layers[-1]])
    own = [name for name in index if _place(name)]
    whole = {}
    for name, shape in shapes.items():
        if name not in index:
            break
        whole[name] = shape
    if not own or set(own) != set(whole) or not next(reversed(whole)).endswith("_bias"):
        return None
    try:
        check_shapes(index, whole, "")
    except WeightsError:
        return None
    return next(reversed(whole))[: -len("_bias")]
