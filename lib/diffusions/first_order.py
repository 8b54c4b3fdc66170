"""What a little noise does to the point chosen: the derivative of the limit in the step size, without noise.

Notation (Pesme, Pillaud-Vivien & Flammarion 2021; the expansion is derived here). β = w₊² − w₋², w±(0) = α,
r = Xβ − y along the gradient flow, which ends at β∞ = argmin { φ_α : Xβ = y }. One step of SGD with γ
multiplies w₊w₋ by 1 − γ²g², g = x_i r_i, and leaves log(w₊/w₋) in the row space of X up to γ³g³. So each
algorithm ends at argmin φ_α̃ with log α̃ = log α − γe up to γ² in the mean, and its runs scatter by γ^{3/2}:

    SGD                    e_j = ½ n⁻¹ Σ_i x_ij² ∫r_i² dt
    gradient descent       e_j = ½ ∫(Xᵀr/n)_j² dt
    stochastic flow        e_j = 2D_j ∫L dt, the theorem: SGD with each r_i² replaced by their mean
    SGD, batches of m      e = κ e_SGD + (1 − κ) e_GD, κ = 1/m with, (n − m)/(m(n − 1)) without replacement

and differentiating Xβ = y, β = 2α̃² sinh(Xᵀu) at γ = 0 gives, with H = diag √(β∞² + 4α⁴),

    dβ∞/dγ = −2 [I − H Xᵀ(X H Xᵀ)⁺X] (β∞ ⊙ e).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib import bias
from lib.batches import batch_factor
from lib.flows import mirror_flow
from lib.potentials import HyperbolicEntropy
from lib.records import CONVERGED, UNCERTIFIED, Record, as_coefficients, as_data, as_log_alpha

SMALLEST = np.log(1e-8)  # below it H spans more than double precision can tell from rank deficiency
ENERGY = 1e-5  # what the quadrature may miss of the flow's energy identity


@dataclass(frozen=True, kw_only=True)
class FirstOrder(Record):
    """The limit without noise and its derivative in γ, for three algorithms.

    Parameters
    ----------
    beta : ndarray, shape (d,)
        β∞, the limit of the gradient flow.
    sgd : ndarray, shape (d,)
        dβ∞/dγ of SGD with batches of one.
    descent : ndarray, shape (d,)
        dβ∞/dγ of gradient descent.
    flow : ndarray, shape (d,)
        dβ∞/dγ of the stochastic gradient flow.
    squares : ndarray, shape (n,)
        ∫r_i² dt along the gradient flow.
    energy_gap : float
        |Σ_i squares_i/4n − ½(φ_α(β∞) − φ_α(0))| over the latter: error of the quadrature, seen by the energy
        identity ∫L dt = ½(φ_α(β∞) − φ_α(0)).
    status : int
        0; 2 when Xβ = y has no solution, 3 when the energy identity is missed by more than 1e-5.
    message : str
        What is wrong otherwise, and the remedy.
    """

    beta: np.ndarray
    sgd: np.ndarray
    descent: np.ndarray
    flow: np.ndarray
    squares: np.ndarray
    energy_gap: float

    def batches(self, batch_size, *, replacement=True) -> np.ndarray:
        """dβ∞/dγ of SGD with batches of m samples.

        Parameters
        ----------
        batch_size : int
            m, between 1 and n.
        replacement : bool, optional
            Whether one sample may occur twice in a batch.

        Returns
        -------
        ndarray, shape (d,)
            κ·sgd + (1 − κ)·descent.

        Examples
        --------
        >>> import numpy as np
        >>> from lib.diffusions.first_order import first_order
        >>> found = first_order([[1.0, 2.0], [0.5, 3.0]], [1.0, 2.0], log_alpha=-2.0)
        >>> bool(np.allclose(found.batches(2, replacement=False), found.descent))
        True
        """
        share = batch_factor(len(self.squares), batch_size, replacement=replacement)
        return share * self.sgd + (1 - share) * self.descent

    def distance_slopes(self, target) -> dict:
        """d log‖β∞ − target‖²/dγ at γ = 0: negative where noise brings the limit closer.

        Parameters
        ----------
        target : array_like, shape (d,)
            The point to be close to, such as the planted β*; not β∞ itself.

        Returns
        -------
        dict of str to float
            2⟨β∞ − target, dβ∞/dγ⟩/‖β∞ − target‖² for "SGD", "gradient descent" and "stochastic flow".

        Raises
        ------
        ValueError
            When the target is β∞, or has another shape.

        Examples
        --------
        >>> from lib.diffusions.first_order import first_order
        >>> slopes = first_order([[1.0, 2.0]], [1.0], log_alpha=-2.0).distance_slopes([0.0, 0.5])
        >>> slopes["SGD"] > 0  # away from the least ℓ₁ norm
        True
        """
        away = self.beta - as_coefficients("target", target, len(self.beta))
        square = away @ away
        if square == 0:
            raise ValueError(
                "target must differ from beta; received beta itself, whose distance 0 has no logarithm. "
                "Pass the planted predictor."
            )
        moved = {"SGD": self.sgd, "gradient descent": self.descent, "stochastic flow": self.flow}
        return {name: float(2 * away @ change / square) for name, change in moved.items()}


def first_order(X, y, *, log_alpha) -> FirstOrder:
    """Where SGD, gradient descent and the stochastic flow end to first order in γ: one flow and one solve.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs.
    y : array_like, shape (n,)
        Targets; Xβ = y must have a solution.
    log_alpha : float or array_like, shape (d,)
        log of the initial weights, at least log(1e-8).

    Returns
    -------
    FirstOrder
        ``beta + γ·sgd`` is where SGD with step γ ends, up to γ^{3/2} on a path and γ² in the mean.

    Raises
    ------
    ValueError
        When X or y is not finite, shapes do not match, or log α is below log(1e-8).

    Notes
    -----
    ∫r_i² dt and ∫(Xᵀr/n)_j² dt are summed over the accepted steps of the integrator by the trapezoidal rule
    with the correction of its ends, (h²/12)(f'(0) − f'(h)), which makes it of fourth order.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.diffusions.first_order import first_order
    >>> found = first_order([[1.0, 2.0]], [1.0], log_alpha=np.log(0.1))  # the smaller column gains
    >>> found.beta.round(4).tolist(), (found.sgd > 0).tolist()
    ([0.0669, 0.4666], [True, False])
    """
    X, y = as_data(X, y)
    n, d = X.shape
    log_alpha = as_log_alpha(log_alpha, d)
    if log_alpha.min() < SMALLEST:
        raise ValueError(
            f"log_alpha must be at least log(1e-8) = {SMALLEST:.2f}; received {log_alpha.min():.2f}. Run "
            "lib.descent and lib.bias.limit for smaller starts."
        )
    phi = HyperbolicEntropy(log_alpha)
    limit = bias.minimise(phi, X, y)
    if limit.status != CONVERGED:
        none = np.full(d, np.nan)
        return FirstOrder(
            beta=limit.beta,
            sgd=none,
            descent=none,
            flow=none,
            squares=np.full(n, np.nan),
            energy_gap=np.inf,
            status=limit.status,
            message=limit.message,
        )
    run = mirror_flow(phi, X, y, observe={"beta": lambda beta: beta}, tolerance=1e-6)
    squares, gradients = _integrals(run.times, run.observed["beta"][0], X, y, log_alpha)
    area = (phi.value(limit.beta) - phi.value(np.zeros(d))) / 2
    gap = float(abs(squares.sum() / (4 * n) - area) / (area or 1.0))
    D, H = (X**2).mean(0), np.sqrt(limit.beta**2 + 4 * np.exp(4 * log_alpha))
    exponents = np.stack([squares @ X**2 / (2 * n), gradients / 2, 2 * D * area])
    sgd, descent, flow = _moved(X, H, limit.beta, exponents)
    good = gap <= ENERGY and run.status[0] == CONVERGED
    return FirstOrder(
        beta=limit.beta,
        sgd=sgd,
        descent=descent,
        flow=flow,
        squares=squares,
        energy_gap=gap,
        status=CONVERGED if good else UNCERTIFIED,
        message="" if good else f"The energy identity is missed by {gap:.1e}. Take a larger α or rescale X.",
    )


def _integrals(times, beta, X, y, log_alpha):
    """∫r_i² dt (n,) and ∫(Xᵀr/n)_j² dt (d,) along a recorded flow."""
    n = len(y)
    residual = beta @ X.T - y
    gradient = residual @ X / n
    speed = -2 * np.sqrt(beta**2 + 4 * np.exp(4 * log_alpha)) * gradient  # dβ/dt
    change = speed @ X.T
    h = np.diff(times)[:, None]

    def integral(f, rate):
        return (h / 2 * (f[1:] + f[:-1]) + h**2 / 12 * (rate[:-1] - rate[1:])).sum(0)

    squares = integral(residual**2, 2 * residual * change)
    return squares, integral(gradient**2, 2 * gradient * (change @ X / n))


def _moved(X, H, beta, exponents):
    """−2 [I − H Xᵀ(XHXᵀ)⁺X](β ⊙ e) for each row e, as an orthogonal projection after division by √H."""
    root = np.sqrt(H)
    _, size, Vt = np.linalg.svd(X * root, full_matrices=False)
    Vt = Vt[size > max(X.shape) * np.finfo(float).eps * size[0]]
    v = -2 * beta / root * exponents
    return root * (v - (v @ Vt.T) @ Vt)
