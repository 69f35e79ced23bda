"""Whatever names a configuration gives, no two results, locks, logs or unfinished folders share a path."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import pytest
from config_data import VALID, changed, complaint
from hypothesis import given, settings
from hypothesis import strategies as st
from workflow_run import ROOT

from thermalize.config import Experiment
from thermalize.config.base import LONGEST_NAME
from thermalize.config.collisions import LONGEST_LABEL
from thermalize.config.load import parse_experiment
from thermalize.runtime.errors import UserError
from thermalize.stages.data import partial
from thermalize.store.manifest import partial_path
from thermalize.store.record import store_path
from thermalize.store.results import Results
from thermalize.workflow.pictures import figures_of

ENDINGS = (
    "",
    "",
    "",
    "-b",
    ".nc",
    ".log",
    ".json",
    ".benchmark.tsv",
    ".partial",
    ".lock",
    ".zarr",
    ".old",
    ".",
)
NAMES = st.tuples(st.sampled_from(("a", "A", "b", "a-b")), st.sampled_from(ENDINGS)).map("".join)
THERMALIZER = {"kind": "thermalizer", "start": 10, "stop": 4}
OURS = (".partial", ".zarr", ".old", ".blocks", ".garbage", ".lock", ".tmp", ".manifest.json")


def named(emulators: list[str], models: list[str], stabilizers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The valid mapping with these names."""
    mapping = copy.deepcopy(VALID)
    mapping["emulators"] = {name: {"training": {"updates": 1}} for name in emulators}
    mapping["diffusion"] = {name: {"training": {"updates": 1}} for name in models}
    mapping["rollouts"] |= {"stabilizers": stabilizers, **more}
    return mapping


def log_of(results: Results) -> Any:
    """The function by which the rules name their logs."""
    text = (ROOT / "rules" / "common.smk").read_text()
    found = re.search(r"^def log_of.*?(?=^def benchmark_of)", text, re.MULTILINE | re.DOTALL)
    suffixes = re.search(r"^SUFFIXES = .*$", text, re.MULTILINE)
    assert found
    assert suffixes
    space: dict[str, Any] = {"RESULTS": results, "LOGS": Path("logs") / results.name, "Path": Path}
    exec(suffixes.group() + "\n" + found.group(), space)
    return space["log_of"]


def beside(path: Path) -> Iterator[Path]:
    """What is made beside a file or folder until it is finished."""
    yield path
    yield path.with_name(f".{path.name}.lock")
    yield path.with_name(f".{path.stem}.1234567.tmp{path.suffix}")


def of_store(manifest: Path) -> Iterator[Path]:
    store, unfinished = store_path(manifest), partial_path(manifest)
    yield from (store, unfinished, store.with_name(f"{store.name}.old"))
    yield from (unfinished.with_name(f"{unfinished.name}{end}") for end in (".blocks",))
    yield store.with_name(f".{store.name}.garbage")


def everything(experiment: Experiment) -> list[Path]:
    """Every file, and every folder that is one artifact, of an experiment; each path once."""
    results, seeds = Results(experiment.name), experiment.seeds
    models = [results.emulator(name) for name in experiment.emulators]
    models += [results.diffusion(name) for name in experiment.diffusion]
    pairs = [(emulator, label) for emulator in experiment.emulators for label in experiment.stabilizers]
    manifests = [results.simulation(split) for split in experiment.simulation.splits]
    manifests += [results.rollout(*pair, seed) for pair in pairs for seed in seeds]
    files = [results.config, results.device, results.movie, results.movie_in_report]
    files += [results.reference]
    files += [results.samples(name) for name in experiment.diffusion]
    files += [results.cost(name) for name in experiment.emulators]
    files += [results.diagnostics(*pair, seed) for pair in pairs for seed in seeds]
    files += [results.ensemble(*pair) for pair in pairs]
    files += [results.table(suffix, table) for suffix in ("csv", "tex") for table in ("summary", "ablation")]
    figures = [results.figure(figure) for figure in figures_of(experiment)]
    files += [figure.with_name(f"{figure.name}.{suffix}") for figure in figures for suffix in ("pdf", "png")]
    found = [path for each in (*models, *manifests, *files) for path in beside(each)]
    found += [path for manifest in manifests for path in of_store(manifest)]
    return [*found, *(partial(folder) for folder in models), *logs(experiment, results, figures)]


def logs(experiment: Experiment, results: Results, figures: list[Path]) -> Iterator[Path]:
    """Logs and benchmarks, whose names have the wildcards of the rules, which names then take the place of."""
    of = log_of(results)
    rollout = ("{emulator}", "{stabilizer}", "{seed}")
    single = [
        results.device,
        results.reference,
        *figures,
        results.figure("movie"),
        results.table("csv"),
        results.table("csv", "ablation"),
    ]
    patterns = [
        *single,
        *(results.simulation("{split}"), results.emulator("{emulator}"), results.diffusion("{diffusion}")),
        *(results.samples("{diffusion}"), results.cost("{emulator}"), results.rollout(*rollout)),
        *(results.diagnostics(*rollout), results.ensemble(*rollout[:2])),
    ]
    for pattern in patterns:
        for log in dict.fromkeys(filled(of(pattern), experiment)):
            yield Path(log)
            yield Path(log.removesuffix(".log") + ".benchmark.tsv")


def filled(pattern: str, experiment: Experiment) -> Iterator[str]:
    values = {
        "split": experiment.simulation.splits,
        "emulator": experiment.emulators,
        "diffusion": experiment.diffusion,
        "stabilizer": experiment.stabilizers,
        "seed": experiment.seeds,
    }
    texts = [pattern]
    for wildcard, names in values.items():
        texts = [text.replace(f"{{{wildcard}}}", str(name)) for text in texts for name in names]
    yield from texts


