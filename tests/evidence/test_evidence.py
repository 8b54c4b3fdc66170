"""The ledger, checks with their controls, and what is stored of them."""

import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from lib import evidence
from lib.evidence import _check, badges, claims

LEDGER = """
[[claim]]
id = "limit"
chapter = "chapter"
statement = "It ends where it should."
source = "notes, Theorem 1"
kind = "theorem"
boundary = "None."
"""
ZERO = {"expected": 0.0, "tolerance": 1e-10}


@pytest.fixture(autouse=True, scope="module")
def ledger(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "claims.toml"
    path.write_text(LEDGER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "LEDGER", path)
        yield path


def check(measured, expected=0.0, tolerance=1e-10, *, control=2e-3, **options):
    return evidence.check("limit", measured, expected, tolerance, control=control, **options)


def numbers(*, least=-1e6, most=1e6):
    return st.floats(least, most, allow_nan=False)


# --- verdicts -------------------------------------------------------------------------------------


@given(m=numbers(), e=numbers(), wrong=numbers(), tolerance=numbers(least=0, most=1e3))
def test_a_check_holds_exactly_when_the_measurement_is_inside_and_the_control_outside(m, e, wrong, tolerance):
    found = check(m, e, tolerance, control=wrong)
    inside, outside = abs(m - e) <= tolerance, abs(wrong - e) > tolerance
    assert found.verdict == ("vacuous" if not outside else "holds" if inside else "failed")
    assert found.record["passed"] is inside
    assert found.record["control"]["rejected"] is outside


@given(m=numbers(), bound=numbers(), slack=numbers(least=0, most=1))
def test_inequalities_point_the_way_they_say(m, bound, slack):
    below = check(m, bound, slack, control=bound + slack + 1e9, relation="at most")
    above = check(-m, -bound, slack, control=-bound - slack - 1e9, relation="at least")
    assert below.record["passed"] is above.record["passed"] is (m - bound <= slack)


@given(m=numbers(), right=numbers(), printed=numbers(), tolerance=numbers(least=0, most=1e3))
def test_a_refutation_needs_agreement_with_the_correction_and_a_miss_of_the_print(
    m, right, printed, tolerance
):
    found = evidence.refute("limit", m, right, tolerance, claimed=printed)
    agrees, misses = abs(m - right) <= tolerance, abs(m - printed) > tolerance
    assert found.record["refuted"] is (agrees and misses)
    assert found.record["passed"] is False
    assert found.verdict == ("vacuous" if not misses else "refuted" if agrees else "failed")
    assert found.record["control"]["measured"] == pytest.approx(printed, rel=5e-3)


def test_the_worst_case_decides_and_is_recorded():
    found = check([1e-12, 3e-9, 1e-11])
    assert (found.verdict, found.record["measured"], found.record["cases"]) == ("failed", 3e-9, 3)


def test_the_worst_case_is_relative_to_its_own_tolerance():
    found = check([9.0, 0.02], 0.0, [10.0, 0.1], control=99.0)
    assert (found.record["measured"], found.record["tolerance"]) == (9.0, 10.0)


def test_one_accepted_case_of_one_control_makes_the_check_vacuous():
    found = check(1e-12, control={"half": [2e-3, 4e-3], "start": [1.0, 5e-11]})
    assert found.verdict == "vacuous"
    assert found.record["control"] == {
        "measured": 5e-11,
        "miss": 5e-11,
        "rejected": False,
        "name": "start, the nearest of 2",
        "limit": {"expected": 0.0, "tolerance": 1e-10},
    }


def test_the_least_miss_of_the_controls_is_recorded():
    found = check(1e-12, control={"half": [2e-3, 4e-3], "start": [1.0, 5e-2]})
    assert found.record["control"]["measured"] == 2e-3
    assert found.record["control"]["name"].startswith("half")


def test_the_verdict_is_taken_before_rounding():
    found = check(1.0004e-10)
    assert (found.verdict, found.record["measured"], found.record["tolerance"]) == ("failed", 1e-10, 1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_and_rejects_nothing(bad):
    found = check([1e-12, bad])
    assert (found.verdict, found.record["measured"]) == ("failed", "not finite")
    assert "1 of 2 values are not finite" in found.record["note"]
    assert check([-np.inf], 0, 0, relation="at most", control=1).verdict == "failed"
    assert check(1e-12, control=[1.0, bad]).verdict == "vacuous"
    assert check(1e-12, bad).verdict == "vacuous"  # an expected value that is none rejects no control either
    assert evidence.refute("limit", bad, 0, 1e-10, claimed=1).verdict == "vacuous"


def test_the_status_of_a_claim_is_its_worst_record():
    holds, failed = check(1e-12).record, check(1.0).record
    vacuous = check(1e-12, control=1e-12).record
    refuted = evidence.refute("limit", 0.5, 0.5, 0.1, claimed=1).record
    assert evidence.status([]) == "unchecked"
    assert evidence.status([holds, holds]) == "holds"
    assert evidence.status([holds, refuted]) == "refuted"
    assert evidence.status([holds, refuted, vacuous]) == "vacuous"
    assert evidence.status([vacuous, failed, holds]) == "failed"


# --- the record -----------------------------------------------------------------------------------


def test_a_record_is_json_with_built_in_types_and_the_agreed_keys():
    found = check(
        np.array([1e-12, 2e-12]),
        error=np.float64(1e-13),
        control={"half": np.array([1.0])},
        evidence="observed",
        effect="a half",
        datasets=np.int64(3),
    )
    agreed = {
        "id",
        "measured",
        "error",
        "expected",
        "tolerance",
        "passed",
        "refuted",
        "control",
        "cases",
        "note",
    }
    assert agreed <= set(found.record)
    assert {type(v) for v in found.record.values()} <= {str, float, int, bool, dict}
    assert json.loads(json.dumps(found.record, allow_nan=False)) == found.record


def test_numbers_are_rounded_to_three_digits():
    found = check(1.23456, 1.23412, 0.1, control=9.87654, error=0.0123456)
    record = found.record
    assert [record[k] for k in ("measured", "expected", "error")] == [1.23, 1.23, 0.0123]
    assert record["control"]["measured"] == 9.88
    assert record["miss"] == "below 0.01"  # no finer than the decade of the error
    assert check(1.28, 1.23412, 0.1, control=9.9, error=0.0123456).record["miss"] == 0.05


def test_rounding_noise_is_stored_and_shown_as_text():
    found = check([2.4e-15, 1.1e-16], floor=1e-13)
    assert found.record["measured"] == found.record["miss"] == "below 1e-13"
    shown = found.sentence + badges.badge(found.record, found.verdict)
    assert "below 1e-13" in shown
    assert "2.4e-15" not in shown


def test_a_miss_at_rounding_level_shows_no_digits_without_a_floor():
    found = check(0.3, 0.1 + 0.2, 1e-10, control=0.4)
    assert found.record["miss"].startswith("below")
    assert "e-17" not in found.sentence


def test_records_are_read_back_from_a_notebook():
    record = check(1e-12).record
    output = {"output_type": "display_data", "data": {"text/plain": "...", claims.MIME: record}}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [{"output_type": "stream"}, output]}]
    assert evidence.records({"cells": cells}) == [record]


