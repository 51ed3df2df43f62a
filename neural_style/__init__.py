"""Repaint a photograph in the style of a picture, with MXNet (Gatys, Ecker & Bethge 2015).

>>> from neural_style import get_recipe, read_image, save_image, stylize
>>> recipe = get_recipe("mxnet-0.7").override(max_long_edge=384)
>>> result = stylize(read_image("photograph.jpg"), read_image("painting.jpg"), recipe)
>>> save_image("result.png", result.picture)
"""

import importlib

__version__ = "1.0.0"

# Where each public name lives; imported when it is first used, so that asking for the version costs nothing.
_HOMES = {
    "NeuralStyleError": "errors",
    "RECIPES": "recipes.presets",
    "Recipe": "recipes.recipe",
    "Result": "transfer.run",
    "Step": "transfer.run",
    "StopReason": "transfer.run",
    "get_recipe": "recipes.presets",
    "read_image": "images.reading",
    "save_image": "images.saving",
    "stylize": "transfer.stylize",
}
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return sorted(list(globals()) + __all__)
