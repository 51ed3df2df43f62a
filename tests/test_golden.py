"""Runs of the original programs, recorded elsewhere, and the same runs through this package.

``golden/`` holds four recorded runs with seeded weights; four more with real weights are compared where they are at
hand. They were recorded on a processor with AVX-512. MXNet takes other kernels elsewhere, whose last bits differ, and
the iteration amplifies them: slowly with seeded weights, by a factor of ten every dozen steps with real ones
(``benchmarks/recordings.py`` measures it). So the original's computation is also written down in `original_loop`: the
package has to equal it bit for bit on every machine, and the recordings as closely as that computation itself can.
"""

import os
import re
import types
from pathlib import Path

import numpy as np
import original_loop
import pytest
import skimage

from neural_style import nstyle
from neural_style._mxnet import mx
from neural_style.cli.main import main
from neural_style.images.reading import read_image
from neural_style.images.sizing import resize
from neural_style.images.units import from_network, to_network
from neural_style.recipes.presets import get_recipe
from neural_style.transfer.compute import Compute
from neural_style.transfer.run import StopReason, finish_image
from neural_style.transfer.stylize import stylize

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).resolve().parents[2] / "shared"
REAL = SHARED / "reference" / "golden-real"
PICTURES = Path(skimage.__file__).parent / "data"

SETTINGS = {
    "--max-long-edge": ("max_long_edge", int),
    "--max-num-epochs": ("max_steps", int),
    "--save-epochs": ("save_every", int),
    "--stop-eps": ("stop_eps", float),
    "--tv-weight": ("tv_weight", float),
    "--remove-noise": ("remove_noise", float),
    "--lr": ("learning_rate", float),
    "--content-weight": ("content_weight", float),
    "--style-weight": ("style_weight", float),
    "--lr-sched-delay": ("schedule_delay", int),
    "--lr-sched-factor": ("schedule_factor", float),
}


def original_flags(recorded, flags):
    """Give what `original_loop` needs to know of the flags of a recorded run."""
    known = original_loop.Flags(str(recorded["version"]))
    for flag, value in flags.items():
        if hasattr(known, flag[2:].replace("-", "_")):
            setattr(known, flag[2:].replace("-", "_"), SETTINGS[flag][1](value))
    return known


