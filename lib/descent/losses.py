"""Losses of one sample: ℓ(r) of the residual r = ⟨β, x⟩ − y, with its slope and its largest curvature.

Notation (002, Pesme's slides, "Simplest example: linear regression"). L(β) = (1/n) Σ ℓ(⟨β, xᵢ⟩ − yᵢ), whose
gradient (1/n) Xᵀℓ′(Xβ − y) lies in the row space of X whatever ℓ is. What decides whether a run can end
elsewhere than on Xβ = y is the number of roots of the *slope* ℓ′: one for the first three losses below,
several for ``rastrigin``, although its value has the single root 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lib.records import as_positive

__all__ = ["CAUCHY", "LOG_COSH", "SQUARED", "Loss", "as_loss", "rastrigin"]


@dataclass(frozen=True)
class Loss:
    """A loss of one sample, as a function of its residual.

    Parameters
    ----------
    value : callable
        ℓ, elementwise on arrays of any shape.
    slope : callable
        ℓ′, elementwise.
    curvature : float
        Largest value of ℓ″, which sets the largest stable step; greater than 0.
    name : str, optional
        What it is called when shown.

    Raises
    ------
    ValueError
        When the curvature is not finite and positive.
    TypeError
        When value or slope is no function, or the curvature no number.

    Examples
    --------
    >>> from lib.descent.losses import Loss
    >>> quarter = Loss(lambda r: r**2 / 4, lambda r: r / 2, 0.5)
    >>> quarter.slope(3.0)
    1.5
    """

    value: Callable
    slope: Callable
    curvature: float
    name: str = "own"

    def __post_init__(self):
        for name in ("value", "slope"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"{name} must be a function of the residual; received {getattr(self, name)!r:.60}. "
                    "Pass for example numpy.tanh."
                )
        object.__setattr__(self, "curvature", as_positive("curvature", self.curvature))

    def __repr__(self):
        return f"Loss({self.name!r})"


SQUARED = Loss(lambda r: r**2 / 2, lambda r: r, 1.0, "squared")
"""ℓ(r) = r²/2, so that L is ‖Xβ − y‖²/2n."""

LOG_COSH = Loss(lambda r: np.logaddexp(r, -r) - np.log(2.0), np.tanh, 1.0, "log cosh")
"""ℓ(r) = log cosh r: convex, a square near 0 and |r| far away."""

CAUCHY = Loss(lambda r: np.log1p(r**2) / 2, lambda r: r / (1 + r**2), 1.0, "Cauchy")
"""ℓ(r) = ½ log(1 + r²): not convex, ℓ″ < 0 for |r| > 1, and yet ℓ′(r) = 0 at r = 0 only."""


def rastrigin(height, wavelength=1.0) -> Loss:
    """ℓ(r) = r²/2 + h(1 − cos 2πr/λ): zero at r = 0 only, but with further dips near multiples of λ.

    Parameters
    ----------
    height : float
        h > 0; dips appear from h of about 0.117 λ² on.
    wavelength : float, optional
        λ > 0, the distance between two dips.

    Returns
    -------
    Loss
        Its curvature is 1 + h(2π/λ)².

    Raises
    ------
    ValueError
        When height or wavelength is not positive.

    References
    ----------
    Rastrigin's test function of global optimisation, in one variable.

    Examples
    --------
    >>> from lib.descent.losses import rastrigin
    >>> float(rastrigin(0.5).value(1.0))
    0.5
    """
    h, wave = as_positive("height", height), 2 * np.pi / as_positive("wavelength", wavelength)
    return Loss(
        lambda r: r**2 / 2 + h * (1 - np.cos(wave * r)),
        lambda r: r + h * wave * np.sin(wave * r),
        1 + h * wave**2,
        "Rastrigin",
    )


def as_loss(loss) -> Loss:
    """The loss itself, or a sentence.

    Parameters
    ----------
    loss : Loss
        What was received.

    Returns
    -------
    Loss
        The same.

    Raises
    ------
    TypeError
        When it is no ``Loss``.

    Examples
    --------
    >>> from lib.descent.losses import SQUARED, as_loss
    >>> as_loss(SQUARED).curvature
    1.0
    """
    if not isinstance(loss, Loss):
        raise TypeError(
            f"loss must be a Loss; received {loss!r:.60}. Take one from lib.descent.losses, or make one with "
            "Loss(value, slope, curvature)."
        )
    return loss
