"""The words behind a picture: what its curves are, how far they reach, where they begin and end.

A digest is read off the arrays that were drawn, at three significant digits, so it says what the picture
says, without the picture: it is the alternative text, and it is what a replay of a notebook compares. What
is smaller than ``floor`` is written "below 1e-13"; zero too, except on the horizontal axis, because the same
sum is 0 on one machine and 1e-17 on another.
"""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import AxLine, Line2D
from matplotlib.patches import Patch, StepPatch

from lib.evidence.badges import shown


def digest(figure, finding, *, rough=(), floor=1e-13) -> str:
    """Describe a figure: the finding, then for each panel its axes and every labelled curve.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    finding : str
        One sentence: what is to be seen.
    rough : sequence of str
        Labels of curves whose digits no other machine repeats, such as single long random paths: of these
        only the number of points is told.
    floor : float
        Size below which a number is rounding noise.

    Returns
    -------
    str
        One line for the finding, one for each panel, one for each curve.

    Raises
    ------
    ValueError
        When the finding is empty, nothing is labelled, or ``rough`` names no curve.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from lib.figures.digests import digest
    >>> figure = Figure()
    >>> _ = figure.subplots().plot([0, 1, 2], [1, 0.5, 1e-16], label="flow")
    >>> print(digest(figure, "It falls."))
    It falls.
    Horizontal: x; vertical: y.
    flow: 3 points, x from 0 to 2, y from below 1e-13 to 1, first 1, last below 1e-13.
    """
    if not isinstance(finding, str) or not finding.strip():
        raise ValueError(f"finding must be a sentence; received {finding!r}. Say what the figure shows.")
    panels = [(axes, labelled(axes)) for axes in figure.axes]
    panels = [(axes, artists) for axes, artists in panels if artists]
    known = {label for _, artists in panels for label, _ in artists}
    if not known:
        raise ValueError("a figure must have a labelled curve; received none. Pass label= to what you draw.")
    if lost := set(rough) - known:
        raise ValueError(
            f"rough must name labelled curves; received {sorted(lost)}. They are {sorted(known)}."
        )
    lines = [" ".join(finding.split())]
    for number, (axes, artists) in enumerate(panels, start=1):
        start = f"Panel {number} of {len(panels)}. " if len(panels) > 1 else ""
        lines.append(f"{start}Horizontal: {_axis(axes.xaxis, 'x')}; vertical: {_axis(axes.yaxis, 'y')}.")
        lines += [f"{label}: {_words(axes, artist, label in rough, floor)}." for label, artist in artists]
    return "\n".join(lines)


def labelled(axes) -> list[tuple[str, object]]:
    """Find what is labelled in a panel, in drawing order.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.

    Returns
    -------
    list of (str, artist)
        Labels and artists; a bar chart or an error bar is one.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from lib.figures.digests import labelled
    >>> axes = Figure().subplots()
    >>> _ = axes.plot([0, 1], label="flow"), axes.plot([1, 0])
    >>> [label for label, _ in labelled(axes)]
    ['flow']
    """
    artists = [a for a in axes.get_children() if isinstance(a, (Line2D, Patch)) or hasattr(a, "get_array")]
    found = [(str(a.get_label()), a) for a in [*artists, *axes.containers]]
    return [(label, a) for label, a in found if label and not label.startswith("_")]


def series(artist):
    """Read off the numbers an artist was drawn from.

    Parameters
    ----------
    artist : matplotlib artist
        A line, scatter, band, step, bar chart, error bar, filled shape or set of segments.

    Returns
    -------
    x, y : ndarray, shape (k,)
        Its points, without those that are not finite. What knows its own numbers keeps them as
        ``drawn_from``; what has better words than numbers, as ``digest``.

    Raises
    ------
    TypeError
        When there is no way to read this kind of artist.

    Examples
    --------
    >>> from matplotlib.lines import Line2D
    >>> from lib.figures.digests import series
    >>> series(Line2D([0, 1, 2], [5, float("nan"), 7]))
    (array([0., 2.]), array([5., 7.]))
    """
    if isinstance(artist, ErrorbarContainer):
        artist = artist.lines[0]
    if hasattr(artist, "drawn_from"):
        x, y = artist.drawn_from
    elif isinstance(artist, Line2D):
        x, y = artist.get_data(orig=False)
    elif isinstance(artist, BarContainer):
        upright = artist.orientation != "horizontal"
        x = [b.get_x() + b.get_width() / 2 if upright else b.get_y() + b.get_height() / 2 for b in artist]
        y = artist.datavalues
    elif isinstance(artist, StepPatch):
        y, x, _ = artist.get_data()
        x = (np.asarray(x)[1:] + np.asarray(x)[:-1]) / 2
    elif isinstance(artist, PathCollection):
        x, y = np.asarray(artist.get_offsets()).T
    elif isinstance(artist, (LineCollection, PolyCollection)):
        x, y = np.concatenate([path.vertices for path in artist.get_paths()]).T
    elif isinstance(artist, Patch):
        x, y = artist.get_patch_transform().transform(artist.get_path().vertices).T
    else:
        raise TypeError(
            f"no way to describe a labelled {type(artist).__name__}. Draw lines, points, bars or bands."
        )
    x, y = np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel()
    fine = np.isfinite(x) & np.isfinite(y)
    return x[fine], y[fine]


