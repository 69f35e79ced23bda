"""What a result depends on among the settings, by where they stand in them; how it is computed is no part of it.

Functions take all settings (`whole_of`), and after them the values of a step's wildcards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thermalize.config import Experiment
from thermalize.config.training import COMPUTED_HOW

__all__ = [
    "Settings",
    "drawn",
    "everything",
    "measured",
    "measured_on_truth",
    "of",
    "only",
    "physics",
    "rolled",
    "simulated",
    "stabilized",
    "trained",
    "whole_of",
]

TRAINING: Any = {"training": COMPUTED_HOW}
COMPUTED: Any = {
    "storage": True,
    "device": True,
    "simulation": {"dask", "device"},
    "emulators": {"__all__": TRAINING},
    "diffusion": {"__all__": TRAINING},
}
"""How and where an experiment is computed, which no result depends on."""
WHICH = {"stabilizers", "sweeps"}
"""Keys of `rollouts` that say which rollouts there are, and nothing about any one of them."""
MEASURED_ON_TRUTH = ("energy_fraction", "spectrum_window", "frozen_steps", "frozen_fraction", "max_lag")
"""Keys of `diagnostics` that the measurement of the truth depends on."""
Settings = dict[str, Any]


def whole_of(experiment: Experiment) -> Settings:
    """All settings but those that say how something is computed, as JSON, with every stabilizer that runs."""
    labels = {label: each.model_dump(mode="json") for label, each in experiment.stabilizers.items()}
    return {**experiment.model_dump(mode="json", exclude=COMPUTED), "stabilizers": labels}


def everything(whole: Settings, *_: str) -> Settings:
    """Of what shows or tabulates all that there is."""
    return {key: value for key, value in whole.items() if key not in ("stabilizers", "figures")}


def drawn(whole: Settings, name: str) -> Settings:
    """Of a figure, also of one of the user's own."""
    own = whole["figures"].get(name)
    return everything(whole) if own is None else {**everything(whole), f"figures.{name}": own}


def physics(whole: Settings) -> Settings:
    """Of the truth, without how long it is and where it is imported from, which its stores say."""
    kept = {key: value for key, value in whole["simulation"].items() if key not in ("splits", "source")}
    return {"simulation": kept, "seed": whole["seed"]}


def rolled(whole: Settings) -> Settings:
    """Of all rollouts alike."""
    return {"rollouts": {key: value for key, value in whole["rollouts"].items() if key not in WHICH}}


def measured(*without: str) -> Callable[[Settings], Settings]:
    """How something is compared with the truth, but for keys that do not matter to it."""
    return lambda whole: {
        "diagnostics": {key: each for key, each in whole["diagnostics"].items() if key not in without}
    }


def measured_on_truth(whole: Settings) -> Settings:
    """How the truth is measured, for rollouts of a length."""
    chosen = {key: whole["diagnostics"][key] for key in MEASURED_ON_TRUTH}
    return {"diagnostics": chosen, "rollouts": {"steps": whole["rollouts"]["steps"]}}


def simulated(whole: Settings, split: str) -> Settings:
    """Imported splits follow each other through the files, so that each depends on those before it."""
    splits = whole["simulation"]["splits"]
    own = splits if "source" in whole["simulation"] else {split: splits[split]}
    return {**physics(whole), "simulation.splits": own}


def trained(section: str) -> Callable[[Settings, str], Settings]:
    """Of a model of a section."""
    return lambda whole, name: {**physics(whole), f"{section}.{name}": whole[section][name]}


def stabilized(whole: Settings, _: str, stabilizer: str, *__: str) -> Settings:
    """Of one rollout."""
    own = {f"rollouts.stabilizers.{stabilizer}": whole["stabilizers"][stabilizer]}
    return {**physics(whole), **rolled(whole), **own}


def only(*names: str) -> Callable[[Settings], Settings]:
    """These keys."""
    return lambda whole: {name: whole[name] for name in names}


def of(*parts: Callable[[Settings], Settings]) -> Callable[..., Settings]:
    """All that the parts read, whichever result of a step it is."""
    return lambda whole, *_: {key: value for part in parts for key, value in part(whole).items()}
