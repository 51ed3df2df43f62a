"""Make the images that show an artist's controls, in docs/controls.md and the README, and a sheet of them.

    python benchmarks/gallery.py [--output docs/controls] [--sheet gallery.png] [--long-edge 384] [NAME ...]

The photographs are scikit-image's; the styles are the demo's sea and a mosaic that this program draws, like the masks.
Every image is the result of a command line, which is printed, with the recipe `paint` unless it names another. Without
names all are made, in some fifteen minutes on two cores.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage, spatial
from skimage import data

from neural_style import read_image, save_image
from neural_style.images.contact_sheet import make_contact_sheet
from neural_style.images.painting import paint

# Flags of each image; a word in braces is the file of `draw` of that name.
GALLERY = {
    "one": "{cat} {sea}",
    "blend": "{cat} {sea} {mosaic}",
    "weights": "{cat} {sea} {mosaic} --style-weights 1,3",
    "scales": "{cat} {sea} {mosaic} --style-scales 1.6,0.6",
    "masks": "{rocket} {sea} {mosaic} --mask {drawn} --mask-colors red,blue",
    "style-mask": "{cat} {sea} --style-mask {sun}",
    "keep": "{cat} {mosaic} --keep {face}",
    "strength-mask": "{cat} {mosaic} --strength 2 --strength-mask {rising}",
    "colors-content": "{cat} {mosaic} --colors content",
    "colors-match": "{cat} {mosaic} --colors match-covariance",
    "palette": "{cat} {sea} --palette {coffee} --colors match-histogram",
    "transparent": "{cup} {mosaic}",
    "motifs": "{cat} {mosaic} --recipe motifs",
    "no-motifs": "{cat} {mosaic}",
}
WIDTH, QUALITY = 384, 85  # of an image on the page, in pixels, and of its JPEG
ROOT = Path(__file__).resolve().parents[1]


def mosaic(size=(384, 512), seed=1):
    """Draw a mosaic: cells in a few strong colours, each lit from one side, between dark joints."""
    rng = np.random.RandomState(seed)
    height, width = size
    points = rng.uniform(0, 1, (height * width // 420, 2)) * size
    y, x = np.mgrid[:height, :width].astype(float)
    distance, nearest = spatial.cKDTree(points).query(np.stack([y, x], -1), k=2)
    palette = np.array([(196, 40, 36), (238, 172, 44), (28, 92, 160), (24, 138, 120), (244, 226, 188), (92, 36, 92)])
    # Neighbours tend to be alike, so that patches of a colour form.
    field = ndimage.gaussian_filter(rng.standard_normal((height, width)), 38, mode="wrap")
    level = np.argsort(np.argsort(field[tuple(points.astype(int).T)] + rng.standard_normal(len(points)) * 0.006))
    cell = nearest[..., 0]
    colour = palette[level * len(palette) // len(points)][cell] * rng.uniform(0.8, 1.15, (len(points), 1))[cell]
    tilt = rng.uniform(-1, 1, (len(points), 2))[cell]
    light = 1 + 0.012 * (tilt[..., 0] * (y - points[cell, 0]) + tilt[..., 1] * (x - points[cell, 1]))
    joint = np.clip((distance[..., 1] - distance[..., 0]) / 3.5 - 0.25, 0, 1)[..., None]
    colour = colour * light[..., None] * joint + np.array((36, 30, 34)) * (1 - joint)
    return np.clip(colour, 0, 255).astype(np.uint8)


def grey(mask):
    """Return a mask in [0, 1] as an image."""
    return np.repeat((np.clip(mask, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def draw():
    """Return every image that is needed, by name; with alpha where there is some."""
    cat, rocket, coffee = data.chelsea(), data.rocket(), data.coffee()
    sea = paint((384, 512))
    y, x = np.mgrid[: cat.shape[0], : cat.shape[1]]
    face = ndimage.gaussian_filter((((x - 220) / 125) ** 2 + ((y - 135) / 120) ** 2 < 1).astype(float), 10)
    height, width = rocket.shape[:2]
    drawn = np.zeros_like(rocket)
    drawn[...] = (255, 0, 0)
    below = np.arange(height)[:, None] > 0.72 * height + 8 * np.sin(np.arange(width) / 60)
    drawn[below] = (0, 0, 255)
    v, u = np.mgrid[: sea.shape[0], : sea.shape[1]]
    sun = ((u - 0.68 * sea.shape[1]) ** 2 + (v - 0.2 * sea.shape[0]) ** 2 < 115**2) & (v < 0.36 * sea.shape[0])
    v, u = np.mgrid[: coffee.shape[0], : coffee.shape[1]]
    cup = ndimage.gaussian_filter((((u - 318) / 190) ** 2 + ((v - 205) / 180) ** 2 < 1).astype(float), 2)
    return {
        "cat": cat,
        "rocket": rocket,
        "coffee": coffee,
        "sea": sea,
        "mosaic": mosaic(),
        "face": grey(face),
        "drawn": drawn,
        "sun": grey(sun),
        "rising": grey((x / cat.shape[1] - 0.15) / 0.7),
        "cup": np.dstack([coffee, (cup * 255).astype(np.uint8)]),
    }


def show(image):
    """Return an image as it is shown; what is transparent over a chequered ground."""
    if image.shape[2] == 4:
        height, width = image.shape[:2]
        ground = np.where((np.indices((height, width)) // 8).sum(0) % 2, 255, 216)[..., None]
        alpha = image[..., 3:] / 255
        image = np.rint(image[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)
    size = WIDTH, round(image.shape[0] * WIDTH / image.shape[1])
    return Image.fromarray(image).resize(size, Image.LANCZOS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GALLERY))
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "controls", metavar="DIR")
    parser.add_argument("--sheet", metavar="FILE", help="image with all of them side by side")
    parser.add_argument("--long-edge", type=int, default=384, metavar="N")
    parser.add_argument("--model", default="vgg16-lowrank")
    args = parser.parse_args()
    if not set(args.names) <= set(GALLERY):
        parser.error(f"the images are {', '.join(GALLERY)}")
    args.output.mkdir(parents=True, exist_ok=True)
    names, made = args.names or list(GALLERY), []
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, image in draw().items():
            files[name] = str(Path(folder) / f"{name}.png")
            save_image(files[name], image)
        for name in names:
            words = GALLERY[name].split()
            print("neural-style", shlex.join(word.strip("{}") for word in words), flush=True)
            words = [files[word[1:-1]] if word.startswith("{") else word for word in words]
            result = str(Path(folder) / "result.png")
            command = [sys.executable, "-m", "neural_style", "stylize", *words, "-o", result, "--quiet"]
            command += ["--model", args.model, "--max-long-edge", str(args.long_edge)]
            subprocess.run(command, check=True)
            made.append(show(read_image(result, alpha=True)))
            made[-1].save(args.output / f"{name}.jpg", quality=QUALITY, optimize=True)
        if not args.names:
            for name in ("sea", "mosaic", "drawn"):
                show(read_image(files[name])).save(args.output / f"{name}.jpg", quality=QUALITY, optimize=True)
    if args.sheet:
        rows = [
            make_contact_sheet([np.asarray(one) for one in made[i : i + 4]], names[i : i + 4], 160)
            for i in range(0, len(made), 4)
        ]
        widest = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=232) for row in rows]
        save_image(args.sheet, np.concatenate(rows))


if __name__ == "__main__":
    main()
