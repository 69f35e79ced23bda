# A demanded GPU must be there before anything is computed, also on the nodes of a cluster.
rule device:
    input:
        config=ancient(str(RESULTS.config)),
    output:
        str(RESULTS.device),
    log:
        log_of(RESULTS.device),
    benchmark:
        benchmark_of(RESULTS.device)
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=5,
        gpu=GPU,
    params:
        device=EXPERIMENT.device,
    message:
        "look for the device {params.device}"
    shell:
        "python -m thermalize device {input.config} --gpus {resources.gpu} > {log} 2>&1"


# Train an emulator; the state of an interrupted training is kept aside and continued.
rule train_emulator:
    input:
        config=ancient(str(RESULTS.config)),
        train=str(RESULTS.simulation("train")),
        valid=str(RESULTS.simulation("valid")),
        code=code("emulator"),
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
        mem_mb=2000,
        runtime=720,
        gpu=GPU,
    params:
        settings=settings("emulator"),
    message:
        "train emulator {wildcards.emulator} (progress: {log})"
    shell:
        "python -m thermalize train-emulator {input.config} --emulator {wildcards.emulator}"
        " --threads {threads} --gpus {resources.gpu} > {log} 2>&1"
