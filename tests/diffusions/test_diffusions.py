"""Stochastic flows: what holds on every path to rounding, what in the mean, and what a wrong noise breaks."""

import numpy as np
import pytest

from lib import bias
from lib.diffusions import label_noise_flow, neuron_euler_maruyama, stochastic_gradient_flow
from lib.ensembles import streams
from lib.flows import mirror_flow
from lib.potentials import HyperbolicEntropy, NegativeEntropy

RNG = np.random.default_rng(1)
X = RNG.standard_normal((40, 100))  # the reference problem
BETA_STAR = np.repeat([1.0, 0.0], [5, 95])
Y = X @ BETA_STAR
N, D = X.shape
SHAPE = (X**2).mean(0)
LOG = np.log(0.1)
SMALL = np.random.default_rng(2).standard_normal((10, 25))
SMALL_Y = SMALL[:, :2].sum(1)
REFERENCE = dict(X=X, y=Y, log_alpha=LOG, step_size=0.02, dt=0.02, horizon=20.0)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def distance(beta):
    return ((beta - BETA_STAR) ** 2).sum(-1)


def off_range(X, v):
    """Relative part of v outside range Xᵀ."""
    return np.linalg.norm(v - np.linalg.pinv(X) @ (X @ v)) / np.linalg.norm(v)


def finished(run):
    return np.array([bias.minimise(HyperbolicEntropy(row), X, Y).beta for row in run.log_alpha_effective])


# --- exact on every path --------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.005, 0.05, 0.5])
@pytest.mark.parametrize("step_size", [0.005, 0.05])
@pytest.mark.parametrize("covariance", ["mean", "exact"])
def test_beta_minimises_the_entropy_at_its_own_alpha_whatever_the_step(dt, step_size, covariance):
    # claim b1, without a solver: the mirror coordinates lie in range Xᵀ; rounding of z, of size up to 10
    run = stochastic_gradient_flow(
        *(SMALL, SMALL_Y),
        log_alpha=LOG,
        step_size=step_size,
        dt=dt,
        horizon=10.0,
        replicas=5,
        rng=0,
        covariance=covariance,
    )
    assert (run.status == 0).all()
    for beta, log_alpha in zip(run.beta, run.log_alpha_effective, strict=True):
        assert off_range(SMALL, HyperbolicEntropy(log_alpha).mirror(beta)) < 1e-12
        half = (LOG + log_alpha) / 2  # e^{−γDs} for e^{−2γDs}
        assert off_range(SMALL, HyperbolicEntropy(LOG).mirror(beta)) > 1e-5
        assert off_range(SMALL, HyperbolicEntropy(half).mirror(beta)) > 1e-5


def test_beta_is_the_certified_minimiser_for_its_predictions():
    # claim b1 at a finite time, and its controls; measured 2.5e-15
    run = stochastic_gradient_flow(**REFERENCE, replicas=8, rng=0)
    for beta, log_alpha in zip(run.beta, run.log_alpha_effective, strict=True):
        miss = [
            rel(bias.minimise(HyperbolicEntropy(candidate), X, X @ beta).beta, beta)
            for candidate in (log_alpha, LOG, (LOG + log_alpha) / 2)
        ]
        assert miss[0] < 1e-12
        assert miss[1] > 3e-3
        assert miss[2] > 3e-3


@pytest.mark.parametrize(
    ("log10_alpha", "dt", "horizon"), [(-300, 0.1, 1000), (-1, 0.05, 10), (0, 2e-3, 1), (2, 2e-7, 1e-4)]
)
def test_structure_over_the_whole_range_of_alpha(log10_alpha, dt, horizon):
    # with large α the two exponentials cancel: β is formed from the hyperbolic sine there
    log_alpha = log10_alpha * np.log(10)
    run = stochastic_gradient_flow(
        SMALL, SMALL_Y, log_alpha=log_alpha, step_size=min(dt, 0.01), dt=dt, horizon=horizon, rng=0
    )
    assert run.status[0] == 0
    assert run.loss[0, -1] < 0.1 * run.loss[0, 0]
    expected = HyperbolicEntropy(run.log_alpha_effective[0]).inverse_mirror(SMALL.T @ run.dual[0] / 2)
    assert rel(run.beta[0], expected) < 1e-12


