"""Repaint a photograph in the style of a painting, with Apache MXNet (Gatys, Ecker & Bethge 2015).

>>> from neural_style import read_image, save_image, stylize
>>> result = stylize(read_image("photo.jpg"), read_image("painting.jpg"))
>>> save_image("result.png", result.image)

`begin` is the same as a loop of your own, `run_job` goes from files to files, `RECIPES` are the named settings. The
names in ``__all__`` and the module `nstyle` are the public interface; everything else may move.
"""

import importlib

__version__ = "1.0.0"

# Where each public name lives; imported when it is first used, so that asking for the version costs nothing.
# __init__.pyi says the same to editors and type checkers.
_HOMES = {
    "stylize": "transfer.stylize",
    "begin": "transfer.stylize",
    "Run": "transfer.run",
    "RunState": "transfer.run",
    "Step": "transfer.run",
    "Result": "transfer.run",
    "StopReason": "transfer.run",
    "Style": "transfer.inputs",
    "Controls": "transfer.controls",
    "Compute": "transfer.compute",
    "Recipe": "recipes.recipe",
    "RECIPES": "recipes.presets",
    "get_recipe": "recipes.presets",
    "Job": "jobs.job",
    "StyleFile": "jobs.inputs",
    "MaskFile": "jobs.inputs",
    "ControlFiles": "jobs.inputs",
    "Outputs": "jobs.outputs",
    "Observer": "jobs.observers",
    "run_job": "jobs.running",
    "Checkpoint": "jobs.checkpoints",
    "load_checkpoint": "jobs.checkpoints",
    "read_image": "images.reading",
    "read_mask": "images.masks",
    "save_image": "images.saving",
    "NeuralStyleError": "errors",
    "ImageError": "errors",
    "WeightsError": "errors",
    "SettingsError": "errors",
    "WorkerError": "errors",
    "DeviceError": "errors",
    "OutputError": "errors",
    "CheckpointError": "errors",
    "DownloadError": "errors",
    "DependencyError": "errors",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted(["__version__", *__all__])
