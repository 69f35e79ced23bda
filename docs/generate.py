"""The pages that follow from the configuration models: the JSON Schema for editors and the table of every key.

python docs/generate.py            writes docs/config.schema.json and docs/configuration.md
python docs/generate.py --check    writes nothing; exit status 1 where a file differs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from thermalize.config.load import configuration_page, schema_text

__all__ = ["PAGES", "main"]

HERE = Path(__file__).parent
PAGES = {"config.schema.json": schema_text, "configuration.md": configuration_page}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the schema and the page of the configuration.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args(arguments).check
    different = []
    for name, text in PAGES.items():
        path = HERE / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text()):
            different.append(f"docs/{name} does not follow from src/thermalize/config; run `make schema`")
        elif not check:
            path.write_text(text(), encoding="utf-8")
    print("\n".join(different), end="\n" if different else "", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
