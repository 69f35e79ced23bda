"""Contents of the source files as SHA-256: what a store was made from is told by what was in the files.

Size and time of change alone would make the same data another truth after a copy, and with it every model trained on
it. Reading terabytes at every call would cost more than the import. So contents are digested once and kept in a small
file beside the stores together with size and time of change, which only say when to look at the contents again.

At a URL a digest of the contents would double what has to be sent. There the names and sizes of all objects count, and
the checksums that the provider lists with them, or the times of change where it lists none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from upath import UPath

from thermalize.importing.paths import contents, stamp
from thermalize.store.atomic import exclusive, explaining, read_json, write_text
from thermalize.store.place import Place, listing
from thermalize.store.shards import digests as digests_of

__all__ = ["CACHE", "digests"]

CACHE = ".sources.json"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime")
"""What providers list of an object, the best first."""


def digests(paths: Sequence[Place], folder: Path) -> dict[Place, str]:
    """SHA-256 of every file, or of all files of a Zarr store; those known from before are looked up in `folder`."""
    cache = folder / CACHE
    with explaining(cache), exclusive(cache):
        known = _read(cache)
        found = {str(path): _entry(path, known.get(str(path), {})) for path in paths}
        if any(known.get(name) != entry for name, entry in found.items()):
            write_text(cache, json.dumps({**known, **found}, indent=1))
    return {path: found[str(path)]["digest"] for path in paths}


def _read(cache: Path) -> dict[str, Any]:
    known = read_json(cache)
    whole = isinstance(known, dict) and all(isinstance(entry, dict) for entry in known.values())
    return known if whole else {}


def _entry(path: Place, known: dict[str, str]) -> dict[str, str]:
    if isinstance(path, UPath):
        return {"digest": _listed(path)}
    now = stamp([path])
    if known.get("stamp") == now and DIGEST.fullmatch(str(known.get("digest"))):
        return {"stamp": now, "digest": known["digest"]}
    if not path.is_dir():
        return {"stamp": now, "digest": digests_of(path.parent, [path.name])[path.name]}
    each = digests_of(path, [file.relative_to(path).as_posix() for file in contents(path)])
    return {"stamp": now, "digest": f"sha256:{sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()}"}


def _listed(path: UPath) -> str:
    digest = sha256()
    for name, info in listing(path).items():
        version = next((info[key] for key in VERSIONS if info.get(key) is not None), "")
        digest.update(f"{name}:{info['size']}:{version}\n".encode())
    return f"listing:{digest.hexdigest()}"
