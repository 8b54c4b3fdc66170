"""Deterministic flows: closed forms, the certified minimiser, the energy identity, the weights themselves."""

import numpy as np
import pytest
from scipy.integrate import simpson, solve_ivp

from lib import bias, flows
from lib.flows._dual import DualPath, EntropyPath
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm

RNG = np.random.default_rng(1)
X = RNG.standard_normal((40, 100))  # the reference problem
BETA_STAR = np.repeat([1.0, 0.0], [5, 95])
Y = X @ BETA_STAR
SMALL = np.random.default_rng(2).standard_normal((10, 25))
SMALL_Y = SMALL[:, :2].sum(1)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# --- gradient flow of any function ----------------------------------------------------------------


def test_gradient_flow_of_a_quadratic_is_an_exponential():
    H, times = np.diag([1.0, 10.0, 0.1]), [0.0, 0.5, 3.0, 20.0]
    run = flows.gradient_flow(lambda x: H @ x, [1.0, -2.0, 3.0], times=times)
    expected = np.exp(-np.outer(times, np.diag(H))) * [1.0, -2.0, 3.0]
    assert np.abs(run.x - expected).max() < 1e-11  # rtol 1e-12 over about 100 steps
    assert run.status == 0
    assert run.evaluations > 100


def test_gradient_flow_loses_energy_at_the_rate_of_its_gradient():
    # d f/dt = −|∇f|²: against Simpson's rule on the recorded path, error of order 1e-12
    def gradient(x):
        return np.array([x[0] ** 3 + x[1], x[0] + 2 * x[1]])

    def value(x):
        return x[..., 0] ** 4 / 4 + x[..., 0] * x[..., 1] + x[..., 1] ** 2

    times = np.linspace(0, 2, 4001)
    x = flows.gradient_flow(gradient, [1.5, -1.0], times=times).x
    speed = np.array([gradient(row) @ gradient(row) for row in x])
    assert np.isclose(value(x[0]) - value(x[-1]), simpson(speed, x=times), rtol=1e-9)


def test_a_finite_escape_time_is_status_and_not_numbers():
    run = flows.gradient_flow(lambda x: -(x**2), [1.0], times=[0.5, 0.9, 2.0])
    assert np.allclose(run.x[:2, 0], [2.0, 10.0], rtol=1e-10)
    assert np.isnan(run.x[2, 0])
    assert run.status == 1
    assert "earlier times" in run.message
    with pytest.raises(RuntimeError):
        run.raise_if_failed()


def test_a_stiff_flow_gives_up_with_a_sentence():
    run = flows.gradient_flow(lambda x: np.array([1e8, 1.0]) * x, [1.0, 1.0], times=[1.0])
    assert run.status == 1
    assert "stiff" in run.message


@pytest.mark.parametrize(
    ("gradient", "x0", "times"),
    [
        (lambda x: x, [1.0], [1.0, 0.5]),
        (lambda x: x, [1.0], [-1.0]),
        (lambda x: x, [1.0], []),
        (lambda x: x, [np.nan], [1.0]),
        (lambda x: x, 1.0, [1.0]),
        (lambda x: x[:1], [1.0, 2.0], [1.0]),
        (lambda x: x * np.nan, [1.0, 2.0], [1.0]),
    ],
)
def test_gradient_flow_refuses_bad_input(gradient, x0, times):
    with pytest.raises(ValueError, match="received"):
        flows.gradient_flow(gradient, x0, times=times)


# --- mirror flow ----------------------------------------------------------------------------------


@pytest.mark.parametrize("log10_alpha", [1, 0, -1, -2, -4, -6, -8, -10, -20, -50, -300])
def test_mirror_flow_ends_at_the_minimiser(log10_alpha):
    # claim b3: the error is at most about 10 times the relative residual (condition of X), here 1e-12
    potential = HyperbolicEntropy(log10_alpha * np.log(10))
    run = flows.mirror_flow(potential, X, Y)
    assert run.status[0] == 0
    assert np.linalg.norm(X @ run.beta[0] - Y) <= 1e-12 * np.linalg.norm(Y)
    assert rel(run.beta[0], bias.minimise(potential, X, Y).beta) < 2e-11


@pytest.mark.parametrize(
    ("alpha", "integral"), [(1.0, 0.07833), (0.3, 0.68892), (0.1, 2.07283), (1e-4, None)]
)
def test_energy_identity_of_the_flow(alpha, integral):
    # claim b4: ∫L = ½[φ(β∞) − φ(0)]; 1e-8 is what rtol 1e-9 of the integrator leaves
    potential = HyperbolicEntropy(np.log(alpha))
    run = flows.mirror_flow(potential, X, Y)
    drop = potential.value(bias.minimise(potential, X, Y).beta) - potential.value(np.zeros(100))
    assert np.isclose(run.loss_integral[0], drop / 2, rtol=1e-8)
    assert not np.isclose(run.loss_integral[0], drop, rtol=0.1)
    assert integral is None or abs(run.loss_integral[0] - integral) < 6e-6  # five printed digits


