"""Many jobs: which are named how, which are done, what a failure costs, and the table and the sheet of all."""

import csv
import dataclasses
import json
import logging
import shutil
from concurrent.futures import Future

import numpy as np
import pytest

from neural_style.errors import ImageError, SettingsError
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.jobs import batch as batch_module, sweep
from neural_style.jobs.batch import Batch, share_machine
from neural_style.jobs.job import Job, StyleFile
from neural_style.jobs.observers import Observer
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.provenance import read_record
from neural_style.jobs.running import run_job
from neural_style.jobs.table import Table, save_sheet
from neural_style.metrics.perceptual import Judge
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute

RECIPE = get_recipe("mxnet-0.7").override(
    max_long_edge=40,
    max_steps=3,
    save_every=0,
    stop_eps=0.0,
    style_layers=("relu1_1", "relu2_1"),
    content_layers=("relu2_2",),
)


@pytest.fixture
def inputs(pictures, tmp_path):
    for name in ("content.png", "style.png"):
        shutil.copy(str(pictures / name), str(tmp_path / name))
    return tmp_path


@pytest.fixture
def make(inputs, vgg19_file):
    def make(name, content="content.png", **more):
        given = dict(recipe=RECIPE, weights=str(vgg19_file), compute=Compute(gpu=-1))
        given.update(more)
        outputs = Outputs.beside(str(inputs / "results" / f"{name}.png"))
        return Job(str(inputs / content), [str(inputs / "style.png")], outputs, **given)

    return make


def submit(function, *arguments):
    """Run it at once, as the only worker there is."""
    future = Future()
    try:
        future.set_result(function(*json.loads(json.dumps(arguments))))
    except Exception as error:
        future.set_exception(error)
    return future


def states(jobs, **more):
    outcomes = {outcome.job.outputs.final: outcome for outcome in Batch(jobs, submit, **more)}
    return [outcomes[job.outputs.final].state for job in jobs]


def test_every_result_is_that_of_its_job_alone(make):
    jobs = [make("a"), make("b", recipe=RECIPE.override(style_weight=3.0))]
    assert states(jobs) == ["made", "made"]
    for job in jobs:
        alone = dataclasses.replace(job, outputs=Outputs.beside(job.outputs.final + ".alone.png"))
        run_job(alone)
        np.testing.assert_array_equal(read_image(job.outputs.final), read_image(alone.outputs.final))
        assert read_record(job.outputs.final) == read_record(alone.outputs.final)


def change_content(inputs):
    save_image(str(inputs / "content.png"), np.full((32, 40, 3), 90, np.uint8))


def lose_result(inputs):
    (inputs / "results" / "a.png").unlink()


def strip_result(inputs):
    path = inputs / "results" / "a.png"
    save_image(str(path), read_image(path))


def test_another_start_makes_what_is_missing_or_of_other_files(make, inputs):
    shutil.copy(str(inputs / "content.png"), str(inputs / "other.png"))
    jobs = [make("a"), make("b", "other.png")]
    states(jobs)
    for change in (change_content, lose_result, strip_result):
        assert states(jobs) == ["kept", "kept"]
        change(inputs)
        assert states(jobs) == ["made", "kept"]


