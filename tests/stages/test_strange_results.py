"""Results whose digests match and whose content is nonsense, as of a forger or another version: one sentence each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pytest
from commands import run
from tiny_results import LABEL, OF, Experiment, experiment_of

import thermalize
from thermalize.runtime.errors import UserError
from thermalize.store import sealed
from thermalize.store.netcdf import read_dataset, write_dataset
from thermalize.store.record import Manifest, read_manifest

Change = Callable[[Any], Any]
WIDE = {"network": {"kind": "unet", "width": 65536, "kernel_size": 1001, "multipliers": [1, 2], "blocks": 1000}}
NESTED = "[" * 100_000
SMALL = ("--emulator", "small")
FIGURE = ("figure", "--name")


@pytest.fixture
def experiment(tiny: tuple[Path, Path], tmp_path: Path) -> Experiment:
    return experiment_of(tiny, tmp_path)


def of_card(folder: Path, change: Change) -> None:
    card = json.loads((folder / "model.json").read_text())
    changed = change(card)
    (folder / "model.json").write_text(changed if isinstance(changed, str) else json.dumps(card))
    sealed.seal_folder(folder, list(sealed.sums(folder / "SHA256SUMS")))


def without(*keys: str) -> Change:
    def change(card: Any) -> None:
        *above, last = keys
        for key in above:
            card = card[key]
        del card[last]

    return change


def with_value(value: Any, *keys: str) -> Change:
    def change(card: Any) -> None:
        *above, last = keys
        for key in above:
            card = card[key]
        card[last] = value

    return change


COMMON: list[Change] = [
    *map(without, ("config", "normalization", "dims", "channels", "system", "weights_digest")),
    with_value([1.0, 2.0], "normalization", "mean"),
    with_value([0.0], "normalization", "std"),
    with_value(["1"], "normalization", "std"),
    with_value([float("nan")], "normalization", "mean"),
    with_value([10**400], "normalization", "mean"),
    with_value(10**9, "channels"),
    with_value(7, "dims"),
    with_value("x", "system"),
    with_value(-1, "config", "network", "width"),
    with_value("strange", "config", "network", "kind"),
    with_value(8, "config", "network", "width"),
    lambda card: card["config"].update(WIDE),
    lambda _: NESTED,
    lambda _: "[1]",
]
OF_DIFFUSION: list[Change] = [
    without("calibration"),
    without("calibration", "clean_level_counts"),
    with_value({}, "calibration"),
    with_value([0, 0], "calibration", "clean_level_counts"),
    with_value([1] * 2000, "calibration", "clean_level_counts"),
    with_value([1.0], "calibration", "predicted_mean"),
    with_value("x", "calibration", "clean_noise_rms"),
]


@pytest.mark.parametrize(
    ("kind", "change"),
    [*(("emulators", each) for each in COMMON), *(("diffusion", each) for each in (*COMMON, *OF_DIFFUSION))],
)
def test_a_card_of_nonsense_is_refused_in_one_sentence(kind: str, change: Change, tiny, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (tiny[1] / "tiny" / kind / "small").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    of_card(folder, change)
    load = thermalize.load_emulator if kind == "emulators" else thermalize.load_diffusion
    with pytest.raises(UserError, match=r"^[^\n]{10,700}$") as found:
        load(folder)
    assert str(folder) in str(found.value)


@pytest.mark.parametrize(
    "command",
    [
        ("rollout", *OF),
        ("cost", *SMALL),
        ("sample", "--diffusion", "small"),
        (*FIGURE, "calibration"),
    ],
)
def test_stages_refuse_a_card_of_nonsense(command: tuple[str, ...], experiment: Experiment) -> None:
    of_card(experiment.folder / "diffusion/small", without("calibration", "level"))
    assert "diffusion/small/model.json is no card" in experiment.do(command, "").sentence


DIAGNOSTICS, ENSEMBLE, SAMPLES = (
    f"diagnostics/small/{LABEL}/seed0.nc",
    f"ensembles/small/{LABEL}.nc",
    "samples/small.nc",
)
OF_NETCDF: list[tuple[str, tuple[str, ...], Change]] = [
    (DIAGNOSTICS, (*FIGURE, "spectra"), lambda data: data.drop_vars("spectrum_truth")),
    (DIAGNOSTICS, (*FIGURE, "spectra"), lambda data: data.assign_coords(wavenumber=data["wavenumber"] * float("nan"))),
    (DIAGNOSTICS, (*FIGURE, "health"), lambda data: data.drop_attrs(deep=False)),
    (DIAGNOSTICS, (*FIGURE, "health"), lambda data: data.assign_attrs(envelope='{"energy": [null]}')),
    (DIAGNOSTICS, (*FIGURE, "health"), lambda data: data.assign_attrs(envelope="[" * 5000)),
    (DIAGNOSTICS, (*FIGURE, "health"), lambda data: data.assign_attrs(energy="energy")),
    (DIAGNOSTICS, (*FIGURE, "spacetime"), lambda data: data.assign(horizon_cause=data["horizon_cause"] + 90)),
    (DIAGNOSTICS, ("movie",), lambda data: data.drop_vars("horizon_cause")),
    (DIAGNOSTICS, ("summary",), lambda data: data.drop_vars("trigger_rate")),
    (DIAGNOSTICS, ("summary",), lambda data: data.rename(member="somebody")),
    (DIAGNOSTICS, ("summary",), lambda data: data.isel(member=slice(1))),
    (DIAGNOSTICS, ("summary",), lambda data: data.assign(stable_horizon=data["stable_horizon"].astype(str))),
    (DIAGNOSTICS, ("ablation",), lambda data: data.isel(window=slice(0)).drop_encoding()),
    (ENSEMBLE, (*FIGURE, "ensemble"), lambda data: data.drop_vars("crps")),
    (ENSEMBLE, (*FIGURE, "ensemble"), lambda data: data.isel(rank=slice(1))),
    (SAMPLES, (*FIGURE, "samples"), lambda data: data.drop_vars("noise")),
    (SAMPLES, (*FIGURE, "samples"), lambda data: data.drop_attrs(deep=False)),
    (SAMPLES, (*FIGURE, "samples"), lambda data: data.isel(kind=slice(1))),
    (SAMPLES, (*FIGURE, "samples"), lambda data: data.assign(field_pdf_truth=0 * data["field_pdf_truth"])),
]


@pytest.mark.parametrize(("name", "command", "change"), OF_NETCDF)
def test_netcdf_files_of_nonsense_are_refused_by_name(
    name: str, command: tuple[str, ...], change: Change, experiment: Experiment
) -> None:
    path = experiment.folder / name
    write_dataset(path, change(read_dataset(path)))
    said = experiment.do(command, name)
    assert f"{name} is not what this version writes for this configuration" in said.sentence
    assert said.sentence.endswith("; run its stage again")


@pytest.mark.parametrize("report", ["{}", "[]", "nothing", '{"raw": {"ratio": "x"}}', '{"raw": 1}', NESTED, "\udcff"])
def test_costs_of_nonsense_are_refused_and_never_become_nan(report: str, experiment: Experiment) -> None:
    sealed.write(experiment.folder / "cost/small.json", report.encode("utf-8", "surrogateescape"))
    assert "cost/small.json is not what this version writes" in experiment.do(("summary",), "").sentence


@pytest.mark.parametrize(
    "history", [b"", b"update\n1\n", b"update,valid_loss\n1,x\n", b"\xff\xfe\x00", b"a,b\n1\n2,3,4\n"]
)
def test_a_history_of_nonsense_is_refused(history: bytes, experiment: Experiment) -> None:
    folder = experiment.folder / "emulators/small"
    (folder / "history.csv").write_bytes(history)
    sealed.seal_folder(folder, list(sealed.sums(folder / "SHA256SUMS")))
    said = experiment.do((*FIGURE, "training"), "")
    assert "emulators/small/history.csv is not the history of a training" in said.sentence


def of_table(column: str, value: str) -> Change:
    return lambda table: table.assign(**{column: value})


@pytest.mark.parametrize(
    "change",
    [
        *(of_table("stable_fraction", each) for each in ("", "x", "inf", "1e400")),
        *(of_table("members", each) for each in ("", "inf")),
        lambda table: table.drop(columns="stable_horizon_median"),
        lambda table: table[["emulator", "stabilizer", "stable_fraction"]],
    ],
)
def test_a_table_with_missing_numbers_is_not_shown(change: Change, experiment: Experiment) -> None:
    path = experiment.folder / "tables/summary.csv"
    sealed.write(path, change(pd.read_csv(path, dtype=str)).to_csv(index=False).encode())
    said = experiment.do(("show",), "tables/summary.csv")
    assert said.status == 2
    assert "tables/summary.csv" in said.sentence


TRAIN, TEST, ROLLOUT = "simulation/train", "simulation/test", f"rollouts/small/{LABEL}/seed0"
OF_MANIFEST: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    (TRAIN, ("train-emulator", *SMALL), {"statistics": {}}),
    (TRAIN, ("train-emulator", *SMALL), {"statistics": {"mean": [None], "std": [1.0]}}),
    (TRAIN, ("train-emulator", *SMALL), {"statistics": {"mean": [0.0], "std": [0.0]}}),
    (TRAIN, ("train-emulator", *SMALL), {"statistics": {"mean": [0.0, 1.0], "std": [1.0, 1.0]}}),
    (TRAIN, ("train-emulator", *SMALL), {"shape": (2, 20, 1)}),
    (TRAIN, ("train-emulator", *SMALL), {"shape": (2, 20, 1, 64)}),
    (TRAIN, ("train-diffusion", "--diffusion", "small"), {"variable": "member"}),
    (TEST, ("sample", "--diffusion", "small"), {"variable": "nothing"}),
    (TEST, ("diagnose", *OF), {"dims": ("time", "member", "channel", "x")}),
    (TEST, ("sample", "--diffusion", "small"), {"shape": (-1, 20, 1, 32)}),
    (TEST, ("rollout", *OF), {"attributes": {"system": "["}}),
    (TEST, ("diagnose", *OF), {"attributes": {"system": [1]}}),
    (TEST, ("reference",), {"attributes": {"system": [1]}}),
    (ROLLOUT, ("diagnose", *OF), {"attributes": {}}),
    (ROLLOUT, ("cost", *SMALL), {"variable": "level"}),
    (ROLLOUT, (*FIGURE, "spacetime"), {"variable": "nothing"}),
]


@pytest.mark.parametrize(("name", "command", "fields"), OF_MANIFEST)
def test_manifests_of_nonsense_are_refused(
    name: str, command: tuple[str, ...], fields: dict[str, Any], experiment: Experiment
) -> None:
    path = experiment.folder / f"{name}.manifest.json"
    path.write_text(Manifest.model_construct(**{**dict(read_manifest(path)), **fields}).text())
    said = experiment.do(command, name)
    assert Path(name).name in said.sentence
    assert experiment.changes() == {f"{name}.manifest.json"}


def test_verify_knows_the_folder_that_it_stands_in(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("simulation/test.zarr", "simulation/test.zarr/velocity", "emulators/small", "."):
        monkeypatch.chdir(experiment.folder / name)
        assert run("verify", ".").status == 0
    (experiment.folder / "simulation/test.zarr/velocity/zarr.json").unlink()
    monkeypatch.chdir(experiment.folder / "simulation/test.zarr")
    assert "velocity/zarr.json is missing" in run("verify", ".").sentence


def test_verify_does_not_leave_the_folder_that_it_is_asked_for(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (experiment.folder / "samples/away").symlink_to(tmp_path / "elsewhere")
    (experiment.folder / "samples/back").symlink_to(experiment.folder)
    said = run("verify", experiment.folder)
    assert "samples/away is a link that leads out of" in said.sentence
    assert "deep" not in said.out + said.err


def test_verify_obeys_no_name_of_a_file(experiment: Experiment) -> None:
    (experiment.folder / "samples/\x1b[2J.nc").write_bytes(b"")
    (experiment.folder / "samples/\x1b[31m.nc.sha256").write_bytes(b"")
    said = run("verify", experiment.folder)
    assert said.status == 2
    assert "\x1b" not in said.out + said.err
    assert r"\x1b[2J.nc" in said.out


@pytest.mark.parametrize(
    "name", ["emulators/small/model.safetensors", "emulators/small/SHA256SUMS", f"{TEST}.manifest.json"]
)
def test_a_file_larger_than_the_memory_is_refused(
    name: str, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read, opened = experiment.folder / name, Path.read_bytes, os.fdopen

    def too_much(self: Path) -> bytes:
        if self == path:
            raise MemoryError
        return read(self)

    def too_much_behind(descriptor: int, *mode: str) -> IO[bytes]:
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            raise MemoryError
        return opened(descriptor, *mode)

    monkeypatch.setattr(Path, "read_bytes", too_much)
    monkeypatch.setattr(os, "fdopen", too_much_behind)
    said = run("verify", experiment.folder)
    assert f"{name} is larger than the memory of this machine" in said.err
    assert "larger than the memory" in experiment.do(("cost", *SMALL), name).sentence
