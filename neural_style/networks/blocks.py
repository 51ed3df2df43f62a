"""Blocks of feed-forward networks as symbols: padding, convolutions, norms, upsampling, adaptive normalisation.

Activations are (N, C, H, W). Every block is composed of operators that all versions of MXNet 1.x have.
"""

from .._mxnet import mx
from ..errors import WeightsError

# What `Layers.convolution` puts around its input.
REFLECT, ZERO, SAME = "reflect", "zero", "same"


def pad(x, sides, mode=REFLECT):
    """Pad an activation; by reflection, the pixels of the edge are not repeated, as in PyTorch and NumPy.

    Parameters
    ----------
    x : mxnet.symbol.Symbol
    sides : int or (int, int)
        Pixels on every side, or before and after on both axes.
    mode : {"reflect", "zero", "edge"}
    """
    before, after = (sides, sides) if isinstance(sides, int) else sides
    if not before and not after:
        return x
    width = (0, 0, 0, 0, before, after, before, after)
    return mx.sym.pad(x, mode="constant" if mode == ZERO else mode, pad_width=width)


def mean(x):
    """Build the mean over all positions, (N, C, 1, 1).

    By products with ones, because MXNet's own means, like its InstanceNorm, run in one thread and without vector
    instructions.
    """
    # (N, C, H, W) -> (N, C, M)
    flat = mx.sym.reshape(x, shape=(0, 0, -1))
    ones = mx.sym.ones_like(mx.sym.slice_axis(flat, axis=1, begin=0, end=1))
    # (N, C, M) (N, M, 1) -> (N, C, 1)
    sums, count = (mx.sym.batch_dot(one, ones, transpose_b=True) for one in (flat, ones))
    return mx.sym.expand_dims(mx.sym.broadcast_div(sums, count), axis=3)


def statistics(x, epsilon, unbiased=False):
    """Build mean, centred activation and standard deviation.

    Parameters
    ----------
    x : mxnet.symbol.Symbol
    epsilon : float
        Added to the variance before its root.
    unbiased : bool
        Whether the variance is divided by one less than the number of positions; of a single position it is then 0.

    Returns
    -------
    tuple of mxnet.symbol.Symbol
        (N, C, 1, 1), (N, C, H, W) and (N, C, 1, 1).
    """
    center = mean(x)
    centred = mx.sym.broadcast_sub(x, center)
    variance = mean(mx.sym.square(centred))
    if unbiased:
        row = mx.sym.slice_axis(mx.sym.reshape(x, shape=(0, 0, -1)), axis=1, begin=0, end=1)
        count = mx.sym.sum(mx.sym.ones_like(row), axis=2, keepdims=True)
        factor = mx.sym.expand_dims(count / mx.sym.broadcast_maximum(count - 1, mx.sym.ones_like(count)), axis=3)
        variance = mx.sym.broadcast_mul(variance, factor)
    return center, centred, mx.sym.sqrt(variance + epsilon)


def normalise(x, epsilon, unbiased=False):
    """Bring every channel of every image to mean 0 and deviation 1: instance normalisation without scale and shift."""
    _, centred, deviation = statistics(x, epsilon, unbiased)
    return mx.sym.broadcast_div(centred, deviation)


def normalise_to_train(x, gamma, beta, epsilon, count, name):
    """Build instance normalisation with scale and shift that only an executor in training mode computes right.

    It is batch normalisation of one image that has all channels of all images. Its backward pass takes a tenth of the
    time of the composition, whose gradients of what is broadcast are sums in one thread. Outside training mode, batch
    normalisation uses moving means instead.

    Parameters
    ----------
    x : mxnet.symbol.Symbol
        (N, C, H, W).
    gamma, beta : mxnet.symbol.Symbol
        (C,).
    epsilon : float
        Added to the variance before its root.
    count : int
        N.
    name : str
        Of its two auxiliary states (N C,), which it writes and nobody needs.
    """
    # (N, C, H, W) -> (1, N C, H, W)
    together = mx.sym.expand_dims(mx.sym.reshape(x, shape=(-3, -2)), axis=0)
    gamma, beta = (mx.sym.tile(part, reps=(count,)) for part in (gamma, beta))
    normalised = mx.sym.BatchNorm(together, gamma, beta, eps=epsilon, fix_gamma=False, name=name)
    return mx.sym.reshape(mx.sym.reshape(normalised, shape=(-3, -2)), shape=(-4, count, -1, -2))


