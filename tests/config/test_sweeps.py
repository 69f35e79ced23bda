"""Sweeps expand into stabilizers with names of their own, share equal points, and are refused in one sentence."""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import pytest
import yaml
from config_data import VALID, complaint
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from thermalize.config import CapConfig, Experiment
from thermalize.config.base import Name, Strict
from thermalize.config.load import load_experiment, parse_experiment, resolved_yaml
from thermalize.config.stabilizers import StabilizerConfig
from thermalize.config.sweeps import expand, sweep_of, value_text
from thermalize.workflow.pictures import figures_of
from thermalize.workflow.plan import settings_digest

VALUES = {
    "start": st.integers(0, 150) | st.just("auto"),
    "stop": st.integers(0, 150) | st.sampled_from(["auto", "clean"]),
    "sampler": st.sampled_from(["ddpm", "ddim", "dpm2m", "mean"]),
    "reverse_steps": st.none() | st.integers(1, 20),
    "false_trigger_rate": st.floats(1e-6, 0.9),
    "check_every": st.integers(1, 9),
    "conserve_mean": st.booleans(),
}


def swept(diffusion: dict[str, Any] | None = None, **sweeps: Any) -> dict[str, Any]:
    """The valid mapping with these sweeps."""
    mapping = copy.deepcopy(VALID)
    mapping["rollouts"]["sweeps"] = sweeps
    mapping["diffusion"] |= diffusion or {}
    return mapping


def experiment(**sweeps: Any) -> Experiment:
    return parse_experiment(swept(**sweeps), "my.yaml")


def test_every_combination_is_a_point_and_equal_ones_are_one_stabilizer():
    found = experiment(
        plane={"of": "thermalized", "start": [10, 20], "stop": [4, "clean"]},
        line={"of": "thermalized", "stop": [4, 0, "clean"]},
    )
    names = {sweep: [point.stabilizer for point in points] for sweep, points in found.sweeps.items()}
    assert names == {
        "plane": [
            "thermalized",
            "thermalized.start-10.stop-clean",
            "thermalized.start-20.stop-4",
            "thermalized.start-20.stop-clean",
        ],
        "line": ["thermalized", "thermalized.stop-0", "thermalized.start-10.stop-clean"],
    }
    assert list(found.named) == ["raw", "thermalized"]
    assert list(found.stabilizers) == ["raw", "thermalized", *names["plane"][1:], "thermalized.stop-0"]
    point = found.stabilizers["thermalized.start-20.stop-clean"]
    assert (point.start, point.stop, point.diffusion) == (20, "clean", "snapshot")


def test_refused_combinations_are_kept_with_their_reason():
    points = experiment(plane={"of": "thermalized", "start": [1, 3], "stop": [0, 2]}).sweeps["plane"]
    assert [point.left_out for point in points] == ["", "stop = 2 must lie below start = 1", "", ""]
    assert [bool(point.stabilizer) for point in points] == [True, False, True, True]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_points_are_all_combinations_each_valid_once_and_named_for_a_path(data: st.DataObject):
    keys = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=2, unique=True))
    lists = {key: data.draw(st.lists(VALUES[key], min_size=1, max_size=4, unique_by=str)) for key in keys}
    try:
        found = Experiment.model_validate(swept(one={"of": "thermalized", **lists}))
    except ValueError as error:
        assert "no point with" in str(error)  # noqa: PT017 - a value that fits nowhere is refused, all others hold
        return
    points = found.sweeps["one"]
    assert len(points) == prod(map(len, lists.values()))
    for key, values in lists.items():
        valid = [point for point in points if point.config is not None]
        assert all(any(point.values[key] == value for point in valid) for value in values)
        assert all(getattr(point.config, key) == point.values[key] for point in valid)
    configs = list(found.stabilizers.values())
    assert all(one != other for place, one in enumerate(configs) for other in configs[:place])
    assert all(TypeAdapter(Name).validate_python(name) for name in found.stabilizers)


