"""The files that a job reads besides its content: styles with their masks, and what controls the image as a whole."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..images.masks import parse_color, read_mask
from ..images.reading import read_image
from ..transfer.controls import Controls
from ..transfer.inputs import Style, check_style
from .schemas import NAME, optional

FILE: Dict[Any, Any] = {"file": NAME}
MASK: Dict[Any, Any] = {**FILE, "color": optional(str)}
STYLE: Dict[Any, Any] = {
    **FILE,
    "weight": float,
    "scale": float,
    "mask": optional(MASK),
    "source_mask": optional(FILE),
}
CONTROLS: Dict[Any, Any] = dict.fromkeys(("keep", "strength", "palette"), optional(FILE))


@dataclass(frozen=True)
class MaskFile:
    """The file of a mask: white counts, or what is drawn in a colour; see `images.masks.read_mask`.

    Attributes
    ----------
    file : str
    color : str or None
        As CSS writes it, ``red`` or ``#ff0000``.

    Raises
    ------
    SettingsError
        If the colour is none.
    """

    file: str
    color: Optional[str] = None

    def __post_init__(self) -> None:
        if self.color is not None:
            parse_color(self.color)


@dataclass(frozen=True)
class StyleFile:
    """The file of an image whose style is used; weight, scale and masks as `transfer.inputs.Style`.

    Attributes
    ----------
    file : str
    weight, scale : float
    mask : MaskFile, str or None
        Where on the result the style is used; kept as a `MaskFile`.
    source_mask : str or None
        File of the mask of what counts of its image.

    Raises
    ------
    SettingsError
        If weight or scale makes no sense.
    """

    file: str
    weight: float = 1.0
    scale: float = 1.0
    mask: Any = None
    source_mask: Optional[str] = None

    def __post_init__(self) -> None:
        check_style(self.weight, self.scale)
        if isinstance(self.mask, (str, os.PathLike)):
            object.__setattr__(self, "mask", MaskFile(os.fspath(self.mask)))

    @property
    def files(self) -> Tuple[str, ...]:
        """Names of the files that it consists of."""
        mask = self.mask and self.mask.file
        return tuple(filter(None, (self.file, mask, self.source_mask)))

    def absolute(self) -> StyleFile:
        """Return the same with absolute paths."""
        return dataclasses.replace(
            self,
            file=os.path.abspath(self.file),
            mask=self.mask and dataclasses.replace(self.mask, file=os.path.abspath(self.mask.file)),
            source_mask=self.source_mask and os.path.abspath(self.source_mask),
        )

    def to_json(self) -> Dict[str, Any]:
        """Return the style as a dict that JSON can hold; see `STYLE`."""
        return {
            "file": os.fspath(self.file),
            "weight": self.weight,
            "scale": self.scale,
            "mask": self.mask and {"file": os.fspath(self.mask.file), "color": self.mask.color},
            "source_mask": self.source_mask and {"file": os.fspath(self.source_mask)},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> StyleFile:
        """Make a style of what `to_json` returned."""
        mask = record["mask"] and MaskFile(record["mask"]["file"], record["mask"]["color"])
        source = record["source_mask"] and record["source_mask"]["file"]
        return cls(record["file"], record["weight"], record["scale"], mask, source)


@dataclass(frozen=True)
class ControlFiles:
    """The files of `transfer.controls.Controls`.

    Attributes
    ----------
    keep : str or None
        Mask of where the photograph stays.
    strength : str or None
        Mask of how much style there is.
    palette : str or None
        Image whose colours are matched.
    """

    keep: Optional[str] = None
    strength: Optional[str] = None
    palette: Optional[str] = None

    @property
    def files(self) -> Tuple[str, ...]:
        """Names of the files that there are."""
        return tuple(filter(None, dataclasses.astuple(self)))

    def absolute(self) -> ControlFiles:
        """Return the same with absolute paths."""
        return ControlFiles(**{name: path and os.path.abspath(path) for name, path in vars(self).items()})

    def read(self) -> Controls:
        """Read the files.

        Raises
        ------
        ImageError
            If one of them cannot be read.
        """
        keep, strength = (path and read_mask(path) for path in (self.keep, self.strength))
        return Controls(keep, strength, self.palette and read_image(self.palette, alpha=True))

    def to_json(self) -> Dict[str, Any]:
        """Return a dict that JSON can hold; see `CONTROLS`."""
        return {name: path and {"file": os.fspath(path)} for name, path in vars(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ControlFiles:
        """Make the same of what `to_json` returned."""
        return cls(**{name: record[name] and record[name]["file"] for name in CONTROLS})


def read_styles(styles: Sequence[StyleFile]) -> List[Style]:
    """Read styles with their masks.

    Raises
    ------
    ImageError
        If a file cannot be read, or a mask has nothing in it.
    """
    read = []
    for style in styles:
        mask = None
        if style.mask is not None:
            file, color = style.mask.file, style.mask.color
            others = [one.mask.color for one in styles if one.mask and one.mask.file == file and one.mask.color]
            mask = read_mask(file, color, [one for one in others if one != color])
        source = None if style.source_mask is None else read_mask(style.source_mask)
        read.append(Style(read_image(style.file, alpha=True), style.weight, style.scale, mask, source))
    return read
