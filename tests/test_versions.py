"""What is said about versions, of Python and of packages, in several places is the same everywhere."""

import re
from pathlib import Path

import pytest

from neural_style import _mxnet

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "setup.py"

pytestmark = pytest.mark.skipif(not SETUP.exists(), reason="the files are not part of an installed package")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def supported():
    """Return the versions of Python that setup.py names."""
    return re.findall(r"Programming Language :: Python :: (3\.\d+)", read("setup.py"))


def test_every_supported_python_is_looked_for_and_no_other_is_accepted():
    pythons = supported()
    numbers = [tuple(map(int, python.split("."))) for python in pythons]
    assert numbers == [(3, minor) for minor in range(numbers[0][1], numbers[-1][1] + 1)]
    assert re.search(r"^VERSIONS := (.*)$", read("Makefile"), re.MULTILINE).group(1).split() == pythons
    assert f"assert {numbers[0]} <= sys.version_info[:2] <= {numbers[-1]}" in read("Makefile")
    assert f'python_requires=">=3.{numbers[0][1]},<3.{numbers[-1][1] + 1}"' in read("setup.py")


@pytest.mark.parametrize(
    "name", ["Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run", "docs/getting-started.md"]
)
def test_the_range_of_pythons_is_the_same_everywhere(name):
    ranges = set(re.findall(r"3\.\d+ to 3\.\d+(?=[:; ,.)])", read(name)))
    assert ranges == {f"{supported()[0]} to {supported()[-1]}"}


def test_the_bound_on_numpy_is_the_same_everywhere():
    (bound,) = re.findall(r'"numpy>=1\.19,<([\d.]+)"', read("setup.py"))
    assert bound == _mxnet.NUMPY_BOUND


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md", "docs/versions.md", "setup.py"])
def test_the_line_that_installs_mxnet_is_that_of_the_error(name):
    assert _mxnet.INSTALL_MXNET in read(name)
    assert f"MXNET := {_mxnet.INSTALL_MXNET.replace('pip install ', '')}\n" in read("Makefile")


def test_the_workflow_calls_targets_that_exist():
    if not (ROOT / ".github").is_dir():
        pytest.skip("an sdist has no workflow")
    targets = re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE)
    called = re.findall(r"run: make (\S+)", read(".github/workflows/ci.yml"))
    assert {"lint", "docs", "dist", "test"} <= set(called) <= set(targets)
    pythons = re.search(r"python: \[(.*)\]", read(".github/workflows/ci.yml")).group(1)
    assert set(re.findall(r"[\d.]+", pythons)) <= set(supported())


def test_the_table_of_what_was_run_covers_the_oldest_and_the_newest_python():
    rows = re.findall(r"^\| (3\.\d+)\.\d+ \| (oldest|newest) \|", read("docs/versions.md"), re.MULTILINE)
    ends = supported()[0], supported()[-1]
    assert {(python, kind) for python in ends for kind in ("oldest", "newest")} <= set(rows)
