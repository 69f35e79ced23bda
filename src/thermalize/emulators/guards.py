"""What some of torch's functions take for granted of their arguments, checked before they run.

Within torch each is called by one that has made sure of it. A program calls them as it likes; where the sizes, places
or scales that it names do not fit the tensors beside them, they would read or write memory that is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from math import prod
from typing import Any

import torch
from torch import Tensor

from thermalize.runtime.errors import UserError

__all__ = ["bound", "guarded", "refuse_numbers_of_types", "within"]

Arguments = Mapping[str, Any]
TYPES = {"ScalarType": torch.dtype, "Layout": torch.layout, "MemoryFormat": torch.memory_format}
Guard = Callable[[Arguments], bool]
MOST_SCALE = 1024
"""Of an image to another one, either way: places are whole numbers, which what is far larger does not fit into."""
SCALES = ("scale_factors", "scales", "scales_d", "scales_h", "scales_w")


def guarded(function: Any) -> Callable[..., Any]:
    """The operation, which raises UserError where its arguments are not such as it takes for granted.

    Memory that torch would leave as it finds it holds zeros.
    """
    name, names = function.name(), {each.name for each in function._schema.arguments}
    guards = [guard for pattern, guard in GUARDS.items() if pattern in name]
    if names & set(SCALES):
        guards.append(_scales)
    if not guards and "empty" not in name:
        return function

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        arguments = bound(function, given, named)
        for guard in guards:
            if not guard(arguments):
                raise UserError(f"it calls {function} with arguments that do not fit each other")
        result = function(*given, **named)
        return result.zero_() if "empty" in name else result

    call._schema, call.tags = function._schema, function.tags  # type: ignore[attr-defined]
    return call


def bound(function: Any, given: tuple[Any, ...] | list[Any], named: Arguments) -> dict[str, Any]:
    """The arguments of a call by their names in the schema of the operation."""
    schema = function._schema.arguments
    defaults = {each.name: each.default_value for each in schema if each.has_default_value()}
    return {**defaults, **{each.name: value for each, value in zip(schema, given, strict=False)}, **named}


def refuse_numbers_of_types(function: Any, given: Sequence[Any], named: Arguments) -> None:
    """Raises UserError where a type is given by a number, which torch takes for one of its own without a look."""
    if not hasattr(function, "_schema"):
        return
    schema = function._schema.arguments
    values = {**{each.name: value for each, value in zip(schema, given, strict=False)}, **named}
    for argument in schema:
        value = values.get(argument.name)
        types = [known for name, known in TYPES.items() if name in str(argument.real_type)]
        if types and value is not None and not isinstance(value, types[0]):
            raise UserError(f"it calls {function._schema.name} with {str(value)[:200]!r} for {argument.name!r}")


def within(tensor: Tensor, size: Sequence[int], stride: Sequence[int], offset: int) -> bool:
    """Whether the last number of such a view lies in the memory of the tensor."""
    if len(size) != len(stride) or min([0, *size, *stride, offset]) < 0:
        return False
    last = offset + sum((points - 1) * step for points, step in zip(size, stride, strict=True))
    return prod(size) == 0 or (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _strided(arguments: Arguments) -> bool:
    tensor = next(value for value in arguments.values() if isinstance(value, Tensor))
    given = arguments.get("storage_offset")
    offset = int(tensor.storage_offset() if given is None else given)
    return within(tensor, arguments["size"], arguments["stride"], offset)


def _scales(arguments: Arguments) -> bool:
    values = [arguments.get(name) for name in SCALES]
    flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return all(each is None or 1 / MOST_SCALE <= each <= MOST_SCALE for each in flat)


def _batch_norm(arguments: Arguments) -> bool:
    x = arguments["input"]
    vectors = (arguments.get(name) for name in ("weight", "bias", "running_mean", "running_var"))
    running = [arguments.get(name) is not None for name in ("running_mean", "running_var")]
    enough = all(running) or (arguments.get("training", False) is True and not any(running))
    return x.ndim >= 2 and enough and all(each is None or each.shape == x.shape[1:2] for each in vectors)


def _group_norm(arguments: Arguments) -> bool:
    x, sizes, group = arguments["input"], [arguments[name] for name in ("N", "C", "HxW")], arguments["group"]
    vectors = (arguments["weight"], arguments["bias"])
    return (
        min(*sizes, group) > 0
        and x.ndim >= 2
        and list(x.shape[:2]) == sizes[:2]
        and prod(sizes) == x.numel()
        and all(each is None or list(each.shape) == sizes[1:2] for each in vectors)
    )


def _weight_norm(arguments: Arguments) -> bool:
    v, g, dim = (arguments[name] for name in ("v", "g", "dim"))
    return -1 <= dim < v.ndim and g.numel() == (1 if dim == -1 else v.shape[dim]) and g.ndim in (0, v.ndim)


def _fused_weight_norm(arguments: Arguments) -> bool:
    return arguments["dim"] in (0, arguments["v"].ndim - 1)


def _lstm(arguments: Arguments) -> bool:
    """Weights and biases of all gates for every layer and direction, without projections."""
    x, hidden, weights = arguments["input"], arguments["hx"], arguments["params"]
    layers, directions = arguments["num_layers"], 1 + arguments["bidirectional"]
    each = 4 if arguments["has_biases"] else 2
    if x.ndim != 3 or len(hidden) != 2 or len(weights) != layers * directions * each or layers < 1:
        return False
    size = hidden[0].shape[-1]
    members = x.shape[0 if arguments["batch_first"] else 1]
    wanted = [(4 * size, x.shape[2]), (4 * size, size), (4 * size,), (4 * size,)]
    deeper = [(4 * size, directions * size), *wanted[1:]]
    shapes = [*wanted[:each] * directions, *deeper[:each] * (directions * (layers - 1))]
    return (
        all(state.shape == (layers * directions, members, size) for state in hidden)
        and [tuple(weight.shape) for weight in weights] == shapes
        and {tensor.dtype for tensor in (*hidden, *weights)} == {x.dtype}
        and x.is_floating_point()
    )


def _attention(arguments: Arguments) -> bool:
    q, k, v, mask = (arguments[name] for name in ("query", "key", "value", "attn_mask"))
    if not (q.ndim == k.ndim == v.ndim == 4 and k.shape == v.shape and (*q.shape[:2], q.shape[3]) == _heads(k)):
        return False
    scores = (*q.shape[:3], k.shape[2])
    return mask is None or all(each in (1, of) for each, of in zip(mask.shape[::-1], scores[::-1], strict=False))


def _heads(x: Tensor) -> tuple[int, ...]:
    return (*x.shape[:2], x.shape[3])


def _transformed(arguments: Arguments) -> bool:
    """Axes of the tensor, counted from the first, each once."""
    dim, axes = arguments["dim"], range(arguments["self"].ndim)
    return set(dim) <= set(axes) and len(set(dim)) == len(dim) and arguments.get("normalization", 0) in (0, 1, 2)


def _half_spectrum(arguments: Arguments) -> bool:
    """As many frequencies as real values of that number have."""
    x, dim = arguments["self"], arguments["dim"]
    return bool(dim) and _transformed(arguments) and x.shape[dim[-1]] == arguments["last_dim_size"] // 2 + 1


def _pivots(arguments: Arguments) -> bool:
    """Rows of the matrix, one for each."""
    matrix, pivots = (
        next(arguments[name] for name in names if name in arguments)
        for names in (("LU", "LU_data"), ("pivots", "LU_pivots"))
    )
    rows, columns = matrix.shape[-2:]
    return (
        pivots.dtype == torch.int32
        and pivots.shape == (*matrix.shape[:-2], min(rows, columns))
        and (pivots.numel() == 0 or (int(pivots.min()) >= 1 and int(pivots.max()) <= rows))
    )


def _grid(arguments: Arguments) -> bool:
    return arguments["interpolation_mode"] in (0, 1, 2) and arguments["padding_mode"] in (0, 1, 2)


def _reinterpreted(arguments: Arguments) -> bool:
    """No truth value is made of a byte that is neither 0 nor 1."""
    tensor = next(value for value in arguments.values() if isinstance(value, Tensor))
    return arguments["dtype"] != torch.bool or tensor.dtype == torch.bool


GUARDS: dict[str, Guard] = {
    "as_strided": _strided,
    "native_batch_norm": _batch_norm,
    "native_group_norm": _group_norm,
    "lstm.input": _lstm,
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": _fused_weight_norm,
    "flash_attention_for_cpu": _attention,
    "fft_c2c": _transformed,
    "fft_r2c": _transformed,
    "fft_c2r": _half_spectrum,
    "lu_solve": _pivots,
    "lu_unpack": _pivots,
    "grid_sampler": _grid,
    "view.dtype": _reinterpreted,
    "view_copy.dtype": _reinterpreted,
    "view_of_dtype": _reinterpreted,
}
"""By a part of the name."""
