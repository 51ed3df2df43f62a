"""Import generators from other programs' files into this project's names.

Every importer maps names to names; what another program does to its input and output is part of the kind of generator,
see `networks.generators`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Union

import numpy as np

from ..errors import WeightsError, unknown
from .generators import check_imported
from .importers import read_tensors, to_array

log = logging.getLogger(__name__)

_MICROAST_FILES = ("content_encoder", "style_encoder", "modulator", "decoder")
_MICROAST_NAMES = {
    **{f"enc1.{2 * number}": f"conv{number + 1}" for number in range(5)},
    "enc1.10": "residual1",
    "enc2.0": "residual2",
    "dec1": "residual2",
    "dec2": "residual1",
    **{f"dec3.{place}": f"conv{number}" for place, number in ((1, 5), (3, 4), (6, 3), (8, 2), (10, 1))},
    **{f"weight{depth}.0": f"factor{depth}" for depth in (1, 2)},
    **{f"bias{depth}.0": f"term{depth}" for depth in (1, 2)},
}
_MICROAST_PARTS = {
    "content_encoder": "content",
    "style_encoder": "style",
    "modulator": "modulator",
    "decoder": "decoder",
}


@dataclass(frozen=True)
class GeneratorLayout:
    """How a program stores a generator.

    Attributes
    ----------
    name, description : str
    fits : callable
        Whether a path looks like such a file or folder.
    read : callable
        path -> parameters by our names.
    """

    name: str
    description: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Dict[str, np.ndarray]]


def detect_generator_layout(source: Union[str, Path]) -> Optional[str]:
    """Return the name of the layout of a file or folder, or None if it is none of a generator."""
    source = Path(source)
    return next((layout.name for layout in GENERATOR_LAYOUTS.values() if layout.fits(source)), None)


def import_generator(source: Union[str, Path], layout: Optional[str] = None) -> Dict[str, np.ndarray]:
    """Read another program's generator.

    Parameters
    ----------
    source
        File or folder.
    layout
        A name of `GENERATOR_LAYOUTS`; by default as the file shows.

    Returns
    -------
    dict of str to numpy.ndarray
        Parameters by our names, float32.

    Raises
    ------
    WeightsError
        If it cannot be read, is of no known layout, or incomplete.
    DependencyError
        If the package that reads the format is missing.
    """
    source = Path(source)
    layout = layout or detect_generator_layout(source)
    if layout not in GENERATOR_LAYOUTS:
        raise unknown("layout", layout, GENERATOR_LAYOUTS)
    if not source.exists():
        raise WeightsError(f"weights file {source} does not exist")
    parameters = check_imported(GENERATOR_LAYOUTS[layout].read(source), source)
    log.info("%s: importing a generator from layout %s, %d parameters", source, layout, len(parameters))
    return parameters


def _rename(prefix: str, name: str, names: Dict[str, str]) -> Optional[str]:
    match = re.fullmatch(r"(.+?)(?:\.(conv[12]))?\.conv_layer\.(weight|bias)", name)
    if match is None or match.group(1) not in names:
        return None
    stem, inner, part = match.groups()
    return "_".join(filter(None, ("microast", prefix, names[stem], inner, part)))


def _microast_files(source: Path) -> Dict[str, Path]:
    if not source.is_dir():
        source = source.parent
    found = {}
    for part in _MICROAST_FILES:
        files = sorted(source.glob(f"{part}*.pth*"))
        if files:
            found[part] = files[-1]
    return found


def _fits_microast(source: Path) -> bool:
    named = source.is_dir() or source.name.startswith(_MICROAST_FILES)
    return named and len(_microast_files(source)) == len(_MICROAST_FILES)


def _read_microast(source: Path) -> Dict[str, np.ndarray]:
    files = _microast_files(source)
    missing = [part for part in _MICROAST_FILES if part not in files]
    if missing:
        raise WeightsError(
            f"{source}: there is no {missing[0]}*.pth.tar; MicroAST is four files in one folder: "
            + ", ".join(_MICROAST_FILES)
        )
    parameters: Dict[str, Any] = {}
    for part, path in files.items():
        for name, tensor in read_tensors(path).items():
            ours = _rename(_MICROAST_PARTS[part], name, _MICROAST_NAMES)
            if ours is None:
                raise WeightsError(f"{path} has the parameter {name}, which is none of MicroAST's {part}")
            parameters[ours] = to_array(tensor, name, path)
    return parameters


GENERATOR_LAYOUTS = {
    layout.name: layout
    for layout in (
        GeneratorLayout(
            "microast",
            "folder with the four .pth.tar of MicroAST",
            _fits_microast,
            _read_microast,
        ),
    )
}
