from pathlib import Path

import pytest

from neural_style.cli.main import main
from neural_style.cli.recipes import markdown
from neural_style.recipes.presets import RECIPES

RECIPES_PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


def test_the_list_names_every_recipe_and_what_tells_them_apart(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for recipe in RECIPES.values():
        assert any(line.startswith(f"{recipe.name}: {recipe.summary}") for line in lines)
    assert sum("(the default)" in line for line in lines) == 1
    assert any(line.split() == "start 0.6 uniform noise + 0.4 content".split() for line in lines)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_shown_with_a_flag_and_a_source_for_every_setting(capsys, recipe):
    assert main(["recipes", recipe.name]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == len(recipe.settings())
    for line, source in zip(lines, map(recipe.source, recipe.settings())):
        assert line.startswith("--") and line.endswith(source)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(SystemExit):
        main(["recipes", "nothing"])


def test_the_table_in_the_documentation_is_that_of_the_recipes(capsys):
    assert main(["recipes", "--markdown"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == markdown()
    if not RECIPES_PAGE.exists():
        pytest.skip("the pages are not part of an installed package")
    assert markdown() in RECIPES_PAGE.read_text(encoding="utf-8")
