"""What the executed notebooks say about the ledger: each claim's records and status, and what is wrong.

The ledger, book/claims.toml, lists claims; a check in a notebook leaves a record in its cell's output.
``lib.evidence`` reads both and gives the verdicts; here they are joined, and every fault becomes a sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

from lib.evidence import claims


def notebooks(root) -> dict[str, dict]:
    """Every notebook under ``root``/notebooks, by its name without suffix, as parsed JSON."""
    paths = sorted(Path(root, "notebooks").glob("*.ipynb"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def code_cells(notebook) -> list[dict]:
    """The cells with code in them; an empty code cell counts as none."""
    return [
        cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]


def explorers(notebook) -> list[str]:
    """The HTML of the explorers a notebook shows, in order."""
    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return [page for page in pages if 'class="lib-explorer"' in page]


def with_records(root) -> list[dict]:
    """The ledger's entries, each with its records, the notebooks they come from, and its status."""
    found = [
        (record, name) for name, notebook in notebooks(root).items() for record in claims.records(notebook)
    ]
    entries = []
    for claim in claims.ledger(Path(root, "book/claims.toml")):
        mine = [(record, name) for record, name in found if record["id"] == claim["id"]]
        own = [record for record, _ in mine]
        entries.append(
            claim | {"records": own, "notebooks": [name for _, name in mine], "status": claims.status(own)}
        )
    return entries


def cell_faults(name, notebook) -> list[str]:
    """Sentences about cells that were not executed, or whose stored output is an error."""
    faults = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        where = f"{name}.ipynb, code cell {number}"
        if cell.get("execution_count") is None:
            faults.append(f"{where} was not executed: run make execute")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                faults.append(f"{where} stores an error, {output['ename']}: {output['evalue']}")
    return faults


def claim_faults(entries, found) -> list[str]:
    """Sentences about claims that are not confirmed or corrected, and records that belong to no claim."""
    sentences = {
        "unchecked": "is in the ledger but no notebook checks it",
        "failed": "fails",
        "vacuous": "has a check that accepts its own control, so it says nothing",
    }
    faults = [f"claim {e['id']} {sentences[e['status']]}" for e in entries if e["status"] in sentences]
    known = {entry["id"] for entry in entries}
    strays = sorted({record["id"] for record in found} - known)
    faults += [f"a notebook checks {stray}, which is not in the ledger" for stray in strays]
    for entry in entries:
        if entry["notebooks"] and entry["chapter"] not in entry["notebooks"]:
            faults.append(f"claim {entry['id']} is checked, but not in its chapter {entry['chapter']}")
        if len({claims.verdict(record) for record in entry["records"]} & {"holds", "refuted"}) == 2:
            faults.append(f"claim {entry['id']} is confirmed in one place and corrected in another")
    return faults
