"""The one way to check a claim: a measurement, its limit, and a control that must fail.

A claim is a sentence of a source, kept in ``book/claims.toml``. ``check`` compares a measurement m with what
the claim says, e, within a tolerance τ that comes from the measurement's own error:

    equals: |m − e| ≤ τ          at most: m − e ≤ τ          at least: e − m ≤ τ

The left side is the *miss*. The control is the same quantity with one thing deliberately wrong, the nearest
wrong theory somebody could believe; a check whose control passes too says nothing. Each control is judged
and shown against its own limit, and the record says by how much it is rejected: the *power* of the check.
``refute`` is for a statement that is false as printed: the measurement has to agree with the corrected value
and to miss the printed one.

A record says what kind of evidence it is:

- "by construction": the simulator works in coordinates in which the statement is an identity, and the check
  says that it keeps it;
- "independent": another route, which does not assume the statement, arrives at it and at no neighbour;
- "observed": an empirical finding, with the size of its effect and on how many data sets it was seen.

Numbers are rounded after the verdict, to three significant digits and no finer than their error. What is
smaller than ``floor`` is rounding noise, which no two machines share: it becomes "below 1e-13", in the record
too. For an equality the floor is a tenth of the tolerance unless given.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.evidence.badges import NOT_FINITE, badge, sentence
from lib.evidence.claims import MIME, ledger, records, status, verdict
from lib.records import Record, as_count

__all__ = ["Check", "check", "ledger", "records", "refute", "status", "verdict"]

RELATIONS = ("equals", "at most", "at least")
ERRORS = ("rounding", "step", "s.e.")
EVIDENCE = ("by construction", "independent", "observed")
SETTLED = ("holds", "refuted")

_shown_here = Counter()  # badges shown by this process, per claim: a page needs distinct anchors


@dataclass(frozen=True, kw_only=True)
class Check(Record):
    """What a check found. Already displayed: as the last line of a cell it shows nothing more.

    Parameters
    ----------
    status : int
        0 when the verdict is "holds" or "refuted", else 1.
    message : str
        Empty, or the printed line.
    verdict : str
        "holds", "refuted", "failed" or "vacuous".
    record : dict
        The machine record, built-in types only, as stored in the cell's output.
    sentence : str
        The printed line.

    Examples
    --------
    >>> from lib.evidence import Check
    >>> Check(verdict="holds", record={}, sentence="It holds.").raise_if_failed().verdict
    'holds'
    """

    verdict: str
    record: dict
    sentence: str

    def _ipython_display_(self):
        pass


def check(
    claim_id,
    measured,
    expected,
    tolerance,
    *,
    control,
    error=None,
    error_kind=None,
    floor=None,
    cases=None,
    evidence="independent",
    effect=None,
    datasets=None,
    note="",
    relation="equals",
):
    """Check a claim: every case within the tolerance, every control outside it. Prints one sentence.

    A claim that fails is reported, not raised: the scoreboard and the tests turn red.

    Parameters
    ----------
    claim_id : str
        An id of the ledger.
    measured : float or array_like
        One number a case. The verdict is over all of them; the worst one is recorded.
    expected : float or array_like
        What the claim says, for each case or for all.
    tolerance : float or array_like
        Largest miss that passes, absolute; it comes from the error of ``measured``.
    control : float, array_like or dict
        The same quantity with one thing wrong, or several as {"what is wrong": values}. Every number in them
        must be outside the tolerance; the least miss is recorded.
    error : float or array_like, optional
        Error of ``measured``, in its units.
    error_kind : {"rounding", "step", "s.e."}, optional
        Where the error comes from; by default a standard error if ``error`` is given, else rounding.
    floor : float, optional
        Size below which a number is rounding noise; for an equality a tenth of the tolerance unless given.
    cases : int, optional
        How many cases were tried; by default the number of entries of ``measured``.
    evidence : {"by construction", "independent", "observed"}
        What the check is evidence of; see the module. In the book every call says it.
    effect : str, optional
        The size of the effect in words, such as "2.1 % of the squared distance".
    datasets : int, optional
        On how many data sets it was seen. What is "observed" needs both.
    note : str
        A further sentence for the reader.
    relation : {"equals", "at most", "at least"}
        How ``measured`` should stand to ``expected``.

    Returns
    -------
    Check
        Verdict, record and sentence.

    Raises
    ------
    ValueError
        For an id that is not in the ledger, arrays that do not fit, a negative tolerance, an unknown kind of
        evidence, or a finding without its size.
    TypeError
        For arguments that are not numbers.

    Examples
    --------
    >>> from lib import evidence
    >>> claim = evidence.ledger()[0]["id"]
    >>> found = evidence.check(claim, [1e-12, 3e-12], 0, 1e-10, control=[2e-3, 4e-3])  # doctest: +ELLIPSIS
    ✓ Holds...
    >>> found.verdict, found.record["measured"], found.record["control"]["measured"]
    ('holds', 'below 1e-11', 0.002)
    """
    controls = control if isinstance(control, Mapping) else {"": control}
    if not controls:
        raise ValueError(
            "control must hold at least one wrong variant; received an empty dict. Pass what must fail."
        )
    ours = _compare("measured", measured, expected, tolerance, relation, error=error, floor=floor)
    wrong = [
        (_compare("control", v, expected, tolerance, relation, nearest=True), n) for n, v in controls.items()
    ]
    case, name = min(wrong, key=lambda pair: pair[0]["excess"])
    name += f", the nearest of {len(wrong)}" if len(wrong) > 1 else ""
    record = _record(ours, case, case["value"], name, _floor(floor, ours, relation), relation=relation)
    record["control"]["limit"] = {key: _stored(case[key]) for key in ("expected", "tolerance")}
    record |= {"passed": ours["within"], "refuted": False}
    record |= _kind(evidence, effect, datasets)
    return _finish(claim_id, record, error_kind, cases, note, ours)


def refute(
    claim_id,
    measured,
    corrected,
    tolerance,
    *,
    claimed,
    error=None,
    error_kind=None,
    floor=None,
    cases=None,
    evidence="independent",
    effect=None,
    datasets=None,
    note="",
    relation="equals",
):
    """Refute a claim that is false as printed: the measurement agrees with the correction instead.

    Both by the same tolerance, in every case. Prints one sentence; the record's control is the claimed value.

    Parameters
    ----------
    claim_id : str
        An id of the ledger.
    measured : float or array_like
        One number a case.
    corrected : float or array_like
        What is right, for each case or for all.
    tolerance : float or array_like
        Largest miss that passes, absolute.
    claimed : float, array_like or dict
        What the source says, or {"in words": values}.
    error : float or array_like, optional
        Error of ``measured``, in its units.
    error_kind : {"rounding", "step", "s.e."}, optional
        Where the error comes from; by default a standard error if ``error`` is given, else rounding.
    floor : float, optional
        Size below which a number is rounding noise; for an equality a tenth of the tolerance unless given.
    cases : int, optional
        How many cases were tried; by default the number of entries of ``measured``.
    evidence : {"by construction", "independent", "observed"}
        What the check is evidence of; see the module. In the book every call says it.
    effect : str, optional
        The size of the effect in words, such as "2.1 % of the squared distance".
    datasets : int, optional
        On how many data sets it was seen. What is "observed" needs both.
    note : str
        A further sentence for the reader.
    relation : {"equals", "at most", "at least"}
        How ``measured`` should stand to ``corrected``, and fails to stand to ``claimed``.

    Returns
    -------
    Check
        Verdict, record and sentence.

    Raises
    ------
    ValueError
        For an id that is not in the ledger, arrays that do not fit, a negative tolerance, an unknown kind of
        evidence, or a finding without its size.
    TypeError
        For arguments that are not numbers.

    Examples
    --------
    >>> from lib import evidence
    >>> claim = evidence.ledger()[0]["id"]
    >>> found = evidence.refute(claim, 0.51, 0.5, 0.04, claimed=1.0, error=0.01)  # doctest: +ELLIPSIS
    ≠ Corrected...
    >>> found.record["passed"], found.record["refuted"], found.record["control"]["measured"]
    (False, True, 1.0)
    """
    named = claimed if isinstance(claimed, Mapping) else {"as printed": claimed}
    if len(named) != 1:
        raise ValueError(
            f"claimed must hold one printed statement; received {len(named)}. Refute them one by one."
        )
    ((name, printed),) = named.items()
    ours = _compare("measured", measured, corrected, tolerance, relation, error=error, floor=floor)
    case = _compare("claimed", measured, printed, tolerance, relation, nearest=True)
    record = _record(ours, case, case["expected"], name, _floor(floor, ours, relation), relation=relation)
    record["control"]["measured"] = _stored(case["expected"])  # printed, so no rounding noise of ours
    record |= {"passed": False, "refuted": ours["within"] and record["control"]["rejected"]}
    record |= _kind(evidence, effect, datasets)
    return _finish(claim_id, record, error_kind, cases, note, ours)


def _numbers(name, value):
    """Float64 of any shape, NaN allowed: a broken measurement is a failed check, not an error at the door."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    if array is None or value is None:  # NumPy reads None as NaN
        raise TypeError(f"{name} must hold real numbers; received {value!r:.60}. Convert it first.")
    if array.size == 0 or np.iscomplexobj(value):
        raise ValueError(
            f"{name} must hold at least one real number; received shape {array.shape}. Pass some."
        )
    return array


