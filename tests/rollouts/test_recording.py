"""Writing behind a rollout: in order, one at a time, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from thermalize.rollouts.engine import State
from thermalize.rollouts.recording import Behind, _bytes, _plausible, _read, frozen


def test_work_is_done_in_order_and_one_piece_at_a_time():
    done, busy = [], threading.Lock()

    def work(number: int) -> None:
        assert busy.acquire(blocking=False)
        done.append(number)
        busy.release()

    with Behind() as behind:
        for number in range(20):
            behind(lambda number=number: work(number))
            assert len(done) >= number, "only the last piece may still wait"
    assert done == list(range(20))


def test_an_error_is_raised_by_the_next_call_or_at_the_end():
    def failing() -> None:
        raise OSError("no space left")

    done = []

    def written(*pieces: Callable[[], None]) -> None:
        with Behind() as behind:
            for piece in pieces:
                behind(piece)

    with pytest.raises(OSError, match="no space left"):
        written(failing, lambda: done.append(1))
    with pytest.raises(OSError, match="no space left"):
        written(failing)
    assert done == []


def test_an_error_of_the_rollout_itself_is_the_one_that_is_raised():
    written = []

    def interrupted() -> None:
        with Behind() as behind:
            behind(lambda: written.append(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written == [1], "what was handed over is written before the command ends"


def test_a_frozen_state_does_not_follow_the_rollout():
    state = State(torch.zeros(2, 1, 4), memory={"ratio": torch.ones(2)})
    kept = frozen(state)
    state.memory["ratio"][0] = 5
    state.lost_step[1], state.lost_cause[1] = 7, "bound"
    assert kept.memory["ratio"].tolist() == [1, 1]
    assert kept.lost_step.tolist() == [-1, -1]
    assert kept.lost_cause == ["", ""]


def test_a_state_survives_with_all_that_the_stabilizer_knows():
    """In double precision, and with members that are lost."""
    begin = State(torch.zeros(3, 1, 4), memory={"ratio": torch.ones(3, 2, dtype=torch.float64)})
    memory = {"ratio": torch.rand(3, 2, dtype=torch.float64)}
    x = torch.rand(3, 1, 4)
    x[1] = torch.nan
    state = State(x, 9, np.array([-1, 4, -1]), ["", "bound", ""], memory)
    notes = {"step": 9, "lost_step": state.lost_step.tolist(), "lost_cause": state.lost_cause}
    found = _read(_bytes(state), notes, begin)
    assert found is not None
    assert _plausible(found, begin)
    assert torch.equal(found.x.nan_to_num(7), x.nan_to_num(7))
    assert torch.equal(found.memory["ratio"], memory["ratio"])
    assert found.lost_step.tolist() == [-1, 4, -1]
    assert found.lost_cause == ["", "bound", ""]
    assert len(_bytes(state)) == len(_bytes(begin)), "what is larger is not read"
    for wrong in ({}, {"ratio": memory["ratio"].float()}, {"ratio": memory["ratio"][:2]}, {**memory, "more": x}):
        assert not _plausible(State(x, 9, state.lost_step, state.lost_cause, wrong), begin)
