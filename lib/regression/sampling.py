"""Least squares under mini-batch sampling: exact second moments of SGD and of the stochastic flow.

Notation (003 is Yang's notes, 2025, §5.1). X (n, p) is fixed, y = Xβ₀ + η with Cov η = σ²I, the loss is
‖y − Xβ‖²/2n and the start is 0. Ŝ = XᵀX/n = V diag(s) Vᵀ on the row space of X, X = √n U diag(√s) Vᵀ.
ε is the step size, m the batch size and c = ε·Var(batch mean)/Var(one sample), which is ε/m with
replacement and ε(n − m)/(m(n − 1)) without. The stochastic flow is (27), dβ = Xᵀ(y − Xβ)/n dt + Q^½ dW.

Everything follows from one matrix. With r = y − Xβ the residual, there is a P on the row space with
E rrᵀ = σ²I + X P Xᵀ, where E is over η and over the sampling, and P solves a linear equation of its own:

    flow      P' = −ŜP − PŜ + c·Cov(P) + constant,
    descent   P ← (I − εŜ)P(I − εŜ) + ε(c·Cov(P) + constant),      Cov(P) = Σᵢ xᵢxᵢᵀ(xᵢᵀPxᵢ)/n − ŜPŜ.

In the coordinates Pⱼₖ (√2 Pⱼₖ for j < k) of the basis V both read P' = κ − 𝓜P, 𝓜 symmetric: one
eigendecomposition gives every time. 𝓜 is positive definite exactly when the algorithm is stable in mean
square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import exprel

from lib.batches import batch_factor
from lib.records import Record, as_array, as_coefficients, as_positive, as_times
from lib.regression.shrinkage import Spectrum, built, kept, spectrum

FLOW, DESCENT = "flow", "descent"
_LARGEST_DENSE = 1300  # r(r + 1)/2 unknowns; beyond (rank above 50) P is stepped, not diagonalised


# --- the equation for P ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Equation:
    """P' = κ − 𝓜P in symmetric coordinates, 𝓜 = diag(L) − ε(diag(gain) + lowᵀlow) with L = s_j + s_k."""

    design: Spectrum
    plain: np.ndarray  # L, (N,): what 𝓜 is without sampling
    gain: np.ndarray  # (N,)
    low: np.ndarray  # (n, N)
    step_size: float
    step: float  # ε for descent, 0 for the flow: how the clock runs
    slope: np.ndarray  # (r,): the mean residual decays along mode j at the rate s_j·slope_j
    noise: float  # the constant in P' grows by noise·σ²·s_j
    diagonal: np.ndarray  # positions of the P_jj among the N coordinates

    def apply(self, P):
        """𝓜P, without forming 𝓜."""
        return (self.plain - self.step_size * self.gain) * P - self.step_size * self.low.T @ (self.low @ P)

    def limit(self):
        """The ε at which 𝓜 stops being positive definite; L, gain and low do not depend on ε."""
        size = len(self.plain)
        gain, low = self.gain / self.plain, self.low / np.sqrt(self.plain)
        if size == 0:
            return np.inf
        if size <= 200:
            top = np.linalg.eigvalsh(np.diag(gain) + low.T @ low)[-1]
        else:
            operator = LinearOperator(
                (size, size), matvec=lambda P: gain * P + low.T @ (low @ P), dtype=float
            )
            top = eigsh(operator, k=1, which="LA", v0=np.ones(size), tol=1e-13)[0][0]
        # at rounding level sampling adds nothing (one sample, the whole batch): there is nothing to lose
        return float(1 / top) if top > 1e-13 * (np.abs(gain).max() + (low**2).sum()) else np.inf

    def source(self, sigma):
        """κ, the constant in P' = κ − 𝓜P."""
        s, n, kappa = self.design.s, self.design.n, np.zeros(len(self.plain))
        kappa[self.diagonal] = sigma**2 * (self.noise * s + (self.step * s - 2 * self.slope) / n)
        return kappa

    def modes(self, w, sigma):
        """Eigenvalues and vectors of 𝓜, with P(0) = wwᵀ and κ in that basis."""
        matrix = np.diag(self.plain - self.step_size * self.gain) - self.step_size * self.low.T @ self.low
        rate, Q = np.linalg.eigh(matrix)
        return rate, Q, Q.T @ _coordinates(w), Q.T @ self.source(sigma)

    def at(self, w, sigma, clock):
        """P at each time, (T, N)."""
        if len(self.plain) > _LARGEST_DENSE:
            return self._stepped(_coordinates(w), self.source(sigma), clock)
        rate, Q, start, source = self.modes(w, sigma)
        clock = clock[:, None]
        return (start * kept(rate, clock, self.step) + source * built(rate, clock, self.step)) @ Q.T

    def _stepped(self, P, kappa, clock):
        if self.step == 0:
            run = solve_ivp(
                lambda _, P: kappa - self.apply(P),
                (0.0, clock.max()),
                P,
                method="DOP853",
                t_eval=np.unique(clock),
                rtol=1e-10,
                atol=1e-13,
            )
            return run.y.T[np.searchsorted(run.t, clock)]
        found = np.empty((len(clock), len(P)))
        for k in range(int(clock.max()) + 1):
            found[clock == k] = P
            P = P + self.step * (kappa - self.apply(P))
        return found


