"""The profile for Slurm: the settings of the default one, and a partition for every rule that may ask for a GPU."""

from __future__ import annotations

import os
import re
import shutil

import slurm_install
import yaml
from workflow_run import ROOT

from thermalize.workflow.resources import JOBS, Needed

TEXT = (ROOT / "profiles" / "slurm" / "profile.yaml").read_text()
SLURM = yaml.safe_load(TEXT)


def test_the_settings_of_the_default_profile_are_repeated():
    default = yaml.safe_load((ROOT / "profiles" / "default" / "profile.yaml").read_text())
    assert {name: SLURM.get(name) for name in default} == default


def test_a_site_edits_three_lines():
    assert re.findall(r"\((\d)\)", TEXT.split("executor: slurm")[1]) == ["1", "2", "3"]


def test_rules_with_networks_have_the_partition_with_gpus():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    steps = re.findall(r'^rule (\w+):(?:(?!^rule )[\s\S])*?resources\("(\w+)"\)', rules, re.MULTILINE)
    asking = {rule for rule, step in steps if JOBS[step].gpus is not Needed.gpus}
    assert {"rollout", "simulate"} <= asking
    # the solver of `simulate` runs on a CPU unless it is told to
    assert set(SLURM["set-resources"]) == asking - {"simulate"}
    assert {each["slurm_partition"] for each in SLURM["set-resources"].values()} == {"gpu"}


def test_where_slurm_cannot_be_brought_up_it_is_said_why(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert slurm_install.install() == "only root can start Slurm's daemons"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert slurm_install.install() == "slurmctld, slurmd, slurm-client, munge: not installed"
    monkeypatch.setattr(shutil, "which", lambda command: f"/usr/bin/{command}")
    monkeypatch.setattr(slurm_install, "_running", lambda _: True)
    assert slurm_install.obstacle() == "Slurm already runs on this machine, and is left alone"
