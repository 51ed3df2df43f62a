"""Where styles are used, and how much: masks of styles and of the whole image, as regions of the canvas."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from ..errors import ImageError
from ..images.masks import check_mask, resize_mask
from ..objective.regions import Region

log = logging.getLogger(__name__)

# Two masks with soft edges, rounded to 8 bits each, may miss one by as much.
_ROUNDING = 0.02
# What counts as all of a pixel is kept although a lossy format has rounded it.
_ALL = 0.99
# Strength below which more and more of the photograph itself is seen, so that no style that a network sees from afar
# reaches where there is to be none.
_FAINT = 0.15
# Long edge, in pixels, at which it is found out what masks leave out.
_CHECKED_EDGE = 256


@dataclass(frozen=True, eq=False)
class Controls:
    """What an artist says about the image as a whole. A mask is float (H, W) in [0, 1], of any size.

    Attributes
    ----------
    keep : numpy.ndarray or None
        Mask of where the photograph stays as it is.
    strength : numpy.ndarray or None
        Mask of how much style there is; where it is black, the photograph stays.
    palette : numpy.ndarray or None
        Image whose colours are matched in place of the content's, uint8 (H, W, 3) or with alpha (H, W, 4), where the
        recipe's `colors` match.
    opacity : numpy.ndarray or None
        Mask of how opaque the content is: what is transparent counts for no style, and the result has it as its alpha.
        A content of four channels brings its own.

    Raises
    ------
    SettingsError
        If something is no mask.
    """

    keep: Optional[np.ndarray] = None
    strength: Optional[np.ndarray] = None
    palette: Optional[np.ndarray] = None
    opacity: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        for name in ("keep", "strength", "opacity"):
            if getattr(self, name) is not None:
                check_mask(getattr(self, name), name)

    def kept(self, size: Sequence[int]) -> Optional[np.ndarray]:
        """Return how much of the photograph stays at each pixel of an image (H, W), or None if nothing does."""
        masks = [] if self.keep is None else [resize_mask(self.keep, size)]
        if self.strength is not None:
            masks.append(np.maximum(1 - resize_mask(self.strength, size) / _FAINT, 0))
        if not masks:
            return None
        kept = np.max(masks, axis=0)
        return np.where(kept >= _ALL, np.float32(1), kept)

    def painted(self, size: Sequence[int]) -> Optional[np.ndarray]:
        """Return how much style there is at each pixel of an image (H, W), or None if it is 1 everywhere."""
        masks = [resize_mask(mask, size) for mask in (self.strength, self.opacity) if mask is not None]
        kept = self.kept(size)
        if kept is not None:
            masks.append(1 - kept)
        return np.prod(masks, axis=0) if masks else None

    def visible(self, size: Sequence[int]) -> Optional[np.ndarray]:
        """Return how opaque each pixel of an image (H, W) is, or None if all are."""
        return None if self.opacity is None else resize_mask(self.opacity, size)


def _groups(styles: Sequence[Any]) -> List[Tuple[Any, List[int]]]:
    """Return pairs of a mask, None for the rest, and the numbers of the styles that have it."""
    groups: List[Tuple[Any, List[int]]] = []
    for i, style in enumerate(styles):
        for mask, members in groups:
            if mask is style.mask or mask is not None and style.mask is not None and np.array_equal(mask, style.mask):
                members.append(i)
                break
        else:
            groups.append((style.mask, [i]))
    return groups


def make_regions(styles: Sequence[Any], controls: Controls, size: Sequence[int]) -> List[Region]:
    """Return the regions of a canvas.

    A style without a mask is for what the masks of the others leave. The weights of styles that share a mask blend
    them; beside other regions, a region counts by the mean weight of its styles.

    Parameters
    ----------
    styles : sequence of inputs.Style
    controls : Controls
    size : (int, int)
        Height and width of the canvas.

    Returns
    -------
    list of Region
        None if every style counts equally at every pixel.

    Raises
    ------
    ImageError
        If a mask leaves nothing of a style.
    """
    groups, painted = _groups(styles), controls.painted(size)
    if painted is None and all(mask is None for mask, _ in groups):
        return []
    masks = {i: resize_mask(mask, size) for i, (mask, _) in enumerate(groups) if mask is not None}
    usual = sum(style.weight for style in styles) / len(styles)
    regions = []
    for number, (_, members) in enumerate(groups):
        weights = masks[number] if number in masks else _rest(masks.values(), size)
        if painted is not None:
            weights = weights * painted
        if not weights.any():
            raise ImageError(
                f"the masks leave nothing of the image to style {members[0] + 1}; make the white part of its mask "
                "larger, or that of the others smaller"
            )
        factor = sum(styles[i].weight for i in members) / len(members) / usual
        regions.append(Region(str(number + 1), weights, tuple(members), factor))
    return regions


def _rest(masks, size):
    left = np.ones(tuple(size), np.float32)
    for mask in masks:
        left = left - mask
    return np.clip(left, 0, 1)


def covered(styles: Sequence[Any], size: Sequence[int]) -> Optional[np.ndarray]:
    """Return the sum of the styles' masks at each pixel of an image (H, W), or None if no style has one."""
    groups = _groups(styles)
    masks = [resize_mask(mask, size) for mask, _ in groups if mask is not None]
    if not masks:
        return None
    total = np.sum(masks, axis=0)
    return total if len(masks) == len(groups) else total + _rest(masks, size)


def describe_cover(styles: Sequence[Any], size: Sequence[int]) -> None:
    """Log where the masks of styles do not add up to one, for an image of height and width `size`."""
    factor = min(1.0, _CHECKED_EDGE / max(size))
    total = covered(styles, [max(1, round(side * factor)) for side in size])
    if total is None:
        return
    for what, part in (
        ("have no style, because no mask is white there", (total < 1 - _ROUNDING).mean()),
        ("have more than one style, because masks overlap there", (total > 1 + _ROUNDING).mean()),
    ):
        if part >= 0.005:
            log.warning("%.0f %% of the image %s", 100 * part, what)
