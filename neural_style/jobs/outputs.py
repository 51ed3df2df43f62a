"""Where the files of a run go, and whether they can be written."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from typing import Iterable, Optional

from ..archives import is_archive
from ..errors import OutputError
from ..files import Output, check_outputs, is_same_file
from ..images.saving import as_output, check_output
from ..reports.pages import is_page


@dataclass(frozen=True)
class Outputs:
    """Names of the files that a run writes.

    Attributes
    ----------
    final : str
        The result.
    prefix, suffix : str
        Intermediate images are called prefix + number of steps + suffix.
    report : str or None
        An HTML page about the run, see `reports.pages`.
    trace : str or None
        The same as data, see `trace`.
    """

    final: str
    prefix: str
    suffix: str
    report: Optional[str] = None
    trace: Optional[str] = None

    @classmethod
    def beside(cls, final: str) -> Outputs:
        """Return names with intermediate images beside the result as ``tmp_<steps>``, in the same format.

        MXNet's example up to 0.7 put them in ``output/`` wherever the result went; with its defaults it is the same.
        """
        return cls(final, os.path.join(os.path.dirname(final), "tmp_"), os.path.splitext(final)[1])

    @classmethod
    def in_folder(cls, folder: str) -> Outputs:
        """Return the names of MXNet's example from 0.8 on.

        No slash is added for intermediate images, but for the result.
        """
        return cls(folder + "/final.jpg", folder + "e_", ".jpg")

    def absolute(self) -> Outputs:
        """Return the same with absolute paths, which mean the same in another folder."""
        paths = {name: path and os.path.abspath(path) for name, path in dataclasses.asdict(self).items()}
        # A prefix may end in a slash, which abspath would take away.
        return Outputs(**{**paths, "prefix": os.path.abspath(self.prefix + "_")[:-1], "suffix": self.suffix})

    def with_report(self, report: Optional[str] = None, trace: Optional[str] = None) -> Outputs:
        """Return the same with a report, a trace or both; without a name, the trace stands beside the report."""
        if report is not None and trace is None:
            trace = os.path.join(os.path.dirname(report), "trace.json")
        return dataclasses.replace(self, report=report, trace=trace)

    def intermediate(self, steps: int) -> str:
        """Return the name of the image after so many steps."""
        return f"{self.prefix}{steps}{self.suffix}"

    def check(
        self, inputs: Iterable[Optional[str]], saves_intermediate: bool, checkpoint: Optional[str] = None
    ) -> None:
        """Make sure that the files can be written and that none of them would replace an input or another.

        Parameters
        ----------
        inputs
            Paths of files that the run reads; None is ignored.
        saves_intermediate
            Whether there will be intermediate images.
        checkpoint
            File in which the state of the run is kept.

        Raises
        ------
        OutputError
        """
        final = as_output(self.final, "result")
        read = [path for path in inputs if path]
        numbered = re.compile(re.escape(os.path.realpath(self.prefix + "_")[:-1]) + r"\d+" + re.escape(self.suffix))
        for path in read:
            over = saves_intermediate and numbered.fullmatch(os.path.realpath(path))
            if over or is_same_file(path, self.final):
                raise OutputError(f"{path}: this input would be overwritten by a result; choose another output")
        others = [
            Output(path, what, is_own)
            for path, what, is_own in (
                (checkpoint, "checkpoint", _is_checkpoint),
                (self.report, "report", is_page),
                (self.trace, "trace", _is_trace),
            )
            if path is not None
        ]
        check_outputs([final, *others], read)
        if saves_intermediate:
            check_output(self.intermediate(0))


def _is_checkpoint(head: bytes) -> bool:
    return is_archive(head, ("canvas", "record"))


def _is_trace(head: bytes) -> bool:
    return head.startswith(b"{") and b'"neural-style/trace"' in head