@pytest.mark.parametrize(
    "changed",
    [
        dict(recipe=RECIPE.override(max_steps=2)),
        dict(seed=1),
        dict(compute=Compute(gpu=-1, precision="auto")),
        dict(start="style.png"),
        dict(styles=(StyleFile("style.png", scale=0.8),)),
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_make_another_image(make, changed, inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    job = make("a")
    states([job])
    assert states([dataclasses.replace(job, **changed)]) == ["made"]


def test_names_and_places_do_not_make_another_image(make, inputs):
    job = make("a")
    states([job])
    shutil.copy(str(inputs / "content.png"), str(inputs / "renamed.png"))
    moved = dataclasses.replace(job, content=str(inputs / "renamed.png"), compute=Compute(memory=10**10, tile_size=0))
    assert states([moved]) == ["kept"]


class StopAfter(Observer):
    def __init__(self, steps):
        self._steps = steps

    def step(self, step, run):
        if step.number == self._steps:
            run.stop()


def test_an_interrupted_run_is_not_done_and_goes_on_from_its_checkpoint(make, inputs, monkeypatch):
    job = make("a", checkpoint=str(inputs / "c.npz"))
    run_job(dataclasses.replace(job, checkpoint=None))
    whole = read_image(job.outputs.final)
    run_job(job, [StopAfter(2)])
    resumed = []

    def run(job, observers=(), resume=None):
        resumed.append(resume and len(resume.state.history))
        return run_job(job, observers, resume)

    monkeypatch.setattr(batch_module, "run_job", run)
    assert states([job]) == ["made"] and resumed == [2]
    np.testing.assert_array_equal(read_image(job.outputs.final), whole)
    # A state of something else is left alone.
    assert states([dataclasses.replace(job, seed=4, recipe=RECIPE.override(noise_share=0.5))]) == ["made"]
    assert resumed == [2, None]


def test_a_failure_costs_one_job_and_one_line(make, caplog):
    jobs = [make("a", "none.png"), make("b")]
    outcomes = sorted(Batch(jobs, submit), key=lambda outcome: outcome.state)
    assert [outcome.state for outcome in outcomes] == ["failed", "made"]
    assert "none.png: there is no such file" in outcomes[0].error and "\n" not in outcomes[0].error
    infinite = make("c", recipe=RECIPE.override(learning_rate=1e30))
    (outcome,) = Batch([infinite], submit)
    assert outcome.state == "failed" and "not finite" in outcome.error
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_bug_costs_one_job_and_keeps_its_traceback(make, monkeypatch, caplog):
    monkeypatch.setattr(batch_module, "run_job", lambda job, observers, resume: [][1])
    (outcome,) = Batch([make("a")], submit)
    assert outcome.state == "failed" and outcome.error == "IndexError: list index out of range"
    assert caplog.records[-1].exc_info[0] is IndexError


def test_a_network_that_is_not_there_is_told_before_anything_is_computed(make):
    (outcome,) = Batch([make("a", weights="none.params")], None)
    assert outcome.state == "failed" and "none.params" in outcome.error


class Waiting(Future):
    def cancel(self):
        # As an executor does when it comes to a call that was cancelled.
        return super().cancel() and not self.set_running_or_notify_cancel()


def test_what_was_not_begun_is_left(make):
    batch = Batch([make("a"), make("b")], None)
    batch.stop()
    assert list(batch) == []

    def stop(function, *arguments):
        batch.stop()
        return Waiting()

    batch = Batch([make("a"), make("b")], stop)
    assert [outcome.state for outcome in batch] == ["left"]


def test_warnings_of_workers_are_passed_on_once(make, caplog, monkeypatch):
    def run(job, observers=(), resume=None):
        logging.getLogger("neural_style.somewhere").warning("the disk is nearly full")
        return run_job(job)

    monkeypatch.setattr(batch_module, "run_job", run)
    caplog.set_level(logging.CRITICAL, "neural_style")
    caplog.set_level(logging.WARNING, "neural_style.jobs.batch")
    caplog.set_level(logging.WARNING, "neural_style.somewhere")
    assert states([make("a"), make("b")]) == ["made", "made"]
    told = [record.name for record in caplog.records if "nearly full" in record.getMessage()]
    assert told.count("neural_style.jobs.batch") == 1


# The table and the sheet.


def read_table(path):
    with open(str(path), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_line_for_every_job(make, inputs, vgg19_file):
    jobs = [make(f"a{w}", recipe=RECIPE.override(style_weight=w)) for w in (1.0, 2.0)] + [make("b", "none.png")]
    table = Table(str(inputs / "t.csv"), jobs)
    table.write()
    assert [row["state"] for row in read_table(inputs / "t.csv")] == ["left"] * 3
    for outcome in Batch(jobs, submit, ("vgg19", str(vgg19_file)), table.find_distances):
        table.add(outcome)
    table.write()
    rows = read_table(inputs / "t.csv")
    assert [row["state"] for row in rows] == ["made", "made", "failed"]
    assert [row["style_weight"] for row in rows] == ["1.0", "2.0", str(RECIPE.losses.style_weight)]
    assert "no such file" in rows[2]["error"] and rows[2]["loss"] == "" and "max_steps" not in rows[0]
    losses = read_record(jobs[0].outputs.final)["losses"]
    assert float(rows[0]["loss"]) == pytest.approx(sum(losses.values()))
    style = sum(value for name, value in losses.items() if name.startswith("style"))
    assert float(rows[0]["style_loss"]) == pytest.approx(style)
    parts = [float(rows[0][name]) for name in ("style_loss", "content_loss", "variation")]
    assert sum(parts) == pytest.approx(float(rows[0]["loss"]))
    content, style, image = (read_image(inputs / n) for n in ("content.png", "style.png", "results/a1.0.png"))
    from neural_style._mxnet import mx

    distances = Judge("vgg19", str(vgg19_file), content, style, mx.cpu()).measure(image / 255.0)
    assert float(rows[0]["style_distance"]) == pytest.approx(distances.style, rel=1e-5)
    assert float(rows[0]["content_distance"]) == pytest.approx(distances.content, rel=1e-5)


def test_what_was_measured_is_not_measured_again(make, inputs, vgg19_file, monkeypatch):
    jobs, judge = [make("a"), make("b")], ("vgg19", str(vgg19_file))
    for _ in range(2):
        table = Table(str(inputs / "t.csv"), jobs)
        for outcome in Batch(jobs, submit, judge, table.find_distances):
            table.add(outcome)
        table.write()
        monkeypatch.setattr(batch_module, "_judge", None)
    first, second = read_table(inputs / "t.csv")
    assert first["state"] == second["state"] == "kept"
    assert float(first["style_distance"]) > 0 and float(first["seconds"]) >= 0
    # Without the table it is; the image stays.
    monkeypatch.undo()
    outcomes = list(Batch(jobs, submit, judge, Table(str(inputs / "none.csv"), jobs).find_distances))
    assert [outcome.state for outcome in outcomes] == ["kept", "kept"]
    assert f"{outcomes[0].distances.style:.6g}" == first["style_distance"]


@pytest.mark.parametrize(
    "text", [b"", b"image\n", b"\xff\xfe", b'image,loss\n"results', b"image,loss,style_distance\n,,\n"]
)
def test_a_damaged_table_is_made_anew(make, inputs, text):
    (inputs / "t.csv").write_bytes(text)
    jobs = [make("a")]
    table = Table(str(inputs / "t.csv"), jobs)
    assert table.find_distances(jobs[0], {"losses": {"style_a": 1.0}}) is None
    table.write()
    assert len(read_table(inputs / "t.csv")) == 1


def test_the_sheet_shows_a_row_for_each_content(make, inputs):
    colours = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)
    jobs = [make(f"{i}", "content.png" if i < 2 else "style.png") for i in range(4)]
    for job, colour in zip(jobs, colours):
        save_image(job.outputs.final, np.full((30, 40, 3), colour, np.uint8))
    (inputs / "results" / "2.png").unlink()
    save_sheet(str(inputs / "sheet.png"), jobs)
    sheet = read_image(inputs / "sheet.png").astype(int)
    found = {}
    for i, colour in enumerate(colours):
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        if len(rows):
            found[i] = rows.min(), columns.min(), rows.max() - rows.min() + 1
    assert set(found) == {0, 1, 3} and {height for _, _, height in found.values()} == {128}
    assert found[0][0] == found[1][0] < found[3][0] and found[0][1] < found[1][1] == found[3][1]


# Lists of jobs.


def test_a_product_has_names_of_its_own(tmp_path):
    contents, styles = ["in/a.jpg", "in/a.png", "in/b.jpg"], ["s/wave.jpg"]
    outputs = sweep.name_outputs("out", contents, styles, ["", "seed=1"])
    assert outputs["in/b.jpg", "s/wave.jpg", ""].final == "out/b-wave.png"
    assert outputs["in/a.jpg", "s/wave.jpg", "seed=1"].final == "out/a_jpg-wave-seed=1.png"
    assert len({one.final for one in outputs.values()}) == 6
    assert outputs["in/b.jpg", "s/wave.jpg", ""].intermediate(3) == "out/b-wave_3.png"
    with pytest.raises(SettingsError, match="would be made twice"):
        sweep.name_outputs("out", ["x/a-b.jpg", "x/a.jpg"], ["s/c.jpg", "s/b-c.jpg"], [""])
    with pytest.raises(SettingsError, match="results would be inputs"):
        sweep.name_outputs("s", contents, styles, [""])


def test_folders_are_listed_by_name(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert sweep.list_images(str(tmp_path)) == [str(tmp_path / name) for name in ("a.png", "b.JPG")]
    (tmp_path / "one.webp").touch()
    assert sweep.list_images(str(tmp_path / "one.webp")) == [str(tmp_path / "one.webp")]
    with pytest.raises(ImageError, match="none: there is no such file or folder"):
        sweep.list_images(str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no images in it"):
        sweep.list_images(str(tmp_path / "empty"))


def test_every_combination():
    assert sweep.combine({"a": [1, 2], "b": "xy"}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert sweep.combine({}) == [{}]


def test_two_jobs_do_not_write_one_file(make):
    a, b = make("a"), make("b")
    sweep.check_distinct([a, b])
    saving = RECIPE.override(save_every=1)
    for one, other in (
        (a, a),
        (a, dataclasses.replace(b, checkpoint=a.outputs.final)),
        (dataclasses.replace(a, recipe=saving), dataclasses.replace(b, recipe=saving)),
    ):
        with pytest.raises(SettingsError, match="is written by jobs 1 and 2"):
            sweep.check_distinct([one, other])


def test_a_list_of_jobs_is_read(make, tmp_path):
    jobs, path = [make("a"), make("b")], tmp_path / "jobs.json"
    path.write_text(json.dumps([job.to_json() for job in jobs]))
    assert sweep.read_jobs(str(path)) == jobs
    broken = [jobs[0].to_json(), dict(jobs[1].to_json(), content={"file": 3})]
    for text, message in (
        (json.dumps(broken), "job 2: this is no job that can be run"),
        ("[]", "is not a list of jobs"),
        ("{}", "is not a list of jobs"),
        ("[" * 100_000, "is not JSON"),
        ("nonsense", "is not JSON"),
    ):
        path.write_text(text)
        with pytest.raises(SettingsError, match=message):
            sweep.read_jobs(str(path))
    with pytest.raises(SettingsError, match="none.json: cannot be read"):
        sweep.read_jobs(str(tmp_path / "none.json"))


def test_a_machine_is_shared():
    gigabyte = 10**9
    assert share_machine(200, 8, 64 * gigabyte) == (8, 1, 8 * gigabyte)
    assert share_machine(2, 8, 64 * gigabyte) == (2, 4, 32 * gigabyte)
    assert share_machine(200, 8, 2 * gigabyte) == (3, 2, 2 * gigabyte // 3)
    assert share_machine(200, 8, 1000) == (1, 8, 1000)
