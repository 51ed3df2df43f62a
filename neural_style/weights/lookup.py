"""Find, list and verify files of network parameters."""

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from ..errors import WeightsError, unknown
from ..networks.external import SYMBOL_SUFFIX, external_prefix, is_external
from ..networks.generators import find_generator_kind
from ..networks.vgg import ARCHITECTURES, STAND_INS
from .catalogue import KNOWN_FILES, cache_folder, digest, git_blob_id
from .checks import check_shapes, fitting_models
from .params_file import read_index, read_parameters

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "NEURAL_STYLE_MODELS"
SUFFIX = ".params"

# The deepest activation that the original program uses.
COMPLETE_TO = "relu5_1"


@dataclass(frozen=True)
class WeightsRecord:
    """What is known about one weights file, installed or not.

    Attributes
    ----------
    name : str
        What `find_weights` and ``weights fetch`` call it: the file's name without its suffix.
    path : pathlib.Path or None
        None if it is not installed.
    size : int or None
        In bytes.
    models : tuple of str
        The networks it fits by names and shapes; more than one only if it ends before they differ.
    deepest : str or None
        The last convolution in it, such as ``conv5_1``.
    sha256 : str or None
        Only if it was requested.
    note : str
        One line for the reader.
    """

    name: str
    path: Optional[Path] = None
    size: Optional[int] = None
    models: Tuple[str, ...] = ()
    deepest: Optional[str] = None
    sha256: Optional[str] = None
    note: str = ""


def search_folders(models_dir=None):
    """Return the folders that are searched for weights, in order; they need not exist.

    They are `models_dir`, NEURAL_STYLE_MODELS of the environment, the project's own ``models/`` (beside the package in
    a source checkout, inside it once installed), and the user's cache.
    """
    folders = [models_dir, os.environ.get(FOLDER_VARIABLE)]
    package = Path(__file__).resolve().parent.parent
    if (package.parent / "setup.py").is_file():  # beside an installed package, models/ would belong to another project
        folders.append(package.parent / "models")
    elif (package / "models").is_dir():
        folders.append(package / "models")
    folders.append(cache_folder())
    return list(dict.fromkeys(Path(os.path.expanduser(folder)) for folder in folders if folder))


def find_weights(model, weights=None, models_dir=None):
    """Find the file with the parameters of a network.

    Parameters
    ----------
    model : str
        Name of a network, whose ``<model>.params`` is searched for, or the prefix of an external network, which has its
        own parameters.
    weights : str or path-like, optional
        A file to use, or the bare name of another one in the same folders, such as ``gluon-vgg19``.
    models_dir : str or path-like, optional
        Folder to search before the others.

    Raises
    ------
    WeightsError
        If there is no such file; the message says where it was searched for and how to get it.
    """
    if weights is not None:
        path = Path(os.path.expanduser(weights))
        if os.path.isfile(path):  # pathlib's own raises where a folder may not be entered
            return path
        if path.name != str(weights) or path.suffix:
            raise WeightsError(f"weights file {path} does not exist; check `weights`")
    if weights is None and is_external(model):
        return find_external_weights(model)
    name = model if weights is None else str(weights)
    found = _look_for(name, models_dir)
    if found:
        return found
    folders = search_folders(models_dir)
    remedy = f"neural-style weights fetch {name}" if name in KNOWN_FILES else "neural-style weights list"
    if name in ARCHITECTURES and ARCHITECTURES[name].low_rank:
        remedy = "neural-style compress"
    raise WeightsError(
        f"no weights '{name}': {name}{SUFFIX} is not in {', '.join(map(str, folders))}; get them with "
        f"'{remedy}', or name a file with `weights`"
    )


def find_external_weights(model):
    """Find the parameters of an external network: those of the epoch that is named, else of the last one.

    Raises
    ------
    WeightsError
        If there are none.
    """
    if model.endswith(".params"):
        if os.path.isfile(model):
            return Path(model)
        raise WeightsError(f"{model} does not exist; check `model`")
    prefix = Path(external_prefix(model))
    pattern = re.compile(re.escape(prefix.name) + r"-\d{4}\.params")
    try:
        found = sorted(path for path in prefix.parent.iterdir() if pattern.fullmatch(path.name))
    except OSError as error:
        raise WeightsError(f"{prefix.parent} cannot be read ({error.strerror}); check who may use it") from error
    if not found:
        raise WeightsError(
            f"there are no parameters beside {prefix}{SYMBOL_SUFFIX}; put {prefix.name}-0000.params there, or name a "
            "file with `weights`"
        )
    return found[-1]


def _look_for(name, models_dir):
    places = (folder / (name + SUFFIX) for folder in search_folders(models_dir))
    return next((path for path in places if os.path.isfile(path)), None)


