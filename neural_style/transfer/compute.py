"""Where and how to compute: the device, the precision, and the memory there is; what MXNet can really do there."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from .._mxnet import mx, usable_cores
from ..errors import DeviceError, SettingsError, last_line, unknown
from ..executors import bind
from ..networks.graph import lower
from ..recipes.kinds import check_kind
from ..workers.cluster import Cluster

log = logging.getLogger(__name__)

# What may be asked for; "auto" is bf16 where it is faster.
PRECISIONS = ("float32", "bf16", "auto")


@dataclass(frozen=True)
class Compute:
    """Where and how to compute, but not what: nothing here changes a result beyond rounding.

    Attributes
    ----------
    gpu : int or None
        Number of the GPU; negative is the CPU, None is GPU 0 if MXNet can use it, else the CPU.
    precision : str
        Of the network's convolutions, one of `PRECISIONS`.
    memory : int or None
        Bytes that the process (on a GPU: what is still to come) may use; None for all that is left.
    tile_size : int or None
        Side of the tiles in pixels, see `objective.tiling`; 0 computes the whole image at once, None chooses by memory.
    scheduler : str or None
        Address of a Dask scheduler whose workers compute the tiles, on their CPUs; empty to start workers on this
        machine for the time of the run. It is not kept with a job, because it may mean nothing tomorrow.

    Raises
    ------
    SettingsError
        If a value makes no sense.
    """

    gpu: Optional[int] = None
    precision: str = "float32"
    memory: Optional[int] = None
    tile_size: Optional[int] = None
    scheduler: Optional[str] = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        for name in ("gpu", "tile_size"):
            if getattr(self, name) is not None:
                check_kind(name, getattr(self, name), int)
        if self.memory is not None and not 1 <= self.memory < 2**63:
            raise SettingsError(f"`memory` is {self.memory}; it must be 1 byte or more, and below 2^63")
        if self.tile_size is not None and self.tile_size < 0:
            raise SettingsError(f"`tile_size` is {self.tile_size}; it must be 0 or more")

    def settings(self) -> Dict[str, Any]:
        """Return what is kept of it with a job, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "scheduler"}


def open_workers(compute: Compute) -> Optional[Cluster]:
    """Return the workers that compute the tiles of a run, to be closed after it; None to compute here.

    Raises
    ------
    WorkerError, DependencyError
        As `workers.cluster.Cluster`.
    """
    if compute.scheduler is None:
        return None
    processes = usable_cores()
    memory = None if compute.scheduler else available(mx.cpu(), compute.memory) // processes
    return Cluster(compute.scheduler, processes, 1, memory, limit_process)


