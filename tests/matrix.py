"""Run the core of the tests under several Pythons, with their oldest and newest dependencies, and print a table.

``make test-all`` calls this with every supported Python that it finds. Each gets an environment with the newest
dependencies. The oldest Python, the middle one and the newest also get one with the oldest dependencies that setup.py
allows and that have wheels for it.
"""

import argparse
import ast
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-matrix"
PACKAGES = ("numpy", "scipy", "scikit-image", "mxnet")

# Import, executors, golden runs, loop, tiles, resuming.
CORE = [
    "tests/test_mxnet.py",
    "tests/test_shim.py",
    "tests/test_executors.py",
    "tests/test_golden.py",
    "tests/transfer/test_stylize.py",
    "tests/objective/test_tiling.py",
    "tests/jobs/test_checkpoints.py",
]

COLUMNS = ("Python", "dependencies", *PACKAGES, "passed", "failed", "skipped", "golden runs", "off the recordings by")


def run(*command):
    """Run a command in the checkout and return what it prints; a failure ends the program with it."""
    done = subprocess.run(
        [str(word) for word in command], cwd=str(ROOT), stdout=subprocess.PIPE, universal_newlines=True
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def requirements():
    """Return what setup.py requires, without running it."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "INSTALL_REQUIRES":
            return ast.literal_eval(node.value)
    raise LookupError("INSTALL_REQUIRES")


def beside(path, suffix):
    """Return the path of a file of the same name, in which there are dots."""
    return path.parent / (path.name + suffix)


def install(python, kind, folder):
    """Make an environment with the oldest or newest dependencies; pytest is the newest, for each supports few Pythons.

    uv keeps every package that it has fetched, and knows what pyproject.toml says about MXNet.
    """
    uv = [FOLDER / "bin" / "uv", "-q"]
    allowed, chosen = beside(folder, ".in"), beside(folder, ".txt")
    allowed.write_text("\n".join(requirements()), encoding="utf-8")
    resolution = {"oldest": "lowest-direct", "newest": "highest"}[kind]
    run(*uv, "venv", "--clear", "--python", python, folder)
    run(
        *(*uv, "pip", "compile", "--python", python, "--resolution", resolution, "--only-binary", ":all:"),
        *(allowed, "-o", chosen),
    )
    # Without pyproject.toml, whose override would put aside the version of MXNet that was chosen.
    run(*uv, "--no-config", "pip", "install", "--python", folder / "bin" / "python", "--no-deps", "-r", chosen)
    run(*uv, "pip", "install", "--python", folder / "bin" / "python", "pytest", "setuptools")
    run(*uv, "pip", "install", "--python", folder / "bin" / "python", "--no-deps", "-e", ".")


def versions(python):
    """Return the versions of an environment's Python and `PACKAGES`."""
    code = (
        "import platform; from importlib.metadata import version; "
        f"print(platform.python_version(), *map(version, {PACKAGES}))"
    )
    return run(python, "-c", code).split()


def test(python, report, arguments):
    """Run tests and return counts by outcome, whether the golden runs passed, and their distances."""
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    beside(report, ".log").write_text(done.stdout, encoding="utf-8")
    counts, golden = Counter(), Counter()
    for case in xml.etree.ElementTree.parse(str(report)).iter("testcase"):
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        counts[outcome] += 1
        golden[outcome] += "test_golden" in case.get("classname")
    notes = re.findall(r"computation on this machine is (?:the (recording)|off the recording by (\S+))", done.stdout)
    return counts, golden, ", ".join("0" if same else distance for same, distance in notes)


def row(python, kind, arguments):
    """Return a row of the table."""
    name = run(python, "-c", "import platform; print(platform.python_version())").strip()
    folder = FOLDER / f"{name}-{kind}"
    print(f"Python {name}, {kind} dependencies", file=sys.stderr, flush=True)
    install(python, kind, folder)
    python = folder / "bin" / "python"
    found, *packages = versions(python)
    counts, golden, distances = test(python, beside(folder, ".xml"), arguments)
    failed = counts["failure"] + counts["error"]
    return (
        *(found, kind, *packages, counts["passed"], failed, counts["skipped"]),
        *(f"{golden['passed']} of {sum(golden.values()) - golden['skipped']}", distances),
    )


def print_row(cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="in the order of their versions")
    parser.add_argument("--tests", nargs=argparse.REMAINDER, default=[], help="arguments of pytest (default: the core)")
    arguments = parser.parse_args()
    pythons = arguments.pythons
    both = {pythons[0], pythons[len(pythons) // 2], pythons[-1]}
    plan = [(python, kind) for python in pythons for kind in ("oldest", "newest") if kind == "newest" or python in both]
    print_row(COLUMNS)
    print_row(["---"] * len(COLUMNS))
    failed = 0
    for python, kind in plan:
        cells = row(python, kind, arguments.tests or CORE)
        print_row(cells)
        failed += cells[COLUMNS.index("failed")]
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
