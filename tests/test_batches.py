"""Who is in the batch: stationary, with the holding times and the correlation of the two-state process."""

import numpy as np
import pytest

from lib.batches import Batches, raster


def test_activity_is_stationary_from_the_first_step_on():
    flags = raster(20_000, 40, batch_fraction=0.3, step_size=0.2, persistence=2.0, rng=0)
    error = (0.3 * 0.7 / 20_000) ** 0.5
    assert np.abs(flags.mean(1) - 0.3).max() < 5 * error


def test_correlation_decays_at_the_rate_of_the_protocol():
    batches = Batches(batch_fraction=0.3, step_size=0.2, persistence=2.0)
    flags = raster(40_000, 10, batch_fraction=0.3, step_size=0.2, persistence=2.0, rng=1) - 0.3
    measured = (flags[0] * flags).mean(1) / 0.21
    np.testing.assert_allclose(measured, batches.correlation(np.arange(11)), atol=5 / 200)


def test_vanilla_flags_are_independent_and_its_correlation_says_so():
    flags = raster(40_000, 3, batch_fraction=0.3, step_size=0.2, rng=2) - 0.3
    measured = (flags[0] * flags).mean(1) / 0.21
    expected = Batches(batch_fraction=0.3, step_size=0.2).correlation(np.arange(4))
    np.testing.assert_allclose(expected, [1, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose(measured, expected, atol=5 / 200)


def test_samples_stay_out_for_tau_and_in_for_b_tau_over_one_minus_b():
    batches = Batches(batch_fraction=0.3, step_size=0.2, persistence=2.0)
    flags = raster(2000, 500, batch_fraction=0.3, step_size=0.2, persistence=2.0, rng=3)
    leaves = (flags[:-1] & ~flags[1:]).sum() / flags[:-1].sum()
    enters = (~flags[:-1] & flags[1:]).sum() / (~flags[:-1]).sum()
    assert 0.2 / enters == pytest.approx(2.0, rel=0.02) == batches.time_out
    assert 0.2 / leaves == pytest.approx(2.0 * 0.3 / 0.7, rel=0.02)
    assert batches.time_in == pytest.approx(2.0 * 0.3 / 0.7)


def test_persistence_of_one_mean_step_is_vanilla_flag_by_flag():
    vanilla = raster(500, 30, batch_fraction=0.25, step_size=0.5, rng=4)
    same = raster(500, 30, batch_fraction=0.25, step_size=0.5, persistence=2.0, rng=4)
    np.testing.assert_array_equal(vanilla, same)


@pytest.mark.parametrize("tau", [None, 0.3, 5.0])
def test_the_full_batch_is_always_full(tau):
    assert raster(50, 20, batch_fraction=1.0, step_size=0.2, persistence=tau, rng=5).all()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batch_fraction": 1.2}, "batch_fraction must be at most 1; received 1.2"),
        ({"batch_fraction": 0.0}, "batch_fraction must be finite and greater than 0; received 0.0"),
        ({"persistence": -1.0}, "persistence must be finite and greater than 0"),
        # the smallest legal batch at 1/τ = 0.6, η = 0.2 is η/(η + τ) = 0.107
        ({"batch_fraction": 0.1}, "persistence must be at least 1.8.*received 1.6.*Enlarge the persistence"),
        ({"step_size": 2.0}, "persistence must be at least"),
    ],
)
def test_an_impossible_protocol_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        Batches(**{"batch_fraction": 0.3, "step_size": 0.2, "persistence": 1 / 0.6} | wrong)


def test_the_smallest_legal_batch_is_accepted():
    assert Batches(batch_fraction=0.2 / (0.2 + 1 / 0.6), step_size=0.2, persistence=1 / 0.6).switch_off <= 1
