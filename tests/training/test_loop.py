"""The loop on a task whose optimum is known: Adam's steps, the schedule, what is kept, and what is resumed."""

import json
import math
import threading

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import CheckpointError, OutputError, SettingsError
from neural_style.training import loop
from neural_style.training.loop import Schedule, Task, own_state, read_state, train

AIM = np.array([3.0, -1.0, 0.5], "float32")
SETTINGS = {"batches": 20, "seed": 1, "folders": ["a", "b"], "start": None}


class Quadratic(Task):
    """The squared distance to `AIM` with noise that depends on the batch; interrupts itself if told."""

    def __init__(self, scale=1.0, interrupt_at=None, held_out=None):
        self.parameters = {"x": mx.nd.zeros(3), "y": mx.nd.ones((1, 1))}
        self.scales = {"x": scale, "y": 0.5}
        self.interrupt, self.interrupt_at = threading.Event(), interrupt_at
        self.held_out = held_out

    def gradients(self, number):
        if number + 1 == self.interrupt_at:
            self.interrupt.set()
        noise = np.random.RandomState(number).standard_normal(3).astype("float32") * 0.1
        distance = self.parameters["x"] - mx.nd.array(AIM + noise)
        loss = float((distance * distance).sum().asscalar()) + float(self.parameters["y"].asnumpy().sum()) ** 2
        return loss, {"x": 2 * distance, "y": 2 * self.parameters["y"]}

    def evaluate(self):
        if self.held_out:
            return self.held_out.pop(0), "planned"
        return float(np.square(self.parameters["x"].asnumpy() - AIM).sum()), "distance"

    def state(self):
        return {"note": np.array([1.5, 2.5])}


def run(task, path, batches=20, resume=False, rate=0.3, every=5):
    schedule = Schedule(batches, rate, warm_up=4, evaluate_every=every)
    state = read_state(str(path), SETTINGS) if resume else None
    return train(task, schedule, str(path), SETTINGS, state, task.interrupt)


def test_it_finds_the_optimum(tmp_path):
    trained = run(Quadratic(), tmp_path / "s.npz", batches=200, rate=0.2, every=50)
    assert trained.complete and trained.loss < 0.01
    np.testing.assert_allclose(trained.parameters["x"], AIM, atol=0.1)
    assert trained.parameters["y"] == pytest.approx(0, abs=0.01)


def test_the_steps_are_adams(tmp_path):
    task = Quadratic(scale=2.0)
    run(task, tmp_path / "s.npz")
    x, mean, square = (np.zeros(3) for _ in range(3))
    for number in range(20):
        gradient = 2 * (x - AIM - np.random.RandomState(number).standard_normal(3) * 0.1)
        # Kingma & Ba 2015, algorithm 1.
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = mean / (1 - 0.9 ** (number + 1)) / np.sqrt(square / (1 - 0.999 ** (number + 1)))
        rate = 0.3 * min(1, (number + 1) / 4) * (1 + math.cos(math.pi * number / 20)) / 2
        x = x - 2.0 * rate * step
    np.testing.assert_allclose(task.parameters["x"].asnumpy(), x, rtol=1e-4)


def test_the_rate_rises_and_falls():
    rates = [Schedule(100, 0.5, warm_up=10).at(number) for number in range(101)]
    assert rates[0] == pytest.approx(0.05) and rates[50] == pytest.approx(0.25) and rates[100] == pytest.approx(0)
    assert np.all(np.diff(rates[:9]) > 0) and np.all(np.diff(rates[10:]) < 0) and max(rates) < 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0, 0.1), "batches is 0; it must be 1 or more"),
        ((1, 0.1, 0), "warm up is 0"),
        ((1, 0.1, 1, -1), "evaluate every is -1"),
        ((1, 0), "the learning rate is 0; it must be more than 0"),
        ((1, math.nan), "the learning rate is nan"),
        ((1, math.inf), "the learning rate is inf"),
    ],
)
def test_schedules_that_make_no_sense(settings, message):
    with pytest.raises(SettingsError, match=message):
        Schedule(*settings)


def test_the_best_of_all_evaluations_is_kept(tmp_path):
    task = Quadratic(held_out=[9.0, 5.0, 2.0, 3.0, 2.0])
    seen = []
    evaluate = task.evaluate
    task.evaluate = lambda: (seen.append(task.parameters["x"].asnumpy()), evaluate())[1]
    trained = run(task, tmp_path / "s.npz")
    assert (trained.loss, trained.batch, trained.complete) == (2.0, 10, True)
    np.testing.assert_array_equal(trained.parameters["x"], seen[2])
    # Nothing is better than the start.
    trained = run(Quadratic(held_out=[1.0, 5.0, 2.0, 3.0, 2.0]), tmp_path / "s.npz")
    assert (trained.loss, trained.batch) == (1.0, 0) and not trained.parameters["x"].any()


class Killed(BaseException):
    """Ends the process as far as the disk can tell: nothing is saved any more."""


