"""Read the tensors and nodes of an ONNX file.

ONNX files are Protocol Buffers, of which only the wire format is needed here: a message is a sequence of a field's
number and a value, which is a number of variable length, four or eight bytes, or so many bytes. The package onnx wants
another NumPy than MXNet. The numbers of fields are those of onnx.proto3 (onnx/onnx, Apache-2.0).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from ..errors import WeightsError
from .params_file import open_weights

# TensorProto.DataType, and the field that holds values that are not raw bytes.
_TYPES = {1: "<f4", 2: "<u1", 3: "<i1", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}
_FLOATS, _INTS, _LONGS, _DOUBLES, _RAW = 4, 5, 7, 10, 9
_MOST_BYTES = 2**31


@dataclass(frozen=True)
class Node:
    """An operation: its name in ONNX, and the names of what it reads and makes."""

    operation: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]


@dataclass
class OnnxGraph:
    """The nodes of a graph, in order, and its constant tensors by name."""

    nodes: List[Node] = field(default_factory=list)
    tensors: Dict[str, np.ndarray] = field(default_factory=dict)

    def value(self, name: str) -> np.ndarray:
        """Return a constant as float32, also one that is stored in 8 or 32 bits with a scale per channel.

        Raises
        ------
        KeyError
            If it is not constant.
        """
        if name in self.tensors:
            return self.tensors[name].astype(np.float32)
        for node in self.nodes:
            if name in node.outputs and node.operation == "DequantizeLinear":
                stored, scale, *zero = (self.tensors[one] for one in node.inputs)
                shape = (-1,) + (1,) * (stored.ndim - 1)
                less = zero[0].astype(np.float64).reshape(shape if zero[0].size > 1 else ()) if zero else 0.0
                scale = scale.astype(np.float64).reshape(shape if scale.size > 1 else ())
                return ((stored.astype(np.float64) - less) * scale).astype(np.float32)
        raise KeyError(name)

    def source(self, name: str) -> str:
        """Return the name of the tensor in which a constant is stored, perhaps in fewer bits."""
        for node in self.nodes:
            if name in node.outputs and node.operation == "DequantizeLinear":
                return node.inputs[0]
        return name


def read_onnx(path: Any) -> OnnxGraph:
    """Read a file.

    Raises
    ------
    WeightsError
        If it cannot be read, or is no ONNX file, or damaged.
    """
    with open_weights(path) as file:
        data = file.read(_MOST_BYTES)
    try:
        graphs = [value for number, value in _fields(memoryview(data)) if number == 7]
        if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
            raise ValueError("it has no graph")
        return _read_graph(graphs[0])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error) as error:
        raise WeightsError(f"{path} is not an ONNX file that can be read ({error}); get it again") from error


def is_onnx(path: Any) -> bool:
    """Return whether a file looks like ONNX: by its suffix, and a first field that holds the version."""
    with open_weights(path) as file:
        return Path(path).suffix.lower() == ".onnx" and file.read(1) == b"\x08"


def _read_graph(data):
    graph = OnnxGraph()
    for number, value in _fields(data):
        if number == 1:
            graph.nodes.append(_read_node(value, graph.tensors))
        elif number == 5:
            name, tensor = _read_tensor(value)
            graph.tensors[name] = tensor
    return graph


def _read_node(data, tensors):
    inputs, outputs, operation, constant = [], [], "", None
    for number, value in _fields(data):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operation = _text(value)
        elif number == 5:
            for inner, one in _fields(value):
                if inner == 5:
                    constant = one
    if operation == "Constant" and constant is not None:
        tensors[outputs[0]] = _read_tensor(constant)[1]
    return Node(operation, tuple(inputs), tuple(outputs))


def _read_tensor(data):
    shape, kind, name, raw, numbers = [], 0, "", None, []
    for number, value in _fields(data):
        if number == 1:
            shape += _integers(value)
        elif number == 2:
            kind = value
        elif number == 8:
            name = _text(value)
        elif number == _RAW:
            raw = value
        elif number == _FLOATS:
            numbers += np.frombuffer(value, "<f4").tolist() if isinstance(value, memoryview) else [value]
        elif number == _DOUBLES:
            numbers += np.frombuffer(value, "<f8").tolist() if isinstance(value, memoryview) else [value]
        elif number in (_INTS, _LONGS):
            numbers += _integers(value)
    if kind not in _TYPES:
        return name, np.zeros((0,), np.float32)  # text and other types that no weight has
    array = np.array(numbers, _TYPES[kind]) if raw is None else np.frombuffer(raw, _TYPES[kind])
    if array.size != int(np.prod(shape, dtype=object)):
        raise ValueError(f"tensor {name} has {array.size} values for the shape {tuple(shape)}")
    return name, array.reshape(shape)


def _fields(data: memoryview) -> Iterator[Tuple[int, Any]]:
    """Yield the number and value of every field of a message."""
    place = 0
    while place < len(data):
        key, place = _integer(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _integer(data, place)
        elif kind == 2:
            length, place = _integer(data, place)
            if length > len(data) - place:
                raise ValueError("it is cut short")
            value, place = data[place : place + length], place + length
        elif kind in (1, 5):
            form, length = ("<d", 8) if kind == 1 else ("<f", 4)
            (value,) = struct.unpack(form, data[place : place + length])
            place += length
        else:
            raise ValueError("a field of unknown form")
        yield key >> 3, value


def _integer(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            break
        if shift > 63:
            raise ValueError("a number is too long")
    return (value - 2**64 if value >= 2**63 else value), place


def _integers(value):
    """Return numbers that are packed into one field, or a single one."""
    if not isinstance(value, memoryview):
        return [value]
    numbers, place = [], 0
    while place < len(value):
        number, place = _integer(value, place)
        numbers.append(number)
    return numbers


def _text(value):
    return bytes(value).decode("utf-8")
