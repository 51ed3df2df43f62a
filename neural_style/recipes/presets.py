"""The recipes: the only home of numbers, each with where it comes from."""

from ..errors import unknown
from .recipe import Recipe


def _cited(name, summary, **settings):
    """Make a recipe of settings that are pairs of a value and its source; what no source has keeps its default."""
    values = {key: value for key, (value, _) in settings.items()}
    return Recipe.from_settings(name, summary, values, {key: source for key, (_, source) in settings.items()})


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
)

_NOTEBOOK = "the notebook's code"
_POSITIONS = "the notebook's code, by position; named after the convolution, but after its ReLU in the frozen graph"
_WEIGHTS = "the defaults of the notebook's function; its example run has 2.0, 9.0 and 0.4 for content, style, denoising"

_ADAPTIVE = dict(
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
_OBJECTIVE = (
    *("model", "pooling", "content_layers", "style_layers", "content_weight", "style_weight", "tv_weight"),
    *("content_norm", "style_norm", "tv_kind", "unit", "white"),
)
_LIKE_07 = "that of mxnet-0.7"
_OWN = "this project's, measured: the way to that objective with the fewest evaluations"

_FAST = dict(
    **{setting: (_MXNET_07[setting][0], _SAME) for setting in _OBJECTIVE},
    clip_gradient=(False, "L-BFGS compares values of the objective"),
    optimizer=("lbfgs", _OWN),
    history=(10, _OWN),
    stop_eps=(0.0, "single steps of L-BFGS say little of the rest of the way"),
    max_steps=(40, "this project's: well beyond where mxnet-0.7 stops"),
    max_long_edge=(600, _LIKE_07),
    style_size=("result", _LIKE_07),
    save_every=(10, "this project's"),
    remove_noise=(0.02, _LIKE_07),
    denoise_final=(True, _LIKE_07),
    initial=("recoloured", _OWN),
)

_PAINT_OWN = "this project's: looked at with several pairs at 256 to 512 pixels"
_PAINT_TIME = "this project's: about a minute at 512 pixels on two cores"
_CROWSON = "K. Crowson's style-transfer-pytorch"

_PAINT = dict(
    model=("vgg16", "this project's: the network whose low-rank form comes with it"),
    pooling=(
        "max",
        "that of VGG as trained; this project's eyes: strokes where average pooling leaves rings and cells",
    ),
    content_layers=(("relu4_2",), "arXiv:1508.06576"),
    style_layers=(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), "arXiv:1508.06576"),
    content_weight=(0.2, _PAINT_OWN),
    style_weight=(1.0, "this project's: relative losses, so that the objective begins near 1"),
    tv_weight=(2e-4, _PAINT_OWN),
    content_norm=("relative", "this project's: a weight means the same on every network and image"),
    style_norm=("relative", "this project's: a weight means the same on every network and style"),
    style_statistic=("moments", _CROWSON + ", which subtracts the mean; means as in arXiv:1703.06868"),
    style_layer_weights=((0.2, 0.25, 0.25, 0.2, 0.1), _PAINT_OWN),
    tv_kind=("mean-squared", "this project's: smooth images stay smooth, and edges stay at any size"),
    unit=("centred", "the input of the network"),
    white=(255.0, "the greatest grey level of 8 bits"),
    optimizer=("lbfgs", "the optimizer of Gatys et al.'s code"),
    history=(10, "that of fast; SciPy's default"),
    max_steps=(15, _PAINT_TIME),
    max_long_edge=(512, "that of the authors' PyTorch notebook (2017)"),
    pyramid=((60, 50, 40, 25), _PAINT_TIME),
    pyramid_least=(96, "this project's: at smaller sizes faces and other small subjects are lost"),
    clip_pixels=(True, "this project's: no black and white corners"),
    pyramid_factor=(2**0.5, _CROWSON + ", whose scales are a factor of the root of 2 apart"),
    style_size=("own", _CROWSON + ", which keeps the style's proportions"),
    save_every=(0, "this project's"),
    initial=("recoloured", "that of fast"),
)

_MOTIFS = dict(
    _PAINT,
    motif_weight=(1.0, "this project's: looked at with several pairs at 192 pixels; as much as the style's statistic"),
    motif_layers=(("relu3_1", "relu4_1"), "arXiv:1601.04589"),
)

_ONE_PASS = dict(
    generator=("any-style", "this project's: the network for any style that comes with it"),
    strength=(1.0, "the style as the network has learnt it"),
    max_long_edge=(1024, "this project's: a few seconds on two cores"),
)

RECIPES = {
    recipe.name: recipe
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
        _cited(
            "paint", "this project's own: means and covariances apart, relative losses, small sizes first", **_PAINT
        ),
        _cited("motifs", "paint, and every place like some place of the painting: its motifs come back", **_MOTIFS),
        _cited("one-pass", "a generator in place of an optimisation: any style in a few seconds", **_ONE_PASS),
    )
}
DEFAULT_RECIPE = "mxnet-0.7"  # of the original program's flags
RECOMMENDED_RECIPE = "paint"  # of the command stylize
OPTIMISING = {name: recipe for name, recipe in RECIPES.items() if recipe.feed_forward is None}


def get_recipe(name):
    """Return the recipe called `name`.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
