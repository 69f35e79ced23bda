# Integrate the members of one split, or read them from the user's own files, through Dask into a Zarr store. Where other
# machines compute, the rule stays here: its process only hands out the work, and jobs of a batch system must not be
# submitted from within one.
rule simulate:
    input:
        device=ancient(str(RESULTS.device)) if EXPERIMENT.device in ("cuda", "mps") else [],
        code=code("simulate"),
        source=lambda wildcards: source_files_of(EXPERIMENT),
    output:
        str(RESULTS.simulation("{split}")),
    log:
        log_of(RESULTS.simulation("{split}")),
    benchmark:
        benchmark_of(RESULTS.simulation("{split}"))
    localrule: EXPERIMENT.simulation.dask.elsewhere
    conda:
        "../envs/simulate.yaml"
    threads: simulation_threads_of(EXPERIMENT)
    resources:
        mem_mb=lambda wildcards, threads: simulation_memory_of(EXPERIMENT, wildcards.split, threads),
        runtime=120,
        gpu=simulation_gpus_of(EXPERIMENT),
    params:
        config=CONFIG,
        settings=settings("simulate"),
        source=SOURCE,
    message:
        "simulate {wildcards.split}"
    shell:
        "python -m thermalize --settings {params.settings} simulate {params.config:q} --split {wildcards.split}"
        " --workers {threads} --gpus {resources.gpu} > {log:q} 2>&1"


if LOST_SIMULATIONS:

    use rule simulate as simulate_again with:
        output:
            metadata(RESULTS.simulation("{split}")),
        priority: 200
        message:
            "simulate {wildcards.split} again, whose store has gone"
