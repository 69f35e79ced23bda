"""Whatever the text of a configuration is, it is an experiment or one refusal: no other exception, and no endless work.

The committed configurations are damaged as text (bytes, lines, indentation, tags, anchors, words that YAML makes more
of) and read in a process of its own, which ends where one of them takes half a minute.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from workflow_run import ROOT, environment

CONFIGS = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]
WORDS = [
    *(
        "!!int abc",
        "!!python/object/apply:os.system [ls]",
        "!!binary é",
        "!!set {a, b}",
        "!local x",
        "!!str 1",
        "!!null",
    ),
    *(
        "2024-13-45",
        "2001-12-14t21:59:43.10-05:00",
        "1:30",
        "010",
        "0b_",
        "0x",
        "0o8",
        "=",
        "<<",
        "~",
        "-",
        "?",
        "&",
        "*",
    ),
    *("1e999", "-1e999", ".nan", ".inf", "-.INF", "1_000", "_1", "1__0", "+.e1", "9" * 5000, "1e308", "-0.0", "1e-999"),
    *(
        "yes",
        "No",
        "on",
        "OFF",
        "true",
        "null",
        '"\\0"',
        '"\\ud800"',
        '"\\e[2J"',
        "\x85",
        "\u2028",
        "\ufeff",
        "\0",
        "é" * 300,
    ),
    *(
        "[" * 500,
        "{" * 500,
        "[[" * 30 + "]]" * 30,
        "{a: " * 60 + "}" * 60,
        "'",
        '"',
        "|",
        ">",
        "%YAML 9.9",
        "---",
        "...",
        "#",
    ),
    *(
        "*a",
        "&a x",
        "&a [*a]",
        "<<: *a",
        "{<<: 3}",
        "[1, 2",
        "{a: b}",
        "? [a, b]",
        "a" * 300,
        "a: b: c",
        "@",
        "`",
        "\t",
    ),
]
SCRIPT = """
import signal, sys
from pathlib import Path
from thermalize.config import Experiment
from thermalize.config.load import load_experiment, resolved_yaml
from thermalize.config.merge import merged_experiment
from thermalize.runtime.errors import UserError
for path in map(Path, sys.argv[1:]):
    said = []
    signal.alarm(30)
    for read in (load_experiment, lambda path: merged_experiment([path], {})[0]):
        try:
            found = read(path)
            assert isinstance(found, Experiment)
            Path(f"{path}.resolved").write_text(resolved_yaml(found), encoding="utf-8")
            assert load_experiment(f"{path}.resolved") == found, path
            said.append("an experiment")
        except UserError as error:
            said.append(str(error))
            assert said[-1].replace("\\n  ", "").isprintable(), said
            assert len(said[-1]) < 20_000, path
        except BaseException:
            print(path, file=sys.stderr)
            raise
    assert said[0] == said[1], said
    print(f"{path}: {said[0]}")
"""


def flipped(text: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(text))
    return text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :]


def cut(text: bytes, draw: random.Random) -> bytes:
    return text[: draw.randrange(len(text))]


def doubled(text: bytes, draw: random.Random) -> bytes:
    first, second = sorted(draw.randrange(len(text)) for _ in range(2))
    return text[:second] + text[first:]


def by_lines(change: Callable[[list[bytes], int, random.Random], None]) -> Callable[[bytes, random.Random], bytes]:
    def changed(text: bytes, draw: random.Random) -> bytes:
        lines = text.splitlines(keepends=True)
        change(lines, draw.randrange(len(lines)), draw)
        return b"".join(lines)

    return changed


def indented(lines: list[bytes], at: int, draw: random.Random) -> None:
    lines[at] = draw.choice([b" ", b"  ", b"\t", b"- ", b"? "]) + lines[at]


def dedented(lines: list[bytes], at: int, draw: random.Random) -> None:
    lines[at] = lines[at][draw.randrange(1, 5) :]


def repeated(lines: list[bytes], at: int, draw: random.Random) -> None:
    lines[at] *= draw.choice([2, 3, 2000])


def swapped(lines: list[bytes], at: int, draw: random.Random) -> None:
    other = draw.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def another_value(lines: list[bytes], at: int, draw: random.Random) -> None:
    key = lines[at].split(b":")[0]
    lines[at] = key + b": " + draw.choice(WORDS).encode("utf-8", "surrogatepass") + b"\n"


def another_key(lines: list[bytes], at: int, draw: random.Random) -> None:
    _, colon, value = lines[at].partition(b":")
    lines[at] = draw.choice(WORDS).encode() + colon + value


def anchored(lines: list[bytes], at: int, draw: random.Random) -> None:
    lines[at] = lines[at].replace(b": ", b": &a ", 1)
    other = draw.randrange(len(lines))
    lines[other] = lines[other].split(b":")[0] + b": " + draw.choice([b"*a", b"[*a, *a]", b"{<<: *a}"]) + b"\n"


MUTATIONS = [
    *(flipped, cut, doubled),
    *map(by_lines, (indented, dedented, repeated, swapped, another_value, another_value, another_key, anchored)),
]


def mutated(count: int, folder: Path, seed: int) -> list[Path]:
    draw, paths = random.Random(seed), []
    for index in range(count):
        text = draw.choice(CONFIGS).read_bytes()
        for _ in range(draw.choice([1, 1, 2, 4])):
            text = draw.choice(MUTATIONS)(text or b"name: a\n", draw)
        paths.append(folder / f"{index}.yaml")
        paths[-1].write_bytes(text)
    return paths


def read(paths: list[Path], seconds: float) -> list[str]:
    parts = [sys.executable, "-c", SCRIPT, *map(str, paths)]
    done = subprocess.run(
        parts, capture_output=True, text=True, env=environment(), timeout=seconds, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))], ids=lambda seed: f"seed{seed}"
)
def test_damaged_text_is_an_experiment_or_a_refusal(tmp_path: Path, seed: int) -> None:
    said = read(mutated(200, tmp_path, seed), 600)
    accepted = sum(line.endswith(": an experiment") for line in said)
    assert 0 < accepted < 190, "neither all refused nor all taken"


def laughs(unit: str, wide: int) -> str:
    """Thirty lists, each of so many aliases of the one before."""
    names = [f"a{index}" for index in range(30)]
    lines = [f"a0: &a0 {unit}"]
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * wide)}]")
    return "\n".join(lines)


def test_aliases_of_aliases_end_at_once(tmp_path: Path) -> None:
    cases = [(unit, wide) for unit in ("[x, x]", "{x: 1, y: 2}") for wide in (2, 9, 60)]
    paths = [tmp_path / f"{number}.yaml" for number in range(len(cases))]
    for path, case in zip(paths, cases, strict=True):
        path.write_text(laughs(*case))
    for case, said in zip(cases, read(paths, 120), strict=True):
        assert "more than 5,000 values stand up to here, aliases written out" in said, case
