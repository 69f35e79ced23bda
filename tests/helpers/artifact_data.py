"""Synthetic inputs of the artifacts: waves that travel, a raw rollout that grows and is lost, diagnostics to match.

In one dimension, in two, and in two with two layers in SI units, whose values and times have many zeros.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr
from store_data import recorded_by

from thermalize import systems
from thermalize.config import Experiment
from thermalize.figures.inputs import FigureInputs, Key
from thermalize.metrics.invariants import invariants
from thermalize.metrics.reference import field_of, shells_of

MEANINGS = "stable nonfinite energy enstrophy spectrum frozen"
HORIZON = 40
ENVELOPE = {"energy": [0.1, 2.0]}
SYSTEMS = {
    "ks": ({"kind": "ks", "length": 8.0, "points": 16}, {"dt": 0.1, "frame_interval": 0.5}),
    "kolmogorov": ({"kind": "kolmogorov", "points": 16, "viscosity": 0.1}, {"dt": 0.05, "frame_interval": 0.5}),
    "qg": ({"kind": "qg", "preset": "eddy", "points": 16}, {"dt": 3600.0, "frame_interval": 43200.0}),
}
AMPLITUDES = {"upper": 1e-5, "lower": 1e-6}
ENERGY = {
    "velocity": ("energy ½⟨u²⟩", "1"),
    "vorticity": ("kinetic energy ½⟨|u|²⟩", "1"),
    "potential_vorticity": ("total energy −½ Σ (Hᵢ/H)⟨ψᵢqᵢ⟩", "m2 s-2"),
}


def experiment(
    stabilizers: int = 1, seeds: int = 1, emulators: int = 1, thermalizer: bool = True, members: int = 4,
    system: str = "ks",
) -> Experiment:  # fmt: skip
    """`stabilizers` ways to run each emulator; the first is the raw one, and the fourth also follows band energies."""
    parameters, timing = SYSTEMS[system]
    training = {"updates": 40, "validate_every": 10}
    known = {"raw": {"kind": "none"}}
    if thermalizer:
        known |= {
            f"thermalizer_{start}": {"kind": "thermalizer", "start": start, "drift": {} if start == 7 else None}
            for start in range(5, 4 + stabilizers)
        }
    splits = {name: {"members": members, "frames": 60} for name in ("train", "valid", "test")}
    return Experiment.model_validate(
        {
            "name": "synthetic",
            "seeds": tuple(range(seeds)),
            "simulation": {
                "system": parameters,
                **timing,
                "block": 1,
                "splits": splits,
            },
            "emulators": {f"unet_{number}": {"training": training} for number in range(emulators)},
            "diffusion": {"small": {"training": training, "train_levels": 20}} if thermalizer else {},
            "rollouts": {"members": members, "steps": 120, "stabilizers": known},
        }
    )


def waves(config: Experiment, frames: int, phase: float = 0.0) -> np.ndarray:
    """States [member, time, channel, *grid] of two waves that run against each other."""
    grid, members = config.simulation.grid, config.rollouts.members
    *across, x = np.meshgrid(*(2 * np.pi * np.arange(points) / points for points in grid), indexing="ij")
    y = across[0] if across else np.zeros_like(x)
    time = (0.5 * np.arange(frames)).reshape(-1, *(1 for _ in grid))
    member = np.arange(members).reshape(-1, 1, *(1 for _ in grid))
    one, other = 2 * x + y + 0.3 * time + member + phase, 3 * x - 2 * y - 0.2 * time + 2 * member
    channels = systems.build(config.simulation.system).channels
    u = [AMPLITUDES.get(name, 1.0) * (np.sin(one + turn) + 0.7 * np.cos(other)) for turn, name in enumerate(channels)]
    return np.stack(u, axis=2).astype(np.float32)


def trajectory(config: Experiment, states: np.ndarray, **series: np.ndarray) -> xr.Dataset:
    """States as a truth or rollout dataset, with further (member, time) series."""
    system = systems.build(config.simulation.system)
    time = np.arange(states.shape[1]) * config.simulation.frame_interval
    coordinates = {
        "member": np.arange(states.shape[0]),
        "time": ("time", time, {"units": system.time_units}),
        "channel": list(system.channels),
        **{name: (name, axis, {"units": system.length_units}) for name, axis in system.axes.items()},
    }
    named = {"long_name": system.long_name, "units": system.units}
    variables = {system.variable: (("member", "time", "channel", *system.axes), states, named)}
    variables |= {name: (("member", "time"), values) for name, values in series.items()}
    members, space = range(states.shape[0]), tuple(range(2, states.ndim))
    lost = [int(gone.argmax()) if gone.any() else -1 for gone in np.isnan(states).any(axis=space)]
    starts = {"initial_member": list(members), "initial_frame": [0 for _ in members], "lost_step": lost}
    parameters = json.dumps(config.simulation.identity)
    return xr.Dataset(
        variables, coordinates, {"variable": system.variable, "system": parameters, **starts, **recorded_by(*series)}
    )


def rollout(config: Experiment, stabilizer: str, seed: int, lost: int | None = HORIZON + 20) -> xr.Dataset:
    """A rollout from the truth's first frame; a raw one grows from `HORIZON` on and has no states from `lost` on."""
    frames = config.rollouts.steps + 1
    states = waves(config, frames)
    states[:, 1:] *= 1 + 0.01 * np.float32(seed)
    shape = states.shape[:2]
    level = np.full(shape, -1, np.int16)
    reverse = np.zeros(shape, np.int16)
    if stabilizer == "raw" and lost is not None:
        growth = np.exp(0.2 * np.maximum(np.arange(frames) - HORIZON, 0)).astype(np.float32)
        states *= growth.reshape(-1, *(1 for _ in states.shape[2:]))
        states[:, lost:] = np.nan
    elif stabilizer != "raw":
        level[:, 1:] = (np.arange(frames - 1) * 7 + np.arange(shape[0])[:, None] * 3) % 13
        reverse[:, 1:] = np.where(level[:, 1:] > 5, level[:, 1:], 0)
    displacement = (0.01 * reverse).astype(np.float32)
    drift, rescaled = np.full(level.shape, np.nan, np.float32), np.zeros_like(reverse)
    if stabilizer == "thermalizer_7":
        drift[:, 1:] = 0.5 + 0.01 * (np.arange(1, level.shape[1]) % 60)
        rescaled[:, 1:] = drift[:, 1:] > 1
    health = {"level": level, "reverse_steps": reverse, "displacement": displacement}
    return trajectory(config, states, **health, drift=drift, rescaled=rescaled)


