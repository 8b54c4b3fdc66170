"""Langevin's equation and the noise without structure: what is exact, the known moments, refusals."""

import numpy as np
import pytest

from lib import bias
from lib.diffusions import stochastic_gradient_flow
from lib.diffusions.controls import additive_noise_flow, langevin, unstructured_noise_flow
from lib.ensembles import streams
from lib.potentials import HyperbolicEntropy

X = np.random.default_rng(2).standard_normal((10, 25))
Y = X[:, :2].sum(1)
N, D = X.shape
SHAPE = (X**2).mean(0)
LOG = np.log(0.3)
SMALL = dict(X=X, y=Y, log_alpha=LOG, rng=0)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def off_range(v):
    """Relative part of v outside range Xᵀ."""
    return np.linalg.norm(v - np.linalg.pinv(X) @ (X @ v)) / np.linalg.norm(v)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / len(values) ** 0.5


# --- Langevin -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.02, 0.2])
def test_langevin_at_temperature_zero_ends_where_gradient_flow_does_for_every_step(dt):
    run = langevin(**SMALL, temperature=0.0, dt=dt, horizon=1000.0)
    assert run.loss[0, -1] < 1e-27
    assert np.allclose(run.product, 0.09, rtol=1e-11)
    assert rel(run.beta[0], bias.minimise(HyperbolicEntropy(LOG), X, Y).beta) < 1e-11


def test_two_langevin_steps_by_hand():
    h, T = 0.05, 0.3
    run = langevin(**SMALL, temperature=T, dt=h, horizon=2 * h)
    plus = minus = np.full(D, 0.3)
    noise = np.sqrt(T * h / 2) * streams(0, 1)[0].standard_normal((2, 2, D))
    before, integral = np.zeros((2, D)), 0.0
    for now in noise:
        r = X @ (plus**2 - minus**2) - Y
        integral += h * r @ r / (4 * N)
        g = X.T @ r / N
        plus = plus * np.exp(-h * g) + before[0] + now[0]
        minus = minus * np.exp(h * g) + before[1] + now[1]
        before = now
    assert np.allclose(run.beta[0], plus**2 - minus**2, rtol=1e-12)
    assert np.allclose(run.product[0], plus * minus, rtol=1e-12)
    assert np.isclose(run.loss_integral[0], integral, rtol=1e-12)


@pytest.mark.parametrize(("temperature", "dt"), [(1e-4, 0.05), (1e-4, 0.2), (1e-3, 0.05)])
def test_equipartition(temperature, dt):
    # E L = nT/2 up to relative order T; the time means of 64 paths have an error of 1 %. One whole normal
    # number a step would give 1/(1 − λ dt/4) for the mode λ, 10 % too much at dt = .2
    run = langevin(**SMALL, temperature=temperature, dt=dt, horizon=200.0, replicas=64, record=401)
    share = run.loss[:, 100:].mean(1) / (N * temperature / 2)
    mean, error = mean_and_error(share)
    assert error < 0.015
    assert abs(mean - 1) < 4 * error + 2 * temperature
    doubled = langevin(**SMALL, temperature=2 * temperature, dt=dt, horizon=200.0, replicas=64, record=401)
    assert abs((doubled.loss[:, 100:].mean(1) / (N * temperature / 2)).mean() - 2) < 0.12


def test_langevin_keeps_the_mean_of_the_product_and_spreads_it():
    # d(w₊w₋) = √(2T)(w₋dB₊ + w₊dB₋): mean α², variance 2T∫E(w₊² + w₋²)dt; with weights that carry no
    # gradient it is 2T·2(α²t + T t²) exactly, here tested on columns of zeros
    T, t, alpha = 1e-3, 40.0, 0.3
    run = langevin(
        np.hstack([X, np.zeros((N, 200))]),
        Y,
        log_alpha=LOG,
        temperature=T,
        dt=0.05,
        horizon=t,
        replicas=128,
        rng=3,
    )
    mean, error = mean_and_error(run.product[:, :D].mean(1))
    assert abs(mean - alpha**2) < 4 * error
    free = run.product[:, D:].ravel()
    mean, error = mean_and_error(free)
    assert abs(mean - alpha**2) < 4 * error
    variance, error = mean_and_error((free - alpha**2) ** 2)
    expected = 2 * T * (2 * alpha**2 * t + 2 * T * t**2)
    # the first step has half the noise of the others: relative dt/2t = 6e-4
    assert abs(variance - expected) < 4 * error + 2e-3 * expected
    assert error < 0.03 * expected


