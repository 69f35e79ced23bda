"""Which stored numbers mean that there is none, and which number each of the others means.

    stored p  →  marked as missing, or outside the valid range?  →  x = p · scale_factor + add_offset

after the conventions of NetCDF (NUG) and CF. A mark is compared in the less precise of its type and that of the data:
1e20 in double precision marks what holds 1e20 in single. `valid_min`, `valid_max` and `valid_range` count as packed
numbers if they are integers, and all integers of a variable with `_Unsigned` count without sign. Where nothing is
stated the NetCDF library fills with a number of its own, unless it was told not to fill. `actual_range` tells what was
there, not what may be, and is left alone.

The `fill_value` of a Zarr array of format 2 is what xarray writes for `_FillValue`, but zero is also what everybody
else gets unasked; so a zero is a mark only where numbers are packed.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from thermalize.truth.imported.written import FILL, Stated

__all__ = ["Mark", "coordinate", "fault", "marks", "of_netcdf", "of_zarr", "unpacked"]

MARKS = (FILL, "missing_value")
VALID = ("valid_min", "valid_max", "valid_range")
PACKING = ("scale_factor", "add_offset")
LIBRARY = "library's fill"
"""Under which the number is kept that the NetCDF library or a Zarr store fills with, as if it were an attribute."""
UNSIGNED = "_Unsigned"
Mark = tuple[str, np.ndarray]
"""What numbers are, in words, and where they are so."""


def of_netcdf(path: str, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What a file says of missing numbers by itself: the library's fill of every variable that has no `_FillValue`."""
    with netCDF4.Dataset(path) as file:
        variables = [file.variables[name] for name in names if name in file.variables]
        filled = {each.name: each.get_fill_value() for each in variables if FILL not in each.ncattrs()}
        one_byte = [each.name for each in variables if each.dtype.itemsize == 1]
    return {name: {LIBRARY: fill} for name, fill in filled.items() if fill is not None and name not in one_byte}


def of_zarr(stated: Stated, field: xr.Variable) -> dict[str, Any]:
    """What the description of an array says of missing numbers."""
    found = {} if stated.attribute is None else {FILL: stated.attribute}
    fill = _bits(stated.fill_value, field.dtype)
    packed = stated.zarr_format == 2 and not found and any(key in field.attrs for key in PACKING)
    return found if fill is None or (fill == 0 and not packed) else {**found, LIBRARY: fill}


def fault(attributes: Mapping[str, Any]) -> str | None:
    """What is wrong with those that say what numbers mean, if anything."""
    for key in (*MARKS, *VALID, *PACKING):
        try:
            numbers = _numbers(attributes, key)
        except (TypeError, ValueError):
            return f"the attribute {key} is {attributes[key]!r} and no number; correct it, or delete it from the file"
        wanted = {"valid_range": 2, "missing_value": len(numbers)}.get(key, 1)
        if numbers and len(numbers) != wanted:
            return f"the attribute {key} holds {len(numbers)} numbers instead of {wanted}; correct it in the file"
        if key in PACKING and numbers and not (np.isfinite(numbers[0]) and (numbers[0] or key == "add_offset")):
            return f"the attribute {key} is {numbers[0]}, which no number can be packed with; correct it in the file"
    return None