REFUSED = [
    ({"of": "thermalised", "start": [1]}, ".of = 'thermalised' is no stabilizer with keys to sweep (thermalized)"),
    ({"of": "raw", "start": [1]}, ".of = 'raw' is no stabilizer with keys to sweep (thermalized)"),
    ({"of": "thermalized", "strat": [1]}, ".strat: this key is unknown; did you mean 'start'?"),
    ({"of": "thermalized", "start": []}, ".start: [] is too short; write at least 1 entry"),
    ({"of": "thermalized", "start": 3}, ".start: 3 is not a list; write [3]"),
    ({"of": "thermalized", "start": [3, "hot"]}, ".start[1]: 'hot' is not a whole number or auto; it is in levels"),
    (
        {"of": "thermalized", "check_every": [1, 0]},
        ".check_every[1]: 0 is out of bounds; it must be above 0 emulator steps",
    ),
    ({"of": "thermalized", "start": [5, 6, 5]}, ".start holds 5 twice; keep one of the two"),
    ({"of": "thermalized"}, ": this sweep has no key; give one key or two keys of the stabilizer a list of values"),
    (
        {"of": "thermalized", "start": [9], "stop": [1], "check_every": [2]},
        ": this sweep has 3 keys (start, stop, check_every); give one key or two keys of the stabilizer a list of "
        "values",
    ),
    ({"start": [1]}, ".of: this key is missing; add it (name under `rollouts.stabilizers`)"),
    (
        {"of": "thermalized", "start": [2, 3], "stop": [1, 5]},
        ".stop: no point with 5 is valid: stop = 5 must lie below start = 2",
    ),
    (
        {"of": "thermalized", "start": [500]},
        ".start: no point with 500 is valid: start = 500 is not below train_levels − 1 = 199",
    ),
    (
        {"of": "thermalized", "diffusion": ["other"]},
        ".diffusion: no point with other is valid: diffusion = 'other' is not under diffusion (snapshot)",
    ),
]


@pytest.mark.parametrize(("sweep", "sentence"), REFUSED, ids=[sentence[:30] for _, sentence in REFUSED])
def test_a_bad_sweep_gives_one_sentence(sweep: dict[str, Any], sentence: str):
    assert complaint(swept(one=sweep)) == f"my.yaml: rollouts.sweeps.one{sentence}"


def test_a_name_that_is_taken_is_refused():
    mapping = swept(one={"of": "thermalized", "stop": [0]})
    mapping["rollouts"]["stabilizers"]["thermalized.stop-0"] = {"kind": "none"}
    said = complaint(mapping)
    assert said.endswith("a point would be named 'thermalized.stop-0' like another stabilizer; rename 'thermalized'")


def test_of_several_diffusion_models_one_is_named_or_they_are_swept():
    other = {"other": VALID["diffusion"]["snapshot"]}
    assert "diffusion is not named; name one of snapshot, other, or sweep it" in complaint(
        swept(other, one={"of": "thermalized", "stop": [0]})
    )
    found = parse_experiment(swept(other, one={"of": "thermalized", "diffusion": ["snapshot", "other"]}), "my.yaml")
    assert [point.stabilizer for point in found.sweeps["one"]] == ["thermalized-snapshot", "thermalized-other"]


class Section(Strict):
    depth: int = 1
    names: tuple[str, ...] = ()


class Nested(StabilizerConfig):
    kind: str = "nested"
    drift: Section | None = None


def test_sections_and_null_are_values_like_any_other():
    sweep = sweep_of(Nested).model_validate({"of": "base", "drift": [None, {"depth": 2, "names": ["a b", "c"]}]})
    (points,) = expand({}, {"base": Nested()}, {"one": sweep}, lambda each: each).values()
    assert [point.stabilizer for point in points] == ["base.drift-none", "base.drift-depth-2-names-a_b_c"]
    assert points[1].config.drift == Section(depth=2, names=("a b", "c"))


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (1e-5, "1e-05"), ("a/b c", "a_b_c"), (None, "none")])
def test_values_in_names(value: Any, text: str):
    assert value_text(value) == text


def test_resolved_text_reads_back_with_swept_keys_only():
    found = experiment(one={"of": "thermalized", "reverse_steps": [None, 2]})
    text = resolved_yaml(found)
    assert "reverse_steps: [null, 2]" in text
    assert parse_experiment(yaml.safe_load(text), "my.yaml") == found


def test_numbers_in_a_sweep_are_read_however_they_are_written():
    assert [p.values["start"] for p in experiment(one={"of": "thermalized", "start": ["5", 1e1]}).sweeps["one"]] == [
        5,
        10,
    ]


def test_a_sweep_changes_no_rollout_that_was_there():
    plain, more = (parse_experiment(each, "my.yaml") for each in (VALID, swept(one={"of": "thermalized", "stop": [0]})))
    wildcards = {"emulator": "unet", "stabilizer": "thermalized", "seed": "0"}
    for stage in ("rollout", "diagnose"):
        assert settings_digest(plain, stage, wildcards) == settings_digest(more, stage, wildcards)
    assert {*figures_of(more)} - {*figures_of(plain)} == {"ablation"}


def test_the_schema_of_a_sweep_knows_every_key_of_the_stabilizer(tmp_path):
    sweep = experiment(one={"of": "thermalized", "stop": [0]}).rollouts.sweeps["one"]
    models: list[type[BaseModel]] = [CapConfig, type(experiment().rollouts.stabilizers["thermalized"])]
    keys = {name for model in models for name in model.model_fields}
    assert {*type(sweep).model_fields} == keys - {"kind"} | {"of", "options"}
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(experiment(one={"of": "thermalized", "stop": [0]})))
    assert load_experiment(path).sweeps
