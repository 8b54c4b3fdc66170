"""Mean-field theory: closed forms, identities between protocols, causality, simulation, refusals."""

import inspect

import numpy as np
import pytest
from scipy.integrate import quad

from lib.meanfield import disagreement, gaussian_mixture, gaussian_mixture_runs, process, warm_sign_retrieval
from lib.meanfield.clusters import ThreeClusters, simulate_three_clusters
from lib.meanfield.fluctuations import effective_temperature, mode_temperature, replica_distance
from lib.meanfield.margins import LOSSES
from lib.meanfield.mixture_statics import mixture_end
from lib.meanfield.mixtures import Mixture, simulate_gaussian_mixture, twin_runs
from lib.meanfield.process import solve
from lib.meanfield.sign_retrieval import simulate_sign_retrieval
from lib.records import RunFailed

BASE = {
    "alpha": 2.0,
    "noise_variance": 0.5,
    "ridge": 0.0,
    "batch_fraction": 0.3,
    "step_size": 0.2,
    "steps": 20,
    "initial_variance": 0.01,
}
SQUARE = BASE | {"ridge": 0.1, "batch_fraction": 1.0, "loss": "square", "initial_variance": 0.3}
TAU = 1 / 0.6
CURVES = ("magnetisation", "training_loss", "training_error", "test_error")


def marchenko_pastur(function, alpha):
    """Average over the eigenvalues of ZᵀZ/N with M = αN ≥ N rows."""
    low, high = (alpha**0.5 - 1) ** 2, (alpha**0.5 + 1) ** 2
    centre, half = (low + high) / 2, (high - low) / 2

    def integrand(angle):  # x = centre + half·cos: the square root at the ends becomes smooth
        x = centre + half * np.cos(angle)
        return function(x) * (half * np.sin(angle)) ** 2 / (2 * np.pi * x)

    return quad(integrand, 0, np.pi, epsabs=1e-14, epsrel=1e-13)[0]


# --- closed forms ---------------------------------------------------------------------------------


def test_e1_response_of_linear_dynamics_is_an_average_over_marchenko_pastur():
    """Square loss, full batch: R_{l+n,l} = −η√Δ G_{n−1}, without Monte Carlo; G as printed by hand."""
    found = gaussian_mixture(**SQUARE, samples=50, rng=0)
    G = [marchenko_pastur(lambda x, k=k: (1 - 0.02 - 0.1 * x) ** k, 2.0) for k in range(20)]
    assert G[1:6] == pytest.approx([0.78, 0.6284, 0.519352, 0.43791856, 0.37513984], abs=1e-8)
    scale = -0.2 * 0.5**0.5
    for start in (0, 3):
        measured = [found.response[start + n, start] / scale for n in range(1, 18)]
        assert measured == pytest.approx(G[:17], abs=1e-13)


def test_e2_norm_without_centre_is_an_average_over_marchenko_pastur():
    physics = SQUARE | {"samples": 8000}
    runs = gaussian_mixture_runs(5, **physics, leave_out="centre", rng=1)
    eta, lam = 0.2, 0.1

    def exact(k):
        def one(x):
            shrink = 1 - eta * (lam + 0.5 * x)
            return 0.3 * shrink ** (2 * k) + 0.5 * x * ((1 - shrink**k) / (lam + 0.5 * x)) ** 2

        return marchenko_pastur(one, 2.0)

    steps = [1, 2, 5, 20]
    expected = [exact(k) for k in steps]
    assert expected == pytest.approx([0.228520, 0.245072, 0.392892, 0.864863], abs=1e-6)
    C = runs.correlation[:, steps, steps]
    assert (np.abs(C.mean(0) - expected) < 5 * C.std(0, ddof=1) / 5**0.5).all()


@pytest.mark.parametrize("jitter", [1e-12, 1e-6, 1e-4])
def test_the_result_does_not_depend_on_the_jitter(jitter):
    """With a full batch the noise has no fresh part: its covariance is nearly singular."""

    def final(jitter):
        rule = LOSSES["square"]
        physics = {key: SQUARE[key] for key in BASE if key != "initial_variance"}
        found = process.solve(
            lambda generator, K: (np.zeros(K), None),
            lambda r, _: rule.slopes(r),
            lambda r, _: (rule.value(r).mean(),),
            **physics,
            start_variance=0.3,
            samples=4000,
            jitter=jitter,
            rng=0,
        )
        return found.raise_if_failed().correlation[0, 20, 20]

    assert final(jitter) == pytest.approx(final(1e-8), rel=0.01)


