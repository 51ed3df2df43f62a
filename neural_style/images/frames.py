"""Videos as images, one after the other, and images as a video with the sound of another.

PyAV, which is FFmpeg's libraries in a wheel, reads and writes them; it is imported by the functions that need it.
"""

import contextlib
import importlib
import io
import itertools
import math
import os
import stat
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import DependencyError, ImageError, OutputError, first_line
from ..files import HEAD_BYTES, check_writable, open_regular, output_error, replacing
from .reading import is_image

# By suffix, FFmpeg's names of the containers that are written, all with H.264.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}

# Nearly without visible loss: x264's own scale goes from 0, lossless, over 23, its default, to 51.
_QUALITY = "18"

# Where a clip does not say how its colours are coded, players take ITU-R BT.709 from this number of rows on, BT.601
# below.
_HIGH_DEFINITION = 720
_BT709, _UNSPECIFIED = 1, 2  # ITU-T H.273, table 4
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG

_USUAL_RATE = Fraction(25)


@dataclass(frozen=True)
class Format:
    """What a video made of a clip has in common with it.

    Attributes
    ----------
    time_base : fractions.Fraction
        Seconds per unit of the times of frames.
    rate : fractions.Fraction
        Frames per second, on average.
    pixel_shape : fractions.Fraction
        Width of a pixel over its height, as it is shown.
    """

    time_base: Fraction
    rate: Fraction
    pixel_shape: Fraction = Fraction(1)


def load_av():
    """Return PyAV.

    Raises
    ------
    DependencyError
        If it is missing or cannot be imported.
    """
    try:
        return importlib.import_module("av")
    except (ImportError, OSError) as error:
        raise DependencyError(
            f"videos need PyAV, which cannot be imported ({first_line(error)}); install it with: pip install "
            "'mxnet-neural-style[video]'"
        ) from error


class Clip:
    """A video that is read frame by frame, any number of times.

    Parameters
    ----------
    path : str or os.PathLike
        Any video that FFmpeg reads; of several streams, the first.

    Attributes
    ----------
    format : Format

    Raises
    ------
    ImageError
        If the file is missing, cannot be opened, is no video, or has no video stream.
    DependencyError
        If PyAV is missing.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        with _opened(self.path) as container:
            stream = _video_stream(container, self.path)
            # Only of one frame: to ask ties a frame to itself, so that its memory waits for the garbage collector.
            self._turns = _quarter_turns_of(container, stream)
            shape = stream.codec_context.sample_aspect_ratio or Fraction(1)
            self.format = Format(
                Fraction(stream.time_base or 1 / _USUAL_RATE),
                Fraction(stream.average_rate or _USUAL_RATE),
                1 / Fraction(shape) if self._turns % 2 else Fraction(shape),
            )

    def frames(self):
        """Read the frames in the order in which they are shown; only one of them is in memory.

        Yields
        ------
        image : numpy.ndarray
            uint8 (H, W, 3), turned upright; all of one size.
        time : int
            In units of ``format.time_base``, greater than the one before.

        Raises
        ------
        ImageError
            If the video is damaged, has no frames, or changes its size.
        """
        before, size = None, None
        with _opened(self.path) as container:
            stream = _video_stream(container, self.path)
            lasts = max(1, round(1 / (self.format.rate * self.format.time_base)))
            for number, frame in enumerate(self._decode(container, stream)):
                image = _to_image(frame, self._turns)
                if size not in (None, image.shape):
                    raise ImageError(
                        f"{self.path}: frame {number + 1} is of another size than those before; cut the video there"
                    )
                size = image.shape
                # Some streams have no times, and damaged ones have times that go back.
                time = frame.pts if frame.pts is not None else 0 if before is None else before + lasts
                before = time if before is None else max(time, before + 1)
                yield image, before
        if before is None:
            raise ImageError(f"{self.path}: has no frames; get the video again")

    def first(self):
        """Return the first frame, as `frames` yields it.

        Raises
        ------
        ImageError
            If the file is an image and not an animation, or as `frames`.
        """
        frames = self.frames()
        image, _ = next(frames)
        with open_regular(self.path) as file:
            still = is_image(file.read(HEAD_BYTES))
        if still and next(frames, None) is None:
            raise ImageError(f"{self.path}: is an image, not a video; repaint it with: neural-style stylize")
        return image

    def count(self):
        """Return the number of frames, decoding them all, so that damage shows."""
        number = 0
        with _opened(self.path) as container:
            for _ in self._decode(container, _video_stream(container, self.path)):
                number += 1
        if number == 0:
            raise ImageError(f"{self.path}: has no frames; get the video again")
        return number

    def _decode(self, container, stream):
        frames = container.decode(stream)
        number = 0
        while True:
            try:
                frame = next(frames, None)
            except load_av().error.FFmpegError as error:
                raise ImageError(
                    f"{self.path}: is damaged after frame {number} ({first_line(error)}); get the video again, or cut "
                    "it there"
                ) from error
            if frame is None:
                return
            number += 1
            yield frame


def check_video(path, clip, size):
    """Check, before there are any frames, that they and the sound of a clip can be written as a video.

    Parameters
    ----------
    path : str or os.PathLike
    clip : Clip
    size : (int, int)
        Height and width of the frames.

    Raises
    ------
    OutputError
        If the suffix is not one of `CONTAINERS`, the container cannot hold the clip's sound, or as
        `files.check_writable`.
    """
    path = os.fspath(path)
    kind = _container(path)
    check_writable(path)
    black = np.zeros((*size, 3), np.uint8)
    _write(io.BytesIO(), kind, path, clip, [(black, 0)], {}, trial=True)


def write_video(path, clip, frames, metadata=None):
    """Write frames as a video at the times and with the sound of a clip, whole or not at all.

    Coded as H.264 with 4:2:0 colours, which every player knows; a side of odd length gets another row or column, a
    copy of the last one. The sound is copied as it is. Other streams, such as subtitles, are left out.

    Parameters
    ----------
    path : str or os.PathLike
        Its suffix, one of `CONTAINERS`, chooses the container.
    clip : Clip
    frames : iterable of (numpy.ndarray, int)
        uint8 (H, W, 3) of one size, and the time in units of the clip's ``format.time_base``.
    metadata : mapping of str to str, optional
        Such as ``comment``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = os.fspath(path)
    kind = _container(path)
    try:
        with replacing(path) as temporary:
            _write(temporary, kind, path, clip, frames, metadata or {})
    except OSError as error:
        raise output_error(path, error) from error


