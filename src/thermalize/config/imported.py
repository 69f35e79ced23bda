"""Trajectories of the user's own as the truth: which files, what their names mean, how they become splits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from thermalize.config.base import Line, Name, SplitName, Strict, Units, Words, quantity
from thermalize.config.cluster import DaskConfig
from thermalize.config.simulation import MOST_FRAMES, MOST_MEMBERS
from thermalize.config.systems import MOST_POINTS
from thermalize.config.texts import is_url, url_fault

__all__ = ["MOST_CHANNELS", "DimsConfig", "ImportConfig", "ImportSplitConfig", "PointsConfig", "SidesConfig"]

MOST_CHANNELS = 1000
TAKEN = ("member", "time", "channel", "x", "y", "level", "reverse_steps", "displacement", "drift", "rescaled", "step")
"""Names of the coordinates of a store, and of the series that a rollout keeps beside the variable."""


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


Paths = Annotated[tuple[Line, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class DimsConfig(Strict):
    """What the dimensions of the variables are called in the files; one that is left out does not exist."""

    time: Line = Field(description="time")
    x: Line = Field(description="the last axis of the grid")
    y: Line | None = Field(None, description="the first axis of a two-dimensional grid")
    member: Line | None = Field(None, description="ensemble member")
    channel: Line | None = Field(None, description="what becomes channels, such as depth level")


class SidesConfig(Strict):
    """Sides of the periodic domain."""

    x: float = quantity("length_units", "side along x", ge=1e-12, le=1e12)
    y: float | None = quantity("length_units", "side along y", None, ge=1e-12, le=1e12)


class PointsConfig(Strict):
    """Grid points of the periodic domain."""

    x: int = quantity("1", "grid points along x", gt=1, le=MOST_POINTS)
    y: int | None = quantity("1", "grid points along y", None, gt=1, le=MOST_POINTS)


class ImportSplitConfig(Strict):
    """Members of a split, each a run of consecutive frames."""

    members: int = quantity(
        "1", "members of the files; with `split: time`, windows cut from them", gt=0, le=MOST_MEMBERS
    )
    frames: int = quantity("1", "stored frames per member", gt=1, le=MOST_FRAMES)

    @property
    def stored_members(self) -> int:
        """Rows of the store."""
        return self.members


class ImportConfig(Strict):
    """Trajectories that are read from files instead of being simulated; docs/importing.md walks through an example."""

    source: Paths = Field(
        alias="import",
        description="NetCDF files or Zarr stores: paths, patterns such as data/*.nc, or URLs of Zarr stores such as "
        "s3://bucket/x.zarr; one alone needs no list",
    )
    files: Literal["time", "member"] = Field("time", description="several files follow each other along time or member")
    dims: DimsConfig
    variable: Name = Field(description="the variable in the files; with `channels`, the name of the field in the store")
    channels: dict[Name, Line] | None = Field(
        None,
        min_length=1,
        max_length=MOST_CHANNELS,
        description="name of every channel and the variable in the files that holds it",
    )
    long_name: Words | None = Field(None, description="the variable in words; that of the files when left out")
    units: Units = Field(description="units of the variable, as in the files")
    frame_interval: float = quantity(
        "time_units", "time between stored frames, which is the emulator's step", ge=1e-9, le=1e12
    )
    time_units: Units = Field(description="unit of time; seconds, minutes, hours or days where the files hold dates")
    length_units: Units | None = Field(None, description="units of x and y; those of the files when left out")
    unusual: Literal["refuse", "accept"] = Field(
        "refuse",
        description="frames of one value, frames that are the one before again, and values far from all others: refuse "
        "them as missing, or accept them where the field is truly so",
    )
    every: int = quantity("1", "keep every n-th frame of the files", 1, gt=0, le=MOST_FRAMES)
    spin_up: float = quantity("time_units", "time discarded at the beginning of the trajectories", 0.0, ge=0, le=1e15)
    periods: SidesConfig | None = Field(
        None, description="sides of the periodic domain; points × spacing of the coordinates when left out"
    )
    points: PointsConfig | None = Field(None, description="grid points, so that they are checked before a file is read")
    split: Literal["member", "time"] = Field(
        description="splits are different members, or consecutive blocks of time with a gap between them"
    )
    gap: float | None = quantity(
        "time_units", "time left out between the splits, for `split: time`", None, ge=1e-9, le=1e15
    )
    splits: dict[SplitName, ImportSplitConfig] = Field(description="train, valid and test, in this order")
    block: int = quantity(
        "1", "members that one Dask task copies and writes as its own shards", 1, gt=0, le=MOST_MEMBERS
    )
    shard_frames: int = quantity("1", "frames per shard file, the unit of streaming", 200, gt=0, le=MOST_FRAMES)
    dask: DaskConfig = DaskConfig()

    @property
    def axes(self) -> tuple[Literal["y", "x"], ...]:
        """Axes of the grid in the order of the stored arrays."""
        return ("x",) if self.dims.y is None else ("y", "x")

    @property
    def grid(self) -> tuple[int, ...]:
        """Points along each axis; () where the files alone know them."""
        return () if self.points is None else tuple(getattr(self.points, axis) for axis in self.axes)

    @property
    def channel_count(self) -> int:
        """Channels that are known by name; one where the files alone know them."""
        return len(self.channels or [self.variable])

    @property
    def identity(self) -> dict[str, Any]:
        """What a model must agree with to be used on these data, beside the frame interval."""
        stated = self.model_dump(mode="json", include={"variable", "units", "time_units", "length_units"})
        return {
            "kind": "import",
            **stated,
            "channels": None if self.channels is None else list(self.channels),
            "axes": list(self.axes),
            "points": list(self.grid) or None,
            "periods": None if self.periods is None else [getattr(self.periods, axis) for axis in self.axes],
        }

    @property
    def label(self) -> str:
        """The data in a few words, for tables."""
        return " ".join(["import", self.variable, *(["x".join(map(str, self.grid))] if self.grid else [])])

    @field_validator("source")
    @classmethod
    def _urls_are_open(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if is_url(each) and (fault := url_fault(each)):
                raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _names_fit(self) -> ImportConfig:
        if not self.source:
            raise ValueError("import is empty; name the files")
        if self.variable.lower() in TAKEN or self.variable.startswith("measured_"):
            raise ValueError(f"variable = {self.variable} is the name of something else in a store; choose another one")
        if self.channels is not None and self.dims.channel is not None:
            raise ValueError("channels and dims.channel are both given; keep the one that tells the channels apart")
        named = [name for name in self.dims.model_dump().values() if name is not None]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"dims names the dimension {name!r} twice")
        for sides in ("periods", "points"):
            given = getattr(self, sides)
            if given is not None and (given.y is None) != (self.dims.y is None):
                raise ValueError(f"{sides} and dims must both have y, or neither of them")
        return self

    @model_validator(mode="after")
    def _splits_fit(self) -> ImportConfig:
        missing = {"train", "valid", "test"} - set(self.splits)
        if missing:
            raise ValueError(f"splits lacks {', '.join(sorted(missing))}")
        if self.split == "time" and self.gap is None:
            raise ValueError("gap is missing: split: time needs the time to leave out between the splits")
        if self.split == "member" and self.gap is not None:
            raise ValueError("gap is for split: time; different members need none")
        if self.files == "member" and self.dims.member is not None:
            raise ValueError("files: member makes each file a member, so dims.member must be left out")
        if self.split == "member" and self.files == "time" and self.dims.member is None:
            raise ValueError(
                "split: member needs members: name their dimension in dims.member, write files: member where each file "
                "is one, or write split: time for a single trajectory"
            )
        return self
