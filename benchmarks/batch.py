"""How a machine is best shared among the jobs of a batch, and whether a batch survives being killed.

    python benchmarks/batch.py share --workers 1x1,1x2,2x1 CONTENTS STYLES
    python benchmarks/batch.py kill CONTENTS STYLES

On a machine that others use, name each sharing several times, and compare seconds of the same number of threads.

CONTENTS and STYLES are folders of images, of which so many are taken that there are `--jobs` jobs. The first runs the
batch with so many processes of so many threads each, and prints seconds and the most memory that the processes held
together. The second kills the program at random moments, starts it again after each, and compares every image with the
one that its job makes alone; no image may be made a second time.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from neural_style.images.reading import EXTENSIONS, read_image
from neural_style.jobs.provenance import read_record


def take(folder, count, place):
    """Copy the first images of a folder to another."""
    place.mkdir()
    names = [name for name in sorted(os.listdir(folder)) if name.lower().endswith(EXTENSIONS)][:count]
    if len(names) < count:
        raise SystemExit(f"{folder}: has {len(names)} images, {count} are needed")
    for name in names:
        shutil.copy(os.path.join(folder, name), str(place / name))


def held(process, total):
    """Follow the memory, in bytes, that a process and its children hold together; pages they share count once."""
    while process.is_running():
        try:
            family = [process, *process.children(recursive=True)]
            total.append(sum(one.memory_full_info().pss for one in family))
        except psutil.Error:
            pass
        time.sleep(0.25)


def run(command, threads):
    """Run a program; return its seconds by the clock and of processors, and the most memory."""
    begun, used, most = time.monotonic(), os.times(), [0]
    process = psutil.Popen(command, env=dict(os.environ, OMP_NUM_THREADS=str(threads)), stderr=subprocess.DEVNULL)
    follower = threading.Thread(target=held, args=(process, most), daemon=True)
    follower.start()
    code = process.wait()
    if code:
        raise SystemExit(f"a batch exited with {code}")
    now = os.times()
    spent = now.children_user - used.children_user + now.children_system - used.children_system
    return time.monotonic() - begun, spent, max(most)


def share(args, command, folder):
    """Time a batch with different numbers of processes and threads."""
    first = None
    print("| processes | threads | seconds | CPU seconds | images per hour | to the first | memory, MB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for number, sharing in enumerate(args.workers.split(",")):
        processes, threads = map(int, sharing.split("x"))
        output = folder / str(number)
        seconds, spent, most = run(command + ["-o", str(output), "--workers", str(processes)], threads)
        first = first or seconds
        count = len(list(output.glob("*.png")))
        rate = f"{3600 * count / seconds:.0f} | {first / seconds:.2f}"
        print(
            f"| {processes} | {threads} | {seconds:.1f} | {spent:.1f} | {rate} | {most / 1e6:.0f} |",
            flush=True,
        )


def kill(args, command, folder):
    """Kill a batch at random moments and compare its images with those of single runs."""
    rng, output, stamps, twice = random.Random(args.seed), folder / "killed", {}, 0
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    begun = time.monotonic()
    for number in range(args.kills + 1):
        process = subprocess.Popen(command + ["-o", str(output)], env=environment, stderr=subprocess.DEVNULL)
        target = rng.randint(*(round(args.jobs * share / (args.kills + 1)) for share in (number + 0.3, number + 0.9)))
        while process.poll() is None and (number == args.kills or len(list(output.glob("*.png"))) < target):
            time.sleep(0.05)
        name = "the end"
        if process.poll() is None:
            name = ("SIGKILL", "a worker, SIGKILL", "SIGTERM twice")[number % 3]
            if name == "a worker, SIGKILL":
                rng.choice(psutil.Process(process.pid).children(recursive=True)).kill()
                time.sleep(2)
            process.send_signal(signal.SIGTERM if name == "SIGTERM twice" else signal.SIGKILL)
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM if name == "SIGTERM twice" else signal.SIGKILL)
            process.wait()
        now = {path: path.stat().st_mtime_ns for path in output.glob("*.png")}
        twice += sum(now[path] != stamp for path, stamp in stamps.items())
        stamps = now
        print(f"start {number + 1}: {len(now)} images at {time.monotonic() - begun:.0f} s, then {name}", flush=True)
    different = 0
    for path in sorted(stamps):
        different += not equals_its_single_run(path, folder / "alone.png", args)
    print(f"{len(stamps)} images: {different} differ from their single runs, {twice} were made twice")
    left = [path.name for path in output.iterdir() if path.suffix == ".part"]
    print(f"{len(left)} unfinished files of killed processes")


def equals_its_single_run(path, alone, args):
    """Make an image again by a single run, and compare."""
    from neural_style.jobs.job import Job, read_recipe
    from neural_style.jobs.outputs import Outputs
    from neural_style.jobs.running import run_job
    from neural_style.transfer.compute import Compute

    record = read_record(path)
    recipe, _ = read_recipe(record)
    styles = [style["file"] for style in record["styles"]]
    run_job(Job(record["content"]["file"], styles, Outputs.beside(str(alone)), recipe, compute=Compute(gpu=-1)))
    return np.array_equal(read_image(path), read_image(alone))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["share", "kill"])
    parser.add_argument("contents")
    parser.add_argument("styles")
    parser.add_argument("--jobs", type=int, default=200, help="two for every content and style")
    parser.add_argument("--workers", default="1x1,1x2,2x1", help="processes x threads, with commas between")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--long-edge", type=int, default=96)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    side = round((args.jobs / 2) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        contents, styles = folder / "contents", folder / "styles"
        take(args.contents, args.jobs // 2 // side, contents)
        take(args.styles, side, styles)
        command = [sys.executable, "-m", "neural_style", "batch", "--content", str(contents), "--style", str(styles)]
        command += ["--vary", "style_weight=0.5,2", "--max-long-edge", str(args.long_edge), "--gpu", "-1", "--quiet"]
        command += ["--max-num-epochs", str(args.steps), "--pyramid", "", "--model", "vgg16-lowrank"]
        (share if args.what == "share" else kill)(args, command, folder)


if __name__ == "__main__":
    main()
