"""Find, check, load and save network parameters in MXNet's ``.params`` files.

The layout is that of the original program's ``vgg19.params``: ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias``
(C_out,), and so on, with or without the ``arg:`` of MXNet's checkpoints before the name; input in RGB, 0 to 255, minus
the means 123.68, 116.779, 103.939. A network never runs on parameters that are missing, misshapen or not finite.

The files are read here and not by ``mxnet.nd.load``, which takes sizes on trust (a damaged file can make it ask for any
amount of memory), reads the fully connected layers too, and needs MXNet before it can say that a file is a picture.
"""

import logging
import math
import os
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

import numpy as np

from ._mxnet import mx
from .downloads import KNOWN_FILES, cache_folder, git_blob_id
from .errors import OutputError, SettingsError, WeightsError
from .files import replacing, sha256
from .networks.external import find_checkpoint_weights, is_checkpoint
from .networks.vgg import ARCHITECTURES, STAND_INS

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "NEURAL_STYLE_MODELS"
SUFFIX = ".params"

# The deepest activation that the original program uses.
COMPLETE_TO = "relu5_1"

# From MXNet 1.x, src/c_api/c_api.cc and src/ndarray/ndarray.cc: a list of arrays, then a list of their names. The
# format of one array has changed three times; before V1 its first word was the number of its dimensions.
_LIST_MAGIC = 0x112
_ARRAY_V1, _ARRAY_V2, _ARRAY_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MAX_DIMENSIONS = 32

# MXNet's type flags (mshadow/base.h). NumPy has no bfloat16, but its two bytes must be stepped over.
_TYPES = ("<f4", "<f8", "<f2", "<u1", "<i4", "<i1", "<i8", "|b1", "<i2", "<u2", "<u4", "<u8", "bfloat16")


@dataclass(frozen=True)
class Entry:
    """Where one array lies in a ``.params`` file: NumPy's name of its type, its shape, its first byte."""

    dtype: str
    shape: Tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class WeightsRecord:
    """What is known of one weights file, present or to be had.

    Attributes
    ----------
    name : str
        What ``--weights`` or ``weights fetch`` calls it: the file's name without its suffix.
    path : pathlib.Path or None
        None if it is not on this machine.
    size : int or None
        In bytes.
    models : tuple of str
        The networks it fits by names and shapes; more than one only if it ends before they differ.
    deepest : str or None
        The last convolution in it, such as ``conv5_1``.
    sha256 : str or None
        Only where it was asked for.
    note : str
        One line for a reader.
    """

    name: str
    path: Optional[Path] = None
    size: Optional[int] = None
    models: Tuple[str, ...] = ()
    deepest: Optional[str] = None
    sha256: Optional[str] = None
    note: str = ""


def search_folders(models_dir=None):
    """Give the folders in which weights are looked for, first to last; they need not exist.

    They are `models_dir`, the environment's NEURAL_STYLE_MODELS, the project's own ``models/`` (beside the package in a
    source checkout, inside it once installed), and the user's cache.
    """
    folders = [models_dir, os.environ.get(FOLDER_VARIABLE)]
    package = Path(__file__).resolve().parent
    if (package.parent / "setup.py").is_file():  # beside an installed package, models/ would be somebody else's
        folders.append(package.parent / "models")
    elif (package / "models").is_dir():
        folders.append(package / "models")
    folders.append(cache_folder())
    return list(OrderedDict.fromkeys(Path(folder).expanduser() for folder in folders if folder))


def find_weights(model, weights=None, models_dir=None):
    """Find the file with the parameters of a network.

    Parameters
    ----------
    model : str
        Name of a network; ``<model>.params`` is looked for. Or the prefix of a checkpoint, which has its own.
    weights : str or path-like, optional
        A file, which then is taken, or the bare name of another one in the same folders: ``gluon-vgg19``.
    models_dir : str or path-like, optional
        Folder to look in before the others.

    Raises
    ------
    WeightsError
        If there is no such file; the message says where it was looked for and how to get it.
    """
    if weights is not None:
        path = Path(weights).expanduser()
        if path.is_file():
            return path
        if path.name != str(weights) or path.suffix:
            raise WeightsError(f"weights file {path} does not exist; check --weights")
    if weights is None and is_checkpoint(model):
        return find_checkpoint_weights(model)
    name = model if weights is None else str(weights)
    found = _look_for(name, models_dir)
    if found:
        return found
    folders = search_folders(models_dir)
    remedy = f"neural-style weights fetch {name}" if name in KNOWN_FILES else "neural-style weights list"
    raise WeightsError(
        f"no weights '{name}': {name}{SUFFIX} is not in {', '.join(map(str, folders))}; get them with "
        f"'{remedy}', or name a file with --weights"
    )


