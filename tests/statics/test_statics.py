"""Learning curves: closed forms, transitions, and finite-size experiments they have to agree with."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

from lib import statics
from lib.records import RunFailed
from lib.statics import _covariate, features, penalised, perceptron

# --- the perceptron with a teacher ----------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "error"), [(0.5, 0.322395), (1.2, 0.233967), (2, 0.174534), (8, 0.054065)])
def test_bayes_error_of_a_gaussian_teacher(alpha, error):
    assert statics.bayes_optimal(alpha).error == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_bayes_overlap_satisfies_the_state_evolution_by_adaptive_quadrature(alpha):
    """q̂/(1 + q̂) = q with the integral done by another rule, in the other variable."""
    q = statics.bayes_optimal(alpha).overlap
    a = np.sqrt(q / (1 - q))
    mean = quad(
        lambda x: norm.pdf(x) * norm.pdf(a * x) ** 2 / norm.cdf(a * x), -12, 12, epsabs=1e-13, limit=200
    )[0]
    q_hat = 2 * alpha / (1 - q) * mean
    assert q_hat / (1 + q_hat) == pytest.approx(q, abs=1e-9)


def test_bayes_error_falls_like_the_known_constant_over_alpha():
    """ε α → 0.4417, the Gaussian teacher's asymptote, also where 1 − q is rounding."""
    errors = [alpha * statics.bayes_optimal(alpha).error for alpha in (1e4, 1e6, 1e8)]
    assert errors == pytest.approx([0.44170044] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("alpha", "q"), [(0.5, 0.293089), (1.2, 0.668661), (1.4, 0.789699), (1.48, 0.861077)]
)
def test_uninformed_branch_of_the_binary_teacher(alpha, q):
    assert statics.bayes_optimal(alpha, teacher="binary").algorithmic_overlap == pytest.approx(q, abs=1e-6)


def test_the_binary_teacher_is_found_above_its_transition_and_known_algorithms_need_more():
    between = statics.bayes_optimal(1.4, teacher="binary")
    assert (between.overlap, between.error) == (1.0, 0.0)
    assert between.algorithmic_error == pytest.approx(0.151644, abs=1e-6)
    assert statics.bayes_optimal(1.5, teacher="binary").algorithmic_error == 0
    below = statics.bayes_optimal(1.2, teacher="binary")
    assert below.error == below.algorithmic_error > 0.19


def test_transitions():
    found = perceptron.transitions()
    assert found.information == pytest.approx(1.24468, abs=1e-5)
    assert found.overlap_before == pytest.approx(0.69376, abs=1e-5)
    assert found.algorithm == pytest.approx(1.49263, abs=1e-5)
    assert found.overlap_end == pytest.approx(0.89366, abs=1e-4)


def test_the_uninformed_branch_ends_where_it_should():
    """The state evolution iterated by hand from q = 1e-3 stays below 1 just under α_AMP and reaches it just
    above."""

    def iterate(alpha, q=1e-3):
        for _ in range(1500):
            a = np.sqrt(q / (1 - q))
            q_hat = perceptron._q_hat(a, alpha)
            q = min(perceptron._tanh_overlap(q_hat), 1 - 1e-12)
        return q

    end = perceptron.transitions().algorithm
    assert iterate(end - 1e-3) < 0.9
    assert iterate(end + 1e-3) > 1 - 1e-9


@pytest.mark.parametrize(("alpha", "R"), [(2.5, 0.968795), (3, 0.934989), (8, 0.729169), (20, 0.555397)])
def test_rademacher_bound(alpha, R):
    assert statics.rademacher_bound(alpha) == pytest.approx(R, abs=1e-6)


def test_rademacher_bound_solves_gardners_equation_and_is_empty_up_to_two():
    R = statics.rademacher_bound(5.0)
    x = norm.isf((1 - R) / 2)
    assert 5 * quad(lambda t: t * t * norm.pdf(t), 0, x)[0] == pytest.approx(1, abs=1e-10)
    assert [statics.rademacher_bound(a) for a in (0.1, 1.0, 2.0)] == [1.0, 1.0, 1.0]
    assert statics.rademacher_bound(2.001) < 1


def test_a_draw_from_the_posterior_errs_more_than_its_mean():
    """Two draws overlap by q, the mean and the teacher by √q; at large α the errors fall like 1/α."""
    found = statics.bayes_optimal(2.0)
    assert found.gibbs_error == pytest.approx(np.arccos(found.overlap) / np.pi, rel=1e-12)
    far = statics.bayes_optimal(1e6)
    assert far.gibbs_error / far.error == pytest.approx(np.sqrt(2), rel=1e-6)  # 1 − q = π²ε² there
    known = statics.bayes_optimal(1.4, teacher="binary")
    assert known.gibbs_error == known.error == 0


