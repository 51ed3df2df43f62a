"""A recipe: named, frozen settings, and what makes sense for each."""

import dataclasses
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Mapping, Tuple

from ..errors import SettingsError


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes, apart from its pictures, weights and seed.

    Attributes
    ----------
    name, summary : str
    model : str
        Network, a name of `networks.vgg.ARCHITECTURES` or the prefix of a checkpoint of MXNet's.
    pooling : {"avg", "max"}
    precision : str
        One of `transfer.compute.PRECISIONS`.
    content_layers, style_layers : tuple of str
        Activations compared with the content and with the style, as `networks.vgg.Architecture.resolve` takes them.
    content_weight, style_weight, tv_weight : float
        Factors of the three parts of the objective. A total variation weight of 0 or less leaves total variation out.
    content_norm, style_norm : str
        What the sums of squares are divided by: names of `objective.terms.CONTENT_NORMS` and
        `objective.terms.STYLE_NORMS`.
    style_statistic : str
        What of the style's activations is compared: a name of `objective.representations.STYLE_STATISTICS`.
    style_layer_weights : tuple of float
        What each style layer's loss is multiplied by besides; one number is for each of them, none means that the
        layers share a weight of 1.
    adaptive : bool
        Whether content, style and total variation are each divided by their own current value.
    tv_kind : str
        A name of `objective.variation.TV_KINDS`.
    unit : str
        What is optimised: a name of `images.units.UNITS`. Learning rate, noise and total variation are in this unit.
    white : float
        Grey level that pure white in an input picture becomes.
    clip_pixels : bool
        Whether the image is clipped to between black and white after every step.
    clip_gradient : bool
        Whether the gradient of style and content is shortened to a norm of the number of elements of the image.
    optimizer : str
        A name of `optimizers.OPTIMIZERS`, which says which of the following it heeds.
    learning_rate, momentum, beta1, beta2, epsilon, weight_decay : float
    history : int
        Pairs of steps and gradient differences that L-BFGS keeps.
    schedule_delay : int
        Steps between two reductions of the learning rate.
    schedule_factor : float
        What the rate is multiplied with then.
    stop_eps : float
        The run has converged when ‖old − new‖₂ / ‖new‖₂ is below this.
    max_steps : int
    max_long_edge : int
        Long edge of the picture that is made, in pixels.
    pyramid : tuple of int
        Most steps on smaller pictures before those on the picture itself, from the smallest on; none for no such.
    pyramid_factor : float
        Ratio of the long edges of one picture and the next smaller one.
    shape : {"content", "square"}
        Proportions of the picture that is made.
    style_size : {"result", "own"}
        Whether the style is brought to the height and width of the picture that is made, or keeps its proportions with
        a long edge of the same length.
    style_scale : float
        What both sides of the style are then multiplied by: with less than 1 the style is seen from farther off, and
        its strokes are smaller in the picture that is made.
    save_every : int
        Steps between two pictures on the way; 0 for none.
    remove_noise : float
        Weight of the total variation filter that saved pictures go through; 0 for none.
    denoise_final : bool
        Whether the last picture goes through it, too.
    initial : {"noise", "content", "recoloured"}
        What the image starts from; the last is the content with the mean and covariance of the style's colours.
    noise : {"uniform", "normal"}
    noise_center, noise_range : float
        The noise lies uniformly between center minus and plus range, or has this mean and standard deviation; in the
        recipe's unit.
    noise_share : float
        Part of the noise in a start from noise, the rest being content.
    sources : mapping of str to str
        Where each setting comes from, for a reader.
    network_named : bool
        Whether `model` was named for this run, even if it is the recipe's own: then no other network stands in for it.
    """

    name: str
    summary: str
    model: str
    pooling: str
    precision: str
    content_layers: Tuple[str, ...]
    style_layers: Tuple[str, ...]
    content_weight: float
    style_weight: float
    tv_weight: float
    content_norm: str
    style_norm: str
    style_statistic: str
    style_layer_weights: Tuple[float, ...]
    adaptive: bool
    tv_kind: str
    unit: str
    white: float
    clip_pixels: bool
    clip_gradient: bool
    optimizer: str
    learning_rate: float
    momentum: float
    beta1: float
    beta2: float
    epsilon: float
    history: int
    weight_decay: float
    schedule_delay: int
    schedule_factor: float
    stop_eps: float
    max_steps: int
    max_long_edge: int
    pyramid: Tuple[int, ...]
    pyramid_factor: float
    shape: str
    style_size: str
    style_scale: float
    save_every: int
    remove_noise: float
    denoise_final: bool
    initial: str
    noise: str
    noise_center: float
    noise_range: float
    noise_share: float
    sources: Mapping[str, str] = field(repr=False, compare=False)
    network_named: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                what = name.replace("_", " ")
                raise SettingsError(f"{what} is '{getattr(self, name)}'; it must be one of {', '.join(choices)}")
        for name, (test, requirement) in _REQUIREMENTS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and test(value)):
                raise SettingsError(f"{name.replace('_', ' ')} is {value}; it must be {requirement}")
        if not all(math.isfinite(weight) and weight >= 0 for weight in self.style_layer_weights):
            raise SettingsError("style layer weights must be 0 or more each")
        if len(self.style_layer_weights) not in (0, 1, len(self.style_layers)):
            raise SettingsError(
                f"there are {len(self.style_layer_weights)} style layer weights for {len(self.style_layers)} style "
                "layers; give one for each, or a single one"
            )
        if not all(steps >= 1 for steps in self.pyramid):
            raise SettingsError("the steps of a pyramid must be 1 or more each")
        if not self.content_layers and not self.style_layers:
            raise SettingsError("there are neither content layers nor style layers; name at least one")
        if self.content_weight == 0 and self.style_weight == 0:
            raise SettingsError("content weight and style weight are both 0; one of them must be more")

    def override(self, **settings):
        """Return a copy with some settings changed; a `model` that is given counts as named.

        Raises
        ------
        SettingsError
            If there is no such setting, or its value makes no sense.
        """
        unknown = [name for name in settings if name not in self.settings()]
        if unknown:
            raise SettingsError(f"a recipe has no setting '{unknown[0]}'; it has {', '.join(self.settings())}")
        changed = [name for name in settings if settings[name] != getattr(self, name)]
        sources = MappingProxyType({**self.sources, **dict.fromkeys(changed, CHOSEN)})
        named = self.network_named or "model" in settings
        return dataclasses.replace(self, sources=sources, network_named=named, **settings)

    def with_network(self, model, source):
        """Return a copy with another network that nobody named, and where that comes from; its own changes nothing."""
        if model == self.model:
            return self
        return dataclasses.replace(self, model=model, sources=MappingProxyType({**self.sources, "model": source}))

    def settings(self):
        """Give all settings by name, in order."""
        about = ("name", "summary", "sources", "network_named")
        return OrderedDict((f.name, getattr(self, f.name)) for f in dataclasses.fields(self) if f.name not in about)


CHOSEN = "chosen for this run"

# Settings with a few values that are nobody else's to list.
CHOICES = {
    "shape": ("content", "square"),
    "style_size": ("result", "own"),
    "initial": ("noise", "content", "recoloured"),
    "noise": ("uniform", "normal"),
}

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
    "pyramid_factor": (lambda v: v > 1, "more than 1"),
    "style_scale": (lambda v: v > 0, "more than 0"),
    "save_every": (lambda v: v >= 0, "0 or more"),
    "remove_noise": (lambda v: v >= 0, "0 or more"),
    "noise_center": (lambda v: True, "a finite number"),
    "noise_range": (lambda v: v >= 0, "0 or more"),
    "noise_share": (lambda v: 0 <= v <= 1, "at least 0 and at most 1"),
    "white": (lambda v: v > 0, "more than 0"),
    "beta1": (lambda v: 0 <= v < 1, "at least 0 and less than 1"),
    "beta2": (lambda v: 0 <= v < 1, "at least 0 and less than 1"),
    "epsilon": (lambda v: v > 0, "more than 0"),
    "history": (lambda v: v >= 1, "1 or more"),
}
