"""Networks: maps of fields [batch, channel, *grid], one architecture per file, 1-D and 2-D from one definition.

`build` finds a network by the `kind` of its configuration, `describe` measures what it costs and sees.
"""

from __future__ import annotations

from typing import Any

from thermalize.config.networks import NetworkConfig
from thermalize.models.base import Network
from thermalize.models.describe import describe
from thermalize.models.drn import DilatedResNet
from thermalize.models.external import ImportedNetwork, level_fault
from thermalize.models.fno import FNO
from thermalize.models.stable_fno import StableFNO
from thermalize.models.unet import UNet

__all__ = ["NETWORKS", "Network", "build", "describe", "level_fault"]

NETWORKS: dict[str, Any] = {
    "unet": UNet,
    "drn": DilatedResNet,
    "fno": FNO,
    "stable_fno": StableFNO,
    "import": ImportedNetwork,
}


def build(config: NetworkConfig, dims: int, inputs: int, outputs: int) -> Network:
    """The configured network, [batch, inputs, *grid] → [batch, outputs, *grid] with `dims` axes."""
    network: Network = NETWORKS[config.kind](dims, inputs, outputs, config)
    return network
