"""Limits of 1,000 runs of SGD and 1,000 of the stochastic flow, n = 40, d = 100: finished by the solver (G).

Ours stops at time 60, where the loss is about 1e-4 of its start, and finishes every run from its last state
with the batched solver. The peer makes the same runs and waits, to time 600; its time is that of 64 runs of
each, counted by the run. γ = 0.02, α = 0.1. All of ours, 2,000 limits, is meant to take less than 60 s.
"""

import numpy as np

from benchmarks.timing import Contender, compare, cpu_seconds, duration
from lib.bias import limit
from lib.descent import stochastic_gradient_descent
from lib.diffusions import stochastic_gradient_flow
from lib.problems import sparse_regression

PHYSICS = {"log_alpha": np.log(0.1), "step_size": 0.02, "record": 2}
RUNS, FEW = 1000, 64


def runs(problem, horizon, replicas):
    """Runs of both, to the horizon."""
    data = problem.X, problem.y
    steps = round(horizon / PHYSICS["step_size"])
    sgd = stochastic_gradient_descent(*data, **PHYSICS, steps=steps, replicas=replicas, rng=1)
    sgf = stochastic_gradient_flow(
        *data, **PHYSICS, dt=PHYSICS["step_size"], horizon=horizon, replicas=replicas, rng=2
    )
    return sgd.raise_if_failed(), sgf.raise_if_failed()


def finished(problem, horizon, replicas):
    """Their limits, (2, R, d)."""
    found = [limit(run, problem.X, problem.y) for run in runs(problem, horizon, replicas)]
    return np.stack([solution.raise_if_failed().beta for solution in found])


def rows():
    """Time of one limit."""
    problem = sparse_regression(40, 100, 5, rng=1)
    seconds, ours = cpu_seconds(lambda: finished(problem, 60.0, RUNS))
    waiting, (sgd, sgf) = cpu_seconds(lambda: runs(problem, 600.0, FEW))
    theirs = np.stack([sgd.beta, sgf.beta])
    # the same streams: the first 64 of 1,000 runs are the 64, so the limits can be compared run by run
    off = np.linalg.norm(ours[:, :FEW] - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
    left = np.linalg.norm(problem.X @ theirs[..., None] - problem.y[:, None], axis=-2).max()
    work = Contender(
        "ours", None, 2 * RUNS, f"2,000 limits in {duration(seconds)}, off {off.max():.0e}", seconds=seconds
    )
    peer = Contender(
        "waiting for the loss",
        lambda: None,
        2 * FEW,
        f"residual {left / np.linalg.norm(problem.y):.0e}",
        seconds=waiting,
    )
    return compare("G", work, [peer], {peer.name: 0.2}, rounds=1, seconds=0.0)