def test_a_full_batch_overflows_without_jitter_and_says_so(monkeypatch):
    """The trap that looks like an instability of the dynamics: pivots of the size of rounding."""
    full = SQUARE | {"steps": 60, "samples": 500, "ridge": 0.0}
    sane = gaussian_mixture(**full, rng=0).raise_if_failed()
    run = process.solve

    def bare(*arguments, **options):
        return run(*arguments, **options | {"jitter": 0.0})

    monkeypatch.setattr("lib.meanfield._theory.solve", bare)
    bad = gaussian_mixture(**full, rng=0)
    assert bad.status != 0 or abs(bad.training_loss[-1] - sane.training_loss[-1]) > sane.training_loss[-1]


def test_e5_first_step_by_hand():
    """l′(0) = −½ for the logistic loss, so m₁ = ηαb/2 from a start at 0, up to sampling of a and s."""
    runs = gaussian_mixture_runs(10, **BASE | {"initial_variance": 0.0, "steps": 1}, samples=20_000, rng=2)
    first = runs.magnetisation[:, 1]
    assert abs(first.mean() - 0.06) < 4 * first.std(ddof=1) / 10**0.5
    assert first.std() < 0.001
    np.testing.assert_array_equal(runs.test_error[:, 0], 0.5)


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solve", ["theory", "simulation"])
def test_e3_persistence_eta_over_b_is_vanilla(solve):
    call = THEORY if solve == "theory" else SIMULATION
    vanilla, same = (call(BASE | {"persistence": tau}) for tau in (None, 0.2 / 0.3))
    other = call(BASE | {"persistence": TAU})
    np.testing.assert_allclose(vanilla.test_error, same.test_error, rtol=1e-5)
    assert np.abs(vanilla.test_error - other.test_error).max() > 1e-3


@pytest.mark.parametrize("solve", ["theory", "simulation"])
def test_e4_a_full_batch_does_not_know_the_protocol(solve):
    call = THEORY if solve == "theory" else SIMULATION
    full = BASE | {"batch_fraction": 1.0}
    runs = [call(full | {"persistence": tau}) for tau in (None, 0.7, 5.0)]
    for run in runs[1:]:
        np.testing.assert_array_equal(run.correlation, runs[0].correlation)


def THEORY(physics):
    return gaussian_mixture(**physics, samples=1000, rng=3)


def SIMULATION(physics):
    return simulate_gaussian_mixture(**physics, dimension=60, replicas=3, rng=3)


def test_solve_refuses_what_is_no_function_and_a_term_it_does_not_have():
    with pytest.raises(TypeError, match="watch must be a function; received 3"):
        solve(print, print, 3, **CLUSTERS, steps=2)
    with pytest.raises(ValueError, match="leave_out must be one of response"):
        solve(print, print, print, **CLUSTERS, steps=2, leave_out="centre")


def test_the_sweep_is_causal_bit_by_bit():
    short, long = (
        gaussian_mixture(**BASE | {"steps": T, "persistence": TAU}, samples=2000, rng=4) for T in (20, 50)
    )
    for name in CURVES:
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:21])
    np.testing.assert_array_equal(short.response, long.response[:21, :21])


def test_first_runs_do_not_depend_on_how_many_follow():
    small = BASE | {"steps": 5, "samples": 200}
    few, many = (gaussian_mixture_runs(n, **small, rng=5) for n in (2, 4))
    np.testing.assert_array_equal(few.correlation, many.correlation[:2])
    sim = BASE | {"steps": 5, "dimension": 30}
    few, many = (simulate_gaussian_mixture(**sim, replicas=n, rng=5) for n in (2, 70))
    np.testing.assert_array_equal(few.correlation, many.correlation[:2])


