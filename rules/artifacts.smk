# What has a digest beside it is needed and made together with it, so that a lost one is made again.
#
# Figures and movie show the stabilizers of the file, tables and the figure of the sweeps all points of sweeps too.
NAMED = {**ROLLOUTS, "stabilizer": EXPERIMENT.named}
ARTIFACT_INPUTS = dict(
    test=str(RESULTS.simulation("test")),
    rollouts=expand(str(RESULTS.rollout(*ROLLOUT)), **NAMED),
    diagnostics=expand(with_digest(RESULTS.diagnostics(*ROLLOUT)), **NAMED),
    ensembles=(
        expand(with_digest(RESULTS.ensemble(*ROLLOUT[:2])), emulator=EXPERIMENT.emulators, stabilizer=EXPERIMENT.named)
        if EXPERIMENT.has_ensembles
        else []
    ),
    emulators=[path for name in EXPERIMENT.emulators for path in model_files(RESULTS.emulator(name))],
    diffusion=[path for name in EXPERIMENT.diffusion for path in model_files(RESULTS.diffusion(name))],
    samples=[path for name in EXPERIMENT.diffusion for path in with_digest(RESULTS.samples(name))],
    code=code("artifacts"),
)
SWEEP_INPUTS = dict(
    test=str(RESULTS.simulation("test")),
    diagnostics=expand(with_digest(RESULTS.diagnostics(*ROLLOUT)), **ROLLOUTS),
    cost=expand(with_digest(RESULTS.cost("{emulator}")), emulator=EXPERIMENT.emulators),
    code=code("artifacts"),
)


for figure in FIGURES:

    rule:
        name:
            f"figure_{figure}"
        input:
            **(SWEEP_INPUTS if figure == "ablation" else ARTIFACT_INPUTS),
        output:
            pdf=f"{RESULTS.figure(figure)}.pdf",
            png=report(
                f"{RESULTS.figure(figure)}.png",
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"figure": figure},
            ),
            digests=digests_of(f"{RESULTS.figure(figure)}.pdf", f"{RESULTS.figure(figure)}.png"),
        log:
            log_of(RESULTS.figure(figure)),
        benchmark:
            benchmark_of(RESULTS.figure(figure))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            mem_mb=ARTIFACT_MB,
            runtime=30,
        params:
            config=CONFIG,
            figure=figure,
            settings=settings("artifacts"),
        message:
            "figure {params.figure}"
        shell:
            "python -m thermalize --settings {params.settings} figure {params.config:q} --name {params.figure} > {log:q} 2>&1"


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
        digests=digests_of(RESULTS.movie, RESULTS.movie_in_report),
    log:
        log_of(RESULTS.figure("movie")),
    benchmark:
        benchmark_of(RESULTS.figure("movie"))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=ARTIFACT_MB,
        runtime=30,
    params:
        config=CONFIG,
        settings=settings("artifacts"),
    message:
        "movie"
    shell:
        "python -m thermalize --settings {params.settings} movie {params.config:q} > {log:q} 2>&1"


# One row per emulator and stabilizer.
rule summary:
    input:
        **SWEEP_INPUTS,
    output:
        csv=report(
            str(RESULTS.table("csv")), caption="../report/summary.rst", category="Tables", labels={"table": "summary"}
        ),
        tex=str(RESULTS.table("tex")),
        digests=digests_of(RESULTS.table("csv"), RESULTS.table("tex")),
    log:
        log_of(RESULTS.table("csv")),
    benchmark:
        benchmark_of(RESULTS.table("csv"))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=ARTIFACT_MB,
        runtime=30,
    params:
        config=CONFIG,
        settings=settings("artifacts"),
    message:
        "summary table"
    shell:
        "python -m thermalize --settings {params.settings} summary {params.config:q} > {log:q} 2>&1"


if EXPERIMENT.sweeps:

    # One row per emulator and point of a sweep.
    rule ablation:
        input:
            **SWEEP_INPUTS,
        output:
            csv=report(
                str(RESULTS.table("csv", "ablation")),
                caption="../report/ablation.rst",
                category="Tables",
                labels={"table": "ablation"},
            ),
            tex=str(RESULTS.table("tex", "ablation")),
            digests=digests_of(RESULTS.table("csv", "ablation"), RESULTS.table("tex", "ablation")),
        log:
            log_of(RESULTS.table("csv", "ablation")),
        benchmark:
            benchmark_of(RESULTS.table("csv", "ablation"))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            mem_mb=ARTIFACT_MB,
            runtime=30,
        params:
            config=CONFIG,
            settings=settings("artifacts"),
        message:
            "table of the sweeps"
        shell:
            "python -m thermalize --settings {params.settings} ablation {params.config:q} > {log:q} 2>&1"
