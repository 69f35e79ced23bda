ARTIFACT_INPUTS = dict(
    test=str(RESULTS.simulation("test")),
    rollouts=expand(str(RESULTS.rollout(*ROLLOUT)), **ROLLOUTS),
    diagnostics=expand(str(RESULTS.diagnostics(*ROLLOUT)), **ROLLOUTS),
    ensembles=(
        expand(str(RESULTS.ensemble(*ROLLOUT[:2])), emulator=EXPERIMENT.emulators, stabilizer=STABILIZERS)
        if EXPERIMENT.has_ensembles
        else []
    ),
    emulators=[path for name in EXPERIMENT.emulators for path in model_files(RESULTS.emulator(name))],
    diffusion=[path for name in EXPERIMENT.diffusion for path in model_files(RESULTS.diffusion(name))],
    samples=[str(RESULTS.samples(name)) for name in EXPERIMENT.diffusion],
    code=code("artifacts"),
)


for figure in FIGURES:

    rule:
        name:
            f"figure_{figure}"
        input:
            **ARTIFACT_INPUTS,
        output:
            pdf=f"{RESULTS.figure(figure)}.pdf",
            png=report(
                f"{RESULTS.figure(figure)}.png",
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure},
            ),
        log:
            log_of(RESULTS.figure(figure)),
        benchmark:
            benchmark_of(RESULTS.figure(figure))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            mem_mb=1500,
            runtime=30,
        params:
            config=CONFIG,
            figure=figure,
            settings=settings("artifacts"),
        message:
            "figure {params.figure}"
        shell:
            "python -m thermalize figure {params.config} --name {params.figure} > {log} 2>&1"


# Twice the same: a report shows PNGs in place, also animated ones, but offers GIFs for download only.
rule movie:
    input:
        **ARTIFACT_INPUTS,
    output:
        gif=str(RESULTS.movie),
        png=report(
            str(RESULTS.movie_in_report),
            caption="../report/movie.rst",
            category="Movies",
            labels={"movie": "truth, raw and stabilised"},
        ),
    log:
        log_of(RESULTS.figure("movie")),
    benchmark:
        benchmark_of(RESULTS.figure("movie"))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        config=CONFIG,
        settings=settings("artifacts"),
    message:
        "movie"
    shell:
        "python -m thermalize movie {params.config} > {log} 2>&1"


# One row per emulator and stabilizer.
rule summary:
    input:
        **ARTIFACT_INPUTS,
        cost=expand(str(RESULTS.cost("{emulator}")), emulator=EXPERIMENT.emulators),
    output:
        csv=report(
            str(RESULTS.table("csv")), caption="../report/summary.rst", category="Tables", labels={"table": "summary"}
        ),
        tex=str(RESULTS.table("tex")),
    log:
        log_of(RESULTS.table("csv")),
    benchmark:
        benchmark_of(RESULTS.table("csv"))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        config=CONFIG,
        settings=settings("artifacts"),
    message:
        "summary table"
    shell:
        "python -m thermalize summary {params.config} > {log} 2>&1"