def _look_for(name, models_dir):
    places = (folder / (name + SUFFIX) for folder in search_folders(models_dir))
    return next((path for path in places if path.is_file()), None)


def find_network(preferred, model=None, weights=None, models_dir=None):
    """Choose the network to run, and find the file with its parameters.

    A network that is named is the one that runs, or it is an error. Where none is named, a file that is named decides;
    where no file is named either, it is the preferred one if its weights are here, else its stand-in, and a line of the
    log says so.

    Parameters
    ----------
    preferred : str
        The network of the recipe.
    model : str, optional
        The network that was named.
    weights, models_dir : str or path-like, optional
        As `find_weights` takes them.

    Returns
    -------
    model : str
    path : pathlib.Path

    Raises
    ------
    WeightsError
        As `find_weights`, about the network that is named or preferred; if a file that decides cannot be read.
    """
    if model is not None:
        return model, find_weights(model, weights, models_dir)
    if weights is not None:
        path = find_weights(preferred, weights, models_dir)
        fitting, _ = describe_weights(path)
        # What fits none is not the preferred network's either; loading it says which parameter is wrong.
        return preferred if preferred in fitting or not fitting else fitting[0], path
    stand_in = STAND_INS.get(preferred)
    if stand_in and not _look_for(preferred, models_dir) and _look_for(stand_in, models_dir):
        remedy = f"; 'neural-style weights fetch {preferred}' gets the full one" if preferred in KNOWN_FILES else ""
        log.info("there are no weights of %s here, so the network is %s%s", preferred, stand_in, remedy)
        return stand_in, _look_for(stand_in, models_dir)
    return preferred, find_weights(preferred, models_dir=models_dir)


def load_weights(path, shapes, ctx=None):
    """Load the parameters that a network needs, and no others.

    Parameters
    ----------
    path : str or path-like
        A ``.params`` file.
    shapes : dict of str to tuple of int
        What `networks.vgg.Architecture.parameter_shapes` gives.
    ctx : mxnet.Context, optional
        Device of the arrays; the CPU by default.

    Returns
    -------
    OrderedDict of str to mxnet.nd.NDArray
        float32, in the order of `shapes`, without ``arg:``.

    Raises
    ------
    WeightsError
        If the file cannot be read or is not a whole ``.params`` file, if a parameter is missing, has another shape, is
        not of a floating-point type or not finite, or if the file is of a network with other layers in between.
    """
    arrays = read_parameters(path, shapes)
    return OrderedDict((name, mx.nd.array(array, ctx=ctx or mx.cpu())) for name, array in arrays.items())


def read_parameters(path, shapes):
    """Read and check the parameters named by `shapes`, as `load_weights`, into float32 NumPy arrays."""
    index = read_index(path)
    check_shapes(index, shapes, path)
    arrays = read_arrays(path, index, shapes)
    check_finite(arrays, path)
    return arrays


def check_shapes(found, shapes, source):
    """Check names, shapes and types before any value is used.

    Parameters
    ----------
    found : mapping of str to Entry, numpy.ndarray or mxnet.nd.NDArray
        What `source` holds: things with a shape and a dtype.
    shapes : dict of str to tuple of int
        What is needed.
    source : str or path-like
        For the message.

    Raises
    ------
    WeightsError
        At the first parameter that is wrong.
    """
    for name, shape in shapes.items():
        if name not in found:
            raise WeightsError(
                f"{source} has no parameter {name}, which must be {tuple(shape)}{_extent(found)}; "
                "choose weights that go deeper, or shallower layers"
            )
        if tuple(found[name].shape) != tuple(shape):
            raise WeightsError(
                f"{source}: parameter {name} has shape {tuple(found[name].shape)} where {tuple(shape)} is needed; "
                "these are the weights of another network"
            )
        if _type_name(found[name].dtype) not in ("float16", "float32", "float64"):
            raise WeightsError(
                f"{source}: parameter {name} {tuple(shape)} is of type {_type_name(found[name].dtype)}, which is not a "
                "floating-point type that can be read; save it as float32"
            )
    # The layers of VGG-16 that VGG-19 has too have the same shapes, so only what lies between them tells the two apart.
    needed = [place for place in map(_place, shapes) if place]
    for name in found:
        if name not in shapes and _place(name) and needed and _place(name) < max(needed):
            raise WeightsError(
                f"{source} also has the parameter {name} {tuple(found[name].shape)}, a layer that the chosen network "
                "does not have; these are the weights of another network, choose it with --model"
            )


def check_finite(arrays, source):
    """Raise WeightsError, naming the first, if one of `arrays` (name to numpy.ndarray) has NaN or infinity in it."""
    for name, array in arrays.items():
        broken = array.size - np.count_nonzero(np.isfinite(array))
        if broken:
            raise WeightsError(
                f"{source}: {broken} of the {array.size} values of parameter {name} {array.shape} are not finite "
                "in float32; fetch or import the file again"
            )


