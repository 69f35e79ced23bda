"""The checked configuration, and what every rule reads from the table of steps."""

import gc
import os
import re
import sys
from pathlib import Path

# A plan is many small objects that stay: to look for garbage among them, over and over, takes a twentieth of its time.
gc.freeze()
gc.set_threshold(100_000)

# Where the files of the workflow lie, whichever Snakefile includes them.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SRC = ROOT / "src"
sys.path.insert(0, str(SRC))

from thermalize.config.load import parse_experiment
from thermalize.config.merge import merged_experiment
from thermalize.config.strictyaml import read_mapping
from thermalize.runtime.errors import UserError
from thermalize.store.results import Results, digests_of, with_digest
from thermalize.workflow.estimates import refuse_impossible
from thermalize.workflow.job import run_package_of
from thermalize.workflow.marks import MARKS, due_of, mark
from thermalize.workflow.needs import Result
from thermalize.workflow.own import other_python, refuse_missing
from thermalize.workflow.plan import Plan, result_of
from thermalize.workflow.records import record_of
from thermalize.workflow.resolved import hold_experiment
from thermalize.workflow.resources import JOBS, simulation_threads_of
from thermalize.workflow.pictures import caption_of, figures_of
from thermalize.workflow.steps import STEPS

# The name of the module as which another workflow imports these files.
IMPORTED = __name__
if found := {os.pathsep, "{", "}"} & {*str(ROOT)}:
    sys.exit(
        f"Error: Python or Snakemake mistakes {' and '.join(sorted(found))} in {ROOT}; give the folder another name"
    )

# Rules run the package of this checkout, also inside conda environments that do not have it installed.
run_package_of(SRC)

# Read strictly before Snakemake reads it; of files that were given with --configfile, it has read them already.
if not IMPORTED and not workflow.overwrite_configfiles:
    try:
        read_mapping("config.yaml")
    except UserError as error:
        sys.exit(f"Error: {error}")

    configfile: "config.yaml"


HELD = []  # until this process ends
try:
    if IMPORTED:  # with an experiment of its own, or that of config.yaml where the command runs
        GIVEN = f"config of the module {IMPORTED}" if config else "config.yaml"
        EXPERIMENT = parse_experiment(dict(config) or read_mapping(GIVEN), GIVEN)
    else:
        EXPERIMENT, GIVEN = merged_experiment(workflow.configfiles, workflow.config_settings.config)
    refuse_impossible(EXPERIMENT, notes=not workflow.remote_exec)
    RESULTS = Results(EXPERIMENT.name)
    PLAN = Plan(EXPERIMENT, RESULTS)
    FIGURES = figures_of(EXPERIMENT)
    PLAN.look_at_sources()
    DUE = MARKS / EXPERIMENT.name
    if not workflow.remote_exec:  # jobs of a batch system are part of a run that has looked
        other = other_python() or bool(workflow.deployment_settings.deployment_method)
        refuse_missing(EXPERIMENT, elsewhere=other, files=not IMPORTED)
        mark(PLAN, DUE)
        if IMPORTED:  # no hook of a module runs before the first job
            HELD.append(hold_experiment(EXPERIMENT, RESULTS.config, GIVEN))
except UserError as error:
    sys.exit(f"Error: {error}")

# Written before the first job and no input of any: what a job depends on are its settings.
CONFIG = str(RESULTS.config)
LOGS = Path("logs") / EXPERIMENT.name
# Not workflow.cores, which refuses commands that need none, such as --report. On the node of a batch system they are all
# cores that it has, of which the job was given one.
CORES = 1 if workflow.remote_exec else workflow.resource_settings.cores or 1
NOTHING = "(?!)"  # a pattern that no name has
SUFFIXES = (".csv", ".gif", ".json", ".nc", ".pdf")


wildcard_constraints:
    split="train|valid|test",
    emulator="|".join(map(re.escape, EXPERIMENT.emulators)),
    diffusion="|".join(map(re.escape, EXPERIMENT.diffusion)) or NOTHING,
    stabilizer="|".join(map(re.escape, EXPERIMENT.stabilizers)),
    seed=r"\d+",


def inputs(step, *key):
    """What says whether a result is due, and files that it is made from.

    Of one that is not due their times of change say nothing, nor that one of them is made again because it was lost.
    """

    def found(wildcards):
        result = Result(step, key) if key else result_of(step, wildcards)
        paths = PLAN.inputs(result)
        due = str(due_of(DUE, result.step, *result.key))
        return [due, *(map(ancient, paths) if PLAN.status(result).current else paths)]

    return found


def record(step, *key):
    """Where it is recorded what a result was made from."""
    return str(record_of(RESULTS, step, *(key or patterns(step))))


def outputs(step):
    """Files of a result, and its record."""
    return [*STEPS[step].outputs(RESULTS, *patterns(step)), record(step)]


def patterns(step):
    return tuple(f"{{{name}}}" for name in STEPS[step].keys)


def params(step, **key):
    """The configuration, and the part of it that a result depends on."""
    return dict(
        config=CONFIG, settings=lambda wildcards: PLAN.settings(result_of(step, {**dict(wildcards.items()), **key}))
    )


def resources(step):
    """Memory, minutes and GPUs that a job asks for."""
    job = JOBS[step]
    if job.alike:
        return dict(mem_mb=job.memory(EXPERIMENT), runtime=job.minutes, gpu=job.gpus(EXPERIMENT))
    return dict(
        mem_mb=lambda wildcards, threads: job.memory(
            EXPERIMENT, *wildcards, *((threads,) if step == "simulate" else ())
        ),
        runtime=job.minutes,
        gpu=lambda wildcards: job.gpus(EXPERIMENT, *wildcards),
    )


def log_of(path):
    """Where a result's log lies: logs mirror the results, `….log` and `….benchmark.tsv` beside each other."""
    stem = LOGS / Path(str(path).removesuffix(".manifest.json")).relative_to(RESULTS.folder)
    return f"{stem.with_suffix('') if stem.suffix in SUFFIXES else stem}.log"


def benchmark_of(path):
    return log_of(path).removesuffix(".log") + ".benchmark.tsv"


localrules:
    all,
