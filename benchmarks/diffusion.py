"""Stochastic gradient flow, n = 40, d = 100, 256 paths, Euler–Maruyama: same dt, then same strong error (B).

Ours steps the dual coordinates (n + 1 numbers a path). Peers (``weights``) integrate the same equation in
the weights: diffrax with its Euler solver, and jax alone, a scan over the steps. All draw their own noise, so
they must agree in the mean of ∫L over the paths: z is the difference in standard errors. For the second work
our step is twice as long. Strong errors are root mean squares over paths that share their Brownian motion;
the peers' is measured with jax, diffrax makes the same steps.
"""

from functools import partial

import numpy as np

from benchmarks import weights
from benchmarks.timing import Contender, compare, compiled, installed
from lib.diffusions import stochastic_gradient_flow
from lib.problems import sparse_regression

PHYSICS = {"log_alpha": np.log(0.1), "step_size": 0.02}
DT, STEPS, PATHS = 0.02, 3000, 256
FINE, SHORT = 32, 200  # for the strong error: steps of DT/32, up to time 200·DT, 32 paths


class Replayed(np.random.Generator):
    """A generator whose children, one a path, hand out the given standard normals (R, steps, n)."""

    def __init__(self, normals):
        super().__init__(np.random.PCG64(0))
        self.normals, self.used = normals, 0

    def spawn(self, count):
        return [Replayed(path) for path in self.normals[:count]]

    def standard_normal(self, size=None, dtype=np.float64, out=None):
        count = (size or out.shape)[0]
        taken = self.normals[self.used : self.used + count]
        self.used += count
        if out is None:
            return taken
        out[...] = taken
        return out


def ours(problem, dt, horizon, rng, paths):
    """The run that is timed."""
    run = partial(stochastic_gradient_flow, problem.X, problem.y, **PHYSICS, record=2)
    return run(dt=dt, horizon=horizon, rng=rng, replicas=paths)


def strong_errors(problem, paths=32):
    """Relative strong error of β at time 200·DT: ours at DT and 2·DT, the weights at DT (NaN without jax)."""
    fine = np.random.default_rng(0).standard_normal((paths, SHORT * FINE, problem.n))

    def normals(every):
        return fine.reshape(paths, -1, every, problem.n).sum(2) / np.sqrt(every)

    def dual(every):
        rng = Replayed(normals(every))
        return ours(problem, DT * every / FINE, SHORT * DT, rng, paths).beta

    exact = dual(1)

    def error(beta):
        return float(np.sqrt(np.square(beta - exact).sum() / np.square(exact).sum()))

    found = error(dual(FINE)), error(dual(2 * FINE))
    if not installed("jax"):
        return *found, np.nan
    w_plus, w_minus, _ = weights.jax_walk(problem, PHYSICS, DT)(normals(FINE).swapaxes(0, 1))
    return *found, error(np.asarray(w_plus**2 - w_minus**2))


def rows():
    """Time of one path for a stretch DT of flow time."""
    problem = sparse_regression(40, 100, 5, rng=1)
    reference = ours(problem, DT, STEPS * DT, 0, PATHS).raise_if_failed().loss_integral
    same, twice, theirs = strong_errors(problem)

    def check(integral):
        error = np.sqrt((np.var(integral) + np.var(reference)) / PATHS)
        z = (np.mean(integral) - np.mean(reference)) / error
        return f"strong {theirs:.1e}, ∫L {np.mean(integral):.2f} (z {z:.1f})"

    peers = []
    for name, build, packages in weights.PEERS:
        if not installed(*packages):
            peers.append(Contender(name, None))
            continue
        work = build(problem, PHYSICS, DT, STEPS, PATHS)
        compiling = compiled(work)
        peers.append(Contender(name, work, PATHS * STEPS, check(work()[2]), compiling))
    works = (
        ("B same dt", DT, same, {"diffrax Euler": 0.55, "jax scan": 0.75}),
        ("B same strong error", 2 * DT, twice, {}),
    )
    found = []
    for workload, dt, error, targets in works:
        run = partial(ours, problem, dt, STEPS * DT, 1, PATHS)
        work = Contender("ours", run, PATHS * STEPS, f"strong {error:.1e}, ∫L {np.mean(reference):.2f}")
        found += compare(workload, work, peers, targets)
    return found
