"""Training at the published size, as configured: seconds per update, memory, arithmetic, and whether it learns.

Every run has the configured learning rates of its first updates, which are those of the warm-up.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from gpu.learning import Config, Truth, trainer_of, truth_of
from gpu.report import Row, judged, measured, not_run
from gpu.running import Check
from thermalize.config import TrainingConfig, UnrollConfig
from thermalize.runtime.devices import autocast
from thermalize.training.loop import Trainer

__all__ = ["rows"]

NONDETERMINISTIC = "does not have a deterministic implementation"
FIRST = 3
"""Updates that are left out of the times: libraries choose their kernels in them."""


def rows(check: Check) -> Iterator[Row]:
    began = perf_counter()
    truth = truth_of(check, check.size.data, check.size.windows)
    yield measured("truth to learn from: time to simulate", perf_counter() - began, "s")
    _watch_memory()
    emulator = check.size.emulator
    longest = emulator.unroll.maximum
    unrolled = emulator.model_copy(update={"unroll": UnrollConfig(start=longest, maximum=longest)})
    trainings = (
        ("emulator, 1 step", emulator),
        (f"emulator, {longest} steps", unrolled),
        ("diffusion", check.size.diffusion),
    )
    for label, config in trainings:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield from _training(check, label, config, truth)
        yield _undetermined(label, said)
    yield _host_memory(check)


def _training(check: Check, label: str, config: Config, truth: Truth) -> Iterator[Row]:
    check.forget()
    trainer = trainer_of(config, truth, check.device, check.folder / "published")
    yield measured(f"{label}: parameters", sum(p.numel() for p in trainer.model.parameters()))
    before, times = _loss(check, trainer), []
    for _ in range(check.size.updates):
        began = perf_counter()
        trainer.advance()
        times.append(perf_counter() - began)
    seconds = median(times[FIRST:])
    yield measured(
        f"{label}: {_arithmetic(config.training, check)}, {config.training.batch_size} samples",
        1e3 * seconds,
        "ms/update",
    )
    yield check.memory(f"{label}: memory")
    if "1 step" not in label:
        yield measured(
            f"{label}: all {config.training.updates:,} updates at that rate",
            config.training.updates * seconds / 3600,
            "h",
        )
    after = _loss(check, trainer)
    yield judged(
        f"{label}: loss of one batch after {check.size.updates} updates, of that before", after < before,
        "it must fall", after / before,
    )  # fmt: skip


@torch.no_grad()
def _loss(check: Check, trainer: Trainer) -> float:
    """Of the batch of the first update."""
    batch = trainer.objective.batch(0, torch.Generator().manual_seed(0), slice(None))
    return float(check.fetch(trainer.objective.loss(trainer.model, batch)))


def _arithmetic(training: TrainingConfig, check: Check) -> str:
    return "bfloat16" if autocast(training.precision, check.device)._enabled else "float32"


def _undetermined(label: str, said: list[warnings.WarningMessage]) -> Row:
    """Operations that may sum in another order the next time, which torch warns of where it was asked to."""
    texts = [str(each.message) for each in said]
    found = {text.split(" ")[0] for text in texts if NONDETERMINISTIC in text}
    found |= {"cuBLAS without CUBLAS_WORKSPACE_CONFIG" for text in texts if "CUBLAS_WORKSPACE_CONFIG" in text}
    return measured(f"{label}: operations without a deterministic form", ", ".join(sorted(found)) or "none")


def _watch_memory() -> None:
    """Looks for the largest memory of this process anew; where that is not allowed, since its start."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _host_memory(check: Check) -> Row:
    """What the process of a training takes beside its data, against what its rule asks the scheduler for."""
    try:
        from thermalize.workflow.resources import CUDA_MB, TRAINING_MB
    except ImportError as error:
        return not_run("host memory against what is asked for", f"{error.name} is missing")
    status = Path("/proc/self/status")
    if not status.exists():
        return not_run("host memory against what is asked for", "this system does not tell it")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    used = int(lines["VmHWM"].split()[0]) / 1e3
    asked = TRAINING_MB + (CUDA_MB if check.cuda else 0)
    reason = f"thermalize.workflow.resources asks for {asked} MB beside the data"
    return judged("host memory of this process while it trained", used <= asked, reason, used, "MB")
