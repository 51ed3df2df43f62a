"""Whether two checkouts of this project compute the same, bit for bit.

    python benchmarks/same_bits.py --model vgg16 --weights vgg16.params [--long-edge 96] [--steps 5] OLD NEW CONTENT
        STYLE

Every recipe runs from both checkouts by their command lines, four times: whole, in tiles, with a pyramid, and stopped
by a signal after its second step and resumed. Compared are the float32 values in the last checkpoint, the 8-bit result,
and every line of the log that reports a step.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

VARIANTS = {
    "whole": ["--tile-size", "0"],
    "tiles": ["--tile-size", "32"],
    "pyramid": ["--pyramid", "3", "--pyramid-factor", "1.4", "--tile-size", "0"],
    "resumed": ["--tile-size", "0"],
}


def start(checkout, argv):
    """Start the program of a checkout."""
    environment = dict(os.environ, PYTHONPATH=str(checkout), OMP_NUM_THREADS="1")
    command = [sys.executable, "-m", "neural_style", *map(str, argv)]
    return subprocess.Popen(
        command, cwd=str(checkout), env=environment, stderr=subprocess.PIPE, universal_newlines=True
    )


def follow(process, until=None):
    """Return the lines of steps of a run; with `until`, end it by a signal after that one."""
    lines = []
    for line in process.stderr:
        if line.startswith("epoch "):
            lines.append(line.strip())
            if until is not None and len(lines) == until:
                process.send_signal(signal.SIGTERM)
    return lines, process.wait()


def run(checkout, recipe, variant, args, folder):
    """Run a recipe; return the canvas, the image, and the lines of its steps."""
    folder.mkdir(parents=True)
    output, checkpoint = folder / "o.png", folder / "c.npz"
    argv = ["--recipe", recipe, "--content-image", args.content, "--style-image", args.style, "--gpu", "-1"]
    argv += ["--model", args.model, "--weights", args.weights, "--max-long-edge", args.long_edge, "--save-epochs", 0]
    argv += ["--max-num-epochs", args.steps, "--output", output, "--checkpoint", checkpoint, "--checkpoint-every", 1]
    process = start(checkout, argv + VARIANTS[variant])
    lines, code = follow(process, until=2 if variant == "resumed" else None)
    if variant == "resumed":
        again, code = follow(start(checkout, ["--resume", checkpoint, "--checkpoint-every", 1]))
        lines += again
    if code:
        raise SystemExit(f"{checkout}, {recipe}, {variant}: exit status {code}")
    with np.load(checkpoint) as arrays:
        # It was called image before it was called canvas.
        canvas = arrays["canvas" if "canvas" in arrays.files else "image"]
    return canvas, np.array(Image.open(output)), lines


def recipes_of(checkout):
    """Return the names of a checkout's recipes."""
    environment = dict(os.environ, PYTHONPATH=str(checkout))
    command = [sys.executable, "-m", "neural_style", "recipes"]
    listed = subprocess.check_output(command, cwd=str(checkout), env=environment, universal_newlines=True)
    return re.findall(r"^(\S+): ", listed, re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", required=True, type=os.path.abspath)
    parser.add_argument("--recipe", action="append", help="default: all that both have")
    parser.add_argument("--long-edge", type=int, default=96)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("content", type=os.path.abspath)
    parser.add_argument("style", type=os.path.abspath)
    args = parser.parse_args()
    both = args.recipe
    if both is None:
        known = recipes_of(args.old.resolve())
        both = [name for name in recipes_of(args.new.resolve()) if name in known]
    print("| recipe | " + " | ".join(VARIANTS) + " |")
    print("|---" * (len(VARIANTS) + 1) + "|")
    failed = False
    for recipe in both:
        cells = []
        for variant in VARIANTS:
            with tempfile.TemporaryDirectory() as folder:
                results = [
                    run(checkout.resolve(), recipe, variant, args, Path(folder) / name)
                    for name, checkout in (("old", args.old), ("new", args.new))
                ]
            (canvas, image, lines), (new_canvas, new_image, new_lines) = results
            same = canvas.tobytes() == new_canvas.tobytes() and np.array_equal(image, new_image) and lines == new_lines
            cells.append(f"equal, {len(lines)} steps" if same else "DIFFERENT")
            failed |= not same
        print(f"| {recipe} | " + " | ".join(cells) + " |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
