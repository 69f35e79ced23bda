"""The checked configuration, the paths of the results and what every rule shares."""

import os
import re
import sys
from pathlib import Path

# Where the files of the workflow lie, whichever Snakefile includes them.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SRC = ROOT / "src"
sys.path.insert(0, str(SRC))

from thermalize.config.merge import merged_experiment
from thermalize.config.strictyaml import read_mapping
from thermalize.runtime.errors import UserError
from thermalize.workflow.estimates import refuse_impossible
from thermalize.store.results import MODEL_FILES, Results, digests_of, with_digest
from thermalize.workflow.plan import stores_for
from thermalize.workflow.resolved import hold_experiment
from thermalize.workflow.resources import ARTIFACT_MB, analysis_memory_of, network_memory_of, simulation_memory_of
from thermalize.workflow.resources import training_memory_of
from thermalize.workflow.code import sources
from thermalize.workflow.plan import emulator_files_of, figures_of, gpus_of, is_lost, settings_of
from thermalize.workflow.plan import simulation_gpus_of, simulation_threads_of, source_files_of, source_stamp_of
from thermalize.workflow.plan import run_package_of, training_gpus_of

if __name__:  # of the module as which these files are imported
    sys.exit("Error: thermalize cannot be imported with `module:` yet; run its Snakefile by itself, with --snakefile")
if found := {os.pathsep, "{", "}"} & {*str(ROOT)}:
    sys.exit(
        f"Error: Python or Snakemake mistakes {' and '.join(sorted(found))} in {ROOT}; give the folder another name"
    )

# Rules run the package of this checkout, also inside conda environments that do not have it installed.
run_package_of(SRC)

# Read strictly before Snakemake reads it; of files that were given with --configfile, it has read them already.
if not workflow.overwrite_configfiles:
    try:
        read_mapping("config.yaml")
    except UserError as error:
        sys.exit(f"Error: {error}")

    configfile: "config.yaml"


try:
    EXPERIMENT, GIVEN = merged_experiment(workflow.configfiles, workflow.config_settings.config)
    refuse_impossible(EXPERIMENT, notes=not workflow.remote_exec)
    SOURCE = source_stamp_of(EXPERIMENT)
except UserError as error:
    sys.exit(f"Error: {error}")

RESULTS = Results(EXPERIMENT.name)
# Written before the first job and no input of any: what a job depends on are its settings.
CONFIG = str(RESULTS.config)
LOGS = Path("logs") / EXPERIMENT.name
STABILIZERS = EXPERIMENT.stabilizers
FIGURES = figures_of(EXPERIMENT)
TABLES = ("summary", "ablation") if EXPERIMENT.sweeps else ("summary",)
ROLLOUTS = dict(emulator=EXPERIMENT.emulators, stabilizer=STABILIZERS, seed=EXPERIMENT.seeds)
GPU = gpus_of(EXPERIMENT)
# Not workflow.cores, which refuses commands that need none, such as --report. On the node of a batch system they are all
# cores that it has, of which the job was given one.
CORES = 1 if workflow.remote_exec else workflow.resource_settings.cores or 1
NOTHING = "(?!)"  # a pattern that no name has
SUFFIXES = (".csv", ".json", ".nc", ".yaml")


wildcard_constraints:
    split="train|valid|test",
    emulator="|".join(map(re.escape, EXPERIMENT.emulators)),
    diffusion="|".join(map(re.escape, EXPERIMENT.diffusion)) or NOTHING,
    stabilizer="|".join(map(re.escape, STABILIZERS)),
    seed=r"\d+",


def code(stage):
    """The modules that a stage runs, as input: a change of code reruns what it touches."""
    return [os.path.relpath(path) for path in sources(stage)]


def settings(stage):
    """The part of the configuration that a stage reads, as a parameter: a change of it reruns the stage."""
    return lambda wildcards: settings_of(EXPERIMENT, stage, dict(wildcards))


def log_of(path):
    """Where a result's log lies: logs mirror the results, `….log` and `….benchmark.tsv` beside each other."""
    stem = LOGS / Path(str(path).removesuffix(".manifest.json")).relative_to(RESULTS.folder)
    return f"{stem.with_suffix('') if stem.suffix in SUFFIXES else stem}.log"


def benchmark_of(path):
    return log_of(path).removesuffix(".log") + ".benchmark.tsv"


def model_files(folder):
    return [str(folder / name) for name in MODEL_FILES]


def metadata(manifest):
    """Of the store beside a manifest."""
    return str(manifest).replace(".manifest.json", ".zarr/zarr.json")


def lost(manifests):
    """Metadata of stores that have gone while their manifests were kept.

    They are outputs of rules of their own, which make the store again and leave alone what was made from it.
    """
    return [metadata(manifest) for manifest in manifests if is_lost(Path(metadata(manifest)), Path(manifest))]


def diffusion_of(wildcards):
    """Files of the diffusion model that a stabilizer needs, if any."""
    model = getattr(STABILIZERS[wildcards.stabilizer], "diffusion", None)
    return [] if model is None else model_files(RESULTS.diffusion(model))


def stores_of(wildcards):
    """Other rollouts and truth that a stabilizer is built from, if any."""
    return [
        str(path) for path in stores_for(STABILIZERS[wildcards.stabilizer], RESULTS, wildcards.emulator, wildcards.seed)
    ]


def lost_before(wildcards):
    """Metadata of the lost stores that a rollout reads."""
    return lost([RESULTS.simulation("test"), *stores_of(wildcards)])


LOST_SIMULATIONS = lost(RESULTS.simulation(split) for split in ("train", "valid", "test"))
LOST_ROLLOUTS = lost(expand(str(RESULTS.rollout("{emulator}", "{stabilizer}", "{seed}")), **ROLLOUTS))


localrules:
    all,