def test_reference_limit():
    run = flows.mirror_flow(HyperbolicEntropy(np.log(0.1)), X, Y)
    assert np.isclose(((run.beta[0] - BETA_STAR) ** 2).sum(), 0.30043, atol=5e-6)


@pytest.mark.parametrize("alpha", [1.0, 0.1, 1e-3])
def test_mirror_flow_is_the_gradient_flow_of_the_weights(alpha):
    # the same t on both sides: a clock off by 2 or 4 misses by more than 1e-2
    times = np.array([0.5, 2.0, 5.0, 10.0])
    n, d = SMALL.shape

    def weights(_, w):
        g = SMALL.T @ (SMALL @ (w[:d] ** 2 - w[d:] ** 2) - SMALL_Y) / n
        return np.concatenate([-w[:d] * g, w[d:] * g])

    w = solve_ivp(weights, (0, 10), np.full(2 * d, alpha), "DOP853", times, rtol=1e-11, atol=1e-14).y
    run = flows.mirror_flow(
        HyperbolicEntropy(np.log(alpha)),
        *(SMALL, SMALL_Y),
        times=times,
        observe={"path": lambda beta: beta},
    )
    expected = (w[:d] ** 2 - w[d:] ** 2).T
    assert np.abs(run.observed["path"][0] - expected).max() < 1e-7
    assert np.array_equal(run.times, times)
    assert np.allclose(
        run.loss[0], ((expected @ SMALL.T - SMALL_Y) ** 2).sum(-1) / (4 * n), rtol=1e-6, atol=1e-9
    )


def test_positive_flow_is_the_gradient_flow_of_squares():
    n, d = SMALL.shape
    y = SMALL @ np.repeat([1.0, 0.2], [3, 22])

    def weights(_, w):
        return -w * (SMALL.T @ (SMALL @ w**2 - y)) / n

    w = solve_ivp(weights, (0, 5), np.full(d, 0.3), "DOP853", [2.0, 5.0], rtol=1e-11, atol=1e-14).y
    run = flows.mirror_flow(
        NegativeEntropy(np.log(0.3)), SMALL, y, times=[2.0, 5.0], observe={"path": lambda beta: beta}
    )
    assert np.abs(run.observed["path"][0] - w.T**2).max() < 1e-7


def test_squared_norm_flow_is_linear():
    times = np.array([0.0, 1.0, 7.0])
    U, s, Vt = np.linalg.svd(SMALL, full_matrices=False)
    run = flows.mirror_flow(SquaredNorm(), SMALL, SMALL_Y, times=times, observe={"path": lambda beta: beta})
    fitted = 1 - np.exp(-np.outer(times, s**2 / (2 * len(SMALL))))
    assert np.allclose(run.observed["path"][0], (fitted * (U.T @ SMALL_Y) / s) @ Vt, atol=1e-7)
    limit = flows.mirror_flow(SquaredNorm(), SMALL, SMALL_Y)
    assert rel(limit.beta[0], np.linalg.pinv(SMALL) @ SMALL_Y) < 1e-10


@pytest.mark.parametrize("potential", [HyperbolicEntropy(np.log(0.05)), SquaredNorm()])
def test_a_start_elsewhere_ends_at_its_bregman_projection(potential):
    offset = potential.mirror(np.random.default_rng(3).standard_normal(25))
    run = flows.mirror_flow(potential, SMALL, SMALL_Y, offset=offset)
    expected = bias.minimise(potential, SMALL, SMALL_Y, offset=offset).beta
    assert rel(run.beta[0], expected) < 1e-10
    assert rel(expected, bias.minimise(potential, SMALL, SMALL_Y).beta) > 1e-2


def test_a_reader_can_bring_a_potential():
    class Quartic:
        def inverse_mirror(self, z):
            return np.cbrt(z)

    run = flows.mirror_flow(Quartic(), [[1.0, 2.0]], [1.0], offset=[0.1, 0.1])
    z = run.beta[0] ** 3 - 0.1
    assert np.isclose(run.beta[0] @ [1.0, 2.0], 1.0, rtol=1e-10)
    assert np.isclose(z[1], 2 * z[0], rtol=1e-8)
    assert np.isnan(run.log_alpha_effective).all()