def assert_apart(paths: list[Path]) -> None:
    """All differ, also where capitals do not count, and none lies in another."""
    parts = sorted(tuple(part.lower() for part in path.parts) for path in paths)
    for one, other in pairwise(parts):
        assert one != other, PurePath(*one)
        assert other[: len(one)] != one, (PurePath(*one), PurePath(*other))
    assert max(len(part.encode()) for path in paths for part in path.parts) <= 255


@settings(max_examples=150, deadline=None)
@given(
    emulators=st.lists(NAMES, min_size=1, max_size=3, unique=True),
    models=st.lists(NAMES, min_size=1, max_size=3, unique=True),
    stabilizers=st.lists(NAMES, min_size=1, max_size=3, unique=True),
    raw=NAMES,
)
def test_accepted_names_never_share_a_path(
    emulators: list[str], models: list[str], stabilizers: list[str], raw: str
) -> None:
    chosen = {raw: {"kind": "none"}} | dict.fromkeys(stabilizers, THERMALIZER)
    try:
        experiment = parse_experiment(named(emulators, models, chosen), "my.yaml")
    except UserError:
        return
    assert_apart(everything(experiment))


def test_the_longest_names_still_fit_a_file_system() -> None:
    long = "n" * LONGEST_NAME
    experiment = parse_experiment(named([long], [long], {long: THERMALIZER}), "my.yaml")
    assert_apart(everything(experiment))
    sweeps = {"plane": {"of": "thermalized", "start": [10, 20], "stop": [4, "clean"]}}
    swept = parse_experiment(
        named(["a"], ["b"], {"raw": {"kind": "none"}, "thermalized": THERMALIZER}, sweeps=sweeps), "m"
    )
    assert_apart(everything(swept))


@pytest.mark.parametrize("ending", OURS)
@pytest.mark.parametrize("place", ["name", "emulators", "diffusion", "stabilizers"])
def test_a_name_that_looks_like_a_file_of_ours_is_refused(place: str, ending: str) -> None:
    name = f"small{ending}"
    mapping = {
        "name": changed(name=name),
        "emulators": named([name], ["b"], {"raw": {"kind": "none"}}),
        "diffusion": named(["a"], [name], {"raw": {"kind": "none"}}),
        "stabilizers": named(["a"], ["b"], {name: {"kind": "none"}}),
    }[place]
    where = "rollouts.stabilizers" if place == "stabilizers" else place
    assert complaint(mapping) == (
        f"my.yaml: {where}: {name!r} ends in {ending!r} like files that are made beside results; choose another name"
    )


def test_one_of_each_model_never_takes_the_name_of_another_stabilizer() -> None:
    both = {"thermalized": THERMALIZER, "thermalized-b": {**THERMALIZER, "diffusion": "a", "start": 20}}
    expected = (
        "my.yaml: rollouts.stabilizers.thermalized names no diffusion model and stands for one of each, of which "
        "'thermalized-b' is named already; rename one of the two, or name its diffusion model"
    )
    assert complaint(named(["e"], ["a", "b"], both)) == expected
    assert complaint(named(["e"], ["a", "b"], dict(reversed(both.items())))) == expected
    assert "'t-a-b' is named already" in complaint(
        named(["e"], ["a-b", "b"], {"t": THERMALIZER, "t-a": {**THERMALIZER, "start": 20}})
    )


def test_names_that_differ_in_capitals_alone_are_refused() -> None:
    raw = {"raw": {"kind": "none"}}
    for mapping, where in (
        (named(["Unet", "unet"], ["b"], raw), "emulators"),
        (named(["a"], ["Unet", "unet"], raw), "diffusion"),
        (named(["a"], ["b"], {"raw": {"kind": "none"}, "Raw": {"kind": "none"}}), "rollouts.stabilizers"),
    ):
        assert f"my.yaml: {where}: " in complaint(mapping)
        assert "differ in capital letters alone" in complaint(mapping)


def test_a_name_too_long_for_a_file_is_refused() -> None:
    assert complaint(changed(name="n" * 256)).endswith("is too long; write at most 100 characters")
    label, model = "l" * LONGEST_NAME, "m" * LONGEST_NAME
    mapping = named(["a"], [model, "b"], {label: THERMALIZER})
    assert f"has {LONGEST_LABEL + 1} characters, at most {LONGEST_LABEL} fit" in complaint(mapping)


def test_a_dot_at_the_end_is_refused() -> None:
    assert complaint(changed(name="demo.")) == (
        "my.yaml: name: 'demo.' ends in a dot, which not every file system keeps; leave it out"
    )


@pytest.mark.parametrize(
    ("sweeps", "found"),
    [
        ({"s": {"of": "thermalized", "start": list(range(5, 105)), "check_every": list(range(1, 101))}}, 10_002),
        ({f"s{i}": {"of": "thermalized", "check_every": list(range(1, 101))} for i in range(11)}, 1102),
    ],
)
def test_sweeps_of_too_many_points_are_refused(sweeps: dict[str, Any], found: int) -> None:
    mapping = changed(rollouts__sweeps=sweeps)
    assert complaint(mapping) == (
        f"my.yaml: rollouts.stabilizers and the points of rollouts.sweeps are {found}, more than 1000; "
        "list fewer values"
    )


def test_more_rollouts_than_a_workflow_can_plan_are_refused() -> None:
    emulators = [f"e{number}" for number in range(11)]
    mapping = named(emulators, ["b"], {"raw": {"kind": "none"}, "t": THERMALIZER})
    mapping["seeds"] = list(range(5000))
    assert "make 11 × 2 × 5000 rollouts, more than 100000; spread them" in complaint(mapping)
