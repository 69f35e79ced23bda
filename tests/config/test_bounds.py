"""Values that would fail late, or never end, are refused before anything is computed, each in one sentence."""

from __future__ import annotations

import copy
from typing import Any

import matplotlib.pyplot as plt
import pytest
import yaml
from config_data import VALID, changed, complaint
from workflow_run import ROOT

from thermalize.config import KolmogorovConfig
from thermalize.config.load import parse_experiment
from thermalize.figures.style import SETTINGS
from thermalize.figures.units import typeset
from thermalize.workflow.resources import simulation_memory_of

THERMALIZED = "rollouts.stabilizers.thermalized"
IMPORTED: dict[str, Any] = {
    "import": ["data/*.nc"],
    "dims": {"time": "time", "x": "lon", "member": "member"},
    "variable": "u",
    "units": "m s-1",
    "frame_interval": 6.0,
    "time_units": "hours",
    "split": "member",
    "splits": {
        "train": {"members": 2, "frames": 9},
        "valid": {"members": 2, "frames": 9},
        "test": {"members": 8, "frames": 9},
    },
}
SPLITS = VALID["simulation"]["splits"]
KOLMOGOROV = {"kind": "kolmogorov", "points": 64, "viscosity": 0.01}
FLOW = {**VALID["simulation"], "system": KOLMOGOROV, "dt": 0.005, "frame_interval": 0.1}


def flow(**system: Any) -> dict[str, Any]:
    """The valid mapping with a Kolmogorov flow."""
    return changed(simulation={**FLOW, "system": {**KOLMOGOROV, **system}})


def imported(**changes: Any) -> dict[str, Any]:
    return changed(simulation={**IMPORTED, **changes})


def splits(**changes: Any) -> dict[str, Any]:
    return changed(simulation__splits={**SPLITS, **changes})


LATE = [
    (changed(seed=2**63), "seed: 9223372036854775808 is out of bounds; it must be at most 9223372036854775807"),
    (
        changed(seeds=[0, 2**70]),
        "seeds[1]: 1180591620717411303424 is out of bounds; it must be at most 9223372036854775807",
    ),
    (
        changed(emulators__unet__unroll={"maximum": 50, "grow_every": 1}),
        "emulators.unet.unroll: 10 unrolled steps need 11 frames in a row, but simulation.splits.train.frames = 10; "
        "lower unroll.maximum, or raise frames",
    ),
    (
        changed(diagnostics={"resamples": 10**8}),
        "diagnostics.resamples: 100000000 is out of bounds; it must be at most 100000",
    ),
    (
        changed(diagnostics={"pdf_bins": 10**8}),
        "diagnostics.pdf_bins: 100000000 is out of bounds; it must be at most 10000",
    ),
    (
        changed(diffusion__snapshot__schedule={"kind": "cosine", "levels": 10**8}),
        "diffusion.snapshot.schedule.levels: 100000000 is out of bounds; it must be at most 100000 levels",
    ),
    (
        changed(diffusion__snapshot__train_levels=10**9),
        "diffusion.snapshot.train_levels: 1000000000 is out of bounds; it must be at most 100000 levels",
    ),
    (
        changed(simulation__dt=1e-12),
        "simulation.dt = 1e-12 time units is a million times shorter than frame_interval = 1 or the stability limit "
        "0.25; try dt = 0.25",
    ),
    (
        splits(train={"members": 10**18, "frames": 10}),
        "simulation.splits.train.members: 1000000000000000000 is out of bounds; it must be at most 1000000",
    ),
    (
        splits(train={"members": 800_000, "frames": 2, "windows": 2}),
        "simulation.splits.train.windows = 2 of members = 800000 make 1600000 rows, more than a split can hold "
        "(1000000); lower one of the two",
    ),
    (
        changed(simulation__system={"kind": "ks", "length": 6.28, "points": 64}),
        "simulation.system.length = 6.28 length units is too short: no wave grows in a domain up to 2π = 6.28, and all "
        "states decay to zero; try length: 22, the shortest that is commonly used",
    ),
    (
        changed(simulation__system={"kind": "ks", "length": 60.0, "points": 10**9}),
        "simulation.system.points: 1000000000 is out of bounds; it must be at most 10000000",
    ),
    (
        flow(viscosity=1e-9),
        "simulation.system.viscosity = 1e-09 is too small for points = 64, which resolve less than a tenth of the "
        "wavenumbers of this flow; try viscosity = 4.5e-05 or more, or more points",
    ),
    (
        flow(viscosity=1.0),
        "simulation.system.forcing_amplitude = 1 is too weak for viscosity = 1 and drag = 0.1: the flow comes to rest "
        "up to 91.1; raise it, or lower viscosity",
    ),
    (
        flow(forcing_wavenumber=1),
        "simulation.system.forcing_wavenumber = 1 forces the longest wave, and such a flow comes to rest at any "
        "viscosity; try forcing_wavenumber: 2 or more",
    ),
    (
        flow(forcing_amplitude=1e4),
        "simulation.dt = 0.005 time units is above the stability limit 0.000757 of this system and solver; "
        "try dt = 0.00075188",
    ),
    (
        changed(rollouts__lost_above=0.5),
        "rollouts.lost_above: 0.5 is out of bounds; it must be at least 5 standard deviations of the data",
    ),
    (
        changed(rollouts__stabilizers__thermalized={"kind": "thermalizer", "stop": 500}),
        f"{THERMALIZED}.stop = 500 is not below train_levels − 1 = 199",
    ),
    (
        changed(rollouts__stabilizers__thermalized={"kind": "thermalizer", "reverse_steps": 10**30}),
        f"{THERMALIZED}.reverse_steps: {10**30} is out of bounds; it must be at most 100000 evaluations",
    ),
    (
        changed(rollouts__stabilizers__thermalized={"kind": "thermalizer", "guard": 10**30}),
        f"{THERMALIZED}.guard: {10**30} is out of bounds; it must be at most 100000 levels",
    ),
    (
        changed(simulation__dask={"workers": 10**6}),
        "simulation.dask.workers: 1000000 is out of bounds; it must be at most 4096",
    ),
    (
        changed(emulators__unet__training={"updates": 10, "data": "stream", "memory": 1e-6}),
        "emulators.unet.training.memory = 1e-06 GB is too little to stream shards of the train split; try 0.00033",
    ),
    (
        changed(diagnostics={"correlation_thresholds": []}),
        "diagnostics.correlation_thresholds: [] is too short; write at least 1 entry",
    ),
    (
        changed(emulators__unet__network={"multipliers": [1] * 500}),
        "emulators.unet.network.multipliers: [" + "1, " * 19 + "1,… has too many entries; write at most 20",
    ),
    (
        imported(units=r"$\frac{$"),
        r"simulation.units: '$\\frac{$' holds '$', which units may not; write them as UDUNITS does, such as m s-1",
    ),
    (
        imported(long_name="speed\x07"),
        r"simulation.long_name: 'speed\x07' holds '\x07', which a title may not; write it in words",
    ),
    (
        imported(time_units="hours "),
        "simulation.time_units: 'hours ' begins or ends with a space; write them as UDUNITS does, such as m s-1",
    ),
    (imported(units=""), "simulation.units: '' is too short; write something, or leave the key out"),
    (
        imported(variable="Time"),
        "simulation.variable = Time is the name of something else in a store; choose another one",
    ),
]


