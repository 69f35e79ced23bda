"""Rollouts: losses are data, and where a rollout is cut does not matter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from thermalize.rollouts.engine import NEVER, Rollout, State
from thermalize.runtime.members import MemberNoise, NoiseSource, member_keys
from thermalize.stabilizers.base import Memory, Stabilized, Stateless
from thermalize.stabilizers.raw import Raw


class Growing(nn.Module):
    """Multiplies member m, recognised by its sign and size, by a factor per step."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() > 1, 2 * x, 0.9 * x)


class Shaking(Stateless):
    """A stabilizer that adds member noise, for tests of the random streams."""

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        return Stabilized.of(x + 0.1 * noise.draw(rows, x))


def test_a_member_that_blows_up_is_recorded_and_the_others_go_on():
    x = torch.tensor([0.5, 1.5, -0.2])[:, None, None].expand(3, 1, 4).clone()
    state = State(x)
    chunk = Rollout(Growing(), Raw(), member_keys(0, 0, 3), lost_above=20.0).advance(state, 8)
    assert state.lost_step.tolist() == [NEVER, 4, NEVER]  # 1.5 · 2⁴ = 24 > 20
    assert state.lost_cause == ["", "bound", ""]
    assert torch.isfinite(chunk.x[1, :3]).all()
    assert torch.isnan(chunk.x[1, 3:]).all()
    assert torch.allclose(chunk.x[0, -1], torch.tensor(0.5 * 0.9**8))


def test_non_finite_members_are_told_apart_from_large_ones():
    class Poison(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x > 1, torch.inf, x)

    state = State(torch.tensor([0.5, 1.5])[:, None, None])
    Rollout(Poison(), Raw(), member_keys(0, 0, 2), 20.0).advance(state, 2)
    assert state.lost_cause == ["", "nonfinite"]
    assert state.lost_step.tolist() == [NEVER, 1]


def test_all_members_lost_is_not_an_error():
    state = State(torch.full((2, 1, 4), 15.0))
    chunk = Rollout(Growing(), Raw(), member_keys(0, 0, 2), 20.0).advance(state, 5)
    assert torch.isnan(chunk.x[:, 1:]).all()
    assert state.step == 5


def test_one_run_equals_the_same_run_in_pieces():
    x = torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(0))
    keys = member_keys(0, 0, 3)
    whole = Rollout(Growing(), Shaking(), keys, 20.0).advance(State(x.clone()), 12)
    state = State(x.clone())
    parts = [Rollout(Growing(), Shaking(), keys, 20.0).advance(state, steps) for steps in (5, 1, 6)]
    torch.testing.assert_close(torch.cat([p.x for p in parts], 1), whole.x, rtol=0, atol=0, equal_nan=True)


def test_members_draw_from_streams_of_their_own():
    like = torch.zeros(2, 1, 8)
    keys = member_keys(0, 0, 4)
    pair = MemberNoise(keys, 3).draw(torch.tensor([1, 3]), like)
    alone = MemberNoise(keys, 3).draw(torch.tensor([3]), like[:1])
    assert torch.equal(pair[1], alone[0])
    assert not torch.equal(pair[0], pair[1])
    assert not torch.equal(MemberNoise(keys, 4).draw(torch.tensor([3]), like[:1]), alone)
    assert not torch.equal(MemberNoise(member_keys(0, 1, 4), 3).draw(torch.tensor([3]), like[:1]), alone)
    again = MemberNoise(keys, 3)
    first, second = (again.draw(torch.tensor([3]), like[:1]) for _ in range(2))
    assert torch.equal(first, alone)
    assert not torch.equal(first, second)