def spectra(config: Experiment, raw: bool) -> dict[str, tuple]:
    """Spectra of every channel, of variance and, in two dimensions, of kinetic energy."""
    system, shell = systems.build(config.simulation.system), np.arange(1, 9)
    amplitude = np.array([AMPLITUDES.get(name, 1.0) for name in system.channels])[:, None]
    dimensional = system.length_units == "m"
    found: dict[str, tuple] = {
        "wavenumber": ("shell", shell * 2 * np.pi / max(system.lengths), {"units": "rad m-1" if dimensional else "1"}),
        "energy_containing": (("channel", "shell"), np.tile(shell <= 5, (len(amplitude), 1)).astype(np.int8)),
        "truth_mean": ("channel", np.zeros(len(amplitude))),
        "truth_std": ("channel", amplitude[:, 0]),
    }
    kinds = {"spectrum": (amplitude**2, "s-2")}
    if len(config.simulation.grid) > 1:
        kinds["energy_spectrum"] = amplitude, "m2 s-2"
    for kind, (size, unit) in kinds.items():
        truth = size * np.exp(-0.8 * shell)
        for name, factor in (("truth", 1.0), ("rollout", 3.0 if raw else 1.05)):
            for end, width in {"": 1.0, "_low": 0.87, "_high": 1.12}.items():
                dims, named = ("channel", "shell"), {"units": unit if dimensional else "1"}
                found[f"{kind}_{name}{end}"] = dims, truth * factor * width, named
    return found


def distances(seed: int, raw: bool) -> dict[str, float]:
    """Every distance with its interval, its floor and the tail; the raw ones are large."""
    values: dict[str, float] = {}
    for place, name in enumerate(("log_spectral_distance", "wasserstein_field", "wasserstein_increment")):
        value = (0.9 if raw else 0.02) + 0.01 * place + 0.002 * seed
        values |= {name: value, f"{name}_low": 0.8 * value, f"{name}_high": 1.3 * value}
        values |= {f"{name}_floor": 0.031, f"{name}_floor_low": 0.02, f"{name}_floor_high": 0.04}
    return values | {"log_spectral_distance_tail": 1.3, "log_spectral_distance_tail_floor": 0.05}


