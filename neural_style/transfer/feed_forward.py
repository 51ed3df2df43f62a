"""A run of one step: a generator makes the picture in one pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError
from ..executors import bind
from ..images import sizing, units
from ..networks.blocks import Layers
from ..networks.generators import FROM_IMAGE, FROM_NUMBERS, Generator
from ..recipes.recipe import Recipe
from ..weights.generators import check_generator, check_imported, find_generator, read_generator
from .compute import Compute, choose_device
from .controls import Controls
from .finishing import Finishing
from .inputs import Style, image_size
from .optimisation import NO_MEMORY
from .run import Result, Run, RunState, Step, StopReason

log = logging.getLogger(__name__)

# Side, in pixels, above which what is local is computed in tiles of about this side, whose arrays fit into a cache.
_TILE = 384


class FeedForwardRun(Run):
    """See `transfer.stylize.begin`, whose parameters these are, the styles as a sequence of `inputs.Style`."""

    def __init__(
        self,
        content: np.ndarray,
        styles: Sequence[Style],
        recipe: Recipe,
        start: Optional[np.ndarray],
        seed: Optional[int],
        weights: Any,
        compute: Compute,
        resume: Optional[RunState],
        controls: Controls,
    ) -> None:
        super().__init__(recipe, seed, [])
        if controls.strength is not None or any(style.mask is not None for style in styles):
            raise SettingsError("masks of styles and of strength are of no use with a picture made in one pass")
        for setting, value in (("start", start), ("resume", resume), ("tile_size", compute.tile_size)):
            if value is not None and not (setting == "tile_size" and value == 0):
                raise SettingsError(f"`{setting}` is of no use with a picture made in one pass; leave it out")
        if compute.precision == "bf16":
            raise SettingsError("`precision` bf16 is not for generators; use float32")
        self._ctx = choose_device(compute.gpu)
        self._kind, self._parameters = load_generator(recipe, weights, self._ctx)
        check_styles(self._kind, len(styles), recipe)
        self._content, self._styles = content, styles
        self._finishing = Finishing(content, recipe.colours.colors, controls)
        self._picture: Any = None
        self._result: Optional[Result] = None

    def _steps(self) -> Iterator[Step]:
        if self._asked_to_stop:
            return
        size, unit = image_size(self._content, self.recipe.size), units.get_unit(self._kind.unit)
        log.info("content %d x %d pixels, resized to %d x %d", *self._content.shape[1::-1], *size[::-1])
        content = units.to_network(sizing.resize(self._content, size), 255, unit)
        painter = Painter(self._kind, self._parameters, self._ctx)
        try:
            picture = self._paint(painter, content)
        except (MemoryError, mx.base.MXNetError) as error:
            found = NO_MEMORY.search(str(error))
            if found is None and not isinstance(error, MemoryError):
                raise
            raise SettingsError(
                f"not enough memory for a picture of {size[1]} x {size[0]} pixels in one pass "
                f"({found.group() if found else 'allocation failed'}); choose a smaller `max_long_edge`"
            ) from error
        self.canvas = mx.nd.array(picture)
        self._picture, self.reason = picture, StopReason.ONE_PASS
        self.history.append(_describe(picture, content))
        yield self.history[-1]

    def _paint(self, painter: Painter, content: np.ndarray) -> np.ndarray:
        """Return the picture, float32 (1, 3, H, W) in its unit, of a content of the same shape in the generator's."""
        picture = painter.paint(content, self._code(painter, content))
        if self._kind.code == FROM_IMAGE or self._method.strength == 1:
            return picture
        unit = units.get_unit(self._kind.unit)
        before = (content * unit.levels + _means(unit) - _means(self._picture_unit)) / self._picture_unit.levels
        return picture * self._method.strength + before * (1 - self._method.strength)

    @property
    def _method(self) -> Any:
        return self.recipe.method

    @property
    def _picture_unit(self) -> units.Unit:
        return units.get_unit(self._kind.picture_unit)

    def _code(self, painter: Painter, content: np.ndarray) -> Optional[np.ndarray]:
        """Return the code of the styles: the mean of theirs, between that of the content and beyond it."""
        if self._kind.code is None:
            return None
        if self._kind.code == FROM_NUMBERS:
            return painter.shares(self._method.style_numbers)
        edge = (self._method.style_edge or self._kind.style_edge) * self.recipe.size.style_scale
        codes, unit = [], units.get_unit(self._kind.unit)
        for style in self._styles:
            size = sizing.long_edge_size(style.image.shape, max(1, round(edge * style.scale)))
            codes.append(painter.encode(units.to_network(sizing.resize(style.image, size), 255, unit)))
        total = sum(style.weight for style in self._styles)
        code = sum(one * (style.weight / total) for one, style in zip(codes, self._styles))
        strength = self._method.strength
        return code if strength == 1 else strength * code + (1 - strength) * painter.encode(content)

    @property
    def has_converged(self) -> bool:
        """A picture made in one pass does not converge."""
        return False

    def image(self) -> np.ndarray:
        """See `Run`."""
        return self._finishing(to_image(self._picture, self._picture_unit))

    def state(self) -> Optional[RunState]:
        """See `Run`; there is nothing to resume."""
        return None

    @property
    def result(self) -> Result:
        """See `Run`; before the step, its image is the content's size in black."""
        if self._result is None or self._result.reason is not self.reason:
            if self._picture is None:
                self._picture = np.zeros((1, 3, *image_size(self._content, self.recipe.size)), np.float32)
            self._result = Result(self.image(), self._picture, self.reason, list(self.history), self.recipe, self.seed)
        return self._result