@pytest.mark.parametrize("alpha", [2.5, 8.0])
def test_hebbs_rule_on_random_labels_reaches_the_lower_bound(alpha):
    d, rng = 400, np.random.default_rng(0)
    reached = []
    for _ in range(10):
        x, label = rng.standard_normal((int(alpha * d), d)), rng.choice([-1.0, 1.0], int(alpha * d))
        reached.append(np.mean(label * np.sign(x @ (label @ x))))
    error = np.std(reached, ddof=1) / np.sqrt(10)
    assert abs(np.mean(reached) - statics.rademacher_lower_bound(alpha)) < 4 * error < 0.04


def test_rademacher_bounds_enclose_the_complexity():
    alphas = np.geomspace(0.1, 1e4, 30)
    upper = np.array([statics.rademacher_bound(alpha) for alpha in alphas])
    lower = np.array([statics.rademacher_lower_bound(alpha) for alpha in alphas])
    assert np.all((lower > 0) & (lower < upper) & (upper <= 1))


def test_rademacher_bound_decays_like_the_cube_root():
    ratio = statics.rademacher_bound(8e6) / statics.rademacher_bound(1e6)
    assert ratio == pytest.approx(0.5, rel=1e-3)


# --- the fixed points -----------------------------------------------------------------------------


def marchenko_pastur(alpha, penalty, noise):
    """Isotropic ridge, ρ = 1: V and the excess risk in closed form."""
    b = 1 - alpha - penalty
    root = np.sqrt(b**2 + 4 * penalty)
    V = (b + root) / (2 * penalty) if b > 0 else 2 / (root - b)
    slope = -V * (1 + V) / (2 * penalty * V + penalty + alpha - 1)
    return V, -(penalty**2) * slope + noise * (V + penalty * slope)


@pytest.mark.parametrize(
    ("alpha", "penalty"), [(0.5, 0.1), (1, 0.01), (2, 0.1), (1, 1e-8), (0.1, 3.0), (1e4, 1e-3), (0.9, 1e3)]
)
def test_isotropic_ridge_in_closed_form(alpha, penalty):
    curve = statics.covariate_model([1.0], [1.0], rho=1.0, alpha=alpha, penalty=penalty, noise_variance=0.1)
    V, error = marchenko_pastur(alpha, penalty, 0.1)
    assert float(curve.V) == pytest.approx(V, rel=1e-9)
    assert curve.error == pytest.approx(error, rel=1e-8)
    assert curve.training == pytest.approx((error + 0.1) / (1 + V) ** 2, rel=1e-8)
    assert curve.raise_if_failed().residual < 1e-12


LOGISTIC = [
    (1, 0.01, 46.66519, 2.335553, 11.26808, 0.255064, 0.041512),
    (2, 1.0, 0.725744, 0.492479, 0.379528, 0.205150, 0.439705),
    (8, 0.001, 25.60788, 16.37951, 276.2196, 0.054199, 0.015112),
]


@pytest.mark.parametrize(("alpha", "penalty", "V", "m", "q", "error", "training"), LOGISTIC)
def test_isotropic_logistic(alpha, penalty, V, m, q, error, training):
    curve = statics.covariate_model([1.0], [1.0], rho=1.0, alpha=alpha, penalty=penalty, task="logistic")
    found = (curve.V, curve.m, curve.q, curve.error, curve.training)
    assert found == pytest.approx((V, m, q, error, training), rel=2e-5)
    assert curve.residual < 1e-10


@pytest.mark.parametrize("penalty", [1e-6, 1e-2, 1.0, 1e4])
@pytest.mark.parametrize("alpha", [0.05, 1.0, 100.0])
def test_logistic_fixed_point_is_reached_everywhere(alpha, penalty):
    curve = statics.covariate_model([1.0], [1.0], rho=1.0, alpha=alpha, penalty=penalty, task="logistic")
    assert curve.status == 0
    assert curve.residual < 1e-10
    assert 0 < curve.error < 0.5


@pytest.mark.parametrize("V", [1e-3, 1.0, 46.0, 400.0, 1e8])
def test_the_proximal_point_satisfies_its_equation(V):
    field = np.linspace(-60, 60, 2001)
    x = _covariate.proximal(field, V)
    assert np.abs((x - field) / V - expit(-x)).max() < 1e-10


