"""Train vgg19-compact: a small network whose activations tell what those of VGG-19 tell.

The student learns to predict, through a throw-away linear head per layer, the activations of one or more teachers at
the layers that style transfer looks at. With activations as matrices, T of the teacher (C_t, M), f of the student
(C_s, M), and the head H (C_s, C_t), a layer's loss is::

    |T - H' f|^2 / (C_t M)  +  gram_share * |G(T) - G(H' f)|^2 / |G(T)|^2,       G(F) = F F' / M

with T scaled so that its spread is one: the first term is the share of the teacher's variance that stays unexplained.
The heads have no bias, because then G(H' f) = H' G(f) H: whatever the teacher's Gram matrix says can be read from the
student's. It also means that both terms follow from three small matrices, G(T), G(f) and T f', and that no array of the
teacher's size is made or differentiated.

Wang, Li, Wang, Hu & Yang, Collaborative Distillation for Ultra-Resolution Universal Style Transfer, CVPR 2020, is
where heads of this kind and the widths come from.
"""

import json
import logging
import math
import os
import time
from collections import OrderedDict

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError, WeightsError
from ..executors import FeatureExecutor
from ..files import output_error, replacing
from ..images.units import RGB_MEANS
from ..networks.graph import build_symbol
from ..networks.vgg import ARCHITECTURES
from ..transfer.compute import choose_device
from ..weights.params_file import save_weights
from .crops import NOISY, Pictures, read_pictures
from .scales import STUDENT, activations, balance, even_out, rescale, revive, spreads, to_one
from .teachers import LAYERS, Faculty, read_params

log = logging.getLogger(__name__)

# While it is trained, the student sees pictures divided by this, about their spread, so that one learning rate suits
# all of its layers; `rescale` takes it out again.
INPUT_SPREAD = 64.0
# Of the loss; of the global gradient norm.
GRAM_SHARE, CLIP = 0.3, 5.0
# Batches during which the learning rate rises to its full height.
WARM_UP = 100
# Target batches that are kept at a time, per size of crop.
KEPT = 4


