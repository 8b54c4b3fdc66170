"""Records and the checks at the door."""

import numpy as np
import pytest

from lib import records
from lib.records import Record, RunFailed


def test_failure_is_data_until_asked_to_raise():
    fine, failed = Record(), Record(status=np.array([0, 1]), message="Halve the step.")
    assert fine.raise_if_failed() is fine
    with pytest.raises(RunFailed, match="Halve the step"):
        failed.raise_if_failed()


def test_records_are_frozen():
    with pytest.raises(AttributeError):
        Record().status = 1


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: records.as_positive("dt", 0.0),
            ValueError,
            "dt must be finite and greater than 0; received 0.0",
        ),
        (lambda: records.as_positive("dt", float("nan")), ValueError, "dt must be finite"),
        (lambda: records.as_positive("dt", "fast"), TypeError, "dt must be a single number; received 'fast'"),
        (lambda: records.as_positive("dt", True), TypeError, "single number"),
        (lambda: records.as_positive("delta", -1, zero=True), ValueError, "at least 0; received -1"),
        (lambda: records.as_count("steps", 2.5), TypeError, "steps must be a whole number"),
        (lambda: records.as_count("batch_size", 9, most=8), ValueError, "between 1 and 8; received 9"),
        (lambda: records.as_log_alpha([0.0, 1.0], 3), ValueError, "each of the 3 coordinates"),
        (lambda: records.as_log_alpha(-np.inf, 3), ValueError, "log_alpha must be finite"),
        (lambda: records.as_generator("seed"), TypeError, "rng must be a seed"),
        (lambda: records.as_observers(["beta"]), TypeError, "observe must map names"),
        (lambda: records.as_array("X", [[1, 2], [3]]), TypeError, "X must be an array of numbers"),
    ],
)
def test_every_door_has_its_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_what_is_fine_passes_through():
    assert records.as_positive("dt", np.float32(0.5)) == 0.5
    assert records.as_count("steps", np.int64(3)) == 3
    assert records.as_log_alpha(-1.0, 2).tolist() == [-1.0, -1.0]
    assert records.as_observers(None) == {}
    assert records.as_array("y", (1, 2)).dtype == np.float64
