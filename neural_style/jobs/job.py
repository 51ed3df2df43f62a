"""A run from files to files: what the command line and the legacy API have in common."""

import dataclasses
import logging
import os
import re
from dataclasses import dataclass
from typing import Optional

from ..errors import ImageError, OutputError
from ..files import check_writable
from ..images.reading import read_image
from ..images.saving import check_output, save_image
from ..recipes.presets import DEFAULT_RECIPE, get_recipe
from ..reports.pages import require_packages, write_run_report
from ..transfer.inputs import choose_network
from ..transfer.run import StopReason, finish_picture
from ..transfer.stylize import DEFAULT_SEED, stylize
from ..weights.lookup import find_weights
from .checkpoints import Checkpoint, check_checkpoint, check_unchanged
from .provenance import describe_picture, describe_run, read_record, to_metadata
from .trace import Trace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outputs:
    """Where the pictures of a run go.

    Attributes
    ----------
    final : str
        The last picture.
    prefix, suffix : str
        Pictures on the way are called prefix + number of steps + suffix.
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
    def beside(cls, final):
        """Pictures on the way stand beside the last one as ``tmp_<steps>``, in the same format.

        MXNet's example up to 0.7 put them in ``output/`` wherever the last one went; with its defaults it is the same.
        """
        return cls(final, os.path.join(os.path.dirname(final), "tmp_"), os.path.splitext(final)[1])

    @classmethod
    def in_folder(cls, folder):
        """The names of MXNet's example from 0.8 on: no slash is added for pictures on the way, but for the last one."""
        return cls(folder + "/final.jpg", folder + "e_", ".jpg")

    def absolute(self):
        """Give the fields with absolute paths, which mean the same in another folder."""
        # A prefix may end in a slash, which abspath would take away.
        prefix = os.path.abspath(self.prefix + "_")[:-1]
        return {"final": os.path.abspath(self.final), "prefix": prefix, "suffix": self.suffix}

    def telling(self, report=None, trace=None):
        """Give the same with a report, a trace or both; without a name, the trace stands beside the report."""
        if report is not None and trace is None:
            trace = os.path.join(os.path.dirname(report), "trace.json")
        return dataclasses.replace(self, report=report, trace=trace)

    def on_the_way(self, steps):
        """Name the picture after so many steps."""
        return f"{self.prefix}{steps}{self.suffix}"

    def check(self, inputs, saves_on_the_way):
        """Make sure that the files can be written and that none of them would replace an input or another.

        Raises
        ------
        OutputError
        """
        check_output(self.final)
        if saves_on_the_way:
            check_output(self.on_the_way(0))
        taken = {os.path.realpath(path) for path in [self.final, *inputs] if path}
        for path in filter(None, (self.report, self.trace)):
            if os.path.realpath(path) in taken:
                raise OutputError(f"{path}: another file of this run has this name; choose another")
            taken.add(os.path.realpath(path))
            check_writable(path)
        way = re.compile(re.escape(os.path.realpath(self.prefix + "_")[:-1]) + r"\d+" + re.escape(self.suffix))
        for path in filter(None, inputs):
            real = os.path.realpath(path)
            if real == os.path.realpath(self.final) or (saves_on_the_way and way.fullmatch(real)):
                raise OutputError(f"{path}: this input would be overwritten by a result; choose another output")


