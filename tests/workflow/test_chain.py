"""The whole chain on a tiny configuration, as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from benchmarks.memory import jobs
from workflow_run import ROOT, TIMED, TINY, snakemake, thermalize

from thermalize.config.load import load_experiment
from thermalize.rollouts.engine import Rollout
from thermalize.stages.bands import measure_bands
from thermalize.stages.rollouts import Job, rollout
from thermalize.store.manifest import read_manifest
from thermalize.store.results import MODEL_FILES, Results
from thermalize.store.sealed import seal_folder

COLUMNS = (ROOT / "tests" / "data" / "summary_columns.txt").read_text().split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Begun as a user does, with processes that import everything anew."""
    folder = tmp_path_factory.mktemp("tiny")
    snakemake(folder, "results/tiny/emulators/small/model.json", cold=True)
    snakemake(folder)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return folder / "results" / "tiny"


def test_every_artifact_of_the_layout_is_there(results):
    experiment = yaml.safe_load(TINY.read_text())
    for split in ("train", "valid", "test"):
        assert (results / "simulation" / f"{split}.zarr" / "zarr.json").is_file()
        assert (results / "simulation" / f"{split}.manifest.json").is_file()
    for model in ("emulators/small", "diffusion/small"):
        assert {p.name for p in (results / model).iterdir()} == set(MODEL_FILES)
    for stabilizer in ("raw", "thermalized"):
        for seed in experiment["seeds"]:
            assert (results / "rollouts" / "small" / stabilizer / f"seed{seed}.zarr").is_dir()
            assert (results / "diagnostics" / "small" / stabilizer / f"seed{seed}.nc").is_file()
        assert (results / "ensembles" / "small" / f"{stabilizer}.nc").is_file()
    assert (results / "samples" / "small.nc").is_file()
    assert len(list((results / "figures").glob("*.pdf"))) == len(list((results / "figures").glob("*.png"))) == 10
    assert not [p for p in results.rglob("*") if "partial" in p.name or p.name.endswith(".tmp")]


