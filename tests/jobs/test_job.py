"""A job as a value: to JSON and back, checked beforehand, run with observers."""

import dataclasses
import json

import numpy as np
import pytest

from neural_style.errors import ImageError, OutputError, SettingsError
from neural_style.images.reading import read_image
from neural_style.jobs.job import Job, StyleFile
from neural_style.jobs.observers import Observer
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.running import run_job
from neural_style.recipes.presets import OPTIMISING, get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.inputs import Style
from neural_style.transfer.run import StopReason
from neural_style.transfer.stylize import stylize

RECIPE = get_recipe("mxnet-0.7").override(max_long_edge=40, max_steps=3, save_every=2, stop_eps=0.0)


@pytest.fixture
def job(pictures, vgg19_file, tmp_path):
    content, style = (str(pictures / name) for name in ("content.png", "style.png"))
    outputs = Outputs.beside(str(tmp_path / "o.png"))
    return Job(content, [style], outputs, RECIPE, weights=str(vgg19_file), compute=Compute(gpu=-1))


@pytest.mark.parametrize("name", OPTIMISING)
def test_to_json_and_back(name):
    full = Job(
        "a.jpg",
        ("b.jpg", StyleFile("c.jpg", 0.5, 2)),
        Outputs("o.png", "x/", ".png", "r.html", "t.json"),
        get_recipe(name).override(style_scale=0.7, model="vgg16"),
        "s.png",
        "w.params",
        None,
        Compute(0, "auto", 10**9, 96),
        "c.npz",
        7,
    )
    plain = Job("a.jpg", ["b.jpg"], Outputs.beside("o.png"), get_recipe(name))
    for one in (full, plain):
        back = Job.from_json(json.loads(json.dumps(one.to_json())))
        assert back == one and back.recipe.network_named == one.recipe.network_named
    assert full.styles[0] == StyleFile("b.jpg", 1.0, 1.0)


def test_a_scheduler_of_today_is_not_kept():
    job = Job("a.jpg", ["b.jpg"], Outputs.beside("o.png"), compute=Compute(-1, tile_size=96, scheduler="tcp://here:1"))
    assert "here" not in json.dumps(job.to_json())
    assert Job.from_json(job.to_json()).compute == Compute(-1, tile_size=96)


def change(record, *keys, to=KeyError):
    place = record
    for key in keys[:-1]:
        place = place[key]
    if to is KeyError:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    return record


@pytest.mark.parametrize(
    "keys, to, message",
    [
        (("schema",), "neural-style/image", "not a job of this version"),
        (("version",), 2, "not a job of this version"),
        (("content",), KeyError, "the job has no content"),
        (("content", "file"), 3, "file is of the wrong kind"),
        (("styles",), [], "`styles` is empty"),
        (("styles", 0, "weight"), True, "weight is of the wrong kind"),
        (("styles", 0, "weight"), -1, "`weight` of a style is -1"),
        (("settings", "max_steps"), -1, "`max_steps` is -1"),
        (("settings", "max_steps"), True, "`max_steps` is True; it must be a number"),
        (("settings", "sparkle"), 1, "there is no setting sparkle"),
        (("compute", "precision"), "float8", "unknown precision"),
        (("compute", "memory"), 0, "`memory` is 0"),
        (("outputs", "final"), None, "final is of the wrong kind"),
        (("checkpoint_every",), 0, "`checkpoint_every` is 0"),
        (("weights",), {"file": "a\0b"}, "has a zero byte"),
        (("recipe",), "a\x1b[2J", "control characters"),
    ],
)
def test_json_that_is_no_job_is_one_line(job, keys, to, message):
    record = change(json.loads(json.dumps(job.to_json())), *keys, to=to)
    with pytest.raises(SettingsError) as error:
        Job.from_json(record)
    assert message in str(error.value) and str(error.value).isprintable()


@pytest.mark.parametrize("record", [[], "text", None, {}])
def test_what_is_no_record_at_all(record):
    with pytest.raises(SettingsError, match="this is no job"):
        Job.from_json(record)


def test_it_is_checked_before_anything_is_read(job, tmp_path):
    elsewhere = Outputs.beside(str(tmp_path / "deep" / "o.png"))
    for changed, error, message in (
        (dict(content=str(tmp_path / "none.png")), ImageError, "none.png: there is no such file"),
        (dict(start=str(tmp_path / "none.png"), outputs=elsewhere), ImageError, "none.png: there is no such file"),
        (dict(outputs=Outputs.beside(job.content)), OutputError, "would be overwritten"),
        (dict(outputs=Outputs.beside(str(tmp_path / "o.bmp"))), OutputError, "o.bmp"),
        (dict(checkpoint=job.content), OutputError, "another file of this run has this name"),
        (dict(recipe=RECIPE.override(content_layers=("relu9_9",))), SettingsError, "relu9_9"),
        (dict(recipe=RECIPE.override(pooling="sum")), SettingsError, "unknown pooling 'sum'"),
        (dict(recipe=RECIPE.override(unit="stops")), SettingsError, "unit 'stops'"),
    ):
        with pytest.raises(error, match=message):
            dataclasses.replace(job, **changed).check()
    assert list(tmp_path.iterdir()) == []


class Follow(Observer):
    def __init__(self, until=None):
        self.calls, self._until = [], until

    def begin(self, run):
        self.calls.append("begin")

    def step(self, step, run):
        self.calls.append(step.number)
        if step.number == self._until:
            run.stop()

    def saved(self, path, step, run):
        self.calls.append(path)

    def end(self, run):
        self.calls.append(run.reason)


def test_observers_follow_the_run(job, tmp_path):
    follow = Follow()
    run_job(job, [follow])
    assert follow.calls == ["begin", 1, str(tmp_path / "tmp_2.png"), 2, 3, StopReason.STEP_LIMIT]


def test_an_observer_ends_the_run(job, tmp_path):
    follow = Follow(until=1)
    result = run_job(dataclasses.replace(job, checkpoint=str(tmp_path / "c.npz")), [follow])
    assert follow.calls == ["begin", 1, StopReason.INTERRUPTED] and len(result.history) == 1
    assert (tmp_path / "c.npz").exists() and (tmp_path / "o.png").exists()


def test_it_is_the_run_of_its_images(job):
    styles = [StyleFile(job.styles[0].file, 2.0), StyleFile(job.content, 1.0, 1.5)]
    made = run_job(dataclasses.replace(job, styles=styles, start=job.styles[0].file, seed=3))
    content, style = read_image(job.content), read_image(job.styles[0].file)
    expected = stylize(
        content,
        [Style(style, 2.0), Style(content, 1.0, 1.5)],
        RECIPE,
        start=style,
        seed=3,
        weights=job.weights,
        compute=job.compute,
    )
    np.testing.assert_array_equal(made.canvas, expected.canvas)
    np.testing.assert_array_equal(read_image(job.outputs.final), expected.image)
