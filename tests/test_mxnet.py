"""How MXNet is imported; each case in a process of its own, because MXNet is imported but once."""

import os
import subprocess
import sys

import numpy as np
import pytest


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS")}
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", code],
        env=dict(kept, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def test_importing_the_package_does_not_import_mxnet_but_using_it_does():
    code = (
        "import sys, neural_style.cli; from neural_style._mxnet import mx; print('mxnet' in sys.modules);"
        "mx.nd; print('mxnet' in sys.modules); print(mx.nd.ones((2,)).asnumpy().sum())"
    )
    assert run(code)[0] == ["False", "True", "2.0"]


def test_operators_share_their_scratch_memory_unless_the_user_says_otherwise():
    code = "from neural_style._mxnet import mx; mx.nd; import os; print(os.environ['MXNET_CPU_TEMP_COPY'])"
    assert run(code)[0] == ["1"]
    assert run(code, MXNET_CPU_TEMP_COPY="3")[0] == ["3"]


def test_the_version_can_be_asked_first():
    assert run("from neural_style._mxnet import mx; print(mx.__version__)")[0][0].startswith("1.")


def test_numpy_is_left_as_it_was():
    assert run("from neural_style._mxnet import mx; mx.nd; import numpy; print('bool' in vars(numpy))")[0] == [
        str("bool" in vars(np))
    ]


def test_there_is_one_thread_per_usable_core():
    from neural_style._mxnet import usable_cores

    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    code = "from neural_style._mxnet import mx; mx.nd; import os; print(os.environ['OMP_NUM_THREADS'])"
    assert run(code)[0] == [str(usable_cores())]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity can be set on Linux only")
def test_affinity_limits_the_threads():
    code = (
        "import os; os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[0]]);"
        "from neural_style._mxnet import mx; mx.nd; print(os.environ['OMP_NUM_THREADS'])"
    )
    assert run(code)[0] == ["1"]


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS"])
def test_a_thread_count_of_the_users_own_is_kept(variable):
    code = (
        "from neural_style._mxnet import mx; mx.nd; import os;"
        "print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('MXNET_OMP_MAX_THREADS'))"
    )
    expected = {"OMP_NUM_THREADS": "None", "MXNET_OMP_MAX_THREADS": "None", variable: "7"}
    assert run(code, **{variable: "7"})[0] == [expected["OMP_NUM_THREADS"], expected["MXNET_OMP_MAX_THREADS"]]


def test_binding_makes_no_noise():
    code = (
        "from neural_style._mxnet import mx; x = mx.sym.Variable('x');"
        "mx.sym.FullyConnected(x, num_hidden=2, no_bias=True, name='f')"
        ".bind(mx.cpu(), {'x': mx.nd.ones((1, 2)), 'f_weight': mx.nd.ones((2, 2))}).forward()[0].asnumpy()"
    )
    assert run(code)[1] == ""


def test_numpy_2_is_refused_with_what_to_do():
    code = (
        "import numpy; numpy.__version__ = '2.1.0'; from neural_style._mxnet import mx\n"
        "from neural_style.errors import DependencyError\n"
        "try: mx.nd\n"
        "except DependencyError as error: print(error)"
    )
    assert " ".join(run(code)[0]).startswith("NumPy 2.1.0 breaks the operators of MXNet 1.x; install an older one: pip")


def test_a_missing_mxnet_is_one_clear_error():
    code = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mxnet': raise ImportError('No module named mxnet')\n"
        "sys.meta_path.insert(0, Hide())\n"
        "from neural_style._mxnet import mx\n"
        "from neural_style.errors import DependencyError\n"
        "try: mx.nd\n"
        "except DependencyError as error: print(error)"
    )
    message = " ".join(run(code)[0])
    assert message.startswith("MXNet cannot be imported (No module named mxnet); install it with: pip install 'mxnet")
