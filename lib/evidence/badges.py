"""How a claim's record reads: the sentence, the badge beside the claim, the cells of its scoreboard row.

Everything here is a function of the record that ``evidence`` stores, so the chapter and the scoreboard cannot
disagree. A verdict is told by glyph, word and border, never by colour.

The gauge shows the three numbers of a check on one axis: ● the measurement, | the limit, ✕ the control. The
axis is logarithmic and holds misses; for standard errors it is linear and counts them, with two limits.
"""

from __future__ import annotations

import re
from html import escape
from math import isfinite, log10

NOT_FINITE = "not finite"  # what a record stores for NaN and infinities, which JSON has not
WORDS = {
    "holds": ("✓", "Holds"),
    "failed": ("✗", "Fails"),
    "vacuous": ("∅", "Says nothing"),
    "refuted": ("≠", "Corrected"),
    "unchecked": ("?", "Unchecked"),
}
HOLDS = {  # what "holds" is called, by the kind of evidence: a rounding identity must not look like a finding
    "independent": ("✓", "Holds"),
    "by construction": ("≡", "By construction"),
    "observed": ("◉", "Observed"),
}


def word(status, kinds=()) -> tuple[str, str]:
    """Give the glyph and the word of a verdict; what holds is named after its strongest kind of evidence.

    Parameters
    ----------
    status : str
        A verdict, or the status of a claim.
    kinds : str or iterable of str
        The kind of evidence of the record, or of each record of the claim.

    Returns
    -------
    tuple of str
        Glyph and word.

    Examples
    --------
    >>> from lib.evidence.badges import word
    >>> word("holds", "observed"), word("holds", ["by construction", "independent"]), word("refuted")
    (('◉', 'Observed'), ('✓', 'Holds'), ('≠', 'Corrected'))
    """
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if status != "holds":
        return WORDS[status]
    return HOLDS[
        next(
            (kind for kind in ("independent", "observed", "by construction") if kind in kinds), "independent"
        )
    ]


def shown(value) -> str:
    """Write a number at three significant digits; a phrase such as "below 1e-13" stays as it is.

    Parameters
    ----------
    value : float or str
        A number, or what a record stores in its place.

    Returns
    -------
    str
        The text, without padding in the exponent.

    Examples
    --------
    >>> from lib.evidence.badges import shown
    >>> shown(1.23456e-05), shown(0.002), shown(-12.34), shown("below 1e-13")
    ('1.23e-5', '0.002', '-12.3', 'below 1e-13')
    """
    if isinstance(value, str):
        return value
    value = float(f"{value:.3g}") + 0.0
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}"
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value:.2e}".replace(".00e", "e").replace("0e", "e"))


def cells(record) -> dict[str, str]:
    """Write a record's numbers for a table: measured ± error, limit, control.

    Parameters
    ----------
    record : dict
        A record of ``evidence``.

    Returns
    -------
    dict of str
        Plain text under "measured", "limit" and "control".

    Examples
    --------
    >>> from lib.evidence.badges import cells
    >>> control = {"measured": 0.002, "miss": 0.002, "rejected": True, "name": "half the exponent"}
    >>> record = {"measured": 8e-16, "error": None, "error_kind": "rounding", "expected": 0.0,
    ...           "tolerance": 1e-10, "relation": "equals", "miss": 8e-16, "control": control,
    ...           "cases": 200}
    >>> cells(record)
    {'measured': '8e-16 (rounding, 200 cases)', 'limit': '1e-10', 'control': '✗ 0.002, half the exponent'}
    """
    control, kind = record["control"], record["error_kind"]
    kind += f", {record['cases']} cases" if record["cases"] > 1 else ""
    error = "" if record["error"] is None else f" ± {shown(record['error'])}"
    name = f", {control['name']}" if control["name"] else ""
    return {
        "measured": f"{shown(record['measured'])}{error}{_off(record, record['miss'])} ({kind})",
        "limit": _limit(record),
        "control": f"{'✗' if control['rejected'] else 'accepted:'} {_found(record)}{name}{_power(record)}",
    }


