"""The benchmark of memory: peaks beside what the same jobs asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.memory import Job, jobs, main

HEAD = "s\th:m:s\tmax_rss\trule_name\twildcards\tresources\n"


def test_peaks_are_read_beside_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, values in {
        "emulators/unet": "1234.5\ttrain_emulator\t{'emulator': 'unet'}\t{'tmpdir': '/tmp', 'mem_mb': 2000}",
        "figures/health": "300.0\tfigure_health\t{}\t{'mem_mb': 1500, '_cores': 1}",
    }.items():
        path = tmp_path / f"{name}.benchmark.tsv"
        path.parent.mkdir()
        path.write_text(f"{HEAD}1.0\t0:00:01\t{values}\n")
    assert list(jobs(tmp_path)) == [Job("figure_health", 1500, 300.0), Job("train_emulator unet", 2000, 1234.5)]
    main([str(tmp_path)])
    assert "| figure_health | 1,500 | 300 | 5.0 |" in capsys.readouterr().out


def test_without_benchmark_files_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "run the experiment first" in capsys.readouterr().err
