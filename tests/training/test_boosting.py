"""The chain of MXNet's end_to_end, trained by its rule: gradients as they are, MXNet's SGD, norms folded at the end."""

import dataclasses

import numpy as np
import pytest
import random_generators
import skimage.io

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.executors import bind
from neural_style.networks.blocks import Layers
from neural_style.networks.end_to_end import batch_norm, build_stage
from neural_style.networks.generators import GENERATORS
from neural_style.objective.objective import Evaluation
from neural_style.training import boosting, crops, one_style
from neural_style.training.boosting import BoostedTask, fold_chain, new_chain
from neural_style.training.losses import BOOSTED, LOSSES
from neural_style.training.one_style import OneStyleTraining
from neural_style.training.settings import TrainingSettings
from neural_style.weights.generators import read_generator

SETTINGS = TrainingSettings(batches=2, rate=1e-4, batch_size=1, crop=64, evaluate_every=1)


def image(seed):
    return np.random.RandomState(seed).randint(0, 256, (6, 8, 3)).repeat(16, 0).repeat(12, 1).astype("uint8")


@pytest.fixture
def task(lowrank_alone, monkeypatch):
    monkeypatch.setattr(boosting, "_HELD_OUT", 1)
    sources = (crops.Crops([{"a": image(1)}]), crops.Crops([{"b": image(2)}]))
    return BoostedTask(new_chain(0, ("v4", "v4")), image(3), *sources, LOSSES[BOOSTED], SETTINGS, mx.cpu())


def test_the_numbers_are_the_examples():
    losses = LOSSES[BOOSTED]
    assert (losses.style_weight, losses.content_weight, losses.tv_weight) == (1.2, 10, 0.01)
    assert (losses.pooling, losses.content_layers, losses.style_layers[-1]) == ("avg", ("relu4_2",), "relu5_1")
    rule = BoostedTask.rule
    assert (rule.momentum, rule.decay, rule.clip) == (0.9, 5e-3, 5)
    counts = [
        sum(value.size for name, value in new_chain(0, (kind,)).items()) for kind in ("v4", "v3")
    ]  # without biases, which batch normalisation makes useless
    assert counts == [190556 - (48 + 32 + 64 + 32 + 48), 3323420 - (64 + 48 + 128 + 96 + 256 + 192 + 160 + 96)]
    weight = new_chain(0)["end_to_end_stage1_conv1_weight"]
    assert np.abs(weight).max() <= np.sqrt(2 / (25 * (64 + 3) / 2)) < 1.01 * np.abs(weight).max()


def test_gradients_reach_earlier_generators_as_they_are_and_are_shortened(task, monkeypatch):
    """The head of each generator's backward pass is the sum of its own gradient and those of later pictures."""
    heads, own = [], [np.full((1, 3, 64, 64), value, "float32") for value in (3.0, 40.0)]
    longest = 0.05 * 3 * 64 * 64

    class Executor:
        def __init__(self, executor):
            self._executor = executor

        def forward(self, is_train):
            return self._executor.forward(is_train=is_train)

        def backward(self, head):
            heads.append(head[0].asnumpy())

    task._stages = [(data, Executor(executor)) for data, executor in task._stages]
    gradients = [mx.nd.array(one) for one in own]
    monkeypatch.setattr(
        task._objective, "evaluate", lambda: Evaluation(gradients.pop(0), mx.nd.array([2.0, 0.0]), [1.0])
    )
    loss, _ = task.gradients(0)
    assert loss == 2.0
    # That of the last picture comes first and is short enough; with the next one it is not.
    np.testing.assert_allclose(heads[0], own[0])
    expected = own[0] + own[1]
    assert np.linalg.norm(own[0]) < longest < np.linalg.norm(expected)
    np.testing.assert_allclose(heads[1], expected * longest / np.linalg.norm(expected), rtol=1e-5)


