"""Readers of the generators of MXNet's own examples: MSG-Net in Gluon, and end_to_end.

Their files have MXNet's format, but names that count what was built before, so that order says more than names.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from ..errors import WeightsError
from ..networks import end_to_end, msg_net
from .checks import check_shapes
from .params_file import Entry, read_arrays, read_index

Arrays = Dict[str, np.ndarray]

# Places in a residual block of MSG-Net, in its order.
_BLOCK = {"0": "norm1", "2": "conv1", "3": "norm2", "5": "conv2", "6": "norm3", "8": "conv3"}
_MSG_NET = {
    **{"0.0": "conv1", "0.1": "norm1", "0.3": "down1", "0.4": "down2", "1": "match", "8": "up1", "9": "up2"},
    **{str(1 + number): f"block{number}" for number in range(1, msg_net.RESIDUAL_BLOCKS + 1)},
    **{"10": "norm2", "12": "output"},
}


def fits_msg_net(source: Path) -> bool:
    """Return whether a file has the names of Gluon's MSG-Net."""
    index = _index(source)
    return "ins.weight" in index or any(re.fullmatch(r"(\w+_)?inspiration\d+_weight", name) for name in index)


def read_msg_net(source: Path) -> Arrays:
    """Read MSG-Net as ``save_parameters`` writes it, or as MXNet 1.0 did."""
    index = read_index(source)
    names = _structured(index, source) if "ins.weight" in index else _counted(index, source)
    check_shapes(index, {name: index[name].shape for name in names.values()}, source)
    arrays = read_arrays(source, index, list(names.values()))
    parameters = {f"msg_net_{ours}": arrays[theirs] for ours, theirs in names.items()}
    # The program writes its picture as BGR.
    for part in ("weight", "bias"):
        parameters[f"msg_net_output_{part}"] = parameters[f"msg_net_output_{part}"][::-1].copy()
    return parameters


def _structured(index: Dict[str, Entry], source: Path) -> Dict[str, str]:
    names = {}
    for name in index:
        # What is shared is stored twice; scales are 1 and not learnt.
        if name.startswith(("model1.", "ins.")) or name.endswith("gamma"):
            continue
        match = re.fullmatch(r"model\.(0\.\d|\d+)((?:\.(?:conv_block|residual_layer))?.*?)\.(weight|bias|beta)", name)
        inner = match and re.fullmatch(r"(?:\.conv_block\.(\d)|\.(residual_layer))?(?:\.conv2d)?", match.group(2))
        if not match or not inner or match.group(1) not in _MSG_NET:
            raise WeightsError(f"{source} has the parameter {name}, which is none of MSG-Net's")
        place, skip = inner.groups()
        parts = (_MSG_NET[match.group(1)], "skip" if skip else place and _BLOCK.get(place), match.group(3))
        names["_".join(filter(None, parts))] = name
    return names


def _counted(index: Dict[str, Entry], source: Path) -> Dict[str, str]:
    """Name parameters by their order: that of the layers, the convolution beside a block before or after the block."""
    stored = [name for name in index if not name.endswith(("_gamma", "_gram"))]
    for skip_first in (True, False):
        expected = _msg_net_order(skip_first)
        if len(stored) != len(expected):
            break
        pairs = list(zip(expected, stored))
        fits = all(theirs.endswith(ours.rsplit("_", 1)[1]) for ours, theirs in pairs)
        # The first block tells which: there the convolution beside it has a shape of its own.
        shapes = {ours: index[theirs].shape for ours, theirs in pairs}
        beside, inside = shapes["down1_skip_weight"], shapes["down1_conv1_weight"]
        if fits and len(beside) == len(inside) == 4 and beside[1] == inside[1] and beside[0] > inside[0]:
            return dict(pairs)
    raise WeightsError(
        f"{source} has {len(stored)} parameters in an order that is not MSG-Net's; save it again with save_parameters"
    )


def _msg_net_order(skip_first: bool) -> List[str]:
    def convolution(name: str) -> List[str]:
        return [f"{name}_weight", f"{name}_bias"]

    def block(name: str, skip: bool) -> List[str]:
        inside: List[str] = []
        for layer in _BLOCK.values():
            inside += [f"{name}_{layer}_beta"] if layer.startswith("norm") else convolution(f"{name}_{layer}")
        beside = convolution(f"{name}_skip") if skip else []
        return beside + inside if skip_first else inside + beside

    order = [*convolution("conv1"), "norm1_beta", *block("down1", True), *block("down2", True), "match_weight"]
    for number in range(1, msg_net.RESIDUAL_BLOCKS + 1):
        order += block(f"block{number}", False)
    return [*order, *block("up1", True), *block("up2", True), "norm2_beta", *convolution("output")]


