"""The point chosen in a geometry of the reader's own: Newton's method from the two mirror maps alone.

A potential is given by its maps ∇φ and ∇φ*. In well conditioned rows Aβ = b, with z = offset + Aᵀp,

    dual:    p minimises φ*(offset + Aᵀp) − bᵀp:   gradient A∇φ*(z) − b,  Hessian A M(z) Aᵀ,  M = d∇φ*/dz;
    primal:  β minimises φ(β) − ⟨offset, β⟩ under Aβ = b:   step M(Aᵀp − ∇φ(β) + offset).

The certificate needs no value of φ. With δz = ∇φ(β) − z and δβ = β − ∇φ*(z) the two Bregman divergences add
up to ⟨δz, δβ⟩, so that φ(β) − ⟨offset, β⟩ is above its minimum by at most Σ|δz δβ| + |p·(Aβ − b)|: nothing
cancels, and the bound is of second order in the error. It cannot see maps that do not belong together; hence
``examine``, before the solver and at the point it returns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from lib.bias._equations import GAP, RESIDUAL, equations, inconsistent, infeasible, relative_residual
from lib.records import CONVERGED, UNCERTIFIED, Solution

__all__: list[str] = []  # for ``lib.bias`` only

ENOUGH = 1e-13  # a certificate better than this is not improved further
PATIENCE = 25  # iterations without a better certificate
PLACES = (0.001, 0.03, 0.3, 1.0)  # where on the way to the nearest interpolator the maps are examined


class Mismatch(ValueError):
    """The maps of a potential do not belong together."""


@dataclass(frozen=True)
class Maps:
    """What the solver asks of a potential: the two maps, the edge of their domain, and dβ/dz."""

    potential: object

    def mirror(self, beta):
        """∇φ(β); NaN or infinite where β is outside."""
        return np.asarray(self.potential.mirror(beta), dtype=np.float64)

    def inverse(self, z):
        """∇φ*(z); NaN outside the domain."""
        low, high = self.domain
        inside = (z > low) & (z < high)
        if inside.all():
            return np.asarray(self.potential.inverse_mirror(z), dtype=np.float64)
        middle = np.where(np.isfinite(low) & np.isfinite(high), (low + high) / 2, 0.0)
        found = np.asarray(self.potential.inverse_mirror(np.where(inside, z, middle)), dtype=np.float64)
        return np.where(inside, found, np.nan)

    @property
    def domain(self):
        """Smallest and largest mirror coordinate, exclusive."""
        low, high = getattr(self.potential, "domain", (-np.inf, np.inf))
        return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

    @property
    def separable(self):
        """Whether each coordinate of ∇φ* depends on its own z alone."""
        return getattr(self.potential, "separable", True)

    def metric(self, z):
        """The diagonal of dβ/dz: the potential's own, or central differences that stay inside the domain."""
        own = getattr(self.potential, "metric", None)
        if own is not None:
            return np.asarray(own(z), dtype=np.float64)
        step = 1e-6 * (1e-3 + np.abs(z))
        low, high = self.domain
        step = np.minimum(step, 1e-4 * np.minimum(z - low, high - z))
        return (self.inverse(z + step) - self.inverse(z - step)) / (2 * step)

    def spread(self, z, AT):
        """M(z) Aᵀ (d, k); without coordinates of their own, by differences along the rows of A."""
        if self.separable:
            return self.metric(z)[:, None] * AT
        step = 1e-6 * (1e-3 + np.abs(z).max()) / np.abs(AT).max(axis=0)
        moved = (AT * step).T
        ends = self.inverse(np.concatenate([z + moved, z - moved]))
        return ((ends[: len(moved)] - ends[len(moved) :]) / (2 * step[:, None])).T


# --- the door -------------------------------------------------------------------------------------


