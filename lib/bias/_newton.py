r"""The engine of ``lib.bias``: Newton's method in the dual, in logarithms, and the certificate at its end.

The mirror maps of the entropies are exponentials, so the minimiser of φ(β) − ⟨offset, β⟩ under Aβ = b is

    β(t) = e^{a+t} − e^{a−t}  (hyperbolic entropy)   or   e^{a+t}  (negative entropy),   t = c + Aᵀv,

with a = 2 log α, t = 4∇φ(β), c = 4·offset. v ∈ ℝᵏ minimises the convex dual F(v) = Σⱼ wⱼ(t) − bᵀv, where
w = dβ/dt is the other combination of the two exponentials: ∇F = Aβ − b, ∇²F = A diag(w) Aᵀ. Exponents reach
±1400 at α = 1e-300; hence a common factor e^m is taken out of every sum. Any v is the exact solution for the
data b' = Aβ(c + Aᵀv), so a residual is a backward error; its last digits, lost in the exponents, are
restored in the primal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from lib.bias._equations import EPS, GAP, RESIDUAL, graded

__all__: list[str] = []  # for ``lib.bias`` only

WORTH = 1e-2  # a certificate this much better than asked is not improved further


# --- the exponentials -----------------------------------------------------------------------------


def exponentials(a, t, signed, m=None):
    """β e^{-m}, w e^{-m} and m, the largest exponent (unless given), at mirror coordinates t."""
    size = np.abs(t) if signed else t
    m = (a + size).max() if m is None else m
    E = np.exp(a + size - m)
    if not signed:
        return E, E, m
    x = np.expm1(-2 * size)  # β keeps its relative accuracy near 0
    return np.copysign(E, t) * -x, E * (2 + x), m


def curvature(beta, a, signed):
    """w = dβ/dt at β: √(β² + 4α⁴), or β."""
    return np.hypot(beta, 2 * np.exp(a)) if signed else np.maximum(beta, 0.0)


def log_mirror(size, a, signed):
    """|t| of a coordinate of given size: arcsinh(|β|/2α²), or log(β/α²); no quotient, hence no overflow."""
    x = np.log(size) - a
    if not signed:
        return x
    x = x - np.log(2.0)
    large = x + np.log1p(np.hypot(1.0, np.exp(-np.abs(x))))
    return np.where(x < 0, np.arcsinh(np.exp(np.minimum(x, 0.0))), large)


def bregman(beta, a, t, signed):
    """4 D_φ(β, β(t)) of each coordinate, in a form that neither cancels nor overflows before its value does.

    With T = log_mirror(β) and e = sign(β) t − T it is |β|(eᵉ − 1 − e) + (√(β² + 4α⁴) − |β|)(cosh e − 1), and
    √(β² + 4α⁴) − |β| = 2α² e^{-T}; the second term is absent for the negative entropy.
    """
    size = np.abs(beta)
    positive = size > 0
    T = np.where(positive, log_mirror(np.where(positive, size, 1.0), a, signed), 0.0)
    e = np.where(beta < 0, -t, t) - T
    bend = np.where(np.abs(e) < 1e-3, e * e * (0.5 + e * (1 / 6 + e / 24)), np.expm1(e) - e)
    first = np.where(positive, size * bend, 0.0)
    if not signed:
        return np.where(positive, first, np.exp(a + t))
    half, E = np.abs(e) / 2, (a - T) / 2
    near = 2 * np.exp(E) * np.sinh(np.minimum(half, 1.0))
    return first + np.square(np.where(half < 1, near, np.exp(E + half) - np.exp(E - half)))


# --- Newton's method ------------------------------------------------------------------------------


def factor(AT, w, noise):
    """Cholesky factor of A diag(w) Aᵀ plus a small diagonal.

    The diagonal is the rounding of the gradient's terms: a direction whose weight is below it is noise, and
    must not lead the step. It grows until the sum is definite.
    """
    live = w > 1e-18
    B = AT[live] * np.sqrt(w[live])[:, None] if live.sum() < 0.8 * len(w) else AT * np.sqrt(w)[:, None]
    H = B.T @ B
    diagonal = H.diagonal().copy()
    ridge = 1e-15 * diagonal + noise + 1e-25 * H.trace()
    for _ in range(12):
        H.flat[:: len(H) + 1] = diagonal + ridge
        L, info = dpotrf(H, lower=1)
        if info == 0:
            return L
        ridge = 100 * ridge
    return np.full_like(H, np.nan)


def line_search(a, t, tau, signed, target, slope, step):
    """A step σ at which |F'(σ)| ≤ 0.1 |F'(0)|, where F'(σ) = τᵀβ(t + στ) − target increases in σ."""
    low, high = 0.0, np.inf
    for _ in range(60):
        beta, w, m = exponentials(a, t + step * tau, signed)
        moved, grow, rise = tau @ beta, np.exp(m), (tau * tau) @ w
        excess = grow * moved - target
        if abs(excess) <= 0.1 * abs(slope):
            return step
        low, high = (step, high) if excess < 0 else (low, step)
        guess = step - excess / (grow * rise)
        if excess > 10 * abs(slope):  # far beyond F' is exponential: Newton on its logarithm, or halve
            guess = step - (m + np.log(moved) - np.log(target)) * moved / rise if target > 0 else low
        if not low < guess < high:
            guess = (low + high) / 2 if high < np.inf else np.inf
        step = min(guess, 2 * step + 700)
    return low


