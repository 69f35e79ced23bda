# Compare a rollout with held-out truth: spectra, distributions, horizons, health.
rule diagnose:
    input:
        test=str(RESULTS.simulation("test")),
        rollout=str(RESULTS.rollout(*ROLLOUT)),
        code=code("diagnose"),
    output:
        str(RESULTS.diagnostics(*ROLLOUT)),
    log:
        log_of(RESULTS.diagnostics(*ROLLOUT)),
    benchmark:
        benchmark_of(RESULTS.diagnostics(*ROLLOUT))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=CONFIG,
        settings=settings("diagnose"),
    message:
        "diagnose {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed}"
    shell:
        "python -m thermalize diagnose {params.config} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} --seed {wildcards.seed} > {log} 2>&1"
