"""The point chosen: certificates on hard problems, limits, independent solvers, refusals."""

import numpy as np
import pytest
from scipy.optimize import linprog, root
from sklearn.linear_model import Lasso

from lib import bias, descent, diffusions, problems
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm
from lib.records import DIVERGED, INFEASIBLE, RunFailed

P = problems.sparse_regression(40, 100, 5, rng=1)
RESIDUAL, GAP = 1e-12, 1e-10
LEVELS = np.log(10.0) * np.array([6, 0, -2, -50, -300.0])


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def certified(solution):
    assert np.all(solution.status == 0), solution.message
    assert np.all(solution.residual <= RESIDUAL)
    assert np.all(solution.gap <= GAP)
    return solution.beta


def scales(rng, size):
    return 10.0 ** rng.uniform(-6, 6, size)


@pytest.mark.parametrize("seed", range(60))
def test_random_problems_are_certified(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(1, 120)), int(rng.integers(1, 400))
    X = rng.standard_normal((n, d))
    beta = rng.standard_normal(d) * (rng.random(d) < rng.choice([0.05, 0.5, 1.0]))
    log_alpha = rng.uniform(LEVELS[-1], LEVELS[0], rng.choice([1, d]))
    log_alpha = log_alpha if len(log_alpha) == d else log_alpha[0]
    solution = bias.minimise(HyperbolicEntropy(log_alpha), X, X @ beta)
    certified(solution)
    # The certificate again, from outside: the residual, and ∇φ in the range of Xᵀ by way of the dual.
    assert np.linalg.norm(X @ (solution.beta - beta)) <= 1e-11 * max(np.linalg.norm(X @ beta), 1e-300)


def nasty():
    rng = np.random.default_rng(11)
    X = rng.standard_normal((12, 30))
    signs = (rng.random((40, 100)) < 0.5).astype(float)
    x = np.linspace(0.05, 1, 12)
    grid = np.linspace(0, np.pi, 15)
    return {
        "row twice": np.vstack([X, X[:1]]),
        "column twice": np.hstack([X, X[:, :1]]),
        "column of zeros": np.hstack([X, np.zeros((12, 1))]),
        "row of zeros": np.vstack([X, np.zeros((1, 30))]),
        "more rows than columns": np.vstack([X.T, X.T]),
        "square": X[:, :12],
        "one row": X[:1],
        "columns over 12 decades": X * scales(rng, 30),
        "rows over 12 decades": X * scales(rng, (12, 1)),
        "Vandermonde": np.vander(x, 30, increasing=True),
        "Hilbert": 1 / (np.arange(12)[:, None] + np.arange(40) + 1.0),
        "cosines": np.cos(np.outer(grid, np.arange(60))),
        "zeros and ones": signs,
    }


@pytest.mark.parametrize("name", nasty())
@pytest.mark.parametrize("log_alpha", LEVELS)
def test_nasty_problems_are_certified(name, log_alpha):
    X = nasty()[name]
    beta = np.zeros(X.shape[1])
    beta[:5] = 1.0
    certified(bias.minimise(HyperbolicEntropy(log_alpha), X, X @ beta))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_targets_of_any_size(size):
    certified(bias.minimise(HyperbolicEntropy(-1.0), P.X, P.y * size))


def test_alpha_from_1e_minus_300_to_1_in_one_vector():
    certified(bias.minimise(HyperbolicEntropy(np.linspace(LEVELS[-1], 0, P.d)), P.X, P.y))


@pytest.mark.parametrize("alpha", [3.0, 1.0, 0.3])
def test_agrees_with_a_root_finder_on_the_dual(alpha):
    # An independent method: Powell's hybrid on Xβ(ν) = y, from zero, at moderate α where it converges.
    X, y = P.X[:8, :20], P.y[:8]
    phi = HyperbolicEntropy(np.log(alpha))
    found = root(lambda p: X @ phi.inverse_mirror(X.T @ p) - y, np.zeros(8), tol=1e-14)
    solution = bias.minimise(phi, X, y)
    assert relative(certified(solution), phi.inverse_mirror(X.T @ found.x)) < 1e-9
    assert solution.dual == pytest.approx(found.x, rel=1e-7)


def test_dual_is_the_mirror_coordinate():
    rng = np.random.default_rng(2)
    offset = rng.standard_normal(P.d)
    for potential in (HyperbolicEntropy(-1.0), HyperbolicEntropy(rng.uniform(-2, 0, P.d)), SquaredNorm()):
        for start in (None, offset):
            solution = bias.minimise(potential, P.X, P.y, offset=start)
            coordinate = (0 if start is None else start) + P.X.T @ solution.dual
            assert relative(potential.mirror(certified(solution)), coordinate) < 1e-9


