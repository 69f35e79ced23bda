"""One cluster for all tests of Slurm, with the partitions that the profile names."""

from __future__ import annotations

import signal

import pytest
import yaml
from slurm_install import obstacle
from slurm_machine import Cluster
from workflow_run import ROOT

PROFILE = ROOT / "profiles" / "slurm" / "profile.yaml"


@pytest.fixture(scope="session")
def cluster():
    if reason := obstacle():
        pytest.skip(reason)
    profile = yaml.safe_load(PROFILE.read_text())
    partitions = [profile["default-resources"], *profile["set-resources"].values()]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which lets the machine be put back as it was
    with Cluster(*{each["slurm_partition"] for each in partitions}) as cluster:
        yield cluster
