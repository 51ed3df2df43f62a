"""The scale of a network's activations, which a ReLU network leaves free."""

import logging
import math
from collections import OrderedDict

import numpy as np

from .._mxnet import mx
from ..executors import FeatureExecutor
from ..networks.graph import build_symbol
from ..networks.vgg import ARCHITECTURES

log = logging.getLogger(__name__)

STUDENT = "vgg19-compact"

# Standard deviations of the activations at which the recipes' weights of content and style balance; found by looking at
# pictures of 384 pixels. Pixels at the border are those on which deeper layers insist least: with less of relu4_2, or
# more of relu1_1, a frame of the style's darkest colour appears; with more of relu4_2 comes grain, from where content
# and the shallow style layers disagree. relu3_1 and relu4_1 carry the strokes. With less of relu2_1 colours turn
# garish.
SPREADS = {"relu1_1": 23.0, "relu2_1": 26.0, "relu3_1": 31.0, "relu4_1": 18.0, "relu4_2": 34.0, "relu5_1": 20.0}


def rescale(params, factors, architecture=ARCHITECTURES[STUDENT]):
    """Multiply activations of a network by positive factors, without changing what it computes otherwise.

    A ReLU and a pooling commute with a positive factor, so the parameters of a layer can be multiplied by what the
    weights of the next are divided by.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
        ``conv1_1_weight``, ``conv1_1_bias``, ...
    factors : dict of str to (float or numpy.ndarray)
        Per layer (``relu4_2``), one factor or one per channel (C,). ``data`` stands for the input: the network is to
        be given pictures multiplied by that factor. Layers that are not named keep their scale.

    Returns
    -------
    dict of str to numpy.ndarray
        New parameters, in float32.
    """
    scaled, before = OrderedDict(), np.ones(3) * factors.get("data", 1.0)
    for name in architecture.layers:
        if name.startswith("conv") and f"{name}_weight" in params:
            weight, bias = params[f"{name}_weight"], params[f"{name}_bias"]
            after = np.ones(len(bias)) * factors.get(name.replace("conv", "relu"), 1.0)
            weight = weight * after[:, None, None, None] / before[None, :, None, None]
            scaled[f"{name}_weight"] = weight.astype("float32")
            scaled[f"{name}_bias"] = (bias * after).astype("float32")
            before = after
    return scaled


def spreads(params, layers, batches, ctx, pooling="avg", architecture=ARCHITECTURES[STUDENT]):
    """Measure the standard deviation of each channel about its mean.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
    layers : sequence of str
    batches : list of numpy.ndarray
        Each (N, 3, H, W), what the network expects as input.

    Returns
    -------
    dict of str to numpy.ndarray
        By layer, (C,).
    """
    symbol = build_symbol(architecture, layers, pooling)
    parameters = {name: mx.nd.array(params[name], ctx=ctx) for name in symbol.list_arguments() if name != "data"}
    moments = {layer: [] for layer in layers}
    for data in batches:
        for layer, activation in zip(layers, FeatureExecutor(symbol, parameters, data.shape, ctx).read(data)):
            activation = activation.asnumpy()
            moments[layer].append((activation.mean(axis=(0, 2, 3)), np.square(activation).mean(axis=(0, 2, 3))))
    result = {}
    for layer in layers:
        mean, square = np.mean(np.array(moments[layer], "float64"), axis=0)
        result[layer] = np.sqrt(np.maximum(square - mean**2, 0))
    return result


def activations(params, architecture=ARCHITECTURES[STUDENT]):
    """Name the ReLUs that a network's parameters reach, from shallow to deep."""
    relus = [name for name in architecture.layers if name.startswith("relu")]
    return [name for name in relus if f"{name.replace('relu', 'conv')}_weight" in params]


def to_one(spread):
    """Give the factors that bring layers, whose `spreads` are given, to a spread of one."""
    return {layer: 1 / max(float(np.sqrt(np.mean(np.square(values)))), 1e-6) for layer, values in spread.items()}


def balance(params, batches, ctx, spread=None, pooling="avg"):
    """Bring a network to the scale at which the recipes' numbers hold.

    The recipes' losses are sums of squares, and sums of fourth powers for style, so that what a content weight of 10
    means depends on how large a network's activations are.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
        Of vgg19-compact, for input of RGB minus the means.
    batches : list of numpy.ndarray
        Such input, (N, 3, H, W), to measure on.
    ctx : mxnet.Context
    spread : dict of str to float, optional
        Standard deviations to bring layers to, where they differ from `SPREADS`. A layer that is in neither gets that
        of the named one before it; since the next divides it out again, it makes no difference.
    pooling : {"avg", "max"}

    Returns
    -------
    dict of str to numpy.ndarray
    """
    wanted = dict(SPREADS, **(spread or {}))
    layers = activations(params)
    last = layers[0]
    factors_to_one, factors = to_one(spreads(params, layers, batches, ctx, pooling)), {}
    for layer in layers:
        last = layer if layer in wanted else last
        factors[layer] = wanted[last] * factors_to_one[layer]
    return rescale(params, factors)


def even_out(params, heads):
    """Give each channel the norm of its row in the head, relative to the mean of its layer.

    A channel then weighs in the student's Gram matrix as it weighs in the teacher's that is predicted from it.
    """
    norms = {layer: np.linalg.norm(head, axis=1) for layer, head in heads.items()}
    return rescale(params, {layer: np.maximum(norm / norm.mean(), 1e-3) for layer, norm in norms.items()})


def revive(params, spread, seed, architecture=ARCHITECTURES[STUDENT]):
    """Give channels that hardly ever fire a new chance, without changing what the network computes otherwise.

    A ReLU that is zero for every picture has no gradient and stays so: wasted, and in a network that was trained before
    it can be a third of a layer. Such channels are drawn anew, and nothing deeper looks at them yet.

    Parameters
    ----------
    params : dict of str to numpy.ndarray
    spread : dict of str to numpy.ndarray
        Standard deviations per channel, (C,), of all activations; what `spreads` gives.
    seed : int
    """
    params = OrderedDict((name, value.copy()) for name, value in params.items())
    rng, dead = np.random.RandomState([seed, 1]), None
    for layer, values in spread.items():
        conv = layer.replace("relu", "conv")
        weight, bias = params[f"{conv}_weight"], params[f"{conv}_bias"]
        if dead is not None:
            weight[:, dead] = 0
        dead = np.flatnonzero(values <= 0.01 * np.sqrt(np.mean(np.square(values))))
        fresh = rng.standard_normal((len(dead),) + weight.shape[1:]) * math.sqrt(2 / np.prod(weight.shape[1:]))
        weight[dead], bias[dead] = fresh, 0
        if len(dead):
            log.info("%s: %d of %d channels never fire and are drawn anew", layer, len(dead), len(bias))
    return params
