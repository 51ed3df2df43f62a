"""What MXNet no longer finds in NumPy, SciPy and Python."""

import subprocess
import sys

import numpy as np
import pytest

from neural_style import _shim

NUMPY_2 = int(np.__version__.split(".")[0]) >= 2

# What MXNet's own modules name, found by reading them.
NAMES = "alltrue in1d mirr msort npv pmt ppmt pv rate trapz sometrue round_ product PZERO NZERO PINF NINF NAN NaN Inf"


def run(*lines):
    """Run lines of a program, which imports MXNet afresh and in which a deprecation is an error; return its words."""
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", "\n".join(lines)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", NAMES.split())
def test_a_name_that_numpy_lacks_is_there_for_the_import_only(name, monkeypatch):
    monkeypatch.delitem(vars(np), name, raising=False)
    with _shim.old_names():
        assert name in vars(np)
    assert name not in vars(np)


def test_what_is_there_stays_and_a_failure_leaves_nothing_behind(monkeypatch):
    monkeypatch.setitem(vars(np), "PINF", "its own")
    monkeypatch.delitem(vars(np), "npv", raising=False)
    modules = set(sys.modules)
    with pytest.raises(KeyboardInterrupt), _shim.old_names():
        assert np.PINF == "its own"
        with pytest.raises(NotImplementedError, match="numpy.npv is not in NumPy"):
            np.npv(0.1, [1])
        raise KeyboardInterrupt
    assert np.PINF == "its own" and "npv" not in vars(np) and set(sys.modules) == modules


def test_mxnet_is_imported_by_a_numpy_without_any_of_them():
    lines = (
        "import numpy as np, scipy.sparse",
        f"for name in {NAMES.split()}: vars(np).pop(name, None)",
        "if np.bool_ is not vars(np).get('bool'): vars(np).pop('bool', None)",  # NumPy 2 has another bool
        "before = set(vars(np))",
        "from neural_style._mxnet import mx",
        "print(mx.nd.ones((2,)).asnumpy().sum())",
        f"print(*(set(vars(np)) ^ before) & set({NAMES.split() + ['bool']}))",
    )
    assert run(*lines) == ["2.0"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has distutils before 3.12")
def test_distutils_is_there_for_the_import_only():
    lines = (
        "import sys",
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'Distutils' not in type(finder).__name__]",
        "from neural_style._mxnet import mx",
        "print(mx.nd.ones((2,)).asnumpy().sum(), 'distutils' in sys.modules, 'distutils.version' in sys.modules)",
        "from mxnet.numpy_op_fallback import StrictVersion as Version",  # which keeps it
        "print(Version('1.26.4') >= Version('1.6.0'), Version('1.17.0rc1') >= Version('1.18'))",
    )
    assert run(*lines) == ["2.0", "False", "False", "True", "False"]


def test_what_mxnet_hardly_uses_is_imported_when_it_is_used():
    lines = (
        "import sys",
        "from neural_style._mxnet import mx",
        "print(mx.nd.ones((2,)).asnumpy().sum(), 'scipy.stats' in sys.modules)",
        "from mxnet.contrib import quantization",
        "print('scipy.stats' in sys.modules, round(float(quantization.stats.entropy([0.5, 0.5])), 3))",
        "import scipy.stats",
        "print(sys.modules['scipy.stats'] is scipy.stats, hasattr(scipy.stats, 'norm'))",
    )
    assert run(*lines) == ["2.0", "False", "False", "0.693", "True", "True"]


def test_it_is_imported_at_once_where_it_is_used_meanwhile(monkeypatch):
    monkeypatch.delitem(sys.modules, "scipy.stats", raising=False)
    with _shim.old_names():
        later = sys.modules["scipy.stats"]
        assert later.norm and sys.modules["scipy.stats"] is not later
        real = sys.modules["scipy.stats"]
    assert sys.modules["scipy.stats"] is real


def test_an_array_can_be_made_where_scipy_has_no_module_csr():
    lines = (
        "import numpy as np, scipy.sparse",
        "vars(scipy.sparse).pop('csr', None)",  # what remains warns, and will fail
        "from neural_style._mxnet import mx",
        "sparse = scipy.sparse.csr_matrix(np.eye(3))",
        "print(mx.nd.array(np.ones(2)).asnumpy().sum(), mx.nd.sparse.array(sparse).stype, 'csr' in vars(scipy.sparse))",
        "print(mx.nd.sparse.csr_matrix(sparse).asscipy().sum())",
    )
    assert run(*lines) == ["2.0", "csr", "False", "3.0"]


def test_numbers_of_numpy_are_parameters_of_operators():
    lines = (
        "import numpy as np",
        "from neural_style._mxnet import mx",
        "two, half = np.int64(2), np.float32(0.5)",
        "array = mx.nd.arange(6).reshape((two, 3))",
        "print(array.sum(axis=(two - 1,)).asnumpy(), mx.nd.clip(array, half, 1).asnumpy().sum())",
        "pooled = mx.sym.Pooling(mx.sym.Variable('x'), kernel=(two, two), stride=(two, two), pool_type='avg')",
        "print(pooled.attr_dict()[pooled.name]['kernel'], pooled.infer_shape(x=(1, 1, 4, 4))[1])",
        "again = mx.sym.reshape(pooled, shape=(two, np.int32(-1)))",
        "print(again.infer_shape(x=(1, 1, 4, 4))[1])",
    )
    expected = "[ 3. 12.] 5.5 (2, 2) [(1, 1, 2, 2)] [(2, 2)]"
    assert "".join(run(*lines)) == expected.replace(" ", "")


@pytest.mark.skipif(not NUMPY_2, reason="NumPy 1 writes the numbers alone")
def test_the_text_of_a_parameter_is_that_of_numpy_1():
    values = (np.int64(3), 4, np.float32(0.1), np.bool_(True), np.float64(1e-5))
    assert str(values) != _shim._text(values) == "(3, 4, 0.1, True, 1e-05)"
    assert _shim._text([(np.int64(2),)]) == "[(2,)]" and _shim._text("np.int64(3)") == "np.int64(3)"
    assert str((np.int64(3),)) == "(np.int64(3),)"
