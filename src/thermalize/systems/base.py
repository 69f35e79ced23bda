"""What a simulated system and its time stepper offer: du/dt = 𝓛u + 𝓝(u), diagonal 𝓛 in spectral space.

States have shape [..., channel, *grid] in physical and [..., channel, *modes] in spectral space; leading axes are
members of an ensemble, which never interact. A system is independent of files, schedulers and configuration beyond
its own parameters.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["Stepper", "System"]


class Stepper(Protocol):
    """Advances a spectral state by one step of fixed length; `order` is the order of accuracy it claims."""

    order: int

    def step(self, u_hat: Tensor) -> Tensor:
        """State one step later, same shape and type; the argument stays as it is."""
        ...


class System(Protocol):
    """A partial differential equation with its grid, in one floating-point type on one device.

    Attributes:
        variable: name of the data variable, e.g. "velocity".
        long_name: the variable in words.
        units: units of the variable, "1" when non-dimensional.
        length_units, time_units: units of coordinates and of time.
        equation: the equation in plain text, kept with the data.
        channels: names along the channel axis.
        axes: spatial coordinates of stored fields in the order of the array axes, last axis last.
        lengths: periods of the domain, one per axis.
        dtype: real type of physical states, torch.float32 or torch.float64.
        device: where states live.
        linear: symbol of 𝓛 [*modes] or [channel, *modes], float64 or complex128 on the CPU whatever `dtype` and
            `device`, because time steppers derive their coefficients from it.
        advective: whether advection limits the step; not where dissipation damps all that it could make unstable.
        filter: multiplies the spectral state after every step, or None.
    """

    variable: str
    long_name: str
    units: str
    length_units: str
    time_units: str

    @property
    def equation(self) -> str: ...

    channels: tuple[str, ...]
    axes: dict[str, np.ndarray]
    lengths: tuple[float, ...]
    dtype: torch.dtype
    device: torch.device
    linear: Tensor
    advective: bool
    filter: Tensor | None

    def initial_condition(self, rng: np.random.Generator) -> Tensor:
        """A random state of one member, [channel, *grid]."""
        ...

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., channel, *grid] → [..., channel, *modes]."""
        ...

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., channel, *modes] → [..., channel, *grid]."""
        ...

    def observe(self, u_hat: Tensor) -> Tensor:
        """Physical state at the stored points, which may be fewer than the solver's."""
        ...

    def nonlinear(self, u_hat: Tensor) -> Tensor:
        """𝓝 of a spectral state, in spectral space, de-aliased."""
        ...

    def tendency(self, u: Tensor) -> Tensor:
        """du/dt of a physical state, in physical space."""
        ...

    def courant(self, u_hat: Tensor, dt: float) -> float:
        """Grid cells that the fastest point of the spectral state is carried over in one step."""
        ...
