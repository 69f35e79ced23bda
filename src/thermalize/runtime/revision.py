"""Which revision of the source the package runs from."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["revision"]


def revision() -> str | None:
    """The git commit of the checkout, with `-dirty` where files are changed; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
