# Compare a rollout with held-out truth: spectra, distributions, horizons, health.
rule diagnose:
    input:
        test=str(RESULTS.simulation("test")),
        rollout=str(RESULTS.rollout(*ROLLOUT)),
        code=code("diagnose"),
    output:
        with_digest(RESULTS.diagnostics(*ROLLOUT)),
    log:
        log_of(RESULTS.diagnostics(*ROLLOUT)),
    benchmark:
        benchmark_of(RESULTS.diagnostics(*ROLLOUT))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=analysis_memory_of(EXPERIMENT),
        runtime=60,
    params:
        config=CONFIG,
        settings=settings("diagnose"),
    message:
        "diagnose {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed}"
    shell:
        "python -m thermalize --settings {params.settings} diagnose {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} --seed {wildcards.seed} > {log:q} 2>&1"


# Score all seeds of an emulator under a stabilizer as one ensemble forecast of held-out truth.
rule ensemble:
    input:
        test=str(RESULTS.simulation("test")),
        rollouts=expand(str(RESULTS.rollout("{{emulator}}", "{{stabilizer}}", "{seed}")), seed=EXPERIMENT.seeds),
        code=code("ensemble"),
    output:
        with_digest(RESULTS.ensemble(*ROLLOUT[:2])),
    log:
        log_of(RESULTS.ensemble(*ROLLOUT[:2])),
    benchmark:
        benchmark_of(RESULTS.ensemble(*ROLLOUT[:2]))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=analysis_memory_of(EXPERIMENT),
        runtime=60,
    params:
        config=CONFIG,
        settings=settings("ensemble"),
    message:
        "ensemble of {wildcards.emulator}, {wildcards.stabilizer}"
    shell:
        "python -m thermalize --settings {params.settings} ensemble {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} > {log:q} 2>&1"