def test_the_floor_of_an_equality_is_a_tenth_of_its_tolerance():
    assert check(2e-12).record["measured"] == "below 1e-11"
    assert check(2e-11).record["measured"] == 2e-11
    assert check(0.3, 1.0, relation="at most", control=2.0).record["measured"] == 0.3


def test_rounding_noise_does_not_choose_the_case_that_is_shown():
    """All three are exact to rounding; the largest of them is another one on the next machine."""
    expected = np.array([1.0, 2.0, 3.0])
    for noise in np.eye(3) * 1e-15:
        record = check(expected + noise, expected, 1e-10, control=expected + 1.0).record
        assert (record["measured"], record["expected"]) == (1.0, 1.0)


def test_a_control_stands_beside_the_limit_it_was_judged_by():
    """The second case has the worst measurement, the first the control that comes nearest to its limit."""
    found = check([0.01, 9.0], [0.0, 0.0], [0.1, 10.0], control=[0.22, 99.0])
    assert found.record["tolerance"] == 10.0
    assert found.record["control"]["measured"] == 0.22
    assert found.record["control"]["limit"] == {"expected": 0.0, "tolerance": 0.1}
    assert "0.22 (its limit: 0.1), rejected by 2.2 tolerances" in found.sentence
    assert "(its limit: 0.1)" in badges.badge(found.record, found.verdict)


