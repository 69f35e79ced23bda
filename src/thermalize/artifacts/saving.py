"""Figures as files: PDF for print, PNG for screens, the same bytes whenever the same figure is saved."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from thermalize.artifacts.provenance import as_text
from thermalize.artifacts.style import styled
from thermalize.store import sealed

__all__ = ["save"]


def save(figure: Figure, stem: Path, provenance: Mapping[str, str] | None = None) -> None:
    """Write ``stem.pdf`` and ``stem.png`` and digests; `provenance` goes to the files' metadata, dates never do."""
    origin = as_text(provenance or {})
    metadata = {
        "pdf": {"Title": stem.name, "Subject": origin, "Creator": "thermalize", "Producer": None, "CreationDate": None},
        "png": {"Title": stem.name, "Description": origin, "Software": "thermalize"},
    }
    for kind, entries in metadata.items():
        content = BytesIO()
        with styled():
            figure.savefig(content, format=kind, metadata=entries)
        sealed.write(stem.with_name(f"{stem.name}.{kind}"), content.getvalue())
