"""Train a generator for one style: Johnson, Alahi & Fei-Fei, Perceptual Losses, ECCV 2016.

The generator's picture of a batch of crops is the canvas of an `Objective`, whose gradient goes back through the
generator: two machines joined by one array. What is minimised is thus what an optimisation with the same losses
minimises, on photographs that are held out as well as on those that it learns from.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict
from typing import Any, Dict, Optional, Tuple

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError, WeightsError
from ..executors import bind
from ..files import check_writable, replacing
from ..images import sizing, units
from ..images.reading import read_image
from ..networks.blocks import Layers
from ..networks.generators import GENERATORS
from ..networks.johnson import LAST, UP, transform_transformer_net
from ..objective.objective import Objective
from ..transfer.compute import choose_device
from ..weights.generators import read_generator
from ..weights.params_file import save_weights
from .boosting import BoostedTask, new_chain
from .crops import Crops, read_images
from .journal import Journal, check_report, repaint
from .loop import Schedule, Task, read_state, train
from .losses import BOOSTED, LOSSES, load_losses, to_canvas
from .settings import TrainingSettings

log = logging.getLogger(__name__)

KIND = "transformer_net"
_RESIDUAL_BLOCKS = 5
# Pictures begin as grey with this deviation, in grey levels.
_GREY, _DEVIATION = 120.0, 40.0
# Scale of what begins at zero or one.
_NORM_SCALE = 0.1
_HELD_OUT = 6  # batches
_APART = 10**6  # between the batch numbers of different uses
_MEANS = np.array(units.RGB_MEANS, "float32").reshape((1, 3, 1, 1))


class OneStyleTraining:
    """The training of a generator for one style; creating it does everything that precedes the training.

    Parameters
    ----------
    style : str
        File of the image whose style is learnt.
    photos : str
        Folder of photographs.
    output : str
        Prefix of the files to write, ``<output>-symbol.json`` and ``<output>-0000.params``: a checkpoint that MXNet
        loads without this package.
    settings : TrainingSettings
    losses : str
        A name of `LOSSES`.
    width : int
        Channels of the first layer; the published networks have 32.
    start : str, optional
        File of such a generator to train further.
    state_file : str, optional
        Where the state of the training is saved; by default beside the output.
    resume : bool
        Whether to continue from the state, bit for bit.
    gpu : int, optional
    report : str, optional
        HTML file to write after every evaluation, with pictures on the way.

    Raises
    ------
    ImageError, WeightsError, CheckpointError, OutputError, SettingsError, DeviceError, DependencyError
    """

    def __init__(
        self,
        style: str,
        photos: str,
        output: str,
        settings: TrainingSettings,
        losses: str = "paint",
        width: int = 16,
        start: Optional[str] = None,
        state_file: Optional[str] = None,
        resume: bool = False,
        gpu: Optional[int] = None,
        report: Optional[str] = None,
    ) -> None:
        if losses not in LOSSES:
            raise SettingsError(f"`losses` is {losses}; it must be one of {', '.join(LOSSES)}")
        if width < 1:
            raise SettingsError(f"`width` is {width}; it must be 1 or more")
        self.files = f"{output}-symbol.json", f"{output}-0000.params"
        self._state_file = state_file or f"{output}.state.npz"
        self._schedule = Schedule(settings.batches, settings.rate, evaluate_every=settings.evaluate_every)
        names = {"style": style, "photos": os.path.normpath(photos), "start": start}
        self._settings = {name: path and os.path.basename(path) for name, path in names.items()}
        self._settings.update(asdict(settings), losses=losses, width=width)
        del self._settings["evaluate_every"]
        self._saved = read_state(self._state_file, self._settings) if resume else None
        for path in (*self.files, self._state_file):
            check_writable(path)
        check_report(report, (style, start))
        if losses == BOOSTED:
            if start is not None:
                raise SettingsError(f"`start` is of no use with `losses` {BOOSTED}, whose generators begin anew")
            parameters = new_chain(settings.seed)
        else:
            parameters = new_parameters(width, settings.seed) if start is None else _read_start(start)
        training, held_out = read_images([photos], 2 * settings.crop)
        image = read_image(style)
        self._task = (BoostedTask if losses == BOOSTED else StyleTask)(
            parameters, image, Crops(training), Crops(held_out), LOSSES[losses], settings, choose_device(gpu)
        )
        self._journal = report and Journal(
            report,
            f"Learning the style of {self._settings['style']}",
            [image],
            self._task.examples,
            self._settings,
        )

    def run(self, interrupt: Any = None) -> Dict[str, Any]:
        """Train until the schedule ends or an event is set, and write the best generator of all evaluations."""
        trained = train(
            self._task, self._schedule, self._state_file, self._settings, self._saved, interrupt, self._journal
        )
        symbol, params = self.files
        parameters = self._task.export(trained.parameters)
        save_weights(params, parameters)
        with replacing(symbol) as part, open(part, "w", encoding="utf-8") as file:
            file.write(GENERATORS[self._task.kind].build(parameters).tojson())
        return {"batch": trained.batch, "loss": trained.loss, "complete": trained.complete}


def new_parameters(width: int, seed: int) -> Dict[str, np.ndarray]:
    """Return parameters of a new generator, random and so that every layer keeps the size of what it gets."""
    random = np.random.RandomState([seed, 5])
    shapes: Dict[str, Tuple[int, int, int]] = {
        "conv1": (width, 3, 9),
        "conv2": (2 * width, width, 3),
        "conv3": (4 * width, 2 * width, 3),
    }
    for number in range(1, _RESIDUAL_BLOCKS + 1):
        shapes.update({f"residual{number}_conv{inner}": (4 * width, 4 * width, 3) for inner in (1, 2)})
    shapes.update({UP[0]: (2 * width, 4 * width, 3), UP[1]: (width, 2 * width, 3), LAST: (3, width, 9)})
    parameters = {}
    for name, (outputs, inputs, kernel) in shapes.items():
        weight = random.standard_normal((outputs, inputs, kernel, kernel)) / np.sqrt(inputs * kernel**2)
        if name == LAST:
            parameters[f"{name}_weight"] = weight * _DEVIATION
            parameters[f"{name}_bias"] = np.full(outputs, _GREY)
            continue
        # A bias before a normalisation has no effect.
        parameters[f"{name}_weight"] = weight
        parameters[f"{name}_norm_gamma"], parameters[f"{name}_norm_beta"] = np.ones(outputs), np.zeros(outputs)
    return {f"{KIND}_{name}": value.astype("float32") for name, value in parameters.items()}


def _read_start(start):
    kind, parameters = read_generator(start)
    if kind.name != KIND:
        raise WeightsError(f"{start}: a {kind.name} cannot be trained further; only a {KIND} can")
    return parameters


class StyleTask(Task):
    """A generator that learns one style.

    Parameters
    ----------
    parameters : dict of str to numpy.ndarray
        Of the generator, of kind `KIND`.
    style : numpy.ndarray
        uint8 (H, W, 3).
    training, held_out : crops.Crops
    losses : recipes.parts.Losses
    settings : TrainingSettings
    ctx : mxnet.Context
    """

    kind = KIND

    def __init__(self, parameters, style, training, held_out, losses, settings, ctx):
        self._settings, self._sources, self._ctx = settings, (training, held_out), ctx
        self.examples = held_out.examples()
        self.parameters = {name: mx.nd.array(value, ctx=ctx) for name, value in parameters.items()}
        self._gradients = {name: mx.nd.zeros_like(array) for name, array in self.parameters.items()}
        self.scales = {name: _scale(name, value) for name, value in parameters.items()}
        self._data = mx.nd.zeros((settings.batch_size, 3, settings.crop, settings.crop), ctx=ctx)
        symbol = transform_transformer_net(Layers(KIND, parameters), settings.batch_size)
        shapes = symbol.infer_shape(data=self._data.shape)[2]
        # What batch normalisation writes, not parameters: they are in no state and no file.
        states = {name: mx.nd.zeros(s, ctx=ctx) for name, s in zip(symbol.list_auxiliary_states(), shapes)}
        others = {**self.parameters, **states}
        self._executor = bind(symbol, {"data": self._data}, others, ctx, gradients=self._gradients)
        losses, network = load_losses(losses, "levels", ctx)
        style = to_canvas(style, sizing.long_edge_size(style.shape, 2 * settings.crop), losses)
        contents = self._crops(0, 0)
        self._data[:] = contents
        self._picture = self._executor.forward(is_train=True)[0]
        self._objective = Objective(losses, network, contents, [(style, 1.0)], self._picture, tile_size=0, exact=False)

    def _crops(self, source, number):
        """Return contents, mxnet.nd.NDArray (N, 3, crop, crop) in grey levels."""
        settings = self._settings
        crops = self._sources[source].batch(settings.seed, number, settings.batch_size, settings.crop, 0)
        return mx.nd.array(crops + _MEANS)

    def _evaluate(self, contents, train):
        self._data[:] = contents
        self._objective.set_content(contents)
        self._executor.forward(is_train=True)
        evaluation = self._objective.evaluate()
        if train:
            self._executor.backward([evaluation.gradient])
        return evaluation.loss / self._settings.batch_size

    def gradients(self, number):
        """See `loop.Task`."""
        return self._evaluate(self._crops(0, number), train=True), self._gradients

    def evaluate(self):
        """See `loop.Task`."""
        losses = [self._evaluate(self._crops(1, _APART + number), train=False) for number in range(_HELD_OUT)]
        return float(np.mean(losses)), f"objective {np.mean(losses):.4f}"

    def export(self, parameters):
        """Return the parameters of a generator for those that were trained, which are the same."""
        return parameters

    def pictures(self):
        """See `loop.Task`."""
        return repaint(GENERATORS[self.kind], self.parameters, self._ctx, self.examples)


def _scale(name, value):
    if name.endswith(("_gamma", "_beta")):
        return _NORM_SCALE
    if name.endswith("_bias"):
        return max(_DEVIATION / 10 if LAST in name else 0.0, float(np.sqrt(np.mean(np.square(value)))) / 10)
    return float(np.sqrt(np.mean(np.square(value))))
