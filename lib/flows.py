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
from scipy.integrate import DOP853, LSODA, Radau

from lib.ensembles import Recorder
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

MOST_STEPS = 20_000  # of an integrator: enough for α = 1e-300
MOST_CALLS = 40_000  # of the right-hand side: a few seconds when hopeless; the hardest run seen took 26,000
LARGEST = 1e80  # trial steps of a stiff solver may overshoot by any amount: β is cut here, the step rejected
REMEDY = "Ask for earlier times or a larger tolerance; lib.bias gives the limit itself."


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
    path = _DualPath(bounded_inverse(potential, offset), X, y, offset)
    if times is None:
        _refuse_inconsistent(X, y)
    else:
        times = _increasing(times)
    with np.errstate(over="ignore", invalid="ignore"):
        trouble = path.integrate(times, tolerance)
    instants = np.array(path.times) if times is None else times
    beta, loss, integral = path.seen(len(instants))
    recorder = Recorder(observe)
    for k in range(len(instants)):
        recorder.take(beta[k : k + 1], loss[k : k + 1], integral[k : k + 1])
    found = recorder.result()
    return Run(
        times=instants,
        loss=found["loss"],
        beta=beta[-1:],
        loss_integral=integral[-1:],
        log_alpha_effective=np.broadcast_to(getattr(potential, "log_alpha", np.nan), (1, d)).astype(float),
        observed=found["observed"],
        loss_integral_tail=remaining_loss_integral(X, path.metric(path.last)[None], loss[-1:]),
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


class _DualPath:
    """The flow's state m = (μ, ∫L), and those it has kept on its way."""

    def __init__(self, predictor, X, y, offset):
        self.predictor, self.X, self.y, self.offset, self.n = predictor, X, y, offset, len(X)
        self.last = np.zeros(self.n + 1)
        self.size = np.linalg.norm(y) or np.linalg.norm(self.residual(self.last)) or 1.0
        self.latest = self.misfit(self.last)
        self.times, self.states = [0.0], [self.last]

    def seen(self, count):
        """β (count, d), L and ∫L (count,) at the kept states; NaN where the path did not get to."""
        kept = np.reshape(self.states, (-1, self.n + 1))
        beta = np.full((count, self.X.shape[1]), np.nan)
        integral = np.full(count, np.nan)
        beta[: len(kept)] = self.predictor(self.coordinates(kept))
        integral[: len(kept)] = kept[:, -1]
        return beta, ((beta @ self.X.T - self.y) ** 2).sum(-1) / (4 * self.n), integral

    def coordinates(self, m):
        return self.offset + m[..., : self.n] @ self.X

    def residual(self, m):
        return self.X @ self.predictor(self.coordinates(m)) - self.y

    def misfit(self, m):
        return np.linalg.norm(self.residual(m)) / self.size

    def metric(self, m):
        # dβ/dz by central differences: elementwise, so two evaluations give the whole diagonal, to 1e-10
        z = self.coordinates(m)
        e = 1e-6 * (1 + np.abs(z))
        return (self.predictor(z + e) - self.predictor(z - e)) / (2 * e)

    def rate(self, _, m):
        r = self.residual(m)
        square = r @ r
        self.latest = square**0.5 / self.size
        rate = np.empty(self.n + 1)
        rate[:-1] = r
        rate[:-1] *= -0.5 / self.n
        rate[-1] = square / (4 * self.n)
        return rate

    def jacobian(self, _, m):
        H = (self.X * self.metric(m)) @ self.X.T
        J = np.zeros((self.n + 1, self.n + 1))
        J[:-1, :-1] = H / (-2 * self.n)
        J[-1, :-1] = self.residual(m) @ H / (2 * self.n)
        return J

    def scales(self):
        """Sizes of μ and ∫L once the flow has done something: absolute tolerances are relative to them."""
        start = np.zeros(self.n + 1)
        speed, stiffness = self.rate(0, start), np.abs(self.jacobian(0, start)[:-1, :-1]).sum(1).max()
        pull = np.abs(speed[:-1] @ self.X).max()
        size, fastest = max(np.abs(self.X).max(), 1e-300), max(pull + stiffness, 1e-300)
        return np.append(np.full(self.n, 1 / size), speed[-1] / fastest)

    def rounding(self, m):
        """What rounding of the exponents z = offset + Xᵀμ leaves of the relative residual."""
        size = np.abs(m[:-1]) @ np.abs(self.X) + np.abs(self.offset)
        eps = np.finfo(float).eps
        return eps * np.linalg.norm(np.abs(self.X) @ (self.metric(m) * size)) / self.size

    def integrate(self, times, tolerance):
        """Take the path to the last of ``times``, or to residual ``tolerance``; what went wrong."""
        if self.latest == 0:  # fitted from the start
            self.states = self.states * (1 if times is None else len(times))
            return ""
        scales, now = self.scales(), 0.0
        end = 1e300 if times is None else times[-1]
        if times is not None and times[0] > 0:
            self.times, self.states = [], []
        for method, rtol, atol in ((LSODA, 1e-9, 1e-12), (Radau, 1e-4, 1e-6)):
            goal = max(tolerance, self.rounding(self.last)) if method is Radau else max(tolerance, 1e-8)
            if times is not None and method is Radau:
                goal = self.rounding(self.last)
            if now >= end or self.misfit(self.last) <= goal:
                continue
            solver = method(self.rate, now, self.last, end, rtol=rtol, atol=atol * scales, jac=self.jacobian)
            trouble = self.follow(solver, times, goal)
            if trouble:
                return trouble
            now = solver.t
        if times is not None:  # what is left of the residual is rounding: later instants are like the last
            late = times[len(self.times) :]
            self.times.extend(late)
            self.states.extend([self.last] * len(late))
        return ""

    def follow(self, solver, wanted, goal):
        """Step until the end or the goal, keeping every state, or those wanted; what went wrong."""
        for _ in range(MOST_STEPS):
            solver.step()
            if solver.status == "failed" or not np.isfinite(solver.y).all():
                return f"{self.where(solver)}: the integrator failed. {REMEDY}"
            if solver.nfev > MOST_CALLS:
                break
            self.last = solver.y.copy()
            if wanted is None:
                self.times.append(solver.t)
                self.states.append(self.last)
            else:
                due = wanted[(wanted > solver.t_old) & (wanted <= solver.t)]
                if len(due):
                    self.times.extend(due)
                    self.states.extend(solver.dense_output()(due).T)
            if solver.status == "finished":
                return "" if wanted is not None else f"{self.where(solver)}. {REMEDY}"
            # the residual of the solver's last evaluation costs nothing: look closely only when it is near
            if self.latest <= 3 * goal and self.misfit(solver.y) <= goal:
                return ""
        return f"{self.where(solver)} after {solver.nfev} evaluations. {REMEDY}"

    def where(self, solver):
        left = self.misfit(solver.y)
        return f"The flow stopped at t = {solver.t:.6g} with ‖Xβ − y‖/‖y‖ = {left:.1e}"


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
    if isinstance(potential, HyperbolicEntropy) and np.max(potential.log_alpha) <= 0:
        # β = w₊² − w₋² without the checks: half the time of a run; 2α² sinh(4z) is as good while α ≤ 1
        log_square, most, signs = 2 * potential.log_alpha, np.log(LARGEST), np.array([4.0, -4.0])

        def weights(z):
            squares = np.exp(np.minimum(log_square + np.multiply.outer(signs, z), most))
            return squares[0] - squares[1]

        return weights

    def predict(z):
        with np.errstate(over="ignore"):
            return np.clip(potential.inverse_mirror(z), -LARGEST, LARGEST)

    return predict


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
