"""A canvas on workers: blocks by brute force, and losses and gradients against tiles in this process."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy_vgg import random_parameters

from neural_style._mxnet import mx
from neural_style.errors import SettingsError, WorkerError
from neural_style.networks.vgg import ARCHITECTURES
from neural_style.objective import remote
from neural_style.objective.objective import Objective, required_parameters
from neural_style.objective.tiling import cut
from neural_style.recipes.presets import get_recipe

VGG16 = ARCHITECTURES["vgg16"]
LAYERS = ["relu1_1", "relu2_1"]


class Here:
    """Workers that are this process, and that are lost on demand; what is placed is a copy, as on others."""

    def __init__(self, count, lose=()):
        self.names, self.calls, self._lose, self.closing = [f"w{i}" for i in range(count)], [], list(lose), []

    def workers(self):
        if not self.names:
            raise WorkerError("there are no workers")
        return list(self.names)

    def place(self, value, worker=None):
        return pickle.loads(pickle.dumps(value))

    def call(self, function, *arguments, worker=None):
        self.calls.append((function.__name__, worker))
        if self._lose and len(self.calls) == self._lose[0]:
            self._lose.pop(0)
            if worker in self.names:
                self.names.remove(worker)
            return WorkerError("a worker is lost")
        assert worker is None or worker in self.names
        return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(arguments)))))

    def add_up(self, add, handles):
        lost = [handle for handle in handles if isinstance(handle, WorkerError)]
        return lost[0] if lost else add(handles)

    def fetch(self, handle):
        if isinstance(handle, WorkerError):
            raise handle
        return handle

    def at_close(self, function):
        self.closing.append(function)


@pytest.mark.parametrize("size, tile", [((300, 420), 32), ((97, 800), 48), ((130, 110), 512), ((640, 96), 16)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100])
def test_every_tile_is_in_one_block_at_its_place(size, tile, count):
    tiling = cut(VGG16, ["relu1_1", "relu3_1"], size, tile)
    blocks = remote.deal(tiling, count)
    assert 1 <= len(blocks) <= count
    # The largest has hardly more than its share.
    assert max(len(block.tiling.tiles) for block in blocks) <= 2 * -(-len(tiling.tiles) // count)
    dealt = []
    for block in blocks:
        assert len(block.tiling.tiles) >= 1 and block.tiling.window == tiling.window
        covered = np.zeros(block.shape[2:], bool)
        for one in block.tiling.tiles:
            covered[one.pixels()[2:]] = True
            dealt.append(tuple(s.moved(-at[0]) for s, at in zip(one.spans, (block.rows, block.columns))))
        assert covered.all()
        np.testing.assert_array_equal(np.zeros((1, 3) + size)[block.pixels()].shape, block.shape)
    assert sorted(dealt, key=repr) == sorted((one.spans for one in tiling.tiles), key=repr)


def make_objective(losses, size=(90, 74), tile_size=32, low=-100, **more):
    rng = np.random.RandomState(1)
    content, style, canvas = (rng.uniform(low, 100, (1, 3) + size).astype("float32") for _ in range(3))
    shapes = required_parameters(losses)
    parameters = {name: mx.nd.array(value) for name, value in random_parameters(shapes).items()}
    canvas = mx.nd.array(canvas)
    return canvas, Objective(losses, parameters, content, [(style, 1.0)], canvas, 10**10, tile_size, **more)


PAINT = (
    get_recipe("paint")
    .override(model="vgg16", style_layers=LAYERS, style_layer_weights=(1.0,), content_layers=("relu2_2",))
    .losses
)
GRAM = (
    get_recipe("keras-vgg19")
    .override(model="vgg16", style_layers=LAYERS, style_layer_weights=(1.0,), content_layers=("relu2_2",))
    .losses
)
CASES = {"moments": PAINT, "grams": GRAM}


def differ(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


@pytest.mark.parametrize("name, count", [("moments", 2), ("grams", 1), ("grams", 3)])
def test_the_same_as_in_this_process(name, count):
    tolerance, workers = 1e-6, Here(count)
    canvas, expected = make_objective(CASES[name])
    same, actual = make_objective(CASES[name], workers=workers)
    for _ in range(2):
        here, there = expected.evaluate(), actual.evaluate()
        np.testing.assert_allclose(there.values.asnumpy(), here.values.asnumpy(), rtol=tolerance)
        assert differ(there.gradient.asnumpy(), here.gradient.asnumpy()) < tolerance
        canvas[:] = canvas * 0.9
        same[:] = canvas
    assert {worker for name, worker in workers.calls if name == "sum_block"} == set(workers.names)
    assert actual.factors == pytest.approx(expected.factors, rel=1e-6)


@pytest.mark.parametrize("count", [2, 5])
def test_many_tiles_with_means_far_from_zero_are_added_up_to_the_same(count):
    how = dict(size=(24, 240), tile_size=8, low=96)
    losses = replace(PAINT, style_layers=("relu1_1",), content_layers=("relu1_2",))
    _, expected = make_objective(losses, **how)
    _, actual = make_objective(losses, workers=Here(count), **how)
    here, there = expected.evaluate(), actual.evaluate()
    np.testing.assert_allclose(there.values.asnumpy(), here.values.asnumpy(), rtol=1e-7)
    # Added up in float32, it differs by 3e-4. Left is the order in which the gradients of tiles overlap.
    assert differ(there.gradient.asnumpy(), here.gradient.asnumpy()) < 1e-7
    assert actual.factors == pytest.approx(expected.factors, rel=1e-12)


def test_without_content():
    losses = get_recipe("fast").override(model="vgg16", style_layers=LAYERS, content_layers=()).losses
    _, expected = make_objective(losses)
    _, actual = make_objective(losses, workers=Here(2))
    assert differ(actual.evaluate().gradient.asnumpy(), expected.evaluate().gradient.asnumpy()) < 1e-6


@pytest.mark.parametrize("lose", [[1], [4, 9], [13]])
def test_a_lost_worker_costs_no_more_than_time(lose):
    workers = Here(3, lose)
    _, expected = make_objective(GRAM)
    _, actual = make_objective(GRAM, workers=workers)
    for _ in range(2):
        assert differ(actual.evaluate().gradient.asnumpy(), expected.evaluate().gradient.asnumpy()) < 1e-6
    assert len(workers.names) == 3 - len(lose)


def test_a_cluster_that_loses_every_worker_is_given_up(caplog):
    _, objective = make_objective(GRAM, workers=Here(30, range(40, 100)))
    with pytest.raises(WorkerError, match="is lost|no workers"):
        for _ in range(3):
            objective.evaluate()
    assert "computing again" in caplog.text


def test_the_second_pass_is_of_the_canvas_of_the_first():
    """A worker that has moved on, and one that takes over, compute the first pass again."""
    workers = Here(1)
    canvas, objective = make_objective(GRAM, workers=workers)
    first = objective.evaluate().gradient.asnumpy()
    canvas[:] = canvas * 0.5
    objective.evaluate()
    canvas[:] = canvas * 2
    np.testing.assert_array_equal(objective.evaluate().gradient.asnumpy(), first)


def test_what_workers_hold_can_be_freed():
    workers = Here(1)
    make_objective(GRAM, workers=workers)
    assert remote._held[0] is not None
    for function in workers.closing:
        function()
    assert remote._held == (None, None)


def test_motifs_are_refused():
    with pytest.raises(SettingsError, match="motifs cannot be compared on the workers of a `scheduler`"):
        make_objective(replace(PAINT, motif_weight=1.0, motif_layers=("relu2_1",)), workers=Here(1))


def test_tiles_are_needed():
    with pytest.raises(SettingsError, match="`tile_size` is 0, but a `scheduler` hands out tiles"):
        canvas, _ = make_objective(GRAM)
        Objective(GRAM, {}, None, [], canvas, 10**10, 0, workers=Here(1))
