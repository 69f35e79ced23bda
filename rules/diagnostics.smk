# Measure the held-out truth once, for everything that is compared with it.
rule reference:
    input:
        inputs("reference"),
    output:
        outputs("reference"),
    log:
        log_of(RESULTS.reference),
    benchmark:
        benchmark_of(RESULTS.reference)
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        **resources("reference"),
    params:
        **params("reference"),
    message:
        "measure the truth"
    shell:
        "python -m thermalize --settings {params.settings} reference {params.config:q} > {log:q} 2>&1"


# Compare a rollout with held-out truth: spectra, distributions, horizons, health.
rule diagnose:
    input:
        inputs("diagnose"),
    output:
        outputs("diagnose"),
    log:
        log_of(RESULTS.diagnostics(*patterns("diagnose"))),
    benchmark:
        benchmark_of(RESULTS.diagnostics(*patterns("diagnose")))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        **resources("diagnose"),
    params:
        **params("diagnose"),
    message:
        "diagnose {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed}"
    shell:
        "python -m thermalize --settings {params.settings} diagnose {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} --seed {wildcards.seed} > {log:q} 2>&1"


# Score all seeds of an emulator under a stabilizer as one ensemble forecast of held-out truth.
rule ensemble:
    input:
        inputs("ensemble"),
    output:
        outputs("ensemble"),
    log:
        log_of(RESULTS.ensemble(*patterns("ensemble"))),
    benchmark:
        benchmark_of(RESULTS.ensemble(*patterns("ensemble")))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        **resources("ensemble"),
    params:
        **params("ensemble"),
    message:
        "ensemble of {wildcards.emulator}, {wildcards.stabilizer}"
    shell:
        "python -m thermalize --settings {params.settings} ensemble {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} > {log:q} 2>&1"
