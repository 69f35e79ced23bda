"""Conda environments of the workflow's roles, written from the one lock: exact versions, nothing chosen twice.

    python envs/generate.py            writes envs/simulate.yaml, envs/train.yaml and envs/analyse.yaml
    python envs/generate.py --check    writes nothing; exit status 1 where a file differs

A role lists what its stages import themselves, and what stores at URLs need; the solver adds what those need. The
package's own code is not in the environments: it comes from the checkout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["ROLES", "conda_name", "conda_spec", "environment", "locked", "main"]

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements.lock"
PYTHON = "3.12"
COMMON = (
    "filelock",
    "fsspec",
    "numpy",
    "psutil",
    "pydantic",
    "pyyaml",
    "s3fs",
    "typer",
    "universal-pathlib",
    "xarray",
    "zarr",
)
ROLES = {
    "simulate": (*COMMON, "dask", "dask-jobqueue", "distributed", "netcdf4", "numcodecs", "torch", "tqdm"),
    "train": (*COMMON, "netcdf4", "pandas", "safetensors", "scipy", "torch", "tqdm"),
    "analyse": (
        *COMMON,
        "jinja2",
        "matplotlib",
        "netcdf4",
        "pandas",
        "pillow",
        "rich",
        "safetensors",
        "scipy",
        "scoringrules",
        "torch",
    ),
}
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}
HEADER = "# Written by `make envs` from requirements.lock; edit envs/generate.py.\n"


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Version of every package in the lock."""
    pins = (
        line.partition(";")[0].split("==") for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line
    )
    return {name.strip(): version.strip() for name, version in pins}


def conda_name(package: str) -> str:
    """The name under which conda-forge has a package of the lock."""
    return CONDA_NAMES.get(package, package)


def conda_spec(package: str, version: str) -> str:
    """An exact pin; rebuilt wheels (`.postN`) have no counterpart there, so such a pin admits any build of its base."""
    base, rebuilt, _ = version.partition(".post")
    return f"{conda_name(package)}{'=' if rebuilt else '=='}{base}"


def environment(role: str, versions: dict[str, str]) -> str:
    """The environment file of one role."""
    pins = sorted(conda_spec(package, versions[package]) for package in ROLES[role])
    specs = "".join(f"  - {spec}\n" for spec in (f"python={PYTHON}.*", "pip", *pins))
    return f"{HEADER}channels:\n  - conda-forge\n  - nodefaults\ndependencies:\n{specs}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write envs/*.yaml from requirements.lock.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args(arguments).check
    versions, different = locked(), []
    for role in ROLES:
        path, text = HERE / f"{role}.yaml", environment(role, versions)
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            different.append(f"envs/{path.name} does not follow from requirements.lock; run `make envs`")
        elif not check:
            path.write_text(text, encoding="utf-8")
    print("\n".join(different), end="\n" if different else "", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
