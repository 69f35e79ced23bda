# Train a diffusion model on single snapshots; the state of an interrupted training is kept aside and continued.
rule train_diffusion:
    input:
        config=ancient(str(RESULTS.config)),
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
        mem_mb=2000,
        runtime=1440,
        gpu=GPU,
    params:
        settings=settings("diffusion"),
    message:
        "train diffusion model {wildcards.diffusion} (progress: {log})"
    shell:
        "python -m thermalize train-diffusion {input.config} --diffusion {wildcards.diffusion}"
        " --threads {threads} --gpus {resources.gpu} > {log} 2>&1"
