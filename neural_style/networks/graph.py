"""Symbols of networks: which layers, what pooling, in what unit and precision."""

import json
from dataclasses import dataclass
from typing import Callable, Optional, Union

from .._mxnet import load_amp, mx
from ..errors import SettingsError, unknown
from .external import SYMBOL_SUFFIX, CheckpointNetwork, is_checkpoint
from .vgg import ARCHITECTURES, Architecture

POOLINGS = ("avg", "max")

# Input of the symbol beside the image, where the image is not in the network's own space.
OFFSET = "offset"


def build_symbol(architecture, layers, pooling="avg", prepare=None, trim=None):
    """Build the network up to the deepest of `layers`, with those activations as its outputs, in that order.

    No image size is part of the symbol: it can be bound with ``data`` of any (N, 3, H, W).

    Parameters
    ----------
    architecture : Architecture or external.CheckpointNetwork
    layers : sequence of str
        Activations to give out, by their usual names.
    pooling : {"avg", "max"}
        Gatys et al. 2015 found average pooling to give slightly more appealing results; VGG was trained with maximum.
        The network of a checkpoint keeps its own.
    prepare : callable, optional
        From the symbol ``data`` to what the first convolution takes; see `bring_to_network`.
    trim : callable, optional
        ``trim(layer, symbol)`` gives what the next block takes of the pooling `layer`; `tiling` cuts off there what no
        loss depends on. What is given out is not trimmed.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs ``data`` (N, 3, H, W) and those of `Architecture.parameter_shapes`; one output per layer (N, C, h, w).

    Raises
    ------
    SettingsError
        If a layer or the kind of pooling is unknown, no layer is asked for, or a low-rank network is not fitted to
        parameters.
    """
    if not layers:
        raise SettingsError("at least one layer of the network must be asked for")
    if isinstance(architecture, CheckpointNetwork):
        return architecture.build(layers, prepare)
    architecture.check(layers)
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    activations = {}
    x = mx.sym.Variable("data")
    if prepare is not None:
        x = prepare(x)
    deepest = max(architecture.layers.index(layer) for layer in layers)
    for layer in architecture.layers[: deepest + 1]:
        if layer.startswith("conv"):
            x = _convolution(x, architecture, layer)
        elif layer.startswith("relu"):
            x = mx.sym.Activation(x, act_type="relu", name=layer)
        else:
            x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type=pooling, name=layer)
        activations[layer] = x
        if trim is not None and layer.startswith("pool"):
            x = trim(layer, x)
    return mx.sym.Group([activations[layer] for layer in layers])


def _convolution(x, architecture, layer):
    """Build a convolution; of one of low rank, the last of the three parts has its name and its bias."""
    channels, rank = architecture.channels(layer), architecture.rank(layer)
    if rank is None:
        return mx.sym.Convolution(x, num_filter=channels, kernel=(3, 3), pad=(1, 1), name=layer)
    # (N, C_in, h, w) -> (N, r, h, w) -> (N, q, h, w) -> (N, C_out, h, w)
    x = mx.sym.Convolution(x, num_filter=rank[0], kernel=(1, 1), no_bias=True, name=f"{layer}_in")
    x = mx.sym.Convolution(x, num_filter=rank[1], kernel=(3, 3), pad=(1, 1), no_bias=True, name=f"{layer}_core")
    weight, bias = mx.sym.Variable(f"{layer}_out_weight"), mx.sym.Variable(f"{layer}_bias")
    return mx.sym.Convolution(x, weight, bias, num_filter=channels, kernel=(1, 1), name=layer)


@dataclass(frozen=True)
class Graph:
    """How a network is computed.

    Attributes
    ----------
    network : Architecture or external.CheckpointNetwork
    pooling, prepare
        See `build_symbol`. What `prepare` does must concern each pixel alone.
    precision : {"float32", "bf16"}
        Of its convolutions; see `lower`.
    """

    network: Union[Architecture, CheckpointNetwork]
    pooling: str = "avg"
    prepare: Optional[Callable] = None
    precision: str = "float32"

    def build(self, layers, trim=None):
        """Build the symbol; see `build_symbol`."""
        symbol = build_symbol(self.network, layers, self.pooling, self.prepare, trim)
        return lower(symbol) if self.precision == "bf16" else symbol


def get_network(model):
    """Give the network that a recipe's model names: one of `ARCHITECTURES`, or that of a checkpoint.

    Returns
    -------
    Architecture or external.CheckpointNetwork

    Raises
    ------
    SettingsError
        If there is none, or the checkpoint's symbol cannot be used.
    """
    if model in ARCHITECTURES:
        return ARCHITECTURES[model]
    if is_checkpoint(model):
        return CheckpointNetwork(model)
    raise SettingsError(
        f"{unknown('model', model, ARCHITECTURES)}, or give the prefix of a checkpoint: {model}{SYMBOL_SUFFIX} is not "
        "there"
    )


def bring_to_network(image, levels):
    """Build the network's input from an image in another unit.

    Parameters
    ----------
    image : mxnet.symbol.Symbol
        (1, 3, H, W).
    levels : float
        Grey levels in one unit.

    Returns
    -------
    mxnet.symbol.Symbol
        ``image * levels + OFFSET``, with the further input `OFFSET` of shape (1, 3, 1, 1): the grey levels at the
        unit's zero less the means of the training data.
    """
    return mx.sym.broadcast_add(image * levels, mx.sym.Variable(OFFSET, shape=(1, 3, 1, 1)))


def lower(symbol):
    """Give the symbol of a network with its convolutions in bfloat16, but for the first, by automatic mixed precision.

    Inputs and outputs are float32, parameters are rounded on the way; ReLUs and poolings between convolutions are in
    bfloat16, too.

    Two things stay in float32, both found by comparing gradients (256 x 192 pixels, from noise, from the content and in
    between). Gram matrices and what follows them: in bfloat16 nothing is left of the gradient, its relative error is 1.
    And the first convolution, which reads the image and whose gradient is the image's own: it costs little, having
    three channels, and without it the error would be up to 1.7 times as large.

    Parameters
    ----------
    symbol : mxnet.symbol.Symbol

    Returns
    -------
    mxnet.symbol.Symbol
    """
    nodes = json.loads(symbol.tojson())["nodes"]
    first = [node["name"] for node in nodes if node["op"] == "Convolution"][:1]
    return load_amp().convert_symbol(symbol, target_dtype="bfloat16", excluded_sym_names=first)