@pytest.mark.parametrize("log_alpha", [0.0, -2.0, -690.0, np.linspace(-9.0, 0.0, 25)])
def test_the_path_of_the_entropy_is_the_general_one(log_alpha):
    # squares of weights in fused products against the inverse mirror map; sums of 50 terms leave 1e-13
    rng = np.random.default_rng(5)
    offset, potential = 0.1 * rng.standard_normal(25), HyperbolicEntropy(log_alpha)
    fused = EntropyPath(potential.log_alpha, SMALL, SMALL_Y, offset)
    general = DualPath(SMALL, SMALL_Y, offset, potential.inverse_mirror)
    m = np.append(0.05 * max(1, -np.min(log_alpha)) * rng.standard_normal(len(SMALL)), 0.3)
    far = 1 + np.abs(general.coordinates(m)).max()
    differences = 1e-9 + (4e-6 * far) ** 2  # the general metric: rounding over the step, and the step squared
    for name, rtol in (("rate", 1e-11), ("jacobian", differences)):
        expected = getattr(general, name)(0, m)
        np.testing.assert_allclose(
            getattr(fused, name)(0, m), expected, rtol=rtol, atol=rtol * np.abs(expected).max()
        )
    assert np.isclose(fused.latest, general.latest, rtol=1e-11)
    several = np.stack([m, 0.5 * m])
    for name, rtol in (("beta", 1e-11), ("metric", differences)):
        expected = getattr(general, name)(several)
        np.testing.assert_allclose(
            getattr(fused, name)(several), expected, rtol=rtol, atol=rtol * np.abs(expected).max()
        )


@pytest.mark.parametrize("alpha", [[1e-300, 1.0, 1e-3], 1e3])
def test_hard_starts(alpha):
    # one coordinate from 1e-300 and one from 1; and α² = 10⁶ beside β of order 1
    A, y = np.array([[1.0, 0.5, -0.3], [0.2, 1.0, 0.7]]), np.array([1.0, -0.5])
    potential = HyperbolicEntropy(np.log(alpha))
    run = flows.mirror_flow(potential, A, y)
    assert run.status[0] == 0
    assert rel(run.beta[0], bias.minimise(potential, A, y).beta) < 1e-10


def test_late_times_are_reached_and_stay_at_the_limit():
    run = flows.mirror_flow(HyperbolicEntropy(np.log(0.1)), X, Y, times=[1.0, 1e3, 1e5])
    assert run.status[0] == 0
    assert run.loss[0, -1] < 1e-24
    assert np.isclose(run.loss_integral[0], 2.07283, rtol=1e-5)


def test_tail_estimate_is_of_the_size_of_the_rest():
    potential = HyperbolicEntropy(np.log(0.1))
    run = flows.mirror_flow(potential, X, Y, times=[100.0])
    rest = 2.0728308 - run.loss_integral[0]
    whole = flows.mirror_flow(potential, X, Y).loss_integral[0]
    assert np.isclose(rest, whole - run.loss_integral[0], rtol=0.2)
    assert 0.3 < run.loss_integral_tail[0] / (whole - run.loss_integral[0]) < 10


def test_data_that_are_fitted_already_stay():
    run = flows.mirror_flow(HyperbolicEntropy(0.0), SMALL, np.zeros(10))
    assert run.status[0] == 0
    assert np.abs(run.beta).max() == 0
    assert run.loss_integral[0] == 0
    assert flows.mirror_flow(HyperbolicEntropy(0.0), SMALL, np.zeros(10), times=[1.0, 2.0]).loss.max() == 0


def test_data_out_of_reach_stay_as_they_are():
    # y is no prediction of any β: with times the flow runs to the best fit
    A, y = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, 2.0])
    run = flows.mirror_flow(HyperbolicEntropy(0.0), A, y, times=[100.0])
    assert np.allclose(run.beta[0], [1.5, 0.0], atol=1e-8)
    still = flows.mirror_flow(HyperbolicEntropy(0.0), 0 * A, y, times=[100.0])
    assert still.beta.max() == 0
    assert np.isclose(still.loss_integral[0], 100 * still.loss[0, 0], rtol=1e-8)


def test_an_unreachable_limit_is_reported():
    # no β ≥ 0 fits: the positive flow runs for ever
    run = flows.mirror_flow(NegativeEntropy(0.0), [[1.0, 2.0]], [-1.0])
    assert run.status[0] == 3
    assert "The flow stopped" in run.message
    assert np.isfinite(run.beta).all()


@pytest.mark.parametrize(
    "arguments",
    [
        dict(X=[[1.0, 2.0], [1.0, 2.0]], y=[1.0, 2.0]),
        dict(offset=[1.0]),
        dict(offset=[np.nan, 0.0]),
        dict(times=[2.0, 1.0]),
        dict(times=[]),
        dict(times=[-1.0]),
        dict(tolerance=0.0),
        dict(y=[np.nan]),
        dict(X=[[]]),
        dict(potential=HyperbolicEntropy([0.0, 0.0, 0.0])),
        dict(potential="entropy"),
        dict(observe=3),
    ],
)
def test_mirror_flow_refuses_bad_input(arguments):
    good = dict(potential=HyperbolicEntropy(0.0), X=[[1.0, 2.0]], y=[1.0])
    with pytest.raises((ValueError, TypeError), match=r"received|leaves"):
        flows.mirror_flow(**(good | arguments))
