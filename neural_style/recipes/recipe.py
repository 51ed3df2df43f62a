"""A recipe: named settings in parts, and the flat view of them: by name, as flags, records and tables have them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ..errors import SettingsError, unknown
from .parts import (
    OPTIMIZERS,
    SGD,
    STARTS,
    Colours,
    FeedForward,
    Finish,
    Frame,
    Losses,
    Noise,
    Optimisation,
    Optimizer,
    Size,
    Stopping,
)

CHOSEN = "chosen for this run"
_DEFAULT = "default"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes, apart from its images, weights and seed.

    Attributes
    ----------
    name, summary : str
    method : Optimisation or FeedForward
        The parts of the first, `losses`, `start`, `optimizer` and `stopping`, are also attributes of the recipe.
    size : Size, or Frame of a recipe in one pass
    finish : Finish
    colours : Colours
    sources : mapping of str to str
        Where settings come from, for a reader, by name.
    network_named : bool
        Whether `losses.model` was named for this run, even if it is the recipe's own: then no other network stands in
        for it.
    """

    name: str
    summary: str
    method: Any
    size: Any
    finish: Finish = field(default_factory=lambda: Finish())
    colours: Colours = field(default_factory=lambda: Colours())
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    network_named: bool = field(default=False, repr=False, compare=False)

    @property
    def feed_forward(self) -> Optional[FeedForward]:
        """The method of a recipe in one pass; None of one that optimises."""
        return self.method if isinstance(self.method, FeedForward) else None

    @property
    def losses(self) -> Losses:
        """See `Optimisation`, as of the next three; a recipe in one pass has none, which raises SettingsError."""
        return self._optimisation.losses

    @property
    def start(self) -> Any:
        """See `Optimisation`."""
        return self._optimisation.start

    @property
    def optimizer(self) -> Optimizer:
        """See `Optimisation`."""
        return self._optimisation.optimizer

    @property
    def stopping(self) -> Stopping:
        """See `Optimisation`."""
        return self._optimisation.stopping

    @property
    def network(self) -> str:
        """Name of the network that runs: that of the losses, or the generator."""
        return self.method.generator if self.feed_forward else self.losses.model

    @property
    def _optimisation(self) -> Optimisation:
        if not isinstance(self.method, Optimisation):
            raise SettingsError(f"recipe {self.name} makes an image in one pass and optimises nothing; choose another")
        return self.method

    @classmethod
    def from_settings(
        cls,
        name: str,
        summary: str,
        settings: Mapping[str, Any],
        sources: Mapping[str, str] = MappingProxyType({}),
        network_named: bool = False,
    ) -> Recipe:
        """Make a recipe of settings by name.

        Parameters
        ----------
        name, summary : str
        settings : mapping of str to object
            As `settings` returns them; those with a default may be missing.
        sources : mapping of str to str

        Raises
        ------
        SettingsError
            If there is no such setting, one is missing, or its value makes no sense.
        """
        settings = dict(settings)
        one_pass = "generator" in settings
        parts: Dict[str, Any] = {"method": FeedForward, "size": Frame}
        if not one_pass:
            parts = {"losses": Losses, "size": Size, "stopping": Stopping, "finish": Finish}
            parts["start"] = _choose("initial", settings.pop("initial", Noise.initial), STARTS)
            parts["optimizer"] = _choose("optimizer", settings.pop("optimizer", SGD.optimizer), OPTIMIZERS)
        parts["colours"] = Colours
        made = {}
        for part, kind in parts.items():
            given = {f.name: settings.pop(f.name) for f in dataclasses.fields(kind) if f.name in settings}
            missing = [f.name for f in dataclasses.fields(kind) if _is_required(f) and f.name not in given]
            if missing:
                raise SettingsError(f"`{missing[0]}` is missing; a recipe needs it")
            made[part] = kind(**given)
        for setting in settings:
            raise _no_such_setting(setting, name, made)
        if not one_pass:
            made["method"] = Optimisation(*(made.pop(part) for part in ("losses", "start", "optimizer", "stopping")))
        recipe = cls(name, summary, network_named=network_named, **made)
        used = recipe.settings()
        sources = MappingProxyType({setting: source for setting, source in sources.items() if setting in used})
        return dataclasses.replace(recipe, sources=sources)

    def override(self, **settings: Any) -> Recipe:
        """Return a copy with some settings changed.

        A `model` that is given counts as named. With another `optimizer` or `initial`, settings that it shares with the
        one before keep their values, and it has its own defaults for the rest.

        Raises
        ------
        SettingsError
            If there is no such setting, or its value makes no sense.
        """
        before = self.settings()
        chosen: Dict[str, Any] = {**before, **settings}
        if self.feed_forward is None and "generator" in settings:
            raise SettingsError(f"`generator` is of no use with recipe {self.name}, which optimises; choose one-pass")
        gone: Set[str] = set()
        parts = (
            ()
            if self.feed_forward
            else (
                (self.start, STARTS.get(chosen["initial"])),
                (self.optimizer, OPTIMIZERS.get(chosen["optimizer"])),
            )
        )
        for part, now in parts:
            if now is not None and now is not type(part):
                gone |= {f.name for f in dataclasses.fields(part)} - {f.name for f in dataclasses.fields(now)}
        kept = {name: value for name, value in before.items() if name not in gone}
        changed = [name for name in settings if name not in kept or settings[name] != kept[name]]
        sources = {**self.sources, **dict.fromkeys(changed, CHOSEN)}
        named = self.network_named or "model" in settings or "generator" in settings
        return self.from_settings(self.name, self.summary, {**kept, **settings}, sources, named)

    def with_network(self, model: str, source: str) -> Recipe:
        """Return a copy with another network that nobody named, and where that comes from; its own changes nothing."""
        if model == self.losses.model:
            return self
        sources = MappingProxyType({**self.sources, "model": source})
        method = dataclasses.replace(self._optimisation, losses=dataclasses.replace(self.losses, model=model))
        return dataclasses.replace(self, method=method, sources=sources)

    def settings(self) -> Dict[str, Any]:
        """Return all settings by name, in order."""
        return _flatten(*(getattr(self, part) for part in (_ONE_PASS_PARTS if self.feed_forward else _PARTS)))

    def source(self, setting: str) -> str:
        """Return where a setting comes from, in words."""
        return self.sources.get(setting, _DEFAULT)


