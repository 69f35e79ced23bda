"""Frames of a trajectory: their times, laziness, and what happens when the solution blows up."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from thermalize.config import KuramotoSivashinskyConfig, systems
from thermalize.config.kinds import kind_of, kinds_of
from thermalize.config.systems import SystemSettings
from thermalize.runtime.errors import UserError
from thermalize.systems import Diverged, System, Timing, build, frames, stepper
from thermalize.systems.ks import KuramotoSivashinsky

CONFIG = KuramotoSivashinskyConfig(kind="ks", length=22.0, points=32)


def start(system: System, members: int = 2) -> Tensor:
    return torch.stack([system.initial_condition(np.random.default_rng(member)) for member in range(members)])


class Watched(KuramotoSivashinsky):
    """Counts evaluations of the nonlinear term and transforms back."""

    evaluations = 0
    transforms = 0

    def nonlinear(self, u_hat: Tensor) -> Tensor:
        self.evaluations += 1
        return super().nonlinear(u_hat)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        self.transforms += 1
        return super().to_physical(u_hat)


def test_every_configurable_kind_is_registered() -> None:
    assert {kind_of(each) for each in kinds_of(systems, SystemSettings)} == {"ks", "kolmogorov", "qg"}
    assert isinstance(build(CONFIG), KuramotoSivashinsky)
    assert build(CONFIG, torch.float32).dtype == torch.float32


@pytest.mark.parametrize(("per_frame", "spin_up"), [(3, 0), (3, 2), (3, 3), (3, 7), (1, 1), (5, 15)])
def test_frames_lie_at_the_promised_steps(per_frame: int, spin_up: int) -> None:
    system = build(CONFIG)
    advance, states = stepper("etdrk4", system, 0.1), [system.to_spectral(start(system))]
    for _ in range(spin_up + 3 * per_frame):
        states.append(advance.step(states[-1]))
    produced = list(frames(system, start(system), Timing(0.1, per_frame, 4, spin_up)))
    assert len(produced) == 4
    for index, frame in enumerate(produced):
        assert torch.equal(frame, system.to_physical(states[spin_up + index * per_frame]))


def test_first_frame_without_spin_up_is_the_initial_condition() -> None:
    system = build(CONFIG)
    u0 = start(system)
    torch.testing.assert_close(next(iter(frames(system, u0, Timing(0.1, 5, 2, 0)))), u0, rtol=0, atol=1e-14)


def test_work_is_done_only_for_the_frames_taken() -> None:
    """One transform back per look at the state, four evaluations per step, nothing ahead of demand."""
    system = Watched(CONFIG)
    produced = frames(system, start(system), Timing(0.1, 5, 1000, 10))
    next(produced)
    assert system.evaluations == 4 * 10
    next(produced)
    assert (system.evaluations, system.transforms) == (4 * 15, 2)


def test_frames_own_their_memory_and_carry_no_gradient() -> None:
    system = build(CONFIG)
    u0 = start(system).requires_grad_()
    kept = []
    for frame in frames(system, u0, Timing(0.1, 5, 3, 0)):
        assert torch.is_grad_enabled()
        assert not frame.requires_grad
        kept.append((frame, frame.clone()))
    assert all(torch.equal(frame, copy) for frame, copy in kept)
    untouched = frames(system, u0, Timing(0.1, 5, 3, 0))
    next(untouched).zero_()
    assert torch.equal(next(untouched), kept[1][1])


def test_states_take_the_type_of_the_system() -> None:
    system = build(CONFIG, torch.float32)
    assert next(iter(frames(system, start(build(CONFIG)), Timing(0.1, 1, 1, 1)))).dtype == torch.float32


def test_blow_up_names_step_time_member_and_a_smaller_step() -> None:
    system = build(CONFIG)
    u0 = start(system, members=3)
    u0[1] *= 1e4
    with pytest.raises(Diverged) as caught:
        list(frames(system, u0, Timing(0.2, 5, 100, 50)))
    error, text = caught.value, str(caught.value)
    assert isinstance(error, UserError)
    assert error.step % 5 == 0
    assert 0 < error.step <= 50
    assert error.time == pytest.approx(0.2 * error.step)
    assert f"no longer finite at step {error.step} (time {error.time:g})" in text
    assert re.search(r"member 1 of the block blew up with dt = 0.2 \(Courant number \d\S* at step \d+, the last", text)
    assert text.endswith("try dt = 0.1")
    assert "\n" not in text


def test_a_smaller_step_mends_what_is_said_to_be_mended_by_it() -> None:
    system = build(CONFIG)
    u0, dt = 60 * start(system), 0.25
    with pytest.raises(Diverged, match=r"members 0, 1 of the block .* try dt = 0\.125"):
        list(frames(system, u0, Timing(dt, 4, 4, 0)))
    for _ in range(6):
        dt /= 2
    assert len(list(frames(system, u0, Timing(dt, 4 * 2**6, 4, 0)))) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_initial_condition_that_is_not_finite_is_refused(value: float) -> None:
    system = build(CONFIG)
    u0 = start(system, members=4)
    u0[2, 0, 7] = value
    with pytest.raises(Diverged, match="initial condition of member 2 of the block holds NaN or infinity") as caught:
        next(iter(frames(system, u0, Timing(0.1, 5, 2, 10))))
    assert (caught.value.step, caught.value.time) == (0, 0.0)


def test_error_survives_the_way_back_from_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(Diverged(40, 4.0, "try dt = 0.05")))
    assert isinstance(error, Diverged)
    assert (error.step, error.time, error.suggestion) == (40, 4.0, "try dt = 0.05")
    assert str(error) == "The solution is no longer finite at step 40 (time 4); try dt = 0.05"