# --- theory against simulation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "physics",
    [
        BASE | {"persistence": TAU},
        BASE | {"loss": "squared_hinge", "ridge": 0.1, "alpha": 1.0, "batch_fraction": 0.5},
        BASE | {"loss": "square", "ridge": 0.2, "step_size": 0.1, "noise_variance": 0.8},
    ],
    ids=["logistic, persistent", "squared hinge", "square"],
)
def test_theory_and_simulation_agree_in_every_order_parameter(physics):
    theory = gaussian_mixture_runs(6, **physics, samples=5000, rng=6)
    runs = simulate_gaussian_mixture(**physics, dimension=300, replicas=50, rng=6)
    steps = [1, 5, 10, 20]
    for name in CURVES:
        assert np.abs(disagreement(getattr(theory, name), getattr(runs, name))[steps]).max() < 4.5, name
    z = disagreement(theory.correlation[:, 10, [0, 5, 8, 20]], runs.correlation[:, 10, [0, 5, 8, 20]])
    assert np.abs(z).max() < 4.5
    # the simulated response is noisy entry by entry: its averages over diagonals are compared
    diagonals = [
        np.stack([np.diagonal(found.response, -n, 1, 2).mean(1) for n in (2, 5, 10)], axis=1)
        for found in (theory, runs)
    ]
    assert np.abs(disagreement(*diagonals)).max() < 4.5


LONG = BASE | {"steps": 50, "persistence": TAU, "samples": 8000, "rng": 7}


@pytest.fixture(scope="module")
def complete():
    """With nothing left out."""
    return gaussian_mixture(**LONG)


@pytest.mark.parametrize(
    ("term", "name", "expected"),
    [
        ("response", "test_error", 0.1267),
        ("own force", "training_error", 0.114),
        ("noise memory", "training_error", 0.023),
        ("memory kernel", "test_error", 0.1088),
    ],
)
def test_each_term_matters_by_as_much_as_it_should(term, name, expected, complete):
    wrong = gaussian_mixture(**LONG, leave_out=term)
    spread = {"test_error": 0.0006, "training_error": 0.0025}[name]  # of one run with as many samples
    assert getattr(wrong, name)[50] == pytest.approx(expected, abs=4 * spread)
    # same random numbers: the difference is sharper than the spread
    assert abs(getattr(wrong, name)[50] - getattr(complete, name)[50]) > 1.5 * spread


def test_response_of_a_simulated_run_is_that_of_a_twin_in_a_small_field():
    """The difference carried along against a second run in a field of 10⁻⁴, on the same data and batches."""
    physics = BASE | {"steps": 6, "loss": "logistic", "ridge": 0.1, "batch_fraction": 0.5}
    runs = twin_runs([2], **physics, dimension=40, replicas=1, rng=8)
    stream = np.random.default_rng(8).spawn(1)[0]
    x = stream.standard_normal((80, 40), dtype=np.float32).astype(float) * 0.5**0.5 + 40**-0.5
    start = stream.standard_normal(40) * 0.1
    signs = (stream.spawn(1)[0].integers(0, 2, (8, 40)) * 2.0 - 1.0)[-1]
    flags = [stream.random(80, dtype=np.float32) < 0.5 for _ in range(7)]

    def walk(field):
        w = start.copy()
        for k in range(6):
            slope = LOSSES["logistic"].slopes(x @ w / 40**0.5)[0]
            w = (1 - 0.2 * 0.1) * w - 0.2 / 40**0.5 * x.T @ (flags[k] * slope)
            w += 0.2 * field * signs * (k >= 2)
        return w

    twin = signs @ (walk(1e-4) - walk(-1e-4)) / 2e-4 / 40
    np.testing.assert_allclose(runs.correlation[0, 6, 6], walk(0.0) @ walk(0.0) / 40, rtol=1e-5)
    np.testing.assert_allclose(runs.susceptibility[0, 0, 6], twin, rtol=1e-4)
    np.testing.assert_array_equal(runs.susceptibility[0, 0, :3], 0)


def test_monte_carlo_error_falls_as_one_over_the_root_of_the_samples():
    spread = [
        gaussian_mixture_runs(24, **BASE | {"steps": 8}, samples=K, rng=9).magnetisation[:, 8].std(ddof=1)
        for K in (500, 8000)
    ]
    assert spread[0] / spread[1] == pytest.approx(4.0, rel=0.6)


