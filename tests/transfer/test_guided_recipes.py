"""Two styles under masks with every recipe: objective and gradient against PyTorch in float64, whole and in tiles."""

import numpy as np
import pytest
from numpy_vgg import random_parameters

from neural_style._mxnet import mx
from neural_style.networks import vgg
from neural_style.objective.objective import Objective, required_parameters
from neural_style.recipes.presets import OPTIMISING
from neural_style.transfer.controls import Controls
from neural_style.transfer.inputs import Inputs, Style

torch = pytest.importorskip("torch", reason="torch is not here: pip install torch, for the CPU")
torch_recipes = pytest.importorskip("torch_recipes")

ARCHITECTURES = {
    "vgg19": vgg.Architecture("narrow19", ((2, 4), (2, 6), (4, 8), (4, 7), (4, 5))),
    "vgg16": vgg.Architecture("narrow16", ((2, 4), (2, 6), (3, 8), (3, 7), (3, 5))),
}
# Of whole positions at every layer, so that a region's share is the same at all of them; three tiles wide.
HEIGHT, WIDTH, TILE = 32, 304, 64
# Where the losses hold differences of rounded numbers.
TOLERANCE = {"paint": 2e-5, "motifs": 2e-5, "keras-vgg19": 5e-6}


class Weighted:
    """PyTorch's sums over positions, in which each counts by a mask; scaled as if all had counted."""

    def __init__(self):
        self.mask = None

    def counts(self, features):
        height, width = features.shape[2:]
        if self.mask is None:
            return torch.ones(height * width, dtype=torch.float64)
        stride = self.mask.shape[1] // width
        return torch.nn.functional.avg_pool2d(self.mask[None, None], stride).reshape(-1)

    def gram(self, features):
        flat, counts = features.reshape(features.shape[1], -1), self.counts(features)
        return (flat * counts) @ flat.T * (len(counts) / counts.sum())

    def measure(self, features):
        flat, counts = features.reshape(features.shape[1], -1), self.counts(features)
        return (flat * counts).sum(1) / counts.sum(), torch.cov(flat, correction=0, aweights=counts)

    def kept(self, features):
        return features.reshape(features.shape[1], -1)[:, self.counts(features) > 0]

    def mean(self, values):
        counts = self.counts(values[None, None])
        return (values.reshape(-1) * counts).sum() / counts.sum()


class Regions:
    """A source whose style is that of regions: each has its share of what the whole image would have."""

    def __init__(self, name, network, content, styles, masks, sources, weighted):
        self._weighted, self._masks, self._parts = weighted, masks, []
        self.plain = hasattr(torch_recipes.SOURCES[name](), "plain")
        for style, source in zip(styles, sources):
            self._parts.append(torch_recipes.SOURCES[name]())
            weighted.mask = source
            self._parts[-1].targets(network, content, style)
        self.first = self._parts[0]

    def bind(self):
        """Return the source with the style of all regions."""
        name = "plain" if self.plain else "parts"
        usual = [getattr(part, name) for part in self._parts]

        def parts(x):
            style = 0
            for of_region, mask in zip(usual, self._masks):
                self._weighted.mask = mask
                found, *others = of_region(x)
                style = style + mask.mean() * found
            return style, *others

        setattr(self.first, name, parts)
        return self.first


@pytest.fixture(params=OPTIMISING)
def case(request, monkeypatch):
    recipe = OPTIMISING[request.param]
    architecture = ARCHITECTURES[recipe.losses.model]
    monkeypatch.setitem(vgg.ARCHITECTURES, architecture.name, architecture)
    weighted = Weighted()
    monkeypatch.setattr(torch_recipes, "gram", weighted.gram)
    monkeypatch.setattr(torch_recipes.Paint, "measure", staticmethod(weighted.measure))
    monkeypatch.setattr(torch_recipes.Motifs, "kept", staticmethod(weighted.kept))
    monkeypatch.setattr(torch_recipes.Motifs, "mean", staticmethod(weighted.mean))
    return Case(request.param, recipe, architecture, weighted)


class Case:
    def __init__(self, name, recipe, architecture, weighted):
        self.recipe = recipe.override(model=architecture.name, max_long_edge=WIDTH, shape="content", pyramid=())
        rng = np.random.RandomState(7)
        content, *images = (rng.randint(0, top, (HEIGHT, WIDTH, 3)).astype("uint8") for top in (256, 256, 140))
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        first = np.clip((x + y - 140) / 40, 0, 1).astype("float32")
        keep = np.where((x > 60) & (x < 90), np.float32(0.5), np.float32(0))
        source = ((x > 100) & (x < 250)).astype("float32")
        styles = [Style(images[0], mask=first, source_mask=source), Style(images[1])]
        self.inputs = Inputs(content, styles, None, self.recipe, Controls(keep=keep))
        parameters = random_parameters(required_parameters(self.recipe.losses))
        self.weights = {key: mx.nd.array(value) for key, value in parameters.items()}
        network = torch_recipes.Network(architecture.blocks, parameters, self.recipe.losses.pooling)
        canvases = [self.inputs.content, *(style for style, _ in self.inputs.styles)]
        content, *styles = (torch.tensor(canvas.astype(float)) for canvas in canvases)
        masks = [torch.tensor(mask * (1 - keep), dtype=torch.float64) for mask in (first, 1 - first)]
        sources = [torch.tensor(source, dtype=torch.float64), None]
        self.source = Regions(name, network, content, styles, masks, sources, weighted).bind()
        mixed = 0.7 * self.inputs.content + 0.3 * self.inputs.styles[0][0][..., ::-1]
        self.image = (mixed + 0.01 * rng.standard_normal(mixed.shape)).astype("float32")

    def evaluate(self, tile_size):
        inputs = self.inputs
        objective = Objective(
            self.recipe.losses,
            self.weights,
            inputs.content,
            inputs.styles,
            mx.nd.array(self.image),
            10**10,
            tile_size,
            regions=inputs.regions,
            sources=inputs.sources,
        )
        return objective, objective.evaluate()


def relative(one, two):
    return np.linalg.norm(one - two) / np.linalg.norm(two)


def test_objective_and_gradient(case):
    objective, evaluation = case.evaluate(0)
    x = torch.tensor(case.image.astype(float), requires_grad=True)
    parts = [float(part.detach()) for part in getattr(case.source, "plain", case.source.parts)(x)]
    values = evaluation.values.asnumpy()[:-1] * objective.factors
    kinds = [name.split("_")[0].replace("motif", "style") for name in objective.names]
    found = [sum(v for v, k in zip(values, kinds) if k == kind) for kind in ("style", "content", "total")]
    if case.recipe.losses.adaptive:
        parts = [w * part for w, part in zip((10.0, 1.5, 0.3), parts)]
    np.testing.assert_allclose(found[: len(parts)], parts, rtol=1e-4)
    gradient = evaluation.gradient.asnumpy()
    assert relative(gradient, case.source.gradient(x).numpy()) < 1e-4
    _, tiled = case.evaluate(TILE)
    assert relative(tiled.gradient.asnumpy(), gradient) < TOLERANCE.get(case.recipe.name, 1e-6)
