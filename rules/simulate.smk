# The configuration in full, beside its results.
rule resolve:
    output:
        str(RESULTS.config),
    log:
        log_of(RESULTS.config),
    benchmark:
        benchmark_of(RESULTS.config)
    conda:
        "../envs/simulate.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        text=resolved_yaml(EXPERIMENT),
    message:
        "configuration in full"
    shell:
        "printf %s {params.text:q} | python -m thermalize resolve - > {log} 2>&1"


# Integrate the members of one split through Dask into a Zarr store.
rule simulate:
    input:
        config=ancient(str(RESULTS.config)),
        device=ancient(str(RESULTS.device)) if EXPERIMENT.device in ("cuda", "mps") else [],
        code=code("simulate"),
    output:
        str(RESULTS.simulation("{split}")),
    log:
        log_of(RESULTS.simulation("{split}")),
    benchmark:
        benchmark_of(RESULTS.simulation("{split}"))
    conda:
        "../envs/simulate.yaml"
    threads: EXPERIMENT.simulation.dask.workers
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        settings=settings("simulate"),
    message:
        "simulate {wildcards.split}"
    shell:
        "python -m thermalize simulate {input.config} --split {wildcards.split} --workers {threads} > {log} 2>&1"
