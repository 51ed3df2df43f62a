"""Training of vgg19-compact: the loss is what it says, scales come out exactly, a resumed run is the same run."""

import argparse
import inspect
import os

import numpy as np
import pytest
import skimage.io
from numpy_vgg import NumpyVGG, random_parameters

from neural_style._mxnet import mx
from neural_style.cli import distill as cli_distill
from neural_style.errors import ImageError, SettingsError, WeightsError
from neural_style.images.units import RGB_MEANS
from neural_style.networks import vgg
from neural_style.training import crops, distillation, scales, teachers

MEANS = np.array(RGB_MEANS, "float32")
STUDENT = vgg.ARCHITECTURES[scales.STUDENT]
SHAPES = STUDENT.parameter_shapes(teachers.LAYERS)
SETTINGS = dict(batches=8, batch_size=2, crops=(32, 48), lr=0.001, seed=3, reuse=2, every=4, gpu=-1)


@pytest.fixture(scope="module")
def parameters():
    return random_parameters(SHAPES)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A narrow teacher with heads that predict a few channels."""
    rng = np.random.RandomState(1)
    params = random_parameters(SHAPES)
    params["input_weight"] = np.diag([255.0, 255, 255]).reshape((3, 3, 1, 1))
    params["input_bias"] = -MEANS
    # Inputs of about 100 to activations of about 1, as in the normalised VGG-19.
    params["conv1_1_weight"] = params["conv1_1_weight"] / 64
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        head = layer.replace("relu", "head")
        params[f"{head}_weight"] = rng.standard_normal((20, STUDENT.channels(layer), 1, 1))
        params[f"{head}_bias"] = np.zeros(20)
    return _save(tmp_path_factory.mktemp("teacher") / "teacher.params", params)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    rng = np.random.RandomState(2)
    folders = []
    for kind, count in (("a", 40), ("b", 10)):
        folder = tmp_path_factory.mktemp(kind)
        for number in range(count):
            coarse = rng.randint(0, 256, (6, 7, 3)).astype("float32")
            picture = crops.resample(coarse, 60, 70).clip(0, 255).astype("uint8")
            skimage.io.imsave(str(folder / f"{kind}{number}.png"), picture, check_contrast=False)
        folders.append(str(folder))
    return folders


def _save(path, params):
    mx.nd.save(str(path), {f"arg:{name}": mx.nd.array(value) for name, value in params.items()})
    return str(path)


def _train(teacher, folders, output, **settings):
    return distillation.distill([teacher], folders, str(output), **dict(SETTINGS, **settings))


# --- pictures ---


def _names(groups):
    return {os.path.basename(path) for group in groups for path in group}


def test_the_held_out_part_is_disjoint_and_does_not_depend_on_the_folder(folders):
    train, held_out = crops.read_pictures(folders, 64)
    assert [len(a) + len(b) for a, b in zip(train, held_out)] == [40, 10]
    assert not _names(train) & _names(held_out)
    names = _names(train) | _names(held_out)
    assert _names(held_out) == {name for name in names if crops.is_held_out(os.path.join("elsewhere", name))}


def test_copies_of_a_picture_held_out_are_held_out_too(folders, tmp_path):
    _, held_out = crops.read_pictures(folders, 64)
    path, picture = next(iter(held_out[0].items()))
    free = [name for name in ("copy0.png", "copy1.png", "copy2.png", "copy3.png") if not crops.is_held_out(name)]
    smaller = crops.resample(picture.astype("float32"), 40, 50)
    # A copy of that copy, darker and in other proportions; and what has nothing but its mean in common.
    copies = smaller, 0.7 * crops.resample(smaller, 64, 48), np.full((50, 50, 3), picture.mean())
    for name, copy in zip(free, copies):
        skimage.io.imsave(str(tmp_path / name), np.rint(copy).clip(0, 255).astype("uint8"), check_contrast=False)
    train, held_out = crops.read_pictures(folders + [str(tmp_path)], 64)
    assert set(free[:2]) <= _names(held_out) and free[2] in _names(train)


def test_likeness_is_passed_on():
    rng = np.random.RandomState(0)
    first, other = rng.uniform(0, 255, (2, 24, 24, 3))
    # Correlations of 0.93 between neighbours and less than 0.9 between the ends.
    chain = [np.cos(angle) * first + np.sin(angle) * (other - 127) for angle in (0, 0.37, 0.74)]
    found = crops.with_lookalikes(chain + [other], np.array([True, False, False, False]))
    assert found.tolist() == [True, True, True, False]
    found = crops.with_lookalikes([chain[0], chain[2], other], np.array([True, False, False]))
    assert found.tolist() == [True, False, False]


def test_pictures_are_shrunk_to_what_is_of_use(folders):
    train, _ = crops.read_pictures(folders, 48)
    assert {picture.shape for group in train for picture in group.values()} == {(48, 56, 3)}


def test_one_picture_in_twenty_or_so_is_held_out_and_stays_so():
    held_out = [number for number in range(2000) if crops.is_held_out(f"{number}.jpg")]
    assert 70 < len(held_out) < 130
    # Others' figures could not be compared any more if this changed.
    assert held_out[:4] == [7, 18, 46, 54]


def test_a_batch_depends_on_seed_and_number_alone(folders):
    train, _ = crops.read_pictures(folders, 64)
    pictures = crops.Pictures(train)
    first = pictures.batch(5, 7, 4, 32)
    assert first.shape == (4, 3, 32, 32) and first.dtype == np.float32
    assert abs(first).max() <= 255
    pictures.batch(5, 8, 4, 32)
    np.testing.assert_array_equal(pictures.batch(5, 7, 4, 32), first)
    assert abs(pictures.batch(6, 7, 4, 32) - first).max() > 1
    assert abs(pictures.batch(5, 7, 4, 32)[0] - first[1]).max() > 1


def test_resampling_keeps_flat_pictures_flat_and_means_nearly():
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(crops.resample(np.full((9, 14, 3), 7, "float32"), 16, 5), 7, rtol=1e-5)
    picture = rng.uniform(size=(40, 64, 3)).astype("float32")
    small = crops.resample(picture, 10, 16)
    np.testing.assert_allclose(small.mean(), picture.mean(), atol=0.02)
    assert small.std() < picture.std() / 2
    np.testing.assert_allclose(crops.resample(picture, 40, 64), picture, rtol=1e-5, atol=1e-6)


# --- the loss ---


def test_the_loss_and_its_gradient_are_those_of_the_formula(parameters):
    rng, crop, count, c_t = np.random.RandomState(0), 32, 2, 5
    layers = teachers.LAYERS
    data = rng.standard_normal((count, 3, crop, crop)).astype("float32")
    arrays = dict(parameters, data=data)
    features = NumpyVGG(STUDENT.blocks, parameters)
    expected = []
    for layer in layers:
        c_s, side = STUDENT.channels(layer), crop // STUDENT.stride(layer)
        head = rng.standard_normal((c_s, c_t)) / c_s
        target = rng.standard_normal((count, c_t, side, side)) + 0.5
        flat = target.reshape(count, c_t, -1)
        gram = np.einsum("nam,nbm->nab", flat, flat) / side**2
        weight = rng.uniform(1, 2, (count, 1, 1))
        arrays.update({f"{layer}_head": head, f"{layer}_target": target, f"{layer}_gram": gram})
        arrays.update({f"{layer}_weight": weight, f"{layer}_energy": [np.square(target).mean()]})
        guess = np.stack([head.T.dot(features.forward(x)[layer].reshape(c_s, -1)) for x in data])
        expected.append(np.square(flat - guess).mean())
        expected.append(np.square(weight * (np.einsum("nam,nbm->nab", guess, guess) / side**2 - gram)).sum())
    symbol = distillation.loss_symbol(STUDENT, dict.fromkeys(layers, c_t), crop, count)
    arrays = {name: mx.nd.array(arrays[name]) for name in symbol.list_arguments()}
    name = "relu3_1_head"
    gradient = mx.nd.zeros(arrays[name].shape)
    request = {one: "write" if one == name else "null" for one in arrays}
    executor = symbol.bind(mx.cpu(), arrays, args_grad={name: gradient}, grad_req=request)
    outputs = executor.forward(is_train=True)
    np.testing.assert_allclose([output.asscalar() for output in outputs], expected, rtol=1e-3)
    executor.backward([mx.nd.ones(1), mx.nd.full(1, 0.3)] * len(layers))
    direction, step = rng.standard_normal(gradient.shape) * 0.01, 1e-2
    losses = []
    for sign in (1, -1):
        moved = dict(arrays, **{name: arrays[name] + mx.nd.array(sign * step * direction)})
        outputs = symbol.bind(mx.cpu(), moved).forward()
        losses.append(sum(float(output.asscalar()) * factor for output, factor in zip(outputs[4:6], (1, 0.3))))
    np.testing.assert_allclose((losses[0] - losses[1]) / (2 * step), (gradient.asnumpy() * direction).sum(), rtol=0.05)


# --- scale ---


def test_rescaling_multiplies_activations_by_exactly_its_factors(parameters):
    rng = np.random.RandomState(0)
    factors = {"data": 4.0, "relu1_1": rng.uniform(0.5, 3, 16), "relu2_2": 0.25, "relu4_2": rng.uniform(1, 9, 128)}
    image = rng.standard_normal((3, 32, 32))
    scaled = scales.rescale(parameters, factors)
    before = NumpyVGG(STUDENT.blocks, parameters).forward(image)
    after = NumpyVGG(STUDENT.blocks, scaled).forward(image * 4)
    for layer in (name for name in before if name.startswith("relu")):
        factor = np.reshape(factors.get(layer, 1.0), (-1, 1, 1))
        np.testing.assert_allclose(after[layer], before[layer] * factor, rtol=1e-5, atol=1e-5 * before[layer].max())


def test_balance_brings_layers_to_their_spreads(parameters):
    rng = np.random.RandomState(0)
    batches = [rng.standard_normal((2, 3, 32, 32)).astype("float32") * 60 for _ in range(2)]
    balanced = scales.balance(parameters, batches, mx.cpu(), {"relu4_2": 100.0})
    measured = scales.spreads(balanced, teachers.LAYERS, batches, mx.cpu())
    for layer, wanted in dict(scales.SPREADS, relu4_2=100.0).items():
        assert np.sqrt(np.mean(np.square(measured[layer]))) == pytest.approx(wanted, rel=1e-3)
    # The scale of the content layer is nobody else's.
    other = scales.spreads(scales.balance(parameters, batches, mx.cpu()), ["relu5_1"], batches, mx.cpu())
    np.testing.assert_allclose(other["relu5_1"], measured["relu5_1"], rtol=1e-3)


def test_spreads_are_numpys(parameters):
    batch = np.random.RandomState(0).standard_normal((2, 3, 32, 32)).astype("float32")
    layers = ["relu1_1", "relu1_2", "relu4_2"]
    measured = scales.spreads(parameters, layers, [batch], mx.cpu())
    activations = [NumpyVGG(STUDENT.blocks, parameters).forward(image) for image in batch]
    for layer in layers:
        expected = np.stack([one[layer] for one in activations]).std(axis=(0, 2, 3))
        np.testing.assert_allclose(measured[layer], expected, rtol=1e-3, atol=1e-5)


def test_even_channels_leave_the_prediction_as_it_was(parameters):
    rng = np.random.RandomState(0)
    heads = {layer: rng.standard_normal((STUDENT.channels(layer), 7)) for layer in teachers.LAYERS}
    image = rng.standard_normal((3, 32, 32))
    evened = scales.even_out(parameters, heads)
    before, after = (NumpyVGG(STUDENT.blocks, one).forward(image) for one in (parameters, evened))
    for layer, head in heads.items():
        norm = np.linalg.norm(head, axis=1)
        rows = head / (norm / norm.mean())[:, None]
        assert np.ptp(np.linalg.norm(rows, axis=1)) < 1e-6
        guesses = [h.T.dot(f[layer].reshape(len(h), -1)) for h, f in ((head, before), (rows, after))]
        np.testing.assert_allclose(guesses[1], guesses[0], rtol=1e-4, atol=1e-4 * abs(guesses[0]).max())


def test_starting_from_a_narrow_teacher_folds_its_input_away(teacher):
    params = teachers.read_params(teacher)
    image = np.random.RandomState(0).uniform(0, 1, (3, 32, 32))
    mixed = np.einsum("oc,cyx->oyx", params["input_weight"][:, :, 0, 0], image) + params["input_bias"][:, None, None]
    expected = NumpyVGG(STUDENT.blocks, params).forward(mixed)["relu4_2"]
    start = distillation.start_params(teacher, 0)
    student_input = (image * 255 - MEANS[:, None, None]) / distillation.INPUT_SPREAD
    found = NumpyVGG(STUDENT.blocks, start).forward(student_input)["relu4_2"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_channels_that_never_fire_are_drawn_anew_and_nobody_notices(parameters):
    params = {name: value.copy() for name, value in parameters.items()}
    params["conv2_1_bias"][[3, 5]] = -1e4
    params["conv5_1_bias"][7] = -1e4
    batch = np.random.RandomState(0).standard_normal((2, 3, 32, 32)).astype("float32")
    layers = [layer for layer in STUDENT.layers if layer.startswith("relu") and layer <= "relu5_1"]
    spread = scales.spreads(params, layers, [batch], mx.cpu())
    revived = scales.revive(params, spread, 0)
    before, after = (NumpyVGG(STUDENT.blocks, one).forward(batch[0]) for one in (params, revived))
    for layer in layers:
        dead = spread[layer] == 0
        weak = spread[layer] <= 0.01 * np.sqrt(np.mean(np.square(spread[layer])))
        # What hardly fires is taken for dead as well.
        np.testing.assert_allclose(after[layer][~weak], before[layer][~weak], atol=0.02 * before[layer].max())
        assert (before[layer][dead] == 0).all()
        assert not dead.any() or (after[layer][dead].max((1, 2)) > 0).mean() > 0.5
    assert (spread["relu2_1"][[3, 5]] == 0).all() and spread["relu5_1"][7] == 0


# --- training ---


def test_training_learns_and_a_resumed_one_is_the_same_bit_for_bit(teacher, folders, tmp_path):
    whole = _train(teacher, folders, tmp_path / "whole.params", batches=24)
    interrupted = _Interrupted(steps=14)
    with pytest.raises(KeyboardInterrupt), interrupted:
        _train(teacher, folders, tmp_path / "parts.params", batches=24)
    # The last checkpoint is of batch 12, in the middle of a set of kept batches.
    resumed = _train(teacher, folders, tmp_path / "parts.params", batches=24, resume=True)
    assert _bytes(tmp_path / "whole.params") == _bytes(tmp_path / "parts.params")
    checkpoints = [
        distillation.load_checkpoint(str(tmp_path / f"{name}.checkpoint.npz"))[0] for name in ("whole", "parts")
    ]
    assert checkpoints[0].keys() == checkpoints[1].keys()
    for name, value in checkpoints[0].items():
        np.testing.assert_array_equal(value, checkpoints[1][name], err_msg=name)
    assert resumed["loss"] == whole["loss"]
    start = _train(teacher, folders, tmp_path / "start.params", batches=1, lr=1e-9)
    assert whole["loss"] < 0.97 * start["loss"]
    assert not [name for name in os.listdir(str(tmp_path)) if name.startswith(".")]


class _Interrupted:
    """Ctrl-C after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __enter__(self):
        self.learn = distillation.Trainer.learn
        count = iter(range(self.steps))

        def learn(trainer, lesson):
            if next(count, None) is None:
                raise KeyboardInterrupt
            return self.learn(trainer, lesson)

        distillation.Trainer.learn = learn

    def __exit__(self, *_):
        distillation.Trainer.learn = self.learn


