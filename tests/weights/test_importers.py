"""Each importer against a file of its format, made here, and the same network run in that format's own convention."""

import os
import pickle
import sys
import tarfile
import types
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import DependencyError, SettingsError, WeightsError
from neural_style.networks.graph import build_symbol
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights import importers
from neural_style.weights.importers import LAYOUTS, detect_layout, import_weights
from neural_style.weights.params_file import load_weights, save_weights

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
# Positions of the convolutions up to conv5_1 in torch's and Gluon's list of layers, written out.
POSITIONS = {
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24),
}
NAMES = {
    "vgg19": "1_1 1_2 2_1 2_2 3_1 3_2 3_3 3_4 4_1 4_2 4_3 4_4 5_1".split(),
    "vgg16": "1_1 1_2 2_1 2_2 3_1 3_2 3_3 4_1 4_2 4_3 5_1".split(),
}
CHANNELS = (64, 128, 256, 512, 512)
IMAGE = np.random.RandomState(5).randint(0, 256, (32, 32, 3)).astype(np.float64)  # RGB


def test_positions_are_complete():
    assert len(POSITIONS["vgg16"]) == len(NAMES["vgg16"]) and len(POSITIONS["vgg19"]) == len(NAMES["vgg19"])


@pytest.fixture(scope="module")
def kernels():
    """Give, by network, [(kernel (H, W, in, out), bias (out,))] up to conv5_1."""
    rng, made = np.random.RandomState(0), {}

    def make(model):
        if model not in made:
            made[model], before = [], 3
            for name in NAMES[model]:
                after = CHANNELS[int(name[0]) - 1]
                kernel = rng.standard_normal((3, 3, before, after)) * np.sqrt(2 / (9 * before))
                made[model].append((kernel.astype("f"), (rng.standard_normal(after) * 10).astype("f")))
                before = after
        return made[model]

    return make


def ours(params, model="vgg19", layers=LAYERS, image=IMAGE, pooling="max"):
    """Run our symbol on our input; give one (H, W, C) per layer."""
    symbol = build_symbol(ARCHITECTURES[model], layers, pooling)
    x = (image - [123.68, 116.779, 103.939]).transpose(2, 0, 1)[None]
    arguments = {"data": mx.nd.array(x)}
    arguments.update((name, mx.nd.array(params[name])) for name in symbol.list_arguments() if name != "data")
    return [out.asnumpy()[0].transpose(1, 2, 0) for out in symbol.bind(mx.cpu(), arguments).forward()]


def channels_last(x, kernels, model, layers=LAYERS):
    """Run the network on a preprocessed (H, W, C) with kernels (H, W, in, out), maximum pooling, float64."""
    outputs = {}
    for name, (kernel, bias) in zip(NAMES[model], kernels):
        height, width, _ = x.shape
        if name.endswith("_1") and name != "1_1":
            x = x[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, -1).max((1, 3))
            height, width, _ = x.shape
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        x = bias.astype("d") + sum(
            padded[i : i + height, j : j + width] @ kernel[i, j].astype("d") for i in range(3) for j in range(3)
        )
        x = np.maximum(x, 0)
        outputs["relu" + name] = x
    return [outputs[layer] for layer in layers]


def assert_equal(got, expected, tolerance=1e-5):
    for a, b in zip(got, expected):
        assert a.shape == b.shape and b.std() > 0
        assert np.abs(a - b).max() < tolerance * np.abs(b).max()


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


# ---- .params of the original, and of Gluon


def test_original(tmp_path, kernels):
    params = {}
    for name, (kernel, bias) in zip(NAMES["vgg19"], kernels("vgg19")):
        params[f"arg:conv{name}_weight"] = mx.nd.array(kernel.transpose(3, 2, 0, 1))
        params[f"arg:conv{name}_bias"] = mx.nd.array(bias)
    params["arg:fc6_weight"] = mx.nd.ones((4, 4))
    path = str(tmp_path / "any.params")
    mx.nd.save(path, params)
    assert detect_layout(path) == "original"
    imported = import_weights(path)
    assert list(imported) == [f"conv{name}_{part}" for name in NAMES["vgg19"] for part in ("weight", "bias")]
    assert all(value.dtype == np.float32 for value in imported.values())
    expected = channels_last(IMAGE - [123.68, 116.779, 103.939], kernels("vgg19"), "vgg19")
    assert_equal(ours(imported), expected)


