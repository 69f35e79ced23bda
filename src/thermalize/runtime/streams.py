"""Random streams that depend on what they are for, never on the order of the work.

Every stream is a Philox generator seeded by SeedSequence([root, key₁, key₂, …]), with text keys hashed to integers, so
the same member draws the same numbers whatever the worker count, the batch or the resumption.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

__all__ = ["sequence", "stream", "torch_seed"]


def sequence(root: int, *keys: str | int) -> np.random.SeedSequence:
    return np.random.SeedSequence([root, *(_integer(key) for key in keys)])


def stream(root: int, *keys: str | int) -> np.random.Generator:
    """A counter-based generator for the given purpose, for instance ``stream(seed, "simulate", "ks", member)``."""
    return np.random.Generator(np.random.Philox(sequence(root, *keys)))


def torch_seed(root: int, *keys: str | int) -> int:
    """A seed for ``torch.Generator.manual_seed`` for the given purpose."""
    return int(sequence(root, *keys).generate_state(1, np.uint64)[0] >> 1)


def _integer(key: str | int) -> int:
    if isinstance(key, int):
        return key
    return int.from_bytes(sha256(key.encode()).digest()[:8], "little")
