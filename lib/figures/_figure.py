"""The look of every figure of the book, and the one call that shows one.

Hue tells the noise; line or marker tells continuous or discrete; ink and shape tell everything that is not an
algorithm. Text is never coloured. Every figure is 5.0 in wide: on a phone a point is a pixel, and no text is
below 10.5 points.

    fig, ax = figures.canvas(3.4)
    ax.plot(t, loss, label="gradient flow", **figures.role("gradient flow"))
    figures.show(fig, "The loss falls to zero.")

``show`` returns a ``Picture``: as the last line of a cell, an image whose alternative text is the digest.
"""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerBase
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from lib.evidence.badges import shown
from lib.figures.digests import value_text
from lib.figures.pictures import INK, PAPER, STYLE, WIDTH, Picture, show, tick
from lib.records import as_array, as_positive

__all__ = [
    "BAND_OPACITY",
    "FILL_OPACITY",
    "INK",
    "PALETTE",
    "PAPER",
    "Picture",
    "band",
    "canvas",
    "dots",
    "legend",
    "role",
    "show",
    "theorem_panel",
]

BAND_OPACITY, FILL_OPACITY = 0.18, 0.08
PALETTE = {
    "flow": "#2089e6",
    "stochastic flow": "#bf3d1d",
    "SGD": "#e5722a",
    "label noise": "#8f4ba6",
    "Langevin": "#459967",
    "control": "#808690",
}
_SPACED, _LAST = 0.07, [-1]  # markers: this part of the axes' diagonal apart; at the end of the curve only
_LINES = {  # colour, line style, width, marker, marker size, edge (None: filled), where on a curve
    "gradient flow": (PALETTE["flow"], "-", 2.4, "o", 6, None, _LAST),
    "gradient descent": (PALETTE["flow"], "none", 2.4, "o", 6, 1.4, _SPACED),
    "stochastic flow": (PALETTE["stochastic flow"], "-", 2.0, "o", 6, None, _LAST),
    "SGD": (PALETTE["SGD"], (0, (5, 2)), 2.0, "^", 7, None, _LAST),
    "persistent SGD": (PALETTE["stochastic flow"], (0, (8, 2)), 2.0, "v", 7, None, _LAST),
    "label noise": (PALETTE["label noise"], (0, (7, 2, 1.5, 2)), 2.0, "D", 6, None, _LAST),
    "label noise SGD": (PALETTE["label noise"], (0, (7, 2, 1.5, 2)), 2.0, "D", 6, 1.4, _SPACED),
    "Langevin": (PALETTE["Langevin"], (0, (1.2, 1.6)), 2.0, "s", 6, None, _LAST),
    "control": (PALETTE["control"], "-", 1.2, "x", 6, 1.4, _LAST),
    "truth": (INK, "none", 0.8, "*", 13, None, None),
    "least l1": (INK, "-", 0.8, "D", 10, 1.7, None),
    "least l2": (INK, "-", 0.8, "s", 10, 1.7, None),
}


def canvas(height=3.4, rows=1, heights=None, **options):
    """Begin a figure in the style of the book, outside pyplot.

    The style is set for the whole session, because artists added later read it.

    Parameters
    ----------
    height : float
        Of the whole figure, in inches; 3.1 to 5.8 reads well on a phone.
    rows : int
        Number of panels, stacked; 0 for a figure without axes.
    heights : sequence of float, optional
        Their relative heights.
    **options
        Passed to ``Figure.subplots``, such as ``sharex=True``.

    Returns
    -------
    fig : matplotlib.figure.Figure
        The figure, 5.0 in wide.
    ax : Axes or ndarray of Axes, shape (rows,)
        The panel, or the panels from top to bottom; None without any.

    Examples
    --------
    >>> from lib import figures
    >>> fig, (above, below) = figures.canvas(5, rows=2, heights=[2, 1])
    >>> fig.get_size_inches().tolist()
    [5.0, 5.0]
    """
    matplotlib.rcParams.update(STYLE)
    fig = Figure(figsize=(WIDTH, as_positive("height", height)), layout="constrained")
    if rows == 0:
        return fig, None
    return fig, fig.subplots(rows, 1, height_ratios=heights, **options)


