"""Read weights by somebody else's reader in a process of its own, with limits on memory and time.

SciPy's reader of MATLAB files ends in a segmentation fault on some damaged ones, HDF5 has had such faults too, and any
of them can be asked for more memory than there is. In another process none of that matters: what comes back from it are
plain numbers in a form that is checked, or one line that says why there are none.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np

from .. import errors
from ..errors import NeuralStyleError, WeightsError, first_line
from ..limits import READER_BYTES, READER_BYTES_PER_BYTE, READER_BYTES_PER_SECOND, READER_SECONDS

# A new interpreter rather than a fork: a fork inherits locks, threads and whatever memory its parent has.
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import {0}; {0}.serve(*sys.argv[2:])"
# Until the readers are imported, which on a slow disk takes far longer than to read a file.
_START_SECONDS = 120
# The limit is of the processor's time; the clock's is so much longer, for a machine that has more to do.
_WAITING = 8

_TOO_LONG = tuple(getattr(signal, name, 14) for name in ("SIGALRM", "SIGXCPU"))


def read_isolated(function, modules, source):
    """Call a function that reads a file, in another process.

    Parameters
    ----------
    function : callable
        Of a module; path -> (layers, means), as `importers.Layout.read`.
    modules : sequence of str
        What it imports, which is imported before the limits begin.
    source : pathlib.Path

    Returns
    -------
    layers : dict of str to dict of str to numpy.ndarray
    means : tuple of float or None

    Raises
    ------
    WeightsError
        If the file cannot be read, or only with more time or memory than a sound file needs.
    DependencyError
        If a module is missing.
    """
    size = os.path.getsize(source)
    seconds = READER_SECONDS + size // READER_BYTES_PER_SECOND
    place = f"{function.__module__}:{function.__qualname__}"
    limits = [str(READER_BYTES + READER_BYTES_PER_BYTE * size), str(seconds)]
    argv = [sys.executable, "-c", _CODE.format(__name__), json.dumps(sys.path), place, os.path.abspath(source)]
    with tempfile.TemporaryFile() as answer:
        process = subprocess.Popen(
            [*argv, ",".join(modules), *limits],
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            # HDF5 loads decoders from this path into the process; threads would only take memory.
            env={**os.environ, "HDF5_PLUGIN_PRELOAD": "::", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        )
        try:
            code = process.wait(_START_SECONDS + _WAITING * seconds)
        except subprocess.TimeoutExpired:
            code = -_TOO_LONG[0]
        finally:
            process.kill()
            process.wait()
        if code:
            raise WeightsError(f"{source} cannot be read ({_describe(code, seconds)}); get it again")
        answer.seek(0)
        return _receive(answer, source)


def _describe(code, seconds):
    if -code in _TOO_LONG:
        return f"that would take more than {seconds} s"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"its reader crashed, {signal.Signals(-code).name}"
    return f"its reader failed with code {code}"


def _receive(file, source):
    """Read an answer as `_send` writes it; the other process may have been taken over by what it read."""
    try:
        header = json.loads(file.readline(2**20).decode("ascii"))
        if "error" in header:
            name, text = map(str, header["error"])
            kind = getattr(errors, name, WeightsError)
            raise (kind if issubclass(kind, NeuralStyleError) else WeightsError)(" ".join(text.split()))
        left = os.fstat(file.fileno()).st_size - file.tell()
        layers = {}
        for layer, part, dtype, shape in header["arrays"]:
            kind, count = np.dtype(str(dtype)), 1
            for side in shape:
                count *= int(side)
            if kind.kind not in "fiub" or not 0 <= count * kind.itemsize <= left:
                raise ValueError
            left -= count * kind.itemsize
            values = np.frombuffer(file.read(count * kind.itemsize), kind)
            layers.setdefault(str(layer), {})[str(part)] = values.reshape(shape)
        means = header["means"]
        return layers, means and tuple(float(mean) for mean in means)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{source} cannot be read (its reader gave no answer); get it again") from error


def serve(place, source, modules, most_bytes, seconds):
    """Be the other process: read a file and write what is in it to the standard output.

    Parameters
    ----------
    place : str
        The function, as ``module:name``.
    source : str
    modules : str
        Names with commas between them.
    most_bytes, seconds : str
        Numbers.
    """
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # for whatever a library prints
    module, name = place.split(":")
    try:
        read = getattr(importlib.import_module(module), name)
        for one in filter(None, modules.split(",")):
            with contextlib.suppress(ImportError):  # the reader says how to get it
                importlib.import_module(one)
        _limit(int(most_bytes), int(seconds))
        layers, means = read(source)
    except MemoryError:
        _send(answer, {"error": ["WeightsError", f"{source} asks for more memory than a sound file; get it again"]})
    except NeuralStyleError as error:
        _send(answer, {"error": [type(error).__name__, str(error)]})
    except Exception as error:  # on a damaged file, a reader raises anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        _send(answer, {"error": ["WeightsError", f"{source} cannot be read ({reason}); get it again"]})
    else:
        arrays = [
            (layer, part, np.asarray(a, order="C")) for layer, parts in layers.items() for part, a in parts.items()
        ]
        described = [(layer, part, a.dtype.str, a.shape) for layer, part, a in arrays]
        _send(answer, {"arrays": described, "means": means}, [a for _, _, a in arrays])


def _send(file, header, arrays=()):
    with file:
        file.write(json.dumps(header).encode("ascii") + b"\n")
        for array in arrays:
            file.write(memoryview(array).cast("B") if array.size else b"")


def _limit(most_bytes, seconds):
    """Limit this process to so much more memory, and so much more time, where the system can."""
    if hasattr(signal, "alarm"):
        signal.alarm(_WAITING * seconds)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1 + seconds,) * 2)
        with open("/proc/self/statm") as file:
            present = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):  # not Linux: the clock is the limit, and the process is another one
        return
    resource.setrlimit(resource.RLIMIT_AS, (present + most_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes,) * 2)
