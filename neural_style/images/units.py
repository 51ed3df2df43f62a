"""What the numbers of an image mean, and the way from a picture to an image and back.

A picture is a uint8 array (H, W, 3), RGB. What the network sees is float32 (1, 3, H, W): RGB in grey levels less the
means of its training data; what is optimised is that, or the same in another unit. With the defaults every arithmetic
step is that of the original programs, value for value.

NumPy is imported by the functions that need it, because the names of `UNITS` are wanted without it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Tuple

from ..errors import SettingsError

# Mean red, green and blue of the ImageNet training pictures on which VGG was trained (Simonyan & Zisserman 2015).
RGB_MEANS = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Unit:
    """What the numbers of an image mean: grey level = value * `levels` + `means`.

    Attributes
    ----------
    levels : float
        Grey levels, of 0 to 255, in one unit.
    means : tuple of float
        Grey levels of red, green and blue at zero.
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
UNITS = OrderedDict(
    [
        ("centred", Unit(1.0, RGB_MEANS)),
        ("levels", Unit(1.0, (0.0, 0.0, 0.0))),
        ("fractions", Unit(255.0, (0.0, 0.0, 0.0))),
    ]
)


def get_unit(name):
    """Give the unit called `name`.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name not in UNITS:
        raise SettingsError(f"unknown unit '{name}'; choose from {', '.join(UNITS)}")
    return UNITS[name]


def to_network(image, white=256.0, unit=UNITS["centred"]):
    """Turn a picture into an image, by default into the network's input.

    The arithmetic is float64 and rounded once, at the end, as in the original programs.

    Parameters
    ----------
    image : numpy.ndarray
        float64 (H, W, 3) in [0, 1].
    white : float
        Grey level of full intensity. 256, and not 255, is what both original programs use.
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
    """Turn an image, by default in the network's input space, into a picture.

    Grey levels are computed in float32, then clipped to [0, 255] and truncated, not rounded, as in the original
    programs. There is no counterpart to the `white` of `to_network`: full intensity, 256, becomes 255 by clipping.

    Parameters
    ----------
    array : numpy.ndarray
        float32 (1, 3, H, W), finite. It is not changed.
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
