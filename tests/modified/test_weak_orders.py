"""Weak orders: moments and expectations are exact, and the orders read off them are the stated ones."""

import numpy as np
import pytest

from lib.batches import batch_factor
from lib.modified.circle import Circle, coupled_paths
from lib.modified.orders import fit_order
from lib.modified.weak_orders import (
    enumerated_covariance,
    enumerated_moments,
    euler_maruyama_moments,
    gradient_covariance,
    sde_moments,
    sgd_moments,
    step_function_error,
)

RNG = np.random.default_rng(20240)
X, Y = RNG.standard_normal((6, 2)), RNG.standard_normal(6)
START = np.array([1.0, -1.0])
COUNTS = [8, 16, 32, 64, 128, 256]
STEPS = 1 / np.array(COUNTS)
CIRCLE = Circle([1.0, 0.6, 1.4], [0.0, 1.3, 2.5])

WRONG_ORDER_2 = {
    "no noise": {"noise": 0.0},
    "uncentred": {"centred": False},
    "η/2 instead of η/4": {"drift": 0.5},
    "sign": {"drift": -0.25},
    "half the noise": {"noise": 0.5},
}


def weak_error(**equation):
    pairs = [
        (sde_moments(X, Y, START, 1 / n, 1.0, **equation), sgd_moments(X, Y, START, 1 / n, n)) for n in COUNTS
    ]
    loss = np.array([a.loss - b.loss for a, b in pairs])
    return loss, np.array([np.trace(a.covariance - b.covariance) for a, b in pairs])


# --- one step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 6])
def test_batch_covariance_equals_that_over_all_batches(batch_size, replacement):
    gradients = np.random.default_rng(0).normal(size=(6, 3))
    factor = batch_factor(6, batch_size, replacement=replacement)
    enumerated = enumerated_covariance(gradients, batch_size, replacement=replacement)
    np.testing.assert_allclose(enumerated, factor * gradient_covariance(gradients), atol=1e-13)


def test_the_often_quoted_factor_is_off_by_one_over_n():
    wrong = (6 - 3) / (3 * 6)
    assert wrong / batch_factor(6, 3, replacement=False) == pytest.approx(1 - 1 / 6, rel=1e-14)


def test_whole_batch_without_replacement_has_no_noise():
    assert batch_factor(6, 6, replacement=False) == 0
    assert batch_factor(1, 1, replacement=False) == 1  # irrelevant: one sample has no covariance


# --- least squares --------------------------------------------------------------------------------


def test_moment_recursion_equals_enumeration_of_all_index_sequences():
    x, y = X[:3], Y[:3]
    a, b = enumerated_moments(x, y, START, 0.2, 5), sgd_moments(x, y, START, 0.2, 5)
    np.testing.assert_allclose(b.second, a.second, atol=1e-13)
    np.testing.assert_allclose(b.mean, a.mean, atol=1e-13)
    assert b.loss == pytest.approx(a.loss, abs=1e-13)
    uncentred = sgd_moments(x, y, START, 0.2, 1, centred=False)
    assert abs(uncentred.second - enumerated_moments(x, y, START, 0.2, 1).second).max() > 1e-3


def test_moments_are_the_papers_numbers():
    first, last = sgd_moments(X, Y, START, 1 / 8, 8), sgd_moments(X, Y, START, 1 / 256, 256)
    assert np.trace(first.covariance) == pytest.approx(
        9.1877414e-2, rel=1e-7
    )  # as many digits as are written
    assert np.trace(last.covariance) == pytest.approx(2.440344347e-3, rel=1e-9)
    assert (first.loss, last.loss) == pytest.approx((0.26230853, 0.23697364), rel=1e-7)


def test_loss_is_the_mean_of_the_loss_over_the_law():
    m = sgd_moments(X, Y, START, 0.1, 3)
    direct = np.trace(X @ m.covariance @ X.T) + ((X @ m.mean - Y) ** 2).sum()
    assert m.loss == pytest.approx(direct / 12, rel=1e-13)


def test_without_noise_the_equation_is_gradient_flow():
    m = sde_moments(X, Y, START, 0.1, 0.7, drift=0, noise=0)
    s, V = np.linalg.eigh(X.T @ X / 6)
    target = np.linalg.lstsq(X, Y)[0]
    exact = target + V @ (np.exp(-0.7 * s) * (V.T @ (START - target)))
    np.testing.assert_allclose(m.mean, exact, rtol=1e-12)
    np.testing.assert_allclose(m.covariance, 0, atol=1e-13)