def repaint(
    content,
    style,
    outputs,
    recipe=DEFAULT_RECIPE,
    weights=None,
    gpu=None,
    seed=DEFAULT_SEED,
    initial=None,
    callback=None,
    interrupt=None,
    checkpoint=None,
    checkpoint_every=1,
    resume=None,
    tile_size=None,
    memory=None,
):
    """Read the pictures, stylise, and save the results, each with the settings of the run in its metadata.

    Where `outputs` names them, a trace is kept up to date while the run goes on, and a report is written at its end.

    A picture on the way that cannot be saved is logged and does not end the run.

    Parameters
    ----------
    content, style : str
        Paths of pictures.
    outputs : Outputs
    recipe : Recipe or str
    weights, gpu, seed, interrupt
        As `transfer.stylize.stylize` takes them.
    tile_size, memory : int, optional
        The same; with `resume`, None is what the run was given before.
    initial : str, optional
        Path of a picture to start from.
    callback : callable, optional
        Called as ``callback(step, image, saved)`` after every step but the one that converged, as in the original
        program; `saved` is the path of the picture that was saved after this step, or None.
    checkpoint : str, optional
        File to write a checkpoint to, from which the run can go on: after every `checkpoint_every` steps and when it is
        interrupted. One that cannot be written is logged and does not end the run.
    checkpoint_every : int
    resume : checkpoints.Checkpoint, optional
        To go on from; of the same pictures, recipe, weights and seed.

    Returns
    -------
    Result
        Its picture is saved, unless the run ended before its first step was complete.

    Raises
    ------
    OutputError
        If a result cannot be written; found out before the first step wherever that is possible.
    CheckpointError
        If the checkpoint is of other pictures or weights.
    DependencyError
        If a report is asked for and the packages that draw it are missing.
    ImageError, WeightsError, DeviceError, SettingsError
        If the run cannot start.
    """
    recipe = get_recipe(recipe) if isinstance(recipe, str) else recipe
    if outputs.report:
        require_packages()
    if checkpoint is not None:
        check_checkpoint(checkpoint, [content, style, initial, outputs.final, outputs.report, outputs.trace])
    outputs.check([content, style, initial], recipe.save_every > 0)
    pictures = [read_image(path) if path else None for path in (content, style, initial)]
    if weights is None:
        recipe, weights = choose_network(recipe)
    elif isinstance(weights, (str, os.PathLike)):
        weights = find_weights(recipe.model, weights)
    run = describe_run(recipe, seed, gpu, weights, content, style, initial)
    if resume is not None:
        check_unchanged(resume.run, run)
        run = resume.run  # so that the pictures carry the same settings, names of files included
        tile_size = resume.asked["tile_size"] if tile_size is None else tile_size
        memory = resume.asked["memory"] if memory is None else memory
    inputs = {"content": content, "style": style, "initial": initial}
    latest = None
    trace = _begin_trace(outputs, run, inputs, recipe, resume) if outputs.trace else None

    def save(path, picture, steps, reason=None):
        save_image(path, picture, metadata=to_metadata(describe_picture(run, steps, reason, picture.shape)))
        log.info("saved %s", path)

    def watch(step, image):
        if trace is not None:
            trace.add_step(step, image)
        if step.relative_change < recipe.stop_eps:
            return
        saved = None
        if recipe.save_every and step.number % recipe.save_every == 0:
            saved = outputs.on_the_way(step.number)
            try:
                save(saved, finish_picture(image, recipe, last=False), step.number)
                if trace is not None:
                    trace.add_picture(step.number, saved)
            except OutputError as error:
                log.warning("%s", error)
                saved = None
            log.info("after %d steps: %s", step.number, _describe_objective(step))
        if callback is not None:
            callback(step, image, saved)
        if trace is not None:
            trace.update()

    def write_checkpoint():
        absolute = {kind: path and os.path.abspath(path) for kind, path in inputs.items()}
        asked = {"tile_size": tile_size, "memory": memory}
        try:
            Checkpoint(run, absolute, outputs.absolute(), latest(), asked).save(checkpoint)
        except OutputError as error:
            log.warning("%s", error)
            return False
        return True

    def keep(step, snapshot):
        nonlocal latest
        latest = snapshot
        if step.number % checkpoint_every == 0:
            write_checkpoint()

    result = stylize(
        pictures[0],
        pictures[1],
        recipe,
        weights=weights,
        gpu=gpu,
        seed=seed,
        initial=pictures[2],
        callback=watch,
        interrupt=interrupt,
        keep=keep if checkpoint is not None else None,
        resume=resume.state if resume is not None else None,
        tile_size=tile_size,
        memory=memory,
    )
    if result.reason is StopReason.INTERRUPTED and latest is not None and write_checkpoint():
        log.info("saved %s, from which --resume goes on", checkpoint)
    saved = None
    if result.history or result.reason is StopReason.STEP_LIMIT:
        saved = outputs.final
        save(saved, result.picture, len(result.history), result.reason)
    if trace is not None:
        trace.finish(result.reason, saved)
        trace.write()
        log.info("saved %s", outputs.trace)
    if outputs.report:
        write_run_report(outputs.report, trace.read())
        log.info("saved %s", outputs.report)
    return result


def _begin_trace(outputs, run, inputs, recipe, resume):
    found = {kind: dict(run[kind], file=os.path.abspath(path)) for kind, path in inputs.items() if path}
    trace = Trace(outputs.trace, dict(run, **found), recipe.sources)
    if resume is not None:
        trace.add_history(resume.state.history)
        for steps in (step.number for step in resume.state.history):
            if (
                recipe.save_every
                and steps % recipe.save_every == 0
                and _is_saved(outputs.on_the_way(steps), run, steps)
            ):
                trace.add_picture(steps, outputs.on_the_way(steps))
    return trace


def _is_saved(path, run, steps):
    """Tell whether a picture was saved by this run, or one like it, after so many steps."""
    try:
        record = read_record(path)
    except ImageError:
        return False
    return record["steps"] == steps and all(record[key] == value for key, value in run.items())


def _describe_objective(step):
    parts = {}
    for name, loss in step.losses.items():
        kind = name.split("_")[0] if name != "total_variation" else "total variation"
        parts[kind] = parts.get(kind, 0.0) + loss
    return f"objective {step.loss:.6g}; " + ", ".join(f"{kind} {loss:.6g}" for kind, loss in sorted(parts.items()))
