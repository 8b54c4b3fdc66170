"""The ledger of claims, and what the records in executed notebooks say about them.

Nothing in ``book/claims.toml`` says whether a claim holds: that comes from the records alone, which the
checks of ``evidence`` leave in the outputs of notebooks. The scoreboard and the tests read them here.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

LEDGER = Path(__file__).resolve().parents[2] / "book" / "claims.toml"
MIME = "application/vnd.claim+json"
FIELDS = ("id", "chapter", "statement", "source", "kind", "boundary")


def ledger(path=None) -> list[dict]:
    """Read the claims of the book, in their order.

    Parameters
    ----------
    path : str or Path, optional
        The ledger; by default ``book/claims.toml`` of this repository.

    Returns
    -------
    list of dict
        Entries with the keys id, chapter, statement, source, kind and boundary.

    Raises
    ------
    ValueError
        When there is no such file, an entry lacks a key, or an id is malformed or stands twice.

    Examples
    --------
    >>> from lib.evidence import claims
    >>> sorted(claims.ledger()[0])
    ['boundary', 'chapter', 'id', 'kind', 'source', 'statement']
    """
    path = LEDGER if path is None else Path(path)
    if not path.is_file():
        raise ValueError(
            f"the ledger must be a file; received {path}, which is none. Work from a copy of the repository."
        )
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    seen = set()
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id", f"number {number}")
        if missing := [key for key in FIELDS if not entry.get(key)]:
            raise ValueError(
                f"claim {name} of {path.name} must have {', '.join(missing)}. Add what is missing."
            )
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise ValueError(
                f"a claim's id must be lower-case words joined by hyphens; received {name!r}. Rename it."
            )
        if name in seen:
            raise ValueError(f"claim {name} stands twice in {path.name}. Remove one of the two.")
        seen.add(name)
    return entries


def verdict(record) -> str:
    """Say what one record means.

    Parameters
    ----------
    record : dict
        A record as ``check`` and ``refute`` store it.

    Returns
    -------
    str
        "vacuous" when the control was not rejected, whatever else was measured; else "refuted", "holds" or
        "failed".

    Examples
    --------
    >>> from lib.evidence import claims
    >>> claims.verdict({"passed": True, "refuted": False, "control": {"rejected": False}})
    'vacuous'
    """
    if not record["control"]["rejected"]:
        return "vacuous"
    return "refuted" if record["refuted"] else "holds" if record["passed"] else "failed"


def status(found) -> str:
    """Say what all records of a claim mean together: the worst of them.

    Parameters
    ----------
    found : iterable of dict
        The claim's records.

    Returns
    -------
    str
        "unchecked" without records, else the first of "failed", "vacuous", "refuted", "holds" among their
        verdicts.

    Examples
    --------
    >>> from lib.evidence import claims
    >>> claims.status([])
    'unchecked'
    """
    verdicts = {verdict(record) for record in found} or {"unchecked"}
    return next(word for word in ("unchecked", "failed", "vacuous", "refuted", "holds") if word in verdicts)


def records(notebook) -> list[dict]:
    """Read the records out of an executed notebook, in the order of its cells.

    Parameters
    ----------
    notebook : dict
        The notebook as parsed JSON, or as nbformat reads it.

    Returns
    -------
    list of dict
        The records as stored.

    Examples
    --------
    >>> from lib.evidence import claims
    >>> claims.records({"cells": [{"cell_type": "markdown", "source": "no code, no records"}]})
    []
    """
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