# --- temperature ------------------------------------------------------------------------------------

WARM = {
    "alpha": 5.0,
    "noise_variance": 1.0,
    "ridge": 0.5,
    "batch_fraction": 0.3,
    "initial_variance": 0.01,
    "step_size": 0.4,
    "steps": 45,
}


def test_temperature_of_theory_and_twins_agree():
    lags = [0.4, 1.6, 6.4]
    clock = {"step_size": 0.4, "noise_variance": 1.0, "lags": lags, "start": 8.0}
    theory = effective_temperature(gaussian_mixture_runs(4, **WARM, samples=2000, rng=1), **clock)
    runs = twin_runs([20, 22, 24], **WARM, dimension=150, replicas=40, rng=1)
    twins = effective_temperature(runs, **clock)
    for name in ("correlation_drop", "susceptibility"):
        assert np.abs(disagreement(getattr(theory, name)[:, 1:], getattr(twins, name)[:, 1:])).max() < 4.5
    assert theory.susceptibility[:, 0] == pytest.approx(0.4)  # one step of a unit field: η
    # two estimates from the same runs: twins, and the sum of the response
    plain = effective_temperature(
        simulate_gaussian_mixture(**WARM, dimension=150, replicas=40, rng=1), **clock
    )
    np.testing.assert_allclose(plain.correlation_drop, twins.correlation_drop, rtol=1e-5)
    assert np.abs(disagreement(plain.susceptibility[:, 1:], twins.susceptibility[:, 1:])).max() < 4.5


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"lags": [0.3]}, "lags must be multiples of 0.4.*received \\[0.3\\]"),
        ({"lags": [40.0]}, "at most 10, the length of the window"),
        ({"start": -1.0}, "start must be finite and at least 0"),
    ],
)
def test_lags_that_do_not_fit_are_refused(wrong, sentence):
    run = gaussian_mixture(**WARM, samples=20, rng=0)
    with pytest.raises(ValueError, match=sentence):
        effective_temperature(
            run, **{"step_size": 0.4, "noise_variance": 1.0, "lags": [0.4], "start": 8.0} | wrong
        )


def test_a_twin_that_starts_too_late_is_refused():
    runs = twin_runs([40], **WARM, dimension=20, replicas=1, rng=0)
    with pytest.raises(ValueError, match="switch_on must hold a step after start with 10 steps left"):
        effective_temperature(runs, step_size=0.4, noise_variance=1.0, lags=[4.0], start=8.0)


# --- sign retrieval, warm start -----------------------------------------------------------------------


def test_warm_sign_retrieval_agrees_with_simulation_for_short_times():
    physics = {"alpha": 3, "step_size": 0.02, "batch_fraction": 0.5, "persistence": 4.0, "warm_start": 0.2}
    theory = warm_sign_retrieval(**physics, steps=25, runs=6, samples=4000, rng=0)
    runs = simulate_sign_retrieval(**physics, horizon=0.5, dimension=300, replicas=30, rng=0, record=26)
    for mine, theirs in ((theory.magnetisation, runs.overlap), (theory.training_loss, runs.loss)):
        assert np.abs(disagreement(mine, theirs)[[5, 10, 25]]).max() < 4.5
    np.testing.assert_allclose(np.diagonal(theory.correlation, axis1=1, axis2=2), 1, rtol=1e-12)


# --- three clusters ---------------------------------------------------------------------------------

CLUSTERS = {"alpha": 3, "noise_variance": 0.1, "ridge": 0.1, "batch_fraction": 0.5, "step_size": 0.1}
CLUSTERS |= {"start_overlap": 0.3, "start_variance": 0.01, "persistence": TAU}


def test_slopes_of_the_three_clusters_are_derivatives_of_the_loss():
    problem, h = ThreeClusters(noise_variance=0.1, threshold=0.7), np.linspace(-2, 2, 9)
    for y in (-1.0, 1.0):
        loss = [problem.watch(np.array([v]), y)[0] for v in (h[:, None] + [-1e-4, 0.0, 1e-4]).ravel()]
        low, middle, high = np.reshape(loss, (9, 3)).T
        slope, curvature = problem.slopes(h, y)
        np.testing.assert_allclose((high - low) / 2e-4, slope, atol=1e-7)
        np.testing.assert_allclose((high - 2 * middle + low) / 1e-8, curvature, atol=1e-5)


