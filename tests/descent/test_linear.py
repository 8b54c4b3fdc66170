"""Simulators of linear models against algebra, their means against exact moments."""

import numpy as np
import pytest

from lib import bias, descent, regression
from lib.descent import linear, losses
from lib.modified import weak_orders
from lib.potentials import SquaredNorm
from lib.records import INFEASIBLE, RunFailed

RNG = np.random.default_rng(7)
X = RNG.standard_normal((20, 5)) / np.sqrt(np.arange(1, 6))
BETA = RNG.standard_normal(5) / np.sqrt(5)
Y = X @ BETA + 0.5 * np.random.default_rng(0).standard_normal(20)


def noisy_labels(replicas, seed):
    return X @ BETA + 0.5 * np.random.default_rng(seed).standard_normal((replicas, 20))


def test_gradient_descent_follows_its_filter():
    run = linear.gradient_descent(X, Y, step_size=0.5, steps=30, observe={"path": lambda beta: beta})
    S, target = X.T @ X / 20, np.linalg.lstsq(X, Y)[0]
    for k, beta in zip(np.rint(run.times / 0.5).astype(int), run.observed["path"][0], strict=True):
        expected = target - np.linalg.matrix_power(np.eye(5) - 0.5 * S, k) @ target
        np.testing.assert_allclose(beta, expected, atol=1e-12)
    np.testing.assert_allclose(run.loss[0, -1], np.mean((Y - X @ run.beta[0]) ** 2) / 2)


def test_momentum_is_the_heavy_ball():
    run = linear.gradient_descent(X, Y, step_size=0.5, steps=7, momentum=0.8, start=np.ones(5))
    beta = before = np.ones(5)
    for _ in range(7):
        beta, before = beta + 0.5 * X.T @ (Y - X @ beta) / 20 + 0.8 * (beta - before), beta
    np.testing.assert_allclose(run.beta[0], beta, rtol=1e-13)
    # and it lets the step go to 2(1 + 0.8)/s_max, not further
    largest = np.linalg.norm(X, 2) ** 2 / 20
    end = linear.gradient_descent(X, Y, step_size=3.5 / largest, steps=2000, momentum=0.8).beta[0]
    np.testing.assert_allclose(end, np.linalg.lstsq(X, Y)[0], atol=1e-10)


def test_batches_of_everything_are_gradient_descent():
    whole = linear.stochastic_gradient_descent(X, Y, step_size=0.5, steps=9, batch_size=20, replacement=False)
    np.testing.assert_array_equal(whole.beta, linear.gradient_descent(X, Y, step_size=0.5, steps=9).beta)
    one = linear.stochastic_gradient_descent(X[:1], Y[:1], step_size=0.1, steps=9)
    np.testing.assert_allclose(
        one.beta, linear.gradient_descent(X[:1], Y[:1], step_size=0.1, steps=9).beta, rtol=1e-14
    )


@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("flow", [False, True])
def test_one_step_has_the_covariance_of_a_batch_gradient(batch_size, replacement, flow):
    # from a point with a large mean gradient, so that forgetting to subtract it shows
    batch = {"batch_size": batch_size, "replacement": replacement, "replicas": 16_000, "rng": 1}
    start = BETA + 2
    if flow:
        run = linear.stochastic_gradient_flow(X, Y, step_size=0.1, dt=0.1, horizon=0.1, start=start, **batch)
    else:
        run = linear.stochastic_gradient_descent(X, Y, step_size=0.1, steps=1, start=start, **batch)
    gradients = X * (X @ start - Y)[:, None]
    factor = weak_orders.batch_factor(20, batch_size, replacement=replacement)
    exact = 0.01 * factor * weak_orders.gradient_covariance(gradients)
    # 16,000 draws: relative error of a variance about (kurtosis/16,000)^½ < 3 %, four of them
    assert np.linalg.norm(np.cov(run.beta.T) - exact) < 0.12 * np.linalg.norm(exact)
    mean = run.beta.mean(0) - (start - 0.1 * gradients.mean(0))
    assert (np.abs(mean) < 4.5 * np.sqrt(np.diag(exact) / 16_000)).all()