def _kind(evidence, effect, datasets) -> dict:
    """The entries of a record that say what the check is evidence of."""
    if evidence not in EVIDENCE:
        raise ValueError(f"evidence must be one of {', '.join(EVIDENCE)}; received {evidence!r}. Choose one.")
    if (effect is None) != (datasets is None) or (evidence == "observed" and effect is None):
        raise ValueError(
            "what is observed needs effect, its size in words, and datasets, how many it was seen on; "
            f"received effect={effect!r}, datasets={datasets!r}. Pass both."
        )
    if effect is None:
        return {"evidence": evidence, "effect": None}
    return {
        "evidence": evidence,
        "effect": {"size": str(effect), "datasets": as_count("datasets", datasets)},
    }


def _compare(name, values, expected, tolerance, relation, *, error=None, nearest=False, floor=None):
    """The deciding case (the worst of a measurement, the nearest of a control), and how all of them did."""
    if relation not in RELATIONS:
        raise ValueError(
            f"relation must be one of {', '.join(RELATIONS)}; received {relation!r}. Choose one."
        )
    arrays = [_numbers(n, v) for n, v in ((name, values), ("expected", expected), ("tolerance", tolerance))]
    if np.any(arrays[2] < 0):
        raise ValueError(f"tolerance must be at least 0; received {arrays[2].min()}. Take it from the error.")
    arrays.append(_numbers("error", np.nan if error is None else error))
    try:
        values, expected, tolerance, error = (a.ravel() for a in np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays[: 3 + (error is not None)])
        raise ValueError(
            f"{name}, expected, tolerance and error must fit together; received {shapes}."
        ) from None
    with np.errstate(invalid="ignore", over="ignore"):
        difference = values - expected
        miss = (
            np.abs(difference) if relation == "equals" else difference * (1 if relation == "at most" else -1)
        )
        finite = np.isfinite(values) & np.isfinite(expected) & np.isfinite(tolerance)
        scale = tolerance if relation == "equals" else np.abs(expected)
        excess = (miss - tolerance) / np.where(scale > 0, scale, 1.0)
    # A number that is none passes no check, and as a control it rejects nothing.
    excess = np.where(finite, excess, -np.inf if nearest else np.inf)
    within = finite & (miss <= tolerance)
    k = int(np.argmin(excess) if nearest else np.argmax(excess))
    if relation == "equals" and not nearest and miss[k] < (tolerance[k] / 10 if floor is None else floor):
        k = 0  # all of them are rounding noise, which must not choose the case that is shown
    picked = {
        "value": values[k],
        "expected": expected[k],
        "tolerance": tolerance[k],
        "miss": miss[k],
        "error": error[k],
    }
    tally = {
        "within": bool(within.all()),
        "outside": bool((finite & ~within).all()),
        "not_finite": int((~finite).sum()),
    }
    return (
        {key: float(number) for key, number in picked.items()}
        | tally
        | {"excess": excess[k], "size": values.size}
    )


