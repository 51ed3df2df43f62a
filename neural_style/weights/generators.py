"""Generators on disk: find them, read them, and tell what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple, Union

import numpy as np

from ..errors import WeightsError
from ..networks.generators import GENERATORS, Generator, find_generator_kind
from .checks import check_finite, check_shapes
from .lookup import find_weights
from .params_file import read_index, read_parameters


def find_generator(generator: Union[str, Path], models_dir: Optional[Union[str, Path]] = None) -> Path:
    """Find the file of a generator.

    Parameters
    ----------
    generator
        A file, or the bare name of one in the folders that `weights.lookup.search_folders` lists.
    models_dir
        Folder to search before the others.

    Raises
    ------
    WeightsError
        If there is none.
    """
    return find_weights(str(generator), str(generator), models_dir)


def read_generator(path: Union[str, Path]) -> Tuple[Generator, Dict[str, np.ndarray]]:
    """Read a generator.

    Returns
    -------
    kind : networks.generators.Generator
    parameters : dict of str to numpy.ndarray
        float32.

    Raises
    ------
    WeightsError
        If the file is no generator's, or incomplete, or has values that are not finite.
    """
    index = read_index(path)
    kind = check_generator(index, path)
    return kind, read_parameters(path, kind.parameter_shapes(index))


def check_generator(found: Mapping[str, Any], source: Any) -> Generator:
    """Return the kind of generator that parameters, objects with a shape and a dtype, are of, and check their shapes.

    Raises
    ------
    WeightsError
        If they are of none, or incomplete.
    """
    kind = find_generator_kind(found)
    if kind is None:
        raise WeightsError(
            f"{source} holds no generator; the names of its parameters begin with none of {', '.join(GENERATORS)}. "
            "Convert another program's file with: neural-style weights import"
        )
    shapes = kind.parameter_shapes(found)
    check_shapes(found, shapes, source)
    strange = [name for name in found if name not in shapes]
    if strange:
        raise WeightsError(f"{source} also has the parameter {strange[0]}, which is not one of {kind.name}'s")
    return kind


def check_imported(parameters: Mapping[str, np.ndarray], source: Any) -> Dict[str, np.ndarray]:
    """Return imported parameters as float32, in the order of the network, after checking them as a file's."""
    kind = check_generator(parameters, source)
    with np.errstate(over="ignore"):
        arrays = {name: np.asarray(parameters[name], np.float32) for name in kind.parameter_shapes(parameters)}
    check_finite(arrays, source)
    return arrays
