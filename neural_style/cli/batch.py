"""``neural-style batch``: many jobs, here or on a Dask cluster, of which only those that are not done are run."""

import argparse
import contextlib
import logging
import os
import sys

from ..errors import SettingsError, WorkerError
from ..recipes.presets import RECIPES, RECOMMENDED_RECIPE
from .console import EXIT_FAILURE, EXIT_INTERRUPTED, finishing_on_signals
from .flags import FLAGS, make_parser, override_recipe, write_value
from .running import add_run_flags, make_groups, make_job

log = logging.getLogger(__name__)

_TABLE, _SHEET = "batch.csv", "batch.jpg"
_JUDGE = "vgg19"

# What may be given with a list of jobs.
_WITH_A_LIST = ("jobs", "output", "workers", "scheduler", "models_dir", "quiet", "log_level", "run")

# What --vary takes besides the settings of a recipe.
_OTHERS = {"recipe": str, "seed": int}


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.usage = (
        "%(prog)s --content IMAGE|DIR --style IMAGE|DIR [--vary NAME=VALUE,...] [flags]\n"
        "       %(prog)s JOBS.json [flags]"
    )
    parser.epilog = (
        "Another start with the same arguments runs the jobs whose images are missing, or were made of other files or "
        f"settings. {_TABLE} and {_SHEET} in the output folder show what became of all. The program exits with 1 if "
        "a job failed. Values that have commas themselves are separated by semicolons."
    )
    groups = make_groups(parser)
    group = groups["input"]
    group.add_argument("jobs", nargs="?", metavar="JOBS.json", help="a list of jobs, as Job.to_json writes each")
    group.add_argument("--content", metavar="PATH", help="image to repaint, or a folder of them")
    group.add_argument("--style", metavar="PATH", help="image whose style to use, or a folder of them")
    groups["output"].add_argument(
        "-o", "--output", metavar="DIR", default="batch", help="folder of the results (default: %(default)s)"
    )
    groups["look"].add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="run with each of these values of a setting, of recipe or of seed; may be given several times",
    )
    group = groups["speed and memory"]
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that run jobs (default: one for each core, if memory allows)",
    )
    add_run_flags(groups, RECOMMENDED_RECIPE, one=False)
    parser.set_defaults(run=_run, report=None, trace=None, checkpoint=None, checkpoint_every=None)


def _run(args):
    if (args.jobs is None) != bool(args.content and args.style) or args.jobs and (args.content or args.style):
        raise SettingsError("give either a list of jobs, or both --content and --style")
    if args.jobs:
        _check_alone(args)
    if args.workers is not None and args.workers < 1:
        raise SettingsError(f"`workers` is {args.workers}; it must be 1 or more")
    variants = [_read_variant(word) for word in args.vary]

    # The heavy imports come when the arguments are known to be good.
    from ..files import check_writable
    from ..jobs.batch import Batch
    from ..jobs.sweep import check_distinct, read_jobs
    from ..jobs.table import Table, save_sheet
    from ..weights.lookup import find_network

    jobs = read_jobs(args.jobs) if args.jobs else _make_product(args, dict(variants))
    check_distinct(jobs)
    table_path, sheet_path = (os.path.join(args.output, name) for name in (_TABLE, _SHEET))
    for path in (table_path, sheet_path):
        check_writable(path)
    model, weights = find_network(_JUDGE, models_dir=args.models_dir)
    # Workers elsewhere may have the file elsewhere.
    judge = model, None if args.models_dir is None else str(weights)
    table = Table(table_path, jobs)
    with _workers(args, jobs) as submit:
        batch = Batch(jobs, submit, judge, table.find_distances)
        counts = _follow(batch, table, len(jobs), "finishing" if args.scheduler is None else "leaving")
    table.write()
    save_sheet(sheet_path, jobs)
    log.info("saved %s and %s", table_path, sheet_path)
    described = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    heading = f"{len(jobs)} job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    log.log(logging.WARNING if counts["failed"] else logging.INFO, "%s: %s", heading, described)
    if counts["left"] and not batch.is_stopped:
        raise WorkerError("the scheduler is lost; what is finished stays, and another start makes what is left")
    if counts["left"]:
        return EXIT_INTERRUPTED
    return EXIT_FAILURE if counts["failed"] else 0


def _check_alone(args):
    """Refuse flags that would change the jobs of a list."""
    parser = make_parser(None)
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    for name, value in vars(args).items():
        if name in usual and value != usual[name] and name not in _WITH_A_LIST:
            raise SettingsError(
                f"--{name.replace('_', '-')} cannot be given with a list of jobs, which say it themselves"
            )


