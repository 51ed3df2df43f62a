"""Symbols of networks: their layers, pooling, unit and precision."""

import json
from dataclasses import dataclass
from typing import Callable, Optional, Union

from .._mxnet import load_amp, mx
from ..errors import SettingsError, unknown
from .external import SYMBOL_SUFFIX, ExternalNetwork, is_external, open_external
from .vgg import ARCHITECTURES, Architecture

POOLINGS = ("avg", "max")

# Input of the symbol besides the image, if the image is not in the network's own space.
OFFSET = "offset"


def build_symbol(architecture, layers, pooling="avg", prepare=None, trim=None):
    """Build the network up to the deepest of `layers`, with those activations as its outputs, in that order.

    The symbol does not depend on the image size: it can be bound with ``data`` of any (N, 3, H, W).

    Parameters
    ----------
    architecture : Architecture or external.ExternalNetwork
    layers : sequence of str
        Activations to output, by their usual names.
    pooling : {"avg", "max"}
        Gatys et al. 2015 found that average pooling gives slightly more appealing results; VGG was trained with maximum
        pooling. An external network keeps its own.
    prepare : callable, optional
        Maps the symbol ``data`` to the input of the first convolution; see `bring_to_network`.
    trim : callable, optional
        ``trim(layer, symbol)`` returns the part of the pooling `layer` that the next block reads; `tiling` uses it to
        cut off what no loss depends on. Outputs are not trimmed.

    Returns
    -------
    mxnet.symbol.Symbol
        Inputs: ``data`` (N, 3, H, W) and those of `Architecture.parameter_shapes`; one output per layer (N, C, h, w).

    Raises
    ------
    SettingsError
        If a layer or the kind of pooling is unknown, no layer is given, or a low-rank network is not fitted to
        parameters.
    """
    if not layers:
        raise SettingsError("at least one layer of the network is needed")
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    return architecture.build(layers, pooling, prepare, trim)


@dataclass(frozen=True)
class Graph:
    """How a network is computed.

    Attributes
    ----------
    network : Architecture or external.ExternalNetwork
    pooling, prepare
        See `build_symbol`. `prepare` must treat each pixel by itself.
    precision : {"float32", "bf16"}
        Of its convolutions; see `lower`.
    """

    network: Union[Architecture, ExternalNetwork]
    pooling: str = "avg"
    prepare: Optional[Callable] = None
    precision: str = "float32"

    def build(self, layers, trim=None):
        """Build the symbol; see `build_symbol`."""
        symbol = build_symbol(self.network, layers, self.pooling, self.prepare, trim)
        return lower(symbol) if self.precision == "bf16" else symbol


def get_network(model):
    """Return the network that `model` names: one of `ARCHITECTURES`, or an external network by its prefix.

    Returns
    -------
    Architecture or external.ExternalNetwork

    Raises
    ------
    SettingsError
        If there is none, or the symbol of an external network cannot be used.
    """
    if model in ARCHITECTURES:
        return ARCHITECTURES[model]
    if is_external(model):
        return open_external(model)
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
        Grey levels per unit.

    Returns
    -------
    mxnet.symbol.Symbol
        ``image * levels + OFFSET``, with the further input `OFFSET` of shape (1, 3, 1, 1): the grey levels at the
        unit's zero minus the means of the training data.
    """
    return mx.sym.broadcast_add(image * levels, mx.sym.Variable(OFFSET, shape=(1, 3, 1, 1)))


def lower(symbol):
    """Return a network's symbol with all convolutions but the first in bfloat16, by automatic mixed precision.

    Inputs and outputs are float32, and parameters are rounded in the graph. ReLUs and poolings between convolutions are
    also in bfloat16.

    Two parts stay in float32, both determined by comparing gradients (256 x 192 pixels, from noise, from the content
    and in between). One is Gram matrices and whatever follows them: in bfloat16 nothing is left of the gradient, whose
    relative error is 1. The other is the first convolution, which reads the image and whose gradient is the image's
    own: with three channels it costs little, and in bfloat16 the error would be up to 1.7 times as large.

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