def test_offset_is_a_bregman_projection():
    # For the squared norm: the Euclidean projection of the start, by the pseudo-inverse.
    start = np.random.default_rng(3).standard_normal(P.d)
    projected = start + np.linalg.pinv(P.X) @ (P.y - P.X @ start)
    assert relative(certified(bias.minimise(SquaredNorm(), P.X, P.y, offset=start)), projected) < 1e-13
    # For the entropies: a start that solves the equations already stays where it is.
    for potential in (HyperbolicEntropy(0.0), NegativeEntropy(0.0)):
        beta = np.exp(start)
        solution = bias.minimise(potential, P.X, P.X @ beta, offset=potential.mirror(beta))
        assert relative(certified(solution), beta) < 1e-11


def test_small_start_is_basis_pursuit_and_large_start_weighted_least_norm():
    least = bias.basis_pursuit(P.X, P.y)
    assert (
        relative(certified(bias.minimise(HyperbolicEntropy(LEVELS[-1]), P.X, P.y)), certified(least)) < 1e-10
    )
    assert relative(bias.minimise(HyperbolicEntropy(np.log(0.1)), P.X, P.y).beta, least.beta) > 0.1
    alpha = 1e4 * np.random.default_rng(4).uniform(0.5, 2, P.d)
    shape = alpha / alpha.max()
    weighted = shape * (np.linalg.pinv(P.X * shape) @ P.y)
    assert relative(certified(bias.minimise(HyperbolicEntropy(np.log(alpha)), P.X, P.y)), weighted) < 1e-12
    assert relative(certified(bias.least_norm(P.X, P.y)), np.linalg.pinv(P.X) @ P.y) < 1e-12


def test_equal_columns_share_in_proportion_to_alpha_squared():
    # Exact for every α: β_j : β_k = α_j² : α_k² for equal columns.
    for level in (0.0, -20.0, -600.0):
        log_alpha = level + np.log([1.0, 2.0, 3.0])
        beta = certified(bias.minimise(HyperbolicEntropy(log_alpha), [[1.0, 1.0, 1.0]], [1.0]))
        assert beta == pytest.approx(np.array([1, 4, 9]) / 14, rel=1e-12)


def test_units_and_mixed_equations_change_nothing():
    rng = np.random.default_rng(5)
    mixing = rng.standard_normal((P.n, P.n))
    order = rng.permutation(P.d)
    for log_alpha in np.log([1.0, 0.1, 1e-3, 1e-20]):
        phi = HyperbolicEntropy(log_alpha)
        beta = certified(bias.minimise(phi, P.X, P.y))
        scaled = HyperbolicEntropy(log_alpha + np.log(7.0) / 2)
        assert relative(bias.minimise(scaled, P.X, 7 * P.y).beta / 7, beta) < 1e-11
        assert relative(bias.minimise(phi, mixing @ P.X, mixing @ P.y).beta, beta) < 1e-11
        assert relative(bias.minimise(phi, P.X[:, order], P.y).beta, beta[order]) < 1e-11


def test_numbers_printed_for_the_reference_problem():
    # ℓ₁ excess and squared distance to β* along the α grid (Fig. 3 of the notes), to their printed digits.
    rows = {1e-2: (9.418252e-2, 1.480e-3), 0.1: (1.584597, 0.30043), 1.0: (5.747598, 2.462)}
    for alpha, (excess, distance) in rows.items():
        beta = bias.minimise(HyperbolicEntropy(np.log(alpha)), P.X, P.y).beta
        assert np.abs(beta).sum() - 5 == pytest.approx(excess, rel=1e-6)
        assert P.squared_distance(beta) == pytest.approx(distance, rel=1e-3)


def test_positive_network_has_its_own_limits():
    # X = (1 2), y = 1: printed values for α = 1, 10; least ℓ₁ among β ≥ 0 as α → 0.
    for alpha, expected in ((1.0, (0.5, 0.25)), (10.0, (0.9808, 0.0096)), (1e-200, (0.0, 0.5))):
        beta = certified(bias.minimise(NegativeEntropy(np.log(alpha)), [[1.0, 2.0]], [1.0]))
        assert beta == pytest.approx(expected, abs=1e-3 if alpha < 1 else 5e-5)


def test_zero_targets_stay_at_the_start():
    assert bias.minimise(HyperbolicEntropy(-3.0), P.X, 0 * P.y).beta.tolist() == [0.0] * P.d
    assert np.abs(bias.basis_pursuit(P.X, 0 * P.y).beta).max() == 0.0