def test_weights_keep_their_product_and_the_neurons_do_not():
    # w₊w₋ = α_s² by construction; plain Euler–Maruyama misses the theorem by O(√dt)
    misses = []
    for dt in (0.04, 0.01):
        options = REFERENCE | dict(dt=dt, replicas=20, rng=0)
        run = neuron_euler_maruyama(**options)
        misses.append(
            np.mean(
                [
                    off_range(X, HyperbolicEntropy(row).mirror(beta))
                    for beta, row in zip(run.beta, run.log_alpha_effective, strict=True)
                ]
            )
        )
    assert 1e-4 < misses[1] < misses[0] < 0.1
    assert 1.5 < misses[0] / misses[1] < 2.7  # √4


def shrinking(run, step_size):
    """log(w₊w₋/α²)/(γ D ∫L), −4 for Itô's integral."""
    return ((run.log_w.sum(1) - 2 * LOG) / (step_size * SHAPE * run.loss_integral[:, None])).mean()


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({}, -4.0),
        (dict(noise_point=0.25), -2.0),
        (dict(noise_point=0.5), 0.0),
        (dict(noise_scale=0.5), -1.0),
    ],
)
def test_weights_shrink_as_the_reading_of_the_noise_says(wrong, expected):
    # nothing of Itô's formula is put in; s.e. .012 over 32 paths, step error .01
    options = REFERENCE | dict(step_size=0.04, dt=2.0**-8, horizon=2.0)
    run = neuron_euler_maruyama(**options, replicas=32, rng=0, **wrong)
    assert abs(shrinking(run, 0.04) - expected) < 0.06


def test_steps_of_any_length_follow_one_brownian_path():
    # the noise of the first step is the sum of the fine ones; and √4 between two steps on one path
    options = REFERENCE | dict(step_size=0.04, horizon=2.0, replicas=32, rng=0)
    ends = [neuron_euler_maruyama(**options | dict(dt=2.0**-k, substeps=2 ** (11 - k))) for k in (7, 9, 11)]
    other = neuron_euler_maruyama(**options | dict(dt=2.0**-9, substeps=1))
    gaps = [rel(run.beta, ends[2].beta) for run in (*ends[:2], other)]
    assert 1.5 < gaps[0] / gaps[1] < 3.5
    assert gaps[2] > 10 * gaps[1]  # without substeps it is another path


def test_the_defect_on_the_weights_goes_with_the_root_of_the_step_and_for_no_other_exponent():
    medians = []
    for k in (6, 8, 10):
        options = REFERENCE | dict(dt=2.0**-k, horizon=4.0, replicas=32, rng=1, substeps=2 ** (10 - k))
        run = neuron_euler_maruyama(**options)
        paid = 0.02 * SHAPE * run.loss_integral[:, None]
        gaps = [bias.distance_to_minimiser(run.beta, LOG - c * paid, X) for c in range(4)]
        medians.append(np.median(gaps, axis=1))
    slopes = np.log2(np.array(medians[0]) / medians[2]) / 4
    assert abs(slopes[2] - 0.5) < 0.12
    assert (np.abs(slopes[[0, 1, 3]]) < 0.15).all()


def test_half_of_itos_term_in_dual_coordinates():
    run = stochastic_gradient_flow(**REFERENCE, replicas=3, rng=0, exponent_scale=0.5)
    shrunk = LOG - 0.02 * SHAPE * run.loss_integral[:, None]
    assert np.allclose(run.log_alpha_effective, shrunk, rtol=1e-13)