def examine(potential, points, offset, start):
    """Refuse maps that do not belong together, by a sentence that shows where; points (P, d)."""
    maps = Maps(potential)
    z = maps.mirror(points)
    fine = np.isfinite(z).all(axis=1)
    points, z = points[fine], z[fine]
    if len(points) == 0:
        return
    back, size = maps.inverse(z), np.abs(z)
    moved = np.abs(maps.inverse(z * (1 + 2e-15)) - back) + np.abs(maps.inverse(z * (1 - 2e-15)) - back)
    scale = np.abs(points) + 1e-3 * np.abs(points).max(axis=1, keepdims=True)
    off = np.where(np.isfinite(moved), np.abs(back - points) - 8 * moved - 1e-7 * scale, 0.0)
    if off.max() > 0:
        i, j = np.unravel_index(np.argmax(off), off.shape)
        raise Mismatch(
            f"potential must have maps that are inverse to each other; received inverse_mirror(mirror("
            f"{points[i, j]:.3g})) = {back[i, j]:.3g} in coordinate {j}. Derive both from the same φ."
        )
    rise = ((z - offset) * (points - start)).sum(axis=1)
    if (rise < 0).any():
        raise Mismatch(
            "potential must be convex: its mirror map has to increase; received one that falls on the way "
            "to the solution. Look at its sign."
        )
    clear = (np.isfinite(moved) & (8 * moved <= 1e-9 * scale)).all(axis=1)  # not where ∇φ saturates
    values, conjugates = np.asarray(potential.value(points)), np.asarray(potential.conjugate(z))
    terms = np.abs(values) + np.abs(conjugates) + (np.abs(points) * size).sum(axis=1)
    gap = np.abs(values + conjugates - (points * z).sum(axis=1))[clear]
    if not (gap <= 1e-8 * terms[clear].max(initial=0.0)).all():
        raise Mismatch(
            "potential must have a value and a conjugate that are dual: φ(β) + φ*(∇φ(β)) = ⟨β, ∇φ(β)⟩; "
            f"received a difference of {gap.max():.3g}. Sum both over the last axis, constants included."
        )


def places(beta, start):
    """Points between the start and an interpolator, as they are and with every third sign turned."""
    way = start + np.multiply.outer(np.array(PLACES), beta - start)
    turned = way.copy()
    turned[:, ::3] *= -1
    return np.concatenate([way, turned])


# --- steps ----------------------------------------------------------------------------------------


def step_to(slope, cap, need=0.1):
    """A step σ with |slope(σ)| ≤ need, where slope(0) = −1 and slope increases; inf where it never ends.

    From ``cap`` on the slope is infinite or NaN. Slopes are exponentials or poles: a secant in arcsinh, every
    third time a bisection, geometric while the bracket spans decades.
    """
    low, below, high, above, step, grow = 0.0, -1.0, np.inf, np.inf, min(1.0, 0.9 * cap), 4.0
    for k in range(100):
        found = slope(step)
        if abs(found) <= need:
            return step
        if found < 0:
            low, below = step, found
        else:
            high, above = step, found if found == found else np.inf
        if high == np.inf:  # no bracket yet
            if step > 1e200:
                return np.inf
            step, grow = min(grow * step, low + 0.9 * (cap - low)), grow * grow
        elif above == np.inf or k % 3 == 2:
            step = np.sqrt(max(low, 1e-12 * high) * high) if low < 0.01 * high else (low + high) / 2
        else:
            u, v = np.arcsinh(10 * below), np.arcsinh(10 * above)
            step = low - u * (high - low) / (v - u)
            step = min(max(step, low + 1e-3 * (high - low)), high - 1e-3 * (high - low))
        if step <= low * (1 + 1e-15):
            return low
    return low


def room(z, tau, domain):
    """How far z + στ stays inside the domain."""
    low, high = domain
    with np.errstate(all="ignore"):
        up, down = (high - z) / tau, (low - z) / tau
    return float(np.min(np.where(tau > 0, up, np.where(tau < 0, down, np.inf)), initial=np.inf))


