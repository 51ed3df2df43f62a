"""Archives: what `numpy.savez` writes comes back as `numpy.load` reads it; whatever is damaged is one error."""

import numpy as np
import pytest

from neural_style.archives import is_archive, read_arrays

ARRAYS = {
    "canvas": np.arange(24, dtype="f4").reshape(1, 3, 2, 4),
    "wide": np.arange(3, dtype="f8"),
    "turned": np.asfortranarray(np.arange(6, dtype="i8").reshape(2, 3)),
    "count": np.array(7),
    "text": np.array("a text \u00e9"),
    "flags": np.array([True, False]),
    "bytes": np.frombuffer(b"{}", "u1"),
    "none": np.zeros((0, 5), "f4"),
}


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    return tmp_path / "a.npz"


def test_it_reads_what_numpy_writes(path):
    found = read_arrays(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


def test_the_first_array_tells_what_it_is(path):
    head = path.read_bytes()[:100]
    assert (
        is_archive(head, ("other", "canvas")) and not is_archive(head, ("wide",)) and not is_archive(b"", ("canvas",))
    )


@pytest.mark.parametrize("write", [np.savez_compressed, lambda path, **arrays: np.savez(path, x=np.array([{}]))])
def test_what_is_packed_or_holds_objects_is_refused(tmp_path, write):
    write(tmp_path / "b.npz", **ARRAYS)
    with pytest.raises(ValueError):
        read_arrays(tmp_path / "b.npz")


def test_damage_is_a_value_error(path):
    whole, random = path.read_bytes(), np.random.RandomState(0)
    for _ in range(600):
        data = bytearray(whole)
        for place in random.randint(0, len(data), random.randint(1, 6)):
            data[place] = random.randint(256)
        path.write_bytes(bytes(data[: random.choice([len(data), random.randint(len(data))])]))
        try:
            read_arrays(path)
        except ValueError:
            pass
