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
        Network, a name of `networks.vgg.ARCHITECTURES` or the prefix of a checkpoint of MXNet's.
    pooling : {"avg", "max"}
    precision : str
        One of `precision.PRECISIONS`.
    content_layers, style_layers : tuple of str
        Activations compared with the content and with the style, as `networks.vgg.Architecture.resolve` takes them.
    content_weight, style_weight, tv_weight : float
        Factors of the three parts of the objective. A total variation weight of 0 or less leaves total variation out.
    content_norm, style_norm : str
        What the sums of squares are divided by: names of `objectives.CONTENT_NORMS` and `objectives.STYLE_NORMS`.
    style_layer_weights : tuple of float
        What each style layer's loss is multiplied by besides; one number is for each of them, none means that the
        layers share a weight of 1.
    adaptive : bool
        Whether content, style and total variation are each divided by their own current value.
    tv_kind : str
        A name of `objectives.TV_KINDS`.
    unit : str
        What is optimised: a name of `images.UNITS`. Learning rate, noise and total variation are in this unit.
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
        Where each setting comes from.
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
    save_every: int
    remove_noise: float
    denoise_final: bool
    initial: str
    noise: str
    noise_center: float
    noise_range: float
    noise_share: float
    sources: Mapping[str, str] = field(repr=False, compare=False)

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
        """Give a copy with some settings changed.

        Raises
        ------
        SettingsError
            If there is no such setting, or its value makes no sense.
        """
        unknown = [name for name in settings if name not in self.settings()]
        if unknown:
            raise SettingsError(f"a recipe has no setting '{unknown[0]}'; it has {', '.join(self.settings())}")
        # A network that is named has no stand-in, also if it is the recipe's own.
        changed = [name for name in settings if name == "model" or settings[name] != getattr(self, name)]
        sources = MappingProxyType({**self.sources, **dict.fromkeys(changed, CHOSEN)})
        return dataclasses.replace(self, sources=sources, **settings)

    def settings(self):
        """Give all settings by name, in order."""
        about = ("name", "summary", "sources")
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


def _cited(name, summary, **settings):
    """Make a recipe of settings that are pairs of a value and its source."""
    values = {key: value for key, (value, _) in settings.items()}
    sources = MappingProxyType({key: source for key, (_, source) in settings.items()})
    return Recipe(name=name, summary=summary, sources=sources, **values)


# What a recipe does not use or its source does not have: the value that leaves the computation as it is, or that MXNet
# gives a setting of another optimizer.
_ABSENT = "not in the source"
_UNUSED = "not used; MXNet's default"
_COMMON = dict(
    precision=("float32", "what sources and MXNet compute in"),
    content_norm=("sum", _ABSENT),
    style_layer_weights=((1.0,), _ABSENT),
    adaptive=(False, _ABSENT),
    tv_weight=(0.0, _ABSENT),
    tv_kind=("quadratic", _ABSENT),
    clip_pixels=(False, _ABSENT),
    clip_gradient=(False, _ABSENT),
    momentum=(0.9, "not used; that of mxnet-0.7"),
    beta1=(0.9, _UNUSED),
    beta2=(0.999, _UNUSED),
    epsilon=(1e-8, _UNUSED),
    history=(20, "not used; that of gatys-2015"),
    weight_decay=(0.0, _ABSENT),
    schedule_delay=(80, "not used, as the factor is 1"),
    schedule_factor=(1.0, _ABSENT),
    stop_eps=(0.0, _ABSENT),
    pyramid=((), _ABSENT),
    pyramid_factor=(2.0, "not used, as there is no pyramid"),
    shape=("content", _ABSENT),
    remove_noise=(0.0, _ABSENT),
    denoise_final=(False, _ABSENT),
    noise=("uniform", _ABSENT),
    noise_center=(0.0, _ABSENT),
    noise_share=(1.0, _ABSENT),
)

_FLAG = "the default of the program's flag"
_NETWORK = "the program's VGG-19 definition"
_CODE = "fixed in the program's code"

_MXNET_07 = dict(
    _COMMON,
    model=("vgg19", _FLAG),
    pooling=("avg", _NETWORK),
    content_layers=(("relu4_2",), _NETWORK),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), _NETWORK),
    content_weight=(10.0, _FLAG),
    style_weight=(1.0, _FLAG),
    tv_weight=(0.01, _FLAG),
    content_norm=("sum", _CODE),
    style_norm=("mean-per-position", _CODE),
    tv_kind=("quadratic", _CODE),
    unit=("centred", _CODE),
    white=(256.0, _CODE),
    clip_gradient=(True, _CODE),
    optimizer=("sgd", _CODE),
    learning_rate=(0.001, _FLAG),
    momentum=(0.9, _CODE),
    weight_decay=(0.0005, _CODE),
    schedule_delay=(80, _CODE),
    schedule_factor=(0.9, _CODE),
    stop_eps=(0.005, _FLAG),
    max_steps=(1000, _FLAG),
    max_long_edge=(600, _FLAG),
    style_size=("result", _CODE),
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

