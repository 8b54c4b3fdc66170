"""256 replicas, each with its own α∞, n = 40, d = 100: all at once against one by one (C'').

The α∞ are those of 256 paths of the stochastic gradient flow, as when its limits are wanted.
"""

import numpy as np

from benchmarks.diffusion import ours as stochastic_flow
from benchmarks.timing import Contender, compare
from lib.bias import minimise, minimise_many
from lib.potentials import HyperbolicEntropy
from lib.problems import sparse_regression

REPLICAS = 256


def rows():
    """Time of one replica."""
    problem = sparse_regression(40, 100, 5, rng=1)
    data = problem.X, problem.y
    log_alpha = stochastic_flow(problem, 0.02, 20.0, 0, REPLICAS).log_alpha_effective

    def one_by_one():
        return [minimise(HyperbolicEntropy(row), *data) for row in log_alpha]

    def at_once():
        return minimise_many(log_alpha, *data)

    many, singles = at_once().raise_if_failed(), [one.raise_if_failed() for one in one_by_one()]
    off = np.abs(many.beta - [one.beta for one in singles]).max()
    accuracy = f"res {many.residual.max():.0e} gap {many.gap.max():.0e} apart {off:.0e}"
    theirs = f"res {max(one.residual for one in singles):.0e} gap {max(one.gap for one in singles):.0e}"
    work = Contender("ours", at_once, REPLICAS, accuracy)
    peer = Contender("bias.minimise one by one", one_by_one, REPLICAS, theirs)
    return compare("C''", work, [peer], {peer.name: 0.25})