def test_the_expectations_of_the_docstring_hold_at_the_logistic_fixed_point():
    """V̂, q̂, m̂ by plain sums over both labels, with the proximal map's slope by differences."""
    omega, rho, alpha, penalty = np.geomspace(3, 1 / 3, 20), 1.4, 1.5, 0.2
    kappa = omega / np.sqrt(20)
    curve = statics.covariate_model(omega, kappa, rho=rho, alpha=alpha, penalty=penalty, task="logistic")
    V, q, m = curve.V, curve.q, curve.m
    xi = np.linspace(-10, 10, 2001)
    weight = norm.pdf(xi) / norm.pdf(xi).sum()
    field, mean, width = np.sqrt(q) * xi, m / np.sqrt(q) * xi, np.sqrt(rho - m**2 / q)

    def f(y, field):
        return y * (_covariate.proximal(y * field, V) - y * field) / V

    hats, training, h = np.zeros(3), 0.0, 1e-5
    for y in (-1, 1):
        odds, tilt = norm.cdf(y * mean / width), y * norm.pdf(mean / width) / width
        bend = (f(y, field + h) - f(y, field - h)) / (2 * h)
        hats += alpha * np.array([-weight @ (odds * bend), weight @ (odds * f(y, field) ** 2), 0])
        hats[2] += alpha * weight @ (f(y, field) * tilt)
        training += weight @ (odds * np.logaddexp(0, -y * (field + V * f(y, field))))
    share = 1 / (penalty + hats[0] * omega)
    again = (
        np.mean(omega * share),
        hats[1] * np.mean((omega * share) ** 2) + hats[2] ** 2 * np.sum(kappa**2 * omega * share**2),
        hats[2] * np.sum(kappa**2 * share),
        training,
    )
    assert again == pytest.approx((V, q, m, curve.training), rel=1e-8)


def test_the_best_ridge_penalty_is_the_noise():
    """On isotropic features with ρ = 1 the posterior mean is ridge with λ = σ²."""
    found = statics.best_penalty([1.0], [1.0], rho=1.0, alpha=1.5, noise_variance=0.3).raise_if_failed()
    assert found.penalty == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 8.0])
def test_tuned_logistic_regression_is_almost_the_best(alpha):
    found = statics.best_penalty([1.0], [1.0], rho=1.0, alpha=alpha, task="logistic").raise_if_failed()
    excess = found.curve.error / statics.bayes_optimal(alpha).error - 1
    assert 0 < excess < 7e-4
    for factor in (0.5, 2):
        settings = {"rho": 1.0, "alpha": alpha, "penalty": factor * found.penalty, "task": "logistic"}
        assert statics.covariate_model([1.0], [1.0], **settings).error > found.curve.error


def test_a_best_penalty_at_an_end_of_the_bounds_says_so():
    settings = {"rho": 1.0, "alpha": 1.5, "noise_variance": 0.3}
    found = statics.best_penalty([1.0], [1.0], **settings, bounds=(1.0, 10.0))
    with pytest.raises(RunFailed, match="widen them"):
        found.raise_if_failed()


def test_no_ridge_error_is_below_what_the_features_miss():
    population = anisotropic(20)
    omega, kappa = population.spectrum()
    curve = statics.covariate_model(omega, kappa, rho=population.rho, alpha=1e6, penalty=1e-3)
    assert population.unexplained == pytest.approx(0.25)
    assert curve.error == pytest.approx(population.unexplained, rel=1e-4)


def test_isotropy_is_one_eigenvalue_or_many():
    one = statics.covariate_model([1.0], [1.0], rho=1.0, alpha=2.0, penalty=0.1, task="logistic")
    kappa = np.random.default_rng(0).standard_normal(50)
    many = statics.covariate_model(
        np.ones(50), kappa / np.linalg.norm(kappa), rho=1.0, alpha=2.0, penalty=0.1, task="logistic"
    )
    assert (many.m, many.q, many.error) == pytest.approx((one.m, one.q, one.error), rel=1e-10)


def test_scaling_features_and_penalty_changes_nothing():
    """Ω → cΩ, κ → √c κ, λ → cλ leaves the fields, hence every error, as they were."""
    omega = np.geomspace(3, 1 / 3, 40)
    kappa = omega / np.sqrt(40)
    for task in ("ridge", "logistic"):
        a = statics.covariate_model(omega, kappa, rho=2.0, alpha=1.5, penalty=0.2, task=task)
        b = statics.covariate_model(7 * omega, np.sqrt(7) * kappa, rho=2.0, alpha=1.5, penalty=1.4, task=task)
        assert (b.q, b.m, b.error, b.training) == pytest.approx((a.q, a.m, a.error, a.training), rel=1e-9)


