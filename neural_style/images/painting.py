"""A painting made by this project, for runs that have no other style at hand: a tide race in the evening.

It is built up as a painter would: a warm ground, a thin underpainting, broad strokes, then finer and finer ones. Every
stroke follows the lines of one flow, and every bristle of its brush leaves a streak. All lengths are in units of the
image's mean side, so that a seed gives the same strokes at every size.
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

SEA_SEED = 5

_INK = (18, 22, 58)
_INDIGO = (33, 46, 104)
_DEEP_TEAL = (14, 74, 94)
_TEAL = (32, 122, 132)
_TURQUOISE = (104, 178, 168)
_CREAM = (250, 236, 204)
_OCHRE = (222, 160, 52)
_GOLD = (246, 198, 92)
_CORAL = (226, 102, 74)
_ROSE = (196, 106, 122)
_VIOLET = (92, 62, 118)
_SIENNA = (140, 70, 44)

# Colours of each part of the scene, from shadow to light.
_SEA = (_INK, _INDIGO, _DEEP_TEAL, _TEAL, _TURQUOISE, _CREAM)
_SKY = (_INDIGO, _VIOLET, _ROSE, _CORAL, _OCHRE, _GOLD)
_LAND = (_INK, _VIOLET, _SIENNA)
_DISC = (_GOLD, _CREAM, _CREAM)
_GLITTER = (_CORAL, _OCHRE, _GOLD, _CREAM)

_HORIZON = 0.36  # as a fraction of the height
_SUN = (0.68, 0.24)  # as fractions of width and height
_SUN_RADIUS = 0.062

_FLATNESS = 0.72  # eddies are seen at an angle

_BRISTLE = 0.0034  # distance between two bristles
_OVERSAMPLING = 2  # painted larger, so that edges come out smooth
_SPACING = 0.75  # pixels between two samples of a stroke, so that hardly any pixel under it is missed


@dataclass(frozen=True)
class _Layer:
    """Strokes of one brush.

    Attributes
    ----------
    count : int
    width, length : float
        Of a typical stroke, in mean sides.
    stray : float
        How far its colour strays, as a fraction of the range from shadow to light.
    load : float
        How much paint the brush holds: with less, the stroke runs dry sooner.
    relief : float
        How thick the paint lies.
    """

    count: int
    width: float
    length: float
    stray: float
    load: float
    relief: float


_LAYERS = (
    _Layer(110, 0.080, 0.32, 0.10, 0.75, 0.3),
    _Layer(190, 0.050, 0.27, 0.14, 0.85, 0.7),
    _Layer(520, 0.028, 0.18, 0.18, 0.80, 1.0),
    _Layer(1100, 0.016, 0.12, 0.20, 0.80, 1.0),
    _Layer(900, 0.009, 0.08, 0.22, 0.95, 1.2),
)


def paint(size=(384, 512), seed=SEA_SEED):
    """Paint the painting.

    Parameters
    ----------
    size : tuple of int
        Height and width in pixels.
    seed : int
        Another seed gives another sea, sky and hand; the same seed gives the same painting, pixel for pixel.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3), RGB.
    """
    height, width = size
    rng = np.random.RandomState(seed)
    scene = _Scene(height, width, rng)
    canvas = _Canvas(height * _OVERSAMPLING, width * _OVERSAMPLING, seed)
    for layer in _LAYERS:
        for stroke in _plan(layer, scene, rng):
            canvas.lay(stroke, layer, rng)
    return canvas.finish(_OVERSAMPLING)


class _Scene:
    """What is painted: a direction and a colour at each point. Coordinates are in mean sides."""

    def __init__(self, height, width, rng):
        side = np.sqrt(height * width)
        self.height, self.width = height / side, width / side
        self.horizon = _HORIZON * self.height
        self.sun = _SUN[0] * self.width, _SUN[1] * self.height
        sway = rng.uniform(-0.03, 0.03, (3, 2))
        # x and y as fractions of width and height, radius, strength; the sign is the sense of rotation.
        places = ((0.30, 0.70, 0.19, 2.3), (0.80, 0.84, 0.13, -2.0), (0.60, 0.56, 0.065, 1.6))
        self.eddies = [
            ((x + dx) * self.width, (y + dy) * self.height, radius, strength)
            for (x, y, radius, strength), (dx, dy) in zip(places, sway)
        ]
        self.waves = [
            (rng.uniform(2, 9), rng.uniform(4, 16), rng.uniform(0, 2 * np.pi), amplitude)
            for amplitude in (0.030, 0.022, 0.014, 0.009)
        ]
        self.ripples = [(rng.uniform(-14, 14), rng.uniform(-14, 14), rng.uniform(0, 2 * np.pi)) for _ in range(6)]

    def stream(self, x, y):
        """Return the stream function, whose level lines the water and the air follow."""
        value = y.copy()
        for kx, ky, phase, amplitude in self.waves:
            value += amplitude * np.sin(kx * x + ky * y * 0.5 + phase)
        for cx, cy, radius, strength in self.eddies:
            value += strength * radius * np.exp(-((x - cx) ** 2 + ((y - cy) / _FLATNESS) ** 2) / radius**2)
        # The air parts before the sun as before a cylinder.
        dx, dy = x - self.sun[0], y - self.sun[1]
        near = np.maximum(dx**2 + dy**2, _SUN_RADIUS**2)
        air = dy * _SUN_RADIUS**2 / near * 1.5 - 0.26 * (x - self.sun[0]) * np.clip(1 - y / self.horizon, 0, 1)
        return value - np.where(y < self.horizon, air, 0)

    def direction(self, x, y):
        """Return the unit vector (..., 2) along which a stroke runs."""
        e = 1e-3
        along = self.stream(x, y + e) - self.stream(x, y - e)
        down = self.stream(x - e, y) - self.stream(x + e, y)
        calm = np.exp(-(((y - self.horizon) / 0.035) ** 2))  # the horizon is level
        along, down = along * (1 - calm) + 2 * e * calm, down * (1 - calm)
        land = self._land(x, y)
        along, down = np.where(land, 2 * e, along), np.where(land, 1.4 * e + 0.6 * e * np.sin(31 * x), down)
        for cx, cy, radius, strength in self.eddies:  # drawn inwards
            dx, dy = x - cx, (y - cy) / _FLATNESS
            distance = np.hypot(dx, dy) + 1e-3
            pull = np.sign(strength) * 0.30 * np.exp(-((distance / (1.3 * radius)) ** 2)) * np.hypot(along, down)
            along, down = along - pull * dx / distance, down - pull * dy / distance * _FLATNESS
        length = np.hypot(along, down) + 1e-9
        return np.stack([along / length, down / length], -1)

    def _land(self, x, y):
        u = x / self.width
        top = 0.115 * np.maximum(1 - u / 0.36, 0) ** 0.75 * (1 + 0.18 * np.sin(23 * u + 1) + 0.1 * np.sin(57 * u))
        above = self.horizon - y
        return (above < top) & (above > -0.012) & (u < 0.36)

    def _turns(self, x, y):
        # Twice the angle around an eddy: two arms.
        turns = 0
        for cx, cy, radius, strength in self.eddies:
            dx, dy = x - cx, (y - cy) / _FLATNESS
            near = np.exp(-(((dx**2 + dy**2) / (1.6 * radius) ** 2) ** 2))
            turns = turns + near * np.sign(strength) * 2 * np.arctan2(dy, dx)
        return turns

    def _noise(self, x, y):
        return sum(np.sin(kx * x + ky * y + phase) for kx, ky, phase in self.ripples) / len(self.ripples)

    def colours(self, x, y, stray, rng):
        """Return the colour (N, 3) of a stroke at each point, as a painter would mix it: close, but not exact."""
        n = len(x)
        stream, noise = self.stream(x, y), self._noise(x, y)
        wander = rng.randn(n) * stray

        depth = (y - self.horizon) / (self.height - self.horizon)
        turns = self._turns(x, y)
        bands = 0.62 * np.sin(2 * np.pi * 4.6 * stream + 2.4 * noise + turns)
        bands += 0.38 * np.sin(2 * np.pi * 11 * stream + 1.3 + 2 * turns)
        colour = _ramp(_SEA, 0.42 + 0.30 * bands + 0.10 * noise - 0.06 * depth + wander)
        reach = 0.05 + 0.13 * np.clip(depth, 0, 1)
        path = np.exp(-(((x - self.sun[0] - 0.03 * np.sin(30 * depth)) / reach) ** 2)) * (1 - 0.6 * depth)
        lit = (rng.uniform(0, 1, n) < path * (0.62 + 0.45 * bands)) & (depth > 0)
        colour = np.where(lit[:, None], _ramp(_GLITTER, 0.5 + 0.45 * bands + wander), colour)

        rise = np.maximum(y / self.horizon, 0)
        distance = np.hypot(x - self.sun[0], y - self.sun[1])
        glow = np.exp(-distance / 0.16)
        streaks = np.sin(2 * np.pi * 6.5 * stream + 2.2 * noise)
        air = _ramp(_SKY, 0.04 + 0.60 * rise**1.3 + 0.20 * streaks * (0.5 + 0.5 * rise) + 0.50 * glow + wander)
        sky = y < self.horizon
        colour = np.where(sky[:, None], air, colour)
        disc = sky & (distance < _SUN_RADIUS)
        colour = np.where(disc[:, None], _ramp(_DISC, 0.7 - 0.5 * distance / _SUN_RADIUS + wander), colour)
        land = self._land(x, y)
        colour = np.where(land[:, None], _ramp(_LAND, 0.35 + 0.5 * noise + 0.25 * np.sin(31 * x) + wander), colour)

        # Now and then the brush was not clean, or the painter set a contrasting accent.
        accent = rng.uniform(0, 1, n) < 0.035
        palette = np.array((_CORAL, _OCHRE, _TURQUOISE, _ROSE), float)
        answer = palette[rng.randint(0, len(palette), n)]
        return np.where(accent[:, None] & ~disc[:, None], 0.35 * colour + 0.65 * answer, colour)


def _ramp(palette, place):
    palette = np.array(palette, float)
    place = np.clip(place, 0, 1) * (len(palette) - 1)
    return np.stack([np.interp(place, np.arange(len(palette)), palette[:, c]) for c in range(3)], -1)


@dataclass(frozen=True)
class _Stroke:
    """A path (S, 2) in mean sides, a width, and two colours that are not fully mixed."""

    path: np.ndarray
    width: float
    colours: Tuple[np.ndarray, np.ndarray]


def _plan(layer, scene, rng):
    """Scatter the strokes of a layer evenly, let each follow the flow, and yield them in random order."""
    n = layer.count
    # Roberts' R2 sequence, which is even without being regular, slightly perturbed.
    at = (np.outer(np.arange(1, n + 1), (0.7548776662466927, 0.5698402909980532)) + rng.uniform(0, 1, 2)) % 1
    at = at + rng.randn(n, 2) * 0.3 / np.sqrt(n)
    x = (at[:, 0] * 1.1 - 0.05) * scene.width
    y = (at[:, 1] * 1.1 - 0.05) * scene.height
    lengths = layer.length * np.exp(rng.randn(n) * 0.35)
    widths = layer.width * np.exp(rng.randn(n) * 0.22)
    points, nodes = 12, []
    for way in (-1, 1):  # from the middle to both ends
        px, py, half = x, y, []
        pace = way * lengths / (2 * points)
        for _ in range(points):
            step = scene.direction(px, py)
            step = scene.direction(px + step[:, 0] * pace / 2, py + step[:, 1] * pace / 2)  # midpoint rule
            px, py = px + step[:, 0] * pace, py + step[:, 1] * pace
            half.append(np.stack([px, py], -1))
        nodes.append(half)
    paths = np.stack(nodes[0][::-1] + [np.stack([x, y], -1)] + nodes[1], 1)
    first = scene.colours(x, y, layer.stray, rng)
    second = scene.colours(x, y, layer.stray * 2, rng)
    for i in rng.permutation(n):
        yield _Stroke(paths[i], widths[i], (first[i], second[i]))


class _Canvas:
    """Wet paint: its colour and thickness."""

    def __init__(self, height, width, seed):
        self.grain = np.random.RandomState(seed)  # separate, because it depends on the number of pixels
        self.side = np.sqrt(height * width)
        # An extra row above and an extra column on the left catch what falls off there: indices below 0 are cast to 0.
        self.shape = height, width = height + 1, width + 1
        ground = np.array(_SIENNA, float) + 14 * self.grain.randn(height * width, 1)
        self.colour = ground.astype(np.float32)  # (H * W, 3)
        self.thickness = np.zeros(height * width, np.float32)

    def lay(self, stroke, layer, rng):
        """Draw one stroke, bristle by bristle; S points along it, T across."""
        height, width = self.shape
        path = stroke.path * self.side
        half = stroke.width * self.side / 2
        steps = np.hypot(*np.diff(path, axis=0).T)
        along = np.concatenate([[0], np.cumsum(steps)])
        s = np.linspace(0, 1, max(int(along[-1] / _SPACING), 2))
        points = np.stack([np.interp(s * along[-1], along, path[:, c]) for c in range(2)], -1).astype(np.float32)
        tangents = np.gradient(points, axis=0)
        tangents /= np.hypot(tangents[:, 0], tangents[:, 1])[:, None] + 1e-9
        normals = np.stack([-tangents[:, 1], tangents[:, 0]], -1)
        t = np.linspace(-1, 1, max(int(2 * half / _SPACING), 3))

        # Across the brush: bristles that differ in wetness, start and end.
        count = max(int(stroke.width / _BRISTLE), 2)
        knots = np.linspace(-1, 1, count + 1)
        streak = np.interp(t, knots, rng.randn(count + 1))
        begin = np.interp(t, knots, rng.uniform(0, 0.06, count + 1) + 0.05 * knots**2)
        end = 1 - np.interp(t, knots, rng.exponential(0.10, count + 1) + 0.06 * knots**2)
        wet = np.interp(t, knots, layer.load + 0.35 * rng.randn(count + 1))
        # Pressed down, and lifted off.
        swell = (np.minimum(1, 0.62 + 2.4 * s) * np.minimum(1, 0.35 + 2.2 * (1 - s))).astype(np.float32)

        across = normals[:, None] * (t * half).astype(np.float32)[:, None] * swell[:, None, None] + 1
        column, row = np.moveaxis((points[:, None] + across).astype(np.int32), 2, 0)
        # The paint runs out, and drags over what lies below.
        dry = np.interp(s, (0, 0.45, 1), (0.0, 0.15, 1.0)).astype(np.float32)[:, None]
        grain = self.grain.uniform(-0.5, 0.5, (len(s) // 6 + 1, len(t))).astype(np.float32)
        grain = np.repeat(grain, 6, 0)[: len(s)]
        laid = wet.astype(np.float32) + (0.5 * grain - 0.75) * dry > 0.12
        laid &= (s[:, None] >= begin) & (s[:, None] <= end)
        laid &= (column > 0) & (column < width) & (row > 0) & (row < height)
        place = (row * width + column)[laid]
        bristle = np.broadcast_to(np.arange(len(t)), laid.shape)[laid]

        mixing = np.clip(0.35 + 0.45 * streak, 0, 1)[:, None]
        colours = stroke.colours[0] * (1 - mixing) + stroke.colours[1] * mixing
        self.colour[place] = (colours * (1 + 0.10 * streak[:, None])).astype(np.float32)[bristle]
        ridge = layer.relief * (0.55 + 0.45 * streak + 0.55 * np.abs(t) ** 6)
        self.thickness[place] = 0.45 * self.thickness[place] + ridge.astype(np.float32)[bristle]

    def finish(self, factor):
        """Light the relief from the upper left, and reduce the painting to its size."""
        height, width = self.shape
        colour = self.colour.reshape(height, width, 3)[1:, 1:]
        relief = self.thickness.reshape(height, width)[1:, 1:]
        relief = _shrink(relief[..., None], factor)[..., 0]
        colour = _shrink(colour, factor)
        down, right = np.gradient(relief)
        light = -(0.8 * down + 0.6 * right)
        light = np.clip(light, -1.2, 1.2)[..., None]
        lit = colour * (1 + 0.16 * light) + 16 * np.maximum(light, 0) ** 2
        return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def _shrink(array, factor):
    height, width, channels = array.shape
    return array.reshape(height // factor, factor, width // factor, factor, channels).mean((1, 3))
