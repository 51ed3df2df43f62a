"""External networks, from MXNet's checkpoints: ``prefix-symbol.json`` and ``prefix-0000.params``.

Any convolutional network can be used, such as Inception or SqueezeNet, whose input is an image as RGB grey levels minus
the means of `images.units.RGB_MEANS`. If a network expects other input, fold the difference into its first convolution.
Layers have the names of the network's nodes.
"""

import contextlib
import functools
import json
import os
import re

from .._mxnet import mx
from ..errors import SettingsError, first_line, last_line
from ..files import open_regular
from ..limits import MAX_SYMBOL_BYTES
from ..silence import silent_stderr
from .symbol_file import check_symbol, written_by

SYMBOL_SUFFIX = "-symbol.json"

# The largest side, in pixels, that is tried when searching for the smallest with which a network works.
_LARGEST = 1024


def is_external(model):
    """Return whether `model` is the prefix or a file of a checkpoint whose symbol exists."""
    return os.path.isfile(external_prefix(model) + SYMBOL_SUFFIX)


def external_prefix(model):
    """Return the prefix of a checkpoint, given the prefix or one of its files."""
    model = os.fspath(model)
    if model.endswith(SYMBOL_SUFFIX):
        return model[: -len(SYMBOL_SUFFIX)]
    return re.sub(r"-\d{4}\.params$", "", model)


def open_external(model):
    """Return the `ExternalNetwork` of a checkpoint, the same one as long as its file is the same.

    To write a symbol as JSON costs some 20 kB that MXNet 1.9 never frees.

    Raises
    ------
    SettingsError
        As `ExternalNetwork`.
    """
    try:
        status = os.stat(external_prefix(model) + SYMBOL_SUFFIX)
        stamp = status.st_ino, status.st_mtime_ns, status.st_size
    except OSError:
        stamp = None
    return _open(os.fspath(model), stamp)


@functools.lru_cache(maxsize=4)
def _open(model, stamp):
    return ExternalNetwork(model)


