"""The plane of the first picture: the only room where figures and potentials meet.

The first picture of the book lives in a plane inside ℝ³. With X = [[1, 1.4, −0.2], [1, −0.2, 1.4]] and
y = (1, 1) all solutions are β = (1 − 1.2b, b, b), and all points of the flow have β₂ = β₃ too. The plane is
drawn with horizontal coordinate u = √2 b and vertical coordinate β₁: lengths on paper are lengths in ℝ³.
"""

from __future__ import annotations

import numpy as np

from lib import figures
from lib.potentials import HyperbolicEntropy, level_radius

ANGLES = np.radians(np.linspace(0, 180, 121))
AXES = np.array([[0.0, 0.5**0.5, 0.5**0.5], [1.0, 0.0, 0.0]])  # unit vectors of u and β₁ in ℝ³
_WORDS = {"least l1": "least ℓ₁", "least l2": "least ℓ₂"}
GOLDEN = 0.618  # successive multiples modulo 1 never cluster: an even spread without randomness


def to_plane(beta):
    """Map points β = (β₁, b, b) to (u, β₁) with u = √2 b.

    Parameters
    ----------
    beta : array_like, shape (..., 3)
        Points of the plane.

    Returns
    -------
    ndarray, shape (..., 2)
        Their place on paper.

    Examples
    --------
    >>> from lib.pages.first_picture import to_plane
    >>> to_plane([1.0, 0.0, 0.0]).tolist()
    [0.0, 1.0]
    """
    return np.asarray(beta) @ AXES.T


def level_set(log_alpha, through):
    """Trace the level set of φ_α through a point of the plane, for β₁ ≥ 0.

    Parameters
    ----------
    log_alpha : float or array_like, shape (3,)
        log α of the potential.
    through : array_like, shape (3,)
        A point of the plane other than 0.

    Returns
    -------
    ndarray, shape (121, 2)
        Points (u, β₁), by polar angle.

    Examples
    --------
    >>> from lib.pages.first_picture import level_set
    >>> level_set(3.0, [1.0, 0.0, 0.0])[60].round(2).tolist()
    [0.0, 1.0]
    """
    phi = HyperbolicEntropy(log_alpha)
    rays = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    return level_radius(phi, phi.value(through), rays @ AXES)[:, None] * rays


def draw_plane(
    ax, *, log_alpha, path, limits, log_alpha_effective, vertex, least_norm, sgd=None, descent=None
):
    """Draw the plane of solutions: the flow, the level set it touches, and where other runs end.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    log_alpha : float
        log α of the start.
    path : array_like, shape (T, 3)
        Gradient flow from 0 to its limit.
    limits : array_like, shape (R, 3)
        Where the runs of the stochastic flow end; empty without noise.
    log_alpha_effective : array_like, shape (R, 3)
        log α∞ of each of them.
    vertex, least_norm : array_like, shape (3,)
        The solutions of least ℓ₁ and least ℓ₂ norm.
    sgd : array_like, shape (S, 3), optional
        Where runs of discrete SGD end; empty when none survives.
    descent : array_like, shape (3,), optional
        Where gradient descent with the same step ends.

    Examples
    --------
    >>> import numpy as np
    >>> from lib import figures
    >>> from lib.pages import first_picture
    >>> fig, ax = figures.canvas(4.1)
    >>> ends = {"vertex": np.array([1.0, 0, 0]), "least_norm": np.array([0.58, 0.35, 0.35])}
    >>> nothing = {"limits": np.empty((0, 3)), "log_alpha_effective": np.empty((0, 3))}
    >>> path = np.outer([0.0, 0.5, 1.0], [0.75, 0.21, 0.21])
    >>> first_picture.draw_plane(ax, log_alpha=-2.0, path=path, **nothing, **ends)
    >>> [line.get_label() for line in ax.lines if line.get_label() == "gradient flow"]
    ['gradient flow']
    """
    _draw_ground(ax, to_plane(vertex), to_plane(least_norm))
    flow, style = _evenly(to_plane(path), 40), figures.role("gradient flow")
    level = level_set(log_alpha, path[-1])
    ax.fill(*level.T, color=style["color"], alpha=figures.FILL_OPACITY, linewidth=0, label="_inside")
    ax.plot(*level.T, color=style["color"], linewidth=1.6, label="level set of φ through its end")
    ax.text(0.46, 0.16, "inside: smaller φ", ha="center")
    ax.plot(*flow.T, **(style | {"linewidth": 2.6, "marker": None}), label="gradient flow")
    if len(limits):
        _draw_cloud(ax, np.asarray(limits), np.asarray(log_alpha_effective))
    _dot(ax, flow[-1], style["color"])
    steps = {} if sgd is None or not len(sgd) else {"SGD": np.median(sgd, axis=0)}
    steps |= {} if descent is None else {"gradient descent": descent}
    for name, end in steps.items():
        ax.plot(*to_plane(end), **_marker(name, 9), label=f"{name} ends")
    _draw_legend(ax, ["gradient flow", *(["stochastic flow", "its median"] if len(limits) else []), *steps])


