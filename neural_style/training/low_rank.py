"""Factorise the convolutions of a network for the images it will see, without training.

Every convolution after the first, from C_in to C_out channels, becomes a 1x1 to r channels, a 3x3 from r to q, and a
1x1 to C_out. Convolutions are processed from shallow to deep. Given the outputs y of the full network, and the inputs x
of the network factorised so far:

1. Reduced-rank regression of y on z = W * x, the full convolution of those inputs: the best linear map, followed by the
   leading q eigenvectors of the covariance of what it predicts (Izenman, Reduced-Rank Regression for the Multivariate
   Linear Model, 1975). Its right half is folded into a 3x3 to q channels; its left half is the last 1x1. This corrects
   errors of earlier convolutions as far as a linear map can (Zhang, Zou, He & Sun, Accelerating Very Deep Convolutional
   Networks for Classification and Detection, TPAMI 2016).
2. The inputs of that 3x3 are reduced to r channels by the singular vectors of its kernel, weighted with the square root
   of the inputs' second moments: the first 1x1.

All of it is linear algebra on moments that are summed over images, in float64.
"""

import logging

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError

log = logging.getLogger(__name__)

# Number of positions of an activation used for moments: some forty per channel of the widest layer.
_POSITIONS = 20000
# Fraction of the mean variance that is added to every variance before a matrix is inverted.
_RIDGE = 1e-3
# Ranks are multiples of this, because oneDNN's blocks have 16 channels with AVX-512, and 8 with AVX2: convolutions with
# other numbers of channels take as long as with the next multiple, or longer. One with a multiple of 8 that is none of
# 16 is computed with AVX2 where AVX-512 is there, too.
_MULTIPLE = 16
# Cost of one value of an activation, in multiplications of a convolution, for the step forward and back: a fit to times
# of MXNet 1.9.1 for convolutions from 64 channels at full size to 512 at an eighth, on a processor with AVX2.
_COST_OF_A_NUMBER = 37
# Even ranks, to which others are compared, are this share of the channels, rounded to a multiple.
_EVEN_SHARE, _EVEN_MULTIPLE = 1 / 3, 8
# Errors of layers, as fractions of their variance, count as at least this.
_LEAST_ERROR = 1e-9


def spectra(network, parameters, images, pooling="avg"):
    """Measure how much of each convolution's outputs and inputs lies in how many directions.

    Parameters
    ----------
    network : networks.vgg.Architecture
        A full one.
    parameters : mapping of str to numpy.ndarray
    images : sequence of mxnet.nd.NDArray
        Each (N, 3, H, W) in network space.
    pooling : {"avg", "max"}

    Returns
    -------
    dict of str to (numpy.ndarray, numpy.ndarray)
        For every convolution but the first: the shares of its outputs' variance in their principal directions,
        (C_out,), and the shares of its inputs' energy as weighted by the kernel, (C_in,), both in descending order.
    """
    found = {}
    for layer, weight, bias, inputs in _layers(network, parameters, images, pooling):
        if layer != network.convolutions[0]:
            outputs = [_convolve(x, weight, bias) for x in inputs]
            own = _eigenvalues(_covariance(outputs)[0])
            root, _ = _roots(_second_moment(inputs))
            seen = np.linalg.svd(root.dot(_unfold(weight)), compute_uv=False) ** 2
            found[layer] = _shares(own), _shares(seen)
    return found


def choose_ranks(network, found, time, numbers=None):
    """Choose the ranks with the smallest error for a given time of a step.

    The error of an activation is estimated as the sum of what every convolution up to it leaves out, according to
    `spectra`. The sum over all activations of that error, relative to the one with even ranks of a third of the
    channels everywhere, is minimised, so that no layer is sacrificed for another one whose errors are larger by nature.
    Time has a price, the same for all convolutions, and for a given price each convolution has its own best ranks. The
    lowest price that satisfies the limits is used. No other ranks that take at most as long have a smaller error. The
    number of parameters has no price of its own.

    Parameters
    ----------
    network : networks.vgg.Architecture
        A full one.
    found : mapping of str to (numpy.ndarray, numpy.ndarray)
        Result of `spectra`.
    time : float
        Time of a step, relative to that with even ranks of a third of the channels, by `step_cost`.
    numbers : int, optional
        Maximum number of parameters.

    Returns
    -------
    dict of str to (int, int)
        By convolution, the channels before and after the 3x3.

    Raises
    ------
    SettingsError
        As `check_limits`.
    """
    check_limits(network, time, numbers)
    shapes = _shapes(network)
    even = {layer: even_ranks(shape) for layer, shape in shapes.items()}
    errors = np.maximum(np.cumsum([_left_out(found[layer], *even[layer]) for layer in found]), _LEAST_ERROR)
    # A convolution's own error affects its activation and all deeper ones.
    urgency = dict(zip(found, np.cumsum(1 / errors[::-1])[::-1]))
    allowed = time * _cost(network, shapes, even)
    tables = {layer: _table(network, layer, shapes[layer], found[layer], urgency[layer]) for layer in found}

    def choose(price):
        return {layer: _cheapest(tables[layer], price) for layer in found}

    def fits(ranks):
        return _cost(network, shapes, ranks) <= allowed and (numbers is None or _size(shapes, ranks) <= numbers)

    # Prices of time: the first is too low to satisfy any limit; with the second, all ranks are the smallest.
    low, high = 1e-12, 1e6
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if fits(choose(middle)) else (middle, high)
    return choose(high)