def role(name, *, points=False) -> dict:
    """Look up how an algorithm, a control or a landmark is drawn: the same in the whole book.

    Parameters
    ----------
    name : str
        "gradient flow", "gradient descent" ("GD"), "stochastic flow" ("SGF"), "SGD",
        "persistent SGD", "label noise", "label noise SGD", "Langevin", "control", "truth", "least l1",
        "least l2".
    points : bool
        Markers on every point and no line, for points that are no curve.

    Returns
    -------
    dict
        Keywords of ``Axes.plot``; a curve of a flow bears its marker at its last point only.

    Raises
    ------
    ValueError
        For a name that is none of these.

    Examples
    --------
    >>> from lib import figures
    >>> figures.role("SGF")["color"]
    '#bf3d1d'
    """
    name = {
        "SGF": "stochastic flow",
        "stochastic gradient flow": "stochastic flow",
        "GD": "gradient descent",
    }.get(name, name)
    if name not in _LINES:
        raise ValueError(f"role must be one of {', '.join(_LINES)}; received {name!r}. Choose the nearest.")
    color, line, width, marker, size, edge, where = _LINES[name]
    return {
        "color": color,
        "linestyle": "none" if points else line,
        "linewidth": width,
        "marker": marker,
        "markersize": size,
        "markerfacecolor": color if edge is None else "none",
        "markeredgecolor": color,
        "markeredgewidth": 0 if edge is None else edge,
        "markevery": None if points else where,
    }


def band(ax, x, low, high, name, *, label=None, outline=False):
    """Fill between two curves in the colour of a role: the spread of its runs.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Panel.
    x, low, high : array_like, shape (k,)
        The band; say in its label what it spans.
    name : str
        A role.
    label : str, optional
        What the digest, and a legend, call it.
    outline : bool
        A line of 1 pt around it: for the lower of two bands that cross.

    Returns
    -------
    matplotlib.collections.PolyCollection
        The band.

    Examples
    --------
    >>> from lib import figures
    >>> fig, ax = figures.canvas()
    >>> figures.band(ax, [0, 1], [1, 2], [2, 3], "SGD", label="SGD, 5–95 %").get_alpha()
    0.18
    """
    x, low, high = (as_array(key, value, ndim=1) for key, value in (("x", x), ("low", low), ("high", high)))
    color = role(name)["color"]
    filled = ax.fill_between(x, low, high, color=color, alpha=BAND_OPACITY, linewidth=0, label=label)
    start, end = (value_text(value, exact=True) for value in (x.min(), x.max()))
    first, last = (" to ".join(value_text(edge[k]) for edge in (low, high)) for k in (0, -1))
    filled.digest = f"band over x from {start} to {end}, first from {first}, last from {last}"
    if outline:
        for edge in (low, high):
            ax.plot(x, edge, color=color, linewidth=1)
    return filled


class Dots(PathPatch):
    """Many short strokes as one path; with round caps they are dots, at a tenth of the bytes of markers."""


class _OneDot(HandlerBase):
    def create_artists(self, legend, handle, xdescent, ydescent, width, height, fontsize, trans):
        at = [width / 2 - xdescent], [height / 2 - ydescent]
        dot = Line2D(*at, linestyle="none", marker="o", markersize=max(handle.get_linewidth(), 4))
        dot.set(markerfacecolor=handle.get_edgecolor(), markeredgewidth=0, transform=trans)
        return [dot]


Legend.update_default_handler_map({Dots: _OneDot()})


def dots(ax, x, y, *, size=3.0, color=INK, label=None, zorder=3):
    """Draw a cloud of dots.

    Set a logarithmic scale before: the strokes that stand for the dots follow it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Panel.
    x, y : array_like, shape (k,)
        Positions.
    size : float
        Diameter in points.
    color : str
        Colour, such as ``role("SGF")["color"]``.
    label : str, optional
        What the digest, and a legend, call it.
    zorder : float
        Drawing order.

    Returns
    -------
    Dots
        The cloud.

    Examples
    --------
    >>> from lib import figures
    >>> fig, ax = figures.canvas()
    >>> len(figures.dots(ax, [0, 1, 2], [1, 1, 1], label="runs").get_path().vertices)
    6
    """
    x, y = as_array("x", x, ndim=1), as_array("y", y, ndim=1)
    log = ax.get_xscale() == "log"
    end = x * 1.005 if log else x + 0.001 * (np.ptp(x) or abs(x).max() or 1.0)  # round caps make a dot of it
    cloud = _strokes(
        ax, (x, y), (end, y), color=color, size=size, capstyle="round", label=label, zorder=zorder
    )
    cloud.drawn_from = x, y
    return cloud


def legend(ax, **options):
    """Write the legend in one or two columns above the axes, where it covers nothing.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Panel.
    **options
        Passed to ``Axes.legend``.

    Returns
    -------
    matplotlib.legend.Legend
        The legend.

    Examples
    --------
    >>> from lib import figures
    >>> fig, ax = figures.canvas()
    >>> _ = ax.plot([0, 1], label="gradient flow", **figures.role("gradient flow"))
    >>> [text.get_text() for text in figures.legend(ax).get_texts()]
    ['gradient flow']
    """
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (0, 1),
        "ncols": 2,
        "borderaxespad": 0.2,
        "handlelength": 2.6,
    }
    return ax.legend(**(place | options))


