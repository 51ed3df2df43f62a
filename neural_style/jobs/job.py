"""A job: a run from files to files, as a value that can be kept, sent, and run."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import CheckpointError, ImageError, SettingsError, first_line
from ..files import check_writable
from ..objective.terms import check_losses
from ..recipes.presets import DEFAULT_RECIPE, RECIPES, RECOMMENDED_RECIPE, get_recipe
from ..recipes.recipe import Recipe, all_settings
from ..reports.pages import require_packages
from ..transfer.compute import Compute
from ..transfer.inputs import check_style, choose_network
from ..transfer.stylize import DEFAULT_SEED
from ..weights.lookup import find_weights
from .outputs import Outputs
from .schemas import DAMAGE, check_schema, check_text, optional

SCHEMA, VERSION = "neural-style/job", 1

CHECKPOINT_EVERY = 20


@dataclass(frozen=True)
class StyleFile:
    """The file of an image whose style is used; weight and scale as `transfer.inputs.Style`."""

    file: str
    weight: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_style(self.weight, self.scale)


@dataclass(frozen=True)
class Job:
    """Everything that a run is made of: files, settings, and where to compute.

    Attributes
    ----------
    content : str
        File of the image to repaint.
    styles : sequence of StyleFile or str
        At least one; kept as a tuple of `StyleFile`.
    outputs : Outputs
    recipe : Recipe
    start : str or None
        File of an image to start from, in place of the recipe's start.
    weights : str or None
        File of the network's parameters; None to find them.
    seed : int or None
        See `transfer.stylize.begin`.
    compute : Compute
    checkpoint : str or None
        File in which the state of the run is kept, so that it can be resumed.
    checkpoint_every : int
        Steps between two writings of it; it is also written when the run is interrupted.

    Raises
    ------
    SettingsError
        If there is no style, or `checkpoint_every` makes no sense.
    """

    content: str
    styles: Tuple[StyleFile, ...]
    outputs: Outputs
    recipe: Recipe = dataclasses.field(default_factory=lambda: get_recipe(RECOMMENDED_RECIPE))
    start: Optional[str] = None
    weights: Optional[str] = None
    seed: Optional[int] = DEFAULT_SEED
    compute: Compute = Compute()
    checkpoint: Optional[str] = None
    checkpoint_every: int = CHECKPOINT_EVERY

    def __post_init__(self) -> None:
        styles = tuple(style if isinstance(style, StyleFile) else StyleFile(style) for style in self.styles)
        if not styles:
            raise SettingsError("`styles` is empty; at least one style is needed")
        if self.checkpoint_every < 1:
            raise SettingsError(f"`checkpoint_every` is {self.checkpoint_every}; it must be 1 or more")
        object.__setattr__(self, "styles", styles)

    @property
    def inputs(self) -> Tuple[str, ...]:
        """Names of the images that the job reads."""
        return tuple(filter(None, (self.content, *(style.file for style in self.styles), self.start)))

    def check(self) -> None:
        """Check, before anything is computed, that settings make sense, inputs exist and outputs can be written.

        Raises
        ------
        SettingsError
            If the recipe cannot be used.
        ImageError
            If an input does not exist; whether it is an image shows when it is read.
        DependencyError
            If a report is asked for and the packages that draw it are missing.
        OutputError, CheckpointError
            If a file cannot be written, or would replace another one of the job.
        """
        check_losses(self.recipe.losses)
        for path in self.inputs:
            if not os.path.exists(path):
                raise ImageError(f"{path}: there is no such file; check its name and folder")
        outputs = self.outputs
        if outputs.report:
            require_packages()
        if self.checkpoint is not None:
            others = [*self.inputs, outputs.final, outputs.report, outputs.trace]
            if os.path.realpath(self.checkpoint) in {os.path.realpath(path) for path in others if path}:
                raise CheckpointError(
                    f"{self.checkpoint}: another file of this run has this name; choose another for the checkpoint"
                )
            check_writable(self.checkpoint)
        outputs.check(self.inputs, self.recipe.finish.save_every > 0)

    def absolute(self) -> Job:
        """Return the same with absolute paths, which mean the same in another folder."""
        paths = {name: getattr(self, name) for name in ("content", "start", "weights", "checkpoint")}
        styles = tuple(dataclasses.replace(style, file=os.path.abspath(style.file)) for style in self.styles)
        absolute = {name: path and os.path.abspath(path) for name, path in paths.items()}
        return dataclasses.replace(self, styles=styles, outputs=self.outputs.absolute(), **absolute)

    def find_weights(self) -> Tuple[Job, str]:
        """Find the weights of the network, or the network that takes the place of one that nobody named.

        Returns
        -------
        Job
            With the network that is to run as its own.
        str
            File of its weights.

        Raises
        ------
        WeightsError
            If there are none.
        """
        if self.weights is not None:
            return self, str(find_weights(self.recipe.losses.model, self.weights))
        recipe, path = choose_network(self.recipe)
        return dataclasses.replace(self, recipe=dataclasses.replace(recipe, network_named=True)), str(path)

    def to_json(self) -> Dict[str, Any]:
        """Return the job as a dict that JSON can hold: the reverse of `from_json`."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "recipe": self.recipe.name,
            "settings": {name: _plain(value) for name, value in self.recipe.settings().items()},
            "network_named": self.recipe.network_named,
            "seed": _plain(self.seed),
            "compute": {name: _plain(value) for name, value in self.compute.settings().items()},
            "weights": self.weights and {"file": os.fspath(self.weights)},
            "content": {"file": os.fspath(self.content)},
            "styles": [dict(dataclasses.asdict(style), file=os.fspath(style.file)) for style in self.styles],
            "start": self.start and {"file": os.fspath(self.start)},
            "outputs": dataclasses.asdict(self.outputs),
            "checkpoint": self.checkpoint,
            "checkpoint_every": self.checkpoint_every,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Job:
        """Make a job of what `to_json` returned, perhaps read from a file.

        Raises
        ------
        SettingsError
            If it is something else, or has settings that this program does not know.
        """
        try:
            if record.get("schema") != SCHEMA or record.get("version") != VERSION:
                raise ValueError("it is not a job of this version")
            check_schema(record, _JOB, "the job")
            check_text(record)
            recipe, strange = read_recipe(record)
            if strange:
                raise ValueError(f"there is no setting {next(iter(strange))}")
            named = {name: record[name] for name in ("seed", "checkpoint", "checkpoint_every")}
            return cls(
                record["content"]["file"],
                tuple(StyleFile(style["file"], style["weight"], style["scale"]) for style in record["styles"]),
                Outputs(**record["outputs"]),
                dataclasses.replace(recipe, network_named=record["network_named"]),
                record["start"] and record["start"]["file"],
                record["weights"] and record["weights"]["file"],
                compute=Compute(**record["compute"]),
                **named,
            )
        except (SettingsError, *DAMAGE) as error:
            raise SettingsError(f"this is no job that can be run ({first_line(error)})") from error


