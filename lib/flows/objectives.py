"""Functions to run gradient flow on, many of them with the exact solution.

Notation (Yang's notes 2025, §3; Bach 2020). F the function, F* its infimum, x' = −∇F(x) gradient flow. Points
carry their coordinates on the last axis; values are summed over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from lib.records import RunFailed, as_array, as_data, as_positive


@dataclass(frozen=True)
class Objective:
    """A function to be minimised.

    Parameters
    ----------
    value : callable
        F, from (..., d) to (...).
    gradient : callable
        ∇F, from (..., d) to (..., d).
    minimum : float
        F*, attained or not.
    minimiser : ndarray, shape (d,), or float, optional
        x*; None where F* is not attained.
    flow : callable, optional
        Exact gradient flow: (x₀ (d,), times (T,)) ↦ (T, d); None where there is no closed form.

    Examples
    --------
    >>> from lib.flows.objectives import Objective
    >>> Objective(value=lambda x: (x**2).sum(-1), gradient=lambda x: 2 * x, minimum=0.0).flow is None
    True
    """

    value: Callable
    gradient: Callable
    minimum: float
    minimiser: np.ndarray | float | None = None
    flow: Callable | None = None


# --- the functions --------------------------------------------------------------------------------


def power(exponent: float, scale: float = 1.0) -> Objective:
    """F(x) = (a/p) Σ |x_j|^p, p > 1, with its exact flow |x|^{2−p} = |x₀|^{2−p} + (p − 2) a t.

    For p = 2 the flow is x₀ e^{−at}; for p < 2 it reaches 0 at a finite time and stays there.

    Parameters
    ----------
    exponent : float
        p > 1.
    scale : float, optional
        a > 0.

    Returns
    -------
    Objective
        With ``flow``.

    Raises
    ------
    ValueError
        When p ≤ 1: there is no gradient at 0.

    Examples
    --------
    >>> from lib.flows.objectives import power
    >>> power(4.0).flow([1.0], [0.0, 1.5]).ravel().tolist()
    [1.0, 0.5]
    """
    p, a = as_positive("exponent", exponent), as_positive("scale", scale)
    if p <= 1:
        raise ValueError(f"exponent must be greater than 1 for a gradient to exist; received {p}. Take 1.01.")

    def flow(x0, times):
        x0, t = _start(x0, times)
        if p == 2:
            return x0 * np.exp(-a * t)
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = (p - 2) * a * t * np.abs(x0) ** (p - 2)
            moving = x0 * np.exp(-np.log1p(growth) / (p - 2))
        return np.where((x0 == 0) | (growth <= -1), 0.0, moving)

    return Objective(
        value=lambda x: a / p * (np.abs(as_array("x", x)) ** p).sum(-1),
        gradient=lambda x: a * np.sign(x) * np.abs(as_array("x", x)) ** (p - 1),
        minimum=0.0,
        minimiser=0.0,
        flow=flow,
    )


def huber(smoothness: float, slope: float) -> Objective:
    """F(x) = Σ of L x²/2 up to |x| = c/L and of c|x| − c²/2L beyond, with its exact flow.

    Parameters
    ----------
    smoothness : float
        L > 0, the curvature at the bottom.
    slope : float
        c > 0, the slope of the sides.

    Returns
    -------
    Objective
        With ``flow``: a straight line to |x| = c/L, then an exponential.

    Examples
    --------
    >>> from lib.flows.objectives import huber
    >>> huber(1.0, 1.0).flow([3.0], [0.0, 2.0]).ravel().tolist()
    [3.0, 1.0]
    """
    L, c = as_positive("smoothness", smoothness), as_positive("slope", slope)

    def value(x):
        size = np.abs(as_array("x", x))
        return np.where(size <= c / L, L * size**2 / 2, c * size - c**2 / (2 * L)).sum(-1)

    def flow(x0, times):
        x0, t = _start(x0, times)
        size = np.abs(x0)
        arrival = np.maximum(size - c / L, 0.0) / c
        bottom = np.minimum(size, c / L) * np.exp(-L * np.maximum(t - arrival, 0.0))
        return np.sign(x0) * np.where(t < arrival, size - c * t, bottom)

    return Objective(value, lambda x: np.clip(L * as_array("x", x), -c, c), 0.0, 0.0, flow)


def quadratic(curvatures) -> Objective:
    """F(x) = ½ Σ m_j x_j², with its exact flow e^{−m_j t} x₀.

    Parameters
    ----------
    curvatures : array_like, shape (d,)
        m_j ≥ 0.

    Returns
    -------
    Objective
        With ``flow``.

    Raises
    ------
    ValueError
        When a curvature is negative.

    Examples
    --------
    >>> from lib.flows.objectives import quadratic
    >>> float(quadratic([1.0, 4.0]).value([1.0, 1.0]))
    2.5
    """
    m = as_array("curvatures", curvatures, ndim=1)
    if (m < 0).any():
        raise ValueError(f"curvatures must not be negative; received {m.min()}. F has no minimum then.")

    def flow(x0, times):
        x0, t = _start(x0, times)
        return x0 * np.exp(-m * t)

    return Objective(
        value=lambda x: (m * as_array("x", x) ** 2).sum(-1) / 2,
        gradient=lambda x: m * as_array("x", x),
        minimum=0.0,
        minimiser=np.zeros(len(m)),
        flow=flow,
    )


def softplus() -> Objective:
    """F(x) = Σ log(1 + e^{−x_j}), convex with infimum 0 and no minimiser, with its exact flow.

    The flow conserves x + e^x − t, so e^x = ω(x₀ + e^{x₀} + t) with Wright's omega function.

    Returns
    -------
    Objective
        With ``flow``.

    Examples
    --------
    >>> from lib.flows.objectives import softplus
    >>> round(float(softplus().value(softplus().flow([-1.0], [1.0]))[0]), 9)
    0.878857242
    """

    def flow(x0, times):
        x0, t = _start(x0, times)
        return np.log(special.wrightomega(x0 + np.exp(x0) + t))

    return Objective(
        value=lambda x: np.logaddexp(0.0, -as_array("x", x)).sum(-1),
        gradient=lambda x: -special.expit(-as_array("x", x)),
        minimum=0.0,
        flow=flow,
    )


def log_sum_exp(A, b) -> Objective:
    """F(x) = log Σ_i exp(a_iᵀx + b_i), convex and not strongly convex.

    Parameters
    ----------
    A : array_like, shape (n, d)
        Rows a_i, with 0 in the interior of their convex hull: otherwise there is no minimiser.
    b : array_like, shape (n,)
        Offsets.

    Returns
    -------
    Objective
        Without ``flow``.

    Raises
    ------
    RunFailed
        When no minimiser is found.

    Examples
    --------
    >>> from lib.flows.objectives import log_sum_exp
    >>> round(log_sum_exp([[1.0], [-1.0]], [0.0, 0.0]).minimum, 6)
    0.693147
    """
    A, b = as_data(A, b)
    return with_minimum(
        value=lambda x: special.logsumexp(as_array("x", x) @ A.T + b, axis=-1),
        gradient=lambda x: special.softmax(as_array("x", x) @ A.T + b, axis=-1) @ A,
        start=np.zeros(A.shape[1]),
    )


def logistic(A, y) -> Objective:
    """F(x) = (1/n) Σ_i log(1 + exp(−y_i a_iᵀx)).

    Parameters
    ----------
    A : array_like, shape (n, d)
        Rows a_i.
    y : array_like, shape (n,)
        Labels ±1 that no hyperplane separates: otherwise there is no minimiser.

    Returns
    -------
    Objective
        Without ``flow``.

    Raises
    ------
    ValueError
        When a label is not ±1.
    RunFailed
        When no minimiser is found.

    Examples
    --------
    >>> from lib.flows.objectives import logistic
    >>> round(logistic([[1.0], [1.0]], [1.0, -1.0]).minimum, 6)
    0.693147
    """
    A, y = as_data(A, y)
    if not np.isin(y, (-1.0, 1.0)).all():
        raise ValueError(f"y must hold labels −1 and 1; received {np.unique(y)[:5]}. Recode it.")
    return with_minimum(
        value=lambda x: np.logaddexp(0.0, -y * (as_array("x", x) @ A.T)).mean(-1),
        gradient=lambda x: -(special.expit(-y * (as_array("x", x) @ A.T)) * y) @ A / len(y),
        start=np.zeros(A.shape[1]),
    )


def wavy_parabola() -> Objective:
    """F(x) = Σ x_j² + 3 sin² x_j: not convex, yet it satisfies the Łojasiewicz inequality with m = 0.1755.

    Returns
    -------
    Objective
        Without ``flow``.

    Examples
    --------
    >>> from lib.flows.objectives import wavy_parabola
    >>> float(wavy_parabola().value([0.0]))
    0.0
    """
    return Objective(
        value=lambda x: (np.square(x) + 3 * np.sin(as_array("x", x)) ** 2).sum(-1),
        gradient=lambda x: 2 * as_array("x", x) + 3 * np.sin(2 * as_array("x", x)),
        minimum=0.0,
        minimiser=0.0,
    )


def with_minimum(value: Callable, gradient: Callable, start) -> Objective:
    """The objective with its minimum, found numerically.

    Parameters
    ----------
    value, gradient : callable
        F and ∇F as in ``Objective``.
    start : array_like, shape (d,)
        Where the search begins.

    Returns
    -------
    Objective
        With a minimiser where the gradient vanishes to rounding; without ``flow``.

    Raises
    ------
    RunFailed
        When no such point is found.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows.objectives import with_minimum
    >>> F = with_minimum(lambda x: np.cosh(x - 1.0).sum(-1), lambda x: np.sinh(x - 1.0), [0.0])
    >>> round(F.minimum, 9)
    1.0
    """
    # BFGS to come near, then a root of the gradient; the Newton step that is left tells a minimiser from a
    # slope that only fades at infinity
    box = [(-1e6, 1e6)] * len(start)
    near = optimize.minimize(value, start, jac=gradient, method="L-BFGS-B", bounds=box).x
    x = optimize.root(gradient, near, tol=1e-14).x if np.abs(near).max() < 1e5 else near
    spacing = 1e-5 * (1 + np.linalg.norm(x))
    hessian = np.array([gradient(x + e) - gradient(x - e) for e in spacing * np.eye(len(x))]) / (2 * spacing)
    newton = np.linalg.lstsq(hessian, gradient(x))[0]
    if np.abs(newton).max() > 1e-6 or np.abs(gradient(x)).max() > 1e-9:
        raise RunFailed("No minimiser found: the search for it ran away. Check that one exists.")
    return Objective(value, gradient, float(value(x)), x)


def _start(x0, times):
    x0, times = as_array("x0", x0, ndim=1), as_array("times", times, ndim=1)
    if (times < 0).any():
        raise ValueError(f"times must be at least 0; received {times.min()}. The flow runs forwards.")
    return x0, times[:, None]
