"""Whose colours a result has: what is done to the images before a run, and to its result after it.

The methods are those of Gatys, Bethge, Hertzmann & Shechtman, Preserving Color in Neural Artistic Style Transfer
(arXiv:1606.05897, 2016): colour matching (section 3), and transfer of the luminance only (section 4).
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

import numpy as np

from ..errors import ImageError, SettingsError
from ..images import colour


def _match_histogram(image, target, here=None, there=None):
    """Match histograms after mean and covariance: histograms say nothing of how channels go together."""
    return colour.match_histogram(colour.match_covariance(image, target, here, there), target, here, there)


# By the names of `recipes.parts.Colours`, how colours are matched.
MATCHES: Mapping[str, Callable] = {
    "match-covariance": colour.match_covariance,
    "match-histogram": _match_histogram,
}
_LUMINANCE = "content"

# Pixels are left out of a palette whose long edge is twice this or more.
_PALETTE_EDGE = 512
_OPAQUE = 127  # alpha above which a pixel of it counts


def check_palette(colors: str, palette: Any) -> None:
    """Check that a palette is of use.

    Raises
    ------
    SettingsError
        If there is one, and colours are not matched.
    """
    if palette is not None and colors not in MATCHES:
        raise SettingsError(
            f"`palette` is of no use with the colours of the {colors}; set `colors` to {' or '.join(MATCHES)}"
        )


def prepare_palette(palette: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Return the colours of a palette, uint8 (H, W, 3) or (H, W, 4), as `Colouring` takes them, where it is opaque."""
    if palette is None:
        return None
    step = max(1, max(palette.shape[:2]) // _PALETTE_EDGE)
    pixels = palette[::step, ::step]
    if palette.shape[2] == 4:
        opaque = pixels[..., 3] > _OPAQUE
        if not opaque.any():
            raise ImageError("the palette is transparent all over; choose another image")
        # (H, W, 4) -> (N, 1, 3)
        pixels = pixels[opaque][:, np.newaxis, :3]
    return pixels / 255.0


class Colouring:
    """What a recipe's `colors` does to images: float (H, W, 3) in [0, 1], or beyond where it computed them.

    Parameters
    ----------
    colors : str
        A name of `recipes.parts.Colours`.
    content : numpy.ndarray
        float (H, W, 3), of the size of the result.
    palette : numpy.ndarray or None
        float (H, W, 3), of any size: whose colours are matched in place of the content's.
    opacity : numpy.ndarray or None
        (H, W): how much each pixel of the content counts.
    """

    def __init__(
        self,
        colors: str,
        content: np.ndarray,
        palette: Optional[np.ndarray] = None,
        opacity: Optional[np.ndarray] = None,
    ) -> None:
        self._colors, self._content, self._opacity = colors, content, opacity
        self._target, self._counts = (content, opacity) if palette is None else (palette, None)

    def photograph(self, image: np.ndarray) -> np.ndarray:
        """Return the content, or an image to start from, as the run sees it."""
        return np.repeat(colour.luminance(image), 3, axis=2) if self._colors == _LUMINANCE else image

    def style(self, image: np.ndarray, counts: Optional[np.ndarray] = None) -> np.ndarray:
        """Return a style as the run sees it; `counts` (H, W) is how much each of its pixels does."""
        if self._colors == _LUMINANCE:
            return colour.match_luminance(image, self._content, counts, self._opacity)
        return self._match(image, counts)

    def result(self, image: np.ndarray, counts: Optional[np.ndarray] = None) -> np.ndarray:
        """Return a result in its colours."""
        return colour.with_light(self._content, image) if self._colors == _LUMINANCE else self._match(image, counts)

    def _match(self, image, counts):
        if self._colors not in MATCHES:
            return image
        return MATCHES[self._colors](image, self._target, counts, self._counts)