def sentence(record, verdict) -> str:
    """Write a record as one line of text.

    Parameters
    ----------
    record : dict
        A record of ``evidence``.
    verdict : str
        Its verdict.

    Returns
    -------
    str
        Verdict, claim, measurement, limit, control, and the note.

    Examples
    --------
    >>> from lib.evidence.badges import sentence
    >>> control = {"measured": 1.0, "miss": 0.5, "rejected": True, "name": "as printed"}
    >>> record = {"id": "fig4-sgd", "measured": 0.51, "error": 0.02, "error_kind": "s.e.", "expected": 0.5,
    ...           "tolerance": 0.08, "relation": "equals", "miss": 0.01, "control": control, "cases": 30,
    ...           "note": ""}
    >>> sentence(record, "refuted")[:65]
    '≠ Corrected: fig4-sgd. Measured 0.51 ± 0.02 (0.5 s.e. off), limit'
    """
    glyph, said = word(verdict, record.get("evidence", ()))
    written = cells(record)
    measured = written["measured"].rsplit(" (", 1)[0]
    line = (
        f"{glyph} {said}: {record['id']}. Measured {measured}, limit {written['limit']} ({_basis(record)})."
    )
    return " ".join(part for part in (line, effect(record), _explain(record), record["note"]) if part)


def badge(record, verdict, *, nth=1) -> str:
    """Write a record as the HTML that stands beside its claim.

    Parameters
    ----------
    record : dict
        A record of ``evidence``.
    verdict : str
        Its verdict.
    nth : int
        Which check of this claim on its page this is; the anchor is ``check-<id>``, then ``check-<id>-2``.

    Returns
    -------
    str
        One ``div``; the text says all that the gauge shows.

    Examples
    --------
    >>> from lib.evidence.badges import badge
    >>> control = {"measured": 1.0, "miss": 0.5, "rejected": True, "name": ""}
    >>> record = {"id": "fig4-sgd", "measured": 0.5, "error": None, "error_kind": "step", "expected": 0.5,
    ...           "tolerance": 0.04, "relation": "equals", "miss": 0.0, "control": control, "cases": 1,
    ...           "note": ""}
    >>> badge(record, "holds", nth=2)[:59]
    '<div class="claim holds independent" id="check-fig4-sgd-2">'
    """
    kind = record.get("evidence", "independent")
    glyph, said = word(verdict, kind)
    claim = record["id"]
    error = "" if record["error"] is None else f" ± {shown(record['error'])}"
    parts = [
        ("●", f"measured {shown(record['measured'])}{error}{_off(record, record['miss'])}"),
        ("|", f"limit {_limit(record)}"),
        ("✕", f"{_wrong(record)} {_found(record)}"),
    ]
    numbers = " ".join(
        f'<span><i aria-hidden="true">{mark}</i> {escape(text)}</span>' for mark, text in parts
    )
    links = f'<a href="../book/scoreboard.html#claim-{claim}">scoreboard: {claim}</a>'
    if verdict == "refuted":
        links += f', <a href="../book/errata.html#{claim}">erratum</a>'
    basis = _basis(record)
    parts = (f"{basis[:1].upper()}{basis[1:]}.", _explain(record, numbers=False), record["note"])
    text = " ".join(part for part in parts if part).replace("s.e.. ", "s.e. ")
    size = f'<p class="claim-effect">{escape(effect(record))}</p>\n' if effect(record) else ""
    return (
        f'<div class="claim {verdict} {kind.replace(" ", "-")}" id="{anchor(claim, nth)}">\n'
        f'<p><strong><i aria-hidden="true">{glyph}</i> {said}</strong> {_gauge(record)}</p>\n'
        f'{size}<p class="claim-numbers">{numbers}</p>\n<p>{escape(text)} {links}</p>\n</div>'
    )


def effect(record) -> str:
    """Say how large the effect is, and on how many data sets it was seen.

    Parameters
    ----------
    record : dict
        A record of ``evidence``.

    Returns
    -------
    str
        One sentence, or nothing where the record has no effect.

    Examples
    --------
    >>> from lib.evidence.badges import effect
    >>> effect({"effect": {"size": "2 % of the distance", "datasets": 4}})
    'Effect: 2 % of the distance (4 data sets).'
    """
    if not record.get("effect"):
        return ""
    size, count = record["effect"]["size"].strip().rstrip("."), record["effect"]["datasets"]
    return f"Effect: {size} ({count} data set{'s' if count > 1 else ''})."


