"""What happens where GPUs or their memory run short: they are leased, halved, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from gpu.learning import SEED, Truth, trainer_of, truth_of
from gpu.report import Row, compared, judged
from gpu.running import Check
from thermalize.runtime.devices import resolve
from thermalize.runtime.errors import UserError
from thermalize.training.objective import Batch
from thermalize.training.passes import Passes
from thermalize.training.processes import ALONE

__all__ = ["rows"]

SAME_LOSS = 1e-3
MEGABYTE = 2**20
TIGHT = 0.6
"""Of the memory that a whole batch takes."""


def rows(check: Check) -> Iterator[Row]:
    yield _not_granted()
    truth = truth_of(check, check.size.data, check.size.windows)
    yield from _halved(check, truth)
    yield _hopeless(check, truth)
    yield _blamed(check, truth)


def _not_granted() -> Row:
    """`--gpus 0` with `device: cuda`, on a machine that has GPUs."""
    with patch.object(torch.cuda, "is_available", lambda: True):
        said = _sentence(lambda: resolve("cuda", 0))
    return judged("device: cuda with --gpus 0 is refused", "the scheduler granted none" in said, said)


def _passes(check: Check, truth: Truth) -> tuple[Passes, nn.Module, Batch]:
    trainer = trainer_of(check.size.diffusion, truth, check.device, check.folder / "limits")
    batch = trainer.objective.batch(0, torch.Generator().manual_seed(SEED), slice(None))
    return Passes(trainer.model, trainer.objective, ALONE, nullcontext(), None), trainer.model, batch


def _halved(check: Check, truth: Truth) -> Iterator[Row]:
    passes, model, batch = _passes(check, truth)
    check.forget()
    whole = passes.backward(batch)
    needed = torch.cuda.max_memory_reserved(check.device) if check.cuda else 0
    model.zero_grad(set_to_none=True)
    with _at_most(check, model, int(TIGHT * needed), len(batch[0]) // 2):
        loss = passes.backward(batch)
    largest = passes.largest or len(batch[0])
    reason = "a batch that does not fit goes through in parts"
    yield judged(
        f"samples per pass of {len(batch[0])} in {TIGHT:g} of their memory", largest < len(batch[0]), reason, largest
    )
    yield compared(
        "loss of the parts against that of the whole", abs(loss - whole) / abs(whole), SAME_LOSS, "the same update"
    )


def _hopeless(check: Check, truth: Truth) -> Row:
    passes, model, batch = _passes(check, truth)
    check.forget()
    taken = torch.cuda.memory_reserved(check.device) if check.cuda else 0
    with _at_most(check, model, taken + MEGABYTE, 0):
        said = _sentence(lambda: passes.backward(batch))
    return judged("a sample that does not fit is refused", "a single sample does not fit into memory" in said, said)


@contextmanager
def _at_most(check: Check, model: nn.Module, limit: int, samples: int) -> Iterator[None]:
    """So many bytes on a GPU; a CPU only pretends, for more than so many samples."""
    if not check.cuda:
        handle = model.register_forward_pre_hook(lambda _, inputs: _pretend(inputs[0], samples))
        try:
            yield
        finally:
            handle.remove()
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(check.device).total_memory
    torch.cuda.set_per_process_memory_fraction(limit / total, check.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, check.device)


def _pretend(x: Tensor, samples: int) -> None:
    if len(x) > samples:
        raise torch.OutOfMemoryError("out of memory, as it were")


def _blamed(check: Check, truth: Truth) -> Row:
    """A NaN in one member of the data is traced to that member."""
    values = truth.values.clone()
    values[truth.half :, :2] = torch.nan
    trainer = trainer_of(check.size.emulator, Truth(values, truth.normalization), check.device, check.folder / "blamed")

    def train() -> None:
        for _ in range(len(values)):
            trainer.advance()

    said = _sentence(train)
    return judged("a loss that is not a number names its samples", "member" in said and "from frame" in said, said)


def _sentence(work: Any) -> str:
    try:
        work()
    except UserError as error:
        return str(error)
    return "nothing was refused"