FILE: Dict[Any, Any] = {"file": str}
STYLE: Dict[Any, Any] = {"file": str, "weight": float, "scale": float}
VALUE = (str, int, float, bool, type(None))

# What a run is made of apart from its outputs, in a job as in the records of images.
RUN: Dict[Any, Any] = {
    "recipe": str,
    "settings": {str: VALUE + ([VALUE],)},
    "seed": optional(int),
    "compute": {
        "gpu": optional(int),
        "precision": str,
        "memory": optional(int),
        "tile_size": optional(int),
    },
}
_JOB = {
    **RUN,
    "network_named": bool,
    "weights": optional(FILE),
    "content": FILE,
    "styles": [STYLE],
    "start": optional(FILE),
    "outputs": {"final": str, "prefix": str, "suffix": str, "report": optional(str), "trace": optional(str)},
    "checkpoint": optional(str),
    "checkpoint_every": int,
}


def read_recipe(record: Mapping[str, Any]) -> Tuple[Recipe, Dict[str, Any]]:
    """Return the recipe in a record, as this program has it.

    Parameters
    ----------
    record : dict
        With ``recipe``, a name, and ``settings``.

    Returns
    -------
    recipe : Recipe
        Its name is one that is known here; its settings are the record's.
    strange : dict
        Settings of the record that this program does not have.

    Raises
    ------
    SettingsError
        If a value makes no sense.
    """
    base = RECIPES.get(record["recipe"], RECIPES[DEFAULT_RECIPE])
    known: Dict[str, Any] = {}
    strange: Dict[str, Any] = {}
    names = set(all_settings())
    for name, value in record["settings"].items():
        usual = base.settings().get(name)
        if isinstance(value, bool) and isinstance(usual, (int, float)) and not isinstance(usual, bool):
            raise SettingsError(f"`{name}` is {value}; it must be a number")
        (known if name in names else strange)[name] = tuple(value) if isinstance(value, list) else value
    return base.override(**known), strange


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers and tuples into what JSON has."""
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
