import dataclasses
import math

import pytest

from neural_style.errors import SettingsError
from neural_style.images.units import UNITS
from neural_style.networks.graph import POOLINGS
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.objective.terms import CONTENT_NORMS, STYLE_NORMS
from neural_style.objective.variation import TV_KINDS
from neural_style.recipes.parts import OPTIMIZERS, STARTS, Adam, Colours, Finish, Losses, Size, Stopping
from neural_style.recipes.presets import DEFAULT_RECIPE, OPTIMISING, RECIPES, RECOMMENDED_RECIPE, get_recipe
from neural_style.recipes.recipe import Recipe

# What the sources do, in numbers, from their descriptions. What of it the tests in test_recipe_computations see is
# written down there a second time, as formulas.
FIVE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
ORIGINALS = {
    "mxnet-0.7": dict(
        model="vgg19",
        pooling="avg",
        content_layers=("relu4_2",),
        style_layers=FIVE,
        content_weight=10,
        style_weight=1,
        tv_weight=0.01,
        white=256,
        optimizer="sgd",
        learning_rate=0.001,
        momentum=0.9,
        weight_decay=0.0005,
        schedule_delay=80,
        schedule_factor=0.9,
        stop_eps=0.005,
        max_steps=1000,
        max_long_edge=600,
        shape="content",
        style_size="result",
        save_every=50,
        remove_noise=0.02,
        denoise_final=True,
        initial="noise",
        noise="uniform",
        noise_center=0,
        noise_range=0.1,
        noise_share=1,
    ),
    "gatys-2015": dict(
        model="vgg19",
        pooling="avg",
        content_layers=("relu4_2",),
        style_layers=FIVE,
        tv_weight=0,
        optimizer="lbfgs",
        clip_gradient=False,
        clip_pixels=False,
        initial="noise",
        noise="normal",
        noise_share=1,
    ),
    "coursera": dict(
        model="vgg19",
        pooling="avg",
        max_long_edge=400,
        max_steps=200,
        save_every=20,
        optimizer="adam",
        learning_rate=2,
        weight_decay=0,
        schedule_factor=1,
        initial="noise",
        noise="uniform",
        noise_range=20,
        noise_share=0.6,
        stop_eps=0,
    ),
    "keras-vgg19": dict(
        model="vgg19",
        pooling="max",
        content_layers=("relu5_2",),
        style_layers=FIVE,
        max_long_edge=512,
        style_size="own",
        max_steps=1200,
        optimizer="adam",
        initial="content",
        clip_pixels=True,
    ),
    "tf-vgg16-adaptive": dict(
        model="vgg16",
        pooling="max",
        content_layers=("#5",),
        style_layers=tuple(f"#{position}" for position in range(1, 14)),
        content_weight=1.5,
        style_weight=10,
        tv_weight=0.3,
        max_long_edge=224,
        shape="square",
        max_steps=60,
        initial="noise",
        noise="uniform",
        noise_center=128.5,
        noise_range=0.5,
        clip_pixels=True,
    ),
}
# Not of a source, but the objective of one.
ORIGINALS["fast"] = dict(
    {
        setting: ORIGINALS["mxnet-0.7"][setting]
        for setting in (
            *("model", "pooling", "content_layers", "style_layers", "content_weight", "style_weight", "tv_weight"),
            *("white", "max_long_edge", "shape", "style_size", "remove_noise", "denoise_final"),
        )
    },
    optimizer="lbfgs",
    clip_gradient=False,
    initial="recoloured",
    pyramid=(),
)
ORIGINALS["paint"] = dict(
    pooling="max",
    clip_pixels=True,
    pyramid_least=96,
    content_layers=("relu4_2",),
    style_layers=FIVE,
    content_norm="relative",
    style_norm="relative",
    style_statistic="moments",
    style_scale=1,
    style_size="own",
    optimizer="lbfgs",
    clip_gradient=False,
    initial="recoloured",
    remove_noise=0,
    save_every=0,
)
ORIGINALS["motifs"] = dict(ORIGINALS["paint"], motif_layers=("relu3_1", "relu4_1"))
ORIGINALS["mxnet-1.9"] = dict(
    ORIGINALS["mxnet-0.7"],
    optimizer="nag",
    momentum=0.95,
    weight_decay=0.0001,
    schedule_delay=75,
    denoise_final=False,
)


