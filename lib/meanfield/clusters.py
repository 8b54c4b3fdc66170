"""Three Gaussian clouds, two classes: a mixture whose loss is not convex, for theory and simulation alike.

Notation (Mignacco, Krzakala, Urbani & Zdeborová 2020, the three-cluster mixture). With |v|² = N a sample is
x = c v/√N + √Δ z, where c = 0 with probability ½ and c = ±1 with ¼ each. The middle cloud has the label
y = −1, the outer two have y = +1: no hyperplane separates them. The preactivation h = w·x/√N is compared
with a threshold, ŷ = sign(h² − L²), and the loss is l(h) = log(1 + e^{−y(h² − L²)}), even in w and so not
convex.
The energy is a sum over samples; steps, batches and clock are those of ``mixtures``.

    w ← (1 − ηλ)w − η Σ_μ s_μ(k) l′(h_μ) x_μ/√N,        w(0) = m₀ v + √R₀ g,  g ~ N(0, I).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf, expit

from lib.batches import Batches
from lib.ensembles import streams
from lib.records import CONVERGED, DIVERGED, Record, as_count, as_positive

__all__ = ["ClusterRuns", "ThreeClusters", "simulate_three_clusters"]


@dataclass(frozen=True, kw_only=True)
class ClusterRuns(Record):
    """Curves of replicas at the times k = 0, …, T.

    Parameters
    ----------
    magnetisation : ndarray, shape (R, T + 1)
        m = w·v/N.
    norm : ndarray, shape (R, T + 1)
        C = |w|²/N, with the part along v.
    training_loss, training_error, test_error : ndarray, shape (R, T + 1)
        Means over all samples, in the batch or not, and the probability of a wrong label on a new sample.
    status : ndarray of int, shape (R,)
        0 where every number is finite.
    message : str
        What happened otherwise, and the remedy.
    """

    magnetisation: np.ndarray
    norm: np.ndarray
    training_loss: np.ndarray
    training_error: np.ndarray
    test_error: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ThreeClusters:
    """The problem as three functions, which is what ``effective_process.solve`` takes.

    Parameters
    ----------
    noise_variance : float
        Δ.
    threshold : float
        L.

    Raises
    ------
    ValueError, TypeError
        When an argument is not positive.

    Examples
    --------
    >>> from lib.meanfield.clusters import ThreeClusters
    >>> from lib.meanfield.process import solve
    >>> problem = ThreeClusters(noise_variance=0.1, threshold=0.7)
    >>> found = solve(problem.draw, problem.slopes, problem.watch, alpha=3, noise_variance=0.1, ridge=0.1,
    ...     batch_fraction=0.5, step_size=0.1, steps=20, start_overlap=0.3, samples=2000, rng=0)
    >>> found.magnetisation[0, -1].round(1).item()
    1.0
    """

    noise_variance: float
    threshold: float

    def __post_init__(self):
        as_positive("noise_variance", self.noise_variance)
        as_positive("threshold", self.threshold)

    def centres(self, generator, count) -> np.ndarray:
        """Draw c ∈ {−1, 0, 0, 1} for each sample.

        Parameters
        ----------
        generator : numpy Generator
            Source of the draw.
        count : int
            How many samples.

        Returns
        -------
        ndarray
            c.
        """
        return np.array([-1.0, 0.0, 0.0, 1.0])[generator.integers(0, 4, count)]

    def draw(self, generator, count) -> tuple[np.ndarray, np.ndarray]:
        """Components along v, and labels.

        Parameters
        ----------
        generator : numpy Generator
            Source of the draw.
        count : int
            How many samples.

        Returns
        -------
        tuple of ndarray
            a = c + √Δ z and y = ±1.
        """
        c = self.centres(generator, count)
        return c + self.noise_variance**0.5 * generator.standard_normal(count), self.label(c)

    def label(self, c) -> np.ndarray:
        """Class of a cloud.

        Parameters
        ----------
        c : ndarray
            Centres.

        Returns
        -------
        ndarray
            −1 in the middle, +1 outside.
        """
        return 2.0 * np.abs(c) - 1.0

    def slopes(self, h, y) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivative of the loss.

        Parameters
        ----------
        h : ndarray
            Preactivations.
        y : ndarray
            Labels.

        Returns
        -------
        tuple of ndarray
            l′ = −2yh p and l″ = −2y p + 4h² p(1 − p), where p = 1/(1 + e^{y(h² − L²)}).
        """
        p = expit(y * (self.threshold**2 - h * h))
        return -2 * y * h * p, -2 * y * p + 4 * h * h * p * (1 - p)

    def watch(self, h, y) -> tuple[float, float]:
        """Training loss and training error.

        Parameters
        ----------
        h : ndarray
            Preactivations; averages are taken over the last axis.
        y : ndarray
            Labels.

        Returns
        -------
        tuple of float
            Mean of the loss, share of wrong labels.
        """
        u = y * (h * h - self.threshold**2)
        return np.logaddexp(0.0, -u).mean(-1), (u < 0).mean(-1)

    def test_error(self, magnetisation, norm) -> np.ndarray:
        """Probability that a new sample gets the wrong label.

        Parameters
        ----------
        magnetisation : ndarray
            m.
        norm : ndarray
            C = |w|²/N.

        Returns
        -------
        ndarray
            ½P(|√(ΔC) g| > L) + ½P(|m + √(ΔC) g| < L).
        """
        spread = np.sqrt(2 * self.noise_variance * np.asarray(norm))
        inside = [
            (erf((self.threshold - middle) / spread) + erf((self.threshold + middle) / spread)) / 2
            for middle in (0.0, np.asarray(magnetisation))
        ]
        return (1 - inside[0] + inside[1]) / 2


