# Simulation → emulator and diffusion training → raw and stabilised rollouts → diagnostics → figures, tables, report.
# What runs is said by the configuration: config.yaml, or the file given with --configfile.
from snakemake.utils import min_version

min_version("9.27")


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/simulate.smk"
include: "rules/emulator.smk"
include: "rules/diffusion.smk"
include: "rules/rollout.smk"
include: "rules/diagnostics.smk"
include: "rules/artifacts.smk"


HELD = []  # until this process ends


onstart:
    try:
        HELD.append(hold_experiment(EXPERIMENT, RESULTS.config, GIVEN))
    except UserError as error:
        sys.exit(f"Error: {error}")


rule all:
    default_target: True
    input:
        expand(with_digest(f"{RESULTS.figure('{figure}')}.{{suffix}}"), figure=FIGURES, suffix=("pdf", "png")),
        with_digest(RESULTS.movie),
        with_digest(RESULTS.movie_in_report),
        expand(with_digest(RESULTS.table("{suffix}", "{table}")), suffix=("csv", "tex"), table=TABLES),
        # What others are made from, too: a lost one is made again though nothing waits for it.
        expand(str(RESULTS.simulation("{split}")), split=("train", "valid", "test")),
        expand(str(RESULTS.rollout(*ROLLOUT)), **ROLLOUTS),
        [SWEEP_INPUTS[name] for name in ("diagnostics", "cost")],
        [ARTIFACT_INPUTS[name] for name in ("emulators", "diffusion", "samples", "ensembles")],
        LOST_SIMULATIONS,
        LOST_ROLLOUTS,
