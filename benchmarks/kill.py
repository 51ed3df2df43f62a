"""Kill programs at random moments: is every file whole, is nothing lost or left behind, and does the rest come out?

    python benchmarks/kill.py --runs 50 CONTENT STYLE
    python benchmarks/kill.py --runs 20 --what import fetch training CONTENT STYLE

What is killed in turn is a run with a checkpoint after each step, a training with its state after each batch, an import
that replaces an older file, and a download. Each receives SIGKILL, SIGTERM, SIGHUP, or SIGINT twice at a random moment,
up to six times, and is resumed or repeated until it ends. After each kill every file must be readable, and after all
but SIGKILL there must be no temporary file; at the end there must be none at all, and the result must be equal, byte
for byte, to that of a program that nobody killed.
"""

import argparse
import functools
import http.server
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from forking import Nursery

from neural_style.cli.console import EXIT_INTERRUPTED
from neural_style.images.reading import read_image
from neural_style.jobs.checkpoints import load_checkpoint
from neural_style.recipes.presets import OPTIMISING
from neural_style.weights.catalogue import git_blob_id
from neural_style.weights.lookup import find_weights

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT twice")
RUN = [sys.executable, "-m", "neural_style"]

# A training as small as it can be: the loop, its state and its resumption are those of every training.
TRAINING = """
import os, sys, threading
import numpy as np
from neural_style._mxnet import mx
from neural_style.cli.console import EXIT_INTERRUPTED, ending_on_signals, finishing_on_signals
from neural_style.files import replacing
from neural_style.training.loop import Schedule, Task, own_parameters, read_state, train

class Bowl(Task):
    def __init__(self, start):
        self.parameters, self.scales = {"x": mx.nd.array(start)}, {"x": 1.0}
    def gradients(self, number):
        x = self.parameters["x"]
        target = np.random.RandomState(number).rand(*x.shape)
        return float(mx.nd.sum((x - mx.nd.array(target)) ** 2).asscalar()), {"x": 2 * (x - mx.nd.array(target))}
    def evaluate(self):
        loss = float(mx.nd.sum((self.parameters["x"] - 0.5) ** 2).asscalar())
        return loss, str(loss)

def run(state, result):
    saved = read_state(state, {"kind": "bowl"}) if os.path.exists(state) else None
    task, interrupt = Bowl(own_parameters(saved)["x"] if saved else np.zeros((200, 300))), threading.Event()
    with finishing_on_signals(interrupt):
        trained = train(task, Schedule(40, 0.01, evaluate_every=1), state, {"kind": "bowl"}, saved, interrupt)
    if not trained.complete:
        sys.exit(EXIT_INTERRUPTED)
    with replacing(result) as beside, open(beside, "wb") as file:
        np.save(file, trained.parameters["x"])

try:
    with ending_on_signals():
        run(*sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(EXIT_INTERRUPTED)
"""

# A download of a file of which this machine is the source, and whose digest is therefore another one.
FETCH = """
import dataclasses, sys
from neural_style.cli.main import main
from neural_style.weights.catalogue import KNOWN_FILES
KNOWN_FILES["vgg19"] = dataclasses.replace(KNOWN_FILES["vgg19"], digest=sys.argv.pop(1))
sys.exit(main(["weights", "fetch", "vgg19", "--models-dir", sys.argv[1]]))
"""


def look_at(place):
    """Read everything in a folder."""
    for path in place.glob("*.npz"):
        if path.name == "run.npz":
            load_checkpoint(path)
    for path in place.glob("*.png"):
        read_image(path)


def left_behind(place):
    return {path.name for path in place.rglob("*") if path.name.startswith(".neural-style-")}


class Fresh:
    """Starts programs as processes of their own."""

    def __init__(self, env):
        self._env = env

    def start(self, argv):
        """Start a program."""
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._env)


def run(starter, argv):
    """Run a program that nobody kills; return the seconds."""
    begun, process = time.time(), starter.start(argv)
    _, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{argv[1:6]} exited with {process.returncode}: {err.decode()[-2000:]}")
    return time.time() - begun


def kill(starter, argv, rng, longest):
    """Start a program and kill it; return the name of the signal, or None if it was done nevertheless."""
    process = starter.start(argv)
    name, killed = rng.choice(SIGNALS), False
    try:
        _, err = process.communicate(timeout=rng.uniform(0, longest))
    except subprocess.TimeoutExpired:
        killed = True
        process.send_signal(getattr(signal, name.split()[0]))
        if name.endswith("twice"):
            time.sleep(rng.uniform(0, 0.2))
            process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    if process.returncode == 0:
        return None
    # Python ends itself by SIGINT after some KeyboardInterrupts, though they were caught.
    if not (killed and process.returncode in (EXIT_INTERRUPTED, -signal.SIGINT, -getattr(signal, name.split()[0]))):
        after = f"after {name}" if killed else "though nobody killed it"
        raise SystemExit(f"{argv[1:6]} exited with {process.returncode} {after}: {err.decode()[-2000:]}")
    return name


