"""Compress a VGG network: convolutions of low rank, trained towards what the full network sees.

First `low_rank` factorises the network for the pictures there are. Then all of it is trained on crops of photographs,
of paintings, and of pictures on their way from one to the other, as they stand after a few steps of an optimisation:
that is what the network will look at in use, and where an optimiser finds out in which directions a network was never
shown anything. The losses of a layer, after the ReLU, with T of the full network and S of the compressed one, are::

    E = |T - S|^2 / (variance of T over pictures)        G = |G(T) - G(S)|^2 / |G(T)|^2,      G(F) = F F' / M

and what is minimised is the sum over layers of (E + `GRAM_SHARE` G) / (E before the training): shallow layers, whose
errors are small, count as much as deep ones.
"""

import logging
import os
from collections import OrderedDict

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError, WeightsError
from ..executors import FeatureExecutor, bind
from ..images.units import RGB_MEANS
from ..networks.graph import build_symbol
from ..networks.vgg import ARCHITECTURES
from ..recipes.presets import get_recipe
from ..transfer.compute import choose_device
from ..transfer.stylize import stylize
from ..weights.checks import fitting_models
from ..weights.params_file import read_index, read_parameters, save_weights
from . import low_rank
from .crops import NOISY, Pictures, read_pictures
from .loop import Schedule, Task, own_state, read_state, train

log = logging.getLogger(__name__)

# Part of the error of Gram matrices in the loss.
GRAM_SHARE = 0.3
# Crops that the factorisation is fitted to, and those that are held out.
_FITTED, _HELD_OUT = 104, 24
# Pairs of a photograph and a painting that are brought some steps on their way, and after how many steps they are kept.
_PAIRS, _KEPT_AFTER = 16, (3, 8, 20)
# Part of the crops that is on its way.
_ON_THE_WAY = 1 / 3
# Between the numbers of batches for different uses, so that none is used twice.
_APART = 10**6
# What a Gram matrix of next to nothing is divided by, in parts of a usual one's square.
_GUARD = 0.1
# Scale of a bias, in parts of the standard deviation of its layer.
_BIAS_SCALE = 0.2


def compress(
    weights,
    folders,
    output,
    model=None,
    start=None,
    time=1.06,
    numbers=2800000,
    batches=2000,
    rate=0.001,
    crop=192,
    seed=0,
    state_file=None,
    resume=False,
    evaluate_every=100,
    gpu=None,
    interrupt=None,
):
    """Compress a network and write its parameters in float16.

    Parameters
    ----------
    weights : str
        File of a full network.
    folders : sequence of str
        Folders of pictures; photographs in the first, paintings in the last, which may be the same.
    output : str
        The ``.params`` file to write.
    model : str, optional
        The network that `weights` holds; if not given, the one that fits.
    start : str, optional
        A compressed network to train on, instead of factorising the full one.
    time : float
        Of a step, relative to ranks of a third of the channels everywhere; see `low_rank.choose_ranks`.
    numbers : int
        The most parameters of the convolutions that are factorised.
    batches : int
        Crops to train on, one at a time.
    rate : float
        Learning rate at its highest, relative to the values of each parameter.
    crop : int
        Side of the square crops in pixels, a multiple of 16 and at least 64.
    seed : int
    state_file : str, optional
        Where the state of the training is kept; beside `output` if not given.
    resume : bool
        Continue from the state, bit for bit.
    evaluate_every : int
        Batches between evaluations on pictures that are held out, each followed by writing the state.
    gpu : int, optional
        See `transfer.compute.choose_device`.
    interrupt : threading.Event, optional
        Set it to finish the batch, keep the state and return.

    Returns
    -------
    dict
        ``batch`` and ``loss`` of the best evaluation, ``complete``, and ``errors``: by layer E and G on held-out
        pictures before and after the training. `output` is written also if the training was interrupted.

    Raises
    ------
    WeightsError
        If the weights or the start cannot be used.
    ImageError
        If a picture cannot be read, or there are too few.
    CheckpointError
        If the state cannot be used.
    SettingsError, DeviceError, OutputError
    """
    ctx = choose_device(gpu)
    if crop < 64 or crop % 16:
        raise SettingsError(f"the crop is {crop}; it must be a multiple of 16 and at least 64 pixels")
    schedule = Schedule(batches, rate, evaluate_every=evaluate_every)
    full, parameters = _read_full(weights, model)
    network = ARCHITECTURES[f"{full.name}-lowrank"]
    settings = {
        "weights": os.path.basename(weights),
        "start": os.path.basename(start) if start else None,
        "folders": [os.path.basename(os.path.normpath(folder)) for folder in folders],
        "time": time,
        "numbers": numbers,
        "batches": batches,
        "rate": rate,
        "crop": crop,
        "seed": seed,
    }
    state_file = state_file or os.path.splitext(output)[0] + ".state.npz"
    saved = read_state(state_file, settings) if resume else None
    training, held_out = read_pictures(folders, 2 * crop)
    if saved is not None:
        task = _restore(network, full, parameters, saved, training, held_out, crop, seed, ctx)
    else:
        task = _begin(network, full, parameters, start, (time, numbers), training, held_out, crop, seed, ctx)
    trained = train(task, schedule, state_file, settings, saved, interrupt)
    save_weights(output, dict(task.fixed, **trained.parameters), dtype="float16")
    before = task.first_errors
    task.set(trained.parameters)
    after = task.held_out_errors()
    errors = OrderedDict((layer, (before[i], after[i])) for i, layer in enumerate(task.layers))
    return {"batch": trained.batch, "loss": trained.loss, "complete": trained.complete, "errors": errors}