class Painter:
    """A generator bound to sizes as they come.

    Parameters
    ----------
    kind : networks.generators.Generator
    parameters : mapping of str to mxnet.nd.NDArray
    ctx : mxnet.Context
    """

    def __init__(self, kind: Generator, parameters: Mapping[str, Any], ctx: Any) -> None:
        self._kind, self._parameters, self._ctx = kind, parameters, ctx

    def encode(self, style: np.ndarray) -> np.ndarray:
        """Return the code of a style, float32 (1, 3, H, W) in the generator's unit; images of any size will do."""
        style, _ = self._padded(style, 0, self._kind.style_multiple)
        return self._forward(self._kind.build_encoder(self._parameters), {"style": style})

    def shares(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the code that mixes in equal parts the styles of some numbers, from 1.

        Raises
        ------
        SettingsError
            If there is no such style.
        """
        (count,) = self._kind.shape_of_code(self._parameters)
        if not numbers or max(numbers) > count:
            raise SettingsError(f"`style_numbers` must be of the styles in the generator, 1 to {count}")
        code = np.zeros((1, count), np.float32)
        for number in numbers:
            code[0, number - 1] += 1 / len(numbers)
        return code

    def paint(self, content: np.ndarray, code: Optional[np.ndarray]) -> np.ndarray:
        """Return the picture, float32 (1, 3, H, W), of a content of the same shape, in the generator's units."""
        height, width = content.shape[2:]
        padded, before = self._padded(content, self._kind.margin, self._kind.multiple)
        if self._kind.stages is not None and max(padded.shape[2:]) > _TILE:
            picture = self._paint_in_stages(padded, code)
        else:
            inputs = {"data": padded} if code is None else {"data": padded, "code": code}
            picture = self._forward(self._kind.build(self._parameters), inputs)
        return picture[:, :, before : before + height, before : before + width]

    def _paint_in_stages(self, content: np.ndarray, code: Optional[np.ndarray]) -> np.ndarray:
        """Paint in tiles, and between stages only measure what depends on the whole image: exactly, up to rounding."""
        stages, layers = self._kind.stages, Layers(self._kind.name, self._parameters)
        assert stages is not None
        data, cell = mx.sym.Variable("data"), stages.cell
        others = {} if code is None else {"code": code}
        first, *between, last = stages.parts
        symbol = first.build(layers, data, mx.sym.Variable("code"))
        array = self._in_tiles(symbol, content, others, _TILE, first.halo, (1, cell))
        normalised = mx.sym.broadcast_div(
            mx.sym.broadcast_sub(data, mx.sym.Variable("center")), mx.sym.Variable("deviation")
        )
        for stage in (*between, last):
            log.debug("%s: %d x %d features of the whole image", self._kind.name, *array.shape[:1:-1])
            others.update(zip(("center", "deviation"), measure_statistics(array, stages.epsilon)))
            symbol, times = stage.build(layers, normalised, mx.sym.Variable("code")), cell if stage is last else 1
            array = self._in_tiles(symbol, array, others, _TILE // cell, stage.halo, (times, 1))
        return array

    def _in_tiles(
        self,
        symbol: Any,
        array: np.ndarray,
        others: Mapping[str, np.ndarray],
        tile: int,
        halo: int,
        scale: Tuple[int, int],
    ) -> np.ndarray:
        """Compute a symbol of ``data`` in windows; its output has a fraction `scale` of the positions per axis."""
        times, over = scale
        height, width = array.shape[2:]
        rows, columns = (cut_windows(side, tile, halo, over) for side in (height, width))
        # Windows of an axis are of one length.
        window = mx.nd.empty((1, array.shape[1], rows[0][1], columns[0][1]), ctx=self._ctx)
        inputs = {name: mx.nd.array(value, ctx=self._ctx) for name, value in others.items()}
        executor = bind(symbol, {"data": window, **inputs}, self._parameters, self._ctx)
        whole: Any = None
        for top, tall, first_row, last_row in rows:
            for left, wide, first, last in columns:
                window[:] = array[:, :, top : top + tall, left : left + wide]
                part = executor.forward(is_train=False)[0].asnumpy()
                if whole is None:
                    shape = (1, part.shape[1], height * times // over, width * times // over)
                    whole = np.empty(shape, np.float32)
                place, inside = (
                    tuple(slice((n - begin) * times // over, (m - begin) * times // over) for n, m, begin in ends)
                    for ends in (
                        ((first_row, last_row, 0), (first, last, 0)),
                        ((first_row, last_row, top), (first, last, left)),
                    )
                )
                whole[(slice(None), slice(None), *place)] = part[(slice(None), slice(None), *inside)]
        return whole

    def _padded(self, canvas: np.ndarray, margin: int, multiple: int) -> Tuple[np.ndarray, int]:
        """Reflect a canvas to sides that the generator can take, and say how many pixels come before it."""
        pads = [(0, 0), (0, 0)]
        for side in canvas.shape[2:]:
            whole = -(-max(side + 2 * margin, self._kind.least) // multiple) * multiple
            pads.append((margin, whole - side - margin))
        return np.pad(canvas, pads, "reflect"), margin

    def _forward(self, symbol: Any, inputs: Dict[str, np.ndarray]) -> np.ndarray:
        arrays = {name: mx.nd.array(value, ctx=self._ctx) for name, value in inputs.items()}
        return bind(symbol, arrays, self._parameters, self._ctx).forward(is_train=False)[0].asnumpy()


def measure_statistics(features: np.ndarray, epsilon: float) -> Tuple[np.ndarray, np.ndarray]:
    """Return mean and unbiased deviation of every channel of features (1, C, H, W), float32 (1, C, 1, 1) each."""
    channels = features.reshape(features.shape[1], -1)
    center, deviation = np.empty((2, len(channels)))
    for number, channel in enumerate(channels):
        center[number] = channel.mean(dtype=np.float64)
        centred = channel - np.float32(center[number])
        deviation[number] = np.dot(centred, centred) / max(len(channel) - 1, 1)
    shape = (1, -1, 1, 1)
    return (
        center.reshape(shape).astype(np.float32),
        np.sqrt(deviation + epsilon).reshape(shape).astype(np.float32),
    )


def cut_windows(side: int, tile: int, halo: int, cell: int = 1) -> List[Tuple[int, int, int, int]]:
    """Cut a side into windows of one length, near a tile's, that overlap as little as they must.

    Parameters
    ----------
    side, tile, halo : int
    cell : int
        Windows begin and end at multiples of this, of which side and halo are multiples.

    Returns
    -------
    list of (int, int, int, int)
        Begin and length of a window, and the first position and the one after the last that are taken from it: those
        at least `halo` from where it was cut.
    """
    count = max(1, round(side / tile))
    length = -(-(side + 2 * halo * (count - 1)) // (count * cell)) * cell
    windows, done = [], 0
    for number in range(count):
        begin = min(number * (length - 2 * halo), side - length)
        until = side if number == count - 1 else begin + length - halo
        windows.append((begin, length, done, until))
        done = until
    return windows


def load_generator(recipe: Recipe, weights: Any, ctx: Any) -> Tuple[Generator, Dict[str, Any]]:
    """Load the generator of a recipe.

    Parameters
    ----------
    recipe : Recipe
    weights : str, pathlib.Path, mapping of str to array, or None
        The parameters themselves, or their file; None to find the recipe's generator.
    ctx : mxnet.Context

    Raises
    ------
    WeightsError
        If there is none, or it cannot be used.
    """
    if isinstance(weights, Mapping):
        arrays = {name: np.asarray(getattr(a, "asnumpy", lambda a=a: a)()) for name, a in weights.items()}
        kind, parameters = check_generator(arrays, "the given weights"), check_imported(arrays, "the given weights")
    else:
        path = find_generator(recipe.network) if weights is None else weights
        kind, parameters = read_generator(path)
    return kind, {name: mx.nd.array(value, ctx=ctx) for name, value in parameters.items()}


def check_styles(kind: Generator, count: int, recipe: Recipe) -> None:
    """Check that a generator gets as many styles as it needs.

    Raises
    ------
    SettingsError
        If it takes its style from an image and there is none, or has its own and there is one.
    """
    if kind.code == FROM_IMAGE and not count:
        raise SettingsError(f"{recipe.network} takes the style from an image; name one")
    if kind.code != FROM_IMAGE and count:
        raise SettingsError(f"{recipe.network} has styles of its own and takes none from an image; leave it out")
    if kind.code != FROM_NUMBERS and recipe.method.style_numbers:
        raise SettingsError(f"`style_numbers` is of no use with {recipe.network}, whose styles have none; leave it out")


def to_image(picture: np.ndarray, unit: units.Unit) -> np.ndarray:
    """Turn a picture, float32 (1, 3, H, W), into an image, uint8 (H, W, 3), rounding to the nearest grey level."""
    levels = picture[0].transpose(1, 2, 0) * np.float32(unit.levels) + np.asarray(unit.means, np.float32)
    return np.ascontiguousarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _means(unit: units.Unit) -> np.ndarray:
    return np.asarray(unit.means, np.float32).reshape((1, 3, 1, 1))


def _describe(picture: np.ndarray, content: np.ndarray) -> Step:
    norm = float(np.linalg.norm(picture))
    change = float(np.linalg.norm(picture - content)) / norm if norm else 0.0
    return Step(1, {}, 0.0, 0.0, float("inf"), 0.0, change, 0)
