"""Transparent contents, styles and palettes."""

import numpy as np
import pytest
from numpy_vgg import random_parameters
from skimage import data

from neural_style._mxnet import mx
from neural_style.errors import ImageError
from neural_style.images.painting import paint
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.objective import Objective
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.controls import Controls
from neural_style.transfer.inputs import Inputs, Style, as_styles, choose_network, load_parameters
from neural_style.transfer.stylize import stylize

TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
LAYERS = ("relu1_1", "relu2_1", "relu3_1")
RECIPE = get_recipe("fast").override(
    model="tiny", content_layers=("relu2_2",), style_layers=LAYERS, max_long_edge=72, max_steps=4, save_every=0
)
PARAMETERS = random_parameters(TINY.parameter_shapes([*LAYERS, "relu2_2"]))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def weights():
    return {name: mx.nd.array(array) for name, array in PARAMETERS.items()}


def with_alpha(image, top, left, height, width, hidden=255):
    """Return an image of which only a part is opaque; the rest holds any colour."""
    transparent = np.full(image.shape[:2] + (4,), hidden, np.uint8)
    transparent[..., 3] = 0
    transparent[top : top + height, left : left + width, :3] = image[top : top + height, left : left + width]
    transparent[top : top + height, left : left + width, 3] = 255
    return transparent


def mean_grams(style, edge):
    """Return the mean Gram matrix per position that is the style's target, by layer of the bundled network."""
    recipe, path = choose_network(get_recipe("paint").override(model="vgg16-lowrank", max_long_edge=edge))
    inputs = Inputs(style.image, [style], None, recipe)
    canvas = mx.nd.array(inputs.content)
    parameters = load_parameters(recipe.losses, path, mx.cpu())
    objective = Objective(
        recipe.losses, parameters, inputs.content, inputs.styles, canvas, tile_size=0, sources=inputs.sources
    )
    sums = {term.layer: objective._targets[term.target].asnumpy() for term in objective._terms if term.kind == "style"}
    return {layer: found[:, :-2] / found[:, -1:] for layer, found in sums.items()}


def distances(some, others):
    return [np.linalg.norm(some[layer] - others[layer]) / np.linalg.norm(others[layer]) for layer in some]


def test_a_style_of_which_90_percent_are_transparent_has_the_statistics_of_its_opaque_part():
    painting = paint((256, 256))
    image = with_alpha(painting, 80, 80, 80, 80)
    assert (image[..., 3] == 0).mean() == pytest.approx(0.9, abs=0.01)
    found = mean_grams(*as_styles(image), 256)
    cropped = mean_grams(Style(np.ascontiguousarray(painting[80:160, 80:160])), 80)
    ignored = mean_grams(Style(np.ascontiguousarray(image[..., :3])), 256)
    there = mean_grams(Style(painting, source_mask=(image[..., 3] / 255).astype("float32")), 256)
    # Cutting it out puts a border of zeros around it, which deep layers see all over.
    assert distances(found, cropped)[0] < 0.05 and distances(found, cropped)[1] < 0.1
    assert all(one < 0.9 * other for one, other in zip(distances(found, cropped), distances(ignored, cropped)))
    # So this is nearer to what the part has within its painting.
    assert all(one < other for one, other in zip(distances(found, there), distances(cropped, there)))


@pytest.mark.parametrize("tile_size", [0, 8])
def test_the_result_has_the_alpha_of_the_content(tile_size):
    cat = data.chelsea()[::4, ::4]
    content = with_alpha(cat, 20, 30, 30, 40)
    content[20:50, 30:40, 3] = 128
    result = stylize(content, paint((60, 80)), RECIPE, weights=weights(), compute=Compute(gpu=-1, tile_size=tile_size))
    assert result.image.shape == result.canvas.shape[2:] + (4,)
    height, width = result.image.shape[:2]
    y, x = (np.linspace(0, side - 1, size).astype(int) for side, size in zip(cat.shape, (height, width)))
    assert np.abs(result.image[..., 3].astype(int) - content[y][:, x][..., 3]).mean() < 8
    assert {*np.unique(result.image[..., 3])} >= {0, 255}


def test_what_is_hidden_makes_no_difference():
    cat, sea = data.chelsea()[::4, ::4], paint((60, 80))
    results = [
        stylize(
            with_alpha(cat, 20, 30, 30, 40, hidden),
            with_alpha(sea, 10, 10, 30, 40, hidden),
            RECIPE.override(colors="match-covariance"),
            weights=weights(),
            compute=Compute(gpu=-1),
            controls=Controls(palette=with_alpha(sea, 30, 30, 20, 20, hidden)),
        ).image
        for hidden in (255, 0)
    ]
    np.testing.assert_array_equal(*results)


def test_a_transparent_part_counts_for_no_style():
    """The gradient of the style is zero where only transparent positions see it."""
    cat = data.chelsea()[::4, ::4]
    opacity = np.zeros(cat.shape[:2], "float32")
    opacity[:, :30] = 1
    recipe = RECIPE.override(content_weight=0.0, tv_weight=0.0, max_long_edge=cat.shape[1], style_weight=1.0)
    inputs = Inputs(cat, [Style(paint((60, 80)))], None, recipe, Controls(opacity=opacity))
    gradient = (
        Objective(
            recipe.losses,
            weights(),
            inputs.content,
            inputs.styles,
            mx.nd.array(inputs.content),
            10**10,
            0,
            regions=inputs.regions,
        )
        .evaluate()
        .gradient.asnumpy()
    )
    assert np.abs(gradient[..., :30]).max() > 0
    assert np.abs(gradient[..., 32 + TINY.halo(LAYERS) :]).max() == 0


def test_nothing_to_see():
    image, clear = paint((40, 40)), np.zeros((40, 40, 4), "uint8")
    for content, style, what in ((clear, image, "content"), (image, clear, "style")):
        with pytest.raises(ImageError, match=f"the {what} is transparent all over"):
            stylize(content, style, RECIPE, weights=weights(), compute=Compute(gpu=-1))
