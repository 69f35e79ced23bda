# Train a diffusion model on single snapshots; the state of an interrupted training is kept aside and continued.
rule train_diffusion:
    input:
        train=str(RESULTS.simulation("train")),
        valid=str(RESULTS.simulation("valid")),
        code=code("diffusion"),
    output:
        model_files(RESULTS.diffusion("{diffusion}")),
    log:
        log_of(RESULTS.diffusion("{diffusion}")),
    benchmark:
        benchmark_of(RESULTS.diffusion("{diffusion}"))
    # Usually the longest of all: it starts before the emulators where both are ready.
    priority: 10
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: training_memory_of(EXPERIMENT, "diffusion", wildcards.diffusion),
        runtime=1440,
        gpu=lambda wildcards: training_gpus_of(EXPERIMENT, "diffusion", wildcards.diffusion),
    params:
        config=CONFIG,
        settings=settings("diffusion"),
    message:
        "train diffusion model {wildcards.diffusion} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} train-diffusion {params.config:q} --diffusion {wildcards.diffusion}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


# Let a diffusion model make states, from noise or from noised truth, and compare them with held-out truth.
rule sample:
    input:
        test=str(RESULTS.simulation("test")),
        diffusion=model_files(RESULTS.diffusion("{diffusion}")),
        code=code("sample"),
    output:
        with_digest(RESULTS.samples("{diffusion}")),
    log:
        log_of(RESULTS.samples("{diffusion}")),
    benchmark:
        benchmark_of(RESULTS.samples("{diffusion}"))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=network_memory_of(EXPERIMENT),
        runtime=120,
        gpu=GPU,
    params:
        config=CONFIG,
        settings=settings("sample"),
    message:
        "samples of diffusion model {wildcards.diffusion} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} sample {params.config:q} --diffusion {wildcards.diffusion}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"