def simulate_three_clusters(
    *,
    dimension,
    replicas,
    alpha,
    noise_variance,
    ridge,
    batch_fraction,
    step_size,
    steps,
    threshold,
    start_overlap,
    start_variance=0.0,
    persistence=None,
    rng=None,
) -> ClusterRuns:
    """SGD on the three-cluster mixture in N dimensions.

    Every replica draws its own data, start and batches.

    Parameters
    ----------
    dimension : int
        N.
    replicas : int
        R.
    alpha : float
        α; M = round(αN) samples.
    noise_variance : float
        Δ, variance within a cloud.
    ridge : float
        λ ≥ 0.
    batch_fraction : float
        b.
    step_size : float
        η.
    steps : int
        T; time is t = kη.
    threshold : float
        L.
    start_overlap : float
        m₀. At m₀ = 0 the force along v vanishes for N → ∞.
    start_variance : float
        R₀ ≥ 0.
    persistence : float, optional
        τ; None is vanilla SGD.
    rng : int, SeedSequence or numpy Generator, optional
        Seed; the first replicas do not depend on how many follow.

    Returns
    -------
    ClusterRuns
        With leading axis R.

    Raises
    ------
    ValueError, TypeError
        When an argument has a wrong value.

    Examples
    --------
    >>> from lib.meanfield.clusters import simulate_three_clusters
    >>> runs = simulate_three_clusters(dimension=200, replicas=4, alpha=3, noise_variance=0.1, ridge=0.1,
    ...     batch_fraction=0.5, step_size=0.1, steps=20, threshold=0.7, start_overlap=0.3, rng=0)
    >>> runs.magnetisation.mean(0)[-1].round(1).item()
    1.0
    """
    problem = ThreeClusters(noise_variance=noise_variance, threshold=threshold)
    batches = Batches(batch_fraction=batch_fraction, step_size=step_size, persistence=persistence)
    N, steps = as_count("dimension", dimension), as_count("steps", steps)
    M = as_count("alpha·dimension, rounded,", round(as_positive("alpha", alpha) * N))
    shrink = 1 - step_size * as_positive("ridge", ridge, zero=True)
    spread = as_positive("start_variance", start_variance, zero=True) ** 0.5
    found = []
    for stream in streams(rng, as_count("replicas", replicas)):
        c = problem.centres(stream, M)
        x = c[:, None] / N**0.5 + noise_variance**0.5 * stream.standard_normal((M, N))  # v = (1, …, 1)
        w, y = start_overlap + spread * stream.standard_normal(N), problem.label(c)
        active, seen = batches.first(stream.random(M)), np.empty((steps + 1, 4))
        for k in range(steps + 1):
            h = x @ w / N**0.5
            seen[k] = w.mean(), w @ w / N, *problem.watch(h, y)
            w = shrink * w - step_size / N**0.5 * ((active * problem.slopes(h, y)[0]) @ x)
            active = batches.next(active, stream.random(M))
        found.append(seen)
    m, norm, loss, error = np.moveaxis(np.array(found), -1, 0)
    lost = ~np.isfinite(loss).all(1)
    told = f"{lost.sum()} of {len(lost)} replicas diverged. Choose a smaller step_size."
    return ClusterRuns(
        magnetisation=m,
        norm=norm,
        training_loss=loss,
        training_error=error,
        test_error=problem.test_error(m, norm),
        status=np.where(lost, DIVERGED, CONVERGED),
        message=told if lost.any() else "",
    )