@pytest.mark.parametrize(
    ("call", "power"),
    [
        ({"measured": 0.0, "tolerance": 0.5, "control": {"half": 2.0}}, (4.0, None)),
        ({"measured": 0.3, "expected": 0.5, "tolerance": 0.0, "relation": "at most"}, (None, 4.0)),
        ({"measured": 9.0, "expected": 8.0, "tolerance": 0.0, "relation": "at least"}, (None, 4.0)),
        (
            {"measured": 1.0, "expected": 0.0, "tolerance": 0.0, "relation": "at least", "control": -1.0},
            (None,) * 2,
        ),
    ],
)
def test_the_power_counts_tolerances_or_compares_with_the_limit(call, power):
    record = check(**({"control": 2.0} | call)).record
    assert (record["power"]["tolerances"], record["power"]["ratio"]) == power


def test_what_is_observed_needs_its_size_and_its_data_sets():
    found = check(1e-12, evidence="observed", effect="2 % of the distance", datasets=4)
    assert found.record["effect"] == {"size": "2 % of the distance", "datasets": 4}
    assert found.sentence.startswith("◉ Observed: limit.")
    assert "Effect: 2 % of the distance (4 data sets)." in badges.badge(found.record, found.verdict)
    for options in ({}, {"effect": "small"}, {"datasets": 3}):
        with pytest.raises(ValueError, match="what is observed needs effect"):
            check(1e-12, evidence="observed", **options)
    with pytest.raises(ValueError, match="evidence must be one of"):
        check(1e-12, evidence="seen")


def test_an_identity_does_not_look_like_a_finding():
    words = {kind: badges.word("holds", kind) for kind in ("independent", "by construction", "observed")}
    assert len(set(words.values())) == 3
    assert badges.word("holds", ["observed", "by construction"]) == words["observed"]
    assert check(1e-12, evidence="by construction").sentence.startswith("≡ By construction: limit.")


# --- what is displayed ----------------------------------------------------------------------------


def test_outside_ipython_one_line_is_printed(capsys):
    check([1e-11, 2e-11], control={"half the exponent": 2e-3})
    assert capsys.readouterr().out == (
        "✓ Holds: limit. Measured 2e-11, limit 1e-10 (worst of 2 cases; error: rounding). "
        "Control (half the exponent): 0.002, rejected by 2e7 tolerances.\n"
    )


def test_in_a_notebook_one_bundle_is_shown_and_the_last_line_shows_no_other():
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    try:
        with capture_output() as captured:
            shell.run_cell("from lib import evidence\nevidence.check('limit', 1e-12, 0, 1e-10, control=1.0)")
            shell.run_cell("found = evidence.check('limit', 1e-12, 0, 1e-10, control=1.0)\nfound")
    finally:
        InteractiveShell.clear_instance()
    bundles = [output.data for output in captured.outputs]
    assert [set(bundle) for bundle in bundles] == 2 * [{"text/plain", "text/html", claims.MIME}]
    assert captured.stdout.replace("Out[0]: ", "") == ""  # the prompt, with nothing after it
    ids = [re.search(r'id="(check-[^"]*)"', bundle["text/html"])[1] for bundle in bundles]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("options", "verdict", "words"),
    [
        ({"measured": 1e-12}, "holds", "✓ Holds"),
        ({"measured": 1.0}, "failed", "✗ Fails"),
        ({"measured": 1e-12, "control": 1e-12}, "vacuous", "∅ Says nothing"),
    ],
)
def test_a_badge_tells_its_verdict_by_glyph_word_and_class(options, verdict, words):
    found = check(**options)
    html = badges.badge(found.record, found.verdict)
    assert f'<div class="claim {verdict} independent" id="check-limit">' in html
    assert words in re.sub("<[^>]*>", "", html)
    assert 'href="../book/scoreboard.html#claim-limit"' in html
    assert found.sentence.startswith(words)