def test_neurons_and_dual_follow_the_same_brownian_path():
    # strong order ½: four times smaller steps, half the distance (within 40 %), from the same normal numbers
    gap = []
    for dt in (0.02, 0.005):
        options = REFERENCE | dict(dt=dt, horizon=5.0, replicas=40, rng=0)
        gap.append(rel(neuron_euler_maruyama(**options).beta, stochastic_gradient_flow(**options).beta))
    assert gap[0] < 0.05
    assert 1.3 < gap[0] / gap[1] < 3


def test_the_clock_of_the_shrinking_is_the_loss_integral():
    run = stochastic_gradient_flow(**REFERENCE, replicas=3, rng=0, record=1001)
    assert np.allclose(run.loss_integral, 0.02 * run.loss[:, :-1].sum(1), rtol=1e-12)  # left points
    shrunk = LOG - 2 * 0.02 * SHAPE * run.loss_integral[:, None]
    assert np.allclose(run.log_alpha_effective, shrunk, rtol=1e-13)


def test_one_step_is_euler_maruyama():
    # the first two steps by hand, with the replica's own numbers
    h, gamma, delta = 0.05, 0.1, 0.6
    run = stochastic_gradient_flow(
        *(SMALL, SMALL_Y),
        log_alpha=LOG,
        step_size=gamma,
        dt=h,
        horizon=2 * h,
        label_noise=lambda t: delta * t / h,
        rng=9,
    )
    nu, s, clean = np.zeros(10), 0.0, 0.0
    for normal, noise in zip(streams(9, 1)[0].standard_normal((2, 10)), (0.0, delta**2), strict=True):
        z, a2 = SMALL.T @ nu, np.exp(2 * LOG - 4 * gamma * (SMALL**2).mean(0) * s)
        r = SMALL @ (2 * a2 * np.sinh(2 * z)) - SMALL_Y
        L = r @ r / 40
        nu = nu - r / 10 * h + 2 * np.sqrt(gamma * (L + noise) * h / 10) * normal
        s, clean = s + h * (L + noise), clean + h * L
    assert np.allclose(run.dual[0], nu, rtol=1e-12)
    assert np.isclose(run.loss_integral[0], clean, rtol=1e-12)
    assert np.allclose(run.log_alpha_effective[0], LOG - 2 * gamma * (SMALL**2).mean(0) * s, rtol=1e-13)


def test_small_noise_is_the_gradient_flow():
    options = REFERENCE | dict(step_size=1e-12, dt=0.002, horizon=5.0)
    flow = mirror_flow(HyperbolicEntropy(LOG), X, Y, times=[5.0])
    assert rel(stochastic_gradient_flow(**options).beta, flow.beta) < 2e-3  # Euler's method, of order dt


# --- in the mean: the amplitude of the noise ------------------------------------------------------


def energy(replicas, **extra):
    run = stochastic_gradient_flow(**REFERENCE, replicas=replicas, rng=5, interpolator=BETA_STAR, **extra)
    return run, run.energy_defect.mean(), run.energy_defect.std() / np.sqrt(replicas)


def test_energy_defect_is_a_martingale_only_with_the_right_noise():
    # claim b5; measured before: −.006 ± .023; without the γ term −.54; noise variance ×¼ +.204, ×2 −.457
    run, mean, error = energy(400)
    assert error < 0.03
    assert abs(mean) < 4 * error
    assert abs((run.energy_defect - run.energy_noise).mean() + 0.54) < 4 * error
    for scale, expected in ((0.5, 0.204), (np.sqrt(2), -0.457)):
        _, mean, error = energy(400, noise_scale=scale)
        assert abs(mean) > 10 * error
        assert abs(mean - expected) < 5 * error


def test_energy_defect_is_a_martingale_for_the_exact_covariance_and_under_label_noise():
    for extra in (dict(covariance="exact"), dict(label_noise=0.3), dict(label_noise=0.3, covariance="exact")):
        _, mean, error = energy(150, **extra)
        assert abs(mean) < 4 * error


