"""Slurm on this machine, for the tests: `python tests/helpers/slurm_install.py` installs it where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}


def missing() -> list[str]:
    """Packages whose commands are not there."""
    return [package for command, package in PACKAGES.items() if shutil.which(command) is None]


def obstacle() -> str | None:
    """Why no cluster can be brought up here, if so."""
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    if missing():
        return f"{', '.join(missing())}: not installed"
    if _running("slurmctld") or _running("slurmd"):
        return "Slurm already runs on this machine, and is left alone"
    return None


def install() -> str | None:
    """Installs what is missing from the system's packages; returns why that was not possible, if so."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (("update",), ("install", "--yes", "--no-install-recommends", *missing())):
            subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, check=False)
    return obstacle()


def _running(command: str) -> bool:
    return subprocess.run(["pgrep", "-x", command], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    if reason := install():
        print(f"The tests of Slurm are skipped: {reason}.", file=sys.stderr)
