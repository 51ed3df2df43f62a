"""What is said about devices, with MXNet's answers stood in for; and, where there is one, a real GPU."""

import logging
import types

import numpy as np
import pytest

from neural_style._mxnet import mx
from neural_style.errors import DeviceError
from neural_style.transfer.compute import choose_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend that MXNet is a CUDA build or not, finds so many GPUs, and can run kernels on them or not."""

    def pretend(cuda, gpus=0, kernels=True):
        features = types.SimpleNamespace(is_enabled=lambda name: cuda and name == "CUDA")
        monkeypatch.setattr(mx.runtime, "Features", lambda: features)
        monkeypatch.setattr(mx.context, "num_gpus", lambda: gpus)

        def ones(shape, ctx):
            assert ctx.device_type == "gpu"
            if not kernels:
                raise mx.base.MXNetError("Traceback\nCUDA: no kernel image is available for execution on the device")
            return np.ones(shape).view(_Array)

        monkeypatch.setattr(mx.nd, "ones", ones)

    return pretend


class _Array(np.ndarray):
    def asnumpy(self):
        return np.asarray(self)


def test_minus_one_is_the_cpu():
    assert choose_device(-1) == mx.cpu()


@pytest.mark.parametrize(
    "cuda, gpus, kernels, wanted, message",
    [
        (False, 0, True, 0, "`gpu` 0: this MXNet .* is built for the CPU only; install one of its CUDA builds"),
        (True, 0, True, 0, "`gpu` 0: there is no such device, MXNet finds no GPU; use -1, the CPU"),
        (True, 1, True, 1, "`gpu` 1: there is no such device, MXNet finds only GPU 0;"),
        (True, 4, True, 4, "`gpu` 4: there is no such device, MXNet finds only GPUs 0 to 3;"),
        (True, 1, False, 0, r"`gpu` 0: MXNet .* cannot run on this device \(CUDA: no kernel image .*up to 8.6"),
    ],
)
def test_a_gpu_that_cannot_be_had_is_an_error_that_says_why(machine, cuda, gpus, kernels, wanted, message):
    machine(cuda, gpus, kernels)
    with pytest.raises(DeviceError, match=message) as error:
        choose_device(wanted)
    assert "\n" not in str(error.value)


def test_a_gpu_that_works_is_taken(machine):
    machine(True, 2)
    assert choose_device(1) == mx.gpu(1)
    assert choose_device() == mx.gpu(0)


@pytest.mark.parametrize(
    "cuda, gpus, kernels, line",
    [
        (False, 0, True, "computing on the CPU: MXNet finds no GPU"),
        (True, 0, True, "computing on the CPU: MXNet finds no GPU"),
        (True, 1, True, "computing on GPU 0"),
        (True, 1, False, "computing on the CPU: `gpu` 0: MXNet"),
    ],
)
def test_the_choice_is_logged_in_one_line(machine, caplog, cuda, gpus, kernels, line):
    machine(cuda, gpus, kernels)
    with caplog.at_level(logging.INFO, logger="neural_style"):
        choose_device()
    assert len(caplog.records) == 1 and caplog.records[0].getMessage().startswith(line)


def test_a_cuda_build_without_a_driver_counts_no_gpus(machine, monkeypatch):
    machine(True, 0)

    def fail():
        raise mx.base.MXNetError("CUDA driver version is insufficient")

    monkeypatch.setattr(mx.context, "num_gpus", fail)
    assert choose_device() == mx.cpu()


@pytest.mark.gpu
def test_a_run_on_the_gpu_is_near_the_one_on_the_cpu(pictures, vgg19_file):
    from neural_style import Compute, get_recipe, read_image, stylize

    content, style = (read_image(pictures / name) for name in ("content.png", "style.png"))
    recipe = get_recipe("mxnet-0.7").override(max_long_edge=64, max_steps=10, save_every=0, stop_eps=0)
    on_cpu, on_gpu = (stylize(content, style, recipe, weights=vgg19_file, compute=Compute(gpu)) for gpu in (-1, 0))
    for cpu, gpu in zip(on_cpu.history, on_gpu.history):
        assert gpu.loss == pytest.approx(cpu.loss, rel=1e-2)
        assert gpu.relative_change == pytest.approx(cpu.relative_change, rel=1e-2)