def _coordinates(w):
    j, k = np.triu_indices(len(w))
    return np.where(j == k, 1.0, np.sqrt(2.0)) * w[j] * w[k]


def _equation(
    design, step_size, batch_size, *, algorithm, replacement=True, drift=0.0, centred=True
) -> _Equation:
    n, s = design.n, design.s
    step_size, drift = as_positive("step_size", step_size), as_array("drift", drift, ndim=0)
    share = batch_factor(n, batch_size, replacement=replacement)
    j, k = np.triu_indices(len(s))
    gain = -share * centred * s[j] * s[k] - 2 * drift * (s[j] ** 2 + s[k] ** 2)
    # the rows xᵢ in the basis V; lowᵀlow is then Σᵢ xᵢxᵢᵀ(xᵢᵀ·xᵢ)/n
    rows = design.U * np.sqrt(n * s)
    low = np.sqrt(share / n) * rows[:, j] * rows[:, k] * np.where(j == k, 1.0, np.sqrt(2.0))
    return _Equation(
        design=design,
        plain=s[j] + s[k],
        gain=gain + (s[j] * s[k] if algorithm == DESCENT else 0.0),
        low=low,
        step_size=step_size,
        step=step_size if algorithm == DESCENT else 0.0,
        slope=1 + 2 * drift * step_size * s,
        noise=step_size * share * (1 - centred / n),
        diagonal=np.flatnonzero(j == k),
    )


# --- what comes out ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Risk(Record):
    """E‖β̂ − β₀‖² and its parts, over the label noise and the sampling.

    Parameters
    ----------
    bias2 : float or ndarray, shape (T,)
        ‖E β̂ − β₀‖².
    variance : float or ndarray, shape (T,)
        tr Cov β̂, label noise and sampling together.
    sampling : float or ndarray, shape (T,)
        The part of ``variance`` that mini-batches add, tr E Cov(β̂ | η); 0 for gradient flow and ridge.
    status : int
        0.
    message : str
        Empty.

    Examples
    --------
    >>> from lib.regression.sampling import Risk
    >>> Risk(bias2=1.0, variance=0.5).total
    1.5
    """

    bias2: float | np.ndarray
    variance: float | np.ndarray
    sampling: float | np.ndarray = 0.0

    @property
    def total(self):
        """The risk, bias² plus variance.

        Returns
        -------
        float or ndarray, shape (T,)
            E‖β̂ − β₀‖².
        """
        return self.bias2 + self.variance


@dataclass(frozen=True, kw_only=True)
class SamplingBounds(Record):
    """What sampling adds to the risk of gradient flow, and three upper bounds on it, each above the last.

    Parameters
    ----------
    sampling : float or ndarray, shape (T,)
        The exact addition, tr E Cov(β̂ | η).
    leverage : float or ndarray, shape (T,)
        ε(n/m) Σⱼ maxᵢ uᵢⱼ² νⱼ(t).
    theorem : float or ndarray, shape (T,)
        ε(n/m) Σⱼ νⱼ(t), the last term of (29).
    closed_form : float or ndarray, shape (T,)
        The same with νⱼ replaced by its closed form; infinite when ``margin`` ≤ 0.
    nu : ndarray, shape (r,) or (T, r)
        νⱼ(t) = ∫₀ᵗ 2sⱼ e^{−2sⱼ(t − τ)} E f(β(τ)) dτ, exact.
    margin : float
        2 min s − εκ/m with κ = maxᵢ xᵢᵀŜxᵢ: ε is small enough for the closed form when it is positive.
    status : int
        0.
    message : str
        Empty.

    Examples
    --------
    >>> from lib.regression.sampling import sampling_bounds
    >>> bounds = sampling_bounds([[1.0], [2.0]], [1.0], 0.5, 0.1, 1, 1.0)
    >>> bool(bounds.sampling <= bounds.leverage <= bounds.theorem <= bounds.closed_form)
    True
    """

    sampling: float | np.ndarray
    leverage: float | np.ndarray
    theorem: float | np.ndarray
    closed_form: float | np.ndarray
    nu: np.ndarray
    margin: float


