"""Fingerprints: equal for equal content, different for any other, of configuration and of code."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_data import experiment

from thermalize.store.fingerprint import code_digest, fingerprint

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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose import would fail, beside a module."""
    folder = tmp_path / "fragile_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError\n")
    (folder / "inner" / "deep.py").write_text("x = 1\n")
    (tmp_path / "lone_module.py").write_text("y = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_the_digest_follows_every_source_file(package: Path) -> None:
    seen = {code_digest("fragile_package")}
    for path, text in [
        ("inner/deep.py", "x = 2\n"),
        ("__init__.py", "\n"),
        ("inner/more.py", ""),
        ("inner/data.py", ""),
    ]:
        (package / path).write_text(text)
        seen.add(code_digest("fragile_package"))
    assert len(seen) == 5
    (package / "inner" / "notes.txt").write_text("not code")
    assert code_digest("fragile_package") in seen
    assert "fragile_package" not in sys.modules


def test_the_digest_is_of_a_set_of_modules(package: Path) -> None:
    both = code_digest("fragile_package", "lone_module")
    assert both == code_digest("lone_module", "fragile_package")
    assert len({both, code_digest("lone_module"), code_digest("fragile_package")}) == 3


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        code_digest("no_such_module")
