"""The README and the pages of the site say only what is so: their code runs, their commands parse, their links lead."""

import argparse
import contextlib
import importlib
import io
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import neural_style
import neural_style.cli
from neural_style.cli.main import main
from neural_style.images.saving import save_image
from neural_style.objective.representations import STYLE_STATISTICS
from neural_style.objective.terms import CONTENT_NORMS, STYLE_NORMS
from neural_style.objective.variation import TV_KINDS
from neural_style.recipes.presets import RECIPES

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.name for page in PAGES]

pytestmark = pytest.mark.skipif(not README.exists(), reason="the pages are not part of an installed package")

# A run in a page is as long as a test of it may be; everything else about a recipe stays.
SHORT = {"max_long_edge": 64, "max_steps": 3, "pyramid": (), "save_every": 0}


def blocks(page, language):
    """Return the fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def inline_code(page):
    """Return what stands between backquotes outside of fenced blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", text)]


def commands():
    """Return the argument lists of all lines that run neural-style, with the name of their page."""
    found = []
    for page in PAGES:
        lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
        # In a sentence, a word in capitals stands for something else.
        lines += [code for code in inline_code(page) if " " in code and not re.search(r"\b[A-Z]{2,}\b", code)]
        for line in lines:
            words = shlex.split(line, comments=True) if line.startswith("neural-style ") else []
            if words:
                # What the shell itself would take.
                end = next((i for i, word in enumerate(words) if word in ("<", ">", "|")), len(words))
                found.append(pytest.param(words[1:end], id=f"{page.name}: {line.strip()}"))
    return found


def help_of(*words):
    """Return the help of a command, or None where there is no such command."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        with pytest.raises(SystemExit) as ended:
            main(list(words))
    return printed.getvalue() if ended.value.code in (0, None) else None


@pytest.fixture(scope="session")
def command_helps():
    """Return the help of every command by name: a command is in the module of its name."""
    names = [module.name for module in pkgutil.iter_modules(neural_style.cli.__path__)]
    helps = {name: help_of(name, "--help") for name in names}
    return {name: text for name, text in helps.items() if text is not None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Stand in a folder with what a reader has by now, and with recipes that take a few steps at a small size."""
    random = np.random.RandomState(0)
    for name in ("photo", "painting", "a", "b"):
        # Large spots, as an image has, rather than noise.
        spots = random.randint(0, 256, (6, 8, 3)).astype(np.uint8)
        save_image(str(tmp_path / f"{name}.jpg"), spots.repeat(8, axis=0).repeat(8, axis=1))
    for name, recipe in list(RECIPES.items()):
        short = {setting: value for setting, value in SHORT.items() if setting in recipe.settings()}
        monkeypatch.setitem(RECIPES, name, recipe.override(**short))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, folder):
    if page.name == "trace.md":
        pytest.importorskip("matplotlib").use("agg")
        assert main(["photo.jpg", "painting.jpg", "--trace", "trace.json", "--gpu", "-1"]) == 0
    names = {"__name__": "__main__"}
    # A block may use what one before it on the page has made.
    for i, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page.name}, block {i + 1}", "exec"), names)


class Parsed(Exception):
    """The arguments are understood."""


@pytest.mark.parametrize("words", commands())
def test_a_command_line_of_a_page_is_understood(words, folder, monkeypatch, capsys):
    def stop_after(parse):
        def parse_and_stop(self, *args, **more):
            parse(self, *args, **more)
            raise Parsed

        return parse_and_stop

    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, stop_after(getattr(argparse.ArgumentParser, name)))
    (folder / "squeezenet-symbol.json").touch()
    try:
        main(words)
    except Parsed:
        return
    except SystemExit as ended:
        # After help alone there is nothing to run.
        assert ended.code in (0, None), capsys.readouterr().err


def test_every_command_has_a_section(command_helps):
    assert {"stylize", "demo", "recipes"} <= set(command_helps)
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## neural-style (\S+)$", text, re.MULTILINE)) == sorted(command_helps)
    for action in re.findall(r"^    ([a-z]+) ", command_helps["weights"], re.MULTILINE):
        assert f"neural-style weights {action}" in text


def test_every_flag_in_the_pages_exists(command_helps):
    helps = [help_of("--help"), *map(help_of, ("--help-settings", "--help-controls")), *command_helps.values()]
    helps += [help_of("weights", action, "--help") for action in ("list", "fetch", "verify", "import")]
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", "\n".join(helps)))
    # Flags of the benchmarks, of pip and of make are with their programs' names.
    codes = [code for page in PAGES for code in inline_code(page) if code.startswith("-")]
    shown = {flag for code in codes for flag in re.findall(r"(?<!\S)--?[a-z][\w-]*", code)}
    assert shown <= known, shown - known


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: neural_style\.(\w+)$", text, re.MULTILINE)) == sorted(
        [*neural_style.__all__, "nstyle"]
    )


def test_every_recipe_and_every_part_of_one_is_explained():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    for name in [*RECIPES, *CONTENT_NORMS, *STYLE_NORMS, *TV_KINDS, *STYLE_STATISTICS]:
        assert f"`{name}`" in text


def test_the_names_in_python_are_public():
    for page in PAGES:
        for block in blocks(page, "python"):
            for names in re.findall(r"^from neural_style import (.+?)(?:  #.*)?$", block, re.MULTILINE):
                for name in names.split(", "):
                    assert name in neural_style.__all__ or importlib.import_module(f"neural_style.{name}")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_the_links_of_a_page_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for link in links:
        if not re.match(r"[a-z]+:|#", link):
            assert (page.parent / link.partition("#")[0]).exists(), link
    for included in re.findall(r'^--8<-- "(.+)"$', text, re.MULTILINE):
        assert (ROOT / included).exists(), included


def test_every_page_is_in_the_order_of_the_site():
    order = re.findall(r"^  - .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(order) == sorted(page.name for page in PAGES if page != README)


def test_the_readme_is_short_and_begins_with_two_commands_and_an_image():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    beginning = text[: text.index("## ")]
    assert beginning.index("make demo") < beginning.index("make test") < beginning.index("docs/demo.jpg")


@pytest.mark.parametrize("folder", ["knobs", "controls"])
def test_images_in_the_pages_are_small(folder):
    images = list((ROOT / "docs" / folder).glob("*"))
    assert images and sum(image.stat().st_size for image in images) < 500_000
