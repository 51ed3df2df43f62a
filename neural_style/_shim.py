"""What MXNet 1.x looks for in NumPy, SciPy and Python, and no longer finds in today's.

The last MXNet is older than NumPy 2 and Python 3.12, but its compiled library depends on neither: its Python modules
call it through ctypes. So it runs where those modules find a few old names. None of MXNet's files is changed:

- `old_names` puts names into NumPy, and modules into Python, for as long as MXNet is being imported;
- `mend` replaces names in two pairs of MXNet's modules, once they are imported, that fail later, in use.

Parts of MXNet that this package does not use are not mended. With NumPy 2, ``mx.nd.moveaxis`` uses what NumPy has
deprecated, and ``mx.np.pad``, two callbacks of Gluon's estimator, ``mx.test_utils`` and ``mx.recordio.pack`` with
several labels fail.
"""

import contextlib
import importlib
import re
import sys
import types

import numpy as np

_VALUES = {
    "bool": bool,  # NumPy removed it in 1.24, and brought it back with another meaning in 2.0; the others went in 2.x
    "PZERO": 0.0,
    "NZERO": -0.0,
    "PINF": np.inf,
    "NINF": -np.inf,
    "Inf": np.inf,
    "NAN": np.nan,
    "NaN": np.nan,
}
# mxnet.numpy.fallback passes these on under its own name, and mxnet.numpy_dispatch_protocol lists the last three.
_FUNCTIONS = "alltrue in1d mirr msort npv pmt ppmt pv rate trapz sometrue round_ product".split()


def _stand_in(name):
    def function(*_arguments, **_settings):
        raise NotImplementedError(f"numpy.{name} is not in NumPy {np.__version__}")

    function.__name__ = name
    return function


class _Version:
    """In place of distutils' LooseVersion and StrictVersion, of which MXNet asks only ``a >= b``."""

    def __init__(self, text):
        self._numbers = [int(number) for number in re.findall(r"\d+", text)]

    def __ge__(self, other):
        return self._numbers >= other._numbers


def _distutils():
    """Return modules by name that stand in for distutils, which left Python in 3.12; {} where Python has it."""
    if sys.version_info < (3, 12):
        return {}
    package, version = types.ModuleType("distutils"), types.ModuleType("distutils.version")
    package.__path__ = []
    version.LooseVersion = version.StrictVersion = _Version
    return {"distutils": package, "distutils.version": version}


class _Later(types.ModuleType):
    """In place of a module that MXNet imports for a function that hardly anybody calls: imported when it is used."""

    def __getattr__(self, name):
        if name.startswith("__"):  # asked by whoever looks at all modules
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


# A third of the time of importing MXNet, which wants it for the calibration of quantised networks.
_LATER = ("scipy.stats",)


@contextlib.contextmanager
def old_names():
    """Provide what MXNet's modules look for while they are imported; afterwards everything is as it was before."""
    names = {**_VALUES, **{name: _stand_in(name) for name in _FUNCTIONS}}
    names = {name: value for name, value in names.items() if name not in vars(np)}
    modules = {**_distutils(), **{name: _Later(name) for name in _LATER}}
    modules = {name: module for name, module in modules.items() if name not in sys.modules}
    vars(np).update(names)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in names:
            delattr(np, name)
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _text(value):
    """Return `str` of an operator's parameter as NumPy 1 wrote it.

    MXNet's C++ parses this text. A tuple of NumPy's numbers is ``(np.int64(3), 4)`` in NumPy 2, which it refuses.
    """
    text = str(value)
    if "np." not in text:
        return text
    with np.printoptions(legacy="1.25"):
        return str(value)


def _with_csr(sparse):
    """Return scipy.sparse with its former module ``csr``, which SciPy has deprecated and will remove.

    MXNet asks for it whenever an array is made from NumPy's.
    """
    module = types.ModuleType(sparse.__name__)
    module.__getattr__ = lambda name: getattr(sparse, name)
    module.csr = types.SimpleNamespace(csr_matrix=sparse.csr_matrix)
    return module


def mend():
    """Replace names in MXNet's modules, which have been imported, that would fail when they are used."""
    if int(np.__version__.split(".")[0]) >= 2:
        for name in ("mxnet._ctypes.ndarray", "mxnet._ctypes.symbol"):
            sys.modules[name].str = _text  # a name of the module goes before the builtin one
    for name in ("mxnet.ndarray.utils", "mxnet.ndarray.sparse"):
        sparse = sys.modules[name].spsp
        if sparse is not None:  # without SciPy, MXNet has none
            sys.modules[name].spsp = _with_csr(sparse)
