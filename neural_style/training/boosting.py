"""Train the chain of MXNet's end_to_end example by its own rule, which it calls boosting.

Each generator eats the picture of the one before. The objective of every picture of the chain is that of an
optimisation; gradients are added up from the last picture to the first, each sum shortened to a norm, and put into the
generator that made the picture. So later losses reach an earlier generator as they are, not through those in between.
"""

import math

import numpy as np

from .._mxnet import mx
from ..executors import bind
from ..networks.blocks import Layers
from ..networks.end_to_end import CHAIN, NORM_PARTS, PREFIX, batch_norm, build_stage, fold, stage_shapes
from ..networks.generators import GENERATORS
from ..objective.objective import Objective
from .journal import repaint
from .loop import Task
from .losses import load_losses, to_canvas
from .rules import Sgd

_MAGNITUDE = 2.0  # of MXNet's Xavier
_CLIP = 0.05  # share of the number of values of the pictures, to which the norm of a gradient is shortened
_RULE = Sgd(momentum=0.9, decay=5e-3, clip=5.0)
_HELD_OUT = 6  # batches
_APART = 10**6  # between the batch numbers of different uses


def new_chain(seed, chain=CHAIN):
    """Return parameters of a new chain, random as MXNet's Xavier makes them with its average of inputs and outputs.

    A bias before a batch normalisation has no effect and no gradient, so there is none.

    Parameters
    ----------
    seed : int
    chain : sequence of str
        Names of generators, see `networks.end_to_end.CHAIN`.

    Returns
    -------
    dict of str to numpy.ndarray
        float32; weights, and the parts of a batch normalisation each.
    """
    random, parameters = np.random.RandomState([seed, 5]), {}
    for number, generator in enumerate(chain):
        for layer, shape in stage_shapes(generator).items():
            name, field = f"{PREFIX}_stage{number}_{layer}", shape[2] * shape[3]
            bound = math.sqrt(_MAGNITUDE / ((shape[0] + shape[1]) * field / 2))
            parameters[f"{name}_weight"] = random.uniform(-bound, bound, shape)
            for part in NORM_PARTS:
                ones = part in ("gamma", "moving_var")
                parameters[f"{name}_{part}"] = np.full(_outputs(layer, shape), float(ones))
    return {name: value.astype("float32") for name, value in parameters.items()}


def fold_chain(parameters):
    """Return the parameters of a generator for those of a chain, whose batch normalisations become part of the rest."""
    folded = {}
    for name, weight in parameters.items():
        if name.endswith("_weight"):
            stem = name[: -len("_weight")]
            parts = [parameters[f"{stem}_{part}"] for part in NORM_PARTS]
            layer = stem.rsplit("_", 1)[1]
            pair = fold(layer, weight, np.zeros_like(parts[0]), *parts)
            folded.update({f"{stem}_{part}": value.astype("float32") for part, value in zip(("weight", "bias"), pair)})
    return folded


class BoostedTask(Task):
    """A chain of generators that learns one style.

    Parameters
    ----------
    parameters : dict of str to numpy.ndarray
        Of the chain, see `new_chain`.
    style : numpy.ndarray
        uint8 (H, W, 3), which is squeezed to the size of a crop.
    training, held_out : crops.Crops
    losses : recipes.parts.Losses
    settings : TrainingSettings
    ctx : mxnet.Context
    """

    kind, rule = PREFIX, _RULE

    def __init__(self, parameters, style, training, held_out, losses, settings, ctx):
        self._settings, self._sources, self._ctx = settings, (training, held_out), ctx
        self.examples = held_out.examples()
        self.parameters = {name: mx.nd.array(value, ctx=ctx) for name, value in parameters.items()}
        trained = {name: array for name, array in self.parameters.items() if "_moving_" not in name}
        self.scales = {name: float(name.endswith(("_weight", "_gamma"))) for name in trained}
        self._gradients = {name: mx.nd.zeros_like(array) for name, array in trained.items()}
        shape = (settings.batch_size, 3, settings.crop, settings.crop)
        self._canvas = mx.nd.zeros(shape, ctx=ctx)
        self._longest = _CLIP * self._canvas.size
        self._stages = []
        layers = Layers(PREFIX, {name: array for name, array in trained.items() if name.endswith("_weight")})
        while layers.has(f"stage{len(self._stages)}_conv1_weight"):
            symbol = build_stage(layers, mx.sym.Variable("data"), f"stage{len(self._stages)}", batch_norm)
            data = mx.nd.zeros(shape, ctx=ctx)
            own = {name: self._gradients[name] for name in symbol.list_arguments() if name in trained}
            self._stages.append((data, bind(symbol, {"data": data}, self.parameters, ctx, gradients=own)))
        losses, network = load_losses(losses, "centred", ctx)
        style, contents = to_canvas(style, shape[2:], losses), self._crops(0, 0)
        self._objective = Objective(losses, network, contents, [(style, 1.0)], self._canvas, tile_size=0, exact=False)

    def _crops(self, source, number):
        """Return contents, mxnet.nd.NDArray (N, 3, crop, crop), RGB minus the means."""
        settings = self._settings
        crops = self._sources[source].batch(settings.seed, number, settings.batch_size, settings.crop, 0)
        return mx.nd.array(crops, ctx=self._ctx)

    def _paint(self, contents, train):
        """Return the pictures of all generators in turn."""
        pictures = [contents]
        for data, executor in self._stages:
            data[:] = pictures[-1]
            pictures.append(executor.forward(is_train=train)[0])
        return pictures[1:]

    def _compare(self, picture):
        self._canvas[:] = picture
        return self._objective.evaluate()

    def gradients(self, number):
        """See `loop.Task`; the loss is that of the last picture."""
        contents = self._crops(0, number)
        pictures, loss, running = self._paint(contents, train=True), None, None
        self._objective.set_content(contents)
        for picture, (_, executor) in zip(pictures[::-1], self._stages[::-1]):
            evaluation = self._compare(picture)
            loss = evaluation.loss if loss is None else loss
            running = evaluation.gradient.copy() if running is None else running + evaluation.gradient
            norm = float(running.norm().asscalar())
            if norm > self._longest:
                running = running * (self._longest / norm)
            executor.backward([running])
        return loss / self._settings.batch_size, self._gradients

    def evaluate(self):
        """See `loop.Task`."""
        losses = []
        for number in range(_HELD_OUT):
            contents = self._crops(1, _APART + number)
            self._objective.set_content(contents)
            losses.append(self._compare(self._paint(contents, train=False)[-1]).loss / self._settings.batch_size)
        return float(np.mean(losses)), f"objective {np.mean(losses):.4g}"

    def export(self, parameters):
        """Return the parameters of a generator for those of the chain, numpy.ndarray by name."""
        return fold_chain(parameters)

    def pictures(self):
        """See `loop.Task`."""
        folded = fold_chain({name: array.asnumpy() for name, array in self.parameters.items()})
        arrays = {name: mx.nd.array(value, ctx=self._ctx) for name, value in folded.items()}
        return repaint(GENERATORS[self.kind], arrays, self._ctx, self.examples)


def _outputs(layer, shape):
    return shape[1] if layer.startswith("up") else shape[0]
