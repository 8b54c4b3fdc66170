"""Replays in other arithmetic: what is changed, by how much, and what is left as it is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "replay"
sys.path.append(str(FOLDER))

import elsewhere  # noqa: E402
import other_numbers  # noqa: E402


def draws(code, **variables):
    """What a fresh interpreter prints after ``other_numbers`` was imported with these variables."""
    text = f"import sys; sys.path.append({str(FOLDER)!r}); import other_numbers; import numpy as np; {code}"
    environment = {k: v for k, v in os.environ.items() if k not in elsewhere.UNSET} | variables
    found = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def test_last_bits_change_by_at_most_two_units_and_by_the_number_itself():
    numbers = np.random.default_rng(1).standard_normal(10_000)
    changed = other_numbers.last_bits(numbers, 1)
    units = np.abs(changed - numbers) / np.spacing(np.abs(numbers))
    assert 0 < units.max() <= 4  # a unit relative to the number is up to two of its spacings
    assert 0.6 < np.mean(changed != numbers) < 1
    assert np.array_equal(changed[::-1], other_numbers.last_bits(numbers[::-1], 1))
    assert not np.array_equal(changed, other_numbers.last_bits(numbers, 2))


def test_a_kernel_draws_numbers_with_other_last_bits_but_the_same_whole_numbers():
    code = (
        "g = np.random.default_rng(3).spawn(2)[1]; x = np.empty(2); g.standard_normal(out=x); "
        "print(*[v.hex() for v in x], g.random().hex(), *g.integers(0, 1000, 5))"
    )
    plain, other = draws(code), draws(code, LAST_BITS="1")
    assert plain != other
    assert plain[3:] == other[3:]
    pairs = [(float.fromhex(a), float.fromhex(b)) for a, b in zip(plain[:3], other[:3], strict=True)]
    assert all(a == pytest.approx(b, rel=1e-15) for a, b in pairs)


def test_fresh_seeds_reach_the_library_and_data_can_be_kept():
    code = (
        "from lib import problems, records; "
        "print(problems.sparse_regression(3, 5, 1, rng=1).X[0, 0], records.as_generator(1).random(), "
        "np.random.default_rng([6, 1]).random())"
    )
    plain, fresh, kept = (
        draws(code),
        draws(code, FRESH_SEED="7"),
        draws(code, FRESH_SEED="7", FRESH_DATA="kept"),
    )
    assert [a != b for a, b in zip(plain, fresh, strict=True)] == [True, True, True]
    assert [a != b for a, b in zip(plain, kept, strict=True)] == [False, True, True]


def test_every_machine_replays_the_baseline_and_two_seeds_of_last_bits():
    names = list(elsewhere.settings())
    assert "Prescott, NumPy's baseline" in names
    assert sum(name.startswith("last bits") for name in names) == 2
