"""Files are replaced whole or not at all, errors of the disk are explained, and two jobs take turns."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from thermalize.runtime import files
from thermalize.runtime.errors import UserError
from thermalize.runtime.files import exclusive, explaining, remove, replacing, write_bytes, write_text


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "eins")
    write_text(path, "zwei – ½")
    assert path.read_text(encoding="utf-8") == "zwei – ½"
    write_bytes(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [entry.name for entry in tmp_path.iterdir()] == ["note.txt"]


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("stop")


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="stop"):
        write_half(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_the_new_file_is_on_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "a.bin", []

    def record(synced: Path) -> None:
        seen.append((synced == tmp_path, path.exists()))

    monkeypatch.setattr(files, "sync", record)
    write_bytes(path, b"1")
    assert seen == [(False, False), (True, True)]


def test_the_temporary_file_keeps_the_suffix_and_hides(tmp_path: Path) -> None:
    with replacing(tmp_path / "plot.tar.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert temporary.name.startswith(".")
        temporary.touch()


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full, the device whose every write fails with ENOSPC")
    with pytest.raises(UserError, match=r"state\.json: no space is left") as caught, explaining(target):
        full.write_bytes(b"x")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("number", sorted(files.REASONS))
def test_what_the_disk_refuses_is_named_with_a_way_out(number: int) -> None:
    with pytest.raises(UserError) as caught, explaining(Path("results/store")):
        raise OSError(number, os.strerror(number), "results/other")
    assert str(caught.value) == f"Cannot write results/other: {files.REASONS[number]}"


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explaining(tmp_path):
        (tmp_path / "missing").read_text()
    assert errno.ENOENT not in files.REASONS


def test_remove_takes_files_links_and_nothing_but_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").touch()
    link = tmp_path / "link"
    link.symlink_to(folder)
    remove(link)
    assert (folder / "inner" / "file").exists()
    with pytest.raises(UserError, match="a folder stands where a file is needed"), explaining(folder):
        remove(folder)
    remove(folder / "inner" / "file")
    remove(folder / "inner" / "file")
    assert list((folder / "inner").iterdir()) == []


def test_the_second_job_waits_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, order, waiting = tmp_path / "deep" / "store.zarr", [], threading.Event()

    def second() -> None:
        waiting.set()
        with exclusive(path):
            order.append("second")

    with exclusive(path):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == f"Another job is writing {path}; waiting for it.\n"


def test_the_lock_is_free_after_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), exclusive(tmp_path / "a"):
        raise RuntimeError
    with exclusive(tmp_path / "a"):
        assert capsys.readouterr().err == ""