def _evenly(points, count):
    """``count`` points equally spaced along a curve: a solver's own instants crowd where it is slow."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, coordinate) for coordinate in points.T], axis=-1)


def _draw_ground(ax, vertex, least_norm):
    # The plane itself: two arrows through 0, the line of solutions and its two famous points.
    ax.set(xlim=(-0.235, 1.155), ylim=(-0.035, 1.105), aspect="equal", xlabel="√2 β₂ = √2 β₃", ylabel="β₁")
    ax.axis("off")
    arrow = {"arrowstyle": "-|>", "color": figures.INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.8}
    ax.annotate("", (0.86, 0), (-0.2, 0), arrowprops=arrow)
    ax.annotate("", (0, 1.1), (0, -0.03), arrowprops=arrow)
    ax.text(0.88, 0, "β₂ = β₃", va="center")
    ax.text(0.025, 1.085, "β₁", va="center")
    ax.plot(0, 0, "o", color=figures.INK, markersize=6)
    ax.text(-0.03, 0.035, "start", ha="right")
    along = (least_norm - vertex) / np.linalg.norm(least_norm - vertex)
    ends = np.stack([vertex - 0.2 * along, vertex + 1.42 * along])
    ax.plot(*ends.T, color=figures.INK, linewidth=2, label="all solutions of Xβ = y")
    middle = vertex + 1.06 * along + 0.045 * np.array([-along[1], along[0]])
    slope = np.degrees(np.arctan2(along[1], along[0]))
    ax.text(*middle, "all solutions of Xβ = y", rotation=slope, rotation_mode="anchor", ha="center")
    for point, name, offset, side in (
        (vertex, "least l1", (-0.04, 0), "right"),
        (least_norm, "least l2", (0.05, 0.03), "left"),
    ):
        ax.plot(*point, **figures.role(name, points=True), label=_WORDS[name])
        ax.text(*(point + offset), _WORDS[name], ha=side, va="center")


def _draw_cloud(ax, limits, log_alpha_effective):
    # 100 quantiles of the limits beside the line: exact along it, meaningless across it.
    colour = figures.role("stochastic flow")["color"]
    order = np.argsort(limits[:, 1])
    picked = order[np.round(np.linspace(0, len(order) - 1, 100)).astype(int)]
    normal = np.array([1.2 / 2**0.5, 1.0]) / np.hypot(1.2 / 2**0.5, 1.0)
    shift = 0.035 + 0.115 * (np.arange(100) * GOLDEN % 1)
    points = to_plane(limits[picked]) + shift[:, None] * normal
    figures.dots(ax, *points.T, color=colour, label="stochastic flow")
    median = order[len(order) // 2]
    touching = level_set(log_alpha_effective[median], limits[median])
    dashed = {"color": colour, "linewidth": 1.4, "linestyle": (0, (4, 2))}
    ax.plot(*touching.T, **dashed, label="level set of φ at the median run's α∞")
    _dot(ax, to_plane(limits[median]), colour)


def _draw_legend(ax, names):
    # A row for each in the corner that is empty in every frame; colour only in the samples, words in ink.
    red = figures.role("stochastic flow")["color"]
    lines = {
        "gradient flow": (figures.role("gradient flow")["color"], "-"),
        "its median": (red, (0, (4, 2))),
    }
    for k, name in enumerate(names):
        height = 1.075 - 0.07 * k
        if name in lines:
            colour, line = lines[name]
            ax.plot([0.5, 0.58], [height] * 2, color=colour, linewidth=2, linestyle=line)
            _dot(ax, (0.54, height), colour, size=7)
        elif name == "stochastic flow":
            spread = height + np.array([0.01, -0.01, 0.012, -0.008])
            figures.dots(ax, [0.505, 0.53, 0.555, 0.58], spread, color=red, label="_sample")
        else:
            ax.plot(0.54, height, **_marker(name, 8))
        ax.text(0.61, height, name, va="center")


def draw_strip(ax, ends, *, current, flow_end, least_norm_end, sgd=None, descent=None):
    """Draw where the runs end along the line of solutions, one row for each noise level.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    ends : dict of float to array_like
        β₂ = β₃ at the end of each run, for each γ; γ = 0 is gradient flow.
    current : float
        The γ to show in bold.
    flow_end, least_norm_end : float
        β₂ = β₃ where gradient flow ends, and at the least-norm solution.
    sgd, descent : dict of float to array_like, optional
        β₂ = β₃ at the ends of SGD and of gradient descent with step γ: their medians are marked.

    Examples
    --------
    >>> from lib import figures
    >>> from lib.pages import first_picture
    >>> fig, ax = figures.canvas(3.1)
    >>> ends = {0.0: [0.2], 0.4: [0.1, 0.15, 0.2]}
    >>> first_picture.draw_strip(ax, ends, current=0.4, flow_end=0.2, least_norm_end=0.35)
    >>> [line.digest for line in ax.lines if hasattr(line, "digest")]
    ['median 0.150, middle 90 % from 0.105 to 0.195']
    """
    blue = figures.role("gradient flow")["color"]
    ax.axis("off")
    foot, width = (
        -len(ends) - 0.4,
        least_norm_end / 0.72,
    )  # the segment from ◇ to □, magnified to 0.72 of a plane
    ax.set(xlim=np.array([-0.235, 1.155]) * width / 2**0.5, ylim=(foot - 0.8, 0.8))
    ax.set(xlabel="β₂ = β₃ at the end", ylabel="noise level, downwards")
    for name, x, side, shift in (
        ("least l1", 0.0, "left", 0.035),
        ("least l2", least_norm_end, "right", -0.035),
    ):
        ax.plot([x, x], [0.6, foot + 0.5], color=figures.INK, linewidth=0.8)
        ax.plot(x, foot, **(figures.role(name, points=True) | {"markersize": 8}))
        ax.text(x + shift * width, foot, _WORDS[name], va="center", ha=side)
    ax.text(least_norm_end / 2, foot, "where it ends", va="center", ha="center")
    ax.plot([flow_end] * 2, [0, foot + 0.5], color=blue, linewidth=1)
    for row, (gamma, values) in enumerate(ends.items()):
        _draw_row(ax, -row, gamma, np.quantile(values, [0.05, 0.5, 0.95]), gamma == current, width)
        for name, found in (("SGD", sgd or {}), ("gradient descent", descent or {})):
            if np.size(found.get(gamma, ())):
                middle = np.median(found[gamma])
                _draw_step(ax, -row, name, gamma, middle, gamma == current, 1.1 * least_norm_end)


def _draw_row(ax, height, gamma, quantiles, bold, width):
    colour = figures.role("stochastic flow" if gamma else "gradient flow")["color"]
    words = {"weight": "bold"} if bold else {}
    ax.text(-0.04 * width, height, f"{gamma:g}" if gamma else "γ = 0", ha="right", va="center", **words)
    low, middle, high = quantiles
    if gamma:
        label = f"ends at γ = {gamma:g}"
        (bar,) = ax.plot([low, high], [height] * 2, color=colour, linewidth=6 if bold else 1.4, label=label)
        bar.digest = f"median {middle:.3f}, middle 90 % from {low:.3f} to {high:.3f}"
    _dot(ax, (middle, height), colour, size=9 if bold else 5)


def _draw_step(ax, height, name, gamma, middle, bold, rim):
    # A discrete algorithm's median end; an arrow at the rim where that lies beyond the strip.
    style, label = _marker(name, 7 if bold else 4), f"{name} at γ = {gamma:g}"
    (mark,) = ax.plot(min(middle, rim), height, **style, label=label)
    mark.digest = f"median {middle:.3f}"
    if middle > rim:
        ax.text(1.03 * rim, height, "→", va="center")


def _marker(name, size):
    return figures.role(name, points=True) | {"markersize": size}


def _dot(ax, point, colour, size=9):
    ax.plot(*point, "o", color=colour, markersize=size, markeredgecolor=figures.PAPER, markeredgewidth=1)