def theorem_panel(
    ax, rows, limit, *, low=1e-17, high=0.1, floor=1e-13, quantity="relative distance", name="SGF"
):
    """Draw an exact statement case by case: every case of the claim within the limit, every control outside.

    One logarithmic axis. Values below ``low``, zeros too, are drawn at ``low``. The height of a dot within
    its row means nothing. At the right edge stands the number that decides: the worst case of the claim, the
    nearest of each control.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        An empty panel, about 3.3 in high for four rows.
    rows : dict of str to array_like
        The claim first, then its controls: distances, one a case. Labels of at most 24 characters.
    limit : float
        What is accepted.
    low, high : float
        Ends of the axis; ``high`` grows with the data.
    floor : float
        Size below which a number is rounding noise and is not written.
    quantity : str
        Label of the axis.
    name : str
        Role whose colour the claim's dots have.

    Raises
    ------
    ValueError
        When a label is too long, or a distance negative.

    Examples
    --------
    >>> from lib import figures
    >>> fig, ax = figures.canvas(3.3)
    >>> figures.theorem_panel(ax, {"this run's α∞": [1e-16, 3e-16], "half the exponent": [2e-3, 4e-3]}, 1e-10)
    >>> print(figures.show(fig, "Each run ends where the theorem says.").digest)
    Each run ends where the theorem says.
    Horizontal: relative distance (log scale); vertical: y.
    this run's α∞: 2 cases, from below 1e-13 to below 1e-13, limit 1e-10.
    half the exponent: 2 cases, from 0.002 to 0.004, limit 1e-10.
    """
    rows = {label: as_array(label, values).ravel() for label, values in rows.items()}
    for label, values in rows.items():
        if len(label) > 24 or values.size == 0 or values.min() < 0:
            raise ValueError(
                "a row must have a name of at most 24 characters and distances of at least 0; received "
                f"{label!r}, {values.size} values from {values.min(initial=0.0)}. Shorten it or take sizes."
            )
    high = max(high, *(10.0 ** np.ceil(np.log10(v.max() or low)) for v in rows.values()))
    ax.set(xscale="log", xlim=(low, high), ylim=(-len(rows) + 0.25, 0.85), yticks=[], xlabel=quantity)
    decades = np.arange(round(np.log10(limit)) - 30, 30, 3)
    ax.set_xticks([10.0**k for k in decades if low <= 10.0**k <= high])
    ax.spines["left"].set_visible(False)
    ax.axvspan(low, limit, color=INK, alpha=0.07, linewidth=0)
    ax.axvline(limit, ymin=0.08, color=INK, linewidth=2)
    for k, (label, values) in enumerate(rows.items()):
        drawn = _theorem_row(ax, k, label, values, (low, high), floor, role(name)["color"])
        span = f"from {value_text(values.min(), floor)} to {value_text(values.max(), floor)}"
        drawn.digest = f"{values.size} cases, {span}, limit {shown(limit)}"
    foot = -len(rows) + 0.32
    edge = {"fontsize": 10.5, "va": "bottom"}
    ax.text(low * 1.4, foot, "accepted", ha="left", **edge)
    ax.text(limit, foot - 0.02, f"limit {tick(limit)}", ha="center", **edge)
    ax.text(high / 1.4, foot, "rejected", ha="right", **edge)


def _theorem_row(ax, k, label, values, ends, floor, color):
    """A hairline, the name, the cases (dots for the claim, ticks for a control), the number that decides."""
    low, high = ends
    claim = k == 0
    x = np.clip(values, low, None)
    ax.axhline(-k, color=INK, linewidth=0.5, alpha=0.4)
    weight = {"fontweight": "bold"} if claim else {}
    ax.text(low * 1.4, 0.42 - k, f"{'●' if claim else '|'} {label}", ha="left", va="center", **weight)
    decides = values.max() if claim else values.min()
    written = f"< {tick(floor)}" if decides < floor else tick(float(f"{decides:.2g}"))
    ax.text(high / 1.4, 0.42 - k, written, ha="right", va="center", **weight)
    if claim:
        scatter = 0.3 * (np.arange(x.size) * 0.618034 % 1 - 0.5)
        return dots(ax, x, scatter - k, size=3.0, color=color, label=label)
    y = np.full(x.size, -float(k))
    style = {"color": PALETTE["control"], "size": 1.0, "capstyle": "butt", "label": label, "zorder": 3}
    return _strokes(ax, (x, y - 0.17), (x, y + 0.17), **style)


def _strokes(ax, start, end, *, color, size, capstyle, label, zorder):
    """Many short straight lines as one path."""
    vertices = np.stack([np.stack(start, -1), np.stack(end, -1)], 1).reshape(-1, 2)
    path = Path(vertices, [Path.MOVETO, Path.LINETO] * (len(vertices) // 2))
    path.should_simplify = False
    style = {"edgecolor": color, "linewidth": size, "capstyle": capstyle, "label": label, "zorder": zorder}
    strokes = Dots(path, fill=False, **style)
    ax.add_patch(strokes)
    ax.autoscale_view()
    return strokes
