"""Limited-memory BFGS on MXNet's arrays.

The inverse Hessian has the compact form of Byrd, Nocedal & Schnabel, Math. Program. 63 (1994) 129: two operations on
all pairs together, where the usual recursion needs four on each. The line search is that of Nocedal & Wright, Numerical
Optimization, 2nd ed. (2006), algorithms 3.5 and 3.6 with cubic interpolation; its constants are those of the program
L-BFGS-B (Zhu, Byrd, Lu & Nocedal, ACM Trans. Math. Softw. 23 (1997) 550), which SciPy and others use. Bounds are
enforced by projection (Bertsekas, SIAM J. Control Optim. 20 (1982) 221).

Images and everything computed from them stay on the device in float32. The host reads a few numbers per evaluation,
because the next step length depends on them.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from .._mxnet import mx
from ..errors import SettingsError

# Of L-BFGS-B, subroutine lnsrlb: sufficient decrease, curvature, the relative width below which a bracket is not
# divided further, and the maximum number of evaluations per line search.
_DECREASE = 1e-3
_CURVATURE = 0.9
_WIDTH = 0.1
_MOST_EVALUATIONS = 20

# Of Moré & Thuente, ACM Trans. Math. Softw. 20 (1994) 286: how far beyond the last two points to search for a minimum,
# in units of their distance, and the fraction of its width to which a bracket must shrink in two trials.
_NEAREST, _FARTHEST = 1.1, 4.0
_SHRINKAGE = 0.66

# Fraction of the loss that the first step without a history would remove if the objective had no curvature. It depends
# neither on the unit of the image nor on that of the loss, and is large enough for float32. L-BFGS-B starts with a
# displacement of length 1, which costs three to six more evaluations on a small image, and more on larger images.
_FIRST = 0.1

# Fraction of the step that is kept when a trial is not finite.
_RETREAT = 0.1

_EPS = float(np.finfo(np.float32).eps)

# Maximum number of elements in an array; MXNet's usual builds count them in 32 bits.
_MOST_ELEMENTS = 2**31 - 1


class LBFGS:
    """Minimises an objective of an image by L-BFGS with a strong Wolfe line search.

    Parameters
    ----------
    image : mxnet.nd.NDArray
        Float32, of any shape: the image that `step` will receive, or another one of the same shape and context.
    history : int
        Number of pairs of displacement and gradient change to keep; the default is SciPy's. They need the memory of
        2 · history + 4 images, and temporarily of a few more if there are bounds.
    bounds : tuple of mxnet.nd.NDArray, optional
        Smallest and largest values, of a shape that broadcasts to the image's.

    Attributes
    ----------
    learning_rate : float
        Length of the last step in units of the quasi-Newton step, or of the gradient if there was no history; 0 before
        the first step and after a step that found no lower point.
    stalled : bool
        Whether the last step found no lower point, not even along the steepest descent: the image is at a minimum to
        the precision of float32, or the objective is not finite. The image is then as it was before the step.

    Raises
    ------
    SettingsError
        If the history has no room for a pair, or a lower bound is not less than the upper one.
    """

    def __init__(self, image, history=10, bounds=None):
        if history < 1:
            raise SettingsError(f"the history of L-BFGS is {history}; it must be 1 or more")
        if bounds is not None:
            width = bounds[1] - bounds[0]
            if not width.min().asscalar() > 0:
                raise SettingsError("a lower bound of L-BFGS is not less than the upper one; exchange them")
            self._width = float(width.mean().asscalar())
        self._bounds = bounds
        self._shape, self._size, self._ctx = image.shape, image.size, image.context
        # The start of the current or next step.
        self._origin, self._gradient = self._new_array(), self._new_array()
        self._direction = self._new_array()
        self._pairs = _Pairs(history, image.shape, image.context)
        self.reset()

    def reset(self):
        """Forget everything; call it after the image or the objective was changed from outside."""
        self.renew()
        self._pairs.clear()
        self.learning_rate = 0.0

    def renew(self):
        """Forget loss and gradient, not the curvature: the objective has become another one much like it."""
        self._evaluation = None
        self.stalled = False

    def step(self, image, evaluate):
        """Move the image to a lower point.

        Parameters
        ----------
        image : mxnet.nd.NDArray
            Changed in place to trial points, and finally to the accepted one. The first step also projects it between
            the bounds, before anything is evaluated.
        evaluate : callable
            Computes the objective of the current `image`. The result has ``gradient``, an NDArray of the image's shape
            that the next call may overwrite, and ``loss``, a float. It is usually called once per step, once more in
            the first step after the start, `reset` or `load`, and at most 41 times.

        Returns
        -------
        object
            The result of `evaluate` for the image before the step. Its loss has been read; its gradient may have been
            overwritten.
        """
        image = image.reshape((-1,))
        if self._evaluation is None:
            self._project(image)
            self._depart_from(image, evaluate())
        before = self._evaluation
        if self._pairs:
            scale = self._pairs.scale
            moved = self._descend(image, evaluate, 1.0)
            if not moved:
                self._pairs.clear()
                moved = self._descend(image, evaluate, scale)
        else:
            moved = self._descend(image, evaluate)
        if not moved:
            self.learning_rate = 0.0
        self.stalled = not moved
        return before

    def state(self):
        """Return what `load` needs, together with the current image, to continue bit for bit.

        Returns
        -------
        dict of str to numpy.ndarray
            It does not contain loss and gradient: the step after `load` evaluates the image once more.
        """
        state = {"learning_rate": np.float64(self.learning_rate), "stalled": np.bool_(self.stalled)}
        return dict(state, **self._pairs.state())

    def load(self, state):
        """Continue from a `state`; the image must be as it was when the state was saved.

        Raises
        ------
        SettingsError
            If the state belongs to an image with another number of elements, or has a longer history.
        """
        self.reset()
        self.learning_rate, self.stalled = float(state["learning_rate"]), bool(state["stalled"])
        self._pairs.restore(state)

    def _new_array(self):
        return mx.nd.empty((self._size,), ctx=self._ctx)

    def _depart_from(self, image, evaluation):
        self._evaluation, self._loss = evaluation, float(evaluation.loss)
        image.copyto(self._origin)
        evaluation.gradient.reshape((-1,)).copyto(self._gradient)

    def _descend(self, image, evaluate, length=None):
        """Search along the quasi-Newton direction; if there is no lower point, restore the image and return False."""
        self._aim()
        (slope,) = _read(mx.nd.dot(self._gradient, self._direction))
        if not (math.isfinite(self._loss) and -math.inf < slope < 0):
            return False
        if length is None:
            length = _FIRST * abs(self._loss) / -slope or 1.0
            if self._bounds is not None:
                # Nor so far that most elements are at a bound, where the path carries no information.
                length = min(length, _FIRST * self._width * math.sqrt(self._size / -slope))
        start = _Trial(0.0, self._loss, slope, 0.0, self._evaluation)
        found = _search(start, length, lambda trial_length: self._try(image, evaluate, trial_length, slope))
        if found is None:
            self._origin.copyto(image)
            return False
        self.learning_rate = found.length
        self._remember_way_to(image, found.evaluation)
        self._depart_from(image, found.evaluation)
        return True

    def _aim(self):
        """Set the direction to minus the gradient times the inverse Hessian that the pairs represent."""
        direction = self._direction
        self._gradient.copyto(direction)
        direction *= -1
        if self._bounds is not None:
            # Elements that the gradient pushes against a bound stay there; the others form their own problem.
            free = self._free(self._origin, direction)
            direction *= free
        if self._pairs:
            self._pairs.turn(direction)
        if self._bounds is not None:
            direction *= free
            direction *= self._free(self._origin, direction)

    def _try(self, image, evaluate, length, slope):
        """Move the image by `length` along the direction, whose initial slope is `slope`, and evaluate it there."""
        self._direction.copyto(image)
        image *= length
        image += self._origin
        self._project(image)
        evaluation = evaluate()
        gradient = evaluation.gradient.reshape((-1,))
        if self._bounds is None:
            promise = length * slope
            (slope,) = _read(mx.nd.dot(gradient, self._direction))
        else:
            # The path bends where an element reaches a bound and stays there.
            promise = mx.nd.dot(self._gradient, image - self._origin)
            free = self._free(image, self._direction)
            promise, slope = _read(promise, mx.nd.dot(gradient, self._direction * free))
        return _Trial(length, float(evaluation.loss), slope, promise, evaluation)

    def _remember_way_to(self, image, evaluation):
        """Add the pair of the step from the origin, computed in the origin's arrays."""
        displacement = mx.nd.elemwise_sub(image, self._origin, out=self._origin)
        change = mx.nd.elemwise_sub(evaluation.gradient.reshape((-1,)), self._gradient, out=self._gradient)
        if self._bounds is not None:
            # Elements held by a bound carry no information on the curvature among the others.
            change *= displacement != 0
        products = ((displacement, change), (change, change), (displacement, displacement))
        curvature, change_square, way_square = _read(*(mx.nd.dot(a, b) for a, b in products))
        # Dennis & Schnabel, Numerical Methods for Unconstrained Optimization (1983), section 9.4, skip the update below
        # √ε ‖s‖ ‖y‖. In float32 that would skip most updates of an ill-conditioned objective, so here it is ε.
        if _EPS * math.sqrt(way_square * change_square) < curvature < math.inf:
            self._pairs.add(displacement, change)

    def _project(self, image):
        if self._bounds is not None:
            image = image.reshape(self._shape)
            mx.nd.broadcast_maximum(image, self._bounds[0], out=image)
            mx.nd.broadcast_minimum(image, self._bounds[1], out=image)

    def _free(self, image, direction):
        """Return 0 for elements that are at a bound and directed out of the box, 1 for the others."""
        image = image.reshape(self._shape)
        held = mx.nd.broadcast_lesser_equal(image, self._bounds[0]).reshape((-1,)) * (direction < 0)
        held += mx.nd.broadcast_greater_equal(image, self._bounds[1]).reshape((-1,)) * (direction > 0)
        return 1 - held


