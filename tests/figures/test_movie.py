"""The movie: which moments it shows, what its pictures say, and the files they become."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import pairwise

import artifact_data
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from thermalize.figures import FigureInputs, scenes
from thermalize.figures.movie import BEGINNING, END, FRAME, durations, pair, palette, pictures, stage
from thermalize.figures.saving import config_digest, encode
from thermalize.figures.scenes import FRAMES, Stretch, bounds, storyboard, stride
from thermalize.figures.style import RAW, styled
from thermalize.stages import artifacts
from thermalize.store.results import Results


@pytest.fixture(scope="module", params=artifact_data.SYSTEMS)
def inputs(request) -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=3, system=request.param))


@pytest.fixture(scope="module")
def frames(inputs) -> list[np.ndarray]:
    return pictures(inputs)


@pytest.fixture(scope="module")
def ks() -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=2))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A movie of few frames."""
    monkeypatch.setattr(scenes, "FRAMES", 20)


def lengthened(inputs: FigureInputs, steps: int, departure: float | None, memory: float = 8.0) -> FigureInputs:
    """Rollouts of so many steps, of which the raw one leaves at `departure`, by a truth of that integral time."""
    rollouts = {key: run.isel(time=np.arange(steps + 1) % 121) for key, run in inputs.rollouts.items()}
    diagnostics = {}
    for key, found in inputs.diagnostics.items():
        left = departure is not None and key[1] == "raw"
        horizon = np.full(4, departure if left else float(steps))
        changed = found.assign(
            stable_horizon=("member", horizon), horizon_observed=("member", np.full(4, int(left), np.int8))
        )
        diagnostics[key] = changed.assign(integral_time_truth=memory)
    return replace(inputs, rollouts=rollouts, diagnostics=diagnostics)


def test_a_short_rollout_is_shown_as_a_whole(ks):
    assert stride(ks) == 1  # an integral time of 8, but a truth of 60 frames only
    long = replace(ks, truth=ks.truth.isel(time=np.arange(400) % 60))
    assert stride(long) == 2
    assert storyboard(long) == [Stretch(tuple(range(0, 121, 2)), tuple(range(0, 121, 2)))]


def test_a_long_rollout_is_shown_around_its_departure(ks):
    assert bounds(lengthened(ks, 2000, None)) == [(0, 45), (1956, 2001)]
    assert bounds(lengthened(ks, 2000, 20.0)) == [(0, 45), (1956, 2001)]
    assert bounds(lengthened(ks, 2000, 500.0)) == [(0, 30), (490, 520), (1971, 2001)]
    assert bounds(lengthened(ks, 2000, 1990.0)) == [(0, 45), (1956, 2001)]


@pytest.mark.parametrize("departure", [None, 10.0, 35.0, 44.0, 60.0, 700.0, 1900.0, 1960.0, 1999.0])
@pytest.mark.parametrize("memory", [float("nan"), 1.0, 30.0])
def test_stretches_are_even_and_apart_and_show_departure_and_end(ks, departure, memory):
    long = lengthened(ks, 2000, departure, memory)
    long = replace(long, truth=long.truth.isel(time=np.arange(500) % 60))
    stretches = storyboard(long)
    steps = [step for stretch in stretches for step in stretch.steps]
    assert steps == sorted(set(steps))
    assert len(steps) <= FRAMES
    assert (steps[0], steps[-1]) == (0, 2000)
    assert {after - before for part in stretches for before, after in pairwise(part.steps)} == {stride(long)}
    if departure is not None:
        assert any(part.steps[0] < departure <= part.steps[-1] for part in stretches)


def test_beside_later_stretches_stands_an_equally_long_one_of_the_truth(ks):
    early, middle, late = storyboard(lengthened(ks, 2000, 500.0))
    assert early.truth == early.steps
    assert middle.truth == tuple(range(30))
    assert late.truth == tuple(range(30, 60))


def test_pictures_and_durations_belong_together(inputs, frames):
    times = durations(inputs)
    assert len(frames) == len(times) == sum(len(stretch.steps) for stretch in storyboard(inputs)) == FRAMES
    assert {picture.shape for picture in frames} == {frames[0].shape}
    assert frames[0].dtype == np.uint8
    assert times.count(BEGINNING) == len(storyboard(inputs)) > 1
    assert times[-1] == END
    assert times[1] == FRAME