@pytest.mark.parametrize(
    "extra", [{}, dict(covariance="exact"), dict(label_noise=1.0), dict(covariance="exact", label_noise=1.0)]
)
def test_quadratic_variation(extra):
    # claim b6: 1 within 4 standard errors; half the amplitude gives a quarter
    run = stochastic_gradient_flow(**REFERENCE, replicas=64, rng=0, **extra)
    error = run.quadratic_variation.std() / 8
    assert error < 0.01
    assert abs(run.quadratic_variation.mean() - 1) < 4 * error
    half = stochastic_gradient_flow(**REFERENCE, replicas=64, rng=0, noise_scale=0.5, **extra)
    assert abs(half.quadratic_variation.mean() - 0.25) < 4 * error


# --- limits ---------------------------------------------------------------------------------------


def test_mean_distance_of_the_stochastic_flow_and_theorem_at_the_limit():
    # γ = .02: .2453 over 6 paths at dt = γ, s = 2.35; the path's own limit is argmin at its α∞ (claim d4)
    run = stochastic_gradient_flow(**REFERENCE | dict(horizon=150.0), replicas=64, rng=0)
    limits = finished(run)
    squares = distance(limits)
    error = squares.std() / 8
    assert abs(squares.mean() - 0.2453) < 4 * error * np.sqrt(1 + 64 / 6)
    assert squares.mean() < 0.25666 - 5 * error  # below SGD's
    assert np.isclose(run.loss_integral.mean(), 2.35, atol=0.15)
    # at T = 150 the runs are within their residual of the limit
    assert max(rel(a, b) for a, b in zip(run.beta, limits, strict=True)) < 5e-3


def test_theorem_on_converged_paths():
    # claim d4: 1e-11 once the residual is at rounding
    run = stochastic_gradient_flow(
        SMALL, SMALL_Y, log_alpha=np.log(0.5), step_size=0.05, dt=0.05, horizon=400.0, replicas=10, rng=0
    )
    assert run.loss[:, -1].max() < 1e-26
    for beta, log_alpha in zip(run.beta, run.log_alpha_effective, strict=True):
        assert rel(beta, bias.minimise(HyperbolicEntropy(log_alpha), SMALL, SMALL_Y).beta) < 1e-11


def test_exact_covariance_has_the_limit_of_sgd():
    # γ = .02, dt = γ/2: .2558 ± .0006 over 256 paths; SGD .25666, the scalar noise .2453
    run = stochastic_gradient_flow(
        **REFERENCE | dict(dt=0.01, horizon=150.0), replicas=64, rng=0, covariance="exact"
    )
    squares = distance(finished(run))
    error = squares.std() / 8
    assert abs(squares.mean() - 0.2558) < 4 * np.hypot(error, 6e-4)
    assert squares.mean() - 0.2463 > 4 * error


def test_exact_and_mean_covariance_agree_when_all_inputs_are_signs():
    # x_ij² = 1: both exponents are the same multiple of ∫L
    signs = np.sign(SMALL)
    run = stochastic_gradient_flow(
        signs, SMALL_Y, log_alpha=LOG, step_size=0.02, dt=0.02, horizon=10.0, rng=0, covariance="exact"
    )
    assert np.allclose(run.log_alpha_effective, LOG - 0.04 * run.loss_integral, rtol=1e-12)


def test_large_steps_slow_the_loss():
    # d7: ten paths converge at γ = .05 and none at .3
    options = dict(X=X, y=Y, log_alpha=LOG, dt=0.01, horizon=100.0, replicas=10, rng=0)
    calm = stochastic_gradient_flow(step_size=0.05, **options)
    wild = stochastic_gradient_flow(step_size=0.3, **options)
    assert (calm.loss[:, -1] < 1e-2 * calm.loss[:, 0]).all()
    assert not (wild.loss[:, -1] < 1e-2 * wild.loss[:, 0]).any()
    assert np.median(wild.loss_integral) > 20 * np.median(calm.loss_integral)


