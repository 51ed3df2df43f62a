"""The one place that imports MXNet.

``from ._mxnet import mx`` costs nothing: MXNet itself is imported when one of its attributes is first used, so that
``--help`` and errors in arguments appear at once. Importing it here, and only here, ensures four things:

- it finds what later versions of NumPy, SciPy and Python no longer have; see `_shim`;
- it starts with one thread per physical core that this process may use. By itself, MXNet 1.x uses half of the
  processors it sees, which is half the speed on a machine without hyper-threading. It reads the number only once, at
  import;
- its operators share one scratch buffer on the CPU. By default executors take turns with four, each of which grows to
  the largest need, although operators run one after the other in any case;
- it does not announce every graph that oneDNN takes over.

Environment variables that the user has set are respected.
"""

import contextlib
import importlib
import os
import sys
import sysconfig
import threading
import types
import warnings

from .errors import DependencyError

# Either one is the user's own choice of thread count; MXNet 1.x reads both when it starts.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS")

# MXNet asks for NumPy 1, and pip would obey.
INSTALL_MXNET = "pip install --no-deps mxnet==1.9.1"
NUMPY_BOUND = "2.6"  # of the versions with which MXNet was tried

# The first uses of two threads must not meet: the second would see a module that is half imported.
_IMPORTING = threading.RLock()


def usable_cores():
    """Return the number of physical cores this process may use, given affinity, cgroup limits and hyper-threads."""
    import loky

    # loky reports physical cores only if the process may use every processor, so both of its answers are limits.
    return max(1, min(loky.cpu_count(), loky.cpu_count(only_physical_cores=True)))


def _check_interpreter():
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise DependencyError(
            "this Python is a free-threaded build, in which MXNet 1.x has never been run; use an ordinary build"
        )


def _import_mxnet():
    with _IMPORTING:
        if "mxnet" in sys.modules:  # a program that imported MXNet first has made its own choices
            return sys.modules["mxnet"]
        _check_interpreter()
        if not any(name in os.environ for name in THREAD_VARIABLES):
            os.environ["OMP_NUM_THREADS"] = str(usable_cores())
        os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
        os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")
        from . import _shim

        # MXNet 1.x compares with `is`, and uses distutils and NumPy aliases that are deprecated. None of it can be
        # changed from here, and none of it concerns the user.
        with _explained(), warnings.catch_warnings(), _shim.old_names():
            warnings.simplefilter("ignore")
            module = importlib.import_module("mxnet")
            importlib.import_module("mxnet.runtime")  # 1.5 does not import it by itself
        _shim.mend()
        return module


@contextlib.contextmanager
def _explained():
    """Turn the failures of MXNet's import into one line that says what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "mxnet":
            raise DependencyError(f"MXNet cannot be imported ({error}); install what is missing with pip") from error
        raise DependencyError(f"MXNet is not installed; install it with: {INSTALL_MXNET}") from error
    except OSError as error:  # its own library was found, but one that it loads was not
        raise DependencyError(
            f"MXNet cannot be loaded ({error}); install the system libraries that it needs, on Debian and Ubuntu with: "
            "apt-get install libgomp1 libquadmath0"
        ) from error
    except (ImportError, AttributeError) as error:  # a name is missing, as happened at many releases of NumPy
        import numpy as np

        raise DependencyError(
            f"MXNet cannot be imported with NumPy {np.__version__} ({error}); install a version that was tried, with: "
            f"pip install 'numpy<{NUMPY_BOUND}'"
        ) from error


def load_amp():
    """Return MXNet's module for automatic mixed precision, which MXNet does not import by itself.

    Raises
    ------
    ImportError
        If this MXNet has none.
    """
    _import_mxnet()
    return importlib.import_module("mxnet.contrib.amp")


class _LazyMXNet(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__") and name != "__version__":  # introspection must not start MXNet
            raise AttributeError(name)
        module = _import_mxnet()
        self.__dict__.update(vars(module))  # later look-ups find the real thing at once
        return getattr(module, name)


mx = _LazyMXNet("mxnet", "MXNet, imported at the first use of any attribute.")
