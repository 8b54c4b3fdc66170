"""Execute notebooks in place, so that the same code on the same machine writes the same bytes.

    python book/_ext/execute.py [--jobs N] FOLDER_OR_NOTEBOOK ...

One process a notebook, started in the notebook's own folder. What differs between two executions without
meaning anything is left out: timings, widget state (random ids), the interpreter's version.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_SECONDS = 600


def without_noise(notebook):
    """The same notebook without what two executions of it would not have in common."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = dict(KERNEL)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            data = output.get("data", {})
            if "text/html" in data:  # live sliders: random model ids, and dead without a kernel
                data.pop(WIDGET_VIEW, None)
    return notebook


def execute(path: Path) -> float:
    """Run one notebook and write it back; returns the seconds it took."""
    start = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    text = nbformat.writes(without_noise(notebook)).rstrip("\n") + "\n"
    path.write_text(text, encoding="utf-8")
    return time.perf_counter() - start


def notebooks_in(paths) -> list[Path]:
    """Every notebook named or lying in a folder named, the largest first: it is likely to run longest."""
    found = []
    for path in map(Path, paths):
        found += sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
    found = [p.resolve() for p in found if ".ipynb_checkpoints" not in p.parts]
    return sorted(found, key=lambda p: -p.stat().st_size)


def remember(seconds):
    """Keep each notebook's run time where the pages find it, beside what is known of the others."""
    for path, value in seconds.items():
        page = path.parent.parent / "book" / "_generated" / "runtimes.json"
        page.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(page.read_text(encoding="utf-8")) if page.exists() else {}
        page.write_text(json.dumps(known | {path.stem: round(value, 1)}) + "\n", encoding="utf-8")


def main(argv=None) -> int:
    """Execute everything, two at a time by default; 1 if any notebook raised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args(argv)
    failures, seconds = 0, {}
    with ProcessPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(execute, path): path for path in notebooks_in(options.paths)}
        for run in as_completed(runs):
            try:
                seconds[runs[run]] = run.result()
                print(f"{runs[run].name}: {run.result():.1f} s", flush=True)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failures += 1
                print(f"{runs[run].name}: a cell failed\n{error}", file=sys.stderr, flush=True)
    remember(seconds)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