def test_a_correction_links_to_its_erratum_and_escapes_what_it_quotes():
    found = evidence.refute("limit", 0.51, 0.5, 0.04, claimed={"a < b": 1.0}, error=0.01, note="Here & now.")
    html = badges.badge(found.record, found.verdict)
    assert 'href="../book/errata.html#limit"' in html
    assert "a &lt; b" in html
    assert "Here &amp; now." in html


@given(
    m=st.sampled_from([0.0, 5e-324, 3e-14, 0.5, -2.0, np.nan]),
    e=st.sampled_from([0.0, 1.0, -1e-5]),
    wrong=st.sampled_from([0.0, 4e-14, 1.0, -7.0, np.inf]),
    error=st.sampled_from([None, 0.0, 0.01, np.nan]),
    relation=st.sampled_from(_check.RELATIONS),
)
@example(m=5e-324, e=0.0, wrong=0.0, error=None, relation="equals")  # a tenth of the smallest number is 0
def test_a_gauge_stays_in_its_box_without_a_word(m, e, wrong, error, relation):
    record = check(m, e, 1e-10, control=wrong, error=error, relation=relation).record
    gauge = re.search("<svg.*</svg>", badges.badge(record, evidence.verdict(record)))[0]
    assert 'aria-hidden="true"' in gauge
    assert "<text" not in gauge
    assert set(re.findall(r"#[0-9a-f]{3,6}|nan|inf", gauge)) == set()
    drawn = re.findall(r'(?:M|H|cx=")(-?[\d.]+)', gauge)
    assert all(0 <= float(x) <= 200 for x in drawn)


def test_near_marks_do_not_cover_each_other():
    def cross(control):
        record = check(1e-12, control=control).record
        return re.search(r"M[\d.]+ (-?\d+)l10", badges.badge(record, "holds"))[1]

    assert (cross(1.0), cross(1.1e-12)) == ("5", "-1")


# --- the door -------------------------------------------------------------------------------------


def test_an_unknown_claim_and_missing_arguments_raise_but_a_failed_claim_does_not():
    with pytest.raises(ValueError, match=r"received 'other'\. Add the claim"):
        evidence.check("other", 0, 0, 1, control=2)
    with pytest.raises(TypeError, match="control"):
        evidence.check("limit", 0, 0, 1)
    with pytest.raises(TypeError, match="claimed"):
        evidence.refute("limit", 0, 0, 1)
    found = check(1.0)
    assert found.status != 0
    with pytest.raises(RuntimeError, match="Fails: limit"):
        found.raise_if_failed()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1.0}, "tolerance must be at least 0; received -1"),
        ({"relation": "near"}, "relation must be one of"),
        ({"error_kind": "guess"}, "error_kind must be one of"),
        ({"floor": 1e-3}, "floor must be at least 0 and at most the tolerance"),
        ({"measured": []}, "at least one real number"),
        ({"measured": [1.0, 2.0], "expected": [1.0, 2.0, 3.0]}, "must fit together"),
        ({"control": {}}, "at least one wrong variant"),
        ({"cases": 0}, "cases must be at least 1"),
    ],
)
def test_bad_arguments_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        check(**({"measured": 0.0} | ZERO | options))


@pytest.mark.parametrize("what", ["a word", None, [None, object()]])
def test_what_is_no_number_is_refused(what):
    with pytest.raises(TypeError, match="real numbers"):
        check(what)
    with pytest.raises(TypeError, match="real numbers"):
        check(0.0, control=what)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEDGER.replace('kind = "theorem"', ""), "limit of claims.toml must have kind"),
        (LEDGER + LEDGER, "limit stands twice"),
        (LEDGER.replace('"limit"', '"The limit"'), "lower-case words"),
    ],
)
def test_a_faulty_ledger_is_refused(tmp_path, text, message):
    path = tmp_path / "claims.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        evidence.ledger(path)


def test_an_absent_ledger_gets_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="Work from a copy of the repository"):
        evidence.ledger(tmp_path / "none.toml")
