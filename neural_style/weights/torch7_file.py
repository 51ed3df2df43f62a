"""Read Torch 7's binary files: what ``torch.save`` of Lua wrote, with numbers of 64 bits and in Intel's order of bytes.

An object is its type, an integer of 32 bits, and its value. Tables and objects of classes have a number, under which
they come again without their content. A class is written as its version, its name, and what it holds: tensors and
storages in a form of their own, everything else as a table. Nothing in a file is ever run.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from ..errors import WeightsError
from ..limits import MAX_WEIGHTS_BYTES
from .params_file import open_weights

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN, _FUNCTION = range(7)
_FUNCTIONS_WITH_NUMBERS = (7, 8)
_TYPES = {
    "Float": "<f4",
    "Cuda": "<f4",
    "Double": "<f8",
    "Byte": "<u1",
    "Char": "<i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "CudaLong": "<i8",
}
# Objects lie in each other; a network's are some ten deep.
_DEEPEST = 200
_MOST_DIMENSIONS = 8
_HEADS = tuple(struct.pack("<ii", kind, 1) for kind in (_TABLE, _TORCH))


@dataclass(frozen=True)
class Module:
    """An object of a class, such as ``nn.SpatialConvolution``, with its fields."""

    name: str
    fields: Dict[Any, Any]

    @property
    def children(self) -> List[Any]:
        """What a container holds, in order."""
        held = self.fields.get("modules")
        return [] if not isinstance(held, dict) else [held.get(number) for number in range(1, len(held) + 1)]


def is_torch7(path: Path) -> bool:
    """Return whether a file begins like one whose outermost object is a table or of a class."""
    try:
        with open_weights(path) as file:
            return file.read(8) in _HEADS
    except WeightsError:
        return False


def read_torch7(path: Any) -> Any:
    """Read a file: tables as dict, tensors as numpy.ndarray, other objects as `Module`.

    Raises
    ------
    WeightsError
        If it cannot be read, or is not such a file, or damaged.
    """
    with open_weights(path) as file:
        data = file.read(MAX_WEIGHTS_BYTES)
    try:
        return _Reader(memoryview(data)).read()
    except (struct.error, ValueError, KeyError, TypeError, OverflowError) as error:
        raise WeightsError(f"{path} is not a Torch 7 file that can be read ({error}); get it again") from error


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data, self._at, self._seen, self._depth = data, 0, {}, 0  # type: ignore[var-annotated]

    def read(self) -> Any:
        """Read the next object."""
        kind = self._number("i")
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            value = self._number("d")
            return int(value) if value == math.floor(value) and abs(value) < 2**53 else value
        if kind == _STRING:
            return self._text()
        if kind == _BOOLEAN:
            return self._number("i") == 1
        if kind not in (_TABLE, _TORCH, _FUNCTION, *_FUNCTIONS_WITH_NUMBERS):
            raise ValueError(f"there is no type {kind}")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("its objects are too deep in each other")
        try:
            return self._function() if kind == _FUNCTION else self._numbered(kind)
        finally:
            self._depth -= 1

    def _numbered(self, kind: int) -> Any:
        index = self._number("i")
        if index not in self._seen:
            if kind == _TABLE:
                self._seen[index] = {}  # it may hold itself
                self._table(self._seen[index])
            elif kind == _TORCH:
                self._seen[index] = None
                self._seen[index] = self._torch()
            else:
                self._seen[index] = self._function()
        return self._seen[index]

    def _table(self, table: Dict[Any, Any]) -> None:
        for _ in range(self._count(8)):
            key, value = self.read(), self.read()
            if isinstance(key, (str, int, float)):
                table[key] = value

    def _torch(self) -> Any:
        version = self._text()
        name = self._text() if version.startswith("V ") else version
        prefix, _, short = name.partition(".")
        for ending, read in (("Storage", self._storage), ("Tensor", self._tensor)):
            stem = short[: -len(ending)]
            if prefix == "torch" and short.endswith(ending) and stem in _TYPES:
                return read(_TYPES[stem])
        fields = self.read()
        if not isinstance(fields, dict):
            raise ValueError(f"{name!r} is no table")
        return Module(name, fields)

    def _storage(self, dtype: str) -> np.ndarray:
        count = self._count(np.dtype(dtype).itemsize, "q")
        values = np.frombuffer(self._data, dtype, count, self._at)
        self._at += values.nbytes
        return values

    def _tensor(self, dtype: str) -> Optional[np.ndarray]:
        dimensions = self._number("i")
        if not 0 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        sizes, strides = ([self._number("q") for _ in range(dimensions)] for _ in range(2))
        offset, storage = self._number("q") - 1, self.read()
        if storage is None or not dimensions:
            return None
        values = np.asarray(storage)
        if values.dtype != np.dtype(dtype) or values.ndim != 1:
            raise ValueError("a tensor without its numbers")
        if min(sizes) < 1 or min(strides) < 0 or offset < 0 or math.prod(sizes) > values.size:
            raise ValueError("a tensor that is larger than what is stored")
        if offset + sum((size - 1) * stride for size, stride in zip(sizes, strides)) >= values.size:
            raise ValueError("a tensor that ends behind what is stored")
        steps = [stride * values.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(values[offset:], sizes, steps).copy()

    def _function(self) -> None:
        self._at += self._count(1)
        self.read()  # what it refers to

    def _text(self) -> str:
        count = self._count(1)
        text = bytes(self._data[self._at : self._at + count])
        self._at += count
        return text.decode("latin-1")

    def _count(self, size: int, form: str = "i") -> int:
        """Read how many things of at least so many bytes follow."""
        count = self._number(form)
        if not 0 <= count <= (len(self._data) - self._at) // size:
            raise ValueError("it is cut short")
        return count

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return value