def test_a_teacher_the_features_do_not_see_is_guessed():
    curve = statics.covariate_model([1.0, 2.0], [0.0, 0.0], rho=1.0, alpha=1.0, penalty=0.1, task="logistic")
    assert curve.error == pytest.approx(0.5)
    assert curve.m == 0


# --- against finite size --------------------------------------------------------------------------


def anisotropic(d):
    omega = np.geomspace(3, 1 / 3, d)
    return features.gaussian_features(omega, omega / np.sqrt(d), rho=omega.mean() + 0.25)


def relu(d, p, rng=0):
    rng = np.random.default_rng(rng)
    return features.relu_features(rng.standard_normal((d, p)) / np.sqrt(p), rng.standard_normal(p))


@pytest.mark.parametrize(
    ("population", "task", "samples"),
    [(anisotropic(200), "ridge", 200), (anisotropic(150), "logistic", 300), (relu(180, 150), "ridge", 270)],
    ids=["gaussian ridge", "gaussian logistic", "relu ridge"],
)
def test_theory_predicts_the_experiment(population, task, samples):
    physics = {"penalty": 0.1, "task": task, "noise_variance": 0.1 if task == "ridge" else 0.0}
    run = penalised.experiment(population, samples=samples, replicas=24, rng=7, **physics).raise_if_failed()
    omega, kappa = population.spectrum()
    curve = statics.covariate_model(omega, kappa, rho=population.rho, alpha=samples / population.d, **physics)
    for name in ("m", "q", "error", "training"):
        found = getattr(run, name)
        z = (found.mean() - getattr(curve, name)) / (found.std(ddof=1) / np.sqrt(len(found)))
        assert abs(z) < 4, name


def test_a_wrong_spectrum_is_noticed_by_the_same_experiment():
    population = anisotropic(200)
    run = penalised.experiment(population, samples=100, penalty=0.1, noise_variance=0.1, replicas=24, rng=7)
    omega, _ = population.spectrum()
    flat = np.full(200, omega.mean())
    wrong = statics.covariate_model(
        flat, flat / np.sqrt(200), rho=population.rho, alpha=0.5, penalty=0.1, noise_variance=0.1
    )
    assert abs(run.error.mean() - wrong.error) > 4 * run.error.std(ddof=1) / np.sqrt(24)


@pytest.mark.parametrize("population", [anisotropic(6), relu(5, 7)], ids=["gaussian", "relu"])
def test_moments_of_the_features_are_those_of_the_draws(population):
    v, nu = population.draw(np.random.default_rng(1), 400_000)
    assert v.T @ v / len(v) == pytest.approx(population.covariance, abs=0.02)
    assert v.T @ nu / len(v) == pytest.approx(population.alignment, abs=0.02)
    assert (nu**2).mean() == pytest.approx(population.rho, rel=0.02)


def test_a_data_set_is_its_own_population():
    rng = np.random.default_rng(2)
    v, nu = rng.standard_normal((30, 3)) + 5, rng.standard_normal(30) + 2
    population = features.sampled_features(v, nu)
    drawn, labels = population.draw(rng, 30)
    assert drawn.T @ drawn / 30 == pytest.approx(population.covariance)
    assert drawn.T @ labels / 30 == pytest.approx(population.alignment)
    assert labels @ labels / 30 == pytest.approx(population.rho)


@pytest.mark.parametrize("task", ["ridge", "logistic"])
def test_items_that_were_not_drawn_are_unseen(task):
    rng = np.random.default_rng(5)
    v, nu = rng.standard_normal((50, 4)), rng.standard_normal(50)
    population = features.sampled_features(v, nu)
    (drawn, field), (rest, other) = population.split(np.random.default_rng(0), 20)
    rows = np.vstack([np.column_stack([drawn, field]), np.column_stack([rest, other])])
    whole = np.column_stack([v - v.mean(axis=0), nu - nu.mean()])
    assert np.sort(rows, axis=0) == pytest.approx(np.sort(whole, axis=0))
    settings = {"samples": 20, "penalty": 0.5, "task": task, "replicas": 8, "rng": 1}
    run = penalised.experiment(population, **settings)
    assert np.all(run.unseen != run.error)
    if task == "ridge":  # the mean over all is the weighted mean of training and unseen
        assert run.error == pytest.approx((20 * run.training + 30 * run.unseen) / 50)
    everything = penalised.experiment(population, **settings | {"samples": 50})
    assert np.isnan(everything.unseen).all()
    endless = penalised.experiment(anisotropic(5), **settings)
    assert np.array_equal(endless.unseen, endless.error)


