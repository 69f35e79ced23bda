# Integrate the members of one split, or read them from the user's own files, through Dask into a Zarr store. Where other
# machines compute, the rule stays here: its process only hands out the work, and jobs of a batch system must not be
# submitted from within one.
rule simulate:
    input:
        inputs("simulate"),
        device=ancient(str(RESULTS.device)) if EXPERIMENT.device in ("cuda", "mps") else [],
    output:
        outputs("simulate"),
    log:
        log_of(RESULTS.simulation("{split}")),
    benchmark:
        benchmark_of(RESULTS.simulation("{split}"))
    localrule: EXPERIMENT.simulation.dask.elsewhere
    conda:
        "../envs/simulate.yaml"
    threads: simulation_threads_of(EXPERIMENT)
    resources:
        **resources("simulate"),
    params:
        **params("simulate"),
    message:
        "simulate {wildcards.split}"
    shell:
        "python -m thermalize --settings {params.settings} simulate {params.config:q} --split {wildcards.split}"
        " --workers {threads} --gpus {resources.gpu} > {log:q} 2>&1"
