"""Fetching, against a server on this machine that serves well, cuts, corrupts, refuses and stalls."""

import contextlib
import dataclasses
import hashlib
import http.server
import logging
import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import generator_files
import numpy as np
import pytest
import random_generators

from neural_style._mxnet import mx
from neural_style.errors import DownloadError, SettingsError, WeightsError
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.weights import catalogue
from neural_style.weights.catalogue import KNOWN_FILES, git_blob_id
from neural_style.weights.downloads import fetch
from neural_style.weights.generator_importers import import_generator
from neural_style.weights.generators import find_generator, read_generator
from neural_style.weights.lookup import find_weights, list_weights, verify_weights
from neural_style.weights.params_file import read_arrays, read_index, save_weights

CONTENT = np.random.RandomState(0).bytes(300000)
BLOB = hashlib.sha1(b"blob 300000\0" + CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (path -> bytes); the first requests each take their conduct from `plan`, then all is well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.plan, self.requests = {}, [], []
        self.stalled, self.stop_stalling = threading.Event(), threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}/some/place/"

    def handle_error(self, request, client_address):
        pass  # clients that went away


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.path)
        conduct = server.plan.pop(0) if server.plan else "well"
        if conduct in (404, 500):
            return self.send_error(conduct)
        content = server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        if conduct == "stall":
            server.stop_stalling.wait(20)
        if conduct == "corrupt":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        self.send_response(200)
        if conduct not in ("cut unannounced", "endless"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if conduct == "endless":
            with contextlib.suppress(OSError):  # until the other end has enough
                while True:
                    self.wfile.write(content)
        half = content[: len(content) // 2]
        self.wfile.write(half)
        if conduct == "stall in the middle":
            self.wfile.flush()
            server.stalled.set()
            server.stop_stalling.wait(20)
        if conduct not in ("cut", "cut unannounced"):
            self.wfile.write(content[len(half) :])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    known = dataclasses.replace(KNOWN_FILES["vgg19"], digest=BLOB)
    monkeypatch.setitem(KNOWN_FILES, "vgg19", known)
    server.files["/some/place/" + known.path] = CONTENT
    monkeypatch.setenv("NEURAL_STYLE_MIRROR", server.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.stop_stalling.set()
    server.shutdown()
    server.server_close()


def message(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_git_blob_id(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")  # `git hash-object` says
    assert git_blob_id(tmp_path / "a") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_table_agrees_with_mxnets_own(monkeypatch):
    for variable in ("NEURAL_STYLE_MIRROR", "MXNET_GLUON_REPO"):
        monkeypatch.delenv(variable, raising=False)
    store = mx.gluon.model_zoo.model_store
    for known, model in ((KNOWN_FILES["vgg16"], "vgg16"), (KNOWN_FILES["gluon-vgg19"], "vgg19")):
        assert known.digest == store._model_sha1[model]
        assert known.path == f"gluon/models/{model}-{store.short_hash(model)}.zip"
        assert known.url == store.apache_repo_url + known.path


def test_base_addresses(monkeypatch):
    monkeypatch.delenv("NEURAL_STYLE_MIRROR", raising=False)
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://gluon.example")
    assert KNOWN_FILES["vgg19"].url == (
        "https://raw.githubusercontent.com/dmlc/web-data/master/mxnet/neural-style/model/vgg19.params"
    )
    assert KNOWN_FILES["vgg16"].url == "http://gluon.example/gluon/models/vgg16-e660d456.zip"
    monkeypatch.setenv("NEURAL_STYLE_MIRROR", "http://mirror.example/all/")
    assert KNOWN_FILES["vgg19"].url == "http://mirror.example/all/mxnet/neural-style/model/vgg19.params"
    assert KNOWN_FILES["vgg16"].url == "http://mirror.example/all/gluon/models/vgg16-e660d456.zip"


def test_fetch_then_nothing_to_do(server, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="neural_style")
    folder = tmp_path / "new" / "models"
    path = fetch("vgg19", folder)
    assert path == folder / "vgg19.params" and path.read_bytes() == CONTENT
    assert os.listdir(str(folder)) == ["vgg19.params"]
    (folder / "plain").touch()  # others may read it, if they may read what is written here
    assert path.stat().st_mode == (folder / "plain").stat().st_mode
    (folder / "plain").unlink()
    assert server.requests == ["/some/place/mxnet/neural-style/model/vgg19.params"]
    assert fetch("vgg19", folder) == path
    assert len(server.requests) == 1 and "already there" in caplog.text


def test_default_folder_is_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = fetch("vgg19")
    assert path.parent == catalogue.cache_folder()
    assert find_weights("vgg19", models_dir=tmp_path / "none").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "conduct, words",
    [
        ("cut", "fetched"),  # requests notices it, or the digest; it depends on urllib3's version
        ("cut unannounced", "not the known file"),
        ("corrupt", "not the known file"),
        ("stall", "no answer for 0.3 s"),
        ("stall in the middle", "no answer for 0.3 s"),
        (404, "404 Not Found"),
        (500, "500 Internal Server Error"),
    ],
)
def test_failures_leave_nothing_and_say_what_to_do(server, tmp_path, conduct, words):
    server.plan = [conduct]
    with pytest.raises(DownloadError) as raised:
        fetch("vgg19", tmp_path, timeout=0.3, retries=0)
    assert words in message(raised)
    for help_ in (KNOWN_FILES["vgg19"].url, "on another machine", str(tmp_path / "vgg19.params")):
        assert help_ in str(raised.value)
    assert os.listdir(str(tmp_path)) == []
    assert fetch("vgg19", tmp_path).read_bytes() == CONTENT  # a clean restart


def test_more_than_the_known_file_is_not_taken(server, tmp_path, monkeypatch):
    known = dataclasses.replace(KNOWN_FILES["vgg19"], most_bytes=10 * len(CONTENT))
    monkeypatch.setitem(KNOWN_FILES, "vgg19", known)
    server.plan = ["endless"]
    with pytest.raises(DownloadError, match="the download is longer than the known file") as raised:
        fetch("vgg19", tmp_path)
    message(raised)
    assert len(server.requests) == 1 and os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_the_known_sizes_are_those_of_all_parameters(name):
    """Of a network with its fully connected layers: 4096, 4096 and 1000 outputs, the first from 512 x 7 x 7."""
    convolutions = ARCHITECTURES[name].parameter_shapes(["relu5_4" if name == "vgg19" else "relu5_3"])
    count = sum(int(np.prod(shape)) for shape in convolutions.values())
    count += sum(inputs * outputs + outputs for inputs, outputs in ((25088, 4096), (4096, 4096), (4096, 1000)))
    for known in KNOWN_FILES.values():
        if known.model == name:
            assert 4 * count < known.most_bytes < 4 * count + 2**21


def test_connection_refused(server, tmp_path, monkeypatch):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError) as raised:
        fetch("vgg19", tmp_path, retries=0)
    assert "no connection" in message(raised) and os.listdir(str(tmp_path)) == []


def test_retries(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.plan = ["cut", "corrupt"]
    assert fetch("vgg19", tmp_path, retries=2).read_bytes() == CONTENT
    assert len(server.requests) == 3 and pauses == [1, 2]
    server.plan = [500, 500, 500]
    with pytest.raises(DownloadError, match="500"):
        fetch("vgg19", tmp_path / "other", retries=2)


def test_killed_in_the_middle(server, tmp_path):
    server.plan = ["stall in the middle"]
    program = "import sys; from neural_style.weights.downloads import fetch; fetch('vgg19', sys.argv[1], timeout=60)"
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=root)
    try:
        assert server.stalled.wait(60)
    finally:
        process.kill()
        process.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".neural-style-")
    os.utime(str(left), (0, 0))
    assert fetch("vgg19", tmp_path).read_bytes() == CONTENT
    assert os.listdir(str(tmp_path)) == ["vgg19.params"]  # and what was left of the first is swept away


def test_another_file_is_not_overwritten(server, tmp_path):
    mine = tmp_path / "vgg19.params"
    mine.write_bytes(b"mine")
    with pytest.raises(DownloadError) as raised:
        fetch("vgg19", tmp_path)
    assert str(mine) in message(raised) and mine.read_bytes() == b"mine" and not server.requests
    server.plan = ["cut"]
    with pytest.raises(DownloadError):
        fetch("vgg19", tmp_path, replace=True, retries=0)
    assert mine.read_bytes() == b"mine"
    assert fetch("vgg19", tmp_path, replace=True).read_bytes() == CONTENT


def test_folder_cannot_be_made(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="`models_dir`"):
        fetch("vgg19", tmp_path / "file" / "folder")


def test_unknown_name():
    with pytest.raises(SettingsError, match="unknown file 'vgg11'; choose from .*gluon-vgg19"):
        fetch("vgg11")


def test_progress_only_on_a_terminal(server, tmp_path, capfd, monkeypatch):
    fetch("vgg19", tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    fetch("vgg19", tmp_path / "b", progress=True)
    assert "100%" in capfd.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch("vgg19", tmp_path / "c")
    assert "100%" in capfd.readouterr().err


def gluon_zip(folder, architecture, layer, known):
    """Give the zip that Gluon's store would serve, and the SHA-1 of the parameters in it."""
    rng, params, position, before = np.random.RandomState(0), {}, {}, None
    for index, name in enumerate(architecture.layers):
        position[name] = index
    for name, shape in architecture.parameter_shapes([layer]).items():
        before, part = name.rsplit("_", 1)
        params[f"features.{position[before]}.{part}"] = mx.nd.array(rng.standard_normal(shape))
    inside = folder / (os.path.basename(known.path)[:-4] + ".params")
    mx.nd.save(str(inside), params)
    with zipfile.ZipFile(str(folder / "a.zip"), "w") as archive:
        archive.write(str(inside), inside.name)
    return (folder / "a.zip").read_bytes(), hashlib.sha1(inside.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["vgg16", "gluon-vgg19"])
def test_gluon(server, tmp_path, monkeypatch, name):
    known = KNOWN_FILES[name]
    content, sha1 = gluon_zip(tmp_path, ARCHITECTURES[known.model], "relu5_1", known)
    monkeypatch.setitem(KNOWN_FILES, name, dataclasses.replace(known, digest=sha1))
    server.files["/some/place/" + known.path] = content
    folder = tmp_path / "models"
    path = fetch(name, folder)
    assert os.listdir(str(folder)) == [f"{name}.params"]
    assert verify_weights(path, known.model).deepest == "conv5_1"
    # conv1_1 takes our input, which is 0 to 255 and not normalised.
    source = mx.nd.load(str(tmp_path / (os.path.basename(known.path)[:-4] + ".params")))["features.0.weight"].asnumpy()
    weight = read_arrays(path, read_index(path), ["conv1_1_weight"])["conv1_1_weight"]
    assert np.allclose(weight * 255 * np.reshape([0.229, 0.224, 0.225], (1, 3, 1, 1)), source, rtol=1e-5)
    assert find_weights(known.model, name if name.startswith("gluon") else None, folder) == path
    assert fetch(name, folder) == path and len(server.requests) == 1


def test_a_zip_of_more_than_the_known_file_is_not_unpacked(server, tmp_path, monkeypatch):
    known = KNOWN_FILES["vgg16"]
    content, sha1 = gluon_zip(tmp_path, ARCHITECTURES["vgg16"], "relu1_2", known)
    most = os.path.getsize(str(tmp_path / (os.path.basename(known.path)[:-4] + ".params"))) - 1
    assert len(content) <= most + 1000  # the zip is not packed, so let it be what is in it that counts
    monkeypatch.setattr("neural_style.weights.downloads._Bounded", lambda file, most_bytes: file)
    monkeypatch.setitem(KNOWN_FILES, "vgg16", dataclasses.replace(known, digest=sha1, most_bytes=most))
    server.files["/some/place/" + known.path] = content
    with pytest.raises(DownloadError, match="what is in it is longer than the known file"):
        fetch("vgg16", tmp_path / "models", retries=0)


@pytest.mark.parametrize("conduct", ["cut", "corrupt", "other"])
def test_gluon_failures(server, tmp_path, monkeypatch, conduct):
    known = KNOWN_FILES["vgg16"]
    content, sha1 = gluon_zip(tmp_path, ARCHITECTURES["vgg16"], "relu1_2", known)
    monkeypatch.setitem(KNOWN_FILES, "vgg16", dataclasses.replace(known, digest=sha1))
    server.files["/some/place/" + known.path] = CONTENT if conduct == "other" else content
    server.plan = [conduct]
    folder = tmp_path / "models"
    with pytest.raises(DownloadError) as raised:
        fetch("vgg16", folder, retries=0)
    assert "weights import FILE.params --layout gluon" in message(raised)
    assert os.listdir(str(folder)) == []
    with pytest.raises(WeightsError):
        find_weights("vgg16", models_dir=folder)


def test_gluon_present_only_if_complete(server, tmp_path):
    save_weights(tmp_path / "vgg16.params", {"conv1_1_weight": np.ones((64, 3, 3, 3)), "conv1_1_bias": np.ones(64)})
    with pytest.raises(DownloadError, match="is already there and is not VGG-16 of Gluon"):
        fetch("vgg16", tmp_path)


def generator_download(name, folder):
    """Write a small generator as its authors publish it: return the bytes, their digest, and its parameters."""
    if name == "mosaic":
        source = folder / "mosaic-9.onnx"
        generator_files.transformer_net_onnx(source, random_generators.transformer_net_state())
        return source.read_bytes(), hashlib.sha256(source.read_bytes()).hexdigest(), import_generator(source)
    archive = folder / "a.zip"
    with zipfile.ZipFile(str(archive), "w") as file:
        if name == "msg-net":
            source = folder / "msgnet_21styles-2cb88353.params"
            generator_files.msg_net(source, random_generators.msg_net_state())
            file.write(str(source), source.name)
            return archive, hashlib.sha1(source.read_bytes()).hexdigest()[:8], import_generator(source)
        for number, kind in enumerate(("v4", "v4")):
            source = folder / "model" / str(number) / "v3_0002-0026000.params"
            generator_files.end_to_end(source, random_generators.end_to_end_stage(kind, number), 7 * number)
            file.write(str(source), f"model/{number}/{source.name}")
        file.writestr("model/readme.txt", "nothing")
    return archive, None, import_generator(folder / "model")


@pytest.mark.parametrize("name", ["mosaic", "msg-net", "end-to-end"])
def test_generators_are_fetched_and_imported(server, tmp_path, monkeypatch, name):
    known = KNOWN_FILES[name]
    content, digest, expected = generator_download(name, tmp_path)
    content = content if isinstance(content, bytes) else content.read_bytes()
    digest = digest or hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    assert len(digest) == len(known.digest)
    monkeypatch.setitem(KNOWN_FILES, name, dataclasses.replace(known, digest=digest))
    server.files["/some/place/" + known.path] = content
    folder = tmp_path / "models"
    server.plan = ["corrupt"]
    with pytest.raises(DownloadError, match="the download is not the known file") as raised:
        fetch(name, folder, retries=0)
    assert f"--layout {known.layout} --output {folder / known.filename}" in message(raised)
    assert os.listdir(str(folder)) == []
    path = fetch(name, folder)
    assert os.listdir(str(folder)) == [f"{name}.params"] and find_generator(name, folder) == path
    _, found = read_generator(path)
    assert list(found) == list(expected)
    for parameter, value in expected.items():
        np.testing.assert_array_equal(found[parameter], value)
    asked = len(server.requests)
    assert fetch(name, folder) == path and len(server.requests) == asked
    save_weights(path, {"conv1_1_weight": np.ones((64, 3, 3, 3))})
    with pytest.raises(DownloadError, match="is already there and is not"):
        fetch(name, folder)


def test_generators_that_can_be_fetched_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr("neural_style.weights.lookup.search_folders", lambda models_dir=None: [tmp_path])
    notes = {record.name: record.note for record in list_weights()}
    assert "not here: neural-style weights fetch mosaic" in notes["mosaic"]
    with pytest.raises(WeightsError, match="get them with 'neural-style weights fetch mosaic'"):
        find_generator("mosaic")