def test_truth_raw_and_one_stabilised_rollout_stand_side_by_side(inputs):
    shown = pair(inputs)
    with styled():
        figure, shows = stage(shown, storyboard(shown))
    channels = inputs.truth.sizes["channel"]
    panels = np.array(figure.axes[: 3 * channels]).reshape(channels, 3)
    assert [panel.get_title("left") for panel in panels[0]] == ["truth", "raw", "thermalizer_5"]
    assert all("[" in panel.get_xlabel() for panel in panels[-1])
    assert all("[" in panel.get_ylabel() for panel in panels[:, 0])
    assert len(shows) == 3 * channels + 1
    timeline = figure.axes[-1]
    assert timeline.get_xlabel() == f"time t [{'days' if channels > 1 else 'time units'}]"
    shows[-1](1)
    assert timeline.get_title("left").startswith("t = 0.5")
    assert timeline.get_title("left").endswith("(step 1 of 120)")


def test_the_raw_panel_is_dashed_outside_the_envelope_and_hatched_once_lost(inputs):
    shown = pair(inputs)
    with styled():
        figure, shows = stage(shown, storyboard(shown))
    steps = [step for stretch in storyboard(shown) for step in stretch.steps]
    raw = figure.axes[1]
    seen = {}
    for frame, step in enumerate(steps):
        painted = shows[1](frame)
        hatched = any(getattr(artist, "get_hatch", lambda: None)() for artist in painted)
        seen[step] = raw.spines["left"].get_linestyle() != "-", hatched
    for step, (dashed, hatched) in seen.items():
        assert dashed == (step >= artifact_data.HORIZON), step
        assert hatched == (step >= artifact_data.HORIZON + 20), step


def test_the_pictures_move_and_keep_what_stays(frames):
    first, second = (picture.astype(int) for picture in frames[:2])
    changed = np.abs(first - second).max(axis=-1) > 0
    assert 0.005 < changed.mean() < 0.8
    np.testing.assert_array_equal(first[-12:], second[-12:])  # the label of the time axis


def read(data: bytes) -> tuple[list[np.ndarray], list[int], dict]:
    """Pictures as RGB, milliseconds and notes of an animation."""
    with Image.open(BytesIO(data)) as movie:
        notes, found, times = dict(movie.info), [], []
        for number in range(movie.n_frames):
            movie.seek(number)
            movie.load()
            times.append(round(movie.info["duration"]))
            found.append(np.asarray(movie.convert("RGB")).astype(int))
    return found, times, notes


def test_the_movie_is_the_same_every_time(short):
    found = artifact_data.inputs(artifact_data.experiment(stabilizers=2, system="kolmogorov"))
    once, again = (pictures(found) for _ in range(2))
    for kind in ("GIF", "PNG"):
        files = {encode(kind, each, durations(found), partial(palette, found)) for each in (once, again)}
        assert len(files) == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_the_movie_is_small_and_keeps_times_colours_and_origin(inputs, frames, kind):
    data = encode(kind, frames, durations(inputs), partial(palette, inputs), "where it comes from")
    assert len(data) < 5_000_000
    kept, times, notes = read(data)
    assert sum(times) == sum(durations(inputs))
    assert notes["loop"] == 0
    assert "where it comes from" in str(notes)
    assert len(kept) <= FRAMES
    assert tuple(kept[0][0, 0]) == (255, 255, 255)
    assert np.abs(kept[0] - frames[0]).mean() < 2
    assert np.abs(kept[-1] - frames[-1]).mean() < 2


def test_palettes_fit_a_gif_and_hold_the_lines(ks):
    colours = palette(ks, 128)
    assert len(colours) <= 256
    assert colours.dtype == np.uint8
    assert np.round(255 * np.array(to_rgb(RAW))).astype(np.uint8).tolist() in colours.tolist()


def test_a_large_movie_gets_fewer_colours_and_then_fewer_frames():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(9)]
    times = list(range(10, 100, 10))

    def greys(levels: int) -> np.ndarray:
        return np.repeat(np.linspace(0, 255, levels).astype(np.uint8)[:, None], 3, axis=1)

    files = [encode("GIF", noise, times, greys)]
    for _ in range(3):
        files.append(encode("GIF", noise, times, greys, largest=len(files[-1]) - 1))
    assert [len(file) for file in files] == sorted({len(file) for file in files}, reverse=True)
    assert [len(read(file)[0]) for file in files] == [9, 9, 9, 5]
    assert [sum(read(file)[1]) for file in files] == [sum(times)] * 4
    assert len(np.unique(read(files[0])[0][0])) > 64 >= len(np.unique(read(files[1])[0][0]))


def test_the_stage_writes_a_gif_and_a_png_for_the_report(ks, short, tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "_inputs", lambda *_: ks)
    paths = Results(ks.experiment.name, tmp_path)
    artifacts.make_movie(ks.experiment, paths)
    digest = config_digest(ks.experiment)
    for path, kind in ((paths.movie, "GIF"), (paths.movie_in_report, "PNG")):
        assert digest.encode() in path.read_bytes()
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.sha256"]
        with Image.open(path) as movie:
            assert movie.format == kind
            assert movie.n_frames > 1
