"""The command that repeats a run does."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from neural_style.cli import flags
from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.images.saving import save_image
from neural_style.jobs.provenance import read_record
from neural_style.recipes.presets import OPTIMISING, get_recipe


def make(pictures, vgg19_file, output, *more):
    argv = ["--content-image", pictures / "content.png", "--style-image", pictures / "style.png", "--gpu", -1]
    argv += ["--weights", vgg19_file, "--max-long-edge", 40, "--max-num-epochs", 3, "--output", output, *more]
    assert main([str(word) for word in argv]) == 0


def show(path, capsys):
    assert main(["show", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    command, *comments = out.splitlines()
    assert all(line.startswith("# ") for line in comments)
    return shlex.split(command), "\n".join(comments)


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--seed", 7, "--lr", 0.1, "--stop-eps=-1e-05", "--save-epochs", 0),
        ("--recipe", "mxnet-1.9", "--init", "content", "--lr-sched-factor", 0.3, "--tv-weight", 0),
        ("--recipe", "paint", "--seed", 3, "--style-scale", 0.9, "--content-weight", 0.05 / 3, "--pyramid", "2"),
    ],
)
def test_the_command_repeats_the_run(pictures, vgg19_file, tmp_path, capsys, more):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    make(pictures, vgg19_file, first, *more)
    capsys.readouterr()
    command, _ = show(first, capsys)
    assert command[0] == "neural-style"
    assert main(command[1:] + ["--output", str(second)]) == 0
    np.testing.assert_array_equal(read_image(first), read_image(second))
    assert read_record(first) == read_record(second)


def test_only_what_differs_is_in_the_command(pictures, vgg19_file, tmp_path, capsys):
    make(pictures, vgg19_file, tmp_path / "o.png", "--seed", 2)
    capsys.readouterr()
    command, comments = show(tmp_path / "o.png", capsys)
    assert command[1:] == shlex.split(
        f"--content-image {pictures}/content.png --style-image {pictures}/style.png --model vgg19 --max-long-edge 40 "
        f"--max-num-epochs 3 --weights {vgg19_file} --seed 2 --gpu -1".replace("--gpu -1", "--gpu=-1")
    )
    assert "# 40 x 32 pixels, 3 steps, which was the limit; recipe mxnet-0.7" in comments
    assert comments.count("unchanged") == 2


def test_files_that_changed_or_went(pictures, vgg19_file, tmp_path, capsys):
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    make(tmp_path, vgg19_file, tmp_path / "o.jpg", "--save-epochs", 1)
    capsys.readouterr()
    (tmp_path / "content.png").unlink()
    save_image(tmp_path / "style.png", np.zeros((9, 9, 3), "uint8"))
    _, comments = show(tmp_path / "tmp_2.jpg", capsys)
    assert "content.png: not found here, SHA-256 " in comments and "style.png: has changed, it was SHA-256" in comments
    assert "intermediate, after 2 steps" in comments and "--max-num-epochs 2 ends the run where" in comments


def test_a_pyramids_steps_are_not_those_of_the_flag(pictures, vgg19_file, tmp_path, capsys):
    make(pictures, vgg19_file, tmp_path / "o.png", "--pyramid", "1", "--save-epochs", 2, "--stop-eps", 0)
    capsys.readouterr()
    command, comments = show(tmp_path / "tmp_2.png", capsys)
    assert "intermediate, after 2 steps" in comments and "ends the run" not in comments
    assert command[command.index("--pyramid") + 1] == "1"


def test_names_that_a_shell_would_take_apart(pictures, vgg19_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "-a $(date) 'b'; \"c\".png"
    (tmp_path / name).write_bytes((pictures / "content.png").read_bytes())
    (tmp_path / "style.png").write_bytes((pictures / "style.png").read_bytes())
    argv = ["--content-image=" + name, "--style-image", "style.png", "--max-long-edge", "40", "--max-num-epochs", "1"]
    assert main(argv + ["--weights", str(vgg19_file), "--output", "o.png"]) == 0
    capsys.readouterr()
    assert main(["show", "o.png"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    # The shell's own idea of the line, with a program in front that prints its first argument.
    code = f"{shlex.quote(sys.executable)} -c 'import sys; print(sys.argv[2])' {line}"
    assert subprocess.check_output(["sh", "-c", code]).decode() == "--content-image=" + name + "\n"


def test_json_is_the_record(pictures, vgg19_file, tmp_path, capsys):
    make(pictures, vgg19_file, tmp_path / "o.tif")
    capsys.readouterr()
    assert main(["show", "--json", str(tmp_path / "o.tif")]) == 0
    assert json.loads(capsys.readouterr().out) == read_record(tmp_path / "o.tif")


@pytest.mark.parametrize("name", OPTIMISING)
@pytest.mark.parametrize("other", OPTIMISING)
def test_flags_make_one_recipe_of_another(name, other):
    target = get_recipe(name).override(**get_recipe(other).settings())
    parser = flags.make_parser(None)
    flags.add_flags(parser, flags.FLAGS)
    parser.add_argument("--init")
    assert flags.override_recipe(name, parser.parse_args(flags.write_flags(target))) == target


@pytest.mark.parametrize(
    "prepare, pattern",
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_text("x"), "is not an image"),
        (lambda path: save_image(path, np.zeros((9, 9, 3), "uint8")), "carries no settings of neural-style"),
    ],
    ids=["missing", "text", "foreign"],
)
def test_what_cannot_be_shown_is_one_line(prepare, pattern, tmp_path, capsys):
    path = tmp_path / "o.png"
    prepare(path)
    assert main(["show", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert err.startswith(f"neural-style: error: {path}: ") and pattern in err
