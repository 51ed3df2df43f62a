"""Repaint a video: frame by frame into a folder, then all of them as a video with the sound of the clip.

The folder holds every frame that is finished, ``frame-000001.png`` and so on, and ``state.npz``, from which the next
one is made: NumPy's format without pickled objects, with ``canvas`` (1, 3, H, W) of the last finished frame and
``record``, UTF-8 JSON with the keys

==========  ============================================================================================================
schema      ``neural-style/video-state``
version     1
run         the record of the video, see `describe_video`
done        number of frames that are finished
shot        what the next frame of the shot needs besides, see `transfer.frames.OptimisedFrames.state`
==========  ============================================================================================================
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ..archives import read_arrays
from ..errors import CheckpointError, ImageError, OutputError, SettingsError, first_line, unknown
from ..files import check_writable, output_error, write_whole
from ..images import flow, sizing
from ..images.frames import Clip, check_video, read_comment, write_video
from ..images.reading import read_image
from ..images.saving import save_image
from ..objective.terms import check_losses
from ..recipes.video import Following
from ..transfer.frames import GeneratedFrames, OptimisedFrames
from ..transfer.inputs import image_size
from ..transfer.run import Result, StopReason
from .inputs import read_styles
from .job import Job
from .observers import Observer
from .provenance import check_run, describe_run
from .schemas import DAMAGE, check_schema

log = logging.getLogger(__name__)

SCHEMA, VERSION = "neural-style/video", 1
_STATE_SCHEMA, _STATE_VERSION = "neural-style/video-state", 1
_STATE = "state.npz"


@dataclass(frozen=True)
class VideoJob:
    """A video to repaint.

    Attributes
    ----------
    job : Job
        Its content is the clip, the final output the video; `start` and `seed` are for the first frame of a shot.
        Report, trace and checkpoint are not used.
    following : Following
    flow : str or None
        A name of `images.flow.FLOWS`; None for the best that can be used.
    frames : str or None
        Folder of the finished frames, which is kept. If None it is beside the video and removed when that is written.

    Raises
    ------
    SettingsError
        If there is no such flow.
    """

    job: Job
    following: Following = Following()
    flow: Optional[str] = None
    frames: Optional[str] = None

    def __post_init__(self) -> None:
        if self.flow is not None and self.flow not in flow.FLOWS:
            raise unknown("flow", self.flow, flow.FLOWS)

    @property
    def folder(self) -> str:
        """Where the finished frames are."""
        return self.frames or self.job.outputs.final + ".frames"

    def frame(self, number: int) -> str:
        """Return the name of a finished frame, counted from 1."""
        return os.path.join(self.folder, f"frame-{number:06}.png")


@dataclass(frozen=True)
class Progress:
    """How far a video is: frames that are finished, frames of the clip, and whether a shot began with the last one."""

    done: int
    total: int
    is_cut: bool = False


def run_video(
    video: VideoJob,
    observers: Sequence[Observer] = (),
    watch: Callable[[Progress], object] = lambda progress: None,
) -> Progress:
    """Repaint a video, or continue where an earlier run with the same inputs and settings was ended.

    Parameters
    ----------
    video
    observers
        Of the run of every frame; ``run.stop()`` ends it and the video.
    watch
        Called before the first frame and after every one that is finished.

    Returns
    -------
    Progress
        The video is written if all frames are done, that is, unless an observer ended it.

    Raises
    ------
    ImageError
        If the clip or a style cannot be read.
    OutputError
        If the video or a frame cannot be written.
    CheckpointError
        If the folder holds the frames of another run.
    WeightsError, DeviceError, SettingsError, DependencyError
        If the run cannot start.
    """
    job, clip = video.job, Clip(video.job.content)
    size = _check(video, clip)
    job, weights = job.find_weights()
    method = video.flow or flow.choose_flow()
    record = describe_video(job, weights, video.following, method)
    frames = _prepare(job, weights, video.following)
    total = clip.count()
    done, canvas = _load(video, record, size, frames)
    if done > total:
        raise _other_run(video, "it has more frames than the clip")
    watch(Progress(done, total))
    before = None
    for number, (image, _) in enumerate(clip.frames(), 1):
        if number < done:
            continue
        seen = np.rint(sizing.resize(image, size) * 255).astype(np.uint8)
        if number > done:
            moved = () if canvas is None else _follow(canvas, before, seen, method)
            result = _make(frames, observers, number, image, *moved)
            if result is None:
                return Progress(number - 1, total)
            canvas = result.canvas
            save_image(video.frame(number), result.image)
            _save(video, record, number, canvas, frames.state())
            watch(Progress(number, total, not moved))
        before = seen
    _finish(video, clip, dict(record, frames=total, size=[size[1], size[0]]))
    return Progress(total, total)


def describe_video(job: Job, weights: Any, following: Following, method: str) -> Dict[str, Any]:
    """Describe the run of a video: the record of an image, with the clip as its content, and ``video`` besides.

    Parameters
    ----------
    job : Job
        With the network that runs.
    weights : str or path-like
        The file of its weights.
    following : Following
    method : str
        Of the flow.
    """
    record = describe_run(job, weights)
    return dict(record, schema=SCHEMA, version=VERSION, video=dict(asdict(following), flow=method))


def read_video_record(path: Any) -> Dict[str, Any]:
    """Read the record of a video.

    Raises
    ------
    ImageError
        If the file is no video, carries no record, or one that is damaged or of a later version.
    DependencyError
        If PyAV is missing.
    """
    comment = read_comment(path)
    if comment is None or SCHEMA not in comment:
        raise ImageError(f"{path}: carries no settings of neural-style; another program made it")
    try:
        record = json.loads(comment)
        if record["schema"] == SCHEMA and type(record["version"]) is int and record["version"] > VERSION:
            raise ImageError(
                f"{path}: its settings are of version {record['version']}, this program knows {VERSION}; use a later "
                "neural-style"
            )
        check_run(record)
        check_schema(record, _OF_A_VIDEO, "the record")
    except (SettingsError, *DAMAGE) as error:
        raise ImageError(f"{path}: its settings are damaged ({first_line(error)}); get the video again") from error
    return record


_OF_A_VIDEO: Dict[Any, Any] = {
    "frames": int,
    "size": [int],
    "video": {"frame_steps": int, "temporal_weight": float, "blend": float, "flow": str},
}


def _check(video: VideoJob, clip: Clip) -> Tuple[int, int]:
    """Check what can be checked before anything is computed, and return height and width of the frames."""
    job, output = video.job, video.job.outputs.final
    if job.recipe.feed_forward is None:
        check_losses(job.recipe.losses)
    elif job.start:
        raise SettingsError("`start` is of no use with frames made in one pass; leave it out")
    for path in job.inputs:
        if not os.path.exists(path):
            raise ImageError(f"{path}: there is no such file; check its name and folder")
        if os.path.realpath(path) == os.path.realpath(output):
            raise OutputError(f"{path}: this input would be overwritten by the result; choose another output")
    size = image_size(clip.first(), job.recipe.size)
    check_video(output, clip, size)
    check_writable(os.path.join(video.folder, _STATE))
    return size


def _prepare(job: Job, weights: str, following: Following) -> Union[OptimisedFrames, GeneratedFrames]:
    """Return what makes the frames; see `transfer.frames`."""
    styles = read_styles(job.styles)
    if job.recipe.feed_forward:
        return GeneratedFrames(styles, job.recipe, following, weights=weights, compute=job.compute)
    start = read_image(job.start) if job.start else None
    return OptimisedFrames(
        styles, job.recipe, following, start=start, seed=job.seed, weights=weights, compute=job.compute
    )


def _follow(canvas: np.ndarray, before: np.ndarray, seen: np.ndarray, method: str) -> Tuple[np.ndarray, ...]:
    """Return a canvas in the place of the next frame and its reliability; nothing if another shot begins there."""
    back = flow.estimate_flow(seen, before, method)
    reliability = flow.find_reliability(back, flow.estimate_flow(before, seen, method))
    if flow.is_cut(seen, before, back, reliability):
        return ()
    # (1, 3, H, W) -> (H, W, 3) -> (1, 3, H, W)
    warped = flow.warp(canvas[0].transpose(1, 2, 0), back)
    return np.ascontiguousarray(warped.transpose(2, 0, 1)[np.newaxis]), reliability


def _make(frames: Any, observers: Sequence[Observer], number: int, image: np.ndarray, *moved: Any) -> Optional[Result]:
    """Make a frame; None if an observer ended its run."""
    with frames.begin(image, *moved) as run:
        for observer in observers:
            observer.begin(run)
        for step in run:
            for observer in observers:
                observer.step(step, run)
    for observer in observers:
        observer.end(run)
    if run.reason is StopReason.NOT_FINITE:
        raise SettingsError(
            f"frame {number}, step {len(run.history) + 1} gave values that are not finite; the frames before are kept. "
            "A smaller `learning_rate` or smaller weights may help"
        )
    return None if run.reason is StopReason.INTERRUPTED else run.result


def _save(video: VideoJob, record: Mapping[str, Any], done: int, canvas: np.ndarray, shot: Mapping[str, Any]) -> None:
    state = {"schema": _STATE_SCHEMA, "version": _STATE_VERSION, "run": record, "done": done, "shot": shot}
    data, path = io.BytesIO(), os.path.join(video.folder, _STATE)
    np.savez(data, canvas=canvas, record=np.frombuffer(json.dumps(state).encode("utf-8"), np.uint8))
    try:
        write_whole(path, data.getbuffer())
    except OSError as error:
        raise output_error(path, error) from error


def _load(video: VideoJob, record: Mapping[str, Any], size: Tuple[int, int], frames: Any) -> Tuple[int, Any]:
    """Return how many frames are finished and the canvas of the last one, None if there is none."""
    path = os.path.join(video.folder, _STATE)
    if not os.path.exists(path):
        return 0, None
    try:
        arrays = read_arrays(path)
        canvas, state = arrays["canvas"], json.loads(arrays["record"].tobytes().decode("utf-8"))
        check_schema(state, {"schema": str, "version": int, "done": int, "run": {}, "shot": {}}, "the state")
        if state["schema"] != _STATE_SCHEMA or state["version"] != _STATE_VERSION:
            raise ValueError("it is of another version of this program")
        changed = [key for key in record if _without_files(state["run"].get(key)) != _without_files(record[key])]
        if changed:
            raise _other_run(video, f"another {changed[0]}")
        if canvas.shape != (1, 3, *size) or canvas.dtype != np.float32 or not np.isfinite(canvas).all():
            raise ValueError("its image is of another kind")
        frames.load(state["shot"])
        done = state["done"]
    except (OSError, *DAMAGE) as error:
        raise CheckpointError(
            f"{path}: the state of the video cannot be used ({first_line(error)}); remove the folder to begin anew"
        ) from error
    missing = next((n for n in range(1, done + 1) if not os.path.exists(video.frame(n))), None)
    if missing is not None:
        raise CheckpointError(f"{video.frame(missing)}: this frame is gone; remove the folder to begin anew")
    log.info("%s: continuing after frame %d", video.folder, done)
    return done, canvas


def _other_run(video: VideoJob, difference: str) -> CheckpointError:
    return CheckpointError(
        f"{video.folder}: holds the frames of another run ({difference}); remove it, or choose another output or "
        "`frames`"
    )


def _without_files(value: Any) -> Any:
    """Leave out the names of files, whose digests count."""
    if isinstance(value, dict):
        return {key: _without_files(one) for key, one in value.items() if key != "file"}
    return [_without_files(one) for one in value] if isinstance(value, list) else value


def _finish(video: VideoJob, clip: Clip, record: Mapping[str, Any]) -> None:
    """Write the video, and remove the folder unless it is to be kept."""
    output = video.job.outputs.final
    times = (time for _, time in clip.frames())
    images = ((read_image(video.frame(number)), time) for number, time in enumerate(times, 1))
    write_video(output, clip, images, {"comment": json.dumps(record, separators=(",", ":"))})
    log.info("saved %s", output)
    if video.frames is None:
        for path in (*(video.frame(n) for n in range(1, record["frames"] + 1)), os.path.join(video.folder, _STATE)):
            with contextlib.suppress(OSError):
                os.remove(path)
        with contextlib.suppress(OSError):
            os.rmdir(video.folder)
