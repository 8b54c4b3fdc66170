"""Who is in the batch: flags redrawn at every step (vanilla SGD), or kept for a while (persistent SGD).

Notation (Mignacco, "Statistical physics insights on SGD", slides "Sampling protocols"; Mignacco, Urbani &
Zdeborová 2021). s_μ(k) ∈ {0, 1} says whether sample μ is in the batch of step k; b is the batch fraction, η
the step size (the slides' dt), τ the persistence time. Flags of different samples are independent, and

    vanilla:     s_μ(k) ~ Bernoulli(b), afresh at every k;
    persistent:  s_μ(0) ~ Bernoulli(b), then P(0 → 1) = η/τ and P(1 → 0) = (1 − b)η/(bτ).

Both have a batch of random size with mean b; a sample stays out for τ and in for bτ/(1 − b), on average, and
flags n steps apart have the correlation (1 − η/(bτ))ⁿ. Vanilla is the persistent protocol with τ = η/b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.records import as_count, as_generator, as_positive

__all__ = ["Batches", "batch_factor", "raster"]


@dataclass(frozen=True, kw_only=True)
class Batches:
    """A protocol, validated.

    Parameters
    ----------
    batch_fraction : float
        b, in (0, 1].
    step_size : float
        η, time of one step.
    persistence : float, optional
        τ, mean time a sample stays out; None is vanilla SGD.

    Raises
    ------
    ValueError
        When b is not in (0, 1], or a step is too long for the persistence time.
    TypeError
        When an argument is no number.

    Examples
    --------
    >>> from lib.batches import Batches
    >>> Batches(batch_fraction=0.5, step_size=0.1, persistence=2.0).time_in
    2.0
    """

    batch_fraction: float
    step_size: float
    persistence: float | None = None

    def __post_init__(self):
        b, step = as_positive("batch_fraction", self.batch_fraction), as_positive("step_size", self.step_size)
        if b > 1:
            raise ValueError(
                f"batch_fraction must be at most 1; received {b}. Pass the share of samples in a batch."
            )
        if self.persistence is None:
            return
        tau = as_positive("persistence", self.persistence)
        if b < 1 and max(step / tau, (1 - b) * step / (b * tau)) > 1 + 1e-12:
            least = step * max(1.0, (1 - b) / b)
            raise ValueError(
                f"persistence must be at least {least:.6g}, else a flag changes with a probability above 1 "
                f"(batch_fraction {b:g}, step_size {step:g}); received {tau:g}. Enlarge the persistence, or "
                "the batch; persistence=None redraws the flags at every step."
            )

    @property
    def switch_on(self) -> float:
        """Probability that a sample outside the batch enters at a step: η/τ, or b for vanilla."""
        if self.persistence is None or self.batch_fraction == 1:
            return float(self.batch_fraction)
        return min(self.step_size / self.persistence, 1.0)

    @property
    def switch_off(self) -> float:
        """Probability that a sample inside leaves: (1 − b)/b times that of entering."""
        return min((1 - self.batch_fraction) / self.batch_fraction * self.switch_on, 1.0)

    @property
    def time_out(self) -> float:
        """Mean time outside the batch: τ, or η/b for vanilla."""
        return self.step_size / self.switch_on

    @property
    def time_in(self) -> float:
        """Mean time inside the batch: bτ/(1 − b); infinite for the full batch."""
        return self.step_size / self.switch_off if self.switch_off > 0 else np.inf

    def correlation(self, steps) -> np.ndarray:
        """Correlation of a sample's flags at two steps.

        Parameters
        ----------
        steps : int or array_like of int
            n, how many steps apart.

        Returns
        -------
        ndarray
            (1 − η/(bτ))ⁿ; 1, 0, 0, … for vanilla.
        """
        return np.power(1.0 - self.switch_on - self.switch_off, np.asarray(steps))

    def first(self, uniform) -> np.ndarray:
        """Flags at step 0, drawn stationary.

        Parameters
        ----------
        uniform : ndarray
            One uniform number in [0, 1) a sample.

        Returns
        -------
        ndarray of bool
            s(0) = (uniform < b).
        """
        return uniform < self.batch_fraction

    def next(self, active, uniform) -> np.ndarray:
        """Flags at the next step.

        Parameters
        ----------
        active : ndarray of bool
            Flags at this step.
        uniform : ndarray
            One fresh uniform number in [0, 1) a sample.

        Returns
        -------
        ndarray of bool
            s(k + 1).
        """
        return uniform < np.where(active, uniform.dtype.type(1 - self.switch_off), self.switch_on)


def raster(samples, steps, *, batch_fraction, step_size, persistence=None, rng=None) -> np.ndarray:
    """Draw who is in the batch, step by step.

    Parameters
    ----------
    samples : int
        M.
    steps : int
        Number of steps; flags are returned for k = 0, …, steps.
    batch_fraction : float
        b, in (0, 1].
    step_size : float
        η.
    persistence : float, optional
        τ; None is vanilla SGD.
    rng : int, SeedSequence or numpy Generator, optional
        Seed.

    Returns
    -------
    ndarray of bool, shape (steps + 1, M)
        s_μ(k).

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.batches import raster
    >>> raster(4, 9, batch_fraction=1.0, step_size=0.2, rng=0).all()
    np.True_
    """
    batches = Batches(batch_fraction=batch_fraction, step_size=step_size, persistence=persistence)
    shape = as_count("steps", steps) + 1, as_count("samples", samples)
    uniform = as_generator(rng).random(shape)
    flags = np.empty(shape, dtype=bool)
    flags[0] = batches.first(uniform[0])
    for k in range(1, len(flags)):
        flags[k] = batches.next(flags[k - 1], uniform[k])
    return flags


def batch_factor(n: int, batch_size: int, *, replacement=True) -> float:
    """κ in Cov(batch gradient) = κ Σ: 1/b with replacement, (n − b)/(b(n − 1)) without.

    Parameters
    ----------
    n : int
        Number of samples.
    batch_size : int
        b, between 1 and n.
    replacement : bool, optional
        Whether a sample may enter a batch twice.

    Returns
    -------
    float
        κ; 0 for the whole data set drawn without replacement.

    Examples
    --------
    >>> from lib.batches import batch_factor
    >>> batch_factor(6, 3), batch_factor(6, 3, replacement=False)
    (0.3333333333333333, 0.2)
    """
    n = as_count("n", n)
    batch_size = as_count("batch_size", batch_size, most=n)
    return 1 / batch_size if replacement or n == 1 else (n - batch_size) / (batch_size * (n - 1))
