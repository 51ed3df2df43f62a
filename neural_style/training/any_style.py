"""Train a generator that takes any style: pairs of crops of photographs and paintings, compared by a network.

The picture of a pair is compared with the content by activations, and with the style by means and covariances of
activations, as recipe ``paint`` compares (means and covariances apart, each relative to those of the style). Three
further terms are small: the square of neighbouring differences; of a crop that is its own style, the square of what
changes (MicroAST has no such term; here mixtures with the content's own code depend on it); and what repeats with the
period of the network's own cells, four pixels, in windows of eight by eight cells, which is no texture of a painting
but the grid of dots that such networks leave.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from .._mxnet import mx
from ..errors import ImageError, WeightsError
from ..executors import FeatureExecutor, bind
from ..files import check_writable
from ..images.units import RGB_MEANS
from ..networks.generators import FROM_IMAGE
from ..networks.graph import build_symbol, get_network
from ..transfer.compute import choose_device
from ..transfer.inputs import load_parameters
from ..weights.generators import read_generator
from ..weights.lookup import find_weights
from ..weights.params_file import save_weights
from .crops import Crops, read_images
from .journal import Journal, check_report, repaint
from .loop import Schedule, Task, read_state, train
from .settings import TrainingSettings

log = logging.getLogger(__name__)

TEACHER, _POOLING = "vgg16-lowrank", "avg"
# Activations compared, with their weights.
_STYLE = {"relu1_1": 0.1, "relu2_1": 0.15, "relu3_1": 0.25, "relu4_1": 0.3, "relu5_1": 0.2}
_CONTENT = {"relu3_3": 0.6, "relu4_2": 0.4}
# Of the two parts of a style layer; those of deep layers are harder to reach, means most of all.
_PARTS = {"mean": 0.7, "covariance": 0.3}
# Weights of the terms beside the style's, which is 1.
_CONTENT_WEIGHT, _VARIATION, _IDENTITY, _GRID = 0.035, 1.0, 10.0, 20.0
# Of what the squares of a target are divided by, relative to the mean over images, so that flat ones do not rule.
_GUARD = 0.1
# The cell of the generator, and how many cells a window has.
_CELL, _WINDOW = 4, 8
# Share of the crops of the content that are their own style, and share of the styles that are photographs.
_OWN_STYLE, _PHOTO_STYLE = 1 / 8, 1 / 5
_HELD_OUT = 12  # batches
_APART = 10**6  # between the batch numbers of different uses
_MEANS = np.array(RGB_MEANS, "float32").reshape((1, 3, 1, 1))


class AnyStyleTraining:
    """The training of a generator for any style; creating it does everything that precedes the training.

    Parameters
    ----------
    start : str
        File of a generator to begin with.
    photos, paintings : str
        Folders.
    output : str
        The ``.params`` file to write, in float16; its suffix may be missing.
    settings : TrainingSettings
    state_file : str, optional
        Where the state of the training is saved; by default beside `output`.
    resume : bool
        Whether to continue from the state, bit for bit.
    gpu : int, optional
    report : str, optional
        HTML file to write after every evaluation, with pictures on the way.

    Raises
    ------
    WeightsError, ImageError, CheckpointError, OutputError, SettingsError, DeviceError, DependencyError
    """

    def __init__(
        self,
        start: str,
        photos: str,
        paintings: str,
        output: str,
        settings: TrainingSettings,
        state_file: Optional[str] = None,
        resume: bool = False,
        gpu: Optional[int] = None,
        report: Optional[str] = None,
    ) -> None:
        self.files = (output if output.endswith(".params") else f"{output}.params",)
        self._state_file = state_file or os.path.splitext(self.files[0])[0] + ".state.npz"
        self._schedule = Schedule(settings.batches, settings.rate, evaluate_every=settings.evaluate_every)
        folders = [os.path.basename(os.path.normpath(folder)) for folder in (photos, paintings)]
        self._settings = {"start": os.path.basename(start), "folders": folders, **asdict(settings)}
        del self._settings["evaluate_every"]
        self._saved = read_state(self._state_file, self._settings) if resume else None
        for path in (*self.files, self._state_file):
            check_writable(path)
        check_report(report, (start,))
        kind, parameters = read_generator(start)
        if kind.code != FROM_IMAGE:
            raise WeightsError(f"{start}: a {kind.name} has styles of its own and cannot learn to take any")
        parameters = densify(parameters)
        training, held_out = read_images([photos, paintings], 2 * settings.crop)
        if not all(training) or not all(held_out):
            raise ImageError("photographs and paintings must both have images to train on and held-out ones")
        self._task = _Task(kind, parameters, training, held_out, settings, choose_device(gpu))
        self._journal = report and Journal(
            report,
            f"Learning to take any style of {folders[1]}",
            self._task.examples[1],
            self._task.examples[0],
            self._settings,
        )

    def run(self, interrupt: Any = None) -> Dict[str, Any]:
        """Train until the schedule ends or an event is set, and write the best generator of all evaluations."""
        trained = train(
            self._task, self._schedule, self._state_file, self._settings, self._saved, interrupt, self._journal
        )
        save_weights(self.files[0], trained.parameters, "float16")
        return {"batch": trained.batch, "loss": trained.loss, "complete": trained.complete}


def densify(parameters: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return the same network with MicroAST's grouped convolutions as dense ones, which compute the same.

    A convolution from 16 to 32 channels in 16 groups is one of all to all whose other weights are zero. On a CPU the
    dense one takes no longer, and its weights can be trained. Those of the modulator, which are depthwise, stay.
    """
    dense = dict(parameters)
    inputs = {f"{part}_conv{n}": f"{part}_conv{n - 1}" for part in ("content", "style") for n in (2, 4)}
    inputs.update(decoder_conv5="decoder_residual1_conv2", decoder_conv3="decoder_conv4")
    for name, before in inputs.items():
        weight = parameters[f"microast_{name}_weight"]
        channels = parameters[f"microast_{before}_weight"].shape[0]
        outputs, of_group = weight.shape[:2]
        whole = np.zeros((outputs, channels, *weight.shape[2:]), np.float32)
        per_group = outputs // (channels // of_group)
        for output in range(outputs):
            first = output // per_group * of_group
            whole[output, first : first + of_group] = weight[output]
        dense[f"microast_{name}_weight"] = whole
    return dense