def _bytes(path):
    return path.read_bytes()


def test_what_is_written_fits_the_network_at_its_scale(teacher, folders, tmp_path):
    _train(teacher, folders, tmp_path / "out.params", batches=1)
    params = teachers.read_params(str(tmp_path / "out.params"))
    assert {name: value.shape for name, value in params.items()} == dict(SHAPES)
    assert os.path.getsize(str(tmp_path / "out.params")) < 4 * 2**20
    train, _ = crops.read_pictures(folders, 64)
    batch = crops.Pictures(train).batch(0, 0, 16, 48, noisy=0)
    for layer, values in scales.spreads(params, teachers.LAYERS, [batch], mx.cpu()).items():
        assert 0.5 < np.sqrt(np.mean(np.square(values))) / scales.SPREADS[layer] < 2


def test_a_teacher_that_is_the_student_is_understood_from_the_start(teacher, folders, tmp_path):
    alone = _train(teacher, folders, tmp_path / "a.params", batches=1, lr=1e-9)
    alike = _train(teacher, folders, tmp_path / "b.params", batches=1, lr=1e-9, start=teacher)
    layer = teachers.LAYERS.index("relu1_1")
    assert alike["errors"][:, 0].mean() < alone["errors"][:, 0].mean()
    assert alike["errors"][layer, 0] < 0.5


