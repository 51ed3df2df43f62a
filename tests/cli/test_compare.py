"""Comparing from files to lines, JSON and exit codes."""

import dataclasses
import functools
import http.server
import json
import re
import threading

import numpy as np
import pytest

from neural_style.cli import compare
from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.jobs.provenance import read_record
from neural_style.metrics.similarity import compare_images, reconcile
from neural_style.weights.catalogue import KNOWN_FILES, git_blob_id


@pytest.fixture
def files(pictures, tmp_path):
    """Two pictures of different sizes, a.png and b.jpg, beside content.png and style.png."""
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    content = read_image(pictures / "content.png")
    save_image(tmp_path / "a.png", content)
    save_image(tmp_path / "b.jpg", np.clip(content[::2, ::2].astype(int) + 20, 0, 255).astype("uint8"))
    return tmp_path


def run(capfd, *argv):
    code = main(["compare", "--gpu", "-1", *map(str, argv)])
    out, err = capfd.readouterr()
    assert code == 0, err
    return out


def test_two_pictures(files, capfd):
    out = run(capfd, files / "a.png", files / "b.jpg")
    expected = compare_images(*reconcile(read_image(files / "a.png"), read_image(files / "b.jpg")))
    assert out.splitlines() == [
        f"A: {files}/a.png, 40 x 32 pixels",
        f"B: {files}/b.jpg, 20 x 16 pixels",
        f"PSNR                       {expected.psnr:7.2f} dB",
        f"SSIM                       {expected.ssim:10.4f}",
        f"colour histogram distance  {expected.histogram:10.4f}",
        f"note: {files}/b.jpg is 20 x 16 pixels and was brought to 40 x 32",
    ]


def test_equal_pictures(files, capfd):
    assert "PSNR                            equal" in run(capfd, files / "a.png", files / "a.png")
    assert json.loads(run(capfd, "--json", files / "a.png", files / "a.png"))["psnr"] is None


def test_with_content_and_style_a_network_judges(files, vgg19_file, capfd):
    argv = ["--content", files / "content.png", "--style", files / "style.png", "--judge", vgg19_file]
    argv += [files / "a.png", files / "b.jpg"]
    told = json.loads(run(capfd, "--json", *argv))
    assert told["a"]["content"] < 1e-9 < told["b"]["content"]
    assert (told["judge"]["model"], told["judge"]["file"]) == ("vgg19", str(vgg19_file))
    assert re.fullmatch("[0-9a-f]{64}", told["judge"]["sha256"])
    out = run(capfd, *argv)
    assert re.search(rf"^style distance +{told['a']['style']:.4f} +{told['b']['style']:.4f}$", out, re.M)
    assert f"judged by vgg19, {vgg19_file}" in out


def test_without_weights_of_vgg19_a_network_of_low_rank_judges_and_it_is_said(files, lowrank_alone, capfd):
    argv = ["--content", files / "content.png", "--style", files / "style.png", files / "a.png", files / "b.jpg"]
    assert "judged by vgg16-lowrank, " in run(capfd, *argv)


