"""Each recipe's objective, gradient and first steps against its source's, computed with PyTorch in float64."""

import numpy as np
import pytest
from numpy_vgg import random_parameters
from scipy import optimize

from neural_style._mxnet import mx
from neural_style.networks import vgg
from neural_style.objective.objective import Objective, required_parameters
from neural_style.recipes.presets import OPTIMISING
from neural_style.transfer.compute import Compute
from neural_style.transfer.inputs import Inputs, Style, starting_canvas
from neural_style.transfer.stylize import stylize

torch = pytest.importorskip("torch", reason="torch is not here: pip install torch, for the CPU")
torch_recipes = pytest.importorskip("torch_recipes")

# VGG's plans with few channels, so that every layer of every recipe exists.
ARCHITECTURES = {
    "vgg19": vgg.Architecture("narrow19", ((2, 4), (2, 6), (4, 8), (4, 7), (4, 5))),
    "vgg16": vgg.Architecture("narrow16", ((2, 4), (2, 6), (3, 8), (3, 7), (3, 5))),
}
STEPS = 10
# L-BFGS begins slowly where total variation outweighs all else, as it does on this noise with `paint`.
STEPS_OF_LBFGS = {"paint": 60, "motifs": 60}
# Where a step compares gradients or divides by small numbers, rounding grows from step to step.
TOLERANCE = {"tf-vgg16-adaptive": 2e-3}


class Case:
    """One recipe on a small network, with pictures of its own, here and with PyTorch."""

    def __init__(self, name):
        recipe = OPTIMISING[name]
        architecture = ARCHITECTURES[recipe.losses.model]
        vgg.ARCHITECTURES[architecture.name] = architecture
        changed = dict(
            model=architecture.name,
            max_long_edge=48,
            max_steps=STEPS_OF_LBFGS.get(name, STEPS),
            stop_eps=0.0,
            pyramid=(),
        )
        self.recipe = recipe.override(**changed)
        rng = np.random.RandomState(7)
        self.content = rng.randint(0, 256, (34, 48, 3)).astype("uint8")
        self.style = rng.randint(0, 256, (48, 40, 3)).astype("uint8")
        parameters = random_parameters(required_parameters(self.recipe.losses))
        self.weights = {key: mx.nd.array(value) for key, value in parameters.items()}
        self.inputs = Inputs(self.content, [Style(self.style)], None, self.recipe)
        self.start = starting_canvas(self.recipe.start, 3, self.inputs)
        self.source = torch_recipes.SOURCES[name]()
        network = torch_recipes.Network(architecture.blocks, parameters, self.source.pooling)
        content, ((style, _),) = self.inputs.content, self.inputs.styles
        self.source.targets(network, *(torch.tensor(canvas.astype(float)) for canvas in (content, style)))

    def evaluate(self, image):
        image = mx.nd.array(image)
        inputs = self.inputs
        objective = Objective(self.recipe.losses, self.weights, inputs.content, inputs.styles, image, tile_size=0)
        return objective, objective.evaluate()


@pytest.fixture(params=OPTIMISING)
def case(request):
    case = Case(request.param)
    yield case
    del vgg.ARCHITECTURES[case.recipe.losses.model]


def relative(one, two):
    return np.linalg.norm(one - two) / np.linalg.norm(two)


def points(case):
    """The start, and a picture like those that a run comes to."""
    rng = np.random.RandomState(8)
    content, ((style, _),) = case.inputs.content, case.inputs.styles
    style = style[:, :, : content.shape[2]]
    between = 0.7 * content + 0.3 * np.resize(style, content.shape) + 0.01 * rng.standard_normal(content.shape)
    return [case.start.asnumpy(), between.astype("float32")]


def test_objective_and_gradient(case):
    for image in points(case):
        objective, evaluation = case.evaluate(image)
        x = torch.tensor(image.astype(float), requires_grad=True)
        parts = [float(part.detach()) for part in getattr(case.source, "plain", case.source.parts)(x)]
        values = evaluation.values.asnumpy()[:-1] * objective.factors
        kinds = [name.split("_")[0].replace("motif", "style") for name in objective.names]
        found = [sum(v for v, k in zip(values, kinds) if k == kind) for kind in ("style", "content", "total")]
        if case.recipe.losses.adaptive:
            parts = [w * part for w, part in zip((10.0, 1.5, 0.3), parts)]
        np.testing.assert_allclose(found[: len(parts)], parts, rtol=1e-4)
        assert evaluation.loss == pytest.approx(sum(parts), rel=1e-4)
        assert relative(evaluation.gradient.asnumpy(), case.source.gradient(x).numpy()) < 1e-4


def first_images(case):
    images = []
    result = stylize(
        case.content,
        case.style,
        case.recipe,
        weights=case.weights,
        seed=3,
        compute=Compute(gpu=-1),
        watch=lambda step, run: images.append(run.canvas.asnumpy()),
    )
    return images, result.history


@pytest.mark.parametrize("case", [n for n, r in OPTIMISING.items() if not r.optimizer.fixed_objective], indirect=True)
def test_first_steps(case):
    images, _ = first_images(case)
    expected = torch_recipes.run(case.source, case.start.asnumpy().astype(float), STEPS)
    assert len(images) == STEPS
    moved = np.linalg.norm(expected[-1] - case.start.asnumpy())
    for found, wanted in zip(images, expected):
        assert np.linalg.norm(found - wanted) / moved < TOLERANCE.get(case.recipe.name, 1e-4)


@pytest.mark.parametrize("case", [n for n, r in OPTIMISING.items() if r.optimizer.fixed_objective], indirect=True)
def test_first_steps_of_l_bfgs_get_as_far_as_scipys(case):
    """Line searches differ in where they stop, so what is compared is how low the source's objective gets."""
    images, history = first_images(case)

    def objective(flat):
        x = torch.tensor(flat.reshape(images[0].shape), requires_grad=True)
        loss = sum(case.source.parts(x))
        (gradient,) = torch.autograd.grad(loss, x)
        return float(loss.detach()), gradient.numpy().ravel()

    found = [objective(image.astype(float).ravel())[0] for image in [case.start.asnumpy()] + images]
    # Each step tells the objective of the image before it.
    np.testing.assert_allclose([step.loss for step in history], found[:-1], rtol=1e-3)
    assert all(after < before for before, after in zip(found, found[1:]))
    options = dict(
        maxfun=sum(step.evaluations for step in history), maxcor=case.recipe.optimizer.history, ftol=0, gtol=0
    )
    start = case.start.asnumpy().astype(float).ravel()
    bounds = getattr(case.source, "bounds", None)  # per channel
    if bounds is not None:
        bounds = [bound for bound in bounds for _ in range(start.size // 3)]
    scipys = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    assert found[-1] < 1.1 * scipys.fun


def test_every_recipe_has_a_source_here():
    assert set(torch_recipes.SOURCES) == set(OPTIMISING)
