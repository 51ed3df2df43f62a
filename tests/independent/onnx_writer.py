"""Write ONNX files: Protocol Buffers by hand, from the numbers of fields in onnx.proto3."""

import struct

import numpy as np

TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10, "float64": 11}


def varint(number):
    number &= 2**64 - 1
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array, raw=True):
    array = np.asarray(array)
    out = b"".join(field(1, side) for side in array.shape) + field(2, TYPES[array.dtype.name]) + field(8, name)
    if raw:
        return out + field(9, array.tobytes())
    if array.dtype == np.float32:
        return out + field(4, b"".join(struct.pack("<f", value) for value in array.ravel()))
    return out + field(5, b"".join(varint(int(value)) for value in array.ravel()))


def node(operation, inputs, outputs, constant=None):
    out = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    out += field(3, "a name") + field(4, operation)
    return out + (field(5, field(1, "value") + field(5, constant)) if constant is not None else b"")


def model(nodes, tensors):
    graph = b"".join(field(1, one) for one in nodes) + field(2, "graph") + b"".join(field(5, one) for one in tensors)
    return field(1, 8) + field(2, "tests") + field(7, graph)