def anchor(claim_id, nth=1) -> str:
    """Name the place of a claim's ``nth`` badge on its page.

    Parameters
    ----------
    claim_id : str
        The claim.
    nth : int
        1 for the first check of this claim on the page.

    Returns
    -------
    str
        The badge's id in the HTML.

    Examples
    --------
    >>> from lib.evidence.badges import anchor
    >>> anchor("sgf-theorem"), anchor("sgf-theorem", 2)
    ('check-sgf-theorem', 'check-sgf-theorem-2')
    """
    return f"check-{claim_id}" if nth == 1 else f"check-{claim_id}-{nth}"


def _statistical(record):
    return record["error_kind"] == "s.e." and record["relation"] == "equals" and _positive(record["error"])


def _positive(value):
    return isinstance(value, float) and isfinite(value) and value > 0


def _found(record) -> str:
    """What the control gave, how far that is off, and its own limit where the measurement has another one."""
    control = record["control"]
    own = control.get("limit")
    same = not own or all(own[key] == record[key] for key in own)
    limit = "" if same else f" (its limit: {_limit(record | own)})"
    return f"{shown(control['measured'])}{_off(record, control['miss'], own)}{limit}"


def _power(record) -> str:
    """By how much the nearest wrong variant is rejected."""
    power = record.get("power")
    if not power or not record["control"]["rejected"]:
        return ""
    if power["tolerances"] is not None:
        return f", rejected by {shown(power['tolerances'])} tolerances"
    if power["ratio"] is not None:
        return f", rejected at {shown(power['ratio'])} times its limit"
    return ", rejected"


def _off(record, miss, own=None) -> str:
    """The miss, where the number itself does not say it."""
    expected = (own or record)["expected"]
    if record["relation"] != "equals" or miss == NOT_FINITE:
        return ""
    if _statistical(record):
        return "" if isinstance(miss, str) else f" ({miss / record['error']:.2g} s.e. off)"
    return "" if expected == 0 else f" (off by {shown(miss).replace('below', 'less than')})"


def _basis(record) -> str:
    """How many cases there were, and what the error is."""
    # A mean over 1500 paths is one number: there the cases are not what a worst was picked from.
    one = record["error_kind"] == "s.e." or record["relation"] != "equals"
    cases = f"{'' if one else 'worst of '}{record['cases']} cases; " if record["cases"] > 1 else ""
    return f"{cases}error: {record['error_kind']}"


def _limit(record) -> str:
    expected, tolerance = record["expected"], record["tolerance"]
    if record["relation"] != "equals":
        slack = (
            "" if tolerance == 0 else f" {'+' if record['relation'] == 'at most' else '−'} {shown(tolerance)}"
        )
        return f"{record['relation']} {shown(expected)}{slack}"
    if _statistical(record):
        return f"{shown(expected)} ± {shown(tolerance)}, {shown(round(tolerance / record['error'], 1))} s.e."
    return shown(tolerance) if expected == 0 else f"{shown(expected)} ± {shown(tolerance)}"


def _wrong(record):
    name = record["control"]["name"]
    return name if name == "as printed" else "control"


def _explain(record, *, numbers=True) -> str:
    """What the control says, and for an inequality how near the nearest case came."""
    control, name = record["control"], record["control"]["name"]
    value = f"{_found(record)}, " if numbers else ""
    ratio = ""
    if (
        record["relation"] != "equals"
        and _positive(record["expected"])
        and isinstance(record["measured"], float)
    ):
        nearest = "Closest" if record["passed"] or record["refuted"] else "Worst"
        case = f"{nearest} of {record['cases']} cases" if record["cases"] > 1 else "Measured"
        ratio = f"{case}: {shown(record['measured'] / record['expected'])} of the bound. "
    what = name[:1].upper() + name[1:] if name == "as printed" else f"Control ({name})" if name else "Control"
    if NOT_FINITE in (control["measured"], control["miss"]):
        return f"{ratio}{what}: not finite, so nothing was rejected."
    if not control["rejected"]:
        return f"{ratio}{what}: {value}accepted too: the check cannot tell it from the claim."
    return f"{ratio}{what}: {value}{_power(record).removeprefix(', ') or 'rejected'}."