@pytest.mark.parametrize(("batch_size", "replacement", "step"), [(1, True, 0.1), (4, False, 0.4)])
def test_risk_of_sgd_agrees_with_the_exact_moments(batch_size, replacement, step):
    steps, replicas = round(4 / step), 20_000
    run = linear.stochastic_gradient_descent(
        X,
        noisy_labels(replicas, 2),
        step_size=step,
        steps=steps,
        batch_size=batch_size,
        replacement=replacement,
        replicas=replicas,
        rng=3,
        record=2,
    )
    squared = ((run.beta - BETA) ** 2).sum(-1)
    exact = regression.risk_stochastic_gradient_descent(
        X, BETA, 0.5, step, batch_size, steps, replacement=replacement
    ).total
    error = squared.std() / np.sqrt(replicas)
    assert abs(squared.mean() - exact) < 4 * error
    # the check could fail: gradient descent's risk is many errors away
    descent = regression.risk_stochastic_gradient_descent(
        X, BETA, 0.5, step, 20, steps, replacement=False
    ).total
    assert abs(squared.mean() - descent) > 10 * error


def test_risk_of_the_flow_agrees_with_the_exact_moments():
    replicas = 10_000
    run = linear.stochastic_gradient_flow(
        X,
        noisy_labels(replicas, 4),
        step_size=0.2,
        dt=0.02,
        horizon=4.0,
        replicas=replicas,
        rng=5,
        record=2,
    )
    squared = ((run.beta - BETA) ** 2).sum(-1)
    error = squared.std() / np.sqrt(replicas)
    exact = regression.risk_stochastic_flow(X, BETA, 0.5, 0.2, 1, 4.0)
    # Euler–Maruyama at ε/10 is wrong by a tenth of flow minus SGD, 4e-4; one error is 2e-3
    assert abs(squared.mean() - exact.total) < 4 * error + 4e-4
    assert exact.sampling > 20 * error


def test_first_replicas_do_not_depend_on_how_many_there_are():
    for simulate, clock in (
        (linear.stochastic_gradient_descent, {"steps": 300}),
        (linear.stochastic_gradient_flow, {"dt": 0.01, "horizon": 3.0}),
    ):
        for extra in ({}, {"batch_size": 3, "replacement": False}):
            many = simulate(X, Y, step_size=0.1, replicas=1000, rng=11, **clock, **extra).beta
            few = simulate(X, Y, step_size=0.1, replicas=64, rng=11, **clock, **extra).beta
            one = simulate(X, Y, step_size=0.1, replicas=1, rng=11, **clock, **extra).beta
            np.testing.assert_array_equal(many[:64], few)
            # same draws; products round by shape, 300 steps of coordinates of size 1
            np.testing.assert_allclose(few[:1], one, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (3, True), (3, False)])
def test_samples_are_those_of_the_other_simulators(batch_size, replacement):
    batch = {"batch_size": batch_size, "replacement": replacement, "replicas": 2, "rng": 5}
    run = linear.stochastic_gradient_descent(X, Y, step_size=0.1, steps=6, **batch)
    for beta, index in zip(run.beta, descent.sample_indices(20, 6, **batch), strict=True):
        expected = np.zeros(5)
        for i in index:
            expected = expected + 0.1 * X[i].T @ (Y[i] - X[i] @ expected) / batch_size
        np.testing.assert_allclose(beta, expected, rtol=1e-12)


@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (3, True), (3, False)])
def test_batches_follow_the_slope_of_the_loss(batch_size, replacement):
    """The end of a run does not show its loss, so the way there must."""
    batch = {"batch_size": batch_size, "replacement": replacement, "replicas": 2, "rng": 5}
    options = {"loss": losses.rastrigin(0.3, 4.0), "weight_decay": 0.2, "momentum": 0.6}
    run = linear.stochastic_gradient_descent(X, Y, step_size=0.1, steps=6, **batch, **options)
    for beta, index in zip(run.beta, descent.sample_indices(20, 6, **batch), strict=True):
        expected = before = np.zeros(5)
        for i in index:
            slope = options["loss"].slope(X[i] @ expected - Y[i])
            step = -0.1 * (X[i].T @ slope / batch_size + 0.2 * expected) + 0.6 * (expected - before)
            expected, before = expected + step, expected
        np.testing.assert_allclose(beta, expected, rtol=1e-12)


