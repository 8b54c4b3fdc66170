"""SGD on the diagonal network, n = 40, d = 100, batches of one, 256 replicas (A) and one replica (A1).

Two works: the iterates alone; the same with all n residuals at every step, for ∫L. Peers: the loop over one
path as in published code, in NumPy; jax, a scan over the steps and vmap over the replicas, samples drawn
beforehand (a key for every step takes half as long again). Everybody draws samples; agreement is checked on
the same ones. One replica alone is what arrays over replicas are not made for: there a compiled loop wins.
"""

from functools import partial
from itertools import count

import numpy as np

from benchmarks.timing import Contender, compare, compiled, installed
from lib.descent import sample_indices, stochastic_gradient_descent
from lib.problems import sparse_regression

LOG_ALPHA, STEP_SIZE = np.log(0.1), 0.01
# (workload, replicas, steps, ∫L or not, targets)
WORKS = (
    ("A", 256, 4000, False, {"published loop": 0.05, "jax scan + vmap": 1.05}),
    ("A with ∫L", 256, 4000, True, {"published loop": 0.05, "jax scan + vmap": 1.05}),
    ("A1 one replica", 1, 4000, False, {"published loop": 0.5}),
)


def published_loop(X, y, index, integrate):
    """One path, one step at a time."""
    n, d = X.shape
    w_plus, w_minus = np.full(d, np.exp(LOG_ALPHA)), np.full(d, np.exp(LOG_ALPHA))
    integral = 0.0
    for i in index:
        beta = w_plus**2 - w_minus**2
        if integrate:
            integral += STEP_SIZE * np.sum((X @ beta - y) ** 2) / (4 * n)
        gradient = (X[i] @ beta - y[i]) * X[i]
        w_plus = w_plus - STEP_SIZE * gradient * w_plus
        w_minus = w_minus + STEP_SIZE * gradient * w_minus
    return w_plus**2 - w_minus**2, integral


def scan_and_vmap(X, y, integrate):
    """The same in jax: a function of the samples (R, steps)."""
    import jax
    import jax.numpy as jnp

    n, d = X.shape
    X, y = jnp.asarray(X), jnp.asarray(y)

    def step(state, i):
        w_plus, w_minus, integral = state
        beta = w_plus**2 - w_minus**2
        if integrate:
            residual = X @ beta - y
            integral = integral + STEP_SIZE * jnp.sum(residual**2) / (4 * n)
            gradient = residual[i] * X[i]
        else:
            gradient = (X[i] @ beta - y[i]) * X[i]
        return (w_plus * (1 - STEP_SIZE * gradient), w_minus * (1 + STEP_SIZE * gradient), integral), None

    def path(index):
        alpha = jnp.full(d, jnp.exp(LOG_ALPHA))
        (w_plus, w_minus, integral), _ = jax.lax.scan(step, (alpha, alpha, 0.0), index)
        return w_plus**2 - w_minus**2, integral

    return jax.vmap(path)


def contest(workload, replicas, steps, integrate, targets):
    """Time ours and the peers at one work."""
    problem = sparse_regression(40, 100, 5, rng=1)
    physics = {"log_alpha": LOG_ALPHA, "step_size": STEP_SIZE, "steps": steps, "replicas": replicas}
    run = partial(
        stochastic_gradient_descent, problem.X, problem.y, **physics, record=2, integrate_loss=integrate
    )
    index = sample_indices(problem.n, steps, replicas=replicas, rng=0)[..., 0]
    same = run(rng=0)

    def check(beta, integral):
        text = f"off β {relative(beta, same.beta):.0e}"
        return text + f", ∫L {relative(integral, same.loss_integral):.0e}" if integrate else text

    peers = [
        loop_peer(problem, steps, integrate, index[0], check),
        jax_peer(problem, integrate, index, check),
    ]
    return compare(workload, Contender("ours", partial(run, rng=1), replicas * steps), peers, targets)


def loop_peer(problem, steps, integrate, index, check):
    """The loop over one path, checked on the samples ``index``."""
    path = partial(published_loop, problem.X, problem.y, integrate=integrate)
    rng = np.random.default_rng(0)

    def work():
        return path(rng.integers(problem.n, size=steps))

    accuracy = check(*(np.array([part]) for part in path(index)))
    return Contender("published loop", work, steps, accuracy)


def jax_peer(problem, integrate, index, check):
    """The jax contender, checked on the samples ``index``."""
    if not installed("jax"):
        return Contender("jax scan + vmap", None)
    import jax

    walk = scan_and_vmap(problem.X, problem.y, integrate)
    run = jax.jit(lambda key: walk(jax.random.randint(key, index.shape, 0, problem.n)))
    seeds = count()

    def work():
        return jax.block_until_ready(run(jax.random.key(next(seeds))))

    return Contender("jax scan + vmap", work, index.size, check(*jax.jit(walk)(index)), compiled(work))


def relative(a, b):
    """Largest difference over the largest entry, for the replicas that a has."""
    a, b = np.asarray(a), b[: len(a)]
    return float(np.abs(a - b).max() / np.abs(b).max())


def rows():
    """Time per step of one replica."""
    return [row for work in WORKS for row in contest(*work)]
