"""Names are bytes: whatever is in them, a run with such files is resumed and shown, and no terminal obeys them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from neural_style.cli.main import main
from neural_style.errors import printable
from neural_style.images.reading import read_image
from neural_style.jobs.provenance import read_record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")

NAMES = {
    "no-break space": "a\u00a0b.png",
    "narrow no-break space": "a\u202fb.png",
    "zero-width joiner": "a\u200db.png",
    "right to left": "gnp.\u202etxt.png",
    "escape": "\x1b[2J\x1b]0;title\x07.png",
    "newline": "one\n# two.png",
    "bytes": os.fsdecode(b"\xff\xfe\x80.png"),
    "quotes": "-'\"$(touch ran)`\\.png",
    "emoji": "\U0001f469\u200d\U0001f3a8.png",
}


@pytest.fixture
def place(tmp_path, pictures, lowrank_alone, monkeypatch):
    folder = tmp_path / "place"
    folder.mkdir()
    for name in ("content.png", "style.png"):
        shutil.copy(str(pictures / name), str(folder / name))
    monkeypatch.chdir(folder)
    return folder


def is_safe(text):
    return all(line.isprintable() for line in text.splitlines())


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_goes_through_a_run_and_back(name, place, capfd):
    os.rename("content.png", name)
    output, state = "o" + name, name + ".npz"
    argv = ["--content-image=" + name, "--style-image", "style.png", "--gpu", "-1", "--max-long-edge", "40"]
    argv += ["--save-epochs", "0", "--stop-eps", "0", "--checkpoint=" + state, "--checkpoint-every", "1"]
    assert main([*argv, "--max-num-epochs", "2", "--output=" + output, "--trace=t" + name]) == 0
    whole = read_image(output)
    record = read_record(output)
    assert os.fsencode(record["content"]["file"]) == os.fsencode(name)
    os.remove(output)
    assert main(["--resume=" + state]) == 0
    assert (read_image(output) == whole).all()
    assert main(["weights", "verify", "./" + name]) == 1
    assert main(["compare", "./" + output, "./" + name]) == 0
    out, err = capfd.readouterr()
    assert is_safe(out) and is_safe(err) and printable(name) in out + err
    assert main(["show", "./" + output]) == 0
    line, *comments = capfd.readouterr().out.splitlines()
    assert line.isprintable() and all(c.isprintable() and c.startswith("#") for c in comments)
    if shutil.which("bash"):
        code = f"{sys.executable} -c 'import json, os, sys; print(json.dumps(sys.argv[1:]))' {line}"
        words = json.loads(subprocess.check_output(["bash", "-c", code]))
        assert "--content-image=" + name in words or name in words
    assert not os.path.exists("ran")


def test_a_program_gets_names_byte_for_byte(place, capfdbinary):
    name = os.fsencode(NAMES["bytes"])
    os.mkdir(name)
    from neural_style.cli.console import say_path

    say_path(os.path.join(os.fsdecode(name), "x"))
    assert capfdbinary.readouterr().out == name + b"/x\n"


@pytest.mark.parametrize("argv", [["\x1b[31m"], ["--recipe", "\x1b[31m"], ["--\x1b[31m"], ["show", "\x1b[31m", "\x1b"]])
def test_words_that_are_refused_are_escaped(argv, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert "\x1b" not in capsys.readouterr().err


def test_escapes():
    assert printable("a\x1b\u202e\udcff\n\u00e9 \U0001f3a8") == r"a\x1b\u202e\xff\n" + "\u00e9 \U0001f3a8"