def test_full_vgg19_weights_teach_what_they_reach(tmp_path, teacher):
    vgg19 = vgg.ARCHITECTURES["vgg19"]
    params = random_parameters(vgg19.parameter_shapes(["relu2_1"]))
    cut = _save(tmp_path / "cut.params", params)
    image = np.random.RandomState(0).standard_normal((1, 3, 32, 32)).astype("float32")
    faculty = teachers.Faculty([cut, teacher], mx.cpu())
    assert [layers for _, layers in faculty.lessons] == [
        ["relu1_1", "relu2_1"],
        ["relu3_1", "relu4_1", "relu4_2", "relu5_1"],
    ]
    expected = NumpyVGG(vgg19.blocks[:2], params).forward(image[0])
    for _ in range(2):
        seen = faculty.look(image)
        for layer in ("relu1_1", "relu2_1"):
            np.testing.assert_allclose(seen[layer].asnumpy()[0], expected[layer], rtol=1e-3, atol=1e-3)
    assert faculty.channels["relu2_1"] == 128 and faculty.channels["relu5_1"] == 20
    # No head for the content layer: the narrow teacher's own activation.
    assert faculty.channels["relu4_2"] == 128


# --- what goes wrong ---


def test_teachers_that_cannot_teach(tmp_path, folders, teacher):
    vgg19 = vgg.ARCHITECTURES["vgg19"]
    shallow = _save(tmp_path / "shallow.params", random_parameters(vgg19.parameter_shapes(["relu1_1"])))
    nothing = _save(tmp_path / "nothing.params", {"fc6_weight": np.zeros((2, 2))})
    wrong = _save(tmp_path / "wrong.params", random_parameters(SHAPES))
    damaged = tmp_path / "damaged.params"
    damaged.write_bytes(b"not parameters")
    for path, message in (
        (shallow, "nobody teaches relu2_1, relu3_1, relu4_1, relu4_2, relu5_1; name another teacher"),
        (nothing, "not a teacher"),
        (wrong, "conv1_1_weight has shape"),
        (str(damaged), "not a"),
        (str(tmp_path / "missing.params"), "does not exist"),
    ):
        with pytest.raises(WeightsError, match=message):
            _train(path, folders, tmp_path / "out.params")
    with pytest.raises(WeightsError, match="cannot start from it; conv1_1_weight has shape"):
        _train(teacher, folders, tmp_path / "out.params", start=shallow)