def stability_limit(X, batch_size, *, replacement=True, algorithm=DESCENT, drift=0.0) -> float:
    """Largest step size below which E‖β − β̂_OLS‖² stays bounded on the row space of X.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    batch_size : int
        m, between 1 and n.
    replacement : bool, optional
        Whether one sample may occur twice in a batch.
    algorithm : {"descent", "flow"}, optional
        SGD (25), or the stochastic flow (27).
    drift : float, optional
        Only for the flow: its drift is −∇(f + drift·ε|∇f|²); ¼ is the flow of order 2.

    Returns
    -------
    float
        1 over the largest eigenvalue of L^{−½}BL^{−½}, L = Ŝ⊗I + I⊗Ŝ, on symmetric matrices. For SGD
        B = Ŝ⊗Ŝ + Cov/m, which is never above 2/s_max (the limit of gradient descent); for the flow
        B = Cov/m, so the limit is proportional to m. Infinite when sampling adds nothing to the flow.

    Raises
    ------
    ValueError
        When X is empty or not finite, the batch size is not between 1 and n, or the algorithm is unknown.

    Examples
    --------
    >>> from lib.regression.sampling import stability_limit
    >>> round(stability_limit([[1.0], [1.0]], 2, replacement=False), 6)
    2.0
    """
    if algorithm not in (FLOW, DESCENT):
        raise ValueError(f'algorithm must be "flow" or "descent"; received {algorithm!r}. Choose one.')
    options = {"algorithm": algorithm, "replacement": replacement, "drift": drift}
    return _equation(spectrum(X), 1.0, batch_size, **options).limit()


def sampled_risk(X, beta0, sigma, step_size, batch_size, clock, **options) -> Risk:
    """Exact risk of SGD or of the stochastic flow; see ``regression.risk_stochastic_flow``.

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise.
    step_size : float
        ε, below the stability limit.
    batch_size : int
        m, between 1 and n.
    clock : float or array_like, shape (T,)
        Times of the flow, or numbers of steps of SGD.
    **options : dict
        ``algorithm``, ``replacement``, ``drift``, ``centred``.

    Returns
    -------
    Risk
        The certificate is the arithmetic: no integration error up to rank 50, relative 1e-10 beyond.

    Raises
    ------
    ValueError
        When ε reaches the stability limit of ``stability_limit``, which the sentence gives.

    Examples
    --------
    >>> from lib.regression.sampling import sampled_risk
    >>> round(float(sampled_risk([[1.0], [1.0]], [1.0], 0.0, 0.5, 1, 2, algorithm="descent").total), 6)
    0.0625
    """
    equation, w, null, sigma = _prepared(X, beta0, sigma, step_size, batch_size, options)
    shape, clock = np.shape(clock), np.atleast_1d(clock)
    n, s = equation.design.n, equation.design.s
    rate = s * equation.slope
    remaining = kept(rate, clock[:, None], equation.step)
    # built·slope = (1 − remaining)/s without dividing by a small s; K below is E (β − β₀)ηᵀ = K Xᵀ
    K = sigma**2 / n * built(rate, clock[:, None], equation.step) * equation.slope
    seen = ((w * remaining) ** 2).sum(-1)
    variance = n / sigma**2 * (K**2 * s).sum(-1) if sigma > 0 else np.zeros(len(clock))
    second = equation.at(w, sigma, clock)[:, equation.diagonal].sum(-1) + 2 * K.sum(-1)
    sampling = second - seen - variance
    shaped = [part.reshape(shape)[()] for part in (seen + null, variance + sampling, sampling)]
    return Risk(bias2=shaped[0], variance=shaped[1], sampling=shaped[2])