def test_the_three_clusters_are_not_convex_and_half_the_samples_lie_in_the_middle():
    problem = ThreeClusters(noise_variance=0.1, threshold=0.7)
    assert problem.slopes(np.zeros(1), 1.0)[1] < 0
    a, y = problem.draw(np.random.default_rng(0), 40_000)
    assert (y < 0).mean() == pytest.approx(0.5, abs=0.01)
    assert a[y < 0].std() == pytest.approx(0.1**0.5, rel=0.02)
    assert np.abs(a[y > 0]).mean() == pytest.approx(1, rel=0.01)


def test_test_error_of_the_three_clusters_is_that_of_new_samples():
    problem, rng = ThreeClusters(noise_variance=0.1, threshold=0.7), np.random.default_rng(1)
    a, y = problem.draw(rng, 200_000)
    h = 0.8 * a + (0.1 * 0.5) ** 0.5 * rng.standard_normal(a.size)  # m = 0.8, C = m² + 0.5
    assert problem.test_error(0.8, 0.64 + 0.5) == pytest.approx(problem.watch(h, y)[1], abs=5 / 900)


def test_theory_and_networks_agree_on_three_clusters():
    problem = ThreeClusters(noise_variance=0.1, threshold=0.7)
    theory = solve(
        problem.draw, problem.slopes, problem.watch, **CLUSTERS, steps=30, runs=6, samples=4000, rng=0
    )
    runs = simulate_three_clusters(**CLUSTERS, steps=30, threshold=0.7, dimension=200, replicas=40, rng=1)
    at = [1, 5, 10, 30]
    for mine, theirs in (
        (theory.magnetisation, runs.magnetisation),
        (np.diagonal(theory.correlation, axis1=1, axis2=2), runs.norm),
        (theory.watched[..., 0], runs.training_loss),
        (theory.watched[..., 1], runs.training_error),
    ):
        assert np.abs(disagreement(mine, theirs)[at]).max() < 4.5


# --- where it ends, and how far replicas part -------------------------------------------------------


def test_the_end_of_ridge_regression_is_an_average_over_marchenko_pastur():
    """Square loss: V = ⟨1/(λ + Δx)⟩ over the spectrum; the centre is one direction of N."""
    end = mixture_end(alpha=2, noise_variance=0.5, ridge=0.3, loss="square").raise_if_failed()
    assert end.response == pytest.approx(marchenko_pastur(lambda x: 1 / (0.3 + 0.5 * x), 2.0), rel=1e-12)


@pytest.mark.parametrize("loss", ["logistic", "square"])
def test_the_end_is_the_minimiser_of_large_networks(loss):
    physics = {"alpha": 2.0, "noise_variance": 0.5, "ridge": 1.0, "loss": loss}
    end = mixture_end(**physics).raise_if_failed()
    clock = {"step_size": 0.3, "steps": 60, "batch_fraction": 1.0, "initial_variance": 0.01}
    runs = simulate_gaussian_mixture(**physics, **clock, dimension=400, replicas=30, rng=2)
    for name in ("magnetisation", "training_loss", "training_error", "test_error"):
        last = getattr(runs, name)[:, -1]
        assert abs(last.mean() - getattr(end, name)) < 4.5 * last.std(ddof=1) / 30**0.5, name


def test_the_end_refuses_a_kink_and_reports_what_it_cannot_solve():
    with pytest.raises(ValueError, match="loss must be logistic or square"):
        mixture_end(alpha=2, noise_variance=1, ridge=1, loss="squared_hinge")
    with pytest.raises(RunFailed, match="Choose a larger ridge"):
        mixture_end(alpha=0.3, noise_variance=4, ridge=1e-3).raise_if_failed()


def test_replicas_with_the_full_batch_stay_together_and_others_part_by_twice_the_fluctuation():
    physics = {name: WARM[name] for name in WARM} | {"dimension": 100}
    full = replica_distance(**physics | {"batch_fraction": 1.0}, replicas=2, rng=0)
    assert full.distance.max() == 0
    pairs = replica_distance(**physics, replicas=40, rng=0)
    half = pairs.distance[:, 30:].mean(1) / 2
    clock = {"step_size": 0.4, "noise_variance": 1.0, "lags": [6.4], "start": 8.0}
    runs = simulate_gaussian_mixture(**physics, replicas=40, rng=1)
    drop = effective_temperature(runs, **clock).correlation_drop[:, 0]
    assert abs(disagreement(half, drop)) < 4.5