def distill(
    teachers,
    folders,
    output,
    start=None,
    batches=5000,
    batch_size=8,
    crops=(128, 192, 256),
    lr=0.0003,
    seed=0,
    reuse=3,
    checkpoint=None,
    resume=False,
    every=200,
    gpu=None,
):
    """Train vgg19-compact and write its parameters, scaled for the recipes.

    Parameters
    ----------
    teachers : sequence of str
        Weight files; a layer is taught by the first that reaches it.
    folders : sequence of str
        Folders of pictures.
    output : str
        The .params file to write.
    start : str, optional
        Parameters to start from, see `start_params`.
    batches : int
        Steps to train for.
    batch_size : int
        Crops per batch of the first size; of other sizes as many as have no more pixels.
    crops : sequence of int
        Sides of the square crops, taken in turn, each a multiple of 16. The student is to work on whole pictures, and
        its deepest layer sees 200 pixels far; on small crops it would only ever see the zeros around them.
    lr : float
        Adam's rate at its highest.
    seed : int
    reuse : int
        How often a batch is learned from while the teachers' word on it, which costs most, is at hand.
    checkpoint : str, optional
        Where to keep the state, every `every` batches; beside `output` if not given.
    resume : bool
        Go on from the checkpoint. What follows is what would have followed without the interruption, bit for bit. Only
        `batches` may be another number than before, to end sooner or later; the rate then falls accordingly.
    every : int
        Batches between evaluations on the held-out pictures.
    gpu : int, optional
        See `transfer.compute.choose_device`.

    Returns
    -------
    dict
        ``step``, ``loss`` and ``errors`` (layers, 2) of the best evaluation, whose parameters are the ones written.

    Raises
    ------
    WeightsError
        If a teacher, the start or the checkpoint cannot be used, or no teacher reaches one of `LAYERS`.
    ImageError
        If a picture cannot be read, or there are too few.
    SettingsError, DeviceError, OutputError
    """
    ctx = choose_device(gpu)
    settings = {
        "teachers": [os.path.basename(path) for path in teachers],
        "start": os.path.basename(start) if start else None,
        "folders": [os.path.basename(os.path.normpath(folder)) for folder in folders],
        "batches": batches,
        "batch_size": batch_size,
        "crops": list(crops),
        "lr": lr,
        "seed": seed,
        "reuse": reuse,
    }
    _check(dict(settings, every=every))
    checkpoint = checkpoint or os.path.splitext(output)[0] + ".checkpoint.npz"
    saved = None
    if resume:
        saved, before = load_checkpoint(checkpoint)
        changed = [name for name, value in settings.items() if name != "batches" and before.get(name) != value]
        if changed:
            raise SettingsError(
                f"{checkpoint}: made with other settings ("
                + ", ".join(f"{name} {before.get(name)} instead of {settings[name]}" for name in changed)
                + "); resume with the same ones, or start anew"
            )
    faculty = Faculty(teachers, ctx)
    train, held_out = read_pictures(folders, 2 * max(crops))
    lessons = Lessons(Pictures(train), faculty, crops, batch_size, seed)
    if saved is None:
        trainer, best = _begin(lessons, faculty, start, lr, batches, seed, ctx)
    else:
        trainer, best = _go_on(saved, lessons, faculty, lr, batches, ctx)
    exam = Lessons(Pictures(held_out), faculty, crops, batch_size, seed + 1)
    exam.spread, exam.usual = lessons.spread, lessons.usual
    # The same crops at every evaluation, none shrunk towards grey.
    questions = [exam.teach(number, noisy=0) for number in range(3 * len(crops))]
    if best is None:
        best = _evaluate(trainer, questions, None)
    size = len(crops) * KEPT
    kept, started, first = {}, time.time(), trainer.step
    while trainer.step < batches:
        number = _batch_number(trainer.step, size, reuse)
        if number not in kept:
            kept = {other: lesson for other, lesson in kept.items() if other // size == number // size}
            kept[number] = lessons.teach(number)
        errors, norm = trainer.learn(kept[number])
        if trainer.step % 20 == 0:
            log.info(
                "batch %d of %d, loss %.3f, gradient norm %.1f, %.2f s per batch",
                trainer.step,
                batches,
                _loss(errors),
                norm,
                (time.time() - started) / (trainer.step - first),
            )
        if trainer.step % every == 0 or trainer.step == batches:
            best = _evaluate(trainer, questions, best)
            save_checkpoint(checkpoint, trainer, lessons, best, settings)
    params = OrderedDict((name, best["weights"][name]) for name in trainer.params())
    heads = {layer: best["weights"][f"{layer}_head"] for layer in LAYERS}
    params = even_out(rescale(params, {"data": INPUT_SPREAD}), heads)
    batches = [question["data"].asnumpy() * INPUT_SPREAD for question in questions]
    save_weights(output, balance(params, batches, ctx))
    return {name: best[name] for name in ("step", "loss", "errors")}


def _check(settings):
    for name in ("batches", "batch_size", "reuse", "every"):
        if settings[name] < 1:
            raise SettingsError(f"{name.replace('_', ' ')} is {settings[name]}; it must be at least 1")
    if not settings["lr"] > 0:
        raise SettingsError(f"the learning rate is {settings['lr']}; it must be positive")
    if not settings["crops"] or any(crop < 32 or crop % 16 for crop in settings["crops"]):
        raise SettingsError(f"crops of {settings['crops']} pixels; each must be a multiple of 16 and at least 32")


def _begin(lessons, faculty, start, lr, batches, seed, ctx):
    count = 2 * len(lessons.crops)
    lessons.calibrate(range(count))
    samples = [lessons.teach(number, noisy=0) for number in range(count)]
    params = start_params(start, seed)
    data, layers = [sample["data"].asnumpy() for sample in samples], activations(params)
    # Every activation starts with a spread of one, so that Adam's rate means the same in every layer.
    params = rescale(params, to_one(spreads(params, layers, data, ctx)))
    params = revive(params, spreads(params, layers, data, ctx), seed)
    params = rescale(params, to_one(spreads(params, layers, data, ctx)))
    heads = solve_heads(params, samples, faculty.channels, ctx)
    return Trainer(params, heads, faculty.channels, lr, batches, ctx), None


def _go_on(saved, lessons, faculty, lr, batches, ctx):
    try:
        weights, means, squares = (_part(saved, kind) for kind in ("weight", "mean", "square"))
        params = OrderedDict((name, value) for name, value in weights.items() if not name.endswith("_head"))
        heads = {layer: weights[f"{layer}_head"] for layer in LAYERS}
        trainer = Trainer(params, heads, faculty.channels, lr, batches, ctx)
        for name, (mean, square) in trainer.moments.items():
            mean[:], square[:] = means[name], squares[name]
        trainer.step = int(saved["step"])
        for layer in LAYERS:
            lessons.spread[layer] = float(saved[f"spread:{layer}"])
            lessons.usual[layer] = float(saved[f"usual:{layer}"])
        best = {"loss": float(saved["best"]), "errors": saved["best_errors"], "step": int(saved["best_step"])}
        return trainer, dict(best, weights=_part(saved, "best"))
    except KeyError as error:
        raise WeightsError(f"the checkpoint has no {error}; start anew") from error


def _batch_number(step, size, reuse):
    """Give the batch of a step: `size` fresh ones, all of them `reuse` times in turn, then the next."""
    group, place = divmod(step, size * reuse)
    return group * size + place % size


def _loss(errors):
    return float((errors[:, 0] + GRAM_SHARE * errors[:, 1]).mean())


def _evaluate(trainer, questions, best):
    errors = np.mean([trainer.errors(question) for question in questions], axis=0)
    log.info(
        "batch %d, held out: loss %.4f; %s",
        trainer.step,
        _loss(errors),
        ", ".join(f"{layer} {one:.3f} (Gram {two:.3f})" for layer, (one, two) in zip(LAYERS, errors)),
    )
    if best is not None and best["loss"] <= _loss(errors):
        return best
    weights = OrderedDict((name, value.asnumpy()) for name, value in trainer.weights.items())
    return {"loss": _loss(errors), "errors": errors, "step": trainer.step, "weights": weights}


def start_params(path, seed, architecture=ARCHITECTURES[STUDENT]):
    """Give the student's first parameters, for pictures divided by `INPUT_SPREAD`.

    He et al., Delving Deep into Rectifiers, ICCV 2015, if `path` is None; else those of a file, which may be of the
    student's own layout or of the narrow teacher's, whose 1x1 convolution ``input`` is then folded into conv1_1.
    """
    needed = architecture.parameter_shapes(LAYERS)
    if path is None:
        rng = np.random.RandomState([seed, 0])
        return OrderedDict(
            (name, (rng.standard_normal(shape) * math.sqrt(2 / np.prod(shape[1:]))).astype("float32"))
            if name.endswith("weight")
            else (name, np.zeros(shape, "float32"))
            for name, shape in needed.items()
        )
    params = read_params(path)
    for name, shape in needed.items():
        if name not in params or params[name].shape != shape:
            found = f"has shape {params[name].shape}" if name in params else "is missing"
            raise WeightsError(f"{path}: cannot start from it; {name} {found}, {architecture.name}'s is {shape}")
    if "input_weight" in params:
        mix, offset = params["input_weight"][:, :, 0, 0] / 255, params["input_bias"]
        offset = offset + mix.dot(RGB_MEANS)
        weight = params["conv1_1_weight"]
        params["conv1_1_bias"] = params["conv1_1_bias"] + np.einsum("ocyx,c->o", weight, offset)
        params["conv1_1_weight"] = np.einsum("ocyx,ci->oiyx", weight, mix)
    params = OrderedDict((name, params[name]) for name in needed)
    return rescale(params, {"data": 1 / INPUT_SPREAD}, architecture)


def _moment_symbols(architecture, crop):
    """Give, by layer, the student's Gram matrix (N, C_s, C_s) and its product with the teacher (N, C_s, C_t)."""
    activations = build_symbol(architecture, LAYERS)
    moments = OrderedDict()
    for index, layer in enumerate(LAYERS):
        share = 1.0 / (crop // architecture.stride(layer)) ** 2
        # (N, C, h, w) -> (N, C, M)
        student = mx.sym.reshape(activations[index], shape=(0, 0, -1))
        teacher = mx.sym.reshape(mx.sym.Variable(f"{layer}_target"), shape=(0, 0, -1))
        gram = mx.sym.batch_dot(student, student, transpose_b=True) * share
        cross = mx.sym.batch_dot(student, teacher, transpose_b=True) * share
        moments[layer] = (gram, cross)
    return moments


def loss_symbol(architecture, channels, crop, count):
    """Build the errors of a batch: two outputs of shape (1,) per layer, of its activations and of its Gram matrices.

    Inputs besides ``data`` (N, 3, crop, crop) and the parameters are, per layer, the head ``<layer>_head`` (C_s, C_t)
    and what `Lessons.teach` prepares: ``<layer>_target`` (N, C_t, h, w), its Gram matrix ``<layer>_gram``
    (N, C_t, C_t), ``<layer>_energy`` (1,), the mean square of the target, and ``<layer>_weight`` (N, 1, 1), by which
    the miss of each Gram matrix is multiplied before it is squared.
    """
    outputs = []
    for layer, (gram, cross) in _moment_symbols(architecture, crop).items():
        head = mx.sym.Variable(f"{layer}_head")
        # (N, C_s, C_s) (C_s, C_t) -> (N, C_s, C_t)
        half = mx.sym.dot(gram, head)
        # |T - H' f|^2 = |T|^2 - 2 <H, f T'> + <H, f f' H>
        slope = mx.sym.sum(half - 2 * cross, axis=0)
        change = mx.sym.dot(mx.sym.reshape(slope, shape=(-1,)), mx.sym.reshape(head, shape=(-1,)))
        outputs.append(mx.sym.Variable(f"{layer}_energy") + change / (count * channels[layer]))
        # (N, C_t, C_s) (C_s, C_t) -> (N, C_t, C_t)
        predicted = mx.sym.dot(mx.sym.swapaxes(half, dim1=1, dim2=2), head)
        miss = mx.sym.broadcast_mul(predicted - mx.sym.Variable(f"{layer}_gram"), mx.sym.Variable(f"{layer}_weight"))
        # An inner product of vectors is far faster than MXNet's reductions on a CPU.
        miss = mx.sym.reshape(miss, shape=(-1,))
        outputs.append(mx.sym.dot(miss, miss))
    return mx.sym.Group(outputs)


class Lessons:
    """Batches of crops with everything that the teachers have to say about them."""

    def __init__(self, pictures, faculty, crops, batch_size, seed):
        self.pictures, self.faculty, self.crops, self.seed = pictures, faculty, crops, seed
        # The same number of pixels in every batch.
        self.counts = [max(1, int(batch_size * (crops[0] / crop) ** 2)) for crop in crops]
        # Per layer the spread of the teacher, by which its activations are divided, and the usual size of a Gram.
        self.spread = {layer: 1.0 for layer in LAYERS}
        self.usual = {layer: 1.0 for layer in LAYERS}

    def size(self, number):
        """Give crop and number of crops of a batch."""
        index = number % len(self.crops)
        return self.crops[index], self.counts[index]

    def teach(self, number, noisy=NOISY):
        """Prepare batch `number`: a dict of NDArrays, the inputs of `loss_symbol`."""
        crop, count = self.size(number)
        data = self.pictures.batch(self.seed, number, count, crop, noisy)
        ctx = self.faculty.ctx
        lesson = {"data": mx.nd.array(data / INPUT_SPREAD, ctx=ctx)}
        for layer, target in self.faculty.look(data).items():
            target = target * (1 / self.spread[layer])
            flat = target.reshape((0, 0, -1))
            gram = mx.nd.batch_dot(flat, flat, transpose_b=True) / flat.shape[2]
            small = gram.asnumpy()
            # Crops of next to nothing have next to no Gram matrix; without a floor they would count most.
            squares = np.array([np.vdot(one, one) for one in small]) + 0.1 * self.usual[layer]
            energy = np.trace(small, axis1=1, axis2=2).mean() / small.shape[1]
            lesson[f"{layer}_target"], lesson[f"{layer}_gram"] = target, gram
            lesson[f"{layer}_energy"] = mx.nd.array([energy], ctx=ctx)
            lesson[f"{layer}_weight"] = mx.nd.array(1 / np.sqrt(squares * count), ctx=ctx).reshape((-1, 1, 1))
        return lesson

    def calibrate(self, numbers):
        """Measure the spreads and the usual Gram matrices on a few batches."""
        means, squares, grams = ({layer: [] for layer in LAYERS} for _ in range(3))
        for number in numbers:
            for name, value in self.teach(number, noisy=0).items():
                layer = name.rsplit("_", 1)[0]
                if name.endswith("_target"):
                    value = value.asnumpy()
                    means[layer].append(value.mean(axis=(0, 2, 3)))
                    squares[layer].append(np.square(value).mean(axis=(0, 2, 3)))
                elif name.endswith("_gram"):
                    grams[layer].append(np.square(value.asnumpy()).sum(axis=(1, 2)).mean())
        for layer in LAYERS:
            variance = np.mean(squares[layer], axis=0) - np.square(np.mean(means[layer], axis=0))
            self.spread[layer] = max(float(np.sqrt(variance.mean())), 1e-6)
            self.usual[layer] = float(np.mean(grams[layer])) / self.spread[layer] ** 4


class Trainer:
    """The student, its heads, and Adam.

    Kingma & Ba, Adam, ICLR 2015; the rate falls to nothing along half a cosine (Loshchilov & Hutter, SGDR, ICLR 2017).
    """

    def __init__(self, params, heads, channels, lr, batches, ctx, architecture=ARCHITECTURES[STUDENT]):
        self.architecture, self.channels, self.ctx = architecture, channels, ctx
        self.lr, self.batches, self.step = lr, batches, 0
        self.weights = OrderedDict((name, mx.nd.array(value, ctx=ctx)) for name, value in params.items())
        self.weights.update((f"{layer}_head", mx.nd.array(value, ctx=ctx)) for layer, value in heads.items())
        self.gradients = OrderedDict((name, mx.nd.zeros(value.shape, ctx=ctx)) for name, value in self.weights.items())
        self.moments = OrderedDict(
            (name, (mx.nd.zeros(value.shape, ctx=ctx), mx.nd.zeros(value.shape, ctx=ctx)))
            for name, value in self.weights.items()
        )
        self._executors, self._optimizer = {}, None

    def params(self):
        """Give the student's parameters, without the heads, as NumPy arrays."""
        return OrderedDict((name, v.asnumpy()) for name, v in self.weights.items() if not name.endswith("_head"))

    def heads(self):
        """Give the heads by layer as NumPy arrays (C_s, C_t)."""
        return {layer: self.weights[f"{layer}_head"].asnumpy() for layer in LAYERS}

    def _executor(self, lesson):
        shape = lesson["data"].shape
        if shape not in self._executors:
            symbol = loss_symbol(self.architecture, self.channels, shape[2], shape[0])
            arguments = dict(self.weights, **{name: value.copy() for name, value in lesson.items()})
            request = {name: "write" if name in self.weights else "null" for name in symbol.list_arguments()}
            self._executors[shape] = symbol.bind(self.ctx, arguments, args_grad=dict(self.gradients), grad_req=request)
        executor = self._executors[shape]
        for name, value in lesson.items():
            value.copyto(executor.arg_dict[name])
        return executor

    def errors(self, lesson):
        """Give the errors of a batch, float64 (layers, 2): of activations and of Gram matrices."""
        outputs = self._executor(lesson).forward(is_train=False)
        return np.array([output.asscalar() for output in outputs], "float64").reshape(-1, 2)

    def learn(self, lesson):
        """Take one step; give the errors before it, like `errors`, and the norm of the gradient."""
        if self._optimizer is None:
            # Adam corrects its averages by the number of steps taken, also after a resumption.
            self._optimizer = mx.optimizer.Adam(begin_num_update=self.step)
        executor = self._executor(lesson)
        executor.forward(is_train=True)
        one, share = mx.nd.ones(1, ctx=self.ctx), mx.nd.full(1, GRAM_SHARE, ctx=self.ctx)
        executor.backward([one, share] * len(LAYERS))
        outputs = [output.asscalar() for output in executor.outputs]
        flat = [gradient.reshape(-1) for gradient in self.gradients.values()]
        norm = math.sqrt(sum(float(mx.nd.dot(gradient, gradient).asscalar()) for gradient in flat))
        if not math.isfinite(norm):
            raise SettingsError(f"training has diverged at batch {self.step}; start it with a lower rate")
        self._optimizer.rescale_grad = min(1.0, CLIP / norm) if norm else 1.0
        # Adam's first steps go the same way in every weight, and thirteen layers of that blow up.
        rate = self.lr * min(1.0, (self.step + 1) / WARM_UP)
        self._optimizer.set_learning_rate(rate * 0.5 * (1 + math.cos(math.pi * self.step / self.batches)))
        for index, (name, weight) in enumerate(self.weights.items()):
            self._optimizer.update(index, weight, self.gradients[name], self.moments[name])
        self.step += 1
        return np.array(outputs, "float64").reshape(-1, 2), norm


def solve_heads(params, lessons, channels, ctx, architecture=ARCHITECTURES[STUDENT]):
    """Give by layer the head (C_s, C_t) that predicts the teachers best for a student as it is: least squares."""
    grams, crosses = ({layer: 0.0 for layer in LAYERS} for _ in range(2))
    for lesson in lessons:
        data = lesson["data"]
        moments = _moment_symbols(architecture, data.shape[2])
        symbol = mx.sym.Group([moment for layer in LAYERS for moment in moments[layer]])
        known = dict(lesson, **{name: mx.nd.array(value, ctx=ctx) for name, value in params.items()})
        outputs = FeatureExecutor(symbol, known, data.shape, ctx).read(data)
        outputs = [output.asnumpy().astype("float64").mean(axis=0) for output in outputs]
        for layer, gram, cross in zip(LAYERS, outputs[::2], outputs[1::2]):
            grams[layer] = grams[layer] + gram
            crosses[layer] = crosses[layer] + cross
    heads = {}
    for layer in LAYERS:
        gram = grams[layer]
        # A channel that is always zero must not make the system singular.
        ridge = 1e-4 * np.trace(gram) / len(gram) + 1e-12
        heads[layer] = np.linalg.solve(gram + ridge * np.eye(len(gram)), crosses[layer]).astype("float32")
    return heads


def save_checkpoint(path, trainer, lessons, best, settings):
    """Write everything that the rest of a training depends on; plain arrays in an .npz, nothing pickled."""
    arrays = {"settings": np.array(json.dumps(settings, sort_keys=True)), "step": np.array(trainer.step)}
    for name, value in trainer.weights.items():
        arrays[f"weight:{name}"] = value.asnumpy()
        arrays[f"mean:{name}"], arrays[f"square:{name}"] = (moment.asnumpy() for moment in trainer.moments[name])
    for layer in LAYERS:
        arrays[f"spread:{layer}"] = np.array(lessons.spread[layer])
        arrays[f"usual:{layer}"] = np.array(lessons.usual[layer])
    arrays["best"], arrays["best_errors"] = np.array(best["loss"]), np.array(best["errors"])
    arrays["best_step"] = np.array(best["step"])
    arrays.update((f"best:{name}", value) for name, value in best["weights"].items())

    try:
        with replacing(path) as beside, open(beside, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise output_error(path, error) from error


def load_checkpoint(path):
    """Read what `save_checkpoint` wrote: a dict of NumPy arrays, and the settings."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, json.loads(str(arrays["settings"]))
    except OSError as error:
        raise WeightsError(f"{path}: the checkpoint cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, EOFError) as error:
        raise WeightsError(f"{path}: not a checkpoint of this program") from error


def _part(arrays, kind):
    return OrderedDict((name[len(kind) + 1 :], value) for name, value in arrays.items() if name.startswith(kind + ":"))
