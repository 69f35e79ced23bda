"""The card of a trained model as a page for people: what it is, what it learned from, how well, at what cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from thermalize.models.trust import names_code

__all__ = ["readme"]

LOADING = {
    "emulator": """import thermalize

emulator = thermalize.load_emulator("{folder}"{trust})
u_next = emulator.step(u)  # {shape}, physical units
""",
    "diffusion": """import thermalize

diffusion = thermalize.load_diffusion("{folder}"{trust})
level = diffusion.model.level(x)  # of normalised states {shape}
""",
}


def readme(card: Mapping[str, Any], folder: str, cost: Mapping[str, str]) -> str:
    """Markdown; `folder` is where the model lies, `cost` what was measured while it was trained."""
    return "\n".join(
        (
            f"# {card['kind'].capitalize()} `{card['name']}`",
            "",
            *_table("data", _data(card)),
            *_table(f"held-out members, at update {card['best_update']}", _numbers(card["metrics"])),
            *_table("network", _numbers(card["network"])),
            *_table("cost", cost.items()),
            "## Use",
            "",
            "```python",
            LOADING[card["kind"]].format(folder=folder, shape=_shape(card), trust=_trust(card)).rstrip(),
            "```",
            "",
            "## Configuration",
            "",
            "```yaml",
            yaml.safe_dump(card["config"], sort_keys=False).rstrip(),
            "```",
            "",
        )
    )


def _data(card: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "system", ", ".join(f"{key} {value}" for key, value in card["system"].items())
    yield "time between frames", f"{card['frame_interval']:g}"
    yield "mean by channel", _text(card["normalization"]["mean"])
    yield "standard deviation by channel", _text(card["normalization"]["std"])
    for split, fingerprint in card["data"].items():
        yield f"{split} split", f"`{fingerprint}`"
    yield "code", card["code_version"]


def _table(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows), ""]


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _text(value)) for name, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_text(each)} along {axis}" for axis, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _trust(card: Mapping[str, Any]) -> str:
    return ", trust_code=True" if names_code(card["config"]) else ""


def _shape(card: Mapping[str, Any]) -> str:
    return "[batch, channel, " + ", ".join("yx"[-card["dims"] :]) + "]"
