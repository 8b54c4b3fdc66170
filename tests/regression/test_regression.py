"""Estimators and risks of ``lib.regression``, and what ``shrinkage`` and ``sampling`` add.

Fixtures R, wide and C are fixed designs whose numbers were computed once by another route (the pair of
equations for E eeᵀ and E eηᵀ, e = β − β₀, integrated by DOP853 at rtol 1e-12); tolerances of 1e-9 are those
of the tables, 1e-12 is rounding of closed forms.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from sklearn.linear_model import Ridge

from lib import regression
from lib.modified import weak_orders
from lib.regression import sampling, shrinkage


def design(seed, n, p):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) / np.sqrt(np.arange(1, p + 1))
    return X, rng.standard_normal(p) / np.sqrt(p)


R = design(7, 20, 5)  # σ = 0.5
WIDE = design(3, 8, 15)  # σ = 0.3, m = 2
C = np.sqrt(20) * np.eye(20)[:, :1], np.ones(1)  # one heavy sample; σ = 0


# --- estimators -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("X", "beta0"), [R, WIDE])
def test_gradient_flow_solves_its_equation(X, beta0):
    y = X @ beta0 + np.random.default_rng(0).standard_normal(len(X))
    n = len(X)
    times = np.array([0.5, 3.0, 10.0])
    run = solve_ivp(
        lambda _, b: X.T @ (y - X @ b) / n,
        (0, 10),
        0 * beta0,
        method="DOP853",
        t_eval=times,
        rtol=1e-12,
        atol=1e-14,
    )
    # global error of DOP853 at rtol 1e-12 is below 1e-11 here
    np.testing.assert_allclose(regression.gradient_flow(X, y, times), run.y.T, atol=1e-10)
    np.testing.assert_allclose(regression.gradient_flow(X, y, 3.0), regression.gradient_flow(X, y, times)[1])


def test_gradient_flow_ends_at_least_squares_of_least_norm():
    X, beta0 = WIDE
    y = X @ beta0 + 1
    np.testing.assert_allclose(regression.gradient_flow(X, y, 1e9), np.linalg.pinv(X) @ y, atol=1e-11)
    np.testing.assert_allclose(regression.ridge(X, y, 0.0), np.linalg.pinv(X) @ y, atol=1e-11)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_ridge_agrees_with_scikit_learn(penalty):
    X, beta0 = R
    y = X @ beta0 + np.random.default_rng(0).standard_normal(20)
    other = Ridge(alpha=20 * penalty, fit_intercept=False, tol=1e-12).fit(X, y).coef_
    np.testing.assert_allclose(regression.ridge(X, y, penalty), other, rtol=1e-10)


# --- risks of gradient flow and ridge -------------------------------------------------------------


def test_risk_table_of_fixture_R():
    t = np.array([0.5, 2.0, 8.0, 50.0])
    flow = regression.risk_gradient_flow(*R, 0.5, t)
    ridge = regression.risk_ridge(*R, 0.5, 1 / t)
    tolerance = {"atol": 2e-12, "rtol": 0}  # the last digit of the table may be off by one
    np.testing.assert_allclose(
        flow.bias2, [1.131619625683, 0.708307975288, 0.126943787664, 0.000018874416], **tolerance
    )
    np.testing.assert_allclose(
        flow.variance, [0.004235894193, 0.036590426968, 0.151559146541, 0.335367038187], **tolerance
    )
    np.testing.assert_allclose(
        ridge.bias2, [1.139516951520, 0.770342393398, 0.272623617898, 0.019204534273], **tolerance
    )
    np.testing.assert_allclose(
        ridge.variance, [0.003496548257, 0.025050319030, 0.098184556829, 0.250769864690], **tolerance
    )
    np.testing.assert_allclose(flow.total / ridge.total, [0.99374, 0.93652, 0.75107, 1.24229], atol=5e-6)
    # with tXᵀX in the exponent, not tXᵀX/n, the bias is another one
    assert abs(regression.risk_gradient_flow(R[0], R[1], 0.5, 10.0).bias2 - 0.07355) < 1e-5


@pytest.mark.parametrize(("X", "beta0"), [R, WIDE])
@pytest.mark.parametrize("metric", [None, "sample", "other"])
def test_risks_are_those_of_the_estimators(X, beta0, metric):
    # both estimators are linear in y: β̂ = Ay, hence bias = AXβ₀ − β₀ and Cov = σ²AAᵀ
    n, p = X.shape
    B = np.random.default_rng(1).standard_normal((p, p))
    metric = {None: None, "sample": X.T @ X / n, "other": B @ B.T}[metric]
    S = np.eye(p) if metric is None else metric
    for estimate, risk in (
        (lambda y: regression.gradient_flow(X, y, 3.0), regression.risk_gradient_flow),
        (lambda y: regression.ridge(X, y, 3.0), regression.risk_ridge),
    ):
        A = np.array([estimate(row) for row in np.eye(n)]).T
        found = risk(X, beta0, 0.7, 3.0, metric=metric)
        bias = A @ X @ beta0 - beta0
        np.testing.assert_allclose(found.bias2, bias @ S @ bias, rtol=1e-12)
        np.testing.assert_allclose(found.variance, 0.49 * np.trace(A.T @ S @ A), rtol=1e-12)


# --- Theorem 5.1 ------------------------------------------------------------------------------------


def test_sharp_constants():
    assert abs(shrinkage.variance_constant().value - 1.685909058278325) < 1e-12
    assert abs(shrinkage.variance_constant().at - 1.7932821329007615) < 1e-9
    assert abs(shrinkage.filter_constant().value - 0.20363218879) < 1e-11
    assert abs(shrinkage.bayes_constant().value - 1.2146618408) < 1e-9
    assert abs(shrinkage.bayes_constant().at - 3.21356) < 1e-5
    # least worst case: a minimum, hence 1e-7 in its place is 1e-7 in its value at most (the two humps cross)
    assert abs(shrinkage.best_multiple().value - 1.07857) < 1e-5
    assert shrinkage.best_multiple().value < shrinkage.bayes_constant(multiple=0.45).value
    assert shrinkage.best_multiple().value < shrinkage.bayes_constant(multiple=0.465).value


@given(st.floats(0, 1e6))
def test_ratios_stay_below_their_constants(x):
    rounding = 1 + 1e-12
    assert shrinkage.bias_ratio(x) <= rounding
    assert shrinkage.variance_ratio(x) <= shrinkage.variance_constant().value * rounding
    assert 0 <= shrinkage.filter_gap(x) <= shrinkage.filter_constant().value * rounding
    assert 1 - 1e-12 <= shrinkage.bayes_ratio(x) <= shrinkage.bayes_constant().value * rounding


@pytest.mark.parametrize("multiple", [0.5, 1.0, 2.0])
def test_ratios_are_those_of_the_risks(multiple):
    X, t = np.sqrt(10) * np.eye(10)[:, :1], 1.3  # one eigenvalue, 1
    flow = regression.risk_gradient_flow(X, [1.0], 1.0, t)
    ridge = regression.risk_ridge(X, [1.0], 1.0, multiple / t)
    assert abs(shrinkage.bias_ratio(t, multiple=multiple) - flow.bias2 / ridge.bias2) < 1e-12
    assert abs(shrinkage.variance_ratio(t, multiple=multiple) - flow.variance / ridge.variance) < 1e-12
    bayes = regression.bayes_risk_gradient_flow(X, 1.0, 1.0, multiple * 10).total
    best = regression.bayes_risk_ridge(X, 1.0, 1.0, 0.1).total
    assert abs(shrinkage.bayes_ratio(10.0, multiple=multiple) - bayes / best) < 1e-12


def random_designs(count=200):
    rng = np.random.default_rng(2025)
    for _ in range(count):
        n, p = rng.integers(1, 30), rng.integers(1, 40)
        X = rng.standard_normal((n, p)) * rng.uniform(0.1, 3, p)
        yield X, rng.standard_normal(p), rng.uniform(0.1, 3), 10 ** rng.uniform(-2, 2)


def test_theorem_on_random_designs():
    worst, halved, doubled = np.zeros(3), 0.0, 0.0
    for X, beta0, sigma, t in random_designs():
        flow = regression.risk_gradient_flow(X, beta0, sigma, t)
        same, half, double = (regression.risk_ridge(X, beta0, sigma, c / t) for c in (1, 0.5, 2))
        ratios = flow.bias2 / same.bias2, flow.variance / same.variance, flow.total / same.total
        worst = np.maximum(worst, ratios)
        halved, doubled = (
            max(halved, flow.bias2 / half.bias2),
            max(doubled, flow.variance / double.variance),
        )
    sharp = shrinkage.variance_constant().value
    assert worst[0] <= 1 + 1e-12
    assert worst[1] <= sharp * (1 + 1e-12)
    assert worst[2] <= sharp * (1 + 1e-12)
    assert worst[1] > 1.6  # the designs come close, so the check could fail
    assert halved > 1.2  # λ = 1/2t breaks the bias inequality
    assert doubled > 3  # λ = 2/t breaks the variance inequality


def test_sharp_constant_is_attained_and_nothing_less_holds():
    t, s = 2.0, shrinkage.variance_constant().at / 2.0
    Q = np.linalg.qr(np.random.default_rng(4).standard_normal((12, 3)))[0]
    X = np.sqrt(12 * s) * Q
    ratio = (
        regression.risk_gradient_flow(X, np.zeros(3), 1.0, t).total
        / regression.risk_ridge(X, np.zeros(3), 1.0, 1 / t).total
    )
    assert abs(ratio - shrinkage.variance_constant().value) < 1e-12
    assert ratio > 1.68


def test_fixed_coefficients_out_of_sample_break_the_bias_inequality():
    X, u = np.sqrt(2) * np.diag(np.sqrt([3.0, 1.0])), np.array([1.0, -1.0])
    metric = np.outer(u, u) + 0.01 * np.eye(2)
    flow = regression.risk_gradient_flow(X, [2.0, 1.0], 0.0, 1.0, metric=metric)
    ridge = regression.risk_ridge(X, [2.0, 1.0], 0.0, 1.0, metric=metric)
    assert abs(flow.bias2 - 0.07344024) < 1e-8
    assert abs(ridge.bias2 - 0.005) < 1e-12
    # while on the sample the inequality stands
    flow = regression.risk_gradient_flow(X, [2.0, 1.0], 0.0, 1.0, metric=X.T @ X / 2)
    assert flow.bias2 < regression.risk_ridge(X, [2.0, 1.0], 0.0, 1.0, metric=X.T @ X / 2).bias2


def test_paths_stay_within_the_filter_gap():
    rng, gap = np.random.default_rng(8), shrinkage.filter_constant()
    for _ in range(20):
        n, p = rng.integers(2, 30, 2)
        X, y, t = rng.standard_normal((n, p)), rng.standard_normal(n), 10 ** rng.uniform(-2, 2)
        distance = np.linalg.norm(regression.gradient_flow(X, y, t) - regression.ridge(X, y, 1 / t))
        assert distance <= gap.value * np.linalg.norm(np.linalg.pinv(X) @ y)
    X, y = np.eye(3)[:, :1] * np.sqrt(3), [1.0, 0, 0]  # s = 1: attained
    distance = abs(regression.gradient_flow(X, y, gap.at) - regression.ridge(X, y, 1 / gap.at))
    assert abs(distance[0] / (1 / np.sqrt(3)) - gap.value) < 1e-12


# --- Bayes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "p"), [(20, 5), (8, 15)])
def test_bayes_risk_is_the_mean_over_the_prior(n, p):
    X, _ = design(5, n, p)
    radius, sigma = 1.3, 0.6
    # E β₀β₀ᵀ = (ρ²/p)I is the mean over the p points ρe_j
    points = radius * np.eye(p)
    for bayes, risk in (
        (regression.bayes_risk_gradient_flow, regression.risk_gradient_flow),
        (regression.bayes_risk_ridge, regression.risk_ridge),
    ):
        mean = np.mean([risk(X, point, sigma, 0.8).total for point in points])
        assert abs(bayes(X, radius, sigma, 0.8).total - mean) < 1e-12


def test_bayes_optimal_ridge_and_the_price_of_gradient_flow():
    X, _ = R
    a = regression.signal_time(20, 5, 1.0, 0.5)
    best = regression.bayes_risk_ridge(X, 1.0, 0.5, 1 / a).total
    s = shrinkage.spectrum(X).s
    assert abs(best - 0.25 / 20 * (a / (1 + a * s)).sum()) < 1e-12
    assert best <= regression.bayes_risk_ridge(X, 1.0, 0.5, np.geomspace(1e-4, 1e2, 200)).total.min()
    flow = regression.bayes_risk_gradient_flow(X, 1.0, 0.5, np.array([1, 0.45714]) * a).total / best
    assert flow[0] <= shrinkage.bayes_constant().value
    assert flow[1] <= shrinkage.best_multiple().value
    # one eigenvalue at a·s = 3.2136 attains 1.21466
    X = np.sqrt(10 * shrinkage.bayes_constant().at / 10) * np.eye(10)[:, :1]
    ratio = (
        regression.bayes_risk_gradient_flow(X, 1.0, 1.0, 10.0).total
        / regression.bayes_risk_ridge(X, 1.0, 1.0, 0.1).total
    )
    assert abs(ratio - shrinkage.bayes_constant().value) < 1e-9


# --- sampling: exact risks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step_size", "flow", "added", "uncentred", "descent"),
    [
        (0.2, 0.601689762726, 0.128377881751, 0.144525, 0.605434915324),
        (0.1, 0.531139373616, 0.057827492641, 0.063492, 0.530295049050),
        (0.05, 0.500846950333, 0.027535069358, 0.029944, 0.499964953304),
        (0.025, 0.486757509461, 0.013445628486, 0.014561, 0.486221736144),
    ],
)
def test_risk_table_of_stochastic_flow_and_descent(step_size, flow, added, uncentred, descent):
    found = regression.risk_stochastic_flow(*R, 0.5, step_size, 1, 4.0)
    assert abs(found.total - flow) < 1e-9
    assert abs(found.sampling - added) < 1e-9
    wrong = regression.risk_stochastic_flow(*R, 0.5, step_size, 1, 4.0, centred=False)
    assert abs(wrong.sampling - uncentred) < 1e-6
    steps = round(4 / step_size)
    assert (
        abs(regression.risk_stochastic_gradient_descent(*R, 0.5, step_size, 1, steps).total - descent) < 1e-9
    )


def by_the_pair(X, beta0, sigma, step_size, t, *, cross=True, along=True):
    """The risk of the flow from P = E eeᵀ and C = E eηᵀ; ``cross`` and ``along`` are there to be dropped."""
    n, p = X.shape
    S = X.T @ X / n

    def residual(P, C):
        XC = X @ C
        return sigma**2 * np.eye(n) - cross * (XC + XC.T) + X @ P @ X.T

    def field(_, state):
        P, C, G = (
            state[: p * p].reshape(p, p),
            state[p * p : -p * p].reshape(p, n),
            state[-p * p :].reshape(p, p),
        )
        M = residual(P if along else G, C)
        Q = step_size * (X.T @ np.diag(np.diag(M)) @ X / n - X.T @ M @ X / n**2)
        driven = (X.T @ C.T + C @ X) / n
        dG = -S @ G - G @ S + driven
        return np.concatenate(
            [(-S @ P - P @ S + driven + Q).ravel(), (sigma**2 * X.T / n - S @ C).ravel(), dG.ravel()]
        )

    start = np.concatenate([np.outer(beta0, beta0).ravel(), np.zeros(p * n), np.outer(beta0, beta0).ravel()])
    end = solve_ivp(field, (0, t), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    return np.trace(end[: p * p].reshape(p, p))


def test_one_equation_agrees_with_the_pair_of_equations():
    right = regression.risk_stochastic_flow(*R, 0.5, 0.1, 1, 4.0)
    assert abs(by_the_pair(*R, 0.5, 0.1, 4.0) - right.total) < 1e-10
    flow = right.total - right.sampling
    # with a piece dropped: the cross moment in E rrᵀ; Q along gradient flow; the label noise
    assert abs(by_the_pair(*R, 0.5, 0.1, 4.0, cross=False) - flow - 0.072827) < 1e-6
    assert abs(by_the_pair(*R, 0.5, 0.1, 4.0, along=False) - flow - 0.052551) < 1e-6
    assert abs(regression.risk_stochastic_flow(*R, 0.0, 0.1, 1, 4.0).total - 0.407740) < 1e-6


def over_labels(X, beta0, sigma, moments):
    """Mean of E‖β − β₀‖² over 2n labels: exact, because it is a quadratic function of η."""
    n = len(X)
    points = sigma * np.sqrt(n) * np.vstack([np.eye(n), -np.eye(n)])
    found = [moments(X, X @ beta0 + eta, np.zeros_like(beta0)) for eta in points]
    return np.mean([np.trace(m.second) - 2 * beta0 @ m.mean + beta0 @ beta0 for m in found])


@pytest.mark.parametrize(
    ("fixture", "batch_size", "replacement"), [(R, 1, True), (R, 4, False), (WIDE, 2, True)]
)
def test_risks_are_the_mean_of_conditional_moments(fixture, batch_size, replacement):
    X, beta0 = fixture
    batch = {"batch_size": batch_size, "replacement": replacement}
    sgd = over_labels(X, beta0, 0.5, lambda *data: weak_orders.sgd_moments(*data, 0.05, 40, **batch))
    found = regression.risk_stochastic_gradient_descent(
        X, beta0, 0.5, 0.05, batch_size, 40, replacement=replacement
    )
    assert abs(found.total - sgd) < 1e-10
    for drift in (0.0, 0.25):
        sde = over_labels(
            X, beta0, 0.5, lambda *data, q=drift: weak_orders.sde_moments(*data, 0.05, 2.0, drift=q, **batch)
        )
        found = regression.risk_stochastic_flow(
            X, beta0, 0.5, 0.05, batch_size, 2.0, replacement=replacement, drift=drift
        )
        assert abs(found.total - sde) < 1e-10


def test_mean_of_the_stochastic_flow_is_gradient_flow():
    X, beta0 = R
    y = X @ beta0 + 0.3
    mean = weak_orders.sde_moments(X, y, np.zeros(5), 0.1, 4.0, drift=0.0).mean
    np.testing.assert_allclose(mean, regression.gradient_flow(X, y, 4.0), atol=1e-10)


def test_flow_and_descent_agree_to_the_order_of_the_drift():
    # ε ≥ .05 is left out: the difference changes sign there and no slope can be read
    steps = 2.0 ** -np.arange(6, 10)
    descent = np.array(
        [regression.risk_stochastic_gradient_descent(*R, 0.5, e, 1, round(4 / e)).total for e in steps]
    )
    gap = {
        drift: np.abs(
            [regression.risk_stochastic_flow(*R, 0.5, e, 1, 4.0, drift=drift).total for e in steps] - descent
        )
        for drift in (0.0, 0.25, 0.5, -0.25)
    }
    slope = {drift: np.log2(errors[:-1] / errors[1:]) for drift, errors in gap.items()}
    assert abs(gap[0.0][-1] - 4.79e-5) < 1e-7
    assert abs(gap[0.25][-1] - 9.23e-7) < 1e-9
    assert abs(slope[0.0][-1] - 1) < 0.05
    assert abs(slope[0.25][-1] - 2) < 0.05
    for wrong in (0.5, -0.25):
        assert slope[wrong][-1] < 1.06
        assert gap[wrong][-1] > 50 * gap[0.25][-1]


def test_whole_batch_without_replacement_has_no_sampling():
    X, beta0 = WIDE
    t = np.array([0.0, 1.0, 30.0])
    flow = regression.risk_stochastic_flow(X, beta0, 0.3, 0.1, 8, t, replacement=False)
    np.testing.assert_allclose(flow.total, regression.risk_gradient_flow(X, beta0, 0.3, t).total, rtol=1e-12)
    # gradient descent by hand, through its linear map
    A, n, steps, step = X.T @ X / 8, 8, 25, 0.1
    B = np.linalg.matrix_power(np.eye(15) - step * A, steps)
    G = sum(np.linalg.matrix_power(np.eye(15) - step * A, k) for k in range(steps)) @ X.T * step / n
    expected = np.sum((B @ beta0) ** 2) + 0.09 * np.sum(G**2)
    found = regression.risk_stochastic_gradient_descent(X, beta0, 0.3, step, 8, steps, replacement=False)
    np.testing.assert_allclose(found.total, expected, rtol=1e-12)
    assert abs(found.sampling) < 1e-14


def test_large_designs_are_stepped_to_the_same_numbers(monkeypatch):
    t, steps = np.array([4.0, 1.0, 4.0]), np.array([40, 3])
    flow = regression.risk_stochastic_flow(*R, 0.5, 0.1, 1, t).sampling
    descent = regression.risk_stochastic_gradient_descent(*R, 0.5, 0.1, 1, steps).sampling
    monkeypatch.setattr(sampling, "_LARGEST_DENSE", 0)
    np.testing.assert_allclose(regression.risk_stochastic_flow(*R, 0.5, 0.1, 1, t).sampling, flow, atol=1e-9)
    stepped = regression.risk_stochastic_gradient_descent(*R, 0.5, 0.1, 1, steps).sampling
    np.testing.assert_allclose(stepped, descent, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.2, 5), st.integers(1, 6))
def test_risks_follow_rotations_permutations_and_scale(seed, scale, batch_size):
    X, beta0 = design(seed, 6, 4)
    rng = np.random.default_rng(seed)
    Q, order = np.linalg.qr(rng.standard_normal((4, 4)))[0], rng.permutation(6)
    step = 0.3 * sampling.stability_limit(X, batch_size)
    base = regression.risk_stochastic_flow(X, beta0, 0.4, step, batch_size, 2.0).total
    turned = regression.risk_stochastic_flow(X[order] @ Q, Q.T @ beta0, 0.4, step, batch_size, 2.0).total
    np.testing.assert_allclose(turned, base, rtol=1e-10)
    # β → β/c under X → cX, and both clocks run c² times faster
    scaled = regression.risk_stochastic_flow(
        scale * X, beta0 / scale, 0.4, step / scale**2, batch_size, 2.0 / scale**2
    ).total
    np.testing.assert_allclose(scaled * scale**2, base, rtol=1e-10)


# --- Theorem 5.2 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixture", "sigma", "batch_size", "step_size", "t", "expected"),
    [
        (R, 0.5, 1, 0.01, 1.0, (0.0041896, 0.020657, 0.090994, 0.108593)),
        (R, 0.5, 1, 0.01, 4.0, (0.0053037, 0.026158, 0.118803, 0.171474)),
        (R, 0.5, 1, 0.01, 20.0, (0.0044091, 0.020506, 0.095815, 0.130984)),
        (WIDE, 0.3, 2, 0.01, 4.0, (5.7950e-4, 2.787e-3, 5.396e-3, 2.048e-2)),
    ],
)
def test_bounds_table(fixture, sigma, batch_size, step_size, t, expected):
    bounds = sampling.sampling_bounds(*fixture, sigma, step_size, batch_size, t)
    found = bounds.sampling, bounds.leverage, bounds.theorem, bounds.closed_form
    np.testing.assert_allclose(found, expected, rtol=3e-4)  # the digits of the table


@pytest.mark.parametrize(
    ("fixture", "sigma", "batch_size"), [(R, 0.5, 1), (R, 0.0, 3), (WIDE, 0.3, 2), (C, 0.0, 1)]
)
def test_bounds_are_ordered_for_every_small_step(fixture, sigma, batch_size):
    X, beta0 = fixture
    t = np.geomspace(1e-2, 1e2, 40)
    s = shrinkage.spectrum(X).s
    kappa = np.einsum("ij,jk,ik->i", X, X.T @ X / len(X), X).max()
    for part in (0.01, 0.3, 0.99):
        step_size = part * 2 * s.min() * batch_size / kappa
        b = sampling.sampling_bounds(X, beta0, sigma, step_size, batch_size, t)
        assert b.margin > 0
        rounding = 1e-13
        assert (b.sampling >= -rounding).all()
        assert (b.leverage >= b.sampling - rounding).all()
        assert (b.theorem >= b.leverage - rounding).all()
        assert (b.closed_form >= b.theorem * (1 - 1e-12) - rounding).all()
    too_large = sampling.sampling_bounds(
        X, beta0, sigma, 1.01 * 2 * s.min() * batch_size / kappa, batch_size, t
    )
    assert np.isinf(too_large.closed_form).all()


def test_nu_is_its_integral():
    X, beta0 = R
    nu = sampling.sampling_bounds(X, beta0, 0.5, 0.1, 1, 3.0).nu
    s, n = shrinkage.spectrum(X).s, 20
    # E f along the path from the conditional moments, by Gauss–Legendre with 24 nodes (error < 1e-12 here)
    x, weights = np.polynomial.legendre.leggauss(24)
    tau, weights = 1.5 * (1 + x), 1.5 * weights
    points = 0.5 * np.sqrt(n) * np.vstack([np.eye(n), -np.eye(n)])
    loss = [
        np.mean(
            [weak_orders.sde_moments(X, X @ beta0 + e, np.zeros(5), 0.1, u, drift=0.0).loss for e in points]
        )
        for u in tau
    ]
    integral = (2 * s[:, None] * np.exp(-2 * s[:, None] * (3.0 - tau)) * loss) @ weights
    np.testing.assert_allclose(nu, integral, rtol=1e-9)


def test_factor_n_is_needed():
    t = np.array([0.5, 1.0, 2.0])
    b = sampling.sampling_bounds(*C, 0.0, 0.01, 1, t)
    exact = np.exp(-1.81 * t) - np.exp(-2 * t)
    np.testing.assert_allclose(b.sampling, exact, atol=1e-12)
    np.testing.assert_allclose(b.theorem, exact * 0.2 / 0.19, atol=1e-12)
    assert (b.theorem / 20 < b.sampling / 18).all()  # with ε/m for εn/m it is violated 19 times over


def test_ridge_form_holds_corrected_and_fails_as_printed():
    t, constant = 50.0, 1.6862
    b = sampling.sampling_bounds(*R, 0.5, 0.001, 1, t)
    risk = regression.risk_stochastic_flow(*R, 0.5, 0.001, 1, t).total
    ridge = regression.risk_ridge(*R, 0.5, 1 / t)
    printed = ridge.bias2 + constant * regression.risk_gradient_flow(*R, 0.5, 1 / t).variance + b.theorem
    corrected = ridge.bias2 + constant * ridge.variance + b.theorem
    assert abs(risk - 0.335816783) < 1e-9
    assert abs(printed - 0.028602864) < 1e-9
    assert abs(corrected - 0.451436398) < 1e-9


def test_noise_vanishes_with_the_residual_and_only_then():
    late = np.array([5.0, 50.0, 400.0])
    interpolating = regression.risk_stochastic_flow(*WIDE, 0.0, 0.05, 2, late)
    np.testing.assert_allclose(interpolating.sampling[:2], [7.18e-4, 1.19e-6], rtol=5e-3)
    assert abs(interpolating.sampling[2]) < 1e-10
    assert abs(interpolating.bias2[2] - 0.857830) < 1e-6
    noisy = regression.risk_stochastic_flow(*WIDE, 0.3, 0.05, 2, 400.0)
    assert abs(noisy.sampling) < 1e-10
    overdetermined = [
        regression.risk_stochastic_flow(*R, 0.5, e, 1, 400.0).sampling for e in (0.2, 0.1, 0.05)
    ]
    np.testing.assert_allclose(overdetermined, [0.10634, 0.04753, 0.02258], atol=5e-6)


# --- stability ----------------------------------------------------------------------------------------


def test_stability_limits_of_fixture_R():
    X, _ = R
    flow = [sampling.stability_limit(X, m, algorithm="flow") for m in (1, 4)]
    descent = [sampling.stability_limit(X, m) for m in (1, 4)]
    np.testing.assert_allclose(flow, [0.943074, 3.772296], atol=1e-6)
    np.testing.assert_allclose(descent, [0.735204, 1.677723], atol=1e-6)
    assert abs(flow[1] / flow[0] - 4) < 1e-9
    assert abs(descent[1] / descent[0] - 2.282) < 1e-3  # not proportional to the batch
    whole = sampling.stability_limit(X, 20, replacement=False)
    assert abs(whole - 2 / shrinkage.spectrum(X).s[0]) < 1e-10
    assert sampling.stability_limit(X, 20, replacement=False, algorithm="flow") == np.inf


@pytest.mark.parametrize(
    "X", [R[0], WIDE[0], np.ones((1, 2)), np.random.default_rng(0).standard_normal((30, 25))]
)
def test_stability_limit_is_where_the_spectral_radius_is_one(X):
    # the Kronecker matrix of P ↦ E (I − εxxᵀ)P(I − εxxᵀ) on the row space; 25 columns take the iterative road
    n, V = len(X), shrinkage.spectrum(X).V
    Z, r = X @ V, V.shape[1]
    limit = sampling.stability_limit(X, 1)
    S, pairs = Z.T @ Z / n, np.einsum("ij,ik->ijk", Z, Z).reshape(n, -1)
    second, eye = pairs.T @ pairs / n, np.eye(r)
    fourth = second.reshape(r, r, r, r).transpose(0, 2, 1, 3).reshape(r * r, r * r)
    once = np.kron(S, eye) + np.kron(eye, S)

    def top(step):
        return np.linalg.eigvals(np.eye(r * r) - step * once + step**2 * fourth).real.max()

    assert top(limit * (1 - 1e-6)) < 1 < top(limit * (1 + 1e-6))


def test_beyond_the_limit_the_risk_is_refused_with_the_limit():
    with pytest.raises(ValueError, match=r"below 0\.943074"):
        regression.risk_stochastic_flow(*R, 0.5, 0.95, 1, 4.0)
    with pytest.raises(ValueError, match=r"below 0\.735204"):
        regression.risk_stochastic_gradient_descent(*R, 0.5, 0.74, 1, 4)
    regression.risk_stochastic_gradient_descent(*R, 0.5, 0.73, 1, 4)


# --- the door and the ends ------------------------------------------------------------------------------

X, BETA = R
Y = X @ BETA


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: regression.gradient_flow(X, Y, -1.0), "t must be at least 0; received -1.0"),
        (lambda: regression.ridge(X, Y, -0.1), "penalty must be at least 0"),
        (lambda: regression.gradient_flow(X, Y[:-1], 1.0), "one entry for each row"),
        (lambda: regression.gradient_flow(np.empty((0, 3)), [], 1.0), "at least one row"),
        (lambda: regression.gradient_flow(X * np.nan, Y, 1.0), "finite"),
        (
            lambda: regression.risk_gradient_flow(X, BETA, 0.5, [1.0, -2.0]),
            "t must be at least 0; received -2.0",
        ),
        (lambda: regression.risk_gradient_flow(X, BETA, 0.5, np.inf), "finite"),
        (lambda: regression.risk_gradient_flow(X, BETA, -0.5, 1.0), "sigma must be finite and at least 0"),
        (lambda: regression.risk_gradient_flow(X, BETA[:-1], 0.5, 1.0), "each of the 5 columns"),
        (lambda: regression.risk_ridge(X, BETA, 0.5, 1.0, metric=np.eye(4)), "metric must have shape"),
        (
            lambda: regression.risk_stochastic_flow(X, BETA, 0.5, 0.1, 21, 1.0),
            "batch_size must be between 1 and 20",
        ),
        (
            lambda: regression.risk_stochastic_flow(X, BETA, 0.5, 0.1, 0, 1.0),
            "batch_size must be between 1 and 20",
        ),
        (
            lambda: regression.risk_stochastic_flow(X, BETA, 0.5, 0.0, 1, 1.0),
            "step_size must be finite and greater",
        ),
        (lambda: regression.risk_stochastic_flow(X, BETA, 0.5, 0.1, 1, -1.0), "t must be at least 0"),
        (
            lambda: regression.risk_stochastic_gradient_descent(X, BETA, 0.5, 0.1, 1, -1),
            "steps must be at least 0",
        ),
        (lambda: sampling.sampling_bounds(X, BETA, 0.5, 0.1, 1, -1.0), "t must be at least 0"),
        (lambda: sampling.stability_limit(X, 1, algorithm="adam"), "algorithm must be"),
        (lambda: sampling.stability_limit(X * np.inf, 1), "finite"),
        (lambda: shrinkage.bias_ratio(1.0, multiple=0.0), "multiple must be"),
        (lambda: regression.signal_time(20, 5, 1.0, 0.0), "sigma must be"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_fractional_steps_are_refused():
    with pytest.raises(TypeError, match="steps must be whole numbers"):
        regression.risk_stochastic_gradient_descent(X, BETA, 0.5, 0.1, 1, 2.5)


def test_a_zero_design_leaves_the_start_alone():
    zero = np.zeros((4, 3))
    beta0 = np.array([1.0, 2.0, 2.0])
    assert regression.gradient_flow(zero, np.ones(4), 5.0).tolist() == [0, 0, 0]
    for risk in (
        regression.risk_gradient_flow(zero, beta0, 1.0, 5.0),
        regression.risk_stochastic_flow(zero, beta0, 1.0, 5.0, 1, 5.0),
        regression.risk_stochastic_gradient_descent(zero, beta0, 1.0, 5.0, 1, 5),
    ):
        assert risk.total == 9
        assert risk.raise_if_failed().status == 0


def test_nearly_collinear_designs_keep_their_digits():
    # a direction of eigenvalue 1e-13 has not moved by t = 10: the risk is that of the design without it
    X, beta0 = design(11, 12, 3)
    thin = np.column_stack([X, 1e-7 * np.random.default_rng(1).standard_normal(12)])
    wide = np.append(beta0, 0.0)
    thick = regression.risk_stochastic_flow(X, beta0, 0.5, 0.1, 1, 10.0)
    found = regression.risk_stochastic_flow(thin, wide, 0.5, 0.1, 1, 10.0)
    assert abs(found.sampling - thick.sampling) < 1e-11
    assert abs(found.total - thick.total) < 1e-11
    # but given the time 1e17 it is learned as well: nothing was thrown away
    y = thin @ np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(regression.gradient_flow(thin, y, 1e17), [1, 2, 3, 4], atol=1e-6)
