"""Read NumPy's ``.npz`` as `numpy.savez` writes it, from anybody: arrays of numbers and text, nothing packed.

`numpy.load` evaluates the header of every array, unpacks what may be thousand times larger than its file, and fails on
damage with any class of error. Here an archive is never larger in memory than on the disk.
"""

import math
import os
import re
import struct
import zipfile
import zlib

import numpy as np

from .files import open_regular
from .limits import MAX_ARCHIVE_BYTES

_MEMBER, _SUFFIX = b"PK\x03\x04", ".npy"
_NAME_OFFSET = 30  # of a member's name after its signature
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[fiubU]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}L?, ?)*(?:\d{1,18}L?)?)\), *\}[ \n]*"
)
_ENCRYPTED = 0x1


def is_archive(head, first):
    """Return whether the first bytes of a file are those of an archive whose first array has one of the names."""
    return any(
        head.startswith(_MEMBER) and head[_NAME_OFFSET:].startswith(f"{name}{_SUFFIX}".encode()) for name in first
    )


def read_arrays(path):
    """Read all arrays of an archive.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not such an archive, or is damaged or cut short.
    """
    with open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive, min(MAX_ARCHIVE_BYTES, os.fstat(file.fileno()).st_size))
        except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError) as error:
            raise ValueError(str(error) or "it ends too early") from error
        except (NotImplementedError, RuntimeError, KeyError, IndexError, TypeError, OverflowError) as error:
            raise ValueError(f"it is not an archive of this program: {error}") from error


def _read(archive, limit):
    arrays, size = {}, 0
    for member in archive.infolist():
        name = member.filename
        if not name.endswith(_SUFFIX) or name[: -len(_SUFFIX)] in arrays:
            raise ValueError("it has a part that is no array, or one twice")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
            raise ValueError("it is packed or encrypted")
        size += member.file_size
        if size > limit or member.file_size != member.compress_size:
            raise ValueError("its sizes make no sense")
        arrays[name[: -len(_SUFFIX)]] = _read_array(archive.read(member))
    return arrays


def _read_array(data):
    if data[:6] != b"\x93NUMPY" or data[6:7] not in (b"\x01", b"\x02"):
        raise ValueError("it has an array in an unknown format")
    begin, form = (10, "<H") if data[6:7] == b"\x01" else (12, "<I")
    (length,) = struct.unpack_from(form, data, 8)
    found = _HEADER.fullmatch(data[begin : begin + length])
    if not found:
        raise ValueError("it has an array that is not of numbers or text")
    kind, order = np.dtype(found.group(1).decode()), "F" if found.group(2) == b"True" else "C"
    shape = tuple(int(n.strip(b"L ")) for n in found.group(3).split(b",") if n.strip())
    if math.prod(shape) * kind.itemsize != len(data) - begin - length:
        raise ValueError("it has an array that is cut short")
    if not kind.itemsize or not math.prod(shape):
        return np.zeros(shape, kind)
    return np.frombuffer(data, kind, offset=begin + length).reshape(shape, order=order).copy()
