"""The point chosen: certificates, limits, scalings, independent opinions, and refusals."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import brentq, linprog, root
from sklearn.linear_model import Lasso

from lib import bias, problems, records
from lib.bias import _newton, _programs
from lib.bias._equations import accurate_product, equations
from lib.bias._programs import lasso_certificate
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm

RESIDUAL, GAP = 1e-12, 1e-10
P = problems.sparse_regression(40, 100, 5, rng=1)
ALPHAS = [1e6, 1.0, 1e-2, 1e-8, 1e-50, 1e-300]


def hyperbolic(alpha, X, y, **more):
    return bias.minimise(HyperbolicEntropy(np.log(alpha)), X, y, **more)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def certified(solution):
    return bool(
        np.all(solution.status == 0)
        and np.all(solution.residual <= RESIDUAL)
        and np.all(solution.gap <= GAP)
        and np.isfinite(solution.beta).all()
    )


# --- the certificate ------------------------------------------------------------------------------


def random_problem(rng, largest, decades=0):
    """Shapes, designs and targets of many kinds; log α from 1e-300 to 1e6, one number or one a coordinate."""
    n, d = rng.integers(1, largest[0] + 1), rng.integers(1, largest[1] + 1)
    k = rng.integers(1, min(n, d) + 1)
    designs = {
        "gaussian": lambda: rng.standard_normal((n, d)),
        "signs": lambda: rng.choice([-1.0, 1.0], (n, d)),
        "binary": lambda: (rng.random((n, d)) < rng.uniform(0.1, 0.9)).astype(float),
        "heavy": lambda: rng.standard_t(2, (n, d)),
        "deficient": lambda: rng.standard_normal((n, k)) @ rng.standard_normal((k, d)),
        "shifted": lambda: rng.standard_normal((n, d)) + 3 * rng.standard_normal((n, 1)),
    }
    X = designs[rng.choice(list(designs))]()
    if rng.random() < 0.2:
        X = X * 10 ** rng.uniform(-6, 6, n)[:, None]
    beta = rng.standard_normal(d)
    if rng.random() < 0.5:
        beta[rng.random(d) < rng.uniform(0.5, 1)] = 0
    beta *= 10 ** (decades * rng.uniform(-1, 1, d))
    log_alpha = {
        "wide": lambda: rng.uniform(np.log(1e-300), np.log(1e6)),
        "usual": lambda: rng.uniform(-20, np.log(1e6)),
        "near": lambda: rng.uniform(-12, 2) + rng.uniform(-1, 1, d),
        "apart": lambda: rng.uniform(np.log(1e-300), np.log(1e6), d),
    }[rng.choice(["wide", "usual", "near", "apart"])]()
    return X, X @ beta, log_alpha


@pytest.mark.parametrize(("first", "count", "largest"), [(0, 960, (40, 100)), (1000, 40, (400, 400))])
def test_random_problems_are_certified(first, count, largest):
    for seed in range(first, first + count):
        X, y, log_alpha = random_problem(np.random.default_rng(seed), largest)
        assert certified(bias.minimise(HyperbolicEntropy(log_alpha), X, y)), seed


def nasty(name):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((10, 30))
    x = rng.uniform(0, 1, 15)
    return {
        "repeated rows": lambda: np.vstack([X, X[:4], 3 * X[:2]]),
        "repeated columns": lambda: np.hstack([X, X[:, :10]]),
        "more rows than columns": lambda: rng.standard_normal((60, 20)),
        "square": lambda: rng.standard_normal((25, 25)),
        "one row": lambda: X[:1],
        "one number": lambda: X[:1, :1],
        "a column of zeros": lambda: X * (np.arange(30) != 3),
        "a row of zeros": lambda: X * (np.arange(10) != 4)[:, None],
        "columns over 12 decades": lambda: X * 10 ** rng.uniform(-6, 6, 30),
        "rows over 16 decades": lambda: X * 10 ** rng.uniform(-8, 8, 10)[:, None],
        "rank 6 of 20": lambda: rng.standard_normal((20, 6)) @ rng.standard_normal((6, 50)),
        "vandermonde": lambda: np.linspace(-1, 1, 12)[:, None] ** np.arange(30),
        "hilbert": lambda: 1 / (np.arange(12)[:, None] + np.arange(40) + 1.0),
        "cosines": lambda: np.cos(np.pi * x[:, None] * np.arange(60)),
        "zeros and ones": lambda: rng.integers(0, 2, (20, 60)).astype(float),
        "huge numbers": lambda: 1e150 * X,
    }[name]()


@pytest.mark.parametrize(
    "name",
    [
        *("repeated rows", "repeated columns", "more rows than columns", "square", "one row", "one number"),
        *("a column of zeros", "a row of zeros", "columns over 12 decades", "rows over 16 decades"),
        *("rank 6 of 20", "vandermonde", "hilbert", "cosines", "zeros and ones", "huge numbers"),
    ],
)
def test_nasty_designs_are_certified(name):
    X = nasty(name)
    d = X.shape[1]
    rng = np.random.default_rng(4)
    sparse = np.where(rng.permutation(d) < max(1, min(X.shape) // 5), rng.standard_normal(d), 0.0)
    apart = rng.uniform(np.log(1e-300), np.log(1e6), d), rng.uniform(np.log(1e-3), np.log(1e3), d)
    for y in (
        X @ rng.standard_normal(d),
        X @ sparse,
        1e200 * (X @ sparse) if name == "square" else X @ sparse,
    ):
        for log_alpha in (*np.log(ALPHAS), *apart):
            assert certified(bias.minimise(HyperbolicEntropy(log_alpha), X, y)), log_alpha


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_targets_of_any_size_are_certified(scale):
    for alpha in ALPHAS:
        assert certified(hyperbolic(alpha, P.X, scale * P.y))
    assert certified(bias.basis_pursuit(P.X, scale * P.y))
    assert certified(bias.least_norm(P.X, scale * P.y))


@pytest.mark.parametrize("offset", [0.0, 0.2])
@pytest.mark.parametrize("alpha", [10.0, 0.1, 1e-4])
def test_the_gap_is_what_the_potential_says(alpha, offset):
    # Fenchel's gap from ``value`` and ``conjugate``, whose rounding is 1e-16 of their own size.
    phi, c = HyperbolicEntropy(np.log(alpha)), offset * np.random.default_rng(0).standard_normal(100)
    found = bias.minimise(phi, P.X, P.y, offset=c)
    wrong = found.beta + np.linalg.svd(P.X)[2][-1]  # still Xβ = y
    start, z = phi.inverse_mirror(c), c + P.X.T @ found.dual
    for beta, excess in ((found.beta, 0.0), (wrong, None)):
        terms = phi.value(beta), phi.conjugate(z), -(beta @ z)
        gap = sum(terms) + found.dual @ (P.X @ beta - P.y)
        bregman = phi.value(beta) - phi.value(start) - c @ (beta - start)
        ours = _newton.bregman(beta, np.full(100, 2 * phi.log_alpha), 4 * z, True).sum() / 4
        assert ours == pytest.approx(gap, rel=1e-9, abs=1e-15 * sum(map(abs, terms)))
        if excess is None:  # how much worse the wrong point is never exceeds its gap, and the gap rejects it
            worse = phi.value(beta) - phi.value(found.beta) - c @ (beta - found.beta)
            assert GAP * bregman < worse <= gap + 1e-14 * sum(map(abs, terms))


def test_the_dual_gives_the_mirror_coordinate():
    # mirror(β) = offset + Xᵀ dual where no β is below rounding: 1e-13 of |t| ≤ 40 for dense targets.
    rng = np.random.default_rng(0)
    y, offset = P.X @ rng.standard_normal(100), 0.1 * rng.standard_normal(100)
    for alpha in (1e3, 1.0, 1e-2, 1e-8):
        phi = HyperbolicEntropy(np.log(alpha))
        for c in (None, offset):
            found = bias.minimise(phi, P.X, y, offset=c)
            z = P.X.T @ found.dual + (0 if c is None else c)
            assert_allclose(phi.mirror(found.beta), z, atol=1e-11 * np.abs(z).max(), rtol=1e-9)


# --- constants and numbers of the sources ---------------------------------------------------------


def test_the_flow_limit_of_the_reference_problem():
    # All printed digits: ‖β − β*‖², ℓ₁ excess, and ∫L = ½ [φ(β) − φ(0)] of the flow.
    phi = HyperbolicEntropy(np.log(0.1))
    beta = bias.minimise(phi, P.X, P.y).beta
    assert P.squared_distance(beta) == pytest.approx(0.30043, abs=5e-6)
    assert np.abs(beta).sum() - 5 == pytest.approx(1.58460, abs=5e-6)
    assert (phi.value(beta) - phi.value(np.zeros(100))) / 2 == pytest.approx(2.07283, abs=5e-6)


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [(3, (0.2, 0.4)), (0.5, (0.1895, 0.4053)), (0.1, (0.0669, 0.4666)), (0.01, (0.0070, 0.4965))],
)
def test_the_toy_of_two_features(alpha, beta):
    # X = [1, 2], y = 1: four printed digits, and the scalar equation 2α²(sinh u + 2 sinh 2u) = 1.
    found = hyperbolic(alpha, [[1.0, 2.0]], [1.0]).beta
    assert_allclose(found, beta, atol=5.1e-5)
    u = brentq(lambda u: 2 * alpha**2 * (np.sinh(u) + 2 * np.sinh(2 * u)) - 1, 0, 50, xtol=1e-15, rtol=1e-15)
    assert_allclose(found, 2 * alpha**2 * np.sinh([u, 2 * u]), rtol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "least"), [(1.0, 1e-2), (0.3, 1e-1), (0.1, 5e-2), (0.03, 1e-2), (0.01, 4e-3)]
)
def test_another_constant_in_the_potential_is_another_point(alpha, least):
    # β(u) = 2α² sinh: with α² instead the point moves by .017, .15, .088, .023, .006.
    assert rel(hyperbolic(alpha / np.sqrt(2), P.X, P.y).beta, hyperbolic(alpha, P.X, P.y).beta) > least


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("alpha", [1.0, 0.1, 1e-2, 1e-4])
def test_the_mirror_coordinate_lies_over_the_row_space(alpha, dense):
    # KKT from the formula alone: arcsinh(β/2α²) ∈ range Xᵀ; reached 4e-13 in the worst case.
    y = P.X @ np.random.default_rng(5).standard_normal(100) if dense else P.y
    t = np.arcsinh(hyperbolic(alpha, P.X, y).beta / (2 * alpha**2))
    basis = np.linalg.qr(P.X.T)[0]
    assert rel(basis @ (basis.T @ t), t) <= 1e-9
    wrong = np.arcsinh(hyperbolic(alpha, P.X, y).beta / alpha**2)
    assert rel(basis @ (basis.T @ wrong), wrong) > 1e-7 / alpha if alpha > 1e-2 else True


# --- an independent opinion -----------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [3.0, 0.3, 0.03])
def test_a_general_root_finder_agrees(alpha):
    # X 2α² sinh(Xᵀu) = y by SciPy's hybrid Powell method from a perturbed start; its tolerance is 1e-13.
    rng = np.random.default_rng(2)
    X = rng.standard_normal((8, 20))
    y = X @ rng.standard_normal(20)
    found = hyperbolic(alpha, X, y)
    start = 4 * found.dual * (1 + 1e-2 * rng.standard_normal(8))
    u = root(lambda u: X @ (2 * alpha**2 * np.sinh(X.T @ u)) - y, start, tol=1e-13).x
    assert rel(found.beta, 2 * alpha**2 * np.sinh(X.T @ u)) < 1e-9


def test_no_point_of_the_solution_set_is_lower():
    rng = np.random.default_rng(7)
    null = np.linalg.svd(P.X)[2][40:]
    for phi in (HyperbolicEntropy(np.log(0.1)), HyperbolicEntropy(rng.uniform(-5, 1, 100)), SquaredNorm()):
        beta = bias.minimise(phi, P.X, P.y).beta
        others = beta + 10 ** rng.uniform(-4, 0, (200, 1)) * (rng.standard_normal((200, 60)) @ null)
        assert (phi.value(others) > phi.value(beta)).all()


def test_ill_conditioned_rows_cost_no_accuracy():
    # Hilbert rows, condition number 5e10: β = A Xᵀ(XAXᵀ)⁻¹y in rational arithmetic; plain products lose 1e-6.
    X = 1 / (np.arange(8)[:, None] + np.arange(20) + 1.0)
    y = X @ np.random.default_rng(0).standard_normal(20)
    exact = [[Fraction(x) for x in row] for row in X]
    gram = [[sum(a * b for a, b in zip(r, s, strict=True)) for s in exact] for r in exact]
    p = rational_solve(gram, [Fraction(v) for v in y])
    beta = np.array([float(sum(p[i] * exact[i][j] for i in range(8))) for j in range(20)])
    assert rel(bias.least_norm(X, y).beta, beta) < 1e-12
    assert rel(hyperbolic(1e6, X, y).beta, beta) < 1e-12


def rational_solve(A, b):
    rows = [[*row, value] for row, value in zip(A, b, strict=True)]
    for i in range(len(rows)):
        for k in range(len(rows)):
            if k != i:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [x - factor * z for x, z in zip(rows[k], rows[i], strict=True)]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def test_products_that_cancel_are_rounded_once():
    rng = np.random.default_rng(1)
    X = 1 / (np.arange(9)[:, None] + np.arange(15) + 1.0)
    M = np.linalg.inv(X[:, :9])
    exact = [[sum(Fraction(a) * Fraction(b) for a, b in zip(r, c, strict=True)) for c in X.T] for r in M]
    exact = np.array([[float(x) for x in row] for row in exact])
    assert_allclose(accurate_product(M, X), exact, rtol=1e-14, atol=1e-18)
    assert np.abs(M @ X - exact).max() > 1e-8
    wide = rng.standard_normal((5, 7)) * 10.0 ** rng.uniform(-9, 9, 7)
    assert_allclose(accurate_product(np.eye(5), wide), wide, rtol=1e-15)


# --- limits ---------------------------------------------------------------------------------------


def test_small_alpha_is_basis_pursuit_where_that_is_unique():
    for X, y in ((P.X, P.y), (P.X[:10, :30], P.X[:10, :30] @ np.random.default_rng(0).standard_normal(30))):
        pursuit = bias.basis_pursuit(X, y)
        assert certified(pursuit)
        assert np.abs(hyperbolic(1e-300, X, y).beta - pursuit.beta).max() <= 1e-10
    assert np.abs(bias.basis_pursuit(P.X, P.y).beta - P.beta_star).max() <= 1e-14


def test_small_alpha_with_powers_is_weighted_pursuit():
    # log α_j = c_j log ε: least Σ c_j |β_j| as ε → 0.
    rng = np.random.default_rng(3)
    X, c = rng.standard_normal((8, 20)), rng.uniform(0.5, 1.5, 20)
    y = X @ rng.standard_normal(20)
    expected = bias.basis_pursuit(X / c, y).beta / c
    assert np.abs(bias.minimise(HyperbolicEntropy(-600 * c), X, y).beta - expected).max() <= 1e-8


def test_repeated_columns_share_by_their_alpha():
    # Exact for every ε: β_j ∝ α_j².
    for log_epsilon in (5.0, -1.0, -50.0, -600.0):
        beta = bias.minimise(HyperbolicEntropy(log_epsilon + np.log([1, 2, 3])), [[1.0, 1, 1]], [1.0]).beta
        assert_allclose(beta, np.array([1, 4, 9]) / 14, rtol=1e-11)


def test_large_alpha_is_weighted_least_norm():
    # The error is O(α⁻⁴): 6e-7, 6e-11, then rounding; weights α_j² in the norm.
    least = bias.least_norm(P.X, P.y)
    assert certified(least)
    assert rel(least.beta, np.linalg.pinv(P.X) @ P.y) <= 1e-13
    assert_allclose(P.X.T @ least.dual, least.beta, atol=1e-14)
    assert 1e-7 < rel(hyperbolic(10, P.X, P.y).beta, least.beta) < 1e-6
    assert 1e-11 < rel(hyperbolic(100, P.X, P.y).beta, least.beta) < 1e-10
    assert rel(hyperbolic(1e4, P.X, P.y).beta, least.beta) <= 1e-12
    weights = np.random.default_rng(0).uniform(0.2, 1, 100)
    expected = weights**2 * (P.X.T @ np.linalg.solve(P.X @ (weights[:, None] ** 2 * P.X.T), P.y))
    assert rel(bias.minimise(HyperbolicEntropy(np.log(1e5 * weights)), P.X, P.y).beta, expected) <= 1e-12


def test_a_start_with_a_squared_norm_is_projected():
    start = np.random.default_rng(0).standard_normal(100)
    found = bias.minimise(SquaredNorm(), P.X, P.y, offset=start)
    assert certified(found)
    assert rel(found.beta, start + np.linalg.pinv(P.X) @ (P.y - P.X @ start)) <= 1e-13
    assert_allclose(start + P.X.T @ found.dual, found.beta, atol=1e-13)


# --- symmetries -----------------------------------------------------------------------------------


@given(st.floats(-30, 30), st.sampled_from([1.0, 0.1, 1e-3, 1e-20]))
@settings(max_examples=30)
def test_scaling_the_targets_scales_alpha_by_the_square_root(log_c, alpha):
    # β(cy, √c α) = c β(y, α): rounding of the exponents, |t| eps.
    X, y = P.X[:15, :40], P.X[:15, :40] @ np.linspace(-1, 1, 40)
    scaled = bias.minimise(HyperbolicEntropy(np.log(alpha) + log_c / 2), X, np.exp(log_c) * y)
    assert rel(scaled.beta, np.exp(log_c) * hyperbolic(alpha, X, y).beta) <= 1e-11


@given(st.integers(0, 1000), st.sampled_from([1.0, 0.1, 1e-3, 1e-20]))
@settings(max_examples=30)
def test_mixing_rows_and_permuting_columns_change_nothing(seed, alpha):
    rng = np.random.default_rng(seed)
    X, y = P.X[:15, :40], P.X[:15, :40] @ np.linspace(-1, 1, 40)
    M, order = (
        np.linalg.qr(rng.standard_normal((15, 15)))[0] @ np.diag(rng.uniform(1, 9, 15)),
        rng.permutation(40),
    )
    beta = hyperbolic(alpha, X, y).beta
    assert rel(hyperbolic(alpha, M @ X, M @ y).beta, beta) <= 1e-11
    assert rel(hyperbolic(alpha, X[:, order], y).beta, beta[order]) <= 1e-11


# --- starts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1.0, 1e-2, 1e-6, 1e-100])
def test_the_flow_from_a_solution_stays(alpha):
    # From β₀ on the way to it: the same end, since mirror coordinates only ever move along Xᵀ.
    rng = np.random.default_rng(1)
    phi, y = HyperbolicEntropy(np.log(alpha)), P.X @ rng.standard_normal(100)
    end = bias.minimise(phi, P.X, y)
    again = bias.minimise(phi, P.X, y, offset=phi.mirror(end.beta))
    assert certified(again)
    assert rel(again.beta, end.beta) <= 1e-12
    halfway = bias.minimise(phi, P.X, y, offset=P.X.T @ (end.dual / 2))
    assert rel(halfway.beta, end.beta) <= 1e-12
    assert_allclose(halfway.dual, end.dual / 2, atol=1e-9 * np.abs(end.dual).max())


def test_random_starts_are_certified():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, y, _ = random_problem(rng, (20, 60))
        log_alpha = rng.uniform(-30, 1, X.shape[1])
        phi = HyperbolicEntropy(log_alpha)
        start = rng.standard_normal(X.shape[1]) * (1 + np.abs(y).max() / np.abs(X).max())
        found = bias.minimise(phi, X, y, offset=phi.mirror(start))
        # a point far larger than y has a residual that rounding alone makes: then that is what it must be
        rounding = (
            1e-15 * np.linalg.norm(np.abs(X) @ np.abs(found.beta)) / np.linalg.norm(y) if y.any() else 0
        )
        assert certified(found) or (found.gap <= GAP and rounding > RESIDUAL / 30), seed


def test_zero_targets_without_a_start_give_zero():
    for solve in (bias.least_norm, bias.basis_pursuit, lambda X, y: hyperbolic(0.1, X, y)):
        found = solve(P.X, np.zeros(40))
        assert certified(found)
        assert found.beta.tolist() == [0.0] * 100
        assert found.residual == 0


# --- the positive network -------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "beta"), [(1, (0.5, 0.25)), (10, (0.9808, 0.0096)), (1e3, (1.0, 1e-6))])
def test_the_positive_network_goes_to_large_l1_as_alpha_grows(alpha, beta):
    # X = [1, 2], y = 1, printed digits; α² e^{t} with t = (u, 2u).
    found = bias.minimise(NegativeEntropy(np.log(alpha)), [[1.0, 2.0]], [1.0])
    assert certified(found)
    assert_allclose(found.beta, beta, rtol=6e-3)
    r = (np.sqrt(1 + 8 / alpha**2) - 1) / 4
    assert_allclose(found.beta, alpha**2 * np.array([r, r**2]), rtol=1e-9)


def test_the_positive_network_goes_to_least_l1_as_alpha_falls():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 30))
    y = X @ rng.uniform(0.1, 1, 30)
    expected = linprog(np.ones(30), A_eq=X, b_eq=y).x
    found = bias.minimise(NegativeEntropy(np.log(1e-300)), X, y)
    assert certified(found)
    assert_allclose(found.beta, expected, atol=1e-7)
    z = NegativeEntropy(-3.0).mirror(middle := bias.minimise(NegativeEntropy(-3.0), X, y).beta)
    assert middle.min() > 0
    assert rel(np.linalg.pinv(X) @ (X @ z), z) < 1e-10


@pytest.mark.parametrize("shape", [(40, 60), (40, 100), (60, 40), (20, 40)])
def test_sparse_positive_problems_are_certified(shape):
    # Often Xβ = y, β ≥ 0 has one solution alone, on the boundary, where no finite multiplier exists.
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal(shape)
        beta = np.where(rng.permutation(shape[1]) < 4, rng.uniform(0.5, 2, shape[1]), 0.0)
        for alpha in (1.0, 0.1, 1e-4, 1e-50, 1e-300):
            assert certified(bias.minimise(NegativeEntropy(np.log(alpha)), X, X @ beta)), (seed, alpha)


def test_an_orthant_without_solution_is_said():
    for X, y in (
        ([[1.0, 2.0]], [-1.0]),
        (np.abs(P.X), -np.abs(P.X) @ np.ones(100)),
        ([[1.0, -1], [1, 1]], [2.0, 1]),
    ):
        found = bias.minimise(NegativeEntropy(0.0), X, y)
        assert found.status == records.INFEASIBLE
        assert "No β ≥ 0 solves" in found.message
        assert np.isnan(found.beta).all()
        assert certified(hyperbolic(1.0, X, y))


# --- no solution, no certificate ------------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-9])
def test_contradictory_rows_are_infeasible(size):
    X = np.vstack([P.X[:20, :30], P.X[:20, :30]])
    y = X @ np.ones(30)
    y[25] += size * np.abs(y).max()
    many = bias.minimise_many(np.zeros((2, 30)), X, y)
    for found in (hyperbolic(0.1, X, y), bias.least_norm(X, y), bias.basis_pursuit(X, y), many):
        assert np.all(found.status == records.INFEASIBLE)
        assert "no solution" in found.message
        assert np.isnan(found.beta).all()
    with pytest.raises(records.RunFailed, match="no solution"):
        found.raise_if_failed()


def test_what_floating_point_cannot_hold_is_never_converged():
    rng = np.random.default_rng(0)
    far = bias.minimise(HyperbolicEntropy(2.0), P.X, P.y, offset=3 * rng.standard_normal(100))
    for found in (hyperbolic(1.0, P.X, P.y, offset=np.full(100, 1e308)), far):
        assert found.status == records.UNCERTIFIED
        assert found.message.startswith("The certificate is not good enough")
    assert "difference of large terms" in far.message


BAD = [
    (lambda: bias.minimise("l1", P.X, P.y), TypeError, "potential must be an object with value"),
    (lambda: hyperbolic(1.0, P.X * np.nan, P.y), ValueError, "X must be finite"),
    (lambda: hyperbolic(1.0, P.X, P.y[:3]), ValueError, "one entry for each row of X; received 3 for 40"),
    (lambda: hyperbolic(np.ones(3), P.X, P.y), ValueError, "each of the 100 coordinates"),
    (lambda: hyperbolic(1.0, P.X, P.y, offset=np.zeros(3)), ValueError, "offset must have one entry"),
    (lambda: hyperbolic(1.0, P.X, P.y, offset=np.full(100, np.inf)), ValueError, "offset must be finite"),
    (lambda: hyperbolic(1.0, np.zeros((0, 3)), []), ValueError, "at least one row"),
    (lambda: bias.lasso(P.X, P.y, 0.0), ValueError, "penalty must be finite and greater than 0"),
    (lambda: bias.lasso(P.X, P.y, "small"), TypeError, "penalty must be a single number"),
    (lambda: bias.minimise_many(np.zeros(100), P.X, P.y), ValueError, "log_alpha must have 2 dimension"),
    (lambda: bias.minimise_many(np.zeros((2, 3)), P.X, P.y), ValueError, "one row a replica and 100 columns"),
    (
        lambda: bias.minimise_many(np.zeros((2, 100)), P.X, P.y, offset=np.zeros((3, 100))),
        ValueError,
        "each of the 2 rows",
    ),
    (lambda: bias.limit(3, P.X, P.y), TypeError, "run must be a Run"),
    (lambda: bias.limit(finished(np.zeros((2, 3)), 0.0), P.X, P.y), ValueError, "the run's 3 columns"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), BAD)
def test_every_door_has_its_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


# --- replicas -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "spread"), [(1.0, 0.5), (0.1, 1.0), (1e-8, 2.0), (1e-300, 1.0)])
def test_many_are_what_each_is(alpha, spread):
    # Both are certified; they differ by the rounding of the exponents.
    rng = np.random.default_rng(0)
    log_alpha = np.log(alpha) - spread * rng.random((150, 1)) * (P.X**2).mean(axis=0)
    offset = 0.05 * rng.standard_normal((150, 100)) if alpha == 0.1 else None
    many = bias.minimise_many(log_alpha, P.X, P.y, offset=offset)
    assert certified(many)
    assert many.beta.shape == (150, 100)
    assert many.dual.shape == (150, 40)
    for i in (0, 77, 149):
        one = bias.minimise(
            HyperbolicEntropy(log_alpha[i]), P.X, P.y, offset=None if offset is None else offset[i]
        )
        assert rel(many.beta[i], one.beta) <= 1e-12


def test_replicas_that_have_nothing_in_common_are_certified():
    rng = np.random.default_rng(0)
    log_alpha = np.vstack(
        [np.full((1, 30), value) for value in np.log(ALPHAS)] + [rng.uniform(-600, 2, (6, 30))]
    )
    for X in (P.X[:10, :30], np.vstack([P.X[:10, :30]] * 2), P.X[:10, :30] * (np.arange(30) > 2)):
        many = bias.minimise_many(log_alpha, X, X @ np.linspace(-1, 1, 30))
        assert certified(many)


def finished(beta, log_alpha, status=None):
    R = len(beta)
    return records.Run(
        times=np.zeros(1),
        loss=np.zeros((R, 1)),
        beta=beta,
        loss_integral=np.zeros(R),
        log_alpha_effective=np.broadcast_to(log_alpha, beta.shape).copy(),
        status=np.zeros(R, dtype=int) if status is None else np.array(status),
        geometry=HyperbolicEntropy,
    )


def test_the_limit_of_a_run_is_where_its_flow_ends():
    # States on the flow's way, 2α² sinh(Xᵀu) with u moved at random: the end is argmin φ, whatever u is.
    rng = np.random.default_rng(0)
    phi = HyperbolicEntropy(np.log(0.1))
    on_the_way = phi.inverse_mirror(0.1 * rng.standard_normal((5, 40)) @ P.X)
    off_it = phi.inverse_mirror(0.1 * rng.standard_normal((1, 100)))
    found = bias.limit(finished(np.vstack([on_the_way, off_it]), np.log(0.1)), P.X, P.y)
    assert certified(found)
    expected = bias.minimise(phi, P.X, P.y).beta
    assert max(rel(beta, expected) for beta in found.beta[:5]) <= 1e-11
    assert rel(found.beta[5], expected) > 1e-2


def test_the_limit_of_a_failed_replica_is_nan_with_its_status():
    beta = np.zeros((4, 100))
    beta[2] = np.inf
    run = finished(beta, np.log(0.1), status=[0, records.DIVERGED, 0, 0])
    found = bias.limit(run, P.X, P.y)
    assert found.status.tolist() == [0, records.DIVERGED, records.DIVERGED, 0]
    assert np.isnan(found.beta[1:3]).all()
    assert np.isfinite(found.beta[[0, 3]]).all()
    assert "2 of 4 replicas" in found.message
    lost = bias.limit(finished(beta[:2], 0.0, status=[1, 1]), P.X, P.y)
    assert lost.status.tolist() == [1, 1]


# --- basis pursuit and the Lasso ------------------------------------------------------------------


def test_basis_pursuit_is_certified_and_as_low_as_the_linear_program():
    for seed in range(60):
        X, y, _ = random_problem(np.random.default_rng(seed), (25, 60))
        found = bias.basis_pursuit(X, y)
        assert certified(found), seed
        d = X.shape[1]
        expected = linprog(np.ones(2 * d), A_eq=np.hstack([X, -X]), b_eq=y)
        if expected.status == 0:  # the program on unscaled rows fails on some
            assert np.abs(found.beta).sum() <= expected.fun * (1 + 1e-6)
        size = np.abs(X.T) @ np.abs(found.dual)  # rounding of Xᵀ dual where rows nearly depend
        assert (np.abs(X.T @ found.dual) <= 1 + 1e-14 * size).all()


def nearly_dependent(points, coefficients, decay=0.0):
    """Samples so close that the rounding of y, times a cond(X) above 1e6, adds small entries to β."""
    beta, rng = np.zeros(60), np.random.default_rng(coefficients)
    beta[rng.choice(60, 5, replace=False)] = rng.standard_normal(5)
    return problems.fourier_features(40, 60, coefficients=beta, decay=decay, rng=points)


def test_basis_pursuit_is_certified_where_rows_nearly_depend(monkeypatch):
    drawn = [nearly_dependent(points, seed) for points in (98, 1104, 1580) for seed in range(3)]
    drawn.append(nearly_dependent(1147, 13030, decay=1.0))
    for p in drawn:
        assert np.linalg.cond(p.X) > 1e6
        found = bias.basis_pursuit(p.X, p.y)
        assert certified(found)
        assert np.abs(found.beta - p.beta_star).max() <= 1e-7  # what the rounding of y may move
    monkeypatch.setattr(_programs, "REFINEMENTS", 0)
    without = [bias.basis_pursuit(p.X, p.y) for p in drawn]
    assert sum(found.status == records.UNCERTIFIED and found.gap > GAP for found in without) >= 5


def test_a_refinement_repairs_a_wrong_vertex_and_leaves_a_right_one():
    eqs = equations(P.X, P.y)
    right, v, _, _ = _programs.pursue(eqs)
    zero = np.zeros(100), np.zeros(40)
    for beta, dual in (zero, (right * 1.001, v), (right, 0.9 * v), (-right, -v)):
        better, dual, _ = _programs._program(eqs, beta, dual / max(1.0, np.abs(eqs.AT @ dual).max()), 2.0**20)
        assert np.abs(better - right).max() <= 1e-9
        assert _programs.pursuit_gap(eqs, better, dual) <= 1e-9
    same, _, _ = _programs._program(eqs, right, v, 2.0**20)
    assert np.abs(same - right).max() <= 1e-14


@pytest.mark.filterwarnings("ignore:Objective did not converge")  # theirs; then ours is the lower one
def test_lasso_agrees_with_scikit_learn():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, y, _ = random_problem(rng, (25, 60))
        X = X / np.abs(X).max()
        y = X @ rng.standard_normal(X.shape[1]) + 0.3 * rng.standard_normal(len(X))
        penalty = 10 ** rng.uniform(-2, 0.1) * np.abs(X.T @ y / len(y)).max()
        for nonnegative in (False, True):
            found = bias.lasso(X, y, penalty, nonnegative=nonnegative)
            assert found.status == 0
            assert found.gap <= 1e-12
            assert found.residual <= 1e-10
            model = Lasso(
                alpha=penalty, fit_intercept=False, positive=nonnegative, tol=1e-12, max_iter=100_000
            )
            theirs = model.fit(X, y).coef_
            costs = [
                np.square(X @ b - y).mean() / 2 + penalty * np.abs(b).sum() for b in (found.beta, theirs)
            ]
            assert costs[0] <= costs[1] * (1 + 1e-12)
            assert_allclose(X @ found.beta, X @ theirs, atol=1e-4)  # unique, unlike β


def test_lasso_gap_rejects_a_point_that_is_not_the_minimiser():
    penalty = 0.1
    found = bias.lasso(P.X, P.y, penalty)
    assert np.abs(P.X.T @ found.dual).max() <= penalty * (1 + 1e-12)
    for wrong in (found.beta * 1.001, bias.lasso(P.X, P.y, penalty / 2).beta, np.zeros(100)):
        _, gap, residual = lasso_certificate(P.X, P.y, penalty, False, wrong)
        costs = [np.square(P.X @ b - P.y).mean() / 2 + penalty * np.abs(b).sum() for b in (wrong, found.beta)]
        assert gap * np.square(P.y).mean() / 2 >= (costs[0] - costs[1]) * (1 - 1e-9) > 0
        assert gap > 1e-8
        assert residual > 1e-5


def test_lasso_at_its_ends():
    largest = np.abs(P.X.T @ P.y / 40).max()
    assert bias.lasso(P.X, P.y, largest * (1 + 1e-12)).beta.tolist() == [0.0] * 100
    assert np.count_nonzero(bias.lasso(P.X, P.y, largest * 0.999).beta) == 1
    assert rel(bias.lasso(P.X, P.y, 1e-9).beta, P.beta_star) < 1e-7
    assert bias.lasso(P.X, 0 * P.y, 1.0).beta.tolist() == [0.0] * 100
    twice = np.hstack([P.X, P.X, np.zeros((40, 1))])
    assert bias.lasso(twice, P.y, 0.1).gap <= 1e-12
    scaled = bias.lasso(P.X * 1e150, P.y * 1e-150, 0.1)
    assert_allclose(scaled.beta * 1e300, bias.lasso(P.X, P.y, 0.1).beta, atol=1e-12)


# --- inside ---------------------------------------------------------------------------------------


def test_bregman_terms_do_not_overflow_or_cancel():
    log_alpha2 = np.array([-1380.0, -1380.0, 0.0, 27.0])
    beta, t = np.array([1.0, -1e-300, 2.0, 1e-3]), np.array([1379.0, 1379.0, 1.0, 0.0])
    terms = _newton.bregman(beta, log_alpha2, t, True)
    assert np.isfinite(terms).all()
    assert (terms >= 0).all()
    tiny = _newton.bregman(np.array([1e-3]), np.array([27.0]), np.array([0.0]), True)  # β²/(2·2α²)
    assert tiny[0] == pytest.approx(1e-6 / (4 * np.exp(27.0)), rel=1e-9)
    assert _newton.bregman(2 * np.sinh(np.ones(1)), np.zeros(1), np.ones(1), True)[0] <= 1e-30


def test_whitened_rows_span_the_rows_of_the_data():
    X = nasty("hilbert")
    found = equations(X, X @ np.ones(40))
    assert_allclose(found.AT.T @ found.AT, np.eye(12), atol=1e-3)
    assert found.defect < 1e-14
    assert len(equations(np.vstack([P.X] * 2), np.zeros(80)).b) == 40


# --- each state under its own predictions ---------------------------------------------------------


def test_the_distance_of_each_state_is_that_of_a_problem_of_its_own():
    rng = np.random.default_rng(11)
    for X in (rng.standard_normal((6, 15)), np.repeat(rng.standard_normal((4, 9)), 2, axis=0)):
        beta, log_alpha = rng.standard_normal((7, X.shape[1])), rng.uniform(-30, 1, (7, X.shape[1]))
        offset = rng.standard_normal(beta.shape)
        away = bias.distance_to_minimiser(beta, log_alpha, X, offset=offset)
        for k, distance in enumerate(away):
            potential = HyperbolicEntropy(log_alpha[k])
            alone = bias.minimise(potential, X, X @ beta[k], offset=offset[k]).raise_if_failed().beta
            assert distance == pytest.approx(
                np.linalg.norm(beta[k] - alone) / np.linalg.norm(alone), rel=1e-9
            )


def test_a_minimiser_is_at_no_distance_from_itself_and_a_state_that_is_none_has_no_distance():
    rng = np.random.default_rng(12)
    X, log_alpha = rng.standard_normal((5, 12)), np.full((3, 12), np.log(1e-3))
    beta = bias.minimise_many(log_alpha, X, rng.standard_normal(5)).raise_if_failed().beta
    beta[1] = np.nan
    away = bias.distance_to_minimiser(beta, log_alpha, X)
    assert np.isnan(away[1])
    assert away[[0, 2]].max() < 1e-11
    assert bias.distance_to_minimiser(beta, log_alpha + 0.1, X)[0] > 1e-4


@pytest.mark.parametrize(
    ("beta", "log_alpha", "offset", "words"),
    [
        (np.zeros(3), np.zeros((1, 3)), None, "one row a state"),
        (np.zeros((2, 3)), np.zeros((1, 3)), None, "one row a state"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((1, 3)), "Match their rows"),
    ],
)
def test_distances_refuse_what_does_not_fit(beta, log_alpha, offset, words):
    with pytest.raises(ValueError, match=words):
        bias.distance_to_minimiser(beta, log_alpha, np.eye(3)[:2], offset=offset)
