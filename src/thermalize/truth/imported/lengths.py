"""How long a NetCDF file of version 3 must be, by its own header.

The library reads zeros where such a file ends too soon, as a copy that was cut short does; the newer formats, which are
HDF5, know their own end. The header (NetCDF Classic Format Specification) is

    magic  numrecs  dim_list  gatt_list  var_list          integers of 4 bytes; in CDF-5 sizes and counts have 8
    var  = name  rank [dimid …]  vatt_list  nc_type  vsize  begin                       begin has 4 bytes in CDF-1

A variable without the record dimension takes the bytes begin … begin + size. The records of all others are interleaved:
record r of a variable begins at begin + r · Σ vsize.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from thermalize.runtime.errors import UserError

__all__ = ["refuse_cut"]

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
"""Bytes of a number of each type."""
STREAMED = {4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}
"""Stands for a number of records that was not known when the header was written."""
MOST = 1 << 20
"""Dimensions, attributes, variables or letters of a name in one list, beyond which a header must be damaged."""


@dataclass(frozen=True)
class _Variable:
    begin: int
    size: int
    """Of the whole variable, or of one record of it."""
    recorded: bool


class _Header:
    """Reads the parts of a header one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._bytes = file, os.fstat(file.fileno()).st_size
        version = file.read(4)[3]
        self.wide, self._offset = (8 if version == 5 else 4), (4 if version == 1 else 8)
        self.records = self._number(self.wide)
        self._dims = [self._dimension() for _ in range(self._list())]
        self._attributes()
        self.variables = [self._variable() for _ in range(self._list())]

    def _number(self, size: int = 4) -> int:
        data = self._file.read(size)
        return int(struct.unpack(">I" if size == 4 else ">Q", data)[0])

    def _count(self) -> int:
        count = self._number(self.wide)
        if count > MOST:
            raise ValueError(f"a list of {count} entries")
        return count

    def _list(self) -> int:
        self._number()
        return self._count()

    def _skip(self, size: int) -> None:
        if size > self._bytes:
            raise ValueError(f"{size} bytes in a file of {self._bytes}")
        self._file.seek(-(-size // 4) * 4, 1)

    def _dimension(self) -> int:
        self._skip(self._count())
        return self._number(self.wide)

    def _attributes(self) -> None:
        for _ in range(self._list()):
            self._skip(self._count())
            kind = self._number()
            self._skip(SIZES[kind] * self._number(self.wide))

    def _variable(self) -> _Variable:
        self._skip(self._count())
        lengths = [self._dims[self._number(self.wide)] for _ in range(self._count())]
        self._attributes()
        kind = self._number()
        self._number(self.wide)  # vsize, which cannot hold 4 GiB and follows from the rest
        recorded = bool(lengths) and lengths[0] == 0
        return _Variable(self._number(self._offset), SIZES[kind] * prod(lengths[recorded:]), recorded)


def refuse_cut(path: Path) -> None:
    """Raise a `UserError` if a file of version 3 is shorter than its header says, or has no readable header."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            needed = _needed(_Header(file))
    except (struct.error, KeyError, IndexError, ValueError, OverflowError):
        raise UserError(f"simulation.import: the header of {path} is damaged; copy or make the file again") from None
    if needed > size:
        raise UserError(
            f"simulation.import: {path} has {size} bytes, but {needed} by its header: it was cut short, and the rest "
            "would "
            "be read as zeros; copy it again"
        )


def _needed(header: _Header) -> int:
    """Bytes up to the end of the last variable; the filling behind it may be left out."""
    recorded = [each for each in header.variables if each.recorded]
    record = recorded[0].size if len(recorded) == 1 else sum(-(-each.size // 4) * 4 for each in recorded)
    records = 0 if header.records == STREAMED[header.wide] else header.records
    ends = [each.begin + each.size for each in header.variables if not each.recorded]
    ends += [each.begin + (records - 1) * record + each.size for each in recorded if records]
    return max(ends, default=0)
