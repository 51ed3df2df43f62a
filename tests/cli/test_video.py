"""The command that repaints a video."""

import os
import shlex
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import random_generators

from neural_style.cli.main import main
from neural_style.images.frames import Clip
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.recipes.video import Following
from neural_style.weights.params_file import save_weights

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'mxnet-neural-style[video]'")

QUICK = ["--gpu", "-1", "--max-long-edge", "48", "--pyramid", "", "--max-num-epochs", "2", "--frame-steps", "2"]


@pytest.fixture
def clip(tmp_path, lowrank_alone, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spots = np.kron(np.random.RandomState(0).rand(8, 20, 3), np.ones((4, 4, 1)))
    with av.open("clip.mp4", "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.height, video.width, video.pix_fmt = 32, 48, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.uint8(255 * spots[:, number : 48 + number]), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode())
    save_image("style.png", np.uint8(255 * spots[::-1]))
    return tmp_path


def run(*words):
    return main(["video", "clip.mp4", "style.png", *QUICK, *words])


def test_a_video_and_the_command_that_makes_it_again(clip, capsys):
    assert run("--temporal-weight", "0.5") == 0
    out, err = capsys.readouterr()
    assert out == "" and "frame 1 of 4, the first of a shot\nframe 2 of 4\n" in err and "saved clip-style.mp4" in err
    assert "relative change" not in err and err.count("computing on the CPU") <= 1
    assert Clip("clip-style.mp4").count() == 4 and not Path("clip-style.mp4.frames").exists()
    assert main(["show", "clip-style.mp4"]) == 0
    command, *comments = capsys.readouterr().out.splitlines()
    words = shlex.split(command)
    assert words[:4] == ["neural-style", "video", "clip.mp4", "style.png"] and "--temporal-weight" in words
    assert comments[0].startswith("# 48 x 32 pixels, 4 frames; recipe paint")
    first = [image for image, _ in Clip("clip-style.mp4").frames()]
    assert main([*words[1:], "-o", "again.mp4"]) == 0
    for before, (image, _) in zip(first, Clip("again.mp4").frames()):
        assert (before == image).all()


def test_a_video_in_one_pass(clip, capsys):
    save_weights("generator.params", random_generators.random_microast())
    words = ["video", "clip.mp4", "style.png", "--recipe", "one-pass", "--generator", "generator.params", "--gpu", "-1"]
    assert main([*words, "--max-long-edge", "48", "--blend", "0.5", "-o", "out.mp4", "--frames", "frames"]) == 0
    assert "frame 2 of 4" in capsys.readouterr().err and Clip("out.mp4").count() == 4
    assert main(["show", "out.mp4"]) == 0
    command, first, *_ = capsys.readouterr().out.splitlines()
    assert "--blend 0.5" in command and "recipe one-pass" in first
    assert main([*shlex.split(command)[1:], "-o", "again.mp4", "--frames", "again"]) == 0
    for number in range(1, 5):
        name = f"frame-{number:06}.png"
        np.testing.assert_array_equal(read_image(f"frames/{name}"), read_image(f"again/{name}"))


def test_it_says_what_is_wrong(clip, capsys):
    Path("text.mp4").write_text("no video")
    for words, message in [
        (["video", "gone.mp4", "style.png"], "gone.mp4: there is no such file; check its name and folder"),
        (["video", "text.mp4", "style.png"], "text.mp4: is no video that can be read"),
        (["video", "clip.mp4", "style.png", "-o", "clip.webm"], "clip.webm: has the unknown suffix '.webm'"),
        (["video", "style.png", "style.png"], "style.png: is an image, not a video"),
        (["video", "clip.mp4", "gone.png"], "gone.png: there is no such file"),
        (["video", "clip.mp4", "style.png", "--frame-steps", "0"], "--frame-steps is 0; it must be 1 or more"),
        (["video", "clip.mp4", "style.png", "--temporal-weight=-1"], "--temporal-weight is -1.0; it must be 0 or more"),
        (["video", "clip.mp4", "style.png", "--blend", "1"], "--blend is 1.0; it must be at least 0 and less than 1"),
        (["video", "clip.mp4"], "recipe paint takes the style from a PAINTING; name one after CLIP"),
        (["video", "clip.mp4", "style.png", "--recipe", "one-pass", "--init", "style.png"], "--init is of no use"),
        (["video", "clip.mp4", "style.png", "--max-long-edge", "8"], "the result would be 8 x 5 pixels, too small"),
        (["show", "clip.mp4"], "clip.mp4: carries no settings of neural-style"),
    ]:
        assert main(words) == 1
        error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("neural-style: error: ")]
        assert len(error) == 1 and message in error[0]
    assert sorted(path.name for path in clip.glob("*.mp4")) == ["clip.mp4", "text.mp4"]


def test_it_says_that_pyav_is_missing(clip, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert run() == 1
    assert "neural-style: error: videos need PyAV" in capsys.readouterr().err


def test_the_help_has_the_numbers(capsys):
    with pytest.raises(SystemExit):
        main(["video", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    usual = Following()
    assert f"follows another (default: {usual.frame_steps})" in text and f"(default: {usual.temporal_weight})" in text


def test_ctrl_c_and_then_the_same_command(clip):
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    environment["NEURAL_STYLE_MODELS"] = str(clip / "models")
    command = [sys.executable, "-m", "neural_style", "video", "clip.mp4", "style.png", *QUICK, "-o", "out.mp4"]
    command[command.index("--frame-steps") + 1] = "8"
    command += ["--model", "vgg16-lowrank"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, universal_newlines=True)
    first = Path("out.mp4.frames", "frame-000001.png")
    while process.poll() is None and not first.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "frames are finished; the same command continues" in err and not Path("out.mp4").exists()
    again = subprocess.run(command, env=environment, stderr=subprocess.PIPE, universal_newlines=True)
    assert again.returncode == 0 and "continuing after frame" in again.stderr
    assert Clip("out.mp4").count() == 4 and not first.exists()
