"""How fast gradient flow converges: bounds, functions that attain them, and a flow that never arrives.

Notation (Yang's notes 2025, §3; Bach 2020). F the function, F* its infimum, x' = −∇F(x), δ_t = F(x_t) − F*,
R = |x₀ − x*|, L a bound on the curvature, m the constant of strong convexity or of the Łojasiewicz inequality
½|∇F|² ≥ m (F − F*), γ the step of gradient descent. The functions come from ``objectives``.
"""

from __future__ import annotations

import numpy as np
from scipy import integrate, optimize, special

from lib.flows.objectives import Objective, huber, with_minimum
from lib.records import RunFailed, as_array, as_positive, as_times


def convex_bound(radius: float, time, *, smoothness=np.inf, constant=4.0):
    """Sharp bound on δ_t for convex F: R²/(4t), and R²/(4t + 2/L) when F is also L-smooth.

    The same number bounds gradient descent at t = Nγ when γ ≤ 1/L (Drori & Teboulle 2014).

    Parameters
    ----------
    radius : float
        R, the distance from the start to a minimiser.
    time : float or ndarray
        t ≥ 0 for the flow, Nγ for N steps of gradient descent.
    smoothness : float, optional
        L; infinite when nothing is known.
    constant : float, optional
        4; with 2 and L infinite it is the bound (8) of Yang's notes.

    Returns
    -------
    float or ndarray
        The bound, infinite at t = 0 when L is.

    Examples
    --------
    >>> from lib.flows.convergence import convex_bound
    >>> float(convex_bound(2.0, 1.0)), float(convex_bound(2.0, 1.0, smoothness=2.0))
    (1.0, 0.8)
    """
    time = as_array("time", time)
    if (time < 0).any():
        raise ValueError(f"time must be at least 0; received {time.min()}. The flow runs forwards.")
    with np.errstate(divide="ignore"):
        return as_positive("radius", radius, zero=True) ** 2 / (constant * time + 2 / smoothness)


def worst_huber(radius: float, time: float, smoothness: float) -> Objective:
    """Function for which gradient flow from |x₀| = R attains ``convex_bound`` at t, and descent at Nγ = t.

    Parameters
    ----------
    radius : float
        R > 0.
    time : float
        t > 0, or Nγ.
    smoothness : float
        L > 0.

    Returns
    -------
    Objective
        ``huber`` with slope R/(2t + 1/L), on whose straight side the flow still is at time t.

    Examples
    --------
    >>> from lib.flows.convergence import convex_bound, worst_huber
    >>> F = worst_huber(1.7, 2.3, 3.0)
    >>> round(float(F.value(F.flow([1.7], [2.3]))[0] / convex_bound(1.7, 2.3, smoothness=3.0)), 12)
    1.0
    """
    radius, time = as_positive("radius", radius), as_positive("time", time)
    return huber(smoothness, radius / (2 * time + 1 / as_positive("smoothness", smoothness)))


def power_worst_case(exponent: float) -> float:
    """Largest δ_t over all scales a of F = a|x|^p/p, in units of R²/2t: (1/p)(p/2)^{−p/(p−2)}.

    Parameters
    ----------
    exponent : float
        p > 1; the limit e^{−1}/2 at p = 2.

    Returns
    -------
    float
        Between 0 and the ceiling ½ of ``convex_bound``, which it approaches as p → 1.

    Examples
    --------
    >>> from lib.flows.convergence import power_worst_case
    >>> power_worst_case(4.0)
    0.0625
    """
    p = as_positive("exponent", exponent)
    if p <= 1:
        raise ValueError(f"exponent must be greater than 1; received {p}. Take 1.01 for nearly |x|.")
    half = p / 2 - 1
    return float(np.exp(-p / 2 * (np.log1p(half) / half if half else 1.0)) / p)


def envelope_bound(objective: Objective, x0, time: float) -> float:
    """Bound on F(x_t) for convex F that need not have a minimiser: inf_z F(z) + |x₀ − z|²/4t.

    Parameters
    ----------
    objective : Objective
        F, convex and differentiable.
    x0 : array_like, shape (d,)
        Start of the flow.
    time : float
        t > 0.

    Returns
    -------
    float
        The Moreau envelope of F at x₀ with parameter 2t, to rounding.

    Raises
    ------
    RunFailed
        When that point is not found.

    Examples
    --------
    >>> from lib.flows.convergence import envelope_bound
    >>> from lib.flows.objectives import softplus
    >>> round(envelope_bound(softplus(), [-1.0], 1.0), 6)
    0.943147
    """
    x0, time = as_array("x0", x0, ndim=1), as_positive("time", time)
    return with_minimum(
        value=lambda z: objective.value(z) + ((z - x0) ** 2).sum(-1) / (4 * time),
        gradient=lambda z: objective.gradient(z) + (z - x0) / (2 * time),
        start=x0,
    ).minimum


