"""Methods that are added to the package: as few files as docs/extending.md says, and nothing else is edited."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
import yaml
from workflow_run import ROOT, TINY, environment, python

FILES = {
    "src/thermalize/config/stabilizers/damping.py": '''
"""Damping."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.base import quantity
from thermalize.config.stabilizers.base import StabilizerConfig


class DampingConfig(StabilizerConfig):
    """Every state is made smaller."""

    implementation: ClassVar[str] = "thermalize.stabilizers.damping"

    kind: Literal["damping"]
    strength: float = quantity("1", "share of the state that is taken off", 0.01, ge=0, le=1)
''',
    "src/thermalize/stabilizers/damping.py": '''
"""x ← (1 − strength) x."""

from thermalize.runtime.members import Series
from thermalize.stabilizers.base import Stabilized, Stateless


class Damping(Stateless):
    series = (Series("taken", "root mean square of what was taken off"),)

    def __init__(self, strength):
        self.strength = strength

    def __call__(self, x, step, rows, noise, memory):
        return Stabilized.of((1 - self.strength) * x, taken=self.strength * x.flatten(1).square().mean(1).sqrt())


def build(config, inputs):
    return Damping(config.strength)
''',
    "src/thermalize/config/emulators/noisy.py": '''
"""A residual emulator that draws."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.base import quantity
from thermalize.config.emulators.residual import EmulatorConfig


class NoisyConfig(EmulatorConfig):
    """A residual emulator with noise on every state."""

    implementation: ClassVar[str] = "thermalize.emulators.noisy"

    kind: Literal["noisy"]
    kick: float = quantity("standard deviations of the data", "noise on every state", 0.01, ge=0, le=1)
''',
    "src/thermalize/emulators/noisy.py": '''
"""x_{t+1} = x_t + F(x_t) + kick ξ."""

from thermalize.emulators.objective import EmulatorObjective
from thermalize.emulators.residual import ResidualEmulator


class Noisy(ResidualEmulator):
    evaluations = 3

    def __init__(self, config, *sizes):
        super().__init__(config, *sizes)
        self.kick = config.kick

    def advance(self, x, past, rows, noise):
        return self(x) + self.kick * noise.draw(rows, x), {}


build = Noisy
''',
    "src/thermalize/config/systems/damped.py": '''
"""The Kuramoto–Sivashinsky equation with friction."""

from __future__ import annotations

from typing import ClassVar, Literal

from thermalize.config.base import quantity
from thermalize.config.systems.ks import KuramotoSivashinskyConfig


class DampedConfig(KuramotoSivashinskyConfig):
    """u_t = −½(u²)_x − u_xx − u_xxxx − αu."""

    implementation: ClassVar[str] = "thermalize.systems.damped"

    kind: Literal["damped"]
    friction: float = quantity("1/time unit", "friction α", 0.01, ge=0, le=1)
''',
    "src/thermalize/systems/damped.py": '''
"""u_t = −½(u²)_x − u_xx − u_xxxx − αu."""

from thermalize.systems.ks import KuramotoSivashinsky


class Damped(KuramotoSivashinsky):
    equation = "u_t = -1/2 (u^2)_x - u_xx - u_xxxx - a u"

    def __init__(self, config, *where):
        super().__init__(config, *where)
        self.linear = self.linear - config.friction


build = Damped
''',
    "src/thermalize/metrics/families/size.py": '''
"""Root mean square of the rollout, over that of the truth."""

import numpy as np

from thermalize.metrics.declared import Variable
from thermalize.metrics.pooling import means
from thermalize.metrics.registry import family

SIZE = {"relative_size": Variable((), "root mean square of the last frame, over the deviation of the truth")}


@family(SIZE, columns=means(*SIZE))
def size(case):
    last = case.states[:, -1].to_numpy()
    return {"relative_size": float(np.sqrt(np.nanmean(last**2)) / case.reference.standard.std[0])}
''',
    "src/thermalize/figures/sizes.py": '''
"""Relative sizes as bars."""

from thermalize.figures.registry import columns, register


@register("sizes")
def sizes(inputs):
    figure, axes = columns(1, (2.0,))
    values = [float(each["relative_size"]) for each in inputs.diagnostics.values()]
    axes[0, 0].bar(range(len(values)), values)
    axes[0, 0].set(xlabel="rollout", ylabel="relative size [1]")
    return figure
''',
    "report/sizes.rst": "Relative sizes of the last states.\n",
}
COPIED = ("Snakefile", "rules", "profiles", "report", "src", "docs", "pyproject.toml", "envs")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one of each added."""
    home = tmp_path_factory.mktemp("home")
    for name in COPIED:
        source = ROOT / name
        leave = shutil.ignore_patterns("__pycache__", "*.egg-info")
        (shutil.copytree if source.is_dir() else shutil.copy)(
            source, home / name, **({"ignore": leave} if source.is_dir() else {})
        )
    for name, text in FILES.items():
        assert not (home / name).exists()
        (home / name).write_text(text.lstrip())
    return home


