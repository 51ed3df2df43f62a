"""Who may import whom, and other rules of the house that can be read from the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neural_style

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "neural_style"

# What each module may import of ours; a new module gets a line here. Anyone may import these three:
ANYONE_MAY_IMPORT = {"__init__", "_mxnet", "errors"}
MAY_IMPORT = {
    "__init__": set(),  # its public names are imported when they are first used
    "_mxnet": set(),
    "errors": set(),
    # They know none of the others.
    "files": set(),
    # Files of parameters. A fetched archive of Gluon's is imported on the way.
    # Handed symbols and parameters; neither images nor weights.
    "executors": set(),
    # The loop: neither job nor cli.
    # The network in the box: pictures, teachers, scale, and the training that knows them.
    # They read pictures and results.
    # The borders.
    "nstyle": {"cli", "flags", "job", "recipes", "weights"},
    "__main__": {"cli"},
}

MAY_EXIT = {"cli", "__main__"}
MAY_PRINT = {"cli", "cli_compare", "cli_demo", "cli_recipes", "cli_show", "cli_weights"}
OPENS_NO_FILE = {"executors"}

# Where the name that is imported is not that of the distribution.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image"}

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def parse(module):
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def imported(module):
    """Give the modules of ours and the top-level names of others that a module imports anywhere, in functions too."""
    ours, others = set(), set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # "from neural_style import images" is an import of neural_style.images, if there is such a module
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [".".join(filter(None, ("neural_style", node.module, alias.name))) for alias in node.names]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top != "neural_style":
                others.add(top)
            else:
                ours.add(rest[0] if rest and rest[0] in MODULES else "__init__")
    return ours, others


def dotted(node):
    """Give a name as it is written, ``os.path.join``; what is not a name in it is left empty: ``.write_text``."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def calls(module):
    """Give what a module calls, as it is written, and what it raises without calling it."""
    found = set()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Call):
            found.add(dotted(node.func))
        elif isinstance(node, ast.Raise) and node.exc is not None:
            found.add(dotted(node.exc))
    return found


def public_definitions(body, prefix=""):
    """Give the public functions, classes and methods of a module, with their full names."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{prefix}{node.name}.")


def setup_literal(name):
    """Read a constant of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def distribution(requirement):
    return re.match(r"[\w-]+", requirement).group()


def test_the_table_names_every_module():
    assert sorted(MAY_IMPORT) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_of_ours(module):
    ours, _ = imported(module)
    allowed = MAY_IMPORT[module] | ({"errors"} if module == "_mxnet" else set())
    if module not in ("_mxnet", "errors"):
        allowed |= ANYONE_MAY_IMPORT
    assert ours <= allowed, f"{module} imports {', '.join(sorted(ours - allowed))}"


@pytest.mark.parametrize("module", [module for module in MODULES if module != "_mxnet"])
def test_only_one_module_imports_mxnet(module):
    _, others = imported(module)
    by_name = {
        str(node.args[0].value).split(".")[0]
        for node in ast.walk(parse(module))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        if dotted(node.func) in {"importlib.import_module", "import_module", "__import__"}
    }
    assert "mxnet" not in others | by_name


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_exits_and_prints(module):
    found = calls(module)
    if module not in MAY_EXIT:
        assert not found & {"sys.exit", "os._exit", "exit", "quit", "SystemExit"}
    if module not in MAY_PRINT:
        assert not found & {"print", "sys.stdout.write", "sys.stderr.write"}


@pytest.mark.parametrize("module", sorted(OPENS_NO_FILE))
def test_opens_no_file(module):
    _, others = imported(module)
    assert not others & {"io", "os", "pathlib", "shutil", "tempfile"}
    files = {"open", "load", "save", "read_text", "read_bytes", "write_text", "write_bytes", "savez", "tofile"}
    assert not {call.rsplit(".")[-1] for call in calls(module)} & files


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module):
    tree = parse(module)
    assert ast.get_docstring(tree), f"{module} has no docstring"
    bare = [name for name, node in public_definitions(tree.body) if not ast.get_docstring(node)]
    assert not bare, f"without a docstring in {module}: {', '.join(bare)}"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names came with Python 3.10")
def test_what_is_imported_is_required():
    required = setup_literal("INSTALL_REQUIRES")
    for extra in setup_literal("EXTRAS_REQUIRE").values():
        required += extra
    known = {distribution(requirement) for requirement in required}
    for module in MODULES:
        _, others = imported(module)
        others = {DISTRIBUTIONS.get(name, name) for name in others - set(sys.stdlib_module_names)}
        assert others <= known, f"{module} imports what setup.py does not require"


def test_version_is_read_without_importing_the_package():
    pytest.importorskip("setuptools")
    code = "import sys, setup; print(setup.read_version()); sys.exit('neural_style' in sys.modules)"
    answer = subprocess.check_output([sys.executable, "-c", code], cwd=str(ROOT), universal_newlines=True)
    assert answer.strip() == neural_style.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", neural_style.__version__)
