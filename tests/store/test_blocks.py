"""What counts as done in an unfinished store, and what is thrown away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from store_data import field, fill, layout, tree

from thermalize.runtime.errors import UserError
from thermalize.store.blocks import BlockLog
from thermalize.store.layout import Files

ROWS = (slice(0, 2), slice(2, 4))


@pytest.fixture(autouse=True)
def _no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power, and syncing hundreds of small files takes longer than all else here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def log(tmp_path: Path) -> BlockLog:
    log = BlockLog(tmp_path / "train.zarr.partial", "made from this")
    log.begin(layout())
    return log


def done(log: BlockLog, block: int) -> bool:
    return log.done(block, shards(block))


def shards(block: int) -> list[str]:
    return [name for name, _ in layout().shards("velocity", ROWS[block])]


def finish(log: BlockLog, block: int) -> Files:
    files = log.write(layout(), "velocity", ROWS[block], slice(None), field()[ROWS[block]])
    log.record(block, files, sum=block + 0.5)
    return files


def test_a_recorded_block_is_done_and_remembered(log: BlockLog) -> None:
    assert not done(log, 0)
    files = finish(log, 0)
    again = BlockLog(log.partial, log.fingerprint)
    again.begin(layout())
    assert done(again, 0)
    assert not done(again, 1)
    assert again.entry(0) == (files, {"sum": 0.5})
    assert again.files(1) == files


def test_blocks_in_any_order_give_the_files_of_a_store_written_at_once(log: BlockLog, tmp_path: Path) -> None:
    finish(log, 1)
    log.begin(layout())
    finish(log, 0)
    fill(tmp_path / "whole.zarr.partial", field())
    assert tree(log.partial) == tree(tmp_path / "whole.zarr.partial")


@pytest.mark.parametrize("fault", ["flipped", "truncated", "missing"])
def test_a_block_with_a_damaged_shard_is_not_done(log: BlockLog, fault: str) -> None:
    finish(log, 0)
    shard = log.partial / list(finish(log, 1))[1]
    content = bytearray(shard.read_bytes())
    if fault == "flipped":
        content[len(content) // 2] ^= 1
    shard.write_bytes(content[: -1 if fault == "truncated" else None])
    if fault == "missing":
        shard.unlink()
    assert done(log, 0)
    assert not done(log, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b'{"fingerprint": "made from this"}'])
def test_a_damaged_record_is_no_record(log: BlockLog, content: bytes) -> None:
    finish(log, 0)
    (log.folder / "block-0000.json").write_bytes(content)
    assert not done(log, 0)
    with pytest.raises(UserError, match=r"block-0000\.json"):
        log.entry(0)


def test_a_record_of_another_fingerprint_is_no_record(log: BlockLog) -> None:
    finish(log, 0)
    path = log.folder / "block-0000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "another"}))
    assert not done(log, 0)


def test_the_work_of_another_fingerprint_is_thrown_away(log: BlockLog) -> None:
    finish(log, 0)
    other = BlockLog(log.partial, "made from that")
    other.begin(layout(attributes={"seed": 4}))
    assert not done(other, 0)
    assert not list((other.partial / "velocity").glob("c/*/*"))
    back = BlockLog(log.partial, log.fingerprint)
    back.begin(layout())
    assert not done(back, 0)


@pytest.mark.parametrize("lost", ["mark", "records", "store"])
def test_half_of_a_discarded_store_is_not_taken_up(log: BlockLog, lost: str) -> None:
    finish(log, 0)
    if lost == "mark":
        (log.folder / "fingerprint").unlink()
    elif lost == "records":
        (log.folder / "block-0000.json").unlink()
    else:
        for shard in (log.partial / "velocity" / "c").rglob("0"):
            if shard.is_file():
                shard.unlink()
    log.begin(layout())
    assert not done(log, 0)


def test_metadata_and_coordinates_are_mended(log: BlockLog) -> None:
    finish(log, 0)
    before = tree(log.partial)
    (log.partial / "zarr.json").write_bytes(b"{")
    (log.partial / "velocity" / "zarr.json").unlink()
    (log.partial / "time" / "c" / "0").write_bytes(b"1234")
    log.begin(layout())
    assert tree(log.partial) == before
    assert done(log, 0)


def test_discard_leaves_nothing(log: BlockLog, tmp_path: Path) -> None:
    finish(log, 0)
    log.discard()
    log.discard()
    assert list(tmp_path.iterdir()) == []


def test_notes_must_be_json(log: BlockLog) -> None:
    names = finish(log, 0)
    with pytest.raises(ValueError, match="JSON"):
        log.record(1, names, mean=np.nan)
    assert not done(log, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"block": 1},
        {"files": {}},
        {"files": []},
        {"notes": []},
        {"notes": {"sum": 0.25}},
        {"digest": "sha256:0"},
        {"files": {"velocity/c/0/0/0/0": None}},
    ],
)
def test_a_record_that_was_changed_is_no_record(
    log: BlockLog, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    finish(log, 0)
    path = log.folder / "block-0000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not done(log, 0)
    assert "block-0000.json, or a file that it tells of, is damaged" in capsys.readouterr().err
    assert not path.exists()
    assert not done(log, 0)
    assert capsys.readouterr().err == "", "it is said once"


def test_a_record_is_about_its_own_block(log: BlockLog) -> None:
    finish(log, 0)
    finish(log, 1)
    assert not log.done(0, shards(1))
    finish(log, 0)
    shutil.copyfile(log.folder / "block-0000.json", log.folder / "block-0001.json")
    assert done(log, 0)
    assert not done(log, 1)


def test_notes_that_do_not_fit_are_no_record(log: BlockLog) -> None:
    finish(log, 0)
    names = shards(0)
    assert log.done(0, names, lambda notes: notes["sum"] == 0.5)
    assert not log.done(0, names, lambda notes: notes["sum"] == 1.5)


def test_what_is_thrown_away_is_said(log: BlockLog, capsys: pytest.CaptureFixture[str]) -> None:
    finish(log, 0)
    log.begin(layout())
    assert capsys.readouterr().err == ""
    (log.folder / "fingerprint").write_text("made from thas")
    log.begin(layout())
    assert "train.zarr.partial is left of a run with another configuration, data or code" in capsys.readouterr().err
    assert not done(log, 0)


@pytest.mark.parametrize("files", [{"a": [1, 2]}, {"a": ["x"]}, {"a": ["x", "y"]}, {"a": {"x": 1}}, {"a": ["x", 1, 2]}])
def test_a_record_of_another_form_is_no_record(log: BlockLog, files: dict[str, Any]) -> None:
    log.record(0, files)
    with pytest.raises(UserError, match="missing or damaged"):
        log.entry(0)
