"""What every kind of stabilizer says of itself, so that nothing else needs to know which kinds there are.

A kind is two modules: its settings here, and below `thermalize.stabilizers` what `implementation` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

from thermalize.config.diffusion import DiffusionConfig
from thermalize.config.external import Own

__all__ = ["Needs", "StabilizerConfig"]


class Needs(NamedTuple):
    """What a stabilizer is built from, besides its settings."""

    diffusion: str | None = None
    """name under `diffusion`"""
    like: str | None = None
    """stabilizer whose rollout, of the same emulator and seed, it reads"""
    truth: bool = False
    """whether it reads true states of the train split"""
    bands: bool = False
    """whether it reads the band energies of the train split"""


class StabilizerConfig(Own):
    """A stabilizer by its settings."""

    kind: str
    implementation: ClassVar[str]
    """module with `build(settings, inputs)`, which makes it"""
    unswept: ClassVar[frozenset[str]] = frozenset({"kind"})
    """keys that a sweep cannot vary"""

    @property
    def needs(self) -> Needs:
        """What it is built from, once `of_models` has filled in what it left out."""
        return Needs()

    def of_models(self, models: Mapping[str, DiffusionConfig]) -> dict[str | None, Self]:  # noqa: ARG002
        """The stabilizers that it stands for, by diffusion model, or by None where it stands for itself alone."""
        return {None: self}

    def varied(self, label: str, values: Mapping[str, object]) -> Self:  # noqa: ARG002
        """With other values of some keys, and of an option `name` under `options.name`; `label` is its own name.

        Raises:
            ValueError: they do not fit each other.
        """
        given = dict(self)
        for key, value in values.items():
            section, _, option = key.partition(".")
            given[section] = {**given[section], option: value} if option else value
        return type(self).model_validate(given)

    def fault(
        self, models: Mapping[str, DiffusionConfig], stabilizers: Mapping[str, StabilizerConfig]  # noqa: ARG002
    ) -> str | None:  # fmt: skip
        """What does not fit between it and the rest of an experiment, beginning with the key."""
        name = self.needs.diffusion
        if name is None or name in models:
            return None
        return f"diffusion = {name!r} is not under diffusion ({', '.join(models) or 'none is configured'})"