# Values that leave the computation as it is, or that are not used while those are.
NEUTRAL = dict(
    content_norm="sum",
    style_statistic="gram",
    style_layer_weights=(1.0,),
    motif_weight=0.0,
    motif_layers=("relu3_1", "relu4_1"),
    tv_weight=0.0,
    tv_kind="quadratic",
    adaptive=False,
    colors="style",
    clip_gradient=False,
    clip_pixels=False,
    weight_decay=0.0,
    schedule_delay=80,
    schedule_factor=1.0,
    stop_eps=0.0,
    surrogate=0,
    pyramid=(),
    pyramid_factor=2.0,
    pyramid_least=0,
    shape="content",
    style_scale=1.0,
    save_every=0,
    remove_noise=0.0,
    denoise_final=False,
    noise="uniform",
    noise_center=0.0,
    noise_share=1.0,
)


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_originals_numbers(name):
    settings = get_recipe(name).settings()
    assert {setting: settings[setting] for setting in ORIGINALS[name]} == ORIGINALS[name]


def test_another_optimizer_keeps_what_both_have_and_the_rest_is_its_own():
    recipe = get_recipe("mxnet-0.7").override(optimizer="adam")
    assert recipe.optimizer == Adam(learning_rate=0.001, weight_decay=0.0005, schedule_delay=80, schedule_factor=0.9)
    assert recipe.source("learning_rate") == get_recipe("mxnet-0.7").source("learning_rate")
    assert recipe.source("optimizer") == "chosen for this run" and recipe.source("beta1") == "default"
    assert recipe.override(optimizer="nag").optimizer.momentum == 0.9


def test_names_of_settings_are_unique_over_the_parts():
    for kinds in (STARTS.values(), OPTIMIZERS.values()):
        for kind in kinds:
            others = [Losses, Size, Stopping, Finish, Colours] + [c for c in (*STARTS.values(), *OPTIMIZERS.values())]
            others = [c for c in others if c not in kinds]
            names = {field.name for field in dataclasses.fields(kind)}
            assert not names & {field.name for other in others for field in dataclasses.fields(other)}
    fixed = [field.name for part in (Losses, Size, Stopping, Finish, Colours) for field in dataclasses.fields(part)]
    assert len(fixed) == len(set(fixed))


def test_a_recipe_of_its_own_settings_is_the_same():
    for recipe in RECIPES.values():
        assert Recipe.from_settings(recipe.name, recipe.summary, recipe.settings(), recipe.sources) == recipe
    with pytest.raises(SettingsError, match="`model` is missing"):
        Recipe.from_settings("mine", "", {"max_steps": 3})


def test_every_recipe_is_covered():
    assert set(ORIGINALS) == set(OPTIMISING)


@pytest.mark.parametrize("recipe", OPTIMISING.values(), ids=OPTIMISING)
def test_a_recipe_is_complete_and_every_setting_has_a_source(recipe):
    assert set(recipe.sources) <= set(recipe.settings())
    assert all(recipe.sources.values()) and recipe.summary
    # What no source has keeps a default that leaves it out.
    unsaid = {name: value for name, value in recipe.settings().items() if name not in recipe.sources}
    assert unsaid.items() <= NEUTRAL.items()
    losses = recipe.losses
    architecture = ARCHITECTURES[losses.model]
    layers = losses.content_layers + losses.style_layers
    for layer, resolved in zip(layers, architecture.resolve(layers)):
        assert resolved == layer or layer.startswith("#")
    assert losses.pooling in POOLINGS and losses.unit in UNITS and losses.tv_kind in TV_KINDS
    assert losses.content_norm in CONTENT_NORMS and losses.style_norm in STYLE_NORMS


def test_the_default_is_the_early_program():
    assert DEFAULT_RECIPE == "mxnet-0.7"


def test_present_recipes_compare_gram_matrices_of_the_style_as_it_is():
    others = [recipe for recipe in OPTIMISING.values() if recipe.name not in (RECOMMENDED_RECIPE, "motifs")]
    assert {(recipe.losses.style_statistic, recipe.size.style_scale) for recipe in others} == {("gram", 1)}


def test_the_layers_of_paint_share_the_weight_of_the_style():
    assert sum(get_recipe("paint").losses.style_layer_weights) == pytest.approx(1)


def test_motifs_are_what_its_recipe_adds_to_paint():
    added, paint = get_recipe("motifs").settings(), get_recipe("paint").settings()
    assert {name for name in added if added[name] != paint[name]} == {"motif_weight"}


def test_fast_owes_to_the_objective_of_the_early_program_what_belongs_to_an_objective():
    fast, early = get_recipe("fast"), get_recipe("mxnet-0.7")
    owed = {name for name, source in fast.sources.items() if source == "the objective of mxnet-0.7"}
    fasts, earlies = fast.settings(), early.settings()
    assert {name: fasts[name] for name in owed} == {name: earlies[name] for name in owed}
    assert owed >= {"model", "content_layers", "style_layers", "content_weight", "style_weight", "tv_weight", "unit"}
    others = "save_every remove_noise denoise_final beta1 epsilon pyramid_factor max_long_edge noise_share"
    assert not owed & set(others.split())


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_recipe("mxnet-0.7").stopping = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_recipe("mxnet-0.7").stopping.max_steps = 1
    with pytest.raises(TypeError):
        get_recipe("mxnet-0.7").sources["max_steps"] = "me"


