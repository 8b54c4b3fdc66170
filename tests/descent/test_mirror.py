"""Mirror descent against a plain loop in d dimensions, its exact balance, its rates, and the projection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import bias, descent
from lib.descent import linear, mirror
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm
from lib.records import INFEASIBLE, RunFailed

RNG = np.random.default_rng(3)
N, D = 6, 15
X = RNG.standard_normal((N, D))
Y = X @ RNG.uniform(0.3, 1.5, D)
START = RNG.exponential(0.3, D) + 0.05
GEOMETRIES = {
    "squared norm": SquaredNorm(),
    "hyperbolic": HyperbolicEntropy(np.log(0.3)),
    "hyperbolic, own α": HyperbolicEntropy(np.log(RNG.uniform(0.1, 0.6, D))),
    "entropy": NegativeEntropy(np.log(0.5)),
}
every_geometry = pytest.mark.parametrize("phi", GEOMETRIES.values(), ids=GEOMETRIES)


def stable(phi, offset):
    """The largest stable step at the solution that belongs to the start."""
    return 4 / mirror.rates(phi, X, bias.minimise(phi, X, Y, offset=offset).beta)[1]


def relative(a, b):
    return np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)


def plain(phi, offset, step_size, batches, momentum=0.0):
    """Mirror descent as the slides write it, in d dimensions."""
    z = before = offset
    for batch in batches:
        r = X[batch] @ phi.inverse_mirror(z) - Y[batch]
        z, before = z - step_size / 2 * X[batch].T @ r / len(batch) + momentum * (z - before), z
    return phi.inverse_mirror(z)


@every_geometry
def test_all_d_coordinates_and_the_n_coefficients_take_the_same_steps(phi):
    offset = phi.mirror(START)
    step, batches = 0.2 * stable(phi, offset), RNG.integers(0, N, (40, 1))
    ours = mirror.in_weights(phi, X, Y, start=[START], step_size=step, steps=40, samples=batches)
    settings = {"step_size": step, "steps": 40, "offset": offset}
    theirs = mirror.stochastic_mirror_descent(phi, X, Y, indices=batches, **settings).beta
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ours[0], plain(phi, offset, step, batches), rtol=1e-10, atol=1e-13)
    whole = mirror.in_weights(phi, X, Y, start=[START], step_size=step, steps=40)
    np.testing.assert_allclose(
        whole, mirror.mirror_descent(phi, X, Y, **settings).beta, rtol=1e-10, atol=1e-13
    )


def test_samples_of_the_wrong_shape_get_a_sentence():
    with pytest.raises(ValueError, match=r"samples must have the shape \(steps, runs\), \(3, 1\)"):
        mirror.in_weights(SquaredNorm(), X, Y, start=[START], step_size=0.1, steps=3, samples=[[0]])


@every_geometry
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_step_is_the_one_of_the_slides(phi, momentum):
    offset, everything = phi.mirror(START), [np.arange(N)] * 40
    step = 0.2 * stable(phi, offset)
    run = mirror.mirror_descent(phi, X, Y, step_size=step, steps=40, offset=offset, momentum=momentum)
    expected = plain(phi, offset, step, everything, momentum)
    np.testing.assert_allclose(run.beta[0], expected, rtol=1e-11)
    np.testing.assert_allclose(run.loss[0, -1], ((X @ run.beta[0] - Y) ** 2).sum() / (4 * N))


@every_geometry
@pytest.mark.parametrize(("batch_size", "replacement"), [(1, True), (4, True), (4, False)])
def test_the_samples_are_those_of_sgd(phi, batch_size, replacement):
    draw = {"batch_size": batch_size, "replacement": replacement, "replicas": 3, "rng": 5}
    offset, step = phi.mirror(START), 0.1 * stable(phi, phi.mirror(START))
    run = mirror.stochastic_mirror_descent(phi, X, Y, step_size=step, steps=60, offset=offset, **draw)
    for beta, batches in zip(run.beta, descent.sample_indices(N, 60, **draw), strict=True):
        np.testing.assert_allclose(beta, plain(phi, offset, step, batches), rtol=1e-11)


def test_given_batches_are_taken_in_their_order_and_again():
    phi, order = GEOMETRIES["hyperbolic"], [[0, 1], [2, 2], [5, 3]]
    run = mirror.stochastic_mirror_descent(phi, X, Y, step_size=0.05, steps=7, indices=order)
    expected = plain(phi, np.zeros(D), 0.05, np.array(order * 3)[:7])
    np.testing.assert_allclose(run.beta[0], expected, rtol=1e-12)


def test_the_squared_norm_is_gradient_descent():
    """At half the step, because the house loss is ¼ and the linear model's is ½."""
    ours = mirror.mirror_descent(SquaredNorm(), X, Y, step_size=0.3, steps=20, offset=START)
    theirs = linear.gradient_descent(X, Y, step_size=0.15, steps=20, start=START)
    np.testing.assert_allclose(ours.beta, theirs.beta, rtol=1e-12)


