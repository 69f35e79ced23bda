rule train_emulator:
    """Train an emulator; the state of an interrupted training is kept aside and continued."""
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
    shell:
        "python -m thermalize train-emulator {input.config} --emulator {wildcards.emulator}"
        " --threads {threads} --gpus {resources.gpu} > {log} 2>&1"
