"""Compress a VGG network: convolutions of low rank, trained towards the activations of the full network.

First `low_rank` factorises the network for the given images. Then all convolutions but the first are trained on crops
of photographs, of paintings, and of intermediate images after a few steps of an optimisation from one to the other.
Intermediate images are what the network is used on, and an optimizer finds every direction in which a network was never
trained. The errors of a layer, after the ReLU, with T of the full network and S of the compressed one, are::

    E = mean((T - S)^2) / (variance of T over images)    G = |G(T) - G(S)|^2 / |G(T)|^2,    G(F) = F F' / M

with M positions and a guard against division by very small numbers. The mean over layers of (E + `GRAM_SHARE` G) / (E
before the training) is minimised: shallow layers, whose errors are small, count as much as deep ones. Crops are
compared with average and with maximum pooling in turn, because recipes use either.
"""

import contextlib
import logging
import os
from dataclasses import asdict

import numpy as np

from .._mxnet import mx
from ..errors import CheckpointError, ImageError, SettingsError, WeightsError
from ..executors import FeatureExecutor, bind
from ..files import Output, check_outputs
from ..images.units import RGB_MEANS
from ..networks.graph import POOLINGS, build_symbol
from ..networks.vgg import ARCHITECTURES
from ..recipes.presets import get_recipe
from ..transfer.compute import Compute, choose_device
from ..transfer.stylize import stylize
from ..weights.checks import fitting_models
from ..weights.params_file import is_params_file, read_index, read_parameters, save_weights
from . import low_rank
from .crops import NOISY, Crops, read_images
from .loop import Schedule, Task, is_state, own_parameters, own_state, read_state, train
from .settings import CompressionSettings

log = logging.getLogger(__name__)

# Weight of the error of Gram matrices in the loss.
GRAM_SHARE = 0.3
# Number of crops to which the factorisation is fitted, and number of held-out crops.
_FITTED, _HELD_OUT = 104, 24
# Pairs of a photograph and a painting that are optimised, and the steps after which the intermediate image is kept.
_PAIRS, _KEPT_AFTER = 36, (3, 8, 20, 50)
# Share of such images among the crops to train on.
_ON_THE_WAY = 1 / 3
# Distance between the batch numbers of different uses, so that no batch is used twice.
_APART = 10**6
# Added to the squared Gram matrix by which an error is divided, relative to the mean over images.
_GUARD = 0.1
# Scale of a bias, relative to the standard deviation of its layer.
_BIAS_SCALE = 0.2

_DEFAULTS = CompressionSettings()


