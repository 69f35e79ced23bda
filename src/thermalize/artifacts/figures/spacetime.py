"""u(x, t) of the truth and of every rollout, from the initial condition and again near the end, on one colour scale."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from thermalize.artifacts.figures.registry import register
from thermalize.artifacts.figures.strips import Strip, length, paint, rollout_strip, scale, truth_strip, windows
from thermalize.artifacts.inputs import FigureInputs, state
from thermalize.artifacts.style import PAGE, headline

__all__ = ["rows", "spacetime"]


def rows(inputs: FigureInputs, shown: tuple[tuple[int, int], ...]) -> dict[str, list[Strip]]:
    """The strips of every row, one per window: the truth first, then emulators and stabilizers as configured."""
    strips = {"truth": [truth_strip(inputs, window) for window in shown]}
    several = len(inputs.emulators) > 1
    for emulator in inputs.emulators:
        for stabilizer in inputs.stabilizers(emulator):
            name = f"{emulator} · {stabilizer}" if several else stabilizer
            strips[name] = [rollout_strip(inputs, emulator, stabilizer, window) for window in shown]
    return strips


@register("spacetime")
def spacetime(inputs: FigureInputs) -> Figure:
    """One row per trajectory, the early window on the left, the late one on the right."""
    strips = rows(inputs, windows(length(inputs)))
    figure = Figure(figsize=(PAGE, 0.55 + 1.05 * len(strips)), layout="constrained")
    axes = figure.subplots(len(strips), 2, squeeze=False, sharex="col", sharey=True)
    limit = scale(strips["truth"])
    for line, (name, pair) in zip(axes, strips.items(), strict=True):
        image = paint_row(inputs, line, name, pair, limit)
    for panel in axes[-1]:
        panel.set_xlabel("time t [time units]")
    bar = figure.colorbar(image, ax=axes, extend="both", aspect=45, pad=0.01, fraction=0.03)
    bar.set_label(field_label(inputs))
    return figure


def paint_row(inputs: FigureInputs, line, name: str, pair: list[Strip], limit: float) -> AxesImage:
    x = state(next(iter(inputs.rollouts.values())))["x"].values
    for panel, shown, title in zip(line, pair, (name, ""), strict=True):
        image = paint(panel, shown, x, inputs.interval, limit)
        headline(panel, title, shown.remark if shown is pair[0] or name == "truth" else "")
    line[0].set_ylabel("x [length units]")
    return image


def field_label(inputs: FigureInputs) -> str:
    """Name and units of the field, from the attributes of the truth."""
    values = state(next(iter(inputs.rollouts.values())))
    name = values.attrs.get("long_name", values.name)
    return f"{name} [{values.attrs.get('units', '1')}]"
