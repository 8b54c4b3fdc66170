"""Run every chapter with other seeds and print the verdicts that change: which claims hang on a lucky draw?

    python tests/replay/fresh_seeds.py [--jobs N] [--keep-data] SEED ... [--notebooks NAME ...]

Every seed a chapter types becomes another one, for the data too unless they are kept. Not a part of the
tests: a sentence about one data set may fail on another, and whoever looks has to say which it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor

import nbformat
from elsewhere import ROOT, kernels
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

sys.path.insert(0, str(ROOT))
from lib.evidence import badges, claims


def run(name, seed, kept) -> tuple[list[dict], str]:
    """The records a chapter leaves with another seed, and what stopped it, if anything did."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        resources={"metadata": {"path": str(ROOT / "notebooks")}},
    )
    variables = {"FRESH_SEED": str(seed)} | ({"FRESH_DATA": "kept"} if kept else {})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ.update(kernels(folder, variables))
        try:
            client.execute()
        except CellExecutionError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            return claims.records(notebook), f"stopped: {lines[-1][:200]}"
    return claims.records(notebook), ""


def changes(name, found) -> list[str]:
    """A line for each claim whose verdict is not the stored one."""
    stored = claims.records(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))
    lines = []
    for claim in dict.fromkeys(record["id"] for record in stored):
        before, after = ([r for r in records if r["id"] == claim] for records in (stored, found))
        if claims.status(before) != claims.status(after):
            numbers = "; ".join(" | ".join(badges.cells(record).values()) for record in after)
            lines.append(f"{claim}: {claims.status(before)} -> {claims.status(after)}. {numbers}")
    return lines


def main(argv=None) -> int:
    """Print, for each seed, the chapters with other verdicts; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep-data", action="store_true", help="the data sets stay, the noise is new")
    parser.add_argument("--notebooks", nargs="+", help="chapters; all unless given")
    parser.add_argument("seeds", nargs="+", type=int)
    options = parser.parse_args(argv)
    names = options.notebooks or sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    total = 0
    with ProcessPoolExecutor(options.jobs, max_tasks_per_child=1) as pool:
        tasks = [(seed, name) for seed in options.seeds for name in names]
        runs = [pool.submit(run, name, seed, options.keep_data) for seed, name in tasks]
        for (seed, name), task in zip(tasks, runs, strict=True):
            found, stopped = task.result()
            for line in changes(name, found) + [stopped] * bool(stopped):
                total += 1
                print(f"seed {seed}, {name}: {line}", flush=True)
    print(f"{len(options.seeds)} seeds, {len(names)} chapters: {total} verdicts changed or chapters stopped.")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
