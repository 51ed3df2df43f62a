"""Import the convolutions of VGG from other programs' files into this project's layout.

Every source is converted to the same input, RGB from 0 to 255 minus the means 123.68, 116.779, 103.939, by folding its
own channel order, scaling and means into conv1_1. With ``rgb`` the image from 0 to 255, ``g`` a source's gain and ``m``
its mean per channel, ``M`` our means and ``x = rgb - M`` our input, the source computes::

    sum(w * g * (rgb - m)) + b  =  sum((w * g) * x) + (b + sum(w * g * (M - m)))

so ``w * g`` becomes the weight and the last bracket the bias. Both are exact, with one exception: the border is padded
with zeros, which means the source's mean colour to the source and our mean colour to us. If the means differ
(torchvision and Gluon: by 0.005, 0.499 and 0.409 of 255), the outermost pixels of conv1_1 see a padding that is at most
half a grey level off. Without folding, it would be exact there and off by as much everywhere else.

The fully connected layers are dropped. A network of low rank, which only this program writes, is checked and left
unchanged.
"""

import inspect
import logging
import pickle
import re
import tarfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Tuple

import numpy as np

from ..errors import DependencyError, WeightsError, first_line, unknown
from ..images.units import RGB_MEANS
from ..networks.vgg import ARCHITECTURES
from .catalogue import digest
from .checks import check_finite, check_shapes
from .isolated import read_isolated
from .params_file import open_weights, read_arrays, read_index

log = logging.getLogger(__name__)

# ImageNet's in [0, 1], as torchvision and Gluon's model zoo document them.
_IMAGENET_MEANS, _IMAGENET_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# First digits of the SHA-256 of published files whose content does not show which input they need. By the convention of
# torch.hub these digits are also part of the files' names.
KNOWN_SOURCES = {
    "dcbb9e9d": "torchvision",  # vgg19-dcbb9e9d.pth
    "397923af": "torchvision",  # vgg16-397923af.pth
    "d01eb7cb": "caffe-torch",  # vgg19-d01eb7cb.pth of J. Johnson
    "00b39a1b": "caffe-torch",  # vgg16-00b39a1b.pth of J. Johnson
}
MATCONVNET_VGG19_SHA256 = "abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695"

_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # pickle of torch.serialization.MAGIC_NUMBER
_MXNET = b"\x12\x01" + 14 * b"\0"


@dataclass(frozen=True)
class Layout:
    """How a program stores VGG, and which input it needs.

    Attributes
    ----------
    name, description : str
    read : callable
        path -> (convolutions, means or None). Convolutions: stem (as in `_stems`) -> {"weight": (C_out, C_in, 3, 3),
        "bias": (C_out,)}. The means, RGB from 0 to 255, are those that the file itself contains, if any.
    order : {"RGB", "BGR"}
    means : tuple of float
        Subtracted from the image; RGB, 0 to 255.
    gains : tuple of float
        Factors applied after that; RGB.
    modules : tuple of str
        Of other programs' readers, which are not trusted: with any, `read` is called in a process of its own; see
        `isolated`.
    """

    name: str
    description: str
    read: Callable
    order: str = "RGB"
    means: Tuple[float, ...] = RGB_MEANS
    gains: Tuple[float, ...] = (1.0, 1.0, 1.0)
    modules: Tuple[str, ...] = ()


def import_weights(source, model=None, layout=None):
    """Read VGG from another program's file into this project's layout.

    Parameters
    ----------
    source : str or path-like
        The file.
    model : str, optional
        Network; by default the first one that the names and shapes in the file fit.
    layout : str, optional
        A key of `LAYOUTS`; by default detected from the file's content.

    Returns
    -------
    dict of str to numpy.ndarray
        ``conv1_1_weight`` (C_out, C_in, 3, 3), ``conv1_1_bias`` (C_out,), ... as deep as the file goes, float32.

    Raises
    ------
    WeightsError
        If the layout cannot be detected, or the file is not of that layout, contains anything but tensors, or does not
        have the names, shapes and finite values of a network down to its deepest layer.
    SettingsError
        If there is no such model or layout.
    DependencyError
        If the package that reads the format is missing or too old.
    """
    source = Path(source)
    if model is not None and model not in ARCHITECTURES:
        raise unknown("model", model, ARCHITECTURES)
    if layout is not None and layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    layout = LAYOUTS[layout or detect_layout(source)]
    _head(source)  # so that a missing or empty file gives the same message for every format
    if layout.name == "matconvnet" and digest(source) == MATCONVNET_VGG19_SHA256:
        log.info("%s is the published imagenet-vgg-verydeep-19.mat", source)
    if layout.modules:
        convolutions, means = read_isolated(layout.read, layout.modules, source)
    else:
        convolutions, means = layout.read(source)
    architecture, params = _arrange(convolutions, model, source)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
        weight, bias = _fold(params["conv1_1_weight"], params["conv1_1_bias"], layout, means or layout.means)
        params["conv1_1_weight"], params["conv1_1_bias"] = weight, bias
        params = {name: value.astype(np.float32) for name, value in params.items()}
    check_finite(params, source)
    log.info("%s: importing %s from layout %s, %d parameters", source, architecture.name, layout.name, len(params))
    return params


