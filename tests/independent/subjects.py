"""What objectives are tested on: an image between noise and content, and NumPy's idea of the network that sees it."""

import numpy as np
from numpy_vgg import NumpyVGG, random_parameters

from neural_style._mxnet import mx
from neural_style.objective.objective import Objective, required_parameters
from neural_style.transfer.inputs import Inputs, Style


class Subject:
    """The inputs of a recipe, a network with random parameters, and an image at which to evaluate.

    Parameters
    ----------
    recipe : Recipe
        Of a network that is called as `architecture` is among the known ones.
    architecture : networks.vgg.Architecture
    content : numpy.ndarray
    styles : sequence of numpy.ndarray
        uint8 (H, W, 3) each.
    rng : numpy.random.RandomState
        For the image.
    """

    def __init__(self, recipe, architecture, content, styles, rng):
        self.recipe = recipe
        parameters = random_parameters(required_parameters(recipe.losses))
        self.network = NumpyVGG(architecture.blocks, parameters)
        self.weights = {name: mx.nd.array(value) for name, value in parameters.items()}
        self.inputs = Inputs(content, [Style(style) for style in styles], None, recipe)
        self.image = mx.nd.array(0.5 * self.inputs.content + 10 * rng.standard_normal(self.inputs.content.shape))

    def objective(self, tile_size=0, styles=None, **more):
        """Bind the objective to the image."""
        styles = self.inputs.styles if styles is None else styles
        return Objective(
            self.recipe.losses, self.weights, self.inputs.content, styles, self.image, 10**10, tile_size, **more
        )

    def evaluate(self, *args, **more):
        """Give the losses by name, weighted, and the gradient."""
        objective = self.objective(*args, **more)
        evaluation = objective.evaluate()
        losses = evaluation.values.asnumpy()[:-1] * objective.factors
        return dict(zip(objective.names, losses)), evaluation.gradient.asnumpy()

    def activations(self, canvas):
        """Give NumPy's activations of a canvas (1, 3, H, W), in float64."""
        return self.network.forward(np.asarray(canvas, np.float64)[0])