class _Task(Task):
    def __init__(self, kind, parameters, training, held_out, settings, ctx):
        self._kind, self._ctx, self._settings = kind, ctx, settings
        self._training, self._held_out_images = (
            [Crops([group]) for group in groups] for groups in (training, held_out)
        )
        self.examples = [crops.examples() for crops in self._held_out_images]
        self.parameters = {name: mx.nd.array(value, ctx=ctx) for name, value in parameters.items()}
        self._gradients = {name: mx.nd.zeros_like(array) for name, array in self.parameters.items()}
        self.scales = {name: _scale(parameters, name) for name in parameters}
        self._comparison = PairComparison(
            kind, self.parameters, self._gradients, (settings.batch_size, settings.crop), ctx
        )
        usual = [self._crops(self._training, 2 * _APART + number)[1] for number in range(6)]
        self._comparison.calibrate(usual)
        self._held_out = [self._crops(self._held_out_images, 3 * _APART + number) for number in range(_HELD_OUT)]

    def gradients(self, number):
        """See `loop.Task`."""
        losses = self._comparison.compute(*self._crops(self._training, number), train=True)
        return sum(losses.values()), self._gradients

    def evaluate(self):
        """See `loop.Task`."""
        found = [self._comparison.compute(*crops, train=False) for crops in self._held_out]
        losses = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        total = sum(losses.values())
        return total, f"loss {total:.4f}; " + ", ".join(f"{name} {value:.4f}" for name, value in losses.items())

    def pictures(self):
        """See `loop.Task`."""
        return repaint(self._kind, self.parameters, self._ctx, *self.examples)

    def _crops(self, sources, number):
        """Return contents, styles (both (N, 3, crop, crop) in [0, 1]) and which of them are one and the same."""
        settings, seed = self._settings, self._settings.seed
        rng = np.random.RandomState([seed, number, 2])
        contents = sources[0].batch(seed, 2 * number, settings.batch_size, settings.crop, 0) + _MEANS
        styles = sources[1].batch(seed, 2 * number + 1, settings.batch_size, settings.crop, 0) + _MEANS
        others = sources[0].batch(seed + 1, 2 * number, settings.batch_size, settings.crop, 0) + _MEANS
        own = np.zeros(settings.batch_size, "float32")
        for i in range(settings.batch_size):
            if rng.uniform() < _PHOTO_STYLE:
                styles[i] = others[i]
            styles[i] = _vary(styles[i], rng)
            if rng.uniform() < _OWN_STYLE:
                styles[i], own[i] = contents[i], 1
        return contents / 255, styles / 255, own


def _vary(style, rng):
    """Change brightness and saturation of an image (3, H, W) from 0 to 255, and turn its hue a little, as Ghiasi et al.

    (BMVC 2017) do with styles.
    """
    grey = style.mean(axis=0, keepdims=True)
    style = grey + (style - grey) * rng.uniform(0.5, 1.5)
    angle = rng.uniform(-0.1, 0.1) * 2 * np.pi
    # A turn about the axis of greys (Rodrigues).
    k = np.full((3, 3), (1 - np.cos(angle)) / 3) + np.cos(angle) * np.eye(3)
    k += np.sin(angle) / np.sqrt(3) * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    style = np.tensordot(k.astype("float32"), style, 1) + rng.uniform(-0.15, 0.15) * 255
    return np.clip(style, 0, 255).astype("float32")


