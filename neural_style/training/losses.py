"""What the pictures of a generator of one style are compared by."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Tuple

import numpy as np

from ..images import sizing, units
from ..objective.terms import check_losses
from ..recipes.parts import Losses
from ..recipes.presets import get_recipe
from ..transfer.inputs import load_parameters
from ..weights.lookup import find_network

# The losses with which the chain of MXNet's end_to_end example is trained, instead of one generator.
BOOSTED = "end-to-end"
# What pictures are compared by: that of the recipe for images; the paper's, whose Gram matrices are divided by channels
# and positions; or the example's.
LOSSES = {
    "paint": get_recipe("paint").losses,
    "johnson": Losses(
        model="vgg16",
        pooling="max",
        unit="centred",
        content_layers=("relu2_2",),
        style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        content_weight=1.0,
        style_weight=5.0,
        content_norm="mean",
        style_norm="mean-of-means",
        style_layer_weights=tuple(channels**-2.0 for channels in (64, 128, 256, 512)),
        tv_weight=1e-6,
    ),
    BOOSTED: dataclasses.replace(get_recipe("mxnet-0.7").losses, style_weight=1.2, clip_gradient=False),
}


def load_losses(losses: Losses, unit: str, ctx: Any) -> Tuple[Losses, Dict[str, Any]]:
    """Return losses in a generator's unit, of the network that is there, and its parameters.

    Raises
    ------
    WeightsError
        If there is no network.
    """
    model, weights = find_network(losses.model)
    losses = dataclasses.replace(losses, model=model, unit=unit)
    check_losses(losses)
    return losses, load_parameters(losses, weights, ctx)


def to_canvas(image: np.ndarray, size: Tuple[int, int], losses: Losses) -> np.ndarray:
    """Return an image, uint8 (H, W, 3), at a height and width in the unit of the losses, float32 (1, 3, H, W)."""
    return units.to_network(sizing.resize(image, size), 255, units.get_unit(losses.unit))