def measures() -> dict[str, tuple]:
    """Probability densities, autocorrelation and their coordinates."""
    edges = np.linspace(-4, 4, 21)
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    lag = np.arange(0, 30)
    return {
        "field_bin": ("bin", edges),
        "field_pdf_truth": ("bin", density),
        "field_pdf_rollout": ("bin", 0.95 * density),
        "increment_bin": ("bin", edges / 3),
        "increment_pdf_truth": ("bin", 3 * density),
        "increment_pdf_rollout": ("bin", 2.9 * density),
        "lag": ("lag", lag),
        "autocorrelation_truth": ("lag", np.exp(-lag / 8)),
        "autocorrelation_rollout": ("lag", np.exp(-lag / 7)),
    }


def energies(config: Experiment, stabilizer: str, seed: int) -> dict[str, tuple]:
    """Energy of the states of a rollout at every frame."""
    field = field_of(rollout(config, stabilizer, seed))
    system = config.simulation.identity
    channels = field.sizes["channel"]
    measure = invariants(str(field.name), system, shells_of(field), np.zeros(channels), np.ones(channels)).measure
    values = np.stack([measure(member).energy for member in field.to_numpy()])
    return {"energy": (("member", "energy_frame"), values), "energy_step": ("energy_frame", np.arange(field.shape[1]))}


def diagnostics(config: Experiment, key: Key) -> xr.Dataset:
    """Diagnostics of one rollout; raw members leave at HORIZON, HORIZON + 2, …, all others stay to the end."""
    _, stabilizer, seed = key
    raw, members, steps = stabilizer == "raw", config.rollouts.members, config.rollouts.steps
    horizon = HORIZON + 2.0 * np.arange(members) + seed if raw else np.full(members, float(steps))
    thresholds = list(config.diagnostics.correlation_thresholds)
    correlation_time = np.add.outer(-10.0 * np.arange(len(thresholds)), 30.0 + np.arange(members) + seed)
    flags = {"flag_values": np.arange(6, dtype=np.int8), "flag_meanings": MEANINGS}
    variables = {
        **spectra(config, raw),
        **measures(),
        **distances(seed, raw),
        "stable_horizon": ("member", horizon),
        "horizon_observed": ("member", np.full(members, int(raw), np.int8)),
        "horizon_cause": ("member", np.full(members, 2 if raw else 0, np.int8), flags),
        "stable_fraction": 0.0 if raw else 1.0,
        "truth_stable_fraction": 1.0,
        "correlation_threshold": ("threshold", thresholds),
        "correlation_time": (("threshold", "member"), correlation_time),
        "integral_time_truth": 8.0,
        "integral_time_rollout": 7.0,
        "slow_fluctuations": 0.9,
        "slow_fluctuations_floor": 1.1,
        "trigger_rate": 0.0 if raw else 0.25,
        "reverse_steps_per_step": 0.0 if raw else 0.5 + 0.1 * seed,
        "network_evaluations_per_step": 1.0 if raw else 1.5 + 0.1 * seed,
        "level_evaluations_per_step": 0.0 if raw else 1.0,
        "rescaled_bands_per_step": 0.0,
    }
    variables |= energies(config, stabilizer, seed)
    energy, unit = ENERGY[systems.build(config.simulation.system).variable]
    attributes = {
        "experiment": config.name,
        "steps": steps,
        "members": members,
        "energy": energy,
        "energy_units": unit,
        "envelope": json.dumps(ENVELOPE),
    }
    return xr.Dataset(variables, attrs=attributes)


def samples(config: Experiment, *kinds: str) -> xr.Dataset:
    """What a diffusion model made, by kind; more variance from kind to kind."""
    known, size = {**spectra(config, raw=False), **measures()}, 1 + 0.1 * np.arange(len(kinds))
    names = ("wavenumber", "energy_containing", "truth_mean", "truth_std", "field_bin", "field_pdf_truth")
    found = {name: known[name] for name in (*names, *(f"spectrum_truth{end}" for end in ("", "_low", "_high")))}
    for end in ("", "_low", "_high"):
        dims, values, named = known[f"spectrum_rollout{end}"]
        found[f"spectrum_samples{end}"] = ("kind", *dims), np.multiply.outer(size, values), named
    found["field_pdf_samples"] = ("kind", "bin"), np.multiply.outer(size, known["field_pdf_rollout"][1])
    found |= {name: ("kind", value * size) for name, value in distances(0, raw=False).items()}
    found |= {"level": ("kind", [199, 12]), "noise": ("kind", [0.32, 0.03])}
    return xr.Dataset(found, {"kind": list(kinds)}, {"states": 512})


