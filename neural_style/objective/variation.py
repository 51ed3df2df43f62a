"""Total variation: its gradient and its value as a symbol, and the executor that computes them.

As in MXNet's neural-style example, it has its own executor, whose output *is* the gradient.
"""

from .._mxnet import mx
from ..errors import unknown
from ..executors import bind

# Each pixel times 4 minus its four neighbours; the factor 1/8 is that of MXNet's example.
TV_KERNEL = ((0, -1 / 8, 0), (-1 / 8, 4 / 8, -1 / 8), (0, -1 / 8, 0))


def _quadratic_variation(image, shape, weight, own, below):
    kernel = mx.sym.Variable("kernel")
    # (1, C, H, W) -> C x (1, 1, H, W)
    slices = mx.sym.SliceChannel(image, num_outputs=shape[1])
    filtered = [
        mx.sym.Convolution(
            data=slices[i], weight=kernel, num_filter=1, kernel=(3, 3), pad=(1, 1), no_bias=True, name=f"tv{i}"
        )
        for i in range(shape[1])
    ]
    # C x (1, 1, H, W) -> (1, C, H, W)
    gradient = own(mx.sym.Concat(*filtered, dim=1) * weight)
    # (1, C, H, W), (1, C, H, W) -> (1,)
    value = mx.sym.dot(mx.sym.Reshape(own(image), shape=(-1,)), mx.sym.Reshape(gradient, shape=(-1,))) * 0.5
    return gradient, value


def _difference_variation(image, shape, weight, own, below, mean, square=False):
    gradient, value = image * 0, mx.sym.sum(image * 0)
    for axis in (2, 3):
        if shape[axis] < 2:
            continue
        pairs = shape[1] * (shape[axis] - 1) * shape[5 - axis]
        factor = weight / pairs if mean else weight
        ahead = mx.sym.slice_axis(image, axis=axis, begin=1, end=None)
        # (1, C, H - 1, W) or (1, C, H, W - 1)
        difference = ahead - mx.sym.slice_axis(image, axis=axis, begin=0, end=-1)
        # A vertical pair belongs to the strip of its lower row.
        counted = _crop_rows(difference, 0, below) if axis == 2 else own(difference)
        value = value + mx.sym.sum(mx.sym.square(counted) if square else mx.sym.abs(counted)) * factor
        slope = difference * 2 if square else mx.sym.sign(difference)
        # A difference pulls the pixel ahead one way and the pixel behind the other. Back to (1, C, H, W).
        before, after = [0] * 8, [0] * 8
        before[2 * axis], after[2 * axis + 1] = 1, 1
        for sign, width in ((factor, before), (-factor, after)):
            pull = slope * sign
            gradient = gradient + mx.sym.Pad(pull, mode="constant", constant_value=0, pad_width=tuple(width))
    return own(gradient), value


def _crop_rows(symbol, above, below):
    if not above and not below:
        return symbol
    return mx.sym.slice_axis(symbol, axis=2, begin=above, end=-below if below else None)


TV_KINDS = {
    "quadratic": _quadratic_variation,
    "absolute": lambda *arguments: _difference_variation(*arguments, mean=False),
    "mean-absolute": lambda *arguments: _difference_variation(*arguments, mean=True),
    "mean-squared": lambda *arguments: _difference_variation(*arguments, mean=True, square=True),
}


