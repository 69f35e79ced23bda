"""What a stage recognises its old result by holds every module that the result depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

import thermalize
from thermalize.stages import diffusion, emulator, external, rollouts, training
from thermalize.truth import simulate
from thermalize.workflow.code import sources

PACKAGE = Path(thermalize.__file__).parent
MOVES_BYTES = "puts bytes into files and back, and compares their digests"
STAGES = {
    "emulator": ((*emulator.CODE, *training.CODE), {"store": MOVES_BYTES}),
    "diffusion": ((*diffusion.CODE, *training.CODE), {"store": MOVES_BYTES}),
    "rollout": (
        rollouts.CODE,
        {
            "store": MOVES_BYTES,
            "training": "made the models, whose digests count",
            "stages.training": "made the models, whose digests count",
            "stages.data": "the data of trainings",
            "requisites": "says which manifests there are",
        },
    ),
    "simulate": ((*simulate.CODE, *simulate.IMPORT_CODE), {"cluster": "says where blocks are computed"}),
}
NEVER = {
    "revision": "a note in the card",
    "stages": "an empty package",
    "networksize": "refuses a network that is too large, and computes nothing of a result",
}
IN_THE_OTHER = {"emulator": external.CODE}


def tracked(stage: str) -> set[str]:
    names = {Path(path).relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".") for path in sources(stage)}
    return {f"thermalize.{name.removesuffix('.__init__')}" for name in names}


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_of_a_stage_is_in_its_fingerprint_or_left_out_for_a_reason(stage: str) -> None:
    code, reasons = STAGES[stage]
    left_out = tuple(f"thermalize.{name}" for name in reasons)
    missed = {
        name
        for name in tracked(stage)
        if not within(name, (*code, *IN_THE_OTHER.get(stage, ()), *left_out))
        and name.removeprefix("thermalize.") not in NEVER
    }
    assert missed == set()
    assert {name for name in code if not any(within(found, (name,)) for found in tracked(stage))} == set()


@pytest.mark.parametrize(("stage", "reasons"), [(stage, reasons) for stage, (_, reasons) in STAGES.items()])
def test_no_reason_is_given_for_what_is_not_there(stage: str, reasons: dict[str, str]) -> None:
    for name in reasons:
        assert any(within(found, (f"thermalize.{name}",)) for found in tracked(stage)), name
