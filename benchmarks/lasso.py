"""The Lasso to a duality gap of 1e-14, n = 40, d = 100 (E); and label noise, which solves it too, to 1 %.

No claim of speed: what is compared is the gap that each solver reaches, always by our formula. Penalties are
shares of the largest; the hard case has neighbouring columns that are nearly equal. The last row is the flow
with label noise, averaged until its predicted relative error is 1 %: off is its distance to the solution.
"""

from functools import partial

import numpy as np

from benchmarks.timing import Contender, compare, cpu_seconds, installed
from lib.bias import lasso
from lib.bias._programs import lasso_certificate
from lib.diffusions.stationary import label_noise_law, late_means
from lib.problems import from_arrays, sparse_regression

STEP_SIZE, PATHS, PRECISION = 0.01, 1, 0.01
SHARES = (0.5, 0.1, 0.01)


def scikit_learn(X, y, penalty):
    """Coordinate descent until scikit-learn can do no better."""
    from sklearn.linear_model import Lasso

    return Lasso(alpha=penalty, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(X, y).coef_


def celer(X, y, penalty):
    """Working sets with dual extrapolation."""
    import celer

    return celer.Lasso(alpha=penalty, fit_intercept=False, tol=1e-14, max_iter=1000).fit(X, y).coef_


def label_noise(problem, law, length, label_noise):
    """Time mean of one path of the flow, after a burn-in of a fifth."""
    flow = {"log_alpha": np.log(0.3), "step_size": STEP_SIZE, "dt": 0.2, "rng": 0}
    found = late_means(
        *(problem.X, problem.y),
        burn_in=length / 5,
        length=length,
        label_noise=label_noise,
        replicas=PATHS,
        positive=False,
        **flow,
    )
    return found.beta.mean(0)


PEERS = {"scikit-learn": (scikit_learn, "scikit-learn"), "celer": (celer, "celer")}


def gap(problem, penalty, beta):
    """Relative duality gap of any β, by the formula of ``lib.bias.lasso``."""
    return lasso_certificate(problem.X, problem.y, penalty, False, beta)[1]


def field(problem, penalty):
    """Our solver and its peers on one problem, with the gap of each."""
    data = np.asfortranarray(problem.X), problem.y, penalty
    solve = partial(lasso, *data)
    ours = Contender("ours", solve, accuracy=f"gap {solve().raise_if_failed().gap:.0e}")
    peers = []
    for name, (run, package) in PEERS.items():
        if not installed(package):
            peers.append(Contender(name, None))
            continue
        accuracy = f"gap {gap(problem, penalty, run(*data)):.0e}"
        peers.append(Contender(name, partial(run, *data), accuracy=accuracy))
    return ours, peers


def noisy(problem, penalty):
    """Our solver on the weighted Lasso of label noise, and the flow that averages its way there."""
    delta = np.sqrt(penalty / (2 * STEP_SIZE))
    solve = partial(
        *(label_noise_law, problem.X, problem.y), step_size=STEP_SIZE, label_noise=delta, positive=False
    )
    law = solve().raise_if_failed()
    size = np.linalg.norm(law.beta)
    length = np.ceil(np.square(law.mean_spread).sum() / (PRECISION * size) ** 2)
    seconds, beta = cpu_seconds(partial(label_noise, problem, law, length, delta))
    accuracy = f"off {np.linalg.norm(beta - law.beta) / size:.0e}"
    ours = Contender("ours", solve, accuracy=f"gap {law.gap:.0e}")
    return ours, [Contender("label-noise flow", partial(float), accuracy=accuracy, seconds=seconds)]


def rows():
    """Time of one solution, and the gap that stands behind it."""
    problem, found = sparse_regression(40, 100, 5, rng=1), []
    largest = np.abs(problem.X.T @ problem.y).max() / problem.n
    for share in SHARES:
        found += compare(f"E λ = {share:g} λ_max", *field(problem, share * largest), {}, seconds=1.0)
    walk = np.cumsum(np.random.default_rng(0).standard_normal((40, 100)), axis=1)
    hard = from_arrays(walk, walk[:, ::20].sum(1))
    penalty = 1e-4 * np.abs(hard.X.T @ hard.y).max() / hard.n
    found += compare("E nearly equal", *field(hard, penalty), {}, seconds=1.0)
    return found + compare("E label noise", *noisy(problem, 0.2), {}, seconds=1.0)
