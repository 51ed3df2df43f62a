"""A small network that is no VGG, from files that MXNet wrote."""

import json
import os
import shutil

import numpy as np
import pytest

from neural_style import executors
from neural_style._mxnet import mx
from neural_style.cli.main import main
from neural_style.errors import SettingsError, WeightsError
from neural_style.images.reading import read_image
from neural_style.networks.external import ExternalNetwork, is_external
from neural_style.networks.graph import build_symbol, get_network
from neural_style.objective.representations import loss_symbol, represent
from neural_style.objective.terms import FixedWeighting, Term, loss_factors
from neural_style.weights.lookup import find_external_weights
from neural_style.weights.params_file import load_weights


def inception():
    """A convolution of stride 2 with batch normalisation, a block of two branches, dropout, a classifier."""

    def unit(x, name, filters, kernel, stride=1):
        x = mx.sym.Convolution(
            x, num_filter=filters, kernel=(kernel, kernel), stride=(stride, stride), pad=(kernel // 2,) * 2, name=name
        )
        x = mx.sym.BatchNorm(x, fix_gamma=False, name=f"{name}_bn")
        return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu")

    x = unit(mx.sym.Variable("data"), "stem", 6, 5, stride=2)
    x = mx.sym.Pooling(x, kernel=(3, 3), stride=(2, 2), pool_type="max", name="pool")
    x = mx.sym.Concat(unit(x, "left", 4, 1), unit(x, "right", 3, 3), name="mixed")
    x = mx.sym.Dropout(x, p=0.5, name="drop")
    x = mx.sym.Activation(mx.sym.Convolution(x, num_filter=5, kernel=(3, 3), name="deep"), act_type="relu", name="relu")
    x = mx.sym.Flatten(mx.sym.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg", name="global"))
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name="fc"), name="softmax")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    symbol, rng = inception(), np.random.RandomState(0)
    arguments, _, states = symbol.infer_shape(data=(1, 3, 64, 64))

    def draw(names, shapes):
        arrays = {}
        for name, shape in zip(names, shapes):
            if name not in ("data", "softmax_label"):
                spread = np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.3
                positive = name.endswith(("var", "gamma"))
                arrays[name] = mx.nd.array((1.0 if positive else 0.0) + spread * rng.uniform(-1, 1, shape))
        return arrays

    path = str(tmp_path_factory.mktemp("checkpoint") / "small")
    known = draw(symbol.list_arguments(), arguments), draw(symbol.list_auxiliary_states(), states)
    for epoch in (0, 7):
        mx.model.save_checkpoint(path, epoch, symbol, *known)
    return path


def test_it_is_recognised_by_prefix_and_by_either_file(prefix):
    for name in (prefix, f"{prefix}-symbol.json", f"{prefix}-0007.params"):
        assert is_external(name) and get_network(name).name == prefix
    assert not is_external("vgg19")


def test_the_last_epoch_is_taken_unless_one_is_named(prefix):
    assert find_external_weights(prefix).name == "small-0007.params"
    assert find_external_weights(f"{prefix}-0000.params").name == "small-0000.params"
    with pytest.raises(WeightsError, match="small-0001.params does not exist"):
        find_external_weights(f"{prefix}-0001.params")


def test_layers_by_name_and_by_position(prefix):
    network = ExternalNetwork(prefix)
    assert network.resolve(["mixed", "stem_relu_output", "#1", "#3", "#4"]) == (
        "mixed",
        "stem_relu",
        "stem_relu",
        "right_relu",
        "relu",
    )
    assert (network.channels("mixed"), network.channels("deep")) == (7, 5)
    for layer, message in (("relu4_2", "such as stem_relu, left_relu"), ("#5", "it has 4 convolutions")):
        with pytest.raises(SettingsError, match=message):
            network.resolve([layer])
    with pytest.raises(SettingsError, match="choose one with a height and a width"):
        network.channels("fc")


def test_parameters_are_those_that_the_layers_depend_on(prefix):
    shapes = ExternalNetwork(prefix).parameter_shapes(["stem_relu"])
    names = {"stem_weight", "stem_bias", "stem_bn_gamma", "stem_bn_beta", "stem_bn_moving_mean", "stem_bn_moving_var"}
    assert set(shapes) == names and shapes["stem_weight"] == (6, 3, 5, 5)


def test_the_least_side_is_enough_and_one_pixel_less_is_not(prefix, capfd):
    network = ExternalNetwork(prefix)
    side = network.minimum_side(["relu"])
    assert side > 4
    assert capfd.readouterr() == ("", "")
    symbol = build_symbol(network, ["relu"])
    assert min(symbol.infer_shape(data=(1, 3, side, side))[1][0]) > 0
    with pytest.raises(mx.base.MXNetError):
        symbol.infer_shape(data=(1, 3, side - 1, side - 1))


