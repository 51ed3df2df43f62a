"""From arguments to calls, files, lines and exit codes."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from neural_style import __version__, nstyle
from neural_style.cli import flags
from neural_style.cli.console import ending_on_signals
from neural_style.cli.main import COMMANDS, main
from neural_style.errors import OutputError, WeightsError
from neural_style.images.reading import read_image
from neural_style.jobs import observers, running
from neural_style.jobs.job import StyleFile
from neural_style.recipes.parts import Adam
from neural_style.recipes.presets import OPTIMISING, RECIPES, get_recipe
from neural_style.recipes.recipe import all_settings
from neural_style.transfer.compute import Compute

RUN = [sys.executable, "-m", "neural_style"]


def arguments(pictures, vgg19_file, *more):
    given = ["--content-image", str(pictures / "content.png"), "--style-image", str(pictures / "style.png")]
    return given + ["--weights", str(vgg19_file), "--gpu", "-1", "--max-long-edge", "40", *map(str, more)]


class Called(Exception):
    """Raised in place of a run, with the job."""


@pytest.fixture
def calls(monkeypatch, vgg19_file):
    def run_job(job, observers=(), resume=None):
        raise Called(job)

    monkeypatch.setattr(running, "run_job", run_job)

    def call(*argv):
        with pytest.raises(Called) as caught:
            main(["--weights", str(vgg19_file), *argv])
        return caught.value.args[0]

    return call


def test_without_flags_it_is_the_early_program_with_its_defaults(calls):
    job = calls()
    assert job.recipe == get_recipe("mxnet-0.7")
    assert (job.content, job.styles) == ("input/IMG_4343.jpg", (StyleFile("input/starry_night.jpg"),))
    assert job.outputs.final == "output/out.jpg"
    assert job.outputs.intermediate(50) == "output/tmp_50.jpg"
    assert job.compute == Compute() and job.seed == 0 and job.start is None


@pytest.mark.parametrize(
    "flag, value, setting, expected",
    [
        ("--model", "vgg16", "model", "vgg16"),
        ("--stop-eps", "0.1", "stop_eps", 0.1),
        ("--content-weight", "5", "content_weight", 5.0),
        ("--style-weight", "2", "style_weight", 2.0),
        ("--tv-weight", "0", "tv_weight", 0.0),
        ("--max-num-epochs", "7", "max_steps", 7),
        ("--max-long-edge", "128", "max_long_edge", 128),
        ("--lr", "0.5", "learning_rate", 0.5),
        ("--save-epochs", "9", "save_every", 9),
        ("--remove-noise", "0", "remove_noise", 0.0),
        ("--lr-sched-delay", "3", "schedule_delay", 3),
        ("--lr-sched-factor", "0.7", "schedule_factor", 0.7),
        ("--init", "content", "initial", "content"),
        ("--pooling", "max", "pooling", "max"),
        ("--content-layers", "relu3_1,#2", "content_layers", ("relu3_1", "#2")),
        ("--style-layers", "#1,#2,#3,#4,#5", "style_layers", ("#1", "#2", "#3", "#4", "#5")),
        ("--content-norm", "half", "content_norm", "half"),
        ("--style-norm", "gatys", "style_norm", "gatys"),
        ("--style-norm", "relative", "style_norm", "relative"),
        ("--style-statistic", "moments", "style_statistic", "moments"),
        ("--style-scale", "0.7", "style_scale", 0.7),
        ("--style-layer-weights", "0.3", "style_layer_weights", (0.3,)),
        ("--style-layer-weights", "", "style_layer_weights", ()),
        ("--adaptive", "yes", "adaptive", True),
        ("--tv-kind", "absolute", "tv_kind", "absolute"),
        ("--unit", "levels", "unit", "levels"),
        ("--white", "255", "white", 255.0),
        ("--clip-pixels", "no", "clip_pixels", False),
        ("--clip-gradient", "yes", "clip_gradient", True),
        ("--optimizer", "adam", "optimizer", "adam"),
        ("--momentum", "0.5", "momentum", 0.5),
        ("--beta1", "0.7", "beta1", 0.7),
        ("--beta2", "0.8", "beta2", 0.8),
        ("--epsilon", "1e-3", "epsilon", 1e-3),
        ("--history", "7", "history", 7),
        ("--weight-decay", "0.1", "weight_decay", 0.1),
        ("--surrogate", "5", "surrogate", 5),
        ("--pyramid", "30,20", "pyramid", (30, 20)),
        ("--pyramid", "", "pyramid", ()),
        ("--pyramid-factor", "1.5", "pyramid_factor", 1.5),
        ("--pyramid-least", "96", "pyramid_least", 96),
        ("--shape", "square", "shape", "square"),
        ("--style-size", "own", "style_size", "own"),
        ("--denoise-final", "yes", "denoise_final", True),
        ("--noise", "normal", "noise", "normal"),
        ("--noise-center", "3", "noise_center", 3.0),
        ("--noise-range", "2", "noise_range", 2.0),
        ("--noise-share", "0.5", "noise_share", 0.5),
    ],
)
@pytest.mark.parametrize("recipe", OPTIMISING)
def test_a_flag_changes_its_setting_alone(calls, recipe, flag, value, setting, expected, capfd):
    settings = get_recipe(recipe).settings()
    if setting not in settings:
        assert main(["--recipe", recipe, flag, value]) == 1
        assert f"error: {flag} is of no use with " in capfd.readouterr().err
        return
    if get_recipe(recipe).optimizer.fixed_objective and setting in ("adaptive", "clip_gradient"):
        assert main(["--recipe", recipe, flag, "yes"]) == 1
        assert (
            f"its gradient must not be {'reweighted' if setting == 'adaptive' else 'shortened'}"
            in capfd.readouterr().err
        )
        return
    changed = calls("--recipe", recipe, flag, value).recipe.settings()
    # Where no network is named, the file of weights decides. Another optimizer or start has settings of its own.
    settings = {**settings, "model": "vgg19", setting: expected}
    kept = {name: value for name, value in settings.items() if name in changed}
    assert {name: changed[name] for name in kept} == kept
    assert len(kept) == len(changed) == len(settings) or setting in ("initial", "optimizer")


@pytest.mark.parametrize("recipe", ["gatys-2015", "fast", "paint"])
def test_another_optimizer_has_its_own_defaults(calls, recipe):
    changed = calls("--recipe", recipe, "--optimizer", "adam", "--beta1", "0.8").recipe
    shared = get_recipe(recipe).optimizer.clip_pixels
    assert changed.optimizer == Adam(beta1=0.8, clip_pixels=shared) and changed.losses.content_layers == ("relu4_2",)


def test_every_setting_has_a_flag():
    settings = [flag.setting for flag in flags.FLAGS.values()]
    assert sorted([*settings, "initial", "strength"]) == sorted(all_settings())


def test_values_are_written_as_their_flags_take_them():
    for recipe in RECIPES.values():
        values = recipe.settings()
        for flag in flags.FLAGS.values():
            if flag.setting in values:
                value = values[flag.setting]
                assert flag.type(flags.write_value(value)) == value


def test_every_flag_of_the_originals_is_there():
    expected = """--model --content-image --style-image --stop-eps --content-weight --style-weight --tv-weight
    --max-num-epochs --max-long-edge --lr --gpu --output --save-epochs --remove-noise --output_dir --lr-sched-delay
    --lr-sched-factor""".split()
    known = vars(nstyle.get_args([]))
    for flag in expected:
        assert flag.lstrip("-").replace("-", "_") in known or flag == "--output"


def test_the_rest_of_the_flags_reach_the_run(calls):
    argv = ["--content-image", "a", "--style-image", "b", "--gpu", "-1", "--seed", "5", "--init", "c.png"]
    job = calls(*argv, "--precision", "auto", "--tile-size", "96", "--memory", "1GB")
    assert (job.content, job.styles[0].file, job.seed, job.start) == ("a", "b", 5, "c.png")
    assert job.compute == Compute(-1, "auto", 10**9, 96)


@pytest.mark.parametrize(
    "argv, final, intermediate",
    [
        (["--recipe", "mxnet-1.9"], "output//final.jpg", "output/e_50.jpg"),
        (["--output_dir", "there/x"], "there/x/final.jpg", "there/xe_50.jpg"),
        (["--output-dir", "there/"], "there//final.jpg", "there/e_50.jpg"),
        (["--recipe", "mxnet-1.9", "--output", "a/b.PNG"], "a/b.PNG", "a/tmp_50.PNG"),
        (["--output", "b.tif"], "b.tif", "tmp_50.tif"),
    ],
)
def test_where_images_go(calls, argv, final, intermediate):
    outputs = calls(*argv).outputs
    assert (outputs.final, outputs.intermediate(50)) == (final, intermediate)


def test_help_and_version_do_without_mxnet_and_scikit_image():
    code = (
        "import sys; from neural_style.cli.main import main\n"
        "for flag in ('--help', '--version'):\n"
        "    try: main([flag])\n"
        "    except SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('mxnet', 'numpy', 'skimage', 'scipy', 'pooch', 'PIL') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, universal_newlines=True, check=True)
    lines = output.stdout.splitlines()
    assert lines[-2:] == [f"neural-style {__version__}", "[]"]


def help_of(*argv):
    output = subprocess.run([*RUN, *argv], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    assert "%(" not in output
    return output


def test_the_help_has_every_command_first_and_fits_on_a_page():
    lines = help_of("--help").splitlines()
    assert len(lines) < 60 and max(map(len, lines)) <= 110
    commands = lines[lines.index("commands, each with its own --help:") + 1 :]
    assert [line.split()[0] for line in commands[: len(COMMANDS)]] == list(COMMANDS)
    assert commands[len(COMMANDS) + 1] == "input:"


def test_the_help_of_settings_has_all_of_them():
    text = help_of("--help-settings")
    assert all(f"  {flag} " in text for flag in flags.FLAGS)
    assert "  --max-long-edge N             long edge of the result in pixels (default: 512)" in text
    assert "not used by paint" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    text = help_of(command, "--help")
    assert text.startswith(f"usage: neural-style {command}") and COMMANDS[command] in " ".join(text.split())


def test_a_run_saves_pictures_and_logs_the_originals_lines(pictures, vgg19_file, tmp_path, capfd):
    output = tmp_path / "deep" / "er" / "out.png"
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 4, "--save-epochs", 2, "--output", output)
    assert main(argv) == 0
    log = capfd.readouterr().err.splitlines()
    epochs = [line for line in log if line.startswith("epoch ")]
    assert len(epochs) == 4 and re.fullmatch(r"epoch 0, relative change \d\.\d{6}", epochs[0])
    assert {path.name for path in output.parent.iterdir()} == {"out.png", "tmp_2.png", "tmp_4.png"}
    assert read_image(output).shape == (32, 40, 3)
    assert not np.array_equal(read_image(output.parent / "tmp_2.png"), read_image(output))
    np.testing.assert_array_equal(read_image(output.parent / "tmp_4.png"), read_image(output))


def test_less_can_be_logged(pictures, vgg19_file, tmp_path, capfd):
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 1, "--output", tmp_path / "o.png")
    assert main(argv + ["--log-level", "error"]) == 0
    assert capfd.readouterr().err == ""


def test_unset_gpu_is_told_in_one_line(pictures, vgg19_file, tmp_path, capfd):
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 0, "--output", tmp_path / "o.png")
    argv = [word for word in argv if word not in ("--gpu", "-1")]
    assert main(argv) == 0
    assert len([line for line in capfd.readouterr().err.splitlines() if line.startswith("computing on ")]) == 1


def without_weights(pictures, *more):
    argv = arguments(pictures, "FILE", "--max-num-epochs", 1, *more)
    return [word for word in argv if word not in ("--weights", "FILE")]


def test_without_the_full_networks_weights_a_network_of_low_rank_runs_and_a_line_says_so(
    pictures, lowrank_alone, tmp_path, capfd
):
    assert main(without_weights(pictures, "--output", tmp_path / "o.png")) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if "vgg19" in line]
    assert told == [
        "vgg19's weights are not installed; using vgg16-lowrank; 'neural-style weights fetch vgg19' gets the full one"
    ]
    assert (tmp_path / "o.png").exists()


def test_a_network_that_is_named_is_not_replaced(pictures, lowrank_alone, tmp_path, capfd):
    argv = without_weights(pictures, "--model", "vgg19", "--output", tmp_path / "o.png")
    assert main(argv) == 1
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and "no weights 'vgg19'" in lines[0] and "'neural-style weights fetch vgg19'" in lines[0]
    assert not (tmp_path / "o.png").exists()


def test_the_full_network_runs_where_its_weights_are(calls, monkeypatch, lowrank_alone, vgg19_file, capfd):
    monkeypatch.setattr(
        "neural_style.weights.lookup.search_folders", lambda models_dir=None: [lowrank_alone, vgg19_file.parent]
    )
    with pytest.raises(Called) as caught:
        main([])
    job, weights = caught.value.args[0].find_weights()
    assert (job.recipe.losses.model, weights) == ("vgg19", str(vgg19_file))
    assert capfd.readouterr().err == ""


def test_a_file_that_is_named_brings_its_network(calls, lowrank_alone):
    job = calls("--weights", "vgg16-lowrank")
    assert job.recipe.losses.model == "vgg16-lowrank"
    assert job.weights == str(lowrank_alone / "vgg16-lowrank.params")


def test_the_legacy_interface_chooses_the_same_way(pictures, lowrank_alone, tmp_path):
    argv = without_weights(pictures, "--output_dir", str(tmp_path) + os.sep)
    nstyle.train_nstyle(nstyle.get_args(argv))
    assert (tmp_path / "final.jpg").exists()
    with pytest.raises(WeightsError, match="no weights 'vgg19'"):
        nstyle.train_nstyle(nstyle.get_args(argv + ["--model", "vgg19"]))


def test_save_epochs_0_saves_only_the_last(pictures, vgg19_file, tmp_path):
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 3, "--save-epochs", 0, "--output", tmp_path / "o.png")
    assert main(argv) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["o.png"]


def test_a_seed_changes_the_picture_and_repeats_it(pictures, vgg19_file, tmp_path):
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        output = tmp_path / (name + ".png")
        assert main(arguments(pictures, vgg19_file, "--max-num-epochs", 2, "--seed", seed, "--output", output)) == 0
        made.append(read_image(output))
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


BAD = [
    ("no content", ["--content-image", "{tmp}/none.jpg"], 1, r"{tmp}/none\.jpg: there is no such file"),
    ("no style", ["--style-image", "{tmp}/none.jpg"], 1, r"{tmp}/none\.jpg: there is no such file"),
    ("content is text", ["--content-image", "{tmp}/text.jpg"], 1, r"{tmp}/text\.jpg: is not an image"),
    ("content is empty", ["--content-image", "{tmp}/empty.png"], 1, r"{tmp}/empty\.png: .*empty"),
    ("content is a folder", ["--content-image", "{tmp}"], 1, r"{tmp}: .*folder"),
    ("content is cut short", ["--content-image", "{tmp}/cut.png"], 1, r"{tmp}/cut\.png: cannot be decoded"),
    ("start is missing", ["--init", "{tmp}/none.png"], 1, r"{tmp}/none\.png: there is no such file"),
    ("too small", ["--max-long-edge", "15"], 1, r"be 15 x 12 pixels, too small .* at least 16 pixels"),
    ("edge 0", ["--max-long-edge", "0"], 1, r"--max-long-edge is 0; it must be 1 or more"),
    ("steps below 0", ["--max-num-epochs", "-3"], 1, r"--max-num-epochs is -3"),
    ("rate 0", ["--lr", "0"], 1, r"--lr is 0"),
    ("rate nan", ["--lr", "nan"], 1, r"--lr is nan"),
    ("negative weight", ["--style-weight", "-1"], 1, r"--style-weight is -1"),
    (
        "no objective",
        ["--style-weight", "0", "--content-weight", "0"],
        1,
        r"--content-weight and --style-weight are",
    ),
    ("overflow", ["--lr", "1e38"], 1, r"step \d+ gave values that are not finite"),
    ("no such device", ["--gpu", "7"], 1, r"--gpu 7: .*use -1, the CPU"),
    ("suffix", ["--output", "{tmp}/o.bmp"], 1, r"{tmp}/o\.bmp: .*\.png"),
    ("no suffix", ["--output", "{tmp}/o"], 1, r"{tmp}/o: .*\.png"),
    ("output is a folder", ["--output", "{tmp}/folder.png"], 1, r"{tmp}/folder\.png: .*folder"),
    ("output below a file", ["--output", "{tmp}/text.jpg/o.png"], 1, r"{tmp}/text\.jpg"),
    ("output over content", ["--output", "{content}"], 1, r"this input would be overwritten"),
    ("on the way over style", ["--style-image", "{tmp}/tmp_50.png", "--output", "{tmp}/o.png"], 1, r"overwritten"),
    ("no weights", ["--weights", "{tmp}/none.params"], 1, r"none\.params does not exist"),
    ("weights are text", ["--weights", "{tmp}/text.jpg"], 1, r"text\.jpg"),
    ("weights of another network", ["--model", "vgg16"], 1, r"conv3_4_weight.*another network"),
    ("both outputs", ["--output", "a.png", "--output_dir", "b/"], 2, r"not allowed with"),
    ("unknown flag", ["--stylee-image", "x"], 2, r"unrecognized arguments"),
    ("unknown model", ["--model", "resnet"], 2, r"invalid choice: 'resnet'"),
    ("unknown recipe", ["--recipe", "gatys"], 2, r"invalid choice: 'gatys'"),
    ("not a number", ["--lr", "fast"], 2, r"invalid float value: 'fast'"),
    ("unknown command", ["paint"], 2, r"unknown command 'paint'; choose from stylize, demo"),
    ("style scale 0", ["--style-scale", "0"], 1, r"--style-scale is 0\.0; it must be more than 0"),
    ("style too small", ["--style-scale", "0.3"], 1, r"style .*too small.*larger --max-long-edge or --style-scale"),
    (
        "moments alone",
        ["--style-statistic", "moments"],
        1,
        r"--style-norm mean-per-position does not fit .* relative",
    ),
]


@pytest.mark.parametrize("argv, code, pattern", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_one_line_and_an_exit_code(argv, code, pattern, pictures, vgg19_file, tmp_path, capfd):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes((pictures / "content.png").read_bytes()[:700])
    (tmp_path / "tmp_50.png").write_bytes((pictures / "style.png").read_bytes())
    (tmp_path / "folder.png").mkdir()
    before = {path: path.stat().st_mtime_ns for path in list(tmp_path.iterdir()) + list(pictures.iterdir())}
    places = dict(tmp=tmp_path, content=pictures / "content.png")
    more = ("--max-num-epochs", 1000, "--log-level", "warning")
    given = [] if argv == ["paint"] else arguments(pictures, vgg19_file, *more)
    if given and "--output" not in argv and "--output_dir" not in argv:
        given += ["--output", str(tmp_path / "fresh.png")]
    try:
        got = main(given + [word.format(**places) for word in argv])
    except SystemExit as end:
        got = end.code
    lines = capfd.readouterr().err.strip().splitlines()
    assert got == code, lines
    assert re.search(pattern.replace("{tmp}", re.escape(str(tmp_path))), lines[-1]), lines
    assert lines[-1].startswith("neural-style: error: ")
    if code == 1:
        assert len(lines) == 1
    after = {path: path.stat().st_mtime_ns for path in list(tmp_path.iterdir()) + list(pictures.iterdir())}
    assert after == before, "something was written"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_finishes_the_step_and_saves(number, pictures, vgg19_file, tmp_path):
    output = tmp_path / "o.png"
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 100000, "--stop-eps", 0, "--save-epochs", 0)
    process = subprocess.Popen(RUN + argv + ["--output", str(output)], stderr=subprocess.PIPE, universal_newlines=True)
    for line in process.stderr:
        if line.startswith("epoch 2,"):
            process.send_signal(number)
            break
    rest = process.stderr.read()
    assert process.wait() == 130, rest
    assert "finishing the step" in rest and "Traceback" not in rest
    assert read_image(output).shape == (32, 40, 3)


def test_a_signal_before_the_first_step_saves_nothing(pictures, vgg19_file, tmp_path):
    output = tmp_path / "o.png"
    argv = arguments(pictures, vgg19_file, "--output", output)
    code = (
        "import os, signal, sys, neural_style.transfer.optimisation as t; from neural_style.cli.main import main\n"
        "read = t.Inputs\n"
        "def kill(*a): os.kill(os.getpid(), signal.SIGINT); return read(*a)\n"
        "t.Inputs = kill\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code] + argv, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 130, done.stderr
    assert "nothing is saved" in done.stderr and not output.exists()


def test_a_second_signal_ends_at_once(pictures, vgg19_file, tmp_path):
    output = tmp_path / "o.png"
    argv = arguments(pictures, vgg19_file, "--output", output)
    code = (
        "import os, signal, sys, neural_style.transfer.optimisation as t; from neural_style.cli.main import main\n"
        "def kill(*a): os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT)\n"
        "t.Inputs = kill\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", code] + argv, stderr=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr and "Traceback" not in done.stderr and not output.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_progress_bar_instead_of_log_lines(pictures, vgg19_file, tmp_path):
    import fcntl
    import pty
    import struct
    import termios

    output = tmp_path / "o.png"
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 3, "--save-epochs", 0, "--output", output)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(RUN + argv, stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            break
        if not block:
            break
        shown += block
    assert process.wait() == 0
    assert b"3/3" in shown and b"relative change" in shown and b"epoch 0" not in shown
    assert b"saved " in shown


def test_a_picture_on_the_way_that_cannot_be_saved_does_not_end_the_run(
    pictures, vgg19_file, tmp_path, monkeypatch, capfd
):
    real, output = observers.save_image, tmp_path / "o.png"

    def save(path, picture, **more):
        if "tmp_" in str(path):
            raise OutputError(f"{path}: no space is left")
        real(path, picture, **more)

    monkeypatch.setattr(observers, "save_image", save)
    argv = arguments(pictures, vgg19_file, "--max-num-epochs", 2, "--save-epochs", 1, "--output", output)
    assert main(argv) == 0
    assert "warning: " in capfd.readouterr().err and output.exists()


def test_a_bug_keeps_its_traceback(pictures, vgg19_file, monkeypatch):
    monkeypatch.setattr(running, "read_image", lambda *arguments, **settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(arguments(pictures, vgg19_file))


def test_python_m_is_the_same_program():
    done = subprocess.run(RUN + ["--version"], stdout=subprocess.PIPE, universal_newlines=True, check=True)
    assert done.stdout == f"neural-style {__version__}\n"


def test_an_error_that_a_library_makes_of_a_signal_is_an_interruption():
    """As NumPy does while it is imported."""
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        try:
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)  # as if it came
        except KeyboardInterrupt as error:
            raise ImportError("there is no NumPy") from error
    with pytest.raises(ImportError), ending_on_signals():
        raise ImportError("there is no NumPy")