# --- the gauge ------------------------------------------------------------------------------------


def _gauge(record) -> str:
    """Inline SVG, 200 × 20, without text: the line of numbers says it all."""
    measured, limits, control, whisker = (
        _standard_errors(record) if _statistical(record) else _decades(record)
    )
    marks = ['<path d="M2 10H198" stroke-width="1" opacity=".5"/>']
    marks += [f'<path d="M{x:.1f} 2V18" stroke-width="2.4"/>' for x in limits]
    if measured is not None:
        if whisker:
            marks.append(
                f'<path d="M{measured - whisker:.1f} 10H{measured + whisker:.1f}" stroke-width="2.4"/>'
            )
        marks.append(f'<circle cx="{measured:.1f}" cy="10" r="5.5" fill="currentColor" stroke="none"/>')
    if control is not None:
        y = 4 if measured is not None and abs(control - measured) < 12 else 10
        marks.append(f'<path d="M{control - 5:.1f} {y - 5}l10 10m0 -10l-10 10" stroke-width="2.4"/>')
    return (
        '<svg class="claim-gauge" viewBox="0 -2 200 24" width="200" height="24" aria-hidden="true" '
        f'fill="none" stroke="currentColor">{"".join(marks)}</svg>'
    )


def _size(value):
    """A stored number as a float: "below f" is f, "not finite" is None."""
    if isinstance(value, str):
        return float(value.removeprefix("below ")) if value.startswith("below ") else None
    return value


def _bound(limit, relation):
    slack = limit["tolerance"] if relation == "at most" else -limit["tolerance"]
    return None if isinstance(limit["expected"], str) else limit["expected"] + slack


def _drawn(value, bound, own):
    """Where a control that was judged by its own bound stands beside another: as far beyond it."""
    if None in (value, bound, own) or bound == own:
        return value
    return value * bound / own if bound * own > 0 else value + bound - own


def _decades(record):
    """Positions on a log axis from the smallest to the largest ± 1 decade; linear if a sign forbids it."""
    relation, control = record["relation"], record["control"]
    own = control.get("limit") or record
    if relation == "equals":
        other = _drawn(_size(control["miss"]), record["tolerance"], own["tolerance"])
        values = [_size(record["miss"]), record["tolerance"], other]
    else:
        bound = _bound(record, relation)
        other = _drawn(_size(control["measured"]), bound, _bound(own, relation))
        values = [_size(record["measured"]), bound, other]
    values = [None if isinstance(v, str) else v for v in values]
    present = [v for v in values if v is not None]
    if not present:
        return None, [], None, 0.0
    if min(present) >= 0 and max(present) > 0:
        zero = max(min(v for v in present if v > 0), 1e-300) / 10  # where a zero is drawn
        scaled = [None if v is None else log10(max(v, zero)) for v in values]
        low, high = (edge(v for v in scaled if v is not None) + pad for edge, pad in ((min, -1), (max, 1)))
    else:
        scaled, margin = values, 0.15 * (max(present) - min(present)) or 1.0
        low, high = min(present) - margin, max(present) + margin
    measured, limit, control = (None if v is None else 10 + 180 * (v - low) / (high - low) for v in scaled)
    return measured, [] if limit is None else [limit], control, 0.0


def _standard_errors(record):
    """Positions on a linear axis counting standard errors; a control too far away stops at the edge."""
    error, limit = record["error"], record["tolerance"] / record["error"]

    def away(value, expected=record["expected"]):
        return None if value is None else (value - expected) / error

    own = record["control"].get("limit") or record
    measured = away(_size(record["measured"]))
    control = away(_size(record["control"]["measured"]), own["expected"])
    if control is not None and own["tolerance"] > 0:
        control *= record["tolerance"] / own["tolerance"]
    half = 1.15 * max(limit, abs(measured or 0) + 1, min(abs(control or 0), 6 * limit), 1e-3)

    def place(value):
        return None if value is None else 100 + 90 * max(-1.0, min(1.0, value / half))

    return place(measured), [place(-limit), place(limit)], place(control), 90 / half
