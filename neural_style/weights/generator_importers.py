"""Import generators from other programs' files into this project's names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional, Union

import numpy as np

from ..errors import WeightsError, unknown
from . import foreign_generators as foreign, mxnet_generators as mxnets, torch7_generators as torch7
from .generators import check_imported

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GeneratorLayout:
    """How a program stores a generator.

    Attributes
    ----------
    name, description : str
    fits : callable
        Whether a path that exists looks like such a file or folder.
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
    layouts = GENERATOR_LAYOUTS.values() if source.exists() else ()
    return next((layout.name for layout in layouts if layout.fits(source)), None)


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
    if not source.exists():
        raise WeightsError(f"weights file {source} does not exist")
    layout = layout or detect_generator_layout(source)
    if layout not in GENERATOR_LAYOUTS:
        raise unknown("layout", layout, GENERATOR_LAYOUTS)
    parameters = check_imported(GENERATOR_LAYOUTS[layout].read(source), source)
    log.info("%s: importing a generator from layout %s, %d parameters", source, layout, len(parameters))
    return parameters


GENERATOR_LAYOUTS = {
    layout.name: layout
    for layout in (
        GeneratorLayout(
            "microast", "folder with the four .pth.tar of MicroAST", foreign.fits_microast, foreign.read_microast
        ),
        GeneratorLayout(
            "transformer-net",
            ".pth of PyTorch's fast_neural_style",
            foreign.fits_transformer_net,
            foreign.read_transformer_net,
        ),
        GeneratorLayout(
            "transformer-net-onnx",
            "the same as .onnx, as ONNX's model zoo has it",
            foreign.fits_onnx("transformer_net"),
            foreign.read_transformer_net_onnx,
        ),
        GeneratorLayout(
            "johnson", ".t7 of Johnson's fast-neural-style, of Torch", torch7.fits_johnson, torch7.read_johnson
        ),
        GeneratorLayout("ml5", "folder of ml5's fast style transfer", foreign.fits_ml5, foreign.read_ml5),
        GeneratorLayout(
            "pastiche",
            ".onnx of the 26 styles of TensorFlow's Android demo",
            foreign.fits_onnx("pastiche"),
            foreign.read_pastiche,
        ),
        GeneratorLayout(
            "magenta",
            "folder with the two .onnx of Magenta's arbitrary stylization",
            foreign.fits_onnx("magenta"),
            foreign.read_magenta,
        ),
        GeneratorLayout(
            "msg-net", ".params of Gluon's MSG-Net, in either format", mxnets.fits_msg_net, mxnets.read_msg_net
        ),
        GeneratorLayout(
            "end-to-end",
            ".params of MXNet's end_to_end, or the folder with those of its chain",
            mxnets.fits_end_to_end,
            mxnets.read_end_to_end,
        ),
    )
}
