"""The checked configuration, the paths of the results and what every rule shares."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from thermalize.configfile import parse_experiment, write_experiment
from thermalize.errors import UserError
from thermalize.paths import MODEL_FILES, Results
from thermalize.requisites import stores_for
from thermalize.resources import ARTIFACT_MB, analysis_memory_of, network_memory_of, simulation_memory_of
from thermalize.resources import training_memory_of
from thermalize.sources import sources
from thermalize.workflow import emulator_files_of, figures_of, gpus_of, settings_of, simulation_gpus_of
from thermalize.workflow import simulation_threads_of, source_files_of, source_stamp_of, training_gpus_of

shell.executable("bash")
# Rules run the package of this checkout, also inside conda environments that do not have it installed.
shell.prefix(f"set -euo pipefail; export PYTHONPATH={workflow.basedir}/src${{{{PYTHONPATH:+:$PYTHONPATH}}}}; ")

try:
    EXPERIMENT = parse_experiment(config, workflow.configfiles[-1])
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
SUFFIXES = (".csv", ".json", ".nc", ".yaml")


wildcard_constraints:
    split="train|valid|test",
    emulator="|".join(map(re.escape, EXPERIMENT.emulators)),
    diffusion="|".join(map(re.escape, EXPERIMENT.diffusion)) or "none",
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


def diffusion_of(wildcards):
    """Files of the diffusion model that a stabilizer needs, if any."""
    model = getattr(STABILIZERS[wildcards.stabilizer], "diffusion", None)
    return [] if model is None else model_files(RESULTS.diffusion(model))


def stores_of(wildcards):
    """Other rollouts and truth that a stabilizer is built from, if any."""
    return [
        str(path) for path in stores_for(STABILIZERS[wildcards.stabilizer], RESULTS, wildcards.emulator, wildcards.seed)
    ]


localrules:
    all,