def sampling_bounds(X, beta0, sigma, step_size, batch_size, t, *, replacement=True) -> SamplingBounds:
    """Theorem 5.2 with its ν made explicit: what sampling adds to gradient flow, and the bounds on it.

    With u_j the left singular vectors, v_jᵀQv_j ≤ (ε/m)s_jΣᵢrᵢ²uᵢⱼ² ≤ (εn/m)·2s_j f. Integrating against
    e^{−2s_j(t − τ)} gives the theorem for every ε. Grönwall on (E f)' ≤ −2μ(E f − f*) + (εκ/m)E f gives
    the closed form, with a = 2μ − εκ/m:

        ν_j ≤ (f(0) − f*)·2s_j/(2s_j − a)·(e^{−at} − e^{−2s_jt}) + f*(1 + εκ/(ma))(1 − e^{−2s_jt}).

    Parameters
    ----------
    X : array_like, shape (n, p)
        Design.
    beta0 : array_like, shape (p,)
        Planted coefficients β₀.
    sigma : float
        Standard deviation of the label noise.
    step_size : float
        ε, below the stability limit of the flow.
    batch_size : int
        m, between 1 and n.
    t : float or array_like, shape (T,)
        Time of the flow.
    replacement : bool, optional
        Whether one sample may occur twice in a batch; without, ε/m becomes ε(n − m)/(m(n − 1)) throughout.

    Returns
    -------
    SamplingBounds
        ``sampling`` ≤ ``leverage`` ≤ ``theorem`` ≤ ``closed_form``.

    Raises
    ------
    ValueError
        When t < 0, a shape does not match, or ε reaches the stability limit, which the sentence gives.

    Examples
    --------
    The factor n is needed: one heavy sample, no label noise.

    >>> import numpy as np
    >>> from lib.regression.sampling import sampling_bounds
    >>> X = np.sqrt(20) * np.eye(20)[:, :1]
    >>> bounds = sampling_bounds(X, [1.0], 0.0, 0.01, 1, 1.0)
    >>> print(f"{bounds.sampling:.6f} {bounds.theorem:.6f}")
    0.028319 0.029809
    """
    t = as_times("t", t)
    options = {"algorithm": FLOW, "replacement": replacement}
    risk = sampled_risk(X, beta0, sigma, step_size, batch_size, t, **options)
    equation, w, _, sigma = _prepared(X, beta0, sigma, step_size, batch_size, options)
    n, s, U = equation.design.n, equation.design.s, equation.design.U
    share = step_size * batch_factor(n, batch_size, replacement=replacement)
    time = np.atleast_1d(t)[:, None]
    nu = _nu(equation, w, sigma, time)

    kappa = ((U**2 * n * s) @ s).max(initial=0.0)
    margin = 2 * s.min(initial=np.inf) - share * kappa
    floor = sigma**2 * (n - len(s)) / (2 * n)
    excess = (w**2 @ s + sigma**2) / 2 - floor
    closed = np.full(nu.shape, np.inf)
    if margin > 0:
        closed = excess * 2 * s * _overlap(2 * s, margin, time)
        closed += floor * (1 + share * kappa / margin) * -np.expm1(-2 * s * time)
    sums = (nu * (U**2).max(0), nu, closed)
    leverage, theorem, closed_form = ((n * share * part.sum(-1)).reshape(t.shape)[()] for part in sums)
    return SamplingBounds(
        sampling=risk.sampling,
        leverage=leverage,
        theorem=theorem,
        closed_form=closed_form,
        nu=nu.reshape((*t.shape, len(s))),
        margin=float(margin),
    )


def _nu(equation, w, sigma, time):
    # E f = σ²/2 + tr(ŜP)/2 is a sum of exponentials e^{−μτ}, hence so is its weighted integral
    s = equation.design.s
    rate, Q, start, source = equation.modes(w, sigma)
    energy = s @ Q[equation.diagonal] / 2
    level = sigma**2 / 2 + (energy * source / rate).sum()
    waves = _overlap(2 * s[:, None], rate, time[..., None]) @ (energy * (start - source / rate))
    return level * -np.expm1(-2 * s * time) + 2 * s * waves


def _overlap(a, b, t):
    """∫₀ᵗ e^{−a(t − τ) − bτ} dτ, which is (e^{−bt} − e^{−at})/(a − b), also when a = b."""
    return t * np.exp(-np.minimum(a, b) * t) * exprel(-np.abs(a - b) * t)


def _prepared(X, beta0, sigma, step_size, batch_size, options):
    design = spectrum(X)
    beta0, sigma = as_coefficients("beta0", beta0, design.p), as_positive("sigma", sigma, zero=True)
    equation = _equation(design, step_size, batch_size, **options)
    if (limit := equation.limit()) <= equation.step_size:
        raise ValueError(
            f"step_size must be below {limit:.6g}, where the second moment of this design stops being stable "
            f"at batch size {batch_size}; received {step_size}. Choose a smaller step or a larger batch."
        )
    w = design.V.T @ beta0
    unseen = beta0 - design.V @ w
    return equation, w, unseen @ unseen, sigma