def test_killed_five_times_it_is_the_uninterrupted_training_bit_for_bit(tmp_path):
    """Batches since the last evaluation are computed again."""
    run(Quadratic(), tmp_path / "whole.npz", every=2)
    for number, killed_at in enumerate((3, 6, 7, 12, 19)):
        task = Quadratic()
        gradients = task.gradients

        def until(batch, gradients=gradients, killed_at=killed_at):
            if batch == killed_at:
                raise Killed
            return gradients(batch)

        task.gradients = until
        with pytest.raises(Killed):
            run(task, tmp_path / "s.npz", every=2, resume=number > 0)
    assert run(Quadratic(), tmp_path / "s.npz", every=2, resume=True).complete
    with np.load(str(tmp_path / "whole.npz")) as one, np.load(str(tmp_path / "s.npz")) as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("interrupt_at", [1, 5, 13, 19])
def test_resumed_it_is_the_uninterrupted_training_bit_for_bit(tmp_path, interrupt_at):
    whole, half, rest = Quadratic(), Quadratic(interrupt_at=interrupt_at), Quadratic()
    expected = run(whole, tmp_path / "whole.npz")
    assert not run(half, tmp_path / "s.npz").complete
    found = run(rest, tmp_path / "s.npz", resume=True)
    assert found.complete and (found.loss, found.batch) == (expected.loss, expected.batch)
    with np.load(str(tmp_path / "whole.npz")) as one, np.load(str(tmp_path / "s.npz")) as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    np.testing.assert_array_equal(own_state(read_state(str(tmp_path / "s.npz"), SETTINGS))["note"], [1.5, 2.5])


def test_interrupted_before_the_first_batch_it_keeps_the_start(tmp_path):
    task = Quadratic()
    task.interrupt.set()
    trained = run(task, tmp_path / "s.npz")
    assert (trained.complete, trained.batch) == (False, 0)
    assert run(Quadratic(), tmp_path / "s.npz", resume=True).complete


def test_what_is_complete_is_not_trained_again(tmp_path):
    first = run(Quadratic(), tmp_path / "s.npz")
    task = Quadratic()
    task.gradients = None
    again = run(task, tmp_path / "s.npz", resume=True)
    assert again.complete and again.loss == first.loss


def test_more_batches_may_follow_but_no_other_settings(tmp_path):
    path = str(tmp_path / "s.npz")
    run(Quadratic(), path)
    assert read_state(path, dict(SETTINGS, batches=40))["number"] == 20
    with pytest.raises(CheckpointError) as raised:
        read_state(path, dict(SETTINGS, seed=2, start="x.params"))
    assert str(raised.value) == (
        f"{path}: begun with other settings (seed 1 instead of 2, start None instead of x.params); resume with those, "
        "or begin anew"
    )


def test_files_that_are_no_state(tmp_path):
    path = tmp_path / "s.npz"
    with pytest.raises(CheckpointError, match="cannot be read .No such file"):
        read_state(str(path), SETTINGS)
    np.savez(str(path), settings=np.array("[1]"))
    listed = path.read_bytes()
    np.savez(str(path), other=np.zeros(3))
    other = path.read_bytes()
    run(Quadratic(), path)
    whole = path.read_bytes()
    for content in (b"", b"no state", whole[:-30], whole[: len(whole) // 2], whole[100:], other, listed):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="s.npz: not the state of a training"):
            read_state(str(path), SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("now:x", None),
        ("now:x", np.zeros(4, "float32")),
        ("mean:y", np.full((1, 1), np.nan, "float32")),
        ("square:x", np.array(["a", "b", "c"])),
        ("best:x", None),
        ("best:y", np.full((1, 1), np.inf)),
        ("number", None),
        ("number", np.array([1, 2])),
        ("best_loss", np.array("low")),
        ("best_batch", None),
    ],
)
def test_a_damaged_state_is_one_line(tmp_path, name, value):
    path = str(tmp_path / "s.npz")
    run(Quadratic(), path)
    state = read_state(path, SETTINGS)
    del state[name]
    if value is not None:
        state[name] = value
    with pytest.raises(CheckpointError, match="s.npz: the state of the training is damaged .*; begin anew") as raised:
        train(Quadratic(), Schedule(20, 0.3), path, SETTINGS, state)
    assert "\n" not in str(raised.value)


def test_losses_that_are_not_finite_end_it_and_the_state_stays(tmp_path):
    path = tmp_path / "s.npz"
    run(Quadratic(), path, batches=5)
    before = path.read_bytes()
    task = Quadratic(held_out=[1.0, math.nan])
    with pytest.raises(SettingsError, match="held-out loss after 5 batches is not finite; use a lower learning rate"):
        run(task, path)
    task = Quadratic(scale=math.inf)
    with pytest.raises(SettingsError, match="the loss of batch 2 is not finite"):
        run(task, path)
    assert path.read_bytes() == before


def test_a_state_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="s.npz: cannot be written"):
        run(Quadratic(), tmp_path / "file" / "s.npz")


def test_the_state_is_of_plain_arrays(tmp_path):
    run(Quadratic(), tmp_path / "s.npz")
    with np.load(str(tmp_path / "s.npz"), allow_pickle=False) as file:
        assert json.loads(str(file["settings"])) == SETTINGS
        assert {name.split(":")[0] for name in file.files} == {
            *("settings", "number", "now", "mean", "square", "best_loss", "best_batch", "best", "task")
        }


def test_a_line_of_the_log_has_batch_loss_and_pace(tmp_path, caplog):
    with caplog.at_level("INFO", loop.__name__):
        run(Quadratic(), tmp_path / "s.npz", batches=20, every=20)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "after 0 batches, held out: distance"
    assert lines[1].startswith("batch 20 of 20, loss ") and lines[1].endswith(" s per batch")
