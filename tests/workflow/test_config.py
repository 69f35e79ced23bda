"""What `thermalize resolve` refuses of a configuration, the workflow refuses in the same words."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_data import BAD_FILES
from workflow_run import ROOT, TINY, environment, python, snakemake, thermalize

from thermalize.config.load import load_experiment
from thermalize.config.merge import merged_experiment
from thermalize.runtime.errors import UserError

DUPLICATE = TINY.read_text().replace("name: tiny\n", "name: tiny\nname: other\n")
ODD = "a (b) 'c' \"d\" $HOME `e` é; & [f] *"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named as seen from the working folder, so they are all outside of it."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def refusal(*files: Path, **overrides: Any) -> str:
    with pytest.raises(UserError) as caught:
        merged_experiment(files, overrides)
    return str(caught.value)


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES, ids=[sentence[7:40] for _, sentence in BAD_FILES])
def test_a_bad_file_is_refused_in_the_words_of_resolve(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text, encoding="utf-8")
    assert refusal(path) == sentence.format(path=path)
    assert refusal(TINY, path) == sentence.format(path=path), "on top of another file too"


@pytest.mark.parametrize("content", [TINY.read_text().encode("utf-16"), b"name: \xff\n"])
def test_files_that_cannot_be_read_are_refused_in_the_words_of_resolve(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    for bad in (path, tmp_path / "missing.yaml", tmp_path, tmp_path / ("a" * 300), tmp_path / "null\0.yaml"):
        with pytest.raises(UserError) as caught:
            load_experiment(bad)
        assert refusal(bad) == str(caught.value)


def test_two_whole_experiments_are_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(TINY.read_text().replace("name: tiny", "name: other"))
    assert refusal(TINY, path) == (
        f"{TINY} and {path} both describe a whole experiment; give one of them, and others only what they change"
    )
    path.write_text("name: variant\nrollouts: {steps: 60}\n")
    experiment, source = merged_experiment([TINY, path], {})
    assert (experiment.name, experiment.rollouts.steps, experiment.rollouts.chunk) == ("variant", 60, 20)
    assert source == f"{TINY} with {path}"


def test_keys_of_the_command_line_change_a_file_and_are_named(tmp_path: Path) -> None:
    experiment, source = merged_experiment(
        [TINY],
        # as the command line parses them: numbers where the whole value is one, text within sections and lists
        {
            "seed": 8,
            "seeds": ["2", "3"],
            "storage": None,
            "rollouts": {"steps": "1e2", "stabilizers": {"thermalized": {"conserve_mean": "false", "drift": "null"}}},
        },
    )
    assert (experiment.seed, experiment.seeds, experiment.rollouts.steps) == (8, (2, 3), 100)
    assert list(experiment.stabilizers) == ["raw", "thermalized"]
    assert experiment.stabilizers["thermalized"].model_dump()["conserve_mean"] is False
    assert source == f"{TINY} with --config seed, seeds, storage, rollouts"
    said = refusal(TINY, sed=8, device="gpu")
    assert said.splitlines()[0] == f"{TINY} with --config sed, device has 2 faults:"
    assert "sed: this key is unknown; did you mean 'seed'?" in said


def test_the_command_line_of_the_page_on_the_workflow_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "workflow.md").read_text()
    (given,) = re.findall(r"^snakemake .*--config (.*)$", page, re.MULTILINE)
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {given}"], capture_output=True, text=True, check=True).stdout
    done = snakemake(tmp_path, "--dry-run", "--config", *words.splitlines())
    planned = done.stdout + done.stderr
    assert "results/variant/tables/summary.csv" in planned
    assert "rollout of small, raw, seed 5" in planned
    assert "seed 0" not in planned


def test_no_model_is_called_none_where_there_are_no_diffusion_models(tmp_path: Path) -> None:
    mapping = yaml.safe_load(TINY.read_text())
    del mapping["diffusion"], mapping["rollouts"]["stabilizers"]["thermalized"]
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(mapping))
    for target in ("diffusion/none/model.json", "samples/none.nc"):
        done = snakemake(tmp_path, "--dry-run", f"results/tiny/{target}", config=tmp_path / "my.yaml", check=False)
        assert done.returncode != 0
        assert "MissingRuleException" in done.stdout + done.stderr
        assert "KeyError" not in done.stdout + done.stderr
    done = snakemake(tmp_path, "--dry-run", config=tmp_path / "my.yaml")
    assert "train_emulator" in done.stdout + done.stderr


def test_a_rollout_that_is_made_again_waits_for_the_lost_truth(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """Manifests are there and their stores are not; nothing else is made again, but the pictures that never were."""
    shutil.copytree(tiny[1], tmp_path / "results")
    for name in ("simulation/test", "rollouts/small/raw/seed0"):
        shutil.rmtree(tmp_path / "results" / "tiny" / f"{name}.zarr")
    assert planned(tmp_path, config=tiny[0]) == {"simulate": 1, "rollout": 1}
    graph = snakemake(tmp_path, "--dag", config=tiny[0]).stdout
    named = dict(re.findall(r'(\d+)\[label = "(\w+)', graph))
    edges = {(named[one], named[other]) for one, other in re.findall(r"(\d+) -> (\d+)", graph)}
    assert ("simulate", "rollout") in edges


def planned(folder: Path, *targets: str, config: Path) -> dict[str, int]:
    """Jobs of a dry run by rule, without those of pictures."""
    done = snakemake(folder, *targets, "--dry-run", config=config)
    jobs = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return {name: int(n) for name, n in jobs if not name.startswith(("figure_", "movie", "total", "all"))}


def test_a_changed_setting_is_noticed_without_any_memory_of_snakemake(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """Of all results, and of one that is asked for; results that lie there as they were need nothing."""
    shutil.copytree(tiny[1], tmp_path / "results")
    assert planned(tmp_path, config=tiny[0]) == {}
    changed = tmp_path / "changed.yaml"
    changed.write_text(tiny[0].read_text().replace("resamples: 20", "resamples: 30"))
    assert changed.read_text() != tiny[0].read_text()
    shutil.rmtree(tmp_path / ".snakemake")
    after = planned(tmp_path, config=changed)
    assert {"diagnose", "ensemble", "sample", "cost", "summary"} <= set(after) <= {*after, "ablation"}
    assert not {"simulate", "train_emulator", "train_diffusion", "rollout"} & set(after)
    target = "results/tiny/diagnostics/small/raw/seed0.nc"
    assert planned(tmp_path, target, config=changed) == {"diagnose": 1}
    assert planned(tmp_path, target, config=tiny[0]) == {}


def test_a_key_twice_stops_the_workflow(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(DUPLICATE)
    done = snakemake(tmp_path, "--dry-run", config=path, check=False)
    assert done.returncode != 0
    assert "Error: my.yaml, line 4: the key 'name' stands here and in line 3; keep one of the two\n" in done.stderr
    assert thermalize("resolve", "my.yaml", cwd=tmp_path).stderr in done.stderr


def workflow(folder: Path, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    cold = root != ROOT  # another package
    parts = [str(python(cold)), "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--cores", "1", *arguments]
    return subprocess.run(parts, cwd=folder, capture_output=True, text=True, env=environment(cold), check=False)


@pytest.mark.parametrize("text", ["name: a\n\tseed: 1\n", None], ids=["tab", "missing"])
def test_the_default_file_is_refused_before_snakemake_reads_it(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    done = workflow(tmp_path, "--dry-run")
    assert done.returncode != 0
    assert done.stderr.endswith(thermalize("resolve", "config.yaml", cwd=tmp_path).stderr)
    assert "Traceback" not in done.stderr


def test_snakemake_has_words_of_its_own_for_files_on_its_command_line(tmp_path: Path) -> None:
    """It reads them before anything of ours runs; the page on the workflow says so."""
    (tmp_path / "tab.yaml").write_text("name: a\n\tseed: 1\n")
    done = workflow(tmp_path, "--dry-run", "--configfile", "tab.yaml")
    assert done.returncode != 0
    assert "Config file is not valid JSON or YAML" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


IMPORTER = """
import yaml

