"""Several styles and masks on the command line, to the job and back."""

import shlex

import numpy as np
import pytest
from PIL import Image

from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.jobs import running
from neural_style.jobs.inputs import ControlFiles, MaskFile, StyleFile
from neural_style.jobs.provenance import read_record


class Called(Exception):
    """Raised in place of a run, with the job."""


@pytest.fixture
def calls(monkeypatch, vgg19_file):
    def run_job(job, observers=(), resume=None):
        raise Called(job)

    monkeypatch.setattr(running, "run_job", run_job)

    def call(*argv):
        with pytest.raises(Called) as caught:
            main(["stylize", "p.jpg", *argv, "--weights", str(vgg19_file)])
        return caught.value.args[0]

    return call


@pytest.mark.parametrize(
    "argv, styles",
    [
        (["a.jpg", "b.jpg"], [StyleFile("a.jpg"), StyleFile("b.jpg")]),
        (["a.jpg", "b.jpg", "--style-weights", "2,1"], [StyleFile("a.jpg", 2.0), StyleFile("b.jpg")]),
        (["a.jpg", "b.jpg", "--style-scales", "1,0.5"], [StyleFile("a.jpg"), StyleFile("b.jpg", 1.0, 0.5)]),
        (["a.jpg", "--mask", "m.png"], [StyleFile("a.jpg", mask=MaskFile("m.png"))]),
        (["a.jpg", "b.jpg", "--mask", "m.png"], [StyleFile("a.jpg", mask=MaskFile("m.png")), StyleFile("b.jpg")]),
        (
            ["a.jpg", "b.jpg", "--mask", "", "--mask", "m.png"],
            [StyleFile("a.jpg"), StyleFile("b.jpg", mask=MaskFile("m.png"))],
        ),
        (
            ["a.jpg", "b.jpg", "c.jpg", "--mask", "m.png", "--mask-colors", "red,#00f"],
            [
                StyleFile("a.jpg", mask=MaskFile("m.png", "red")),
                StyleFile("b.jpg", mask=MaskFile("m.png", "#00f")),
                StyleFile("c.jpg"),
            ],
        ),
        (
            ["a.jpg", "b.jpg", "--mask", "m.png", "--mask", "n.png", "--mask-colors", ",blue"],
            [StyleFile("a.jpg", mask=MaskFile("m.png")), StyleFile("b.jpg", mask=MaskFile("n.png", "blue"))],
        ),
        (
            ["a.jpg", "b.jpg", "--style-mask", "", "--style-mask", "s.png"],
            [StyleFile("a.jpg"), StyleFile("b.jpg", source_mask="s.png")],
        ),
    ],
)
def test_flags_describe_the_styles(calls, argv, styles):
    job = calls(*argv)
    assert list(job.styles) == styles and job.controls == ControlFiles()
    names = [style.file[:-4] for style in styles]
    assert job.outputs.final == "-".join(["p", *names]) + ".png"


def test_masks_of_the_whole_image(calls):
    job = calls("a.jpg", "--keep", "k.png", "--strength-mask", "s.png")
    assert job.controls == ControlFiles("k.png", "s.png")


def test_a_palette_is_matched_unless_said_otherwise(calls):
    job = calls("a.jpg", "--palette", "p.png")
    assert job.controls == ControlFiles(palette="p.png") and job.recipe.colours.colors == "match-covariance"
    assert (
        calls("a.jpg", "--palette", "p.png", "--colors", "match-histogram").recipe.colours.colors == "match-histogram"
    )
    assert calls("a.jpg", "--colors", "content").recipe.colours.colors == "content"


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--style-weights", "1,2,3"], "--style-weights has 3 numbers for 2 paintings; give one for each"),
        (["--style-weights", "1,0"], "`weight` of a style is 0.0; it must be more than 0"),
        (["--style-scales", "2"], "--style-scales has 1 numbers for 2 paintings"),
        (["--mask", "a", "--mask", "b", "--mask", "c"], "--mask has 3 values for 2 paintings"),
        (["--mask-colors", "red,blue"], "--mask-colors are those of a mask; name it with --mask"),
        (["--mask", "a", "--mask-colors", "red,rde"], "'rde' is no colour"),
        (["--mask", "a", "--mask-colors", "red,blue,green"], "--mask-colors has 3 values for 2 paintings"),
        (["--palette", "style.png", "--colors", "content"], "--palette is of no use with the colours of the content"),
        (["--keep", "none.png"], "none.png: there is no such file"),
    ],
)
def test_what_makes_no_sense_is_one_line(argv, message, pictures, vgg19_file, capsys):
    files = [str(pictures / name) for name in ("content.png", "style.png", "style.png")]
    assert main(["stylize", *files, *argv, "--weights", str(vgg19_file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("neural-style: error: ") and message in line


def test_help_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["stylize", "--help-controls"])
    text = capsys.readouterr().out
    flags = (
        "--style-weights",
        "--style-scales",
        "--mask",
        "--mask-colors",
        "--style-mask",
        "--keep",
        "--strength-mask",
        "--colors",
        "--palette",
    )
    assert all(f"  {flag} " in text for flag in flags)


@pytest.mark.parametrize("recipe", ["paint", "mxnet-0.7"])
def test_show_repeats_it(recipe, pictures, vgg19_file, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name in ("content.png", "style.png"):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    drawn = np.zeros((32, 40, 3), np.uint8)
    drawn[:, :18], drawn[:, 18:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(drawn).save("m.png")
    Image.fromarray(np.linspace(0, 255, 80).astype("uint8").reshape(8, 10)).save("k.png")
    flags = ["--recipe", recipe, "--max-long-edge", "40", "--max-num-epochs", "2", "--pyramid", "", "--gpu=-1"]
    flags += ["--weights", str(vgg19_file), "--report", "r.html"]
    controls = ["--style-weights", "2,1", "--style-scales", "1,0.9", "--mask", "m.png", "--mask-colors", "red,blue"]
    controls += [
        "--palette",
        "style.png",
        "--colors",
        "match-histogram",
        "--style-mask",
        "",
        "--style-mask",
        "k.png",
        "--keep",
        "k.png",
        "--strength-mask",
        "k.png",
    ]
    assert main(["stylize", "content.png", "style.png", "content.png", *controls, *flags, "-o", "first.png"]) == 0
    capfd.readouterr()
    assert main(["show", "first.png"]) == 0
    command, *comments = capfd.readouterr().out.splitlines()
    words = shlex.split(command)
    assert words[:5] == ["neural-style", "stylize", "content.png", "style.png", "content.png"]
    for name in ("style 1 style.png", "mask of style 2 m.png", "part of style 2 k.png", "keep k.png", "strength k.png"):
        assert f"# {name}: unchanged" in comments
    assert main([*words[1:], "-o", "second.png"]) == 0
    np.testing.assert_array_equal(read_image("first.png"), read_image("second.png"))
    assert read_record("first.png") == read_record("second.png")
    page = (tmp_path / "r.html").read_text()
    assert "<b>Mask of style 1</b> m.png" in page and "<b>Keep</b> k.png" in page
    assert "content.png in the style of style.png and content.png" in page
