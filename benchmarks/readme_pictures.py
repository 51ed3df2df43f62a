"""Make the small images that show the knobs, in the README and in docs/knobs.md: pairs, and two strips of five.

    python benchmarks/readme_pictures.py [--output docs/knobs] [--model vgg16-lowrank] [KNOB ...]

Every image is the result of the command line below its name, on scikit-image's photograph of a cat and the demo's
painting of a sea. Without names all of them are made, in some five minutes on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from neural_style import read_image, save_image
from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.painting import paint

# What stands for the two images of a knob, and the flags that make them.
KNOBS = {
    "strength": (["--strength", "0.3"], ["--strength", "3"]),
    "style-scale": (["--style-scale", "0.5"], ["--style-scale", "2"]),
    "tv-weight": (["--tv-weight", "0"], ["--tv-weight", "0.001"]),
    "style-layers": (["--style-layers", "relu1_1,relu2_1", "--style-layer-weights", "0.2,0.3"], []),
    "max-long-edge": (["--max-long-edge", "128"], ["--max-long-edge", "384"]),
    "recipe": ([], ["--recipe", "fast"]),
}
# Knobs that also have a strip over their range.
STRIPS = {"strength": ("0.25", "0.5", "1", "2", "4"), "style-scale": ("0.5", "0.7", "1", "1.4", "2")}
SIZE = ["--max-long-edge", "256"]  # unless the flags say otherwise
WIDTH = 220  # of an image on the page, in pixels
QUALITY = 88  # of its JPEG
ROOT = Path(__file__).resolve().parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knobs", nargs="*", metavar="KNOB", help=", ".join(KNOBS))
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "knobs", metavar="DIR")
    parser.add_argument("--model", default="vgg16-lowrank")
    args = parser.parse_args()
    if not set(args.knobs) <= set(KNOBS):
        parser.error(f"the knobs are {', '.join(KNOBS)}")
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        photo, painting, result = (str(Path(folder) / f"{name}.png") for name in ("photo", "painting", "result"))
        content = data.chelsea()
        save_image(photo, content)
        save_image(painting, paint(content.shape[:2]))
        made = {}

        def make(flags):
            flags = tuple([*SIZE, "--model", args.model, *flags])
            if flags not in made:
                command = [sys.executable, "-m", "neural_style", photo, painting, "-o", result, "--quiet", *flags]
                subprocess.run(command, check=True)
                made[flags] = shrink(read_image(result))
            return made[flags]

        def keep(image, name):
            image.save(args.output / name, quality=QUALITY, optimize=True)
            print(args.output / name)

        for knob in args.knobs or KNOBS:
            for side, flags in zip("ab", KNOBS[knob]):
                keep(make(flags), f"{knob}-{side}.jpg")
            if knob in STRIPS:
                images = [np.asarray(make([f"--{knob}", value] if value != "1" else [])) for value in STRIPS[knob]]
                keep(Image.fromarray(make_contact_sheet(images, STRIPS[knob])), f"{knob}-strip.jpg")


def shrink(image):
    """Bring an image to the width that it has on the page; a smaller one is enlarged."""
    return Image.fromarray(image).resize((WIDTH, round(image.shape[0] * WIDTH / image.shape[1])), Image.LANCZOS)


if __name__ == "__main__":
    main()