def scale_and_shift(x, gamma, beta):
    """Multiply and add per channel; gamma and beta are (N, C, 1, 1) or (1, C, 1, 1), and may be None."""
    x = x if gamma is None else mx.sym.broadcast_mul(x, gamma)
    return x if beta is None else mx.sym.broadcast_add(x, beta)


def per_channel(vector):
    """Bring a parameter (C,) to (1, C, 1, 1)."""
    return mx.sym.reshape(vector, shape=(1, -1, 1, 1))


def enlarge_nearest(x):
    """Double height and width by repetition."""
    return mx.sym.UpSampling(x, scale=2, sample_type="nearest")


def enlarge_bilinear(x, channels):
    """Double height and width as PyTorch does without ``align_corners``.

    A transposed convolution with a triangle filter of an activation that repeats its edge; two pixels on every side are
    the influence of what lies beyond that.
    """
    row = mx.sym.concat(*(mx.sym.full((1, 1, 1, 1), value) for value in (0.25, 0.75, 0.75, 0.25)), dim=3)
    column = mx.sym.transpose(row, axes=(0, 1, 3, 2))
    weight = mx.sym.tile(mx.sym.broadcast_mul(column, row), reps=(channels, 1, 1, 1))
    x = mx.sym.Deconvolution(
        pad(x, 1, "edge"), weight, num_filter=channels, kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_group=channels,
        no_bias=True,
    )  # fmt: skip
    return mx.sym.slice(x, begin=(None, None, 2, 2), end=(None, None, -2, -2))


def relu(x):
    """Rectify."""
    return mx.sym.Activation(x, act_type="relu")


# Of 2 x 2 pixels, and channels for which kernels for the CPU take their least time.
_PHASES, _FEWEST = 4, 16