@pytest.mark.parametrize(
    ("equation", "order", "error"),
    [({"drift": 0, "noise": 0}, 1, 6.246e-4), ({"drift": 0}, 1, 2.725e-4), ({}, 2, 4.028e-6)],
)
def test_weak_orders_on_least_squares(equation, order, error):
    loss, _ = weak_error(**equation)
    fit = fit_order(STEPS, loss, order)
    assert fit.status == 0, fit.message
    assert fit.order == pytest.approx(order, abs=0.05)  # the next term leaves ≤ 0.02 at N = 256
    assert abs(loss[-1]) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("wrong", WRONG_ORDER_2)
def test_each_wrong_order_2_equation_is_seen(wrong):
    loss, _ = weak_error(**WRONG_ORDER_2[wrong])
    right, _ = weak_error()
    assert fit_order(STEPS, loss, 1).order < 1.1
    assert abs(loss[-1]) > 50 * abs(right[-1])  # measured ≥ 67


def test_the_variance_sees_the_noise_where_an_order_1_test_does_not():
    _, with_noise = weak_error(drift=0)
    _, without = weak_error(drift=0, noise=0)
    assert fit_order(STEPS, with_noise, 2).order == pytest.approx(2, abs=0.05)
    assert fit_order(STEPS, without, 1).order == pytest.approx(1, abs=0.05)
    assert abs(without[-1] / with_noise[-1]) == pytest.approx(319, rel=1e-2)


def test_euler_maruyama_at_dt_equal_to_the_step_is_sgd():
    for batch_size, replacement in ((1, True), (3, False)):
        batch = {"batch_size": batch_size, "replacement": replacement}
        a = euler_maruyama_moments(X, Y, START, 0.1, 10, **batch)
        b = sgd_moments(X, Y, START, 0.1, 10, **batch)
        np.testing.assert_allclose(a.second, b.second, rtol=0, atol=1e-14)
        assert abs(a.loss - b.loss) < 1e-14


def test_euler_maruyama_tends_to_the_equation():
    steps = np.array([32, 64, 128, 256])
    exact = sde_moments(X, Y, START, 0.1, 1.0)
    error = [
        euler_maruyama_moments(X, Y, START, 0.1, n, dt=1 / n, drift=0.25).loss - exact.loss for n in steps
    ]
    assert fit_order(1 / steps, error, 1).status == 0


@pytest.mark.parametrize("replacement", [True, False])
def test_batches_scale_the_noise(replacement):
    batch = {"batch_size": 3, "replacement": replacement}
    one, three = (sgd_moments(X, Y, START, 0.1, 1, **b).covariance for b in ({}, batch))
    np.testing.assert_allclose(three, batch_factor(6, 3, replacement=replacement) * one, atol=1e-14)
    full = sde_moments(X, Y, START, 0.1, 1.0, **batch)
    scaled = sde_moments(X, Y, START, 0.1, 1.0, noise=batch_factor(6, 3, replacement=replacement))
    np.testing.assert_allclose(full.second, scaled.second, rtol=1e-12)


# --- the circle -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def circle_sgd():
    counts = [16, 32, 64, 128, 256, 512]
    return counts, [CIRCLE.sgd(np.cos, 1 / n, n) for n in counts]


def circle_errors(circle_sgd, **equation):
    counts, sgd = circle_sgd
    return np.array([abs(CIRCLE.sde(np.cos, 1 / n, 1.0, **equation) - s).max() for n, s in zip(counts, sgd)])  # noqa: B905


@pytest.mark.parametrize(
    ("equation", "order", "error"),
    [
        ({"drift": 0, "noise": 0}, 1, 1.0326e-3),
        ({"drift": 0}, 1, 9.205e-5),
        ({}, 2, 7.898e-7),
        ({"noise": 0}, 1, 9.51e-4),
        ({"centred": False}, 1, 2.196e-4),
        ({"drift": 0.5}, 1, 9.27e-5),
        ({"drift": -0.25}, 1, 1.844e-4),
    ],
)
def test_weak_orders_on_the_circle(circle_sgd, equation, order, error):
    errors = circle_errors(circle_sgd, **equation)
    fit = fit_order(1 / np.array(circle_sgd[0]), errors, order)
    assert fit.status == 0, fit.message
    assert fit.order == pytest.approx(order, abs=0.06)
    assert errors[-1] == pytest.approx(error, rel=2e-3)  # printed digits