def _scale(parameters, name):
    """Return the size of the values of a parameter; of a bias, at least that of its weights."""
    sizes = [float(np.sqrt(np.mean(np.square(parameters[name]))))]
    if name.endswith("_bias"):
        sizes.append(float(np.sqrt(np.mean(np.square(parameters[name[: -len("bias")] + "weight"])))))
    return max(sizes)


class PairComparison:
    """The losses of the pictures of some pairs, and their gradients.

    Parameters
    ----------
    kind : networks.generators.Generator
    parameters, gradients : dict of str to mxnet.nd.NDArray
        Of the generator; the second are written.
    size : (int, int)
        Number of pairs, and side of their crops.
    ctx : mxnet.Context
    """

    def __init__(self, kind, parameters, gradients, size, ctx):
        pairs, crop = size
        self._ctx, self._size = ctx, size
        weights = find_weights(TEACHER)
        network, teacher = _load_teacher(weights, ctx)
        style, content = list(_STYLE), list(_CONTENT)
        shape = (pairs, 3, crop, crop)
        moments = [part for layer in build_symbol(network, style, _POOLING) for part in _moments(layer)]
        self._style = FeatureExecutor(mx.sym.Group(moments), teacher, shape, ctx)
        self._content = FeatureExecutor(build_symbol(network, content, _POOLING), teacher, shape, ctx)
        picture = kind.build(parameters)(code=kind.build_encoder(parameters))
        symbol = _loss_symbol(picture, network)
        known, _, _ = symbol.infer_shape_partial(data=shape, style=shape)
        fixed = {**parameters, **teacher}
        self._inputs = {
            name: mx.nd.zeros(one, ctx=ctx)
            for name, one in zip(symbol.list_arguments(), known)
            if name not in fixed and one
        }
        self._inputs.update(self._make_inputs(network, shape, ctx))
        self._executor = bind(symbol, self._inputs, fixed, ctx, gradients=gradients)
        self._usual: List[float] = [0.0] * len(moments)
        self._heads = [mx.nd.ones((1,), ctx=ctx) for _ in TERMS]

    @staticmethod
    def _make_inputs(network, shape, ctx):
        pairs, _, crop, _ = shape
        shapes = {"data": shape, "style": shape, "own": (pairs, 1, 1, 1), "means": (1, 3, 1, 1)}
        for layer in _STYLE:
            channels = network.channels(layer)
            shapes.update({f"{layer}_mean": (pairs, channels, 1), f"{layer}_covariance": (pairs, channels, channels)})
            shapes.update({f"{layer}_{part}_share": (pairs, 1, 1) for part in ("mean", "covariance")})
        for layer in _CONTENT:
            side = crop // network.stride(layer)
            shapes[f"{layer}_target"] = (pairs, network.channels(layer), side, side)
            shapes[f"{layer}_share"] = (pairs, 1, 1, 1)
        inputs = {name: mx.nd.zeros(one, ctx=ctx) for name, one in shapes.items()}
        inputs["means"][:] = mx.nd.array(_MEANS)
        return inputs

    def calibrate(self, styles: Sequence[np.ndarray]) -> None:
        """Measure the usual squares of a style's means and covariances."""
        found = [self._style.read(batch * 255 - _MEANS) for batch in styles]
        self._usual = [float(np.mean([_energies(batch[i]).asnumpy() for batch in found])) for i in range(len(found[0]))]

    def compute(self, contents, styles, own, train):
        """Return the losses of pairs by name, weights included; with ``train`` also compute the gradients."""
        inputs = self._inputs
        inputs["data"][:], inputs["style"][:] = mx.nd.array(contents), mx.nd.array(styles)
        inputs["own"][:] = mx.nd.array(own.reshape((-1, 1, 1, 1)))
        names = [f"{layer}_{part}" for layer in _STYLE for part in ("mean", "covariance")]
        for name, usual, target in zip(names, self._usual, self._style.read(styles * 255 - _MEANS)):
            inputs[name][:] = target
            inputs[f"{name}_share"][:] = 1 / (_energies(target) + _GUARD * usual).reshape((-1, 1, 1))
        for layer, target in zip(_CONTENT, self._content.read(contents * 255 - _MEANS)):
            inputs[f"{layer}_target"][:] = target
            inputs[f"{layer}_share"][:] = 1 / (_energies(target) + 1e-3).reshape((-1, 1, 1, 1))
        outputs = self._executor.forward(is_train=train)
        if train:
            self._executor.backward(self._heads)
        return {name: float(output.asscalar()) for name, output in zip(TERMS, outputs)}