def _surround(x, padding, kernel, stride, side):
    """Pad what a convolution eats, "same" as TensorFlow does for an even number of pixels."""
    if padding == SAME:
        total = max(kernel - stride, 0)
        return pad(x, (total // 2, total - total // 2), ZERO)
    return pad(x, side, padding)


def _by_phase(weight):
    """Build four of each weight (O, C, k, k), moved by 0 or 1 pixels down and across, (4 O, C, k + 1, k + 1)."""
    widths = ((0, 0, 0, 0, down, 1 - down, across, 1 - across) for down in (0, 1) for across in (0, 1))
    return mx.sym.concat(*(mx.sym.pad(weight, mode="constant", pad_width=width) for width in widths), dim=0)


def _to_phases(x, weight, outputs, bias=None):
    """Convolve by 1 x 1 and make channels of 2 x 2 pixels: (N, C, 2 H, 2 W) -> (N, 4 O, H, W)."""
    arguments = [x, _by_phase(weight)]
    if bias is not None:
        arguments.append(mx.sym.tile(bias, reps=(_PHASES,)))
    return mx.sym.Convolution(
        *arguments, num_filter=_PHASES * outputs, kernel=(2, 2), stride=(2, 2), no_bias=bias is None
    )


class Layers:
    """Makes the layers of a network whose sizes are those of its parameters.

    Parameters
    ----------
    prefix : str
        Of the names of the parameters, without the underscore.
    found : mapping of str to object
        Parameters by name: objects with a shape.
    """

    def __init__(self, prefix, found):
        self._prefix, self._found = prefix, found

    def shape(self, name):
        """Return the shape of a parameter.

        Raises
        ------
        WeightsError
            If there is none.
        """
        name = f"{self._prefix}_{name}"
        if name not in self._found:
            raise WeightsError(f"there is no parameter {name}; these are not all the weights of the generator")
        return tuple(self._found[name].shape)

    def has(self, name):
        """Return whether there is a parameter."""
        return f"{self._prefix}_{name}" in self._found

    def variable(self, name, inferred=False):
        """Return a parameter; `inferred` says that its shape follows from what uses it, so that it can be checked."""
        shape = self.shape(name)
        return mx.sym.Variable(f"{self._prefix}_{name}", shape=None if inferred else shape)

    def channels(self, name):
        """Return the number of channels that a convolution makes."""
        return self._weight_shape(name)[0]

    def _weight_shape(self, name):
        shape = self.shape(f"{name}_weight")
        if len(shape) != 4 or min(shape) < 1:
            raise WeightsError(f"parameter {self._prefix}_{name}_weight has shape {shape}, which is no convolution's")
        return shape

    def convolution(self, x, name, stride=1, padding=REFLECT, side=None, inputs=None):
        """Build a convolution, with a bias if there is one among the parameters.

        Parameters
        ----------
        x : mxnet.symbol.Symbol
        name : str
            ``<name>_weight`` (C_out, C_in / groups, k, k) and ``<name>_bias`` (C_out,).
        stride : int
        padding : {"reflect", "zero", "same"}
            The first two pad (k - 1) / 2 pixels unless `side` says otherwise; "same" is TensorFlow's, for an even
            number of pixels.
        side : int, optional
            Pixels to pad on each side.
        inputs : int, optional
            Channels of `x`, where the convolution may be in groups.
        """
        outputs, of_group, kernel, across = self._weight_shape(name)
        weight = self.variable(f"{name}_weight", inferred=True)
        bias = self.variable(f"{name}_bias", inferred=True) if self.has(f"{name}_bias") else None
        side = kernel // 2 if side is None else side
        own = side if padding == ZERO else 0
        if padding != ZERO:
            x = _surround(x, padding, kernel, stride, side)
        arguments = [x, weight] if bias is None else [x, weight, bias]
        return mx.sym.Convolution(
            *arguments,
            num_filter=outputs,
            kernel=(kernel, across),
            stride=(stride, stride),
            pad=(own, own),
            num_group=1 if inputs is None else max(1, inputs // of_group),
            no_bias=bias is None,
        )

    def few_channels(self, x, name, padding=REFLECT, before=None):
        """Build a convolution to few channels, with an odd kernel and for even sides, four pixels at a time.

        Kernels for the CPU take at least the time of 16 output channels. An image has 3, but 12 where 2 x 2 pixels are
        one position with four times the channels; a kernel of 9 x 9 is then one of 5 x 5.

        Parameters
        ----------
        x : mxnet.symbol.Symbol
        name : str
            As for `convolution`.
        padding : {"reflect", "zero", "same"}
        before : str, optional
            Of a convolution 1x1 with bias, followed by a ReLU, through which `x` goes first; only with reflection.
        """
        outputs, inputs, kernel, _ = self._weight_shape(name)
        x = _surround(x, padding, kernel, 1, kernel // 2)
        if before is None:
            x = _to_phases(x, mx.sym.reshape(mx.sym.eye(inputs), shape=(inputs, inputs, 1, 1)), inputs)
        else:
            weight, bias = (self.variable(f"{before}_{part}") for part in ("weight", "bias"))
            x = relu(_to_phases(x, weight, inputs, bias))
        # (4 O, C, k + 1, k + 1) -> (4 O, C, half, 2, half, 2) -> (4 O, 2, 2, C, half, half) -> (4 O, 4 C, half, half)
        half, computed = (kernel + 1) // 2, max(_PHASES * outputs, _FEWEST)
        weight = mx.sym.reshape(_by_phase(self.variable(f"{name}_weight")), shape=(0, 0, half, 2, half, 2))
        weight = mx.sym.transpose(weight, axes=(0, 3, 5, 1, 2, 4))
        weight = mx.sym.reshape(weight, shape=(-1, _PHASES * inputs, half, half))
        more = computed - _PHASES * outputs
        if more:
            weight = mx.sym.concat(weight, mx.sym.zeros((more, _PHASES * inputs, half, half)), dim=0)
        x = mx.sym.Convolution(x, weight, num_filter=computed, kernel=(half, half), no_bias=True)
        # Back from channels to pixels: the transposed convolution by ones.
        one = mx.sym.reshape(mx.sym.eye(outputs), shape=(outputs, outputs, 1, 1))
        back = _by_phase(one)
        if more:
            back = mx.sym.concat(back, mx.sym.zeros((more, outputs, 2, 2)), dim=0)
        arguments, biased = [x, back], self.has(f"{name}_bias")
        if biased:
            arguments.append(self.variable(f"{name}_bias"))
        return mx.sym.Deconvolution(*arguments, num_filter=outputs, kernel=(2, 2), stride=(2, 2), no_bias=not biased)

    def instance_norm(self, x, name, epsilon=1e-5):
        """Build instance normalisation, with ``<name>_gamma`` and ``<name>_beta`` if there are such parameters."""
        parts = (f"{name}_gamma", f"{name}_beta")
        return scale_and_shift(
            normalise(x, epsilon), *(per_channel(self.variable(part)) if self.has(part) else None for part in parts)
        )
