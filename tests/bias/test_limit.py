"""Runs are finished in the geometry they move in, whichever simulator they come from."""

import dataclasses

import numpy as np
import pytest

from lib import bias, descent, diffusions, flows, problems
from lib.descent import linear, mirror
from lib.diffusions import controls
from lib.potentials import HyperbolicEntropy, NegativeEntropy, SquaredNorm

RNG = np.random.default_rng(5)
X = np.abs(RNG.standard_normal((6, 15)))
POSITIVE = X @ np.abs(RNG.standard_normal(15))
SIGNED = X @ RNG.standard_normal(15)
START = {"log_alpha": np.log(0.3)}


def away(found, right):
    return np.abs(found - right).max() / np.abs(right).max()


@pytest.mark.parametrize("horizon", [0.3, 3.0])
@pytest.mark.parametrize(
    ("potential", "y"),
    [
        (HyperbolicEntropy(np.log(0.3)), SIGNED),
        (NegativeEntropy(np.log(0.3)), POSITIVE),
        (SquaredNorm(), SIGNED),
    ],
    ids=["hyperbolic", "negative", "squared"],
)
def test_an_early_stopped_mirror_flow_ends_at_the_minimiser_of_its_potential(potential, y, horizon):
    run = flows.mirror_flow(potential, X, y, times=[0.0, horizon])
    right = bias.minimise(potential, X, y).raise_if_failed().beta
    assert away(run.beta[0], right) > 1e-3
    assert away(bias.limit(run, X, y).raise_if_failed().beta[0], right) < 1e-6  # of the integrator


def test_mirror_descent_ends_where_its_own_divergence_says():
    for potential, y in ((NegativeEntropy(np.log(0.3)), POSITIVE), (SquaredNorm(), SIGNED)):
        run = mirror.mirror_descent(potential, X, y, step_size=0.002, steps=50)
        right = bias.minimise(potential, X, y).raise_if_failed().beta
        assert away(run.beta[0], right) > 1e-3
        assert away(bias.limit(run, X, y).raise_if_failed().beta[0], right) < 1e-9


def test_linear_models_end_at_the_nearest_interpolator_and_are_not_called_diverged():
    run = linear.stochastic_gradient_descent(X, SIGNED, step_size=1e-3, steps=200, replicas=3, rng=0)
    found = bias.limit(run, X, SIGNED).raise_if_failed()
    assert away(found.beta, np.tile(bias.least_norm(X, SIGNED).beta, (3, 1))) < 1e-9


def test_a_positive_label_noise_run_ends_without_negative_entries():
    run = diffusions.label_noise_flow(
        X, POSITIVE, step_size=0.01, label_noise=0.3, dt=0.01, horizon=0.5, replicas=3, rng=0, **START
    )
    found = bias.limit(run, X, POSITIVE).raise_if_failed()
    assert found.beta.min() >= 0
    for beta, end in zip(run.beta, found.beta, strict=True):
        flow = flows.mirror_flow(NegativeEntropy(0.5 * np.log(beta)), X, POSITIVE)
        assert away(end, flow.beta[0]) < 1e-6


def test_every_simulator_of_the_signed_network_carries_the_hyperbolic_entropy():
    step = {"step_size": 0.005}
    clock = {"dt": 0.005, "horizon": 0.2}
    runs = [
        descent.gradient_descent(X, SIGNED, steps=40, **step, **START),
        descent.stochastic_gradient_descent(X, SIGNED, steps=40, replicas=2, rng=0, **step, **START),
        diffusions.stochastic_gradient_flow(X, SIGNED, replicas=2, rng=0, **step, **clock, **START),
        controls.langevin(X, SIGNED, temperature=1e-3, replicas=2, rng=0, **clock, **START),
        controls.unstructured_noise_flow(X, SIGNED, replicas=2, rng=0, **step, **clock, **START),
    ]
    for run in runs:
        assert run.geometry is HyperbolicEntropy
        found = bias.limit(run, X, SIGNED).raise_if_failed()
        for beta, log_alpha, end in zip(run.beta, run.log_alpha_effective, found.beta, strict=True):
            potential = HyperbolicEntropy(log_alpha)
            flow = flows.mirror_flow(potential, X, SIGNED, offset=potential.mirror(beta))
            assert away(end, flow.beta[0]) < 1e-6


def test_a_run_without_a_geometry_is_refused():
    run = flows.mirror_flow(SquaredNorm(), X, SIGNED, times=[0.0, 0.1])
    with pytest.raises(TypeError, match="in which geometry it moves"):
        bias.limit(dataclasses.replace(run, geometry=None), X, SIGNED)


def test_the_reference_run_is_finished_as_before():
    problem = problems.sparse_regression(10, 25, 2, rng=0)
    run = diffusions.stochastic_gradient_flow(
        problem.X, problem.y, log_alpha=np.log(0.1), step_size=0.02, dt=0.02, horizon=20.0, replicas=4, rng=1
    )
    found = bias.limit(run, problem.X, problem.y).raise_if_failed()
    right = bias.minimise_many(run.log_alpha_effective, problem.X, problem.y).raise_if_failed()
    assert away(found.beta, right.beta) < 1e-9