class Compression:
    """The compression of a network; creating it does everything that precedes the training.

    Parameters
    ----------
    weights : str
        File of a full network.
    folders : sequence of str
        Folders of images; photographs in the first, paintings in the last, which may be the same.
    output : str
        The ``.params`` file to write.
    model : str, optional
        The network in `weights`; by default the one that fits.
    start : str, optional
        A compressed network to train further, instead of factorising the full one.
    ranks : mapping of str to (int, int), optional
        By convolution, the channels before and after the 3x3, instead of those that the limits give or the start has;
        of a start, a convolution that neither rank makes narrower keeps what it has learnt, and others are factorised
        anew.
    settings : CompressionSettings
    state_file : str, optional
        Where the state of the training is saved; by default beside `output`.
    resume : bool
        Whether to continue from the state, bit for bit.
    gpu : int, optional
        See `transfer.compute.choose_device`.

    Raises
    ------
    WeightsError
        If the weights or the start cannot be used.
    ImageError
        If an image cannot be read, or there are too few.
    CheckpointError
        If the state cannot be used.
    OutputError
        If `output` or the state cannot be written, or would replace an input.
    SettingsError, DeviceError
    """

    def __init__(
        self,
        weights,
        folders,
        output,
        model=None,
        start=None,
        ranks=None,
        settings=_DEFAULTS,
        state_file=None,
        resume=False,
        gpu=None,
    ):
        crop, seed, limits = settings.crop, settings.seed, (settings.time, settings.numbers)
        self._schedule = Schedule(settings.batches, settings.rate, evaluate_every=settings.evaluate_every)
        self._output = output
        self._state_file = state_file or os.path.splitext(output)[0] + ".state.npz"
        full, parameters = _read_full(weights, model)
        low_rank.check_limits(full, *limits)
        ranks = dict(ranks or {})
        low_rank.check_ranks(full, ranks)
        network = ARCHITECTURES[f"{full.name}-lowrank"]
        self._settings = {
            "weights": os.path.basename(weights),
            "start": os.path.basename(start) if start else None,
            "ranks": {layer: list(pair) for layer, pair in sorted(ranks.items())} or None,
            "folders": [os.path.basename(os.path.normpath(folder)) for folder in folders],
        }
        # How often the state is written has no influence on the result.
        self._settings.update((name, value) for name, value in asdict(settings).items() if name != "evaluate_every")
        self._saved = read_state(self._state_file, self._settings) if resume else None
        compressed = _read_start(start, network, full) if start and not resume else None
        places = [Output(self._state_file, "state", is_state), Output(output, "network", is_params_file)]
        check_outputs(places, [weights, start])
        ctx = choose_device(gpu)
        training, held_out = _read_images(folders, crop)
        kept = {}
        if self._saved is not None:
            compressed, kept = _read_saved(self._saved, network, full, crop, self._state_file)
        elif compressed is None or ranks:
            compressed = _factorise(full, parameters, compressed, ranks, limits, training, crop, seed, ctx)
        # The first convolution is that of the full network, which is rounded to float16 in files.
        first = full.convolutions[0]
        compressed.update((name, parameters[name]) for name in (f"{first}_weight", f"{first}_bias"))
        if self._saved is None:
            kept["on_their_way"] = _images_on_their_way(network, compressed, training, crop, seed, gpu)
        self._task = _Task(network, full, parameters, compressed, training, held_out, crop, seed, ctx, **kept)

    def run(self, interrupt=None):
        """Train the compressed network and write the best one in float16, even if the training was interrupted.

        Parameters
        ----------
        interrupt : threading.Event, optional
            Set it to finish the batch, save the state, write the network and return.

        Returns
        -------
        dict
            ``batch`` and ``loss`` of the best evaluation, ``complete``, and ``errors``: by layer, E and G on held-out
            images before and after the training.

        Raises
        ------
        SettingsError
            If the training reaches values that are not finite.
        CheckpointError, OutputError, WeightsError
            If the state to resume is damaged, a file cannot be written, or a value is too large for float16.
        """
        task = self._task
        trained = train(task, self._schedule, self._state_file, self._settings, self._saved, interrupt)
        save_weights(self._output, dict(task.fixed, **trained.parameters), dtype="float16")
        task.set(trained.parameters)
        before, after = task.first_errors, task.held_out_errors()
        errors = {layer: (before[i], after[i]) for i, layer in enumerate(task.layers)}
        return {"batch": trained.batch, "loss": trained.loss, "complete": trained.complete, "errors": errors}


def _read_full(weights, model):
    full = [name for name, network in ARCHITECTURES.items() if not network.low_rank]
    if model is not None and model not in full:
        raise SettingsError(f"'{model}' is no network that can be compressed; choose from {', '.join(full)}")
    fitting = (model,) if model else fitting_models(read_index(weights))[0]
    fitting = [name for name in fitting if name in full]
    if not fitting:
        raise WeightsError(
            f"{weights} does not hold the weights of a full network; choose those of {' or '.join(full)}"
        )
    # If several fit, the file ends before they differ, and reading it reports what is missing.
    network = ARCHITECTURES[fitting[0]]
    return network, read_parameters(weights, network.parameter_shapes([network.layers[-1]]))


def _read_start(start, network, full):
    fitted = network.fitted(read_index(start))
    return read_parameters(start, fitted.parameter_shapes([full.layers[-1]]))


def _read_images(folders, crop):
    training, held_out = read_images(folders, 2 * crop)
    for folder, images in ((folders[0], training[0]), (folders[-1], training[-1])):
        if not images:
            raise ImageError(f"{folder}: all of its images are held out, none is left to train on; add more")
    return training, held_out