def unpacked(stored: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """The numbers that are meant, in the precision that their packing asks for."""
    packing: dict[str, Any] = {key: _single(attributes[key]) for key in PACKING if key in attributes}
    variable = xr.Variable([f"axis{axis}" for axis in range(stored.ndim)], _signless(stored, attributes), packing)
    with np.errstate(over="ignore", invalid="ignore"):
        return xr.decode_cf(xr.Dataset({"numbers": variable}), decode_times=False)["numbers"].to_numpy()


def coordinate(values: xr.DataArray) -> xr.DataArray:
    """A coordinate as it is meant, NaN where it is missing; one of no real numbers is left as it is."""
    if values.dtype.kind not in "fiu":
        return values
    stored = values.to_numpy()
    meant = unpacked(stored, values.attrs)
    for _, there in marks(stored, meant, values.attrs):
        if there.any():
            meant = np.where(there, np.nan, meant)
    kept = {key: value for key, value in values.attrs.items() if key not in (*PACKING, *MARKS, LIBRARY, UNSIGNED)}
    return xr.DataArray(meant, dims=values.dims, name=values.name, attrs=kept)


def marks(stored: np.ndarray, meant: np.ndarray, attributes: Mapping[str, Any]) -> Iterator[Mark]:
    """What marks numbers as missing, each with where it does: NaN, marks, and values outside the valid range."""
    stored = _signless(stored, attributes)
    if stored.dtype.kind == "f":
        yield "NaN", np.isnan(stored)
    packed = any(key in attributes for key in PACKING)
    for key in (*MARKS, LIBRARY):
        for number in _numbers(attributes, key):
            name = "the fill value of the file" if key == LIBRARY else key
            words = f"missing or was never written ({name}, {_shown(number)})"
            yield words, _equal(stored, number, attributes.get(key))
            if packed and isinstance(number, float) and key != LIBRARY:
                yield words, np.isclose(meant, number, rtol=1e-6, atol=0.0)
    low, high, among = _valid(stored, meant, attributes)
    if low is not None:
        yield f"below the valid range of the file ({_shown(low)})", among < low
    if high is not None:
        yield f"above the valid range of the file ({_shown(high)})", among > high


def _valid(
    stored: np.ndarray, meant: np.ndarray, attributes: Mapping[str, Any]
) -> tuple[float | None, float | None, np.ndarray]:
    """The bounds of what is valid, and the numbers that they bound: stored or unpacked ones."""
    low, high = None, None
    for key in VALID:
        numbers = _numbers(attributes, key)
        if numbers:
            low = numbers[0] if key != "valid_max" else low
            high = numbers[-1] if key != "valid_min" else high
    bounds = [each for each in (low, high) if each is not None]
    if stored.dtype.kind == "f":
        # a bound of more digits than the data must not exclude what is stored for it
        low, high = (None if each is None else float(stored.dtype.type(each)) for each in (low, high))
        return low, high, stored
    if any(isinstance(each, float) for each in bounds) and any(key in attributes for key in PACKING):
        room = 0.5 * abs(float(_single(attributes.get("scale_factor", 1.0))))
        return None if low is None else low - room, None if high is None else high + room, meant
    if stored.dtype.kind == "u":
        low, high = (None if each is None else _wrapped(each, stored.dtype) for each in (low, high))
    return low, high, stored


def _numbers(attributes: Mapping[str, Any], key: str) -> list[float]:
    """Of an attribute, as Python numbers, also where it is text; integers stay integers.

    Raises:
        ValueError: it holds none.
    """
    if key not in attributes:
        return []
    value = attributes[key]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return [_parsed(part) for part in value.replace(",", " ").split()] or [_parsed(value)]
    array = np.asarray(value)
    if array.dtype.kind in "UO":
        return [_parsed(str(each)) if isinstance(each, str) else _real(each) for each in array.ravel().tolist()]
    return [_real(each) for each in array.ravel().tolist()]


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return value


def _parsed(text: str) -> float:
    if len(text) == 12 and text.endswith("="):
        return float(struct.unpack("<d", base64.b64decode(text))[0])  # as xarray writes it for Zarr of format 3
    try:
        return int(text)
    except ValueError:
        return float(text.rstrip("fFdDsSbBlL"))  # as ncdump writes numbers of other types


def _bits(value: Any, dtype: np.dtype[Any]) -> float | None:
    """A `fill_value` as a number; formats of Zarr also write the bits of one."""
    try:
        if isinstance(value, str) and value.startswith("0x"):
            return float(np.frombuffer(bytes.fromhex(value[2:]), dtype.newbyteorder(">"))[0])
        return None if value is None else _numbers({"fill_value": value}, "fill_value")[0]
    except (IndexError, ValueError):
        return None


def _single(value: Any) -> Any:
    """A number out of whatever holds one, in its own type, which says how precisely to unpack."""
    if isinstance(value, str | bytes):
        return _numbers({"value": value}, "value")[0]
    return np.asarray(value).ravel()[0] if np.ndim(value) else value


def _signless(stored: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    unsigned = str(attributes.get(UNSIGNED, "")).lower()
    if stored.dtype.kind == "i" and unsigned in ("true", "1"):
        return stored.view(f"u{stored.dtype.itemsize}")
    return stored.view(f"i{stored.dtype.itemsize}") if stored.dtype.kind == "u" and unsigned == "false" else stored


def _wrapped(number: float, dtype: np.dtype[Any]) -> float:
    """A negative number as the one without sign that has its bits."""
    return number + 2 ** (8 * dtype.itemsize) if number < 0 else number


def _equal(stored: np.ndarray, number: float, written: object) -> np.ndarray:
    if stored.dtype.kind == "f":
        kinds = [np.dtype(getattr(written, "dtype", np.float64)), stored.dtype]
        least = min((kind for kind in kinds if kind.kind == "f"), key=lambda kind: kind.itemsize)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(stored.astype(least) == least.type(number))
    number = _wrapped(number, stored.dtype) if stored.dtype.kind == "u" else number
    limits = np.iinfo(stored.dtype)
    if not (np.isfinite(number) and number == int(number) and limits.min <= number <= limits.max):
        return np.zeros(stored.shape, bool)
    return np.asarray(stored == stored.dtype.type(int(number)))


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.6g}"