def test_noise_without_the_step_does_not_converge(circle_sgd):
    counts, sgd = circle_sgd
    error = [
        abs(CIRCLE.sde(np.cos, 1 / n, 1.0, drift=0, noise=n) - s).max()
        for n, s in zip(counts, sgd, strict=True)
    ]
    assert min(error) > 0.2


def test_euler_maruyama_at_the_step_confirms_anything(circle_sgd):
    counts, sgd = circle_sgd
    error = [abs(CIRCLE.euler_maruyama(np.cos, 1 / n, n) - s).max() for n, s in zip(counts, sgd, strict=True)]
    assert fit_order(1 / np.array(counts), error, 2).status == 0
    assert error[-1] == pytest.approx(2.772e-7, rel=1e-3)


def test_circle_values_do_not_depend_on_the_grid():
    fine = Circle(CIRCLE.amplitudes, CIRCLE.centres, 96)
    assert CIRCLE.sgd(np.cos, 1 / 16, 16)[0] == pytest.approx(0.892257637404, abs=1e-12)
    assert CIRCLE.sde(np.cos, 1 / 16, 1.0, drift=0)[0] == pytest.approx(0.892849956243, abs=1e-12)
    assert CIRCLE.sde(np.cos, 1 / 16, 1.0)[0] == pytest.approx(0.892150501786, abs=1e-12)
    assert fine.sde(np.cos, 1 / 16, 1.0)[0] == pytest.approx(CIRCLE.sde(np.cos, 1 / 16, 1.0)[0], abs=1e-11)


def test_constants_are_kept_exactly():
    def one(x):
        return np.ones_like(x)

    for result in (CIRCLE.sgd(one, 0.1, 10), CIRCLE.sde(one, 0.1, 1.0), CIRCLE.euler_maruyama(one, 0.1, 10)):
        np.testing.assert_allclose(result, 1, atol=1e-12)


def test_coupled_paths_keep_both_laws():
    sgd, sde = coupled_paths(CIRCLE, CIRCLE.nodes[10], 1 / 8, 16, paths=20_000, rng=3)
    for paths, exact in (
        (sgd, CIRCLE.sgd(np.cos, 1 / 8, 16)[10]),
        (sde, CIRCLE.euler_maruyama(np.cos, 1 / 8, 128, dt=1 / 64)[10]),
    ):
        sample = np.cos(paths[:, -1])
        assert abs(sample.mean() - exact) < 4 * sample.std() / np.sqrt(len(sample))
    difference = np.cos(sgd[:, -1]) - np.cos(sde[:, -1])
    assert (
        difference.std() < 0.6 * np.cos(sgd[:, -1]).std()
    )  # common random numbers; independent would be 1.4


def test_a_step_function_has_order_one_half():
    steps = 4 ** np.arange(2, 7)
    error = np.array([step_function_error(int(n)) for n in steps])
    assert fit_order(1 / steps, error, 0.5, tolerance=0.02).status == 0
    assert error[-1] * np.sqrt(steps[-1]) == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-3)


# --- the door -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: sgd_moments(X, Y, START, 0.1, 3, batch_size=7),
            "batch_size must be between 1 and 6; received 7",
        ),
        (lambda: sgd_moments(X, Y, [1.0], 0.1, 3), "beta must have one entry for each of the 2 columns"),
        (lambda: sgd_moments(np.empty((0, 2)), [], START, 0.1, 3), "at least one row"),
        (lambda: sde_moments(X, Y, START, 0.0, 1.0), "step_size must be finite and greater than 0"),
        (lambda: sde_moments(X, Y, START, 0.1, -1.0), "time must be finite and at least 0; received -1.0"),
        (lambda: sde_moments(X * np.nan, Y, START, 0.1, 1.0), "X must be finite"),
        (lambda: euler_maruyama_moments(X, Y, START, 0.1, 3, dt=-1), "dt must be finite"),
        (lambda: enumerated_moments(X, Y, START, 0.1, 30), "at most a million"),
        (lambda: enumerated_covariance(np.ones((40, 1)), 20, replacement=False), "at most a million"),
        (lambda: Circle([1.0], [0.0, 1.0]), "one entry each"),
        (lambda: Circle([1.0], [0.0], points=63), "points must be even; received 63"),
        (lambda: step_function_error(0), "steps must be at least 1"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