def read_comment(path):
    """Return what `write_video` wrote as ``comment``, or None.

    Raises
    ------
    ImageError, DependencyError
        As `Clip`.
    """
    with _opened(os.fspath(path)) as container:
        # Matroska has the names of its tags in capitals.
        tags = {key.lower(): value for key, value in container.metadata.items()}
    return tags.get("comment")


def _write(file, kind, path, clip, frames, metadata, trial=False):
    av = load_av()
    frames = iter(frames)
    first = next(frames)
    with _opened(clip.path) as source, _refused(path):
        options = {"movflags": "+faststart"} if kind != "matroska" and not trial else {}
        with av.open(file, "w", format=kind, options=options) as output:
            output.metadata.update(metadata)
            video = _add_video(output, first[0].shape, clip.format)
            sound = _Sound(av, source, output, path)
            for image, time in itertools.chain([first], frames):
                if not trial:
                    sound.copy_until(time * clip.format.time_base)
                frame = av.VideoFrame.from_ndarray(_to_even(image), format="rgb24")
                frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
                frame.pts, frame.time_base = time, clip.format.time_base
                output.mux(video.encode(frame))
            output.mux(video.encode())
            if not trial:
                sound.copy_until(math.inf)


def _add_video(output, shape, form):
    colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709"
    try:
        video = output.add_stream("libx264", rate=form.rate, options={"crf": _QUALITY, "x264-params": colours})
    except ValueError as error:
        raise DependencyError(
            f"this PyAV cannot write H.264 ({first_line(error)}); install it from its wheel, which can"
        ) from error
    video.height, video.width = (side + side % 2 for side in shape[:2])
    video.pix_fmt = "yuv420p"
    video.codec_context.time_base = form.time_base
    video.codec_context.sample_aspect_ratio = form.pixel_shape
    return video