class _Pairs:
    """The curvature seen by the last steps: pairs of a displacement s and a change of gradient y.

    Their arrays are the rows of a few matrices, s and y in turn, so that one operation processes all of them. The
    pairwise products, from which the inverse Hessian is made, stay on the host in float64.
    """

    def __init__(self, most, shape, ctx):
        self._most = most
        self._size = int(np.prod(shape))
        self._ctx = ctx
        # (…, W) -> (…, H, W) for a convolution
        self._plane = (self._size // shape[-1], shape[-1])
        together = min(most, max(1, _MOST_ELEMENTS // (2 * self._size)))
        counts = [min(together, most - begin) for begin in range(0, most, together)]
        self._blocks = [mx.nd.empty((2 * count, self._size), ctx=ctx) for count in counts]
        self._together = together
        self._products = np.zeros((2 * most, 2 * most))
        self.clear()

    def clear(self):
        self._count, self._newest = 0, -1

    def __len__(self):
        return self._count

    @property
    def scale(self):
        """s·y / y·y of the newest pair, the size of the inverse Hessian along y (Nocedal & Wright, equation 7.20)."""
        s, y = 2 * self._newest, 2 * self._newest + 1
        return self._products[s, y] / self._products[y, y]

    def add(self, displacement, change):
        """Copy a pair, replacing the oldest if there is no room."""
        self._newest = (self._newest + 1) % self._most
        self._count = max(self._count, self._newest + 1)
        self._put(self._newest, displacement, change)
        products, y = self._multiply(change), 2 * self._newest + 1
        self._products[: len(products), y] = products
        self._products[y, 1 : len(products) : 2] = products[1::2]

    def turn(self, vector):
        """Multiply a vector by the inverse Hessian, in place.

        This is theorem 2.2 of Byrd, Nocedal & Schnabel (1994), starting from a multiple of the identity, in the form
        u = R⁻¹ Sᵀv and H v = γ v + S R⁻ᵀ ((D + γ YᵀY) u − γ Yᵀv) − γ Y u.
        """
        order = (self._newest + 1 + np.arange(self._count)) % self._count  # oldest first
        ways, changes = 2 * order, 2 * order + 1
        products, scale = self._multiply(vector), self.scale
        curvatures = np.triu(self._products[np.ix_(ways, changes)])  # R, with the diagonal D
        squares = self._products[np.ix_(changes, changes)]
        u = np.linalg.solve(curvatures, products[ways])
        weights = np.empty(2 * self._count)
        inner = np.diag(curvatures) * u + scale * (squares @ u - products[changes])
        weights[ways] = np.linalg.solve(curvatures.T, inner)
        weights[changes] = -scale * u
        vector *= scale
        for begin, rows in self._rows():
            # A convolution whose channels are the rows reads each row once, in a quarter of the time of a dot product.
            part = mx.nd.array(weights[begin : begin + len(rows)].reshape((1, -1, 1, 1)), ctx=self._ctx)
            rows = rows.reshape((1, len(rows)) + self._plane)
            vector += mx.nd.Convolution(rows, part, kernel=(1, 1), num_filter=1, no_bias=True).reshape((-1,))

    def state(self):
        filled = 2 * self._count
        state = {"newest": np.int64(self._newest), "products": self._products[:filled, :filled].copy()}
        for begin, rows in self._rows():
            for i, row in enumerate(rows.asnumpy(), begin):
                state[f"{('displacement', 'change')[i % 2]}_{i // 2}"] = row
        return state

    def restore(self, state):
        products = state["products"]
        if len(products) > len(self._products):
            raise SettingsError(
                f"the state of L-BFGS has {len(products) // 2} pairs, more than the history of {self._most}"
            )
        pairs, newest = len(products) // 2, int(state["newest"])
        if products.shape != (2 * pairs, 2 * pairs) or not -1 <= newest < max(pairs, 1):
            raise SettingsError("the state of L-BFGS has products or a newest pair that make no sense")
        for pair in range(pairs):
            displacement, change = state[f"displacement_{pair}"], state[f"change_{pair}"]
            if displacement.shape != change.shape:
                raise SettingsError(f"the state of L-BFGS has a pair {pair} of two shapes")
            if displacement.size != self._size:
                raise SettingsError(
                    f"the state of L-BFGS is that of an image with {displacement.size} elements, not {self._size}; "
                    "resume with images of the same size"
                )
            self._put(pair, displacement, change)
        self._products[: len(products), : len(products)] = products
        self._count, self._newest = pairs, newest

    def _put(self, pair, displacement, change):
        block, row = self._blocks[pair // self._together], 2 * (pair % self._together)
        block[row], block[row + 1] = displacement, change

    def _rows(self):
        """Yield, for each matrix, the number of its first row, and its filled rows."""
        for i, block in enumerate(self._blocks):
            begin = 2 * i * self._together
            if begin < 2 * self._count:
                yield begin, block[: min(len(block), 2 * self._count - begin)]

    def _multiply(self, vector):
        """Return the products of all rows with a vector, waiting for the device."""
        vector = vector.reshape((1, -1))
        # Outside training, MXNet may permanently convert what it considers weights to another layout.
        with mx.autograd.train_mode():
            products = [
                mx.nd.FullyConnected(vector, rows, num_hidden=len(rows), no_bias=True).reshape((-1,))
                for _, rows in self._rows()
            ]
        return mx.nd.concat(*products, dim=0).asnumpy().astype(np.float64)


@dataclass(frozen=True)
class _Trial:
    """The objective at one point of a line search.

    Attributes
    ----------
    length : float
        Position along the path, in units of the direction.
    loss, slope : float
        The objective and its derivative along the path at that point.
    promise : float
        The change of the objective if the slope had remained that of the start.
    evaluation : object
    """

    length: float
    loss: float
    slope: float
    promise: float
    evaluation: object

    @property
    def finite(self):
        return math.isfinite(self.loss) and math.isfinite(self.slope)


def _search(start, length, attempt):
    """Find a point that satisfies the strong Wolfe conditions or, short of that, lies sufficiently lower.

    Parameters
    ----------
    start : _Trial
        At length 0, with a negative slope.
    length : float
        The first length to try.
    attempt : callable
        Returns the `_Trial` at a length.

    Returns
    -------
    _Trial or None
        Always the last one attempted. None if no point with sufficient decrease was found.
    """
    # A minimum lies between `low`, the best point so far, and `high`, or beyond `low` while there is no `high`.
    low, high = start, None
    widths = deque([math.inf, math.inf], maxlen=2)
    for _ in range(_MOST_EVALUATIONS - 1):  # the last one is reserved for returning to the best
        trial = attempt(length)
        if not trial.finite or trial.loss > start.loss + _DECREASE * trial.promise or trial.loss >= low.loss:
            high = trial
        elif abs(trial.slope) <= -_CURVATURE * start.slope:
            return trial
        else:
            before, low = low, trial
            if low.slope * (1.0 if high is None else high.length - low.length) >= 0:
                high = before
        if high is None:
            length = _extrapolate(before, low)
            continue
        width = abs(high.length - low.length)
        if width <= _WIDTH * max(low.length, high.length):
            break
        length = _interpolate(low, high, halve=width > _SHRINKAGE * widths[0])
        widths.append(width)
        if low is start and -length * start.slope < _EPS * abs(start.loss):
            break  # the promised decrease is below the precision of float32
    if low is start:
        return None
    return low if low is trial else _finite(attempt(low.length))


def _finite(trial):
    return trial if trial.finite else None


def _extrapolate(before, last):
    """Choose a length beyond two points with falling slopes."""
    distance = last.length - before.length
    farthest = last.length + _FARTHEST * distance
    minimum = _cubic_minimum(before, last)
    return min(max(minimum, last.length + _NEAREST * distance), farthest) if minimum > last.length else farthest


def _interpolate(low, high, halve):
    """Choose a length between two points."""
    distance = high.length - low.length
    if not high.finite:
        return low.length + _RETREAT * distance
    minimum = _cubic_minimum(low, high)
    inside = 0 < (minimum - low.length) / distance < 1
    return minimum if inside and not halve else low.length + distance / 2


def _cubic_minimum(a, b):
    """Return the position of the minimum of the cubic through two losses with their slopes, NaN if there is none.

    Nocedal & Wright (2006), equation 3.59.
    """
    distance = b.length - a.length
    d1 = a.slope + b.slope - 3 * (b.loss - a.loss) / distance
    discriminant = d1 * d1 - a.slope * b.slope
    if not 0 <= discriminant < math.inf:
        return math.nan
    d2 = math.copysign(math.sqrt(discriminant), distance)
    denominator = b.slope - a.slope + 2 * d2
    return b.length - distance * (b.slope + d2 - d1) / denominator if denominator else math.nan


def _read(*scalars):
    """Read arrays of one element each, waiting for the device once."""
    return mx.nd.concat(*scalars, dim=0).asnumpy().astype(float).tolist()
