"""Styles, masks and controls as files: to JSON and back, in a run, in records, checkpoints and traces."""

import dataclasses
import json
import os

import numpy as np
import pytest
from PIL import Image

from neural_style.errors import CheckpointError, ImageError, SettingsError
from neural_style.images.masks import read_mask
from neural_style.images.reading import read_image
from neural_style.jobs.checkpoints import load_checkpoint
from neural_style.jobs.inputs import ControlFiles, MaskFile, StyleFile
from neural_style.jobs.job import Job
from neural_style.jobs.observers import Observer
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import read_record
from neural_style.jobs.running import run_job
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.controls import Controls
from neural_style.transfer.inputs import Style
from neural_style.transfer.stylize import stylize

RECIPE = get_recipe("fast").override(max_long_edge=40, max_steps=3, save_every=2, pyramid=(1,), pyramid_factor=1.2)


@pytest.fixture
def job(pictures, vgg19_file, tmp_path):
    drawn = np.zeros((32, 40, 3), np.uint8)
    drawn[:, :18], drawn[:, 18:] = (255, 0, 0), (0, 0, 255)
    keep, part = np.zeros((32, 40), np.uint8), np.full((16, 20), 100, np.uint8)
    keep[:8], part[:, 12:] = 255, 255
    for name, pixels in (("drawn.png", drawn), ("keep.png", keep), ("part.png", part)):
        Image.fromarray(pixels).save(tmp_path / name)
    content, style = (str(pictures / name) for name in ("content.png", "style.png"))
    drawn, keep, part = (str(tmp_path / name) for name in ("drawn.png", "keep.png", "part.png"))
    styles = [
        StyleFile(style, mask=MaskFile(drawn, "red")),
        StyleFile(content, 2.0, 0.9, MaskFile(drawn, "#00f"), part),
    ]
    outputs = Outputs(str(tmp_path / "o.png"), str(tmp_path / "i_"), ".png")
    more = dict(weights=str(vgg19_file), compute=Compute(gpu=-1), controls=ControlFiles(keep, part))
    return Job(content, styles, outputs, RECIPE, **more)


def test_to_json_and_back(job):
    back = Job.from_json(json.loads(json.dumps(job.to_json())))
    assert back == job
    assert StyleFile("a.jpg", mask="m.png") == StyleFile("a.jpg", mask=MaskFile("m.png"))
    relative = dataclasses.replace(job, styles=[StyleFile("a", mask="b", source_mask="c")], controls=ControlFiles("d"))
    absolute = relative.absolute()
    assert [os.path.basename(path) for path in absolute.inputs[1:]] == ["a", "b", "c", "d"]
    assert all(os.path.isabs(path) for path in absolute.inputs)
    broken = job.to_json()
    broken["styles"][0]["mask"]["color"] = "rde"
    with pytest.raises(SettingsError, match="'rde' is no colour"):
        Job.from_json(broken)


def test_the_run_is_that_of_the_images(job):
    made = run_job(job)
    content, style = read_image(job.content), read_image(job.styles[0].file)
    drawn, part = job.styles[0].mask.file, job.styles[1].source_mask
    first = np.zeros((32, 40), "float32")
    first[:, :18] = 1
    np.testing.assert_array_equal(read_mask(drawn, "red", ["#00f"]), first)
    styles = [Style(style, mask=first), Style(content, 2.0, 0.9, 1 - first, read_mask(part))]
    controls = Controls(read_mask(job.controls.keep), read_mask(part))
    expected = stylize(content, styles, job.recipe, weights=job.weights, compute=job.compute, controls=controls)
    np.testing.assert_array_equal(made.canvas, expected.canvas)
    np.testing.assert_array_equal(read_image(job.outputs.final), expected.image)
    np.testing.assert_array_equal(expected.image[:8], content[:8])
    record = read_record(job.outputs.final)
    assert record["styles"][1]["mask"]["file"] == drawn and record["styles"][1]["mask"]["color"] == "#00f"
    assert record["controls"]["strength"]["file"] == part and len(record["controls"]["strength"]["sha256"]) == 64


class Stop(Observer):
    def step(self, step, run):
        if step.number == 2:
            run.stop()


def test_it_resumes_with_its_masks_and_not_with_others(job, tmp_path):
    whole = run_job(job)
    outputs = dataclasses.replace(job.outputs, trace=str(tmp_path / "t.json"))
    kept = dataclasses.replace(job, outputs=outputs, checkpoint=str(tmp_path / "c.npz"))
    run_job(kept, [Stop()])
    checkpoint = load_checkpoint(kept.checkpoint)
    assert checkpoint.job == kept.absolute()
    result = run_job(checkpoint.job, resume=checkpoint)
    np.testing.assert_array_equal(result.canvas, whole.canvas)
    trace = json.loads((tmp_path / "t.json").read_text())
    assert trace["styles"][0]["mask"]["file"] == str(tmp_path / "drawn.png")
    assert trace["controls"]["keep"]["file"] == str(tmp_path / "keep.png")
    Image.fromarray(np.full((9, 9), 200, np.uint8)).save(tmp_path / "keep.png")
    with pytest.raises(CheckpointError, match="another file for `keep`"):
        run_job(checkpoint.job, resume=checkpoint)
    with pytest.raises(CheckpointError, match="another mask than none"):
        styles = (dataclasses.replace(job.styles[0], mask=None), job.styles[1])
        run_job(dataclasses.replace(job, styles=styles), resume=checkpoint)


def test_a_mask_that_is_not_there_is_named_beforehand(job, tmp_path):
    for changed in (
        dict(controls=ControlFiles(keep="none.png")),
        dict(styles=[StyleFile(job.content, mask="none.png")]),
        dict(styles=[StyleFile(job.content, source_mask="none.png")]),
    ):
        with pytest.raises(ImageError, match="none.png: there is no such file"):
            dataclasses.replace(job, **changed).check()
