"""The state of an optimizer, checked before use because it may come from a file."""

from ..errors import SettingsError

# Kinds of NumPy's types of which a state consists.
ARRAY, NUMBER, COUNT, FLAG = "f", "f", "iu", "b"


def check_state(state, expected):
    """Check that a state is complete and sound.

    Parameters
    ----------
    state : mapping of str to (numpy.ndarray or number)
    expected : mapping of str to (str, tuple of int)
        The kind and the shape of each value, () for a number.

    Raises
    ------
    SettingsError
        If a value is missing, unexpected, of another kind or shape, or not finite, or a count is negative.
    """
    import numpy as np  # imported late: listing the names of optimizers must not wait for it

    odd = sorted(set(state) ^ set(expected))
    if odd:
        raise SettingsError(f"the optimizer's state {'has an odd' if odd[0] in state else 'lacks the'} {odd[0]}")
    for name, (kind, shape) in expected.items():
        value = np.asarray(state[name])
        if value.dtype.kind not in kind or value.shape != shape:
            raise SettingsError(f"the optimizer's state has a {name} of the wrong kind or shape")
        if not np.isfinite(value).all() or (kind == COUNT and value < 0):
            raise SettingsError(f"the optimizer's state has a {name} that makes no sense")
