"""Where every result lies, for the stages and for the workflow alike.

Arguments may be Snakemake wildcards: ``Results("demo").rollout("{emulator}", "{stabilizer}", "{seed}")``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["DIGEST", "MODEL_FILES", "PROGRAM", "SUMS", "Results", "digests_of", "with_digest"]

DIGEST = ".sha256"
"""Ends the name of the file beside an artifact that holds its digest."""

SUMS = "SHA256SUMS"
"""Holds the digests of a folder whose files belong together."""

PROGRAM = "program.pt2"
MODEL_FILES = ("model.json", "model.safetensors", "last.safetensors", "history.csv", "README.md", SUMS)


def with_digest(path: Path | str) -> list[str]:
    """An artifact and the file beside it that holds its digest, for the rules that make or need it."""
    return [str(path), *digests_of(path)]


def digests_of(*paths: Path | str) -> list[str]:
    """The files beside artifacts that hold their digests."""
    return [f"{path}{DIGEST}" for path in paths]


@dataclass(frozen=True)
class Results:
    """Paths of one experiment below `root`/{name}."""

    name: str
    root: Path = Path("results")

    @cached_property
    def folder(self) -> Path:
        return self.root / self.name

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def device(self) -> Path:
        """Proof that the demanded device is there."""
        return self.folder / "device.json"

    def simulation(self, split: str) -> Path:
        """Manifest of a split; its store lies beside it."""
        return self.folder / "simulation" / f"{split}.manifest.json"

    @property
    def reference(self) -> Path:
        """The test split as it was measured, which everything is compared with."""
        return self.folder / "reference" / "truth.nc"

    @property
    def bands(self) -> Path:
        """Band energies of the train split."""
        return self.folder / "reference" / "bands.nc"

    def emulator(self, emulator: str) -> Path:
        return self.folder / "emulators" / emulator

    def diffusion(self, diffusion: str) -> Path:
        return self.folder / "diffusion" / diffusion

    def samples(self, diffusion: str) -> Path:
        """States that a diffusion model made, compared with held-out truth."""
        return self.folder / "samples" / f"{diffusion}.nc"

    def tensorboard(self, group: str, name: str) -> Path:
        """Event files of a training, if they are asked for."""
        return self.folder / "tensorboard" / group / name

    def rollout(self, emulator: str, stabilizer: str, seed: int | str) -> Path:
        """Manifest of a rollout; its store lies beside it."""
        return self.folder / "rollouts" / emulator / stabilizer / f"seed{seed}.manifest.json"

    def cost(self, emulator: str) -> Path:
        return self.folder / "cost" / f"{emulator}.json"

    def diagnostics(self, emulator: str, stabilizer: str, seed: int | str) -> Path:
        return self.folder / "diagnostics" / emulator / stabilizer / f"seed{seed}.nc"

    def ensemble(self, emulator: str, stabilizer: str) -> Path:
        """Scores of all seeds as one ensemble."""
        return self.folder / "ensembles" / emulator / f"{stabilizer}.nc"

    def table(self, suffix: str, name: str = "summary") -> Path:
        return self.folder / "tables" / f"{name}.{suffix}"

    def figure(self, figure: str) -> Path:
        """Stem of a figure, without suffix."""
        return self.folder / "figures" / figure

    @property
    def movie(self) -> Path:
        return self.folder / "figures" / "movie.gif"

    @property
    def movie_in_report(self) -> Path:
        """The movie as animated PNG, which a report shows in place."""
        return self.folder / "report" / "movie.png"