def recorded_runs():
    for path in sorted(GOLDEN.glob("*.npz")):
        yield pytest.param(path, id=path.stem)
    real = sorted(REAL.glob("*.npz")) if REAL.is_dir() else []
    for path in real:
        yield pytest.param(path, id=path.stem)
    if not real:
        reason = "the runs with real VGG-19 weights are not part of the project"
        yield pytest.param(None, id="real-weights", marks=pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module", params=recorded_runs())
def golden(request, tmp_path_factory):
    """One recorded run, its inputs, and the original's computation on this machine."""
    recorded = np.load(request.param)
    if recorded["version"] == "1.9" and mx.__version__.startswith("1.5."):
        pytest.skip("MXNet 1.5 has another kernel for NAG than 1.9.1, with which the run was recorded")
    flags = dict(zip(recorded["flags"][::2], recorded["flags"][1::2]))
    real = str(recorded["weights"]).startswith("real")
    folder = SHARED / "reference" / "inputs" if real else PICTURES
    known = mx.nd.load(str(SHARED / "weights" / "vgg19-conv1-3.params")) if real else {}
    weights = original_loop.seeded_weights(known)
    weights_file = tmp_path_factory.mktemp("weights") / "vgg19.params"
    mx.nd.save(str(weights_file), weights)
    recipe = f"mxnet-{recorded['version']}"
    settings = {SETTINGS[flag][0]: SETTINGS[flag][1](value) for flag, value in flags.items() if flag in SETTINGS}
    image, changes = original_loop.run(
        original_flags(recorded, flags), recorded["content"], recorded["style"], weights, int(recorded["seed"])
    )
    same_kernels = np.array_equal(image, recorded["final_raw"])
    distance = np.abs(image - recorded["final_raw"])
    request.config.golden_notes.append(
        f"{request.param.stem}: the original's computation on this machine is "
        + ("the recording, bit for bit" if same_kernels else f"off the recording by {distance.max():.2g} at most")
    )
    paths = {flag: str(folder / flags[flag]) for flag in ("--content-image", "--style-image")}
    return types.SimpleNamespace(
        recorded=recorded,
        saved={key[len("saved_") :]: recorded[key] for key in recorded.files if key.startswith("saved_")},
        recipe=get_recipe(recipe).override(**settings),
        arguments=["--recipe", recipe] + [word for f, v in flags.items() if f in SETTINGS for word in (f, v)],
        paths=paths,
        content=read_image(paths["--content-image"]),
        style=read_image(paths["--style-image"]),
        weights_file=str(weights_file),
        seed=int(recorded["seed"]),
        real=real,
        image=image,
        changes=["%.6f" % change for change in changes],
        same_kernels=same_kernels,
    )


def assert_changes_as_recorded(changes, golden):
    recorded = ["%.6f" % change for change in golden.recorded["relative_change"]]
    if golden.same_kernels:
        assert changes == recorded
    elif golden.real:
        np.testing.assert_allclose(np.array(changes[:6], float), np.array(recorded[:6], float), rtol=0, atol=2e-5)
    else:
        assert len(changes) == len(recorded)
        np.testing.assert_allclose(np.array(changes, float), np.array(recorded, float), rtol=0, atol=3.5e-6)


def assert_picture_as_recorded(picture, name, golden):
    difference = np.abs(picture.astype(int) - golden.saved[name])
    if golden.same_kernels:
        np.testing.assert_array_equal(picture, golden.saved[name])
    elif golden.real:
        assert np.sqrt(np.mean(difference**2)) < 12  # the same picture to the eye
    else:
        # Truncation to 8 bit turns the smallest difference into one of 1 now and then.
        assert difference.max() <= 1 and (difference > 0).mean() < 0.02


def test_inputs_are_the_recorded_ones_bit_for_bit(golden):
    size = golden.recorded["content"].shape[2:]
    for picture, key in ((golden.content, "content"), (golden.style, "style")):
        np.testing.assert_array_equal(to_network(resize(picture, size)), golden.recorded[key])


def test_the_library_computes_what_the_original_did(golden):
    pictures = {}

    def watch(step, run):
        if golden.recipe.finish.save_every and step.number % golden.recipe.finish.save_every == 0:
            pictures[step.number] = run.image()

    result = stylize(
        golden.content,
        golden.style,
        golden.recipe,
        weights=golden.weights_file,
        seed=golden.seed,
        compute=Compute(gpu=-1),
        watch=watch,
    )
    changes = ["%.6f" % step.relative_change for step in result.history]
    # On this machine: bit for bit, picture and every digit.
    np.testing.assert_array_equal(result.canvas, golden.image)
    assert changes == golden.changes
    # Against the recording.
    assert_changes_as_recorded(changes, golden)
    final_raw = golden.recorded["final_raw"]
    if golden.same_kernels:
        np.testing.assert_array_equal(result.canvas, final_raw)
    else:
        assert np.sqrt(np.mean((result.canvas - final_raw) ** 2)) < (12 if golden.real else 0.05)
    # Gradient norms are recorded before clipping; float32 sums in another order give another fifth digit.
    norms = [step.gradient_norm for step in result.history]
    np.testing.assert_allclose(norms[:2], golden.recorded["norms"][:2, 0], rtol=1e-4)
    converged = result.history[-1].relative_change < golden.recipe.stopping.stop_eps
    assert result.reason is (StopReason.CONVERGED if converged else StopReason.STEP_LIMIT)
    for name, picture in list(pictures.items()):
        prefix = "e_" if golden.recipe.name == "mxnet-1.9" else "tmp_"
        assert_picture_as_recorded(picture, f"{prefix}{name}.jpg", golden)
    assert_picture_as_recorded(result.image, "final.jpg" if "final.jpg" in golden.saved else "out.jpg", golden)
    assert len(pictures) == len(golden.saved) - 1


def test_the_command_line_computes_what_the_original_did(golden, tmp_path, capfd):
    output = tmp_path / "new folder" / "result.png"
    arguments = golden.arguments + [word for pair in golden.paths.items() for word in pair]
    arguments += ["--weights", golden.weights_file, "--gpu", "-1", "--seed", str(golden.seed), "--output", str(output)]
    assert main(arguments) == 0
    log = capfd.readouterr().err
    lines = re.findall(r"^epoch (\d+), relative change (\d\.\d{6})$", log, re.MULTILINE)
    assert [int(epoch) for epoch, _ in lines] == list(range(len(golden.changes)))
    assert [change for _, change in lines] == golden.changes
    assert_changes_as_recorded([change for _, change in lines], golden)
    expected = finish_image(golden.image, golden.recipe, last=True)
    np.testing.assert_array_equal(read_image(output), expected)
    names = {name: re.sub(r"^e_", "tmp_", name).replace(".jpg", ".png") for name in golden.saved}
    names.update({name: output.name for name in ("out.jpg", "final.jpg") if name in names})
    assert {path.name for path in output.parent.iterdir()} == set(names.values())
    for recorded_name, name in names.items():
        assert_picture_as_recorded(read_image(output.parent / name), recorded_name, golden)


def test_the_legacy_interface_computes_what_the_original_did(golden, tmp_path, monkeypatch):
    if golden.recipe.name != "mxnet-1.9":
        pytest.skip("the importable program is the later one")
    monkeypatch.setenv("NEURAL_STYLE_MODELS", os.path.dirname(golden.weights_file))
    arguments = golden.arguments[2:] + [word for pair in golden.paths.items() for word in pair]
    prefix = str(tmp_path) + os.sep
    args = nstyle.get_args(arguments + ["--gpu", "-1", "--output_dir", prefix])
    calls = []
    mx.random.seed(golden.seed)  # the original never seeds, so its caller's seed is what counts
    nstyle.train_nstyle(args, calls.append)
    assert [call["epoch"] for call in calls] == list(range(1, len(golden.changes) + 1))
    assert ["%.6f" % call["eps"] for call in calls] == golden.changes
    saving = [call for call in calls if "filename" in call]
    assert [call["filename"] for call in saving] == [f"{prefix}e_{call['epoch']}.jpg" for call in saving]
    assert {path.name for path in tmp_path.iterdir()} == set(golden.saved)
    for call in saving:
        assert call["img"].shape == golden.image.shape and call["img"].dtype == np.float32
        assert_picture_as_recorded(
            finish_image(call["img"], golden.recipe, last=False), os.path.basename(call["filename"]), golden
        )
    np.testing.assert_array_equal(saving[-1]["img"], golden.image)
    # JPEG loses a little.
    final = read_image(tmp_path / "final.jpg").astype(int)
    assert np.abs(final - from_network(golden.image)).mean() < 4
    assert set(calls[0]) == {"eps", "epoch"} and set(saving[0]) == {"eps", "epoch", "filename", "img"}
