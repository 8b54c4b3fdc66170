"""Mirror flow to a relative residual of 1e-8, n = 40, d = 100, α = 1e-1, 1e-2, 1e-4, 1e-8 (D).

Ours integrates n dual numbers and ∫L. The peer is SciPy's LSODA on the 2d weights, dw± = ∓w± ⊙ Xᵀr/n, at the
same relative tolerance 1e-9, absolute tolerance 1e-9 of the first weights (they have to be right while they
are small: they decide when a coordinate escapes), its own Jacobian by differences, the same residual. With a
fixed 1e-12 instead it needs as long or longer. With both tolerances 100 times looser it needs .6 to .8 of the
time and its end is as close, for the flow forgets much of its way; but then the way, which ours keeps to
1e-9 together with ∫L, is as much less accurate. The accuracies are residual and, for both, distance to
the certified minimiser.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.integrate import LSODA

from benchmarks.timing import Contender, compare, cpu_seconds
from lib.bias import minimise
from lib.flows import mirror_flow
from lib.potentials import HyperbolicEntropy
from lib.problems import sparse_regression

RESIDUAL, MOST_STEPS = 1e-8, 100_000
TARGETS = {1e-1: 0.4, 1e-2: 0.3, 1e-4: 0.2, 1e-8: 0.15}
PEER = "SciPy LSODA on weights"


@dataclass(frozen=True)
class End:
    """Where the peer stopped: β, and whether that was at the residual."""

    beta: np.ndarray
    reached: bool


def lsoda_on_weights(X, y, log_alpha, residual=RESIDUAL):
    """Gradient flow of (w₊, w₋) by LSODA, step by step until ‖Xβ − y‖ ≤ residual·‖y‖."""
    n, d = X.shape
    goal = residual * np.linalg.norm(y)

    def rate(t, w):
        pull = X.T @ (X @ (w[:d] ** 2 - w[d:] ** 2) - y) / n
        return np.concatenate([-w[:d] * pull, w[d:] * pull])

    solver = LSODA(
        rate, 0.0, np.full(2 * d, np.exp(log_alpha)), 1e300, rtol=1e-9, atol=1e-9 * np.exp(log_alpha)
    )
    for _ in range(MOST_STEPS):
        solver.step()
        beta = solver.y[:d] ** 2 - solver.y[d:] ** 2
        if solver.status == "failed" or not np.linalg.norm(X @ beta - y) > goal:
            break
    return End(beta, bool(np.linalg.norm(X @ beta - y) <= goal))


def field(problem, alpha):
    """Ours and the peer on one α, each with what it reached."""
    potential = HyperbolicEntropy(np.log(alpha))
    best = minimise(potential, problem.X, problem.y).raise_if_failed().beta

    def reached(beta):
        left = np.linalg.norm(problem.X @ beta - problem.y) / np.linalg.norm(problem.y)
        return f"res {left:.0e} off {np.linalg.norm(beta - best) / np.linalg.norm(best):.0e}"

    run = partial(mirror_flow, potential, problem.X, problem.y, tolerance=RESIDUAL)
    ours = Contender("ours", run, accuracy=reached(run().raise_if_failed().beta[0]))
    work = partial(lsoda_on_weights, problem.X, problem.y, np.log(alpha))
    seconds, end = cpu_seconds(work)
    accuracy = reached(end.beta) + ("" if end.reached else " FAILS")
    once = seconds if seconds > 5 else None
    return ours, Contender(PEER, work, accuracy=accuracy, seconds=once)


def rows():
    """Time of one flow."""
    problem, found = sparse_regression(40, 100, 5, rng=1), []
    for alpha, target in TARGETS.items():
        ours, peer = field(problem, alpha)
        found += compare(f"D α = {alpha:g}", ours, [peer], {PEER: target})
    return found