def run(home: Path, *command: str, cwd: Path) -> str:
    source = home / "src"
    settings = {**environment(source=source), "PYTHONPATH": str(source)}
    parts = [str(python(source=source)), *command]
    done = subprocess.run(parts, capture_output=True, text=True, check=False, cwd=cwd, env=settings)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def configured() -> dict:
    content = yaml.safe_load(TINY.read_text())
    content["seeds"] = [0]
    content["simulation"]["system"] |= {"kind": "damped", "friction": 0.02}
    content["emulators"]["small"]["kind"] = "noisy"
    del content["diffusion"]
    content["rollouts"]["stabilizers"] = {"raw": {"kind": "none"}, "damped": {"kind": "damping", "strength": 0.02}}
    content["rollouts"]["sweeps"] = {"strengths": {"of": "damped", "strength": [0.01, 0.02]}}
    return content


@pytest.mark.slow
def test_one_of_each_runs_through_the_workflow_into_table_figures_and_pages(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(configured(), sort_keys=False))
    workflow = ("-m", "snakemake", "--snakefile", str(home / "Snakefile"), "--cores", "2")
    run(home, *workflow, "--workflow-profile", str(home / "profiles" / "default"), cwd=tmp_path)
    results = tmp_path / "results" / "tiny"
    table = pd.read_csv(results / "tables" / "summary.csv").set_index("stabilizer")
    assert [*table.index] == ["raw", "damped", "damped.strength-0.01"]
    assert table["system"].str.startswith("damped ").all()
    assert (table["network_evaluations_per_step"] == 3).all()
    assert table["relative_size"].notna().all()
    assert table["mean_taken"].isna().tolist() == [True, False, False]
    assert table["mean_taken"]["damped"] > table["mean_taken"]["damped.strength-0.01"] > 0
    diagnostics = xr.load_dataset(results / "diagnostics" / "small" / "damped" / "seed0.nc")
    assert diagnostics["mean_taken"].attrs["long_name"].startswith("root mean square of what was taken off")
    assert (results / "figures" / "sizes.pdf").stat().st_size > 0
    ablation = pd.read_csv(results / "tables" / "ablation.csv")
    assert ablation["value_1"].tolist() == [0.01, 0.02]
    again = run(home, *workflow, "--workflow-profile", str(home / "profiles" / "default"), cwd=tmp_path)
    assert "simulate" not in again


def test_pages_and_schema_follow(home: Path) -> None:
    run(home, "docs/generate.py", cwd=home)
    page = (home / "docs" / "configuration.md").read_text()
    for title in ("with kind: damping", "with kind: noisy", "with kind: damped"):
        assert title in page
    assert "share of the state that is taken off" in page
    assert "relative_size" in (home / "docs" / "diagnostics.md").read_text()
    assert '"DampingConfig"' in (home / "docs" / "config.schema.json").read_text()
