"""When members are thermalized: by level, together, by the clock or at random at equal cost; when they are given up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gaussian import SCHEDULE, GaussianModel
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.samplers import DDPM
from thermalize.rollouts.engine import Rollout, State
from thermalize.runtime.members import MemberNoise, member_keys
from thermalize.runtime.streams import stream
from thermalize.stabilizers.base import Stabilized
from thermalize.stabilizers.thermalizer import Thermalizer
from thermalize.stabilizers.triggers import Batch, Every, Member, Random, Trigger, shuffled


class Told(GaussianModel):
    """Finds every state at the level that stands in its first point."""

    def level(self, x: Tensor) -> Tensor:
        return x[:, 0, 0].round().long()


def states(*levels: float) -> Tensor:
    return torch.tensor(levels, dtype=torch.float64)[:, None, None].expand(-1, 1, 4).clone()


MODEL = Told(torch.ones(4, dtype=torch.float64))
ROWS = torch.arange(3)


def due(trigger: Trigger, x: Tensor, step: int = 1) -> tuple[list[int], list[int], list[int]]:
    found = trigger(x, step, torch.arange(len(x)))
    return found.seen.tolist(), found.members.tolist(), found.level.tolist()


def test_a_member_is_due_above_the_start_alone():
    assert due(Member(MODEL, 10), states(10, 11, 40)) == ([10, 11, 40], [1, 2], [11, 40])
    assert due(Member(MODEL, 10, every=2), states(10, 11, 40)) == ([-1, -1, -1], [], [])


def test_a_batch_is_due_as_soon_as_one_member_is():
    assert due(Batch(MODEL, 10), states(3, 11, 0)) == ([3, 11, 0], [0, 1, 2], [3, 11, 0])
    assert due(Batch(MODEL, 10), states(3, 10, 0)) == ([3, 10, 0], [], [])


def test_by_the_clock_everyone_is_due_and_nobody_looks():
    assert due(Every(5, every=3), states(0, 90), step=6) == ([-1, -1], [0, 1], [5, 5])
    assert due(Every(5, every=3), states(0, 90), step=7) == ([-1, -1], [], [])


@given(members=st.integers(1, 5), steps=st.integers(1, 40), seed=st.integers(0, 9))
def test_random_times_spend_the_same_work_on_every_member(members: int, steps: int, seed: int):
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 30, (members, steps + 1)).astype(np.int16)
    level[:, 0] = -1
    reverse = np.where(level > 20, level + 1, 0).astype(np.int16)
    trigger = shuffled(level, reverse, [stream(seed, "times", m) for m in range(members)])
    found: list[list[int]] = [[] for _ in range(members)]
    for step in range(1, steps + 5):
        answer = trigger(torch.zeros(members, 1, 2), step, torch.arange(members))
        assert answer.seen.tolist() == [-1] * members
        for member, at in zip(answer.members.tolist(), answer.level.tolist(), strict=True):
            found[member].append(at)
    assert [sorted(each) for each in found] == [sorted(row[row > 20].tolist()) for row in level]


def test_random_times_are_those_of_the_member_whoever_shares_the_batch():
    trigger = Random(torch.tensor([[-1, 3, -1], [-1, -1, 8]]))
    assert trigger(torch.zeros(1, 1, 2), 2, torch.tensor([1])).level.tolist() == [8]
    assert trigger(torch.zeros(1, 1, 2), 1, torch.tensor([1])).level.tolist() == []


def thermalized(trigger: Trigger, x: Tensor, **settings: int) -> Stabilized:
    thermalizer = Thermalizer(MODEL, DDPM(SCHEDULE), trigger, -1, **settings)
    return thermalizer(x, 1, torch.arange(len(x)), MemberNoise(member_keys(0, 0, len(x)), 1), {})


@pytest.mark.parametrize("trigger", [Batch(MODEL, 10), Every(5, 1), Random(torch.tensor([[-1, 4]] * 3))])
def test_who_is_due_is_denoised_from_its_level(trigger: Trigger):
    outcome = thermalized(trigger, states(0, 11, 2))
    expected = {Batch: [1, 12, 3], Every: [6, 6, 6], Random: [5, 5, 5]}[type(trigger)]
    assert outcome.record["reverse_steps"].tolist() == expected
    assert bool((outcome.record["displacement"] > 0).all())


def test_above_the_guard_a_member_is_given_up_and_the_others_go_on():
    x = states(11, 300, 2)
    outcome = thermalized(Member(MODEL, 10), x, guard=100)
    assert outcome.lost.tolist() == [False, True, False]
    assert outcome.record["reverse_steps"].tolist() == [12, 0, 0]
    assert torch.equal(outcome.x[1:], x[1:])

    class Still(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.clone()

    state = State(x.clone())
    stabilizer = Thermalizer(MODEL, DDPM(SCHEDULE), Member(MODEL, 400), -1, guard=400 - 100)
    Rollout(Still(), stabilizer, member_keys(0, 0, 3), 1e6).advance(state, 1)
    assert state.lost_cause == ["", "", ""], "300 is not above 300"
    stabilizer = Thermalizer(MODEL, DDPM(SCHEDULE), Member(MODEL, 400), -1, guard=100)
    chunk = Rollout(Still(), stabilizer, member_keys(0, 0, 3), 1e6).advance(state, 2)
    assert state.lost_cause == ["", "level", ""]
    assert chunk.record["level"][1].tolist() == [300, -1]
    assert bool(chunk.x[1].isnan().all())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"trigger": "random"}, "like names the stabilizer"),
        ({"like": "other"}, "like names the stabilizer"),
        ({"trigger": "every", "guard": 50}, "does not look"),
        ({"start": 10, "guard": 10}, "guard = 10 must lie above start = 10"),
        ({"drift": {"memory": 0.5}}, "memory"),
        ({"trigger": "sometimes"}, "trigger"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], sentence: str):
    with pytest.raises(ValueError, match=sentence):
        ThermalizerConfig.model_validate({"kind": "thermalizer", **settings})
