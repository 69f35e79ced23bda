"""Reading programs of ``torch.export`` without executing anything that a file says.

A .pt2 file is an archive of JSON and raw tensors. Its format also knows pickles, for tensors of user-defined classes
and for sample inputs, and torch would run what they say; here the first are refused and the second taken as data only.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from thermalize.errors import UserError

__all__ = ["load_program"]


def load_program(path: Path, data: bytes, device: torch.device | str = "cpu") -> nn.Module:
    """The module of an exported program; `data` is the content of the file `path`.

    Raises UserError where it is no such file, or holds what only unpickling could read.
    """
    _refuse_pickles(path, data)
    try:
        with _data_only():
            program = torch.export.load(io.BytesIO(data))
    except Exception as error:
        raise UserError(f"{path} cannot be read as a program of torch.export: {error}") from error
    if torch.device(device).type != "cpu":
        from torch.export.passes import move_to_device_pass  # noqa: PLC0415

        program = move_to_device_pass(program, str(device))
    return _Program(program.module())


class _Program(nn.Module):
    """An exported module knows no training mode and would raise where it is asked for one."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def train(self, mode: bool = True) -> _Program:
        self.training = mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


def _refuse_pickles(path: Path, data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            configs = [name for name in archive.namelist() if name.endswith("_config.json")]
            found = [name for name in configs if _asks_for_pickle(json.loads(archive.read(name)))]
    except (zipfile.BadZipFile, ValueError) as error:
        raise UserError(f"{path} is not a file of torch.export.save: {error}") from None
    if not configs:
        raise UserError(f"{path} is not a file of torch.export.save, or of too old a version of torch; export it again")
    if found:
        raise UserError(f"{path} holds pickled objects, which are never loaded; export a module of plain tensors")


def _asks_for_pickle(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("use_pickle") is True or any(map(_asks_for_pickle, value.values()))
    return isinstance(value, list) and any(map(_asks_for_pickle, value))


@contextmanager
def _data_only() -> Iterator[None]:
    """torch.load reads tensors and plain values alone, whatever its caller asks for."""
    load = torch.load

    def safe(*arguments: Any, **options: Any) -> Any:
        return load(*arguments, **{**options, "weights_only": True})

    with patch("torch.load", safe), patch("pickle.loads", _refuse), patch("pickle.load", _refuse):
        yield


def _refuse(*_: Any, **__: Any) -> Any:
    raise UserError("the file holds a pickled object, which is never loaded")
