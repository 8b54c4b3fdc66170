"""Feature maps and what high-dimensional theory needs to know about them: Ω, κ, ρ.

Notation (004 is Mignacco's talk, 2022; Loureiro et al. 2021). v (d,) are the features of an input, centred,
with covariance Ω; ν is the teacher's field, the number that the label is made from, with ρ = E ν² and κ =
Cov(ν, v). Nothing else of the distribution enters the theory of :func:`lib.statics.covariate_model`: that
is its claim of universality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lib.records import as_array, as_count, as_positive


@dataclass(frozen=True)
class Features:
    """A population of pairs (v, ν): its second moments, and a way to draw from it.

    Parameters
    ----------
    covariance : ndarray, shape (d, d)
        Ω = E vvᵀ.
    alignment : ndarray, shape (d,)
        κ = E νv.
    rho : float
        ρ = E ν².
    draw : callable
        ``draw(rng, n)`` returns v (n, d) and ν (n,).
    split : callable, optional
        For a population of finitely many items: ``split(rng, n)`` returns what ``draw`` returns and, as a
        second pair, v and ν of the items that were not drawn. None for a population without end.

    Examples
    --------
    >>> from lib.statics.features import gaussian_features
    >>> features = gaussian_features([2.0, 1.0], [1.0, 0.5], rho=1.0)
    >>> [x.round(3).tolist() for x in features.spectrum()]
    [[1.0, 2.0], [0.5, 1.0]]
    """

    covariance: np.ndarray
    alignment: np.ndarray
    rho: float
    draw: Callable = field(repr=False)
    split: Callable | None = field(default=None, repr=False)

    @property
    def d(self) -> int:
        """Number of features."""
        return self.alignment.size

    @property
    def unexplained(self) -> float:
        """ρ − κᵀΩ⁻¹κ, the variance of ν that is no linear function of v: the floor of the ridge error."""
        eigenvalues, alignment = self.spectrum()
        seen = eigenvalues > 0
        return float(self.rho - (alignment[seen] ** 2 / eigenvalues[seen]).sum())

    def spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues of Ω and the alignment in its eigenbasis: what ``covariate_model`` takes.

        Returns
        -------
        eigenvalues : ndarray, shape (d,)
            Increasing; rounding below 0 is clipped, with its alignment.
        alignment : ndarray, shape (d,)
            κ in the eigenbasis.
        """
        eigenvalues, basis = np.linalg.eigh(self.covariance)
        kept = eigenvalues > 1e-12 * eigenvalues[-1]
        return np.where(kept, eigenvalues, 0.0), np.where(kept, basis.T @ self.alignment, 0.0)


def gaussian_features(eigenvalues, alignment, *, rho) -> Features:
    """Jointly Gaussian features and teacher, in the eigenbasis of Ω.

    vᵢ ~ N(0, ωᵢ) independent, ν = Σ (κᵢ/ωᵢ) vᵢ + √(ρ − Σκᵢ²/ωᵢ) z.

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        ωᵢ, positive.
    alignment : array_like, shape (d,)
        κᵢ.
    rho : float
        ρ, at least Σκᵢ²/ωᵢ.

    Returns
    -------
    Features
        With exact second moments.

    Raises
    ------
    ValueError
        When an eigenvalue is not positive, shapes differ, or κ is more than ρ can hold.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.statics.features import gaussian_features
    >>> v, nu = gaussian_features([1.0], [1.0], rho=1.0).draw(np.random.default_rng(0), 5)
    >>> bool(np.allclose(v[:, 0], nu))
    True
    """
    omega, kappa = as_array("eigenvalues", eigenvalues, ndim=1), as_array("alignment", alignment, ndim=1)
    rho = as_positive("rho", rho)
    if omega.shape != kappa.shape or omega.min(initial=np.inf) <= 0:
        raise ValueError(
            f"eigenvalues must be positive, one for each of the {kappa.size} entries of alignment; received "
            f"{omega.size}, the smallest {omega.min(initial=np.inf):.3g}. Leave the others out."
        )
    rest = rho - float((kappa**2 / omega).sum())
    if rest < -1e-9 * rho:
        raise ValueError(
            f"rho must be at least Σκᵢ²/ωᵢ = {rho - rest:.6g}; received {rho:.6g}. "
            "Check the scaling of alignment."
        )

    def draw(rng, n):
        v = rng.standard_normal((n, omega.size)) * np.sqrt(omega)
        return v, v @ (kappa / omega) + np.sqrt(max(rest, 0.0)) * rng.standard_normal(n)

    return Features(np.diag(omega), kappa, rho, draw)


