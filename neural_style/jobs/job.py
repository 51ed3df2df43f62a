"""A job: a run from files to files, as a value that can be kept, sent, and run."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import ImageError, SettingsError, first_line
from ..objective.terms import check_losses
from ..recipes.kinds import check_kind
from ..recipes.presets import DEFAULT_RECIPE, RECIPES, RECOMMENDED_RECIPE, get_recipe
from ..recipes.recipe import Recipe, all_settings
from ..reports.pages import require_packages
from ..transfer.colours import check_palette
from ..transfer.compute import Compute
from ..transfer.inputs import check_seed, choose_network
from ..transfer.stylize import DEFAULT_SEED
from ..weights.generators import find_generator
from ..weights.lookup import find_weights
from .inputs import CONTROLS, FILE, STYLE, ControlFiles, StyleFile
from .outputs import Outputs
from .schemas import DAMAGE, NAME, check_schema, check_text, optional

SCHEMA, VERSION = "neural-style/job", 1

CHECKPOINT_EVERY = 20


@dataclass(frozen=True)
class Job:
    """Everything that a run is made of: files, settings, and where to compute.

    Attributes
    ----------
    content : str
        File of the image to repaint.
    styles : sequence of StyleFile or str
        At least one, unless a generator makes the image; kept as a tuple of `StyleFile`.
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
    controls : ControlFiles
        Masks of the image as a whole, and a palette.

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
    controls: ControlFiles = ControlFiles()

    def __post_init__(self) -> None:
        styles = tuple(style if isinstance(style, StyleFile) else StyleFile(style) for style in self.styles)
        if not styles and not self.recipe.feed_forward:
            raise SettingsError("`styles` is empty; at least one style is needed")
        check_kind("checkpoint_every", self.checkpoint_every, int)
        if self.checkpoint_every < 1:
            raise SettingsError(f"`checkpoint_every` is {self.checkpoint_every}; it must be 1 or more")
        check_seed(self.seed)
        object.__setattr__(self, "styles", styles)

    @property
    def inputs(self) -> Tuple[str, ...]:
        """Names of the images that the job reads."""
        styles = (file for style in self.styles for file in style.files)
        return tuple(filter(None, (self.content, *styles, self.start, *self.controls.files)))

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
        OutputError
            If a file cannot be written, or would replace another one of the job or one of another kind.
        """
        if self.recipe.feed_forward:
            if self.checkpoint is not None:
                raise SettingsError("`checkpoint` is of no use with an image made in one pass; leave it out")
        else:
            check_losses(self.recipe.losses)
        check_palette(self.recipe.colours.colors, self.controls.palette)
        for path in self.inputs:
            if not os.path.exists(path):
                raise ImageError(f"{path}: there is no such file; check its name and folder")
        if self.outputs.report:
            require_packages()
        self.outputs.check([*self.inputs, self.weights], self.recipe.finish.save_every > 0, self.checkpoint)

    def absolute(self) -> Job:
        """Return the same with absolute paths, which mean the same in another folder."""
        paths = {name: getattr(self, name) for name in ("content", "start", "weights", "checkpoint")}
        absolute: Dict[str, Any] = {name: path and os.path.abspath(path) for name, path in paths.items()}
        absolute["styles"] = tuple(style.absolute() for style in self.styles)
        return dataclasses.replace(self, outputs=self.outputs.absolute(), controls=self.controls.absolute(), **absolute)

    def find_weights(self) -> Tuple[Job, str]:
        """Find the weights of the network or the generator, or the network in the place of one that nobody named.

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
            return self, str(find_weights(self.recipe.network, self.weights))
        if self.recipe.feed_forward:
            return self, str(find_generator(self.recipe.network))
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
            "styles": [style.to_json() for style in self.styles],
            "start": self.start and {"file": os.fspath(self.start)},
            "controls": self.controls.to_json(),
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
            check_text(record, _JOB)
            recipe, strange = read_recipe(record)
            if strange:
                raise ValueError(f"there is no setting {next(iter(strange))}")
            named = {name: record[name] for name in ("seed", "checkpoint", "checkpoint_every")}
            return cls(
                record["content"]["file"],
                tuple(StyleFile.from_json(style) for style in record["styles"]),
                Outputs(**record["outputs"]),
                dataclasses.replace(recipe, network_named=record["network_named"]),
                record["start"] and record["start"]["file"],
                record["weights"] and record["weights"]["file"],
                compute=Compute(**record["compute"]),
                controls=ControlFiles.from_json(record["controls"]),
                **named,
            )
        except (SettingsError, *DAMAGE) as error:
            raise SettingsError(f"this is no job that can be run ({first_line(error)})") from error


VALUE = (NAME, int, float, bool, type(None))  # a network may be the prefix of a file

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
    "controls": CONTROLS,
    "outputs": {"final": NAME, "prefix": NAME, "suffix": NAME, "report": optional(NAME), "trace": optional(NAME)},
    "checkpoint": optional(NAME),
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
        (known if name in names else strange)[name] = tuple(value) if isinstance(value, list) else value
    return base.override(**known), strange


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers and tuples into what JSON has."""
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value
