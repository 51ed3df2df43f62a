"""What a training has come to so far: its evaluations, and pictures on the way, as a page that grows with it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..files import Output, check_outputs
from ..images.contact_sheet import make_contact_sheet
from ..images.units import get_unit, to_network
from ..networks.generators import Generator
from ..reports.pages import MOST_ITERATES, encode_picture, is_page, require_packages, write_training_report
from ..transfer.feed_forward import Painter, to_image

# Of pictures that are shown side by side, in pixels.
_HEIGHT = 240
_LOSSES, _PICTURE = "losses", "picture-"
_JPEG = b"\xff\xd8"


class Journal:
    """Keeps the evaluations of a training, and writes a page about them.

    Parameters
    ----------
    path : str
        The HTML file, written anew after every evaluation.
    title : str
    styles, photographs : sequence of numpy.ndarray
        What its pictures are made of, uint8 (H, W, 3), shown side by side.
    facts : mapping of str to object
        Settings, for a table.

    """

    def __init__(
        self,
        path: str,
        title: str,
        styles: Sequence[np.ndarray],
        photographs: Sequence[np.ndarray],
        facts: Mapping[str, Any],
    ) -> None:
        self._path, self._title = path, title
        self._facts = [(name.replace("_", " "), "none" if value is None else value) for name, value in facts.items()]
        self._shown = [("Style" if len(styles) == 1 else "Styles", side_by_side(styles))]
        self._photographs = encode_picture(side_by_side(photographs))
        self._losses: List[Tuple[int, float]] = []
        self._pictures: Dict[int, bytes] = {}

    def add(self, number: int, loss: float, pictures: Sequence[np.ndarray]) -> None:
        """Add an evaluation after so many batches, with what the generator makes, and write the page.

        Raises
        ------
        OutputError
            If the page cannot be written.
        """
        self._losses.append((number, loss))
        self._pictures[number] = encode_picture(side_by_side(pictures))
        if len(self._pictures) > MOST_ITERATES:
            # The one whose neighbours are nearest, so that what stays is evenly spread.
            numbers = sorted(self._pictures)
            gaps = [after - before for before, after in zip(numbers, numbers[2:])]
            del self._pictures[numbers[1 + gaps.index(min(gaps))]]
        best = min(self._losses, key=lambda one: one[1])
        losses = dict(self._losses)
        write_training_report(
            self._path,
            self._title,
            [f"{number} batches", f"loss {loss:.4g}", f"smallest {best[1]:.4g}, after {best[0]}"],
            self._shown,
            [("photographs", self._photographs)]
            + [(f"after {one} batches · loss {losses[one]:.4g}", picture) for one, picture in self._pictures.items()],
            self._losses,
            self._facts,
        )

    def state(self) -> Dict[str, np.ndarray]:
        """Return what `restore` needs, arrays by name."""
        pictures = {f"{_PICTURE}{one}": np.frombuffer(jpeg, np.uint8) for one, jpeg in self._pictures.items()}
        return {_LOSSES: np.array(self._losses, np.float64).reshape(-1, 2), **pictures}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue with what `state` returned; a training that kept no journal so far has none of it.

        Raises
        ------
        ValueError
            If it is something else.
        """
        losses = np.asarray(arrays.get(_LOSSES, np.zeros((0, 2))))
        if losses.dtype != np.float64 or losses.shape[1:] != (2,) or not np.isfinite(losses).all():
            raise ValueError("its evaluations are none")
        self._losses = [(int(number), float(loss)) for number, loss in losses]
        known = {number for number, _ in self._losses}
        for name in sorted((name for name in arrays if name.startswith(_PICTURE)), key=_number):
            picture = arrays[name]
            if _number(name) not in known or picture.dtype != np.uint8 or picture.tobytes()[:2] != _JPEG:
                raise ValueError(f"its {name} is none")
            self._pictures[_number(name)] = picture.tobytes()


def check_report(path: Optional[str], inputs: Sequence[Optional[str]]) -> None:
    """Check, before anything is read, that the page can be written, if there is to be one.

    Raises
    ------
    OutputError
        As `files.check_outputs`.
    DependencyError
        If a package that makes pages is missing.
    """
    if path is not None:
        require_packages()
        check_outputs([Output(path, "report", is_page)], inputs)


def repaint(
    kind: Generator,
    parameters: Mapping[str, Any],
    ctx: Any,
    photographs: Sequence[np.ndarray],
    paintings: Sequence[np.ndarray] = (),
) -> List[np.ndarray]:
    """Return photographs, uint8 (H, W, 3), as a generator repaints them: each in the style of its painting, if any."""
    painter, unit = Painter(kind, parameters, ctx), get_unit(kind.unit)
    styles = [painter.encode(to_network(one / 255, 255, unit)) for one in paintings] or [None] * len(photographs)
    pictures = [painter.paint(to_network(one / 255, 255, unit), style) for one, style in zip(photographs, styles)]
    return [to_image(picture, get_unit(kind.picture_unit)) for picture in pictures]


def side_by_side(images: Sequence[np.ndarray]) -> np.ndarray:
    """Lay images, uint8 (H, W, 3), side by side at one height."""
    return make_contact_sheet(images, height=_HEIGHT)


def _number(name: str) -> int:
    return int(name[len(_PICTURE) :])
