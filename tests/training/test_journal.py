"""The journal of a training: every evaluation and pictures on the way, in a page that survives an interruption."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from neural_style.errors import OutputError
from neural_style.reports import pages
from neural_style.training.journal import Journal, check_report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def grey(level):
    return [np.full((24, 32, 3), level, "uint8")] * 2


def make(path):
    facts = {"rate": 0.5, "batch_size": 2, "start": None}
    return Journal(str(path), "Learning <this>", grey(10)[:1], grey(20), facts)


def images_in(page):
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in found]


def test_the_page_has_what_it_learns_from_and_pictures_on_the_way(tmp_path):
    journal = make(tmp_path / "page.html")
    for number, loss in ((0, 4.0), (50, 1.0), (100, 2.0)):
        journal.add(number, loss, grey(100 + number))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        "Learning &lt;this&gt;" in page
        and "smallest 1, after 50" in page
        and ">0.5<" in page
        and ">batch size<" in page
    )
    assert "after 100 batches" in page and "<svg" in page and "batches" in page
    # The style, the picture that is shown first, and for the slider the photographs and all three pictures.
    levels = [int(one[one.shape[0] // 2, one.shape[1] // 4].mean()) for one in images_in(page)]
    np.testing.assert_allclose(levels, [10, 200, 20, 100, 150, 200], atol=3)


def test_it_continues_where_it_was(tmp_path):
    whole, first, second = (make(tmp_path / f"{name}.html") for name in ("whole", "parts", "parts"))
    for number in (0, 10, 20):
        whole.add(number, 1.0 + number, grey(number))
    first.add(0, 1.0, grey(0))
    first.add(10, 11.0, grey(10))
    second.restore(first.state())
    second.add(20, 21.0, grey(20))
    assert (tmp_path / "whole.html").read_bytes() == (tmp_path / "parts.html").read_bytes()
    assert whole.state().keys() == second.state().keys()
    second = make(tmp_path / "parts.html")
    second.restore({})
    assert second.state()["losses"].shape == (0, 2)


def test_a_long_training_keeps_pictures_evenly_and_all_losses(tmp_path, monkeypatch):
    monkeypatch.setattr("neural_style.training.journal.write_training_report", lambda *parts: None)
    journal = make(tmp_path / "page.html")
    for number in range(200):
        journal.add(number, 1.0, grey(0))
    state = journal.state()
    kept = sorted(int(name[8:]) for name in state if name.startswith("picture-"))
    assert len(state["losses"]) == 200 and len(kept) == pages.MOST_ITERATES
    assert kept[0] == 0 and kept[-1] == 199 and max(np.diff(kept)) <= 2 * 199 / len(kept)


@pytest.mark.parametrize(
    "arrays",
    [
        {"losses": np.zeros(3)},
        {"losses": np.array([[0.0, np.nan]])},
        {"losses": np.zeros((1, 2)), "picture-0": np.zeros(9, "uint8")},
        {"losses": np.zeros((1, 2)), "picture-5": np.frombuffer(b"\xff\xd8", "uint8")},
        {"losses": np.zeros((1, 2)), "picture-x": np.frombuffer(b"\xff\xd8", "uint8")},
        {"losses": np.zeros((1, 2)), "picture-0": np.array([0xFF, 0xD8], "float32")},
    ],
)
def test_a_damaged_one_is_refused(tmp_path, arrays):
    with pytest.raises(ValueError):
        make(tmp_path / "page.html").restore(arrays)


def test_what_is_no_page_is_not_replaced(tmp_path):
    (tmp_path / "page.html").write_text("my own")
    with pytest.raises(OutputError, match="is no report of this program"):
        check_report(str(tmp_path / "page.html"), [])
    with pytest.raises(OutputError, match="another file of this run has this name"):
        check_report(str(tmp_path / "a.png"), [None, str(tmp_path / "a.png")])
    check_report(None, [])
