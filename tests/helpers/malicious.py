"""Files that want to be executed, made from sound ones."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Doubled", "Order", "Program", "command", "exported", "expressions", "in_sizes", "rewritten", "tampered"]


class Order:
    """What a pickle may ask of whoever loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def exported(module: torch.nn.Module, shape: tuple[int, ...] = (2, 1, 8), *, dynamic: bool = True) -> bytes:
    """A program of states of this shape, whose first axis is free."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        module, (torch.zeros(shape),), dynamic_shapes=({0: batch},) if dynamic else None, strict=False
    )
    out = io.BytesIO()
    torch.export.save(program, out)
    return out.getvalue()


def tampered(program: bytes, changes: dict[str, bytes], extra: dict[str, bytes] | None = None) -> bytes:
    """The archive with the content of some files replaced, found by how their names end."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(program)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            replaced = [content for ending, content in changes.items() if name.endswith(ending)]
            new.writestr(name, replaced[0] if replaced else old.read(name))
        for name, content in (extra or {}).items():
            new.writestr(f"{old.namelist()[0].split('/')[0]}/{name}", content)
    return out.getvalue()


def rewritten(program: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The archive after `change` of the JSON of its model."""
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("models/model.json"))
        content = json.loads(archive.read(name))
    change(content)
    return tampered(program, {"models/model.json": json.dumps(content).encode()})


Program = dict[str, Any]


class Doubled(nn.Module):
    """An expression in the size of a value, a parameter, a buffer and a constant."""

    def __init__(self, points: int = 8) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.ones(points))
        self.constant = torch.arange(float(points))

    def forward(self, x: Tensor) -> Tensor:
        y = x.reshape(x.shape[0] * 2, -1).reshape(x.shape)
        return self.scale * y + self.shift + self.constant


def command(proof: Path) -> str:
    return f"__import__('os').mkdir({str(proof)!r})"


def expressions(value: Any) -> Iterator[Program]:
    if isinstance(value, dict):
        if "expr_str" in value:
            yield value
        for each in value.values():
            yield from expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from expressions(each)


def in_sizes(program: Program, proof: Path) -> None:
    for each in expressions(program):
        each["expr_str"] += f" + {command(proof)}"
