"""Index, read and write MXNet's ``.params`` files.

The layout is that of the original program's ``vgg19.params``: ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias``
(C_out,), and so on, with or without the ``arg:`` of MXNet's checkpoints before the name; the input is RGB from 0 to 255
minus the means 123.68, 116.779, 103.939. A network never runs with missing, misshapen or non-finite parameters.

The files are read here and not by ``mxnet.nd.load``, which trusts the sizes in a file (if it is damaged, any amount of
memory may be requested), also reads the fully connected layers, and has to import MXNet only to find that a file is,
say, an image.
"""

import contextlib
import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

import numpy as np

from .._mxnet import mx
from ..errors import OutputError, WeightsError
from ..files import open_regular, replacing
from ..limits import MAX_NAME_BYTES, MAX_PARAMETERS, MAX_WEIGHTS_BYTES
from .checks import check_finite, check_shapes

# From MXNet 1.x, src/c_api/c_api.cc and src/ndarray/ndarray.cc: a list of arrays, then a list of their names. The
# format of an array has changed three times; before V1 its first word was its number of dimensions.
_LIST_MAGIC = 0x112
_ARRAY_V1, _ARRAY_V2, _ARRAY_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MAX_DIMENSIONS = 32

# MXNet's type flags (mshadow/base.h). NumPy has no bfloat16, but its two bytes must be skipped.
_TYPES = ("<f4", "<f8", "<f2", "<u1", "<i4", "<i1", "<i8", "|b1", "<i2", "<u2", "<u4", "<u8", "bfloat16")


@dataclass(frozen=True)
class Entry:
    """An array in a ``.params`` file: NumPy's name of its type, its shape, the position of its first byte."""

    dtype: str
    shape: Tuple[int, ...]
    offset: int


def load_weights(path, shapes, ctx=None):
    """Load only the parameters that a network needs.

    Parameters
    ----------
    path : str or path-like
        A ``.params`` file.
    shapes : dict of str to tuple of int
        As `networks.vgg.Architecture.parameter_shapes` returns them.
    ctx : mxnet.Context, optional
        Device of the arrays; the CPU by default.

    Returns
    -------
    dict of str to mxnet.nd.NDArray
        float32, in the order of `shapes`, without ``arg:``.

    Raises
    ------
    WeightsError
        If the file cannot be read or is not a complete ``.params`` file, if a parameter is missing, has another shape,
        is not of a floating-point type or not finite, or if the file belongs to a network with additional layers.
    """
    arrays = read_parameters(path, shapes)
    return {name: mx.nd.array(array, ctx=ctx or mx.cpu()) for name, array in arrays.items()}


def read_parameters(path, shapes):
    """Read and check the parameters named by `shapes`, as `load_weights` does, as float32 NumPy arrays."""
    index = read_index(path)
    check_shapes(index, shapes, path)
    arrays = read_arrays(path, index, shapes)
    check_finite(arrays, path)
    return arrays


def save_weights(path, params, dtype="float32"):
    """Save parameters to a file, which appears whole or not at all; its folder is created if it is missing.

    Parameters
    ----------
    path : str or path-like
        The file to write; an existing one is replaced.
    params : dict of str to numpy.ndarray or mxnet.nd.NDArray
        Names are without ``arg:``, which is added as in the original's file.
    dtype : {"float32", "float16"}
        Of the values in the file; `load_weights` returns float32 in any case.

    Raises
    ------
    OutputError
        If the file cannot be written.
    WeightsError
        If a value is too large for `dtype`.
    """
    path = Path(path)
    with np.errstate(over="ignore"):  # values that are too large become infinite and are found below
        params = {name: mx.nd.array(value, dtype=dtype) for name, value in params.items()}
    for name, array in params.items():
        if np.isinf(array.asnumpy()).any():
            raise WeightsError(f"parameter {name} has values that are too large for {dtype}; {path} is not written")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            with open(part, "wb"):  # MXNet does not say why writing fails
                pass
            mx.nd.save(part, {f"arg:{name}": array for name, array in params.items()})
            read_index(part)  # nor does it check that the last bytes reached the disk
    except OSError as error:
        raise OutputError(f"weights cannot be written to {path} ({error.strerror}); choose another place") from error
    except (WeightsError, mx.MXNetError) as error:
        raise OutputError(f"weights were not written completely to {path}; is there space left?") from error


def is_params_file(head):
    """Return whether a file that begins like this is a ``.params`` file."""
    return head.startswith(struct.pack("<QQ", _LIST_MAGIC, 0))


def read_index(path):
    """Read the index of a ``.params`` file, without its values, and check that the file is complete.

    Returns
    -------
    dict of str to Entry
        By name, without ``arg:`` or ``aux:``.

    Raises
    ------
    WeightsError
        If the file is missing, unreadable, empty, cut short, not a ``.params`` file, or has arrays without names.
    """
    with open_weights(path) as file:
        return _read_list(_Reader(file, path))


