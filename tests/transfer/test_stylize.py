"""A run itself, on a small network; that its numbers are the originals' is shown in test_golden."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, gram, random_parameters

from neural_style._mxnet import mx
from neural_style.errors import ImageError, SettingsError, WeightsError
from neural_style.executors import LossExecutor
from neural_style.images.sizing import resize, resize_image
from neural_style.images.units import from_network, to_network
from neural_style.networks.vgg import ARCHITECTURES, Architecture
from neural_style.objective.objective import Objective, required_parameters
from neural_style.recipes.parts import OPTIMIZERS
from neural_style.recipes.presets import OPTIMISING, get_recipe
from neural_style.transfer import optimisation
from neural_style.transfer.compute import Compute
from neural_style.transfer.inputs import Inputs, Style, load_parameters
from neural_style.transfer.run import StopReason
from neural_style.transfer.stylize import begin, stylize

CPU = Compute(gpu=-1)
TINY = Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
RECIPE = get_recipe("mxnet-0.7").override(
    content_layers=("relu2_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1"),
    max_long_edge=20,
    max_steps=5,
    save_every=0,
    stop_eps=0,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


@pytest.fixture
def weights():
    return {n: mx.nd.array(v) for n, v in random_parameters(required_parameters(recipe().losses)).items()}


@pytest.fixture
def content():
    return np.random.RandomState(1).randint(0, 256, (12, 20, 3)).astype("uint8")


@pytest.fixture
def style():
    return np.random.RandomState(2).randint(0, 256, (30, 20, 3)).astype("uint8")


def recipe(**settings):
    return RECIPE.override(model="tiny", **settings)


def run(content, style, weights, settings=None, **more):
    return stylize(content, style, recipe(**(settings or {})), weights=weights, **{"compute": CPU, **more})


def begun(content, style, weights, settings=None, **more):
    return begin(content, style, recipe(**(settings or {})), weights=weights, **{"compute": CPU, **more})


def test_the_losses_of_the_first_step_are_numpys(content, style, weights):
    result = run(content, style, weights, dict(initial="content"))
    step = result.history[0]
    vgg = NumpyVGG(TINY.blocks, {name: value.asnumpy() for name, value in weights.items()})
    image, target = (to_network(resize(picture, (12, 20)))[0].astype(np.float64) for picture in (content, style))
    activations, targets = vgg.forward(image), vgg.forward(target)
    assert step.losses["content_relu2_2"] == 0
    for layer in RECIPE.losses.style_layers:
        channels, height, width = activations[layer].shape
        loss = ((gram(activations[layer]) - gram(targets[layer])) ** 2).sum() / (channels**2 * height * width)
        assert step.losses[f"style_{layer}"] == pytest.approx(loss, rel=1e-4)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    vertical, horizontal = np.diff(padded, axis=1)[:, :, 1:-1], np.diff(padded, axis=2)[:, 1:-1]
    variation = 0.01 / 16 * ((vertical**2).sum() + (horizontal**2).sum())
    assert step.losses["total_variation"] == pytest.approx(variation, rel=1e-4)
    assert step.loss == pytest.approx(sum(step.losses.values()))
    assert step.clip_norm == 3 * 12 * 20


def test_the_loss_falls(content, style, weights):
    history = run(content, style, weights, dict(max_steps=60, learning_rate=0.005)).history
    assert history[-1].loss < 0.7 * history[0].loss


@pytest.mark.parametrize("clip_gradient", [True, False])  # norms are MXNet's or BLAS's
def test_steps_tell_what_was_done(content, style, weights, clip_gradient):
    images = []
    settings = dict(max_steps=4, clip_gradient=clip_gradient, stop_eps=0.0, learning_rate=1e-7)
    result = run(content, style, weights, settings, watch=lambda step, run: images.append(run.canvas.asnumpy()))
    assert [step.number for step in result.history] == [1, 2, 3, 4]
    for before, after, step in zip(images, images[1:], result.history[1:]):
        change = np.linalg.norm(before.astype(float) - after) / np.linalg.norm(after.astype(float))
        assert step.relative_change == pytest.approx(change, rel=1e-4)
    np.testing.assert_array_equal(result.canvas, images[-1])
    assert [step.learning_rate for step in result.history] == [1e-7] * 4
    assert result.reason is StopReason.STEP_LIMIT


def test_gradients_are_shortened_to_the_number_of_elements(content, style, weights):
    """One step without momentum moves the image by the learning rate times the shortened gradient."""
    result = run(content, style, weights, dict(max_steps=1, tv_weight=0.0, momentum=0.0, weight_decay=0.0))
    mx.random.seed(0)
    start = mx.random.uniform(-0.1, 0.1, (1, 3, 12, 20)).asnumpy()
    assert result.history[0].gradient_norm > 720
    assert np.linalg.norm(result.canvas - start) == pytest.approx(0.001 * 720, rel=1e-4)


def test_a_gradient_that_is_not_shortened_is_as_long_as_told(content, style, weights):
    settings = dict(max_steps=1, tv_weight=0.0, momentum=0.0, weight_decay=0.0, clip_gradient=False, stop_eps=0.0)
    result = run(content, style, weights, dict(settings, learning_rate=1e-7))
    mx.random.seed(0)
    start = mx.random.uniform(-0.1, 0.1, (1, 3, 12, 20)).asnumpy()
    norm = result.history[0].gradient_norm
    assert norm > 720
    assert np.linalg.norm(result.canvas - start) == pytest.approx(1e-7 * norm, rel=1e-3)


def test_short_gradients_are_left_alone(content, style, weights):
    settings = dict(max_steps=1, tv_weight=0.0, momentum=0.0, weight_decay=0.0, style_weight=1e-9, content_weight=1e-4)
    result = run(content, style, weights, settings)
    mx.random.seed(0)
    start = mx.random.uniform(-0.1, 0.1, (1, 3, 12, 20)).asnumpy()
    norm = result.history[0].gradient_norm
    assert norm < 720
    assert np.linalg.norm(result.canvas - start) == pytest.approx(0.001 * norm, rel=1e-3)


def test_it_stops_when_the_change_is_small(content, style, weights):
    free = run(content, style, weights, dict(max_steps=30)).history
    threshold = free[9].relative_change
    first = next(step.number for step in free if step.relative_change < threshold)
    result = run(content, style, weights, dict(max_steps=30, stop_eps=threshold))
    assert result.reason is StopReason.CONVERGED
    assert len(result.history) == first


def test_values_that_are_not_finite_stop_it_and_the_last_good_image_is_kept(content, style, weights):
    images = []

    def watch(step, run):
        images.append(run.canvas.asnumpy())
        if step.number == 3:
            run.canvas[:] = np.inf  # as an update that overflowed would leave it

    result = run(content, style, weights, watch=watch)
    assert result.reason is StopReason.NOT_FINITE
    assert len(result.history) == 3


@pytest.mark.parametrize("rate", [1e30, 1e36])
def test_an_absurd_learning_rate_keeps_the_last_good_image(content, style, weights, rate):
    images = []
    settings = dict(learning_rate=rate, max_steps=50)
    result = run(content, style, weights, settings, watch=lambda step, run: images.append(run.canvas.asnumpy()))
    assert result.reason is StopReason.NOT_FINITE
    assert np.isfinite(result.canvas).all() and len(images) == len(result.history) < 50
    if images:
        np.testing.assert_array_equal(result.canvas, images[-1])


def test_interrupting_finishes_the_step(content, style, weights):
    images = []

    def watch(step, run):
        images.append(run.canvas.asnumpy())
        if step.number == 2:
            run.stop()

    result = run(content, style, weights, watch=watch)
    assert result.reason is StopReason.INTERRUPTED
    assert len(result.history) == 2
    np.testing.assert_array_equal(result.canvas, images[1])


def test_interrupting_before_the_first_step_takes_none(content, style, weights):
    one = begun(content, style, weights)
    one.stop()
    assert one.state() is None and list(one) == []
    assert one.result.reason is StopReason.INTERRUPTED and one.result.history == []


def test_a_seed_repeats_a_run_and_another_changes_it(content, style, weights):
    first, again, other = (run(content, style, weights, seed=seed).canvas for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_a_seed_the_generator_is_left_alone(content, style, weights):
    mx.random.seed(3)
    np.testing.assert_array_equal(
        run(content, style, weights, seed=None).canvas, run(content, style, weights, seed=3).canvas
    )


def test_no_steps_give_the_start(content, style, weights):
    result = run(content, style, weights, dict(max_steps=0, initial="content", remove_noise=0.0))
    assert result.reason is StopReason.STEP_LIMIT
    np.testing.assert_array_equal(result.canvas, to_network(resize(content, (12, 20))))
    np.testing.assert_array_equal(result.image, from_network(result.canvas))


def test_it_starts_from_a_picture(content, style, weights):
    result = run(content, style, weights, dict(max_steps=0), start=style)
    np.testing.assert_array_equal(result.canvas, to_network(resize(style, (12, 20))))


def test_an_unknown_start_is_named(content, style, weights):
    with pytest.raises(SettingsError, match="`initial` is 'zeros'; it must be one of noise, content"):
        run(content, style, weights, dict(initial="zeros"))


def test_total_variation_can_be_left_out(content, style, weights):
    for weight in (0.0, -1.0):
        step = run(content, style, weights, dict(tv_weight=weight, max_steps=1)).history[0]
        assert "total_variation" not in step.losses


@pytest.mark.parametrize("nothing", ["content", "style"])
def test_a_part_without_weight_has_no_effect(content, style, weights, nothing):
    other = np.ascontiguousarray((255 - content) if nothing == "content" else (255 - style))
    settings = {f"{nothing}_weight": 0.0}
    first = run(content, style, weights, settings)
    changed = dict(content=content, style=style)
    changed[nothing] = other
    second = run(weights=weights, settings=settings, **changed)
    np.testing.assert_array_equal(first.canvas, second.canvas)


def test_a_picture_too_small_for_the_network_is_told_the_least_size(style, weights):
    long = np.zeros((2, 20, 3), "uint8")
    with pytest.raises(ImageError, match=r"20 x 2 pixels, too small .* must be at least 4 pixels"):
        run(long, style, weights)
    assert run(np.zeros((4, 20, 3), "uint8"), style, weights, dict(max_steps=1)).canvas.shape == (1, 3, 4, 20)


def test_an_unknown_model_is_named(content, style):
    with pytest.raises(SettingsError, match="unknown model 'vgg20'"):
        stylize(content, style, RECIPE.override(model="vgg20"), compute=CPU)


def test_a_network_whose_weights_are_not_here_has_a_stand_in(content, style, lowrank_alone):
    settings = get_recipe("mxnet-0.7").override(max_long_edge=40, max_steps=1)
    result = stylize(content, style, settings, compute=CPU)
    assert result.recipe == settings.override(model="vgg16-lowrank") and len(result.history) == 1
    assert result.recipe.sources["model"] == "stands in for vgg19, whose weights are not installed"
    for named in ("vgg16", "vgg19"):
        with pytest.raises(WeightsError, match=f"no weights '{named}'"):
            stylize(content, style, settings.override(model=named), compute=CPU)


def test_parameters_are_checked_also_when_they_are_handed_over(content, style, weights):
    del weights["conv2_1_bias"]
    with pytest.raises(WeightsError, match="conv2_1_bias"):
        run(content, style, weights)


def test_missing_weights_are_an_error_before_anything_is_computed(content, style, tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        run(content, style, tmp_path / "none.params")


def test_only_one_wait_for_the_device_per_step(content, style, weights, monkeypatch):
    waits = []
    original = mx.nd.NDArray.asnumpy
    monkeypatch.setattr(mx.nd.NDArray, "asnumpy", lambda self: waits.append(self.shape) or original(self))
    for name in ("asscalar", "wait_to_read"):
        monkeypatch.setattr(mx.nd.NDArray, name, lambda self: pytest.fail("a further wait"))
    run(content, style, weights, dict(max_steps=5))
    # content and three styles and total variation, three norms; the last is the result
    assert waits == [(8,)] * 5 + [(1, 3, 12, 20)]


def test_the_package_gives_its_interface_without_importing_mxnet_first():
    import neural_style

    assert neural_style.stylize is stylize
    assert neural_style.get_recipe is get_recipe
    with pytest.raises(ImportError):
        from neural_style import nothing_like_it  # noqa: F401


def test_a_pyramid_goes_from_small_to_large_and_carries_the_image_over(content, style, weights):
    images = []
    settings = dict(max_long_edge=48, pyramid=(2, 3), pyramid_factor=2.0, max_steps=2, initial="content")
    result = run(content, style, weights, settings, watch=lambda step, run: images.append(run.canvas.asnumpy()))
    assert [step.level for step in result.history] == [0, 0, 1, 1, 1, 2, 2]
    assert [step.number for step in result.history] == [1, 2, 3, 4, 5, 6, 7]
    assert [image.shape[2:] for image in images] == [(7, 12)] * 2 + [(14, 24)] * 3 + [(28, 48)] * 2
    # The same levels by hand, each from the picture before.
    alone = run(content, style, weights, dict(max_long_edge=12, max_steps=2, initial="content")).canvas
    np.testing.assert_array_equal(alone, images[1])
    step = images[2] - resize_image(images[1], (14, 24))
    assert np.linalg.norm(step) / np.linalg.norm(images[2]) == pytest.approx(
        result.history[2].relative_change, rel=1e-3
    )
    assert result.canvas.shape == (1, 3, 28, 48) and result.reason is StopReason.STEP_LIMIT


def test_pictures_too_small_for_the_network_are_left_out_of_a_pyramid(content, style, weights):
    result = run(content, style, weights, dict(max_long_edge=20, pyramid=(2, 2, 2), max_steps=1))
    assert [step.level for step in result.history] == [0, 0, 1]


def test_a_pyramid_that_is_interrupted_gives_a_picture_of_the_full_size(content, style, weights):
    settings = dict(max_long_edge=48, pyramid=(2,), max_steps=2)
    result = run(content, style, weights, settings, watch=lambda step, run: run.stop())
    assert result.reason is StopReason.INTERRUPTED and result.canvas.shape == (1, 3, 28, 48)
    assert result.image.shape == (28, 48, 3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_run_goes_on_bit_for_bit_from_any_step(content, style, weights, optimizer, at):
    states = []
    settings = dict(optimizer=optimizer, clip_gradient=optimizer != "lbfgs", max_steps=6, pyramid=(3,))
    settings.update(max_long_edge=32)
    if optimizer != "lbfgs":
        settings.update(learning_rate=0.01)
    if optimizer in ("sgd", "nag", "adam"):
        settings.update(schedule_delay=2)
    whole = run(content, style, weights, settings, watch=lambda step, run: states.append(run.state()))
    with begun(content, style, weights, settings, resume=states[at]) as again:
        assert len(list(again)) == 9 - at - 1
    resumed = again.result
    np.testing.assert_array_equal(resumed.canvas, whole.canvas)
    assert [step.loss for step in resumed.history] == [step.loss for step in whole.history]
    assert resumed.reason is whole.reason


@pytest.mark.parametrize(
    "error, tile_size, line",
    [
        (
            "x.h\nMXNetError: Failed to allocate CPU Memory",
            0,
            r" whole \(Failed to .* Memory\); set `tile_size` to 20",
        ),
        (
            "cudaMalloc failed: out of memory",
            16,
            r" in tiles of 16 pixels \(.* memory\); set `tile_size` to 16",
        ),
        (MemoryError(), 0, r" whole \(allocation failed\); set `tile_size` to 20"),
    ],
    ids=["CPU", "GPU", "Python"],
)
def test_an_allocation_that_fails_is_one_line_with_the_flag_that_helps(
    content, style, weights, monkeypatch, error, tile_size, line
):
    """MXNet's errors come from elsewhere, as real ones may end the process in a thread of its own."""

    def fail(self):
        raise error if isinstance(error, Exception) else mx.base.MXNetError(error)

    monkeypatch.setattr("neural_style.objective.objective.Objective.evaluate", fail)
    with pytest.raises(SettingsError, match="not enough memory to compute 40 x 24 pixels" + line):
        run(content, style, weights, dict(max_long_edge=40), compute=Compute(-1, tile_size=tile_size))


