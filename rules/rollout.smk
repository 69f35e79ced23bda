ROLLOUT = ("{emulator}", "{stabilizer}", "{seed}")


# Run an emulator under a stabilizer, streamed to a Zarr store; an interrupted rollout is continued.
rule rollout:
    input:
        test=str(RESULTS.simulation("test")),
        emulator=model_files(RESULTS.emulator("{emulator}")),
        diffusion=diffusion_of,
        stores=stores_of,
        code=code("rollout"),
    output:
        str(RESULTS.rollout(*ROLLOUT)),
    log:
        log_of(RESULTS.rollout(*ROLLOUT)),
    benchmark:
        benchmark_of(RESULTS.rollout(*ROLLOUT))
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=network_memory_of(EXPERIMENT),
        runtime=720,
        gpu=GPU,
    params:
        config=CONFIG,
        settings=settings("rollout"),
    message:
        "rollout of {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed} (progress: {log})"
    shell:
        "python -m thermalize --settings {params.settings} rollout {params.config:q} --emulator {wildcards.emulator}"
        " --stabilizer {wildcards.stabilizer} --seed {wildcards.seed}"
        " --threads {threads} --gpus {resources.gpu} > {log:q} 2>&1"


if LOST_ROLLOUTS:

    # What it reads may have gone too. Of rules that make results for the first time such inputs would change with a loss,
    # and with them what is made again.
    use rule rollout as rollout_again with:
        input:
            test=str(RESULTS.simulation("test")),
            emulator=model_files(RESULTS.emulator("{emulator}")),
            diffusion=diffusion_of,
            stores=stores_of,
            code=code("rollout"),
            lost=lost_before,
        output:
            metadata(RESULTS.rollout(*ROLLOUT)),
        priority: 100
        message:
            "rollout of {wildcards.emulator}, {wildcards.stabilizer}, seed {wildcards.seed} again, whose store has gone"


# Time every stabilizer of an emulator side by side; takes all cores so that nothing else runs meanwhile.
rule cost:
    input:
        test=str(RESULTS.simulation("test")),
        emulator=model_files(RESULTS.emulator("{emulator}")),
        diffusion=[path for name in EXPERIMENT.diffusion for path in model_files(RESULTS.diffusion(name))],
        train=str(RESULTS.simulation("train")),
        rollouts=expand(
            str(RESULTS.rollout("{{emulator}}", "{stabilizer}", EXPERIMENT.seeds[0])), stabilizer=STABILIZERS
        ),
        code=code("cost"),
    output:
        with_digest(RESULTS.cost("{emulator}")),
    log:
        log_of(RESULTS.cost("{emulator}")),
    benchmark:
        benchmark_of(RESULTS.cost("{emulator}"))
    conda:
        "../envs/train.yaml"
    threads: CORES
    resources:
        mem_mb=network_memory_of(EXPERIMENT),
        runtime=60,
        gpu=GPU,
    params:
        config=CONFIG,
        settings=settings("cost"),
    message:
        "cost of {wildcards.emulator}, side by side"
    shell:
        "python -m thermalize --settings {params.settings} cost {params.config:q} --emulator {wildcards.emulator}"
        " --threads 1 --gpus {resources.gpu} > {log:q} 2>&1"