@pytest.fixture
def published(files, monkeypatch):
    """The published files, small, on a server of this machine; and the requests it got."""
    (files / "web" / "mxnet/neural-style/input").mkdir(parents=True)
    (files / "web" / "mxnet/neural-style/output").mkdir()
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_):
            requests.append(self.path.rsplit("/", 1)[-1])

    for name, source in zip(compare._PUBLISHED.values(), ("content.png", "style.png", "a.png")):
        path = files / "web" / KNOWN_FILES[name].path
        path.write_bytes((files / source).read_bytes())
        monkeypatch.setitem(KNOWN_FILES, name, dataclasses.replace(KNOWN_FILES[name], digest=git_blob_id(path)))
    handler = functools.partial(Handler, directory=str(files / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("NEURAL_STYLE_MIRROR", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(files / "cache"))
    yield requests
    server.shutdown()
    server.server_close()


def original(files, *more):
    return ["--original", "--max-long-edge", 40, "--max-num-epochs", 2, "--output", files / "ours.png", *more]


def test_original_fetches_paints_and_compares(files, published, lowrank_alone, capfd):
    told = json.loads(run(capfd, "--json", *original(files)))
    assert sorted(published) == ["4343_starry_night.jpg", "IMG_4343.jpg", "starry_night.jpg"]
    assert told["b"]["file"] == str(files / "ours.png") and told["a"]["file"].endswith("4343_starry_night.jpg")
    assert told["a"]["content"] < 1e-9 < told["b"]["content"]
    assert told["notes"] == [
        "the published image is of vgg19, ours of vgg16-lowrank: another network makes another image"
    ]
    record = read_record(files / "ours.png")
    assert (record["recipe"], record["steps"], record["settings"]["model"]) == ("mxnet-0.7", 2, "vgg16-lowrank")
    run(capfd, *original(files))
    assert len(published) == 3  # nothing is fetched twice


def test_original_with_the_full_network_and_files_at_hand(files, published, vgg19_file, capfd):
    names = dict(zip(("--content", "--style", "--published"), ("style.png", "style.png", "b.jpg")))
    argv = original(files, "--weights", vgg19_file, "--judge", vgg19_file)
    out = run(capfd, *argv, *(word for flag, name in names.items() for word in (flag, files / name)))
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert published == []
    assert notes == [
        f"note: {files}/style.png is not the published IMG_4343.jpg",
        f"note: {files}/b.jpg is not the published 4343_starry_night.jpg",
        f"note: {files}/ours.png is 26 x 40 pixels and was brought to 20 x 16",
    ]
    assert "judged by vgg19, " in out


BAD = [
    ("one", ["{a}"], 1, "two images are compared, not 1; give A and B, or --original"),
    ("none", [], 1, "two images are compared, not 0"),
    ("missing", ["{a}", "{tmp}/none.png"], 1, "none.png: there is no such file"),
    ("text", ["{tmp}/text.png", "{a}"], 1, "text.png: is not an image"),
    ("cut", ["{a}", "{tmp}/cut.png"], 1, "cut.png: cannot be decoded"),
    ("small", ["{tmp}/small.png", "{a}"], 1, "small.png: 9 x 9 pixels are too small to compare; it takes 11 x 11"),
    ("content alone", ["--content", "{a}", "{a}", "{a}"], 1, "--content is of no use without --style"),
    ("style alone", ["--style", "{a}", "{a}", "{a}"], 1, "--style is of no use without --content"),
    ("missing style", ["--content", "{a}", "--style", "{tmp}/none.png", "{a}", "{a}"], 1, "none.png: there is no such"),
    ("no judge", ["--content", "{a}", "--style", "{a}", "--judge", "{tmp}/no.params", "{a}", "{a}"], 1, "no.params"),
    ("text judges", ["--content", "{a}", "--style", "{a}", "--judge", "{tmp}/text.png", "{a}", "{a}"], 1, "text.png"),
    ("published", ["--published", "{a}", "{a}", "{a}"], 1, "--published goes with --original"),
    ("weights", ["--weights", "{a}", "{a}", "{a}"], 1, "--weights goes with --original"),
    ("both", ["--original", "{a}", "{a}"], 1, "leave out the two images"),
    ("over published", ["--original", "--published", "{a}", "--output", "{a}", "--content", "{a}", "--style", "{a}"], 1,
     "would be overwritten"),
    ("unknown flag", ["--strict", "{a}", "{a}"], 2, "unrecognized arguments: --strict"),
]  # fmt: skip


@pytest.mark.parametrize("argv, code, message", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_compared_is_one_line(argv, code, message, files, lowrank_alone, capfd):
    (files / "text.png").write_text("no picture")
    (files / "cut.png").write_bytes((files / "a.png").read_bytes()[:700])
    save_image(files / "small.png", np.zeros((9, 9, 3), "uint8"))
    before = {path: path.stat().st_mtime_ns for path in files.iterdir()}
    argv = [word.format(a=files / "a.png", tmp=files) for word in argv]
    try:
        got = main(["compare", "--gpu", "-1", *argv])
    except SystemExit as end:
        got = end.code
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if "using vgg16-lowrank" not in line]
    assert (got, out) == (code, "") and message in lines[-1] and lines[-1].startswith("neural-style")
    assert code == 2 or len(lines) == 1
    assert {path: path.stat().st_mtime_ns for path in files.iterdir()} == before


def test_a_file_that_cannot_be_fetched(files, lowrank_alone, monkeypatch, capfd):
    monkeypatch.setenv("NEURAL_STYLE_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(files / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert main(["compare", *map(str, original(files))]) == 1
    assert "IMG_4343.jpg could not be fetched" in capfd.readouterr().err.splitlines()[-1]
