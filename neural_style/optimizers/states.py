"""What an optimizer goes on from, checked before it is used: it may come from a file."""

from ..errors import SettingsError

# Kinds of NumPy's types that a state is made of.
ARRAY, NUMBER, COUNT, FLAG = "f", "f", "iu", "b"


def check_state(state, expected):
    """Make sure that a state is as it must be.

    Parameters
    ----------
    state : mapping of str to (numpy.ndarray or number)
    expected : mapping of str to (str, tuple of int)
        The kind of each value and its shape, () for a number.

    Raises
    ------
    SettingsError
        If something is missing, left over, of another kind or shape, or not finite; or a count is negative.
    """
    import numpy as np  # late: who lists the names of optimizers need not wait for it

    odd = sorted(set(state) ^ set(expected))
    if odd:
        raise SettingsError(f"the optimizer's state {'has an odd' if odd[0] in state else 'lacks the'} {odd[0]}")
    for name, (kind, shape) in expected.items():
        value = np.asarray(state[name])
        if value.dtype.kind not in kind or value.shape != shape:
            raise SettingsError(f"the optimizer's state has a {name} of the wrong kind or shape")
        if not np.isfinite(value).all() or (kind == COUNT and value < 0):
            raise SettingsError(f"the optimizer's state has a {name} that makes no sense")
