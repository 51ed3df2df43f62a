"""The public interface: its names, the stub that shows them, and the errors that can be caught."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import neural_style
from neural_style import errors

STUB = Path(neural_style.__file__).with_name("__init__.pyi")


@pytest.mark.parametrize("name", neural_style.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    thing = getattr(neural_style, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing) and thing.__name__ == name


def test_the_stub_has_the_same_names_from_the_same_places():
    places = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            places.update((alias.asname, node.module) for alias in node.names if alias.asname == alias.name)
    assert set(places) == set(neural_style.__all__)
    for name, module in places.items():
        thing = getattr(neural_style, name)
        if hasattr(thing, "__module__"):
            assert thing.__module__ == f"neural_style.{module}"


def test_every_error_can_be_caught_by_its_public_name():
    kinds = {name for name, thing in vars(errors).items() if inspect.isclass(thing)}
    assert kinds <= set(neural_style.__all__)


def test_nothing_else_is_listed_and_nothing_heavy_is_imported():
    code = (
        "import sys, neural_style; from neural_style.networks import vgg; "
        "print(sorted(dir(neural_style)) == sorted(['__version__', *neural_style.__all__]), 'mxnet' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], universal_newlines=True) == "True False\n"
    with pytest.raises(AttributeError, match="has no attribute 'repaint'"):
        neural_style.repaint  # noqa: B018


def test_an_error_knows_its_setting():
    error = errors.SettingsError("`tile_size` is 3; choose a larger one, or set `memory`")
    assert error.setting == "tile_size" and errors.SettingsError("no setting").setting is None
    names = {"tile_size": "--tile-size"}
    assert errors.with_names(str(error), names) == "--tile-size is 3; choose a larger one, or set `memory`"


def test_no_message_of_a_library_module_names_a_flag():
    """The command line writes its flags over the names of settings; whole commands are allowed as remedies."""
    package = Path(neural_style.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).parts[0] in ("cli", "nstyle.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        }
        parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings | parts:
                text = node.value
            else:
                continue
            flags = [word for word in text.split() if word.startswith("--") and word.strip("-")]
            commands = ("neural-style ", "pip install ")
            assert not flags or any(command in text for command in commands), f"{path.name}: {text}"
