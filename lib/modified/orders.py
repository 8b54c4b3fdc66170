"""Methods, reference solutions and measured orders: how a claim "the error is O(h^p)" is checked.

Notation (Griffiths & Higham 2010; Yang's notes 2025, §1). f the field of x' = f(x), h > 0 the step, T = N·h
the horizon. The local truncation error is x̂(h) − x₁ after one step from a common point, the global error
x̂(T) − x_N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from lib.records import CONVERGED, UNCERTIFIED, Record, RunFailed, as_array, as_count, as_positive

Field = Callable[[np.ndarray], np.ndarray]


def euler(field: Field, x0, step: float, steps: int, *, jacobian: Field | None = None) -> np.ndarray:
    """Points of Euler's method, x_{n+1} = x_n + h f(x_n), or h f(x_{n+1}) when the Jacobian is given.

    Parameters
    ----------
    field : callable
        f; gradient descent is f = −∇F.
    x0 : array_like, shape () or (..., d)
        Start.
    step : float
        h > 0, in units of the time of x' = f(x).
    steps : int
        Number of steps N, at least 0.
    jacobian : callable, optional
        f′; turns the method into implicit Euler, each step solved by Newton's method. Needs x0 (..., d).

    Returns
    -------
    ndarray, shape (N + 1, *x0.shape)
        The points, the start included.

    Raises
    ------
    RunFailed
        When Newton's method does not settle.

    Examples
    --------
    >>> from lib.modified.orders import euler
    >>> round(float(euler(lambda x: 5 * x, 1.0, 0.1, 10)[-1]), 6)
    57.665039
    """
    x, step, steps = as_array("x0", x0), as_positive("step", step), as_count("steps", steps, least=0)
    points = np.empty((steps + 1, *x.shape))
    points[0] = x
    for n in range(steps):
        x = points[n]
        points[n + 1] = x + step * field(x) if jacobian is None else _implicit_step(field, jacobian, x, step)
    return points


def reference_flow(field: Field, x0, times) -> np.ndarray:
    """Solution of x' = f(x), x(0) = x0, to nearly the last digit: what errors are measured against.

    Parameters
    ----------
    field : callable
        f, from x0's shape to itself.
    x0 : array_like, shape () or (..., d)
        Start.
    times : array_like, shape (T,)
        Instants, non-negative and increasing.

    Returns
    -------
    ndarray, shape (T, *x0.shape)
        By the Runge–Kutta method of order 8, relative tolerance 3e-14: error about 1e-15 for O(1) problems.

    Raises
    ------
    ValueError
        When the instants are negative or do not increase.
    RunFailed
        When the integrator gives up, as at a finite escape time.

    Examples
    --------
    >>> from lib.modified.orders import reference_flow
    >>> round(float(reference_flow(lambda x: -x, 1.0, [1.0])[0]), 12)
    0.367879441171
    """
    x0, times = as_array("x0", x0), as_array("times", times, ndim=1)
    if len(times) == 0 or times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times must be non-negative and increasing; received {times}. Sort them.")
    if times[-1] == 0:
        return x0[None].copy()

    def rate(_, x):
        return np.ravel(field(x.reshape(x0.shape)))

    result = solve_ivp(rate, (0, times[-1]), x0.ravel(), "DOP853", times, rtol=3e-14, atol=1e-15)
    if result.status != 0:
        raise RunFailed(f"The flow did not reach t = {times[-1]}: {result.message} Ask for earlier times.")
    return result.y.T.reshape(len(times), *x0.shape)


def local_errors(field: Field, family: Callable, x0, steps, *, jacobian: Field | None = None) -> np.ndarray:
    """Local truncation errors x̂(h) − x₁ of Euler's method against a modified equation, one for each step.

    Parameters
    ----------
    field : callable
        f, what the method steps along.
    family : callable
        h ↦ field of the modified equation at that h.
    x0 : array_like, shape () or (..., d)
        Common start.
    steps : array_like, shape (K,)
        Steps h > 0.
    jacobian : callable, optional
        f′, for implicit Euler.

    Returns
    -------
    ndarray, shape (K, *x0.shape)
        Signed errors.

    Examples
    --------
    >>> from lib.modified.orders import local_errors
    >>> error = local_errors(lambda x: x, lambda h: (lambda x: (1 - h / 2) * x), 1.0, [1e-2])
    >>> round(float(error[0] / 1e-6), 4)
    -0.3342
    """
    steps = as_array("steps", steps, ndim=1)
    return np.array([_error(field, family, x0, h, 1, jacobian) for h in steps])


def global_errors(
    field: Field, family: Callable, x0, horizon: float, counts, *, jacobian: Field | None = None
) -> np.ndarray:
    """Errors x̂(T) − x_N of Euler's method against a modified equation, with N·h = T exactly.

    Parameters
    ----------
    field, family : callable
        As in ``local_errors``.
    x0 : array_like, shape () or (..., d)
        Common start.
    horizon : float
        T > 0.
    counts : sequence of int, length K
        Numbers of steps N; h = T/N.
    jacobian : callable, optional
        f′, for implicit Euler.

    Returns
    -------
    ndarray, shape (K, *x0.shape)
        Signed errors.

    Examples
    --------
    >>> from lib.modified.orders import fit_order, global_errors
    >>> N = [16, 32, 64]
    >>> error = global_errors(lambda x: -x, lambda h: (lambda x: -x), 1.0, 1.0, N)
    >>> round(fit_order([1 / n for n in N], error, 1).order, 1)
    1.0
    """
    horizon = as_positive("horizon", horizon)
    counts = [as_count("counts", int(n) if isinstance(n, np.integer) else n) for n in counts]
    return np.array([_error(field, family, x0, horizon / n, n, jacobian) for n in counts])


@dataclass(frozen=True, kw_only=True)
class OrderFit(Record):
    """A measured order: error ∝ h^p.

    Parameters
    ----------
    status : int
        0 when the last two slopes lie within the tolerance of the expected order and approach it.
    message : str
        Otherwise which of the rules broke.
    slopes : ndarray, shape (K − 1,)
        log(E_k/E_{k+1}) / log(h_k/h_{k+1}), the coarsest pair first.
    order : float
        The last slope.
    errors : ndarray, shape (K,)
        Sizes of the errors that were used.

    Examples
    --------
    >>> from lib.modified.orders import fit_order
    >>> fit_order([0.2, 0.1, 0.05], [0.2, 0.1, 0.05], 2).message
    'The last slopes 1.000, 1.000 are not 2 ± 0.1. Try smaller steps.'
    """

    slopes: np.ndarray
    order: float
    errors: np.ndarray


def fit_order(steps, errors, expected: float, *, tolerance=0.1, scale=1.0) -> OrderFit:
    """Order of an error that should shrink like h^p, from its values at several steps.

    Accepted when the last two slopes lie within ``tolerance`` of p and come closer to it; the first ones may
    be anything, since the next term of the expansion is still felt there. Errors below 1e-12·scale are left
    out: they are rounding.

    Parameters
    ----------
    steps : array_like, shape (K,)
        Steps h, decreasing.
    errors : array_like, shape (K,) or (K, ...)
        Errors at those steps, signed or not; the norm over the remaining axes is used, because a single
        component can pass through 0 and fake any slope.
    expected : float
        p.
    tolerance : float, optional
        How far the last two slopes may lie from p.
    scale : float, optional
        Size of the quantity whose errors these are.

    Returns
    -------
    OrderFit
        All slopes, and the verdict as ``status`` and ``message``.

    Raises
    ------
    ValueError
        When the steps do not decrease, or their number differs from that of the errors.

    Examples
    --------
    >>> from lib.modified.orders import fit_order
    >>> fit_order([0.1, 0.05, 0.025], [1e-2, 2.5e-3, 6.25e-4], 2).status
    0
    """
    steps, errors = as_array("steps", steps, ndim=1), as_array("errors", errors)
    if errors.shape[:1] != steps.shape or (steps <= 0).any() or (np.diff(steps) >= 0).any():
        raise ValueError(
            f"steps must be positive, decreasing, and one for each error; received {steps} for errors of "
            f"shape {errors.shape}. Start from the largest step."
        )
    size = np.linalg.norm(errors.reshape(len(errors), -1), axis=1)
    kept = size >= 1e-12 * as_positive("scale", scale)
    steps, size = steps[kept], size[kept]
    slopes = np.diff(np.log(size)) / np.diff(np.log(steps))
    message = _slope_verdict(slopes, expected, as_positive("tolerance", tolerance))
    return OrderFit(
        slopes=slopes,
        order=float(slopes[-1]) if len(slopes) else float("nan"),
        errors=size,
        status=UNCERTIFIED if message else CONVERGED,
        message=message,
    )


def _slope_verdict(slopes, expected, tolerance):
    if len(slopes) < 2:
        return "Fewer than three errors lie above the rounding floor. Use larger steps."
    miss, pair = np.abs(slopes[-2:] - expected), f"{slopes[-2]:.3f}, {slopes[-1]:.3f}"
    if (miss > tolerance).any():
        return f"The last slopes {pair} are not {expected} ± {tolerance}. Try smaller steps."
    # two slopes that agree with p to a thousandth need not approach it any further
    if miss[1] > max(miss[0], 1e-3):
        return f"The slopes {pair} move away from {expected}. Use smaller steps."
    return ""


def _error(field, family, x0, step, count, jacobian):
    end = euler(field, x0, step, count, jacobian=jacobian)[-1]
    return reference_flow(family(step), x0, [step * count])[-1] - end


def _implicit_step(field, jacobian, x, step):
    z = x + step * field(x)
    for _ in range(50):
        residual = z - x - step * field(z)
        move = np.linalg.solve(np.eye(x.shape[-1]) - step * jacobian(z), residual[..., None])[..., 0]
        z = z - move
        if np.abs(move).max() <= 1e-15 * (1 + np.abs(z).max()):
            return z
    raise RunFailed(f"Implicit Euler: Newton's method did not settle at step {step}. Choose a smaller step.")