def test_other_errors_of_mxnet_are_not_explained_away(content, style, weights, monkeypatch):
    def fail(self):
        raise mx.base.MXNetError("Check failed: something else")

    monkeypatch.setattr("neural_style.objective.objective.Objective.evaluate", fail)
    with pytest.raises(mx.base.MXNetError, match="something else"):
        run(content, style, weights)


def test_a_run_in_tiles_goes_on_in_tiles(content, style, weights):
    states, settings = [], dict(max_long_edge=160, max_steps=4)
    tiles = Compute(-1, tile_size=40)
    whole = run(content, style, weights, settings, compute=tiles, watch=lambda step, run: states.append(run.state()))
    assert [state.tile_size for state in states] == [40] * 4
    # What would be chosen now makes no difference, and would round otherwise.
    again = begun(content, style, weights, settings, resume=states[1])
    assert len(list(again)) == 2
    resumed = again.result
    np.testing.assert_array_equal(resumed.canvas, whole.canvas)
    assert not np.array_equal(
        run(content, style, weights, settings, compute=Compute(-1, tile_size=0)).canvas, whole.canvas
    )


def test_l_bfgs_refuses_a_gradient_that_is_not_the_objectives(content, style, weights):
    with pytest.raises(SettingsError, match="lbfgs .* must not be shortened; switch `clip_gradient` off"):
        run(content, style, weights, dict(optimizer="lbfgs"))
    with pytest.raises(SettingsError, match="lbfgs .* must not be reweighted; switch `adaptive` off"):
        run(content, style, weights, dict(optimizer="lbfgs", clip_gradient=False, adaptive=True))


