"""The expected failures of this package.

Libraries raise these; only the command line turns them into one line on stderr and an exit code. A message names the
thing, says what is wrong with it and what to do. Anything that is not a `NeuralStyleError` is a bug and keeps its
traceback.
"""


class NeuralStyleError(Exception):
    """Base of every expected failure."""


class ImageError(NeuralStyleError):
    """A picture cannot be read, is empty, or is too small for the network."""


class WeightsError(NeuralStyleError):
    """Parameters are not found, incomplete, of the wrong shape, not finite, or not of a known format."""


class DownloadError(NeuralStyleError):
    """A file could not be fetched, or what came is not what was asked for."""


class DeviceError(NeuralStyleError):
    """The requested device cannot be had, or MXNet cannot run on it."""


class SettingsError(NeuralStyleError):
    """A setting has a value that makes no sense, or that contradicts another."""


class CheckpointError(NeuralStyleError):
    """A checkpoint cannot be read, or is of another run than the one that is to go on."""


class OutputError(NeuralStyleError):
    """A result cannot be written where it was asked for."""


class DependencyError(NeuralStyleError):
    """A package that is needed is missing, or its version does not work with MXNet 1.x."""