def ensemble(config: Experiment, stabilizer: str) -> xr.Dataset:
    """Scores of the seeds as one ensemble: errors that grow and saturate; raw seeds are alike, without spread."""
    lead, size = np.arange(1, 60), len(config.seeds)
    error = np.minimum(0.01 * np.exp(0.1 * lead), 1.2)
    spread = 0 * error if stabilizer == "raw" else 0.7 * error
    shares = np.ones((3, size + 1)) / (size + 1)
    series = {"crps": 0.5 * error, "rmse": error, "spread": spread, "spread_skill_ratio": spread / error}
    variables: dict[str, tuple] = {"initial_conditions": ("lead", np.where(lead > 50, 2, config.rollouts.members))}
    for end, factor in {"": 1.0, "_low": 0.8, "_high": 1.3}.items():
        variables |= {f"{name}{end}": ("lead", factor * values) for name, values in series.items()}
        variables |= {
            f"{name}_climatology{end}": ((), factor * value) for name, value in (("crps", 0.56), ("rmse", 1.1))
        }
        variables[f"rank_histogram{end}"] = ("rank_lead", "rank"), factor * shares
    return xr.Dataset(variables, {"lead": lead, "rank_lead": [1, 8, 59], "rank": np.arange(size + 1)})


def history(kind: str, updates: int = 40) -> pd.DataFrame:
    """A training history as the training writes it: validation every tenth update."""
    update = np.arange(1, updates + 1)
    loss = 1.0 / update + 0.05 * (1 + np.sin(update))
    valid = np.where(update % 10 == 0, 1.1 / update, np.nan)
    table = {"update": update, "train_loss": loss, "valid_loss": valid, "learning_rate": 1e-3, "grad_norm": 1.0}
    if kind == "emulators":
        table |= {"unroll": np.where(update > updates // 2, 2, 1), "valid_rollout_error": valid * 2}
    else:
        table |= {"valid_noise_mse": valid / 2, "valid_level_cross_entropy": valid * 3}
    return pd.DataFrame(table)


def card() -> dict:
    level = list(range(20))
    calibration = {
        "level": level,
        "predicted_mean": [0.9 * value + 0.5 for value in level],
        "predicted_low": [max(0.0, 0.9 * value - 1.0) for value in level],
        "predicted_high": [0.9 * value + 2.0 for value in level],
        "band": [0.05, 0.95],
        "clean_level_counts": [900, 80, 15, 4, 1] + [0] * 15,
    }
    return {"calibration": calibration}


COSTS = {
    "raw": {
        "seconds_per_step": 0.002,
        "low": 0.0019,
        "high": 0.0021,
        "ratio": 1.0,
        "ratio_low": 1.0,
        "ratio_high": 1.0,
    },
    "other": {
        "seconds_per_step": 0.005,
        "low": 0.0045,
        "high": 0.0055,
        "ratio": 2.5,
        "ratio_low": 2.3,
        "ratio_high": 2.7,
    },
}


def costs(config: Experiment) -> dict[str, dict]:
    """Timing of every emulator as its cost file holds it."""
    per_stabilizer = {name: COSTS["raw" if name == "raw" else "other"] for name in config.stabilizers}
    return dict.fromkeys(config.emulators, per_stabilizer)


def inputs(config: Experiment) -> FigureInputs:
    """Everything that the figures of an experiment read."""
    keys = [
        (emulator, stabilizer, seed)
        for emulator in config.emulators
        for stabilizer in config.stabilizers
        for seed in config.seeds
    ]
    return FigureInputs(
        experiment=config,
        truth=trajectory(config, waves(config, 60)),
        rollouts={key: rollout(config, key[1], key[2]) for key in keys},
        diagnostics={key: diagnostics(config, key) for key in keys},
        ensembles={key[:2]: ensemble(config, key[1]) for key in keys if config.has_ensembles},
        histories={f"emulators/{name}": history("emulators") for name in config.emulators}
        | {f"diffusion/{name}": history("diffusion") for name in config.diffusion},
        cards={f"diffusion/{name}": card() for name in config.diffusion}
        | {f"emulators/{name}": {"best_update": 30} for name in config.emulators},
        samples={name: samples(config, "partial", "thermalized") for name in config.diffusion},
    )