def test_every_replica_has_its_own_labels():
    labels = noisy_labels(600, 9)
    many = linear.gradient_descent(X, labels, step_size=0.5, steps=20).beta
    for replica in (0, 511, 512, 599):
        one = linear.gradient_descent(X, labels[replica], step_size=0.5, steps=20).beta[0]
        np.testing.assert_allclose(many[replica], one, rtol=1e-12)


def test_what_is_recorded():
    run = linear.stochastic_gradient_descent(
        X,
        Y,
        step_size=0.1,
        steps=10,
        replicas=3,
        rng=0,
        record=[0.2, 1.0],
        observe={"path": lambda beta: beta},
    )
    np.testing.assert_allclose(run.times, [0.2, 1.0])
    assert run.observed["path"].shape == (3, 2, 5)
    np.testing.assert_array_equal(run.observed["path"][:, -1], run.beta)
    full = linear.stochastic_gradient_descent(X, Y, step_size=0.1, steps=10, replicas=3, rng=0, record=11)
    np.testing.assert_allclose(full.loss_integral, 0.1 * full.loss[:, :-1].sum(1), rtol=1e-13)
    np.testing.assert_array_equal(full.loss[:, [2, 10]], run.loss)


def test_runs_that_leave_the_finite_numbers_say_so():
    # below 2/s_max the mean converges, but at batch 1 the second moment of this design explodes
    heavy = np.sqrt(20) * np.eye(20)[:, :1]
    run = linear.stochastic_gradient_descent(
        heavy, np.zeros(20), step_size=1.9, steps=20_000, start=[1.0], replicas=4, rng=0, record=2
    )
    assert (run.status == 1).all()
    with pytest.raises(RunFailed, match="4 of 4 replicas"):
        run.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"X": X * np.nan}, "X must be finite"),
        ({"X": np.empty((0, 5)), "y": []}, "at least one row"),
        ({"y": Y[:-1]}, "one entry for each row"),
        ({"y": np.zeros((2, 20))}, "for each replica"),
        ({"batch_size": 21}, "batch_size must be between 1 and 20"),
        ({"batch_size": 0}, "batch_size must be between 1 and 20"),
        ({"step_size": 2.5}, "step_size must be below 2.48358"),
        ({"step_size": 0.0}, "step_size must be finite and greater than 0"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"replicas": 0}, "replicas must be at least 1"),
        ({"start": [1.0]}, "each of the 5 columns"),
        ({"record": [1.0, 0.5]}, "record must be increasing"),
        ({"record": [0.0, 7.0]}, "record must be increasing instants between 0 and 1"),
        ({"steps": -1}, "steps must be at least 0"),
    ],
)
def test_bad_input_gets_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        linear.stochastic_gradient_descent(**({"X": X, "y": Y, "step_size": 0.1, "steps": 10} | change))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dt": 2.5}, "dt must be below 2.48358"),
        ({"horizon": -1.0}, "horizon must be finite and at least 0"),
        ({"batch_size": 30}, "batch_size must be between 1 and 20"),
    ],
)
def test_bad_input_of_the_flow_gets_a_sentence(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        linear.stochastic_gradient_flow(
            **({"X": X, "y": Y, "step_size": 0.1, "dt": 0.01, "horizon": 1.0} | change)
        )


# --- other losses, weight decay, many starts: the point where a linear model ends ------------------

WIDE = np.random.default_rng(1).standard_normal((4, 9))
EASY = WIDE @ np.ones(9)
STARTS = np.random.default_rng(2).standard_normal((30, 9))
NEAREST = STARTS - (STARTS @ WIDE.T - EASY) @ np.linalg.pinv(WIDE).T
SAFE = 1 / np.square(WIDE).sum(1).max()


def away(run, ends):
    return (np.linalg.norm(run.beta - ends, axis=-1) / np.linalg.norm(ends, axis=-1)).max()


@pytest.mark.parametrize("loss", [losses.SQUARED, losses.LOG_COSH, losses.CAUCHY], ids=repr)
@pytest.mark.parametrize("batch", [(1, True), (3, False), (4, True), (4, False)])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_every_run_ends_at_the_projection_of_its_start(loss, batch, momentum):
    run = linear.stochastic_gradient_descent(
        WIDE,
        EASY,
        step_size=SAFE,
        steps=4500,
        batch_size=batch[0],
        replacement=batch[1],
        loss=loss,
        momentum=momentum,
        start=STARTS,
        replicas=30,
        rng=3,
        record=2,
    )
    assert away(run, NEAREST) < 1e-12
    assert away(run, np.linalg.pinv(WIDE) @ EASY) > 0.1  # of 0 it is another point


def test_one_step_with_a_loss_and_decay_is_the_formula():
    r = WIDE @ STARTS[0] - EASY
    expected = STARTS[0] - 0.05 * (WIDE.T @ (r / (1 + r**2)) / 4 + 0.3 * STARTS[0])
    run = linear.gradient_descent(
        WIDE, EASY, step_size=0.05, steps=1, loss=losses.CAUCHY, weight_decay=0.3, start=STARTS[0]
    )
    np.testing.assert_allclose(run.beta[0], expected, rtol=1e-13)
    np.testing.assert_allclose(run.loss[0, 0], np.log1p(r**2).mean() / 2, rtol=1e-13)


def test_weight_decay_ends_at_ridge_and_forgets_the_start():
    run = linear.gradient_descent(WIDE, EASY, step_size=0.1, steps=4000, weight_decay=0.1, start=STARTS)
    ridge = np.linalg.solve(WIDE.T @ WIDE / 4 + 0.1 * np.eye(9), WIDE.T @ EASY / 4)
    assert away(run, ridge) < 1e-12


@pytest.mark.parametrize("loss", [losses.SQUARED, losses.LOG_COSH, losses.CAUCHY], ids=repr)
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_just_below_the_limit_it_settles_and_above_it_is_refused(loss, decay):
    limit = 2 / (loss.curvature * np.linalg.norm(WIDE, 2) ** 2 / 4 + decay)
    options = {"loss": loss, "weight_decay": decay, "start": STARTS[0]}
    near = linear.gradient_descent(WIDE, EASY, step_size=0.99 * limit, steps=5000, **options)
    later = linear.gradient_descent(WIDE, EASY, step_size=0.99 * limit, steps=5001, **options)
    assert away(near, later.beta) < 1e-12
    with pytest.raises(ValueError, match=f"step_size must be below {limit:.6g}"):
        linear.gradient_descent(WIDE, EASY, step_size=1.001 * limit, steps=9, **options)


def test_a_start_for_each_replica_is_a_run_of_its_own():
    many = linear.gradient_descent(WIDE, EASY, step_size=0.1, steps=20, start=STARTS).beta
    one = linear.gradient_descent(WIDE, EASY, step_size=0.1, steps=20, start=STARTS[7]).beta
    np.testing.assert_allclose(many[7], one[0], rtol=1e-13)


def test_on_inconsistent_data_the_start_still_shows():
    """Gradient descent ends at the least-squares fit nearest to its start; the solver refuses in words."""
    X, y = np.vstack([WIDE, WIDE[0]]), np.append(EASY, EASY[0] + 1)
    run = linear.gradient_descent(X, y, step_size=0.1, steps=4000, start=STARTS)
    fit = np.append(EASY, EASY[0] + 1)
    fit[[0, 4]] = fit[[0, 4]].mean()
    nearest = STARTS - (STARTS @ X.T - fit) @ np.linalg.pinv(X).T
    assert away(run, nearest) < 1e-12
    refused = bias.minimise(SquaredNorm(), X, y, offset=STARTS[0])
    assert refused.status == INFEASIBLE
    with pytest.raises(RunFailed, match=r"has no solution.*Drop contradictory rows"):
        refused.raise_if_failed()


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"loss": "squared"}, TypeError, "loss must be a Loss; received 'squared'"),
        ({"loss": losses.rastrigin(1.0)}, ValueError, "step_size must be below 0.06.*stops being stable"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be finite and at least 0"),
        ({"weight_decay": 50.0}, ValueError, "step_size must be below 0.03"),
        ({"start": np.zeros((3, 5))}, ValueError, r"start must have shape \(5,\) or \(2, 5\)"),
        ({"start": np.full((2, 5), np.nan)}, ValueError, "start must be finite"),
    ],
)
def test_bad_choices_get_a_sentence(change, error, sentence):
    with pytest.raises(error, match=sentence):
        linear.stochastic_gradient_descent(
            **({"X": X, "y": Y, "step_size": 0.1, "steps": 9, "replicas": 2} | change)
        )
