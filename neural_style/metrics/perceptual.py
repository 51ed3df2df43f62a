"""Distances of images from a style and a content according to a network, comparable for any program's images.

Style distance: the mean over relu1_1, relu2_1 and relu3_1 of ‖G − G_s‖² / ‖G_s‖², where G is the Gram matrix of the
layer's activations divided by the number of positions, and G_s that of the style. Content distance: ‖F − F_c‖² /
‖F_c‖², where F is the activation at relu3_3. These are the quantities of Gatys et al. 2015, equations 1 and 4, made
relative, so that they depend neither on a recipe's weights nor on the size of the images. 0 means equal; smaller is
closer.

None of the recipes under comparison optimises them: the layers end at the third block, and the content layer differs.
"""

from dataclasses import dataclass

import numpy as np

from .._mxnet import mx
from ..errors import ImageError
from ..executors import FeatureExecutor
from ..images import sizing, units
from ..networks.graph import build_symbol
from ..networks.vgg import ARCHITECTURES
from ..weights.params_file import load_weights, read_index

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")
CONTENT_LAYER = "relu3_3"


@dataclass(frozen=True)
class Distances:
    """Distances of an image; the module defines them."""

    style: float
    content: float


class Judge:
    """A network that measures images against a content and a style.

    Parameters
    ----------
    model : str
        A name of `networks.vgg.ARCHITECTURES`; it is run with average pooling.
    weights : str or path-like
        A file with its parameters, at least up to conv3_3.
    content, style : numpy.ndarray
        uint8 (H, W, 3). They are resized to the height and width of each image, as in the original programs.
    ctx : mxnet.Context

    Raises
    ------
    WeightsError
        As `weights.params_file.load_weights`.
    """

    def __init__(self, model, weights, content, style, ctx):
        self._architecture = ARCHITECTURES[model].fitted(read_index(weights))
        layers = STYLE_LAYERS + (CONTENT_LAYER,)
        self._symbol = build_symbol(self._architecture, layers)
        self._parameters = load_weights(weights, self._architecture.parameter_shapes(layers), ctx)
        self._ctx = ctx
        self._content, self._style = content, style
        self._seen = {}

    def measure(self, image):
        """Measure an image.

        Parameters
        ----------
        image : numpy.ndarray
            float64 (H, W, 3) in [0, 1].

        Returns
        -------
        Distances

        Raises
        ------
        ImageError
            If the image is too small for the network.
        """
        size = image.shape[:2]
        least = self._architecture.minimum_side(STYLE_LAYERS + (CONTENT_LAYER,))
        if min(size) < least:
            raise ImageError(
                f"the image is {size[1]} x {size[0]} pixels, too small for style and content distances; it must be "
                f"at least {least} x {least}"
            )
        if size not in self._seen:
            _, content = self._features(sizing.resize(self._content, size))
            grams, _ = self._features(sizing.resize(self._style, size))
            self._seen = {size: (grams, content)}
        wanted_grams, wanted_content = self._seen[size]
        grams, content = self._features(image)
        style = np.mean([_relative(gram, wanted) for gram, wanted in zip(grams, wanted_grams)])
        return Distances(float(style), _relative(content, wanted_content))

    def _features(self, image):
        """Return the Gram matrices (C, C) of the style layers and the activation (1, C, h, w) of the content layer."""
        canvas = units.to_network(image)
        executor = FeatureExecutor(self._symbol, self._parameters, canvas.shape, self._ctx)
        *styles, content = (activation.asnumpy() for activation in executor.read(mx.nd.array(canvas)))
        # (1, C, h, w) -> (C, h*w) -> (C, C)
        flat = [activation.reshape(activation.shape[1], -1) for activation in styles]
        return [one.dot(one.T) / one.shape[1] for one in flat], content


def _relative(one, wanted):
    return float(np.square(one - wanted).sum() / np.square(wanted).sum())
