"""The importable interface of MXNet's neural-style example (0.8 to 1.9.1), for programs that were written for it.

``from neural_style import nstyle`` takes the place of ``import nstyle``; names, flags, files and the callback's dict
are the same. New programs call `neural_style.stylize`.
"""

import numpy as np

from .cli.flags import add_original_flags, make_parser, override_recipe
from .jobs.job import Job
from .jobs.observers import Observer
from .jobs.outputs import Outputs
from .jobs.running import run_job
from .transfer.compute import Compute

RECIPE = "mxnet-1.9"


def get_args(arglist=None):
    """Parse the flags of the original program.

    Parameters
    ----------
    arglist : list of str, optional
        Flags and their values; the command line's if not given.

    Returns
    -------
    argparse.Namespace
        With ``model``, ``content_image``, ``style_image``, ``stop_eps``, ``content_weight``, ``style_weight``,
        ``tv_weight``, ``max_num_epochs``, ``max_long_edge``, ``lr``, ``gpu``, ``output_dir``, ``save_epochs``,
        ``remove_noise``, ``lr_sched_delay`` and ``lr_sched_factor``. ``gpu`` is None if not given, which takes GPU 0
        where there is one; in the original it was 0. ``model`` is None if not given, which takes vgg16-lowrank where
        there are no weights of vgg19; in the original it was vgg19.
    """
    parser = make_parser("neural style")
    add_original_flags(parser, RECIPE)
    parser.add_argument("--output_dir", default="output/", help="prefix of intermediate images, folder of the result")
    return parser.parse_args(arglist)


def train_nstyle(args, callback=None):
    """Run the original program: recipe ``mxnet-1.9`` with the given settings.

    Parameters
    ----------
    args : argparse.Namespace
        Of `get_args`; its values may be changed.
    callback : callable, optional
        Called after every epoch but the one that converged with a dict: ``eps`` (relative change) and ``epoch`` (from
        1); where an image was saved also ``filename`` and ``img``, the float32 (1, 3, H, W) array in network space.

    Raises
    ------
    NeuralStyleError
        If an image, the weights, the device or a setting cannot be used, or a result cannot be written.
    """

    job = Job(
        args.content_image,
        (args.style_image,),
        Outputs.in_folder(args.output_dir),
        override_recipe(RECIPE, args),
        seed=None,  # the original never seeded: what a caller seeds MXNet with decides
        compute=Compute(args.gpu),
    )
    run_job(job, [_Callback(callback)] if callback else [])


class _Callback(Observer):
    """Calls back as the original program did."""

    def __init__(self, callback):
        self._callback, self._saved = callback, {}

    def saved(self, path, step, run):
        self._saved = {"filename": path, "img": run.canvas.asnumpy()}

    def step(self, step, run):
        if not run.has_converged:
            self._callback({"eps": np.float32(step.relative_change), "epoch": step.number, **self._saved})
        self._saved = {}