_PARTS = ("losses", "size", "start", "optimizer", "stopping", "finish", "colours")
_ONE_PASS_PARTS = ("method", "size", "colours")


def all_settings() -> List[str]:
    """Return the names of every setting that a recipe can have."""
    names: Dict[str, None] = {"initial": None, "optimizer": None}
    kinds: Tuple[Any, ...] = (
        *(Losses, Size, Stopping, Finish, Colours, FeedForward),
        *STARTS.values(),
        *OPTIMIZERS.values(),
    )
    for kind in kinds:
        names.update((f.name, None) for f in dataclasses.fields(kind))
    return list(names)


def _flatten(*parts):
    settings = {}
    for part in parts:
        for kind in ("initial", "optimizer"):
            if hasattr(part, kind):
                settings[kind] = getattr(part, kind)
        settings.update((f.name, getattr(part, f.name)) for f in dataclasses.fields(part))
    return settings


def _choose(setting, name, kinds):
    if name not in kinds:
        raise SettingsError(f"`{setting}` is '{name}'; it must be one of {', '.join(kinds)}")
    return kinds[name]


def _no_such_setting(setting, name, made):
    if setting not in all_settings():
        return unknown("setting", setting, all_settings())
    if "optimizer" not in made:
        return SettingsError(f"`{setting}` is of no use with recipe {name}, which optimises nothing; leave it out")
    if setting in {f.name for f in dataclasses.fields(FeedForward)}:
        return SettingsError(f"`{setting}` is of no use with recipe {name}, which optimises; choose one-pass")
    start, optimizer = made["start"], made["optimizer"]
    if setting in {f.name for f in dataclasses.fields(Noise)}:
        return SettingsError(f"`{setting}` is of no use with a start from {start.initial}; set `initial` to noise")
    users = [kind for kind, part in OPTIMIZERS.items() if setting in {f.name for f in dataclasses.fields(part)}]
    return SettingsError(
        f"`{setting}` is of no use with the optimizer {optimizer.optimizer}; leave it out, or set `optimizer` to "
        + " or ".join(users)
    )


def _is_required(entry):
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