def solve_positive(H, g):
    """H⁻¹g for a positive semidefinite H: unit diagonal, then the least ridge that makes it definite."""
    size = np.sqrt(np.where(H.diagonal() > 0, H.diagonal(), 1.0))
    scaled = H / np.outer(size, size)
    for ridge in (4e-16 * 100.0**k for k in range(8)):
        L, info = dpotrf(scaled + ridge * np.eye(len(H)), lower=1)
        if info == 0:
            return dpotrs(L, g / size, lower=1)[0] / size
    return np.full_like(g, np.nan)


# --- Newton's method ------------------------------------------------------------------------------


@dataclass
class Search:
    """The problem in well conditioned rows, and the best certified point so far."""

    maps: Maps
    AT: np.ndarray
    b: np.ndarray
    offset: np.ndarray
    start: np.ndarray
    best: tuple = (np.inf, None, None, np.inf)  # score, β, p, gap
    iterations: int = 0

    def offer(self, beta, p):
        """Certify (β, p), keep it if it is the best; True if it is."""
        z, r = self.offset + self.AT @ p, beta @ self.AT - self.b
        own = self.maps.mirror(beta)
        gap = np.abs((own - z) * (beta - self.maps.inverse(z))).sum() + abs(p @ r)
        gap = gap / max(abs(((own - self.offset) * (beta - self.start)).sum()), 1e-300)
        terms = (np.abs(beta) @ np.abs(self.AT)).max(initial=0.0)
        scale = max(np.abs(self.b).max(initial=0.0), 1e-3 * terms, 1e-300)
        score = max(gap / GAP, np.abs(r).max(initial=0.0) / scale / RESIDUAL)
        if not score < self.best[0]:
            return False
        self.best = score, beta, p, float(gap)
        return True

    def polish(self, beta, p, z):
        """Restore Aβ = b in the primal, moving the dual along: δβ = M Aᵀq, δp = q."""
        spread = self.maps.spread(z, self.AT)
        H = self.AT.T @ spread
        for _ in range(3):
            q = solve_positive(H, self.b - beta @ self.AT)
            if not np.isfinite(q).all():
                break
            beta, p = beta + spread @ q, p + q
        return beta, p

    def dual(self, p, first=None):
        """Newton on p; ``first`` is the metric of the first step. False if the dual has no minimum."""
        idle = 0
        for k in range(300):
            self.iterations += 1
            z = self.offset + self.AT @ p
            beta = self.maps.inverse(z)
            g = self.b - beta @ self.AT
            if np.abs(g).max() <= 1e-8 * max(np.abs(self.b).max(), 1e-300) or k > 60:
                news = self.offer(beta, p)
                news |= self.offer(*self.polish(beta, p, z))
                idle = 0 if news else idle + 1
                if self.best[0] * GAP <= ENOUGH or idle > PATIENCE:
                    return True
            spread = self.maps.spread(z, self.AT) if k or first is None else first[:, None] * self.AT
            s = solve_positive(self.AT.T @ spread, g)
            tau, fall = self.AT @ s, g @ s
            if not (np.isfinite(tau).all() and fall > 0):
                return True
            target = self.b @ s

            def slope(step, z=z, tau=tau, target=target, fall=fall):
                return (tau @ self.maps.inverse(z + step * tau) - target) / fall

            step = step_to(slope, room(z, tau, self.maps.domain))
            if step == np.inf:
                return False
            p = p + step * s
        return True

    def primal(self, beta):
        """Newton on β from an interpolator: for potentials whose ∇φ* is steep at the start."""
        idle = 0
        for _ in range(200):
            self.iterations += 1
            z = self.maps.mirror(beta)
            m = self.maps.metric(z)
            usual = np.median(m[np.isfinite(m) & (m > 0)]) if (np.isfinite(m) & (m > 0)).any() else 1.0
            m = np.clip(np.where(np.isnan(m), np.inf, m), 0.0, 1e10 * usual)
            spread = m[:, None] * self.AT
            pull = self.AT.T @ (m * (z - self.offset)) + self.b - beta @ self.AT
            p = solve_positive(self.AT.T @ spread, pull)
            delta = m * (self.AT @ p - z + self.offset)
            idle = 0 if self.offer(beta, p) else idle + 1
            fall = delta @ (self.offset - z)
            if self.best[0] * GAP <= ENOUGH or idle > PATIENCE or not fall > 0:
                return

            def slope(step, beta=beta, delta=delta, fall=fall):
                return delta @ (self.maps.mirror(beta + step * delta) - self.offset) / fall

            step = step_to(slope, np.inf)
            beta = beta + (step if step < np.inf else 1.0) * delta