def gluon_features(model, depth):
    """Give Gluon's own VGG without its dense layers, cut, with random parameters."""
    nn = mx.gluon.nn
    mx.random.seed(3)
    whole = getattr(mx.gluon.model_zoo.vision, model)(pretrained=False)

    class Cut(nn.HybridSequential):
        def __init__(self):
            super().__init__(prefix="vgg0_")
            with self.name_scope():
                self.features = nn.HybridSequential(prefix="")
                for layer in list(whole.features)[:depth]:
                    self.features.add(layer)

    net = Cut()
    net.initialize(mx.init.Xavier(factor_type="in", magnitude=4))
    net.features(mx.nd.zeros((1, 3, 32, 32)))  # only now are its shapes known
    for name, parameter in net.collect_params().items():
        if name.endswith("bias"):
            parameter.set_data(mx.nd.random.normal(0, 0.1, parameter.shape))
    return net


def gluon_outputs(net, positions):
    x = mx.nd.array((IMAGE / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose((2, 0, 1)).expand_dims(0)
    outputs = []
    for position, layer in enumerate(net.features):
        x = layer(x)
        if position in positions:
            outputs.append(x.asnumpy()[0].transpose(1, 2, 0))
    return outputs


@pytest.mark.parametrize("model, relus", [("vgg19", (1, 6, 11, 20, 29)), ("vgg16", (1, 6, 11, 18, 25))])
def test_gluon(tmp_path, model, relus):
    net = gluon_features(model, relus[-1] + 1)
    path = str(tmp_path / "new.params")
    net.save_parameters(path)
    assert "features.0.weight" in mx.nd.load(path)
    assert detect_layout(path) == "gluon"
    imported = import_weights(path)
    assert ("conv3_4_weight" in imported) == (model == "vgg19")
    expected, got = gluon_outputs(net, relus), ours(imported, model)
    assert_equal([a[2:-2, 2:-2] for a in got[:1]], [a[2:-2, 2:-2] for a in expected[:1]])
    # The border's padding has another colour; it is at most half a grey level.
    assert_equal(got, expected, 0.01)


def test_gluon_prefixed_names(tmp_path):
    net = gluon_features("vgg16", 18)
    new, old = str(tmp_path / "new.params"), str(tmp_path / "old.params")
    net.save_parameters(new)
    structured = mx.nd.load(new)
    for prefix in ("", "vgg0_", "arg:vgg12_"):
        named = {}
        for count, position in enumerate(POSITIONS["vgg16"][:8]):
            for part in ("weight", "bias"):
                named[f"{prefix}conv{count}_{part}"] = structured[f"features.{position}.{part}"]
        mx.nd.save(old, named)
        assert detect_layout(old) == "gluon"
        a, b = import_weights(new), import_weights(old)
        assert list(a) == list(b) and list(a)[-1] == "conv4_1_bias"
        assert all((a[name] == b[name]).all() for name in a)


# ---- PyTorch


def torch_state(kernels, model):
    torch = pytest.importorskip("torch", reason="the .pth importers need the extra 'torch'")
    state = OrderedDict()
    for position, (kernel, bias) in zip(POSITIONS[model], kernels):
        state[f"features.{position}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"features.{position}.bias"] = torch.from_numpy(bias)
    state["classifier.0.weight"] = torch.ones(8, 8)
    return torch, state


def torch_outputs(torch, state, x, relus):
    """Run torch's own layers on a preprocessed (H, W, C)."""
    x, outputs = torch.from_numpy(x.transpose(2, 0, 1)[None].astype("f")), []
    for position in range(relus[-1] + 1):
        if f"features.{position}.weight" in state:
            x = torch.nn.functional.conv2d(
                x, state[f"features.{position}.weight"], state[f"features.{position}.bias"], padding=1
            )
        elif f"features.{position - 1}.weight" in state:
            x = torch.relu(x)
        else:
            x = torch.nn.functional.max_pool2d(x, 2)
        if position in relus:
            outputs.append(x[0].permute(1, 2, 0).numpy())
    return outputs


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("model, relus", [("vgg19", (1, 6, 11, 20, 29)), ("vgg16", (1, 6, 11, 18, 25))])
def test_caffe_torch(tmp_path, kernels, model, relus, zipped):
    torch, state = torch_state(kernels(model), model)
    path = tmp_path / ("vgg19-d01eb7cb.pth" if model == "vgg19" else "vgg16-00b39a1b.pth")
    torch.save(state, str(path), _use_new_zipfile_serialization=zipped)
    assert detect_layout(path) == "caffe-torch"
    expected = torch_outputs(torch, state, IMAGE[:, :, ::-1] - [103.939, 116.779, 123.68], relus)
    assert_equal(ours(import_weights(path), model), expected)


@pytest.mark.parametrize("zipped", [True, False])
def test_torchvision(tmp_path, kernels, zipped):
    torch, state = torch_state(kernels("vgg19"), "vgg19")
    path = tmp_path / "vgg19-dcbb9e9d.pth"
    torch.save(state, str(path), _use_new_zipfile_serialization=zipped)
    assert detect_layout(path) == "torchvision"
    x = (IMAGE / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = torch_outputs(torch, state, x, (1, 6, 11, 20, 29))
    got = ours(import_weights(path))
    assert_equal([got[0][1:-1, 1:-1]], [expected[0][1:-1, 1:-1]])  # conv1_1 away from the border: exact
    assert_equal([got[1][2:-2, 2:-2]], [expected[1][2:-2, 2:-2]])
    border = np.abs(got[0] - expected[0])[0].max()
    assert 0 < border < 0.01 * expected[0].max()
    assert_equal(got, expected, 0.01)


def test_torch_names_of_the_caffe_authors_and_nested_state(tmp_path, kernels):
    torch, state = torch_state(kernels("vgg19")[:3], "vgg19")
    named = {}
    for name, position in (("1_1", 0), ("1_2", 2)):
        for part in ("weight", "bias"):
            named[f"module.conv{name}.{part}"] = state[f"features.{position}.{part}"]
    torch.save({"state_dict": named, "epoch": 3}, str(tmp_path / "a.pth"))
    torch.save(state, str(tmp_path / "b.pth"))
    a, b = (import_weights(tmp_path / name, layout="caffe-torch") for name in ("a.pth", "b.pth"))
    assert list(a)[-1] == "conv1_2_bias" and all((a[name] == b[name]).all() for name in a)


def test_torch_input_must_be_known(tmp_path, kernels, monkeypatch):
    torch, state = torch_state(kernels("vgg19")[:1], "vgg19")
    torch.save(state, str(tmp_path / "vgg19.pth"))
    with pytest.raises(WeightsError) as raised:
        import_weights(tmp_path / "vgg19.pth")
    assert "`layout` torchvision" in one_line(raised) and "`layout` caffe-torch" in str(raised.value)
    # A renamed published file is known by its content.
    monkeypatch.setitem(importers.KNOWN_SOURCES, importers.digest(tmp_path / "vgg19.pth")[:8], "caffe-torch")
    assert detect_layout(tmp_path / "vgg19.pth") == "caffe-torch"


class Malicious:
    """Unpickled without care, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "tar"])
def test_torch_runs_no_code(tmp_path, how):
    torch = pytest.importorskip("torch", reason="the .pth importers need the extra 'torch'")
    path, marker = tmp_path / "vgg19-dcbb9e9d.pth", tmp_path / "ran"
    evil = {"features.0.weight": Malicious(marker)}
    if how in ("zip", "legacy"):
        torch.save(evil, str(path), _use_new_zipfile_serialization=how == "zip")
    else:
        path.write_bytes(pickle.dumps(evil))
    if how == "tar":
        path.rename(tmp_path / "storages")
        with tarfile.open(str(path), "w") as archive:
            archive.add(str(tmp_path / "storages"), "storages")
    with pytest.raises(WeightsError) as raised:
        import_weights(path, layout="torchvision")
    assert "only tensors" in one_line(raised)
    assert not marker.exists()


def test_torch_other_content(tmp_path):
    torch = pytest.importorskip("torch", reason="the .pth importers need the extra 'torch'")
    path = tmp_path / "a.pth"
    cases = [
        (torch.ones(3), "dict of names to tensors"),
        ({"features.0.weight": "text"}, "dict of names to tensors"),
        ({"features.0.weight": torch.ones(64, 3, 3, 3), "features.1.running_mean": torch.ones(64)}, "normalisation"),
        ({"features.0.weight": torch.ones(64, 3, 3, 3).int()}, "floating-point"),
        ({"0.weight": torch.ones(3, 3, 1, 1)}, "no convolutions named"),
    ]
    for content, message in cases:
        torch.save(content, str(path))
        with pytest.raises(WeightsError) as raised:
            import_weights(path, layout="caffe-torch")
        assert message in one_line(raised) and str(path) in str(raised.value)


def test_torch_missing_or_too_old(tmp_path, monkeypatch):
    (tmp_path / "a.pth").write_bytes(b"something")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"pip install 'mxnet-neural-style\[torch\]'"):
        import_weights(tmp_path / "a.pth", layout="torchvision")
    old = types.ModuleType("torch")
    old.__version__, old.load = "1.8", lambda path, map_location=None: pytest.fail("opened without weights_only")
    monkeypatch.setitem(sys.modules, "torch", old)
    with pytest.raises(DependencyError, match="1.8 cannot load only tensors"):
        import_weights(tmp_path / "a.pth", layout="torchvision")


# ---- Keras


def keras_file(path, kernels, model, generation):
    h5py = pytest.importorskip("h5py", reason="the .h5 importer needs the extra 'keras'")
    with h5py.File(str(path), "w") as file:
        for count, (name, (kernel, bias)) in enumerate(zip(NAMES[model], kernels)):
            layer = "block{}_conv{}".format(*name.split("_"))
            where = {
                1: (f"{layer}/{layer}_W_1:0", f"{layer}/{layer}_b_1:0"),
                2: (f"{layer}/{layer}/kernel:0", f"{layer}/{layer}/bias:0"),
                "whole": (f"model_weights/{layer}/{layer}/kernel:0", f"model_weights/{layer}/{layer}/bias:0"),
                3: tuple(f"layers/conv2d{f'_{count}' if count else ''}/vars/{n}" for n in (0, 1)),
            }[generation]
            file[where[0]], file[where[1]] = kernel, bias
        if generation == "whole":
            file["optimizer_weights/block1_conv1/kernel:0"] = np.ones((3, 3, 3, 64), "f")
        file["fc1/fc1/kernel:0"] = np.ones((4, 4), "f")
        file.create_group("block1_pool")


@pytest.mark.parametrize("generation", [1, 2, 3, "whole"])
@pytest.mark.parametrize("model", ["vgg19", "vgg16"])
def test_keras(tmp_path, kernels, model, generation):
    path = tmp_path / "weights.h5"
    cut = 13 if generation == 1 else 8  # one generation as deep as it goes, the others to where the networks differ
    keras_file(path, kernels(model)[:cut], model, generation)
    assert detect_layout(path) == "keras"
    layers = LAYERS if generation == 1 else LAYERS[:3]
    expected = channels_last(IMAGE[:, :, ::-1] - [103.939, 116.779, 123.68], kernels(model), model, layers)
    imported = import_weights(path)
    assert ("conv3_4_weight" in imported) == (model == "vgg19")
    assert_equal(ours(imported, model, layers), expected)


def test_keras_of_theano_and_damaged(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the .h5 importer needs the extra 'keras'")
    path = tmp_path / "a.h5"
    with h5py.File(str(path), "w") as file:
        file["block1_conv1/block1_conv1_W_1:0"] = np.ones((64, 3, 3, 3), "f")
    with pytest.raises(WeightsError, match=r"\(64, 3, 3, 3\).*TensorFlow"):
        import_weights(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(WeightsError) as raised:
        import_weights(path)
    assert "HDF5" in one_line(raised)


def test_h5py_missing(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    # The file is read in another process, which must find this first.
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "h5py.py").write_text("raise ImportError('it is not here')")
    monkeypatch.syspath_prepend(str(tmp_path / "none"))
    with pytest.raises(DependencyError, match=r"pip install 'mxnet-neural-style\[keras\]'"):
        import_weights(tmp_path / "a.h5")


# ---- MatConvNet


def mat_file(path, kernels, model, spelling, average=None):
    from scipy.io import savemat

    layers = []
    for name, (kernel, bias) in zip(NAMES[model], kernels):
        layer = {"type": "conv", "name": f"conv{name}", "stride": [1.0, 1.0], "pad": [1.0] * 4}
        if spelling == "filters":
            layer["filters"], layer["biases"] = kernel, bias[None]
        else:
            layer["weights"] = np.empty((1, 2), object)
            layer["weights"][0, 0], layer["weights"][0, 1] = kernel, bias[None]
        layers += [layer, {"type": "relu", "name": f"relu{name}"}]
    layers.append({"type": "conv", "name": "fc6", "weights": np.empty((1, 2), object)})
    layers[-1]["weights"][0, 0], layers[-1]["weights"][0, 1] = np.ones((7, 7, 2, 4), "f"), np.ones((1, 4), "f")
    cells = np.empty((1, len(layers)), object)
    cells[0] = layers
    content = {"layers": cells}
    if average is not None and spelling == "filters":
        content["normalization"] = {"averageImage": average, "imageSize": [224.0, 224.0, 3.0]}
    elif average is not None:
        content["meta"] = {"normalization": {"averageImage": average}, "classes": {"name": "x"}}
    savemat(str(path), {"net": content} if spelling == "net" else content)


@pytest.mark.parametrize(
    "model, spelling, cut",
    [("vgg19", "weights", 13), ("vgg16", "weights", 9), ("vgg19", "filters", 9), ("vgg16", "net", 8)],
)
def test_matconvnet(tmp_path, kernels, model, spelling, cut):
    path = tmp_path / "imagenet.mat"
    # As a picture of one colour, which is what the published file has.
    means = np.array([123.68, 116.779, 103.939])
    mat_file(path, kernels(model)[:cut], model, spelling, np.broadcast_to(means, (8, 8, 3)).astype("f"))
    assert detect_layout(path) == "matconvnet"
    layers = LAYERS if cut == 13 else LAYERS[:3]
    expected = channels_last(IMAGE - means, kernels(model), model, layers)
    assert_equal(ours(import_weights(path), model, layers), expected)


def test_matconvnet_takes_its_own_means(tmp_path, kernels):
    path = tmp_path / "a.mat"
    mat_file(path, kernels("vgg19")[:3], "vgg19", "weights", np.array([120.0, 110.0, 100.0]))
    expected = channels_last(IMAGE - [120.0, 110.0, 100.0], kernels("vgg19")[:3], "vgg19", ["relu1_1"])
    got = ours(import_weights(path), layers=["relu1_1"])
    assert_equal([got[0][1:-1, 1:-1]], [expected[0][1:-1, 1:-1]])
    mat_file(path, kernels("vgg19")[:3], "vgg19", "weights", np.random.rand(8, 8, 3))
    with pytest.raises(WeightsError, match="not a colour"):
        import_weights(path)


def test_matconvnet_damaged(tmp_path, kernels):
    path = tmp_path / "a.mat"
    mat_file(path, kernels("vgg19")[:3], "vgg19", "weights")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError) as raised:
        import_weights(path)
    assert "MATLAB" in one_line(raised)
    from scipy.io import savemat

    savemat(str(path), {"x": 1})
    with pytest.raises(WeightsError, match="no 'layers'"):
        import_weights(path)


# ---- what all have in common


def params_file(path, model, count, kernels, **changes):
    params = {}
    for name, (kernel, bias) in list(zip(NAMES[model], kernels))[:count]:
        params[f"conv{name}_weight"] = mx.nd.array(kernel.transpose(3, 2, 0, 1))
        params[f"conv{name}_bias"] = mx.nd.array(bias)
    for name, value in changes.items():
        if value is None:
            del params[name]
        else:
            params[name] = value
    mx.nd.save(str(path), params)


def test_same_checks_as_loading(tmp_path, kernels):
    path = tmp_path / "a.params"
    nan = mx.nd.array([np.nan] * 64)
    cases = [
        (dict(conv1_1_bias=nan), "64 of the 64 values of parameter conv1_1_bias"),
        (dict(conv1_2_weight=None), "no parameter conv1_2_weight"),
        (dict(conv1_2_bias=None), "no parameter conv1_2_bias"),
        (dict(conv2_1_weight=mx.nd.ones((128, 3, 3, 3))), r"shape (128, 3, 3, 3) where (128, 64, 3, 3)"),
        (dict(conv1_1_weight=mx.nd.ones((64, 3, 3, 3), dtype="int8")), "int8"),
    ]
    for changes, message in cases:
        params_file(path, "vgg19", 3, kernels("vgg19"), **changes)
        with pytest.raises(WeightsError) as raised:
            import_weights(path)
        assert message in one_line(raised) and str(path) in str(raised.value)


def test_model_is_told_or_checked(tmp_path, kernels):
    path = tmp_path / "a.params"
    params_file(path, "vgg16", 9, kernels("vgg16"))
    assert "conv3_4_weight" not in import_weights(path) and list(import_weights(path))[-1] == "conv4_2_bias"
    with pytest.raises(WeightsError, match="conv3_4_weight"):
        import_weights(path, model="vgg19")
    params_file(path, "vgg19", 9, kernels("vgg19"))
    with pytest.raises(WeightsError, match="conv3_4"):
        import_weights(path, model="vgg16")
    with pytest.raises(SettingsError, match="vgg19"):
        import_weights(path, model="vgg11")
    with pytest.raises(SettingsError, match="matconvnet"):
        import_weights(path, layout="onnx")


def test_a_layout_takes_only_its_own_names(tmp_path, kernels):
    path = tmp_path / "a.params"
    params_file(path, "vgg19", 3, kernels("vgg19"))
    with pytest.raises(WeightsError, match="check `layout`"):
        import_weights(path, layout="gluon")


def test_unknown_files(tmp_path):
    path = tmp_path / "a.pth"
    for content in (b"GIF89a", b"just text\n", b"PK\x03\x04", b"\0" * 500, b"MATLAB 7.3 MAT-file"):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as raised:
            import_weights(path)
        assert "known layout" in one_line(raised)
        for layout in LAYOUTS:
            with pytest.raises((WeightsError, DependencyError)) as raised:
                import_weights(path, layout=layout)
            assert str(path) in one_line(raised) or isinstance(raised.value, DependencyError)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="empty"):
        import_weights(path)
    with pytest.raises(WeightsError, match="does not exist"):
        import_weights(tmp_path / "none.h5")


def test_imported_and_saved_is_loaded(tmp_path, kernels):
    path, saved = tmp_path / "a.params", tmp_path / "models" / "vgg16.params"
    params_file(path, "vgg16", 3, kernels("vgg16"))
    imported = import_weights(path)
    save_weights(saved, imported)
    loaded = load_weights(saved, ARCHITECTURES["vgg16"].parameter_shapes(["relu2_1"]))
    assert list(loaded) == list(imported)
    assert all((loaded[name].asnumpy() == imported[name]).all() for name in loaded)


# ---- low rank


def lowrank_arrays():
    network = replace(ARCHITECTURES["vgg16-lowrank"], ranks=tuple((2 + i, 3 + i) for i in range(12)))
    rng = np.random.RandomState(0)
    shapes = network.parameter_shapes(["relu5_3"])
    return {name: rng.standard_normal(shape).astype("float32") for name, shape in shapes.items()}


def test_low_rank_passes_as_it_is(tmp_path):
    arrays, path = lowrank_arrays(), tmp_path / "a.params"
    save_weights(path, arrays, dtype="float16")
    found = import_weights(path)
    assert list(found) == list(arrays)
    for name, value in found.items():
        assert value.dtype == np.float32 and (value == arrays[name].astype("float16")).all()
    with pytest.raises(WeightsError, match="no parameter conv1_2_weight"):
        import_weights(path, model="vgg16")


def test_low_rank_is_checked_against_its_own_network(tmp_path):
    arrays, path = lowrank_arrays(), tmp_path / "a.params"
    arrays["conv4_1_out_weight"] = np.ones((512, 3, 1, 1))
    save_weights(path, arrays)
    with pytest.raises(WeightsError, match=r"conv4_1_out_weight has shape \(512, 3, 1, 1\) where \(512, 9, 1, 1\)"):
        import_weights(path)
    arrays = lowrank_arrays()
    arrays["conv4_1_core_weight"][0, 0, 0, 0] = np.nan
    save_weights(path, arrays)
    with pytest.raises(WeightsError, match="1 of the .* values of parameter conv4_1_core_weight"):
        import_weights(path)
