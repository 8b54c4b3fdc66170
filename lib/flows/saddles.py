"""The flow from an infinitely small start: it waits at saddles and jumps from one to the next.

Notation (Pesme & Flammarion 2023; here in the house convention). From w± = α the weights of gradient flow are
log w± = log α ± Xᵀν. With ℓ = log(1/α), ν = ℓμ, t = ℓτ and z = Xᵀμ,

    dz/dτ = −Xᵀ(Xβ − y)/n,    β_j = α^{2(1 − z_j)} − α^{2(1 + z_j)}.

As α → 0 a coordinate is 0 while |z_j| < 1, and free, with the sign of z_j, where |z_j| = 1. So β is piecewise
constant in τ: it jumps when some z_j arrives at ±1, to the best fit with the coordinates that are free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from lib.records import CONVERGED, UNCERTIFIED, Record, as_count, as_data

FITTED = 1e-10  # relative residual, or relative gradient, below which there is nothing left to do
TOGETHER = 1e-12  # coordinates that arrive within this of each other arrive together


@dataclass(frozen=True, kw_only=True)
class Saddles(Record):
    """What ``saddle_path`` returns: K jumps, K + 1 resting places.

    Parameters
    ----------
    arrival : ndarray, shape (K + 1,)
        τ = t/log(1/α) at which the flow comes to each place; 0 for the first.
    beta : ndarray, shape (K + 1, d)
        The places, β = 0 first; the last is the least-ℓ₁ solution where y can be fitted and that is unique.
    loss : ndarray, shape (K + 1,)
        L = ‖Xβ − y‖²/4n there.
    mirror : ndarray, shape (K + 1, d)
        z on arrival; |z| ≤ 1, and 1 on the coordinates that are not 0.
    status : int
        3 when the last place asked for is not the last one.
    message : str
        What to do about it.
    """

    arrival: np.ndarray
    beta: np.ndarray
    loss: np.ndarray
    mirror: np.ndarray


def saddle_path(X, y, *, most=1000) -> Saddles:
    """The limit α → 0 of gradient flow from w± = α in the time τ = t/log(1/α), as a list of resting places.

    At each place the gradient moves z along a straight line until a coordinate arrives at ±1; the next place
    is the minimiser of ‖Xβ − y‖ over the β that vanish where |z_j| < 1 and have the sign of z_j elsewhere.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Inputs in general position: on the free coordinates the best fit has to be unique.
    y : array_like, shape (n,)
        Targets; if no β fits them the path ends at a best fit.
    most : int
        How many jumps to follow at most.

    Returns
    -------
    Saddles
        The places and when they are reached.

    Raises
    ------
    ValueError
        When X or y is not finite, or their shapes do not match.

    References
    ----------
    Pesme and Flammarion (2023), Algorithm 1 and Theorem 2.

    Examples
    --------
    >>> from lib.flows.saddles import saddle_path
    >>> path = saddle_path([[1.0, 2.0]], [1.0])
    >>> path.arrival.tolist(), path.beta.tolist()
    ([0.0, 0.5], [[0.0, 0.0], [0.0, 0.5]])
    """
    X, y = as_data(X, y)
    most = as_count("most", most)
    n, d = X.shape
    z, beta, now = np.zeros(d), np.zeros(d), 0.0
    places = [(now, beta, z)]
    pull = np.abs(X.T @ y).max() / n
    while len(places) <= most:
        speed = X.T @ (y - X @ beta) / n
        speed[(beta != 0) | (np.abs(speed) <= FITTED * pull)] = 0.0
        if np.linalg.norm(X @ beta - y) <= FITTED * np.linalg.norm(y) or not speed.any():
            return _finished(X, y, places, CONVERGED, "")
        with np.errstate(divide="ignore", invalid="ignore"):
            waits = np.where(speed == 0, np.inf, (np.sign(speed) - z) / speed)
        wait = waits.min()
        z = np.clip(z + speed * wait, -1.0, 1.0)
        arriving = waits <= wait + TOGETHER * (now + wait)
        z[arriving] = np.sign(speed[arriving])
        now, beta = now + wait, _best_fit(X, y, z)
        places.append((now, beta, z))
    message = f"After {most} jumps the data are not fitted yet. Raise most."
    return _finished(X, y, places, UNCERTIFIED, message)


def _best_fit(X, y, z):
    """The minimiser of ‖Xβ − y‖ with β_j = 0 where |z_j| < 1 and the sign of z_j elsewhere."""
    beta = np.zeros(len(z))
    free = np.flatnonzero(np.abs(z) == 1.0)
    size, _ = nnls(X[:, free] * z[free], y, maxiter=30 * len(free))
    used = free[size > 1e-12 * size.max(initial=0.0)]
    beta[used] = np.linalg.lstsq(X[:, used], y)[0]  # the same point, to the last digit
    return beta


def _finished(X, y, places, status, message):
    arrival, beta, mirror = (np.array(part) for part in zip(*places, strict=True))
    loss = ((beta @ X.T - y) ** 2).sum(-1) / (4 * len(y))
    return Saddles(arrival=arrival, beta=beta, loss=loss, mirror=mirror, status=status, message=message)