def test_folders_without_enough_pictures(tmp_path, teacher):
    with pytest.raises(ImageError, match="cannot be read"):
        _train(teacher, [str(tmp_path / "missing")], tmp_path / "out.params")
    with pytest.raises(ImageError, match="no pictures in it"):
        _train(teacher, [str(tmp_path)], tmp_path / "out.params")
    skimage.io.imsave(str(tmp_path / "one.png"), np.zeros((40, 40, 3), "uint8"), check_contrast=False)
    with pytest.raises(ImageError, match="too few different pictures"):
        _train(teacher, [str(tmp_path)], tmp_path / "out.params")


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"batches": 0}, "batches is 0"),
        ({"lr": -1.0}, "learning rate"),
        ({"crops": (40,)}, "multiple of 16"),
        ({"crops": ()}, "multiple of 16"),
        ({"every": 0}, "every is 0"),
    ],
)
def test_settings_that_make_no_sense(setting, message, tmp_path, teacher, folders):
    with pytest.raises(SettingsError, match=message):
        _train(teacher, folders, tmp_path / "out.params", **setting)


def test_checkpoints_that_cannot_be_resumed(tmp_path, teacher, folders):
    output = tmp_path / "out.params"
    with pytest.raises(WeightsError, match="cannot be read"):
        _train(teacher, folders, output, resume=True)
    checkpoint = tmp_path / "out.checkpoint.npz"
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        _train(teacher, folders, output, resume=True)
    _train(teacher, folders, output, batches=1)
    with pytest.raises(SettingsError, match="lr 0.001 instead of 0.002"):
        _train(teacher, folders, output, lr=0.002, resume=True)


def test_the_command_line_has_the_defaults_of_the_function(monkeypatch):
    parser = argparse.ArgumentParser()
    cli_distill.add_arguments(parser)
    calls = []

    def record(*args, **settings):
        calls.append((args, settings))
        return {"step": 1, "loss": 0.5}

    monkeypatch.setattr(cli_distill, "distill", record)
    args = parser.parse_args("--teacher t --teacher u --images i --output o --crop 128 --crop 192 --crop 256".split())
    assert args.run(args) == 0
    args = parser.parse_args("--teacher t --images i --images j --output o --crop 48 --lr 1 --resume".split())
    assert args.run(args) == 0
    defaults = {name: p.default for name, p in inspect.signature(distillation.distill).parameters.items()}
    assert calls[0][0] == (["t", "u"], ["i"], "o")
    assert calls[0][1] == {name: value for name, value in list(defaults.items())[3:]}
    assert calls[1][0] == (["t"], ["i", "j"], "o")
    assert calls[1][1]["crops"] == (48,) and calls[1][1]["lr"] == 1 and calls[1][1]["resume"]