@pytest.mark.parametrize("task", ["ridge", "logistic"])
@pytest.mark.parametrize("shape", [(30, 8), (6, 20)])
def test_the_fit_is_the_minimiser_another_solver_finds(task, shape):
    rng = np.random.default_rng(3)
    v = rng.standard_normal(shape)
    y = rng.choice([-1.0, 1.0], size=shape[0])
    A = v / np.sqrt(shape[1])

    def height(w):
        x = A @ w
        loss = (y - x) ** 2 / 2 if task == "ridge" else np.logaddexp(0, -y * x)
        return loss.sum() + 0.05 * w @ w

    found = penalised.fit(v, y, 0.1, task=task)
    other = minimize(height, np.zeros(shape[1]), method="BFGS", options={"gtol": 1e-9})
    assert found.weights == pytest.approx(other.x, abs=1e-5)
    assert found.gradient < 1e-12


def test_the_fit_agrees_with_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(4)
    v = rng.standard_normal((40, 10))
    y = np.sign(v @ rng.standard_normal(10))
    peer = linear_model.LogisticRegression(
        C=1 / 0.3, fit_intercept=False, solver="newton-cholesky", tol=1e-12
    )
    peer.fit(v / np.sqrt(10), y)
    assert penalised.fit(v, y, 0.3, task="logistic").weights == pytest.approx(peer.coef_[0], rel=1e-8)


# --- the door -------------------------------------------------------------------------------------

GOOD = {"rho": 1.0, "alpha": 1.0, "penalty": 0.1}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: statics.bayes_optimal(-1.0), "alpha must be finite and greater"),
        (lambda: statics.bayes_optimal(1.0, teacher="rademacher"), "teacher must be one of"),
        (lambda: statics.rademacher_bound(float("nan")), "alpha must be"),
        (lambda: statics.rademacher_lower_bound(0.0), "alpha must be"),
        (lambda: statics.best_penalty([1.0], [1.0], rho=1.0, alpha=1.0, bounds=(1, 0.1)), "must increase"),
        (lambda: statics.covariate_model([1.0], [1.0, 2.0], **GOOD), "one entry for each eigenvalue"),
        (lambda: statics.covariate_model([-1.0, 1.0], [0.0, 0.5], **GOOD), "none negative"),
        (lambda: statics.covariate_model([0.0, 1.0], [0.1, 0.5], **GOOD), "alignment must be 0"),
        (lambda: statics.covariate_model([1.0], [2.0], **GOOD), "rho must be at least"),
        (
            lambda: statics.covariate_model([1.0], [1.0], **GOOD | {"penalty": 0.0}),
            "penalty must be finite and greater",
        ),
        (lambda: statics.covariate_model([1.0], [1.0], **GOOD, task="hinge"), "task must be one of"),
        (
            lambda: statics.covariate_model([1.0], [1.0], **GOOD, task="logistic", noise_variance=0.1),
            "for ridge",
        ),
        (lambda: features.gaussian_features([1.0, 0.0], [0.1, 0.0], rho=1.0), "eigenvalues must be positive"),
        (lambda: features.gaussian_features([1.0], [2.0], rho=1.0), "rho must be at least"),
        (lambda: features.relu_features([[1.0, 0.0]], [1.0]), "F must have 1 columns"),
        (lambda: features.sampled_features([[1.0]], [1.0, 2.0]), "one entry for each row"),
        (lambda: penalised.fit([[1.0]], [0.5], 1.0, task="logistic"), "must be −1 or 1"),
        (lambda: penalised.fit([[1.0]], [0.5, 1.0], 1.0), "one label for each row"),
        (lambda: penalised.experiment(anisotropic(3), samples=0, penalty=1.0), "samples must be"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_an_uncertified_fixed_point_says_so(monkeypatch):
    monkeypatch.setattr(_covariate, "ridge", lambda model, penalty: _covariate.Point(1, 1, 0, 0, 1, 1, 1e-3))
    curve = statics.covariate_model([1.0], [1.0], **GOOD)
    assert curve.status != 0
    with pytest.raises(RunFailed, match=r"reached only to 1\.0e-03"):
        curve.raise_if_failed()