def detect_layout(source):
    """Return the layout of a file, judging by its content, its names, or the digest of a published file.

    Raises
    ------
    WeightsError
        If it is not certain. A ``.pth`` file does not show which input its network needs.
    """
    source = Path(source)
    head = _head(source)
    if head.startswith(_MXNET):
        return "original" if "conv1_1_weight" in read_index(source) else "gluon"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "keras"
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return "matconvnet"
    if head.startswith(_LEGACY_TORCH) or _is_torch_zip(source):
        named = re.search(r"-([0-9a-f]{8})\.\w+$", source.name)
        layout = KNOWN_SOURCES.get(named.group(1) if named else None) or KNOWN_SOURCES.get(digest(source)[:8])
        if layout:
            return layout
        raise WeightsError(
            f"{source} does not show which input it needs; use `layout` torchvision (RGB in [0, 1], mean and standard "
            "deviation) or `layout` caffe-torch (BGR from 0 to 255 minus means)"
        )
    raise WeightsError(f"{source} is not a weights file of a known layout; the known ones are {', '.join(LAYOUTS)}")


def _head(source):
    with open_weights(source) as file:
        head = file.read(128)
    if not head:
        raise WeightsError(f"weights file {source} is empty; get it again")
    return head


def _is_torch_zip(source):
    try:
        with open_weights(source) as file, zipfile.ZipFile(file) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except Exception:  # on what is none or damaged, zipfile raises almost any class of error
        return False


def _stems(architecture):
    """Return the possible names of every convolution, from shallow to deep.

    They are the names of the Caffe authors (conv3_2), of torch and Gluon with the position among all layers
    (features.12), of frameworks that count convolutions (conv5), and of Keras (block3_conv2).
    """
    stems, count = {}, 0
    for position, layer in enumerate(architecture.layers):
        if layer.startswith("conv"):
            block, number = layer[len("conv") :].split("_")
            stems[layer] = (layer, f"features.{position}", f"conv{count}", f"block{block}_conv{number}")
            count += 1
    return stems


def _arrange(convolutions, model, source):
    """Name the convolutions as the first architecture that fits, or raise the error about the nearest one."""
    errors = []
    for architecture in [ARCHITECTURES[model]] if model else ARCHITECTURES.values():
        names = {stem: layer for layer, stems in _stems(architecture).items() for stem in stems}
        params = {}
        for stem, parts in convolutions.items():
            for part, value in parts.items():
                name = f"{names.get(stem, stem)}_{part}"
                if name in params:
                    raise _twice(source, name)
                params[name] = value
        architecture = architecture.fitted(params)
        try:
            return architecture, _checked(params, architecture, convolutions, names, source)
        except WeightsError as error:
            known = architecture.parameter_shapes([architecture.layers[-1]])
            errors.append((sum(name in known for name in params), error))
    raise max(errors, key=lambda pair: pair[0])[1]


def _checked(params, architecture, convolutions, names, source):
    own = {names.get(stem) for stem in convolutions}
    present = [layer for layer in architecture.convolutions if layer in own]
    foreign = [stem for stem in convolutions if stem not in names]
    if not present:
        raise WeightsError(f"{source} has no convolutions named as in this layout; check `layout`")
    if foreign:
        shape = np.shape(convolutions[foreign[0]].get("weight"))
        raise WeightsError(
            f"{source} has the parameter {foreign[0]} {shape}, which is no convolution of {architecture.name}; "
            "check `model` and `layout`"
        )
    shapes = architecture.parameter_shapes([present[-1]])
    check_shapes(params, shapes, source)
    return {name: np.asarray(params[name]) for name in shapes}


def _fold(weight, bias, layout, means):
    """Fold channel order, gains and means into conv1_1, (64, 3, 3, 3) and (64,) in float64; see the module's text."""
    weight = weight.astype(np.float64)
    if layout.order == "BGR":
        weight = weight[:, ::-1]
    weight = weight * np.reshape(layout.gains, (1, 3, 1, 1))
    shift = np.reshape(RGB_MEANS, 3) - np.reshape(means, 3)
    return weight, bias.astype(np.float64) + np.einsum("ocyx,c->o", weight, shift)


