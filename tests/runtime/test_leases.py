"""GPUs of a shared machine: each is held by one process, waited for, free again after a kill; nothing on others."""

from __future__ import annotations

import os
import select
import stat
import tempfile
from pathlib import Path

import pytest
from gpu_machine import Machine, complaint, told

from thermalize.runtime import leases
from thermalize.runtime.errors import UserError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Two GPUs, for this process and for others."""
    machine = Machine(tmp_path, "GPU-a", "GPU-b").stand_in(monkeypatch)
    yield machine
    machine.kill_all()


def visible() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def test_two_processes_take_different_devices(machine):
    first, second = machine.take(1), machine.take(1)
    assert told(first) | told(second) == {"GPU-a", "GPU-b"}


def test_a_process_takes_as_many_as_it_wants(machine):
    assert told(machine.take(2)) == {"GPU-a", "GPU-b"}


def test_a_third_process_waits_aloud_for_the_device_of_a_killed_one(machine):
    holders = [machine.take(1), machine.take(1)]
    taken = [told(holder) for holder in holders]
    third = machine.take(1)
    assert complaint(third) == "Waiting for 1 of the 2 GPU(s) here; other jobs use them.\n"
    holders[1].kill()
    assert told(third) == taken[1]


def test_two_that_want_all_devices_get_them_one_after_the_other(machine):
    holder = machine.take(1)
    told(holder)
    waiting = [machine.take(2), machine.take(2)]
    assert all("Waiting for 2 of the 2" in complaint(process) for process in waiting)
    holder.kill()
    ready, _, _ = select.select([process.stdout for process in waiting], [], [])
    (first,) = (process for process in waiting if process.stdout in ready)
    assert told(first) == {"GPU-a", "GPU-b"}
    (last,) = (process for process in waiting if process is not first)
    first.kill()
    assert told(last) == {"GPU-a", "GPU-b"}


def test_a_device_that_is_set_counts_and_nothing_is_taken(machine):
    assert told(machine.take(1, CUDA_VISIBLE_DEVICES="7")) == {"7"}
    assert told(machine.take(2, TORCHELASTIC_RUN_ID="x")) == {"None"}
    assert not machine.locks.exists()


def test_a_machine_with_fewer_devices_is_refused(machine):
    with pytest.raises(UserError, match=r"3 GPUs were asked for, but this machine has 2; lower training\.gpus"):
        leases.lease(3)
    assert visible() is None
    assert not machine.locks.exists()


def test_a_machine_without_the_driver_has_nothing_to_take(machine, monkeypatch, tmp_path):
    for path in (Machine(tmp_path / "broken", "no", "driver", status=9).bin, tmp_path / "nowhere"):
        monkeypatch.setenv("PATH", str(path))
        assert leases.devices() == []
        leases.lease(1)
    assert visible() is None
    assert not machine.locks.exists()


def test_locks_are_for_all_users(machine):
    before = os.umask(0o077)
    try:
        leases.lease(1)
    finally:
        os.umask(before)
    assert visible() == "GPU-a"
    assert stat.S_IMODE(machine.locks.stat().st_mode) == 0o1777
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in machine.locks.iterdir()} == {
        "GPU-a.lock": 0o666,
        "queue.lock": 0o666,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_meets_the_same_locks():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)  # as the one of temporary files is
        machine = Machine(Path(folder), "GPU-a", "GPU-b")
        own, other = machine.take(1), machine.take(1, BECOME="65534")
        assert told(own) | told(other) == {"GPU-a", "GPU-b"}
        third = machine.take(1, BECOME="65533")
        assert "Waiting for 1 of the 2" in complaint(third)
        own.kill()
        assert told(third) <= {"GPU-a", "GPU-b"}
        machine.kill_all()


def test_locks_that_cannot_be_written_are_one_sentence(machine, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(leases, "FOLDER", blocked / "locks")
    with pytest.raises(UserError, match=r"Cannot write .*: a part of the path is a file"):
        leases.lease(1)