def newton(eqs, a, c, signed, v, reference, *, limit, enough=1e-13, stall=1e-11, cycle=1):
    """Damped Newton on F from v. Returns v, the last (factor, w, m), and the number of iterations.

    It ends when max|Aβ − b| ≤ enough · reference or is rounding itself, or below stall · reference when it no
    longer falls by 10. Every ``cycle`` iterations the ridge goes from its least value up by factors of 100:
    the long steps find the support, the short ones settle what is on it.
    """
    AT, size_AT, last, residual = eqs.AT, np.abs(eqs.AT), None, np.inf
    for iteration in range(limit + 1):
        t = c + AT @ v
        beta, w, m = exponentials(a, t, signed)
        g, terms = eqs.misfit(np.exp(m) * beta), np.abs(beta) @ size_AT
        before, residual = residual, np.abs(g).max() / reference
        done = residual <= max(enough, 4 * EPS * np.exp(m) * terms.max() / reference)
        done = done or (residual <= stall and residual > 0.1 * before) or iteration == limit
        if last is None or not done:
            last = factor(AT, w, 1e-14 * 100.0 ** (iteration % cycle) * terms), w, m
        if done:
            break
        p = -dpotrs(last[0], g, lower=1)[0]
        tau = AT @ p
        size = np.abs(tau).max()
        if not 0 < size < np.inf or (not signed and _separates(p, tau, eqs.b)):
            break
        # of one exponential e^{κσ} Newton's step s overshoots: its target is reached at σ = log(1 + s)
        first = np.logaddexp(0.0, np.log(size) - m)
        step = line_search(a, t, tau / size, signed, p @ eqs.b / size, p @ g / size, first)
        v = v + (step / size) * p
    return v, last, iteration


def _separates(p, tau, b):
    """Farkas: Aᵀp ≤ 0 < bᵀp, so that no β ≥ 0 has Aβ = b, and F falls along p for ever."""
    return tau.max() <= 0 and p @ b > 1e-9 * np.linalg.norm(p) * np.linalg.norm(b)


def polish(eqs, beta, v, last):
    """Restore Aβ = b in the primal, keeping ∇φ(β) = Aᵀv to second order: δβ = w ⊙ Aᵀq, δv = q."""
    L, w, m = last
    for _ in range(3):
        r = -eqs.misfit(beta)
        if not r.any():
            break
        q = dpotrs(L, r, lower=1)[0]
        beta, v = beta + w * (eqs.AT @ q), v + np.exp(-m) * q
    return beta, v


