"""The pages that follow from the code: the schema and the table of every key, and the table of every metric.

python docs/generate.py            writes config.schema.json, configuration.md and a part of diagnostics.md
python docs/generate.py --check    writes nothing; exit status 1 where a file differs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from thermalize.config.load import configuration_page, schema_text
from thermalize.metrics.registry import coordinates, variables

__all__ = ["PAGES", "main"]

HERE = Path(__file__).parent
DIAGNOSTICS = HERE / "diagnostics.md"
ENDS = ("_low", "_high", "_floor")
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"


def diagnostics_page() -> str:
    """The page on diagnostics, with the table of all variables that families of metrics declare."""
    before, _, rest = DIAGNOSTICS.read_text(encoding="utf-8").partition(BEGIN)
    known = {**coordinates(), **variables()}
    rows = [
        f"| `{name}` | {', '.join(each.dims)} | {each.units.strip('{}')} | {each.long_name} |"
        for name, each in known.items()
        if not any(name.endswith(end) and name.removesuffix(end) in known for end in ENDS)
    ]
    table = "\n".join(["| variable | dimensions | unit | meaning |", "|---|---|---|---|", *rows])
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


PAGES = {
    "config.schema.json": schema_text,
    "configuration.md": configuration_page,
    "diagnostics.md": diagnostics_page,
}


SOURCE = {"config.schema.json": "config", "configuration.md": "config", "diagnostics.md": "metrics"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the pages that follow from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args(arguments).check
    different = []
    for name, text in PAGES.items():
        path = HERE / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text()):
            different.append(
                f"docs/{name} does not follow from src/thermalize/{SOURCE.get(name, 'config')}; run `make schema`"
            )
        elif not check:
            path.write_text(text(), encoding="utf-8")
    print("\n".join(different), end="\n" if different else "", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
