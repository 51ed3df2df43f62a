"""Index, read and write MXNet's ``.params`` files.

The layout is that of the original program's ``vgg19.params``: ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias``
(C_out,), and so on, with or without the ``arg:`` of MXNet's checkpoints before the name; input in RGB, 0 to 255, minus
the means 123.68, 116.779, 103.939. A network never runs on parameters that are missing, misshapen or not finite.

The files are read here and not by ``mxnet.nd.load``, which takes sizes on trust (a damaged file can make it ask for any
amount of memory), reads the fully connected layers too, and needs MXNet before it can say that a file is a picture.
"""

import math
import os
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

import numpy as np

from .._mxnet import mx
from ..errors import OutputError, WeightsError
from ..files import replacing
from .checks import check_finite, check_shapes

# From MXNet 1.x, src/c_api/c_api.cc and src/ndarray/ndarray.cc: a list of arrays, then a list of their names. The
# format of one array has changed three times; before V1 its first word was the number of its dimensions.
_LIST_MAGIC = 0x112
_ARRAY_V1, _ARRAY_V2, _ARRAY_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MAX_DIMENSIONS = 32

# MXNet's type flags (mshadow/base.h). NumPy has no bfloat16, but its two bytes must be stepped over.
_TYPES = ("<f4", "<f8", "<f2", "<u1", "<i4", "<i1", "<i8", "|b1", "<i2", "<u2", "<u4", "<u8", "bfloat16")


@dataclass(frozen=True)
class Entry:
    """Where one array lies in a ``.params`` file: NumPy's name of its type, its shape, its first byte."""

    dtype: str
    shape: Tuple[int, ...]
    offset: int


def load_weights(path, shapes, ctx=None):
    """Load the parameters that a network needs, and no others.

    Parameters
    ----------
    path : str or path-like
        A ``.params`` file.
    shapes : dict of str to tuple of int
        What `networks.vgg.Architecture.parameter_shapes` gives.
    ctx : mxnet.Context, optional
        Device of the arrays; the CPU by default.

    Returns
    -------
    OrderedDict of str to mxnet.nd.NDArray
        float32, in the order of `shapes`, without ``arg:``.

    Raises
    ------
    WeightsError
        If the file cannot be read or is not a whole ``.params`` file, if a parameter is missing, has another shape, is
        not of a floating-point type or not finite, or if the file is of a network with other layers in between.
    """
    arrays = read_parameters(path, shapes)
    return OrderedDict((name, mx.nd.array(array, ctx=ctx or mx.cpu())) for name, array in arrays.items())


def read_parameters(path, shapes):
    """Read and check the parameters named by `shapes`, as `load_weights`, into float32 NumPy arrays."""
    index = read_index(path)
    check_shapes(index, shapes, path)
    arrays = read_arrays(path, index, shapes)
    check_finite(arrays, path)
    return arrays


def save_weights(path, params, dtype="float32"):
    """Save parameters so that the file is there whole or not at all; its folder is made.

    Parameters
    ----------
    path : str or path-like
        What to write; a file that is there is replaced.
    params : dict of str to numpy.ndarray or mxnet.nd.NDArray
        Names without ``arg:``, which is added as in the original's file.
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
    with np.errstate(over="ignore"):  # what is too large becomes infinite and is found
        params = OrderedDict((name, mx.nd.array(value, dtype=dtype)) for name, value in params.items())
    for name, array in params.items():
        if np.isinf(array.asnumpy()).any():
            raise WeightsError(f"parameter {name} has values that are too large for {dtype}; {path} is not written")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            with open(part, "wb"):  # MXNet does not say why it cannot
                pass
            mx.nd.save(part, {f"arg:{name}": array for name, array in params.items()})
            read_index(part)  # nor does it look whether the last bytes reached the disk
    except OSError as error:
        raise OutputError(f"weights cannot be written to {path} ({error.strerror}); choose another place") from error
    except (WeightsError, mx.MXNetError) as error:
        raise OutputError(f"weights were not written completely to {path}; is there space left?") from error


def read_index(path):
    """Read what a ``.params`` file holds, without its values, and that it holds it to the last byte.

    Returns
    -------
    OrderedDict of str to Entry
        By name, without ``arg:`` or ``aux:``.

    Raises
    ------
    WeightsError
        If the file is missing, unreadable, empty, cut short, not a ``.params`` file, or has arrays without names.
    """
    try:
        with open(path, "rb") as file:
            return _read_list(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise WeightsError(f"weights file {path} does not exist") from error
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error


def read_arrays(path, index, names):
    """Read the arrays of some `names` of an index into float32; types as in `check_shapes`.

    Returns
    -------
    OrderedDict of str to numpy.ndarray
    """
    arrays = OrderedDict()
    with open(path, "rb") as file:
        for name in names:
            entry = index[name]
            file.seek(entry.offset)
            values = np.fromfile(file, np.dtype(entry.dtype), math.prod(entry.shape))
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is found
                arrays[name] = values.reshape(entry.shape).astype(np.float32)
    return arrays


def _read_list(file, size, path):
    def take(form):
        length = struct.calcsize(form)
        data = file.read(length)
        if len(data) < length:
            raise cut
        return struct.unpack(form, data)

    def skip(length):
        if length > size - file.tell():
            raise cut
        file.seek(length, os.SEEK_CUR)

    if size == 0:
        raise WeightsError(f"weights file {path} is empty; fetch or import it again")
    cut = WeightsError(f"weights file {path} is cut short or damaged ({size} bytes); fetch or import it again")
    head = file.read(24)
    if len(head) < 24 or struct.unpack("<QQ", head[:16]) != (_LIST_MAGIC, 0):
        raise WeightsError(
            f"{path} is not an MXNet .params file; weights in another format become one with: "
            "neural-style weights import"
        )
    entries = []
    for _ in range(struct.unpack("<Q", head[16:])[0]):
        (magic,) = take("<I")
        if magic in (_ARRAY_V2, _ARRAY_V3):
            storage, dimensions = take("<ii")
            if storage > 0:
                raise WeightsError(f"weights file {path} holds a sparse array; save it dense")
            wide = True
        elif magic == _ARRAY_V1:
            (dimensions,), wide = take("<i"), True
        else:
            dimensions, wide = magic, False
        if dimensions > _MAX_DIMENSIONS:
            raise cut
        shape = take(f"<{max(dimensions, 0)}{'q' if wide else 'I'}")
        # In the formats before V3 zero stood for unknown; nothing was written after an array of unknown shape.
        if dimensions < 0 or any(n < 0 for n in shape) or (magic != _ARRAY_V3 and (not shape or 0 in shape)):
            entries.append(Entry("none", (), file.tell()))
            continue
        _, _, flag = take("<iii")  # device kind, device number, type
        if not 0 <= flag < len(_TYPES):
            raise cut
        dtype = _TYPES[flag]
        entries.append(Entry(dtype, shape, file.tell()))
        skip(math.prod(shape) * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize))
    (count,) = take("<Q")
    if count != len(entries):
        if count == 0:
            raise WeightsError(f"weights file {path} holds arrays without names; save it as a dict of names to arrays")
        raise cut
    index = OrderedDict()
    for entry in entries:
        (length,) = take("<Q")
        if length > size - file.tell():
            raise cut
        name = re.sub(r"^(arg|aux):", "", file.read(length).decode("utf-8", "replace"))
        if name in index:
            raise WeightsError(f"weights file {path} holds the parameter {name} twice; keep one of the two")
        index[name] = entry
    return index
