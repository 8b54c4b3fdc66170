"""Other ways to min φ_α(β) under Xβ = y: the peers of workloads C and C'.

The dual is F(u) = 2Σα²cosh(x_jᵀu) − yᵀu, with β = 2α² sinh(Xᵀu) and ∇F = Xβ − y: SciPy's trust-exact and
L-BFGS-B. The primal, φ_α itself: SLSQP. The dual in exponential cones: Clarabel, called directly (stating the
problem in CVXPY costs milliseconds more), β read from the multipliers, which are closer than 2α² sinh(Xᵀu).
"""

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from lib.potentials import HyperbolicEntropy


def trust_exact(X, y, log_alpha):
    """Newton's method in a trust region on the dual."""

    def hessian(u):
        return (X * (2 * np.exp(2 * log_alpha) * np.cosh(u @ X))) @ X.T

    return _dual(
        X, y, log_alpha, method="trust-exact", hess=hessian, options={"gtol": 1e-11 * np.linalg.norm(y)}
    )


def lbfgs(X, y, log_alpha):
    """L-BFGS-B on the dual, until it can do no better."""
    options = {"gtol": 0, "ftol": 0, "maxiter": 5000, "maxfun": 5000, "maxcor": 20}
    return _dual(X, y, log_alpha, method="L-BFGS-B", options=options)


def _dual(X, y, log_alpha, **how):
    scale = 2 * np.exp(2 * log_alpha)

    def value(u):
        t = u @ X
        return scale * np.cosh(t).sum() - y @ u, X @ (scale * np.sinh(t)) - y

    with np.errstate(over="ignore", invalid="ignore"):
        return scale * np.sinh(minimize(value, np.zeros(len(y)), jac=True, **how).x @ X)


def slsqp(X, y, log_alpha):
    """SLSQP on φ_α, from the least-norm solution."""
    potential, scale = HyperbolicEntropy(log_alpha), 2 * np.exp(2 * log_alpha)
    return minimize(
        lambda beta: float(potential.value(beta)),
        np.linalg.lstsq(X, y, rcond=None)[0],
        jac=lambda beta: np.arcsinh(beta / scale) / 4,
        constraints={"type": "eq", "fun": lambda beta: X @ beta - y, "jac": lambda beta: X},
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 300},
    ).x


def clarabel_cones(X, y, log_alpha, tolerance=1e-11):
    """min Σ(p + q) − yᵀu, p ≥ e^{2logα + Xᵀu}, q ≥ e^{2logα − Xᵀu}: a cone (exponent, 1, bound) for each."""
    import clarabel

    n, d = X.shape
    signs = sparse.coo_array(np.vstack([X.T, -X.T]))
    rows, zero = 3 * np.arange(2 * d), np.zeros(2 * d)
    exponents = sparse.coo_array((signs.data, (rows[signs.row], signs.col)), shape=(6 * d, n))
    bounds = sparse.coo_array((zero + 1, (rows + 2, np.arange(2 * d))), shape=(6 * d, 2 * d))
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    found = clarabel.DefaultSolver(
        sparse.csc_matrix((n + 2 * d, n + 2 * d)),
        np.concatenate([-y, zero + 1]),
        sparse.csc_matrix(-sparse.hstack([exponents, bounds])),
        np.tile([2 * log_alpha, 1.0, 0.0], 2 * d),
        [clarabel.ExponentialConeT()] * (2 * d),
        settings,
    ).solve()
    minus, plus = np.reshape(found.z, (2, d, 3))[..., 0]
    return plus - minus