def test_tail_estimate_has_the_size_of_the_rest():
    early = stochastic_gradient_flow(**REFERENCE | dict(horizon=80.0), replicas=10, rng=0)
    late = stochastic_gradient_flow(**REFERENCE | dict(horizon=400.0), replicas=10, rng=0)
    rest = late.loss_integral - early.loss_integral
    assert (early.loss_integral_tail > 0.5 * rest).all()  # measured: .9 to 1.7 between T = 50 and 200
    assert (early.loss_integral_tail < 3 * rest).all()
    noisy = stochastic_gradient_flow(**REFERENCE, label_noise=0.1, rng=0)
    assert np.isinf(noisy.loss_integral_tail).all()


# --- label noise ----------------------------------------------------------------------------------

LASSO = np.random.default_rng(2)
LX = LASSO.standard_normal((20, 30))
LY = LX[:, :3].sum(1)


@pytest.mark.parametrize("dt", [0.05, 0.5])
@pytest.mark.parametrize("positive", [True, False])
def test_path_identity_of_label_noise(dt, positive):
    # claim e1: exact for every dt; control: the Itô term halved (γδ² for 2γδ²)
    gamma, delta, log_alpha = 0.01, 2.0, np.log(0.3)
    run = label_noise_flow(
        *(LX, LY),
        log_alpha=log_alpha,
        step_size=gamma,
        label_noise=delta,
        dt=dt,
        horizon=400.0,
        positive=positive,
        replicas=3,
        rng=0,
    )
    penalty = 2 * gamma * delta**2 * (LX**2).mean(0)
    pull = -(run.beta_mean @ LX.T - LY) @ LX / 20 + 2 * delta * np.sqrt(gamma / 20) * run.brownian @ LX / 400
    signs = (1,) if positive else (1, -1)
    log_w = run.log_w[:, None] if positive else run.log_w
    for k, sign in enumerate(signs):
        measured = (log_w[:, k] - log_alpha) / 400
        assert rel(measured, sign * pull - penalty) < 1e-10
        assert rel(measured, sign * pull - penalty / 2) > 1e-2


def test_brownian_motion_has_unit_variance_per_time():
    run = label_noise_flow(
        LX, LY, log_alpha=0.0, step_size=0.01, label_noise=1.0, dt=0.1, horizon=50.0, replicas=200, rng=0
    )
    # 4,000 independent entries: relative standard deviation √(2/4000) = .022
    assert abs((run.brownian**2).mean() / 50 - 1) < 4 * 0.022
    assert np.isclose(run.quadratic_variation.mean(), 1, atol=0.01)


def test_time_mean_is_the_weighted_lasso():
    # claim e2 on the support, δ² = 4: (.9326, .9260, .9535); z within 4; half the penalty is rejected
    gamma, horizon = 0.01, 2000.0
    run = label_noise_flow(
        *(LX, LY),
        log_alpha=np.log(0.3),
        step_size=gamma,
        label_noise=2.0,
        dt=0.05,
        horizon=horizon,
        replicas=16,
        rng=0,
    )
    H = LX[:, :3].T @ LX[:, :3] / 20
    error = 4 * np.sqrt(gamma / horizon / 16) * np.sqrt(np.diag(np.linalg.inv(H)))
    lasso = np.array([0.9326, 0.9260, 0.9535])
    start = 3 / horizon  # what the way from 0 to the support leaves in the mean
    assert (np.abs(run.beta_mean[:, :3].mean(0) - lasso) < 4 * error + start).all()
    assert (np.abs(run.beta_mean[:, :3].mean(0) - (1 + lasso) / 2) > 4 * error + start).any()
    assert np.allclose(run.log_alpha_effective[0], np.log(0.3) - 2 * gamma * 4 * (LX**2).mean(0) * horizon)


