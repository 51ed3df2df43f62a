"""How close this machine comes to the recorded runs of the original programs, and how close anything can come.

    python benchmarks/recordings.py RECORDING.npz ... --pictures DIR [--weights FILE]

For every recorded run the table compares two others: the same run with this package, and the original's computation on
this machine from a start that differs by one unit in the last place of one value, which shows how far the smallest
difference grows.

Recordings with seeded weights are in ``tests/golden`` and use images of scikit-image. For those with real weights, name
the folder of their images, and the file with VGG-19's conv1_1 to conv3_4.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "independent")]

import numpy as np  # noqa: E402
import original_loop  # noqa: E402
import test_golden  # noqa: E402

from neural_style import Compute, get_recipe, read_image, stylize  # noqa: E402
from neural_style._mxnet import mx  # noqa: E402


def compare(path, pictures, weights_file):
    """Return one row of the table for the recording at `path`."""
    recorded = np.load(str(path))
    flags = dict(zip(recorded["flags"][::2], recorded["flags"][1::2]))
    real = str(recorded["weights"]).startswith("real")
    folder = Path(pictures) if real else test_golden.PICTURES
    weights = original_loop.seeded_weights(mx.nd.load(weights_file) if real else {})
    settings = [(test_golden.SETTINGS[flag], value) for flag, value in flags.items() if flag in test_golden.SETTINGS]
    recipe = get_recipe(f"mxnet-{recorded['version']}").override(**{name: kind(v) for (name, kind), v in settings})
    result = stylize(
        read_image(folder / flags["--content-image"]),
        read_image(folder / flags["--style-image"]),
        recipe,
        weights={name[len("arg:") :]: value for name, value in weights.items()},
        compute=Compute(gpu=-1),
        seed=int(recorded["seed"]),
    )
    originals = test_golden.original_flags(recorded, flags)
    arguments = (originals, recorded["content"], recorded["style"], weights, int(recorded["seed"]))
    image, changes = original_loop.run(*arguments)
    nudged, _ = original_loop.run(*arguments, nudge=True)
    ours = ["%.6f" % step.relative_change for step in result.history]
    theirs = ["%.6f" % change for change in recorded["relative_change"]]
    final = recorded["saved_final.jpg" if "saved_final.jpg" in recorded.files else "saved_out.jpg"]
    off = np.abs(result.image.astype(int) - final)
    same = np.array_equal(result.canvas, image) and ours == ["%.6f" % change for change in changes]
    return (
        path.stem,
        "yes" if same else "NO",
        "yes" if np.array_equal(result.canvas, recorded["final_raw"]) else "no",
        f"{sum(a == b for a, b in zip(ours, theirs))} of {len(theirs)}",
        f"{np.sqrt(np.mean((result.canvas - recorded['final_raw']) ** 2)):.2g}",
        f"{100 * (off > 0).mean():.2f} %",
        f"{np.sqrt(np.mean((nudged - image) ** 2)):.2g}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--pictures", help="folder of the images of recordings with real weights")
    parser.add_argument("--weights", help="file with VGG-19's conv1_1 to conv3_4")
    args = parser.parse_args()
    print(
        "| run | equal to the original's computation here | equal to the recording | equal changes | RMS of the image"
    )
    print("| 8-bit values off | RMS after a nudge of one ulp |")
    for path in args.recordings:
        print("|", " | ".join(compare(path, args.pictures, args.weights)), "|", flush=True)


if __name__ == "__main__":
    main()
