"""The same at (n, d) = (100, 1000) and (400, 4000), α = 0.1, against Clarabel; trust-exact beside it (C')."""

from benchmarks.bias import field
from benchmarks.timing import compare
from lib.problems import sparse_regression

TARGETS = {"Clarabel": 0.02}


def rows():
    """Time of one solution; Clarabel solves the larger problem once, it takes half a minute."""
    found = []
    for n, d in ((100, 1000), (400, 4000)):
        ours, *peers = field(sparse_regression(n, d, n // 8, rng=1), 0.1, ["trust-exact", "Clarabel"])
        found += compare(f"C' {n} × {d}", ours, peers, TARGETS)
    return found
