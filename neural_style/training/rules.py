"""The rules by which a training changes its parameters."""

import math
from dataclasses import dataclass
from typing import ClassVar, Tuple

from .._mxnet import mx


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba, ICLR 2015, with the published decay rates, along the rates of the schedule.

    Epsilon, which prevents division by zero, is smaller than the published one, because gradients may have any scale.
    """

    state: ClassVar[Tuple[str, ...]] = ("mean", "square")

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-12

    def step(self, array, gradient, state, schedule, number, scale):
        """Change an array in place.

        Parameters
        ----------
        array, gradient : mxnet.nd.NDArray
        state : sequence of mxnet.nd.NDArray
            Of the array's shape, zero before the first step: what `state` names.
        schedule : loop.Schedule
        number : int
            Of the batch, counted from 0.
        scale : float
            Factor of the rate.
        """
        # The rate includes Kingma & Ba's corrections for the first steps.
        rate = schedule.at(number) * math.sqrt(1 - self.beta2 ** (number + 1)) / (1 - self.beta1 ** (number + 1))
        mx.nd.adam_update(
            array,
            gradient,
            *state,
            lr=rate * scale,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            out=array,
        )


@dataclass(frozen=True)
class Sgd:
    """MXNet's SGD with momentum at a constant rate; weights and gammas decay, as by default in its Module."""

    state: ClassVar[Tuple[str, ...]] = ("momentum",)

    momentum: float
    decay: float
    clip: float

    def step(self, array, gradient, state, schedule, number, scale):
        """See `Adam.step`; the values of the gradient are clipped, and the scale is that of the decay."""
        mx.nd.sgd_mom_update(
            array,
            gradient,
            *state,
            lr=schedule.rate,
            momentum=self.momentum,
            wd=self.decay * scale,
            clip_gradient=self.clip,
            out=array,
        )
