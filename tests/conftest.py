import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

# What several test modules compare with: computations that share nothing with the package.
sys.path.insert(0, str(Path(__file__).parent / "independent"))


def pytest_configure(config):
    # Where nohup or a shell in the background has them ignored, programs that the tests start would ignore them, too.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    config.golden_notes = []
    config.addinivalue_line("markers", "gpu: needs a GPU that this build of MXNet can run on")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        from neural_style.errors import DeviceError
        from neural_style.transfer.compute import choose_device

        try:
            choose_device(0)
        except DeviceError as error:
            pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter, config):
    if config.golden_notes:
        terminalreporter.section("golden runs")
        for note in config.golden_notes:
            terminalreporter.write_line(note)


def full_file(folder, model):
    from numpy_vgg import random_parameters

    from neural_style.networks.vgg import ARCHITECTURES
    from neural_style.weights.params_file import save_weights

    path = folder / f"{model}.params"
    save_weights(path, random_parameters(ARCHITECTURES[model].parameter_shapes(["relu5_1"])))
    return path


@pytest.fixture(scope="session")
def vgg19_file(tmp_path_factory):
    """A weights file of VGG-19 up to conv5_1 with random numbers in it."""
    return full_file(tmp_path_factory.mktemp("models"), "vgg19")


@pytest.fixture(scope="session")
def vgg16_file(tmp_path_factory):
    """The same of VGG-16."""
    return full_file(tmp_path_factory.mktemp("models"), "vgg16")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Two small pictures as files: content 40 x 32, style 24 x 36 pixels."""
    from neural_style.images.saving import save_image

    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.RandomState(0)
    for name, size in (("content.png", (32, 40)), ("style.png", (36, 24))):
        ramp = np.linspace(0, 200, size[0] * size[1] * 3).reshape(size + (3,))
        save_image(folder / name, (ramp + rng.randint(0, 56, size + (3,))).astype("uint8"))
    return folder


@pytest.fixture
def lowrank_alone(monkeypatch, tmp_path):
    """A folder with random weights of vgg16-lowrank, of small ranks, and no other place to look for weights in."""
    from numpy_vgg import random_parameters

    from neural_style.networks.vgg import ARCHITECTURES
    from neural_style.weights.params_file import save_weights

    folder = tmp_path / "models"
    network = replace(ARCHITECTURES["vgg16-lowrank"], ranks=((4, 6),) * 12)
    shapes = network.parameter_shapes(["relu5_3"])
    save_weights(folder / "vgg16-lowrank.params", random_parameters(shapes))
    monkeypatch.setattr("neural_style.weights.lookup.search_folders", lambda models_dir=None: [folder])
    return folder
