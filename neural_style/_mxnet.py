"""The one place that imports MXNet.

``from ._mxnet import mx`` costs nothing: MXNet itself is imported when one of its attributes is first used, so that
``--help`` and errors in arguments appear at once. Importing it here, and only here, ensures four things:

- it finds ``numpy.bool``, which NumPy 1.24 removed and which MXNet 1.x uses during its own import;
- it starts with one thread per physical core that this process may use. By itself, MXNet 1.x uses half of the
  processors it sees, which is half the speed on a machine without hyper-threading. It reads the number only once, at
  import;
- its operators share one scratch buffer on the CPU. By default executors take turns with four, each of which grows to
  the largest need, although operators run one after the other in any case;
- it does not announce every graph that oneDNN takes over.

Environment variables that the user has set are respected.
"""

import importlib
import os
import sys
import types
import warnings

from .errors import DependencyError

# Either one is the user's own choice of thread count; MXNet 1.x reads both when it starts.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS")


def usable_cores():
    """Return the number of physical cores this process may use, given affinity, cgroup limits and hyper-threads."""
    import loky

    # loky reports physical cores only if the process may use every processor, so both of its answers are limits.
    return max(1, min(loky.cpu_count(), loky.cpu_count(only_physical_cores=True)))


def _import_mxnet():
    if "mxnet" in sys.modules:  # a program that imported MXNet first has made its own choices
        return sys.modules["mxnet"]
    import numpy as np

    if int(np.__version__.split(".")[0]) >= 2:
        raise DependencyError(
            f"NumPy {np.__version__} breaks the operators of MXNet 1.x; install an older one: pip install 'numpy<2'"
        )
    if not any(name in os.environ for name in THREAD_VARIABLES):
        os.environ["OMP_NUM_THREADS"] = str(usable_cores())
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
    os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")
    lacks_bool = "bool" not in vars(np)
    if lacks_bool:
        np.bool = bool
    try:
        with warnings.catch_warnings():
            # MXNet 1.x compares with `is`, and uses distutils and NumPy aliases that are deprecated. None of it can be
            # changed from here, and none of it concerns the user.
            warnings.simplefilter("ignore")
            module = importlib.import_module("mxnet")
            importlib.import_module("mxnet.runtime")  # 1.5 does not import it by itself
            return module
    except (ImportError, OSError) as error:
        raise DependencyError(
            f"MXNet cannot be imported ({error}); install it with: pip install 'mxnet>=1.5,<2'. Its wheels also need "
            "the system libraries libgomp1 and libquadmath0, and Python 3.12 needs setuptools"
        ) from error
    finally:
        if lacks_bool:
            del np.bool


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
