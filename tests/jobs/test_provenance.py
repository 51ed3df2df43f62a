"""Settings travel with the picture, in every format, and nothing foreign is believed."""

import hashlib
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import tifffile
from PIL import Image

from neural_style import __version__
from neural_style.errors import ImageError
from neural_style.images import saving
from neural_style.images.reading import read_image
from neural_style.images.saving import read_metadata, save_image
from neural_style.jobs import provenance
from neural_style.jobs.job import Job, StyleFile, read_recipe
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.running import run_job
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.run import Step, StopReason

PIXELS = np.random.RandomState(0).randint(0, 256, (20, 30, 3)).astype("uint8")
RECIPE = get_recipe("mxnet-1.9").override(style_weight=0.1, max_steps=7, style_layers=("relu1_1",))


def make_job(content, *styles, recipe=RECIPE, **more):
    return Job(content, styles, Outputs.beside("o.png"), recipe, **more)


@pytest.fixture
def run(pictures, vgg19_file):
    job = make_job(pictures / "content.png", pictures / "style.png", seed=np.int64(3), compute=Compute(gpu=-1))
    return provenance.describe_run(job, vgg19_file)


@pytest.fixture
def record(run):
    return provenance.describe_image(run, history(5), StopReason.CONVERGED, (20, 30, 3))


def history(steps):
    losses = {"style_relu1_1": 1.5, "total_variation": 0.25}
    return [Step(number + 1, losses, 1.75, 1.0, 2.0, 0.1, 0.01, 1) for number in range(steps)]


def keep(path, text):
    save_image(path, PIXELS, metadata={"Software": "x", "Comment": text})
    return path


@pytest.mark.parametrize("suffix", saving.FORMATS)
def test_a_record_comes_back_from_every_format_and_the_pixels_do_not_change(tmp_path, record, suffix):
    path, plain = tmp_path / ("with" + suffix), tmp_path / ("without" + suffix)
    save_image(path, PIXELS, metadata=provenance.to_metadata(record))
    save_image(plain, PIXELS)
    assert provenance.read_record(path) == json.loads(json.dumps(record))
    assert read_metadata(plain) == {}
    np.testing.assert_array_equal(read_image(path), read_image(plain))


