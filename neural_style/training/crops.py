"""Random crops of folders of images, of which a part is held out."""

import hashlib
import logging
import os

import numpy as np

from ..errors import ImageError
from ..images.reading import EXTENSIONS, read_image
from ..images.units import RGB_MEANS

log = logging.getLogger(__name__)

# One crop in ten is shrunk towards grey with added noise, like an image in the first steps of a run.
NOISY, NOISE = 0.1, 15.0
# One image in this many is never trained on.
HELD_OUT = 20
# Correlation above which two images count as the same.
ALIKE = 0.9
# How many held-out images of a folder are shown in a report.
EXAMPLES = 3
_MEANS = np.array(RGB_MEANS, "float32")


def is_held_out(path):
    """Return whether an image is held out for evaluation, which depends only on its file's name, not on the folder."""
    name = os.path.basename(path).encode("utf-8", "surrogateescape")
    return int(hashlib.sha1(name).hexdigest(), 16) % HELD_OUT == 0


def read_images(folders, longest):
    """Read the images of each folder, split into those to train on and those held out.

    About one in `HELD_OUT`, chosen by file name, is held out, together with all images that look like it: collections
    contain the same painting under several names, in other sizes and colours, and none of these copies may be trained
    on.

    Parameters
    ----------
    folders : sequence of str
    longest : int
        Maximum short side in pixels; larger images are shrunk to it.

    Returns
    -------
    train, held_out : list of dict of str to numpy.ndarray
        Per folder, uint8 (H, W, 3) by path, sorted.

    Raises
    ------
    ImageError
        If a folder or an image cannot be read, or if nothing is left to train on or to evaluate.
    """
    groups = []
    for folder in folders:
        try:
            names = sorted(name for name in os.listdir(folder) if name.lower().endswith(EXTENSIONS))
        except OSError as error:
            raise ImageError(f"{folder}: the folder of images cannot be read ({error.strerror})") from error
        if not names:
            raise ImageError(f"{folder}: no images in it; looked for {', '.join(EXTENSIONS)}")
        paths = [os.path.join(folder, name) for name in names]
        groups.append({path: _read(path, longest) for path in paths})
    images = {path: image for group in groups for path, image in group.items()}
    chosen = np.array([is_held_out(path) for path in images])
    kept = dict(zip(images, with_lookalikes(list(images.values()), chosen)))
    train, held_out = (
        [{path: image for path, image in group.items() if kept[path] == held} for group in groups]
        for held in (False, True)
    )
    if not any(train) or not any(held_out):
        raise ImageError(
            f"{', '.join(folders)}: too few different images; about one in {HELD_OUT}, chosen by file name, is held "
            "out for evaluation together with those like it, and neither part may be empty"
        )
    log.info(
        "using %d images; %d are held out, of which %d because they look like another",
        len(images),
        sum(kept.values()),
        sum(kept.values()) - sum(chosen),
    )
    return train, held_out


def with_lookalikes(images, chosen):
    """Add to the chosen images those that look like one of them, those that look like these, and so on.

    Two images look alike if their colours correlate by more than `ALIKE` once both are shrunk to 24 x 24 pixels.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        uint8 (H, W, 3).
    chosen : numpy.ndarray
        bool, one per image.

    Returns
    -------
    numpy.ndarray
        bool, one per image.
    """
    small = np.stack([resample(image.astype("float32"), 24, 24).ravel() for image in images])
    small -= small.mean(axis=1, keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
    alike = small.dot(small.T) > ALIKE
    while True:
        grown = chosen | alike[:, chosen].any(axis=1)
        if (grown == chosen).all():
            return grown
        chosen = grown


class Crops:
    """Random crops of the images of some folders.

    A batch depends only on the seed and its number, so that a resumed run sees the same as an uninterrupted one.
    Folders are drawn with the square root of their size as weight: a few paintings beside many photographs get a fair
    share without being overused.
    """

    def __init__(self, groups):
        self.groups = [list(group.values()) for group in groups if group]
        weights = np.sqrt([len(group) for group in self.groups])
        self.weights = weights / weights.sum()

    def examples(self, count=EXAMPLES):
        """Return the first images of the first folder, uint8 (H, W, 3)."""
        return self.groups[0][:count]

    def batch(self, seed, number, count, crop, noisy=NOISY):
        """Return `count` crops, float32 (count, 3, crop, crop), RGB minus the means."""
        rng = np.random.RandomState([seed, number])
        crops = np.stack([self._crop(rng, crop, noisy) for _ in range(count)])
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))

    def _crop(self, rng, crop, noisy):
        group = self.groups[rng.choice(len(self.groups), p=self.weights)]
        image = group[rng.randint(len(group))]
        # From an enlargement by a third to the whole short side, every octave equally likely.
        short = min(image.shape[:2])
        least = min(short, 0.75 * crop)
        side = int(round(least * (short / least) ** rng.uniform()))
        y, x = (rng.randint(length - side + 1) for length in image.shape[:2])
        piece = resample(image[y : y + side, x : x + side].astype("float32"), crop, crop) - _MEANS
        if rng.randint(2):
            piece = piece[:, ::-1]
        if rng.uniform() < noisy:
            grain = rng.uniform(0, NOISE) * rng.standard_normal(piece.shape)
            piece = piece * rng.uniform() ** 2 + grain.astype("float32")
        return piece.astype("float32")


def _read(path, longest):
    """Read an image, with a short side of at most `longest`."""
    image = read_image(path)
    short = min(image.shape[:2])
    if short > longest:
        sides = [max(1, int(round(side * longest / short))) for side in image.shape[:2]]
        image = np.rint(resample(image.astype("float32"), *sides)).astype("uint8")
    return image


def resample(image, height, width):
    """Resize float32 (H, W, C) with a triangle filter that widens when shrinking, so that nothing aliases."""
    rows, columns = _filter(image.shape[0], height), _filter(image.shape[1], width)
    # (h, H) (H, W * C) -> (h, W, C); (w, W) applied to the middle axis -> (h, w, C)
    image = np.dot(rows, image.reshape(len(image), -1)).reshape(height, -1, image.shape[2])
    return np.matmul(columns, image)


def _filter(before, after):
    centre = (np.arange(after, dtype="float32") + 0.5) * before / after - 0.5
    width = max(1.0, before / after)
    weights = np.maximum(0, 1 - np.abs(np.arange(before)[None] - centre[:, None]) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")
