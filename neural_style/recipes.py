"""Named, frozen settings; the only home of numbers, each with where it comes from."""

import dataclasses
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Mapping, Tuple

from .errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes, apart from its pictures, weights and seed.

    Attributes
    ----------
    name, summary : str
    model : str
        Network, a name of `networks.ARCHITECTURES`.
    pooling : {"avg", "max"}
    content_layers, style_layers : tuple of str
        Activations compared with the content and with the style.
    content_weight, style_weight, tv_weight : float
        Factors of the three parts of the objective; `objectives` says how they enter. A total variation weight of 0
        or less leaves total variation out.
    optimizer : str
        A name of `optimizers.OPTIMIZERS`.
    learning_rate, momentum, weight_decay : float
    schedule_delay : int
        Steps between two reductions of the learning rate.
    schedule_factor : float
        What the rate is multiplied with then.
    stop_eps : float
        The run has converged when ‖old − new‖₂ / ‖new‖₂ is below this.
    max_steps : int
    max_long_edge : int
        Long edge of the picture that is made, in pixels.
    save_every : int
        Steps between two pictures on the way; 0 for none.
    remove_noise : float
        Weight of the total variation filter that saved pictures go through; 0 for none.
    denoise_final : bool
        Whether the last picture goes through it, too.
    initial : str
        ``noise`` or ``content``: what the image starts from.
    noise_range : float
        The noise is uniform between minus and plus this, in network space (grey levels around the mean).
    sources : mapping of str to str
        Where each setting comes from.
    """

    name: str
    summary: str
    model: str
    pooling: str
    content_layers: Tuple[str, ...]
    style_layers: Tuple[str, ...]
    content_weight: float
    style_weight: float
    tv_weight: float
    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule_delay: int
    schedule_factor: float
    stop_eps: float
    max_steps: int
    max_long_edge: int
    save_every: int
    remove_noise: float
    denoise_final: bool
    initial: str
    noise_range: float
    sources: Mapping[str, str] = field(repr=False, compare=False)

    def __post_init__(self):
        for name, (test, requirement) in _REQUIREMENTS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and test(value)):
                raise SettingsError(f"{name.replace('_', ' ')} is {value}; it must be {requirement}")
        if self.content_weight == 0 and self.style_weight == 0:
            raise SettingsError("content weight and style weight are both 0; one of them must be more")

    def override(self, **settings):
        """Give a copy with some settings changed.

        Raises
        ------
        SettingsError
            If there is no such setting, or its value makes no sense.
        """
        unknown = [name for name in settings if name not in self.settings()]
        if unknown:
            raise SettingsError(f"a recipe has no setting '{unknown[0]}'; it has {', '.join(self.settings())}")
        changed = {name: "chosen for this run" for name in settings if settings[name] != getattr(self, name)}
        return dataclasses.replace(self, sources=MappingProxyType({**self.sources, **changed}), **settings)

    def settings(self):
        """Give all settings by name, in order."""
        about = ("name", "summary", "sources")
        return OrderedDict((f.name, getattr(self, f.name)) for f in dataclasses.fields(self) if f.name not in about)


_REQUIREMENTS = {
    "content_weight": (lambda v: v >= 0, "0 or more"),
    "style_weight": (lambda v: v >= 0, "0 or more"),
    "tv_weight": (lambda v: True, "a finite number"),
    "learning_rate": (lambda v: v > 0, "more than 0"),
    "momentum": (lambda v: 0 <= v < 1, "at least 0 and less than 1"),
    "weight_decay": (lambda v: v >= 0, "0 or more"),
    "schedule_delay": (lambda v: v >= 1, "1 or more"),
    "schedule_factor": (lambda v: 0 < v <= 1, "more than 0 and at most 1"),
    "stop_eps": (lambda v: True, "a finite number"),
    "max_steps": (lambda v: v >= 0, "0 or more"),
    "max_long_edge": (lambda v: v >= 1, "1 or more"),
    "save_every": (lambda v: v >= 0, "0 or more"),
    "remove_noise": (lambda v: v >= 0, "0 or more"),
    "noise_range": (lambda v: v >= 0, "0 or more"),
}


def _cited(name, summary, **settings):
    """Make a recipe of settings that are pairs of a value and its source."""
    values = {key: value for key, (value, _) in settings.items()}
    sources = MappingProxyType({key: source for key, (_, source) in settings.items()})
    return Recipe(name=name, summary=summary, sources=sources, **values)


_FLAG = "the default of the program's flag"
_NETWORK = "the program's VGG-19 definition"
_CODE = "fixed in the program's code"

_MXNET_07 = dict(
    model=("vgg19", _FLAG),
    pooling=("avg", _NETWORK),
    content_layers=(("relu4_2",), _NETWORK),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), _NETWORK),
    content_weight=(10.0, _FLAG),
    style_weight=(1.0, _FLAG),
    tv_weight=(0.01, _FLAG),
    optimizer=("sgd", _CODE),
    learning_rate=(0.001, _FLAG),
    momentum=(0.9, _CODE),
    weight_decay=(0.0005, _CODE),
    schedule_delay=(80, _CODE),
    schedule_factor=(0.9, _CODE),
    stop_eps=(0.005, _FLAG),
    max_steps=(1000, _FLAG),
    max_long_edge=(600, _FLAG),
    save_every=(50, _FLAG),
    remove_noise=(0.02, _FLAG),
    denoise_final=(True, _CODE),
    initial=("noise", _CODE),
    noise_range=(0.1, _CODE),
)

_MXNET_19 = dict(
    _MXNET_07,
    optimizer=("nag", _CODE),
    momentum=(0.95, _CODE),
    weight_decay=(0.0001, _CODE),
    schedule_delay=(75, _FLAG),
    schedule_factor=(0.9, _FLAG),
    denoise_final=(False, _CODE),
)

RECIPES = OrderedDict(
    (recipe.name, recipe)
    for recipe in (
        _cited("mxnet-0.7", "MXNet's neural-style example up to release 0.7: SGD with momentum", **_MXNET_07),
        _cited("mxnet-1.9", "the same example from release 0.8 to 1.9.1: Nesterov's accelerated gradient", **_MXNET_19),
    )
)
DEFAULT_RECIPE = "mxnet-0.7"


def get_recipe(name):
    """Give the recipe called `name`.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name not in RECIPES:
        raise SettingsError(f"unknown recipe '{name}'; choose from {', '.join(RECIPES)}")
    return RECIPES[name]
