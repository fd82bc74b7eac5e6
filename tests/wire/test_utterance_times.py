"""The report of how an utterance went: read as it is written, and nothing else."""

from __future__ import annotations

import json

import pytest

from wire.errors import WireError
from wire.utterance_times import UtteranceTimes, parse_times

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SECONDS_MAX = 600.0


def test_what_is_written_is_read() -> None:
    told = UtteranceTimes(10001, "sent", {"opened": 0.40049, "sent": 2.5, "told": 3.0}).to_json()
    assert told == {"id": 10001, "end": "sent", "seconds": {"opened": 0.4, "sent": 2.5}}
    again = parse_times(json.loads(json.dumps(told)))
    assert again == UtteranceTimes(10001, "sent", {"opened": 0.4, "sent": 2.5})


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (3, "utterance_times"), ({}, "utterance_times.end"), ({"id": 1, "end": "", "seconds": {}}, "utterance_times.end"),
        ({"id": 1, "end": "<b>", "seconds": {}}, "utterance_times.end"), ({"id": 1, "end": "x" * 33, "seconds": {}}, "utterance_times.end"),
        ({"id": 1, "end": "sent"}, "utterance_times.seconds"), ({"id": 1, "end": "sent", "seconds": []}, "utterance_times.seconds"),
        ({"id": 1, "end": "sent", "seconds": {"sent": "1"}}, "utterance_times.seconds.sent"),
        ({"id": 1, "end": "sent", "seconds": {"sent": True}}, "utterance_times.seconds.sent"),
        ({"id": 1, "end": "sent", "seconds": {"sent": -0.1}}, "utterance_times.seconds.sent"),
        ({"id": 1, "end": "sent", "seconds": {"sent": SECONDS_MAX + 1}}, "utterance_times.seconds.sent"),
        ({"id": "1", "end": "sent", "seconds": {}}, "utterance_times.id"), ({"end": "sent", "seconds": {}}, "utterance_times.id"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(value: object, field: str) -> None:
    with pytest.raises(WireError) as error:
        parse_times(value)
    assert str(error.value).startswith(f"{field}:")


def test_stages_of_a_newer_device_are_passed_over() -> None:
    value = {"id": 1, "end": "sent", "seconds": {"sent": 1, "dreamt": 2}}
    assert parse_times(value).seconds == {"sent": 1.0}
