"""Random crops of folders of pictures, with a part held out."""

import hashlib
import logging
import os

import numpy as np

from ..errors import ImageError
from ..images.reading import read_image
from ..images.units import RGB_MEANS

log = logging.getLogger(__name__)

# One crop in ten is shrunk towards grey with noise on top: what a picture looks like in the first steps of a run.
NOISY, NOISE = 0.1, 15.0
# One picture in so many is never trained on.
HELD_OUT = 20
# Correlation from which two pictures are taken for the same one.
ALIKE = 0.9
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
_MEANS = np.array(RGB_MEANS, "float32")


def is_held_out(path):
    """Tell whether a picture is kept for evaluation on account of its file's name, whatever the folder."""
    name = os.path.basename(path).encode("utf-8", "surrogateescape")
    return int(hashlib.sha1(name).hexdigest(), 16) % HELD_OUT == 0


def read_pictures(folders, longest):
    """Read the pictures of each folder, split into those to train on and those held out.

    About one in `HELD_OUT`, chosen by file name, is held out, and with it whatever looks like it: collections hold the
    same painting under several names, in other sizes and colours, and none of them may be trained on then.

    Parameters
    ----------
    folders : sequence of str
    longest : int
        Pictures whose short side has more pixels are shrunk to this.

    Returns
    -------
    train, held_out : list of dict of str to numpy.ndarray
        Per folder, by path and sorted, uint8 (H, W, 3).

    Raises
    ------
    ImageError
        If a folder or a picture cannot be read, or if nothing is left to train on or to evaluate.
    """
    groups = []
    for folder in folders:
        try:
            names = sorted(name for name in os.listdir(folder) if name.lower().endswith(EXTENSIONS))
        except OSError as error:
            raise ImageError(f"{folder}: the folder of pictures cannot be read ({error.strerror})") from error
        if not names:
            raise ImageError(f"{folder}: no pictures in it; looked for {', '.join(EXTENSIONS)}")
        paths = [os.path.join(folder, name) for name in names]
        groups.append({path: _read(path, longest) for path in paths})
    pictures = {path: picture for group in groups for path, picture in group.items()}
    chosen = np.array([is_held_out(path) for path in pictures])
    kept = dict(zip(pictures, with_lookalikes(list(pictures.values()), chosen)))
    train, held_out = (
        [{path: picture for path, picture in group.items() if kept[path] == held} for group in groups]
        for held in (False, True)
    )
    if not any(train) or not any(held_out):
        raise ImageError(
            f"{', '.join(folders)}: too few different pictures; about one in {HELD_OUT}, chosen by file name, is held "
            "out for evaluation with those like it, and neither part may be empty"
        )
    log.info(
        "%d pictures; %d held out, of which %d because they look like another",
        len(pictures),
        sum(kept.values()),
        sum(kept.values()) - sum(chosen),
    )
    return train, held_out


def with_lookalikes(pictures, chosen):
    """Add to the pictures chosen those that look like one of them, and those that look like these, and so on.

    Two pictures look alike if their colours correlate by more than `ALIKE` once both are shrunk to 24 x 24 pixels.

    Parameters
    ----------
    pictures : sequence of numpy.ndarray
        uint8 (H, W, 3).
    chosen : numpy.ndarray
        bool, one per picture.

    Returns
    -------
    numpy.ndarray
        bool, one per picture.
    """
    small = np.stack([resample(picture.astype("float32"), 24, 24).ravel() for picture in pictures])
    small -= small.mean(axis=1, keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
    alike = small.dot(small.T) > ALIKE
    while True:
        grown = chosen | alike[:, chosen].any(axis=1)
        if (grown == chosen).all():
            return grown
        chosen = grown


class Pictures:
    """Random crops of the pictures of some folders.

    A batch depends on the seed and its number alone, so that a resumed run sees what an uninterrupted one would.
    Folders are drawn with the square root of their size as weight: a few paintings beside many photographs get a fair
    share without being worn out.
    """

    def __init__(self, groups):
        self.groups = [list(group.values()) for group in groups if group]
        weights = np.sqrt([len(group) for group in self.groups])
        self.weights = weights / weights.sum()

    def batch(self, seed, number, count, crop, noisy=NOISY):
        """Cut `count` crops: float32 (count, 3, crop, crop), RGB minus the means."""
        rng = np.random.RandomState([seed, number])
        crops = np.stack([self._crop(rng, crop, noisy) for _ in range(count)])
        return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))

    def _crop(self, rng, crop, noisy):
        group = self.groups[rng.choice(len(self.groups), p=self.weights)]
        picture = group[rng.randint(len(group))]
        # From a third larger than life to the whole short side, every octave alike.
        short = min(picture.shape[:2])
        least = min(short, 0.75 * crop)
        side = int(round(least * (short / least) ** rng.uniform()))
        y, x = (rng.randint(length - side + 1) for length in picture.shape[:2])
        piece = resample(picture[y : y + side, x : x + side].astype("float32"), crop, crop) - _MEANS
        if rng.randint(2):
            piece = piece[:, ::-1]
        if rng.uniform() < noisy:
            grain = rng.uniform(0, NOISE) * rng.standard_normal(piece.shape)
            piece = piece * rng.uniform() ** 2 + grain.astype("float32")
        return piece.astype("float32")


def _read(path, longest):
    """Read one picture, its short side at most `longest`."""
    picture = read_image(path)
    short = min(picture.shape[:2])
    if short > longest:
        sides = [max(1, int(round(side * longest / short))) for side in picture.shape[:2]]
        picture = np.rint(resample(picture.astype("float32"), *sides)).astype("uint8")
    return picture


def resample(picture, height, width):
    """Resize float32 (H, W, C) with a triangle filter that widens when shrinking, so that nothing aliases."""
    rows, columns = _filter(picture.shape[0], height), _filter(picture.shape[1], width)
    # (h, H) (H, W * C) -> (h, W, C); (w, W) applied to the middle axis -> (h, w, C)
    picture = np.dot(rows, picture.reshape(len(picture), -1)).reshape(height, -1, picture.shape[2])
    return np.matmul(columns, picture)


def _filter(before, after):
    centre = (np.arange(after, dtype="float32") + 0.5) * before / after - 0.5
    width = max(1.0, before / after)
    weights = np.maximum(0, 1 - np.abs(np.arange(before)[None] - centre[:, None]) / width)
    return (weights / weights.sum(axis=1, keepdims=True)).astype("float32")
