"""The reader of the generators of Johnson's own program, in Torch 7."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np

from ..errors import WeightsError
from ..networks.johnson import LAST, TANH_LEVELS, TORCH_PAD_PER_BLOCK, UP
from .params_file import open_weights
from .torch7_file import Module, is_torch7, read_torch7

_PREFIX = "fast_neural_style"
_CONVOLUTIONS = ("SpatialConvolution", "SpatialConvolutionMM")
_FULL = "SpatialFullConvolution"
_NORMS = ("InstanceNormalization", "SpatialBatchNormalization")
_EPSILON = 1e-5
_DEEPEST = 20


def fits_johnson(source: Path) -> bool:
    """Return whether a file is of Torch 7 and has the residual blocks of Johnson's program."""
    if not source.is_file() or not is_torch7(source):
        return False
    with open_weights(source) as file:
        data = file.read(2**26)
    return b"nn.ShaveImage" in data and b"nn.SpatialReflectionPadding" in data


def read_johnson(source: Path) -> Dict[str, np.ndarray]:
    """Read a ``.t7`` of the program: the model alone, or the checkpoint that its training saves.

    Raises
    ------
    WeightsError
        If its layers are others than those with which the program's models were made.
    """
    root = read_torch7(source)
    model = root.get("model") if isinstance(root, dict) else root
    if not isinstance(model, Module):
        raise WeightsError(f"{source} holds no model of Torch")
    layers = list(_flatten(model, source))
    names = [_short(layer) for layer in layers]
    blocks = names.count("CAddTable")
    _check_padding(source, layers, names, blocks)
    ours = ["conv1", "conv2", "conv3"]
    ours += [f"residual{number}_conv{inner}" for number in range(1, blocks + 1) for inner in (1, 2)] + [*UP, LAST]
    places = [place for place, name in enumerate(names) if name in (*_CONVOLUTIONS, _FULL)]
    if len(places) != len(ours):
        raise WeightsError(f"{source} has {len(places)} convolutions, which is no model of Johnson's program")
    parameters: Dict[str, np.ndarray] = {}
    for place, name in zip(places, ours):
        following = layers[place + 1] if place + 1 < len(layers) else None
        norm = following if following is not None and _short(following) in _NORMS else None
        with np.errstate(all="ignore"):  # what is not finite is found later, by name
            unit = _read_unit(source, layers[place], norm)
        parameters.update((f"{_PREFIX}_{name}_{part}", value) for part, value in unit.items())
    # The program's images are BGR.
    parameters[f"{_PREFIX}_conv1_weight"] = parameters[f"{_PREFIX}_conv1_weight"][:, ::-1].copy()
    for part in ("weight", "bias"):
        if f"{_PREFIX}_{LAST}_{part}" in parameters:
            parameters[f"{_PREFIX}_{LAST}_{part}"] = parameters[f"{_PREFIX}_{LAST}_{part}"][::-1].copy()
    return parameters


def _flatten(module: Any, source: Path, depth: int = 0) -> Iterator[Module]:
    if not isinstance(module, Module) or depth > _DEEPEST:  # a container may hold itself
        raise WeightsError(f"{source}: the model has a layer that is none; get it again")
    if _short(module) in ("Sequential", "ConcatTable"):
        for child in module.children:
            yield from _flatten(child, source, depth + 1)
    else:
        yield module


def _short(module: Module) -> str:
    """Return the name of a layer, whether nn or cudnn computes it."""
    return module.name.rsplit(".", 1)[-1]


def _check_padding(source: Path, layers: List[Module], names: List[str], blocks: int) -> None:
    """Check that there is reflection at the beginning, as much as the residual blocks take away, and no other."""
    start = layers[0].fields if names[:1] == ["SpatialReflectionPadding"] else {}
    wide = [start.get(f"pad_{side}") for side in "lrtb"]
    constants = [layer.fields.get("constant_scalar") for layer, name in zip(layers, names) if name == "MulConstant"]
    known = {*_CONVOLUTIONS, _FULL, *_NORMS, "ReLU", "ShaveImage", "CAddTable", "Tanh", "MulConstant"}
    others = set(names[1:]) - known - {"TotalVariation"}
    if wide != [TORCH_PAD_PER_BLOCK * blocks] * 4 or not blocks or constants != [TANH_LEVELS] or others:
        raise WeightsError(
            f"{source} is another network than the published ones of Johnson's program, which reflect "
            f"{TORCH_PAD_PER_BLOCK} pixels per residual block at the beginning and nowhere else"
        )


def _read_unit(source: Path, layer: Module, norm: Any) -> Dict[str, np.ndarray]:
    """Return the parameters of a convolution and its norm; batch normalisation becomes part of the convolution."""
    fields, full = layer.fields, _short(layer) == _FULL
    try:
        weight = np.asarray(fields["weight"], np.float64)
        planes = [int(fields[f"n{which}Plane"]) for which in ("Output", "Input")]
        kernel = [int(fields[f"k{axis}"]) for axis in "HW"]
        weight = weight.reshape((*(planes[::-1] if full else planes), *kernel))
        bias = fields.get("bias")
        parts = {"weight": weight, "bias": np.zeros(planes[0]) if bias is None else np.asarray(bias, np.float64)}
        if norm is None:
            return parts
        gamma, beta = (
            np.full(planes[0], usual) if norm.fields.get(name) is None else np.asarray(norm.fields[name], np.float64)
            for name, usual in (("weight", 1.0), ("bias", 0.0))
        )
        if _short(norm) == "InstanceNormalization":
            if norm.fields.get("eps", _EPSILON) != _EPSILON:
                raise WeightsError(f"{source}: a norm has epsilon {norm.fields['eps']}, not {_EPSILON}")
            return {**parts, "norm_gamma": gamma, "norm_beta": beta}
        scale = gamma / np.sqrt(np.asarray(norm.fields["running_var"], np.float64) + norm.fields.get("eps", _EPSILON))
        axis = (1, -1, 1, 1) if full else (-1, 1, 1, 1)
        moved = beta + (parts["bias"] - np.asarray(norm.fields["running_mean"], np.float64)) * scale
        return {"weight": weight * scale.reshape(axis), "bias": moved}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise WeightsError(f"{source}: a layer {layer.name} is damaged ({error}); get it again") from error