configfile: "own.yaml"

module turbulence:
    snakefile: {snakefile!r}
{given}
use rule * from turbulence as turbulence_*

rule simulate:
    output: "mine.txt"
    shell: "echo {{config[mine]}} > {{output}}"

rule everything:
    default_target: True
    input: "mine.txt", rules.turbulence_all.input
"""


def importer(folder: Path, given: str = "    config: config['experiment']") -> Path:
    """A workflow with a rule, a configuration and a hook of its own, which imports this one."""
    own = {"mine": 3, "experiment": yaml.safe_load(TINY.read_text())}
    (folder / "own.yaml").write_text(yaml.safe_dump(own))
    path = folder / "mine.smk"
    path.write_text(IMPORTER.format(snakefile=str(ROOT / "Snakefile"), given=f"{given}\n"))
    return path


def test_a_workflow_that_imports_this_one_plans_it_beside_its_own_rules(tmp_path: Path) -> None:
    done = workflow(tmp_path, "--snakefile", str(importer(tmp_path)), "--dry-run")
    assert done.returncode == 0, done.stderr[-3000:]
    for rule in ("turbulence_simulate", "turbulence_rollout", "turbulence_figure_spectra", "simulate", "everything"):
        assert re.search(rf"^{rule} +\d+$", done.stdout + done.stderr, re.MULTILINE), rule


def test_a_module_without_an_experiment_reads_that_of_the_folder(tmp_path: Path) -> None:
    path = importer(tmp_path, given="")
    done = workflow(tmp_path, "--snakefile", str(path), "--dry-run")
    assert "config.yaml does not exist" in done.stderr
    (tmp_path / "config.yaml").write_text(TINY.read_text().replace("name: tiny", "name: other"))
    done = workflow(tmp_path, "--snakefile", str(path), "--dry-run")
    assert "results/other/tables/summary.csv" in done.stdout + done.stderr


def test_what_is_wrong_with_the_experiment_of_a_module_is_one_sentence(tmp_path: Path) -> None:
    done = workflow(tmp_path, "--snakefile", str(importer(tmp_path, "    config: {'name': 'a'}")), "--dry-run")
    assert done.returncode != 0
    assert "Error: config of the module turbulence" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_workflow_that_imports_this_one_runs_it(tmp_path: Path) -> None:
    targets = ("mine.txt", "results/tiny/simulation/valid.manifest.json")
    run = ("--snakefile", str(importer(tmp_path)), "--cores", "2", *targets)
    done = workflow(tmp_path, *run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "mine.txt").read_text() == "3\n"
    assert (tmp_path / targets[1]).is_file()
    assert "Nothing to be done" in workflow(tmp_path, *run).stderr


def checkout(folder: Path) -> Path:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(
        lambda name: name.split("/")[0] in {"Snakefile", "rules", "src", "envs", "report"}, listed.split("\0")
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.slow
def test_a_checkout_and_a_folder_of_any_name_run_a_rule(tmp_path: Path) -> None:
    """Also a configuration there, and a working folder with braces, which Snakemake takes for wildcards elsewhere."""
    root, here = checkout(tmp_path / ODD), tmp_path / f"{ODD} {{x}}"
    here.mkdir()
    (here / f"{ODD}.yaml").write_text(TINY.read_text())
    target = "results/tiny/simulation/valid.manifest.json"
    done = workflow(here, target, "--configfile", f"{ODD}.yaml", root=root)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (here / target).is_file()
    assert not {path.name for path in here.iterdir()} - {"results", "logs", ".snakemake", f"{ODD}.yaml"}


@pytest.mark.parametrize("name", ["a:b", "a{b}c"])
def test_a_checkout_whose_name_nothing_can_quote_is_refused(tmp_path: Path, name: str) -> None:
    done = workflow(tmp_path, "--dry-run", "--configfile", str(TINY), root=checkout(tmp_path / name))
    assert done.returncode != 0
    assert f"in {tmp_path / name}; give the folder another name" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_of_every_kind_of_the_command_line_reach_the_jobs(tmp_path: Path) -> None:
    done = snakemake(tmp_path, "results/tiny/device.json", "--config", "seed=9", "device=cpu")
    assert done.returncode == 0
    written = yaml.safe_load((tmp_path / "results" / "tiny" / "config.yaml").read_text())
    assert (written["seed"], written["device"]) == (9, "cpu")
    assert "--config seed, device, with every default." in (tmp_path / "results/tiny/config.yaml").read_text()
