# Jobs that ask for GPUs as the rules of the workflow do, and say which devices they were given. The first two wait for each
# other, so that each has its device while the other has its own; the others come after them.
import sys

GPUS = {"one": 1, "two": 1, "none": 0, "both": 2}
PAIR = ["one", "two"]


rule all:
    input:
        expand("{job}.devices", job=GPUS),


rule devices:
    input:
        lambda wildcards: [] if wildcards.job in PAIR else expand("{job}.devices", job=PAIR),
    output:
        "{job}.devices",
    threads: 1
    resources:
        mem_mb=100,
        runtime=5,
        gpu=lambda wildcards: GPUS[wildcards.job],
    params:
        together=lambda wildcards: PAIR if wildcards.job in PAIR else [],
        python=sys.executable,
        script=workflow.source_path("devices.py"),
    shell:
        "{params.python} {params.script} {wildcards.job} {resources.gpu} {params.together} > {output}"
