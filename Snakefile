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


onstart:
    try:
        HELD.append(hold_experiment(EXPERIMENT, RESULTS.config, GIVEN))
    except UserError as error:
        sys.exit(f"Error: {error}")


rule all:
    default_target: True
    input:
        # Also of what others are made from: a lost one is made again though nothing waits for it.
        PLAN.everything(),