class Optimisation:
    """Stylise, resume, and have the image of an uninterrupted run."""

    def __init__(self, args, folder, starter):
        self._args, self._folder, self._starter, self._wholes = args, folder, starter, {}

    def prepare(self, number, place):
        """Choose a recipe, and have its image."""
        self._recipe = self._args.recipe or list(OPTIMISING)[number % len(OPTIMISING)]
        if self._recipe not in self._wholes:
            whole = self._folder / f"{self._recipe}.png"
            seconds = run(self._starter, self._begin(whole))
            self._wholes[self._recipe] = whole.read_bytes(), seconds
        self._place, (self.expected, self.seconds) = place, self._wholes[self._recipe]
        self.result = place / "o.png"
        return self._recipe

    def command(self):
        """Return the words that begin it, or resume it."""
        checkpoint = self._place / "run.npz"
        if checkpoint.exists():
            return RUN + ["--resume", str(checkpoint), "--checkpoint-every", "1"]
        return self._begin(self.result, "--checkpoint", checkpoint, "--checkpoint-every", 1)

    def _begin(self, output, *more):
        args = self._args
        argv = RUN + ["--recipe", self._recipe, "--content-image", os.path.abspath(args.content), "--gpu", "-1"]
        argv += ["--style-image", os.path.abspath(args.style), "--model", "vgg16-lowrank", "--stop-eps", "0"]
        argv += ["--max-long-edge", str(args.long_edge), "--max-num-epochs", str(args.steps)]
        return argv + ["--save-epochs", "5", "--output", str(output), *map(str, more)]


class Whole:
    """What is repeated until it ends: its result is the old file, or none, or the new one."""

    def __init__(self, folder, starter, name, argv, old=b""):
        self._name, self._argv, self._old = name, argv, old
        self._place = whole = folder / f"whole-{name}"
        self.result, self.expected = whole / name, b""
        whole.mkdir()
        self.seconds = run(starter, self.command())
        self.expected = self.result.read_bytes()

    def prepare(self, number, place):
        """Put an older file where there is one."""
        self._place, self.result = place, place / self._name
        if self._old:
            self.result.write_bytes(self._old)
        return self._name

    def command(self):
        """Return the words."""
        if self.result.exists() and self.result.read_bytes() not in (self._old, self.expected):
            raise SystemExit(f"{self.result} is neither the old file nor the new one")
        return [word.replace("{}", str(self._place)) for word in self._argv]


def serve(folder):
    """Serve a folder to this machine, slowly enough that there is a middle; return the address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def copyfile(self, source, outputfile):
            for block in iter(lambda: source.read(1 << 18), b""):
                outputfile.write(block)
                time.sleep(0.02)

        def log_message(self, *_):
            pass

        def handle(self):
            try:
                super().handle()
            except OSError:  # whoever asked was killed
                pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/"


def make_victims(args, folder):
    """Return what is killed, by name, and what starts it."""
    weights, env, victims = find_weights("vgg16-lowrank"), dict(os.environ, NO_PROXY="127.0.0.1"), {}
    if "fetch" in args.what:
        there = folder / "served" / "mxnet" / "neural-style" / "model"
        there.mkdir(parents=True)
        (there / "vgg19.params").write_bytes(weights.read_bytes())
        env["NEURAL_STYLE_MIRROR"] = serve(folder / "served")
    starter = Nursery(env) if args.forked else Fresh(env)
    if "optimisation" in args.what:
        victims["optimisation"] = Optimisation(args, folder, starter)
    if "training" in args.what:
        argv = [sys.executable, "-c", TRAINING, "{}/state.npz", "{}/r.npy"]
        victims["training"] = Whole(folder, starter, "r.npy", argv)
    if "import" in args.what:
        argv = [*RUN, "weights", "import", str(weights), "--replace", "--output", "{}/out.params"]
        victims["import"] = Whole(folder, starter, "out.params", argv, b"older")
    if "fetch" in args.what:
        argv = [sys.executable, "-c", FETCH, git_blob_id(weights), "{}"]
        victims["fetch"] = Whole(folder, starter, "vgg19.params", argv)
    return victims, starter


def main():
    kinds = ("optimisation", "training", "import", "fetch")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--what", nargs="+", choices=kinds, default=list(kinds))
    parser.add_argument("--runs", type=int, default=50, help="of all kinds together")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--long-edge", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forked", action="store_true", help="start programs as forks, so that more happens in them")
    parser.add_argument("--recipe", choices=list(OPTIMISING), help="default: another one in every run")
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGHUP):  # which whoever runs this in the background has ignored
        signal.signal(number, signal.default_int_handler)
    rng, deaths, pace = random.Random(args.seed), Counter(), 1.0
    with tempfile.TemporaryDirectory() as folder:
        victims, starter = make_victims(args, Path(folder))
        for number in range(args.runs):
            kind = list(victims)[number % len(victims)]
            place, victim, died = Path(folder) / str(number), victims[kind], []
            place.mkdir()
            name, killed = victim.prepare(number // len(victims), place), set()
            for _ in range(rng.randint(1, 6)):
                died.append(kill(starter, victim.command(), rng, victim.seconds * pace))
                pace *= 0.8 if died[-1] is None else 1.05  # the machine is faster now, or slower
                look_at(place)
                if died[-1] == "SIGKILL":
                    killed |= left_behind(place)  # the next program that writes there removes it
                if left_behind(place) - killed:
                    raise SystemExit(f"run {number}, {kind}, {died}: leaves {left_behind(place)}")
            run(starter, victim.command())
            if victim.result.read_bytes() != victim.expected or left_behind(place):
                raise SystemExit(f"run {number}, {kind}, killed by {died}: another result, or {left_behind(place)}")
            deaths.update((kind, one) for one in died if one)
            died = ", ".join(map(str, died))
            print(f"{number + 1:3} {sum(deaths.values()):4} {kind:13} {name:18} {died:40} same result", flush=True)
    for kind in victims:
        counts = {one: n for (of, one), n in sorted(deaths.items()) if of == kind}
        print(f"{kind:13} {sum(counts.values()):4} deaths: {counts}")
    print(
        f"{args.runs} runs, {sum(deaths.values())} deaths: every result the same, every file whole, nothing left behind"
    )


if __name__ == "__main__":
    main()
