"""The result in one wide picture: truth, a raw and a stabilised rollout, and how long each kind survives.

In one dimension the trajectories are Hovmöller diagrams u(x, t), in two dimensions fields of the first channel at a few
times. The members shown are the first ones, not the best ones, and the survival curves hold all of them.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from thermalize.figures.fields import draw_fields
from thermalize.figures.inputs import FigureInputs, picked
from thermalize.figures.registry import register
from thermalize.figures.spacetime import draw_hovmollers
from thermalize.figures.style import headline
from thermalize.figures.survival import draw_survival

__all__ = ["overview"]

SIZE = (10.0, 3.5)
PLANAR_SIZE = (10.0, 4.2)


@register("overview", when="states")
def overview(inputs: FigureInputs) -> Figure:
    """Trajectories of the first emulator on the left, its survival curves on the right."""
    emulator = inputs.emulators[0]
    figure = Figure(figsize=PLANAR_SIZE if inputs.planar else SIZE, layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(2.5, 1))[0]
    shown = inputs.only(emulator, picked(inputs, emulator))
    if inputs.planar:
        draw_fields(shown, left, channels=(0,))
    else:
        draw_hovmollers(shown, left)
    panel = right.subplots()
    draw_survival(inputs, panel, emulator)
    headline(panel, f"emulator {emulator}")
    panel.set_ylabel("share of members inside the truth's envelope [1]")
    return figure
