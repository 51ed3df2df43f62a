"""Lower precision: whether convolutions can be computed in bfloat16 here, and whether that is faster."""

import logging
from pathlib import Path

from ._mxnet import mx
from .errors import DeviceError, SettingsError
from .executors import bind
from .networks.graph import lower

log = logging.getLogger(__name__)

# What may be asked for; "auto" is bf16 where it is faster.
PRECISIONS = ("float32", "bf16", "auto")


def choose_precision(precision, ctx):
    """Give the precision to compute in.

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
    SettingsError
        If there is no such precision.
    DeviceError
        If bf16 is asked for and MXNet cannot compute in it there.
    """
    if precision not in PRECISIONS:
        raise SettingsError(f"unknown precision '{precision}'; choose from {', '.join(PRECISIONS)}")
    if precision == "float32":
        return precision
    native = ctx.device_type == "cpu" and is_native()
    reason = _failure(ctx) if native or precision == "bf16" else "the processor has no instructions for it"
    if precision == "auto":
        log.info("computing in %s", "bf16" if reason is None else f"float32, not bf16: {reason}")
        return "bf16" if reason is None else "float32"
    if reason is not None:
        raise DeviceError(
            f"--precision bf16: MXNet {mx.__version__} cannot compute in it on this {ctx.device_type.upper()} "
            f"({reason}); it works with MXNet 1.9 on processors with AVX-512; leave the flag out for float32"
        )
    if not native:
        log.warning("this processor has no instructions for bfloat16; imitating them is slower than float32")
    return "bf16"


def is_native(cpuinfo=Path("/proc/cpuinfo")):
    """Tell whether the processor has instructions for bfloat16; where MXNet has to imitate them, float32 is faster."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return "avx512_bf16" in flags


def _failure(ctx):
    """Give the reason why a network of two convolutions cannot be computed in bf16, forward and backward; or None."""
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
        return str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
    return None