def _require(package, extra):
    try:
        return __import__(package)
    except ImportError as error:
        raise DependencyError(
            f"this format needs the package {package}, which cannot be imported ({error}); "
            f"install it with: pip install 'mxnet-neural-style[{extra}]'"
        ) from error


def _refuse_normalization(names, source):
    for name in names:
        if re.search(r"running_mean|moving_mean|gamma|batch_?norm", name):
            raise WeightsError(
                f"{source} has batch normalisation ({name}), which these networks do not have; use the plain VGG"
            )


def _collect(found, source):
    """Group (stem, part, array) into stem -> {part: array}."""
    convolutions = {}
    for stem, part, value in found:
        parts = convolutions.setdefault(stem, {})
        if part in parts:
            raise _twice(source, f"{stem} {part}")
        parts[part] = value
    return convolutions


def _twice(source, what):
    return WeightsError(f"{source} has {what} twice, under two names; keep one of the two")


def _read_original(source):
    return _read_params(source, r"(conv\d+_\d+)_((?:in_|core_|out_)?weight|bias)")


def _read_gluon(source):
    # As save_parameters names them now, and as it did at first and export still does: vgg0_conv3_weight, in which the
    # first number counts the networks created before.
    return _read_params(source, r"(?:vgg\d+_)?(features\.\d+|conv\d+)[._](weight|bias)")


def _read_params(source, pattern):
    index = read_index(source)
    _refuse_normalization(index, source)
    wanted = {}
    for name in index:
        match = re.fullmatch(pattern, name)
        if match and len(index[name].shape) in (1, 4):
            wanted[name] = match.groups()
    for name in wanted:  # types, before any value is read
        check_shapes({name: index[name]}, {name: index[name].shape}, source)
    arrays = read_arrays(source, index, wanted)
    return _collect(((*wanted[name], array) for name, array in arrays.items()), source), None