def total_variation_symbol(weight, shape, kind="quadratic", above=0, below=0):
    """Build the gradient of the total variation, and its value.

    ``quadratic`` is the stencil of MXNet's example. It is symmetric, zero-padded borders included, so its output is the
    gradient of ``weight/2 · ⟨x, stencil(x)⟩ = weight/16 · (Σ (xᵢ − xⱼ)² + Σ xₖ²)``. The first sum is over all pairs of
    neighbours, the second over the border with zero as the missing neighbour. At its border even a flat image is
    therefore pulled towards zero, which is the mean colour in the network's input space.

    ``absolute`` is ``weight · Σ |xᵢ − xⱼ|`` over all pairs of neighbours; the gradient of a pair of equal values is 0.
    ``mean-absolute`` replaces the sum by the mean over vertical pairs plus the mean over horizontal pairs, and
    ``mean-squared`` uses the same means of ``(xᵢ − xⱼ)²``, in the square of the image's unit. A flat image is not
    changed, not even at its border.

    Parameters
    ----------
    weight : float
        Factor of the total variation in the objective.
    shape : tuple of int
        (1, C, H, W) of the image.
    kind : str
        A name of `TV_KINDS`.
    above, below : int
        Rows of the input, 0 or 1, that belong to the strips above and below and are present only as neighbours; the
        outputs are those of the other rows. Over all strips of an image, the outputs are the rows of its gradient and
        the terms of its value.

    Returns
    -------
    mxnet.symbol.Symbol
        The inputs are ``image`` and, if quadratic, ``kernel`` (1, 1, 3, 3); the outputs are the gradient (1, C, H, W)
        and the value (1,).

    Raises
    ------
    SettingsError
        If there is no such kind.
    """
    if kind not in TV_KINDS:
        raise unknown("total variation", kind, TV_KINDS)

    def own(symbol):
        return _crop_rows(symbol, above, below)

    return mx.sym.Group(TV_KINDS[kind](mx.sym.Variable("image"), shape, weight, own, below))


# Number of pixels up to which total variation is computed whole: more than the recipes' own images have.
TV_STRIP = 2**19


class TVGradientExecutor:
    """The gradient of total variation, and its value.

    Bound to the image itself, which every `run` reads and never writes. See `total_variation_symbol` for the formula.
    Large images are computed in strips, because convolutions and differences need several times the memory of their
    input.

    Parameters
    ----------
    image : mxnet.nd.NDArray
        Float32 (1, C, H, W) on `ctx`.
    weight : float
        Factor of the total variation in the objective.
    ctx : mxnet.Context
    kind : str
        A name of `TV_KINDS`.
    strip : int
        Maximum number of pixels in a strip, which consists of at least two whole rows.

    Attributes
    ----------
    gradient : mxnet.nd.NDArray
        Of the image's shape, already multiplied by `weight`, at the last `run`.
    loss : mxnet.nd.NDArray
        Shape (1,), already multiplied by `weight`, at the last `run`.
    """

    def __init__(self, image, weight, ctx, kind="quadratic", strip=TV_STRIP):
        kernel = {"kernel": mx.nd.array([[TV_KERNEL]], ctx=ctx)}  # (1, 1, 3, 3)
        channels, height, width = image.shape[1:]
        rows = max(2, strip // width)
        self._image, self._strips, executors = image, [], {}
        if height <= rows:
            symbol = total_variation_symbol(weight, image.shape, kind)
            self._executor = bind(symbol, {"image": image}, kernel, ctx)
            self.gradient, self.loss = self._executor.outputs[:2]
            return
        self.gradient, self.loss = mx.nd.zeros(image.shape, ctx=ctx), mx.nd.zeros((1,), ctx=ctx)
        for begin in range(0, height, rows):
            end = min(begin + rows, height)
            above, below = int(begin > 0), int(end < height)
            key = above, end - begin, below
            if key not in executors:
                window = mx.nd.zeros((1, channels, above + end - begin + below, width), ctx=ctx)
                symbol = total_variation_symbol(weight, image.shape, kind, above, below)
                executors[key] = window, bind(symbol, {"image": window}, kernel, ctx)
            self._strips.append((slice(begin, end), slice(begin - above, end + below)) + executors[key])

    def run(self):
        """Compute `gradient` and `loss` for the current image, without waiting for the device."""
        if not self._strips:
            self.gradient, self.loss = self._executor.forward(is_train=False)[:2]
            return
        self.loss = mx.nd.zeros((1,), ctx=self._image.context)
        for own, rows, window, executor in self._strips:
            window[:] = self._image[:, :, rows]
            gradient, loss = executor.forward(is_train=False)[:2]
            self.gradient[:, :, own] = gradient
            self.loss += loss
