"""A configuration is read as it was meant, or refused in sentences that a user can act on."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from config_data import BAD_FILES, JARGON, JUNK, NAMES, REMOVED, SPLIT, VALID, changed, complaint, leaves
from hypothesis import given, settings
from hypothesis import strategies as st
from workflow_run import TINY, environment

from thermalize.config import Experiment, SimulationConfig
from thermalize.config.load import json_schema, load_experiment, parse_experiment, resolved_yaml
from thermalize.runtime.errors import UserError


def test_the_valid_mapping_is_read():
    experiment = parse_experiment(VALID, "my.yaml")
    assert experiment.simulation.dt == 0.1
    assert experiment.emulators["unet"].training.updates == 10


UNITS = "it is in time units (the system is non-dimensional)"
SYSTEMS = "kolmogorov, ks, qg"
ONE_FAULT = [
    # wrong type or unit
    ({"simulation__dt": "0.1 s"}, f"simulation.dt: '0.1 s' is not a plain number; {UNITS}"),
    ({"simulation__dt": True}, f"simulation.dt: true is not a plain number; {UNITS}"),
    ({"simulation__dt": None}, f"simulation.dt: an empty value is not a plain number; {UNITS}"),
    ({"simulation__dt": [0.1]}, f"simulation.dt: [0.1] is not a plain number; {UNITS}"),
    (
        {"simulation__system__length": "64 km"},
        f"simulation.system.length: '64 km' is not a plain number; {UNITS.replace('time', 'length')}",
    ),
    (
        {"simulation__splits__train": {"members": 8.5, "frames": 10}},
        "simulation.splits.train.members: 8.5 is not a whole number; it has no unit",
    ),
    (
        {"simulation__splits__train": {"members": "8 members", "frames": 10}},
        "simulation.splits.train.members: '8 members' is not a whole number; it has no unit",
    ),
    ({"rollouts__steps": False}, "rollouts.steps: false is not a whole number; it is in emulator steps"),
    (
        {"rollouts__stabilizers__thermalized__start": "hot"},
        "rollouts.stabilizers.thermalized.start: 'hot' is not a whole number or auto; it is in levels",
    ),
    (
        {"rollouts__stabilizers__thermalized__start": True},
        "rollouts.stabilizers.thermalized.start: true is not a whole number or auto; it is in levels",
    ),
    (
        {"rollouts__stabilizers__thermalized__forward_noise": "often"},
        "rollouts.stabilizers.thermalized.forward_noise: 'often' is not true or false",
    ),
    (
        {"rollouts__stabilizers__thermalized__sampler": "dpm2"},
        "rollouts.stabilizers.thermalized.sampler: 'dpm2' is unknown; did you mean 'dpm2m'? "
        "Known: ddpm, ddim, dpm2m, mean",
    ),
    (
        {"rollouts__stabilizers__thermalized__eta": 0.5},
        "rollouts.stabilizers.thermalized.eta = 0.5 is a setting of sampler: ddim, not of ddpm; leave it out",
    ),
    (
        {"rollouts__stabilizers__one": {"kind": "thermalizer", "sampler": "ddim", "eta": 2}},
        "rollouts.stabilizers.one.eta: 2 is out of bounds; it must be at most 1",
    ),
    (
        {"rollouts__stabilizers__one": {"kind": "thermalizer", "sampler": "mean", "reverse_steps": 3}},
        "rollouts.stabilizers.one.reverse_steps = 3 does not fit sampler: mean, which takes one step",
    ),
    (
        {"diffusion__snapshot__schedule": {"kind": "linear", "levels": 10}},
        "diffusion.snapshot.schedule.levels = 10 is too few for beta_max = 0.02: the last would add all noise at once; "
        "try levels = 21 or more",
    ),
    (
        {"diffusion__snapshot__schedule": {"kind": "power", "levels": 100}},
        "diffusion.snapshot.train_levels = 200 is more than the schedule has (levels = 100)",
    ),
    (
        {"diffusion__snapshot__prediction": "epsilon"},
        "diffusion.snapshot.prediction: 'epsilon' is unknown; known: noise, state, velocity",
    ),
    ({"name": 2024}, "name: 2024 is not text; put it in quotes"),
    ({"seeds": 3}, "seeds: 3 is not a list; write [3]"),
    ({"seeds": [0, "one"]}, "seeds[1]: 'one' is not a whole number"),
    (
        {"simulation__system": "ks"},
        f"simulation.system: 'ks' is not a section; write `kind:` below it, one of {SYSTEMS}",
    ),
    (
        {"simulation": 0.1},
        "simulation: 0.1 is not a section; its keys are " + ", ".join(SimulationConfig.model_fields),
    ),
    (
        {"rollouts__stabilizers__raw": None},
        "rollouts.stabilizers.raw: an empty value is not a section; write `kind:` below it, one of cap, import, "
        "none, projection, thermalizer",
    ),
    (
        {"rollouts__stabilizers": ["raw"]},
        'rollouts.stabilizers: ["raw"] is not a section; write named entries below it',
    ),
    # out of bounds
    ({"simulation__dt": 0}, "simulation.dt: 0 is out of bounds; it must be above 0 time units"),
    ({"simulation__dt": float("nan")}, f"simulation.dt: NaN is not a finite number; {UNITS}"),
    ({"simulation__system__points": 8}, "simulation.system.points: 8 is out of bounds; it must be at least 16"),
    ({"simulation__system__points": 129}, "simulation.system.points: 129 is not a multiple of 2; try 130"),
    ({"diagnostics": {"confidence": 1}}, "diagnostics.confidence: 1 is out of bounds; it must be below 1"),
    ({"seeds": [0, -1]}, "seeds[1]: -1 is out of bounds; it must be at least 0"),
    ({"seeds": []}, "seeds: [] is too short; write at least 1 entry"),
    ({"emulators": {}}, "emulators: {} is too short; write at least 1 entry"),
    ({"name": "a" * 101}, f"name: '{'a' * 59}… is too long; write at most 100 characters"),
    ({"name": "my run"}, f"name: 'my run' is not a name; {NAMES}"),
    ({"emulators": {"a b": {"training": {"updates": 1}}}}, f"emulators: 'a b' is not a name; {NAMES}"),
    # unknown words
    ({"device": "gpu"}, "device: 'gpu' is unknown; known: auto, cpu, cuda, mps"),
    ({"device": "CUDA"}, "device: 'CUDA' is unknown; did you mean 'cuda'? Known: auto, cpu, cuda, mps"),
    ({"simulation__system__kind": "swe"}, f"simulation.system.kind: 'swe' is unknown; known: {SYSTEMS}"),
    (
        {"simulation__splits__tst": SPLIT},
        "simulation.splits: 'tst' is unknown; did you mean 'test'? Known: train, valid, test",
    ),
    (
        {"rollouts__stabilizers__thermalized__kind": "thermaliser"},
        "rollouts.stabilizers.thermalized.kind: 'thermaliser' is unknown; did you mean 'thermalizer'? "
        "Known: cap, import, none, projection, thermalizer",
    ),
    # unknown and missing keys
    ({"simulation__spinup": 100}, "simulation.spinup: this key is unknown; did you mean 'spin_up'?"),
    ({"simulation__DT": 0.1}, "simulation.DT: this key is unknown; did you mean 'dt'?"),
    (
        {"rollouts__stabilizers__thermalized__strat": 3},
        "rollouts.stabilizers.thermalized.strat: this key is unknown; did you mean 'start'?",
    ),
    ({"rollouts__stabilizers__raw__speed": 3}, "rollouts.stabilizers.raw.speed: this key is unknown; known: kind"),
    ({"simulation__dt": REMOVED}, "simulation.dt: this key is missing; add it (step of the solver [time units])"),
    ({"simulation__system__kind": REMOVED}, f"simulation.system.kind: this key is missing; known: {SYSTEMS}"),
    (
        {"rollouts__stabilizers__raw": {}},
        "rollouts.stabilizers.raw.kind: this key is missing; known: cap, import, none, projection, thermalizer",
    ),
    ({"emulators__unet": {}}, "emulators.unet.training: this section is missing; add it with at least updates"),
    (
        {"emulators__unet__training": {"update": 10}},
        "emulators.unet.training.update: this key is unknown; did you mean 'updates'?",
    ),
    # what one key says about another
    (
        {"simulation__dt": 0.3},
        "simulation.dt = 0.3 time units is above the stability limit 0.25 of this system and solver; try dt = 0.25",
    ),
    ({"emulators__unet__network": {"kernel_size": 4}}, "emulators.unet.network.kernel_size = 4 is even; try 5"),
    (
        {"emulators__unet__unroll": {"start": 3, "maximum": 2}},
        "emulators.unet.unroll: unroll.maximum = 2 is below unroll.start = 3",
    ),
    ({"rollouts__members": 9}, "rollouts.members = 9 exceeds simulation.splits.test.members = 8"),
]


@pytest.mark.parametrize(("changes", "sentence"), ONE_FAULT, ids=[sentence[:40] for _, sentence in ONE_FAULT])
def test_one_fault_gives_one_sentence(changes: dict[str, Any], sentence: str):
    assert complaint(changed(**changes)) == f"my.yaml: {sentence}"


def test_several_faults_are_all_named_the_deepest_first():
    mapping = changed(nmae="x", simulation__dt="fast", simulation__system__points=8)
    assert complaint(mapping).splitlines() == [
        "my.yaml has 3 faults:",
        "  simulation.system.points: 8 is out of bounds; it must be at least 16",
        f"  simulation.dt: 'fast' is not a plain number; {UNITS}",
        "  nmae: this key is unknown; did you mean 'name'?",
    ]


def test_a_long_value_is_shortened():
    assert complaint(changed(device="a " * 100)).split(" is unknown")[0] == f"my.yaml: device: '{'a ' * 29}a…"


@pytest.mark.parametrize(
    ("dotted", "given", "read"),
    [
        ("simulation__dt", "1e-1", 0.1),
        ("simulation__frame_interval", 1, 1.0),
        ("rollouts__steps", "1e3", 1000),
        ("rollouts__steps", 1e3, 1000),
        ("rollouts__steps", "100", 100),
        ("rollouts__stabilizers__thermalized__start", "12", 12),
        ("name", "2024", "2024"),
    ],
)
def test_numbers_are_read_however_they_are_written(dotted: str, given: Any, read: Any):
    value: Any = parse_experiment(changed(**{dotted: given}), "my.yaml")
    for key in dotted.split("__"):
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    assert value == read
    assert type(value) is type(read)


def test_the_mapping_is_left_as_it_was():
    mapping = changed(simulation__dt="1e-1")
    parse_experiment(mapping, "my.yaml")
    assert mapping == changed(simulation__dt="1e-1")


def test_resolved_text_reads_back_as_the_same_experiment(tmp_path: Path):
    experiment = parse_experiment(changed(simulation__dt=1e-5, simulation__frame_interval=1e-5), "my.yaml")
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved_yaml(experiment), encoding="utf-8")
    assert load_experiment(path) == experiment
    assert "validate_every:" in path.read_text(encoding="utf-8")


def written(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_yaml_1_2_numbers(tmp_path: Path):
    text = yaml.safe_dump(VALID).replace("dt: 0.1", "dt: 1e-1")
    assert load_experiment(written(tmp_path, text)).simulation.dt == 0.1


def test_a_pipe_without_a_writer_is_empty_and_one_with_a_writer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"pipe is empty; begin with one of the files in configs/"):
        load_experiment(path)
    done = subprocess.run(
        ["bash", "-c", '"$0" -m thermalize resolve <(sleep 1; cat "$1")', sys.executable, TINY],
        cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES, ids=[sentence[7:40] for _, sentence in BAD_FILES])
def test_a_bad_file_gives_one_sentence(tmp_path: Path, text: str, sentence: str):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    assert str(caught.value) == sentence.format(path=path)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("dt: 0.1", "dt: 2024-13-45", f"simulation.dt: '2024-13-45' is not a plain number; {UNITS}"),
        ("dt: 0.1", "dt: 1:30", f"simulation.dt: '1:30' is not a plain number; {UNITS}"),
        ("dt: 0.1", "dt: 0b_", f"simulation.dt: '0b_' is not a plain number; {UNITS}"),
        ("dt: 0.1", "dt: 1e999", f"simulation.dt: Infinity is not a finite number; {UNITS}"),
        ("dt: 0.1", "dt: .nan", f"simulation.dt: NaN is not a finite number; {UNITS}"),
        ("dt: 0.1", f"dt: {'9' * 5000}", f"simulation.dt: '{'9' * 59}… is not a plain number; {UNITS}"),
        ("name: demo", "name: =", f"name: '=' is not a name; {NAMES}"),
        (
            "name: demo",
            "name: 2001-12-14t21:59:43.10-05:00",
            f"name: '2001-12-14t21:59:43.10-05:00' is not a name; {NAMES}",
        ),
        ("steps: 100", "steps: 0x10", "rollouts.steps: '0x10' is not a whole number; it is in emulator steps"),
    ],
    ids=lambda value: value[:20],
)
def test_words_that_yaml_makes_more_of_stay_text(tmp_path: Path, old: str, new: str, sentence: str):
    text = yaml.safe_dump(VALID)
    assert old in text
    path = written(tmp_path, text.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    assert str(caught.value) == f"{path}: {sentence}"


def test_keys_are_text_as_it_stands_in_the_file(tmp_path: Path):
    text = yaml.safe_dump(VALID).replace("raw:", "no:").replace("snapshot:", "010:")
    experiment = load_experiment(written(tmp_path, text))
    assert list(experiment.stabilizers) == ["no", "thermalized"]
    assert list(experiment.diffusion) == ["010"]
    again = load_experiment(written(tmp_path, resolved_yaml(experiment)))
    assert again == experiment


def test_of_many_faults_the_first_are_named(tmp_path: Path):
    unknown = "".join(f'"key{n}\\e[2J": 1\n' for n in range(2000))
    with pytest.raises(UserError) as caught:
        load_experiment(written(tmp_path, yaml.safe_dump(VALID) + unknown))
    first, *faults, last = str(caught.value).splitlines()
    assert first.endswith("has 2,000 faults:")
    assert len(faults) == 20
    assert last == "  and 1,980 more"
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_file_that_is_not_text_is_refused(tmp_path: Path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(UserError, match=r"is not UTF-8 text; save it as plain UTF-8 text$"):
        load_experiment(path)


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path: Path):
    written(tmp_path, "name: a\n")
    with pytest.raises(UserError, match=r"my\.yml does not exist; did you mean .*my\.yaml\?$"):
        load_experiment(tmp_path / "my.yml")
    with pytest.raises(UserError, match=r"nothing does not exist; name a YAML file"):
        load_experiment(tmp_path / "elsewhere" / "nothing")
    with pytest.raises(UserError, match=r"is a folder; name the YAML file in it$"):
        load_experiment(tmp_path)


def test_merge_keys_and_aliases_still_work(tmp_path: Path):
    text = (
        json.dumps(VALID)
        .replace('"train": ', '"train": &split ')
        .replace(f'"valid": {json.dumps(SPLIT)}', '"valid": *split')
    )
    assert load_experiment(written(tmp_path, text)) == parse_experiment(VALID, "my.yaml")
    merged = "base: &base {members: 8, frames: 10}\nother:\n  <<: *base\n  frames: 20\n"
    with pytest.raises(UserError, match="other: this key is unknown"):
        load_experiment(written(tmp_path, merged))


@settings(max_examples=100)
@given(path=st.sampled_from(leaves(VALID)), junk=JUNK)
def test_junk_anywhere_is_read_or_refused_in_plain_words(path: tuple[str, ...], junk: Any):
    mapping = copy.deepcopy(VALID)
    section = mapping
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = junk
    try:
        experiment = parse_experiment(mapping, "my.yaml")
    except UserError as error:
        message = str(error)
        assert path[0] in message
        assert not [word for word in JARGON if word in message.lower()]
    else:
        assert isinstance(experiment, Experiment)


def test_the_schema_accepts_what_the_models_accept_and_refuses_an_unknown_key():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(VALID, schema)
    with pytest.raises(jsonschema.ValidationError, match="spinup"):
        jsonschema.validate(changed(simulation__spinup=1), schema)


def test_importing_it_loads_nothing_heavy():
    heavy = ("torch", "xarray", "numpy", "zarr", "dask", "pandas", "matplotlib", "scipy")
    script = f"import sys, thermalize.config.load; sys.exit(', '.join(set({heavy!r}) & set(sys.modules)) or None)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
