"""What the numbers of a canvas mean, and conversion from an image to a canvas and back.

An image is uint8 (H, W, 3), RGB. A canvas, which is what is optimised, is float32 (1, 3, H, W). The network's input is
a canvas in RGB grey levels minus the means of its training data; what is optimised is that, or the same in another
unit. By default every arithmetic step is that of the original programs, value for value.

NumPy is imported by the functions that need it, because the names of `UNITS` are needed without it.
"""

from dataclasses import dataclass
from typing import Tuple

from ..errors import unknown

# Mean red, green and blue of the ImageNet images on which VGG was trained (Simonyan & Zisserman 2015).
RGB_MEANS = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Unit:
    """What the numbers of a canvas mean: grey level = value * `levels` + `means`.

    Attributes
    ----------
    levels : float
        Grey levels, on a scale of 0 to 255, per unit.
    means : tuple of float
        Grey levels of red, green and blue where the value is zero.
    """

    levels: float
    means: Tuple[float, float, float]

    @property
    def black(self):
        """Value of black, per channel."""
        return tuple(-mean / self.levels for mean in self.means)

    @property
    def white(self):
        """Value of white, grey level 255, per channel."""
        return tuple((255.0 - mean) / self.levels for mean in self.means)


# By the names that recipes use. "centred" is the network's own input space.
UNITS = {
    "centred": Unit(1.0, RGB_MEANS),
    "levels": Unit(1.0, (0.0, 0.0, 0.0)),
    "fractions": Unit(255.0, (0.0, 0.0, 0.0)),
}


def get_unit(name):
    """Return the unit called `name`.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name not in UNITS:
        raise unknown("unit", name, UNITS)
    return UNITS[name]


def to_network(image, white=256.0, unit=UNITS["centred"]):
    """Convert an image to a canvas, by default to the network's input.

    The arithmetic is in float64 and rounded once, at the end, as in the original programs.

    Parameters
    ----------
    image : numpy.ndarray
        float64 (H, W, 3) in [0, 1].
    white : float
        Grey level of full intensity. Both original programs use 256, not 255.
    unit : Unit
        Of the result.

    Returns
    -------
    numpy.ndarray
        float32 (1, 3, H, W).
    """
    import numpy as np

    # (H, W, 3) -> (3, H, W) -> (1, 3, H, W)
    values = (image * white - np.asarray(unit.means)) / unit.levels
    return values.transpose(2, 0, 1)[np.newaxis].astype(np.float32, order="C")


def from_network(array, unit=UNITS["centred"]):
    """Convert a canvas, by default in the network's input space, to an image.

    Grey levels are computed in float32, then clipped to [0, 255] and truncated, not rounded, as in the original
    programs. There is no counterpart to the `white` of `to_network`: full intensity, 256, is clipped to 255.

    Parameters
    ----------
    array : numpy.ndarray
        The canvas, float32 (1, 3, H, W), finite. It is not modified.
    unit : Unit
        Of the array.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3).
    """
    import numpy as np

    # (1, 3, H, W) -> (H, W, 3)
    pixels = np.asarray(array, np.float32)[0].transpose(1, 2, 0) * np.float32(unit.levels)
    return np.ascontiguousarray(np.clip(pixels + np.asarray(unit.means, np.float32), 0, 255).astype(np.uint8))