@contextlib.contextmanager
def open_weights(path):
    """Open a weights file of any format for reading; raise WeightsError if it is missing or cannot be read."""
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise WeightsError(f"weights file {path} does not exist") from error
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error
    with file:
        if os.fstat(file.fileno()).st_size > MAX_WEIGHTS_BYTES:
            raise WeightsError(f"weights file {path} has more than {MAX_WEIGHTS_BYTES} bytes, more than any network")
        try:
            yield file
        except OSError as error:
            raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error


def read_arrays(path, index, names):
    """Read the arrays called `names` of an index as float32; their types must pass `check_shapes`.

    Returns
    -------
    dict of str to numpy.ndarray
    """
    arrays = {}
    with open_weights(path) as file:
        for name in names:
            entry = index[name]
            file.seek(entry.offset)
            values = np.fromfile(file, np.dtype(entry.dtype), math.prod(entry.shape))
            with np.errstate(over="ignore"):  # too large values become infinite, which `check_finite` finds
                arrays[name] = values.reshape(entry.shape).astype(np.float32)
    return arrays


class _Reader:
    """A ``.params`` file of known size, from which nothing beyond its end is read."""

    def __init__(self, file, path):
        self.path = path
        self._file, self._size = file, os.fstat(file.fileno()).st_size
        if self._size == 0:
            raise WeightsError(f"weights file {path} is empty; fetch or import it again")

    @property
    def position(self):
        """The position of the next byte."""
        return self._file.tell()

    def numbers(self, form):
        """Read and return the numbers of a `struct` format."""
        return struct.unpack(form, self.bytes(struct.calcsize(form)))

    def bytes(self, length):
        """Read and return some bytes."""
        self._require(length)
        data = self._file.read(length)
        if len(data) < length:  # the file became shorter in the meantime
            raise self.damaged()
        return data

    def skip(self, length):
        """Skip some bytes."""
        self._require(length)
        self._file.seek(length, os.SEEK_CUR)

    def damaged(self):
        """Return the error to raise if the content makes no sense."""
        return WeightsError(
            f"weights file {self.path} is cut short or damaged ({self._size} bytes); fetch or import it again"
        )

    def _require(self, length):
        if length > self._size - self._file.tell():
            raise self.damaged()


def _read_list(reader):
    try:
        magic = reader.numbers("<QQ")
        (count,) = reader.numbers("<Q")
    except WeightsError:
        magic = None
    if magic != (_LIST_MAGIC, 0):
        raise WeightsError(
            f"{reader.path} is not an MXNet .params file; convert weights in another format with: neural-style weights "
            "import"
        )
    if count > MAX_PARAMETERS:
        raise reader.damaged()
    entries = [_read_entry(reader) for _ in range(count)]
    (count,) = reader.numbers("<Q")
    if count != len(entries):
        if count == 0:
            raise WeightsError(
                f"weights file {reader.path} contains arrays without names; save it as a dict of names to arrays"
            )
        raise reader.damaged()
    index = {}
    for entry in entries:
        (length,) = reader.numbers("<Q")
        if length > MAX_NAME_BYTES:
            raise reader.damaged()
        name = re.sub(r"^(arg|aux):", "", reader.bytes(length).decode("utf-8", "replace"))
        if name in index:
            raise WeightsError(f"weights file {reader.path} contains the parameter {name} twice; keep one of the two")
        index[name] = entry
    return index


def _read_entry(reader):
    (magic,) = reader.numbers("<I")
    if magic in (_ARRAY_V2, _ARRAY_V3):
        storage, dimensions = reader.numbers("<ii")
        if storage > 0:
            raise WeightsError(f"weights file {reader.path} contains a sparse array; save it dense")
        wide = True
    elif magic == _ARRAY_V1:
        (dimensions,), wide = reader.numbers("<i"), True
    else:
        dimensions, wide = magic, False
    if dimensions > _MAX_DIMENSIONS:
        raise reader.damaged()
    shape = reader.numbers(f"<{max(dimensions, 0)}{'q' if wide else 'I'}")
    # In formats before V3, zero stood for unknown; nothing was written after an array of unknown shape.
    if dimensions < 0 or any(n < 0 for n in shape) or (magic != _ARRAY_V3 and (not shape or 0 in shape)):
        return Entry("none", (), reader.position)
    _, _, flag = reader.numbers("<iii")  # device kind, device number, type
    if not 0 <= flag < len(_TYPES):
        raise reader.damaged()
    dtype, offset = _TYPES[flag], reader.position
    reader.skip(math.prod(shape) * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize))
    return Entry(dtype, shape, offset)