@pytest.mark.parametrize(("mapping", "sentence"), LATE, ids=[sentence[:50] for _, sentence in LATE])
def test_a_value_that_would_fail_late_is_refused(mapping: dict[str, Any], sentence: str) -> None:
    assert complaint(mapping) == f"my.yaml: {sentence}"


def test_a_truth_without_a_second_half_is_refused() -> None:
    mapping = splits(**{name: {"members": 1, "frames": 10} for name in ("train", "valid", "test")})
    mapping["simulation"]["block"] = mapping["rollouts"]["members"] = 1
    assert complaint(mapping) == (
        "my.yaml: simulation.splits.test.members = 1 leaves diagnostics no second half of the truth for a noise floor; "
        "write at least 2"
    )


def test_an_unroll_that_is_never_reached_is_no_fault() -> None:
    parse_experiment(changed(emulators__unet__unroll={"maximum": 50, "grow_every": 10}), "my.yaml")


def test_decaying_turbulence_is_allowed() -> None:
    parse_experiment(flow(forcing_amplitude=0.0), "my.yaml")


def test_the_laminar_limit_lies_below_the_known_threshold() -> None:
    """With a drag of 0.1 the laminar flow is stable for ν > 0.0770221 (Floquet); without drag for ν > 1/9.966923."""
    known = {0.1: 0.0770221, 0.0: 1 / 9.966923}
    for drag, viscosity in known.items():
        unstable = KolmogorovConfig(kind="kolmogorov", points=64, viscosity=viscosity, drag=drag)
        assert unstable.rest_fault() is None
        assert unstable.model_copy(update={"viscosity": 1.5 * viscosity}).rest_fault() is not None


UNITS = [
    "1",
    "m s-1",
    "K",
    "degC",
    "°C",
    "µm",
    "W m**-2",
    "kg/m2/s",
    "%",
    "(m s-1)2",
    "10^-3 kg m-3",
    "psu",
    "degrees_north",
]


@pytest.mark.parametrize("units", UNITS)
def test_common_units_are_accepted(units: str) -> None:
    assert parse_experiment(imported(units=units), "my.yaml").simulation.units == units


@pytest.mark.parametrize("text", [r"$\frac{$", "$x$", "a $ b", r"$$", "m s-1"])
def test_units_of_a_file_are_drawn_as_text(text: str) -> None:
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots()
        axes.set_xlabel(f"[{typeset(text)}] and [{typeset(text)}]")
        figure.canvas.draw()
        plt.close(figure)


def test_a_shard_takes_no_more_memory_than_its_frames() -> None:
    few, many = (
        simulation_memory_of(parse_experiment(changed(simulation__shard_frames=frames), "my.yaml"), "train", 1)
        for frames in (10, 10**8)
    )
    assert few == many


def test_committed_configurations_are_far_from_every_bound() -> None:
    """Ten times more or less of what a user may well vary is still accepted."""
    for path in (ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))):
        mapping = yaml.safe_load(path.read_text())
        for keys in (("rollouts", "steps"), ("simulation", "spin_up"), ("simulation", "splits", "train", "frames")):
            larger = copy.deepcopy(mapping)
            section = larger
            for key in keys[:-1]:
                section = section[key]
            section[keys[-1]] *= 10
            if keys[-1] == "frames":
                larger["simulation"].pop("window_interval", None)
                for split in larger["simulation"]["splits"].values():
                    split.pop("windows", None)
            parse_experiment(larger, "my.yaml")
