"""Kaplan–Meier curves of the share of members that are still inside the truth's envelope, on a logarithmic time axis.

Members that reach the end of the rollout are censored there and marked; they are never averaged as if they had left.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.figures.inputs import FigureInputs
from thermalize.figures.registry import columns, register
from thermalize.figures.style import BAND, TRUTH, Appearance, appearances, beneath, headline, plain_log
from thermalize.figures.units import Scale
from thermalize.metrics import pooling

__all__ = ["clock_above", "draw_survival", "survival"]


@register("survival")
def survival(inputs: FigureInputs) -> Figure:
    """One panel per emulator, one curve per stabilizer over the members of all seeds."""
    figure, axes = columns(len(inputs.emulators), (3.3,))
    for panel, emulator in zip(axes[0], inputs.emulators, strict=True):
        draw_survival(inputs, panel, emulator)
        headline(panel, f"emulator {emulator}")
    axes[0, 0].set_ylabel("share of members inside\nthe truth's envelope [1]")
    return figure


def draw_survival(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Curves, intervals and censor marks of one emulator; time in emulator steps below, in the data's units above."""
    looks = appearances(inputs.experiment)
    for stabilizer in inputs.stabilizers(emulator):
        draw_curve(inputs, axes, emulator, stabilizer, looks[stabilizer])
    mark_truth(inputs, axes, emulator)
    axes.set_xscale("log")
    axes.set(xlim=span(inputs, emulator), ylim=(-0.03, 1.06), xlabel="time [emulator steps]")
    beneath(axes, f"band: {inputs.confidence} interval; | inside at the end")
    clock_above(axes, inputs.clock)
    plain_log(axes.xaxis)


def clock_above(axes: Axes, clock: Scale, name: str = "time") -> None:
    """A second axis above one of emulator steps, with the same moments in the data's units; both are logarithmic."""
    to_time, to_steps = partial(np.multiply, clock.factor), partial(np.multiply, 1 / clock.factor)
    top = axes.secondary_xaxis("top", functions=(to_time, to_steps))
    top.set_xlabel(f"{name} [{clock.units}]")
    plain_log(top.xaxis)


def span(inputs: FigureInputs, emulator: str) -> tuple[float, float]:
    """Time axis [emulator steps]: from well before the first departure to the end of rollouts and truth."""
    steps = inputs.experiment.rollouts.steps
    pooled = [pooling.horizons(inputs.of_seeds(emulator, name)) for name in inputs.stabilizers(emulator)]
    left = np.concatenate([step[observed] for step, observed in pooled])
    end = max(steps, inputs.truth.sizes["time"])
    return max(1.0, min(left.min(initial=steps) / 4, steps / 20)), end * 1.1


def draw_curve(inputs: FigureInputs, axes: Axes, emulator: str, stabilizer: str, look: Appearance) -> None:
    """One curve with its band; it ends where nobody is followed any more, or at the end of the rollouts."""
    datasets = inputs.of_seeds(emulator, stabilizer)
    duration, observed = pooling.horizons(datasets)
    curve = pooling.survival(datasets, inputs.experiment.diagnostics.confidence)
    end = inputs.experiment.rollouts.steps if observed.all() else duration.max()
    time = np.append(np.maximum(curve.step, 1e-3), end)
    share, low, high = (np.append(values, values[-1]) for values in (curve.survival, curve.low, curve.high))
    if not observed.any():
        low = np.full_like(low, all_inside(inputs, observed.size))
    label = f"{stabilizer}: {(~observed).sum()} of {observed.size} to the end"
    axes.step(time, share, where="post", label=label, **look._asdict())
    axes.fill_between(time, low, high, step="post", color=look.color, alpha=BAND, linewidth=0)
    censored = duration[~observed]
    at = share[np.searchsorted(time[:-1], censored, side="right") - 1]
    axes.plot(censored, at, "|", color=look.color, markersize=7, markeredgewidth=1.0, zorder=4)


def all_inside(inputs: FigureInputs, members: int) -> float:
    """Clopper–Pearson's lower end where none of so many members ever left, for which the curve has no interval."""
    return float(((1 - inputs.experiment.diagnostics.confidence) / 2) ** (1 / members))


def mark_truth(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Held-out truth judged alike, at its own length: what it falls short of 1 is the false alarms of the criterion."""
    first = inputs.of_seeds(emulator, inputs.stabilizers(emulator)[0])
    frames, share = inputs.truth.sizes["time"], pooling.mean(first, "truth_stable_fraction")
    label = f"held-out truth of {frames} frames: {100 * share:.0f} %"
    axes.plot([frames], [share], "D", color=TRUTH, markersize=3.5, markerfacecolor="white", label=label, zorder=5)