def check_limits(network, time, numbers=None):
    """Raise SettingsError if not even the smallest ranks satisfy the limits of `choose_ranks`."""
    shapes = _shapes(network)
    smallest = {layer: (_MULTIPLE, _MULTIPLE) for layer in shapes}
    even = {layer: even_ranks(shape) for layer, shape in shapes.items()}
    least = _cost(network, shapes, smallest) / _cost(network, shapes, even)
    if not time >= least:
        raise SettingsError(
            f"the time of a step is {time}; the smallest ranks take {least:.3f}, so it must be that or more"
        )
    if numbers is not None and not numbers >= _size(shapes, smallest):
        raise SettingsError(
            f"at most {numbers} parameters are allowed; the smallest ranks have {_size(shapes, smallest)}, allow that "
            "or more"
        )


def check_ranks(network, ranks):
    """Raise SettingsError if a full network has no convolutions with so many channels to factorise."""
    shapes = _shapes(network)
    for layer, pair in ranks.items():
        if layer not in shapes:
            raise SettingsError(f"'{layer}' is no convolution with ranks; choose from {', '.join(shapes)}")
        most = shapes[layer][1::-1]
        if not all(1 <= rank <= limit for rank, limit in zip(pair, most)):
            raise SettingsError(
                f"the ranks of {layer} are {pair[0]} and {pair[1]}; they are 1 to {most[0]} and {most[1]}"
            )


def even_ranks(shape):
    """Return ranks of a third of the channels of a weight (C_out, C_in, 3, 3), before and after its 3x3."""
    return tuple(max(1, round(count * _EVEN_SHARE / _EVEN_MULTIPLE)) * _EVEN_MULTIPLE for count in shape[1::-1])


def step_cost(network, layer, shape, before, after):
    """Return the cost of a step through a factorised convolution, in multiplications per pixel of the image."""
    outputs, inputs = shape[:2]
    multiplications = inputs * before + 9 * before * after + after * outputs
    return (multiplications + _COST_OF_A_NUMBER * (inputs + before + after + outputs)) / network.stride(layer) ** 2


def decompose(network, parameters, images, ranks, known=None, pooling="avg"):
    """Factorise every convolution but the first.

    Parameters
    ----------
    network, parameters, images, pooling
        As for `spectra`.
    ranks : mapping of str to (int, int)
        Result of `choose_ranks`.
    known : mapping of str to numpy.ndarray, optional
        Parameters of convolutions that are factorised already, and perhaps trained. Those that have these ranks are
        taken over. Where neither rank is less and one is more, the convolution computes the same as before, and has
        further channels that a training can use. The others are factorised anew.

    Returns
    -------
    dict of str to numpy.ndarray
        float32, with the names that `networks.vgg.Architecture.parameter_shapes` has for the low-rank network.
    """
    result, approximate, known = {}, list(images), known or {}
    for layer, weight, bias, inputs in _layers(network, parameters, images, pooling):
        if layer == network.convolutions[0]:
            result[f"{layer}_weight"], result[f"{layer}_bias"] = weight, bias
            approximate = [_convolve(x, weight, bias) for x in approximate]
        else:
            before, after = ranks[layer]
            names = [f"{layer}_{part}" for part in ("in_weight", "core_weight", "out_weight", "bias")]
            parts = [known[name] for name in names] if names[0] in known else None
            there = (len(parts[0]), len(parts[1])) if parts else None
            if there is None or there[0] > before or there[1] > after:
                parts = _factorise(weight, bias, inputs, approximate, before, after)
            elif there != (before, after):
                parts = _extend(parts, weight, bias, inputs, approximate, before, after)
            if there != (before, after):
                log.info("%s: using %d of %d and %d of %d channels", layer, before, weight.shape[1], after, len(weight))
            result.update(zip(names, (part.astype("float32") for part in parts)))
            approximate = [_through(x, *(result[name] for name in names)) for x in approximate]
        approximate = [mx.nd.relu(x) for x in approximate]
        if network.layers[network.layers.index(layer) + 2].startswith("pool"):
            approximate = [_pool(x, pooling) for x in approximate]
    return result


