"""The section `simulation` with `import`: read as it was meant, or refused in one sentence."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from config_data import JARGON, JUNK, NAMES, leaves
from hypothesis import given, settings
from hypothesis import strategies as st
from import_data import section
from import_data import settings as configuration

from thermalize.config import Experiment, ImportConfig, SimulationConfig
from thermalize.config.imported import TAKEN
from thermalize.config.load import configuration_page, json_schema, load_experiment, parse_experiment, resolved_yaml
from thermalize.runtime.errors import UserError
from thermalize.stabilizers import drift, thermalizer
from thermalize.store.fingerprint import fingerprint

VALID = configuration(section("data/*.nc", periods={"y": 8e4, "x": 8e4}, points={"y": 8, "x": 8}))


def changed(**changes: Any) -> dict[str, Any]:
    """The valid mapping with keys of `simulation` set, or with None removed."""
    return configuration({**VALID["simulation"], **changes})


def complaint(mapping: Any) -> str:
    with pytest.raises(UserError) as caught:
        parse_experiment(mapping, "my.yaml")
    return str(caught.value)


def test_the_key_import_chooses_the_shape() -> None:
    simulation = parse_experiment(VALID, "my.yaml").simulation
    assert isinstance(simulation, ImportConfig)
    assert simulation.source == ("data/*.nc",)
    several = parse_experiment(changed(**{"import": ["a.nc", "b.zarr"]}), "my.yaml").simulation
    assert isinstance(several, ImportConfig)
    assert several.source == ("a.nc", "b.zarr")


def test_it_offers_what_a_simulation_offers() -> None:
    simulation = parse_experiment(VALID, "my.yaml").simulation
    assert simulation.grid == (8, 8)
    assert simulation.frame_interval == 0.5
    assert simulation.label == "import q 8x8"
    assert simulation.splits["test"].stored_members == simulation.splits["test"].members == 2
    assert simulation.identity["kind"] == "import"
    assert json.loads(json.dumps(simulation.identity)) == simulation.identity
    unknown = parse_experiment(changed(points=None), "my.yaml").simulation
    assert unknown.grid == ()
    assert unknown.label == "import q"


@pytest.mark.parametrize(
    "change",
    [{"variable": "r"}, {"units": "1"}, {"time_units": "hours"}, {"length_units": "km"}, {"points": {"y": 16, "x": 8}},
     {"periods": {"y": 1e4, "x": 8e4}}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_the_identity_follows_what_is_stated(change: dict[str, Any]) -> None:
    simulations = [parse_experiment(mapping, "my.yaml").simulation for mapping in (VALID, changed(**change))]
    assert simulations[0].identity != simulations[1].identity


def test_names_of_other_things_in_a_store_are_taken() -> None:
    assert {
        "member",
        "time",
        "channel",
        "x",
        "y",
        *(each.name for each in (*thermalizer.SERIES, *drift.SERIES)),
    } <= set(TAKEN)


def test_resolved_text_reads_back_as_the_same_experiment(tmp_path: Path) -> None:
    experiment = parse_experiment(VALID, "my.yaml")
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(experiment), encoding="utf-8")
    assert load_experiment(path) == experiment
    assert yaml.safe_load(path.read_text())["simulation"]["import"] == ["data/*.nc"]
    assert fingerprint(experiment) == fingerprint(load_experiment(path))


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"import": []}, "simulation.import is empty; name the files"),
    ({"import": ["a.nc", 3]}, "simulation.import[1]: 3 is not text; put it in quotes"),
    ({"import": 3}, "simulation.import[0]: 3 is not text; put it in quotes"),
    ({"frame_interval": "6 h"}, "simulation.frame_interval: '6 h' is not a plain number; it is in time_units"),
    ({"every": 0}, "simulation.every: 0 is out of bounds; it must be above 0"),
    ({"files": "members"}, "simulation.files: 'members' is unknown; did you mean 'member'? Known: time, member"),
    ({"varable": "q"}, "simulation.varable: this key is unknown; did you mean 'variable'?"),
    ({"source": "a.nc"}, "simulation.source: this key is unknown; known: "
     "import, files, dims, variable, channels, long_name, units, frame_interval, time_units, length_units, "
     "unusual, every, spin_up, periods, points, split, gap, splits, block, shard_frames, dask"),
    ({"dims": {"time": "t"}}, "simulation.dims.x: this key is missing; add it (the last axis of the grid)"),
    ({"dims": {"time": "t", "x": "x", "lat": "y"}},
     "simulation.dims.lat: this key is unknown; known: time, x, y, member, channel"),
    ({"dims": {"time": "t", "x": "t"}, "points": None, "periods": None},
     "simulation.dims names the dimension 't' twice"),
    ({"dims": {"time": "t", "x": "x"}, "points": None},
     "simulation.periods and dims must both have y, or neither of them"),
    ({"channels": {"upper": "q1", "lower": 2}}, "simulation.channels.lower: 2 is not text; put it in quotes"),
    ({"channels": {"upper": "q1"}},
     "simulation.channels and dims.channel are both given; keep the one that tells the channels apart"),
    ({"variable": "level"}, "simulation.variable = level is the name of something else in a store; choose another one"),
    ({"variable": "sea level"},
     f"simulation.variable: 'sea level' is not a name; {NAMES}"),
    ({"gap": None}, "simulation.gap is missing: split: time needs the time to leave out between the splits"),
    ({"split": "member"}, "simulation.gap is for split: time; different members need none"),
    ({"split": "member", "gap": None},
     "simulation.split: member needs members: name their dimension in dims.member, write files: member where each file "
     "is one, or write split: time for a single trajectory"),
    ({"files": "member", "dims": {"time": "t", "x": "x", "y": "y", "member": "run"}},
     "simulation.files: member makes each file a member, so dims.member must be left out"),
    ({"splits": {"train": {"members": 1, "frames": 2}, "test": {"members": 1, "frames": 2}}},
     "simulation.splits lacks valid"),
    ({"splits": {"train": {"members": 1, "frames": 2, "windows": 3}}},
     "simulation.splits.train.windows: this key is unknown; known: members, frames"),
    ({"points": {"y": 8, "x": 9}},
     "emulators.unet.network halves the grid 1 times, but the 9 points along x are not divisible by 2; "
     "use 8 or 10 points, or fewer multipliers"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), SENTENCES, ids=[sentence[11:50] for _, sentence in SENTENCES])
def test_one_fault_gives_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert complaint(changed(**changes)) == f"my.yaml: {sentence}"


def test_a_simulation_without_either_shape_is_asked_for_the_usual_one() -> None:
    mapping = copy.deepcopy(VALID)
    del mapping["simulation"]
    needed = ", ".join(name for name, field in SimulationConfig.model_fields.items() if field.is_required())
    assert complaint(mapping) == f"my.yaml: simulation: this section is missing; add it with at least {needed}"


@settings(max_examples=100)
@given(path=st.sampled_from(leaves(VALID["simulation"])), junk=JUNK)
def test_junk_anywhere_is_read_or_refused_in_plain_words(path: tuple[str, ...], junk: Any) -> None:
    mapping = copy.deepcopy(VALID)
    inner = mapping["simulation"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    try:
        experiment = parse_experiment(mapping, "my.yaml")
    except UserError as error:
        message = str(error)
        assert "simulation" in message or "points" in message
        assert not [word for word in JARGON if word in message.lower()]
    else:
        assert isinstance(experiment, Experiment)


def test_the_schema_knows_both_shapes() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(VALID, schema)
    jsonschema.validate(changed(**{"import": ["a.nc"]}), schema)
    with pytest.raises(jsonschema.ValidationError, match=r"^Additional properties are not allowed \('spinup'"):
        jsonschema.validate(changed(spinup=3), schema)
    with pytest.raises(jsonschema.ValidationError, match=r"^'system' is a required property"):
        jsonschema.validate(configuration({"dt": 0.1}), schema)


def test_the_page_describes_both_shapes() -> None:
    page = configuration_page()
    titles = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert {"simulation", "simulation with import", "simulation.splits.{name} with import"} <= set(titles)
    assert len(titles) == len(set(titles))
    assert "| `import` | list |" in page
    assert "| `channels` | named text entries |" in page
