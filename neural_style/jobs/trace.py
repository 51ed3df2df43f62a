"""The trace of a run: everything known about it, step by step, as JSON that can be read during the run.

The file is one JSON object of schema ``neural-style/trace``, version 1; docs/trace.md describes it key by key. It is
rewritten as a whole, beside and then moved into place, so that whoever opens it finds valid JSON at any moment, and a
kill costs only what came after the last writing.
"""

import dataclasses
import json
import math
import os
import platform
import time
from datetime import datetime, timezone

from .._mxnet import mx
from ..errors import OutputError
from ..files import output_error, write_whole
from .complaint import Complaint

SCHEMA, VERSION = "neural-style/trace", 1

# A reader waits at most so long for news, unless writing takes so long that it would cost more than this share of the
# run.
PAUSE_SECONDS, GREATEST_SHARE = 2.0, 0.01

_OF_THE_RUN = ("seed", "compute", "weights", "surrogate", "generator", "content", "styles", "start", "controls")
_PACKAGES = ("numpy", "scipy", "scikit-image", "pillow")


class Trace:
    """Collects what happens in a run and keeps a file up to date.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists.
    run : dict
        Of `provenance.describe_run`.
    recipe : Recipe
        Which knows where each setting comes from.
    clock : callable
        Returns seconds.
    """

    def __init__(self, path, run, recipe, clock=time.monotonic):
        self.path = os.fspath(path)
        self._clock = clock
        self._begun = self._step_begun = clock()
        self._write_from = clock()
        self._rows, self._complaint = [], Complaint()
        self._head = dict(
            schema=SCHEMA,
            version=VERSION,
            program=run["program"],
            started=_now(),
            updated=None,
            seconds=0.0,
            stop=None,
            stop_text=None,
            result=None,
            pictures=[],
            recipe=run["recipe"],
            settings={name: {"value": value, "source": recipe.source(name)} for name, value in run["settings"].items()},
            **{name: run[name] for name in _OF_THE_RUN},
            versions=_versions(),
            machine=_machine(),
        )

    def add_step(self, step, canvas):
        """Add a step that is done.

        Parameters
        ----------
        step : transfer.run.Step
        canvas : mxnet.nd.NDArray
            Only its device is looked at.
        """
        self._add_row(step, round(self._clock() - self._step_begun, 6))
        self._head["machine"]["device"] = str(canvas.context)

    def add_history(self, steps):
        """Add steps that were done before this run was resumed."""
        for step in steps:
            self._add_row(step, None)

    def _add_row(self, step, seconds):
        row = dict(dataclasses.asdict(step), seconds=seconds)
        # JSON has no infinity, which is the bound where nothing is clipped.
        row = {key: None if value == math.inf else value for key, value in row.items()}
        self._rows.append(json.dumps(row, allow_nan=False))

    def add_picture(self, steps, path):
        """Add an intermediate image, after so many steps."""
        self._head["pictures"].append({"step": steps, "file": os.path.abspath(path)})

    def finish(self, reason, result):
        """Add how the run ended.

        Parameters
        ----------
        reason : transfer.run.StopReason
        result : str or None
            The result's file, if there is one.
        """
        self._head.update(
            stop=reason.name, stop_text=reason.value, result=None if result is None else os.path.abspath(result)
        )

    def update(self):
        """Bring the file up to date if it is time to, and let the next step begin; a failure is only logged."""
        begun = self._clock()
        if begun >= self._write_from:
            try:
                self.write()
            except OutputError as error:
                self._complaint.make(error)
            else:
                self._complaint.withdraw()
            self._write_from = begun + max(PAUSE_SECONDS, (self._clock() - begun) / GREATEST_SHARE)
        self._step_begun = self._clock()

    def write(self):
        """Bring the file up to date.

        Raises
        ------
        OutputError
        """
        self._head.update(updated=_now(), seconds=round(self._clock() - self._begun, 3))
        # The steps are text already, because turning each into JSON again at every writing would cost more and more.
        head = json.dumps(self._head, indent=1)[:-2]
        text = head + ',\n "steps": [' + ",".join("\n  " + row for row in self._rows) + "\n ]\n}\n"
        try:
            write_whole(self.path, text.encode("ascii"))
        except OSError as error:
            raise output_error(self.path, error) from error

    def read(self):
        """Return what the file holds after the next writing, as a dict."""
        return dict(self._head, steps=[json.loads(row) for row in self._rows])


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _versions():
    from importlib import metadata

    versions = {"python": platform.python_version(), "mxnet": mx.__version__}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _machine():
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "device": None,
    }


def _processor():
    """Return the processor's name; which kernels MXNet uses depends on it."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
