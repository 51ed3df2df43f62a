"""Kill runs at random moments and resume them: is the image that of an uninterrupted run, and is every file whole?

    python benchmarks/kill.py --runs 50 CONTENT STYLE

Every run writes a checkpoint after each step, receives SIGKILL, SIGTERM or SIGINT at a random moment, and is resumed
until it ends, up to three times with another kill. After each kill, the checkpoint and every image must be readable. At
the end, the image must be equal to that of an uninterrupted run, byte for byte.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from neural_style.images.reading import read_image
from neural_style.jobs.checkpoints import load_checkpoint
from neural_style.recipes.presets import OPTIMISING

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
RUN = [sys.executable, "-m", "neural_style"]


def look_at(folder, checkpoint):
    """Read everything in the folder."""
    if checkpoint.exists():
        load_checkpoint(checkpoint)
    for path in folder.glob("*.png"):
        read_image(path)


def kill(argv, rng, longest):
    """Start a program and kill it; return the name of the signal, or None if the program ended before."""
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    number = rng.choice(SIGNALS)
    try:
        code = process.wait(rng.uniform(0, longest))
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        code = process.wait()
        return signal.Signals(number).name
    if code != 0:
        raise SystemExit(f"a run that nobody killed exited with {code}")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--long-edge", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", choices=list(OPTIMISING), help="default: another one in every run")
    args = parser.parse_args()
    rng, deaths, wholes, seconds = random.Random(args.seed), Counter(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def command(recipe, output, *more):
            argv = RUN + ["--recipe", recipe, "--content-image", os.path.abspath(args.content), "--gpu", "-1"]
            argv += ["--style-image", os.path.abspath(args.style), "--model", "vgg16-lowrank", "--stop-eps", "0"]
            argv += ["--max-long-edge", str(args.long_edge), "--max-num-epochs", str(args.steps)]
            return argv + ["--save-epochs", "5", "--output", str(output), *map(str, more)]

        for number in range(args.runs):
            recipe = args.recipe or list(OPTIMISING)[number % len(OPTIMISING)]
            if recipe not in wholes:
                begun = time.time()
                path = folder / f"{recipe}.png"
                subprocess.run(command(recipe, path), stderr=subprocess.DEVNULL, check=True)
                wholes[recipe], seconds[recipe] = path.read_bytes(), time.time() - begun
            place, checkpoint = folder / str(number), folder / str(number) / "run.npz"
            died = []
            for _ in range(rng.randint(1, 3)):
                argv = RUN + ["--resume", str(checkpoint), "--checkpoint-every", "1"]
                if not checkpoint.exists():
                    argv = command(recipe, place / "o.png", "--checkpoint", checkpoint, "--checkpoint-every", 1)
                died.append(kill(argv, rng, seconds[recipe]))
                look_at(place, checkpoint)
            argv = RUN + ["--resume", str(checkpoint)] if checkpoint.exists() else command(recipe, place / "o.png")
            done = subprocess.run(argv, stderr=subprocess.PIPE, universal_newlines=True)
            if done.returncode:
                raise SystemExit(f"run {number}, {recipe}, killed by {died}: {done.stderr.strip().splitlines()[-1]}")
            if (place / "o.png").read_bytes() != wholes[recipe]:
                raise SystemExit(f"run {number}, {recipe}, killed by {died}: the picture differs")
            deaths.update(name for name in died if name)
            print(f"{number + 1:3} {recipe:18} {', '.join(map(str, died)):30} same image", flush=True)
    print(f"{args.runs} runs, {sum(deaths.values())} deaths ({dict(deaths)}): every image the same, every file whole")


if __name__ == "__main__":
    main()