def _read_full(weights, model):
    fitting = (model,) if model else fitting_models(read_index(weights))[0]
    full = [name for name in fitting if not ARCHITECTURES[name].low_rank]
    if len(full) != 1:
        raise WeightsError(f"{weights} is not one full network; name the network it holds with its model")
    network = ARCHITECTURES[full[0]]
    return network, read_parameters(weights, network.parameter_shapes([network.layers[-1]]))


def _begin(network, full, parameters, start, limits, training, held_out, crop, seed, ctx):
    pictures = Pictures(training)
    if start is None:
        crops = [mx.nd.array(pictures.batch(seed, _APART + i, 4, crop), ctx=ctx) for i in range(_FITTED // 4)]
        log.info("measuring %d convolutions on %d crops", len(full.convolutions), _FITTED)
        ranks = low_rank.choose_ranks(full, low_rank.spectra(full, parameters, crops), *limits)
        log.info("factorising them")
        compressed = low_rank.decompose(full, parameters, crops, ranks)
        del crops
    else:
        fitted = network.fitted(read_index(start))
        compressed = read_parameters(start, fitted.parameter_shapes([full.layers[-1]]))
    on_their_way = _pictures_on_their_way(network, compressed, training, crop, seed)
    return _Compression(network, full, parameters, compressed, training, held_out, on_their_way, crop, seed, ctx)


def _restore(network, full, parameters, saved, training, held_out, crop, seed, ctx):
    state = own_state(saved)
    compressed = OrderedDict((name[len("now:") :], value) for name, value in saved.items() if name.startswith("now:"))
    first = full.convolutions[0]
    compressed.update((name, parameters[name]) for name in (f"{first}_weight", f"{first}_bias"))
    try:
        first_errors, on_their_way = state["first_errors"], state["on_their_way"]
    except KeyError as error:
        raise WeightsError(f"the state of the training has no {error}; begin anew") from error
    return _Compression(
        network, full, parameters, compressed, training, held_out, on_their_way, crop, seed, ctx, first_errors
    )


def _pictures_on_their_way(network, compressed, training, crop, seed):
    """Return float16 (K, 3, crop, crop): images as they stand after some steps from noise, content and recoloured."""
    contents, styles = Pictures(training[:1]), Pictures(training[-1:])
    weights, kept = {name: mx.nd.array(value) for name, value in compressed.items()}, []
    recipe = get_recipe("fast").override(
        model=network.name, max_long_edge=crop, max_steps=max(_KEPT_AFTER), noise_range=20.0, save_every=0
    )

    def keep(step, image):
        if step.number in _KEPT_AFTER:
            kept.append(image.asnumpy()[0].astype("float16"))

    log.info("taking %d pairs of pictures some steps on their way", _PAIRS)
    quiet = logging.getLogger("neural_style.transfer")
    level = quiet.level
    quiet.setLevel(logging.WARNING)
    try:
        for number in range(_PAIRS):
            content, style = (_to_picture(group.batch(seed, 2 * _APART + number, 1, crop, 0)) for group in (contents, styles))
            start = ("noise", "recoloured", "content")[number % 3]
            stylize(content, style, recipe.override(initial=start), weights=weights, seed=number + 1, callback=keep)
    finally:
        quiet.setLevel(level)
    return np.stack(kept)


def _to_picture(batch):
    levels = batch[0].transpose(1, 2, 0) + np.array(RGB_MEANS, "float32")
    return np.clip(np.rint(levels), 0, 255).astype("uint8")


class _Compression(Task):
    """A compressed network that learns from the full one."""

    def __init__(
        self, network, full, teacher, compressed, training, held_out, on_their_way, crop, seed, ctx, first_errors=None
    ):
        self._network, self._full, self._crop, self._seed, self._ctx = network, full, crop, seed, ctx
        self.layers = [layer for layer in full.layers if layer.startswith("relu")][1:]
        arrays = OrderedDict((name, mx.nd.array(value, ctx=ctx)) for name, value in compressed.items())
        self.fixed = OrderedDict((name, array) for name, array in arrays.items() if name.startswith("conv1_1_"))
        self.parameters = OrderedDict((name, array) for name, array in arrays.items() if name not in self.fixed)
        self._gradients = {name: mx.nd.zeros_like(array) for name, array in self.parameters.items()}
        self._pictures, self._on_their_way = Pictures(training), on_their_way
        shape = (1, 3, crop, crop)
        teacher = {name: mx.nd.array(value, ctx=ctx) for name, value in teacher.items()}
        self._teacher = FeatureExecutor(build_symbol(full, self.layers), teacher, shape, ctx)
        self._calibrate()
        self.scales = {name: self._scale(name, array) for name, array in self.parameters.items()}
        self._symbol = _error_symbol(network.fitted(compressed), self.layers, crop, self._variances)
        self._inputs = {name: mx.nd.zeros(s, ctx=ctx) for name, s in self._input_shapes(shape).items()}
        self._executor = bind(
            self._symbol, self._inputs, dict(arrays), ctx, gradients=self._gradients
        )
        pictures = Pictures(held_out)
        self._questions = [
            self._ask(pictures.batch(seed + 1, number, 1, crop, 0)) for number in range(_HELD_OUT)
        ]
        self.first_errors = self.held_out_errors() if first_errors is None else first_errors
        weights = 1 / np.maximum(self.first_errors[:, 0], 1e-6)
        self._weights = np.stack([weights, GRAM_SHARE * weights], axis=1) / len(weights)
        self._heads = [mx.nd.full((1,), weight, ctx=ctx) for weight in self._weights.ravel()]

    def gradients(self, number):
        """See `loop.Task`."""
        errors = self._errors(self._ask(self._batch(number)), train=True)
        self._executor.backward(self._heads)
        return float((errors * self._weights).sum()), self._gradients

    def evaluate(self):
        """See `loop.Task`."""
        errors = self.held_out_errors()
        line = ", ".join(f"{layer} {one:.4f}" for layer, (one, _) in zip(self.layers, errors))
        loss = float((errors * self._weights).sum())
        return loss, f"loss {loss:.4f}; {line}"

    def state(self):
        """See `loop.Task`."""
        return {"first_errors": self.first_errors, "on_their_way": self._on_their_way}

    def set(self, parameters):
        """Give the compressed network other parameters, NumPy arrays by name."""
        for name, value in parameters.items():
            self.parameters[name][:] = mx.nd.array(value, ctx=self._ctx)

    def held_out_errors(self):
        """Return E and G of every layer on held-out pictures, (layers, 2), their means."""
        return np.mean([self._errors(question, train=False) for question in self._questions], axis=0)

    def _batch(self, number):
        data = self._pictures.batch(self._seed, number, 1, self._crop, NOISY)
        random = np.random.RandomState([self._seed, number, 1])
        if random.uniform() < _ON_THE_WAY:
            data[0] = self._on_their_way[random.randint(len(self._on_their_way))]
        return data

    def _calibrate(self):
        """Measure the variance of every layer of the full network over pictures, and the usual square of its Gram."""
        means, squares, grams = ([[] for _ in self.layers] for _ in range(3))
        for number in range(12):
            data = self._pictures.batch(self._seed, 3 * _APART + number, 1, self._crop, 0)
            for i, target in enumerate(self._teacher.read(data)):
                gram = _gram(target).asnumpy()
                grams[i].append(float(np.vdot(gram, gram)))
                # On the diagonal, the mean squares.
                squares[i].append(np.diag(gram[0]))
                means[i].append(target.mean(axis=(0, 2, 3)).asnumpy())
        variances = [np.mean(s, axis=0) - np.square(np.mean(m, axis=0)) for s, m in zip(squares, means)]
        self._variances = [float(variance.mean()) for variance in variances]
        self._usual = [float(np.mean(gram)) for gram in grams]

    def _scale(self, name, array):
        if not name.endswith("_bias"):
            flat = array.reshape((-1,))
            return float(mx.nd.sqrt(mx.nd.dot(flat, flat) / flat.size).asscalar())
        layer = name[: -len("_bias")].replace("conv", "relu")
        return _BIAS_SCALE * self._variances[self.layers.index(layer)] ** 0.5

    def _input_shapes(self, shape):
        shapes = {"data": shape}
        for layer in self.layers:
            channels, side = self._full.channels(layer), self._crop // self._full.stride(layer)
            shapes[f"{layer}_target"] = (1, channels, side, side)
            shapes[f"{layer}_gram"] = (1, channels, channels)
            shapes[f"{layer}_share"] = (1,)
        return shapes

    def _ask(self, data):
        """Return what the full network says of a crop, the inputs of `_error_symbol`."""
        question = {"data": mx.nd.array(data, ctx=self._ctx)}
        for layer, usual, target in zip(self.layers, self._usual, self._teacher.read(data)):
            gram = _gram(target)
            flat = gram.reshape((-1,))
            question[f"{layer}_target"], question[f"{layer}_gram"] = target, gram
            question[f"{layer}_share"] = 1 / (mx.nd.dot(flat, flat).reshape((1,)) + _GUARD * usual)
        return question

    def _errors(self, question, train):
        for name, value in question.items():
            value.copyto(self._inputs[name])
        outputs = self._executor.forward(is_train=train)
        return np.array([output.asscalar() for output in outputs]).reshape((-1, 2)).astype("float64")


def _error_symbol(network, layers, crop, variances):
    """Build E and G of every layer, (1,) each, for one crop.

    Inputs besides ``data`` (1, 3, crop, crop) and the parameters are, per layer, ``<layer>_target`` (1, C, h, w),
    ``<layer>_gram`` (1, C, C) and ``<layer>_share`` (1,), by which the squared difference of Gram matrices is
    multiplied.
    """
    symbol, outputs = build_symbol(network, layers), []
    for i, (layer, variance) in enumerate(zip(layers, variances)):
        numbers = network.channels(layer) * (crop // network.stride(layer)) ** 2
        difference = mx.sym.reshape(symbol[i] - mx.sym.Variable(f"{layer}_target"), shape=(-1,))
        # Inner products, because MXNet's sums go through one thread.
        outputs.append(mx.sym.dot(difference, difference) * (1 / (numbers * variance)))
        difference = mx.sym.reshape(_gram(symbol[i], mx.sym, crop // network.stride(layer)) - mx.sym.Variable(f"{layer}_gram"), shape=(-1,))
        outputs.append(mx.sym.dot(difference, difference) * mx.sym.Variable(f"{layer}_share"))
    return mx.sym.Group(outputs)


def _gram(activation, operators=None, side=None):
    """Return the Gram matrix (N, C, C) of an activation (N, C, h, w), a symbol or an array, divided by its positions."""
    operators = mx.nd if operators is None else operators
    side = activation.shape[2] if side is None else side
    # (N, C, h, w) -> (N, C, M)
    flat = operators.reshape(activation, shape=(0, 0, -1))
    return operators.batch_dot(flat, flat, transpose_b=True) * (1 / side**2)
