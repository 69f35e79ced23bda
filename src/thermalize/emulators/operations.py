"""What a program may be made of: operations that compute with tensors and numbers, and nothing else.

A program names its operations in words, and torch would look them up in all of its own modules, where a function can
run commands, read and write files. Here a name stands for

    torch.ops.aten.*, torch.ops.prims.*   those that take tensors, numbers and words from short lists (no file names)
    torch.ops.higher_order.*              branches and loops
    _operator.*, math.trunc, torch.sym_*  arithmetic of sizes

Many of torch's functions are written for one caller that has checked their arguments, and read or write any memory
where they are given others. Those are no operations of a program: what is named so (unsafe, backward, strided and
empty), what takes an argument that turns checks off, and those of a list that was found by running them with arguments
that do not fit. Some are what ordinary networks need; these are run as their checked counterparts, or after a check of
their arguments (`thermalize.emulators.guards`).

Sizes may be expressions. They describe the program and are not needed to run it, so that they are never evaluated;
those that are not made of what torch writes are refused all the same.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch

from thermalize.emulators.guards import guarded
from thermalize.runtime.errors import UserError

__all__ = ["check_expressions", "operation"]

SIZES: tuple[Callable[..., Any], ...] = (
    *(operator.eq, operator.ne, operator.le, operator.ge, operator.lt, operator.gt, operator.neg, operator.pos),
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow),
    *(operator.and_, operator.or_, operator.lshift, operator.rshift, math.trunc),
    *(torch.sym_not, torch.sym_int, torch.sym_float, torch.sym_ite, torch.sym_max, torch.sym_min, torch.sym_sqrt),
)
ARITHMETIC = {f"{function.__module__}.{function.__name__}": function for function in SIZES}
CONTROL = {
    f"torch.ops.higher_order.{name}"
    for name in ("cond", "while_loop", "map_impl", "scan", "wrap_with_set_grad_enabled", "wrap_with_autocast")
}
TYPES = {"Tensor", "int", "float", "bool", "number", "Device", "Generator"}
WORDS = (
    *("approximate", "assert_msg", "driver", "equation", "indexing", "interpolation", "mode", "norm", "ord", "p"),
    *("pad_mode", "padding", "padding_side", "reduce", "rounding_mode", "side", "UPLO"),
)
# Operations with an underscore before their name are torch's own affair, apart from its core and from these.
_PRIVATE = (
    "__and__ __iand__ __ilshift__ __ior__ __irshift__ __ixor__ __lshift__ __or__ __rshift__ __xor__ "
    "_adaptive_avg_pool2d _adaptive_avg_pool3d _assert_async _assert_scalar _assert_tensor_metadata _conj "
    "_conj_physical _convolution _convolution_mode _euclidean_dist _fft_c2c _fft_c2r _fft_r2c "
    "_functional_assert_async _functional_assert_scalar _fused_rms_norm _linalg_det _linalg_eigh _linalg_slogdet "
    "_linalg_solve_ex _linalg_svd _local_scalar_dense _native_batch_norm_legit _native_batch_norm_legit_functional "
    "_native_batch_norm_legit_no_training _neg_view _prelu_kernel _safe_softmax _scaled_dot_product_attention_math "
    "_scaled_dot_product_flash_attention_for_cpu _shape_as_tensor _to_copy _unique2 "
    "_upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm _weight_norm_interface"
)
PRIVATE = frozenset(_PRIVATE.split())
# Those of one kind of hardware or of tensors that are none of numbers in rows, and those that meddle with memory.
MEDDLING = re.compile(
    "fbgemm|mkldnn|miopen|cudnn|mps|vulkan|distributed|quantize|fake_quant|qparams|qscheme|int_repr|resize|sparse|nested|"
    "padded_tensor|coalesce|device_put|pin_memory|is_pinned|retain|requires_grad|^q_|(crow|ccol|row|col)_indices|"
    "^(set|set_|set_data|data|output_nr|values|values_copy|indices|indices_copy|hspmm|smm|sspaddmm|is_set_to)$"
)
# Those whose arguments nobody checks: halves of other operations, and those that a list of places, or of lengths, leads
# out of their memory.
UNCHECKED = re.compile(
    "unsafe|backward|jvp|overrideable|empty_strided|copy_strided|reshape_alias|rrelu_with_noise|embedding_bag|"
    "embedding_renorm|fractional_max_pool|batch_norm_(elemt|gather|stats|update)|^(slow_|thnn_)|"
    "^(ctc_loss|segment_reduce|range|linalg_ldl_solve|slice_inverse|_stack)$"
)
UNCHECKING = re.compile("unsafe|check_(?!errors)\\w+|batch_sizes")
"""Arguments that turn checks off, or are believed."""
CHECKED: dict[str, Callable[..., Any]] = {
    "_unsafe_view.default": torch.ops.aten.view.default,
    "_unsafe_index.Tensor": torch.ops.aten.index.Tensor,
    "_unsafe_index_put.default": torch.ops.aten.index_put.default,
    "unsafe_chunk.default": torch.ops.aten.chunk.default,
    "unsafe_split.Tensor": torch.ops.aten.split.Tensor,
    "unsafe_split_with_sizes.default": torch.ops.aten.split_with_sizes.default,
}
"""What torch writes into a program once it knows that it fits, and what checks that again."""
Overload = type(torch.ops.aten.add.Tensor)

FUNCTIONS = (
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Abs|Not|And|Or|Equality|Unequality|GreaterThan|LessThan|"
    "StrictGreaterThan|StrictLessThan|Eq|Ne|Ge|Le|Gt|Lt|Piecewise|ExprCondPair|FloorDiv|ModularIndexing|Where|PythonMod|"
    "Mod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|PowByNatural|FloatPow|FloatTrueDiv|IntTrueDiv|"
    "IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|RoundToInt|RoundDecimal|ToFloat|Identity|"
    "OpaqueUnaryFn_sqrt|BitwiseFn_bitwise_and|BitwiseFn_bitwise_or|BitwiseFn_bitwise_xor"
)
FLAGS = "(?:positive|nonnegative|integer|real|finite|evaluate)=(?:True|False)|precision=[0-9]+"
TOKEN = rf"(?:{FUNCTIONS})\(|'[a-z]{{1,4}}[0-9]+'|'-?[0-9.]+(?:e[+-]?[0-9]+)?'|-?[0-9]+|{FLAGS}|true|false|[,) ]"
EXPRESSION = re.compile(f"(?:{TOKEN})+")


def operation(target: str) -> Callable[..., Any]:
    """The function that a program calls `target`."""
    if target in ARITHMETIC:
        return ARITHMETIC[target]
    if target in CONTROL:
        return getattr(torch.ops.higher_order, target.rpartition(".")[2])
    if named := re.fullmatch(r"torch\.ops\.(aten|prims)\.(\w+)\.(\w+)", target, re.ASCII):
        namespace, name, overload = named.groups()
        if namespace == "aten" and f"{name}.{overload}" in CHECKED:
            return CHECKED[f"{name}.{overload}"]
        found = getattr(getattr(getattr(torch.ops, namespace), name, None), overload, None)
        if isinstance(found, Overload) and _computes(found, name):
            return guarded(found)
    raise UserError(f"it calls {target!r}, which is none of the operations that a program may be made of")


def _computes(found: Any, name: str) -> bool:
    """Whether it is given tensors, numbers and known words alone."""
    known = not name.startswith("_") or name in PRIVATE or torch.Tag.core in found.tags
    registered = torch.Tag.pt2_compliant_tag in found.tags and torch.Tag.out not in found.tags
    return (
        known
        and registered
        and torch._C._dispatch_has_kernel(found.name())  # the others are TorchScript's own
        and not MEDDLING.search(name)
        and not UNCHECKED.search(name)
        and all(_plain(each.name, str(each.type)) for each in found._schema.arguments)
    )


def _plain(name: str, kind: str) -> bool:
    if UNCHECKING.fullmatch(name):
        return False
    inner = re.sub(r"Optional\[|List\[|\]", "", kind)
    return inner in TYPES or (inner == "str" and name in WORDS)


def check_expressions(value: Any) -> None:
    """Raises UserError where a size below `value` is no expression of the kind that torch writes."""
    for text in _expressions(value):
        if not (isinstance(text, str) and EXPRESSION.fullmatch(text)):
            raise UserError(f"it states a size as {str(text)[:200]!r}, which torch does not write")


def _expressions(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "expr_str":
                yield each
            else:
                yield from _expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _expressions(each)
