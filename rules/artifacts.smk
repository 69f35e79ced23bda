# What has a digest beside it is made together with it, so that a lost one is made again.
for figure in FIGURES:

    rule:
        name:
            f"figure_{figure}"
        input:
            inputs("figure", figure),
        output:
            pdf=f"{RESULTS.figure(figure)}.pdf",
            png=report(
                f"{RESULTS.figure(figure)}.png",
                caption=caption_of(EXPERIMENT, figure),
                category="Figures",
                labels={"figure": figure},
            ),
            digests=digests_of(f"{RESULTS.figure(figure)}.pdf", f"{RESULTS.figure(figure)}.png"),
            record=record("figure", figure),
        log:
            log_of(RESULTS.figure(figure)),
        benchmark:
            benchmark_of(RESULTS.figure(figure))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            **resources("figure"),
        params:
            **params("figure", figure=figure),
            figure=figure,
        message:
            "figure {params.figure}"
        shell:
            "python -m thermalize --settings {params.settings} figure {params.config:q} --name {params.figure} > {log:q} 2>&1"


if EXPERIMENT.rollouts.has_states:

    # Twice the same: a report shows PNGs in place, also animated ones, but offers GIFs for download only.
    rule movie:
        input:
            inputs("movie"),
        output:
            gif=str(RESULTS.movie),
            png=report(
                str(RESULTS.movie_in_report),
                caption="../report/movie.rst",
                category="Movies",
                labels={"movie": "truth, raw and stabilised"},
            ),
            digests=digests_of(RESULTS.movie, RESULTS.movie_in_report),
            record=record("movie"),
        log:
            log_of(RESULTS.figure("movie")),
        benchmark:
            benchmark_of(RESULTS.figure("movie"))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            **resources("movie"),
        params:
            **params("movie"),
        message:
            "movie"
        shell:
            "python -m thermalize --settings {params.settings} movie {params.config:q} > {log:q} 2>&1"


# One row per emulator and stabilizer.
rule summary:
    input:
        inputs("summary"),
    output:
        csv=report(
            str(RESULTS.table("csv")), caption="../report/summary.rst", category="Tables", labels={"table": "summary"}
        ),
        tex=str(RESULTS.table("tex")),
        digests=digests_of(RESULTS.table("csv"), RESULTS.table("tex")),
        record=record("summary"),
    log:
        log_of(RESULTS.table("csv")),
    benchmark:
        benchmark_of(RESULTS.table("csv"))
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        **resources("summary"),
    params:
        **params("summary"),
    message:
        "summary table"
    shell:
        "python -m thermalize --settings {params.settings} summary {params.config:q} > {log:q} 2>&1"


if EXPERIMENT.sweeps:

    # One row per emulator and point of a sweep.
    rule ablation:
        input:
            inputs("ablation"),
        output:
            csv=report(
                str(RESULTS.table("csv", "ablation")),
                caption="../report/ablation.rst",
                category="Tables",
                labels={"table": "ablation"},
            ),
            tex=str(RESULTS.table("tex", "ablation")),
            digests=digests_of(RESULTS.table("csv", "ablation"), RESULTS.table("tex", "ablation")),
            record=record("ablation"),
        log:
            log_of(RESULTS.table("csv", "ablation")),
        benchmark:
            benchmark_of(RESULTS.table("csv", "ablation"))
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            **resources("ablation"),
        params:
            **params("ablation"),
        message:
            "table of the sweeps"
        shell:
            "python -m thermalize --settings {params.settings} ablation {params.config:q} > {log:q} 2>&1"
