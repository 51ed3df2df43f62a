"""The parts of a recipe: frozen settings, each part for the one room that uses it, and what makes sense for each."""

from __future__ import annotations

import dataclasses
import functools
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Mapping, Tuple, Type

from ..errors import SettingsError
from ..limits import LARGEST_FLOAT, MAX_LONG_EDGE
from .kinds import check_kind


@dataclass(frozen=True)
class Losses:
    """What is compared with the content and the style, and how much that counts.

    Attributes
    ----------
    model : str
        Network, a name of `networks.vgg.ARCHITECTURES` or the prefix of an external network's files.
    pooling : {"avg", "max"}
    unit : str
        What is optimised: a name of `images.units.UNITS`. Learning rate, noise and total variation are in this unit.
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
        Further factor of each style layer's loss; a single number is for each of them, and none makes the layers share
        a weight of 1.
    motif_weight : float
        Factor of how far each position is from the most similar one of the style; 0 leaves it out.
    motif_layers : tuple of str
        Activations that are compared so, which share the weight.
    tv_kind : str
        A name of `objective.variation.TV_KINDS`.
    adaptive : bool
        Whether content, style and total variation are each divided by their own current value.
    clip_gradient : bool
        Whether the gradient of style and content is shortened to a norm of the number of elements of the image.
    """

    model: str
    pooling: str
    unit: str
    content_layers: Tuple[str, ...]
    style_layers: Tuple[str, ...]
    content_weight: float
    style_weight: float
    content_norm: str = "sum"
    style_norm: str = "mean-per-position"
    style_statistic: str = "gram"
    style_layer_weights: Tuple[float, ...] = (1.0,)
    motif_weight: float = 0.0
    motif_layers: Tuple[str, ...] = ("relu3_1", "relu4_1")
    tv_weight: float = 0.0
    tv_kind: str = "quadratic"
    adaptive: bool = False
    clip_gradient: bool = False

    def __post_init__(self) -> None:
        _check(self)
        if not all(weight >= 0 for weight in self.style_layer_weights):
            raise SettingsError("`style_layer_weights` must be 0 or more each")
        if len(self.style_layer_weights) not in (0, 1, len(self.style_layers)):
            raise SettingsError(
                f"`style_layer_weights` has {len(self.style_layer_weights)} numbers for {len(self.style_layers)} style "
                "layers; give one for each, or a single one"
            )
        if self.motif_weight > 0:
            if not self.motif_layers:
                raise SettingsError("`motif_layers` is empty; name at least one, or set `motif_weight` to 0")
            return
        if not self.content_layers and not self.style_layers:
            raise SettingsError("`content_layers` and `style_layers` are both empty; name at least one")
        if self.content_weight == 0 and self.style_weight == 0:
            raise SettingsError("`content_weight` and `style_weight` are both 0; one of them must be more")


@dataclass(frozen=True)
class Frame:
    """In what size an image is made.

    Attributes
    ----------
    max_long_edge : int
        Long edge of the result, in pixels.
    shape : {"content", "square"}
        Proportions of the result.
    style_scale : float
        Further factor of both sides of the style: below 1 it is seen from farther off, and its strokes are smaller.
    """

    max_long_edge: int
    shape: str = "content"
    style_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Size(Frame):
    """In what sizes images are computed that are optimised.

    Attributes
    ----------
    style_size : {"result", "own"}
        Whether the style is resized to the result's height and width, or keeps its proportions with a long edge of the
        same length.
    white : float
        Grey level that pure white in an input image becomes.
    pyramid : tuple of int
        Maximum steps at each smaller size that precedes the result's own, smallest first; empty for no such sizes.
    pyramid_factor : float
        Ratio of consecutive sizes of the pyramid.
    pyramid_least : int
        Long edge, in pixels, below which sizes of the pyramid are left out; the smallest one that stays gets as many
        steps as the first one, if these are more.
    """

    style_size: str = "result"
    white: float = 255.0
    pyramid: Tuple[int, ...] = ()
    pyramid_factor: float = 2.0
    pyramid_least: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(steps >= 1 for steps in self.pyramid):
            raise SettingsError("`pyramid` must have 1 or more steps at each size")