def polish_hard(eqs, beta, a, signed):
    """The same where A diag(w) Aᵀ is numerically singular: least squares in √w resolve weights to 1e-26."""
    for _ in range(3):
        w = curvature(beta, a, signed)
        if not 0 < w.max() < np.inf:
            break
        root = np.sqrt(w / w.max())
        B = (eqs.AT * root[:, None]).T
        beta = beta - root * np.linalg.lstsq(B, eqs.misfit(beta), rcond=1e-13)[0]
    return beta if signed else np.maximum(beta, 0.0)


# --- the certificate ------------------------------------------------------------------------------


def relative_gap(eqs, beta, v, a, c, signed):
    """Duality gap of (β, v) over D_φ(β, β₀), the latter kept within what is meaningful; also for replicas.

    The gap is Σ D_φ(β, β(t)) + |vᵀ(Aβ − b)|, both terms ≥ 0. Where the start already is the solution,
    D_φ(β, β₀) is rounding: the scale is at least 1e-4 of the terms of φ. Where the start is far away it is
    huge: the scale is at most Σ w (1 + |t|), so that a far start does not make a poor β look good.
    """
    t = c + v @ eqs.AT.T
    gap = bregman(beta, a, t, signed).sum(-1) + np.abs((v * eqs.misfit(beta)).sum(-1))
    w, size = curvature(beta, a, signed), np.abs(beta)
    slope = np.divide(size, w, out=np.zeros_like(w), where=w > 0)
    least = 1e-4 * (size * np.maximum(np.maximum(np.abs(t), np.abs(c)), slope)).sum(-1)
    most = (w * (1 + np.abs(t))).sum(-1) if eqs.b.any() else np.inf
    scale = np.minimum(np.maximum(bregman(beta, a, c, signed).sum(-1), least), most)
    ratio = np.where(gap == 0, 0.0, gap / scale)
    return np.where(np.isfinite(ratio), ratio, np.inf)


# --- one problem ----------------------------------------------------------------------------------


def solve(eqs, a, c, signed, measure, v=None):
    """β, 4 times the multiplier of Xβ = y, the relative gap and the iterations: the best found, to be judged.

    ``measure(β)`` is the relative residual in the caller's rows. The first point is taken that is certified
    to a hundredth of what is asked, or where only rounding is left to gain.
    """
    live = eqs.AT.any(axis=1)
    if not live.all():  # columns of zeros stay where they start
        return _solve_live(eqs, a, c, signed, measure, live)
    if len(eqs.b) == 0:
        return exponentials(a, c, signed, 0.0)[0], eqs.dual(eqs.b), 0.0, 0
    a, least, best = a - np.log(eqs.scale), np.inf, None
    for basis, beta, dual, used, polished in _candidates(eqs, a, c, signed, v):
        gap = float(relative_gap(basis, beta, dual, a, c, signed))
        score = max(gap / GAP, measure(beta * eqs.scale) / RESIDUAL)
        if best is None or score < least:
            least, best = score, (beta * eqs.scale, basis.dual(dual), gap, used)
        if score <= WORTH or (polished and gap <= WORTH * GAP and _rounded(basis, beta)):
            break
    return best


def _solve_live(eqs, a, c, signed, measure, live):
    beta = exponentials(a, c, signed, 0.0)[0]

    def measure_all(part):
        beta[live] = part
        return measure(beta)

    part, dual, gap, used = solve(eqs.columns(live), a[live], c[live], signed, measure_all)
    beta[live] = part
    return beta, dual, gap, used


