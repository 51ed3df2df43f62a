"""Compressing a narrow network: what is minimised, what is held out, what is resumed and what is written."""

import os
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
import skimage.io
from numpy_vgg import NumpyVGG, random_parameters

from neural_style._mxnet import mx
from neural_style.errors import CheckpointError, ImageError, OutputError, SettingsError, WeightsError
from neural_style.networks import vgg
from neural_style.networks.graph import POOLINGS
from neural_style.training import compression, crops, low_rank
from neural_style.training.settings import CompressionSettings
from neural_style.weights.params_file import read_index, read_parameters, save_weights

THIN = vgg.Architecture("thin", ((2, 16), (1, 16), (2, 24), (2, 24), (1, 16)))
SETTINGS = dict(time=1.5, numbers=60000, batches=6, rate=0.003, crop=64, seed=3, evaluate_every=4, gpu=-1)


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    """A narrow network beside VGG's, and less of everything."""
    monkeypatch.setitem(vgg.ARCHITECTURES, "thin", THIN)
    lowrank = vgg.Architecture("thin-lowrank", THIN.blocks, low_rank=True)
    monkeypatch.setitem(vgg.ARCHITECTURES, "thin-lowrank", lowrank)
    for name, value in (("_FITTED", 8), ("_HELD_OUT", 3), ("_PAIRS", 2), ("_KEPT_AFTER", (1, 2))):
        monkeypatch.setattr(compression, name, value)
    monkeypatch.setattr(low_rank, "_MULTIPLE", 8)
    return lowrank


@pytest.fixture(scope="module")
def arrays():
    arrays = random_parameters(THIN.parameter_shapes(THIN.layers))
    # Inputs of about 100 to activations of about 1.
    arrays["conv1_1_weight"] /= 64
    return arrays


