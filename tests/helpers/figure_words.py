"""Figures painted, and the words in them: labels of axes, texts, and which of them overlap."""

from __future__ import annotations

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from thermalize.figures.style import styled


def render(figure: Figure, arranged: bool = False) -> None:
    """Paint a figure; arranging its panels takes most of the time and is left to the fullest scenarios."""
    with styled():
        if not arranged:
            figure.set_layout_engine("none")
        figure.set_dpi(40)
        FigureCanvasAgg(figure).draw()


def labels(axes: Axes, which: str) -> set[str]:
    """Labels of an axis, its own or those of panels that share it."""
    shared = axes.get_shared_x_axes() if which == "x" else axes.get_shared_y_axes()
    return {getattr(each, f"get_{which}label")() for each in [axes, *shared.get_siblings(axes)]} - {""}


def texts(figure: Figure) -> str:
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [axes.get_title(loc) for axes in figure.axes for loc in ("left", "right")]
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    return "\n".join(found + [text.get_text() for legend in legends if legend for text in legend.get_texts()])


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of words that share more than a pixel in both directions, in a figure that was painted."""
    with styled():
        renderer = figure.canvas.get_renderer()
        legends = [axes.get_legend() for axes in figure.axes] + figure.legends
        words = [text for legend in legends if legend for text in (*legend.get_texts(), legend.get_title())]
        for axes in figure.axes:
            words += [*axes.texts, axes.title, axes._left_title, axes._right_title]
            for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
                low, high = sorted(axis.get_view_interval())
                ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                words += [axis.label, *(tick.label1 for tick in ticks if tick.label1.get_visible())]
        boxes = [(word.get_text(), word.get_window_extent(renderer)) for word in words if word.get_text().strip()]
    inside = [(text, box) for text, box in boxes if figure.bbox.overlaps(box)]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(inside, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