def test_a_step_is_mxnets_own(task):
    """By MXNet's optimizer as the example's Module sets it up: only weights and gammas decay."""
    before = {name: array.asnumpy() for name, array in task.parameters.items()}
    _, gradients = task.gradients(0)
    names = list(gradients)
    optimizer = mx.optimizer.create(
        "sgd", learning_rate=1e-4, momentum=0.9, wd=5e-3, clip_gradient=5, rescale_grad=1,
        param_idx2name=dict(enumerate(names)),
    )  # fmt: skip
    expected = [mx.nd.array(before[name]) for name in names]
    states = [optimizer.create_state(index, array) for index, array in enumerate(expected)]
    moments = {name: [mx.nd.zeros_like(array)] for name, array in gradients.items()}
    schedule = one_style.Schedule(10, 1e-4)
    for number in range(2):
        for index, name in enumerate(names):
            optimizer.update(index, expected[index], gradients[name], states[index])
            task.rule.step(task.parameters[name], gradients[name], moments[name], schedule, number, task.scales[name])
    for name, array in zip(names, expected):
        np.testing.assert_array_equal(task.parameters[name].asnumpy(), array.asnumpy(), err_msg=name)
    moved = [name for name in before if "_moving_" in name and (task.parameters[name].asnumpy() != before[name]).any()]
    assert len(moved) == 2 * 2 * 7


@pytest.mark.parametrize("kind", ["v4", "v3"])
def test_folded_it_computes_the_same(kind):
    random, parameters = np.random.RandomState(1), new_chain(0, (kind,))
    for name, value in parameters.items():
        if name.endswith(("gamma", "moving_var")):
            parameters[name] = random.uniform(0.5, 1.5, value.shape).astype("float32")
        elif name.endswith(("beta", "moving_mean")):
            parameters[name] = (random.standard_normal(value.shape) / 5).astype("float32")
    data = (random.rand(1, 3, 16, 24) * 200 - 100).astype("float32")
    arrays = {name: mx.nd.array(value) for name, value in parameters.items()}
    layers = Layers("end_to_end", {name: value for name, value in parameters.items() if name.endswith("_weight")})
    symbol = build_stage(layers, mx.sym.Variable("data"), "stage0", batch_norm)
    expected = bind(symbol, {"data": mx.nd.array(data)}, arrays, mx.cpu()).forward(is_train=False)[0].asnumpy()
    folded = {name: mx.nd.array(value) for name, value in fold_chain(parameters).items()}
    symbol = GENERATORS["end_to_end"].build(folded)
    found = bind(symbol, {"data": mx.nd.array(data)}, folded, mx.cpu()).forward(is_train=False)[0].asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    stage = random_generators.end_to_end_stage(kind)  # has the shapes of the published files
    assert sorted(value.shape for name, value in folded.items() if name.endswith("_weight")) == sorted(
        layer[1].shape for layer in stage
    )


def test_it_is_trained_and_written_like_any_other(tmp_path, lowrank_alone, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(boosting, "_HELD_OUT", 1)
    monkeypatch.setattr(one_style, "new_chain", lambda seed: new_chain(seed, ("v4",)))
    monkeypatch.setattr(crops, "is_held_out", lambda path: path.endswith("2.png"))
    (tmp_path / "photos").mkdir()
    for number in range(3):
        skimage.io.imsave(f"photos/{number}.png", image(number), check_contrast=False)
    skimage.io.imsave("style.png", image(9), check_contrast=False)
    training = OneStyleTraining("style.png", "photos", "a", SETTINGS, losses=BOOSTED, gpu=-1)
    assert training.run()["complete"]
    kind, _ = read_generator("a-0000.params")
    assert kind.name == "end_to_end"
    (made,) = training._task.pictures()
    assert made.shape == image(2).shape and made.dtype == np.uint8
    resumed = OneStyleTraining(
        "style.png", "photos", "a", dataclasses.replace(SETTINGS, batches=3), losses=BOOSTED, resume=True, gpu=-1
    )
    assert resumed.run()["complete"]
    with pytest.raises(SettingsError, match="`start` is of no use with `losses` end-to-end"):
        OneStyleTraining("style.png", "photos", "a", SETTINGS, losses=BOOSTED, start="a-0000.params", gpu=-1)