@pytest.fixture(scope="module")
def weights(tmp_path_factory, arrays):
    path = str(tmp_path_factory.mktemp("weights") / "thin.params")
    save_weights(path, arrays)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Photographs and paintings, some of either held out."""
    rng, folders = np.random.RandomState(2), []
    for kind in ("photos", "paintings"):
        folder = tmp_path_factory.mktemp(kind)
        for number in range(25):
            picture = crops.resample(rng.randint(0, 256, (9, 11, 3)).astype("float32"), 90, 110)
            path = str(folder / f"{kind}{number}.png")
            skimage.io.imsave(path, picture.clip(0, 255).astype("uint8"), check_contrast=False)
        folders.append(str(folder))
    return folders


def make(weights, folders, output, **settings):
    settings = dict(SETTINGS, **settings)
    own = {field.name: settings.pop(field.name) for field in fields(CompressionSettings)}
    return compression.Compression(weights, folders, str(output), settings=CompressionSettings(**own), **settings)


def test_what_is_written_is_half_precision_of_the_network_and_better_than_the_start(weights, folders, tmp_path, caplog):
    caplog.set_level("INFO", "neural_style")
    best = make(weights, folders, tmp_path / "a.params", batches=40, evaluate_every=20).run()
    index = read_index(tmp_path / "a.params")
    assert {entry.dtype for entry in index.values()} == {"<f2"}
    network = vgg.ARCHITECTURES["thin-lowrank"].fitted(index)
    assert {name: entry.shape for name, entry in index.items()} == network.parameter_shapes(["pool5"])
    assert sum(np.prod(entry.shape) for entry in index.values()) < SETTINGS["numbers"]
    assert best["complete"] and best["batch"] > 0 and list(best["errors"])[0] == "relu1_2" and len(best["errors"]) == 7
    before, after = np.swapaxes(list(best["errors"].values()), 0, 1)
    assert (after[:, 0] / before[:, 0]).mean() < 0.95
    lines = [record.getMessage() for record in caplog.records]
    assert not [line for line in lines if "computed whole" in line or "epoch" in line]
    assert sorted(os.listdir(str(tmp_path))) == ["a.params", "a.state.npz"]
    # What it starts from is measured like what came out before.
    again = make(weights, folders, tmp_path / "b.params", start=str(tmp_path / "a.params"), batches=1, rate=1e-9).run()
    first = np.array(list(again["errors"].values()))[:, 0]
    np.testing.assert_allclose(first, after, rtol=0.02)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_errors_are_those_of_the_formula(weights, folders, tmp_path, arrays, pooling):
    task = make(weights, folders, tmp_path / "a.params")._task
    lowrank = {name: array.asnumpy() for name, array in (*task.parameters.items(), *task.fixed.items())}
    crop = crops.Crops(crops.read_images(folders, 128)[0]).batch(9, 9, 1, 64)
    comparison = task.comparisons[POOLINGS.index(pooling)]
    found = comparison.errors(comparison.prepare(crop), train=False)
    full, near = (NumpyVGG(THIN.blocks, one, pooling).forward(crop[0]) for one in (arrays, lowrank))
    for i, layer in enumerate(task.layers):
        mean_square = np.square(full[layer] - near[layer]).mean()
        assert found[i, 0] == pytest.approx(mean_square / comparison.variances[i], rel=1e-3)
        grams = [np.einsum("ayx,byx->ab", one[layer], one[layer]) / one[layer][0].size for one in (full, near)]
        error = np.square(grams[0] - grams[1]).sum()
        energy = np.square(grams[0]).sum() + compression._GUARD * comparison._usual[i]
        assert found[i, 1] == pytest.approx(error / energy, rel=1e-3)


@pytest.mark.parametrize("number", range(len(POOLINGS)))
def test_the_gradient_is_that_of_finite_differences(weights, folders, tmp_path, number):
    task = make(weights, folders, tmp_path / "a.params")._task
    loss, gradients = task.gradients(number)
    gradients = {name: gradient.asnumpy().astype("float64") for name, gradient in gradients.items()}
    rng = np.random.RandomState(0)
    for name in (
        "conv1_2_in_weight",
        "conv3_2_core_weight",
        "conv4_1_out_weight",
        "conv3_1_bias",
        "conv5_1_core_weight",
    ):
        direction = np.sign(gradients[name]) * rng.uniform(0.5, 1, gradients[name].shape) * task.scales[name]
        start, losses = task.parameters[name].asnumpy(), []
        for step in (0.002, -0.002):
            task.parameters[name][:] = mx.nd.array(start + step * direction)
            losses.append(task.gradients(number)[0])
        task.parameters[name][:] = mx.nd.array(start)
        assert (losses[0] - losses[1]) / 0.004 == pytest.approx((gradients[name] * direction).sum(), rel=0.02), name
    assert task.gradients(number)[0] == loss


def test_resumed_it_is_the_uninterrupted_one_bit_for_bit(weights, folders, tmp_path, monkeypatch):
    whole = make(weights, folders, tmp_path / "whole.params").run()
    interrupt = threading.Event()
    gradients = compression._Task.gradients

    def interrupted(task, number):
        if number == 2:
            interrupt.set()
        return gradients(task, number)

    monkeypatch.setattr(compression._Task, "gradients", interrupted)
    half = make(weights, folders, tmp_path / "parts.params").run(interrupt)
    assert not half["complete"] and (tmp_path / "parts.params").exists()
    monkeypatch.setattr(compression._Task, "gradients", gradients)
    monkeypatch.setattr(compression, "_factorise", None)
    monkeypatch.setattr(compression, "_images_on_their_way", None)
    rest = make(weights, folders, tmp_path / "parts.params", resume=True).run()
    assert rest["complete"] and rest["loss"] == whole["loss"]
    assert (tmp_path / "whole.params").read_bytes() == (tmp_path / "parts.params").read_bytes()
    with np.load(str(tmp_path / "whole.state.npz")) as one, np.load(str(tmp_path / "parts.state.npz")) as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_training_from_a_start_is_resumed_bit_for_bit_too(weights, folders, tmp_path):
    start = str(tmp_path / "start.params")
    make(weights, folders, start, batches=1).run()
    make(weights, folders, tmp_path / "whole.params", start=start).run()
    interrupt = threading.Event()
    interrupt.set()
    make(weights, folders, tmp_path / "parts.params", start=start).run(interrupt)
    make(weights, folders, tmp_path / "parts.params", start=start, resume=True).run()
    assert (tmp_path / "whole.params").read_bytes() == (tmp_path / "parts.params").read_bytes()


def test_ranks_that_are_named_replace_those_of_the_start(weights, folders, tmp_path, arrays):
    start = str(tmp_path / "start.params")
    ranks = {"conv3_1": (8, 16), "conv4_1": (16, 16), "conv5_1": (8, 8)}
    make(weights, folders, start, batches=1, ranks=ranks).run()
    # One is narrower than before and factorised anew, one is wider, and one has these ranks already.
    named = {"conv3_1": (5, 17), "conv4_1": (20, 16), "conv5_1": (8, 8)}
    made = make(weights, folders, tmp_path / "a.params", start=start, ranks=named)
    before = read_parameters(
        start, vgg.ARCHITECTURES["thin-lowrank"].fitted(read_index(start)).parameter_shapes(["relu5_1"])
    )
    changed = set()
    for name, array in made._task.parameters.items():
        layer, _, part = name.partition("_core_weight")
        if name.endswith("_core_weight") and layer in named:
            assert array.shape[1::-1] == named[layer]
        if array.shape != before[name].shape or not np.array_equal(array.asnumpy(), before[name]):
            changed.add(name.split("_")[0] + "_" + name.split("_")[1])
    assert changed == {"conv3_1", "conv4_1"}
    made.run()
    with pytest.raises(CheckpointError, match="ranks"):
        make(weights, folders, tmp_path / "a.params", start=start, ranks={"conv3_1": (5, 10)}, resume=True)


def test_a_wider_network_begins_as_the_start_is_and_all_of_it_learns(weights, folders, tmp_path):
    start = str(tmp_path / "start.params")
    make(weights, folders, start, batches=1, ranks={"conv4_1": (16, 16), "conv4_2": (16, 16)}).run()
    same = make(weights, folders, tmp_path / "a.params", start=start)
    ranks, often = {"conv4_1": (20, 22), "conv4_2": (24, 16)}, {"batches": 40, "evaluate_every": 20}
    wider = make(weights, folders, tmp_path / "b.params", start=start, ranks=ranks, **often)
    np.testing.assert_allclose(wider._task.first_errors, same._task.first_errors, rtol=1e-4, atol=1e-7)
    begun = {name: array.asnumpy() for name, array in wider._task.parameters.items()}
    wider.run()
    for name in ("conv4_1_in_weight", "conv4_1_core_weight", "conv4_1_out_weight", "conv4_2_core_weight"):
        changed = (wider._task.parameters[name].asnumpy() != begun[name]).mean()
        assert changed > 0.9, name


def test_ranks_that_are_named_replace_those_that_the_limits_give(weights, folders, tmp_path):
    made = make(weights, folders, tmp_path / "a.params", ranks={"conv3_1": (5, 11)})
    assert made._task.parameters["conv3_1_core_weight"].shape == (11, 5, 3, 3)
    for layer, message in (
        ("conv1_1", "no convolution with ranks; choose from conv1_2, "),
        ("conv3_1", "1 to 16 and 24"),
    ):
        with pytest.raises(SettingsError, match=message):
            make(weights, folders, tmp_path / "b.params", ranks={layer: (5, 25)})


def test_images_held_out_are_never_trained_on(weights, folders, tmp_path, monkeypatch):
    seen = []

    class Recorded(crops.Crops):
        def __init__(self, groups):
            seen.append({os.path.basename(path) for group in groups for path in group})
            super().__init__(groups)

    monkeypatch.setattr(compression, "Crops", Recorded)
    make(weights, folders, tmp_path / "a.params").run()
    # The factorisation; contents and styles of the images on their way; the training; the evaluations.
    *trained, evaluated = seen
    assert len(trained) == 4 and evaluated == {name for folder in folders for name in os.listdir(folder)} - trained[0]
    assert evaluated and not evaluated & set.union(*trained)


def test_images_on_their_way_are_among_those_trained_on(weights, folders, tmp_path):
    task = make(weights, folders, tmp_path / "a.params")._task
    kept = task.state()["on_their_way"]
    # One of the first pair, which is optimised by fast, and two of the second, by paint.
    assert kept.shape == (3, 3, 64, 64) and kept.dtype == np.float16
    batches = [task._batch(number) for number in range(60)]
    on_their_way = [any((batch[0] == one).all() for one in kept) for batch in batches]
    assert 10 < sum(on_their_way) < 30
    np.testing.assert_array_equal(task._batch(7), batches[7])


# What goes wrong.


def failing(error, match, *arguments, **settings):
    with pytest.raises(error, match=match) as raised:
        make(*arguments, **settings)
    assert "\n" not in str(raised.value)


@pytest.fixture
def quick(monkeypatch):
    """Fail if anything that takes long is begun."""
    monkeypatch.setattr(compression, "read_images", None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 72}, "the crop is 72; it must be a multiple of 16 and at least 64"),
        ({"crop": 48}, "the crop is 48"),
        ({"batches": 0}, "batches is 0"),
        ({"rate": -1.0}, "the learning rate is -1.0"),
        ({"evaluate_every": 0}, "evaluate every is 0"),
        ({"seed": -1}, "the seed is -1; it must be 0 or more"),
        ({"time": 0.1}, "the time of a step is 0.1; the smallest ranks take"),
        ({"time": float("nan")}, "the time of a step is nan"),
        ({"numbers": 100}, "at most 100 parameters are allowed; the smallest ranks have"),
        ({"model": "vgg11"}, "'vgg11' is no network that can be compressed; choose from vgg19, vgg16"),
        ({"model": "vgg16-lowrank"}, "'vgg16-lowrank' is no network that can be compressed"),
    ],
)
def test_settings_that_make_no_sense(settings, message, weights, tmp_path, quick):
    failing(SettingsError, message, weights, ["nowhere"], tmp_path / "a.params", **settings)


def test_weights_that_cannot_be_compressed(weights, tmp_path, arrays, thin, quick):
    cut, compressed, none = (str(tmp_path / name) for name in ("cut.params", "lowrank.params", "none.params"))
    save_weights(cut, {name: arrays[name] for name in list(arrays)[:6]})
    lowrank = replace(thin, ranks=((8, 8),) * 7)
    save_weights(compressed, random_parameters(lowrank.parameter_shapes(["pool5"])))
    save_weights(none, {"x": np.ones(3)})
    output, folders = tmp_path / "a.params", ["nowhere"]
    failing(WeightsError, "no parameter conv3_1_weight", cut, folders, output)
    failing(WeightsError, "does not hold the weights of a full network; choose", compressed, folders, output)
    failing(WeightsError, "does not hold the weights of a full network; choose", none, folders, output)
    failing(WeightsError, "does not exist", str(tmp_path / "missing.params"), folders, output)
    failing(WeightsError, "conv1_2_in_weight.*another network", weights, folders, output, start=weights)
    failing(WeightsError, "no parameter conv1_2_weight", compressed, folders, output, model="thin")


def test_outputs_are_tried_before_anything_is_computed(weights, tmp_path, quick):
    (tmp_path / "file").touch()
    folders, blocked = ["nowhere"], str(tmp_path / "file" / "a.params")
    failing(OutputError, "a.params: cannot be written", weights, folders, blocked)
    failing(OutputError, "is a folder", weights, folders, tmp_path)
    failing(OutputError, "a.params: cannot be written", weights, folders, tmp_path / "b.params", state_file=blocked)
    failing(OutputError, "another file of this run has this name", weights, folders, weights)
    failing(
        OutputError,
        "another file of this run has this name",
        weights,
        folders,
        tmp_path / "b.params",
        state_file=weights,
    )
    same = str(tmp_path / "b.params")
    failing(OutputError, "another file of this run has this name", weights, folders, same, state_file=same)
    assert os.listdir(str(tmp_path)) == ["file"]


def test_folders_with_too_few_images(weights, folders, tmp_path):
    failing(ImageError, "cannot be read", weights, [str(tmp_path / "missing")], tmp_path / "a.params")
    few = tmp_path / "few"
    few.mkdir()
    name = next(f"{i}.png" for i in range(100) if crops.is_held_out(f"{i}.png"))
    picture = np.random.RandomState(0).randint(0, 256, (80, 80, 3)).astype("uint8")
    skimage.io.imsave(str(few / name), picture, check_contrast=False)
    for both in ([str(few), folders[0]], [folders[0], str(few)]):
        failing(ImageError, f"{few}: all of its images are held out", weights, both, tmp_path / "a.params")


def test_states_that_cannot_be_resumed(weights, folders, tmp_path):
    output, state = tmp_path / "a.params", tmp_path / "a.state.npz"
    arguments = weights, folders, output
    failing(CheckpointError, "cannot be read", *arguments, resume=True)
    state.write_bytes(b"no state")
    failing(CheckpointError, "not the state of a training", *arguments, resume=True)
    failing(OutputError, "a.state.npz: is there already and is no state of this program", *arguments)
    state.unlink()
    make(*arguments, batches=1).run()
    failing(CheckpointError, "begun with other settings .rate 0.003 instead of 0.1", *arguments, resume=True, rate=0.1)
    failing(CheckpointError, "folders .*instead of", weights, folders[:1], output, resume=True)
    with np.load(str(state)) as file:
        whole = {name: file[name] for name in file.files}
    wrong = {
        "now:conv1_2_in_weight": [None, np.ones((8, 7, 1, 1), "float32")],
        "now:conv3_1_core_weight": [None, whole["now:conv3_1_core_weight"] * np.nan],
        "task:first_errors": [None, np.zeros((2, 2))],
        "task:on_their_way": [None, np.zeros(3), np.array(1.0), np.zeros((0, 3, 64, 64))],
        "task:scales": [None, np.zeros(1), np.array(["a"] * 28)],
    }
    for name, values in wrong.items():
        for value in values:
            changed = dict(whole, **{name: value})
            np.savez(str(state), **{key: array for key, array in changed.items() if array is not None})
            failing(
                CheckpointError, "a.state.npz: the state of the training is damaged; begin", *arguments, resume=True
            )


def test_read_back_it_computes_what_was_trained(weights, folders, tmp_path):
    made = make(weights, folders, tmp_path / "a.params")
    made.run()
    network = vgg.ARCHITECTURES["thin-lowrank"].fitted(read_index(tmp_path / "a.params"))
    arrays = read_parameters(tmp_path / "a.params", network.parameter_shapes(["relu5_1"]))
    crop = np.random.RandomState(0).uniform(-100, 100, (1, 3, 64, 64)).astype("float32")
    trained = {name: array.asnumpy() for name, array in (*made._task.parameters.items(), *made._task.fixed.items())}
    one, other = (NumpyVGG(THIN.blocks, values).forward(crop[0])["relu5_1"] for values in (arrays, trained))
    np.testing.assert_allclose(one, other, atol=0.005 * other.max())
