# Measure the band energies of the train split, which control of band energies compares with.
rule bands:
    input:
        inputs("bands"),
    output:
        outputs("bands"),
    log:
        log_of(RESULTS.bands),
    benchmark:
        benchmark_of(RESULTS.bands)
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        **resources("bands"),
    params:
        **params("bands"),
    message:
        "band energies of the train split"
    shell:
        "python -m thermalize --settings {params.settings} bands {params.config:q} > {log:q} 2>&1"


# Run an emulator under a stabilizer, streamed to a Zarr store; an interrupted rollout is continued.
rule rollout:
    input:
        inputs("rollout"),
    output:
        outputs("rollout"),
    log:
        log_of(RESULTS.rollout(*patterns("rollout"))),
    benchmark:
        benchmark_of(RESULTS.rollout(*patterns("rollout")))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        **resources("rollout"),
    params:
        **params("rollout"),
    message:
        "rollout of {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} rollout {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} --seed {wildcards.seed}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


# Time every stabilizer of an emulator side by side; takes all cores so that nothing else runs meanwhile.
rule cost:
    input:
        inputs("cost"),
    output:
        outputs("cost"),
    log:
        log_of(RESULTS.cost("{emulator}")),
    benchmark:
        benchmark_of(RESULTS.cost("{emulator}"))
    conda:
        "../envs/train.yaml"
    threads: CORES
    resources:
        **resources("cost"),
    params:
        **params("cost"),
    message:
        "cost of {wildcards.emulator}, side by side"
    shell:
        "python -m thermalize --settings {params.settings} cost {params.config:q} --emulator {wildcards.emulator}"
        " --threads 1 --gpus {resources.gpu} > {log:q} 2>&1"
