"""The theorem along the flow: is β(t) the minimiser of φ_{α_s} among the points with its predictions? (B')

Relative distance between β at the end of a path and the certified minimiser at log α_s = log α − 2γDs with
Xβ = Xβ(t), the worst of 8 paths: for ours at five steps dt, for the peers in the weights at the usual one.
These are errors, not times: the column "ratio" repeats ours.
"""

import numpy as np

from benchmarks import weights
from benchmarks.diffusion import DT, PHYSICS, ours
from benchmarks.timing import MISSING, Row, installed, line
from lib.bias import minimise
from lib.potentials import HyperbolicEntropy
from lib.problems import sparse_regression

PATHS, HORIZON, STEPS_TRIED = 8, 20.0, (0.005, 0.02, 0.05, 0.2, 0.5)
TARGET = 1e-12


def worst(problem, beta, log_alpha):
    """The largest relative distance to the minimiser over the paths."""
    errors = []
    for path, shrunk in zip(beta, log_alpha, strict=True):
        chosen = minimise(HyperbolicEntropy(shrunk), problem.X, problem.X @ path).raise_if_failed().beta
        errors.append(np.linalg.norm(path - chosen) / np.linalg.norm(chosen))
    return max(errors)


def rows():
    """Errors of ours and of the peers."""
    problem = sparse_regression(40, 100, 5, rng=1)
    runs = [ours(problem, dt, HORIZON, 0, PATHS) for dt in STEPS_TRIED]
    errors = [worst(problem, run.beta, run.log_alpha_effective) for run in runs]
    found = []
    for name, build, packages in weights.PEERS:
        theirs = MISSING
        if installed(*packages):
            w_plus, w_minus, s = build(problem, PHYSICS, DT, round(HORIZON / DT), PATHS)()
            log_alpha = PHYSICS["log_alpha"] - 2 * PHYSICS["step_size"] * problem.D * np.asarray(s)[:, None]
            theirs = f"{worst(problem, np.asarray(w_plus**2 - w_minus**2), log_alpha):.1e}"
        found.append(Row("B' relative error", f"{max(errors):.1e}", name, theirs, max(errors), TARGET))
    print(f"   ours at dt = {STEPS_TRIED}: " + ", ".join(f"{error:.1e}" for error in errors))
    print("\n".join("   " + line(row) for row in found))
    return found