@pytest.mark.parametrize("name", OPTIMISING)
def test_in_tiles_every_recipe_starts_with_the_same_step(content, style, name, monkeypatch):
    """Step by step rounding grows; `test_tiling` compares gradients."""
    thin = Architecture("thin", ((2, 4), (2, 6), (4, 5), (4, 6), (2, 4)))
    monkeypatch.setitem(ARCHITECTURES, "thin", thin)
    settings = get_recipe(name).override(model="thin", max_long_edge=250, max_steps=2, pyramid=(), save_every=0)
    parameters = random_parameters(required_parameters(settings.losses))
    parameters = {key: mx.nd.array(value) for key, value in parameters.items()}
    whole, tiled = (
        stylize(content, style, settings, weights=parameters, compute=Compute(-1, tile_size=tile_size))
        for tile_size in (None, 32)
    )
    assert tiled.history[0].losses == pytest.approx(whole.history[0].losses, rel=1e-4)
    assert tiled.history[1].loss == pytest.approx(whole.history[1].loss, rel=1e-3)
    assert np.linalg.norm(tiled.canvas - whole.canvas) <= 1e-4 * np.linalg.norm(whole.canvas)


def test_memory_decides_between_whole_and_tiles_and_a_line_says_so(content, style, caplog, monkeypatch):
    settings = get_recipe("mxnet-0.7").override(model="vgg16-lowrank", max_long_edge=400, max_steps=1, save_every=0)
    network = replace(ARCHITECTURES["vgg16-lowrank"], ranks=((16, 16),) * 12)
    parameters = random_parameters(network.parameter_shapes(["relu5_1"]))
    parameters = {key: mx.nd.array(value) for key, value in parameters.items()}
    lines = {}
    for megabytes in (4000, 270):
        monkeypatch.setattr(
            "neural_style.transfer.optimisation.available", lambda ctx, limit, megabytes=megabytes: megabytes * 10**6
        )
        caplog.clear()
        with caplog.at_level("INFO", "neural_style.objective.targets"):
            stylize(content, style, settings, weights=parameters, compute=CPU)
        lines[megabytes] = [record.getMessage() for record in caplog.records if "computing" in record.getMessage()]
    assert len(lines[4000]) == 1 and lines[4000][0].startswith("computing 400 x 240 pixels whole (")
    assert lines[270][0].startswith("computing 400 x 240 pixels in tiles of ")
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="needs at least .* memory"):
        stylize(content, style, settings, weights=parameters, compute=Compute(-1, memory=1000))


