"""What the numbers of an image mean."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Tuple

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
