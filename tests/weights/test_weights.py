import os
import re
import struct
from dataclasses import replace

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import OutputError, SettingsError, WeightsError
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights import catalogue, lookup, params_file
from neural_style.weights.catalogue import digest
from neural_style.weights.checks import fitting_models
from neural_style.weights.lookup import (
    describe_weights,
    find_network,
    find_weights,
    list_weights,
    search_folders,
    verify_weights,
)
from neural_style.weights.params_file import load_weights, read_arrays, read_index, save_weights

VGG19, VGG16 = ARCHITECTURES["vgg19"], ARCHITECTURES["vgg16"]
LOWRANK = replace(ARCHITECTURES["vgg16-lowrank"], ranks=tuple((3 + i, 4 + i) for i in range(12)))


def make(shapes, seed=0):
    rng = np.random.RandomState(seed)
    return {name: rng.standard_normal(shape).astype("f") for name, shape in shapes.items()}


@pytest.fixture
def shallow(tmp_path):
    """Give a file with VGG up to conv2_1, and its arrays."""
    arrays = make(VGG19.parameter_shapes(["relu2_1"]))
    save_weights(tmp_path / "shallow.params", arrays)
    return tmp_path / "shallow.params", arrays


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Hide this machine's own weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NEURAL_STYLE_MODELS", raising=False)
    monkeypatch.setattr(lookup, "__file__", str(tmp_path / "checkout" / "neural_style" / "weights" / "lookup.py"))
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "setup.py").touch()
    return tmp_path