_PAPER = "arXiv:1508.06576"
_AUTHORS = "the authors' PyTorch notebook (2017)"
_BLOBS = "arXiv:1508.06576; after the ReLU, which in the authors' Caffe network overwrites the convolution"

_GATYS = dict(
    _COMMON,
    model=("vgg19", _PAPER),
    pooling=("avg", _PAPER),
    content_layers=(("relu4_2",), _BLOBS),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), _BLOBS),
    content_weight=(1.0, "arXiv:1508.06576: a ratio of 1e-3 between the weights of content and style"),
    style_weight=(1000.0, "arXiv:1508.06576: a ratio of 1e-3 between the weights of content and style"),
    content_norm=("half", _PAPER),
    style_norm=("gatys", _PAPER),
    style_layer_weights=((0.2,), _PAPER),
    unit=("centred", "the input of the authors' network"),
    white=(255.0, _AUTHORS),
    optimizer=("lbfgs", "the paper says gradient descent; the authors' code, L-BFGS"),
    learning_rate=(1.0, "not used: L-BFGS searches along a line"),
    history=(20, "maxcor in the authors' DeepTextures notebooks (2015)"),
    max_steps=(500, _AUTHORS),
    max_long_edge=(512, _AUTHORS),
    style_size=("result", "Gatys, Ecker & Bethge, CVPR 2016, section 3"),
    save_every=(50, _AUTHORS),
    initial=("noise", "arXiv:1508.06576: white noise"),
    noise=("normal", _AUTHORS),
    noise_range=(1.0, _AUTHORS),
)

_EXERCISE = "the exercise's text"
_EXERCISE_CODE = "the exercise's code"
_EXERCISE_LAYERS = "the exercise's code, which has the ReLU in each layer"

_COURSERA = dict(
    _COMMON,
    model=("vgg19", _EXERCISE),
    pooling=("avg", _EXERCISE_CODE),
    content_layers=(("relu4_2",), _EXERCISE_LAYERS),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), _EXERCISE_LAYERS),
    content_weight=(10.0, _EXERCISE),
    style_weight=(40.0, _EXERCISE),
    content_norm=("quarter-mean", _EXERCISE),
    style_norm=("gatys", _EXERCISE),
    style_layer_weights=((0.2,), _EXERCISE),
    unit=("centred", _EXERCISE_CODE),
    white=(255.0, _EXERCISE_CODE),
    optimizer=("adam", _EXERCISE),
    learning_rate=(2.0, _EXERCISE),
    beta1=(0.9, "TensorFlow's default"),
    beta2=(0.999, "TensorFlow's default"),
    epsilon=(1e-8, "TensorFlow's default"),
    max_steps=(200, _EXERCISE_CODE),
    max_long_edge=(400, "the exercise's code: 400 x 300"),
    style_size=("result", "the exercise's code: 400 x 300 both"),
    save_every=(20, _EXERCISE_CODE),
    initial=("noise", _EXERCISE_CODE),
    noise=("uniform", _EXERCISE_CODE),
    noise_range=(20.0, _EXERCISE_CODE),
    noise_share=(0.6, _EXERCISE_CODE),
)

_TUTORIAL = "the tutorial's code"
_TUTORIAL_LAYERS = "the tutorial's code; a convolution of Keras' VGG has its ReLU in it"

_KERAS = dict(
    _COMMON,
    model=("vgg19", _TUTORIAL),
    pooling=("max", "Keras' VGG19"),
    content_layers=(("relu5_2",), _TUTORIAL_LAYERS),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), _TUTORIAL_LAYERS),
    content_weight=(1e4, _TUTORIAL),
    style_weight=(1e-2, _TUTORIAL),
    tv_weight=(50.0, _TUTORIAL),
    content_norm=("mean", _TUTORIAL),
    style_norm=("mean-of-means", _TUTORIAL),
    style_layer_weights=((0.2,), _TUTORIAL),
    tv_kind=("absolute", "tf.image.total_variation"),
    unit=("fractions", _TUTORIAL),
    white=(255.0, _TUTORIAL),
    clip_pixels=(True, _TUTORIAL),
    optimizer=("adam", _TUTORIAL),
    learning_rate=(0.02, _TUTORIAL),
    beta1=(0.99, _TUTORIAL),
    beta2=(0.999, "Keras' default"),
    epsilon=(0.1, _TUTORIAL),
    max_steps=(1200, _TUTORIAL),
    max_long_edge=(512, _TUTORIAL),
    style_size=("own", _TUTORIAL),
    save_every=(100, _TUTORIAL),
    initial=("content", _TUTORIAL),
    noise_range=(0.0, "not used: the start is the content"),
)