def test_what_is_in_it(record, pictures, vgg19_file):
    def sha(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    expected = {
        "schema": "neural-style/image",
        "version": 1,
        "program": __version__,
        "recipe": "mxnet-1.9",
        "seed": 3,
        "compute": {"gpu": -1, "precision": "float32", "memory": None, "tile_size": None},
        "weights": {"file": str(vgg19_file), "sha256": sha(vgg19_file), "found": False},
        "surrogate": None,
        "generator": None,
        "content": {"file": str(pictures / "content.png"), "sha256": sha(pictures / "content.png")},
        "styles": [
            {
                "file": str(pictures / "style.png"),
                "weight": 1.0,
                "scale": 1.0,
                "mask": None,
                "source_mask": None,
                "sha256": sha(pictures / "style.png"),
            }
        ],
        "start": None,
        "controls": {"keep": None, "strength": None, "palette": None},
        "steps": 5,
        "stop": "CONVERGED",
        "size": [30, 20],
        "losses": {"style_relu1_1": 1.5, "total_variation": 0.25},
    }
    settings = {name: list(v) if isinstance(v, tuple) else v for name, v in RECIPE.settings().items()}
    assert record == dict(expected, settings=settings)


def test_weights_that_would_be_found_are_told_without_their_folder(pictures, lowrank_alone):
    recipe = get_recipe("mxnet-0.7").override(model="vgg16-lowrank")
    path = lowrank_alone / "vgg16-lowrank.params"
    job = make_job(pictures / "content.png", pictures / "style.png", recipe=recipe)
    told = provenance.describe_run(job, path)["weights"]
    assert (told["file"], told["found"]) == ("vgg16-lowrank.params", True)


def test_the_twin_that_takes_most_steps_is_told(pictures, lowrank_alone, vgg16_file):
    recipe = get_recipe("mxnet-0.7").override(model="vgg16", surrogate=2)
    job = make_job(pictures / "content.png", pictures / "style.png", recipe=recipe)
    told = provenance.describe_run(job, vgg16_file)
    digest = hashlib.sha256((lowrank_alone / "vgg16-lowrank.params").read_bytes()).hexdigest()
    assert told["surrogate"] == {"file": "vgg16-lowrank.params", "sha256": digest, "found": True}


def test_the_generator_of_the_start_is_told(pictures, vgg19_file, tmp_path, monkeypatch):
    (tmp_path / "any-style.params").write_bytes(b"a generator")
    monkeypatch.setenv("NEURAL_STYLE_MODELS", str(tmp_path))
    recipe = get_recipe("mxnet-0.7").override(initial="one-pass")
    job = make_job(pictures / "content.png", pictures / "style.png", recipe=recipe)
    told = provenance.describe_run(job, vgg19_file)["generator"]
    digest = hashlib.sha256(b"a generator").hexdigest()
    assert told == {"file": "any-style.params", "sha256": digest, "found": True}
    job = make_job(pictures / "content.png", pictures / "style.png", recipe=recipe, start=pictures / "style.png")
    assert provenance.describe_run(job, vgg19_file)["generator"] is None


def test_other_programs_find_it(tmp_path, record):
    metadata = provenance.to_metadata(record)
    for name in ("a.png", "a.jpg", "a.tif"):
        save_image(tmp_path / name, PIXELS, metadata=metadata)
    with tifffile.TiffFile(str(tmp_path / "a.tif")) as tiff:
        assert tiff.pages[0].software == metadata["Software"] == f"neural-style {__version__}"
        assert tiff.pages[0].description == metadata["Comment"]
    # The chunk as PNG's specification has it: keyword, a zero byte, Latin-1 text.
    assert b"tEXtComment\0" + metadata["Comment"].encode() in (tmp_path / "a.png").read_bytes()
    assert b"ASCII\0\0\0" + metadata["Comment"].encode() in (tmp_path / "a.jpg").read_bytes()


@pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool")
def test_exiftool_finds_it(tmp_path, record):
    metadata = provenance.to_metadata(record)
    for name, tag in (("a.png", "Comment"), ("a.jpg", "UserComment"), ("a.tif", "ImageDescription")):
        save_image(tmp_path / name, PIXELS, metadata=metadata)
        output = subprocess.check_output(["exiftool", "-json", "-Software", "-" + tag, str(tmp_path / name)])
        told = json.loads(output.decode())[0]
        assert (told["Software"], json.loads(told[tag])) == (metadata["Software"], json.loads(metadata["Comment"]))


def test_names_beyond_ascii(tmp_path, pictures, vgg19_file):
    content = tmp_path / "Fjällräv 狐.png"
    shutil.copy(str(pictures / "content.png"), str(content))
    job = make_job(content, pictures / "style.png", start=content, seed=None)
    run = provenance.describe_run(job, vgg19_file)
    record = provenance.describe_image(run, history(1), None, (20, 30))
    for suffix in (".png", ".jpg", ".tif"):
        save_image(tmp_path / ("o" + suffix), PIXELS, metadata=provenance.to_metadata(record))
        read = provenance.read_record(tmp_path / ("o" + suffix))
        assert read["content"]["file"] == read["start"]["file"] == str(content)
        assert read["seed"] is None and read["stop"] is None


def test_metadata_is_ascii(tmp_path):
    with pytest.raises(ValueError):
        save_image(tmp_path / "o.jpg", PIXELS, metadata={"Comment": "ä"})
    assert os.listdir(str(tmp_path)) == []


def test_the_recipe_comes_back(tmp_path, record):
    path = keep(tmp_path / "o.png", provenance.to_metadata(record)["Comment"])
    recipe, strange = read_recipe(provenance.read_record(path))
    assert recipe == RECIPE and strange == {}


def test_a_recipe_and_a_setting_that_are_not_known_here(record):
    record = dict(record, recipe="of-tomorrow", settings=dict(record["settings"], sparkle=3))
    recipe, strange = read_recipe(record)
    assert recipe == get_recipe("mxnet-0.7").override(**RECIPE.settings())
    assert strange == {"sparkle": 3}


def change(record, *keys, to):
    record = json.loads(json.dumps(record))
    place = record
    for key in keys[:-1]:
        place = place[key]
    if to is KeyError:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return json.dumps(record)


BROKEN = {
    "cut": (lambda r: json.dumps(r)[:200], "damaged"),
    "not a dict": (lambda r: '["neural-style/image"]', "damaged"),
    "nan": (lambda r: change(r, "settings", "style_weight", to=float("nan")), "NaN is not a number"),
    "deep": (lambda r: '{"schema": "neural-style/image", "x": ' + "[" * 100000, "damaged"),
    "no version": (lambda r: change(r, "version", to=KeyError), "damaged .*version"),
    "version is text": (lambda r: change(r, "version", to="1"), "damaged"),
    "later": (lambda r: change(r, "version", to=2), "are of version 2, this program knows 1; use a later neural-style"),
    "other schema": (lambda r: change(r, "schema", to="neural-style/image/x"), "not a record of an image"),
    "no seed": (lambda r: change(r, "seed", to=KeyError), "the record has no seed"),
    "no digest": (lambda r: change(r, "content", "sha256", to=KeyError), "content has no sha256"),
    "steps are true": (lambda r: change(r, "steps", to=True), "steps is of the wrong kind"),
    "found is 1": (lambda r: change(r, "weights", "found", to=1), "found is of the wrong kind"),
    "file is null": (lambda r: change(r, "styles", 0, "file", to=None), "file is of the wrong kind"),
    "size": (lambda r: change(r, "size", to=[3, "x"]), "size is of the wrong kind"),
    "setting is text": (lambda r: change(r, "settings", "learning_rate", to="fast"), "damaged"),
    "setting is a dict": (lambda r: change(r, "settings", "model", to={}), "model is of the wrong kind"),
    "setting makes no sense": (lambda r: change(r, "settings", "learning_rate", to=-1), "`learning_rate` is -1"),
    "escape": (lambda r: change(r, "styles", 0, "sha256", to="\x1b[2Jx"), "control characters"),
    "line": (lambda r: change(r, "program", to="1\nrm -rf"), "control characters"),
    "half a character": (lambda r: change(r, "styles", 0, "file", to="\ud800"), "can't encode character"),
    "zero byte": (lambda r: change(r, "styles", 0, "file", to="a\0b"), "has a zero byte"),
    "a byte that is no text": (lambda r: change(r, "program", to="\udc80"), "control characters"),
    "escape in a name": (lambda r: change(r, "settings", "x\n", to=1), "control characters"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_damaged_is_refused_in_one_line(tmp_path, record, name):
    make, reason = BROKEN[name]
    path = keep(tmp_path / "o.png", make(record))
    with pytest.raises(ImageError, match=reason) as caught:
        provenance.read_record(path)
    assert str(caught.value).startswith(f"{path}: ") and str(caught.value).isprintable()


def test_pictures_of_others(tmp_path):
    path = tmp_path / "o.png"
    save_image(path, PIXELS)
    with pytest.raises(ImageError, match="carries no settings of neural-style"):
        provenance.read_record(path)
    keep(path, "a fine day at the sea")
    with pytest.raises(ImageError, match="carries no settings of neural-style"):
        provenance.read_record(path)
    for format in ("GIF", "WEBP", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, format)
        path.write_bytes(buffer.getvalue())
        with pytest.raises(ImageError, match="carries no settings of neural-style"):
            provenance.read_record(path)


def test_a_comment_in_another_code(tmp_path):
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "neural-style/image".encode("utf-16")}
    Image.fromarray(PIXELS).save(str(tmp_path / "o.jpg"), exif=exif.tobytes())
    assert read_metadata(tmp_path / "o.jpg") == {}


def test_files_that_cannot_be_read(tmp_path, vgg19_file):
    with pytest.raises(ImageError, match="there is no such file"):
        read_metadata(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="is not an image of a known format"):
        read_metadata(tmp_path / "text.png")
    save_image(tmp_path / "cut.png", PIXELS)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:600])
    with pytest.raises(ImageError, match="damaged"):
        read_metadata(tmp_path / "cut.png")
    with pytest.raises(ImageError, match="none.png: cannot be read"):
        provenance.describe_run(make_job(tmp_path / "none.png", tmp_path / "none.png"), vgg19_file)