def test_temperature_of_a_mode_is_that_of_the_recursion_it_describes():
    """x ← φx + η ξ with ξ of variance σ² and correlation ρⁿ: T = a⟨x²⟩, summed term by term."""
    physics = {"alpha": 5.0, "noise_variance": 1.0, "ridge": 0.5, "batch_fraction": 0.3, "step_size": 0.2}
    end = mixture_end(alpha=5.0, noise_variance=1.0, ridge=0.5 / 0.3)
    a, variance, rho = 0.3 / end.response, 0.21 * 5 * end.slope_square, 1 - 0.2 / (0.3 * TAU)
    phi, n = 1 - 0.2 * a, np.arange(200)
    both = 0.04 * variance * np.sum(phi ** (n[:, None] + n) * rho ** np.abs(n[:, None] - n))
    assert mode_temperature(**physics, persistence=TAU) == pytest.approx(a * both, rel=1e-9)


# --- failure and refusal --------------------------------------------------------------------------------


def test_a_step_beyond_stability_is_reported_by_theory_and_simulation():
    wild = SQUARE | {"step_size": 3.0, "steps": 250}
    theory = gaussian_mixture(**wild, samples=50, rng=0)
    runs = simulate_gaussian_mixture(**wild | {"steps": 60}, dimension=40, replicas=2, rng=0)
    assert theory.status == 1
    assert "Choose a smaller step_size" in theory.message
    assert np.isnan(theory.magnetisation[-1])
    assert np.isfinite(theory.magnetisation[:4]).all()
    assert (runs.status == 1).all()
    assert np.isnan(runs.correlation[:, -1]).all()
    with pytest.raises(RunFailed, match="2 of 2 replicas diverged"):
        runs.raise_if_failed()


@pytest.mark.parametrize(
    ("wrong", "error", "sentence"),
    [
        ({"alpha": 0.0}, ValueError, "alpha must be finite and greater than 0; received 0.0"),
        ({"noise_variance": -1}, ValueError, "noise_variance must be"),
        ({"ridge": np.nan}, ValueError, "ridge must be finite and at least 0"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number"),
        (
            {"loss": "hinge"},
            ValueError,
            "loss must be one of logistic, squared_hinge, square; received 'hinge'",
        ),
        ({"batch_fraction": 0.1, "persistence": TAU}, ValueError, "persistence must be at least"),
    ],
)
def test_bad_physics_is_refused_with_a_sentence(wrong, error, sentence):
    for call in (THEORY, SIMULATION):
        with pytest.raises(error, match=sentence):
            call(BASE | wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"samples": 10**6, "steps": 200},
            "samples and steps must need at most 4 GB.*Average independent runs",
        ),
        ({"samples": 1}, "samples must be at least 2"),
        ({"leave_out": "everything"}, "leave_out must be one of response, own force"),
    ],
)
def test_bad_samples_and_terms_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        gaussian_mixture(**BASE | wrong)


def test_a_run_needs_a_sample_and_a_warm_start_an_overlap():
    with pytest.raises(ValueError, match="must give at least one sample"):
        simulate_gaussian_mixture(**BASE | {"alpha": 0.01}, dimension=10, replicas=1)
    with pytest.raises(ValueError, match="warm_start must be at most 1; received"):
        warm_sign_retrieval(alpha=3, step_size=0.02, steps=5, warm_start=1.5)
    with pytest.raises(ValueError, match="switch_on must be between 0 and 19"):
        twin_runs([20], **BASE, dimension=10, replicas=1)


def test_theory_and_simulation_take_the_same_physics():
    theory, simulation = (
        set(inspect.signature(f).parameters) for f in (gaussian_mixture, simulate_gaussian_mixture)
    )
    physics = {*BASE, "loss", "persistence"}
    assert physics <= theory & simulation
    assert set(inspect.signature(Mixture).parameters) == physics