def choose_device(gpu: Optional[int] = None) -> Any:
    """Return the context to compute on.

    Parameters
    ----------
    gpu : int, optional
        See `Compute`. If it is not given, what is chosen is logged.

    Returns
    -------
    mxnet.Context

    Raises
    ------
    DeviceError
        If the GPU is not available: MXNet is built for the CPU only, there is no such device, or the device is too new
        for this build of MXNet.
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
    log.info("computing on GPU 0")
    return mx.gpu(0)


def _check_gpu(gpu):
    if not _built_for_gpus():
        raise DeviceError(
            f"`gpu` {gpu}: this MXNet ({mx.__version__}) is built for the CPU only; install one of its CUDA builds, or "
            "use -1, the CPU"
        )
    count = _count_gpus()
    if gpu >= count:
        found = "no GPU" if count == 0 else "only GPU 0" if count == 1 else f"only GPUs 0 to {count - 1}"
        raise DeviceError(f"`gpu` {gpu}: there is no such device, MXNet finds {found}; use -1, the CPU")
    try:
        # Memory can be had on any device; only a kernel that runs shows that the build has code for this one.
        (mx.nd.ones((1,), ctx=mx.gpu(gpu)) + 1).asnumpy()
    except mx.base.MXNetError as error:
        raise DeviceError(
            f"`gpu` {gpu}: MXNet {mx.__version__} cannot run on this device ({last_line(error)}); the official builds "
            "hold code for compute capability up to 8.6, so newer GPUs need a build of your own, or use -1, the CPU"
        ) from error


def _built_for_gpus():
    return mx.runtime.Features().is_enabled("CUDA")


def _count_gpus():
    try:
        return mx.context.num_gpus()
    except mx.base.MXNetError:  # a CUDA build on a machine without a driver
        return 0


def choose_precision(precision: str, ctx: Any) -> str:
    """Return the precision to compute in.

    Parameters
    ----------
    precision : str
        One of `PRECISIONS`.
    ctx : mxnet.Context

    Returns
    -------
    {"float32", "bf16"}

    Raises
    ------
    DeviceError
        If bf16 is asked for and MXNet cannot compute in it there.
    """
    if precision == "float32":
        return precision
    native = ctx.device_type == "cpu" and is_native()
    reason = _failure(ctx) if native or precision == "bf16" else "the processor has no instructions for it"
    if precision == "auto":
        log.info("computing in %s", "bf16" if reason is None else f"float32, not bf16: {reason}")
        return "bf16" if reason is None else "float32"
    if reason is not None:
        raise DeviceError(
            f"`precision` bf16: MXNet {mx.__version__} cannot compute in it on this {ctx.device_type.upper()} "
            f"({reason}); it works with MXNet 1.9 on processors with AVX-512; use float32"
        )
    if not native:
        log.warning("this processor has no instructions for bfloat16; emulating them is slower than float32")
    return "bf16"


def is_native(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor has instructions for bfloat16; where MXNet emulates them, float32 is faster."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags: List[str] = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return "avx512_bf16" in flags


def _failure(ctx):
    """Return the reason why a network of two convolutions cannot be computed in bf16, forward and backward; or None."""
    x = mx.sym.Variable("data")
    for name in ("first", "second"):
        x = mx.sym.Convolution(x, num_filter=16, kernel=(3, 3), pad=(1, 1), name=name)
    try:
        symbol = lower(x)
        shapes, _, _ = symbol.infer_shape(data=(1, 3, 8, 8))
        arrays = {name: mx.nd.ones(shape, ctx=ctx) for name, shape in zip(symbol.list_arguments(), shapes)}
        gradient = mx.nd.zeros((1, 3, 8, 8), ctx=ctx)
        executor = bind(symbol, arrays, {}, ctx, gradients={"data": gradient})
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((1, 16, 8, 8), ctx=ctx))
        gradient.asnumpy()
    # Older versions of MXNet lack the module or refuse the type; 1.9 fails at binding or when it runs.
    except (ImportError, AssertionError, KeyError, TypeError, ValueError, mx.base.MXNetError) as error:
        return last_line(error)
    return None


# What this process may hold of a machine that it shares with others like it; None if it has it to itself.
_share: Optional[int] = None


def limit_process(share: int) -> None:
    """Let `available` give this process no more than a share of the machine's memory, in bytes."""
    global _share
    _share = share


def available(ctx: Any, limit: Optional[int] = None) -> int:
    """Return how many more bytes this process may use on a device.

    On the CPU that is the least of what the machine has available and what the process's control groups leave, both
    version 1 and 2; on a GPU what is free.

    Parameters
    ----------
    ctx : mxnet.Context
    limit : int, optional
        Bytes that the user allows instead: on the CPU to the whole process, so that what it holds already is taken off;
        on a GPU to what is still to come. On the CPU, no more than `limit_process` allows.

    Returns
    -------
    int
        Not less than 0.
    """
    if ctx.device_type == "gpu":
        free, _ = mx.context.gpu_memory_info(ctx.device_id)
        return int(free if limit is None else min(free, limit))
    import psutil  # --help, which lists the names of PRECISIONS, must not wait for it

    limits = [one for one in (limit, _share) if one is not None]
    if limits:
        return max(0, min(limits) - psutil.Process().memory_info().rss)
    return max(0, min([psutil.virtual_memory().available] + _left_by_control_groups()))


def _left_by_control_groups(processes=Path("/proc/self/cgroup"), mounts=Path("/sys/fs/cgroup")):
    """Return what every control group of this process leaves it, in bytes; nothing where there are none.

    The files are described in the Linux kernel's Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
    """
    try:
        lines = processes.read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = mounts, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = mounts / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container the path is often the host's and does not exist here: then its last existing ancestor, the
        # mount, is the container's own group. Every ancestor's limit holds, too.
        group = root / path.lstrip("/")
        for directory in [group, *group.parents]:
            left += _left_in(directory, *names)
            if directory == root:
                break
    return left


def _left_in(directory, limit_name, usage_name, reclaimable):
    try:
        limit = (directory / limit_name).read_text().strip()
        usage = int((directory / usage_name).read_text())
        statistics = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return []
    # Files that were read and are not in use count as usage but go when memory is wanted.
    return [] if limit == "max" else [int(limit) - usage + int(statistics.get(reclaimable, 0))]
