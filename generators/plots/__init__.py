"""Plots of entries as SVG: curves, contours and heat maps, from the numbers of the entry's own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from generators.parts import PlotView
from generators.plots.compute import Computation
from generators.plots.contours import contours
from generators.plots.curves import curves
from generators.plots.heatmap import heat_map
from generators.plots.inference import inferred
from kb.errors import EqkbError
from kb.model import Plot
from kb.plot_programs import plotted

if TYPE_CHECKING:
    from generators.making import Making

_DRAW: dict[str, Callable[[Making, Computation, str], PlotView | None]] = {
    "curves": curves,
    "contours": contours,
    "heat map": heat_map,
}


def plots_of(view: Making) -> tuple[PlotView, ...]:
    """The plots of an entry: those that it asks for, or else what follows from it.

    What cannot be computed is left out: a plot never stands in the way of a page.
    """
    own = view.entry.plot
    plots = inferred(view.equation) if own is None else own
    found = (_plot(view, plot, str(n + 1)) for n, plot in enumerate(plots))
    return tuple(plot for plot in found if plot is not None)


def _plot(view: Making, plot: Plot, key: str) -> PlotView | None:
    programs = view.equation.programs
    try:
        made = plotted(programs, view.entry, plot)
        if made.faults or made.form is None:
            return None
        return _DRAW[made.form](view, Computation(programs, view.entry, made), key)
    except (EqkbError, ArithmeticError, ValueError, TypeError, LookupError, RecursionError, MemoryError):
        # Generated code may refuse the numbers of a plot, as functions of matrices do where there is no result.
        return None
