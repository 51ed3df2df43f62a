"""The public names, for editors and type checkers; the package itself imports them when they are first used."""

from .errors import (
    CheckpointError as CheckpointError,
    DependencyError as DependencyError,
    DeviceError as DeviceError,
    DownloadError as DownloadError,
    ImageError as ImageError,
    NeuralStyleError as NeuralStyleError,
    OutputError as OutputError,
    SettingsError as SettingsError,
    WeightsError as WeightsError,
    WorkerError as WorkerError,
)
from .images.masks import read_mask as read_mask
from .images.reading import read_image as read_image
from .images.saving import save_image as save_image
from .jobs.checkpoints import Checkpoint as Checkpoint, load_checkpoint as load_checkpoint
from .jobs.inputs import ControlFiles as ControlFiles, MaskFile as MaskFile, StyleFile as StyleFile
from .jobs.job import Job as Job
from .jobs.observers import Observer as Observer
from .jobs.outputs import Outputs as Outputs
from .jobs.running import run_job as run_job
from .recipes.presets import RECIPES as RECIPES, get_recipe as get_recipe
from .recipes.recipe import Recipe as Recipe
from .transfer.compute import Compute as Compute
from .transfer.controls import Controls as Controls
from .transfer.inputs import Style as Style
from .transfer.run import Result as Result, Run as Run, RunState as RunState, Step as Step, StopReason as StopReason
from .transfer.stylize import begin as begin, stylize as stylize

__version__: str
__all__: list[str]