def fits_end_to_end(source: Path) -> bool:
    """Return whether a file, or one in the folders 0, 1 and so on of a folder, is of the end_to_end example."""
    if source.is_dir():
        return bool(_chain(source))
    return any(re.fullmatch(r"convolution\d+_weight", name) for name in _index(source))


def read_end_to_end(source: Path) -> Arrays:
    """Read one generator, or the chain in the folders 0, 1 and so on of a folder."""
    files = _chain(source) if source.is_dir() else [source]
    if not files:
        raise WeightsError(f"{source}: there is no 0/*.params; the chain is in the folders 0, 1, 2 and 3")
    parameters: Arrays = {}
    for number, path in enumerate(files):
        parameters.update((f"end_to_end_stage{number}_{name}", value) for name, value in _read_stage(path).items())
    return parameters


def _chain(folder: Path) -> List[Path]:
    files: List[Path] = []
    while True:
        found = sorted((folder / str(len(files))).glob("*.params"))
        if not found:
            return files
        files.append(found[-1])


def _read_stage(path: Path) -> Arrays:
    """Read one generator, each batch normalisation folded into the layer before it."""
    index = read_index(path)
    kinds: Dict[str, List[int]] = {"convolution": [], "deconvolution": [], "batchnorm": []}
    for name in index:
        match = re.fullmatch(r"(convolution|deconvolution|batchnorm)(\d+)_(?:weight|gamma)", name)
        if match:
            kinds[match.group(1)].append(int(match.group(2)))
    kinds = {kind: sorted(numbers) for kind, numbers in kinds.items()}
    layers = _stage_layers(kinds, path)
    wanted = {name: entry.shape for name, entry in index.items()}
    check_shapes(index, wanted, path)
    arrays = read_arrays(path, index, wanted)
    parameters: Arrays = {}
    for (ours, theirs), number in zip(layers, kinds["batchnorm"]):
        norm = f"batchnorm{number}"
        try:
            gamma, beta, mean, variance = (
                arrays[f"{norm}_{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_var")
            )
            weight = arrays[f"{theirs}_weight"].astype(np.float64)
        except KeyError as error:
            raise WeightsError(f"{path} has no parameter {error.args[0]}; get it again") from error
        outputs = weight.shape[1 if ours.startswith("up") else 0] if weight.ndim == 4 else None
        if gamma.shape != (outputs,):
            raise WeightsError(
                f"{path}: {theirs}_weight {weight.shape} does not fit {norm} ({gamma.size}); get it again"
            )
        bias = arrays.get(f"{theirs}_bias", np.zeros(gamma.size))
        folded = end_to_end.fold(ours, weight, bias, gamma, beta, mean, variance)
        parameters[f"{ours}_weight"], parameters[f"{ours}_bias"] = folded
    return parameters


def _stage_layers(kinds: Dict[str, List[int]], path: Path) -> List[Tuple[str, str]]:
    """Return pairs of our name and the file's for every layer, in the order of the batch normalisations."""
    plain = [f"convolution{number}" for number in kinds["convolution"]]
    up = [f"deconvolution{number}" for number in kinds["deconvolution"]]
    if not up and len(plain) == len(kinds["batchnorm"]) == len(end_to_end.FLAT):
        return list(zip(end_to_end.FLAT, plain))
    down = [name for name, _ in end_to_end.DOWN]
    after = [name for _, _, _, name in end_to_end.UP if name]
    if len(up) == len(end_to_end.UP) and len(plain) == len(down) + len(after) and len(kinds["batchnorm"]) == 11:
        pairs, rest = list(zip(down, plain)), plain[len(down) :]
        for place, (name, _, _, follows) in enumerate(end_to_end.UP):
            pairs.append((name, up[place]))
            if follows:
                pairs.append((follows, rest[place]))
        return pairs
    raise WeightsError(
        f"{path} has {len(plain)} convolutions, {len(up)} transposed ones and {len(kinds['batchnorm'])} batch "
        "normalisations, which is none of the example's generators"
    )


def _index(source: Path) -> Dict[str, Entry]:
    """Return the index of a file, or an empty one if it has none."""
    if not source.is_file():
        return {}
    try:
        return read_index(source)
    except WeightsError:
        return {}
