"""How MXNet is imported; each case in a process of its own, because MXNet is imported but once."""

import os
import subprocess
import sys

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


def message(*lines):
    """Return the one line that a first use of MXNet ends with, after `lines` of a program."""
    code = (
        *lines,
        "from neural_style._mxnet import mx",
        "from neural_style.errors import DependencyError",
        "try: mx.nd",
        "except DependencyError as error: print(error)",
    )
    return " ".join(run("\n".join(code))[0])


def hidden(error):
    """Return a program's lines that let the import of MXNet fail."""
    return (
        "import sys",
        "class Hide:",
        "    def find_spec(self, name, path=None, target=None):",
        f"        if name == 'mxnet': raise {error}",
        "sys.meta_path.insert(0, Hide())",
    )


def test_a_missing_mxnet_is_one_clear_error():
    answer = message(*hidden("ModuleNotFoundError('No module named mxnet', name='mxnet')"))
    assert answer == "MXNet is not installed; install it with: pip install --no-deps mxnet==1.9.1"


def test_a_missing_dependency_of_mxnet_is_named():
    answer = message(*hidden("ModuleNotFoundError('No module named requests', name='requests')"))
    assert answer == "MXNet cannot be imported (No module named requests); install what is missing with pip"


def test_a_missing_system_library_is_one_clear_error():
    answer = message(*hidden("OSError('libquadmath.so.0: cannot open shared object file')"))
    assert answer == (
        "MXNet cannot be loaded (libquadmath.so.0: cannot open shared object file); "
        "install the system libraries that it needs, on Debian and Ubuntu with: apt-get install libgomp1 libquadmath0"
    )


def test_a_numpy_that_has_lost_another_name_is_one_clear_error():
    answer = message("import numpy; numpy.__version__ = '2.9.0'; del numpy.finfo")
    assert answer.startswith("MXNet cannot be imported with NumPy 2.9.0 (module 'numpy' has no attribute 'finfo'")
    assert answer.endswith("install a version that was tried, with: pip install 'numpy<2.6'")


def test_a_free_threaded_build_is_refused():
    answer = message("import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1")
    assert answer.startswith("this Python is a free-threaded build, ") and answer.endswith("; use an ordinary build")


def test_threads_that_use_mxnet_first_at_the_same_time_wait_for_each_other():
    code = (
        "import threading; from neural_style._mxnet import mx\n"
        "ready, found = threading.Barrier(4), []\n"
        "def use(): ready.wait(); found.append(float(mx.nd.ones((2,)).asnumpy().sum()))\n"
        "threads = [threading.Thread(target=use) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(found)"
    )
    assert "".join(run(code)[0]) == "[2.0,2.0,2.0,2.0]"


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_process_of_its_own_uses_mxnet_after_its_parent(method):
    code = (
        "import multiprocessing; from neural_style._mxnet import mx\n"
        "use = \"__import__('neural_style._mxnet', fromlist=['mx']).mx.nd.ones((2,)).asnumpy().sum() + {}\"\n"
        "if __name__ == '__main__':\n"
        f"    mx.nd.ones((2,)).wait_to_read(); pool = multiprocessing.get_context('{method}').Pool(2)\n"
        "    print([float(value) for value in pool.map(eval, [use.format(i) for i in range(3)])])\n"
        "    pool.terminate()"
    )
    assert "".join(run(code)[0]) == "[2.0,3.0,4.0]"


def test_no_warning_comes_from_importing_and_using_mxnet():
    code = (
        "import numpy; from neural_style._mxnet import load_amp, mx; load_amp();"
        "print(mx.nd.array(numpy.ones(2)).asnumpy().sum())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"2.0\n", b"")
