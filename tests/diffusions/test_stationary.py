"""The Lasso that label noise solves, and the law of the flow around it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.linear_model import Lasso

from lib.bias import lasso
from lib.bias.penalty import largest_penalty, recovery, weighted_lasso
from lib.diffusions import label_noise_flow
from lib.diffusions.stationary import label_noise_law, late_means
from lib.problems import sparse_regression
from lib.records import Solution

P = sparse_regression(20, 30, 3, rng=2)
PHYSICS = {"step_size": 0.01, "label_noise": 2.0}
FLOW = {"log_alpha": np.log(0.3), "dt": 0.2}
SIGNED = P.X @ np.r_[1, -1.5, 0.7, np.zeros(27)]


def cost(X, y, weights, beta):
    return np.square(X @ beta - y).mean() / 2 + weights @ np.abs(beta)


def sklearn_lasso(X, y, weights, positive):
    """The same minimum in unit penalties: columns over their weights."""
    model = Lasso(alpha=1.0, fit_intercept=False, positive=positive, tol=1e-14, max_iter=1_000_000)
    return model.fit(X / weights, y).coef_ / weights


# --- the weighted Lasso ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Objective did not converge")  # a tolerance of 1e-14 is not always reached
@pytest.mark.parametrize("nonnegative", [True, False])
def test_weighted_lasso_agrees_with_scikit_learn(nonnegative):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((25, 40)) * 10 ** rng.uniform(-0.5, 0.5, 40)
        y = X[:, :4] @ rng.standard_normal(4) + 0.1 * rng.standard_normal(25)
        weights = 10 ** rng.uniform(-1.5, -0.5, 40)
        found = weighted_lasso(X, y, weights, nonnegative=nonnegative)
        assert found.status == 0
        assert found.gap <= 1e-10
        theirs = sklearn_lasso(X, y, weights, nonnegative)
        assert cost(X, y, weights, found.beta) <= cost(X, y, weights, theirs) * (1 + 1e-13)
        assert_allclose(found.beta, theirs, atol=2e-6)  # scikit-learn's β; ours is certified to 1e-10


def test_equal_weights_are_the_plain_lasso():
    weighted = weighted_lasso(P.X, P.y, np.full(30, 0.1))
    assert_allclose(weighted.beta, lasso(P.X, P.y, 0.1).beta, rtol=1e-12)
    assert isinstance(weighted, Solution)


def test_optimality_conditions_by_hand():
    law = label_noise_law(P.X, P.y, **PHYSICS)
    g = P.X.T @ (P.X @ law.beta - P.y) / 20
    assert_allclose(law.penalty, 0.08 * P.D)
    assert_allclose(g[law.support], -law.penalty[law.support], atol=1e-14)
    assert (g + law.penalty > -1e-14).all()
    assert_allclose(law.slack, g + law.penalty, atol=1e-14)
    two = label_noise_law(P.X, SIGNED, **PHYSICS, positive=False)
    g = P.X.T @ (P.X @ two.beta - SIGNED) / 20
    assert_allclose(g[two.support], -(two.penalty * np.sign(two.beta))[two.support], atol=1e-14)
    assert_allclose(two.slack, two.penalty - np.abs(g), atol=1e-14)
    assert_allclose(two.rates, [-two.penalty - g, -two.penalty + g], atol=1e-15)
    assert_allclose(two.rates.max(0), -two.slack, atol=1e-14)


def test_at_the_largest_penalty_all_weights_die():
    for positive, y in ((True, P.y), (False, -SIGNED)):
        largest = largest_penalty(P.X, y, positive=positive)
        for factor, alive in ((1 - 1e-9, 1), (1 + 1e-9, 0)):
            noise = {"step_size": 0.01, "label_noise": np.sqrt(factor * largest / 0.02)}
            assert label_noise_law(P.X, y, **noise, positive=positive).support.sum() == alive
    assert largest_penalty(P.X, -P.y) < largest_penalty(P.X, -P.y, positive=False)
    assert largest_penalty([[1.0]], [-1.0]) == 0.0


def test_the_penalty_depends_on_the_scale_of_a_column():
    """Weights D are not invariant: of two copies of a feature, label noise keeps the smaller."""
    X = np.stack([P.X[:, 0], 0.5 * P.X[:, 0]], axis=1)
    assert label_noise_law(X, P.y, **PHYSICS).support.tolist() == [False, True]


# --- the law --------------------------------------------------------------------------------------


def test_one_coordinate_by_hand():
    law = label_noise_law([[2.0], [0.0]], [3.0, 1.0], step_size=0.05, label_noise=0.5)
    # D = 2, Xᵀy/n = 3, λ = 2·.05·.25 = .025: β = (3 − .05)/2; scale 4γδ² = .05; spread 2δ√γ/√2
    assert_allclose(law.beta, [1.475])
    assert_allclose(law.scale, 0.05)
    assert_allclose(law.shape, [29.5])
    assert_allclose(law.variance, [1.475 * 0.05])
    assert_allclose(law.mean_spread, [np.sqrt(0.05 / 2)])
    assert law.rate_spread.tolist() == [0.0]


def test_spreads_are_those_of_a_regression_on_the_support():
    law = label_noise_law(P.X, P.y, **PHYSICS)
    S, size = law.support, 4 * np.sqrt(0.01)
    H = P.X[:, S].T @ P.X[:, S] / 20
    assert_allclose(law.mean_spread[S], size * np.sqrt(np.diag(np.linalg.inv(H))))
    left = P.X - P.X[:, S] @ np.linalg.lstsq(P.X[:, S], P.X, rcond=None)[0]
    assert_allclose(law.rate_spread[~S], size * np.sqrt((left**2).mean(0))[~S])
    assert not law.mean_spread[~S].any()
    assert not law.rate_spread[S].any()


def test_time_means_and_rates_within_their_standard_errors():
    law = label_noise_law(P.X, P.y, **PHYSICS)
    length, R, S = 1000.0, 16, law.support
    means = late_means(P.X, P.y, burn_in=200.0, length=length, replicas=R, rng=1, **PHYSICS, **FLOW)
    z = (means.beta.mean(0) - law.beta)[S] / (law.mean_spread[S] / np.sqrt(length * R))
    assert np.abs(z).max() < 4
    half = weighted_lasso(P.X, P.y, law.penalty / 2, nonnegative=True).beta
    assert (np.abs((means.beta.mean(0) - half)[S] / law.mean_spread[S]) * np.sqrt(length * R)).max() > 8
    spread = (means.beta - law.beta)[:, S].std(0) * np.sqrt(length) / law.mean_spread[S]
    assert np.abs(spread - 1).max() < 4 / np.sqrt(2 * R)
    z = (means.rates.mean(0) - law.rates)[~S] / (law.rate_spread[~S] / np.sqrt(length * R))
    assert np.abs(z).max() < 4.5  # 27 coordinates


def test_the_stationary_law_is_gamma():
    # dt = .02 leaves a variance 2 % too large; 64 × 20 values 8 time units apart
    law = label_noise_law(P.X, P.y, step_size=0.01, label_noise=4.0)
    times = np.r_[0, 60 + 8.0 * np.arange(20)]
    run = label_noise_flow(
        *(P.X, P.y),
        log_alpha=np.log(0.3),
        step_size=0.01,
        label_noise=4.0,
        dt=0.02,
        horizon=times[-1],
        replicas=64,
        rng=3,
        record=times,
        observe={"beta": lambda beta: beta[:, :3]},
    )
    for j, values in enumerate(run.observed["beta"][:, 1:].reshape(-1, 3).T):
        shape, scale = law.shape[j], law.scale
        assert stats.kstest(values, stats.gamma(shape, scale=scale).cdf).pvalue > 1e-4
        assert stats.kstest(values, stats.gamma(2 * shape, scale=scale / 2).cdf).pvalue < 1e-8
        assert stats.kstest(values, stats.norm(law.beta[j], law.variance[j] ** 0.5).cdf).pvalue < 1e-8


@pytest.mark.parametrize("positive", [True, False])
def test_late_means_satisfy_the_identity_between_two_instants(positive):
    y = P.y if positive else SIGNED
    seed = np.random.SeedSequence(5)
    means = late_means(
        *(P.X, y), burn_in=20.0, length=100.0, replicas=3, rng=seed, positive=positive, **PHYSICS, **FLOW
    )
    noise = 4.0 * np.sqrt(0.01 / 20) * means.brownian @ P.X
    pull = -(means.beta @ P.X.T - y) @ P.X / 20 + noise
    penalty = 0.08 * P.D
    rates = means.rates if positive else means.rates[:, 0]
    assert_allclose(rates, pull - penalty, atol=1e-12)
    if not positive:
        assert_allclose(means.rates[:, 1], -pull - penalty, atol=1e-12)
    assert np.abs(rates - (pull - penalty / 2)).max() > 1e-2
    again = late_means(
        *(P.X, y), burn_in=20.0, length=100.0, replicas=3, rng=seed, positive=positive, **PHYSICS, **FLOW
    )
    assert (again.beta == means.beta).all()


def test_long_runs_stay_finite_in_logarithms():
    """log w is followed below −10⁶, where w and its square are 0."""
    run = label_noise_flow(
        P.X, P.y, log_alpha=0.0, step_size=0.1, label_noise=30.0, dt=0.5, horizon=10_000.0, rng=0, record=2
    )
    assert run.status[0] == 0
    assert np.isfinite(run.log_w).all()
    assert run.log_w.min() < -1e6
    assert run.beta.max() == 0.0
    rates = label_noise_law(P.X, P.y, step_size=0.1, label_noise=30.0).rates
    assert_allclose(run.log_w[0] / 10_000, rates, rtol=0.02)


# --- recovery -------------------------------------------------------------------------------------


@pytest.mark.parametrize("positive", [True, False])
def test_the_irrepresentable_condition_decides_recovery(positive):
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, beta = rng.standard_normal((25, 40)), np.zeros(40)
        beta[:6] = rng.uniform(0.5, 1.5, 6) * (1 if positive else rng.choice([-1, 1], 6))
        told = recovery(X, beta, positive=positive)
        penalty = 0.5 * told.limit
        D = (X**2).mean(0)
        found = weighted_lasso(X, X @ beta, penalty * D, nonnegative=positive)
        assert np.array_equal(np.sign(found.beta), np.sign(beta)) == told.holds
        seen.add(told.holds)
        if told.holds:
            law = label_noise_law(X, X @ beta, step_size=penalty / 2, label_noise=1.0, positive=positive)
            v = told.overlap[6:] if positive else np.abs(told.overlap[6:])
            assert_allclose(law.slack[6:], penalty * D[6:] * (1 - v), atol=1e-13)
    assert seen == {True, False}


def test_up_to_the_limit_and_not_beyond():
    X = sparse_regression(60, 70, 3, rng=0).X
    beta = np.r_[1.0, 1.0, 0.5, np.zeros(67)]
    told = recovery(X, beta)
    assert told.holds
    D = (X**2).mean(0)
    before = weighted_lasso(X, X @ beta, 0.999 * told.limit * D, nonnegative=True)
    after = weighted_lasso(X, X @ beta, 1.001 * told.limit * D, nonnegative=True)
    assert (before.beta != 0).sum() == 3
    assert (after.beta[:3] != 0).sum() == 2


def test_other_weights_and_an_empty_complement():
    plain = recovery(P.X, P.beta_star, weights=np.ones(30)).overlap
    S = P.beta_star != 0
    by_hand = P.X.T @ P.X[:, S] @ np.linalg.solve(P.X[:, S].T @ P.X[:, S], np.ones(3))
    assert_allclose(plain[~S], by_hand[~S])
    assert recovery(np.eye(2), [1.0, 1.0]).worst == -np.inf


# --- refusals -------------------------------------------------------------------------------------

ZERO = np.c_[P.X, np.zeros(20)]
REFUSED = [
    (
        lambda: label_noise_law(ZERO, P.y, **PHYSICS),
        ValueError,
        "no zero column; received zeros in column 30",
    ),
    (lambda: label_noise_law(P.X, P.y, step_size=0.01, label_noise=0.0), ValueError, "greater than 0"),
    (lambda: label_noise_law(P.X, P.y[1:], **PHYSICS), ValueError, "one entry for each row"),
    (lambda: largest_penalty(ZERO, P.y), ValueError, "zero column"),
    (lambda: weighted_lasso(P.X, P.y, np.zeros(30)), ValueError, "weights must be greater than 0"),
    (lambda: weighted_lasso(P.X, P.y, np.ones(29)), ValueError, "30 columns"),
    (lambda: recovery(P.X, np.zeros(30)), ValueError, "must not be 0"),
    (lambda: recovery(P.X, -P.beta_star), ValueError, "positive=False"),
    (lambda: recovery(P.X, np.ones(30)), ValueError, "must be independent"),
    (lambda: recovery(np.ones((3, 2)), [1.0, 1.0]), ValueError, "must be independent"),
    (lambda: late_means(P.X, P.y, burn_in=1.0, length=9.0, **PHYSICS, **FLOW), TypeError, "rng must be"),
    (
        lambda: late_means(P.X, P.y, burn_in=0.3, length=9.0, rng=0, **PHYSICS, **FLOW),
        ValueError,
        "multiples of dt",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED)
def test_refusals_name_what_is_wrong(call, error, text):
    with pytest.raises(error, match=text):
        call()
