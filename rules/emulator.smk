# A demanded GPU must be there before anything is computed, also on the nodes of a cluster.
rule device:
    output:
        with_digest(RESULTS.device),
    log:
        log_of(RESULTS.device),
    benchmark:
        benchmark_of(RESULTS.device)
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=network_memory_of(EXPERIMENT),
        runtime=5,
        gpu=GPU,
    params:
        config=CONFIG,
    message:
        "look for the demanded device"
    shell:
        "python -m thermalize device {params.config:q} --gpus {resources.gpu} > {log:q} 2>&1"


# Train an emulator; the state of an interrupted training is kept aside and continued. One that was trained elsewhere is
# measured on held-out truth and put beside the others.
rule train_emulator:
    input:
        train=str(RESULTS.simulation("train")),
        valid=str(RESULTS.simulation("valid")),
        code=code("emulator"),
        files=lambda wildcards: emulator_files_of(EXPERIMENT, wildcards.emulator),
    output:
        model_files(RESULTS.emulator("{emulator}")),
    log:
        log_of(RESULTS.emulator("{emulator}")),
    benchmark:
        benchmark_of(RESULTS.emulator("{emulator}"))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: training_memory_of(EXPERIMENT, "emulators", wildcards.emulator),
        runtime=720,
        gpu=lambda wildcards: training_gpus_of(EXPERIMENT, "emulators", wildcards.emulator),
    params:
        config=CONFIG,
        settings=settings("emulator"),
    message:
        "train emulator {wildcards.emulator} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} train-emulator {params.config:q} --emulator {wildcards.emulator}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"
