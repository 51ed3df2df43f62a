"""Parameters of small generators with random numbers in them, by this project's names."""

import numpy as np


def scaled(random, shape):
    """Return values with which a convolution keeps the size of what it gets."""
    inputs = int(np.prod(shape[1:])) if len(shape) > 1 else 25
    return (random.standard_normal(shape) / np.sqrt(inputs)).astype("float32")


def microast_shapes(first=4, second=6, third=8, dense=False):
    """Return the names and shapes of MicroAST with these numbers of channels."""
    one = (lambda channels: channels) if dense else (lambda channels: 1)
    shapes = {}

    def convolution(name, outputs, inputs, kernel):
        shapes[f"microast_{name}_weight"], shapes[f"microast_{name}_bias"] = (
            (outputs, inputs, kernel, kernel),
            (outputs,),
        )

    def residual(name):
        for number in (1, 2):
            convolution(f"{name}_conv{number}", third, third, 3)

    for which in ("content", "style"):
        convolution(f"{which}_conv1", first, 3, 9)
        convolution(f"{which}_conv2", second, one(first), 3)
        convolution(f"{which}_conv3", second, second, 1)
        convolution(f"{which}_conv4", third, one(second), 3)
        convolution(f"{which}_conv5", third, third, 1)
        residual(f"{which}_residual1")
        residual(f"{which}_residual2")
    for what in ("factor1", "term1", "factor2", "term2"):
        convolution(f"modulator_{what}", third, 1, 3)
    residual("decoder_residual2")
    residual("decoder_residual1")
    convolution("decoder_conv5", second, third if dense else third // second, 3)
    convolution("decoder_conv4", second, second, 1)
    convolution("decoder_conv3", first, second if dense else second // first, 3)
    convolution("decoder_conv2", first, first, 1)
    convolution("decoder_conv1", 3, first, 9)
    return shapes


def random_microast(seed=0, **widths):
    """Return the parameters of a small MicroAST, whose channels double where it is in groups."""
    random = np.random.RandomState(seed)
    widths = widths or dict(first=4, second=8, third=16)
    return {name: scaled(random, shape) for name, shape in microast_shapes(**widths).items()}