def test_several_styles_and_their_scales(content, style, weights):
    same = run(content, style, weights)
    again = run(content, [Style(style, weight=3.0)], weights)
    np.testing.assert_array_equal(again.canvas, same.canvas)
    other = np.ascontiguousarray(255 - style)
    blended = run(content, [style, Style(other, weight=2.0)], weights)
    assert not np.array_equal(blended.canvas, same.canvas)
    larger = run(content, Style(style, scale=1.5), weights)
    scaled = run(content, style, weights, dict(style_scale=1.5))
    np.testing.assert_array_equal(larger.canvas, scaled.canvas)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda image: [], "`styles` is empty"),
        (lambda image: Style(image, weight=0), "`weight` of a style is 0; it must be more than 0"),
        (lambda image: Style(image, scale=float("nan")), "`scale` is nan; it must be a finite number"),
    ],
    ids=["none", "weight", "scale"],
)
def test_styles_that_make_no_sense(content, style, weights, make, message):
    with pytest.raises(SettingsError, match=message):
        run(content, make(style), weights)


def executors_alive():
    gc.collect()
    return sum(isinstance(thing, LossExecutor) for thing in gc.get_objects())


def test_leaving_the_loop_frees_the_executors_and_keeps_what_was_computed(content, style, weights):
    before = executors_alive()
    run_ = begun(content, style, weights)
    for step in run_:
        assert executors_alive() == before + 1
        if step.number == 2:
            break
    assert executors_alive() == before
    assert run_.reason is StopReason.INTERRUPTED and len(run_.history) == 2
    np.testing.assert_array_equal(run_.result.canvas, run_.canvas.asnumpy())
    again = begun(content, style, weights, resume=run_.state())
    assert [step.number for step in again] == [3, 4, 5]
    np.testing.assert_array_equal(again.result.canvas, run(content, style, weights).canvas)
    with pytest.raises(RuntimeError, match="iterated once"):
        next(iter(again))


