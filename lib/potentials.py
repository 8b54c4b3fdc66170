"""The geometries: convex potentials φ whose mirror map ∇φ turns a gradient flow into a mirror flow.

Notation (003, Theorem 5.3; Pesme, Pillaud-Vivien & Flammarion 2021). β ∈ ℝᵈ the predictor, α > 0 the
size of the initial weights, one number or one for each coordinate, stored as log α because α² is not a
floating-point number when α = 1e-300. z = ∇φ(β) the mirror coordinate, φ* the conjugate. All maps act on
the last axis as coordinates, so an array of replicas (R, d) goes through unchanged; ``value`` and
``conjugate`` sum over it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.records import as_array, as_log_alpha


@dataclass(frozen=True)
class HyperbolicEntropy:
    r"""φ_α(β) = ¼ Σⱼ [βⱼ arcsinh(βⱼ/2αⱼ²) − √(βⱼ² + 4αⱼ⁴)], the geometry of β = w₊² − w₋², w±(0) = α.

    Minimising it under Xβ = y gives the point that gradient flow on the weights picks (003, Theorem 5.3).
    As a selector it goes from weighted ℓ₂ (α → ∞) to ℓ₁ (α → 0).

    Parameters
    ----------
    log_alpha : float or array_like, shape (d,)
        log α of the initial weights; any finite number.

    Raises
    ------
    ValueError
        When log α is not finite, or has more than one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.potentials import HyperbolicEntropy
    >>> phi = HyperbolicEntropy(np.log(0.1))
    >>> bool(np.allclose(phi.inverse_mirror(phi.mirror([1.0, -2.0])), [1.0, -2.0]))
    True
    """

    log_alpha: float | np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "log_alpha", as_array("log_alpha", self.log_alpha, ndim=(0, 1)))

    def value(self, beta):
        """φ_α(β), summed over the last axis.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (...)
            The potential; φ_α(0) = −½ Σ α².
        """
        beta, log_alpha = self._pair("beta", beta)
        root = np.hypot(beta, 2 * np.exp(2 * log_alpha))
        return (beta * self._arcsinh(beta, log_alpha) - root).sum(-1) / 4

    def mirror(self, beta):
        """∇φ_α(β) = ¼ arcsinh(β/2α²).

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (..., d)
            Mirror coordinates z.
        """
        beta, log_alpha = self._pair("beta", beta)
        return self._arcsinh(beta, log_alpha) / 4

    def inverse_mirror(self, z):
        """∇φ*_α(z) = 2α² sinh(4z), the inverse of ``mirror``.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (..., d)
            Predictor β.
        """
        z, log_alpha = self._pair("z", z)
        return scaled_sinh(2 * log_alpha, 4 * z)

    def conjugate(self, z):
        """φ*_α(z) = ½ Σⱼ αⱼ² cosh(4zⱼ), summed over the last axis.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (...)
            The conjugate; φ(β) + φ*(z) = ⟨β, z⟩ exactly when z = ∇φ(β).
        """
        z, log_alpha = self._pair("z", z)
        return (np.exp(2 * log_alpha + 4 * z) + np.exp(2 * log_alpha - 4 * z)).sum(-1) / 4

    def _pair(self, name, value):
        value = as_array(name, value)
        if value.ndim == 0:
            raise ValueError(
                f"{name} must have coordinates on its last axis; received the number {value}. Pass [value]."
            )
        return value, as_log_alpha(self.log_alpha, value.shape[-1])

    @staticmethod
    def _arcsinh(beta, log_alpha):
        # arcsinh(β/2α²) = sign(β) [log(|β| + √(β² + 4α⁴)) − log 2α²]: no quotient, hence no overflow; the
        # plain form where |β| ≤ 2α², where the difference of logarithms would cancel.
        log_two_alpha2 = np.log(2.0) + 2 * log_alpha
        size = np.abs(beta)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
            log_ratio = np.log(size) - log_two_alpha2
            small = np.arcsinh(np.exp(np.minimum(log_ratio, 0.0)))
            large = (
                np.log(size) + np.log1p(np.hypot(1.0, np.exp(-np.maximum(log_ratio, 0.0)))) - log_two_alpha2
            )
        return np.sign(beta) * np.where(log_ratio <= 0, small, np.where(size > 0, large, 0.0))


@dataclass(frozen=True)
class NegativeEntropy:
    r"""ψ_α(β) = ¼ Σⱼ [βⱼ log(βⱼ/αⱼ²) − βⱼ] on β ≥ 0, the geometry of the positive network β = w², w(0) = α.

    The start is β₀ = α² (mirror coordinate 0). As α → 0 it selects least ℓ₁ among β ≥ 0; as α → ∞ it does
    *not* select least ℓ₂ (see the errata page).

    Parameters
    ----------
    log_alpha : float or array_like, shape (d,)
        log α of the initial weights; any finite number.

    Raises
    ------
    ValueError
        When log α is not finite, or a β with a negative entry is given.

    Examples
    --------
    >>> from lib.potentials import NegativeEntropy
    >>> psi = NegativeEntropy(0.0)
    >>> psi.mirror([1.0]).tolist()
    [0.0]
    """

    log_alpha: float | np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "log_alpha", as_array("log_alpha", self.log_alpha, ndim=(0, 1)))

    def value(self, beta):
        """ψ_α(β), summed over the last axis; 0 log 0 = 0.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor, no entry negative.

        Returns
        -------
        ndarray, shape (...)
            The potential; its minimum is ψ_α(α²) = −¼ Σ α².
        """
        beta, log_alpha = self._positive(beta)
        logarithm = np.log(np.where(beta > 0, beta, 1.0)) - 2 * log_alpha
        return (np.where(beta > 0, beta * logarithm, 0.0) - beta).sum(-1) / 4

    def mirror(self, beta):
        """∇ψ_α(β) = ¼ log(β/α²).

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor, every entry positive.

        Returns
        -------
        ndarray, shape (..., d)
            Mirror coordinates z.
        """
        beta, log_alpha = self._positive(beta)
        if (beta == 0).any():
            raise ValueError(
                "beta must be positive: the mirror map of 0 is −∞; received a 0. Start inside the orthant."
            )
        return (np.log(beta) - 2 * log_alpha) / 4

    def inverse_mirror(self, z):
        """∇ψ*_α(z) = α² e^{4z}, the inverse of ``mirror``.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (..., d)
            Predictor β.
        """
        z, log_alpha = HyperbolicEntropy._pair(self, "z", z)
        return np.exp(2 * log_alpha + 4 * z)

    def conjugate(self, z):
        """ψ*_α(z) = ¼ Σⱼ αⱼ² e^{4zⱼ}, summed over the last axis.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (...)
            The conjugate.
        """
        return self.inverse_mirror(z).sum(-1) / 4

    def _positive(self, beta):
        beta, log_alpha = HyperbolicEntropy._pair(self, "beta", beta)
        if (beta < 0).any():
            raise ValueError(
                f"beta must have no negative entry; received {beta.min()}. "
                "Use HyperbolicEntropy for signed predictors."
            )
        return beta, log_alpha


@dataclass(frozen=True)
class SquaredNorm:
    """φ(β) = ½ ‖β‖², the geometry of a linear model: the mirror map is the identity.

    Examples
    --------
    >>> from lib.potentials import SquaredNorm
    >>> float(SquaredNorm().value([3.0, 4.0]))
    12.5
    """

    def value(self, beta):
        """½ ‖β‖², summed over the last axis.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (...)
            The potential.
        """
        beta = as_array("beta", beta)
        return (beta * beta).sum(-1) / 2

    def mirror(self, beta):
        """∇φ(β) = β.

        Parameters
        ----------
        beta : array_like, shape (..., d)
            Predictor.

        Returns
        -------
        ndarray, shape (..., d)
            The same numbers.
        """
        return as_array("beta", beta)

    def inverse_mirror(self, z):
        """∇φ*(z) = z.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (..., d)
            The same numbers.
        """
        return as_array("z", z)

    def conjugate(self, z):
        """½ ‖z‖², summed over the last axis.

        Parameters
        ----------
        z : array_like, shape (..., d)
            Mirror coordinates.

        Returns
        -------
        ndarray, shape (...)
            The conjugate.
        """
        return self.value(z)


def as_potential(potential):
    """Take a potential as it is if it has the four maps, or say which one is missing.

    Parameters
    ----------
    potential : object
        One of this module's, or the reader's own: ``value(beta)``, ``mirror(beta)``, ``inverse_mirror(z)``
        and ``conjugate(z)``.

    Returns
    -------
    object
        The same potential.

    Raises
    ------
    TypeError
        When a method is missing, or a class was passed instead of an object.

    Examples
    --------
    >>> from lib.potentials import SquaredNorm, as_potential
    >>> as_potential(SquaredNorm())
    SquaredNorm()
    """
    needed = ("value", "mirror", "inverse_mirror", "conjugate")
    missing = [name for name in needed if not callable(getattr(potential, name, None))]
    if missing or isinstance(potential, type):
        received = (
            f"the class {potential.__name__}" if isinstance(potential, type) else type(potential).__name__
        )
        lack = f", which has no {', '.join(missing)}" if missing else ""
        raise TypeError(
            "potential must be an object with value, mirror, inverse_mirror and conjugate; received "
            f"{received}{lack}. Take one from lib.potentials, or write these four maps."
        )
    return potential


def level_radius(potential, level, directions):
    """How far each ray from 0 goes before φ reaches ``level``: the radius ρ with φ(ρ·direction) = level.

    For a potential that is least at 0 (hyperbolic entropy, squared norm) φ increases along rays, so the
    radius is found by bisection, all rays at once.

    Parameters
    ----------
    potential : HyperbolicEntropy or SquaredNorm
        The geometry.
    level : float
        A value above φ(0).
    directions : array_like, shape (..., d)
        One direction for each ray, not 0.

    Returns
    -------
    ndarray, shape (...)
        The radii, to full precision.

    Raises
    ------
    ValueError
        When the level is not above φ(0), or a direction is 0.

    Examples
    --------
    >>> from lib.potentials import SquaredNorm, level_radius
    >>> round(float(level_radius(SquaredNorm(), 2.0, [0.0, 1.0])), 9)
    2.0
    """
    directions = as_array("directions", directions)
    level = float(as_array("level", level, ndim=0))
    if not (directions != 0).any(-1).all():
        raise ValueError(
            "directions must not be 0: a ray needs a direction; received a row of zeros. Drop it."
        )
    if level <= (lowest := float(potential.value(np.zeros(directions.shape[-1])))):
        raise ValueError(f"level must be above φ(0) = {lowest}; received {level}. No ray reaches it.")
    low, high = np.zeros(directions.shape[:-1]), np.ones(directions.shape[:-1])
    while (short := potential.value(high[..., None] * directions) < level).any():
        high = np.where(short, 2 * high, high)
    for _ in range(60):  # bisection to the last bit of the doubled bracket
        middle = (low + high) / 2
        inside = potential.value(middle[..., None] * directions) < level
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return (low + high) / 2


def scaled_sinh(log_scale, t):
    """Evaluate 2 e^{log_scale} sinh(t), in logs where |t| ≥ 1: no early overflow, full accuracy near t = 0.

    Parameters
    ----------
    log_scale : float or ndarray
        Logarithm of the factor; broadcasts with ``t``.
    t : float or ndarray
        Argument.

    Returns
    -------
    ndarray
        The values.

    Examples
    --------
    >>> from lib.potentials import scaled_sinh
    >>> f"{scaled_sinh(-1400.0, 1400.0):.3g}"
    '1'
    """
    small = np.abs(t) < 1
    with np.errstate(over="ignore", under="ignore"):
        large = np.exp(log_scale + t) - np.exp(log_scale - t)
        return np.where(small, 2 * np.exp(log_scale) * np.sinh(np.where(small, t, 0.0)), large)
