"""Mean-field theory of SGD, 50 steps, 20,000 effective samples: against networks, and its growth (M).

Who wants the learning curve without the theory simulates networks and averages: 18 of N = 500 give the same
error of m at the end, and both errors are shown. The peer is our own simulator, all networks at once, which
gives the response too. The rows below are the theory against itself: half the steps, a quarter of the
samples. Twice the steps are 8 times the multiplications, but only 4 times the memory.
"""

from functools import partial

from benchmarks.timing import Contender, compare
from lib.meanfield import gaussian_mixture, gaussian_mixture_runs, simulate_gaussian_mixture

PHYSICS = {"alpha": 2.0, "noise_variance": 0.5, "ridge": 0.0, "batch_fraction": 0.3, "step_size": 0.2}
PHYSICS |= {"initial_variance": 0.01, "persistence": 1 / 0.6}
STEPS, SAMPLES, NETWORKS = 50, 20_000, 18


def theory(steps=STEPS, samples=SAMPLES):
    """One run."""
    return gaussian_mixture(**PHYSICS, steps=steps, samples=samples, rng=0).raise_if_failed()


def networks(steps=STEPS):
    """The average one would take instead."""
    return simulate_gaussian_mixture(**PHYSICS, steps=steps, dimension=500, replicas=NETWORKS, rng=0)


def error(values, averaged=1):
    """Standard error of m at the end, of means over so many runs."""
    return f"s.e. of m {values[:, -1].std(ddof=1) / averaged**0.5:.1e}"


def memory(steps=STEPS, samples=SAMPLES):
    """Bytes of the tangents, nearly all there are."""
    return f"{8 * samples * steps * (steps + 1) / 2 / 1e6:.0f} MB"


def rows():
    """Time of one learning curve."""
    runs = gaussian_mixture_runs(8, **PHYSICS, steps=STEPS, samples=5000, rng=1).magnetisation
    ours = Contender("ours", theory, 1, f"{error(runs, SAMPLES / 5000)}, {memory()}")
    peer = Contender(f"{NETWORKS} networks, N = 500", networks, 1, error(networks().magnetisation, NETWORKS))
    found = compare("M", ours, [peer], {peer.name: 1.0})
    for name, steps, samples in (
        ("M half the steps", STEPS // 2, SAMPLES),
        ("M ¼ of the samples", STEPS, SAMPLES // 4),
    ):
        small = Contender(
            f"T = {steps}, K = {samples:,}", partial(theory, steps, samples), 1, memory(steps, samples)
        )
        found += compare(name, ours, [small], {})
    return found
