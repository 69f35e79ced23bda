"""What counts as done in an unfinished store, and what is thrown away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from store_data import field, fill, layout, tree

from thermalize.runtime.errors import UserError
from thermalize.store.blocks import Ledger
from thermalize.store.layout import write
from thermalize.store.shards import within

ROWS = (slice(0, 2), slice(2, 4))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "train.zarr.partial", "made from this")
    ledger.begin(layout())
    return ledger


def done(ledger: Ledger, block: int) -> bool:
    return ledger.done(block, within(ledger.partial, "velocity", (ROWS[block],)))


def finish(ledger: Ledger, block: int) -> list[str]:
    names = write(ledger.partial, "velocity", ROWS[block], slice(None), field()[ROWS[block]])
    ledger.record(block, names, sum=block + 0.5)
    return names


def test_a_recorded_block_is_done_and_remembered(ledger: Ledger) -> None:
    assert not done(ledger, 0)
    names = finish(ledger, 0)
    again = Ledger(ledger.partial, ledger.fingerprint)
    again.begin(layout())
    assert done(again, 0)
    assert not done(again, 1)
    entry = again.entry(0)
    assert entry["notes"] == {"sum": 0.5}
    assert sorted(entry["digests"]) == sorted(names)


def test_blocks_in_any_order_give_the_files_of_a_store_written_at_once(ledger: Ledger, tmp_path: Path) -> None:
    finish(ledger, 1)
    ledger.begin(layout())
    finish(ledger, 0)
    fill(tmp_path / "whole.zarr.partial", field())
    assert tree(ledger.partial) == tree(tmp_path / "whole.zarr.partial")


@pytest.mark.parametrize("fault", ["flipped", "truncated", "missing"])
def test_a_block_with_a_damaged_shard_is_not_done(ledger: Ledger, fault: str) -> None:
    finish(ledger, 0)
    shard = ledger.partial / finish(ledger, 1)[1]
    content = bytearray(shard.read_bytes())
    if fault == "flipped":
        content[len(content) // 2] ^= 1
    shard.write_bytes(content[: -1 if fault == "truncated" else None])
    if fault == "missing":
        shard.unlink()
    assert done(ledger, 0)
    assert not done(ledger, 1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"null", b'{"fingerprint": "made from this"}'])
def test_a_damaged_record_is_no_record(ledger: Ledger, content: bytes) -> None:
    finish(ledger, 0)
    (ledger.folder / "block-0000.json").write_bytes(content)
    assert not done(ledger, 0)
    with pytest.raises(UserError, match=r"block-0000\.json"):
        ledger.entry(0)


def test_a_record_of_another_fingerprint_is_no_record(ledger: Ledger) -> None:
    finish(ledger, 0)
    path = ledger.folder / "block-0000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "another"}))
    assert not done(ledger, 0)


def test_the_work_of_another_fingerprint_is_thrown_away(ledger: Ledger) -> None:
    finish(ledger, 0)
    other = Ledger(ledger.partial, "made from that")
    other.begin(layout(attributes={"seed": 4}))
    assert not done(other, 0)
    assert not list((other.partial / "velocity").glob("c/*/*"))
    back = Ledger(ledger.partial, ledger.fingerprint)
    back.begin(layout())
    assert not done(back, 0)


@pytest.mark.parametrize("lost", ["mark", "records", "store"])
def test_half_of_a_discarded_store_is_not_taken_up(ledger: Ledger, lost: str) -> None:
    finish(ledger, 0)
    if lost == "mark":
        (ledger.folder / "fingerprint").unlink()
    elif lost == "records":
        (ledger.folder / "block-0000.json").unlink()
    else:
        for shard in (ledger.partial / "velocity" / "c").rglob("0"):
            if shard.is_file():
                shard.unlink()
    ledger.begin(layout())
    assert not done(ledger, 0)


def test_metadata_and_coordinates_are_mended(ledger: Ledger) -> None:
    finish(ledger, 0)
    before = tree(ledger.partial)
    (ledger.partial / "zarr.json").write_bytes(b"{")
    (ledger.partial / "velocity" / "zarr.json").unlink()
    (ledger.partial / "time" / "c" / "0").write_bytes(b"1234")
    ledger.begin(layout())
    assert tree(ledger.partial) == before
    assert done(ledger, 0)


def test_discard_leaves_nothing(ledger: Ledger, tmp_path: Path) -> None:
    finish(ledger, 0)
    ledger.discard()
    ledger.discard()
    assert list(tmp_path.iterdir()) == []


def test_notes_must_be_json(ledger: Ledger) -> None:
    names = finish(ledger, 0)
    with pytest.raises(ValueError, match="JSON"):
        ledger.record(1, names, mean=np.nan)
    assert not done(ledger, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"block": 1},
        {"digests": {}},
        {"digests": []},
        {"notes": []},
        {"notes": {"sum": 0.25}},
        {"digest": "sha256:0"},
        {"digests": {"velocity/c/0/0/0/0": None}},
    ],
)
def test_a_record_that_was_changed_is_no_record(
    ledger: Ledger, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    finish(ledger, 0)
    path = ledger.folder / "block-0000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not done(ledger, 0)
    assert "block-0000.json, or a file that it tells of, is damaged" in capsys.readouterr().err
    assert not path.exists()
    assert not done(ledger, 0)
    assert capsys.readouterr().err == "", "it is said once"


def test_a_record_is_about_its_own_block(ledger: Ledger) -> None:
    finish(ledger, 0)
    finish(ledger, 1)
    assert not ledger.done(0, within(ledger.partial, "velocity", (ROWS[1],)))
    finish(ledger, 0)
    shutil.copyfile(ledger.folder / "block-0000.json", ledger.folder / "block-0001.json")
    assert done(ledger, 0)
    assert not done(ledger, 1)


def test_notes_that_do_not_fit_are_no_record(ledger: Ledger) -> None:
    finish(ledger, 0)
    names = within(ledger.partial, "velocity", (ROWS[0],))
    assert ledger.done(0, names, lambda notes: notes["sum"] == 0.5)
    assert not ledger.done(0, names, lambda notes: notes["sum"] == 1.5)


def test_what_is_thrown_away_is_said(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    finish(ledger, 0)
    ledger.begin(layout())
    assert capsys.readouterr().err == ""
    (ledger.folder / "fingerprint").write_text("made from thas")
    ledger.begin(layout())
    assert "train.zarr.partial is left of a run with another configuration, data or code" in capsys.readouterr().err
    assert not done(ledger, 0)