def test_langevin_weights_without_gradient_are_brownian():
    T, t = 0.01, 10.0
    run = langevin([[0.0]], [0.0], log_alpha=0.0, temperature=T, dt=0.1, horizon=t, replicas=4000, rng=1)
    # β = w₊² − w₋² has variance 2·Var(w²) = 2(4α²σ² + 2σ⁴), σ² = 2Tt
    sigma2 = 2 * T * t
    # relative error of a variance over 4,000 paths with these tails: 3 %; the first half step .5 %
    assert abs((run.beta**2).mean() / (8 * sigma2 + 4 * sigma2**2) - 1) < 0.12


# --- noise without structure ----------------------------------------------------------------------


@pytest.mark.parametrize("amplitude", [1.0, np.sqrt(N * SHAPE)])
@pytest.mark.parametrize("dt", [0.02, 0.2])
def test_product_and_projection_are_exact_on_every_path(dt, amplitude):
    run = unstructured_noise_flow(
        **SMALL, step_size=0.05, dt=dt, horizon=4.0, amplitude=amplitude, replicas=6
    ).raise_if_failed()
    shrunk = LOG - 2 * np.asarray(amplitude) ** 2 * 0.05 * run.loss_integral[:, None] / N
    assert np.allclose(run.log_alpha_effective, shrunk, rtol=1e-13)
    for beta, log_alpha, offset in zip(run.beta, run.log_alpha_effective, run.offset, strict=True):
        mirror = HyperbolicEntropy(log_alpha).mirror(beta)
        assert off_range(mirror - offset) < 1e-12
        assert off_range(mirror) > 1e-2  # the noise has left the row space
        there = bias.minimise(HyperbolicEntropy(log_alpha), X, X @ beta, offset=offset).beta
        assert rel(there, beta) < 1e-11
        assert rel(bias.minimise(HyperbolicEntropy(log_alpha), X, X @ beta).beta, beta) > 1e-3


def test_two_steps_without_structure_by_hand():
    h, gamma = 0.05, 0.1
    a = np.linspace(0.5, 2, D)
    run = unstructured_noise_flow(**SMALL, step_size=gamma, dt=h, horizon=2 * h, amplitude=a)
    plus, minus = np.full((2, D), LOG)
    for normal in streams(0, 1)[0].standard_normal((2, D)):
        r = X @ (np.exp(2 * plus) - np.exp(2 * minus)) - Y
        L, g = r @ r / (4 * N), X.T @ r / N
        move = 2 * a * np.sqrt(gamma * L * h / N) * normal - h * g
        ito = 2 * a**2 * gamma * L * h / N
        plus, minus = plus + move - ito, minus - move - ito
    assert np.allclose(run.beta[0], np.exp(2 * plus) - np.exp(2 * minus), rtol=1e-11)
    assert np.allclose(run.log_alpha_effective[0], (plus + minus) / 2, rtol=1e-12)


def stepped_in_the_weights(gamma, h, horizon, replicas, seed):
    """Euler–Maruyama on w± themselves, which knows nothing of logarithms: w±, M and ∫L."""
    rng, w = np.random.default_rng(seed), np.full((2, replicas, D), np.exp(LOG))
    M, s = np.zeros((replicas, D)), np.zeros(replicas)
    for _ in range(round(horizon / h)):
        r = (w[0] ** 2 - w[1] ** 2) @ X.T - Y
        L = (r**2).sum(1) / (4 * N)
        kick = 2 * np.sqrt(gamma * L * h / N)[:, None] * rng.standard_normal((replicas, D))
        move = kick - h * r @ X / N
        w *= 1 + np.stack([move, -move])
        M, s = M + kick, s + h * L
    return w, M, s


