"""The cost model: counts of the stages, and hours from arithmetic and traffic."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import scaling
from benchmarks.scaling import EFFICIENCY, STREAMING, Gpu, Stage, stages, unrolled

from thermalize.config.load import load_experiment

CONFIGS = Path(__file__).parents[2] / "configs"


def test_hours_are_arithmetic_over_peak_and_traffic_over_bandwidth() -> None:
    gpu = Gpu("unit", flops=1e12, bandwidth=1e12)
    stage = Stage("some", "", flops=3600e12, traffic=7200e12)
    assert stage.hours(gpu) == pytest.approx(1 / EFFICIENCY + 2 / STREAMING)


def test_stages_count_what_the_configuration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "step_seconds", lambda *_: 0.002)
    monkeypatch.setattr(scaling, "copy_rate", lambda: 1e9)
    experiment = load_experiment(CONFIGS / "kolmogorov.yaml")
    found = {stage.name: stage for stage in stages(experiment)}
    # 10 of spin-up, 999 windows 1.5 apart and four frames 0.005 apart, with dt = 0.001
    steps = 500 * (10_000 + 999 * 1500 + 4 * 5)
    assert found["simulate train"].traffic == pytest.approx(steps * 0.002 * 1e9)
    assert found["simulate train"].stored == pytest.approx(500 * 1000 * 5 * 64**2 * 4 / 1e9)
    raw, thermalized = found["rollout raw"].flops, found["rollout thermalized"].flops
    evaluation = raw / (50 * 100_000)
    assert evaluation == pytest.approx(9.3e9, rel=0.02)
    assert thermalized / raw == pytest.approx(1 + 4.5 / 9.3 + 1.7, rel=0.05)
    assert found["train diffusion model unet"].flops == pytest.approx(3 * 390_000 * 64 * evaluation, rel=0.02)
    emulator = experiment.emulators["unet"]
    assert unrolled(emulator) == pytest.approx((20 * 1 + 20 * 2 + 20 * 3 + 127.5 * 4) / 187.5)  # type: ignore[arg-type]
    assert found["train emulator unet"].flops == pytest.approx(3 * 187_500 * 32 * 3.36 * evaluation, rel=0.01)
