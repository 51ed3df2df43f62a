"""Damage files and commands at random: does everything end in a result or in one line, soon, and is nothing lost?

    python benchmarks/fuzz.py --minutes 10
    python benchmarks/fuzz.py --mutations 20000 --commands 500

Every reader is given damaged copies of files that this program makes itself, and the command line odd combinations of
flags, values and files. That happens in child processes with limits on memory and time. A finding is an exception that
is no `NeuralStyleError`, more than 10 s, a process that a signal ends, a line too many, or a file that was changed and
not named as an output. The input of each finding is kept, and --seed repeats it.
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

# By reader, the share of mutations; those that are read in processes of their own take longer.
SHARES = {
    "image": 40,
    "record": 12,
    "params": 12,
    "checkpoint": 12,
    "symbol": 12,
    "job": 5,
    "state": 4,
    "torch": 1.5,
    "torch7": 1.5,
    "hdf5": 0.75,
    "matlab": 0.75,
}
SLOW = ("hdf5", "matlab")
SECONDS, MEMORY = 10, 6 * 2**30
# Inputs that one process works on; a fresh one costs two seconds.
BATCH, SLOW_BATCH = 2000, 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="how long, all readers and commands in turn")
    parser.add_argument("--mutations", type=int, default=0)
    parser.add_argument("--commands", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=[*SHARES, "command"])
    parser.add_argument("--keep", default="fuzz-findings", help="folder for inputs of findings")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(*args.work)
    ended, findings = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")  # where an import goes that names no output
        make_sound_files(Path(folder) / "sound")
        with contextlib.suppress(KeyboardInterrupt):  # what is done so far counts
            for kind, first, count in plan(args):
                findings += supervise(kind, first, count, args.seed, folder, args.keep, ended)
                print(
                    f"{time.strftime('%H:%M:%S')} {sum(ended.values())} inputs", end="\r", file=sys.stderr, flush=True
                )
    for kind in [*SHARES, "command"]:
        counts = {what: n for (of, what), n in sorted(ended.items()) if of == kind}
        if counts:
            print(f"{kind:10} {sum(counts.values()):6}  {', '.join(f'{n} {what}' for what, n in counts.items())}")
    print(f"{sum(ended.values())} inputs, {len(findings)} findings{f', kept in {args.keep}' if findings else ''}")
    return 1 if findings else 0


def make_sound_files(folder):
    """Make the files that are going to be damaged, and a list of them by reader."""
    from fuzz_files import make_files

    folder.mkdir()
    before = os.getcwd()
    os.chdir(folder)
    try:
        Path("files.json").write_text(json.dumps(make_files()))
    finally:
        os.chdir(before)


def plan(args):
    """Yield (kind, first number, count) until there are enough, or the time is over."""
    kinds, done = {**SHARES, "command": 4}, Counter()
    if args.only:
        kinds = {kind: kinds[kind] for kind in args.only}
    end = time.time() + 60 * args.minutes if args.minutes else None
    total = sum(share for kind, share in kinds.items() if kind != "command")
    wanted = {kind: round(args.mutations * share / total) if total else 0 for kind, share in kinds.items()}
    wanted["command"] = args.commands
    while any(done[kind] < wanted[kind] for kind in kinds) if end is None else time.time() < end:
        for kind in kinds:
            count = SLOW_BATCH if kind in (*SLOW, "torch", "command") else max(50, round(BATCH * kinds[kind] / 40))
            if end is None:
                count = min(count, wanted[kind] - done[kind])
            elif time.time() > end:
                return
            if count > 0:
                yield kind, done[kind], count
                done[kind] += count


def supervise(kind, first, count, seed, folder, keep, ended):
    """Have a batch worked on, by another process after every one that ends early; return the findings."""
    findings, report = [], Path(folder) / "report"
    end = first + count
    while first < end:
        report.write_text("")
        place = tempfile.mkdtemp(dir=folder)
        shutil.copytree(str(Path(folder) / "sound"), os.path.join(place, "here"))
        place = os.path.join(place, "here")
        argv = [sys.executable, os.path.abspath(__file__), "--work", kind, f"{first}:{end}", str(seed), str(report)]
        process = subprocess.run(argv, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        for number, what, text in lines[:-1] if process.returncode else lines:
            ended[kind, what] += 1
            if what == "finding":
                findings.append(record(kind, number, text, place, keep))
        first = end
        if process.returncode:
            number = lines[-1][0] if lines else first
            text = f"ended with {process.returncode}: {process.stdout.decode(errors='replace')[-2000:]}"
            ended[kind, "finding"] += 1
            findings.append(record(kind, number, text, place, keep))
            first = number + 1
        shutil.rmtree(place, ignore_errors=True)
    return findings


def record(kind, number, text, place, keep):
    """Keep the input of a finding."""
    os.makedirs(keep, exist_ok=True)
    for path in Path(place).glob(f"bad-{number}*"):
        if path.is_file():
            shutil.copy(str(path), keep)
    Path(keep, f"{kind}-{number}.txt").write_text(text)
    print(f"{kind} {number}: {text.strip().splitlines()[-1][:200]}", flush=True)
    return kind, number


# ---- in the other process


def work(kind, numbers, seed, report):
    """Read damaged files, or run odd commands; write to the report what became of each, the next one first."""
    logging.getLogger("neural_style").addHandler(logging.NullHandler())  # what this program itself says is no finding
    files = json.loads(Path("files.json").read_text())
    prepare(kind)
    limit()
    first, end = map(int, numbers.split(":"))
    with open(report, "a", buffering=1) as lines:
        for number in range(first, end):
            rng = random.Random(f"{seed}-{kind}-{number}")
            # Whatever kills the process before the answer was this one's.
            lines.write(json.dumps([number, "finding", "no answer"]) + "\n")
            position = lines.tell()
            # Of the processor, on a busy machine; the clock is for what waits.
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(12 * SECONDS)
            try:
                what, text = command(rng, files) if kind == "command" else read(kind, number, rng, files)
            except BaseException:
                what, text = "finding", traceback.format_exc()
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            lines.truncate(position - len(json.dumps([number, "finding", "no answer"])) - 1)
            lines.seek(0, os.SEEK_END)
            lines.write(json.dumps([number, what, text]) + "\n")
    return 0


def prepare(kind):
    """Import what takes long, which must not count."""
    import scipy.io  # noqa: F401
    import skimage.util  # noqa: F401
    import tifffile  # noqa: F401

    if kind == "torch":
        with contextlib.suppress(ImportError):
            import torch  # noqa: F401
    if kind in ("symbol", "params", "checkpoint", "state", "torch7", "command"):
        from neural_style._mxnet import mx

        mx.nd.ones(1).asnumpy()


def limit():
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(kind, number, rng, files):
    """Read one damaged file; return how that ended."""
    from fuzz_files import change_value, damage

    from neural_style.errors import NeuralStyleError

    if kind == "job":
        source, data = "job.json", change_value(sound_job(), rng)
    elif not files[kind]:
        return "skipped", ""
    else:
        source = rng.choice(files[kind])
        data = damage(source, rng)
        path = f"bad-{number}{'-symbol.json' if kind == 'symbol' else Path(source).suffix}"
        Path(path).write_bytes(data)
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            with contextlib.redirect_stderr(io.StringIO()) as python_said:
                READERS[kind](data if kind == "job" else path)
            what = "accepted"
        except NeuralStyleError as error:
            what = "refused" if len(str(error).splitlines()) == 1 else "finding"
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        said.seek(0)
        text = said.read().decode(errors="replace") + python_said.getvalue()
    if text:
        return "finding", f"{source}: a library says {text}"
    if what != "finding" and kind != "job":
        os.remove(path)
    return what, source


def sound_job():
    from neural_style.jobs.job import Job
    from neural_style.jobs.outputs import Outputs

    return Job("content.png", ("style.png",), Outputs.beside("o.png"), checkpoint="c.npz").to_json()


def read_symbol(path):
    """Do with an external network what a run does before it computes."""
    from neural_style.networks.external import ExternalNetwork

    network = ExternalNetwork(path)
    layers = network.resolve(["c1_relu", "mixed"])
    network.parameter_shapes(layers)
    network.channels(layers[0])
    network.minimum_side(layers)


def read_job(record):
    from neural_style.jobs.job import Job

    Job.from_json(record)


def read_a_state(path):
    from neural_style.training.loop import read_state

    read_state(path, {"seed": 0})


def read_a_checkpoint(path):
    from neural_style.jobs.checkpoints import load_checkpoint

    load_checkpoint(path)


def read_params(path):
    """Read a .params file as a network's and as another program's."""
    from neural_style.errors import NeuralStyleError
    from neural_style.weights.importers import import_weights
    from neural_style.weights.lookup import describe_weights, verify_weights

    with contextlib.suppress(NeuralStyleError):
        describe_weights(path)
        verify_weights(path, "vgg16-lowrank")
    import_weights(path)


def import_as(layout):
    def read(path):
        from neural_style.weights.importers import import_weights

        import_weights(path, layout=layout)

    return read


def read_torch7_generator(path):
    from neural_style.weights.generator_importers import import_generator

    import_generator(path, "johnson")


def read_an_image(path):
    from neural_style.images.reading import read_image

    read_image(path)


def read_a_record(path):
    from neural_style.jobs.job import read_recipe
    from neural_style.jobs.provenance import read_record

    read_recipe(read_record(path))


READERS = {
    "image": read_an_image,
    "record": read_a_record,
    "params": read_params,
    "checkpoint": read_a_checkpoint,
    "state": read_a_state,
    "symbol": read_symbol,
    "job": read_job,
    "torch": import_as("torchvision"),
    "torch7": read_torch7_generator,
    "hdf5": import_as("keras"),
    "matlab": import_as("matconvnet"),
}

# ---- commands

ODD_FILES = ["none.png", ".", "/", "", "/dev/null", "/dev/zero", "pipe", "link", "notes.txt", "x" * 300, "a\x1b[2J.png"]
ODD_FILES += ["\udcff.png", "../x/../content.png", "notes.txt/x.png", "-", "--", "loop", "nowhere/x.png", "\u202e.png"]
ODD_NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "nan",
    "inf",
    "-inf",
    "1e39",
    "1e-300",
    "1e-46",
    "3e38",
    str(2**31),
    str(2**64),
    "0x10",
]
ODD_NUMBERS += ["9" * 400, "", "1,2", "1_0", " 3", "\u0663", "0.5", "16", "40"]
# What makes a run that is sound, and longer than a finding may take: a style of a thousand pixels.
LONG = (("--style-scale", "16"), ("--style-scale", "40"))
OUTPUTS = ["o.png", "o.jpg", "out/o.tif", "p.npz", "q.params", "r.html", "t.json"]


def command(rng, files):
    """Run one odd command; return how that ended."""
    from neural_style.cli.main import main

    world = [name for names in files.values() for name in names] + ODD_FILES
    prepare_folder()
    argv = make_command(rng, world)
    # What stands in the place of an output may be replaced, if it is of its kind.
    before = digests()
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code
    after, lines = digests(), err.getvalue().splitlines()
    changed = [name for name in before if after.get(name) != before[name]]
    errors = [line for line in lines if "error: " in line]
    text = f"{argv}\n{code}\n{err.getvalue()}"
    named = {os.path.realpath(word.split("=")[-1]) for word in argv}
    lost = [name for name in changed if os.path.realpath(name) not in named or is_input(name)]
    parts = [name for name in after if name.endswith(".part")]
    wrong = code not in (0, 1, 2) or len(errors) != (code != 0) or "\x1b" in text.replace(str(argv), "")
    if lost or parts or wrong or (code == 1 and "--quiet" in argv and len(lines) != 1):
        return "finding", f"{text}\nchanged: {changed}, lost: {lost}, left: {parts}"
    return {0: "done", 1: "refused", 2: "not understood"}[code], ""


def is_input(name):
    """Return whether a file must stay as it is, whatever is said: it is of no kind that is written in its place."""
    return name in ("notes.txt", "content.png", "style.png", "w.params", "net-symbol.json", "net-0000.params")


def prepare_folder():
    for name in [*OUTPUTS, "trace.json", "out", "demo"]:  # the trace is of reports
        shutil.rmtree(name, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.remove(name)
    if not os.path.lexists("pipe"):
        os.mkfifo("pipe")
        os.symlink("content.png", "link")
        os.symlink("loop", "loop")
        Path("notes.txt").write_text("to be kept\n")


def digests():
    return {str(p): hashlib.sha1(p.read_bytes()).hexdigest() for p in Path(".").rglob("*") if p.is_file()}


def make_command(rng, world):
    """Return the words of a command that is mostly sound, with something odd in it."""
    from neural_style.cli.flags import FLAGS

    def file():
        return rng.choice(world)

    def output():
        return rng.choice(OUTPUTS) if rng.random() < 0.5 else file()

    quiet = ["--quiet"] if rng.random() < 0.5 else []
    kind = rng.random()
    if kind < 0.6:
        argv = ["content.png", "style.png", "--gpu", "-1", "--max-long-edge", "32", "--max-num-epochs", "1", *quiet]
        argv += ["--pyramid", "", "--weights", "w.params", "-o", "o.png"]
        for place in (0, 1):
            if rng.random() < 0.1:
                argv[place] = file()
        for _ in range(rng.choice((1, 1, 2, 3))):
            if rng.random() < 0.4:
                flag = rng.choice(("-o", "--checkpoint", "--trace", "--report", "--init", "--weights", "--models-dir"))
                argv += [flag, output() if flag in ("-o", "--checkpoint", "--trace", "--report") else file()]
            else:
                names = [*FLAGS, "--seed", "--tile-size", "--memory", "--checkpoint-every", "--gpu", "--recipe"]
                names += ["--precision", "--strength"]
                flag = rng.choice([name for name in names if name != "--max-num-epochs"])
                values = FLAGS[flag].choices if flag in FLAGS and FLAGS[flag].choices else ODD_NUMBERS
                value = rng.choice(list(values) if rng.random() < 0.8 else ODD_NUMBERS)
                argv.append(f"{flag}={'2' if (flag, value) in LONG else value}")
        return argv
    if kind < 0.7:
        return ["--resume", rng.choice(("run.npz", "lbfgs.npz", file())), *quiet, "--output", output()]
    if kind < 0.78:
        return ["show", file(), *(["--json"] if rng.random() < 0.3 else [])]
    if kind < 0.86:
        return ["compare", file(), file(), *(["--report", output()] if rng.random() < 0.3 else [])]
    if kind < 0.92:
        return ["weights", rng.choice(("verify", "import")), file(), "--model", "vgg16"]
    if kind < 0.97:
        return ["weights", "import", file(), "--output", output()]
    return rng.choice(
        (["weights", "list", "--models-dir", file()], ["recipes", file()], ["demo", "--seed", "-1"], [file()])
    )


if __name__ == "__main__":
    sys.exit(main())