def linear_bound(gap: float, rate: float, time):
    """Bound e^{−2mt} δ₀ on δ_t for m-strongly convex F, or under the Łojasiewicz inequality with m.

    Parameters
    ----------
    gap : float
        δ₀ ≥ 0.
    rate : float
        m > 0.
    time : float or ndarray
        t.

    Returns
    -------
    float or ndarray
        The bound; ½ m x² attains it.

    Examples
    --------
    >>> from lib.flows.convergence import linear_bound
    >>> round(float(linear_bound(1.0, 0.5, 1.0)), 6)
    0.367879
    """
    return as_positive("gap", gap, zero=True) * np.exp(
        -2 * as_positive("rate", rate) * as_array("time", time)
    )


def lojasiewicz_constant(objective: Objective, low: float, high: float) -> float:
    """Largest m with ½ F′² ≥ m (F − F*) on an interval of the line that does not contain a minimiser.

    Parameters
    ----------
    objective : Objective
        F of one variable.
    low, high : float
        Ends of the interval.

    Returns
    -------
    float
        inf ½F′²/(F − F*), from a grid of 2001 points, refined around the best one.

    Raises
    ------
    ValueError
        When the interval is empty.

    Examples
    --------
    >>> from lib.flows.convergence import lojasiewicz_constant
    >>> from lib.flows.objectives import wavy_parabola
    >>> round(lojasiewicz_constant(wavy_parabola(), 0.1, 10.0), 6)
    0.175531
    """
    low, high = float(as_array("low", low, ndim=0)), float(as_array("high", high, ndim=0))
    if not low < high:
        raise ValueError(f"low must be smaller than high; received {low} and {high}. Swap them.")

    def ratio(x):
        x = np.atleast_1d(x)[..., None]
        return objective.gradient(x)[..., 0] ** 2 / (2 * (objective.value(x) - objective.minimum))

    grid = np.linspace(low, high, 2001)
    best = int(np.argmin(ratio(grid)))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    refined = optimize.minimize_scalar(lambda x: ratio(x)[0], bounds=around, options={"xatol": 1e-10})
    return float(min(refined.fun, ratio(grid).min()))


# --- a flow without a limit -----------------------------------------------------------------------


def spiral_valley(*, cutoff=0.0) -> Objective:
    r"""A function ≥ 0 in the plane whose gradient flow has trajectories without a limit.

    In polar coordinates and with u = 1/(1 − r²), A = 4r⁴/(4r⁴ + (1 − r²)⁴),

        F = e^{−u} (1 − A sin(θ − u)) for r < 1,      F = 0 beyond

    (Absil, Mahony & Andrews 2005). The curve θ = u solves x' = −∇F: it winds around the unit circle for ever,
    while F falls to 0 along it. F is smooth away from the origin. At the origin it is three times
    differentiable and no more: it contains −4r³(y cos 1 − x sin 1)/e, whose fourth derivative along a line
    jumps, by 192/e where the jump is largest. With a cut-off A is multiplied by a smooth step, 0 up to half
    the cut-off and 1 from there on: then F is smooth everywhere, and beyond the cut-off it is the same
    function with the same spiral.

    Parameters
    ----------
    cutoff : float, optional
        Radius in [0, 1) beyond which A is as above; 0 leaves the function as published.

    Returns
    -------
    Objective
        Its minimisers fill the outside of the unit disc; ``minimiser`` is None.

    Raises
    ------
    ValueError
        When the cut-off is not in [0, 1).

    Examples
    --------
    >>> from lib.flows.convergence import spiral, spiral_valley
    >>> F, smooth = spiral_valley(), spiral_valley(cutoff=0.25)
    >>> bool(F.value(spiral(3.0)) > F.value(spiral(9.0)) > 0)
    True
    >>> bool(F.value(spiral(3.0)) == smooth.value(spiral(3.0)))
    True
    """
    cutoff = as_positive("cutoff", cutoff, zero=True)
    if cutoff >= 1:
        raise ValueError(f"cutoff must be below 1, where the spiral winds; received {cutoff}. Take 0.25.")

    def parts(x):
        x = as_array("x", x)
        r2 = (x**2).sum(-1)
        s = np.where(r2 < 1, 1 - r2, 1.0)
        u = 1 / s
        phase = np.arctan2(x[..., 1], x[..., 0]) - u
        D = 4 * r2**2 + s**4
        height = np.where(r2 < 1, np.exp(-u), 0.0)
        return x, r2, s, u, phase, D, height, *_smooth_step(np.sqrt(r2), cutoff)

    def value(x):
        _, r2, _, _, phase, D, height, on, _ = parts(x)
        return height * (1 - 4 * r2**2 / D * on * np.sin(phase))

    def gradient(x):
        x, r2, s, u, phase, D, height, on, rise = parts(x)
        A = 4 * r2**2 / D
        # ∂_r F / r and ∂_θ F / r², with u' = 2ru², A' = 16 r³ s³ (1 + r²)/D² and (Aχ)' = A'χ + Aχ'
        steeper = 16 * r2 * s**3 * (1 + r2) / D**2 * on + A * rise
        radial = -2 * u**2 * (1 - A * on * (np.sin(phase) + np.cos(phase)))
        radial = height * (radial - steeper * np.sin(phase))
        angular = -height * 4 * r2 / D * on * np.cos(phase)
        turned = np.stack([-x[..., 1], x[..., 0]], axis=-1)
        return radial[..., None] * x + angular[..., None] * turned

    return Objective(value, gradient, 0.0)