def test_the_gradient_is_that_of_finite_differences_and_the_moments_stay(prefix):
    network, terms = ExternalNetwork(prefix), [Term("style", "mixed"), Term("content", "relu")]
    layers, size = [term.layer for term in terms], (1, 3, 24, 28)
    parameters = load_weights(f"{prefix}-0007.params", network.parameter_shapes(layers))
    before = {name: value.asnumpy() for name, value in parameters.items()}
    symbol = build_symbol(network, layers)
    representations = represent(terms, dict(zip(layers, symbol)), {layer: network.channels(layer) for layer in layers})
    _, shapes, _ = symbol.infer_shape(data=size)
    factors = loss_factors(terms, dict(zip(layers, shapes)), 2.0, [3.0])
    rng = np.random.RandomState(1)
    image, other = (rng.uniform(-1, 1, size).astype("float32") for _ in range(2))
    read = executors.FeatureExecutor(mx.sym.Group(representations), parameters, size, mx.cpu()).read(other)
    targets = {term.target: array for term, array in zip(terms, read)}
    data = mx.nd.array(image)
    weigh = FixedWeighting(factors, mx.cpu())
    executor = executors.LossExecutor(loss_symbol(terms, representations), parameters, targets, weigh, data, mx.cpu())

    def objective(value):
        data[:] = value
        executor.run()
        return sum(float(loss.asscalar()) * factor for loss, factor in zip(executor.losses, factors))

    objective(image)
    gradient = executor.gradient.asnumpy()
    # Along the gradient, and along parts of it, which no small error of rounding or kink of a ReLU hides.
    for part in (
        gradient,
        gradient * (rng.uniform(size=size) < 0.5),
        gradient * (np.arange(3) == 1).reshape((3, 1, 1)),
    ):
        direction = (part / np.linalg.norm(part)).astype("float32")
        step = 3e-3
        difference = (objective(image + step * direction) - objective(image - step * direction)) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(difference, rel=1e-2)
    for name, value in before.items():
        np.testing.assert_array_equal(parameters[name].asnumpy(), value)


def test_a_run_from_the_command_line(prefix, pictures, tmp_path, capfd):
    output = tmp_path / "o.png"
    argv = ["--content-image", str(pictures / "content.png"), "--style-image", str(pictures / "style.png")]
    argv += [
        "--model",
        prefix,
        "--max-long-edge",
        "40",
        "--max-num-epochs",
        "2",
        "--gpu",
        "-1",
        "--output",
        str(output),
    ]
    assert main(argv) == 1
    assert f"{prefix} has no layer 'relu1_1'; name others with " in capfd.readouterr().err
    argv += ["--content-layers", "mixed", "--style-layers", "#1,left_relu,mixed"]
    assert main(argv) == 0
    assert read_image(output).shape == (32, 40, 3)


def test_damaged_and_missing_files_are_named(prefix, tmp_path, capsys):
    with pytest.raises(SettingsError, match="unknown model 'nothing'; choose from vgg19, .* nothing-symbol.json"):
        get_network("nothing")
    with pytest.raises(SystemExit):
        main(["--model", "nothing"])
    assert "nothing-symbol.json is not there" in capsys.readouterr().err
    broken = tmp_path / "broken"
    (tmp_path / "broken-symbol.json").write_text("{}")
    with pytest.raises(SettingsError, match="broken-symbol.json is not a symbol that this MXNet can read"):
        ExternalNetwork(str(broken))
    (tmp_path / "broken-symbol.json").write_text(json.dumps(json.loads(inception().tojson())))
    with pytest.raises(WeightsError, match="put broken-0000.params there"):
        find_external_weights(str(broken))


def test_it_is_read_again_only_if_its_file_has_changed(written_by):
    path = written_by(10901)
    network = get_network(path)
    assert get_network(path) is network
    written_by(10902)
    os.utime(f"{path}-symbol.json", (1, 1))
    assert get_network(path) is not network


@pytest.fixture
def written_by(prefix, tmp_path):
    """Return what makes the network one of another version of MXNet, and gives its prefix."""

    def write(version):
        with open(f"{prefix}-symbol.json") as file:
            graph = json.load(file)
        graph["attrs"]["mxnet_version"] = ["int", version]
        (tmp_path / "other-symbol.json").write_text(json.dumps(graph))
        shutil.copy(f"{prefix}-0007.params", str(tmp_path / "other-0000.params"))
        return str(tmp_path / "other")

    return write


@pytest.mark.parametrize("version, later", [(20003, "2.0.3"), (905, ""), (10500, "")])
def test_the_version_that_wrote_it_is_known_and_mxnet_does_not_speak_of_it(written_by, capfd, version, later):
    assert ExternalNetwork(written_by(version)).later_version == later
    assert capfd.readouterr().err == ""


def test_a_later_version_is_one_warning_and_an_error_remains_one_line(written_by, pictures, tmp_path, capfd):
    argv = [str(pictures / "content.png"), str(pictures / "style.png"), "--model", written_by(20003), "--quiet"]
    argv += ["--gpu", "-1", "--max-num-epochs", "1"]
    argv += ["--content-layers", "mixed", "--style-layers", "stem_relu", "--style-layer-weights", "1"]
    argv += ["--max-long-edge", "48", "--pyramid", "1", "--output", str(tmp_path / "o.png")]
    assert main([*argv, "--strength", "0"]) == 1
    assert capfd.readouterr().err.count("\n") == 1
    assert main([*argv, "--max-long-edge", "2"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "too small" in line
    assert main(argv) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("neural-style: warning: ") and "was written by MXNet 2.0.3" in line
