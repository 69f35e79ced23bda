"""The graph of an exported program, run node by node.

A graph is a list of nodes; each calls one operation on values that have names and gives names to what comes out. Torch
would write it as Python code, run that, and have the sizes in it evaluated as expressions. Here each node is looked up
among the known operations once, and the list is gone through: what a file says is only ever a key, a number or a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from thermalize.emulators.guards import bound, refuse_numbers_of_types
from thermalize.emulators.operations import operation
from thermalize.emulators.purity import MEND, refuse_random, written
from thermalize.runtime.errors import UserError

__all__ = ["DTYPES", "Graph", "name_of"]

Values = dict[str, Any]

_DTYPES: dict[int, str] = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    34: "uint32",
    35: "uint64",
}
DTYPES: dict[int, torch.dtype] = {number: getattr(torch, name) for number, name in _DTYPES.items()}
LAYOUTS = {7: torch.strided}
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
PLAIN: dict[str, Any] = {"as_int": int, "as_float": (int, float), "as_bool": bool, "as_string": str}
NAMED = ("as_tensor", "as_sym_int", "as_sym_float", "as_sym_bool", "as_optional_tensor")
NUMBERED: dict[str, Mapping[int, Any]] = {"as_scalar_type": DTYPES, "as_memory_format": FORMATS, "as_layout": LAYOUTS}
POSITIONAL, KEYWORD = 1, 2
INFINITE = {"Infinity", "-Infinity", "NaN"}  # as JSON knows no such numbers


@dataclass(frozen=True)
class Name:
    """A value that an earlier node gave."""

    name: str


class Device:
    """Where the state is, whatever device the program was exported on."""


@dataclass(frozen=True)
class Node:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    output: Any
    spent: tuple[str, ...] = ()


class Graph:
    """`run` maps values of `inputs`, in order, to those of the outputs.

    `written` names the inputs that a run writes into.

    Raises UserError where it asks for what is not known, or draws random numbers; nothing of it has run then.
    """

    def __init__(self, graph: Mapping[str, Any]) -> None:
        self.inputs = [name_of(each) for each in graph["inputs"]]
        self.nodes = [_node(each) for each in graph["nodes"]]
        self.outputs = [_value(each) for each in graph["outputs"]]
        self.single = bool(graph.get("is_single_tensor_return", False))
        self.nodes = list(_spending(self.nodes, self.inputs, self.outputs))
        self.written = written(map(_call, self.nodes), self.inputs)

    def run(self, given: Iterable[Any], device: torch.device) -> list[Any]:
        values: Values = dict(zip(self.inputs, given, strict=True))
        for node in self.nodes:
            arguments = [_filled(each, values, device) for each in node.arguments]
            named = {name: _filled(each, values, device) for name, each in node.named.items()}
            _give(node.output, node.function(*arguments, **named), values)
            for name in node.spent:
                del values[name]
        return [_filled(each, values, device) for each in self.outputs]

    def on(self, device: torch.device) -> Callable[..., Any]:
        """The graph as a function, as branches and loops call it."""

        def call(*given: Any) -> Any:
            outputs = self.run(given, device)
            return outputs[0] if self.single else tuple(outputs)

        return call


def name_of(argument: Mapping[str, Any]) -> str:
    """What a tensor or a number is called that is given to a graph."""
    match _only(argument):
        case ("as_tensor", {"name": str(name)}) | (
            "as_sym_int" | "as_sym_float" | "as_sym_bool",
            {"as_name": str(name)},
        ):
            return name
        case kind, _:
            raise UserError(f"it is given a value of kind {kind!r} where a tensor is needed")


def _node(node: Mapping[str, Any]) -> Node:
    target = node["target"]
    function, arguments, named = operation(target), list[Any](), dict[str, Any]()
    by_place = not target.startswith(("torch.ops.aten.", "torch.ops.prims."))
    for each in node["inputs"]:
        value = _value(each["arg"])
        if each.get("kind") == POSITIONAL or (by_place and each.get("kind") != KEYWORD):
            arguments.append(value)
        else:
            named[str(each["name"])] = value
    refuse_numbers_of_types(function, arguments, named)
    refuse_random(function, arguments, named)
    if any(isinstance(each, Graph) and each.written for each in arguments):
        raise UserError(f"a branch or loop of it writes into what it is given; {MEND}")
    outputs = [_value(each) for each in node["outputs"]]
    # One output is what the operation returns, unless a branch or loop returns it in a tuple.
    in_tuple = by_place and node.get("is_hop_single_tensor_return") is False
    output = outputs[0] if len(outputs) == 1 and not in_tuple else outputs or None
    return Node(function, tuple(arguments), named, output)


def _call(node: Node) -> tuple[Any, Mapping[str, Iterable[str]], Iterable[str]]:
    """What writes into what."""
    given = bound(node.function, node.arguments, node.named) if hasattr(node.function, "_schema") else {}
    return node.function, {name: list(_names([value])) for name, value in given.items()}, list(_names([node.output]))


def _value(argument: Mapping[str, Any]) -> Any:
    """A plain value, or what is to be filled in: a Name, a Device, a Graph, a list of these."""
    kind, value = _only(argument)
    return READERS[kind](value) if kind in READERS else _plain(kind, value)


def _named(value: Mapping[str, Any]) -> Any:
    match value:
        case {"name": str(name)} | {"as_name": str(name)} | {"as_tensor": {"name": str(name)}}:
            return Name(name)
        case {"as_none": _}:
            return None
        case _:
            return _plain(*_only(value))


def _plain(kind: str, value: Any) -> Any:
    if kind in NUMBERED and value in NUMBERED[kind]:
        return NUMBERED[kind][value]
    if kind == "as_float" and value in INFINITE:
        return float(value)
    if kind in PLAIN and isinstance(value, PLAIN[kind]):
        return value
    raise UserError(f"it holds a value of kind {kind!r} ({str(value)[:200]!r}), which is not known")


def _plains(kind: str, values: list[Any]) -> list[Any]:
    return [_plain(kind, each) for each in values]


def _only(argument: Mapping[str, Any]) -> tuple[str, Any]:
    ((kind, value),) = argument.items()
    return kind, value


def _spending(nodes: list[Node], inputs: list[str], outputs: list[Any]) -> Iterable[Node]:
    """The nodes, each with the values that no later one needs; refused where one needs what was never given."""
    given, last = set(inputs), {}
    for place, node in enumerate(nodes):
        for name in _names([*node.arguments, *node.named.values()]):
            _require(name, given)
            last[name] = place
        for name in _names([node.output]):
            given.add(name)
            last[name] = place
    for name in _names(outputs):
        _require(name, given)
        last.pop(name, None)
    for place, node in enumerate(nodes):
        spent = tuple(name for name, each in last.items() if each == place)
        yield replace(node, spent=spent)


def _require(name: str, given: set[str]) -> None:
    if name not in given:
        raise UserError(f"it uses {name!r} before anything has given it a value")


def _names(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, Name):
            yield value.name
        elif isinstance(value, list):
            yield from _names(value)


def _filled(value: Any, values: Values, device: torch.device) -> Any:
    if isinstance(value, Name):
        return values[value.name]
    if isinstance(value, list):
        return [_filled(each, values, device) for each in value]
    if isinstance(value, Graph):
        return value.on(device)
    return device if isinstance(value, Device) else value


def _give(output: Any, result: Any, values: Values) -> None:
    """A name for what an operation returned; names for each of several."""
    if isinstance(output, Name):
        values[output.name] = result
    elif isinstance(output, list):
        for each, value in zip(output, result, strict=True):
            _give(each, value, values)


READERS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_device": lambda _: Device(),
    "as_graph": lambda value: Graph(value["graph"]),
    "as_complex": lambda value: complex(_plain("as_float", value["real"]), _plain("as_float", value["imag"])),
    **dict.fromkeys(NAMED, _named),
    **{f"{kind}s": lambda value: [_named(each) for each in value] for kind in NAMED},
    **{f"{kind}s": partial(_plains, kind) for kind in PLAIN},
}