def _layers(network, parameters, images, pooling):
    """Walk through a full network; yield the name, weight, bias and inputs of every convolution."""
    inputs = list(images)
    for layer in network.layers:
        if layer.startswith("conv"):
            weight, bias = parameters[f"{layer}_weight"], parameters[f"{layer}_bias"]
            yield layer, weight, bias, inputs
            inputs = [mx.nd.relu(_convolve(x, weight, bias)) for x in inputs]
        elif layer.startswith("pool"):
            inputs = [_pool(x, pooling) for x in inputs]


def _factorise(weight, bias, inputs, approximate, before, after):
    """Return a convolution's weights before, in and after the 3x3, and its bias."""
    outputs, channels = weight.shape[:2]
    left, small, bias = _regress([_convolve(x, weight, bias) for x in inputs], approximate, weight, after)
    root, inverse = _roots(_second_moment(approximate))
    directions = np.linalg.svd(root.dot(_unfold(small)), full_matrices=False)[0][:, :before]
    return (
        directions.T.dot(inverse).reshape(before, channels, 1, 1),
        np.einsum("qiyx,ir->qryx", small, root.dot(directions)),
        left.reshape(outputs, after, 1, 1),
        bias,
    )


def _extend(parts, weight, bias, inputs, approximate, before, after):
    """Return a factorised convolution with further channels before and after its 3x3, which are not read yet.

    They are those with which a linear map would reduce the error most. That it reads them is left to the training,
    because convolutions that were trained together are used to each other's errors: a smaller one can be a larger one
    further on.
    """
    channels = weight.shape[1]
    first, core, last, own_bias = parts
    first = first.reshape(-1, channels).astype("float64")
    seen = _second_moment(approximate)
    # The part of the inputs that no linear map of the channels that are there can tell, and its second moment.
    rest = np.eye(channels) - _from_channels(seen, first).dot(first)
    root, inverse = _roots(rest.dot(seen).dot(rest.T))
    directions = np.linalg.svd(root.dot(_unfold(weight)), full_matrices=False)[0][:, : before - len(first)]
    first = np.concatenate([first, directions.T.dot(inverse).dot(rest)])
    wanted = [_convolve(x, weight, bias) - _through(y, *parts) for x, y in zip(inputs, approximate)]
    small = _regress(wanted, approximate, weight, after - len(core))[1]
    core = np.pad(core, ((0, 0), (0, before - core.shape[1]), (0, 0), (0, 0)), "constant")
    return (
        first.reshape(before, channels, 1, 1),
        np.concatenate([core, np.einsum("qiyx,ir->qryx", small, _from_channels(seen, first))]),
        np.pad(last, ((0, 0), (0, after - last.shape[1]), (0, 0), (0, 0)), "constant"),
        own_bias,
    )


def _regress(wanted, approximate, weight, rank):
    """Predict outputs by the leading directions of what a convolution of approximate inputs tells of them.

    Parameters
    ----------
    wanted, approximate : sequence of mxnet.nd.NDArray
        Outputs (N, C_out, h, w), and inputs (N, C_in, h, w) of the network factorised so far.
    weight : numpy.ndarray
        Of the full convolution, (C_out, C_in, 3, 3).
    rank : int
        Number of directions.

    Returns
    -------
    tuple of numpy.ndarray
        What maps the directions to the outputs, (C_out, rank), the kernel of the directions, (rank, C_in, 3, 3), and
        the bias, (C_out,).
    """
    outputs = len(weight)
    there = [_convolve(x, weight) for x in approximate]
    joint, means = _covariance([mx.nd.concat(y, z, dim=1) for y, z in zip(wanted, there)])
    cross, own = joint[:outputs, outputs:], joint[outputs:, outputs:]
    best = np.linalg.solve(own + _RIDGE * np.trace(own) / outputs * np.eye(outputs), cross.T).T
    # eigh returns the largest last: (C_out, C_out) -> (C_out, q)
    left = np.linalg.eigh(best.dot(own).dot(best.T))[1][:, outputs - rank :][:, ::-1]
    right = left.T.dot(best)
    # (q, C_out) (C_out, C_in, 3, 3) -> (q, C_in, 3, 3)
    small = np.tensordot(right, weight.astype("float64"), axes=1)
    return left, small, means[:outputs] - left.dot(right.dot(means[outputs:]))


