"""Reading programs of ``torch.export`` without executing anything that a file says.

A .pt2 file is an archive of JSON and raw tensors. Torch reads it by unpickling objects, by looking up functions in its
own modules, by evaluating the sizes that it states as expressions and by writing the graph as Python code, and warns
that it must not be asked to do so with a file from a stranger. So it is not asked: numbers are taken from the archive
as numbers, and the graph is run node by node from a list of known operations (`thermalize.emulators.program`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thermalize.emulators.archive import Archive
from thermalize.emulators.operations import check_expressions
from thermalize.emulators.program import Graph, name_of
from thermalize.emulators.purity import MEND
from thermalize.runtime.errors import UserError

__all__ = ["load_program"]

FORMAT = 8  # major version of the schema; within it, fields are only added
MOST_WORDS = 300
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, RuntimeError)


def load_program(path: Path, data: bytes, device: torch.device | str = "cpu") -> nn.Module:
    """The module of an exported program; `data` is the content of the file `path`.

    Raises UserError where it is no such file, holds what is not known to be harmless, draws random numbers or keeps
    something from one call to the next. So does the module where it cannot be run on a state.
    """
    archive = Archive(path, data)
    try:
        program = json.loads(archive.model)
        check_expressions(program)
        return _Program(path, program, archive.tensors()).to(device)
    except UserError as error:
        raise UserError(f"{path} is not run: {error}") from None
    except MALFORMED as error:
        said = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} cannot be read as a program of torch.export ({said}); export it again") from None


class _Program(nn.Module):
    """x → y by the graph; parameters and buffers have the names that they had in the exported module."""

    def __init__(self, path: Path, program: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.path = path
        version = program["schema_version"]["major"]
        if version != FORMAT:
            raise UserError(f"it is of version {version} of the format, and {FORMAT} is read; export it again")
        content = program["graph_module"]
        self.module = nn.Module()
        self.graph = Graph(content["graph"])
        self.given = [_source(spec) for spec in content["signature"]["input_specs"]]
        self.results = [_result(spec) for spec in content["signature"]["output_specs"]]
        for kind, name in self.given:
            if kind != "user_input":
                _register(self.module, name, tensors[name], kind)
        _require_one("input", [kind for kind, _ in self.given], "user_input")
        _require_one("output", self.results, "user_output")
        names = {
            name: "the state" if kind == "user_input" else f"its {kind} {own!r}"
            for name, (kind, own) in zip(self.graph.inputs, self.given, strict=True)
        }
        (state,) = (name for name, what in names.items() if what == "the state")
        if kept := sorted(names[name] for name in self.graph.written - {state}):
            raise UserError(f"it changes {kept[0]} when it runs, which a stopped rollout would lose; {MEND}")
        self.sizes = list(_sizes(content["graph"]["tensor_values"][state]["sizes"], program["range_constraints"]))

    def forward(self, x: Tensor) -> Tensor:
        _check_sizes(x, self.sizes)
        given = [x if kind == "user_input" else _attribute(self.module, name) for kind, name in self.given]
        try:
            results = dict(zip(self.results, self.graph.run(given, x.device), strict=True))
        except Exception as error:  # whatever torch raises, or Python where numbers are divided by zero
            said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {str(error)[:MOST_WORDS]}"
            raise UserError(
                f"{self.path} fails on states of shape {list(x.shape)}, {said}; export it again and try it there"
            ) from error
        y = results["user_output"]
        if not isinstance(y, Tensor):
            raise UserError(f"{self.path} returns {type(y).__name__} in place of a state; export it again")
        return y


def _source(spec: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name of what is given to the graph."""
    ((kind, value),) = spec.items()
    names = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
    if kind == "user_input":
        return kind, name_of(value["arg"])
    if kind not in names:
        raise UserError(f"it is given something of kind {kind!r}; only tensors are known")
    persistent = kind != "buffer" or value["persistent"]
    return kind if persistent else "tensor_constant", value[names[kind]]


def _result(spec: Mapping[str, Any]) -> str:
    """Kind of what comes out of the graph."""
    ((kind, value),) = spec.items()
    if kind == "buffer_mutation":
        raise UserError(
            f"it changes its buffer {value['buffer_name']!r} when it runs, which a stopped rollout would lose; {MEND}"
        )
    if kind not in ("user_output", "user_input_mutation"):  # the second changes a copy of the state
        raise UserError(f"it returns something of kind {kind!r}; only tensors are known")
    return kind


def _require_one(what: str, kinds: list[str], kind: str) -> None:
    if (found := kinds.count(kind)) != 1:
        raise UserError(f"it has {found} {what}s; an emulator has one, the state")


def _register(module: nn.Module, name: str, tensor: Tensor, kind: str) -> None:
    *folders, last = name.split(".")
    for folder in folders:
        if folder not in module._modules:
            module.add_module(folder, nn.Module())
        module = module.get_submodule(folder)
    if kind == "parameter":
        module.register_parameter(last, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
    else:
        module.register_buffer(last, tensor, persistent=kind == "buffer")


def _attribute(module: nn.Module, name: str) -> Tensor:
    folder, _, last = name.rpartition(".")
    return getattr(module.get_submodule(folder), last)


def _sizes(sizes: list[Mapping[str, Any]], bounds: Mapping[str, Any]) -> Iterator[int | tuple[str, int, int | None]]:
    """What each axis of the state must be: a number, or a name with the range in which it is free."""
    for size in sizes:
        if "as_int" in size:
            yield int(size["as_int"])
        else:
            name = size["as_expr"]["expr_str"]
            symbol = name.split("'")[1] if name.startswith("Symbol(") else name
            bound = bounds.get(symbol, {})
            yield symbol, _bound(bound.get("min_val")) or 0, _bound(bound.get("max_val"))


def _bound(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise UserError(f"it bounds a size by {str(value)[:200]!r}, which is no number; export it again")
    return value


def _check_sizes(x: Tensor, sizes: list[int | tuple[str, int, int | None]]) -> None:
    found: dict[str, int] = {}
    fits = x.ndim == len(sizes)
    for points, size in zip(x.shape, sizes, strict=False):
        if isinstance(size, int):
            fits &= points == size
        else:
            name, least, most = size
            fits &= least <= points and (most is None or points <= most) and found.setdefault(name, points) == points
    if not fits:
        words = [str(size) if isinstance(size, int) else "free" for size in sizes]
        raise UserError(f"the program was exported for states of shape [{', '.join(words)}]; see `dynamic_shapes`")
