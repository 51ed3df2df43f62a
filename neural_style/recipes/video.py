"""What a video has beside the recipe of its frames, and the numbers, each with its source."""

from dataclasses import dataclass

from ..errors import SettingsError


@dataclass(frozen=True)
class Following:
    """How a frame is made that follows another one of the same shot.

    Attributes
    ----------
    frame_steps : int
        Maximum steps of such a frame, at the size of the result; the first frame of a shot takes those of its recipe.
    temporal_weight : float
        Of the temporal term, relative to the objective that the first frame of the shot ended with: that is what a mean
        squared difference of 1 / `temporal_weight` (in grey levels) counts. So it means the same for every recipe.
    blend : float
        Of a frame that a generator makes in one pass, which has neither steps nor an objective: how much of it is the
        frame before, where that can be trusted.
    """

    # This project's, looked at and measured at 256 pixels; docs/video.md has the warp error.
    frame_steps: int = 10
    temporal_weight: float = 0.01
    blend: float = 0.7

    def __post_init__(self) -> None:
        if self.frame_steps < 1:
            raise SettingsError(f"`frame_steps` is {self.frame_steps}; it must be 1 or more")
        if not 0 <= self.temporal_weight < float("inf"):
            raise SettingsError(f"`temporal_weight` is {self.temporal_weight}; it must be 0 or more")
        if not 0 <= self.blend < 1:
            raise SettingsError(f"`blend` is {self.blend}; it must be at least 0 and less than 1")
