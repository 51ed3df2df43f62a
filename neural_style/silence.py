"""Keep libraries in C and C++ from writing to the standard error themselves."""

import contextlib
import os
import threading

# Held while the standard error is another, so that two threads do not each keep what the other has put there.
_SILENCE = threading.Lock()


@contextlib.contextmanager
def silent_stderr():
    """Let nothing that is written to the process's standard error appear, by whatever thread, until the block ends.

    For calls that are short, and say nothing that their caller does not say as well.
    """
    with _SILENCE:
        try:
            before = os.dup(2)
        except OSError:  # there is none
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
