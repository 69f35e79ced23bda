"""The recipes of images: they install the lock, agree with each other, and hold all that a run needs."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE, RECIPE = ROOT / "envs" / "Dockerfile", ROOT / "envs" / "thermalize.def"


def section(name: str) -> list[str]:
    """Lines of a section of the Apptainer recipe."""
    text = re.split(r"^%(\w+)\n", RECIPE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line.strip() for line in text[text.index(name) + 1].splitlines() if line.strip()]


def copied() -> set[str]:
    """What the recipe puts into the image."""
    return {name for line in section("files") for name in line.split()[:-1]}


def test_docker_and_apptainer_have_the_same_steps_and_files() -> None:
    docker = DOCKERFILE.read_text(encoding="utf-8")
    steps = re.findall(r"^RUN (.*)$", docker, re.MULTILINE)
    assert steps == [line for line in section("post") if line.startswith("pip ")]
    assert "--requirement requirements.lock" in steps[0]
    (base,) = re.findall(r"^FROM (.*)$", docker, re.MULTILINE)
    assert f"From: {base}" in RECIPE.read_text(encoding="utf-8")
    ignored = (ROOT / "envs" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {name[1:] for name in ignored if name.startswith("!")} == copied()


def test_an_image_names_no_host_and_the_python_of_the_environments() -> None:
    for path in (DOCKERFILE, RECIPE):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\w\.(io|com|org)\b", text)
        assert "python:3.12" in text
    assert "python=3.12.*" in (ROOT / "envs" / "train.yaml").read_text(encoding="utf-8")


def test_what_is_copied_is_enough_to_run_from_another_folder(tmp_path: Path) -> None:
    """The image's command on the copied files alone, as a dry run, in an empty folder."""
    image, work = tmp_path / "opt" / "thermalize", tmp_path / "work"
    work.mkdir()
    image.mkdir(parents=True)
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, image / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, image / name)
    (run,) = section("runscript")
    command = run.replace("/opt/thermalize", str(image)).removeprefix("exec ").replace('"$@"', "")
    (arguments,) = re.findall(r"^CMD \[(.*)\]$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    options = [part.strip('",') for part in arguments.replace("/opt/thermalize", str(image)).split()]
    whole = [sys.executable, "-m", *shlex.split(command), *options, "--dry-run"]
    done = subprocess.run(whole, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^total +\d\d", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the package index has hadolint for Linux on x86-64",
)
def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0
