"""Choose where to compute, and find out whether MXNet can really compute there."""

import logging

from ._mxnet import mx
from .errors import DeviceError

log = logging.getLogger(__name__)


def choose_device(gpu=None):
    """Give the context to compute on.

    Parameters
    ----------
    gpu : int, optional
        Number of the GPU; negative is the CPU. If it is not given, GPU 0 where MXNet can use one, else the CPU; which
        of them is logged.

    Returns
    -------
    mxnet.Context

    Raises
    ------
    DeviceError
        If a GPU is asked for that cannot be had: MXNet is built for the CPU only, there is no such device, or the
        device is too new for this build of MXNet.
    """
    if gpu is None:
        return _first_usable()
    if gpu < 0:
        return mx.cpu()
    _check_gpu(gpu)
    return mx.gpu(gpu)


def _first_usable():
    if not _built_for_gpus() or _count_gpus() == 0:
        log.info("computing on the CPU: MXNet finds no GPU")
        return mx.cpu()
    try:
        _check_gpu(0)
    except DeviceError as error:
        log.warning("computing on the CPU: %s", error)
        return mx.cpu()
    log.info("computing on GPU 0; --gpu -1 chooses the CPU")
    return mx.gpu(0)


def _check_gpu(gpu):
    if not _built_for_gpus():
        raise DeviceError(
            f"--gpu {gpu}: this MXNet ({mx.__version__}) is built for the CPU only; install one of its CUDA builds, or "
            "use --gpu -1"
        )
    count = _count_gpus()
    if gpu >= count:
        found = "no GPU" if count == 0 else "only GPU 0" if count == 1 else f"only GPUs 0 to {count - 1}"
        raise DeviceError(f"--gpu {gpu}: there is no such device, MXNet finds {found}; --gpu -1 is the CPU")
    try:
        # Memory can be had on any device; only a kernel that runs shows that the build has code for this one.
        (mx.nd.ones((1,), ctx=mx.gpu(gpu)) + 1).asnumpy()
    except mx.base.MXNetError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DeviceError(
            f"--gpu {gpu}: MXNet {mx.__version__} cannot run on this device ({reason}); the official builds hold code "
            "for compute capability up to 8.6, so newer GPUs need a build of your own, or use --gpu -1"
        ) from error


def _built_for_gpus():
    return mx.runtime.Features().is_enabled("CUDA")


def _count_gpus():
    try:
        return mx.context.num_gpus()
    except mx.base.MXNetError:  # a CUDA build on a machine without a driver
        return 0