_NOTEBOOK = "the notebook's code"
_POSITIONS = "the notebook's code, by position; named after the convolution, but after its ReLU in the frozen graph"
_WEIGHTS = "the defaults of the notebook's function; its example run has 2.0, 9.0 and 0.4 for content, style, denoising"

_ADAPTIVE = dict(
    _COMMON,
    model=("vgg16", _NOTEBOOK),
    pooling=("max", "VGG-16 as published"),
    content_layers=(("#5",), _POSITIONS),
    style_layers=(tuple(f"#{i}" for i in range(1, 14)), _POSITIONS),
    content_weight=(1.5, _WEIGHTS),
    style_weight=(10.0, _WEIGHTS),
    tv_weight=(0.3, _WEIGHTS),
    content_norm=("mean", _NOTEBOOK),
    style_norm=("mean", "the notebook's code: Gram matrices are not normalised"),
    style_layer_weights=((), "the notebook's code: the mean over layers"),
    adaptive=(
        True,
        "the notebook's code, which reads and assigns the divisors in one call without an order; here they are the "
        "values for the same image",
    ),
    tv_kind=("mean-absolute", _NOTEBOOK),
    unit=(
        "levels",
        "the notebook's code; what its frozen graph makes of them is not in it, here the means are taken off",
    ),
    white=(255.0, _NOTEBOOK),
    clip_pixels=(True, _NOTEBOOK),
    optimizer=("normalized", _NOTEBOOK),
    learning_rate=(10.0, _NOTEBOOK),
    max_steps=(60, _NOTEBOOK),
    max_long_edge=(224, "the input of VGG-16"),
    shape=("square", "the input of VGG-16"),
    style_size=("result", "the input of VGG-16"),
    save_every=(10, _NOTEBOOK),
    initial=("noise", _NOTEBOOK),
    noise=("uniform", _NOTEBOOK),
    noise_center=(128.5, "the notebook's code: uniform in [0, 1], plus 128"),
    noise_range=(0.5, "the notebook's code: uniform in [0, 1], plus 128"),
)

_SAME = "the objective of mxnet-0.7"
_OWN = "this project's, measured: the way to that objective with the fewest evaluations"

_FAST = dict(
    {setting: (value, _SAME) for setting, (value, _) in _MXNET_07.items()},
    clip_gradient=(False, "L-BFGS compares values of the objective"),
    optimizer=("lbfgs", _OWN),
    history=(10, _OWN),
    learning_rate=(1.0, "not used: L-BFGS searches along a line"),
    momentum=(0.9, "not used"),
    weight_decay=(0.0, "not used"),
    schedule_factor=(1.0, "not used"),
    stop_eps=(0.0, "single steps of L-BFGS say little of the rest of the way"),
    max_steps=(40, "this project's: well beyond where mxnet-0.7 stops"),
    save_every=(10, "this project's"),
    initial=("recoloured", _OWN),
    noise_range=(0.0, "not used: the start is the recoloured content"),
)

RECIPES = OrderedDict(
    (recipe.name, recipe)
    for recipe in (
        _cited("mxnet-0.7", "MXNet's neural-style example up to release 0.7: SGD with momentum", **_MXNET_07),
        _cited("mxnet-1.9", "the same example from release 0.8 to 1.9.1: Nesterov's accelerated gradient", **_MXNET_19),
        _cited("gatys-2015", "Gatys, Ecker & Bethge's paper, with the L-BFGS of their code", **_GATYS),
        _cited("coursera", "the art generation exercise of the Deep Learning Specialization: Adam", **_COURSERA),
        _cited("keras-vgg19", "the TensorFlow 2 tutorial on neural style transfer: Keras' VGG-19, Adam", **_KERAS),
        _cited(
            "tf-vgg16-adaptive",
            "the TensorFlow 1 tutorial 15 (M. E. H. Pedersen): losses divided by their values",
            **_ADAPTIVE,
        ),
        _cited("fast", "the objective of mxnet-0.7 in the least time: L-BFGS from the recoloured content", **_FAST),
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
