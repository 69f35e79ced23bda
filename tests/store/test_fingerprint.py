"""Fingerprints: equal for equal content, different for any other, of configuration and of code."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_data import experiment

from thermalize.store import fingerprint as fingerprints
from thermalize.store.fingerprint import (
    UNTRACKED,
    code_of,
    digest_of,
    file_of,
    fingerprint,
    keep,
    modules,
    remember,
    untracked,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_matter(values: dict[str, object]) -> None:
    assert fingerprint(values) == fingerprint(dict(reversed(values.items())))


def test_it_is_the_digest_of_canonical_json() -> None:
    canonical = '[{"a":"\\u00e9","b":[1,2.5,null]},3]'
    assert fingerprint({"b": [1, 2.5, None], "a": "é"}, 3) == sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [((1,), (1.5,)), ((1, 2), (2, 1)), (("12",), ("1", "2")), (([1], 2), ([1, 2],)), ((0,), (False,)), ((), (None,))],
)
def test_other_content_has_another_fingerprint(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert fingerprint(*one) != fingerprint(*other)


def test_a_model_counts_as_its_values() -> None:
    config = experiment().simulation
    assert fingerprint(config) == fingerprint(config.model_dump(mode="json"))
    assert fingerprint(config) != fingerprint(experiment(dt=0.125).simulation)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        fingerprint(value)


SOURCE = (
    '"""What it does."""\nA = 1\n"""Of A."""\ndef f(x: int = 3) -> int:\n    """Of f."""\n    return x + 1  # why\n'
)
SAME = (
    SOURCE.replace("What it does.", "Something else."),
    SOURCE.replace('"""Of A."""\n', ""),
    SOURCE.replace('    """Of f."""\n', ""),
    SOURCE.replace("  # why", ""),
    SOURCE.replace("A = 1\n", "A = 1\n\n\n").replace("x + 1", "(x + 1)"),
)
OTHER = (
    *(SOURCE.replace(*change) for change in (("A = 1", "A = 2"), ("x + 1", "1 + x"), ("= 3", "= 4"))),
    SOURCE + "B = 1",
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the place of this one, whose import would fail."""
    folder = tmp_path / "thermalize"
    (folder / "part").mkdir(parents=True)
    (folder / "config").mkdir()
    texts = {
        "__init__.py": "raise RuntimeError\n",
        "stage.py": "raise RuntimeError\nfrom thermalize.part import deep\nimport numpy\n",
        "part/__init__.py": "",
        "part/deep.py": "def late():\n    from thermalize.part.deeper import x\n",
        "part/deeper.py": "from thermalize.config.base import Strict\nx = 1\n",
        "part/aside.py": "",
        "config/__init__.py": "",
        "config/base.py": "from thermalize.part import aside\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(fingerprints, "PACKAGE", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    for function in ("modules", "_imports", "_source", "_content", "_path"):
        getattr(fingerprints, function).cache_clear()
    fingerprints._KNOWN.clear()
    fingerprints._USED.clear()


def digest(path: Path, text: str) -> str:
    path.write_text(text)
    forget()
    return code_of("thermalize.stage")["thermalize.part.deep"]


def test_what_is_known_of_sources_is_kept_by_their_contents(package: Path, tmp_path: Path) -> None:
    kept, deep = tmp_path / "kept" / "sources.json", package / "part" / "deep.py"
    before, text = code_of("thermalize.stage"), deep.read_text()
    keep(kept)
    whole = kept.read_text()
    deep.write_text(text + "\nedited = 1\n")
    forget()
    remember(kept)
    assert code_of("thermalize.stage") != before
    keep(kept)
    deep.write_text(text)
    forget()
    remember(kept)
    assert code_of("thermalize.stage") == before
    keep(kept)
    assert kept.read_text() == whole, "what is no longer there is forgotten"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"digest": 1}}'])
def test_a_damaged_memory_of_sources_is_no_harm(package: Path, tmp_path: Path, text: str) -> None:
    before, kept = code_of("thermalize.stage"), tmp_path / "sources.json"
    kept.write_text(text)
    forget()
    remember(kept)
    assert code_of("thermalize.stage") == before
    keep(kept)
    assert kept.read_text().startswith('{"')


def test_a_module_runs_what_it_imports_wherever_it_does(package: Path) -> None:
    assert modules("thermalize.stage") == (
        "thermalize.part",
        "thermalize.part.deep",
        "thermalize.part.deeper",
        "thermalize.stage",
    )
    assert modules("thermalize.stage", ("thermalize.part.deep",)) == ("thermalize.part", "thermalize.stage")
    assert modules("thermalize.stage", ("thermalize.part",)) == ("thermalize.stage",)


def test_prose_and_layout_are_no_code(package: Path) -> None:
    path = package / "part" / "deep.py"
    before = digest(path, SOURCE)
    assert {digest(path, each) for each in SAME} == {before}
    assert len({before, *(digest(path, each) for each in OTHER)}) == 1 + len(OTHER)


def test_what_is_untracked_is_there_and_has_a_reason() -> None:
    for name, reason in UNTRACKED.items():
        assert file_of(name) is not None, name
        assert reason
        assert untracked(f"{name}.anything")
    assert not untracked("thermalize.stages")


def test_a_source_is_found_without_running_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(package.parent)
    (package.parent / "fragile").mkdir()
    (package.parent / "fragile" / "__init__.py").write_text("raise RuntimeError\n")
    (package.parent / "fragile" / "inner.py").write_text("raise RuntimeError\n")
    assert file_of("fragile.inner") == package.parent / "fragile" / "inner.py"
    assert file_of("fragile.nothing") is None
    assert file_of("fragile.inner.function") is None
    assert file_of("sys") is None
    assert "fragile" not in sys.modules


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        digest_of("thermalize.no_such_module")
