"""The workflow with its stores in an object store, killed in between: the numbers of stages called on this machine."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from object_store import SECRET, Storage, bucket, server
from workflow_run import command, environment, kill_family, snakemake

from thermalize.store.manifest import open_store, read_manifest, verify
from thermalize.store.results import Results

__all__ = ["bucket", "server"]


def interrupted(folder: Path, targets: list[str], config: Path, begun: str) -> None:
    """Starts the workflow and kills it with all its children once a file of this pattern is there."""
    folder.mkdir()
    process = subprocess.Popen(
        command(folder, *targets, config=config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment(), start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not list(folder.glob(begun)):
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it was killed"
    kill_family(process.pid)
    process.wait()


def manifests(folder: Path) -> list[Path]:
    paths = Results("tiny", folder / "results")
    rollouts = [paths.rollout("small", label, seed) for label in ("raw", "thermalized") for seed in (0, 1)]
    return [*(paths.simulation(split) for split in ("train", "valid", "test")), *rollouts]


@pytest.mark.slow
@pytest.mark.timeout(2400)  # most of the workflow
def test_a_killed_workflow_with_stores_at_urls_ends_with_the_numbers_of_a_local_one(
    tiny: tuple[Path, Path], tmp_path: Path, bucket: Storage
) -> None:
    config = tmp_path / "remote.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(tiny[0].read_text()), "storage": bucket.url}))
    here, there = tiny[1].parent, tmp_path / "there"
    paths = Results("tiny")
    compared = [str(paths.diagnostics("small", label, seed)) for label in ("raw", "thermalized") for seed in (0, 1)]
    # a figure reads stores too
    wanted = [*compared, f"{paths.figure('overview')}.png"]
    interrupted(there, wanted, config, "results/tiny/rollouts/*/*/*.partial.blocks/block-0000.json")
    done = snakemake(there, *wanted, config=config)
    for mine, theirs in zip(manifests(there), manifests(here), strict=True):
        record = verify(mine, bucket.url)
        assert str(record.url).startswith(bucket.url)
        assert record.digests == read_manifest(theirs).digests
        with open_store(mine, storage=bucket.url) as found, open_store(theirs) as expected:
            for name in expected.variables:
                np.testing.assert_array_equal(found[name], expected[name])
    kept = {path.relative_to(there).as_posix() for path in (there / "results").rglob("*") if path.is_file()}
    assert not {name for name in kept if ".zarr/" in name or ".partial" in name}
    for path in compared:
        with xr.open_dataset(there / path) as found, xr.open_dataset(here / path) as expected:
            assert found.identical(expected)
    assert bucket.stores("/tiny/simulation") == {read_manifest(path).store for path in manifests(there)[:3]}
    assert "Nothing to be done" in (again := snakemake(there, *wanted, config=config)).stdout + again.stderr
    said = [path.read_text(errors="replace") for path in (there / "logs").rglob("*.log")]
    assert not [text for text in said if "Unclosed" in text or "Traceback" in text]
    assert SECRET not in "".join([*said, done.stdout, done.stderr, *(path.read_text() for path in manifests(there))])