def _from_channels(moment, first):
    """Return the linear map that restores inputs best from channels, (C_in, r): their second moment, and the 1x1."""
    of_channels = first.dot(moment).dot(first.T)
    guard = 1e-9 * np.trace(of_channels) / len(first) * np.eye(len(first))
    return np.linalg.solve(of_channels + guard, first.dot(moment)).T


def _through(x, first, core, last, bias):
    x = _convolve(_convolve(x, first), core)
    return _convolve(x, last, bias)


def _convolve(x, weight, bias=None):
    side = weight.shape[2]
    arrays = [mx.nd.array(array, ctx=x.context) for array in (weight, bias) if array is not None]
    pad = (side // 2, side // 2)
    return mx.nd.Convolution(x, *arrays, kernel=(side, side), pad=pad, num_filter=weight.shape[0], no_bias=bias is None)


def _pool(x, pooling):
    return mx.nd.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type=pooling)


def _unfold(weight):
    """Return a kernel (C_out, C_in, 3, 3) as a matrix (C_in, 9 C_out)."""
    return weight.transpose(1, 0, 2, 3).reshape(weight.shape[1], -1)


def _samples(activations):
    """Return channels by positions, float64, one activation (N, C, h, w) after the other, evenly thinned."""
    positions = sum(x.shape[0] * x.shape[2] * x.shape[3] for x in activations)
    # Odd, so that no column of an even width is skipped.
    step = max(1, positions // _POSITIONS) | 1
    for x in activations:
        yield x.asnumpy().transpose(1, 0, 2, 3).reshape(x.shape[1], -1)[:, ::step].astype("float64")


def _second_moment(activations):
    total, count = 0, 0
    for samples in _samples(activations):
        total, count = total + samples.dot(samples.T), count + samples.shape[1]
    return total / count


def _covariance(activations):
    """Return the covariance (C, C) of the channels of activations, and their means (C,)."""
    means, count = 0, 0
    for samples in _samples(activations):
        means, count = means + samples.sum(axis=1), count + samples.shape[1]
    means = means / count
    total = 0
    for samples in _samples(activations):
        centred = samples - means[:, None]
        total = total + centred.dot(centred.T)
    return total / count, means


def _eigenvalues(matrix):
    return np.maximum(np.linalg.eigvalsh(matrix)[::-1], 0)


def _roots(matrix):
    """Return the square root of a positive matrix and its inverse, with eigenvalues kept away from 0."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.sqrt(np.maximum(values, 0) + 1e-6 * values.max())
    return (vectors * values).dot(vectors.T), (vectors / values).dot(vectors.T)


def _left_out(shares, before, after):
    """Return the fraction of the variance of a convolution's outputs that ranks leave out, from its `spectra`."""
    return shares[0][after:].sum() + shares[1][before:].sum()


def _shares(energies):
    return energies / max(energies.sum(), np.finfo(float).tiny)


def _shapes(network):
    """Return the shapes of the kernels of a full network's convolutions after the first, by convolution."""
    shapes = network.parameter_shapes([network.layers[-1]])
    return {layer: shapes[f"{layer}_weight"] for layer in network.convolutions[1:]}


def _cost(network, shapes, ranks):
    return sum(step_cost(network, layer, shape, *ranks[layer]) for layer, shape in shapes.items())


def _size(shapes, ranks):
    """Return the number of parameters of convolutions that are factorised."""
    size = 0
    for layer, (outputs, inputs, _, _) in shapes.items():
        before, after = ranks[layer]
        size += inputs * before + 9 * before * after + after * outputs + outputs
    return size


def _table(network, layer, shape, shares, urgency):
    """Return all pairs of ranks of a convolution, (K, 2), with their error times its urgency and their cost, (K,)."""
    pairs = [
        (before, after)
        for before in range(_MULTIPLE, shape[1] + 1, _MULTIPLE)
        for after in range(_MULTIPLE, shape[0] + 1, _MULTIPLE)
    ]
    errors = np.array([urgency * _left_out(shares, *pair) for pair in pairs])
    costs = np.array([step_cost(network, layer, shape, *pair) for pair in pairs])
    return pairs, errors, costs


def _cheapest(table, price):
    pairs, errors, costs = table
    return pairs[int(np.argmin(errors + price * costs))]