def _record(ours, case, control_value, control_name, floor, *, relation):
    """Both cases as built-in types, rounded now that the verdicts are taken."""
    # A miss is a difference: below 1e-13 of what is subtracted it is rounding, floor or not.
    own_floor = max(floor, 1e-13 * abs(ours["expected"]))
    resolution = _resolution(ours, relation)
    blurred = max(own_floor, 0.0 if np.isnan(ours["error"]) else resolution)
    others = min(floor, case["tolerance"] / 10) if relation == "equals" else floor
    return {
        "measured": _stored(ours["value"], floor, resolution if ours["expected"] == 0 else 0.0),
        "error": None if np.isnan(ours["error"]) else _stored(ours["error"]),
        "expected": _stored(ours["expected"]),
        "tolerance": _stored(ours["tolerance"]),
        "relation": relation,
        "miss": _stored(ours["miss"], blurred, resolution),
        "control": {
            "measured": _stored(control_value, others),
            "miss": _stored(case["miss"], max(others, 1e-13 * abs(case["expected"]))),
            "rejected": case["outside"],
            "name": control_name,
        },
        "power": {"variant": control_name or "control"} | _power(case, relation, others),
    }


def _resolution(ours, relation) -> float:
    """The decade of the error, or for an equality of a hundredth of its tolerance: nothing is shown finer."""
    size = ours["error"] if ours["error"] > 0 else ours["tolerance"] / 100 if relation == "equals" else 0.0
    return 10.0 ** np.floor(np.log10(size)) if 0 < size < np.inf else 0.0


