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
        **resources("device"),
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
        inputs("emulator"),
    output:
        outputs("emulator"),
    log:
        log_of(RESULTS.emulator("{emulator}")),
    benchmark:
        benchmark_of(RESULTS.emulator("{emulator}"))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        **resources("emulator"),
    params:
        **params("emulator"),
    message:
        "train emulator {wildcards.emulator} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} train-emulator {params.config:q} --emulator {wildcards.emulator}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"
