"""Networks that a student learns from, as their files are found."""

import logging
from collections import OrderedDict

from .._mxnet import mx
from ..errors import WeightsError
from ..executors import FeatureExecutor
from ..images.units import RGB_MEANS
from ..networks.graph import build_symbol
from ..networks.vgg import ARCHITECTURES
from ..weights.checks import check_finite
from ..weights.params_file import read_arrays, read_index

log = logging.getLogger(__name__)

# What a student learns: the style layers and the content layer of Gatys et al. 2015.
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")


class Faculty:
    """Several teachers, each for the layers that none before it reaches."""

    def __init__(self, paths, ctx):
        self.ctx, self.lessons, self.channels = ctx, [], {}
        for path in paths:
            teacher = Teacher(path, ctx)
            layers = [layer for layer in teacher.layers if layer not in self.channels]
            if layers:
                self.lessons.append((teacher, layers))
                self.channels.update((layer, teacher.channels[layer]) for layer in layers)
                log.info("%s teaches %s", path, ", ".join(layers))
        missing = [layer for layer in LAYERS if layer not in self.channels]
        if missing:
            raise WeightsError(
                f"{', '.join(paths)}: nobody teaches {', '.join(missing)}; name another teacher that reaches that deep"
            )

    def look(self, data):
        """Give the teachers' activations of a batch, by layer."""
        data = mx.nd.array(data, ctx=self.ctx)
        activations = {}
        for teacher, layers in self.lessons:
            activations.update(zip(layers, teacher.look(data, layers)))
        return activations


class Teacher:
    """Weights that some of the student's layers learn from.

    Two kinds of file are understood. VGG-19 in the usual layout (``conv1_1_weight``, ...), whole or cut at any depth,
    teaches every layer that it reaches; it runs as the recipes run it, with average pooling and zero padding. And a
    narrow VGG-19 in the layout of Collaborative Distillation, which has a 1x1 convolution ``input`` for RGB in [0, 1]
    and a 1x1 head for each style layer; it runs as it was trained, with maximum pooling and reflection padding, and
    teaches what its heads predict, and where it has none, its own activation.

    Attributes
    ----------
    layers : tuple of str
        What it can teach, a part of `LAYERS`.
    channels : dict of str to int
    """

    def __init__(self, path, ctx):
        self.path = path
        params = read_params(path)
        if "input_weight" in params:
            self.symbols = _narrow_symbols(path, params)
            # The 1x1 convolution gets RGB minus means, 0 to 255, like everyone else's input.
            weight, bias = params["input_weight"], params["input_bias"]
            params["input_bias"] = bias + weight[:, :, 0, 0].dot(RGB_MEANS) / 255
            params["input_weight"] = weight / 255
        else:
            self.symbols = _vgg19_symbols(path, params)
        self.layers = tuple(self.symbols)
        self.params = {name: mx.nd.array(value, ctx=ctx) for name, value in params.items()}
        self.channels = {}
        for layer, symbol in self.symbols.items():
            try:
                _, shapes, _ = symbol.infer_shape(data=(1, 3, 32, 32), **_shapes(symbol, params))
            except mx.MXNetError as error:
                raise WeightsError(f"{path}: its parameters do not fit together up to {layer}") from error
            self.channels[layer] = shapes[0][1]
        self.ctx = ctx
        self._executors = {}

    def look(self, data, layers):
        """Give the activations `layers` of a batch (N, 3, H, W), RGB minus the means."""
        key = (data.shape, tuple(layers))
        if key not in self._executors:
            symbol = mx.sym.Group([self.symbols[layer] for layer in layers])
            self._executors[key] = FeatureExecutor(symbol, self.params, data.shape, self.ctx)
        return self._executors[key].read(data)


def read_params(path):
    """Read what a file holds up to the deepest of `LAYERS`, convolutions and heads, into float32 NumPy arrays by name.

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds numbers that are not finite.
    """
    index = read_index(path)
    arrays = read_arrays(path, index, [name for name in index if name.startswith(("input_", "conv", "head"))])
    check_finite(arrays, path)
    return arrays


def _shapes(symbol, params):
    return {name: params[name].shape for name in symbol.list_arguments() if name != "data"}


def _vgg19_symbols(path, params):
    vgg19, reached = ARCHITECTURES["vgg19"], []
    for layer in LAYERS:
        needed = vgg19.parameter_shapes([layer])
        if not set(needed) <= set(params):
            continue
        for name, shape in needed.items():
            if params[name].shape != shape:
                raise WeightsError(f"{path}: {name} has shape {params[name].shape}, VGG-19's is {shape}")
        reached.append(layer)
    if not reached:
        raise WeightsError(f"{path}: not a teacher; conv1_1_weight and conv1_1_bias of VGG-19 are missing")
    return OrderedDict(zip(reached, build_symbol(vgg19, reached, pooling="avg")))


def _narrow_symbols(path, params):
    x = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=3, kernel=(1, 1), name="input")
    symbols = OrderedDict()
    for layer in ARCHITECTURES["vgg19"].layers:
        if layer.startswith("conv"):
            if f"{layer}_weight" not in params or f"{layer}_bias" not in params:
                break
            x = mx.sym.Pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
            x = mx.sym.Convolution(x, num_filter=len(params[f"{layer}_bias"]), kernel=(3, 3), name=layer)
        elif layer.startswith("relu"):
            x = mx.sym.Activation(x, act_type="relu", name=layer)
            head = layer.replace("relu", "head")
            if layer in LAYERS and f"{head}_weight" in params:
                y = mx.sym.Convolution(x, num_filter=len(params[f"{head}_bias"]), kernel=(1, 1), name=head)
                symbols[layer] = mx.sym.Activation(y, act_type="relu")
            elif layer in LAYERS:
                symbols[layer] = x
        else:
            x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name=layer)
    if not symbols:
        raise WeightsError(f"{path}: not a teacher; it has 'input_weight' but no conv1_1")
    return symbols
