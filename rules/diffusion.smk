# Train a diffusion model on single snapshots; the state of an interrupted training is kept aside and continued.
rule train_diffusion:
    input:
        inputs("diffusion"),
    output:
        outputs("diffusion"),
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
        **resources("diffusion"),
    params:
        **params("diffusion"),
    message:
        "train diffusion model {wildcards.diffusion} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} train-diffusion {params.config:q} --diffusion {wildcards.diffusion}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


# Let a diffusion model make states, from noise or from noised truth, and compare them with held-out truth.
rule sample:
    input:
        inputs("sample"),
    output:
        outputs("sample"),
    log:
        log_of(RESULTS.samples("{diffusion}")),
    benchmark:
        benchmark_of(RESULTS.samples("{diffusion}"))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        **resources("sample"),
    params:
        **params("sample"),
    message:
        "samples of diffusion model {wildcards.diffusion} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} sample {params.config:q} --diffusion {wildcards.diffusion}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"
