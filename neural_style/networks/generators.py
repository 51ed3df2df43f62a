"""Feed-forward generators: networks that make a stylised picture in one pass.

A generator makes a picture of a content image and, unless its style is trained in, of a style's code. A code is one
array: what a network sees in an image of the style, or the shares of styles that are stored in the parameters. The code
of a mixture of styles is the mean of theirs.

The parameters of a generator are an ordinary ``.params`` file, whose names begin with that of its kind, such as
``microast_content_conv1_weight``; numbers of channels, and of blocks, are those of the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from .._mxnet import mx
from ..errors import WeightsError
from . import end_to_end, johnson, magenta, microast, msg_net
from .blocks import Layers

# Where a code comes from, if there is one.
FROM_IMAGE, FROM_NUMBERS = "image", "numbers"

# Side of an image, in pixels, that every kind can take.
_SIDE = 64


@dataclass(frozen=True)
class Stage:
    """A part of a generator whose output depends only on what is near in its input, so that it can be made in tiles.

    Attributes
    ----------
    build : callable
        Builds the output with `blocks.Layers`, of symbols of the input and the code.
    halo : int
        How far beyond itself, in positions of the input, an output depends on it.
    """

    build: Callable
    halo: int


@dataclass(frozen=True)
class Stages:
    """A generator as parts between which features of the whole image are normalised, each channel by itself.

    Attributes
    ----------
    parts : tuple of Stage
        The first gets the content and the last one makes the picture; all but the first get normalised features.
    cell : int
        Pixels per feature along each axis.
    epsilon : float
        Added to the variance, which is unbiased, before its root.
    """

    parts: Tuple[Stage, ...]
    cell: int
    epsilon: float


@dataclass(frozen=True)
class Generator:
    """A kind of generator.

    Attributes
    ----------
    name : str
        Which the names of its parameters begin with.
    summary : str
        One line.
    transform : callable
        Builds the picture (N, 3, H, W) with `blocks.Layers`, of ``data`` (N, 3, H, W) and, if there is one, ``code``.
    code : {None, "image", "numbers"}
        Where the code comes from.
    encode : callable, optional
        Builds the code of an image ``style`` (N, 3, H, W).
    code_shape : callable, optional
        Returns the shape of a code without its first axis.
    unit, picture_unit : str
        Of content and style, and of the picture: names of `images.units.UNITS`.
    multiple, style_multiple : int
        Height and width of the content, and of an encoded style, must be multiples of this.
    least : int
        And at least this.
    margin : int
        Pixels at the edges of the picture that padding with zeros spoils.
    style_edge : int
        Long edge, in pixels, of the styles that it was trained with.
    stages : Stages, optional
        The same picture in parts that can be made in tiles, if there are such.
    """

    name: str
    summary: str
    transform: Callable
    code: Optional[str] = None
    encode: Optional[Callable] = None
    code_shape: Optional[Callable] = None
    unit: str = "levels"
    picture_unit: str = "levels"
    multiple: int = 4
    style_multiple: int = 4
    least: int = 16
    margin: int = 0
    style_edge: int = 512
    stages: Optional[Stages] = None

    def build(self, found: Mapping[str, Any]) -> Any:
        """Build the picture for parameters, objects with a shape by name."""
        return self.transform(Layers(self.name, found))

    def build_encoder(self, found: Mapping[str, Any]) -> Any:
        """Build the code of an image for parameters, objects with a shape by name."""
        assert self.encode is not None
        return self.encode(Layers(self.name, found))

    def shape_of_code(self, found: Mapping[str, Any]) -> Tuple[int, ...]:
        """Return the shape of a code without its first axis, of a generator that has codes."""
        assert self.code_shape is not None
        return tuple(self.code_shape(Layers(self.name, found)))

    def parameter_shapes(self, found: Mapping[str, Any]) -> Dict[str, Tuple[int, ...]]:
        """Return the names and shapes of the parameters that belong together with those that are there.

        Raises
        ------
        WeightsError
            If one is missing, or they are of networks that do not fit together.
        """
        shapes: Dict[str, Tuple[int, ...]] = {}
        try:
            inputs: Dict[str, Tuple[int, ...]] = {"data": (1, 3, _SIDE, _SIDE)}
            if self.code is not None:
                inputs["code"] = (1, *self.shape_of_code(found))
            symbols = [(self.build(found), inputs)]
            if self.encode is not None:
                symbols.append((self.build_encoder(found), {"style": (1, 3, _SIDE, _SIDE)}))
            for symbol, inputs in symbols:
                # Unlike infer_shape, this prints nothing if it fails.
                arguments, _, states = symbol.infer_shape_partial(**inputs)
                named = [*zip(symbol.list_arguments(), arguments), *zip(symbol.list_auxiliary_states(), states)]
                shapes.update((name, shape) for name, shape in named if name not in inputs)
        except mx.base.MXNetError as error:
            raise WeightsError(
                f"the shapes of the parameters do not fit together as a generator of kind {self.name}; get them again"
            ) from error
        return shapes


GENERATORS = {
    generator.name: generator
    for generator in (
        Generator(
            "microast",
            "MicroAST: any style, in one pass",
            microast.transform,
            code=FROM_IMAGE,
            encode=microast.encode,
            code_shape=microast.code_shape,
            unit="fractions",
            picture_unit="fractions",
            stages=Stages(
                (
                    Stage(microast.encode_content, microast.ENCODING_HALO),
                    Stage(microast.repaint, microast.REPAINTING_HALO),
                    Stage(microast.paint, microast.PAINTING_HALO),
                ),
                microast.CELL,
                microast.EPSILON,
            ),
        ),
        Generator("transformer_net", "Johnson's, by PyTorch's example: one style", johnson.transform_transformer_net),
        Generator(
            "fast_neural_style",
            "Johnson's, by his own program in Torch: one style",
            johnson.transform_torch,
            unit="centred",
            picture_unit="centred",
            least=64,
        ),
        Generator("ml5", "Johnson's, by L. Engstrom and ml5: one style", johnson.transform_ml5, margin=16),
        Generator(
            "pastiche",
            "Dumoulin's: several styles of its own",
            johnson.transform_pastiche,
            code=FROM_NUMBERS,
            code_shape=johnson.count_styles,
            unit="fractions",
            picture_unit="fractions",
        ),
        Generator(
            "magenta",
            "Magenta's arbitrary stylization with MobileNetV2: any style",
            magenta.transform,
            code=FROM_IMAGE,
            encode=magenta.encode,
            code_shape=magenta.code_shape,
            unit="fractions",
            picture_unit="fractions",
            style_multiple=32,
            style_edge=256,
        ),
        Generator(
            "msg_net",
            "MSG-Net of MXNet's Gluon example: any style, best one of those it was trained with",
            msg_net.transform,
            code=FROM_IMAGE,
            encode=msg_net.encode,
            code_shape=msg_net.code_shape,
        ),
        Generator(
            "end_to_end",
            "MXNet's end_to_end example: one style",
            end_to_end.transform,
            unit="centred",
            picture_unit="centred",
            multiple=8,
            margin=16,
        ),
    )
}


def find_generator_kind(found: Mapping[str, Any]) -> Optional[Generator]:
    """Return the kind of generator that parameters by name are of, or None if they are of none."""
    for name in found:
        for kind in GENERATORS:
            if name.startswith(kind + "_"):
                return GENERATORS[kind]
    return None