def message(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


# ---- finding


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_network_that_nobody_named_has_a_stand_in(nowhere, caplog):
    caplog.set_level("INFO", "neural_style")
    with pytest.raises(WeightsError, match="no weights 'vgg19': .*'neural-style weights fetch vgg19'"):
        find_network("vgg19")
    lowrank = touch(nowhere / "checkout" / "models" / "vgg16-lowrank.params")
    assert find_network("vgg19") == ("vgg16-lowrank", lowrank)
    assert [record.getMessage() for record in caplog.records] == [
        "vgg19's weights are not installed; using vgg16-lowrank; 'neural-style weights fetch vgg19' gets the full one"
    ]
    full = touch(nowhere / "given" / "vgg19.params")
    assert find_network("vgg19", models_dir=nowhere / "given") == ("vgg19", full)
    assert len(caplog.records) == 1
    assert find_network("vgg16") == ("vgg16-lowrank", lowrank)


def test_a_network_that_is_named_has_none(nowhere):
    lowrank = touch(nowhere / "checkout" / "models" / "vgg16-lowrank.params")
    with pytest.raises(WeightsError, match="no weights 'vgg19': .*'neural-style weights fetch vgg19'"):
        find_network("vgg19", "vgg19")
    with pytest.raises(WeightsError, match="no weights 'vgg16'"):
        find_network("vgg16", "vgg16")
    assert find_network("vgg19", "vgg16-lowrank") == ("vgg16-lowrank", lowrank)


def test_a_file_decides_which_network_it_is_for(tmp_path, shallow):
    path = tmp_path / "a.params"
    for network, preferred in ((VGG16, "vgg19"), (LOWRANK, "vgg19"), (VGG19, "vgg16")):
        save_weights(path, make(network.parameter_shapes(["relu4_1"])))
        model = network.name
        assert find_network(preferred, weights=path) == (model, path)
    # Up to conv2_1 the two are the same; a network that is named is taken at its word, and loading checks it.
    assert find_network("vgg16", weights=shallow[0])[0] == "vgg16"
    assert find_network("vgg19", "vgg16-lowrank", shallow[0])[0] == "vgg16-lowrank"
    save_weights(tmp_path / "b.params", make({"conv1_1_weight": (7, 3, 3, 3), "conv1_1_bias": (7,)}))
    assert find_network("vgg19", weights=tmp_path / "b.params")[0] == "vgg19"


def test_folders_in_their_order(nowhere, monkeypatch):
    monkeypatch.setenv("NEURAL_STYLE_MODELS", str(nowhere / "environment"))
    given, environment, checkout, cache = search_folders(nowhere / "given")
    assert (given.name, environment.name) == ("given", "environment")
    assert checkout == nowhere / "checkout" / "models"
    assert cache == catalogue.cache_folder()
    for folder in (cache, checkout, environment, given):  # each one comes before those made until now
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vgg19.params").touch()
        assert find_weights("vgg19", models_dir=nowhere / "given") == folder / "vgg19.params"


def test_installed_package_has_no_checkout(nowhere):
    (nowhere / "checkout" / "setup.py").unlink()
    assert search_folders() == [catalogue.cache_folder()]
    shipped = nowhere / "checkout" / "neural_style" / "models"
    shipped.mkdir(parents=True)
    assert search_folders() == [shipped, catalogue.cache_folder()]


def test_explicit_file_wins(nowhere):
    for path in ("given/vgg19.params", "given/gluon-vgg19.params", "mine.params"):
        (nowhere / path).parent.mkdir(exist_ok=True)
        (nowhere / path).touch()
    assert find_weights("vgg19", nowhere / "mine.params", nowhere / "given") == nowhere / "mine.params"
    assert find_weights("vgg19", "gluon-vgg19", nowhere / "given") == nowhere / "given" / "gluon-vgg19.params"
    with pytest.raises(WeightsError) as raised:
        find_weights("vgg19", nowhere / "other.params", nowhere / "given")
    assert str(nowhere / "other.params") in message(raised)


def test_not_found_says_where_and_what_to_do(nowhere):
    with pytest.raises(WeightsError) as raised:
        find_weights("vgg19", models_dir=nowhere / "given")
    for folder in search_folders(nowhere / "given"):
        assert str(folder) in message(raised)
    assert "neural-style weights fetch vgg19" in message(raised)


# ---- loading


def test_loads_only_what_is_needed(shallow):
    path, arrays = shallow
    shapes = VGG19.parameter_shapes(["relu1_2"])
    loaded = load_weights(path, shapes)
    assert list(loaded) == list(shapes)
    for name in shapes:
        assert loaded[name].dtype == np.float32 and loaded[name].context == mx.cpu()
        assert (loaded[name].asnumpy() == arrays[name]).all()


@pytest.mark.parametrize("prefix", ["", "arg:", "aux:"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_prefixes_and_types(tmp_path, prefix, dtype):
    arrays = make(VGG19.parameter_shapes(["relu1_1"]))
    path = str(tmp_path / "a.params")
    mx.nd.save(path, {prefix + name: mx.nd.array(value, dtype=dtype) for name, value in arrays.items()})
    for name, value in load_weights(path, VGG19.parameter_shapes(["relu1_1"])).items():
        assert value.dtype == np.float32
        assert np.allclose(value.asnumpy(), arrays[name].astype(dtype), atol=1e-7)


@pytest.mark.parametrize(
    "change, words",
    [
        (("conv1_2_bias", None), ["no parameter conv1_2_bias", "(64,)"]),
        (("conv1_2_weight", np.ones((16, 16, 3, 3))), ["conv1_2_weight", "(16, 16, 3, 3)", "(64, 64, 3, 3)"]),
        (("conv1_2_bias", np.ones((64, 1))), ["conv1_2_bias", "(64, 1)", "(64,)"]),
        (("conv1_1_bias", [1.0] * 62 + [np.nan, -np.inf]), ["2 of the 64", "conv1_1_bias", "(64,)", "not finite"]),
        (("conv1_1_bias", np.full(64, 1e300)), ["64 of the 64", "conv1_1_bias", "not finite"]),
        (("conv1_1_bias", np.ones(64, "int32")), ["conv1_1_bias", "int32"]),
        (("conv1_1_bias", np.ones(64, "uint8")), ["conv1_1_bias", "uint8"]),
    ],
)
def test_wrong_parameters_are_named(tmp_path, change, words):
    arrays = make(VGG19.parameter_shapes(["relu2_1"]))
    arrays[change[0]] = change[1]
    path = str(tmp_path / "a.params")
    saved = {n: mx.nd.array(v, dtype=getattr(v, "dtype", "float32")) for n, v in arrays.items() if v is not None}
    mx.nd.save(path, saved)
    with pytest.raises(WeightsError) as raised:
        load_weights(path, VGG19.parameter_shapes(["relu2_1"]))
    for word in words + [path]:
        assert word in message(raised)


def test_too_shallow_says_how_deep_it_goes(shallow):
    with pytest.raises(WeightsError) as raised:
        load_weights(shallow[0], VGG19.parameter_shapes(["relu5_1"]))
    assert "conv2_2_weight" in message(raised) and "it goes to conv2_1" in str(raised.value)


def test_weights_of_the_other_vgg_are_refused(tmp_path):
    # Everything that VGG-16 needs up to conv4_1 is in a file of VGG-19, by name and shape.
    save_weights(tmp_path / "a.params", make(VGG19.parameter_shapes(["relu4_1"])))
    with pytest.raises(WeightsError) as raised:
        load_weights(tmp_path / "a.params", VGG16.parameter_shapes(["relu4_1"]))
    assert "conv3_4_weight" in message(raised) and "`model`" in str(raised.value)
    load_weights(tmp_path / "a.params", VGG16.parameter_shapes(["relu3_3"]))


def load(path, model, layer="relu5_1"):
    shapes = ARCHITECTURES[model].fitted(read_index(path)).parameter_shapes([layer])
    return load_weights(path, shapes)


def test_full_weights_and_weights_of_low_rank_are_told_apart(tmp_path):
    full, lowrank = tmp_path / "full.params", tmp_path / "lowrank.params"
    save_weights(full, make(VGG16.parameter_shapes(["relu3_1"])))
    save_weights(lowrank, make(LOWRANK.parameter_shapes(["relu5_3"])))
    with pytest.raises(WeightsError) as raised:
        load(full, "vgg16-lowrank")
    assert message(raised) == (
        f"{full} has no parameter conv1_2_in_weight, which must be (?, 64, 1, 1) (it goes to conv3_1); it has "
        "conv1_2_weight instead: these are the weights of another network, choose it with `model`"
    )
    with pytest.raises(WeightsError) as raised:
        load(lowrank, "vgg16")
    assert "no parameter conv1_2_weight" in message(raised) and "choose it with `model`" in str(raised.value)
    assert set(load(lowrank, "vgg16-lowrank")) == set(LOWRANK.parameter_shapes(["relu5_1"]))
    with pytest.raises(WeightsError, match="also has the parameter conv3_4|no parameter conv3_4_in_weight"):
        load(lowrank, "vgg19-lowrank")


@pytest.mark.parametrize("last", ["conv4_2_in", "conv4_2_core", "conv4_2_out"])
def test_low_rank_that_is_cut_short_inside_a_layer(tmp_path, last):
    arrays = make(LOWRANK.parameter_shapes(["relu5_3"]))
    names = list(arrays)
    kept = names[: names.index(f"{last}_weight") + 1]
    save_weights(tmp_path / "a.params", {name: arrays[name] for name in kept})
    missing = names[len(kept)]
    with pytest.raises(WeightsError) as raised:
        load(tmp_path / "a.params", "vgg16-lowrank")
    assert f"no parameter {missing}" in message(raised) and "(it goes to conv4_2); choose weights" in str(raised.value)
    load(tmp_path / "a.params", "vgg16-lowrank", "relu4_1")
    assert describe_weights(tmp_path / "a.params") == ((), None)
    assert not lookup.is_complete(tmp_path / "a.params", "vgg16-lowrank")


def test_low_rank_whose_parts_do_not_go_together(tmp_path):
    for part, wrong in (("in", (5, 7, 1, 1)), ("core", (9, 6, 3, 3)), ("core", (9, 5)), ("out", (256, 8, 1, 1))):
        arrays = make(LOWRANK.parameter_shapes(["relu3_1"]))
        arrays[f"conv3_1_{part}_weight"] = np.ones(wrong)
        save_weights(tmp_path / "a.params", arrays)
        with pytest.raises(WeightsError, match="parameter conv3_1_(in|core|out)_weight has shape"):
            load(tmp_path / "a.params", "vgg16-lowrank", "relu3_1")
        assert describe_weights(tmp_path / "a.params") == ((), None)


def test_files_that_are_none(tmp_path, shallow):
    sparse, unnamed, twice = (str(tmp_path / name) for name in ("sparse", "unnamed", "twice"))
    mx.nd.save(sparse, {"a": mx.nd.ones((4, 4)).tostype("row_sparse")})
    mx.nd.save(unnamed, [mx.nd.ones(3)])
    mx.nd.save(twice, {"arg:a": mx.nd.ones(3), "a": mx.nd.ones(3)})
    cases = [
        (b"", "is empty"),
        (b"conv1_1_weight = 3\n", "not an MXNet .params file"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500), "not an MXNet .params file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "not an MXNet .params file"),
        (struct.pack("<QQQ", 0x112, 0, 2**60), "cut short or damaged"),
        (struct.pack("<QQQI", 0x112, 0, 1, 2**31), "cut short or damaged"),
        (struct.pack("<QQQIiiqqiii", 0x112, 0, 1, 0xF993FAC9, 0, 2, 2**40, 2**40, 1, 0, 0), "cut short or damaged"),
        (open(sparse, "rb").read(), "sparse"),
        (open(unnamed, "rb").read(), "without names"),
        (open(twice, "rb").read(), "parameter a twice"),
    ]
    path = tmp_path / "bad.params"
    for content, words in cases:
        path.write_bytes(content)
        with pytest.raises(WeightsError) as raised:
            load_weights(path, VGG19.parameter_shapes(["relu1_1"]))
        assert words in message(raised) and str(path) in str(raised.value)
    with pytest.raises(WeightsError, match="does not exist"):
        load_weights(tmp_path / "none.params", {})
    with pytest.raises(WeightsError, match="directory"):
        load_weights(tmp_path, {})


def test_unreadable(tmp_path, monkeypatch, shallow):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(WeightsError, match="cannot be read .Permission denied"):
        read_index(shallow[0])


def test_every_truncation_is_found(tmp_path):
    whole, cut = tmp_path / "whole.params", tmp_path / "cut.params"
    mx.nd.save(str(whole), {"arg:conv1_1_weight": mx.nd.ones((2, 3, 3, 3)), "b": mx.nd.ones(4, dtype="float16")})
    content = whole.read_bytes()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(WeightsError):
            read_index(cut)


def test_damage_is_no_crash(tmp_path):
    path = tmp_path / "a.params"
    mx.nd.save(str(path), {"conv1_1_weight": mx.nd.ones((2, 3)), "b": mx.nd.ones(4)})
    content, rng = path.read_bytes(), np.random.RandomState(0)
    for _ in range(2000):
        damaged = bytearray(content)
        for position in rng.randint(0, len(content), 3):
            damaged[position] = rng.randint(256)
        path.write_bytes(damaged)
        try:
            index = read_index(path)
            read_arrays(path, index, [name for name, entry in index.items() if entry.dtype == "<f4"])
        except WeightsError:
            pass


def old_format(arrays, version):
    """Write arrays as MXNet did before 1.0: version 1, or 0, which MXNet 0.5 and the original's file have."""
    out = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for value in arrays.values():
        out += struct.pack("<I", 0xF993FAC8) if version else b""
        out += struct.pack(f"<I{value.ndim}{'q' if version else 'I'}", value.ndim, *value.shape)
        out += struct.pack("<iii", 1, 0, {"float32": 0, "float64": 1}[value.dtype.name]) + value.tobytes()
    out += struct.pack("<Q", len(arrays))
    for name in arrays:
        out += struct.pack("<Q", len(name)) + name.encode()
    return out


@pytest.mark.parametrize("version", [0, 1])
def test_old_formats_are_read_as_mxnet_reads_them(tmp_path, version):
    path = tmp_path / "old.params"
    arrays = make({"arg:conv1_1_weight": (64, 3, 3, 3), "arg:conv1_1_bias": (64,)})
    arrays["arg:other"] = np.arange(6.0).reshape(2, 3)
    path.write_bytes(old_format(arrays, version))
    index, theirs = read_index(path), mx.nd.load(str(path))
    assert ["arg:" + name for name in index] == list(theirs)
    for name, value in read_arrays(path, index, index).items():
        assert (value == theirs["arg:" + name].asnumpy()).all()
    loaded = load_weights(path, VGG19.parameter_shapes(["relu1_1"]))
    assert (loaded["conv1_1_weight"].asnumpy() == arrays["arg:conv1_1_weight"]).all()


# ---- saving


def test_save_is_what_the_original_reads(shallow):
    path, arrays = shallow
    theirs = mx.nd.load(str(path))
    assert sorted(theirs) == sorted("arg:" + name for name in arrays)
    assert all((theirs["arg:" + name].asnumpy() == value).all() for name, value in arrays.items())


def test_save_is_whole_or_not_at_all(tmp_path, shallow, monkeypatch):
    path, arrays = shallow
    before = path.read_bytes()

    def half(name, params):
        with open(name, "wb") as file:
            file.write(before[: len(before) // 2])

    monkeypatch.setattr(mx.nd, "save", half)
    with pytest.raises(OutputError):
        save_weights(path, arrays)
    assert path.read_bytes() == before and os.listdir(str(tmp_path)) == [path.name]


def test_half_precision_halves_the_file_and_is_read_as_float32(tmp_path, shallow):
    path, arrays = shallow
    save_weights(tmp_path / "half.params", arrays, dtype="float16")
    assert os.path.getsize(str(tmp_path / "half.params")) < 0.51 * os.path.getsize(str(path))
    for name, value in load_weights(tmp_path / "half.params", VGG19.parameter_shapes(["relu2_1"])).items():
        assert value.dtype == np.float32 and (value.asnumpy() == arrays[name].astype("float16")).all()
    arrays["conv1_1_bias"][3] = 1e6
    with pytest.raises(WeightsError, match="conv1_1_bias has values that are too large for float16"):
        save_weights(tmp_path / "other.params", arrays, dtype="float16")
    assert not (tmp_path / "other.params").exists()


def test_save_makes_folders_or_says_why_not(tmp_path):
    arrays = make(VGG19.parameter_shapes(["relu1_1"]))
    save_weights(tmp_path / "a" / "b" / "c.params", arrays)
    assert os.listdir(str(tmp_path / "a" / "b")) == ["c.params"]
    with pytest.raises(OutputError) as raised:
        save_weights(tmp_path / "a" / "b" / "c.params" / "d.params", arrays)
    assert "d.params" in message(raised)


# ---- digest, list, verify


def test_digest(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(WeightsError, match="cannot be read"):
        digest(tmp_path / "b")


@pytest.mark.parametrize(
    "architecture, layer, models, deepest",
    [
        (VGG19, "relu2_1", ("vgg19", "vgg16"), "conv2_1"),
        (VGG19, "relu3_4", ("vgg19",), "conv3_4"),
        (VGG16, "relu4_1", ("vgg16",), "conv4_1"),
        (LOWRANK, "relu3_3", ("vgg16-lowrank", "vgg19-lowrank"), "conv3_3"),
        (LOWRANK, "relu4_1", ("vgg16-lowrank",), "conv4_1"),
        (LOWRANK, "relu5_3", ("vgg16-lowrank",), "conv5_3"),
    ],
)
def test_describe(tmp_path, architecture, layer, models, deepest):
    arrays = make(architecture.parameter_shapes([layer]))
    arrays["fc6_weight"] = np.ones((4, 4))
    save_weights(tmp_path / "a.params", arrays)
    found, depth = describe_weights(tmp_path / "a.params")
    assert (found, depth) == (models, deepest)


def test_describe_takes_a_fitting_name_at_its_word(tmp_path):
    save_weights(tmp_path / "vgg16.params", make(VGG19.parameter_shapes(["relu1_2"])))
    assert describe_weights(tmp_path / "vgg16.params") == (("vgg16",), "conv1_2")


def test_whole_vgg16_is_not_vgg19():
    for model, deepest in (("vgg16", "conv5_3"), ("vgg19", "conv5_4")):
        architecture = ARCHITECTURES[model]
        found = {
            name: params_file.Entry("<f4", shape, 0)
            for name, shape in architecture.parameter_shapes([architecture.layers[-1]]).items()
        }
        assert fitting_models(found) == ((model,), deepest)


def test_describe_other_networks(tmp_path):
    gap = make(VGG19.parameter_shapes(["relu2_1"]))
    del gap["conv1_2_weight"]
    half = make(VGG19.parameter_shapes(["relu1_2"]))
    del half["conv1_2_bias"]
    for arrays in (gap, half, {"weight": np.ones(3)}, make({"conv1_1_weight": (5, 3, 3, 3), "conv1_1_bias": (5,)})):
        save_weights(tmp_path / "a.params", arrays)
        assert describe_weights(tmp_path / "a.params") == ((), None)


def test_list(nowhere, monkeypatch):
    given, environment = nowhere / "given", nowhere / "environment"
    monkeypatch.setenv("NEURAL_STYLE_MODELS", str(environment))
    save_weights(given / "vgg19.params", make(VGG19.parameter_shapes(["relu3_4"])))
    save_weights(environment / "mine.params", make({"x": (3,)}))
    (environment / "zero.params").touch()
    records = {record.name: record for record in list_weights(given)}
    assert list(records)[:3] == ["vgg19", "mine", "zero"]
    vgg19 = records["vgg19"]
    assert (vgg19.path, vgg19.models, vgg19.deepest) == (given / "vgg19.params", ("vgg19",), "conv3_4")
    assert vgg19.size == os.path.getsize(str(vgg19.path)) and not vgg19.note
    assert records["mine"].models == () and "none of the networks" in records["mine"].note
    assert "empty" in records["zero"].note
    for name in ("vgg16", "gluon-vgg19"):
        assert records[name].path is None and f"weights fetch {name}" in records[name].note


def test_verify_and_list_low_rank(nowhere, monkeypatch):
    monkeypatch.setenv("NEURAL_STYLE_MODELS", str(nowhere))
    path = nowhere / "vgg16-lowrank.params"
    save_weights(path, make(LOWRANK.parameter_shapes(["relu5_3"])), dtype="float16")
    record = verify_weights(path, "vgg16-lowrank")
    assert (record.models, record.deepest) == (("vgg16-lowrank",), "conv5_3")
    assert "42 parameters complete and finite" in record.note
    (listed,) = [one for one in list_weights() if one.path == path]
    assert (listed.models, listed.deepest, listed.note) == (("vgg16-lowrank",), "conv5_3", "")
    with pytest.raises(WeightsError, match="no parameter conv1_2_weight"):
        verify_weights(path, "vgg16")
    save_weights(path, make(LOWRANK.parameter_shapes(["relu4_1"])))
    with pytest.raises(WeightsError, match="it goes to conv4_1"):
        verify_weights(path, "vgg16-lowrank")


def test_weights_of_low_rank_that_are_not_here_can_be_made(nowhere):
    with pytest.raises(WeightsError, match="no weights 'vgg19-lowrank': .*'neural-style compress'"):
        find_weights("vgg19-lowrank")


def test_verify(tmp_path, monkeypatch):
    arrays = make(VGG16.parameter_shapes(["relu5_1"]))
    path = tmp_path / "a.params"
    save_weights(path, arrays)
    record = verify_weights(path, "vgg16")
    assert record.models == ("vgg16",) and record.deepest == "conv5_1" and record.sha256 == digest(path)
    assert "22 parameters complete and finite; not one of the published files" == record.note
    published = dict(name="x", digest=catalogue.git_blob_id(path), description="THE FILE", model="vgg16")
    known = replace(catalogue.KNOWN_FILES["vgg19"], **published)
    monkeypatch.setitem(catalogue.KNOWN_FILES, "x", known)
    assert re.search("THE FILE .git blob [0-9a-f]{40}", verify_weights(path, "vgg16").note)
    with pytest.raises(WeightsError, match="conv3_4_weight"):
        verify_weights(path, "vgg19")
    arrays["conv5_1_bias"][7] = np.nan
    save_weights(path, arrays)
    with pytest.raises(WeightsError, match="1 of the 512 values of parameter conv5_1_bias"):
        verify_weights(path, "vgg16")
    with pytest.raises(SettingsError, match="vgg11"):
        verify_weights(path, "vgg11")
