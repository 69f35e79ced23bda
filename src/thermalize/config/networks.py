"""Networks: their sizes, the grids they fit, and how fields continue beyond the edge of the domain."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from thermalize.config.base import FACTORY, Line, Strict, by_kind, quantity

__all__ = [
    "AXES",
    "DilatedResNetConfig",
    "Edge",
    "EdgesConfig",
    "FNOConfig",
    "ImportedNetworkConfig",
    "NetworkConfig",
    "StableFNOConfig",
    "UNetConfig",
]

Edge = Literal["periodic", "replicate", "zeros"]
MOST_CHANNELS = 65_536
MOST_BLOCKS = 1000
AXES: dict[int, tuple[Literal["x", "y"], ...]] = {1: ("x",), 2: ("y", "x")}


class EdgesConfig(Strict):
    """How fields continue beyond the edge, axis by axis."""

    y: Edge | None = Field(None, description="along y, of two-dimensional grids alone; periodic when left out")
    x: Edge | None = Field(None, description="along x; periodic when left out")


def _shape(value: Any) -> str:
    return EdgesConfig.__name__ if isinstance(value, dict | EdgesConfig) else "literal"


# By the tags configplaces finds the alternative that a fault lies in.
Boundary = Annotated[
    Annotated[Edge, Tag("literal")] | Annotated[EdgesConfig, Tag("EdgesConfig")], Discriminator(_shape)
]


class Common(Strict):
    """What every network answers about the grids it fits."""

    checkpointing: bool = Field(
        False, description="compute activations again in the backward pass: less memory, one forward pass more"
    )

    @property
    def divisor(self) -> int:
        """Each axis of the grid must be a multiple of it."""
        return 1

    @property
    def least(self) -> int:
        """Fewest points per axis."""
        return 1

    def edges(self, dims: int) -> tuple[Edge, ...]:
        """How fields continue beyond the edge, one word per axis of the grid in the order of AXES."""
        periodic: Edge = "periodic"
        return (periodic,) * dims

    def boundary_fault(self, dims: int, where: str = "network") -> str | None:  # noqa: ARG002
        """Why `boundary` does not fit a grid of `dims` axes; `where` is the dotted key of this section."""
        return None

    def grid_fault(self, grid: tuple[int, ...], where: str = "network") -> str | None:
        """What keeps the network from running on a grid; `where` is the dotted key of this section."""
        for points in grid:
            if points % self.divisor:
                return f"{where} needs multiples of {self.divisor} grid points, but an axis has points = {points}"
            if points < self.least:
                return f"{where} needs at least {self.least} grid points per axis, but one has points = {points}"
        return None


class Own(Common):
    """What the networks of this package share."""

    boundary: Boundary = Field(
        "periodic",
        description="how fields continue beyond the edge: one word, or one per axis as {y: replicate, x: periodic}",
    )

    def edges(self, dims: int) -> tuple[Edge, ...]:
        if isinstance(self.boundary, str):
            return (self.boundary,) * dims
        return tuple(getattr(self.boundary, axis) or "periodic" for axis in AXES[dims])

    def boundary_fault(self, dims: int, where: str = "network") -> str | None:
        if isinstance(self.boundary, str):
            return None
        for axis, edge in self.boundary:
            if edge is not None and axis not in AXES[dims]:
                known = " and ".join(AXES[dims])
                return f"{where}.boundary.{axis} = {edge!r} has no axis: the grid has only {known}; leave {axis} out"
        return None


class Convolutional(Own):
    kernel_size: int = quantity("grid points", "odd width of every convolution", 5, ge=3, le=1001)

    @model_validator(mode="after")
    def _odd_kernel(self) -> Convolutional:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} is even; try {self.kernel_size + 1}")
        return self


class UNetConfig(Convolutional):
    """Residual convolutional U-Net, 1-D or 2-D as the system is."""

    kind: Literal["unet"] = "unet"
    width: int = quantity("channels", "channels of the finest level", 16, gt=0, le=MOST_CHANNELS)
    multipliers: tuple[Annotated[int, Field(gt=0, le=1024)], ...] = Field(
        (1, 2, 4),
        min_length=1,
        max_length=20,
        description="channels of each level in units of width; each further level halves the grid",
    )
    blocks: int = quantity("1", "residual blocks per level", 1, gt=0, le=MOST_BLOCKS)
    norm: Literal["none", "group"] = Field(
        "none", description="group normalisation before each convolution of the residual blocks, or none"
    )
    attention: bool = Field(False, description="self-attention over all points of the coarsest level")

    @property
    def divisor(self) -> int:
        return int(2 ** (len(self.multipliers) - 1))

    @property
    def least(self) -> int:
        """A circular pad reaches around the coarsest grid once at most."""
        return self.divisor * (self.kernel_size // 2)

    def grid_fault(self, grid: tuple[int, ...], where: str = "network") -> str | None:
        odd = [(axis, points) for axis, points in zip("yx"[-len(grid) :], grid, strict=False) if points % self.divisor]
        if odd:
            (axis, points), below = odd[0], odd[0][1] // self.divisor * self.divisor
            return (
                f"{where} halves the grid {len(self.multipliers) - 1} times, but the {points} points along {axis} are "
                "not "
                f"divisible by {self.divisor}; use {below or self.divisor} or {below + self.divisor} points, or fewer "
                "multipliers"
            )
        return super().grid_fault(grid, where)


class DilatedResNetConfig(Convolutional):
    """Residual network of dilated convolutions at full resolution."""

    kind: Literal["drn"]
    width: int = quantity("channels", "channels of every layer", 32, gt=0, le=MOST_CHANNELS)
    blocks: int = quantity("1", "residual blocks, each with one convolution per dilation", 4, gt=0, le=MOST_BLOCKS)
    kernel_size: int = quantity("grid points", "odd width of every convolution", 3, ge=3, le=1001)
    dilations: tuple[Annotated[int, Field(gt=0, le=100_000)], ...] = Field(
        (1, 2, 4, 8, 4, 2, 1),
        min_length=1,
        max_length=100,
        description="distance of the points that each convolution of a block combines [grid points]",
    )

    @property
    def least(self) -> int:
        return max(self.dilations) * (self.kernel_size // 2)


class Spectral(Own):
    """What the Fourier neural operators share."""

    width: int = quantity("channels", "channels of every layer", 32, gt=0, le=MOST_CHANNELS)
    modes: int = quantity("1", "wavenumbers 0 … modes−1 with weights of their own along each axis", 16, gt=0, le=10_000)
    blocks: int = quantity("1", "spectral layers", 4, gt=0, le=MOST_BLOCKS)
    padding: float = quantity(
        "1",
        "points added for the transforms along an axis that is not periodic, as a fraction of its own",
        0.25,
        gt=0,
        le=10,
    )


class FNOConfig(Spectral):
    """Fourier neural operator: learned matrices on low wavenumbers beside pointwise mixing."""

    kind: Literal["fno"]


class StableFNOConfig(Spectral):
    """Fourier neural operator with bounded multipliers and mixes, whose layers do not enlarge differences."""

    kind: Literal["stable_fno"]
    expansion: int = quantity("1", "channels inside the pointwise networks in units of width", 4, gt=0, le=1024)
    ratio: float = quantity("1", "largest wavenumber that layers pass on, in units of the grid's own", 0.5, gt=0, le=1)
    position: bool = Field(
        False, description="add learned functions of position; the network then no longer commutes with shifts"
    )

    @model_validator(mode="after")
    def _bounded(self) -> StableFNOConfig:
        if "replicate" in self.edges(2):
            raise ValueError("boundary = 'replicate' enlarges fields and voids the bound of stable_fno; try 'zeros'")
        return self


class ImportedNetworkConfig(Common):
    """A network of your own, made by a function or class that Python can import."""

    kind: Literal["import"]
    target: Line = Field(description="package.module:factory, called with dims, inputs, outputs and the options")
    options: dict[str, Any] = Field(default_factory=dict, description="further arguments of the factory")
    multiple: int = quantity("grid points", "each axis of the grid must be a multiple of it", 1, gt=0, le=100_000)

    @model_validator(mode="after")
    def _callable(self) -> ImportedNetworkConfig:
        if not re.match(FACTORY, self.target):
            raise ValueError(f"target = {self.target!r} names nothing to call; write package.module:factory")
        taken = [name for name in ("dims", "inputs", "outputs") if name in self.options]
        if taken:
            raise ValueError(f"options holds {taken[0]!r}, which the factory is given anyway; leave it out")
        return self

    @property
    def divisor(self) -> int:
        return self.multiple


NetworkConfig = Annotated[
    Annotated[UNetConfig, Tag("unet")]
    | Annotated[DilatedResNetConfig, Tag("drn")]
    | Annotated[FNOConfig, Tag("fno")]
    | Annotated[StableFNOConfig, Tag("stable_fno")]
    | Annotated[ImportedNetworkConfig, Tag("import")],
    by_kind("unet"),
]