@pytest.mark.parametrize("solver", [bias.basis_pursuit, bias.least_norm])
def test_infeasible_is_a_status_with_a_sentence(solver):
    X, y = np.vstack([P.X, P.X[:1]]), np.append(P.y, P.y[0] + 1)
    for solution in (solver(X, y), bias.minimise(HyperbolicEntropy(0.0), X, y)):
        assert solution.status == INFEASIBLE
        assert np.isnan(solution.beta).all()
        assert "no solution" in solution.message
        with pytest.raises(RunFailed):
            solution.raise_if_failed()
    assert bias.minimise(NegativeEntropy(0.0), [[1.0, 1.0]], [-1.0]).status == INFEASIBLE


@pytest.mark.parametrize(("n", "d", "seed"), [(10, 30, 0), (40, 100, 1), (15, 60, 2), (30, 30, 3)])
def test_basis_pursuit_agrees_with_a_plain_linear_program(n, d, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    plain = linprog(np.ones(2 * d), A_eq=np.hstack([X, -X]), b_eq=y, method="highs")
    assert np.abs(certified(bias.basis_pursuit(X, y))).sum() == pytest.approx(plain.fun, rel=1e-9)


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.parametrize("penalty", [1e-3, 0.05, 0.5, 50.0])
def test_lasso_agrees_with_an_independent_solver(penalty, nonnegative):
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((40, 100)), rng.standard_normal(40)
    solution = bias.lasso(X, y, penalty, nonnegative=nonnegative)
    assert solution.status == 0
    assert solution.gap <= GAP
    other = Lasso(penalty, fit_intercept=False, positive=nonnegative, tol=1e-13, max_iter=10**6).fit(X, y)
    assert solution.beta == pytest.approx(other.coef_, abs=1e-6)
    half = bias.lasso(X, y, penalty / 2, nonnegative=nonnegative).beta
    assert penalty > 1 or np.abs(half - other.coef_).max() > 1e-3


def test_many_equals_one_by_one():
    rng = np.random.default_rng(7)
    log_alpha = np.log(0.1) + 0.3 * rng.standard_normal((20, P.d))
    offset = 0.2 * rng.standard_normal((20, P.d))
    many = bias.minimise_many(log_alpha, P.X, P.y, offset=offset)
    certified(many)
    for k in range(20):
        one = bias.minimise(HyperbolicEntropy(log_alpha[k]), P.X, P.y, offset=offset[k])
        assert relative(many.beta[k], one.beta) < 1e-11


def test_limit_is_where_the_run_would_end():
    settings = {"log_alpha": np.log(0.1), "step_size": 0.02, "replicas": 3, "rng": 8}
    early = descent.stochastic_gradient_descent(P.X, P.y, steps=10_000, **settings)
    late = descent.stochastic_gradient_descent(P.X, P.y, steps=25_000, **settings)
    # What is left of the noise after t = 200 moves the limit by about √L ~ 1e-4 of the first run's end.
    assert relative(bias.limit(early, P.X, P.y).beta, bias.limit(late, P.X, P.y).beta) < 1e-4
    assert relative(bias.limit(late, P.X, P.y).beta, late.beta) < 1e-5


def test_limit_of_a_diverged_run_is_no_number():
    run = diffusions.stochastic_gradient_flow(
        P.X, P.y, log_alpha=np.log(0.1), step_size=0.05, dt=2.0, horizon=80.0, replicas=4, rng=9
    )
    assert DIVERGED in run.status
    found = bias.limit(run, P.X, P.y)
    assert np.isnan(found.beta[run.status != 0]).all()
    assert (found.status[run.status != 0] != 0).all()


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: bias.minimise(HyperbolicEntropy(0.0), [[1.0, np.nan]], [1.0]),
            ValueError,
            "X must be finite",
        ),
        (lambda: bias.minimise(HyperbolicEntropy(0.0), P.X, P.y[:3]), ValueError, "3 for 40 rows"),
        (lambda: bias.minimise(HyperbolicEntropy([0.0] * 3), P.X, P.y), ValueError, "100 coordinates"),
        (lambda: bias.minimise("entropy", P.X, P.y), TypeError, "potential"),
        (lambda: bias.minimise(SquaredNorm(), P.X, P.y, offset=np.zeros(3)), ValueError, "offset"),
        (lambda: bias.lasso(P.X, P.y, -1.0), ValueError, "penalty"),
        (lambda: bias.lasso(P.X, P.y, np.nan), ValueError, "penalty"),
        (lambda: bias.basis_pursuit(P.X[:0], P.y[:0]), ValueError, "at least one row"),
        (lambda: bias.minimise_many(np.zeros((2, 3)), P.X, P.y), ValueError, "log_alpha"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
