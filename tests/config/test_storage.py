"""The key `storage` and imported URLs: places of data, never of secrets, and no reason to compute anything again."""

from __future__ import annotations

from typing import Any

import pytest
from import_data import section
from import_data import settings as importing
from store_data import settings

from thermalize.config import Experiment
from thermalize.config.load import parse_experiment, resolved_yaml
from thermalize.figures.saving import config_digest
from thermalize.runtime.errors import UserError
from thermalize.workflow.plan import settings_digest

SECRET = "hunter2"
ENVIRONMENT = "leave it out, credentials belong into the environment or the provider's own files"
FAULTS = {
    f"s3://me:{SECRET}@bucket/x": f"a name or password stands before the @; {ENVIRONMENT}",
    f"s3://bucket/x?key={SECRET}": f"a query or fragment stands behind the path; {ENVIRONMENT}",
    f"s3://bucket/x#{SECRET}": f"a query or fragment stands behind the path; {ENVIRONMENT}",
    f"simplecache::s3://{SECRET}/x": "it is no URL; write one such as s3://bucket/prefix or file:///folder",
    f"zip://{SECRET}::s3://bucket/x": "chained URLs are not supported; write the address of the data alone",
    "memory://x": "memory:// is not shared between processes; write s3://bucket/prefix or file:///folder",
    "https://host/x": "a web server does not list what it holds; write s3://bucket/prefix or the like",
}


def complaint(mapping: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        parse_experiment(mapping, "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize("url", FAULTS)
def test_a_url_that_is_none_or_tells_a_secret_is_refused_without_repeating_it(url: str) -> None:
    sentence = complaint({**settings(), "storage": url})
    assert sentence == f"my.yaml: storage: {FAULTS[url]}"
    assert SECRET not in sentence
    sentence = complaint(importing(section(["data/*.nc", url])))
    assert sentence == f"my.yaml: simulation.import: {FAULTS[url]}"


@pytest.mark.parametrize("place", ["/big/disk", "bucket/prefix", "", "C:/disk"])
def test_a_path_is_no_url(place: str) -> None:
    assert complaint({**settings(), "storage": place}) == (
        "my.yaml: storage: it is no URL; write one such as s3://bucket/prefix or file:///folder"
    )


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/a/b/", "file:///big/disk", "gs://bucket/x", "abfs://box/x"]
)
def test_places_are_kept_as_they_are_written(url: str) -> None:
    experiment = parse_experiment({**settings(), "storage": url}, "my.yaml")
    assert experiment.storage == url
    assert f"storage: {url}\n" in resolved_yaml(experiment)
    parse_experiment(importing(section(url)), "my.yaml")


def test_where_stores_lie_is_no_reason_to_compute_anything_again() -> None:
    here, there = (Experiment.model_validate({**settings(), "storage": url}) for url in (None, "s3://bucket/x"))
    wildcards = {"split": "train", "emulator": "unet", "stabilizer": "raw", "seed": "0"}
    for stage in ("simulate", "emulator", "rollout", "cost", "diagnose", "summary"):
        assert settings_digest(here, stage, wildcards) == settings_digest(there, stage, wildcards)
    assert config_digest(here) == config_digest(there)