def relu_features(F, theta) -> Features:
    """One random layer: v = max(Fx, 0) − mean, x ~ N(0, I_p), ν = θ·x/√p, with exact second moments.

    With ϑᵢⱼ the angle between rows i and j of F (the arc-cosine kernel of degree 1):
    Ωᵢⱼ = |fᵢ||fⱼ| [sin ϑᵢⱼ + (π − ϑᵢⱼ) cos ϑᵢⱼ]/2π − μᵢμⱼ, μᵢ = |fᵢ|/√(2π), κ = Fθ/(2√p), ρ = ‖θ‖²/p.

    Parameters
    ----------
    F : array_like, shape (d, p)
        Weights of the layer.
    theta : array_like, shape (p,)
        Teacher.

    Returns
    -------
    Features
        The population of rectified features: not Gaussian.

    Raises
    ------
    ValueError
        When shapes do not fit or a row of F is 0.

    References
    ----------
    Cho and Saul, NIPS 2009, for the kernel; Loureiro et al. 2021 for its place here.

    Examples
    --------
    >>> from lib.statics.features import relu_features
    >>> relu_features([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0]).covariance.round(4).tolist()
    [[0.3408, 0.0], [0.0, 0.3408]]
    """
    F, theta = as_array("F", F, ndim=2), as_array("theta", theta, ndim=1)
    norms = np.linalg.norm(F, axis=1)
    if F.shape[1] != theta.size or not norms.all():
        raise ValueError(
            f"F must have {theta.size} columns, as theta has entries, and no row of zeros; received shape "
            f"{F.shape} with {int((norms == 0).sum())} rows of zeros. Match them."
        )
    p = theta.size
    cosine = np.clip(F @ F.T / np.outer(norms, norms), -1, 1)
    angle = np.arccos(cosine)
    kernel = (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
    mean = norms / np.sqrt(2 * np.pi)
    covariance = np.outer(norms, norms) * kernel - np.outer(mean, mean)

    def draw(rng, n):
        x = rng.standard_normal((n, p))
        return np.maximum(x @ F.T, 0) - mean, x @ theta / np.sqrt(p)

    return Features(covariance, F @ theta / (2 * np.sqrt(p)), float(theta @ theta / p), draw)


def sampled_features(v, nu) -> Features:
    """A data set as the whole population: draws are rows without replacement, moments are its averages.

    The moments are those of all N items, drawn or not, and d features can fit N labels in part by chance:
    what the theory predicts from them is an error over all N, and it is too optimistic for items that were
    not drawn unless d is small beside N.

    Parameters
    ----------
    v : array_like, shape (N, d)
        Features of every item; they are centred here.
    nu : array_like, shape (N,)
        What the label is made from; for ridge the label itself. Centred here.

    Returns
    -------
    Features
        With the moments of the N items; ``draw`` refuses more than N, ``split`` also returns the others.

    Raises
    ------
    ValueError
        When shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.statics.features import sampled_features
    >>> sampled_features([[0.0], [2.0]], [-1.0, 1.0]).alignment.tolist()
    [1.0]
    """
    v, nu = as_array("v", v, ndim=2), as_array("nu", nu, ndim=1)
    if len(v) != len(nu) or not len(v):
        raise ValueError(
            f"nu must have one entry for each row of v; received {len(nu)} for {len(v)} rows. Match them."
        )
    v, nu = v - v.mean(axis=0), nu - nu.mean()

    def split(rng, n):
        rows = rng.choice(len(v), size=as_count("n", n, most=len(v)), replace=False)
        others = np.delete(np.arange(len(v)), rows)
        return (v[rows], nu[rows]), (v[others], nu[others])

    def draw(rng, n):
        return split(rng, n)[0]

    return Features(v.T @ v / len(v), v.T @ nu / len(v), float(nu @ nu / len(v)), draw, split)
