"""Stiff mirror flows: they end, at the right point or with a sentence; they never hang and never overflow.

Warnings are errors here, so an overflow cannot pass unseen. The time limit is far above what a run takes, and
far below what a method that is not made for stiffness would need.
"""

import time

import numpy as np
import pytest

from lib import bias, flows
from lib.flows import _dual
from lib.potentials import HyperbolicEntropy, NegativeEntropy

RNG = np.random.default_rng(1)
X = RNG.standard_normal((40, 100))
SPARSE = X[:, :5].sum(1)
DENSE = X @ np.random.default_rng(7).standard_normal(100)
TEN = np.log(10.0)


def rel(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def ended(potential, A, y, **options):
    """The run, after it has been seen to end in time, finite, with a sentence if it failed."""
    start = time.process_time()
    run = flows.mirror_flow(potential, A, y, **options)
    assert time.process_time() - start < 10
    assert np.isfinite(run.beta).all()
    assert np.isfinite(run.loss_integral).all()
    assert bool(run.message) == bool(run.status[0])
    return run


@pytest.mark.parametrize("residual", [1e-8, 1e-12])
@pytest.mark.parametrize("y", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_the_residual_asked_for_is_reached_at_1e8(residual, y):
    run = ended(HyperbolicEntropy(-8 * TEN), X, y, tolerance=residual)
    assert run.status[0] == 0
    assert np.linalg.norm(X @ run.beta[0] - y) <= residual * np.linalg.norm(y)
    assert rel(run.beta[0], bias.minimise(HyperbolicEntropy(-8 * TEN), X, y).beta) < 100 * residual


@pytest.mark.parametrize("decades", [3, -1, -4, -10, -16, -30, -100, -300])
def test_dense_targets_at_every_alpha(decades):
    potential = HyperbolicEntropy(decades * TEN)
    run = ended(potential, X, DENSE)
    assert run.status[0] == 0
    assert rel(run.beta[0], bias.minimise(potential, X, DENSE).beta) < 1e-10


@pytest.mark.parametrize("low", [-1, -12, -300])
def test_alpha_unequal_by_many_decades(low):
    log_alpha = TEN * np.random.default_rng(3).uniform(low, 0, 100)
    run = ended(HyperbolicEntropy(log_alpha), X, DENSE)
    assert run.status[0] == 0
    assert rel(run.beta[0], bias.minimise(HyperbolicEntropy(log_alpha), X, DENSE).beta) < 1e-9


@pytest.mark.parametrize("alpha", [1e-2, 1e-300])
@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_data_in_other_units(alpha, size):
    # y and X scaled: the flow's own time changes by 1e12, its end does not
    potential = HyperbolicEntropy(np.log(alpha))
    run = ended(potential, size * X[:10, :25], size * X[:10, :3].sum(1))
    assert run.status[0] == 0
    assert rel(run.beta[0], bias.minimise(potential, X[:10, :25], X[:10, :3].sum(1)).beta) < 1e-9


@pytest.mark.parametrize("alpha", [1e-4, 1e-300])
def test_nearly_dependent_rows(alpha, monkeypatch):
    monkeypatch.setattr(_dual, "MOST_CALLS", 10_000)  # the same in a quarter of the time
    # two rows that differ by 1e-6: the last direction relaxes 1e12 times more slowly than the first
    A = X[:10, :25].copy()
    A[1] = A[0] + 1e-6 * A[1]
    y = A[:, :3].sum(1)
    run = ended(HyperbolicEntropy(np.log(alpha)), A, y)
    if run.status[0] == 0:
        assert np.linalg.norm(A @ run.beta[0] - y) <= 1.1e-12 * np.linalg.norm(y)
    else:
        assert "evaluations" in run.message


@pytest.mark.parametrize("alpha", [1e-300, 1e-8, 1e3, 1e100])
def test_the_positive_flow(alpha):
    A = np.abs(X[:5, :12])
    run = ended(NegativeEntropy(np.log(alpha)), A, A @ np.abs(X[6, :12]))
    if run.status[0] == 0:
        expected = bias.minimise(NegativeEntropy(np.log(alpha)), A, A @ np.abs(X[6, :12])).beta
        assert rel(run.beta[0], expected) < 1e-7
    else:
        assert "The flow stopped" in run.message


@pytest.mark.parametrize("decades", [-1, -8, -300])
def test_late_and_early_instants_in_one_call(decades):
    times = np.array([1e-6, 1.0, 1e3, 1e8, 1e15])
    run = ended(HyperbolicEntropy(decades * TEN), X, SPARSE, times=times)
    assert run.status[0] == 0
    assert run.loss[0, -1] <= run.loss[0, 0]
    assert np.isfinite(run.loss).all()