class _Sound:
    """The packets of all sound of a clip, copied into a video as its own frames proceed."""

    def __init__(self, av, source, output, path):
        self._output, self._streams = output, {}
        for stream in source.streams.audio:
            name = _codec_name(stream)
            add = getattr(output, "add_stream_from_template", None)  # PyAV 14 and later
            try:
                self._streams[stream.index] = add(stream) if add else output.add_stream(template=stream)
            except (ValueError, av.error.FFmpegError) as error:
                raise _no_sound(path, name) from error
        if self._streams:
            try:
                output.start_encoding()
            except (ValueError, av.error.FFmpegError) as error:
                raise _no_sound(path, ", ".join(map(_codec_name, source.streams.audio))) from error
        self._packets = source.demux(*source.streams.audio) if self._streams else iter(())
        self._next = next(self._packets, None)

    def copy_until(self, seconds):
        """Copy what comes up to a time."""
        while self._next is not None:
            packet = self._next
            if packet.dts is not None:  # the last one is empty
                if packet.dts * packet.time_base > seconds:
                    return
                packet.stream = self._streams[packet.stream.index]
                self._output.mux(packet)
            self._next = next(self._packets, None)


def _codec_name(stream):
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def _no_sound(path, name):
    return OutputError(f"{path}: this container cannot hold the sound of the clip ({name}); try .mkv")


@contextlib.contextmanager
def _refused(path):
    """Turn what FFmpeg raises while a video is written into an OutputError."""
    try:
        yield
    except load_av().error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno and error.strerror:
            raise output_error(path, error) from error
        raise OutputError(f"{path}: the video cannot be written ({first_line(error)}); try .mkv") from error


@contextlib.contextmanager
def _opened(path):
    av = load_av()
    try:
        status = os.stat(path)  # before opening, because opening a pipe would wait for its writer
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: is a folder or a device; give the name of a video")
        if status.st_size == 0:
            raise ImageError(f"{path}: is empty (0 bytes); get the video again")
        container = av.open(path)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: there is no such file; check its name and folder") from error
    except PermissionError as error:
        raise ImageError(f"{path}: may not be read (permission denied); change its permissions or copy it") from error
    except (OSError, av.error.FFmpegError) as error:
        raise ImageError(
            f"{path}: is no video that can be read ({first_line(error)}); it may be damaged or cut short: get it again"
        ) from error
    with container:
        yield container


def _video_stream(container, path):
    if not container.streams.video:
        raise ImageError(f"{path}: has no video stream; give a file with images")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise ImageError(f"{path}: its images are coded in a way that this FFmpeg does not know; convert it to H.264")
    return stream


def _quarter_turns_of(container, stream):
    """Return how the first frame is turned, which only decoding it shows; the container stands anywhere then."""
    with contextlib.suppress(load_av().error.FFmpegError):
        for frame in container.decode(stream):
            return _quarter_turns(frame)
    return 0


def _to_image(frame, turns):
    unsaid = frame.colorspace == _UNSPECIFIED and frame.height >= _HIGH_DEFINITION
    matrix = "ITU709" if frame.colorspace == _BT709 or unsaid else "ITU601"
    # PyAV 12 takes BT.601 and levels from 16 to 235 if it is not told.
    levels = {"src_color_range": "JPEG"} if frame.color_range == _FULL_RANGE else {}
    image = frame.reformat(format="rgb24", src_colorspace=matrix, dst_colorspace="ITU601", **levels).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _quarter_turns(frame):
    """Return the quarter turns, counterclockwise, by which a frame is shown."""
    rotation = getattr(frame, "rotation", None)
    if rotation is not None:  # PyAV 14 and later
        return round(rotation / 90) % 4
    try:
        found = list(frame.side_data)
    except ValueError:  # with the frame comes something that FFmpeg knows and PyAV does not
        return 0
    for data in found:
        if getattr(data.type, "name", "") == "DISPLAYMATRIX":
            # As FFmpeg's av_display_rotation_get; nine numbers of 32 bits, of which a camera sets four.
            numbers = np.frombuffer(bytes(data), "<i4")
            return round(-math.atan2(numbers[1], numbers[0]) / (math.pi / 2)) % 4
    return 0


def _to_even(image):
    """Repeat the last row or column where their number is odd: colours have half the resolution."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image


def _container(path):
    suffix = os.path.splitext(path)[1]
    if suffix.lower() not in CONTAINERS:
        wrong = f"has the unknown suffix '{suffix}'" if suffix else "has no suffix"
        raise OutputError(f"{path}: {wrong}; use one of {', '.join(CONTAINERS)}")
    return CONTAINERS[suffix.lower()]