def test_collapse_keeps_logarithms():
    # claim e4: above λ* every weight dies; log w is followed to −10⁵, where w is 0
    largest = (LX.T @ LY / 20 / (LX**2).mean(0)).max()
    options = dict(log_alpha=np.log(0.3), step_size=0.01, dt=0.05, horizon=600.0, rng=0)
    dead = label_noise_flow(LX, LY, label_noise=np.sqrt(1.1 * largest / 0.02), **options)
    alive = label_noise_flow(LX, LY, label_noise=np.sqrt(0.9 * largest / 0.02), **options)
    assert np.exp(dead.log_w.max()) < 1e-6
    assert alive.beta_mean.sum() > 1e-2
    far = label_noise_flow(LX, LY, label_noise=np.sqrt(200 * largest / 0.02), **options)
    assert -1e7 < far.log_w.max() < -1e4
    assert np.isfinite(far.log_w).all()
    assert far.status[0] == 0


def test_without_label_noise_it_is_the_positive_flow():
    options = dict(log_alpha=np.log(0.3), step_size=0.01, dt=0.002, horizon=5.0)
    run = label_noise_flow(LX, LY, label_noise=0.0, **options)
    flow = mirror_flow(NegativeEntropy(np.log(0.3)), LX, LY, times=[5.0])
    assert rel(run.beta, flow.beta) < 2e-3  # Euler's method
    assert np.isnan(run.quadratic_variation).all()


# --- failure and bad input ------------------------------------------------------------------------


@pytest.mark.parametrize("simulate", [stochastic_gradient_flow, neuron_euler_maruyama])
def test_a_step_too_long_is_status(simulate):
    run = simulate(X, Y, log_alpha=1.0, step_size=0.05, dt=2.0, horizon=200.0, replicas=3, rng=0)
    assert (run.status == 1).all()
    assert "smaller dt" in run.message
    assert np.isnan(run.beta).all()
    assert np.isnan(run.loss[:, -1]).all()
    assert np.isfinite(run.loss[:, 0]).all()


def test_the_horizon_is_cut_into_equal_steps():
    run = stochastic_gradient_flow(**REFERENCE | dict(dt=0.03, horizon=1.0), rng=0)
    assert run.times[-1] == 1.0
    assert len(run.times) == 35  # 34 steps of 1/34
    exact = stochastic_gradient_flow(**REFERENCE | dict(dt=0.3, horizon=2.1), rng=0)  # 2.1/0.3 > 7
    assert np.allclose(exact.times, 0.3 * np.arange(8), rtol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(X=[[1.0, np.inf]]),
        dict(X=[]),
        dict(y=[1.0, 2.0]),
        dict(log_alpha="small"),
        dict(log_alpha=[[0.0, 0.0]]),
        dict(step_size=0.0),
        dict(dt=0.0),
        dict(dt=2.0),
        dict(horizon=-1.0),
        dict(label_noise=-0.1),
        dict(label_noise=lambda t: -1.0),
        dict(covariance="centred"),
        dict(noise_scale=-1.0),
        dict(exponent_scale=-1.0),
        dict(interpolator=[1.0]),
        dict(interpolator=[3.0, 3.0]),
        dict(replicas=0),
        dict(record=[2.0]),
        dict(rng=1.5),
    ],
)
def test_bad_input_is_refused(arguments):
    good = dict(X=[[1.0, 2.0]], y=[1.0], log_alpha=0.0, step_size=0.1, dt=0.1, horizon=1.0)
    with pytest.raises((ValueError, TypeError), match="received"):
        stochastic_gradient_flow(**(good | arguments))


@pytest.mark.parametrize(
    "arguments", [dict(substeps=0), dict(substeps=1.5), dict(noise_point=-0.1), dict(noise_point=1.1)]
)
def test_bad_input_is_refused_on_the_weights(arguments):
    good = dict(X=[[1.0, 2.0]], y=[1.0], log_alpha=0.0, step_size=0.1, dt=0.1, horizon=1.0)
    with pytest.raises((ValueError, TypeError), match="received"):
        neuron_euler_maruyama(**(good | arguments))


def test_weights_as_numbers_refuse_an_alpha_that_is_none():
    with pytest.raises(ValueError, match="stochastic_gradient_flow"):
        neuron_euler_maruyama([[1.0]], [1.0], log_alpha=-800.0, step_size=0.1, dt=0.1, horizon=1.0)