def digest(path):
    """Give the SHA-256 of a file, 64 hexadecimal digits."""
    try:
        return sha256(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror})") from error


def save_weights(path, params):
    """Save parameters so that the file is there whole or not at all; its folder is made.

    Parameters
    ----------
    path : str or path-like
        What to write; a file that is there is replaced.
    params : dict of str to numpy.ndarray or mxnet.nd.NDArray
        Names without ``arg:``, which is added as in the original's file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            with open(part, "wb"):  # MXNet does not say why it cannot
                pass
            mx.nd.save(part, {f"arg:{name}": mx.nd.array(value, dtype="float32") for name, value in params.items()})
            read_index(part)  # nor does it look whether the last bytes reached the disk
    except OSError as error:
        raise OutputError(f"weights cannot be written to {path} ({error.strerror}); choose another place") from error
    except (WeightsError, mx.MXNetError) as error:
        raise OutputError(f"weights were not written completely to {path}; is there space left?") from error


def describe_weights(path):
    """Tell, as `fitting_models`, what a file is good for; no value is read.

    Returns
    -------
    models : tuple of str
        The one the file is named after comes alone, if it fits.
    deepest : str or None
    """
    models, deepest = fitting_models(read_index(path))
    named = Path(path).stem
    return (named,) if named in models else models, deepest


def fitting_models(found):
    """Tell from names and shapes which networks parameters are good for, and how deep they go.

    A network fits if the parameters are its own from the first convolution to some last one, without a gap and without
    convolutions between that it has not: VGG-16's names and shapes are all in VGG-19 too.

    Parameters
    ----------
    found : dict of str to Entry or numpy.ndarray
        Things with a shape and a dtype.

    Returns
    -------
    models : tuple of str
        Empty if none fits; more than one only if the parameters end before the networks differ.
    deepest : str or None
        The last convolution, such as ``conv5_1``.
    """
    depths = ((model, _depth(found, architecture)) for model, architecture in ARCHITECTURES.items())
    depths = OrderedDict((model, depth) for model, depth in depths if depth)
    return tuple(depths), next(iter(depths.values()), None)


def list_weights(models_dir=None):
    """List the weights in all folders, in the order of the search, then those that could be fetched.

    Returns
    -------
    list of WeightsRecord
        A file that cannot be used is in it, with the reason as its note; `path` is None for what is not here.
    """
    records = []
    for folder in search_folders(models_dir):
        for path in sorted(folder.glob("*" + SUFFIX)):
            try:
                models, deepest = describe_weights(path)
                note = "" if models else "fits none of the networks"
                records.append(WeightsRecord(path.stem, path, path.stat().st_size, models, deepest, note=note))
            except WeightsError as error:
                records.append(WeightsRecord(path.stem, path, path.stat().st_size, note=str(error)))
    present = {record.name for record in records}
    for known in KNOWN_FILES.values():
        if known.model and known.name not in present:
            note = f"{known.description}; not here: neural-style weights fetch {known.name}"
            records.append(WeightsRecord(known.name, models=(known.model,), note=note))
    return records


def verify_weights(path, model):
    """Check every parameter of a network, up to relu5_1, which is all that the original program needs.

    A file that is complete and sound passes also if it is not one of the published ones (it may have been imported);
    the note says which of the two it is.

    Raises
    ------
    SettingsError
        If there is no such network.
    WeightsError
        As `load_weights`.
    """
    if model not in ARCHITECTURES:
        raise SettingsError(f"unknown model '{model}'; choose from {', '.join(ARCHITECTURES)}")
    path, architecture = Path(path), ARCHITECTURES[model]
    arrays = read_parameters(path, architecture.parameter_shapes([_complete(architecture)]))
    blob = git_blob_id(path)
    published = [known for known in KNOWN_FILES.values() if known.model and known.digest == blob]
    note = f"{len(arrays)} parameters complete and finite; "
    note += f"{published[0].description} (git blob {blob})" if published else "not one of the published files"
    _, deepest = describe_weights(path)
    return WeightsRecord(path.stem, path, path.stat().st_size, (model,), deepest, digest(path), note)


def is_complete(path, model):
    """Say whether a file has, by names and shapes, every parameter of a network up to relu5_1."""
    architecture = ARCHITECTURES[model]
    try:
        check_shapes(read_index(path), architecture.parameter_shapes([_complete(architecture)]), path)
    except WeightsError:
        return False
    return True


def read_index(path):
    """Read what a ``.params`` file holds, without its values, and that it holds it to the last byte.

    Returns
    -------
    OrderedDict of str to Entry
        By name, without ``arg:`` or ``aux:``.

    Raises
    ------
    WeightsError
        If the file is missing, unreadable, empty, cut short, not a ``.params`` file, or has arrays without names.
    """
    try:
        with open(path, "rb") as file:
            return _read_list(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise WeightsError(f"weights file {path} does not exist") from error
        raise WeightsError(f"weights file {path} cannot be read ({error.strerror})") from error


def read_arrays(path, index, names):
    """Read the arrays of some `names` of an index into float32; types as in `check_shapes`.

    Returns
    -------
    OrderedDict of str to numpy.ndarray
    """
    arrays = OrderedDict()
    with open(path, "rb") as file:
        for name in names:
            entry = index[name]
            file.seek(entry.offset)
            values = np.fromfile(file, np.dtype(entry.dtype), math.prod(entry.shape))
            with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is found
                arrays[name] = values.reshape(entry.shape).astype(np.float32)
    return arrays


def _read_list(file, size, path):
    def take(form):
        length = struct.calcsize(form)
        data = file.read(length)
        if len(data) < length:
            raise cut
        return struct.unpack(form, data)

    def skip(length):
        if length > size - file.tell():
            raise cut
        file.seek(length, os.SEEK_CUR)

    if size == 0:
        raise WeightsError(f"weights file {path} is empty; fetch or import it again")
    cut = WeightsError(f"weights file {path} is cut short or damaged ({size} bytes); fetch or import it again")
    head = file.read(24)
    if len(head) < 24 or struct.unpack("<QQ", head[:16]) != (_LIST_MAGIC, 0):
        raise WeightsError(
            f"{path} is not an MXNet .params file; weights in another format become one with: "
            "neural-style weights import"
        )
    entries = []
    for _ in range(struct.unpack("<Q", head[16:])[0]):
        (magic,) = take("<I")
        if magic in (_ARRAY_V2, _ARRAY_V3):
            storage, dimensions = take("<ii")
            if storage > 0:
                raise WeightsError(f"weights file {path} holds a sparse array; save it dense")
            wide = True
        elif magic == _ARRAY_V1:
            (dimensions,), wide = take("<i"), True
        else:
            dimensions, wide = magic, False
        if dimensions > _MAX_DIMENSIONS:
            raise cut
        shape = take(f"<{max(dimensions, 0)}{'q' if wide else 'I'}")
        # In the formats before V3 zero stood for unknown; nothing was written after an array of unknown shape.
        if dimensions < 0 or any(n < 0 for n in shape) or (magic != _ARRAY_V3 and (not shape or 0 in shape)):
            entries.append(Entry("none", (), file.tell()))
            continue
        _, _, flag = take("<iii")  # device kind, device number, type
        if not 0 <= flag < len(_TYPES):
            raise cut
        dtype = _TYPES[flag]
        entries.append(Entry(dtype, shape, file.tell()))
        skip(math.prod(shape) * (2 if dtype == "bfloat16" else np.dtype(dtype).itemsize))
    (count,) = take("<Q")
    if count != len(entries):
        if count == 0:
            raise WeightsError(f"weights file {path} holds arrays without names; save it as a dict of names to arrays")
        raise cut
    index = OrderedDict()
    for entry in entries:
        (length,) = take("<Q")
        if length > size - file.tell():
            raise cut
        name = re.sub(r"^(arg|aux):", "", file.read(length).decode("utf-8", "replace"))
        if name in index:
            raise WeightsError(f"weights file {path} holds the parameter {name} twice; keep one of the two")
        index[name] = entry
    return index


def _place(name):
    """Give (block, convolution) of a parameter name such as conv3_1_weight, or None."""
    match = re.fullmatch(r"conv(\d+)_(\d+)_(?:weight|bias)", name)
    return tuple(map(int, match.groups())) if match else None


def _extent(found):
    places = [place for place in map(_place, found) if place]
    return " (it goes to conv{}_{})".format(*max(places)) if places else " (it has no convolution of VGG at all)"


def _type_name(dtype):
    return str(dtype) if str(dtype) in ("bfloat16", "none") else np.dtype(dtype).name


def _complete(architecture):
    return COMPLETE_TO if COMPLETE_TO in architecture.layers else architecture.layers[-1]


def _depth(index, architecture):
    shapes = architecture.parameter_shapes([architecture.layers[-1]])
    own = [name for name in index if _place(name)]
    whole = OrderedDict()
    for name, shape in shapes.items():
        if name not in index:
            break
        whole[name] = shape
    if not own or set(own) != set(whole) or len(whole) % 2:
        return None
    try:
        check_shapes(index, whole, "")
    except WeightsError:
        return None
    return next(reversed(whole))[: -len("_bias")]
