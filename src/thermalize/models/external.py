"""Networks from outside, and whose Python code a model folder may run.

Whose Python code a model folder may run.

The card of a model says what the model is made of; of `kind: import` that is a Python function and its arguments. A
card is a file that may come from anybody, so that its word is not enough: either the caller trusts the folder, or the
configuration that asks for the model names the same function with the same arguments.

Networks from outside: `kind: import` with `target: package.module:factory`.

    factory(dims=…, inputs=…, outputs=…, **options) → torch.nn.Module: [batch, inputs, *grid] → [batch, outputs, *grid]

The module is looked for where Python looks, and in the working directory after that. It serves an emulator as it is. A
diffusion model also needs `encode`, `decode` and `features` as in `thermalize.models.base.Network`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from torch import Tensor, nn

from thermalize.config.networks import ImportedNetworkConfig
from thermalize.models.base import Network, run
from thermalize.runtime.errors import UserError
from thermalize.runtime.targets import made

__all__ = ["ImportedNetwork", "Trust", "level_fault", "names_code", "require_trust"]

Trust = bool | BaseModel


def require_trust(folder: Path, card: Mapping[str, Any], trust: Trust) -> None:
    """Raises UserError where the card names Python code that the caller does not trust."""
    named = list(_code(card["config"]))
    if trust is True or not named:
        return
    target, options = named[0]
    what = f"{folder} calls Python code, {target!r} with {options!r}"
    if isinstance(trust, BaseModel):
        if named != list(_code(trust.model_dump(mode="json"))):
            raise UserError(f"{what}, which is not what the configuration names; delete the folder and train again")
        return
    raise UserError(f"{what}; load it with trust_code=True if you trust whoever made the folder")


def names_code(config: Mapping[str, Any]) -> bool:
    """Whether a model of this configuration is made by Python code from outside."""
    return any(_code(config))


def _code(value: Any) -> Iterator[tuple[Any, Any]]:
    """Functions and arguments of each part of `kind: import`."""
    if isinstance(value, Mapping):
        if value.get("kind") == "import":
            yield value.get("target"), value.get("options", {})
        for each in value.values():
            yield from _code(each)
    elif isinstance(value, list):
        for each in value:
            yield from _code(each)


class ImportedNetwork(Network):
    """A module from outside with the interface of the networks here."""

    def __init__(self, dims: int, inputs: int, outputs: int, config: ImportedNetworkConfig) -> None:
        super().__init__(dims, inputs, outputs, config)
        self.network = _network(config, dims=dims, inputs=inputs, outputs=outputs)
        self.split = all(hasattr(self.network, name) for name in ("encode", "decode", "features"))
        self.features = int(self.network.features) if self.split else outputs  # type: ignore[arg-type]

    def encode(self, x: Tensor) -> list[Tensor]:
        if self.split:
            return self.network.encode(x)  # type: ignore[operator]
        return [self._checked(run(self.network, x, checkpointing=self.config.checkpointing), x)]

    def decode(self, features: list[Tensor]) -> Tensor:
        return self.network.decode(features) if self.split else features[-1]  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        return self._checked(super().forward(x), x)

    def _checked(self, y: Any, x: Tensor) -> Tensor:
        expected = (x.shape[0], self.outputs, *x.shape[2:])
        if not isinstance(y, Tensor) or y.shape != expected:
            found = f"shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
            raise UserError(f"network {self.config.target!r} returns {found} where a tensor of {expected} is needed")
        return y


def level_fault(network: Network) -> str | None:
    """Why a diffusion model cannot read the noise level from the network; None where it can."""
    if isinstance(network, ImportedNetwork) and not network.split:
        return (
            f"network {network.config.target!r} has no encode, decode and features, from which a diffusion model reads "
            f"the noise level; add them, or use the network for an emulator"
        )
    return None


def _network(config: ImportedNetworkConfig, **sizes: int) -> nn.Module:
    network = made(config.target, config.options, sizes)
    if not isinstance(network, nn.Module):
        raise UserError(f"target {config.target!r} returns {type(network).__name__}; it must return a torch.nn.Module")
    return network
