"""Tiled against whole: the geometry by brute force, losses and gradients against one executor and float64 NumPy."""

import numpy as np
import pytest
from numpy_vgg import NumpyVGG, gram, random_parameters

from neural_style import networks
from neural_style._mxnet import mx
from neural_style.errors import SettingsError
from neural_style.executors import FeatureExecutor
from neural_style.objectives import Term, loss_symbol, represent
from neural_style.tiling import TiledLossExecutor, alignment, cut, halo, read_tiled
from neural_style.weights import find_weights, load_weights

VGG19, VGG16 = networks.ARCHITECTURES["vgg19"], networks.ARCHITECTURES["vgg16"]
# The depths of the real networks, so that halo and strides are theirs, with few channels.
THIN19 = networks.Architecture("thin19", tuple((convolutions, 4 + 4 * b) for b, (convolutions, _) in enumerate(VGG19.blocks)))
THIN16 = networks.Architecture("thin16", tuple((convolutions, 4 + 4 * b) for b, (convolutions, _) in enumerate(VGG16.blocks)))
TINY = networks.Architecture("tiny", ((2, 4), (2, 6), (1, 5)))
STYLES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
ALL16 = tuple(layer for layer in VGG16.layers if layer.startswith("relu"))


def make_terms(styles, contents):
    return [Term("style", layer) for layer in styles] + [Term("content", layer) for layer in contents]


class Problem:
    """An objective on pictures of noise, whole and in tiles."""

    def __init__(self, architecture, terms, size, pooling="avg", parameters=None, seed=3):
        rng = np.random.RandomState(seed)
        self.architecture, self.terms, self.pooling = architecture, terms, pooling
        layers = list(dict.fromkeys(term.layer for term in terms))
        self.arrays = random_parameters(architecture.parameter_shapes(layers))
        self.parameters = parameters or {name: mx.nd.array(value) for name, value in self.arrays.items()}
        self.activations = dict(zip(layers, networks.build_symbol(architecture, layers, pooling)))
        channels = {layer: architecture.channels(layer) for layer in layers}
        self.representations = represent(terms, self.activations, channels)
        # Grey levels around the mean, as the pictures that are stylised.
        self.image, self.style = rng.uniform(-100, 100, (2, 1, 3) + size).astype("float32")
        self.style *= np.float32(0.5)
        reader = FeatureExecutor(mx.sym.Group(self.representations), self.parameters, self.style.shape, mx.cpu())
        self.targets = dict(zip((term.target for term in terms), reader.read(self.style)))
        # About equal parts, so that no term hides the error of another.
        self.factors = [1.0 / float((t ** 2).sum().asscalar()) for t in self.targets.values()]

    def weigh(self, losses):
        return [mx.nd.full((1,), factor) for factor in self.factors]

    def whole(self):
        """Give losses and gradient of a single executor on the whole image."""
        gradient = mx.nd.zeros(self.image.shape)
        known = dict(self.parameters, data=mx.nd.array(self.image), **self.targets)
        symbol = loss_symbol(self.terms, self.representations)
        arguments = {name: known[name] for name in symbol.list_arguments()}
        requests = {name: "write" if name == "data" else "null" for name in arguments}
        executor = symbol.bind(mx.cpu(), arguments, {"data": gradient}, requests)
        losses = executor.forward(is_train=True)
        executor.backward(self.weigh(losses))
        return [float(loss.asscalar()) for loss in losses], gradient.asnumpy()

    def tiled(self, tile_size, weigh=None):
        image = mx.nd.array(self.image)
        arguments = (self.architecture, self.activations, self.terms, self.parameters, self.targets)
        return image, TiledLossExecutor(*arguments, weigh or self.weigh, image, mx.cpu(), tile_size)

    def check(self, tile_size, tolerance=1e-6):
        """Compare tiles with the whole; give the relative error of the gradient in the L2 norm."""
        losses, gradient = self.whole()
        _, executor = self.tiled(tile_size)
        executor.run()
        np.testing.assert_allclose([float(loss.asscalar()) for loss in executor.losses], losses, rtol=1e-6)
        error = np.linalg.norm(executor.gradient.asnumpy() - gradient) / np.linalg.norm(gradient)
        assert error <= tolerance
        return error


if __name__ == '__main__':
    import time
    full = make_terms(STYLES, ["relu4_2"])
    for pooling in ('avg','max'):
        for size in ((203,331),(97,450),(40,333),(160,160),(319,305)):
            for t in (16,48,96,160):
                p=Problem(THIN19,full,size,pooling)
                print(pooling,size,t,len(cut(THIN19,[x.layer for x in full],size,t).tiles),p.check(t,1))
    for name,terms,arch in (('all16',make_terms(ALL16,[]),THIN16),('relu5_2',make_terms(STYLES,['relu5_2']),THIN19),('relu3_1',make_terms([],['relu3_1']),THIN19),('3_1 both',make_terms(['relu3_1'],['relu3_1']),THIN19)):
        for t in (32,96):
            p=Problem(arch,terms,(203,331)); print(name,t,len(cut(arch,[x.layer for x in terms],(203,331),t).tiles),p.check(t,1))
