"""Videos that the tests make themselves, read and written: times, sizes, colours, sound, and what is no video."""

import gc
import io
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from neural_style.errors import DependencyError, ImageError, OutputError
from neural_style.images import frames
from neural_style.images.frames import Clip, check_video, read_comment, write_video

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'mxnet-neural-style[video]'")

RED, GREEN = (200, 30, 60), (20, 220, 100)


def image(number=0, height=48, width=64):
    """Return an image that is green at its upper left, with a column of light that moves."""
    pixels = np.full((height, width, 3), RED, np.uint8)
    pixels[: height // 2, : width // 2] = GREEN
    pixels[height // 2 :, 4 * number % width :][:, :4] = 255
    return pixels


def make_clip(path, times=(0, 40, 80, 120), size=(48, 64), sound=None, turn=None, images=None, rate=25):
    """Write a clip with PyAV alone, at times in milliseconds."""
    with av.open(path, "w") as output:
        video = output.add_stream("libx264", rate=rate, options={"crf": "5"})
        video.height, video.width, video.pix_fmt = *size, "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        if turn is not None:
            video.set_display_rotation(turn)
        if sound:
            audio = output.add_stream(sound, rate=44100)
            audio.layout = "mono"
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(image(number, *size) if images is None else images[number], "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            output.mux(video.encode(frame))
        output.mux(video.encode())
        if sound:
            for begin in range(0, 44100 * (times[-1] + 40) // 1000, 1024):
                wave = np.sin(np.arange(begin, begin + 1024) / 16)[np.newaxis].astype(np.float32) / 4
                frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
                frame.sample_rate, frame.pts = 44100, begin
                output.mux(audio.encode(resample(frame, audio)))
            output.mux(audio.encode())
    return path


def resample(frame, stream):
    """Bring sound into the form that an encoder takes."""
    resampler = av.AudioResampler(stream.codec_context.format, stream.codec_context.layout, 44100)
    (out,) = resampler.resample(frame)
    out.pts = frame.pts
    return out


def packets(path):
    """Return every packet of sound in a file, with its time in seconds."""
    with av.open(str(path)) as container:
        found = container.demux(container.streams.audio[0])
        return [(round(float(p.pts * p.time_base), 3), bytes(p)) for p in found if p.dts is not None]


def seconds(clip):
    return [float(time * clip.format.time_base) for _, time in clip.frames()]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_video_has_the_frames_times_and_sound_of_its_clip(tmp_path, suffix):
    # At a rate that varies.
    clip = Clip(make_clip(str(tmp_path / f"clip{suffix}"), (0, 40, 60, 200, 210, 400), sound="aac"))
    assert clip.count() == 6
    path = tmp_path / f"out{suffix}"
    check_video(path, clip, (48, 64))
    assert not path.exists()
    write_video(path, clip, ((pixels[::-1], time) for pixels, time in clip.frames()), {"comment": '{"a": "b"}'})
    out = Clip(path)
    assert seconds(out) == pytest.approx([0, 0.04, 0.06, 0.2, 0.21, 0.4], abs=0.0011)
    assert packets(path) == packets(clip.path)
    for number, (pixels, _) in enumerate(out.frames()):
        # Colours have half the resolution, so that edges differ.
        assert np.median(np.abs(pixels[::-1].astype(int) - image(number))) <= 3
    assert read_comment(path) == '{"a": "b"}' and read_comment(clip.path) is None
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"clip{suffix}", f"out{suffix}"]


def test_the_rate_is_that_of_the_clip(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv"), [round(i * 1000 / 30) for i in range(9)], rate=30))
    write_video(tmp_path / "out.mp4", clip, clip.frames())
    assert float(Clip(tmp_path / "out.mp4").format.rate) == pytest.approx(30, rel=0.02)


@pytest.mark.parametrize("size", [(47, 63), (47, 64), (48, 63)])
def test_an_odd_side_gets_a_copy_of_the_last_row_or_column(tmp_path, size):
    clip = Clip(make_clip(str(tmp_path / "clip.mp4"), size=size))
    write_video(tmp_path / "out.mp4", clip, clip.frames())
    ((first, _), *_), ((out, _), *_) = clip.frames(), Clip(tmp_path / "out.mp4").frames()
    assert first.shape == (*size, 3) and out.shape == (48, 64, 3)
    padded = np.pad(first, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="edge")
    assert np.abs(out[-1].astype(int) - padded[-1]).mean() < 9 > np.abs(out[:, -1].astype(int) - padded[:, -1]).mean()


@pytest.mark.parametrize("matrix, levels", [("bt709", "MPEG"), ("smpte170m", "MPEG"), ("bt709", "JPEG")])
def test_colours_are_read_as_the_clip_codes_them(tmp_path, matrix, levels):
    with av.open(str(tmp_path / "clip.mp4"), "w") as output:
        full = "on" if levels == "JPEG" else "off"
        parameters = f"colormatrix={matrix}:colorprim={matrix}:transfer={matrix}:fullrange={full}"
        options = {"crf": "5", "x264-params": parameters}
        video = output.add_stream("libx264", rate=25, options=options)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(image(), "rgb24")
        coded = "ITU709" if matrix == "bt709" else "ITU601"
        frame = frame.reformat(format="yuv420p", dst_colorspace=coded, dst_color_range=levels)
        frame.pts = 0
        output.mux(video.encode(frame))
        output.mux(video.encode())
    ((pixels, _),) = Clip(tmp_path / "clip.mp4").frames()
    assert np.abs(pixels[5, 5].astype(int) - GREEN).max() <= 3 and np.abs(pixels[5, 50].astype(int) - RED).max() <= 3


@pytest.mark.parametrize("turn, corner", [(90, (-5, 5)), (-90, (5, -5)), (180, (-5, -5))])
def test_a_turned_clip_is_read_upright(tmp_path, turn, corner):
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write turned clips")
    clip = Clip(make_clip(str(tmp_path / "clip.mp4"), turn=turn))
    pixels, _ = next(clip.frames())
    # Counterclockwise, by which the green corner comes to lie elsewhere.
    assert pixels.shape[:2] == ((64, 48) if turn != 180 else (48, 64))
    assert np.abs(pixels[corner].astype(int) - GREEN).max() <= 4


def test_the_shape_of_pixels_is_kept(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mp4")))
    wide = frames.Format(clip.format.time_base, clip.format.rate, Fraction(4, 3))
    clip.format = wide
    write_video(tmp_path / "out.mp4", clip, clip.frames())
    assert Clip(tmp_path / "out.mp4").format.pixel_shape == Fraction(4, 3)


def test_frames_are_not_kept_in_memory(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv"), range(0, 4000, 40), (96, 128)))
    one = 96 * 128 * 3

    def measure(count):
        tracemalloc.start()
        write_video(tmp_path / "out.mp4", clip, (pair for pair, _ in zip(clip.frames(), range(count))))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    measure(2)
    # NumPy's arrays are counted, FFmpeg's own memory is not.
    assert measure(100) < measure(10) + 3 * one


def test_frames_that_were_read_wait_for_no_garbage_collector(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv"), range(0, 1200, 40)))
    gc.collect()
    gc.disable()
    try:
        for _ in clip.frames():
            pass
        # The last ones are still in use.
        assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) <= 3
    finally:
        gc.enable()


def test_times_go_forward_where_the_clip_has_none(tmp_path, monkeypatch):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv"), (0, 40, 80, 120)))

    class Timeless:
        def __init__(self, frame, time):
            self._frame, self.pts = frame, time

        def __getattr__(self, name):
            return getattr(self._frame, name)

    decode = Clip._decode
    times = iter([None, 40, 40, None])
    monkeypatch.setattr(Clip, "_decode", lambda self, *more: (Timeless(f, next(times)) for f in decode(self, *more)))
    assert [time for _, time in clip.frames()] == [0, 40, 41, 81]


def no_video(tmp_path, kind):
    path = tmp_path / "clip.mp4"
    whole = make_clip(str(tmp_path / "whole.mp4"), range(0, 2000, 40))
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("This is no video at all. " * 99)
    elif kind == "cut short":
        data = open(whole, "rb").read()
        path.write_bytes(data[: len(data) // 2])
    elif kind == "sound":
        with av.open(str(path), "w") as output:
            audio = output.add_stream("aac", rate=44100)
            audio.layout = "mono"
            for begin in range(0, 9000, 1024):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                frame.sample_rate, frame.pts = 44100, begin
                output.mux(audio.encode(frame))
            output.mux(audio.encode())
    return path


@pytest.mark.parametrize(
    "kind, message",
    [
        ("missing", "there is no such file; check"),
        ("folder", "is a folder or a device"),
        ("empty", "is empty"),
        ("text", "is no video that can be read"),
        ("cut short", "is no video that can be read"),
        ("sound", "has no video stream"),
    ],
)
def test_what_is_no_video(tmp_path, kind, message):
    path = no_video(tmp_path, kind)
    with pytest.raises(ImageError, match=message) as caught:
        Clip(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".gif", ".tif"])
def test_a_single_image_is_no_video(tmp_path, suffix):
    path = tmp_path / f"still{suffix}"
    Image.fromarray(image()).save(str(path))
    with pytest.raises(ImageError, match="is an image, not a video"):
        Clip(path).first()


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_an_animation_is_a_video(tmp_path, suffix):
    path = tmp_path / f"moving{suffix}"
    first, *others = (Image.fromarray(image(number)) for number in range(3))
    first.save(str(path), save_all=True, append_images=others, duration=100)
    clip = Clip(path)
    assert clip.count() == 3
    np.testing.assert_allclose(clip.first(), image(0), atol=2)


def test_a_video_of_one_frame_is_one(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "short.mp4"), times=(0,)))
    assert clip.first().shape == (48, 64, 3) and clip.count() == 1


def test_damage_in_the_middle(tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (30, 48, 64, 3)).astype(np.uint8)
    path = make_clip(str(tmp_path / "clip.mp4"), range(0, 1200, 40), images=noise)
    data = bytearray(open(path, "rb").read())
    begin = data.index(b"mdat") + len(data) // 3
    data[begin : begin + len(data) // 3] = bytes(len(data) // 3)
    open(path, "wb").write(data)
    with pytest.raises(ImageError, match=r"is damaged after frame \d+ \(.+\); get the video again"):
        Clip(path).count()


@pytest.mark.parametrize(
    "name, message",
    [
        ("out", "has no suffix; use one of .mp4, .mov, .mkv"),
        ("out.avi", "has the unknown suffix '.avi'; use one of"),
        ("clip.mkv/out.mp4", "cannot be written"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, message):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv")))
    for write in (lambda path: check_video(path, clip, (48, 64)), lambda path: write_video(path, clip, clip.frames())):
        with pytest.raises(OutputError, match=message):
            write(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mkv"]


def test_sound_that_the_container_cannot_hold(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mkv"), sound="pcm_u8"))
    with pytest.raises(OutputError, match=r"out.mp4: this container cannot hold the sound of the clip \(pcm_u8\); try"):
        check_video(tmp_path / "out.mp4", clip, (48, 64))
    check_video(tmp_path / "out.mkv", clip, (48, 64))
    write_video(tmp_path / "out.mkv", clip, clip.frames())
    assert packets(tmp_path / "out.mkv") == packets(clip.path)


def test_nothing_is_left_where_frames_fail(tmp_path):
    clip = Clip(make_clip(str(tmp_path / "clip.mp4")))

    def failing():
        yield from clip.frames()
        raise ImageError("a frame is gone")

    with pytest.raises(ImageError, match="a frame is gone"):
        write_video(tmp_path / "out.mp4", clip, failing())
    assert [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_pyav_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(DependencyError, match=r"videos need PyAV, .+ pip install 'mxnet-neural-style\[video\]'"):
        Clip("clip.mp4")


def test_a_trial_writes_nothing(tmp_path, monkeypatch):
    clip = Clip(make_clip(str(tmp_path / "clip.mp4"), sound="aac"))
    opened = []
    monkeypatch.setattr(av, "open", lambda file, *a, _open=av.open, **k: opened.append(file) or _open(file, *a, **k))
    check_video(tmp_path / "out.mp4", clip, (48, 64))
    assert [file for file in opened if file != clip.path and not isinstance(file, io.BytesIO)] == []
