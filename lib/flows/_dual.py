"""The path behind ``flows.mirror_flow``: (μ, ∫L) taken to its end by a stiff integrator.

Notation stands in ``lib.flows``. ``DualPath`` takes any potential through its inverse mirror map;
``EntropyPath`` knows that of the hyperbolic entropy and needs two thirds of the time: a flow is some thousand
evaluations of a few microseconds, so what counts is how many NumPy calls one of them makes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.integrate import LSODA, Radau

__all__: list[str] = []  # for ``lib.flows`` only

MOST_STEPS = 20_000  # of an integrator: enough for α = 1e-300
MOST_CALLS = 40_000  # of the right-hand side: a few seconds when hopeless; the hardest run seen took 26,000
LARGEST = 1e80  # trial steps of a stiff solver may overshoot by any amount: β is cut here, the step rejected
REMEDY = "Ask for earlier times or a larger tolerance; lib.bias gives the limit itself."


class DualPath:
    """The flow's state m = (μ, ∫L), and those it has kept on its way."""

    def __init__(self, X, y, offset, predictor=None):
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
        beta[: len(kept)] = self.beta(kept)
        integral[: len(kept)] = kept[:, -1]
        return beta, ((beta @ self.X.T - self.y) ** 2).sum(-1) / (4 * self.n), integral

    def coordinates(self, m):
        return self.offset + m[..., : self.n] @ self.X

    def beta(self, m):
        return self.predictor(self.coordinates(m))

    def residual(self, m):
        return self.X @ self.beta(m) - self.y

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
        # 1e-9 leaves 2e-9 of ∫L at worst (α = 1 to 1e-8), 3e-9 leaves 5e-9 and saves a tenth of the time; the
        # point does not need it, for any path in μ ends at the minimiser
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
        zero = np.zeros(self.n + 1)
        for _ in range(MOST_STEPS):
            solver.step()
            if solver.status == "failed" or solver.y @ zero != 0:  # ∞·0 is not 0: a cheap isfinite
                return f"{self.where(solver)}: the integrator failed. {REMEDY}"
            if solver.nfev > MOST_CALLS:
                break
            self.last = solver.y  # a new array at every step
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


class EntropyPath(DualPath):
    """The same for the hyperbolic entropy, from the squares α² exp(±4z) = w₊², w₋²; α ≤ 1 (see ``flows``)."""

    def __init__(self, log_alpha, X, y, offset):
        both, self.split = np.concatenate([X, -X], axis=1), X.shape[1]
        idle = np.zeros((1, 2 * self.split))  # ∫L acts on nothing
        self.exponents = np.concatenate([4 * both, idle])
        self.start = np.concatenate([2 * log_alpha + 4 * offset, 2 * log_alpha - 4 * offset])
        self.most = np.full(len(self.start), np.log(LARGEST))
        self.pull = np.concatenate([both, idle]) / (-2 * len(X))
        self.target = np.append(y, 0) / (-2 * len(X))
        super().__init__(X, y, offset)

    def squares(self, m):
        e = m @ self.exponents
        e += self.start
        np.minimum(e, self.most, out=e)
        return np.exp(e, out=e)

    def beta(self, m):
        e = self.squares(m)
        return e[..., : self.split] - e[..., self.split :]

    def metric(self, m):
        e = self.squares(m)
        return 4 * (e[..., : self.split] + e[..., self.split :])

    def rate(self, _, m):
        rate = self.pull @ self.squares(m)
        rate -= self.target  # −r/2n, and 0
        square = float(rate @ rate)
        self.latest = 2 * self.n * math.sqrt(square) / self.size
        rate[-1] = self.n * square
        return rate
