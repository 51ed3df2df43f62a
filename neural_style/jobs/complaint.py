"""What is said during a run of a file that cannot be written."""

import logging

from ..errors import OutputError

log = logging.getLogger(__name__)


class Complaint:
    """Says why something cannot be written, once until it can be again: a full disk is one failure, not forty."""

    def __init__(self) -> None:
        self._made = False

    def make(self, error: OutputError) -> None:
        """Log a failure, unless it goes on from the last attempt."""
        if not self._made:
            log.warning("%s", error)
        self._made = True

    def withdraw(self) -> None:
        """Take note that something was written."""
        self._made = False