def test_the_weights_themselves_lose_four_gamma_s_over_n_and_end_at_the_projection():
    """The route that does not assume the formula; its defect falls like the square root of the step."""
    gamma, defects, exponents = 0.4, [], []
    for h in (0.02, 0.005):
        w, M, s = stepped_in_the_weights(gamma, h, 4.0, 64, 5)
        exponents.append(mean_and_error(np.log(w[0] * w[1] / np.exp(2 * LOG)).mean(1) / (gamma * s / N)))
        log_alpha_s = LOG - 2 * gamma / N * np.repeat(s[:, None], D, axis=1)
        beta = w[0] ** 2 - w[1] ** 2
        defects.append(np.median(bias.distance_to_minimiser(beta, log_alpha_s, X, offset=M / 2)))
        assert defects[-1] < np.median(bias.distance_to_minimiser(beta, log_alpha_s, X, offset=M / 4)) / 3
    (_, _), (fine, error) = exponents
    assert abs(fine + 4) < 4 * error + 0.02
    assert error < 0.2
    assert 1.5 < defects[0] / defects[1] < 2.7


def test_a_weight_without_gradient_is_a_martingale():
    # a column of zeros: w± = α e^{±M − 2γs/n}, of mean α for every dt. The term of Itô doubled or left out
    # changes the mean by the factor e^{∓2γs/n}
    wide = np.hstack([X, np.zeros((N, 400))])
    run = unstructured_noise_flow(
        wide, Y, log_alpha=LOG, step_size=0.4, dt=0.1, horizon=20.0, replicas=64, rng=5
    ).raise_if_failed()
    log_plus = run.log_alpha_effective[:, D:] + 2 * run.offset[:, D:]
    mean, error = mean_and_error(np.exp(log_plus - LOG).mean(1))
    assert abs(mean - 1) < 4 * error
    ito = 2 * 0.4 * run.loss_integral / N
    assert ito.mean() > 10 * error
    structured = stochastic_gradient_flow(
        wide, Y, log_alpha=LOG, step_size=0.05, dt=0.05, horizon=20.0, replicas=4, rng=5
    )
    assert np.allclose(
        structured.log_alpha_effective[:, D:], LOG, rtol=1e-14
    )  # SGD leaves such a weight alone
    assert (structured.beta[:, D:] == 0).all()


def test_quadratic_variation_and_amplitude():
    run = unstructured_noise_flow(**SMALL, step_size=0.05, dt=0.02, horizon=10.0, replicas=64)
    mean, error = mean_and_error(run.quadratic_variation)
    assert error < 0.02
    assert abs(mean - 1) < 4 * error
    # the noise is what it says: var M_j = 4γ E s/n over paths
    m = (2 * run.offset) ** 2
    mean, error = mean_and_error(m.mean(1) / (4 * 0.05 * run.loss_integral / N))
    assert abs(mean - 1) < 4 * error


def test_amplitude_zero_is_gradient_flow_and_matched_amplitude_shrinks_as_the_structured_noise():
    still = unstructured_noise_flow(**SMALL, step_size=0.05, dt=0.05, horizon=500.0, amplitude=0.0)
    assert np.isnan(still.quadratic_variation).all()
    assert rel(still.beta[0], bias.minimise(HyperbolicEntropy(LOG), X, Y).beta) < 1e-8
    matched = unstructured_noise_flow(
        **SMALL, step_size=0.05, dt=0.05, horizon=5.0, amplitude=np.sqrt(N * SHAPE)
    )
    formula = LOG - 2 * 0.05 * SHAPE * matched.loss_integral[:, None]
    assert np.allclose(matched.log_alpha_effective, formula, rtol=1e-13)


@pytest.mark.parametrize(("log10_alpha", "dt", "horizon"), [(-300, 0.1, 1000), (0, 2e-3, 1), (2, 2e-7, 1e-4)])
def test_without_structure_over_the_whole_range_of_alpha(log10_alpha, dt, horizon):
    log_alpha = log10_alpha * np.log(10)
    options = {"step_size": min(dt, 0.01), "dt": dt, "horizon": horizon, "rng": 0}
    run = unstructured_noise_flow(X, Y, log_alpha=log_alpha, **options)
    assert run.status[0] == 0
    assert run.loss[0, -1] < 0.1 * run.loss[0, 0]
    mirror = run.offset[0] + X.T @ run.dual[0] / 2
    assert rel(run.beta[0], HyperbolicEntropy(run.log_alpha_effective[0]).inverse_mirror(mirror)) < 1e-11


