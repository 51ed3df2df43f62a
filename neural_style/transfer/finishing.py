"""What is done to an image of a run before anybody sees it, beyond the recipe's filter: colours, what stays, alpha."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..images import sizing
from ..images.alpha import join_alpha
from .colours import Colouring, prepare_palette
from .controls import Controls


class Finishing:
    """Gives an image the colours that a recipe says, and lays what stays of the photograph over it.

    Parameters
    ----------
    content : numpy.ndarray
        uint8 (H, W, 3), of any size.
    colors : str
        A name of `recipes.parts.Colours`.
    controls : Controls
    """

    def __init__(self, content: np.ndarray, colors: str, controls: Controls) -> None:
        self._content, self._colors, self._controls = content, colors, controls
        self._palette = prepare_palette(controls.palette)
        self._at: Any = None  # the content at the size before

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the image, uint8 (H, W, 3), finished; with alpha, (H, W, 4), if the content has some."""
        size = image.shape[:2]
        kept, visible = self._controls.kept(size), self._controls.visible(size)
        if self._colors != "style":
            colouring = Colouring(self._colors, self._photograph(size), self._palette, visible)
            counts = visible if kept is None else (1 - kept) * (1 if visible is None else visible)
            image = _to_levels(colouring.result(image / 255.0, counts))
        if kept is not None:
            kept = kept[..., np.newaxis].astype(np.float64)
            image = _to_levels(image / 255.0 * (1 - kept) + self._photograph(size) * kept)
        return image if visible is None else join_alpha(image, visible)

    def _photograph(self, size):
        """Return the content at a size, float64 (H, W, 3) in [0, 1]."""
        if self._at is None or self._at.shape[:2] != size:
            self._at = sizing.resize(self._content, size)
        return self._at


def _to_levels(image):
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