def reference_size(eqs, a, c, signed):
    """What max|Aβ − b| is compared with: max|b|, or the terms of Aβ₀ when b = 0."""
    terms = np.abs(exponentials(a, c, signed, 0.0)[0]) @ np.abs(eqs.AT)
    sizes = np.abs(eqs.b).max(), terms.max()
    return next((size for size in sizes if 0 < size < np.inf), 1.0)


def _attempts(eqs, a, c, signed, v):
    """Ever more patient runs of Newton: (equations used, v, last factor, iterations).

    At once or along a path of potentials; in the rows as they are or graded; each time going on with a ridge
    that cycles. The first run is all that ordinary problems see.
    """
    reference = reference_size(eqs, a, c, signed)
    v = np.zeros(len(eqs.b)) if v is None else v
    for follow in (False, True):
        for basis in (eqs, None):
            basis = basis or graded(eqs, a)
            if follow:
                v, last, used = _follow(basis, a, c, signed, np.zeros(len(eqs.b)), reference)
            else:
                v, last, used = newton(basis, a, c, signed, v, reference, limit=100, stall=1e-8)
            yield basis, v, last, used
            v, last, used = newton(basis, a, c, signed, v, reference, limit=200, cycle=5)
            yield basis, v, last, used
            v = np.zeros(len(eqs.b))


def _follow(eqs, a, c, signed, v, reference):
    """Newton along the path θ a, θ → 1, from a flat potential: where v grows in proportion to θ."""
    theta, total = min(1.0, 10 / np.abs(a).max()), 0
    while theta < 1:
        v, _, used = newton(eqs, theta * a, c, signed, v, reference, limit=30, enough=1e-3)
        theta, before = min(1.0, 1.5 * theta), theta
        v, total = v * (theta / before), total + used
    v, last, used = newton(eqs, a, c, signed, v, reference, limit=100)
    return v, last, total + used


def _candidates(eqs, a, c, signed, v):
    """Candidates (equations used, β, v, iterations so far, whether more polish is no use), cheapest first."""
    if len(eqs.b) == len(a):
        for least in (0.0, EPS):
            yield eqs, *_unique(eqs, a, c, signed, least), 0, False
    used = 0
    for basis, end, last, iterations in _attempts(eqs, a, c, signed, v):
        used += iterations
        beta = exponentials(a, c + basis.AT @ end, signed, 0.0)[0]
        beta, folded = polish(basis, beta, end, last)
        beta = beta if signed else np.maximum(beta, 0.0)
        yield basis, beta, folded, used, False
        yield basis, beta, end, used, False
        yield basis, polish_hard(basis, beta, a, signed), end, used, True


def _rounded(eqs, beta):
    """Whether what is left of Aβ − b is the rounding of its terms."""
    return np.abs(eqs.misfit(beta)).max() <= 8 * EPS * (np.abs(beta) @ np.abs(eqs.AT)).max()


def _unique(eqs, a, c, signed, least):
    """The only solution, where A is square: there is nothing to minimise, and every t is some c + Aᵀv.

    Coordinates below ``least`` of the largest, in terms of Aβ, are taken for zeros.
    """
    beta = np.zeros(len(a))
    for _ in range(3):
        beta = beta - np.linalg.solve(eqs.AT.T, eqs.misfit(beta))
    terms = np.abs(beta) * np.linalg.norm(eqs.AT, axis=1)
    beta = np.where(terms > least * terms.max(), beta if signed else np.maximum(beta, 0.0), 0.0)
    if signed:
        t = np.copysign(np.where(beta != 0, log_mirror(np.abs(beta), a, True), 0.0), beta)
    else:  # a zero has t = −∞: as far down as nobody sees
        t = np.log(np.maximum(beta, 1e-20 * beta.max())) - a
    return beta, np.linalg.solve(eqs.AT, t - c)