def read_tensors(source):
    """Return the tensors of a PyTorch file by name, torch.Tensor each; nothing else in a file is read."""
    torch = _require("torch", "torch")
    if "weights_only" not in inspect.signature(torch.load).parameters:
        raise DependencyError(
            f"torch {torch.__version__} cannot load only tensors; install a newer one: pip install 'torch>=1.13'"
        )
    refused = f"{source} is not a PyTorch file of only tensors and is not opened"
    _check_zip(source, refused)
    # Before torch 2.6 weights_only did not hold for files in this old format (CVE-2025-32434).
    if tarfile.is_tarfile(source):
        raise WeightsError(f"{refused}: it is a tar archive; save it with a newer torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of damage it raises as well
            state = torch.load(str(source), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{refused}; save its state_dict") from error
    except Exception as error:  # a damaged file fails anywhere in torch, with any class of error
        raise WeightsError(f"{source} cannot be read as a PyTorch file ({first_line(error)}); get it again") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{source} is not a dict of names to tensors; save the network's state_dict")
    return {str(name): tensor for name, tensor in state.items()}


def to_array(tensor, name, source):
    """Return a tensor of `read_tensors` as float32 numpy.ndarray."""
    if not tensor.is_floating_point() or str(tensor.layout) != "torch.strided":
        raise WeightsError(f"{source}: parameter {name} is not a dense floating-point tensor")
    return tensor.detach().float().numpy()


def _read_torch(source):
    state = read_tensors(source)
    _refuse_normalization(state, source)
    found = []
    for name, tensor in state.items():
        match = re.fullmatch(r"(?:.*\.)?(features\.\d+|conv\d+_\d+)\.(weight|bias)", name)
        if match:
            found.append((*match.groups(), to_array(tensor, name, source)))
    return _collect(found, source), None


def _check_zip(source, refused):
    """Refuse an archive that torch would take one of two parts from, or unpack to more than the file's size."""
    if not _is_torch_zip(source):
        return
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise WeightsError(f"{refused}: it has a part twice; get it again")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise WeightsError(f"{refused}: torch does not pack its files; get it again")


def _read_keras(source):
    h5py = _require("h5py", "keras")
    found, names = [], []

    def visit(name, item):
        names.append(name)
        if not isinstance(item, h5py.Dataset) or name.startswith("optimizer"):
            return
        for step in name.split("/"):
            # Keras 1: block1_conv1/block1_conv1_W_1:0; Keras 2: block1_conv1/block1_conv1/kernel:0; Keras 3 counts
            # layers by class: layers/conv2d/vars/0, layers/conv2d_1/vars/0.
            match = re.fullmatch(r"(block\d+_conv\d+)|conv2d(?:_(\d+))?", step)
            if match:
                stem = match.group(1) or f"conv{match.group(2) or 0}"
                break
        else:
            return
        if item.external or item.is_virtual:
            raise WeightsError(f"{source}: {name} lies in another file, which is not opened; save it in this one")
        if item.ndim == 4:
            if item.shape[:2] != (3, 3):
                raise WeightsError(
                    f"{source}: kernel {name} has shape {item.shape}, which is not (3, 3, in, out); "
                    "use the file with TensorFlow's order of dimensions"
                )
            # (H, W, in, out) -> (out, in, H, W)
            found.append((stem, "weight", item[()].transpose(3, 2, 0, 1)))
        elif item.ndim == 1:
            found.append((stem, "bias", item[()]))

    try:
        with h5py.File(str(source), "r") as file:
            file.visititems(visit)
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{source} cannot be read as an HDF5 file ({first_line(error)}); get it again") from error
    _refuse_normalization(names, source)
    return _collect(found, source), None


def _read_matconvnet(source):
    from scipy.io import loadmat  # comes with scikit-image; the import takes a third of a second

    try:
        content = loadmat(str(source), squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a damaged file fails anywhere in SciPy, with any class of error
        raise WeightsError(f"{source} cannot be read as a MATLAB file ({first_line(error)}); get it again") from error
    if hasattr(content.get("net"), "layers"):
        content = vars(content["net"])
    if "layers" not in content:
        raise WeightsError(f"{source} has no 'layers', so it is not a MatConvNet network; check `layout`")
    found = []
    for layer in np.atleast_1d(content["layers"]):
        name = str(getattr(layer, "name", ""))
        # MatConvNet stores fully connected layers as convolutions, too: fc6 has (7, 7, 512, 4096).
        if not re.fullmatch(r"conv\d+_\d+", name):
            continue
        pair = [getattr(layer, field, None) for field in ("filters", "biases")]  # its first versions
        if hasattr(layer, "weights"):
            pair = list(np.atleast_1d(layer.weights))
        if len(pair) != 2 or np.ndim(pair[0]) != 4:
            raise WeightsError(f"{source}: layer {name} has no weights and bias of a convolution; get the file again")
        # (H, W, in, out) -> (out, in, H, W)
        found.append((name, "weight", np.asarray(pair[0]).transpose(3, 2, 0, 1)))
        found.append((name, "bias", np.ravel(pair[1])))
    return _collect(found, source), _average_colour(content, source)


def _average_colour(content, source):
    """Return the mean colour (RGB, 0 to 255) of a MatConvNet network, or None if it does not contain one."""
    normalization = content.get("normalization", getattr(content.get("meta"), "normalization", None))
    average = np.asarray(getattr(normalization, "averageImage", ()))
    if average.ndim == 0 or average.shape[-1] != 3 or average.dtype.kind not in "fiu":
        return None
    average = average.reshape(-1, 3).astype(np.float64)
    if np.ptp(average, axis=0).max() > 0.01:
        raise WeightsError(f"{source} subtracts an image, not a colour, from its input; that cannot be folded in")
    return tuple(average.mean(axis=0))


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("original", ".params of the original program: RGB from 0 to 255 minus means", _read_original),
        Layout(
            "gluon",
            ".params of Gluon's model zoo: RGB in [0, 1], mean and standard deviation",
            _read_gluon,
            means=tuple(255 * mean for mean in _IMAGENET_MEANS),
            gains=tuple(1 / (255 * deviation) for deviation in _IMAGENET_DEVIATIONS),
        ),
        Layout(
            "torchvision",
            ".pth of torchvision: RGB in [0, 1], mean and standard deviation",
            _read_torch,
            means=tuple(255 * mean for mean in _IMAGENET_MEANS),
            gains=tuple(1 / (255 * deviation) for deviation in _IMAGENET_DEVIATIONS),
        ),
        Layout("caffe-torch", ".pth made from the Caffe model: BGR from 0 to 255 minus means", _read_torch, "BGR"),
        Layout(
            "keras",
            ".h5 of Keras, with or without top: BGR from 0 to 255 minus means",
            _read_keras,
            "BGR",
            modules=("h5py",),
        ),
        Layout(
            "matconvnet",
            ".mat of MatConvNet: RGB from 0 to 255 minus the file's mean colour",
            _read_matconvnet,
            modules=("scipy.io",),
        ),
    )
}