class ExternalNetwork:
    """An external network, with the interface of `vgg.Architecture`.

    Batch normalisation uses the moments it has learnt, dropout drops nothing, and the network keeps its own pooling.

    Parameters
    ----------
    model : str
        The prefix of the checkpoint, or one of its files.

    Attributes
    ----------
    name : str
        The prefix.
    has_tiles : bool
        Whether it can be computed in tiles; it cannot.
    later_version : str
        Of the MXNet that wrote it, if that is later than this one; else empty.

    Raises
    ------
    SettingsError
        If the symbol cannot be read, or does not have exactly one input besides its parameters.
    """

    has_tiles = False

    def __init__(self, model):
        self.name = external_prefix(model)
        path = self.name + SYMBOL_SUFFIX
        try:
            symbol = check_symbol(_read(path))
            self.later_version = _later(written_by(symbol))
            with silent_stderr():  # on which MXNet says which version wrote the file
                # Read and written again, so that attributes of older versions get their present names.
                graph = json.loads(mx.sym.load_json(json.dumps(symbol)).tojson())
            _freeze(graph)
            self._nodes = graph["nodes"]
            self._symbol = mx.sym.load_json(json.dumps(graph))
            self._outputs = self._symbol.get_internals().list_outputs()
        except (mx.base.MXNetError, OSError, ValueError) as error:
            raise SettingsError(f"{path} is not a symbol that this MXNet can read ({_reason(error)})") from error

    def resolve(self, layers):
        """Return the names of the activations that a recipe refers to.

        Parameters
        ----------
        layers : sequence of str
            Names of nodes, with or without ``_output``, or ``#5`` for the ReLU of the fifth convolution in the order of
            the file, or for the convolution itself if no ReLU follows it.

        Returns
        -------
        tuple of str

        Raises
        ------
        SettingsError
            If the network has no such node.
        """
        return tuple(self._resolve(layer) for layer in layers)

    def _resolve(self, layer):
        if re.fullmatch(r"#[1-9]\d*", layer):
            convolutions = [i for i, node in enumerate(self._nodes) if node["op"] == "Convolution"]
            if int(layer[1:]) > len(convolutions):
                raise SettingsError(f"{self.name} has no layer '{layer}'; it has {len(convolutions)} convolutions")
            return self._activation_after(convolutions[int(layer[1:]) - 1])
        for name in (layer, f"{layer}_output"):
            if name in self._outputs and name not in self._symbol.list_inputs():
                return layer[: -len("_output")] if layer.endswith("_output") else layer
        names = [node["name"] for node in self._nodes if node["op"] in ("Activation", "Concat")]
        raise SettingsError(
            f"{self.name} has no layer '{layer}'; name others with `content_layers` and `style_layers`, such as "
            f"{', '.join(names[:4])}, ... {names[-1] if names else self._nodes[-1]['name']}"
        )

    def _activation_after(self, index):
        name = self._nodes[index]["name"]
        while True:
            users = [i for i, node in enumerate(self._nodes) if any(source[0] == index for source in node["inputs"])]
            if len(users) != 1 or self._nodes[users[0]]["op"] not in ("Activation", "BatchNorm", "LeakyReLU"):
                return name
            index = users[0]
            if self._nodes[index]["op"] != "BatchNorm":
                return self._nodes[index]["name"]

    def build(self, layers, pooling="avg", prepare=None, trim=None):
        """Build the network up to some layers; see `graph.build_symbol`. The network keeps its own pooling."""
        internals = self._symbol.get_internals()
        symbol = mx.sym.Group([internals[self._output(layer)] for layer in layers])
        data = mx.sym.Variable("data")
        with _as_settings(self.name):
            return symbol(**{self._input(symbol): data if prepare is None else prepare(data)})

    def fitted(self, found):
        """Return this network, which its symbol describes completely, whatever parameters are found."""
        return self

    def parameter_shapes(self, layers):
        """Return the names and shapes of the parameters, including moving moments, that `layers` depend on."""
        symbol = self.build(layers)
        with _as_settings(self.name):
            arguments, _, states = symbol.infer_shape(data=(1, 3, _LARGEST, _LARGEST))
        shapes = dict(zip(symbol.list_arguments(), arguments))
        shapes.update(zip(symbol.list_auxiliary_states(), states))
        del shapes["data"]
        return shapes

    def channels(self, layer):
        """Return the number of channels of an activation.

        Raises
        ------
        SettingsError
            If its shape is not (1, C, H, W).
        """
        with _as_settings(self.name):
            _, (shape,), _ = self.build([layer]).infer_shape(data=(1, 3, _LARGEST, _LARGEST))
        if len(shape) != 4:
            raise SettingsError(
                f"layer '{layer}' of {self.name} has shape {shape}; choose one with a height and a width"
            )
        return shape[1]

    def minimum_side(self, layers):
        """Return the smallest height and width, in pixels, with which each of `layers` has at least one position."""
        symbol = self.build(layers)
        least, enough = 0, _LARGEST
        while enough - least > 1:
            side = (least + enough) // 2
            least, enough = (least, side) if _works(symbol, side) else (side, enough)
        return enough

    def halo(self, layers):
        """Raise SettingsError: what a position depends on is not known, so the network cannot be computed in tiles."""
        raise SettingsError(f"{self.name} cannot be computed in tiles, only whole; leave out `tile_size`")

    alignment = halo

    def _output(self, layer):
        return layer if layer in self._outputs else f"{layer}_output"

    def _input(self, symbol):
        """Find the argument that is not a parameter: parameters in MXNet are named after their layers."""
        parameters = set()
        for node in self._nodes:
            if node["op"] != "null":
                own = [self._nodes[source[0]] for source in node["inputs"]]
                parameters |= {n["name"] for n in own if n["op"] == "null" and n["name"].startswith(node["name"] + "_")}
        free = [name for name in symbol.list_arguments() if name not in parameters]
        if "data" in free:
            return "data"
        if len(free) != 1:
            raise SettingsError(f"{self.name} has no input called data, and {len(free)} that could be it")
        return free[0]


def _read(path):
    with open_regular(path) as file:
        data = file.read(MAX_SYMBOL_BYTES + 1)
    if len(data) > MAX_SYMBOL_BYTES:
        raise ValueError(f"it has more than {MAX_SYMBOL_BYTES} bytes")
    return data.decode("utf-8")


def _later(version):
    """Return a version, given as in a symbol, in words, if it is later than that of this MXNet."""
    parts = version // 10000, version // 100 % 100, version % 100
    own = tuple(int(part) for part in re.findall(r"\d+", mx.__version__)[:3])
    return ".".join(map(str, parts)) if parts > own else ""


def _reason(error):
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return first_line(error) if isinstance(error, ValueError) else last_line(error)


@contextlib.contextmanager
def _as_settings(name):
    """Turn what MXNet raises about a network that somebody else has made into a SettingsError."""
    try:
        yield
    except mx.base.MXNetError as error:
        raise SettingsError(f"{name} cannot be computed ({last_line(error)}); choose another `model`") from error


def _freeze(graph):
    """Make every layer behave as in inference, although backward requires training mode."""
    for node in graph["nodes"]:
        if node["op"] == "BatchNorm":
            node.setdefault("attrs", {})["use_global_stats"] = "True"
        elif node["op"] == "Dropout":
            node.setdefault("attrs", {})["p"] = "0"


def _works(symbol, side):
    try:
        # Unlike infer_shape, it prints nothing when it fails. An unknown shape is (), an unknown dimension 0.
        _, shapes, _ = symbol.infer_shape_partial(data=(1, 3, side, side))
    except mx.base.MXNetError:
        return False
    return all(shape and min(shape) > 0 for shape in shapes)
