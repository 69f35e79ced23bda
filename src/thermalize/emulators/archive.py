"""The archive that ``torch.export.save`` writes: JSON and raw numbers, all of them stored as they are.

    models/model.json                         the graph
    data/weights/model_weights_config.json    names, types and shapes of parameters and buffers, and their files
    data/constants/model_constants_config.json  the same of other tensors

What else the format knows is not read (sample inputs, which are pickled) or refused (pickled objects, machine code).
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thermalize.emulators.guards import within
from thermalize.emulators.program import DTYPES
from thermalize.runtime.errors import UserError

__all__ = ["Archive"]

MODEL = "models/model.json"
CONFIGS = {
    "data/weights": "data/weights/model_weights_config.json",
    "data/constants": "data/constants/model_constants_config.json",
}
KNOWN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/[a-z_]+|\.format_version|\.storage_alignment|models/model\.json|"
    r"data/(weights|constants)/(model_(weights|constants)_config\.json|(weight|tensor)_[0-9]+)|"
    r"data/sample_inputs/model\.pt|extra/.*",
    re.ASCII,
)


ENCRYPTED = 1
"""Flag of a member."""
UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, OverflowError, MemoryError),
)
"""What zipfile is documented, or was seen, to raise on a file from anybody: the first five on damage,
NotImplementedError on a compression that it does not know, RuntimeError on an encrypted member, the last two on sizes
that no number or memory holds. Each is refused with one sentence."""


UINT8 = 1
"""Number of the type in the format."""


class Archive:
    """Members of the archive by their path below its first folder; refused where one is none of those known."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        try:
            self.members = dict(self._members(data))
            self.model = self.members[MODEL].decode()
            self.configs = {folder: json.loads(self.members[name])["config"] for folder, name in CONFIGS.items()}
        except (KeyError, TypeError, ValueError, RecursionError):
            raise UserError(
                f"{path} is not a file of torch.export.save, or of too old a version of torch; export it again"
            ) from None
        except UNREADABLE as error:
            raise UserError(f"{path} is not a file of torch.export.save: {error}") from None

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, buffers and constants by name, on the CPU."""
        found: dict[str, Tensor] = {}
        for folder, config in self.configs.items():
            shared: dict[str, Tensor] = {}  # what lies in one file is one memory
            for name, meta in config.items():
                if meta["use_pickle"] is not False:
                    raise UserError(
                        "it holds pickled objects, which are never loaded; export a module of plain tensors"
                    )
                file = f"{folder}/{meta['path_name']}"
                if file not in shared:
                    shared[file] = _numbers(self.members[file], meta["tensor_meta"])
                found[name] = _strided(shared[file], meta["tensor_meta"])
        return found

    def _members(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        seen, size = set[str](), 0
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                name = member.filename.partition("/")[2]
                self._check(member, name, seen)
                if (size := size + member.file_size) > len(data):
                    raise UserError(f"{self.path} is damaged: its parts are larger than the file; export it again")
                seen.add(name)
                if not name.startswith(("data/sample_inputs/", "extra/")):
                    yield name, archive.read(member)

    def _check(self, member: zipfile.ZipInfo, name: str, seen: set[str]) -> None:
        if name.startswith("data/aotinductor/"):
            raise UserError(f"{self.path} holds machine code ({name}), which is never loaded; export the module itself")
        if re.match(r"data/constants/(custom|opaque)_obj_", name):
            raise UserError(
                f"{self.path} holds pickled objects, which are never loaded; export a module of plain tensors"
            )
        if not KNOWN.fullmatch(name) and not member.is_dir():
            raise UserError(f"{self.path} holds {member.filename!r}, which is no part of a program that is known here")
        if name in seen:
            raise UserError(f"{self.path} holds {member.filename!r} twice")
        if member.flag_bits & ENCRYPTED:
            raise UserError(f"{self.path} is encrypted, which torch.export.save does not do; export it again")
        if member.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{self.path} is compressed, which torch.export.save does not do; export it again")


def _numbers(content: bytes, meta: Mapping[str, Any]) -> Tensor:
    dtype = DTYPES[meta["dtype"]]
    if dtype == torch.bool:  # a byte that is neither 0 nor 1 would be both true and false
        return _numbers(content, {"dtype": UINT8}) != 0
    return torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _strided(numbers: Tensor, meta: Mapping[str, Any]) -> Tensor:
    sizes, strides = ([each["as_int"] for each in meta[key]] for key in ("sizes", "strides"))
    offset = meta["storage_offset"]["as_int"]
    if not within(numbers, sizes, strides, offset):
        raise UserError("it holds a tensor of more numbers than there are in its file; export it again")
    return torch.as_strided(numbers, sizes, strides, offset)