def test_an_exception_in_a_with_block_frees_the_executors(content, style, weights):
    before = executors_alive()
    with pytest.raises(ZeroDivisionError) as caught:
        with begun(content, style, weights) as one:
            for _ in one:
                raise ZeroDivisionError
    assert caught.value is not None and executors_alive() == before  # although the traceback holds the loop


def test_an_image_on_the_way_is_what_would_be_saved(content, style, weights):
    for settings in (dict(remove_noise=0.0), dict(remove_noise=0.1)):
        one, images = begun(content, style, weights, dict(settings, denoise_final=False)), []
        for _ in one:
            images.append(one.image())
        plain = from_network(one.canvas.asnumpy())
        np.testing.assert_array_equal(one.result.image, plain)
        assert np.array_equal(images[-1], plain) == (settings["remove_noise"] == 0)


def test_a_surrogate_takes_all_steps_but_the_last(content, style, vgg16_file, lowrank_alone, caplog):
    """Every step's loss is the objective, by the network that takes it, of the canvas before."""
    settings = get_recipe("mxnet-0.7").override(model="vgg16", max_long_edge=64, max_steps=2, save_every=0)
    settings = settings.override(stop_eps=0.0, pyramid=(2,), surrogate=3)
    canvases = []
    with caplog.at_level("INFO", "neural_style.transfer"):
        result = stylize(
            content,
            style,
            settings,
            weights=vgg16_file,
            compute=CPU,
            watch=lambda step, run: canvases.append(run.canvas.asnumpy()),
        )
    assert "using vgg16-lowrank for all but the last 3 steps" in caplog.text
    assert [step.level for step in result.history] == [0, 0, 1, 1, 2, 2, 2]
    assert result.recipe == settings and result.reason is StopReason.STEP_LIMIT
    files = {"vgg16-lowrank": lowrank_alone / "vgg16-lowrank.params", "vgg16": vgg16_file}
    for number, model in ((3, "vgg16-lowrank"), (5, "vgg16")):
        losses = settings.override(model=model).losses
        inputs = Inputs(content, [Style(style)], None, settings)
        parameters = load_parameters(losses, files[model], mx.cpu())
        canvas = mx.nd.array(canvases[number - 1])
        objective = Objective(losses, parameters, inputs.content, inputs.styles, canvas, tile_size=0)
        assert result.history[number].loss == pytest.approx(objective.evaluate().loss, rel=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_network_takes_over_what_its_twin_has_learnt(content, style, weights, monkeypatch, optimizer):
    """With the network itself for its twin, a run is the run without one."""
    monkeypatch.setattr(optimisation, "find_twin", lambda model: (model, weights))
    settings = dict(optimizer=optimizer, stop_eps=0.0, clip_gradient=optimizer != "lbfgs")
    plain = run(content, style, weights, dict(settings, max_steps=5))
    shared = run(content, style, weights, dict(settings, max_steps=3, surrogate=2))
    assert [step.level for step in shared.history] == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(shared.canvas, plain.canvas)


def test_a_surrogate_of_a_network_that_has_none(content, style, weights):
    with pytest.raises(SettingsError, match="tiny has no low-rank twin; set `surrogate` to 0"):
        run(content, style, weights, dict(surrogate=1))


@pytest.mark.parametrize(
    "edge, levels",
    [
        (96, [(48, 4), (68, 3), (96, 2)]),
        (68, [(48, 4), (68, 2)]),  # 34 is left out, and its steps go to what is the smallest now
        (40, [(40, 4)]),
    ],
)
def test_sizes_below_the_least_of_a_pyramid_are_left_out(content, style, weights, edge, levels):
    sizes, settings = [], dict(pyramid=(4, 3), pyramid_factor=2**0.5, pyramid_least=45, max_steps=2)
    settings.update(max_long_edge=edge)
    run(content, style, weights, settings, watch=lambda step, run: sizes.append(run.canvas.shape[3]))
    assert sizes == [size for size, steps in levels for _ in range(steps)]
