"""How everything here is timed: in turn (A B A B …), CPU time of one thread, the least of several rounds."""

import gc
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

MISSING = "not installed: make bench installs benchmarks/requirements.txt"
WIDTHS = (20, 8, 25, 17, 8, 14)
NOTE = """\
ratio: CPU time of ours over that of the peer, one thread, the least of several rounds in turn; compile time
of just-in-time peers in brackets, not counted. res: ‖Xβ − y‖/‖y‖; gap: relative duality gap; off: relative
distance to ours; strong: relative error of β on a path."""
PEERS = ("numpy", "scipy", "jax", "diffrax", "clarabel", "scikit-learn", "celer")


@dataclass(frozen=True)
class Contender:
    """Somebody doing the work: ``run`` does ``units`` of it, ``run=None`` is a peer that is not installed.

    ``seconds`` is the time of a run already made that takes too long to repeat.
    """

    name: str
    run: Callable | None
    units: int = 1
    accuracy: str = ""
    compile_seconds: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table; ``ratio`` is time(ours)/time(peer)."""

    workload: str
    ours: str
    peer: str
    theirs: str
    ratio: float | None = None
    target: float | None = None
    accuracy: str = ""


def installed(*packages):
    """Whether all the packages are there."""
    try:
        return all(version(package) for package in packages)
    except PackageNotFoundError:
        return False


def conditions():
    """One line: machine, Python and the versions compared."""
    found = [f"{name} {version(name) if installed(name) else '–'}" for name in PEERS]
    return f"{platform.machine()}, Python {platform.python_version()}, " + ", ".join(found)


def cpu_seconds(run, repeats=1):
    """CPU time of one call, the mean of ``repeats``, and what the last one returned."""
    start = time.process_time()
    for _ in range(repeats):
        result = run()
    return (time.process_time() - start) / repeats, result


def compiled(run):
    """Seconds of the first call of a compiled function beyond those of the second."""
    first, second = cpu_seconds(run)[0], cpu_seconds(run)[0]
    return max(first - second, 0.0)


def interleaved(contenders, *, rounds=5, seconds=2.0):
    """Least CPU time of a unit of everybody's work: in turn until time is up, 20 ms or one call each."""
    best = {c.name: (c.seconds or math.inf) / c.units for c in contenders}
    racing = {c: 1 + int(0.02 / cpu_seconds(c.run)[0]) for c in contenders if c.run and c.seconds is None}
    gc.collect()
    gc.disable()
    start, done = time.perf_counter(), 0
    while done < rounds or time.perf_counter() - start < seconds:
        for c, repeats in racing.items():
            best[c.name] = min(best[c.name], cpu_seconds(c.run, repeats)[0] / c.units)
        done += 1
    gc.enable()
    return best


def compare(workload, ours, peers, targets, **clock):
    """Time ours against every peer: one row each. ``targets`` maps a peer's name to the ratio to reach."""
    best = interleaved([ours, *peers], **clock)
    rows = []
    for peer in peers:
        if peer.run is None:
            rows.append(Row(workload, duration(best[ours.name]), peer.name, MISSING))
            continue
        compiling = "" if peer.compile_seconds is None else f" (+{peer.compile_seconds:.1f} s)"
        rows.append(
            Row(
                workload,
                duration(best[ours.name]),
                peer.name,
                duration(best[peer.name]) + compiling,
                best[ours.name] / best[peer.name],
                targets.get(peer.name),
                " | ".join(filter(None, (ours.accuracy, peer.accuracy))),
            )
        )
        print("   " + line(rows[-1]), flush=True)
    return rows


def duration(seconds):
    """A time with its unit, three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def line(row):
    """One row as text."""
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    target = ""
    if row.target is not None and row.ratio is not None:
        target = f"≤ {row.target:g} {'met' if row.ratio <= row.target else 'MISSED'}"
    cells = (row.workload, row.ours, row.peer, row.theirs, ratio, target, row.accuracy)
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, (*WIDTHS, 0), strict=True))


def table(rows):
    """All rows, with a header and the meaning of its words."""
    titles = ("workload", "ours", "peer", "time (compile)", "ratio", "target", "accuracy: ours | peer")
    head = " ".join(f"{title:<{width}}" for title, width in zip(titles, (*WIDTHS, 0), strict=True))
    return "\n".join([head, "-" * len(head), *map(line, rows), "", NOTE])
