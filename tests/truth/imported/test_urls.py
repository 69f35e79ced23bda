"""Trajectories of the user's own in an object store: read where they lie, and noticed when they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from import_data import ocean, section, splits, waves, write
from import_data import settings as configuration
from object_store import SECRET, Storage, bucket, reaching, server
from store_data import tree

from thermalize.config import Experiment
from thermalize.runtime.errors import UserError
from thermalize.store.manifest import open_store, read_manifest, verify
from thermalize.store.results import Results
from thermalize.truth.simulate import simulate
from thermalize.workflow.needs import Result
from thermalize.workflow.plan import Plan, settings_digest

__all__ = ["bucket", "server"]


def experiment(source: Any, **changes: Any) -> Experiment:
    """Of few shards: each is a new look at all metadata."""
    storage = changes.pop("storage", None)
    return Experiment.model_validate({**configuration(section(source, shard_frames=10, **changes)), "storage": storage})


def put(bucket: Storage, path: Path, name: str) -> str:
    """Copy a store of this machine to the object store, object by object."""
    for each in sorted(path.rglob("*")):
        if each.is_file():
            bucket.put(f"{name}/{each.relative_to(path).as_posix()}", each.read_bytes())
    return f"{bucket.url}/{name}"


@pytest.fixture
def url(bucket: Storage, tmp_path: Path) -> str:
    return put(bucket, write(ocean(), tmp_path / "ocean.zarr"), "ocean.zarr")


def run(folder: Path, config: Experiment, workers: int = 1) -> Path:
    manifest = folder / "simulation" / "train.manifest.json"
    simulate(config, "train", manifest, workers=workers)
    return manifest


def test_a_store_at_a_url_is_imported_like_one_on_disk(tmp_path: Path, url: str) -> None:
    there, here = (open_store(run(tmp_path / name, experiment(source))) for name, source in (
        ("there", url), ("here", tmp_path / "ocean.zarr"),
    ))  # fmt: skip
    np.testing.assert_array_equal(there["q"].values, here["q"].values)
    np.testing.assert_array_equal(there["q"].values, waves().astype(np.float32)[:30].reshape(3, 10, 2, 8, 8))
    assert there.attrs["source_files"] == here.attrs["source_files"] == ["ocean.zarr"]
    assert there.attrs["source_digests"][0].startswith("listing:")


def test_imported_from_one_place_and_stored_at_another(tmp_path: Path, bucket: Storage, url: str) -> None:
    manifest = run(tmp_path, experiment(url, storage=f"{bucket.url}/stores"))
    assert str(read_manifest(manifest).url).startswith(f"{bucket.url}/stores/mine/simulation/train-")
    found = open_store(manifest, storage=f"{bucket.url}/stores")["q"]
    np.testing.assert_array_equal(found, waves().astype(np.float32)[:30].reshape(3, 10, 2, 8, 8))
    verify(manifest, f"{bucket.url}/stores")


@pytest.mark.slow
def test_dask_workers_read_urls_too(tmp_path: Path, url: str) -> None:
    expected = tree(run(tmp_path / "a", experiment(url)).parent / "train.zarr")
    assert tree(run(tmp_path / "b", experiment(url), workers=2).parent / "train.zarr") == expected


def test_patterns_find_stores_in_the_order_of_their_names(tmp_path: Path, bucket: Storage) -> None:
    for part in (1, 0):
        half = ocean(waves()[30 * part : 30 * part + 30], first=30 * part)
        put(bucket, write(half, tmp_path / f"{part}.zarr"), f"parts/ocean_{part}.zarr")
    manifest = run(tmp_path, experiment(f"{bucket.url}/parts/*.zarr"))
    assert open_store(manifest).attrs["source_files"] == ["ocean_0.zarr"]
    np.testing.assert_array_equal(open_store(manifest)["q"], waves().astype(np.float32)[:30].reshape(3, 10, 2, 8, 8))


def test_the_fingerprint_is_that_of_the_listing(tmp_path: Path, bucket: Storage, url: str) -> None:
    few = splits((1, 10), (1, 10), (2, 5))
    prints = [read_manifest(run(tmp_path / "a", experiment(url, splits=few))).fingerprint]
    moved = put(bucket, tmp_path / "ocean.zarr", "elsewhere/ocean.zarr")
    prints.append(read_manifest(run(tmp_path / "b", experiment(moved, splits=few))).fingerprint)
    write(ocean(waves() + 1), tmp_path / "other.zarr")
    put(bucket, tmp_path / "other.zarr", "ocean.zarr")
    prints.append(read_manifest(run(tmp_path / "a", experiment(url, splits=few))).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def complaint(folder: Path, source: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        run(folder, experiment(source, **changes))
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_what_is_no_store_is_refused_in_one_sentence(tmp_path: Path, bucket: Storage, url: str) -> None:
    bucket.put("ocean.nc", write(ocean(), tmp_path / "ocean.nc").read_bytes())
    assert complaint(tmp_path, f"{bucket.url}/ocean.nc") == (
        f"simulation.import: {bucket.url}/ocean.nc is no Zarr store, and nothing else is read from a URL; "
        "copy NetCDF files to this machine, or convert them to Zarr"
    )
    nothing = f"{bucket.url}/sea.zarr"
    assert complaint(tmp_path, nothing) == f"simulation.import: nothing lies at {nothing}; check the URL"
    assert f"{url} has no variable 'Q'; it has q" in complaint(tmp_path, url, variable="Q")


def test_without_connection_or_bucket_it_says_so(tmp_path: Path, bucket: Storage, url: str) -> None:
    assert "nothing lies at s3://nowhere/x.zarr" in complaint(tmp_path, "s3://nowhere/x.zarr")
    with reaching("http://user:password@127.0.0.1:1"):
        sentence = complaint(tmp_path, url)
    assert "no connection; check the network" in sentence
    assert "password" not in sentence


def inputs(config: Experiment) -> list[str]:
    return Plan(config, Results("x")).inputs(Result("simulate", ("train",)))


def test_the_workflow_asks_no_network_about_a_url() -> None:
    """So that a dry run needs none; the stage finds out by itself whether anything has changed."""
    with reaching("http://127.0.0.1:1"):
        config = experiment(["s3://nowhere/x.zarr", "s3://nowhere/*.zarr"])
        assert inputs(config) == []
        Plan(config, Results("x")).look_at_sources()
        assert settings_digest(config, "simulate", {"split": "train"})
    assert inputs(experiment(["s3://nowhere/x.zarr", "here.nc"])) == ["here.nc"]
