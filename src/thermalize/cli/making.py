"""Commands that make results: one per stage, and `resolve` before them, `device` before the first of a workflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from thermalize.cli.options import (
    RESULTS,
    Config,
    DiffusionName,
    EmulatorName,
    Gpus,
    Root,
    Seed,
    StabilizerName,
    Threads,
)
from thermalize.config.cluster import MOST_WORKERS
from thermalize.config.load import load_experiment
from thermalize.stages.devices import device_of, processes_of, take
from thermalize.store.results import Results
from thermalize.workflow.estimates import core_hours, duration, refuse_impossible
from thermalize.workflow.job import load_job, making
from thermalize.workflow.own import refuse_missing
from thermalize.workflow.resolved import write_experiment
from thermalize.workflow.resources import simulation_gpus_of, training_gpus_of

__all__ = ["app"]

app = typer.Typer()


@app.command()
def resolve(config: Config, root: Root = RESULTS) -> None:
    """Check a configuration (- reads it from standard input) and write it out in full beside its results."""
    source = Path("/dev/stdin") if config == Path("-") else config
    experiment = load_experiment(source)
    refuse_missing(experiment)
    refuse_impossible(experiment, root, notes=True)
    if changed := write_experiment(experiment, Results(experiment.name, root).config, str(source)):
        typer.echo(f"{changed}; results that are there already were made with those.", err=True)
    typer.echo(f"{experiment.name}: at least {duration(3600 * core_hours(experiment))} of one core")


@app.command()
def device(config: Config, gpus: Gpus = None, root: Root = RESULTS) -> None:
    """Check that the device of the configuration is there, before anything is computed."""
    from thermalize.runtime.devices import resolve as resolve_device
    from thermalize.store import sealed

    experiment, paths = load_job(config, root)
    found = resolve_device(experiment.device, gpus)
    sealed.write(paths.device, (json.dumps({"device": found.type}) + "\n").encode())


@app.command()
def simulate(
    config: Config,
    split: Annotated[str, typer.Option("--split", help="train, valid or test")],
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=MOST_WORKERS, help="processes on this machine instead of the configured ones"
        ),
    ] = None,
    gpus: Gpus = None,
    root: Root = RESULTS,
) -> None:
    """Integrate the ensemble of one split into a Zarr store through Dask."""
    from thermalize.truth.simulate import simulate as run

    with making(config, root, "simulate", split=split) as (experiment, paths):
        take(gpus, simulation_gpus_of(experiment))
        run(experiment, split, paths.simulation(split), workers, gpus=gpus)


@app.command()
def reference(config: Config, root: Root = RESULTS) -> None:
    """Measure the held-out truth once, for everything that is compared with it."""
    from thermalize.stages.reference import measure_truth

    with making(config, root, "reference") as (experiment, paths):
        measure_truth(experiment, paths)


@app.command()
def bands(config: Config, root: Root = RESULTS) -> None:
    """Measure the band energies of the train split, which control of band energies compares with."""
    from thermalize.stages.bands import measure_bands

    with making(config, root, "bands") as (experiment, paths):
        measure_bands(experiment, paths)


@app.command("train-emulator")
def train_emulator(
    config: Config, emulator: EmulatorName, threads: Threads = 1, gpus: Gpus = None, root: Root = RESULTS
) -> None:
    """Train an emulator, or take one in that was trained elsewhere; continues an interrupted training."""
    with making(config, root, "emulator", emulator=emulator) as (experiment, paths):
        wanted = training_gpus_of(experiment, "emulators", emulator)
        with processes_of(experiment, threads, gpus, wanted) as processes:
            from thermalize.stages.emulator import train_emulator as run

            run(experiment, emulator, paths, processes)


@app.command("train-diffusion")
def train_diffusion(
    config: Config, diffusion: DiffusionName, threads: Threads = 1, gpus: Gpus = None, root: Root = RESULTS
) -> None:
    """Train and calibrate a diffusion model; continues an interrupted training."""
    with making(config, root, "diffusion", diffusion=diffusion) as (experiment, paths):
        wanted = training_gpus_of(experiment, "diffusion", diffusion)
        with processes_of(experiment, threads, gpus, wanted) as processes:
            from thermalize.stages.diffusion import train_diffusion as run

            run(experiment, diffusion, paths, processes)


@app.command()
def sample(
    config: Config, diffusion: DiffusionName, threads: Threads = 1, gpus: Gpus = None, root: Root = RESULTS
) -> None:
    """Let a diffusion model make states and compare them with held-out truth."""
    with making(config, root, "sample", diffusion=diffusion) as (experiment, paths):
        device = device_of(experiment, threads, gpus)
        from thermalize.stages.samples import sample_diffusion as run

        run(experiment, diffusion, paths, device)


@app.command()
def rollout(
    config: Config,
    emulator: EmulatorName,
    stabilizer: StabilizerName,
    seed: Seed = 0,
    threads: Threads = 1,
    gpus: Gpus = None,
    root: Root = RESULTS,
) -> None:
    """Run an emulator under a stabilizer; continues an interrupted rollout."""
    where = {"emulator": emulator, "stabilizer": stabilizer, "seed": seed}
    with making(config, root, "rollout", **where) as (experiment, paths):
        device = device_of(experiment, threads, gpus)
        from thermalize.stages.rollouts import Job
        from thermalize.stages.rollouts import rollout as run

        run(Job(experiment, paths, emulator, stabilizer, seed), paths.rollout(emulator, stabilizer, seed), device)


@app.command()
def cost(config: Config, emulator: EmulatorName, threads: Threads = 1, gpus: Gpus = None, root: Root = RESULTS) -> None:
    """Time every stabilizer of an emulator side by side."""
    with making(config, root, "cost", emulator=emulator) as (experiment, paths):
        device = device_of(experiment, threads, gpus)
        from thermalize.stages.cost import measure_cost

        measure_cost(experiment, emulator, paths, device)


@app.command()
def diagnose(
    config: Config, emulator: EmulatorName, stabilizer: StabilizerName, seed: Seed = 0, root: Root = RESULTS
) -> None:
    """Compare a rollout with held-out truth and write the diagnostics as NetCDF."""
    from thermalize.stages.diagnose import diagnose_rollout

    where = {"emulator": emulator, "stabilizer": stabilizer, "seed": seed}
    with making(config, root, "diagnose", **where) as (experiment, paths):
        diagnose_rollout(experiment, emulator, stabilizer, seed, paths)


@app.command()
def ensemble(config: Config, emulator: EmulatorName, stabilizer: StabilizerName, root: Root = RESULTS) -> None:
    """Score the seeds of a rollout as an ensemble forecast of held-out truth."""
    from thermalize.stages.ensemble import score_ensemble

    with making(config, root, "ensemble", emulator=emulator, stabilizer=stabilizer) as (experiment, paths):
        score_ensemble(experiment, emulator, stabilizer, paths)


@app.command()
def figure(
    config: Config, name: Annotated[str, typer.Option("--name", help="which figure")], root: Root = RESULTS
) -> None:
    """Draw one figure as PDF and PNG."""
    from thermalize.stages.artifacts import draw_figure

    with making(config, root, "figure", figure=name) as (experiment, paths):
        draw_figure(experiment, paths, name)


@app.command()
def movie(config: Config, root: Root = RESULTS) -> None:
    """Make a short movie of truth, raw and stabilised rollout as GIF."""
    from thermalize.stages.artifacts import make_movie

    with making(config, root, "movie") as (experiment, paths):
        make_movie(experiment, paths)


@app.command()
def summary(config: Config, root: Root = RESULTS) -> None:
    """Write the summary table as CSV and LaTeX."""
    from thermalize.stages.artifacts import tabulate

    with making(config, root, "summary") as (experiment, paths):
        tabulate(experiment, paths)


@app.command()
def ablation(config: Config, root: Root = RESULTS) -> None:
    """Write the table of the sweeps as CSV and LaTeX."""
    from thermalize.stages.artifacts import tabulate_sweeps

    with making(config, root, "ablation") as (experiment, paths):
        tabulate_sweeps(experiment, paths)
