"""Kaplan–Meier curves of the share of members that are still inside the truth's envelope, on a logarithmic time axis.

Members that reach the end of the rollout are censored there and marked; they are never averaged as if they had left.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermalize.artifacts.figures.registry import columns, register
from thermalize.artifacts.figures.words import number
from thermalize.artifacts.inputs import FigureInputs
from thermalize.artifacts.pooling import horizons, scalar, survival_curve
from thermalize.artifacts.style import BAND, MUTED, Appearance, appearances, headline

__all__ = ["draw_survival", "survival"]


@register("survival")
def survival(inputs: FigureInputs) -> Figure:
    """One panel per emulator, one curve per stabilizer over the members of all seeds."""
    figure, axes = columns(len(inputs.emulators), (2.6,))
    for panel, emulator in zip(axes[0], inputs.emulators, strict=True):
        draw_survival(inputs, panel, emulator)
        headline(panel, emulator)
    axes[0, 0].set_ylabel("share of members inside\nthe truth's envelope [1]")
    return figure


def draw_survival(inputs: FigureInputs, axes: Axes, emulator: str) -> None:
    """Curves, intervals and censor marks of one emulator; time in emulator steps below, in time units above."""
    looks = appearances(inputs.experiment)
    steps = inputs.experiment.rollouts.steps
    for stabilizer in inputs.stabilizers(emulator):
        draw_curve(inputs, axes, emulator, stabilizer, looks[stabilizer])
    axes.set_xscale("log")
    axes.set(xlim=(1, steps * 1.15), ylim=(-0.02, 1.06), xlabel="time [emulator steps]")
    axes.legend(loc="lower left", title=f"{inputs.confidence} interval; | still inside at the end", title_fontsize=6.5, alignment="left")
    share = scalar(inputs.of_seeds(emulator, inputs.stabilizers(emulator)[0])[0], "truth_stable_fraction")
    axes.axhline(share, color=MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
    step = inputs.interval
    top = axes.secondary_xaxis("top", functions=(lambda t: t * step, lambda t: t / step))
    top.set_xlabel("time [time units]")


def draw_curve(inputs: FigureInputs, axes: Axes, emulator: str, stabilizer: str, look: Appearance) -> None:
    datasets = inputs.of_seeds(emulator, stabilizer)
    curve = survival_curve(datasets, inputs.experiment.diagnostics.confidence)
    duration, observed = horizons(datasets)
    end = duration.max()
    time = np.concatenate([[1.0], curve.step, [end]])
    share, low, high = (np.concatenate([[1.0], part, part[-1:]]) for part in (curve.share, curve.low, curve.high))
    label = f"{stabilizer}: {number(1 - observed.mean(), 3)} of {len(observed)} to the end"
    axes.step(time, share, where="post", color=look.color, linestyle=look.linestyle, label=label)
    axes.fill_between(time, low, high, step="post", color=look.color, alpha=BAND, linewidth=0)
    censored = duration[~observed]
    at = share[np.searchsorted(time, censored, side="right") - 1]
    axes.plot(censored, at, "|", color=look.color, markersize=6, markeredgewidth=1.0)