@pytest.mark.parametrize(("model", "name", "shape"), [("emulators", "u_next", [3, 1, 32]), ("diffusion", "level", [3])])
def test_the_readme_of_a_model_says_how_to_load_it(folder, model, name, shape):
    page = (folder / "results" / "tiny" / model / "small" / "README.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    script = f"import torch\nu = x = torch.randn(3, 1, 32)\n{lines}\nassert list({name}.shape) == {shape}, {name}.shape"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    assert "computing time" in page


@pytest.mark.slow
def test_an_emulator_from_elsewhere_stands_in_the_same_table(tiny, tmp_path):
    """Persistence, which is a class of torch, beside the trained emulator, raw and thermalized."""
    shutil.copytree(tiny[1], tmp_path / "results")
    config = yaml.safe_load(tiny[0].read_text())
    config["emulators"]["persistence"] = {"kind": "import", "target": "torch.nn:Identity"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    results = tmp_path / "results" / "tiny"
    shutil.rmtree(results / "tables")
    # the sources have other names as seen from here
    options = ("--rerun-triggers", "mtime")
    targets = ("results/tiny/tables/summary.csv", "results/tiny/figures/training.png")
    done = snakemake(tmp_path, *targets, *options, config=tmp_path / "own.yaml")
    assert not re.search(r"^simulate +\d", done.stdout + done.stderr, re.MULTILINE), "the data were made again"
    table = pd.read_csv(results / "tables" / "summary.csv")
    assert set(table["emulator"]) == {"small", "persistence"}
    raw = xr.open_zarr(results / "rollouts/persistence/raw/seed0.zarr", decode_times=False)["velocity"].values
    np.testing.assert_allclose(raw, np.broadcast_to(raw[:, :1], raw.shape), atol=1e-5)
    rows = table[(table["emulator"] == "persistence") & (table["stabilizer"] == "thermalized")]
    assert len(rows) == 1
    assert (rows["network_evaluations_per_step"] >= 2).all()


def test_a_changed_setting_reruns_what_reads_it_at_once(folder):
    """Also beside other changes: Snakemake looks at the settings of no job that comes after one which is run again."""
    changed = folder / "changed.yaml"
    changed.write_text(TINY.read_text().replace("stop: clean", "stop: auto"))
    planned = snakemake(folder, "--dry-run", config=changed).stdout
    counts = {line.split()[0]: int(line.split()[1]) for line in planned.splitlines() if re.match(r"\w+ +\d+$", line)}
    assert {name: counts.get(name) for name in ("simulate", "train_emulator", "rollout", "diagnose", "summary")} == {
        "simulate": None, "train_emulator": None, "rollout": 2, "diagnose": 2, "summary": 1,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, "none"])
def test_few_stored_states_change_no_number_of_the_summary(folder, tmp_path, every):
    """Only rollouts and what is made of them are computed again; what needs states is there, or not planned."""
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    config = yaml.safe_load(TINY.read_text())
    config["rollouts"]["store_every"] = every
    (own / "own.yaml").write_text(yaml.safe_dump(config))
    options = ("--rerun-triggers", "mtime")  # the sources have other names as seen from here
    done = snakemake(own, *options, config=own / "own.yaml")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    assert (counts.get("simulate"), counts.get("train_emulator"), counts["rollout"]) == (None, None, "4")
    assert counts.get("movie") == (None if every == "none" else "1")
    assert counts.get("ensemble") == (None if every == "none" else "2")
    before, after = (pd.read_csv(each / "results" / "tiny" / "tables" / "summary.csv") for each in (folder, own))
    timed = [name for name in before if name.startswith(TIMED)]
    pd.testing.assert_frame_equal(before.drop(columns=timed), after.drop(columns=timed), check_exact=True)
    rollout = xr.open_zarr(own / "results/tiny/rollouts/small/thermalized/seed0.zarr", chunks=None, decode_times=False)
    assert (rollout.sizes["time"], rollout.sizes["step"]) == (1 if every == "none" else 26, 51)
    assert "Nothing to be done" in snakemake(own, *options, config=own / "own.yaml").stderr


def test_the_summary_has_a_row_per_emulator_and_stabilizer(results):
    table = pd.read_csv(results / "tables" / "summary.csv")
    assert set(COLUMNS) <= set(table.columns)
    assert table[["emulator", "stabilizer"]].to_numpy().tolist() == [["small", "raw"], ["small", "thermalized"]]
    assert table["members"].tolist() == [
        2,
        4,
    ]  # two members for each of two seeds, which are one where nothing is drawn
    assert table["seeds"].tolist() == [1, 2]
    assert (table["steps"] == 50).all()
    assert table["cost_ratio"][0] == 1
    assert table["network_evaluations_per_step"][0] == 1
    assert table["network_evaluations_per_step"][1] >= 1
    assert "tabular" in (results / "tables" / "summary.tex").read_text()


def test_no_job_takes_more_memory_than_it_asked_for(folder):
    """As far as this run began as a user's; `test_faults` looks at a whole one."""
    found = list(jobs(folder / "logs" / "tiny"))
    assert {job.name.split()[0] for job in found} >= {
        "simulate",
        "train_diffusion",
        "rollout",
        "cost",
        "diagnose",
        "movie",
    }
    assert {job.name: job for job in found if not job.peak <= job.asked} == {}


def test_rollouts_begin_at_the_truth_and_record_health(results):
    truth = xr.open_zarr(results / "simulation" / "test.zarr", chunks=None)
    rollout = xr.open_zarr(results / "rollouts" / "small" / "thermalized" / "seed1.zarr", chunks=None)
    assert rollout["velocity"].dims == ("member", "time", "channel", "x")
    assert rollout.sizes["time"] == 51
    np.testing.assert_allclose(rollout["velocity"][:, 0], truth["velocity"][:2, 0], atol=1e-6)
    assert int(rollout["level"][:, 0].max()) == -1
    assert int(rollout["level"][:, 1:3].min()) >= 0
    record = json.loads((results / "rollouts" / "small" / "thermalized" / "seed1.manifest.json").read_text())
    lost = record["attributes"]["lost_step"]
    for member, step in enumerate(lost):
        finite = np.isfinite(rollout["velocity"][member]).all(("channel", "x"))
        assert finite.values.tolist() == [step < 0 or t < step for t in range(51)]


@pytest.fixture
def others(results, tmp_path):
    """The results, with further stabilizers in the configuration and no rollouts of them yet."""
    copy = Results("tiny", tmp_path)
    shutil.copytree(results, copy.folder)
    config = yaml.safe_load(TINY.read_text())
    thermalized = config["rollouts"]["stabilizers"]["thermalized"]
    config["rollouts"]["stabilizers"] |= {
        "rare": {**thermalized, "check_every": 3},
        "random": {**thermalized, "trigger": "random", "like": "rare"},
        "controlled": {**thermalized, "drift": {"memory": 5, "threshold": 1}},
        "guarded": {**thermalized, "start": 1, "guard": 2},
    }
    (tmp_path / "others.yaml").write_text(yaml.safe_dump(config))
    experiment = load_experiment(tmp_path / "others.yaml")
    measure_bands(experiment, copy)
    return experiment, copy


def stored(experiment, paths, stabilizer):
    manifest = paths.rollout("small", stabilizer, 1)
    rollout(Job(experiment, paths, "small", stabilizer, 1), manifest, torch.device("cpu"))
    return xr.open_zarr(manifest.with_name("seed1.zarr"), decode_times=False)


def test_random_times_cost_every_member_what_triggered_ones_did(others):
    experiment, paths = others
    like, found = (stored(experiment, paths, name) for name in ("rare", "random"))
    assert int(like["reverse_steps"].sum()) > 0
    for member in range(2):
        spent, expected = (np.sort(run["reverse_steps"].values[member]) for run in (found, like))
        np.testing.assert_array_equal(spent, expected)
    assert (found["reverse_steps"].values != like["reverse_steps"].values).any()
    assert (found["level"].values == -1).all()
    before = Job(experiment, paths, "small", "random", 1).fingerprint()
    rollouts = read_manifest(paths.rollout("small", "rare", 1))
    paths.rollout("small", "rare", 1).write_text(rollouts.model_copy(update={"fingerprint": "0" * 64}).text())
    assert Job(experiment, paths, "small", "random", 1).fingerprint() != before, "another rollout to be like"


def test_band_energies_are_watched_and_what_was_seen_is_stored(others):
    experiment, paths = others
    found = stored(experiment, paths, "controlled")
    assert (found["drift"].values[:, 1:] > 0).all()
    assert np.isnan(found["drift"].values[:, 0]).all()
    assert int(found["rescaled"].sum()) > 0
    plain = xr.open_zarr(paths.rollout("small", "thermalized", 1).with_name("seed1.zarr"), decode_times=False)
    assert "rescaled" not in plain


def test_members_beyond_the_guard_are_lost(others):
    experiment, paths = others
    found = stored(experiment, paths, "guarded")
    for member, (step, cause) in enumerate(zip(found.attrs["lost_step"], found.attrs["lost_cause"], strict=True)):
        seen = found["level"].values[member]
        assert (seen > 2).any() == (step > 0)
        assert cause == ("level" if step > 0 else "")
        assert step < 0 or seen[step] > 2 >= seen[:step].max()
    assert max(found.attrs["lost_step"]) > 0, "a badly trained emulator exceeds level 2"


def test_the_page_on_loops_of_your_own_runs(results, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "library.md").read_text()
    code = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    code = code.replace("results/demo", str(results)).replace("/unet", "/small")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(compile(code, "docs/library.md", "exec"), found)
    assert found["run"].x.shape == (4, 51, 1, 32)
    assert found["u"].shape == (4, 1, 32)
    assert found["levels"].shape == (8,)
    assert bool((found["raw"].level == -1).all())


@pytest.mark.parametrize("chunks", [1, 2])
def test_an_interrupted_rollout_continues_and_ends_with_the_same_bits(results, tmp_path, monkeypatch, chunks):
    copy = Results("tiny", tmp_path)
    shutil.copytree(results, copy.folder)
    shutil.rmtree(copy.folder / "rollouts")
    job, manifest = Job(load_experiment(TINY), copy, "small", "thermalized", 1), copy.rollout("small", "thermalized", 1)
    advance, calls = Rollout.advance, []

    def dying(self, state, steps):
        if len(calls) == chunks:
            raise KeyboardInterrupt
        calls.append(state.step)
        return advance(self, state, steps)

    monkeypatch.setattr(Rollout, "advance", dying)
    with pytest.raises(KeyboardInterrupt):
        rollout(job, manifest, torch.device("cpu"))
    assert not manifest.exists()
    chunks = 3
    rollout(job, manifest, torch.device("cpu"))
    assert calls == [0, 19, 39]
    original = results / "rollouts" / "small" / "thermalized" / "seed1.manifest.json"
    assert manifest.read_text() == original.read_text()
    rollout(job, manifest, torch.device("cpu"))
    assert len(calls) == 3


def test_seeds_share_no_noise(results):
    levels = [
        xr.open_zarr(results / "rollouts" / "small" / "thermalized" / f"seed{s}.zarr", chunks=None) for s in (0, 1)
    ]
    triggered = (levels[0]["reverse_steps"] > 0).values
    assert triggered.any()
    assert not np.array_equal(levels[0]["velocity"].values, levels[1]["velocity"].values)


def test_seeds_are_scored_as_an_ensemble(results):
    raw, thermalized = (
        xr.load_dataset(results / "ensembles" / "small" / f"{name}.nc") for name in ("raw", "thermalized")
    )
    assert raw.attrs["seeds"].tolist() == [0, 1]
    assert raw["lead"].to_numpy().tolist() == list(range(1, 51))
    np.testing.assert_array_equal(raw["spread"], 0)
    assert (thermalized["spread"][0] > 0).all()
    assert float(raw["crps_climatology"]) == float(thermalized["crps_climatology"])
    truth = xr.open_zarr(results / "simulation" / "test.zarr", chunks=None)["velocity"]
    rollout = xr.open_zarr(results / "rollouts" / "small" / "raw" / "seed1.zarr", chunks=None)["velocity"]
    error = np.abs(rollout[:, 1].values - truth[:2, 1].values).mean() / raw["truth_std"].item()
    assert float(raw["crps"][0]) == pytest.approx(error, rel=1e-5)


def test_seeds_that_make_no_ensemble_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "one.yaml").write_text(TINY.read_text().replace("seeds: [0, 1]", "seeds: [0]"))
    arguments = ("ensemble", tmp_path / "one.yaml", "--emulator", "small", "--stabilizer", "raw")
    done = thermalize(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "two `seeds` or more" in done.stderr


def test_a_second_run_has_nothing_to_do(folder):
    again = snakemake(folder)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_store_that_has_gone_is_made_again_and_nothing_else(folder, results):
    """Of a manifest whose files are damaged the page on the workflow says to delete it."""
    for manifest in (results / "simulation" / "valid.manifest.json", *results.glob("rollouts/small/raw/seed0.m*.json")):
        store, text = manifest.with_name(manifest.name.replace(".manifest.json", ".zarr")), manifest.read_text()
        shutil.rmtree(store)
        done = snakemake(folder)
        assert set(re.findall(r"^total +(\d+)$", done.stdout + done.stderr, re.MULTILINE)) == {"2"}, "it and `all`"
        assert manifest.read_text() == text
        assert thermalize("verify", manifest).returncode == 0
    again = snakemake(folder)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_store_with_a_damaged_shard_is_made_again_once_its_manifest_is_deleted(folder, results):
    manifest = results / "rollouts" / "small" / "raw" / "seed1.manifest.json"
    text, shards = manifest.read_text(), sorted((manifest.parent / "seed1.zarr" / "velocity" / "c").rglob("0"))
    next(path for path in shards if path.is_file()).unlink()
    assert thermalize("verify", manifest).returncode == 2
    manifest.unlink()
    snakemake(folder)
    assert manifest.read_text() == text
    assert thermalize("verify", manifest).returncode == 0


def test_verify_finds_a_flipped_byte(results, tmp_path):
    copy = tmp_path / "simulation"
    shutil.copytree(results / "simulation", copy)
    done = thermalize("verify", copy / "test.manifest.json")
    assert done.returncode == 0
    assert "match their digests" in done.stdout
    shard = max(copy.glob("test.zarr/velocity/c/**/*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    done = thermalize("verify", copy / "test.manifest.json")
    assert done.returncode == 2
    assert shard.name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_corrupted_shard_stops_the_training_with_one_sentence(results, tmp_path):
    shutil.copytree(results / "simulation", tmp_path / "results" / "tiny" / "simulation")
    folder = tmp_path / "results" / "tiny" / "simulation"
    shard = max(folder.glob("train.zarr/velocity/c/**/*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    shard.write_bytes(shard.read_bytes()[:-10])
    done = thermalize("train-emulator", TINY, "--emulator", "small", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "train.zarr" in done.stderr
    assert shard.is_file()


def test_a_model_of_another_system_is_refused(results, tmp_path):
    shutil.copytree(results, tmp_path / "results" / "tiny")
    text = TINY.read_text().replace("length: 22.0", "length: 20.0")
    (tmp_path / "other.yaml").write_text(text)
    (tmp_path / "results" / "tiny" / "config.yaml").unlink()  # which says that these are results of another experiment
    arguments = ("--emulator", "small", "--stabilizer", "raw")
    done = thermalize("rollout", "other.yaml", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "simulate again" in done.stderr
    path = tmp_path / "results" / "tiny" / "emulators" / "small" / "model.json"
    path.write_text(path.read_text().replace('"length": 22.0', '"length": 20.0'))
    seal_folder(path.parent, [path.name])
    done = thermalize("rollout", TINY, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "was trained on another system" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_report_holds_figures_captions_and_the_table(folder):
    report = folder / "results" / "tiny" / "report.html"
    snakemake(folder, "--report", str(report))
    text = report.read_text()
    for word in ("Figures", "Tables", "survival"):
        assert word in text


def test_the_commands_and_code_of_the_documentation_run(folder):
    pages = "".join((ROOT / page).read_text() for page in ("README.md", "docs/workflow.md"))
    code = "\n".join(re.findall(r"```python\n(.*?)```", pages, re.S))
    assert "open_zarr" in code
    code = code.replace("results/demo", "results/tiny").replace("/unet/", "/small/").replace('/unet"', '/small"')
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"^(thermalize .*)$", pages, re.M)
    assert len(commands) >= 4
    for line in commands:
        words = shlex.split(line.replace("config.yaml", str(TINY)).replace("unet", "small"), comments=True)[1:]
        done = thermalize(*words, cwd=folder)
        assert done.returncode == 0, (line, done.stderr)


def test_the_table_is_printed(results):
    done = thermalize("show", results / "tables" / "summary.csv")
    assert done.returncode == 0
    assert "thermalized" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