@dataclass(frozen=True)
class Noise:
    """A start from noise.

    Attributes
    ----------
    noise : {"uniform", "normal"}
    noise_center, noise_range : float
        The noise lies uniformly between center minus and plus range, or has this mean and standard deviation; in the
        recipe's unit.
    noise_share : float
        Share of the noise, the rest being content.
    """

    initial: ClassVar[str] = "noise"

    noise: str = "uniform"
    noise_center: float = 0.0
    noise_range: float = 0.1
    noise_share: float = 1.0

    def __post_init__(self) -> None:
        _check(self)
        if abs(self.noise_center) + self.noise_range > LARGEST_FLOAT:
            raise SettingsError(f"`noise_range` is {self.noise_range}; the noise must stay below {LARGEST_FLOAT:.3g}")


@dataclass(frozen=True)
class Content:
    """A start from the content."""

    initial: ClassVar[str] = "content"


@dataclass(frozen=True)
class Recoloured:
    """A start from the content with the mean and covariance of the style's colours."""

    initial: ClassVar[str] = "recoloured"


@dataclass(frozen=True)
class OnePass:
    """A start from the picture that recipe one-pass makes."""

    initial: ClassVar[str] = "one-pass"


@dataclass(frozen=True)
class Optimizer:
    """What moves the image; each optimizer is a subclass with the settings it has.

    Attributes
    ----------
    clip_pixels : bool
        Whether the image is clipped to between black and white after every step.
    """

    optimizer: ClassVar[str]
    # Whether it compares values of the objective, so that its gradient must be that of one function: neither shortened
    # nor of weights that change.
    fixed_objective: ClassVar[bool] = False

    clip_pixels: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum.

    Attributes
    ----------
    learning_rate : float
        Initial rate, in the recipe's unit.
    momentum : float
    weight_decay : float
        Pull of every value towards zero.
    schedule_delay : int
        Steps between two reductions of the learning rate.
    schedule_factor : float
        Factor of each reduction.
    """

    optimizer: ClassVar[str] = "sgd"

    learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule_delay: int = 80
    schedule_factor: float = 1.0


@dataclass(frozen=True)
class NAG(SGD):
    """Nesterov's accelerated gradient; settings as `SGD`."""

    optimizer: ClassVar[str] = "nag"


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma & Ba's Adam (ICLR 2015); rate, decay and schedule as `SGD`.

    Attributes
    ----------
    beta1, beta2 : float
        Decay of the first and of the second moment.
    epsilon : float
        Added to the root of the second moment.
    """

    optimizer: ClassVar[str] = "adam"

    learning_rate: float = 2.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule_delay: int = 80
    schedule_factor: float = 1.0


@dataclass(frozen=True)
class Normalized(Optimizer):
    """Gradient descent whose step is the learning rate in standard deviations of the gradient."""

    optimizer: ClassVar[str] = "normalized"

    learning_rate: float = 10.0


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """L-BFGS with a line search.

    Attributes
    ----------
    history : int
        Pairs of steps and gradient differences that it keeps.
    """

    optimizer: ClassVar[str] = "lbfgs"
    fixed_objective: ClassVar[bool] = True

    history: int = 10


@dataclass(frozen=True)
class Stopping:
    """When the optimisation ends.

    Attributes
    ----------
    max_steps : int
    stop_eps : float
        The run has converged when ‖old − new‖₂ / ‖new‖₂ is below this.
    surrogate : int
        Steps on the network itself after all others, which then are taken on its low-rank twin; 0 for no such twin.
    """

    max_steps: int
    stop_eps: float = 0.0
    surrogate: int = 0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Finish:
    """What is saved.

    Attributes
    ----------
    save_every : int
        Steps between intermediate images; 0 for none.
    remove_noise : float
        Weight of the total variation filter for saved images; 0 for none.
    denoise_final : bool
        Whether the filter is for the result, too.
    """

    save_every: int = 0
    remove_noise: float = 0.0
    denoise_final: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Colours:
    """Whose colours the result has.

    Attributes
    ----------
    colors : {"style", "content", "match-covariance", "match-histogram"}
        The style's; the content's, of which only light and dark are repainted; or those of the content or a palette, to
        which the style is matched before the run and the result after it, by mean and covariance or by histograms.
    """

    colors: str = "style"

    def __post_init__(self) -> None:
        _check(self)


STARTS: Mapping[str, Type[Any]] = {kind.initial: kind for kind in (Noise, Content, Recoloured, OnePass)}
OPTIMIZERS: Mapping[str, Type[Optimizer]] = {kind.optimizer: kind for kind in (SGD, NAG, Adam, Normalized, LBFGS)}


@dataclass(frozen=True)
class Optimisation:
    """How an image is made by optimisation, step by step.

    Attributes
    ----------
    losses : Losses
    start : Noise, Content or Recoloured
    optimizer : Optimizer
    stopping : Stopping
    """

    losses: Losses
    start: Any
    optimizer: Optimizer
    stopping: Stopping

    def __post_init__(self) -> None:
        losses, kind = self.losses, self.optimizer.optimizer
        if self.optimizer.fixed_objective and (losses.clip_gradient or losses.adaptive):
            setting, what = ("clip_gradient", "shortened") if losses.clip_gradient else ("adaptive", "reweighted")
            raise SettingsError(
                f"`optimizer` {kind} compares values of the objective, so its gradient must not be {what}; switch "
                f"`{setting}` off"
            )


@dataclass(frozen=True)
class FeedForward:
    """How an image is made in one pass, by a generator.

    Attributes
    ----------
    generator : str
        File of a generator, or the name of one in the folders of weights.
    strength : float
        How much style: 0 leaves the content, as far as the generator can.
    style_edge : int
        Long edge, in pixels, to which the style is brought before the factor `Frame.style_scale`; 0 for that with
        which the generator was trained.
    style_numbers : tuple of int
        Of a generator with several styles of its own, which of them to mix in equal parts, from 1.
    """

    generator: str
    strength: float = 1.0
    style_edge: int = 0
    style_numbers: Tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check(self)
        if not all(number >= 1 for number in self.style_numbers):
            raise SettingsError("`style_numbers` must be 1 or more each")


# Settings with a few values that are nobody else's to list.
CHOICES = {
    "shape": ("content", "square"),
    "style_size": ("result", "own"),
    "initial": tuple(STARTS),
    "noise": ("uniform", "normal"),
    "colors": ("style", "content", "match-covariance", "match-histogram"),
}

_REQUIREMENTS = {
    "content_weight": (lambda v: v >= 0, "0 or more"),
    "style_weight": (lambda v: v >= 0, "0 or more"),
    "motif_weight": (lambda v: v >= 0, "0 or more"),
    "tv_weight": (lambda v: True, "a finite number"),
    "learning_rate": (lambda v: v > 0, "more than 0"),
    "momentum": (lambda v: 0 <= v < 1, "at least 0 and less than 1"),
    "weight_decay": (lambda v: v >= 0, "0 or more"),
    "schedule_delay": (lambda v: v >= 1, "1 or more"),
    "schedule_factor": (lambda v: 0 < v <= 1, "more than 0 and at most 1"),
    "stop_eps": (lambda v: True, "a finite number"),
    "max_steps": (lambda v: v >= 0, "0 or more"),
    "surrogate": (lambda v: v >= 0, "0 or more"),
    "max_long_edge": (
        lambda v: 1 <= v <= MAX_LONG_EDGE,
        f"1 or more, and at most {MAX_LONG_EDGE}: larger images could not be read again",
    ),
    "pyramid_factor": (lambda v: v > 1, "more than 1"),
    "pyramid_least": (lambda v: v >= 0, "0 or more"),
    "style_scale": (lambda v: v > 0, "more than 0"),
    "strength": (lambda v: v >= 0, "0 or more"),
    "style_edge": (lambda v: v >= 0, "0 or more"),
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


def _check(part):
    kind: Any = type(part)
    hints = _hints(kind)
    for entry in dataclasses.fields(part):
        value = getattr(part, entry.name)
        test, requirement = _REQUIREMENTS.get(entry.name, (None, ""))
        if test is None or _is_finite(value):
            check_kind(entry.name, value, hints[entry.name])
        if entry.name in CHOICES and value not in CHOICES[entry.name]:
            choices = ", ".join(CHOICES[entry.name])
            raise SettingsError(f"`{entry.name}` is '{value}'; it must be one of {choices}")
        if test is not None and not (_is_finite(value) and test(value)):
            raise SettingsError(f"`{entry.name}` is {value}; it must be {requirement}")


def _is_finite(value):
    # Not by `math.isfinite`, because the value may still be of any kind.
    return value == value and value not in (float("inf"), float("-inf"))


@functools.lru_cache(maxsize=None)
def _hints(kind: Any) -> Dict[str, Any]:
    return typing.get_type_hints(kind)