def project(eqs, start):
    """The point of Xβ = y nearest to the start: the polish with unit weights, since w = dβ/dz = 1."""
    start = start / eqs.scale
    w = np.ones(len(start))
    beta, v = polish(eqs, start, np.zeros(len(eqs.b)), (factor(eqs.AT, w, 0.0), w, 0.0))
    gap = np.square(beta - start - eqs.AT @ v).sum() / 2 + abs(v @ eqs.misfit(beta))
    scale = max(np.square(beta - start).sum() / 2, np.square(1e-8 * start).sum() / 2)
    gap = 0.0 if gap == 0 else float(gap / scale)
    return beta * eqs.scale, eqs.dual(v) * eqs.scale, gap, 1


# --- many problems that differ in α and the start ------------------------------------------------

BLOCK = 128  # replicas advanced together: their Hessians stay in cache
LARGEST = 8_000_000  # k² d, twice the table of products of rows; beyond it a block gains nothing


def solve_many(eqs, a, c, limit=25):
    """β (R, d) and v (R, k) of hyperbolic problems with a common Aᵀ; NaN where Newton did not settle.

    Also the iterations of each, and the v of the mean problem, where all of them start. The last step of a
    replica, that with a Newton decrement Σ w (δt)² of 1e-14, is taken in the primal, where Aβ = b is linear.
    """
    R, k = len(a), eqs.b.shape[-1]
    beta, V, used = np.full(a.shape, np.nan), np.full((R, k), np.nan), np.zeros(R, dtype=int)
    a, v = a - np.log(eqs.scale), np.zeros(k)
    if 0 < k * k * len(eqs.AT) <= LARGEST:
        mean = a.mean(axis=0), c.mean(axis=0), True
        middle = replace(eqs, b=eqs.b.mean(axis=0)) if eqs.b.ndim == 2 else eqs
        v, _, _ = newton(middle, *mean, v, reference_size(middle, *mean), limit=100, stall=1e-8)
        upper = np.triu_indices(k)
        table = eqs.AT[:, upper[0]] * eqs.AT[:, upper[1]]
        for first in range(0, R, BLOCK):
            part = slice(first, first + BLOCK)
            beta[part], V[part], used[part] = _block(eqs.some(part), table, upper, a[part], c[part], v, limit)
    return beta * eqs.scale, V, used, v


def _block(eqs, table, upper, a, c, v, limit):
    beta, ends, used = (
        np.full(a.shape, np.nan),
        np.full((len(a), len(v)), np.nan),
        np.zeros(len(a), dtype=int),
    )
    going, V, size_AT = np.arange(len(a)), np.tile(v, (len(a), 1)), np.abs(eqs.AT)
    for _ in range(limit):
        now, w, _ = exponentials(a[going], c[going] + V @ eqs.AT.T, True, 0.0)
        H = _hessians(w @ table, upper, 1e-14 * (np.abs(now) @ size_AT))
        try:
            P = -np.linalg.solve(H, eqs.some(going).misfit(now)[..., None])[..., 0]
        except np.linalg.LinAlgError:
            break
        used[going] += 1
        tau = P @ eqs.AT.T
        size = np.maximum(np.abs(tau).max(axis=1), 1e-300)
        close = (size <= 0.1) & ((w * tau * tau).sum(axis=1) <= 1e-14 * w.sum(axis=1))
        beta[going[close]], ends[going[close]] = (now + w * tau)[close], (V + P)[close]
        V = V + np.where(size > 0.5, np.log1p(size) / size, 1.0)[:, None] * P
        open_ = ~close & np.isfinite(size)
        going, V = going[open_], V[open_]
        if len(going) == 0:
            break
    return beta, ends, used


def _hessians(packed, upper, noise):
    H = np.empty((len(packed), noise.shape[1], noise.shape[1]))
    H[:, upper[0], upper[1]] = packed
    H[:, upper[1], upper[0]] = packed
    diagonal = H.reshape(len(H), -1)[:, :: noise.shape[1] + 1]
    diagonal += 1e-15 * diagonal + noise
    return H