def last_values(figure, *, rough=(), floor=1e-13) -> tuple[str, ...]:
    """Read off where the curves of a figure end: a digest in one line, for a figure that is one of many.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The picture.
    rough : sequence of str
        Labels to leave out.
    floor : float
        Size below which a number is rounding noise.

    Returns
    -------
    tuple of str
        The last value of each labelled curve that is drawn from points.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from lib.figures.digests import last_values
    >>> figure = Figure()
    >>> _ = figure.subplots().plot([0, 1], [4, 2.5], label="flow")
    >>> last_values(figure)
    ('2.5',)
    """
    artists = [(axes, *pair) for axes in figure.axes for pair in labelled(axes)]
    artists = [a for axes, label, a in artists if label not in rough and _is_curve(axes, a)]
    return tuple(value_text(series(a)[1][-1], floor) for a in artists if series(a)[1].size)


def _is_curve(axes, artist) -> bool:
    """Whether its points come one after another along the panel's own scales."""
    if hasattr(artist, "digest"):
        return False
    if isinstance(artist, Line2D):
        return not isinstance(artist, AxLine) and artist.get_transform() is axes.transData
    return hasattr(artist, "drawn_from") or isinstance(
        artist, (PathCollection, StepPatch, BarContainer, ErrorbarContainer)
    )


def _axis(axis, letter) -> str:
    return (axis.get_label_text() or letter) + (" (log scale)" if axis.get_scale() == "log" else "")


def _words(axes, artist, rough, floor) -> str:
    """Points, ranges, first and last value; or what the artist says of itself."""
    if hasattr(artist, "digest"):
        return artist.digest
    if isinstance(artist, (AxesImage, QuadMesh)):
        values = np.ma.compressed(np.ma.masked_invalid(artist.get_array()))
        low, high = (value_text(value, floor) for value in (values.min(), values.max()))
        return f"{values.size} cells, from {low} to {high}"
    if isinstance(artist, AxLine):
        return "a straight line"
    if isinstance(artist, Line2D) and artist.get_transform() is not axes.transData:  # axhline, axvline
        across = artist.get_transform() is axes.get_yaxis_transform()
        value = artist.get_ydata()[0] if across else artist.get_xdata()[0]
        return f"the line {'y' if across else 'x'} = {value_text(value, floor)}"
    x, y = series(artist)
    count = f"{x.size} point{'s' * (x.size != 1)}"
    if rough or x.size == 0:
        return count
    if x.size == 1:
        return f"{count}, x {value_text(x[0], floor, exact=True)}, y {value_text(y[0], floor)}"
    extent = f"x from {value_text(x.min(), floor, exact=True)} to {value_text(x.max(), floor, exact=True)}"
    extent += f", y from {value_text(y.min(), floor)} to {value_text(y.max(), floor)}"
    if not _is_curve(axes, artist):
        return extent
    return f"{count}, {extent}, first {value_text(y[0], floor)}, last {value_text(y[-1], floor)}"


def value_text(value, floor=1e-13, *, exact=False) -> str:
    """Write a value, or that it is below the floor.

    Parameters
    ----------
    value : float
        A number of a curve.
    floor : float
        Size below which a number is rounding noise.
    exact : bool
        Whether zero is zero, as on a grid.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> from lib.figures.digests import value_text
    >>> value_text(0.0), value_text(0.0, exact=True)
    ('below 1e-13', '0')
    """
    if exact and value == 0:
        return "0"
    return f"below {shown(floor)}" if abs(value) < floor else shown(float(value))
