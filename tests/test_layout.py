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

# From the ground up. A package, or a module beside the packages, imports lower lines and itself, never its own line.
LAYERS = (
    {"__init__", "errors", "limits", "_shim"},
    {"_mxnet", "files", "silence"},
    {"recipes", "images", "executors", "networks", "archives", "workers"},
    {"optimizers", "weights", "objective", "reports"},
    {"transfer", "metrics"},
    {"jobs", "training"},
    {"cli"},
    {"nstyle", "__main__"},
)
NO_MXNET = {"errors", "limits", "files", "archives", "recipes", "images", "reports"}
OPENS_NO_FILE = {"executors", "networks", "objective", "optimizers", "recipes"}
READS_ITS_SYMBOL = "networks.external"  # the one exception: through MXNet, a network that somebody else has saved
PRINTS_AND_EXITS = {"cli", "__main__"}

# Where the name that is imported is not that of the distribution.
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "cv2": "opencv-python-headless"}


def name_of(path):
    """Give the name of a module below the package: ``images.reading``, ``images`` for its ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = list(PATHS)


def parse(module):
    return ast.parse(PATHS[module].read_text(encoding="utf-8"))


def package(module):
    """Give the line's entry that a module belongs to."""
    return module.split(".")[0]


def layer(module):
    (found,) = [number for number, names in enumerate(LAYERS) if package(module) in names]
    return found


def imported(module):
    """Give the modules of ours and the top-level names of others that a module imports anywhere, in functions too."""
    ours, others = set(), set()
    folder = ("neural_style",) + PATHS[module].relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) + 1 - node.level] if node.level else ()
            # "from neural_style import images" is an import of neural_style.images, if there is such a module
            names = [".".join(filter(None, (*base, node.module, alias.name))) for alias in node.names]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top != "neural_style":
                others.add(top)
                continue
            while rest and ".".join(rest) not in PATHS:
                rest.pop()
            ours.add(".".join(rest) or "__init__")
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


def test_the_layers_name_every_package():
    assert sorted(name for names in LAYERS for name in names) == sorted({package(module) for module in MODULES})


def test_every_folder_with_modules_is_a_package():
    assert [path.parent for path in PATHS.values() if not (path.parent / "__init__.py").is_file()] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    ours, _ = imported(module)
    wrong = [name for name in ours if package(name) != package(module) and layer(name) >= layer(module)]
    assert not wrong, f"{module} imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("name", sorted({package(module) for module in MODULES}))
def test_no_circle_inside_a_package(name):
    left = {module: imported(module)[0] for module in MODULES if package(module) == name}
    while left:
        free = [module for module, ours in left.items() if not ours & (set(left) - {module})]
        assert free and not any(module in left[module] for module in free), f"a circle among {', '.join(left)}"
        for module in free:
            del left[module]


@pytest.mark.parametrize("name", sorted(NO_MXNET))
def test_does_without_mxnet(name):
    modules = [module for module in MODULES if package(module) == name]
    code = (
        "import importlib, sys; sys.modules['mxnet'] = None\n"
        f"for name in {modules}: importlib.import_module('neural_style.' + name)\n"
        "print('neural_style._mxnet' in sys.modules)"
    )
    answer = subprocess.check_output([sys.executable, "-c", code], cwd=str(ROOT), universal_newlines=True)
    assert answer.strip() == "False"


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


@pytest.mark.parametrize("module", [module for module in MODULES if package(module) not in PRINTS_AND_EXITS])
def test_only_the_command_line_exits_and_prints(module):
    found = calls(module)
    assert not found & {"sys.exit", "os._exit", "exit", "quit", "SystemExit"}
    assert not found & {"print", "sys.stdout.write", "sys.stderr.write"}


@pytest.mark.parametrize(
    "module", [module for module in MODULES if package(module) in OPENS_NO_FILE and module != READS_ITS_SYMBOL]
)
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
