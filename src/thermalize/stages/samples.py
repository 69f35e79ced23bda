"""What a diffusion model makes by itself and of true states, compared with held-out truth and written as NetCDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from thermalize.config import DiffusionConfig, Experiment
from thermalize.diffusion.denoiser import NoisePredictor
from thermalize.diffusion.generation import Protocol, protocols
from thermalize.diffusion.load import load_diffusion
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.metrics.generated import ThinnedTruth, describe_generated, thin
from thermalize.metrics.reference import field_of
from thermalize.models.folder import read_card
from thermalize.models.normalization import Normalization
from thermalize.runtime.errors import UserError
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.runtime.progress import track
from thermalize.runtime.streams import torch_seed
from thermalize.stages.reference import read_reference
from thermalize.store.manifest import check_system, open_store
from thermalize.store.netcdf import write_dataset
from thermalize.store.results import Results

__all__ = ["generate", "sample_diffusion"]

BATCH = 64


def sample_diffusion(experiment: Experiment, name: str, paths: Results, device: torch.device) -> None:
    """Lets the model `diffusion.{name}` make states and writes how they compare with the truth, atomically."""
    folder, system = paths.diffusion(name), experiment.simulation.identity
    diffusion = load_diffusion(folder, system, device, trust_code=experiment.diffusion[name])
    dataset = open_store(paths.simulation("test"), storage=experiment.storage)
    check_system(dataset, experiment)
    reference = read_reference(paths.reference, dataset)
    truth = thin(field_of(dataset), reference, experiment.diagnostics.samples)
    result = _sample(experiment, name, diffusion, read_card(folder, "diffusion", system), truth, device)
    write_dataset(paths.samples(name), result)


def _sample(
    experiment: Experiment,
    name: str,
    diffusion: TrainedDiffusion,
    card: Mapping[str, Any],
    truth: ThinnedTruth,
    device: torch.device,
) -> xr.Dataset:
    origins = torch.from_numpy(truth.origins)
    mean, std = Normalization.of(card["normalization"]).tensors(card["dims"])
    x = ((origins - mean) / std).flatten(0, 1)
    made, chosen = {}, protocols(diffusion.schedule, DiffusionConfig.model_validate(card["config"]).train_levels)
    for protocol in chosen:
        seed = torch_seed(experiment.seed, "samples", name, protocol.kind)
        states = generate(protocol, diffusion.model, x, seed, device, f"{protocol.kind} states of {name}")
        if not torch.isfinite(states).all():
            raise UserError(
                f"the diffusion model {name!r} made {protocol.kind} states that are not finite; train it for more "
                "updates or at a lower learning rate"
            )
        # Those from noise are members of their own, the others depend on each other as their origins do.
        shape = (len(states), 1) if protocol.from_noise else origins.shape[:2]
        made[protocol.kind] = (states.unflatten(0, shape) * std + mean).numpy()
    how = {"level": [protocol.level for protocol in chosen], "noise": [protocol.noise for protocol in chosen]}
    evaluations = [len(protocol.levels) for protocol in chosen]
    return describe_generated(truth, made, {**how, "evaluations": evaluations}, experiment, name)


@torch.inference_mode()
def generate(
    protocol: Protocol,
    model: NoisePredictor,
    truth: Tensor,
    seed: int,
    device: torch.device,
    label: str,
    batch: int = BATCH,
) -> Tensor:
    """States from normalised `truth` [state, channel, *grid], on the CPU; each draws from a stream of its own."""
    keys, made = member_keys(seed, 0, len(truth)), []
    with track(len(truth), label, unit="state") as bar:
        for rows in torch.arange(len(truth)).split(batch):
            made.append(protocol.make(model, truth[rows].to(device), rows, MemberNoise(keys, 0)).cpu())
            bar.update(len(rows))
    return torch.cat(made)