@every_geometry
@pytest.mark.parametrize(
    "batches",
    [{"batch_size": N, "replacement": False}, {}, {"batch_size": 3}, {"batch_size": 3, "replacement": False}],
    ids=["all", "one", "three", "three of six"],
)
def test_every_order_ends_at_the_projection_of_its_start(phi, batches):
    starts = np.random.default_rng(0).exponential(0.3, (16, D)) + 0.05
    offset = phi.mirror(starts)
    projections = np.array([bias.minimise(phi, X, Y, offset=row).raise_if_failed().beta for row in offset])
    step = 0.1 * min(stable(phi, row) for row in offset)
    slowest = min(mirror.rates(phi, X, beta)[0] for beta in projections)
    run = mirror.stochastic_mirror_descent(
        phi,
        X,
        Y,
        step_size=step,
        steps=int(70 / (slowest * step)),
        offset=offset,
        replicas=16,
        rng=1,
        record=2,
        **batches,
    )
    assert relative(run.raise_if_failed().beta, projections).max() < 1e-12
    # the start matters, and so does the geometry
    assert relative(run.beta, bias.minimise(phi, X, Y).beta).min() > 1e-2
    if phi != SquaredNorm():
        euclidean = np.array([bias.minimise(SquaredNorm(), X, Y, offset=beta).beta for beta in starts])
        assert relative(run.beta, euclidean).min() > 1e-2


def test_momentum_does_not_move_the_end():
    phi, offset = GEOMETRIES["hyperbolic"], GEOMETRIES["hyperbolic"].mirror(START)
    step = 1.5 * stable(phi, offset)  # stable with momentum only
    run = mirror.mirror_descent(phi, X, Y, step_size=step, steps=4000, offset=offset, momentum=0.8)
    assert relative(run.raise_if_failed().beta[0], bias.minimise(phi, X, Y, offset=offset).beta) < 1e-12


def test_a_start_of_1e_minus_300_is_no_special_case():
    phi = HyperbolicEntropy(np.log(1e-300))
    small, y = X[:2], X[:2] @ np.array([1.0, -2.0] + [0.0] * (D - 2))
    run = mirror.stochastic_mirror_descent(phi, small, y, step_size=0.01, steps=80_000, replicas=3, rng=0)
    assert relative(run.raise_if_failed().beta, bias.minimise(phi, small, y).beta).max() < 1e-10
    np.testing.assert_allclose(run.log_alpha_effective, np.log(1e-300))


