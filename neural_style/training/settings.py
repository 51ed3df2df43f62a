"""The settings of a compression and their defaults; nothing heavy is imported, because ``--help`` shows them."""

from dataclasses import dataclass

from ..errors import SettingsError


@dataclass(frozen=True)
class CompressionSettings:
    """The numbers on which a compression depends.

    Attributes
    ----------
    time : float
        Time of a step, relative to ranks of a third of the channels in every layer; see `low_rank.choose_ranks`.
    numbers : int
        Maximum number of parameters of the convolutions that are factorised.
    batches : int
        Number of crops to train on, one at a time.
    rate : float
        Learning rate at its highest, relative to the values of each parameter.
    crop : int
        Side of the square crops in pixels, a multiple of 16 and at least 64.
    seed : int
        Seed of the crops, from 0 to 2^31 - 1.
    evaluate_every : int
        Batches between evaluations on held-out images, each followed by writing the state.

    Raises
    ------
    SettingsError
        If the crop or the seed is out of range. The others are checked where they are used.
    """

    time: float = 1.06
    numbers: int = 2800000
    batches: int = 2000
    rate: float = 0.001
    crop: int = 192
    seed: int = 0
    evaluate_every: int = 100

    def __post_init__(self):
        if self.crop < 64 or self.crop % 16:
            raise SettingsError(f"the crop is {self.crop}; it must be a multiple of 16 and at least 64 pixels")
        if not 0 <= self.seed < 2**31:
            raise SettingsError(f"the seed is {self.seed}; it must be 0 or more and below 2147483648")


@dataclass(frozen=True)
class TrainingSettings:
    """The numbers on which the training of a generator depends.

    Attributes
    ----------
    batches : int
        Number of batches to train on.
    rate : float
        Learning rate at its highest, relative to the values of each parameter.
    batch_size : int
        Crops of photographs in a batch, each with a style of its own where any style is learnt.
    crop : int
        Side of the crops in pixels, a multiple of 32 and at least 64.
    seed : int
        Seed of the crops and of new parameters, from 0 to 2^31 - 1.
    evaluate_every : int
        Batches between evaluations on held-out images, each followed by writing the state.

    Raises
    ------
    SettingsError
        If the crop, the seed or the size of a batch is out of range. The others are checked where they are used.
    """

    batches: int = 2000
    rate: float = 0.01
    batch_size: int = 4
    crop: int = 128
    seed: int = 0
    evaluate_every: int = 100

    def __post_init__(self):
        if self.crop < 64 or self.crop % 32:
            raise SettingsError(f"the crop is {self.crop}; it must be a multiple of 32 and at least 64 pixels")
        if not 0 <= self.seed < 2**31:
            raise SettingsError(f"the seed is {self.seed}; it must be 0 or more and below 2147483648")
        if self.batch_size < 1:
            raise SettingsError(f"`batch_size` is {self.batch_size}; it must be 1 or more")
