"""Series and samples as variables of a CF dataset, and samples back, to the last bit.

Field values and increments of a block follow those of the block before it; how many there are stands beside the block
(contiguous ragged arrays of CF).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from thermalize.metrics.declared import Variable
from thermalize.metrics.samples import Sample

__all__ = ["BLOCK_MEMBER", "SAMPLE", "SERIES", "ragged", "sample_from", "sample_numbers"]

BLOCKS = ("block", "channel", "shell")
BLOCK_MEMBER = Variable(("block",), "member that the block belongs to", known=True)
SAMPLE = {
    "block_rank": Variable(("block",), "number of the block, counted back from the last one of its member", known=True),
    "block_frames": Variable(("block",), "frames of the block", known=True),
    "block_spectrum": Variable(BLOCKS, "variance spectrum, summed over the block's frames", "{variance}", known=True),
    "block_energy_spectrum": Variable(
        BLOCKS, "kinetic energy spectrum, summed over the block's frames", "{energy}", known=True, optional=True
    ),
    "block_values": Variable(("block",), "field values of the block", known=True),
    "block_increments": Variable(("block",), "increments of the block", known=True),
    "field_value": Variable(("value",), "field values, in standard deviations of the truth from its mean", known=True),
    "increment_value": Variable(
        ("increment_index",), "increments, in standard deviations of the truth's increments", known=True
    ),
}
SERIES = {
    "energy": Variable(("member", "time"), "energy of the state", "{energy}", known=True),
    "enstrophy": Variable(("member", "time"), "enstrophy of the state", "{enstrophy}", known=True),
    "band_variance": Variable(
        ("member", "time", "band"), "variance of the channel in the shells of the band", "{variance}", known=True
    ),
    "increment": Variable(
        ("member", "time", "channel"), "root mean square of the increment, missing at the first frame", "{field}"
    ),
}
RAGGED = {"block_values": "value", "block_increments": "increment_index"}
"""Variables that count the values of each block, and the dimension of these."""


def sample_numbers(sample: Sample) -> dict[str, Any]:
    """The numbers of `SAMPLE` and `BLOCK_MEMBER`."""
    blocks = sample.frames.size
    found = {
        "block_member": sample.member,
        "block_rank": sample.rank,
        "block_frames": sample.frames,
        "block_spectrum": sample.spectrum,
        "block_energy_spectrum": sample.energy_spectrum,
        "block_values": np.bincount(sample.field_block, minlength=blocks),
        "block_increments": np.bincount(sample.increment_block, minlength=blocks),
        "field_value": sample.field,
        "increment_value": sample.increment,
    }
    if not sample.energy_spectrum.shape[1]:
        del found["block_energy_spectrum"]
    return found


def sample_from(values: Mapping[str, np.ndarray]) -> Sample:
    """What `sample_numbers` were made of."""
    spectrum = values["block_spectrum"]
    numbers = np.arange(len(spectrum))
    return Sample(
        member=values["block_member"],
        rank=values["block_rank"],
        frames=values["block_frames"],
        spectrum=spectrum,
        energy_spectrum=values.get("block_energy_spectrum", spectrum[:, :0]),
        field=values["field_value"],
        field_block=np.repeat(numbers, values["block_values"]),
        increment=values["increment_value"],
        increment_block=np.repeat(numbers, values["block_increments"]),
    )


def ragged(dataset: xr.Dataset) -> xr.Dataset:
    """With the attributes that CF has for what is counted beside the blocks."""
    for name, dimension in RAGGED.items():
        dataset[name].attrs["sample_dimension"] = dimension
    return dataset
