"""Deterministic continuous time: gradient flow of any function, mirror flow of least squares in the dual.

Notation (Pesme, Pillaud-Vivien & Flammarion 2021; 003, Theorem 5.3). L(β) = ‖Xβ − y‖²/4n, r = Xβ − y, φ a
potential of ``lib.potentials``, z = ∇φ(β). The mirror flow dz/dt = −Xᵀr/2n never leaves offset + range Xᵀ:
z = offset + Xᵀμ with dμ/dt = −r/2n, n numbers instead of d. For the hyperbolic entropy it is the gradient
flow of the weights in β = w₊² − w₋², at the same t, and ν = 2μ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import DOP853

from lib.ensembles import Recorder
from lib.flows._dual import LARGEST, DualPath, EntropyPath
from lib.potentials import HyperbolicEntropy
from lib.records import (
    CONVERGED,
    DIVERGED,
    UNCERTIFIED,
    Record,
    Run,
    as_array,
    as_coefficients,
    as_data,
    as_positive,
    as_times,
)

MOST_STEPS = 20_000  # of an integrator


@dataclass(frozen=True, kw_only=True)
class GradientFlowRun(Record):
    """What ``gradient_flow`` returns.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Instants asked for.
    x : ndarray, shape (T, d)
        The solution there; NaN from where the integrator gave up.
    evaluations : int
        Calls of the gradient.
    status : int
        0 when the last instant was reached.
    message : str
        Where it stopped otherwise, and the remedy.
    """

    times: np.ndarray
    x: np.ndarray
    evaluations: int


def gradient_flow(gradient: Callable, x0, *, times) -> GradientFlowRun:
    """Solution of dx/dt = −∇f(x), x(0) = x0.

    Runge–Kutta of order 8 (DOP853) at relative tolerance 1e-12 and absolute 1e-15·max(1, |x0|): about 1e-11
    from the solution on smooth problems of moderate length. The method is explicit, so its cost grows like
    time × largest curvature.

    Parameters
    ----------
    gradient : callable
        ∇f, from (d,) to (d,).
    x0 : array_like, shape (d,)
        Start.
    times : array_like, shape (T,)
        Increasing instants ≥ 0.

    Returns
    -------
    GradientFlowRun
        ``status`` is 1 when the solution blows up or 20,000 steps do not suffice.

    Raises
    ------
    ValueError
        When the instants do not increase, or ∇f(x0) is not finite or not of the shape of x0.

    Examples
    --------
    >>> from lib.flows import gradient_flow
    >>> run = gradient_flow(lambda x: x, [1.0], times=[0.0, 1.0])
    >>> run.x[:, 0].round(10).tolist()
    [1.0, 0.3678794412]
    """
    x0, times = as_array("x0", x0, ndim=1), _increasing(times)
    slope = as_array("gradient(x0)", gradient(x0.copy()))
    if slope.shape != x0.shape:
        raise ValueError(
            f"gradient must return the shape of x0, {x0.shape}; received {slope.shape}. Return one each."
        )
    x = np.full((len(times), len(x0)), np.nan)
    x[times == 0] = x0
    reached, calls, trouble = int(times[0] == 0), 1, ""
    if times[-1] > 0:
        with np.errstate(over="ignore", invalid="ignore"):
            solver = DOP853(
                lambda _, x: -np.asarray(gradient(x), dtype=np.float64),
                0.0,
                x0,
                times[-1],
                rtol=1e-12,
                atol=1e-15 * max(1.0, np.abs(x0).max(initial=0.0)),
            )
            reached, trouble = _fill(solver, times, x, reached)
        calls += solver.nfev
    if not trouble:
        return GradientFlowRun(times=times, x=x, evaluations=calls)
    return GradientFlowRun(times=times, x=x, evaluations=calls, status=DIVERGED, message=trouble)


def _fill(solver, times, x, reached):
    """Step to the last instant, writing the solution at each; how many are written, and what went wrong."""
    for _ in range(MOST_STEPS):
        solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            return reached, (
                f"The flow stopped at t = {solver.t:.6g}: it leaves the finite numbers or turns too sharply. "
                "Ask for earlier times."
            )
        upto = np.searchsorted(times, solver.t, side="right")
        if upto > reached:
            x[reached:upto] = solver.dense_output()(times[reached:upto]).T
            reached = upto
        if solver.status == "finished":
            return reached, ""
    return reached, (
        f"The flow stopped at t = {solver.t:.6g} after {MOST_STEPS} steps: the problem is stiff. "
        "Ask for earlier times, or rescale x so that curvatures are comparable."
    )


def mirror_flow(potential, X, y, *, offset=None, times=None, observe=None, tolerance=1e-12) -> Run:
    """Mirror flow dz/dt = −Xᵀ(Xβ − y)/2n, z = ∇φ(β), integrated in its n dual coordinates together with ∫L.

    Any α goes through: LSODA with the Jacobian takes the flow to a relative residual of 1e-8 at relative
    tolerance 1e-9, and a looser Radau takes the rest. There the steps are so long that rounding of r, times
    the step, exceeds a tight tolerance; the path has stopped moving by then, and only its late instants are
    approximate, not the point it goes to.

    Parameters
    ----------
    potential : object
        One of ``lib.potentials``, or anything with an elementwise ``inverse_mirror``.
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets.
    offset : array_like, shape (d,), optional
        Mirror coordinates of the start, ``potential.mirror(beta_0)``; 0 by default.
    times : array_like, shape (T,), optional
        Increasing instants ≥ 0 in flow time; without them, every step of the integrator until
        ‖Xβ − y‖ ≤ tolerance·‖y‖.
    observe : dict of str to callable, optional
        Functions of β (1, d) to record.
    tolerance : float, optional
        Relative residual at which a run without ``times`` ends, or what rounding of z leaves of it where that
        is more: about 1e-12 at α = 1e-300, where z reaches 350.

    Returns
    -------
    Run
        One replica. ``loss_integral`` is accurate to about 1e-8 relative. Status 3 when the integrator stops
        early: fields are then those of the last state reached, NaN at later ``times``.

    Raises
    ------
    ValueError
        When shapes do not fit, instants do not increase, or without ``times`` Xβ = y has no solution.
    TypeError
        When the potential has no ``inverse_mirror``.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows import mirror_flow
    >>> from lib.potentials import HyperbolicEntropy
    >>> run = mirror_flow(HyperbolicEntropy(np.log(0.01)), [[1.0, 2.0]], [1.0])
    >>> run.beta.round(4).tolist()
    [[0.007, 0.4965]]
    """
    X, y = as_data(X, y)
    d = X.shape[1]
    offset = np.zeros(d) if offset is None else as_coefficients("offset", offset, d)
    tolerance = as_positive("tolerance", tolerance)
    predictor = bounded_inverse(potential, offset)
    if _has_plain_squares(potential):
        path = EntropyPath(potential.log_alpha, X, y, offset)
    else:
        path = DualPath(X, y, offset, predictor)
    if times is None:
        _refuse_inconsistent(X, y)
    else:
        times = _increasing(times)
    with np.errstate(over="ignore", invalid="ignore"):
        trouble = path.integrate(times, tolerance)
    instants = np.array(path.times) if times is None else times
    beta, loss, integral = path.seen(len(instants))
    recorder = Recorder(observe)
    for k in range(len(instants) if observe else 0):  # a run without times has thousands
        recorder.take(beta[k : k + 1], loss[k : k + 1], integral[k : k + 1])
    return Run(
        times=instants,
        loss=loss[None],
        beta=beta[-1:],
        loss_integral=integral[-1:],
        log_alpha_effective=np.broadcast_to(getattr(potential, "log_alpha", np.nan), (1, d)).astype(float),
        observed=recorder.result()["observed"] if observe else {},
        loss_integral_tail=remaining_loss_integral(X, path.metric(path.last)[None], loss[-1:]),
        geometry=potential,
        status=np.array([UNCERTIFIED if trouble else CONVERGED]),
        message=trouble,
    )


def remaining_loss_integral(X, metric, loss):
    """Estimate of ∫L dt from now on: L/κ with the decay rate κ = λ_min(X diag(metric) Xᵀ)/n of now.

    An estimate, not a bound: the metric moves on, and noise changes the decay by a term of order γ. On the
    reference experiment it is between 0.9 and 1.7 times the truth. λ_min is taken on the range of X, where r
    lives when Xβ = y can be solved.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Inputs.
    metric : ndarray, shape (R, d)
        dβ/dz of the potential, 4√(β² + 4α⁴) for the hyperbolic entropy.
    loss : ndarray, shape (R,)
        L now.

    Returns
    -------
    ndarray, shape (R,)
        The estimate; infinite where the metric vanishes, NaN where it is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows import remaining_loss_integral
    >>> remaining_loss_integral(np.eye(2), np.array([[4.0, 1.0]]), np.array([0.5])).tolist()
    [1.0]
    """
    _, size, Vt = np.linalg.svd(X, full_matrices=False)
    kept = size > max(X.shape) * np.finfo(float).eps * size[0]
    A = size[kept, None] * Vt[kept]
    rate = np.full(len(metric), np.nan)
    for k in np.flatnonzero(np.isfinite(metric).all(-1)):
        rate[k] = np.linalg.eigvalsh((A * metric[k]) @ A.T)[0] / len(X) if len(A) else 0.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(loss == 0, 0.0, loss / np.maximum(rate, 0.0))


def bounded_inverse(potential, offset):
    """The map z ↦ ∇φ*(z), cut at ±1e80 so that a wild trial step stays finite, without checks at every call.

    Parameters
    ----------
    potential : object
        One of ``lib.potentials``, or anything with an elementwise ``inverse_mirror``.
    offset : ndarray, shape (..., d)
        Mirror coordinates of the start, on which the potential is tried.

    Returns
    -------
    callable
        From mirror coordinates (..., d) to predictors of the same shape.

    Raises
    ------
    TypeError
        When the potential has no ``inverse_mirror``.
    ValueError
        When its log α does not fit the offset.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.flows import bounded_inverse
    >>> from lib.potentials import HyperbolicEntropy
    >>> z = np.array([0.0, 1e3])
    >>> [f"{beta:.0e}" for beta in bounded_inverse(HyperbolicEntropy(0.0), z)(z)]
    ['0e+00', '1e+80']
    """
    if not callable(getattr(potential, "inverse_mirror", None)):
        raise TypeError(
            f"potential must have the method inverse_mirror; received {type(potential).__name__}. "
            "Pass one of lib.potentials."
        )
    potential.inverse_mirror(offset)  # its own sentence when log_alpha does not fit
    if _has_plain_squares(potential):  # β = w₊² − w₋² without the checks
        log_square, most, signs = 2 * potential.log_alpha, np.log(LARGEST), np.array([4.0, -4.0])

        def weights(z):
            squares = np.exp(np.minimum(log_square + np.multiply.outer(signs, z), most))
            return squares[0] - squares[1]

        return weights

    def predict(z):
        with np.errstate(over="ignore"):
            return np.clip(potential.inverse_mirror(z), -LARGEST, LARGEST)

    return predict


def _has_plain_squares(potential):
    # 2α² sinh(4z) is as good as α² exp(4z) − α² exp(−4z) while α ≤ 1
    return isinstance(potential, HyperbolicEntropy) and np.max(potential.log_alpha) <= 0


def _increasing(times):
    times = as_times("times", as_array("times", times, ndim=1))
    if len(times) == 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times must be increasing instants; received {times}. Sort them, drop repetitions.")
    return times


def _refuse_inconsistent(X, y):
    left = np.linalg.norm(X @ np.linalg.lstsq(X, y)[0] - y)
    if left > 1e-8 * np.linalg.norm(y):
        raise ValueError(
            f"Xβ = y must have a solution when no times are given; the best fit leaves "
            f"{left / np.linalg.norm(y):.1e} of ‖y‖. Give times, or drop contradicting rows."
        )
