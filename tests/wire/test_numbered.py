"""Numbered reports and batches: both ways, the plain report of old, and every wrong member."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.numbered import (
    NumberedReport,
    batch_payload,
    numbered_payload,
    parse_refusals,
    parse_reports,
    refusals_payload,
)
from wire.reports import report_payload

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BATCH_MAX = 128

EPOCH = "00112233445566ff"
ONE = {"data": {"volume": 5}, "number": 7}
INT64 = st.integers(-(2**63), 2**63 - 1)
REPORTS = st.builds(
    NumberedReport,
    st.integers(1, 2**63 - 1),
    st.dictionaries(st.text(max_size=8), INT64 | st.text(max_size=8), min_size=1),
    st.none() | st.integers(0, 2**63 - 1),
    st.booleans(),
)


@given(REPORTS)
def test_one_report_comes_back_as_it_was(report: NumberedReport) -> None:
    got = parse_reports(numbered_payload(EPOCH, report))
    assert (got.epoch, list(got.reports), got.is_batch) == (EPOCH, [report], False)


@given(st.lists(REPORTS, min_size=1, max_size=5))
def test_a_batch_comes_back_as_it_was(reports: list[NumberedReport]) -> None:
    got = parse_reports(batch_payload(EPOCH, reports))
    assert (got.epoch, list(got.reports), got.is_batch) == (EPOCH, reports, True)


def test_a_report_without_a_number_is_one_of_the_document() -> None:
    got = parse_reports(report_payload({"volume": 5}))
    assert got.epoch is None
    assert [report.data for report in got.reports] == [{"volume": 5}]


def batch(*reports: object, epoch: object = EPOCH) -> dict[str, object]:
    return {"epoch": epoch, "reports": list(reports)}


WRONG = {
    "no epoch": (ONE, "epoch: missing"),
    "an epoch in upper case": (ONE | {"epoch": EPOCH.upper()}, "epoch: got"),
    "an epoch that is a number": (ONE | {"epoch": 7}, "epoch: got 7"),
    "number 0": (ONE | {"epoch": EPOCH, "number": 0}, "number: got 0"),
    "number true": (ONE | {"epoch": EPOCH, "number": True}, "number: got true"),
    "number beyond 64 bits": (ONE | {"epoch": EPOCH, "number": 2**63}, "number: got"),
    "late as text": (ONE | {"epoch": EPOCH, "late": "no"}, "late: got"),
    "time before 1970": (ONE | {"epoch": EPOCH, "time": -1}, "time: got -1"),
    "no data": ({"epoch": EPOCH, "number": 1}, "data: missing"),
    "empty data": ({"epoch": EPOCH, "number": 1, "data": {}}, "data: got"),
    "an empty batch": (batch(), "reports: got"),
    "a batch too long": (batch(*[ONE] * (BATCH_MAX + 1)), "reports: got"),
    "a batch of numbers": (batch(7), "reports.0: got"),
    "a batch's report without data": (batch(ONE, {"number": 8}), "reports.1.data: missing"),
    "a batch without an epoch": ({"reports": [ONE]}, "epoch: missing"),
}


@pytest.mark.parametrize(("payload", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named(payload: dict[str, object], said: str) -> None:
    with pytest.raises(WireError) as error:
        parse_reports(json.dumps(payload).encode())
    assert said in str(error.value)


def test_the_answer_to_a_batch_says_what_was_refused() -> None:
    assert parse_refusals(refusals_payload({})) == {}
    assert parse_refusals(refusals_payload({7: "volume: no"})) == {7: "volume: no"}
    assert parse_refusals(b"{}") == {}


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"refused": 1}', b'{"refused": {"x": ""}}'])
def test_an_answer_that_is_none_is_a_wire_error(payload: bytes) -> None:
    with pytest.raises(WireError):
        parse_refusals(payload)
