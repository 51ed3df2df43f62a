"""The page about limits says what the code does."""

import re
from pathlib import Path

import pytest

from neural_style import limits
from neural_style.images.reading import FORMATS
from neural_style.networks.symbol_file import OPERATORS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "limits.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the pages are not part of an installed package")


def test_every_format_and_operator_is_listed():
    text = PAGE.read_text(encoding="utf-8")
    section = text.split("## Networks")[1].split("## ")[0]
    assert set(re.findall(r"`([A-Za-z]\w*|_\w+)`", section)) == set(OPERATORS)
    assert all(name in text.split("## Weights")[0] for name in FORMATS)


def test_the_numbers_are_those_of_the_code():
    rows = [row.strip("| ").split(" | ")[0] for row in PAGE.read_text(encoding="utf-8").splitlines() if "|" in row]
    numbers = {
        f"{limits.max_pixels()} pixels",
        f"{limits.MAX_LONG_EDGE} pixels",
        f"{limits.SMALLEST_FLOAT:.2g} to {limits.LARGEST_FLOAT:.2g}, or 0",
        f"{limits.MAX_STANDARD_BYTES // 2**30} GiB",
        f"{limits.MAX_COUNT}",
        f"{limits.MAX_LENGTH}",
        f"{limits.MAX_SEED}",
        f"{limits.MAX_WEIGHTS_BYTES // 2**30} GiB",
        f"{limits.MAX_PARAMETERS}",
        f"{limits.MAX_SYMBOL_BYTES // 2**20} MiB, {limits.MAX_SYMBOL_NODES} nodes",
        f"{limits.MAX_ARCHIVE_BYTES // 2**30} GiB",
        f"{limits.READER_BYTES // 2**30} GiB, and {limits.READER_BYTES_PER_BYTE} times the file",
        f"{limits.READER_SECONDS} s, and 1 s for every {limits.READER_BYTES_PER_SECOND // 2**20} MiB",
    }
    assert numbers <= set(rows)