def find_network(preferred, model=None, weights=None, models_dir=None):
    """Choose the network to run, and find the file with its parameters.

    A network that is named is used, or an error is raised. If only a file is named, the file decides. If neither is
    named, the preferred network is used if its weights are installed, else its stand-in, which is logged.

    Parameters
    ----------
    preferred : str
        The network of the recipe.
    model : str, optional
        The network that was named.
    weights, models_dir : str or path-like, optional
        As for `find_weights`.

    Returns
    -------
    model : str
    path : pathlib.Path

    Raises
    ------
    WeightsError
        As `find_weights`, about the network that is named or preferred, or if a file that decides cannot be read.
    """
    if model is not None:
        return model, find_weights(model, weights, models_dir)
    if weights is not None:
        path = find_weights(preferred, weights, models_dir)
        fitting, _ = describe_weights(path)
        # A file that fits no network does not fit the preferred one; loading it says which parameter is wrong.
        return preferred if preferred in fitting or not fitting else fitting[0], path
    stand_in = STAND_INS.get(preferred)
    if stand_in and not _look_for(preferred, models_dir) and _look_for(stand_in, models_dir):
        remedy = f"; 'neural-style weights fetch {preferred}' gets the full one" if preferred in KNOWN_FILES else ""
        log.info("%s's weights are not installed; using %s%s", preferred, stand_in, remedy)
        return stand_in, _look_for(stand_in, models_dir)
    return preferred, find_weights(preferred, models_dir=models_dir)


def describe_weights(path):
    """Return which networks a file fits, as `fitting_models` does, without reading any values.

    Returns
    -------
    models : tuple of str
        If the network after which the file is named fits, only that one.
    deepest : str or None
    """
    models, deepest = fitting_models(read_index(path))
    named = Path(path).stem
    return (named,) if named in models else models, deepest


def list_weights(models_dir=None):
    """Return the weights in all folders, in search order, then those that can be fetched.

    Returns
    -------
    list of WeightsRecord
        A file that cannot be used is included, with the reason as its note. `path` is None for weights that are not
        installed.
    """
    records = []
    for folder in search_folders(models_dir):
        for path in _files_in(folder):
            try:
                models, deepest = describe_weights(path)
                note = "" if models else _describe_generator(path)
                records.append(WeightsRecord(path.stem, path, path.stat().st_size, models, deepest, note=note))
            except (WeightsError, OSError) as error:
                records.append(WeightsRecord(path.stem, path, note=str(error)))
    present = {record.name for record in records}
    for known in KNOWN_FILES.values():
        if (known.model or known.is_generator) and known.name not in present:
            note = f"{known.description}; not here: neural-style weights fetch {known.name}"
            records.append(WeightsRecord(known.name, models=tuple(filter(None, [known.model])), note=note))
    return records


def _describe_generator(path):
    kind = find_generator_kind(read_index(path))
    return f"generator, kind {kind.name}" if kind else "fits none of the networks"


def _files_in(folder):
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(SUFFIX))
    except OSError as error:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            log.warning("%s cannot be read (%s)", folder, error.strerror)
        return []


def verify_weights(path, model):
    """Check every parameter of a network up to relu5_1, which is as deep as the original program needs.

    A file that is complete and sound also passes if it is not one of the published ones, because it may have been
    imported. The note says which of the two it is.

    Raises
    ------
    SettingsError
        If there is no such network.
    WeightsError
        As `load_weights`.
    """
    if model not in ARCHITECTURES:
        raise unknown("model", model, ARCHITECTURES)
    path = Path(path)
    architecture = ARCHITECTURES[model].fitted(read_index(path))
    arrays = read_parameters(path, architecture.parameter_shapes([_complete(architecture)]))
    blob = git_blob_id(path)
    published = [known for known in KNOWN_FILES.values() if known.model and known.digest == blob]
    note = f"{len(arrays)} parameters complete and finite; "
    note += f"{published[0].description} (git blob {blob})" if published else "not one of the published files"
    _, deepest = describe_weights(path)
    return WeightsRecord(path.stem, path, path.stat().st_size, (model,), deepest, digest(path), note)


def is_complete(path, model):
    """Return whether a file has, by names and shapes, every parameter of a network up to relu5_1."""
    try:
        index = read_index(path)
        architecture = ARCHITECTURES[model].fitted(index)
        check_shapes(index, architecture.parameter_shapes([_complete(architecture)]), path)
    except WeightsError:
        return False
    return True


def _complete(architecture):
    return COMPLETE_TO if COMPLETE_TO in architecture.layers else architecture.layers[-1]
