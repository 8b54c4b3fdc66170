"""The claims as they stand in the notebooks: each check can fail, and a weak one says why it is enough."""

import tomllib
from pathlib import Path

import ledger
import pytest

from lib import evidence
from lib.evidence import badges, claims

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ledger.with_records(ROOT)
RECORDS = [(entry["id"], k, r) for entry in ENTRIES for k, r in enumerate(entry["records"])]
WEAK = Path(__file__).with_name("weak_controls.toml")
TOLERANCES, RATIO = 3.0, 1.25  # a control that misses by less is weak

record = pytest.mark.parametrize("record", [pytest.param(r, id=f"{name}-{k}") for name, k, r in RECORDS])


def outside(found) -> float:
    """A measurement just outside the tolerance of a record."""
    beyond = found["tolerance"] * (1 + 1e-6) + 1e-9 * abs(found["expected"]) + 1e-300
    return found["expected"] + (-beyond if found["relation"] == "at least" else beyond)


def weak(found) -> bool:
    """Whether the nearest wrong variant is rejected by little, or by a sign alone."""
    tolerances, ratio = found["power"]["tolerances"], found["power"]["ratio"]
    if tolerances is not None:
        return tolerances < TOLERANCES
    if ratio is None:  # the control is 0 or has the other sign: far from a limit that is not 0 itself
        return found["control"].get("limit", found)["expected"] == 0
    return ratio < RATIO


@record
def test_a_measurement_just_outside_its_tolerance_turns_the_check_red(record, capsys):
    wrong = record["control"]["measured"]  # or a phrase such as "below 1e-9"
    wrong = record["expected"] + 10 * record["tolerance"] + 1 if isinstance(wrong, str) else wrong
    options = {"control": wrong, "relation": record["relation"]}
    found = evidence.check(record["id"], outside(record), record["expected"], record["tolerance"], **options)
    assert not found.record["passed"]
    assert found.status == 1


@record
def test_no_control_stands_inside_the_limit_it_was_judged_by(record):
    control = record["control"]
    assert control["rejected"]
    if (limit := control.get("limit")) is None or isinstance(control["measured"], str):
        return  # a printed statement, or a number below its floor: the miss was compared, not the number
    difference = control["measured"] - limit["expected"]
    miss = {"equals": abs(difference), "at most": difference, "at least": -difference}[record["relation"]]
    rounding = 0.01 * max(abs(limit["expected"]), abs(control["measured"]))  # three digits are stored
    assert miss + rounding > limit["tolerance"]


@record
def test_a_record_says_what_kind_of_evidence_it_is(record):
    assert record["evidence"] in badges.HOLDS
    assert record["evidence"] != "observed" or record["effect"]["datasets"] >= 1
    assert not record["refuted"] or record["effect"]


def test_every_weak_control_is_justified_in_a_line():
    """A control rejected by less than three tolerances may be enough: tests/weak_controls.toml says why."""
    found = sorted({name for name, _, record in RECORDS if weak(record)})
    assert sorted(tomllib.loads(WEAK.read_text(encoding="utf-8"))) == found


def test_the_status_of_every_claim_is_settled():
    assert {entry["status"] for entry in ENTRIES} <= {"holds", "refuted"}
    assert {entry["id"] for entry in claims.ledger()} == {entry["id"] for entry in ENTRIES}
