"""The scoreboard as a MyST page: counts in words, then one table a chapter, one row a claim.

Cells are written between blank lines, so that MyST reads what stands in them (formulas, links) and the
table's tags pass through. ``data-h`` repeats the column's name, for phones, where each row becomes a block.
"""

from __future__ import annotations

import re
from itertools import groupby

from lib.evidence import badges

COUNTED = {
    "holds": ("holds as its source states it", "hold as their sources state them"),
    "refuted": ("is false as printed and corrected here", "are false as printed and corrected here"),
    "failed": ("fails", "fail"),
    "vacuous": ("says nothing", "say nothing"),
    "unchecked": ("is unchecked", "are unchecked"),
}
TABLES = "<!-- tables -->"  # what stands before and after it is included apart
COLUMNS = ("Verdict", "Claim", "Measured", "Limit", "Control")


def title(notebook) -> str:
    """The notebook's title: the first heading of its first text cell that has one."""
    text = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    heading = next((line for line in text.splitlines() if line.startswith("# ")), "# Untitled")
    return heading[2:].strip()


def render(entries, titles) -> str:
    """The page's text for ledger entries with their records; ``titles`` maps notebooks to their titles."""
    parts = [counts(entries), TABLES]
    for chapter, group in groupby(entries, key=lambda entry: entry["chapter"]):
        heading = f"[{titles[chapter]}](../notebooks/{chapter}.ipynb)" if chapter in titles else chapter
        head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
        parts.append(f'## {heading}\n\n<table class="scoreboard">\n<thead><tr>{head}</tr></thead>\n<tbody>')
        parts += [row(entry) for entry in group]
        parts.append("</tbody>\n</table>")
    return "\n\n".join(parts) + "\n"


def counts(entries) -> str:
    """The first line: how many claims have which verdict."""
    said = []
    for word, (one, several) in COUNTED.items():
        count = sum(entry["status"] == word for entry in entries)
        if count or word != "unchecked":
            said.append(f"{count} {several}" if count > 1 else f"{'one' if count else 'none'} {one}")
    held = [kinds(entry) for entry in entries if entry["status"] == "holds"]
    routes = {
        "by a route that does not assume the claim": sum("independent" in found for found in held),
        "as an observation, with its size": sum(
            "observed" in found and "independent" not in found for found in held
        ),
        "by construction of the simulator only": sum(found == {"by construction"} for found in held),
    }
    how = ", ".join(f"{count} {words}" for words, count in routes.items())
    return f"**{len(entries)} claims: {', '.join(said)}.** Of those that hold, {how}."


def kinds(entry) -> set[str]:
    """The kinds of evidence among a claim's records."""
    return {record.get("evidence", "independent") for record in entry["records"]}


def row(entry) -> str:
    """One claim: its verdict, what it says and where it stops, and the numbers of each of its checks."""
    glyph, word = badges.word(entry["status"], kinds(entry))
    verdict = f'<span class="claim-badge {entry["status"]}">{glyph} {word}</span>'
    verdict += "".join(f"\n\n{kind}" for kind in badges.HOLDS if kind in kinds(entry))
    if entry["status"] == "refuted":
        verdict += f"\n\n[erratum](#{entry['id']})"
    href = f"../notebooks/{entry['chapter']}.html#check-{entry['id']}"
    link = f'\n\n<a href="{href}">The check</a>' if entry["records"] else ""
    records = entry["records"]
    effects = "".join(f"\n\n{escape(text)}" for record in records if (text := badges.effect(record)))
    claim = f"{entry['statement']}{effects}\n\n*{entry['source']}.* Boundary: {entry['boundary']}{link}"
    cells = [verdict, claim, *(each(records, column) for column in ("measured", "limit", "control"))]
    tags = [f'<td data-h="{name}">\n\n{text}\n\n</td>' for name, text in zip(COLUMNS, cells, strict=True)]
    return f'<tr id="claim-{entry["id"]}" class="{entry["status"]}">\n' + "\n".join(tags) + "\n</tr>"


def each(records, column) -> str:
    """What the records say in one column, one a line; plain text, so what MyST would read is escaped."""
    return "<br>".join(escape(badges.cells(record)[column]) for record in records) or "–"


def escape(text) -> str:
    """Plain text for MyST: every character it might read as markup is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>$|#])", r"\\\1", text)
