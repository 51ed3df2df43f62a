"""How steady a video is: its frames, made one from the other, compared with the same frames made one by one.

    python benchmarks/video.py CLIP PAINTING --output DIR [--count 12] [further flags of neural-style video]

Repaints the first frames of a clip twice, by `neural-style video` and each as an image by itself with the same recipe;
what is in the folder already is not made again. The warp error is the distance, in grey levels, of every frame from the
one before, brought into its place along the flow of the clip, at pixels where the flow is reliable; of the clip itself
it is what flow and interpolation leave. Printed are its root mean square and its mean over all frames, and the seconds
of the processors that a frame took, start of the program included. strip.png shows the clip and both ways.
"""

import argparse
import itertools
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SHOWN = 5


def warp_errors(seen, made, method):
    """Return root mean square and mean of the warp error, for each pair of frames that follow each other.

    Parameters
    ----------
    seen, made : list of numpy.ndarray
        uint8 (H, W, 3): the frames of the clip at the size of the result, and what was made of them.
    method : str
        A name of `images.flow.FLOWS`.
    """
    from neural_style.images.flow import estimate_flow, find_reliability, warp

    for (before, here), (former, now) in zip(zip(seen, seen[1:]), zip(made, made[1:])):
        flow = estimate_flow(here, before, method)
        reliable = find_reliability(flow, estimate_flow(before, here, method)) > 0.99
        off = (warp(former, flow) - now)[reliable]
        yield np.sqrt(np.mean(off**2)), np.mean(np.abs(off))


def make_one_by_one(clip, painting, folder, count, flags):
    """Make each frame as an image by itself, and return the seconds that each took."""
    from neural_style.images.frames import Clip
    from neural_style.images.saving import save_image

    folder.mkdir(parents=True, exist_ok=True)
    seconds = []
    for number, (image, _) in enumerate(itertools.islice(Clip(clip).frames(), count), 1):
        path, frame = folder / f"frame-{number:06}.png", folder / "frame.png"
        if not path.exists():
            save_image(frame, image)
            seconds.append(run(["stylize", frame, painting, "-o", path, *flags]))
            frame.unlink()
    return seconds


def run(words):
    """Run this checkout's command line, and return the seconds of the processors that it took."""
    words = [sys.executable, "-m", "neural_style", *map(str, words), "--quiet"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, cwd=str(ROOT))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    """Make what is missing, measure, and draw the strip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("painting", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="frames that are made one by one")
    parser.add_argument("--max-long-edge", default="256")
    parser.add_argument("--recipe", default="paint")
    args, flags = parser.parse_known_args()
    from neural_style.images.flow import choose_flow
    from neural_style.images.frames import Clip
    from neural_style.images.reading import read_image

    clip, painting, output = args.clip.resolve(), args.painting.resolve(), args.output.resolve()
    edge = ["--max-long-edge", args.max_long_edge, "--recipe", args.recipe]
    if not (output / "video.mp4").exists():
        taken = run(["video", clip, painting, "-o", output / "video.mp4", "--frames", output / "video", *edge, *flags])
        total = len(list((output / "video").glob("frame-*.png")))
        print(f"one from the other: {taken / total:.1f} s a frame", flush=True)
    seconds = make_one_by_one(clip, painting, output / "alone", args.count, edge)
    if seconds:
        print(f"one by one: {np.median(seconds):.1f} s a frame")
    ways = {}
    for name in ("video", "alone"):
        ways[name] = [read_image(path) for path in sorted((output / name).glob("frame-*.png"))]
    height, width = ways["video"][0].shape[:2]
    ways = {
        "clip": [np.asarray(Image.fromarray(image).resize((width, height))) for image, _ in Clip(clip).frames()],
        **ways,
    }
    print(f"{'':8} {'frames':>6} {'rms':>7} {'mean':>7}   the first {args.count} alone: {'rms':>7} {'mean':>7}")
    for name, made in ways.items():
        errors = np.array(list(warp_errors(ways["clip"], made, choose_flow())))
        cells = [*errors.mean(axis=0), *errors[: args.count - 1].mean(axis=0)]
        print(f"{name:8} {len(made):6} {cells[0]:7.2f} {cells[1]:7.2f}   {'':22} {cells[2]:7.2f} {cells[3]:7.2f}")
    rows = []
    for made in ways.values():
        shown = [made[i] for i in np.linspace(0, len(made) - 1, SHOWN).astype(int)]
        rows.append(np.concatenate(shown, axis=1))
    Image.fromarray(np.concatenate(rows)).save(output / "strip.png")


if __name__ == "__main__":
    main()