def test_every_picture_of_a_run_carries_its_settings(pictures, vgg19_file, tmp_path):
    recipe = get_recipe("mxnet-0.7").override(max_long_edge=40, max_steps=3, save_every=2, stop_eps=0.0)
    inputs = [str(pictures / name) for name in ("content.png", "style.png")]
    output = str(tmp_path / "o.png")
    styles = [StyleFile(inputs[1], 2.0), StyleFile(inputs[0], 1.0, 1.5)]
    job = Job(inputs[0], styles, Outputs.beside(output), recipe, inputs[1], str(vgg19_file), 4, Compute(gpu=-1))
    history = run_job(job).history
    last, way = provenance.read_record(output), provenance.read_record(tmp_path / "tmp_2.png")
    assert (last["steps"], last["stop"], last["size"]) == (3, "STEP_LIMIT", [40, 32])
    assert dict(last, steps=2, stop=None, losses=history[1].losses) == way
    assert last["losses"] == history[2].losses
    assert (last["seed"], last["compute"]["gpu"], last["start"]["file"]) == (4, -1, inputs[1])
    assert [(s["file"], s["weight"], s["scale"]) for s in last["styles"]] == [(inputs[1], 2, 1), (inputs[0], 1, 1.5)]
    assert read_recipe(last) == (recipe, {})