@every_geometry
@given(
    share=st.floats(0.01, 0.15),
    batch=st.lists(st.integers(0, N - 1), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_each_step_balances_loss_and_divergence(phi, share, batch, seed):
    """D(β̃, β_k) − D(β̃, β_{k+1}) = 2γL(β_k) − D(β_k, β_{k+1}) for the batch's loss and any solution β̃."""
    offset = phi.mirror(np.random.default_rng(seed).exponential(0.5, D) + 0.05)
    step = share * stable(phi, offset)
    watch = {"path": lambda beta: beta}
    run = mirror.stochastic_mirror_descent(
        phi, X, Y, step_size=step, steps=5, indices=[batch], offset=offset, record=6, observe=watch
    )
    path, target = run.observed["path"][0], bias.minimise(phi, X, Y, offset=phi.mirror(START)).beta
    left = mirror.divergence(phi, target, path)
    losses = ((path @ X[batch].T - Y[batch]) ** 2).sum(-1) / (4 * len(batch))
    moved = mirror.divergence(phi, path[:-1], path[1:])
    np.testing.assert_allclose(left[:-1] - left[1:], 2 * step * losses[:-1] - moved, atol=1e-9 * losses.max())
    assert (moved > 0).all()


def test_the_loss_integral_is_the_sum_over_every_step():
    phi, watch = GEOMETRIES["entropy"], {"fit": lambda beta: ((beta @ X.T - Y) ** 2).sum(-1) / (4 * N)}
    run = mirror.mirror_descent(phi, X, Y, step_size=0.05, steps=30, record=31, observe=watch)
    np.testing.assert_allclose(run.loss_integral, 0.05 * run.loss[:, :-1].sum(1))
    np.testing.assert_allclose(run.observed["fit"], run.loss)


def test_first_replicas_do_not_depend_on_how_many_there_are():
    settings = {"step_size": 0.05, "steps": 50, "rng": 4, "record": 3}
    few = mirror.stochastic_mirror_descent(GEOMETRIES["entropy"], X, Y, replicas=3, **settings)
    many = mirror.stochastic_mirror_descent(GEOMETRIES["entropy"], X, Y, replicas=300, **settings)
    np.testing.assert_allclose(few.beta, many.beta[:3], rtol=1e-12)
    assert relative(few.beta[0], few.beta[1]) > 1e-3


# --- rates ----------------------------------------------------------------------------------------


@every_geometry
def test_the_metric_is_the_slope_of_the_inverse_mirror(phi):
    z = phi.mirror(START)
    slope = (phi.inverse_mirror(z + 1e-6) - phi.inverse_mirror(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(mirror.metric(phi, START), slope, rtol=1e-8)


@every_geometry
def test_the_divergence_is_that_of_its_definition(phi):
    """To second order half the squared distance in the metric, and not symmetric unless φ is quadratic."""
    near = START * (1 + 1e-4)
    half = ((near - START) ** 2 / mirror.metric(phi, START)).sum() / 2
    np.testing.assert_allclose(mirror.divergence(phi, near, START), half, rtol=1e-3)
    assert mirror.divergence(phi, START, START) == 0


def test_the_rates_are_eigenvalues_and_know_the_rank():
    phi = GEOMETRIES["hyperbolic"]
    doubled = np.vstack([X, X[:1]])
    for inputs in (X, doubled):
        K = (inputs * mirror.metric(phi, START)) @ inputs.T / len(inputs)
        values = np.linalg.eigvalsh(K)
        expected = values[len(inputs) - N], values[-1]
        np.testing.assert_allclose(mirror.rates(phi, inputs, START), expected, rtol=1e-10)
    assert mirror.rates(NegativeEntropy(0.0), X, np.zeros(D)) == (0.0, 0.0)


@every_geometry
def test_one_step_multiplies_the_loss_as_the_rates_say(phi):
    offset = phi.mirror(START)
    end = bias.minimise(phi, X, Y, offset=offset).beta
    low, high = mirror.rates(phi, X, end)
    for share in (0.1, 0.97):
        step = share * 4 / high
        run = mirror.mirror_descent(phi, X, Y, step_size=step, steps=3000, offset=offset, record=3001)
        late = np.flatnonzero(run.loss[0] > 1e-22 * run.loss[0, 0])[-10:]
        factor = np.exp(np.diff(np.log(run.loss[0, late])).mean())
        expected = max((1 - step * low / 2) ** 2, (1 - step * high / 2) ** 2)
        np.testing.assert_allclose(np.log(factor), np.log(expected), rtol=2e-2)


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hyperbolic", "hyperbolic, own α", "entropy"])
def test_the_step_limit_is_sharp_and_named(name):
    phi = GEOMETRIES[name]
    offset = phi.mirror(START)
    most = stable(phi, offset)
    good = mirror.mirror_descent(phi, X, Y, step_size=0.97 * most, steps=6000, offset=offset)
    assert good.raise_if_failed().loss[0, -1] < 1e-20
    bad = mirror.mirror_descent(phi, X, Y, step_size=1.03 * most, steps=6000, offset=offset)
    assert bad.status[0] in (1, 3)
    assert f"below {most:.3g}, the limit of stability at the solution" in bad.message
    with pytest.raises(RunFailed, match="Choose a step_size below"):
        bad.raise_if_failed()


def test_a_run_that_cycles_and_one_that_leaves_the_numbers_are_told_apart():
    phi = HyperbolicEntropy(np.log(0.03))
    most = 4 / mirror.rates(phi, X, bias.minimise(phi, X, Y).beta)[1]
    cycles = mirror.mirror_descent(phi, X, Y, step_size=1.05 * most, steps=3000)
    assert cycles.status.tolist() == [3]
    assert np.isfinite(cycles.beta).all()
    lost = mirror.mirror_descent(phi, X, Y, step_size=30 * most, steps=3000)
    assert lost.status.tolist() == [1]
    assert np.isnan(lost.beta).all()
    # a short run has not settled either, and there is nothing wrong with it
    assert mirror.mirror_descent(phi, X, Y, step_size=0.1 * most, steps=3).status.tolist() == [0]


def test_single_samples_can_be_unstable_below_the_limit():
    phi = GEOMETRIES["hyperbolic"]
    most = 4 / mirror.rates(phi, X, bias.minimise(phi, X, Y).beta)[1]
    run = mirror.stochastic_mirror_descent(phi, X, Y, step_size=0.9 * most, steps=3000, replicas=8, rng=0)
    assert (run.status == 1).any()
    assert "or for single samples" in run.message


def test_contradictory_data_end_at_least_squares():
    tall = np.random.default_rng(1).standard_normal((12, 4))
    y = tall @ np.ones(4) + np.random.default_rng(2).standard_normal(12)
    phi = HyperbolicEntropy(np.log(0.5))
    run = mirror.mirror_descent(phi, tall, y, step_size=0.3, steps=3000).raise_if_failed()
    np.testing.assert_allclose(run.beta[0], np.linalg.lstsq(tall, y)[0], rtol=1e-10)
    found = bias.minimise(phi, tall, y)
    assert found.status == INFEASIBLE
    assert "Drop contradictory rows" in found.message


PHI, CLOCK = GEOMETRIES["hyperbolic"], {"step_size": 0.1, "steps": 10}


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: mirror.mirror_descent(SquaredNorm(), X, Y, step_size=50.0, steps=9), ValueError, "stable"),
        (lambda: mirror.mirror_descent(PHI, X, Y, step_size=-0.1, steps=9), ValueError, "step_size"),
        (lambda: mirror.mirror_descent(PHI, X, Y, step_size=np.nan, steps=9), ValueError, "step_size"),
        (lambda: mirror.mirror_descent("φ", X, Y, **CLOCK), TypeError, "potential must be"),
        (lambda: mirror.mirror_descent(PHI, X, Y[:-1], **CLOCK), ValueError, "one entry for each row"),
        (lambda: mirror.mirror_descent(PHI, X, Y, momentum=1.0, **CLOCK), ValueError, "below 1"),
        (lambda: mirror.mirror_descent(PHI, X, Y, offset=np.zeros(3), **CLOCK), ValueError, "offset must"),
        (lambda: mirror.mirror_descent(PHI, X, Y, offset=np.full(D, np.nan), **CLOCK), ValueError, "finite"),
        (lambda: HyperbolicEntropy(np.log(np.nan)), ValueError, "log_alpha must be finite"),
        (lambda: HyperbolicEntropy(-np.inf), ValueError, "log_alpha must be finite"),
        (lambda: NegativeEntropy(0.0).mirror(0 * START), ValueError, "Start inside the orthant"),
        (lambda: NegativeEntropy(0.0).mirror(-START), ValueError, "Use HyperbolicEntropy"),
        (
            lambda: mirror.stochastic_mirror_descent(PHI, X, Y, batch_size=N + 1, **CLOCK),
            ValueError,
            "batch_size",
        ),
        (
            lambda: mirror.stochastic_mirror_descent(PHI, X, Y, indices=[[N]], **CLOCK),
            ValueError,
            "indices must be whole numbers from 0",
        ),
        (
            lambda: mirror.stochastic_mirror_descent(PHI, X, Y, replicas=3, offset=np.zeros((2, D)), **CLOCK),
            ValueError,
            "one row a replica",
        ),
        (lambda: mirror.metric(NegativeEntropy(0.0), [-1.0]), ValueError, "negative"),
    ],
)
def test_bad_input_gets_a_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert str(caught.value).endswith(".")