def _smooth_step(r, cutoff):
    """χ(r), 0 up to half the cut-off and 1 from there on, infinitely differentiable; and χ'(r)/r."""
    if cutoff == 0:
        return np.ones_like(r), np.zeros_like(r)
    q = np.clip(2 * r / cutoff - 1, 1e-3, 1 - 1e-3)  # beyond, e^{−1/q} is below the smallest number
    odds = 1 / q - 1 / (1 - q)
    on = special.expit(-odds)
    slope = on * (1 - on) * (1 / q**2 + 1 / (1 - q) ** 2) * 2 / cutoff
    return on, slope / np.maximum(r, cutoff / 2)


def spiral(angle) -> np.ndarray:
    """Points r = √(1 − 1/θ) of the trajectory of ``spiral_valley`` that never converges.

    Parameters
    ----------
    angle : array_like, shape (...)
        Angle θ > 1 swept since the origin.

    Returns
    -------
    ndarray, shape (..., 2)
        The points, all inside the unit disc.

    Raises
    ------
    ValueError
        When an angle is not greater than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows.convergence import spiral
    >>> np.round(spiral(2 * np.pi), 6).tolist()
    [0.916976, -0.0]
    """
    angle = as_array("angle", angle)
    if (angle <= 1).any():
        raise ValueError(
            f"angle must be greater than 1; received {angle.min()}. The curve starts at angle 1."
        )
    return np.sqrt(1 - 1 / angle)[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def spiral_flow(x0, times, *, cutoff=0.0) -> np.ndarray:
    """Gradient flow of ``spiral_valley`` from any start, by a stiff integrator.

    Across the valley the flow relaxes about (1 − r²)^{−4} times as fast as along it: explicit methods stall.

    Parameters
    ----------
    x0 : array_like, shape (2,)
        Start.
    times : array_like, shape (T,)
        Increasing instants ≥ 0.
    cutoff : float, optional
        That of ``spiral_valley``.

    Returns
    -------
    ndarray, shape (T, 2)
        By LSODA, relative tolerance 1e-9.

    Raises
    ------
    RunFailed
        When the integrator gives up.

    Examples
    --------
    >>> from lib.flows.convergence import spiral_flow
    >>> bool((spiral_flow([0.3, 0.1], [1e8])**2).sum() < 1)
    True
    """
    times, gradient = np.atleast_1d(as_times("times", times)), spiral_valley(cutoff=cutoff).gradient
    x0 = as_array("x0", x0, ndim=1)
    result = integrate.solve_ivp(
        lambda _, x: -gradient(x), (0, times[-1]), x0, "LSODA", times, rtol=1e-9, atol=1e-12
    )
    if result.status != 0:
        raise RunFailed(f"The flow did not reach t = {times[-1]}: {result.message} Ask for earlier times.")
    return result.y.T


def spiral_time(start: float, end: float) -> float:
    """Time that gradient flow takes along ``spiral`` from one angle to another.

    dt/dθ = e^θ (r² + 1/(4 r² θ⁴)) with r² = 1 − 1/θ: each turn takes about e^{2π} = 535 times as long as the
    one before, so the angle grows like log t, and without bound.

    Parameters
    ----------
    start, end : float
        Angles, 1 < start ≤ end.

    Returns
    -------
    float
        The time, by quadrature.

    Examples
    --------
    >>> from lib.flows.convergence import spiral_time
    >>> round(spiral_time(2.0, 8.0), 1)
    2538.8
    """

    def pace(angle):
        r2 = 1 - 1 / angle
        return np.exp(angle) * (r2 + 1 / (4 * r2 * angle**4))

    return float(integrate.quad(pace, start, end, epsabs=0, epsrel=1e-12, limit=200)[0])
