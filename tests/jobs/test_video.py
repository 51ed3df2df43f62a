"""A video from clip to file: resumed bit for bit, shots, what is kept, and what is refused."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from neural_style import Observer, read_image, save_image, stylize
from neural_style.errors import CheckpointError, ImageError, OutputError, SettingsError
from neural_style.images.frames import Clip
from neural_style.jobs.job import Job
from neural_style.jobs.outputs import Outputs
from neural_style.jobs.video import VideoJob, read_video_record, run_video
from neural_style.recipes.presets import get_recipe
from neural_style.recipes.video import Following
from neural_style.transfer.compute import Compute

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'mxnet-neural-style[video]'")

CPU = Compute(gpu=-1)
RECIPE = get_recipe("paint").override(max_long_edge=48, max_steps=2, pyramid=())


def scene(shift, seed=0):
    """Return a frame 36 x 49 of soft spots that move to the left."""
    spots = np.random.RandomState(seed).rand(12, 24, 3)
    large = np.kron(spots, np.ones((3, 4, 1)))
    large = (large + np.roll(large, 1, 0) + np.roll(large, 1, 1) + np.roll(large, 2, 1)) / 4
    return np.uint8(large[:, 4 + shift : 53 + shift] * 255)


@pytest.fixture
def video(tmp_path, lowrank_alone):
    """A clip of two shots of three frames, and the job that repaints it."""
    with av.open(str(tmp_path / "clip.mkv"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = 36, 49, "yuv444p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(scene(number, number // 3), "rgb24")
            frame.pts, frame.time_base = (0, 40, 80, 90, 130, 170)[number], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    save_image(str(tmp_path / "style.png"), scene(0, 7))
    outputs = Outputs.beside(str(tmp_path / "out.mp4"))
    job = Job(str(tmp_path / "clip.mkv"), (str(tmp_path / "style.png"),), outputs, RECIPE, compute=CPU)
    return VideoJob(job, Following(frame_steps=2), "tv-l1")


class Killed(Exception):
    """The process is gone."""


def kill_after(done):
    def watch(progress):
        if progress.done == done:
            raise Killed

    return watch


def finished(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_a_video_killed_anywhere_is_resumed_bit_for_bit(video, tmp_path):
    seen = []
    whole = run_video(replace(video, frames=str(tmp_path / "whole")), watch=seen.append)
    assert (whole.done, whole.total) == (6, 6)
    assert [(p.done, p.is_cut) for p in seen] == [
        *((0, False), (1, True), (2, False), (3, False)),
        *((4, True), (5, False), (6, False)),
    ]
    killed = replace(video, frames=str(tmp_path / "killed"))
    for done in (1, 2, 5):
        with pytest.raises(Killed):
            run_video(killed, watch=kill_after(done))
        assert len(finished(tmp_path / "killed")) == done
    # As if between a frame and the state: that frame is made again.
    (tmp_path / "killed" / "frame-000006.png").write_bytes(b"half")
    run_video(killed)
    assert finished(tmp_path / "killed") == finished(tmp_path / "whole")
    # A finished one is only written again.
    (tmp_path / "out.mp4").unlink()
    run_video(killed, [Refuse()])
    assert Clip(tmp_path / "out.mp4").count() == 6


class Refuse(Observer):
    """Fails where anything is computed."""

    def begin(self, run):
        raise AssertionError("a frame was made again")


class StopIn(Observer):
    """Ends the run of a frame after its first step, as Ctrl-C does."""

    def __init__(self, number):
        self._left = number

    def begin(self, run):
        self._left -= 1

    def step(self, step, run):
        if self._left == 0:
            run.stop()


def test_a_video_that_is_interrupted_leaves_whole_frames(video, tmp_path):
    ended = run_video(video, [StopIn(3)])
    assert (ended.done, ended.total) == (2, 6) and not (tmp_path / "out.mp4").exists()
    assert len(finished(tmp_path / "out.mp4.frames")) == 2
    assert run_video(video).done == 6
    # Without a folder that was asked for, only the video stays.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "models", "out.mp4", "style.png"]


def test_every_shot_begins_as_an_image(video, tmp_path):
    run_video(replace(video, frames=str(tmp_path / "kept")))
    clip, style = [image for image, _ in Clip(video.job.content).frames()], read_image(str(tmp_path / "style.png"))
    for number, image in enumerate(clip, 1):
        alone = stylize(image, style, RECIPE, compute=CPU).image
        same = (read_image(str(tmp_path / "kept" / f"frame-{number:06}.png")) == alone).all()
        assert same == (number in (1, 4))


def test_the_video_has_the_times_the_size_and_the_record(video, tmp_path):
    run_video(video)
    out = Clip(tmp_path / "out.mp4")
    times = [float(time * out.format.time_base) for _, time in out.frames()]
    assert times == pytest.approx([0, 0.04, 0.08, 0.09, 0.13, 0.17], abs=0.001)
    first, _ = next(out.frames())
    record = read_video_record(tmp_path / "out.mp4")
    # 48 x 35 as an image, and another row for the sake of the colours.
    assert record["size"] == [48, 35] and first.shape == (36, 48, 3) and record["frames"] == 6
    usual = Following()
    rest = {"temporal_weight": usual.temporal_weight, "blend": usual.blend, "flow": "tv-l1"}
    assert record["video"] == {"frame_steps": 2, **rest}
    assert record["settings"]["max_long_edge"] == 48 and record["content"]["file"] == video.job.content
    assert len(record["content"]["sha256"]) == 64
    with pytest.raises(ImageError, match="clip.mkv: carries no settings of neural-style"):
        read_video_record(video.job.content)


def test_frames_of_another_run_are_not_continued(video, tmp_path):
    with pytest.raises(Killed):
        run_video(video, watch=kill_after(1))
    kept = finished(tmp_path / "out.mp4.frames")
    others = [
        (replace(video, following=Following(frame_steps=3)), "another video"),
        (replace(video, job=replace(video.job, seed=1)), "another seed"),
        (replace(video, job=replace(video.job, recipe=RECIPE.override(tv_weight=0.5))), "another settings"),
    ]
    for other, difference in others:
        with pytest.raises(CheckpointError, match=f"frames: holds the frames of another run .{difference}"):
            run_video(other)
    save_image(str(tmp_path / "style.png"), scene(0, 8))
    with pytest.raises(CheckpointError, match="another styles"):
        run_video(video)
    assert finished(tmp_path / "out.mp4.frames") == kept


def damage(folder, kind):
    path = folder / "state.npz"
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "frame":
        (folder / "frame-000001.png").unlink()
    else:
        with np.load(str(path)) as file:
            canvas, state = file["canvas"], json.loads(file["record"].tobytes().decode())
        if kind == "canvas":
            canvas = canvas[:, :, 1:]
        elif kind == "version":
            state["version"] = 2
        else:
            del state[kind]
        np.savez(str(path), canvas=canvas, record=np.frombuffer(json.dumps(state).encode(), np.uint8))


@pytest.mark.parametrize("kind", ["cut short", "frame", "canvas", "version", "shot", "done"])
def test_a_damaged_state_is_one_line(video, tmp_path, kind):
    with pytest.raises(Killed):
        run_video(video, watch=kill_after(1))
    damage(tmp_path / "out.mp4.frames", kind)
    with pytest.raises(CheckpointError, match="remove the folder to begin anew") as caught:
        run_video(video)
    assert "\n" not in str(caught.value)


def test_what_is_found_out_before_anything_is_computed(video, tmp_path):
    job = video.job
    into = [
        (replace(job, styles=("gone.png",)), ImageError, "gone.png: there is no such file"),
        (replace(job, outputs=Outputs.beside(str(tmp_path / "out.gif"))), OutputError, "unknown suffix '.gif'"),
        (replace(job, outputs=Outputs.beside(job.content)), OutputError, "this input would be overwritten"),
        (replace(job, content=str(tmp_path / "style.txt")), ImageError, "is no video that can be read"),
    ]
    (tmp_path / "style.txt").write_text("no video")
    for other, kind, message in into:
        with pytest.raises(kind, match=message):
            run_video(replace(video, job=other), [Refuse()])
    with pytest.raises(SettingsError, match="unknown flow 'best'"):
        replace(video, flow="best")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "models", "style.png", "style.txt"]