def _factorise(full, parameters, start, ranks, limits, training, crop, seed, ctx):
    source = Crops(training)
    crops = [mx.nd.array(source.batch(seed, _APART + i, 4, crop), ctx=ctx) for i in range(_FITTED // 4)]
    if start is None:
        log.info("measuring %d convolutions on %d crops", len(full.convolutions), _FITTED)
        found = low_rank.choose_ranks(full, low_rank.spectra(full, parameters, crops), *limits)
    else:
        found = dict(zip(full.convolutions[1:], ARCHITECTURES[f"{full.name}-lowrank"].fitted(start).ranks))
    found.update(ranks)
    log.info("factorising %s", "them" if start is None else ", ".join(ranks))
    return low_rank.decompose(full, parameters, crops, found, start)


def _read_saved(saved, network, full, crop, state_file):
    """Return the compressed network's parameters from a state, and whatever else `_Task` remembers."""
    compressed = own_parameters(saved)
    shapes = network.fitted(compressed).parameter_shapes([full.layers[-1]])
    shapes = {name: shape for name, shape in shapes.items() if not _is_fixed(name)}
    kept = own_state(saved)
    kept_shapes = {
        "first_errors": (len(_layers(full)), 2),
        "on_their_way": (max(1, len(np.atleast_1d(kept.get("on_their_way", 0)))), 3, crop, crop),
        "scales": (len(shapes),),
    }
    if not (_is_sound(compressed, shapes) and _is_sound(kept, kept_shapes)):
        raise CheckpointError(f"{state_file}: the state of the training is damaged; begin anew")
    return {name: compressed[name] for name in shapes}, {name: kept[name] for name in kept_shapes}


def _is_sound(arrays, shapes):
    found = [(arrays.get(name), shape) for name, shape in shapes.items()]
    return all(
        a is not None and a.shape == shape and a.dtype.kind == "f" and np.isfinite(a).all() for a, shape in found
    )


def _layers(full):
    """Return the activations to compare: all that depend on a factorised convolution, after the ReLU."""
    return [layer for layer in full.layers if layer.startswith("relu")][1:]


def _is_fixed(name):
    return name.startswith("conv1_1_")


def _images_on_their_way(network, compressed, training, crop, seed, gpu):
    """Return intermediate images of the recipes that are used most, float16 (K, 3, crop, crop).

    Every second pair is optimised by `paint`, the others by `fast`, for fewer steps, from noise, recoloured content and
    content in turn.
    """
    contents, styles = Crops(training[:1]), Crops(training[-1:])
    weights, kept = {name: mx.nd.array(value) for name, value in compressed.items()}, []
    common = dict(model=network.name, max_long_edge=crop, save_every=0)
    paint = get_recipe("paint").override(max_steps=_KEPT_AFTER[-1], pyramid=(), **common)
    fast = get_recipe("fast").override(max_steps=_KEPT_AFTER[-2], stop_eps=0.0, **common)
    noise = fast.override(initial="noise", noise_range=20.0)
    runs = noise, paint, fast.override(initial="recoloured"), paint, fast.override(initial="content"), paint

    def keep(step, run):
        if step.number in _KEPT_AFTER:
            kept.append(run.canvas.asnumpy()[0].astype("float16"))

    log.info("optimising %d pairs of images for %d or %d steps", _PAIRS, *_KEPT_AFTER[-2:])
    with _quiet("neural_style.transfer"), _quiet("neural_style.objective"):
        for number in range(_PAIRS):
            crops = (group.batch(seed, 2 * _APART + number, 1, crop, 0) for group in (contents, styles))
            content, style = map(_to_image, crops)
            seeded = dict(seed=number + 1, compute=Compute(gpu))
            stylize(content, style, runs[number % len(runs)], weights=weights, watch=keep, **seeded)
    return np.stack(kept)


@contextlib.contextmanager
def _quiet(name):
    """Suppress a package's messages, except warnings."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _to_image(batch):
    levels = batch[0].transpose(1, 2, 0) + np.array(RGB_MEANS, "float32")
    return np.clip(np.rint(levels), 0, 255).astype("uint8")


class _Task(Task):
    """A compressed network that learns from the full one."""

    def __init__(
        self,
        network,
        full,
        teacher,
        compressed,
        training,
        held_out,
        crop,
        seed,
        ctx,
        on_their_way,
        first_errors=None,
        scales=None,
    ):
        self._crop, self._seed, self._ctx = crop, seed, ctx
        self.layers = _layers(full)
        arrays = {name: mx.nd.array(value, ctx=ctx) for name, value in compressed.items()}
        self.fixed = {name: array for name, array in arrays.items() if _is_fixed(name)}
        self.parameters = {name: array for name, array in arrays.items() if not _is_fixed(name)}
        self._gradients = {name: mx.nd.zeros_like(array) for name, array in self.parameters.items()}
        self._crops, self._on_their_way = Crops(training), on_their_way
        teacher = {name: mx.nd.array(value, ctx=ctx) for name, value in teacher.items()}
        usual = [self._crops.batch(seed, 3 * _APART + number, 1, crop, 0) for number in range(12)]
        networks = full, network.fitted(compressed)
        self.comparisons = [
            Comparison(*networks, pooling, teacher, arrays, self._gradients, usual, ctx) for pooling in POOLINGS
        ]
        if scales is None:
            scales = [self._scale(name, array) for name, array in self.parameters.items()]
        self.scales = dict(zip(self.parameters, map(float, scales)))
        crops = Crops(held_out)
        self._held_out = []
        for number in range(_HELD_OUT):
            data = crops.batch(seed + 1, number, 1, crop, 0)
            self._held_out.append((number, self._comparison(number).prepare(data)))
        self.first_errors = self.held_out_errors() if first_errors is None else first_errors
        weights = 1 / np.maximum(self.first_errors[:, 0], 1e-6)
        self._weights = np.stack([weights, GRAM_SHARE * weights], axis=1) / len(weights)
        self._heads = [mx.nd.full((1,), weight, ctx=ctx) for weight in self._weights.ravel()]

    def _comparison(self, number):
        """Return the comparison for a crop: with each kind of pooling in turn."""
        return self.comparisons[number % len(self.comparisons)]

    def gradients(self, number):
        """See `loop.Task`."""
        comparison = self._comparison(number)
        errors = comparison.errors(comparison.prepare(self._batch(number)), train=True)
        comparison.backward(self._heads)
        return float((errors * self._weights).sum()), self._gradients

    def evaluate(self):
        """See `loop.Task`."""
        errors = self.held_out_errors()
        line = ", ".join(f"{layer} {one:.4f}" for layer, (one, _) in zip(self.layers, errors))
        loss = float((errors * self._weights).sum())
        return loss, f"loss {loss:.4f}; {line}"

    def state(self):
        """See `loop.Task`."""
        scales = np.array([self.scales[name] for name in self.parameters])
        return {"first_errors": self.first_errors, "on_their_way": self._on_their_way, "scales": scales}

    def set(self, parameters):
        """Set parameters of the compressed network, NumPy arrays by name."""
        for name, value in parameters.items():
            self.parameters[name][:] = mx.nd.array(value, ctx=self._ctx)

    def held_out_errors(self):
        """Return the means of E and G of every layer over held-out crops, (layers, 2)."""
        errors = [self._comparison(number).errors(inputs, train=False) for number, inputs in self._held_out]
        return np.mean(errors, axis=0)

    def _batch(self, number):
        data = self._crops.batch(self._seed, number, 1, self._crop, NOISY)
        random = np.random.RandomState([self._seed, number, 1])
        if random.uniform() < _ON_THE_WAY:
            data[0] = self._on_their_way[random.randint(len(self._on_their_way))]
        return data

    def _scale(self, name, array):
        if not name.endswith("_bias"):
            flat = array.reshape((-1,))
            return float(mx.nd.sqrt(mx.nd.dot(flat, flat) / flat.size).asscalar())
        layer = name[: -len("_bias")].replace("conv", "relu")
        return _BIAS_SCALE * self.comparisons[0].variances[self.layers.index(layer)] ** 0.5


class Comparison:
    """The full and the compressed network side by side on one crop, with one kind of pooling.

    Parameters
    ----------
    full, compressed : Architecture
    pooling : {"avg", "max"}
    teacher, student : mapping of str to mxnet.nd.NDArray
        Parameters of the two.
    gradients : mapping of str to mxnet.nd.NDArray
        Where `backward` puts the gradients of some of the compressed network's parameters.
    crops : sequence of numpy.ndarray
        Float32 (1, 3, crop, crop) each, on which the full network's variances are measured.
    ctx : mxnet.Context

    Attributes
    ----------
    variances : list of float
        Of the full network's activations over images, per layer.
    """

    def __init__(self, full, compressed, pooling, teacher, student, gradients, crops, ctx):
        self._full, self._ctx, self._layers = full, ctx, _layers(full)
        shape = crops[0].shape
        self._teacher = FeatureExecutor(build_symbol(full, self._layers, pooling), teacher, shape, ctx)
        self._calibrate(crops)
        symbol = _error_symbol(compressed, self._layers, shape[2], self.variances, pooling)
        self._inputs = {name: mx.nd.zeros(s, ctx=ctx) for name, s in self._input_shapes(shape).items()}
        self._executor = bind(symbol, self._inputs, student, ctx, gradients=gradients)

    def _calibrate(self, crops):
        """Measure the variance of every layer of the full network over images, and its Gram matrix's mean square."""
        means, squares, grams = ([[] for _ in self._layers] for _ in range(3))
        for data in crops:
            for i, target in enumerate(self._teacher.read(data)):
                gram = _gram(target).asnumpy()
                grams[i].append(float(np.vdot(gram, gram)))
                # On the diagonal, the mean squares.
                squares[i].append(np.diag(gram[0]))
                means[i].append(target.mean(axis=(0, 2, 3)).asnumpy())
        variances = [np.mean(s, axis=0) - np.square(np.mean(m, axis=0)) for s, m in zip(squares, means)]
        self.variances = [float(variance.mean()) for variance in variances]
        self._usual = [float(np.mean(gram)) for gram in grams]

    def _input_shapes(self, shape):
        shapes = {"data": shape}
        for layer in self._layers:
            channels, side = self._full.channels(layer), shape[2] // self._full.stride(layer)
            shapes[f"{layer}_target"] = (1, channels, side, side)
            shapes[f"{layer}_gram"] = (1, channels, channels)
            shapes[f"{layer}_share"] = (1,)
        return shapes

    def prepare(self, data):
        """Return the inputs of `_error_symbol` for a crop (1, 3, crop, crop), from the full network's activations."""
        inputs = {"data": mx.nd.array(data, ctx=self._ctx)}
        for layer, usual, target in zip(self._layers, self._usual, self._teacher.read(data)):
            gram = _gram(target)
            flat = gram.reshape((-1,))
            inputs[f"{layer}_target"], inputs[f"{layer}_gram"] = target, gram
            inputs[f"{layer}_share"] = 1 / (mx.nd.dot(flat, flat).reshape((1,)) + _GUARD * usual)
        return inputs

    def errors(self, inputs, train):
        """Return E and G of every layer for what `prepare` returned, (layers, 2); waits for the device."""
        for name, value in inputs.items():
            value.copyto(self._inputs[name])
        outputs = self._executor.forward(is_train=train)
        return np.array([output.asscalar() for output in outputs]).reshape((-1, 2)).astype("float64")

    def backward(self, heads):
        """Compute the gradients after `errors` with ``train``, for head gradients (1,) of E and G of every layer."""
        self._executor.backward(heads)


def _error_symbol(network, layers, crop, variances, pooling):
    """Build E and G of every layer, (1,) each, for one crop.

    The inputs besides ``data`` (1, 3, crop, crop) and the parameters are, per layer, ``<layer>_target`` (1, C, h, w),
    ``<layer>_gram`` (1, C, C) and ``<layer>_share`` (1,), by which the squared difference of Gram matrices is
    multiplied.
    """
    symbol, outputs = build_symbol(network, layers, pooling), []
    for i, (layer, variance) in enumerate(zip(layers, variances)):
        numbers = network.channels(layer) * (crop // network.stride(layer)) ** 2
        difference = mx.sym.reshape(symbol[i] - mx.sym.Variable(f"{layer}_target"), shape=(-1,))
        # Inner products, because MXNet's sums run in one thread.
        outputs.append(mx.sym.dot(difference, difference) * (1 / (numbers * variance)))
        gram = _gram(symbol[i], mx.sym, crop // network.stride(layer))
        difference = mx.sym.reshape(gram - mx.sym.Variable(f"{layer}_gram"), shape=(-1,))
        outputs.append(mx.sym.dot(difference, difference) * mx.sym.Variable(f"{layer}_share"))
    return mx.sym.Group(outputs)


def _gram(activation, operators=None, side=None):
    """Return the Gram matrix (N, C, C) of an activation (N, C, h, h), array or symbol, divided by its positions."""
    operators = mx.nd if operators is None else operators
    side = activation.shape[2] if side is None else side
    # (N, C, h, w) -> (N, C, M)
    flat = operators.reshape(activation, shape=(0, 0, -1))
    return operators.batch_dot(flat, flat, transpose_b=True) * (1 / side**2)