def _power(case, relation, floor) -> dict:
    """By how many tolerances the nearest wrong variant misses, or how many times the limit it is.

    A control that is rounding noise has no ratio to a limit that anybody else would find.
    """
    tolerance, expected, value, miss = (case[key] for key in ("tolerance", "expected", "value", "miss"))
    tolerances = ratio = None
    if tolerance > 0 and (relation == "equals" or tolerance > 1e-6 * abs(expected)):
        tolerances = miss / tolerance
    elif relation != "equals" and value * expected > 0 and abs(value) > floor:
        ratio = value / expected if (relation == "at most") == (expected > 0) else expected / value
    return {
        key: None if number is None or not np.isfinite(number) else float(f"{number:.2g}")
        for key, number in (("tolerances", tolerances), ("ratio", ratio))
    }


def _stored(value, floor=0.0, resolution=0.0):
    if not np.isfinite(value):
        return NOT_FINITE
    if abs(value) < floor:
        return f"below {floor:.3g}"
    return float(f"{(round(value / resolution) * resolution if resolution else value):.3g}")


def _floor(floor, ours, relation) -> float:
    if floor is None:
        floor = ours["tolerance"] / 10 if relation == "equals" and np.isnan(ours["error"]) else 0.0
    floor = float(floor)
    if not 0 <= floor < np.inf or (relation == "equals" and floor > ours["tolerance"]):
        raise ValueError(
            f"floor must be at least 0 and at most the tolerance, {ours['tolerance']:.3g}; received {floor}. "
            "Pass for example 1e-13."
        )
    return floor


def _finish(claim_id, record, error_kind, cases, note, ours):
    """Complete the record, display it, return it."""
    if claim_id not in {entry["id"] for entry in ledger()}:
        raise ValueError(
            f"claim_id must stand in book/claims.toml; received {claim_id!r}. Add the claim there first."
        )
    kind = error_kind or ("rounding" if record["error"] is None else "s.e.")
    if kind not in ERRORS:
        raise ValueError(f"error_kind must be one of {', '.join(ERRORS)}; received {kind!r}. Choose one.")
    notes = [f"{ours['not_finite']} of {ours['size']} values are not finite."] if ours["not_finite"] else []
    record = (
        {"id": claim_id}
        | record
        | {"error_kind": kind, "cases": as_count("cases", ours["size"] if cases is None else cases)}
    )
    record["note"] = " ".join([*notes, note] if note else notes)
    word = verdict(record)
    _shown_here[claim_id] += 1
    text = sentence(record, word)
    _display({"text/plain": text, "text/html": badge(record, word, nth=_shown_here[claim_id]), MIME: record})
    failed = word not in SETTLED
    return Check(
        verdict=word, record=record, sentence=text, status=int(failed), message=text if failed else ""
    )


def _display(bundle):
    """In IPython the whole bundle; elsewhere the sentence."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(bundle["text/plain"])
    else:
        from IPython.display import display

        display(bundle, raw=True)
