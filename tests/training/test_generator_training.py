"""Training generators: the objective is an optimisation's, resumed is the same, and MXNet loads what comes out."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import random_generators
import skimage.io
from numpy_vgg import random_parameters

from neural_style._mxnet import mx
from neural_style.cli.main import main
from neural_style.errors import CheckpointError, SettingsError, WeightsError
from neural_style.executors import bind
from neural_style.images.units import get_unit, to_network
from neural_style.networks.generators import GENERATORS
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.objective.objective import Objective
from neural_style.recipes.presets import get_recipe
from neural_style.training import any_style, crops, one_style
from neural_style.training.any_style import AnyStyleTraining, densify
from neural_style.training.one_style import OneStyleTraining, new_parameters
from neural_style.training.settings import TrainingSettings
from neural_style.transfer.compute import Compute
from neural_style.transfer.stylize import stylize
from neural_style.weights.generators import read_generator
from neural_style.weights.params_file import save_weights

SMALL = dict(batches=4, batch_size=2, crop=64, seed=3, evaluate_every=2)


@pytest.fixture(autouse=True)
def small(monkeypatch, lowrank_alone):
    """A network of small ranks to compare with, and less to evaluate."""
    monkeypatch.setattr(any_style, "_HELD_OUT", 1)
    monkeypatch.setattr(one_style, "_HELD_OUT", 1)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders of images that look alike in no way, one of which is held out of each."""
    random = np.random.RandomState(1)
    for name in ("photos", "paintings"):
        (tmp_path / name).mkdir()
        for number in range(4):
            image = random.randint(0, 256, (6, 8, 3)).repeat(16, 0).repeat(12, 1).astype("uint8")
            skimage.io.imsave(str(tmp_path / name / f"{number}.png"), image, check_contrast=False)
    monkeypatch.setattr(crops, "is_held_out", lambda path: path.endswith("2.png"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def one(output, interrupt=None, resume=False, report=None, **changed):
    settings, more = TrainingSettings(**{**SMALL, **changed}), dict(resume=resume, gpu=-1, report=report)
    training = OneStyleTraining("paintings/0.png", "photos", output, settings, width=2, **more)
    return training.run(interrupt)


def any_(output, interrupt=None, resume=False, report=None, **changed):
    settings, more = TrainingSettings(**{**SMALL, **changed}), dict(resume=resume, gpu=-1, report=report)
    training = AnyStyleTraining("start.params", "photos", "paintings", output, settings, **more)
    return training.run(interrupt)


class After(threading.Event):
    """Is set after so many questions."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def is_set(self):
        self.count -= 1
        return self.count < 0


@pytest.fixture
def start(folders):
    save_weights("start.params", random_generators.random_microast())


@pytest.mark.parametrize("kind, suffix", [(one, "-0000.params"), (any_, ".params")])
def test_a_training_killed_five_times_and_resumed_is_the_same(start, kind, suffix):
    assert kind("whole", batches=6)["complete"]
    assert not kind("parts", After(1), batches=6)["complete"]
    for _ in range(4):
        assert not kind("parts", After(1), resume=True, batches=6)["complete"]
    assert kind("parts", resume=True, batches=6)["complete"]
    whole, parts = (np.load(name + ".state.npz") for name in ("whole", "parts"))
    assert any(name.startswith("square:") for name in whole.files)
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], parts[name])
    assert read_generator("whole" + suffix)[1].keys() == read_generator("parts" + suffix)[1].keys()


@pytest.mark.parametrize("kind", [one, any_])
def test_another_training_is_not_resumed(start, kind):
    kind("a", After(1))
    with pytest.raises(CheckpointError, match="begun with other settings .seed 3 instead of 4"):
        kind("a", resume=True, seed=4)


def test_the_loss_becomes_smaller(folders):
    losses = []
    settings = TrainingSettings(batches=30, rate=0.02, batch_size=1, crop=64, evaluate_every=30)
    training = OneStyleTraining("paintings/0.png", "photos", "a", settings, width=4, gpu=-1)
    losses.append(training._task.evaluate()[0])
    losses.append(training.run()["loss"])
    assert losses[1] < 0.9 * losses[0]


def test_the_loss_of_a_batch_is_the_objective_of_its_pictures(folders):
    settings = TrainingSettings(**SMALL)
    training = OneStyleTraining("paintings/0.png", "photos", "a", settings, width=2, gpu=-1)
    task = training._task
    contents = task._crops(0, 5)
    loss, gradients = task.gradients(5)
    pictures = bind(GENERATORS["transformer_net"].build(task.parameters), {"data": contents}, task.parameters, mx.cpu())
    pictures = pictures.forward(is_train=False)[0]
    style = skimage.io.imread("paintings/0.png") / 255.0
    from neural_style.images.sizing import long_edge_size, resize

    size = long_edge_size(style.shape, 128)
    style = to_network(resize((style * 255).astype("uint8"), size), 255, get_unit("levels"))
    values = []
    for i in range(2):
        losses, weights = task._objective._losses, task._objective._computation.parameters
        alone = Objective(losses, weights, contents[i : i + 1], [(style, 1.0)], pictures[i : i + 1], tile_size=0)
        values.append(alone.evaluate().loss)
    # Relative losses of a batch are relative to its mean, so that they agree only nearly.
    assert loss == pytest.approx(np.mean(values), rel=0.1)
    assert all(np.isfinite(gradient.asnumpy()).all() for gradient in gradients.values())


def test_what_is_trained_is_the_generator_that_is_written(folders):
    training = OneStyleTraining("paintings/0.png", "photos", "a", TrainingSettings(**SMALL), width=2, gpu=-1)
    task, head = training._task, mx.nd.array(np.random.RandomState(0).standard_normal((2, 3, 64, 64)))
    contents = task._crops(0, 5)
    task._data[:] = contents
    trained = task._executor.forward(is_train=True)[0].asnumpy()
    task._executor.backward([head])
    gradients = {name: mx.nd.zeros_like(array) for name, array in task.parameters.items()}
    written = bind(
        GENERATORS[task.kind].build(task.parameters), {"data": contents}, task.parameters, mx.cpu(), gradients=gradients
    )
    np.testing.assert_allclose(trained, written.forward(is_train=True)[0].asnumpy(), atol=0.01)  # grey levels
    written.backward([head])
    for name, gradient in gradients.items():
        expected = gradient.asnumpy()
        # A term before another normalisation has no effect; its gradient is rounding.
        largest = np.abs(expected).max()
        tolerance = max(0.01, 1e-3 * largest)
        np.testing.assert_allclose(task._gradients[name].asnumpy(), expected, rtol=0, atol=tolerance, err_msg=name)
        assert largest > 1 or name.endswith("_conv2_norm_beta"), name


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) >= "2.0.0", reason="MXNet alone needs a NumPy before 2")
def test_mxnet_alone_loads_what_comes_out(folders):
    one("a")
    kind, parameters = read_generator("a-0000.params")
    assert kind.name == "transformer_net" and parameters["transformer_net_conv1_weight"].shape == (2, 3, 9, 9)
    content = np.random.RandomState(0).uniform(0, 255, (1, 3, 40, 48)).astype("float32")
    np.save("content.npy", content)
    code = (
        "import numpy, sys; numpy.bool = bool; import mxnet as mx\n"
        "module = mx.mod.Module.load('a', 0, data_names=['data'], label_names=None)\n"
        "module.bind([('data', (1, 3, 40, 48))], for_training=False)\n"
        "module.forward(mx.io.DataBatch([mx.nd.array(numpy.load('content.npy'))], None))\n"
        "numpy.save('picture.npy', module.get_outputs()[0].asnumpy())\n"
        "print([name for name in sys.modules if name.startswith('neural_style')])"
    )
    answer = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "[]", answer.stderr
    others = {name: mx.nd.array(value) for name, value in parameters.items()}
    expected = bind(kind.build(parameters), {"data": mx.nd.array(content)}, others, mx.cpu()).forward(is_train=False)
    np.testing.assert_allclose(np.load("picture.npy"), expected[0].asnumpy(), atol=0.01)


def test_dense_convolutions_compute_what_those_in_groups_compute():
    grouped = random_generators.random_microast()
    dense, kind = densify(grouped), GENERATORS["microast"]
    assert dense["microast_decoder_conv5_weight"].shape == (8, 16, 3, 3)
    random = np.random.RandomState(0)
    inputs = {name: random.rand(1, 3, 24, 32).astype("float32") for name in ("data", "style")}
    pictures = []
    for parameters in (grouped, dense, densify(dense)):
        symbol = kind.build(parameters)(code=kind.build_encoder(parameters))
        arrays = {name: mx.nd.array(value) for name, value in {**inputs, **parameters}.items()}
        pictures.append(bind(symbol, arrays, {}, mx.cpu()).forward(is_train=False)[0].asnumpy())
    np.testing.assert_allclose(pictures[1], pictures[0], atol=1e-6)
    np.testing.assert_array_equal(pictures[2], pictures[1])


def test_the_gradients_of_any_style_are_those_of_finite_differences(start):
    settings = TrainingSettings(**SMALL)
    task = AnyStyleTraining("start.params", "photos", "paintings", "a", settings, gpu=-1)._task
    contents, styles, own = task._crops(task._training, 1)
    own[0], styles[0] = 1, contents[0]

    def loss():
        found = task._comparison.compute(contents, styles, own, train=True)
        assert all(value > 0 for value in found.values())
        return sum(found.values())

    loss()
    random, values, length = np.random.RandomState(1), [], 2e-3
    before = {name: array.asnumpy() for name, array in task.parameters.items()}
    direction = {name: random.standard_normal(value.shape) * task.scales[name] for name, value in before.items()}
    expected = sum(float((task._gradients[name].asnumpy() * step).sum()) for name, step in direction.items())
    for sign in (1, -1):
        for name, value in before.items():
            task.parameters[name][:] = mx.nd.array(value + sign * length * direction[name])
        values.append(loss())
    assert (values[0] - values[1]) / (2 * length) == pytest.approx(expected, rel=0.05)


def test_the_grid_is_what_repeats_from_cell_to_cell():
    rng = np.random.RandomState(0)
    natural = rng.rand(1, 3, 64, 64).astype("float32")
    dots = np.tile(rng.rand(4, 4) - 0.5, (16, 16)).astype("float32")
    dots -= dots.mean()
    symbol = any_style._grid(mx.sym.Variable("data"))
    found = [
        bind(symbol, {"data": mx.nd.array(picture)}, {}, mx.cpu()).forward(is_train=False)[0].asscalar()
        for picture in (natural * 0 + dots, natural, natural * 0 + 0.3)
    ]
    assert found[0] == pytest.approx((dots**2).mean(), rel=1e-4)
    assert found[1] < 0.05 * natural.var() and found[2] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind, suffix", [(one, "-0000.params"), (any_, ".params")])
def test_the_report_has_pictures_on_the_way_and_changes_nothing(start, kind, suffix):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    kind("without")
    kind("whole", report="whole.html")
    kind("parts", After(3), report="parts.html")
    kind("parts", resume=True, report="parts.html")
    without, whole, parts = (np.load(name + ".state.npz") for name in ("without", "whole", "parts"))
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], parts[name])
        if not name.startswith("journal:"):
            np.testing.assert_array_equal(whole[name], without[name])
    assert [name for name in whole.files if name.startswith("journal:picture")] == [
        f"journal:picture-{number}" for number in (0, 2, 4)
    ]
    page, again = (open(f"{name}.html", "rb").read() for name in ("whole", "parts"))
    assert page == again and b"after 2 batches" in page


def test_pictures_on_the_way_are_what_the_generator_makes(start):
    settings, more = TrainingSettings(**SMALL), dict(gpu=-1)
    trainings = (
        OneStyleTraining("paintings/0.png", "photos", "a", settings, width=2, **more),
        AnyStyleTraining("start.params", "photos", "paintings", "b", settings, **more),
    )
    for training in trainings:
        task = training._task
        (made,) = task.pictures()
        photo, *painting = [one[0] for one in task.examples] if len(task.examples) > 1 else task.examples
        size = {"max_long_edge": max(photo.shape), "style_edge": max(photo.shape)}
        recipe, compute = get_recipe("one-pass").override(**size), Compute(gpu=-1)
        expected = stylize(photo, painting or None, recipe, weights=task.parameters, compute=compute).image
        assert made.dtype == np.uint8 and np.abs(made.astype(int) - expected).max() <= 1


def test_the_command(start, capsys):
    flags = "--images photos --batches 2 --batch-size 1 --crop 64 --evaluate-every 1 --gpu=-1".split()
    assert main(["train", "--style", "paintings/1.png", "--output", "a", "--width", "2", *flags]) == 0
    assert capsys.readouterr().out.split() == ["a-symbol.json", "a-0000.params"]
    assert main(["train", "--styles", "paintings", "--start", "start.params", "--output", "b", *flags]) == 0
    assert capsys.readouterr().out.split() == ["b.params"]
    recipe = ["--recipe", "one-pass", "--max-long-edge", "40", "--gpu=-1"]
    assert main(["photos/0.png", *recipe, "--generator", "a-0000.params", "-o", "a.png"]) == 0
    assert main(["photos/0.png", "paintings/0.png", *recipe, "--generator", "b.params", "-o", "b.png"]) == 0
    assert main(["train", "--styles", "paintings", "--output", "b", *flags]) == 1
    assert "--start is missing" in capsys.readouterr().err


def test_what_cannot_be_trained_is_refused(start):
    save_weights("other.params", new_parameters(2, 0))
    with pytest.raises(WeightsError, match="other.params: a transformer_net has styles of its own"):
        AnyStyleTraining("other.params", "photos", "paintings", "a", TrainingSettings(**SMALL), gpu=-1)
    with pytest.raises(WeightsError, match="start.params: a microast cannot be trained further"):
        OneStyleTraining("paintings/0.png", "photos", "a", TrainingSettings(**SMALL), start="start.params", gpu=-1)
    with pytest.raises(SettingsError, match="`losses` is no; it must be one of paint, johnson"):
        OneStyleTraining("paintings/0.png", "photos", "a", TrainingSettings(**SMALL), losses="no", gpu=-1)
    with pytest.raises(SettingsError, match="the crop is 100; it must be a multiple of 32"):
        TrainingSettings(crop=100)


def test_johnsons_style_loss_is_that_of_gram_matrices_over_channels_and_positions():
    """For each layer, the mean square of differences of Gram matrices divided by C H W."""
    losses = one_style.LOSSES["johnson"]
    layer, channels = "relu2_2", 128
    parameters = random_parameters(ARCHITECTURES["vgg16"].parameter_shapes(["relu4_3"]))
    assert losses.style_layers.index(layer) == 1
    rng = np.random.RandomState(2)
    canvas, style = (rng.uniform(-100, 100, (1, 3, 32, 32)).astype("float32") for _ in range(2))
    weights = {name: mx.nd.array(value) for name, value in parameters.items()}
    objective = Objective(losses, weights, canvas, [(style, 1.0)], mx.nd.array(canvas), tile_size=0)
    evaluation = objective.evaluate()
    found = float(evaluation.values.asnumpy()[1]) * objective.factors[1]
    from neural_style.networks.graph import build_symbol

    read = []
    for image in (canvas, style):
        symbol = build_symbol(ARCHITECTURES["vgg16"], [layer], "max")
        output = bind(symbol, {"data": mx.nd.array(image)}, weights, mx.cpu()).forward(is_train=False)[0].asnumpy()
        flat = output.reshape(channels, -1).astype("float64")
        read.append(flat @ flat.T / flat.size)
    assert found == pytest.approx(5 * np.mean((read[0] - read[1]) ** 2), rel=1e-3)
