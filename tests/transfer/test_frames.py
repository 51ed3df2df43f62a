"""Frames one after the other: the first of a shot as an image is made, the others held to the one before."""

import gc

import numpy as np
import pytest
import random_generators

from neural_style import stylize
from neural_style.errors import SettingsError
from neural_style.images.colour import recolour_locally
from neural_style.images.units import get_unit, to_network
from neural_style.objective.objective import Objective
from neural_style.recipes.presets import get_recipe
from neural_style.recipes.video import Following
from neural_style.transfer.compute import Compute
from neural_style.transfer.frames import GeneratedFrames, OptimisedFrames
from neural_style.transfer.inputs import Style

CPU = Compute(gpu=-1)


def frame(shift=0):
    rows, columns = np.mgrid[:32, :48]
    waves = [np.sin((columns + shift) / period) + np.cos(rows / period) for period in (3, 5, 8)]
    return np.uint8(128 + 60 * np.stack(waves, axis=2))


@pytest.fixture
def made(lowrank_alone):
    style = np.random.RandomState(1).randint(0, 256, (6, 8, 3)).astype(np.uint8).repeat(6, axis=0).repeat(6, axis=1)

    def make(recipe="paint", **following):
        changed = {"max_long_edge": 48, "max_steps": 3, "pyramid": ()}
        return OptimisedFrames(style, get_recipe(recipe).override(**changed), Following(**following), compute=CPU)

    make.style = style
    return make


def result(run):
    for _ in run:
        pass
    return run.result


ALL = np.ones((32, 48), np.float32)


def test_the_first_frame_is_that_of_an_image(made):
    frames = made()
    alone = stylize(frame(), made.style, frames.recipe, compute=CPU)
    assert (result(frames.begin(frame())).canvas == alone.canvas).all()
    result(frames.begin(frame(1), alone.canvas, ALL))
    # A shot begins anew, whatever was before.
    assert (result(frames.begin(frame())).canvas == alone.canvas).all()


def test_a_frame_starts_from_the_one_before_and_stays_near_it(made):
    distances = {}
    for weight in (0.0, 0.01, 1.0):
        frames = made(frame_steps=4, temporal_weight=weight)
        first = result(frames.begin(frame()))
        run = frames.begin(frame(1), first.canvas, ALL)
        second = result(run)
        assert len(second.history) == 4
        distances[weight] = np.sqrt(np.mean((second.canvas - first.canvas) ** 2))
        if weight:
            # At the start it is the former frame itself, to which its distance is 0.
            assert second.history[0].losses["temporal"] < 1e-12 < second.history[-1].losses["temporal"]
        else:
            assert "temporal" not in second.history[0].losses
    assert distances[1.0] < distances[0.01] < distances[0.0]


@pytest.mark.parametrize("recipe", ["paint", "keras-vgg19"])
def test_the_start_and_the_weight_of_the_temporal_term(made, recipe):
    frames = made(recipe, frame_steps=1, temporal_weight=0.04)
    first = result(frames.begin(frame()))
    reliability = np.random.RandomState(0).rand(32, 48).astype(np.float32)
    step = result(frames.begin(frame(2), first.canvas, reliability)).history[0]
    # Where the former frame cannot be trusted: the content in the colours around.
    unit = get_unit(frames.recipe.losses.unit)
    content = to_network(frame(2) / 255, frames.recipe.size.white, unit)
    own = recolour_locally(content, first.canvas, reliability)
    start = reliability * first.canvas + (1 - reliability) * own
    if frames.recipe.optimizer.clip_pixels:
        start = np.clip(start, *(np.reshape(bound, (1, 3, 1, 1)) for bound in (unit.black, unit.white)))
    # In grey levels, and in parts of the objective that the first frame ended with.
    levels = {"paint": 1, "keras-vgg19": 255}[recipe]
    squared = np.mean(reliability * ((start - first.canvas) * levels) ** 2)
    assert step.losses["temporal"] == pytest.approx(0.04 * first.history[-1].loss * squared, rel=1e-3)


def test_a_shot_is_freed_when_another_begins(made):
    frames = made(frame_steps=1)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            first = result(frames.begin(frame()))
            result(frames.begin(frame(1), first.canvas, ALL))
        # Those of the last shot alone.
        assert sum(isinstance(thing, Objective) for thing in gc.get_objects()) <= 2
    finally:
        gc.enable()


def test_a_shot_continues_in_another_process_bit_for_bit(made):
    frames, canvases = made(frame_steps=2), []
    first = result(frames.begin(frame()))
    state = frames.state()
    for shift in (1, 2):
        canvases.append(result(frames.begin(frame(shift), (canvases or [first.canvas])[-1], ALL * 0.7)).canvas)
    # From each of the states, bound anew.
    for shift, before in ((1, first.canvas), (2, canvases[0])):
        others = made(frame_steps=2)
        others.load(state)
        assert (result(others.begin(frame(shift), before, ALL * 0.7)).canvas == canvases[shift - 1]).all()
        assert others.state() == frames.state() == state


@pytest.mark.parametrize("name, value", [("frame_steps", 0), ("temporal_weight", -1.0), ("temporal_weight", np.nan)])
def test_numbers_that_make_no_sense(name, value):
    with pytest.raises(SettingsError) as caught:
        Following(**{name: value})
    assert caught.value.setting == name


def generated(style, blend=0.7, **settings):
    recipe = get_recipe("one-pass").override(max_long_edge=48, style_edge=32, **settings)
    weights = random_generators.random_microast()
    return GeneratedFrames([style], recipe, Following(blend=blend), weights=weights, compute=CPU), recipe, weights


@pytest.mark.parametrize("settings", [{}, {"strength": 0.5}], ids=str)
def test_frames_in_one_pass_are_blended_where_the_one_before_is_reliable(made, settings):
    frames, recipe, weights = generated(Style(made.style), 0.6, **settings)

    def alone(image):
        return stylize(image, made.style, recipe, weights=weights, compute=CPU).canvas

    first = result(frames.begin(frame())).canvas
    np.testing.assert_array_equal(first, alone(frame()))
    reliability = np.random.RandomState(0).rand(32, 48).astype(np.float32)
    second = result(frames.begin(frame(2), first, reliability)).canvas
    share = 0.6 * reliability
    np.testing.assert_allclose(second, share * first + (1 - share) * alone(frame(2)), atol=1e-5)
    # Another shot.
    np.testing.assert_array_equal(result(frames.begin(frame(2))).canvas, alone(frame(2)))


@pytest.mark.parametrize("blend", [-0.1, 1, float("nan")])
def test_a_blend_that_makes_no_sense(blend):
    with pytest.raises(SettingsError, match="`blend` is .*; it must be at least 0 and less than 1"):
        Following(blend=blend)
