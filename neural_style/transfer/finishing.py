"""What is done to an image of a run before anybody sees it, beyond what its recipe does: the photograph stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..images import sizing
from .controls import Controls


class Finishing:
    """Puts what stays of the photograph over an image.

    Parameters
    ----------
    content : numpy.ndarray
        uint8 (H, W, 3), of any size.
    controls : Controls
    """

    def __init__(self, content: np.ndarray, controls: Controls) -> None:
        self._content, self._controls = content, controls
        self._at: Any = None  # what of the content belongs to the size before

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the image, uint8 (H, W, 3), finished."""
        size = image.shape[:2]
        kept = self._controls.kept(size)
        if kept is None:
            return image
        return _over(image, self._photograph(size), kept)

    def _photograph(self, size):
        """Return the content at a size, float64 (H, W, 3) in grey levels."""
        if self._at is None or self._at.shape[:2] != size:
            self._at = np.rint(sizing.resize(self._content, size) * 255)
        return self._at


def _over(image, photograph, kept):
    """Lay a photograph over an image, where it stays."""
    kept = kept[..., np.newaxis].astype(np.float64)
    return np.rint(image * (1 - kept) + photograph * kept).astype(np.uint8)