def _load_teacher(weights, ctx):
    from ..recipes.parts import Losses

    losses = Losses(TEACHER, _POOLING, "centred", tuple(_CONTENT), tuple(_STYLE), 1.0, 1.0)
    parameters = load_parameters(losses, weights, ctx)
    return get_network(TEACHER).fitted(parameters), parameters


def _energies(array):
    """Return the sum of squares of each of N arrays (N, ...)."""
    flat = array.reshape((array.shape[0], 1, -1))
    return mx.nd.batch_dot(flat, flat, transpose_b=True).reshape((-1,))


def _moments(activation):
    """Build mean (N, C, 1) and covariance (N, C, C) of an activation (N, C, H, W)."""
    # (N, C, H, W) -> (N, C, M)
    flat = mx.sym.reshape(activation, shape=(0, 0, -1))
    ones = mx.sym.ones_like(mx.sym.slice_axis(flat, axis=1, begin=0, end=1))
    count = mx.sym.batch_dot(ones, ones, transpose_b=True)
    mean = mx.sym.broadcast_div(mx.sym.batch_dot(flat, ones, transpose_b=True), count)
    products = mx.sym.broadcast_div(mx.sym.batch_dot(flat, flat, transpose_b=True), count)
    return mean, products - mx.sym.batch_dot(mean, mean, transpose_b=True)


TERMS = ("style", "content", "variation", "own style", "grid")


def _loss_symbol(picture, network):
    """Build the losses of pictures (N, 3, H, W) in [0, 1], of shape (1,) each, in the order of `TERMS`."""
    variable = mx.sym.Variable
    seen = mx.sym.broadcast_sub(picture * 255, variable("means"))
    layers = build_symbol(network, [*_STYLE, *_CONTENT], _POOLING)
    layers = layers(data=seen)
    style, content = [], []
    for i, (layer, weight) in enumerate(_STYLE.items()):
        for (part, importance), found in zip(_PARTS.items(), _moments(layers[i])):
            difference = mx.sym.square(found - variable(f"{layer}_{part}"))
            share = mx.sym.broadcast_mul(difference, variable(f"{layer}_{part}_share"))
            style.append(mx.sym.sum(share) * (importance * weight))
    for i, (layer, weight) in enumerate(_CONTENT.items(), len(_STYLE)):
        difference = mx.sym.square(layers[i] - variable(f"{layer}_target"))
        content.append(mx.sym.sum(mx.sym.broadcast_mul(difference, variable(f"{layer}_share"))) * weight)
    pairs = mx.sym.sum(mx.sym.ones_like(variable("own")))
    terms = [
        mx.sym.add_n(*style),
        mx.sym.add_n(*content) * _CONTENT_WEIGHT,
        pairs * (_VARIATION * 1.0) * _variation(picture),
        pairs
        * _IDENTITY
        * mx.sym.mean(mx.sym.broadcast_mul(mx.sym.square(picture - variable("data")), variable("own"))),
        pairs * _GRID * _grid(picture),
    ]
    return mx.sym.Group([mx.sym.reshape(term / pairs, shape=(1,)) for term in terms])


def _variation(picture):
    """Build the mean square of the differences of neighbours."""
    across = mx.sym.slice_axis(picture, axis=3, begin=1, end=None) - mx.sym.slice_axis(picture, axis=3, begin=0, end=-1)
    down = mx.sym.slice_axis(picture, axis=2, begin=1, end=None) - mx.sym.slice_axis(picture, axis=2, begin=0, end=-1)
    return mx.sym.mean(mx.sym.square(across)) + mx.sym.mean(mx.sym.square(down))


def _grid(picture):
    """Build the mean square of what repeats from cell to cell within windows of `_WINDOW` x `_WINDOW` cells."""
    side = _CELL * _WINDOW
    # (N, 3, H, W) -> (N * 3, rows, W', window's cells, cell) and so on: one axis at a time
    x = mx.sym.reshape(picture, shape=(-3, -2))  # (N * 3, H, W)
    means = mx.sym.Pooling(picture, kernel=(_CELL, _CELL), stride=(_CELL, _CELL), pool_type="avg")
    coarse = mx.sym.UpSampling(means, scale=_CELL, sample_type="nearest")
    x = mx.sym.reshape(picture - coarse, shape=(-3, -2))
    # (K, H, W) -> (K, H / side, window, cell, W) -> mean over the window -> (K, H / side, cell, W)
    x = mx.sym.mean(mx.sym.reshape(x, shape=(0, -4, -1, side, 0)).reshape((0, 0, -4, _WINDOW, _CELL, 0)), axis=2)
    # the same along the other axis
    x = mx.sym.reshape(x, shape=(0, 0, 0, -4, -1, side)).reshape((0, 0, 0, 0, -4, _WINDOW, _CELL))
    return mx.sym.mean(mx.sym.square(mx.sym.mean(x, axis=4)))