@np.errstate(all="ignore")
def minimise(potential, X, y, offset) -> Solution:
    """argmin { φ(β) − ⟨offset, β⟩ : Xβ = y } for any potential, certified, or with a status."""
    eqs, maps = equations(X, y), Maps(potential)
    if eqs.defect > RESIDUAL:
        return infeasible(X, eqs.defect, inconsistent(eqs.defect))
    start = maps.inverse(offset)
    AT, b = eqs.AT, eqs.b * eqs.scale
    nearest = start + np.linalg.lstsq(AT.T, b - start @ AT, rcond=None)[0]
    examine(potential, places(nearest, start), offset, start)
    search = Search(maps, AT, b, offset, start)
    if len(b) == 0:
        search.offer(start, np.zeros(0))
    elif len(b) == len(start):  # there is one solution
        search.offer(nearest, np.linalg.lstsq(AT, maps.mirror(nearest) - offset, rcond=None)[0])
    else:
        bounded = _search(search, nearest)
        if not bounded and search.best[0] > 1:
            return infeasible(X, np.inf, OUTSIDE)
    return _judged(potential, X, y, eqs, search)


OUTSIDE = (
    "No interpolator lies inside the domain of the potential: its dual falls for ever. Take a potential that "
    "is finite on the data's solutions, or rescale y."
)


def _search(search, nearest):
    """The dual with a secant metric first, or the primal first where ∇φ* is steep; then the other one."""
    maps, k = search.maps, len(search.b)
    steep = maps.separable and np.isinf(maps.metric(search.offset)).any()
    if steep:
        search.primal(nearest)
    bounded = True
    if search.best[0] * GAP > ENOUGH:
        begin = np.zeros(k) if search.best[1] is None else search.best[2]
        bounded = search.dual(begin, None if steep else _secant(search, nearest))
    if search.best[0] > 1 and maps.separable and not steep and bounded:
        search.primal(nearest)
    return bounded


def _secant(search, nearest):
    """(β₂ − β₀)/(∇φ(β₂) − ∇φ(β₀)): finite where the metric of the start is 0 or infinite."""
    moved = nearest - search.start
    turned = search.maps.mirror(nearest) - search.offset
    if not search.maps.separable:
        whole = (moved * moved).sum() / (moved * turned).sum()
        return np.full_like(moved, whole) if 0 < whole < np.inf else None
    m = moved / turned
    known = np.isfinite(m) & (m > 0)
    return np.where(known, m, np.median(m[known])) if known.any() else None


def _judged(potential, X, y, eqs, search):
    _, beta, p, gap = search.best
    if beta is None:
        beta, p, gap = np.full(X.shape[1], np.nan), np.full(len(search.b), np.nan), np.inf
    residual = relative_residual(X, y, beta, search.start)
    status, message = CONVERGED, ""
    if not (residual <= RESIDUAL and gap <= GAP):
        status = UNCERTIFIED
        message = (
            f"The certificate is not good enough: residual {residual:.1e} of 1e-12, gap {gap:.1e} of 1e-10. "
            "Where a mirror map saturates, rescale the potential or the data."
        )
    else:
        examine(potential, places(beta, search.start)[3:4], search.offset, search.start)
    return Solution(
        beta=beta,
        dual=eqs.dual(p),
        residual=residual,
        gap=gap,
        iterations=search.iterations,
        status=status,
        message=message,
    )
