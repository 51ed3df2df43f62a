import dataclasses
import math

import pytest

from neural_style.errors import SettingsError
from neural_style.networks import ARCHITECTURES, POOLINGS
from neural_style.optimizers import OPTIMIZERS
from neural_style.recipes import DEFAULT_RECIPE, RECIPES, get_recipe

# What the two programs do, in numbers, from their description; flags and constants alike.
BOTH = dict(
    model="vgg19",
    pooling="avg",
    content_layers=("relu4_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    content_weight=10,
    style_weight=1,
    tv_weight=0.01,
    learning_rate=0.001,
    schedule_factor=0.9,
    stop_eps=0.005,
    max_steps=1000,
    max_long_edge=600,
    save_every=50,
    remove_noise=0.02,
    initial="noise",
    noise_range=0.1,
)
ORIGINALS = {
    "mxnet-0.7": dict(BOTH, optimizer="sgd", momentum=0.9, weight_decay=0.0005, schedule_delay=80, denoise_final=True),
    "mxnet-1.9": dict(
        BOTH, optimizer="nag", momentum=0.95, weight_decay=0.0001, schedule_delay=75, denoise_final=False
    ),
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_originals_numbers(name):
    assert dict(get_recipe(name).settings()) == ORIGINALS[name]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_complete_and_every_setting_has_a_source(recipe):
    assert set(recipe.sources) == set(recipe.settings())
    assert all(recipe.sources.values()) and recipe.summary
    architecture = ARCHITECTURES[recipe.model]
    architecture.check(recipe.content_layers + recipe.style_layers)
    assert recipe.pooling in POOLINGS and recipe.optimizer in OPTIMIZERS


def test_the_default_is_the_early_program():
    assert DEFAULT_RECIPE == "mxnet-0.7"


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_recipe("mxnet-0.7").max_steps = 1
    with pytest.raises(TypeError):
        get_recipe("mxnet-0.7").sources["max_steps"] = "me"


def test_overriding_changes_a_copy_and_says_so():
    recipe = get_recipe("mxnet-0.7")
    changed = recipe.override(max_steps=7, tv_weight=0.01)
    assert changed.max_steps == 7 and recipe.max_steps == 1000
    assert changed.sources["max_steps"] == "chosen for this run"
    assert changed.sources["tv_weight"] == recipe.sources["tv_weight"]  # the same value is not a change
    assert changed.override(max_steps=1000) == recipe


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(learning_rate=0), "learning rate is 0; it must be more than 0"),
        (dict(learning_rate=math.nan), "learning rate is nan; it must be more than 0"),
        (dict(content_weight=-1), "content weight is -1; it must be 0 or more"),
        (dict(style_weight=math.inf), "style weight is inf; it must be 0 or more"),
        (dict(content_weight=0, style_weight=0), "content weight and style weight are both 0"),
        (dict(tv_weight=math.nan), "tv weight is nan; it must be a finite number"),
        (dict(stop_eps=math.nan), "stop eps is nan; it must be a finite number"),
        (dict(max_steps=-1), "max steps is -1; it must be 0 or more"),
        (dict(max_long_edge=0), "max long edge is 0; it must be 1 or more"),
        (dict(save_every=-5), "save every is -5; it must be 0 or more"),
        (dict(remove_noise=-0.1), "remove noise is -0.1; it must be 0 or more"),
        (dict(schedule_delay=0), "schedule delay is 0; it must be 1 or more"),
        (dict(schedule_factor=1.5), "schedule factor is 1.5; it must be more than 0 and at most 1"),
        (dict(momentum=1), "momentum is 1; it must be at least 0 and less than 1"),
        (dict(stepps=3), "a recipe has no setting 'stepps'; it has model, pooling"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_named(settings, message):
    with pytest.raises(SettingsError) as error:
        get_recipe("mxnet-0.7").override(**settings)
    assert str(error.value).startswith(message)


def test_an_unknown_recipe_is_named():
    with pytest.raises(SettingsError, match="unknown recipe 'mxnet'; choose from mxnet-0.7, mxnet-1.9"):
        get_recipe("mxnet")