def test_overriding_changes_a_copy_and_says_so():
    recipe = get_recipe("mxnet-0.7")
    changed = recipe.override(max_steps=7, tv_weight=0.01)
    assert changed.stopping.max_steps == 7 and recipe.stopping.max_steps == 1000
    assert changed.sources["max_steps"] == "chosen for this run"
    assert changed.sources["tv_weight"] == recipe.sources["tv_weight"]  # the same value is not a change
    assert changed.override(max_steps=1000) == recipe


def test_whether_the_network_was_named_is_no_matter_of_its_source():
    recipe = get_recipe("mxnet-0.7")
    named = recipe.override(model="vgg19")
    assert (recipe.network_named, named.network_named) == (False, True)
    assert named.sources == recipe.sources and named == recipe
    assert named.override(max_steps=7).network_named and not recipe.override(max_steps=7).network_named
    assert recipe.override(model="vgg16").sources["model"] == "chosen for this run"


def test_a_network_that_nobody_named_says_why_it_runs():
    recipe = get_recipe("mxnet-0.7")
    other = recipe.with_network("vgg16", "a reason")
    assert (other.losses.model, other.sources["model"], other.network_named) == ("vgg16", "a reason", False)
    assert recipe.with_network("vgg19", "a reason").sources == recipe.sources


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(learning_rate=0), "`learning_rate` is 0; it must be more than 0"),
        (dict(learning_rate=math.nan), "`learning_rate` is nan; it must be more than 0"),
        (dict(content_weight=-1), "`content_weight` is -1; it must be 0 or more"),
        (dict(style_weight=math.inf), "`style_weight` is inf; it must be 0 or more"),
        (dict(content_weight=0, style_weight=0), "`content_weight` and `style_weight` are both 0"),
        (dict(tv_weight=math.nan), "`tv_weight` is nan; it must be a finite number"),
        (dict(stop_eps=math.nan), "`stop_eps` is nan; it must be a finite number"),
        (dict(max_steps=-1), "`max_steps` is -1; it must be 0 or more"),
        (dict(max_long_edge=0), "`max_long_edge` is 0; it must be 1 or more"),
        (dict(save_every=-5), "`save_every` is -5; it must be 0 or more"),
        (dict(remove_noise=-0.1), "`remove_noise` is -0.1; it must be 0 or more"),
        (dict(schedule_delay=0), "`schedule_delay` is 0; it must be 1 or more"),
        (dict(schedule_factor=1.5), "`schedule_factor` is 1.5; it must be more than 0 and at most 1"),
        (dict(momentum=1), "`momentum` is 1; it must be at least 0 and less than 1"),
        (dict(optimizer="adam", beta2=1), "`beta2` is 1; it must be at least 0 and less than 1"),
        (dict(optimizer="adam", epsilon=0), "`epsilon` is 0; it must be more than 0"),
        (dict(optimizer="lbfgs", clip_gradient=False, history=0), "`history` is 0; it must be 1 or more"),
        (dict(noise_share=1.1), "`noise_share` is 1.1; it must be at least 0 and at most 1"),
        (dict(style_scale=0), "`style_scale` is 0; it must be more than 0"),
        (dict(pyramid_factor=1), "`pyramid_factor` is 1; it must be more than 1"),
        (dict(history=5), "`history` is of no use with the optimizer sgd; leave it out, or set `optimizer` to lbfgs"),
        (
            dict(optimizer="lbfgs"),
            "`optimizer` lbfgs compares values of the objective, so its gradient must not be",
        ),
        (dict(initial="content", noise_range=1), "`noise_range` is of no use with a start from content; set `initial`"),
        (dict(optimizer="sgdd"), "`optimizer` is 'sgdd'; it must be one of sgd, nag"),
        (dict(initial="grey"), "`initial` is 'grey'; it must be one of noise, content"),
        (dict(pyramid=(5, 0)), "`pyramid` must have 1 or more steps"),
        (dict(noise="pink"), "`noise` is 'pink'; it must be one of uniform, normal"),
        (dict(style_size="big"), "`style_size` is 'big'; it must be one of result, own"),
        (dict(style_layer_weights=(1, 2)), "`style_layer_weights` has 2 numbers for 5 style layers"),
        (dict(style_layer_weights=(-1,)), "`style_layer_weights` must be 0 or more each"),
        (dict(style_layers=(), content_layers=()), "`content_layers` and `style_layers` are both empty"),
        (dict(stepps=3), "unknown setting 'stepps'; choose from initial, optimizer, model, pooling"),
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
