"""Make the pairs of small images that show the knobs, in the README and in docs/knobs.md.

    python benchmarks/readme_pictures.py [--output docs/knobs] [--model vgg16-lowrank] [KNOB ...]

Every image is the result of the command line below its name, on scikit-image's photograph of a cat and the demo's
painting of a sea. Without names all of them are made, in some ten minutes on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from neural_style import read_image, save_image
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
        for knob in args.knobs or KNOBS:
            for side, flags in zip("ab", KNOBS[knob]):
                flags = tuple([*SIZE, "--model", args.model, *flags])
                if flags not in made:
                    command = [sys.executable, "-m", "neural_style", photo, painting, "-o", result, *flags]
                    subprocess.run(command, check=True)
                    made[flags] = shrink(read_image(result))
                path = args.output / f"{knob}-{side}.jpg"
                made[flags].save(path, quality=QUALITY, optimize=True)
                print(path)


def shrink(image):
    """Bring an image to the width that it has on the page; a smaller one is enlarged."""
    return Image.fromarray(image).resize((WIDTH, round(image.shape[0] * WIDTH / image.shape[1])), Image.LANCZOS)


if __name__ == "__main__":
    main()
