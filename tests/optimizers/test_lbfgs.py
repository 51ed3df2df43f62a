"""L-BFGS against SciPy's L-BFGS-B, closed forms and the textbook's formula, with float32 gradients on both sides."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy_vgg import random_parameters
from scipy.optimize import minimize, rosen, rosen_der

from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.executors import FeatureExecutor, LossExecutor
from neural_style.networks import graph, vgg
from neural_style.objective.representations import loss_symbol, represent
from neural_style.objective.terms import FixedWeighting, Term, loss_factors
from neural_style.optimizers import lbfgs
from neural_style.optimizers.lbfgs import LBFGS

MOST_EVALUATIONS = 41  # the start's, and two line searches of 20


@dataclass
class Evaluation:
    loss: float
    gradient: mx.nd.NDArray


class Objective:
    """A function of NumPy arrays on an image, which remembers every evaluation."""

    def __init__(self, function, start):
        self.function = function
        self.image = mx.nd.array(start, dtype="float32")
        self.gradient = mx.nd.zeros(self.image.shape)
        self.points, self.losses, self.gradients = [], [], []

    def __call__(self):
        point = self.image.asnumpy()
        loss, gradient = self.function(point.astype(np.float64))
        self.gradient[:] = np.asarray(gradient, dtype=np.float32)
        self.points.append(point)
        self.losses.append(float(np.float32(loss)))
        self.gradients.append(self.gradient.asnumpy())
        return Evaluation(self.losses[-1], self.gradient)


def box(bounds, image):
    """Give bounds as L-BFGS takes them."""
    return bounds and tuple(mx.nd.full((1,) * image.ndim, bound) for bound in bounds)


def descend(objective, evaluations, history=10, bounds=None):
    """Run until so many evaluations were made or nothing lower is found."""
    optimizer = LBFGS(objective.image, history, box(bounds, objective.image))
    while len(objective.losses) < evaluations and not optimizer.stalled:
        before = len(objective.losses)
        optimizer.step(objective.image, objective)
        assert len(objective.losses) - before <= MOST_EVALUATIONS
    return optimizer


def descend_with_scipy(objective, evaluations=None, history=10, bounds=None):
    """Do the same with SciPy: all it adds is float64 between the evaluations."""

    class Enough(Exception):
        pass

    def function(x):
        if len(objective.losses) == evaluations:
            raise Enough
        objective.image[:] = x.reshape(objective.image.shape)
        evaluation = objective()
        return evaluation.loss, evaluation.gradient.asnumpy().astype(np.float64).ravel()

    options = dict(maxcor=history, ftol=1e-15, gtol=0, maxiter=10**5, maxfun=10**6)
    start = objective.image.asnumpy().astype(np.float64).ravel()
    limits = None if bounds is None else [bounds] * start.size
    try:
        return minimize(function, start, jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    except Enough:
        return None


def evaluations_to(objective, loss):
    """Count the evaluations that were needed to get down to a loss."""
    return next((i for i, reached in enumerate(objective.losses, 1) if reached <= loss), np.inf)


def quadratic(condition, seed, n=50):
    """½ xᵀAx − bᵀx with eigenvalues from 1 to `condition`, and its minimum."""
    rng = np.random.RandomState(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((n, n)))
    matrix, vector = basis * np.logspace(0, np.log10(condition), n) @ basis.T, rng.standard_normal(n)
    return lambda x: (x @ matrix @ x / 2 - vector @ x, matrix @ x - vector), np.linalg.solve(matrix, vector)


def rosenbrock(x):
    return rosen(x), rosen_der(x)


@pytest.mark.parametrize("seed, history", [(0, 10), (1, 20), (2, 10)])
def test_an_ill_conditioned_quadratic(seed, history):
    function, minimum = quadratic(1e4, seed)
    start = np.random.RandomState(seed + 9).standard_normal(50)
    ours, scipys = Objective(function, start), Objective(function, start)
    optimizer = descend(ours, 1000, history)
    descend_with_scipy(scipys, 150, history)
    for evaluations in (30, 60, 150):
        assert evaluations_to(ours, min(scipys.losses[:evaluations])) <= 1.2 * evaluations
    lowest, _ = function(minimum)
    loss, _ = function(ours.image.asnumpy().astype(np.float64))
    assert loss - lowest < 2e-5 * abs(lowest)
    assert optimizer.stalled  # at the end of what float32 can tell


@pytest.mark.parametrize("bounds", [None, (-1.5, 1.1)], ids=["free", "bounds"])
@pytest.mark.parametrize("power", [-40, -20, 20, 40])
def test_the_scale_of_the_objective_makes_no_difference(power, bounds):
    # By a power of two nothing is rounded otherwise, so that the bits have to be the same: also those of the first
    # step, of the line search, and of which pairs are kept. 2^-40 is the gradient of a relative loss on a large image.
    start, scale = np.tile([-1.2, 1.0], 10), 2.0**power
    usual, scaled = (
        Objective(lambda x, factor=factor: tuple(factor * np.asarray(value) for value in rosenbrock(x)), start)
        for factor in (1.0, scale)
    )
    for objective in (usual, scaled):
        descend(objective, 120, bounds=bounds)
    assert len(usual.points) > 60
    np.testing.assert_array_equal(usual.points, scaled.points)


@pytest.mark.parametrize("history", [10, 20])
@pytest.mark.parametrize("dimensions, evaluations", [(2, 40), (20, 100)])
def test_rosenbrocks_valley(dimensions, evaluations, history):
    start = np.tile([-1.2, 1.0], dimensions // 2)
    ours, scipys = Objective(rosenbrock, start), Objective(rosenbrock, start)
    descend(ours, 500, history)
    descend_with_scipy(scipys, evaluations, history)
    assert evaluations_to(ours, min(scipys.losses)) <= 1.2 * evaluations
    np.testing.assert_allclose(ours.image.asnumpy(), 1, atol=1e-3)


SMALL = vgg.Architecture("small", ((1, 8), (2, 12), (2, 16), (1, 16)))
TERMS = [Term("style", f"relu{block}_1") for block in (1, 2, 3, 4)] + [Term("content", "relu3_2")]
LAYERS = [term.layer for term in TERMS]


class StyleObjective:
    """Style and content as in MXNet's example, not clipped, of a random network and pictures at 48 x 64 pixels."""

    def __init__(self, seed, initial):
        parameters = random_parameters(SMALL.parameter_shapes(LAYERS), seed)
        parameters = {name: mx.nd.array(value) for name, value in parameters.items()}
        rng = np.random.RandomState(seed)
        pictures = [mx.nd.array(self.picture(rng, size)) for size in (6, 3)]
        network = graph.build_symbol(SMALL, LAYERS)
        symbols = represent(TERMS, dict(zip(LAYERS, network)), {layer: SMALL.channels(layer) for layer in LAYERS})
        _, shapes, _ = network.infer_shape(data=(1, 3, 48, 64))
        self.factors = loss_factors(TERMS, dict(zip(LAYERS, shapes)), 10, [1] * 4)
        targets = {}
        for kind, picture in zip(("content", "style"), pictures):
            read = FeatureExecutor(mx.sym.Group(symbols), parameters, picture.shape, mx.cpu()).read(picture)
            targets.update((term.target, array) for term, array in zip(TERMS, read) if term.kind == kind)
        noise = mx.nd.array(rng.uniform(-0.1, 0.1, (1, 3, 48, 64)))
        self.image = noise if initial == "noise" else pictures[0].copy()
        weigh = FixedWeighting(self.factors, mx.cpu())
        self.executor = LossExecutor(loss_symbol(TERMS, symbols), parameters, targets, weigh, self.image, mx.cpu())
        self.losses = []

    @staticmethod
    def picture(rng, size):
        """Draw patches of colour, `size` pixels wide, between -120 and 120."""
        return np.kron(rng.uniform(-120, 120, (1, 3, 48 // size, 64 // size + 1)), np.ones((size, size)))[..., :64]

    def __call__(self):
        self.executor.run()
        losses = [float(loss.asscalar()) for loss in self.executor.losses]
        self.losses.append(sum(loss * factor for loss, factor in zip(losses, self.factors)))
        return Evaluation(self.losses[-1], self.executor.gradient)


@pytest.mark.parametrize("seed, initial, history", [(0, "noise", 10), (1, "noise", 20), (2, "content", 10)])
def test_a_style_objective(seed, initial, history):
    ours, scipys = StyleObjective(seed, initial), StyleObjective(seed, initial)
    descend(ours, 180, history)
    descend_with_scipy(scipys, 150, history)
    for evaluations in (30, 60, 150):
        assert evaluations_to(ours, min(scipys.losses[:evaluations])) <= 1.2 * evaluations


@pytest.mark.parametrize("pairs_in_an_array", [1, 2, 3])
def test_steps_follow_the_textbooks_inverse_hessian(pairs_in_an_array, monkeypatch):
    """Nocedal & Wright (2006), 7.16 and 7.20, as matrices, of the pairs seen from outside, three of them kept."""
    monkeypatch.setattr(lbfgs, "_MOST_ELEMENTS", pairs_in_an_array * 2 * 6)
    function, _ = quadratic(100, seed=4, n=6)
    objective = Objective(function, np.full(6, 2.0))
    optimizer, history = LBFGS(objective.image, 3), 3
    points, gradients = [], []
    for number in range(8):
        before = optimizer.step(objective.image, objective)
        if number == 0:
            points.append(objective.points[0].astype(np.float64))
            gradients.append(objective.gradients[0].astype(np.float64))
        displacements, changes = np.diff(points, axis=0)[-history:], np.diff(gradients, axis=0)[-history:]
        inverse = np.eye(6)
        if number:
            s, y = displacements[-1], changes[-1]
            inverse *= s @ y / (y @ y)
        for s, y in zip(displacements, changes):
            turn = np.eye(6) - np.outer(y, s) / (s @ y)
            inverse = turn.T @ inverse @ turn + np.outer(s, s) / (s @ y)
        way = -optimizer.learning_rate * inverse @ gradients[-1]
        assert before.loss == pytest.approx(function(points[-1])[0], rel=1e-5)
        points.append(objective.points[-1].astype(np.float64))
        gradients.append(objective.gradients[-1].astype(np.float64))
        np.testing.assert_array_equal(objective.image.asnumpy(), objective.points[-1])
        np.testing.assert_allclose(points[-1] - points[-2], way, rtol=1e-2, atol=1e-3 * abs(way).max())


def test_every_accepted_point_is_lower_and_none_is_evaluated_twice():
    objective = Objective(rosenbrock, [-1.2, 1.0])
    optimizer, evaluations = LBFGS(objective.image, 5), []
    for _ in range(20):
        evaluations.append(optimizer.step(objective.image, objective))
        assert optimizer.learning_rate > 0
    losses = [evaluation.loss for evaluation in evaluations]
    assert losses == sorted(losses, reverse=True) and len(set(losses)) == 20
    assert len({point.tobytes() for point in objective.points}) == len(objective.points)


def failing(radius, loss, gradient):
    """Make ‖x − 3‖² that has this loss and gradient farther from zero than `radius`."""

    def function(x):
        if np.linalg.norm(x) > radius:
            return loss, np.full(x.shape, gradient)
        return ((x - 3) ** 2).sum(), 2 * (x - 3)

    return function


@pytest.mark.parametrize(
    "loss, gradient", [(np.nan, np.nan), (np.inf, 1.0), (-np.inf, 1.0), (1.0, np.nan), (0.0, np.inf)]
)
def test_what_is_not_finite_is_never_accepted(loss, gradient):
    """The minimum itself, at a distance of 3 √4, lies where the objective fails."""
    objective = Objective(failing(5.0, loss, gradient), np.zeros(4))
    optimizer = descend(objective, 300)
    assert optimizer.stalled and len(objective.losses) < 300
    assert any(np.linalg.norm(point) > 5 for point in objective.points)
    assert 4 < np.linalg.norm(objective.image.asnumpy()) <= 5
    assert all(np.isfinite(value).all() for value in optimizer.state().values())


def test_it_gets_around_what_is_not_finite():
    """x − 100 log x, from so far to the right of its minimum that the first trial lies where there is no logarithm."""

    def function(x):
        with np.errstate(invalid="ignore"):
            return 3e4 + (x - 100 * np.log(x)).sum(), 1 - 100 / x

    objective = Objective(function, np.full(3, 1000.0))
    descend(objective, 200)
    assert np.isnan(objective.losses[1]) and len(objective.losses) < 60
    np.testing.assert_allclose(objective.image.asnumpy(), 100, rtol=1e-2)


def test_an_objective_that_is_not_finite_at_the_start():
    objective = Objective(failing(5.0, np.nan, np.nan), np.full(4, 100.0))
    optimizer = LBFGS(objective.image)
    optimizer.step(objective.image, objective)
    assert optimizer.stalled and optimizer.learning_rate == 0 and len(objective.losses) == 1
    np.testing.assert_array_equal(objective.image.asnumpy(), 100)


def test_at_a_minimum_it_stalls_at_once():
    objective = Objective(lambda x: ((x - 3) ** 2 @ np.ones(4) + 1, 2 * (x - 3)), np.full(4, 3.0))
    optimizer = LBFGS(objective.image)
    optimizer.step(objective.image, objective)
    assert optimizer.stalled and len(objective.losses) == 1


@pytest.mark.parametrize("honest_steps", [0, 5])
@pytest.mark.parametrize("bounds", [None, (-5.0, 5.0)])
def test_where_nothing_lower_is_found_the_image_is_put_back(honest_steps, bounds):
    """From some step on every other point is higher, whatever the gradient says."""
    objective = Objective(rosenbrock, np.tile([-1.2, 1.0], 3))
    optimizer = LBFGS(objective.image, 10, box(bounds, objective.image))
    for _ in range(honest_steps):
        optimizer.step(objective.image, objective)
    kept, evaluations = objective.image.asnumpy(), len(objective.losses)
    objective.function = lambda x: (rosen(x) + 1e4 * (x != kept).any(), rosen_der(x))
    before = optimizer.step(objective.image, objective)
    assert optimizer.stalled and optimizer.learning_rate == 0
    assert 2 <= len(objective.losses) - evaluations <= MOST_EVALUATIONS
    assert before.loss == pytest.approx(rosen(kept.astype(np.float64)), rel=1e-6)
    np.testing.assert_array_equal(objective.image.asnumpy(), kept)


def test_a_misleading_history_is_dropped_for_the_steepest_descent():
    function, minimum = quadratic(10, seed=1, n=6)
    objective = Objective(function, np.full(6, 2.0))
    optimizer = LBFGS(objective.image)
    _, gradient = function(np.full(6, 2.0))
    across = np.linalg.svd(gradient[None])[2][-1]
    # Negative curvature along the gradient, which the quasi-Newton step thus climbs; the newest pair is across it.
    rows = np.array([gradient, -gradient, across, across])
    state = dict(learning_rate=1.0, stalled=False, newest=1, products=rows @ rows.T)
    names = ("displacement_0", "change_0", "displacement_1", "change_1")
    optimizer.load(dict(state, **dict(zip(names, rows.astype("float32")))))
    before = optimizer.step(objective.image, objective)
    assert len(optimizer.state()["products"]) == 2  # of this step's pair alone
    assert not optimizer.stalled and objective.losses[-1] < before.loss
    descend(objective, 200)
    np.testing.assert_allclose(objective.image.asnumpy(), minimum, atol=1e-3)


@pytest.mark.parametrize("condition, bound", [(10, 0.1), (100, 0.02), (1e4, 0.02)])
@pytest.mark.parametrize(
    "seed", [1, 2]
)  # with 0 and 100 the minimum has an element so near a bound that float32 is lost
def test_bounds_are_those_of_scipy(condition, bound, seed):
    function, _ = quadratic(condition, seed)
    start = np.clip(np.random.RandomState(seed + 9).standard_normal(50), -bound, bound)
    ours, scipys = Objective(function, start), Objective(function, start)
    descend(ours, 500, bounds=(-bound, bound))
    expected = descend_with_scipy(scipys, bounds=(-bound, bound)).astype(np.float32)
    found, bound = ours.image.asnumpy(), np.float32(bound)
    assert all(abs(point).max() <= bound for point in ours.points)
    assert 10 < (abs(expected) == bound).sum() < 45
    np.testing.assert_array_equal(found >= bound, expected >= bound)
    np.testing.assert_array_equal(found <= -bound, expected <= -bound)
    np.testing.assert_allclose(found, expected, atol=0.02 * bound)
    assert len(ours.losses) <= 1.2 * len(scipys.losses)


def test_the_image_is_brought_between_the_bounds_first():
    """And stays there; each channel has bounds of its own."""

    def function(x):
        return ((x - 9) ** 2).sum(), 2 * (x - 9)

    lower, upper = (mx.nd.array(values).reshape((1, 3, 1, 1)) for values in ([-1, -2, -3], [1, 2, 3]))
    objective = Objective(function, np.full((1, 3, 2, 2), -7.0))
    optimizer = LBFGS(objective.image, bounds=(lower, upper))
    while not optimizer.stalled:
        optimizer.step(objective.image, objective)
    expected = np.array([1, 2, 3])[:, None, None] * np.ones((1, 3, 2, 2))
    np.testing.assert_array_equal(objective.points[0], -expected)
    np.testing.assert_array_equal(objective.image.asnumpy(), expected)


@pytest.mark.parametrize("pairs_in_an_array", [2, 5])
@pytest.mark.parametrize("steps", [0, 1, 4, 12])
@pytest.mark.parametrize("bounds", [None, (-1.5, 0.9)])
def test_a_run_that_is_resumed_goes_on_bit_for_bit(steps, bounds, pairs_in_an_array, monkeypatch):
    monkeypatch.setattr(lbfgs, "_MOST_ELEMENTS", pairs_in_an_array * 2 * 20)
    start = np.tile([-1.2, 0.7], 10).reshape((1, 2, 2, 5))

    def function(x):
        loss, gradient = rosenbrock(x.ravel())
        return loss, gradient.reshape(x.shape)

    objective = Objective(function, start)
    optimizer = LBFGS(objective.image, 5, box(bounds, objective.image))
    for _ in range(steps):
        optimizer.step(objective.image, objective)
    resumed = Objective(function, objective.image.asnumpy())
    again = LBFGS(resumed.image, 5, box(bounds, resumed.image))
    again.load(optimizer.state())
    assert (again.learning_rate, again.stalled) == (optimizer.learning_rate, optimizer.stalled)
    for _ in range(10):
        losses = [
            o.step(i, e).loss for o, i, e in ((optimizer, objective.image, objective), (again, resumed.image, resumed))
        ]
        assert losses[0] == losses[1]
        assert again.learning_rate == optimizer.learning_rate
        np.testing.assert_array_equal(resumed.image.asnumpy(), objective.image.asnumpy())
    assert len(again.state()) == len(optimizer.state()) == 2 + 2 + 2 * 5
    for name, value in optimizer.state().items():
        np.testing.assert_array_equal(again.state()[name], value)


def test_reset_starts_anew():
    function, _ = quadratic(10, seed=0, n=6)
    objective, fresh = Objective(function, np.zeros(6)), Objective(function, np.full(6, 2.0))
    optimizer = LBFGS(objective.image)
    for _ in range(4):
        optimizer.step(objective.image, objective)
    objective.image[:] = 2
    optimizer.reset()
    before = optimizer.step(objective.image, objective)
    LBFGS(fresh.image).step(fresh.image, fresh)
    assert before.loss == fresh.losses[0]
    np.testing.assert_array_equal(objective.image.asnumpy(), fresh.image.asnumpy())


def test_what_makes_no_sense_is_refused():
    image = mx.nd.zeros((1, 3, 2, 2))
    with pytest.raises(SettingsError, match="history of L-BFGS is 0; it must be 1 or more"):
        LBFGS(image, history=0)
    with pytest.raises(SettingsError, match="a lower bound of L-BFGS is not less than the upper one"):
        LBFGS(image, bounds=box((1, -1), image))
    objective = Objective(rosenbrock, [-1.2, 1.0])
    state = descend(objective, 5).state()
    with pytest.raises(SettingsError, match="an image with 2 elements, not 12; resume with images of the same size"):
        LBFGS(image).load(state)
    with pytest.raises(SettingsError, match="the state of L-BFGS has 3 pairs, more than the history of 2"):
        LBFGS(objective.image, history=2).load(state)