def _read_variant(word):
    """Return the name and the values of a --vary."""
    name, equals, listed = word.partition("=")
    kinds = {**{flag.setting: flag for flag in FLAGS.values()}, **_OTHERS}
    if not equals or name not in kinds:
        raise SettingsError(f"--vary {word} names no setting; write it like style_weight=0.5,1,2")
    kind, values = kinds[name], []
    for value in listed.split(";" if ";" in listed else ","):
        try:
            values.append(getattr(kind, "type", kind)(value))
        except (ValueError, argparse.ArgumentTypeError) as error:
            raise SettingsError(f"--vary {word}: '{value}' is no value of {name}") from error
    if name == "recipe" and not set(values) <= set(RECIPES):
        raise SettingsError(f"--vary {word}: unknown recipe; choose from {', '.join(RECIPES)}")
    return name, list(dict.fromkeys(values))


def _make_product(args, varied):
    """Return the jobs of every content with every style and combination of values."""
    from ..jobs.sweep import combine, list_images, name_outputs

    contents, styles = list_images(args.content), list_images(args.style)
    chosen = combine(varied)
    names = [
        ",".join(f"{name}={write_value(value)}" for name, value in one.items()).replace(os.sep, "_") for one in chosen
    ]
    outputs = name_outputs(args.output, contents, styles, names)
    jobs = []
    for content in contents:
        for style in styles:
            for name, values in zip(names, chosen):
                jobs.append(_make_variant(args, content, style, outputs[content, style, name], dict(values)))
    return jobs


def _make_variant(args, content, style, outputs, values):
    args = argparse.Namespace(**{**vars(args), "seed": values.pop("seed", args.seed)})
    recipe = override_recipe(values.pop("recipe", args.recipe), args).override(**values)
    return make_job(args, recipe, content, [style], outputs)


@contextlib.contextmanager
def _workers(args, jobs):
    """Yield a function that submits to workers."""
    from .._mxnet import mx, usable_cores
    from ..jobs.batch import share_machine
    from ..transfer.compute import available, choose_device, limit_process
    from ..workers.cluster import Cluster
    from ..workers.local import LocalWorkers

    cores, room = usable_cores(), available(mx.cpu())
    if args.scheduler:
        with Cluster(args.scheduler, limit=limit_process) as workers:
            log.info("running %d jobs on %d workers of %s", len(jobs), len(workers.workers()), args.scheduler)
            yield workers.submit
        return
    processes, threads, memory = share_machine(len(jobs), cores, room)
    if args.workers or choose_device(jobs[0].compute.gpu).device_type == "gpu":
        processes = args.workers or 1  # one keeps a GPU busy
        threads, memory = max(1, cores // processes), room // processes
    log.info("running %d jobs in %d processes of %d threads", len(jobs), processes, threads)
    if args.scheduler is None:
        with LocalWorkers(processes, threads, limit_process, (memory,)) as workers:
            yield workers.submit
    else:
        with Cluster("", processes, threads, memory, limit_process) as workers:
            yield workers.submit


def _follow(batch, table, total, ending):
    """Run a batch to its end, or to a signal; return how many jobs came to which state.

    `ending` says what becomes of the jobs under way at a signal. A cluster does not tell which have begun, so that all
    that are not finished are left.
    """
    from tqdm import tqdm

    counts = {"made": 0, "kept": 0, "failed": 0, "left": 0}
    bar = tqdm(total=total, unit="job", file=sys.stderr, dynamic_ncols=True, disable=not sys.stderr.isatty())
    message = f"{ending} the jobs under way; press Ctrl-C again to quit immediately"
    with bar, finishing_on_signals(_Stop(batch), message):
        for outcome in batch:
            counts[outcome.state] += 1
            table.add(outcome)
            bar.update()
            number, final = sum(counts.values()), outcome.job.outputs.final
            if outcome.state == "failed":
                log.warning("%s: %s", final, outcome.error)
            elif outcome.state == "made":
                log.info("%d of %d: saved %s after %.1f s", number, total, final, outcome.seconds)
    counts["left"] += total - sum(counts.values())
    return counts


class _Stop:
    """Ends a batch; `is_set` and `set` as `threading.Event`."""

    def __init__(self, batch):
        self._batch, self._set = batch, False

    def is_set(self):
        return self._set

    def set(self):
        self._set = True
        self._batch.stop()