# --- additive noise that dies ---------------------------------------------------------------------


def test_two_additive_steps_by_hand():
    h, gamma = 0.05, 0.1
    run = additive_noise_flow(**SMALL, step_size=gamma, dt=h, horizon=2 * h)
    plus = minus = np.full(D, 0.3)
    for normal in streams(0, 1)[0].standard_normal((2, 2, D)):
        r = X @ (plus**2 - minus**2) - Y
        L, g = r @ r / (4 * N), X.T @ r / N
        kick = 2 * np.sqrt(gamma * L * h / N) * normal
        plus, minus = plus * np.exp(-h * g) + kick[0], minus * np.exp(h * g) + kick[1]
    assert np.allclose(run.beta[0], plus**2 - minus**2, rtol=1e-11)
    assert np.allclose(run.product[0], plus * minus, rtol=1e-11)


def test_additive_noise_dies_and_keeps_the_mean_of_the_product():
    run = additive_noise_flow(**SMALL, step_size=0.02, dt=0.05, horizon=200.0, replicas=64)
    assert run.loss[:, -1].max() < 1e-6 * run.loss[0, 0]
    mean, error = mean_and_error(run.product.mean(1) / 0.09)
    assert error < 0.05
    assert abs(mean - 1) < 4 * error


# --- all of them -----------------------------------------------------------------------------------------

BOTH = [
    (langevin, {"temperature": 1e-4}),
    (unstructured_noise_flow, {"step_size": 0.02}),
    (additive_noise_flow, {"step_size": 0.02}),
]


@pytest.mark.parametrize(("simulator", "physics"), BOTH)
def test_replicas_do_not_depend_on_how_many_there_are(simulator, physics):
    few = simulator(**SMALL, **physics, dt=0.05, horizon=1.0, replicas=3)
    many = simulator(**SMALL, **physics, dt=0.05, horizon=1.0, replicas=70)
    assert np.allclose(few.beta, many.beta[:3], rtol=1e-9)


@pytest.mark.parametrize(("simulator", "physics"), BOTH)
def test_what_is_recorded(simulator, physics):
    run = simulator(
        **SMALL, **physics, dt=0.05, horizon=1.0, replicas=2, record=21, observe={"beta": lambda beta: beta}
    )
    assert run.loss.shape == (2, 21)
    path = run.observed["beta"]
    assert (path[:, 0] == 0).all()
    assert (path[:, -1] == run.beta).all()
    assert np.allclose(((path @ X.T - Y) ** 2).sum(-1) / (4 * N), run.loss, rtol=1e-12)
    assert np.allclose(run.loss_integral, 0.05 * run.loss[:, :-1].sum(1), rtol=1e-12)


@pytest.mark.parametrize(("simulator", "physics"), BOTH)
def test_divergence_is_a_status(simulator, physics):
    run = simulator(1e3 * X, 1e3 * Y, log_alpha=0.0, rng=0, **physics, dt=1.0, horizon=100.0)
    assert run.status[0] == 1
    assert np.isnan(run.beta).all()
    assert "smaller dt" in run.message


@pytest.mark.parametrize(
    ("simulator", "change", "words"),
    [
        (langevin, {"temperature": -1.0}, "temperature must be"),
        (langevin, {"log_alpha": -800.0}, "log_alpha must be above -700"),
        (langevin, {"dt": 2.0}, "dt must not exceed the horizon"),
        (langevin, {"X": np.ones((3, 2))}, "y must have one entry"),
        (unstructured_noise_flow, {"step_size": 0.0}, "step_size must be"),
        (additive_noise_flow, {"step_size": -1.0}, "step_size must be"),
        (additive_noise_flow, {"log_alpha": -800.0}, "log_alpha must be above -700"),
        (unstructured_noise_flow, {"amplitude": -1.0}, "amplitude must be at least 0"),
        (unstructured_noise_flow, {"amplitude": np.ones(3)}, "one for each of the 25"),
        (unstructured_noise_flow, {"replicas": 0}, "replicas must be"),
    ],
)
def test_bad_input_gets_a_sentence(simulator, change, words):
    physics = dict(BOTH)[simulator]
    with pytest.raises(ValueError, match=words):
        simulator(**{**SMALL, **physics, "dt": 0.1, "horizon": 1.0, **change})
