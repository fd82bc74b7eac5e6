"""Each message takes what its document gives as the least and the most of a number, a length or a count, and no more.

The numbers stand here as the documents have them (docs/adr, docs/link.md, docs/mqtt.md, docs/ota.md, docs/family.md), not as
the source does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from wire import (
    abilities,
    answers,
    datapoints,
    diag,
    family,
    framing,
    lan_keys,
    names,
    numbered,
    ota,
    profile,
    topics,
    utterance_times,
    voice,
)
from wire.errors import WireError
from wire.fields import dump_object

LARGEST = 9_223_372_036_854_775_807
EPOCH = "0123456789abcdef"


@dataclass(frozen=True)
class Row:
    """What is read, for a number; the least, None where it is no limit, and the most; and what the refusal names."""

    read: Callable[[int], object]
    low: int | None
    high: int
    names: str


def sent(reader: Callable[[bytes], object], **members: Any) -> object:
    return reader(dump_object(members))


def order(**members: Any) -> object:
    good = {
        "transaction": "1", "version": "1.1.0", "old_version": "1.0.0", "url": "http://a.example/p",
        "size": 521, "signature": "0" * 32,
    }  # fmt: skip
    return ota.parse_order(dump_object({"ota": good | members}))


def event(**members: Any) -> object:
    return ota.parse_event({"transaction": "1", "event": 0} | members)


def spoken(count: int) -> object:
    return family.parse_erase({"utterances": [{"id": 1, "at": 1}] * count})


def batch(count: int) -> object:
    reports = [{"number": number + 1, "data": {"a": 1}} for number in range(count)]
    return sent(numbered.parse_reports, epoch=EPOCH, reports=reports)


def report(**members: Any) -> object:
    return sent(
        numbered.parse_reports, **({"epoch": EPOCH, "number": 1, "data": {"a": 1}} | members)
    )


def answer(**members: Any) -> object:
    return sent(answers.parse_answer, **({"id": 1, "result": "not_found"} | members))


def times(**members: Any) -> object:
    return utterance_times.parse_times({"id": 1, "end": "done", "seconds": {}} | members)


def segment(**members: Any) -> object:
    good = {"id": 1, "segment": 0, "rate": 8000, "channel": 1, "eof": 0, "voice_data": "AAAA"}
    return voice.parse_segment(good | members)


def request(*parts: tuple[str, str]) -> object:
    return topics.parse_request([("method", "GET"), *parts], b"")


def described(**pattern: int) -> object:
    return datapoints.parse_description({
        "name": "x", "resourceType": "", "type": "int", "label": "", "description": "", "uri": "/x",
        "protocol": [], "method": ["GET"], "pattern": {"min": 0, "max": 9} | pattern,
    })  # fmt: skip


def keys(**members: str) -> object:
    good = {
        "sender-id_hex": "01",
        "recipient-id_hex": "02",
        "secret_hex": "00" * 16,
        "salt_hex": "",
    }
    return sent(lan_keys.parse_keys, **(good | members))


def ready(**members: Any) -> object:
    good = {"state": "ready", "size": 1, "parts": 1, "sha256": "0" * 64, "data": "AA=="}
    return sent(diag.parse_piece, **(good | members))


def value(text: str) -> object:
    return datapoints.parse_value(NUMBER, text)


NUMBER = datapoints.DataPointDescription(
    "n", datapoints.DataType.INT, "", "", (datapoints.Method.PUT,)
)
ROWS = [
    Row(lambda n: order(transaction="t" * n), 1, 128, "ota.transaction"),
    Row(lambda n: order(url="http://a.example/".ljust(n, "p")), None, 4096, "ota.url"),
    Row(lambda n: order(size=n), 1, 68_719_476_736, "ota.size"),
    Row(lambda n: event(event=n), 0, 12, "ota_event.event"),
    Row(lambda n: event(event=n), 30, 38, "ota_event.event"),
    Row(lambda n: ota.parse_state({"transaction": "1", "state": n}), 0, 4, "ota_state.state"),
    Row(spoken, 1, 20, "voice_erase.utterances"),
    Row(lambda n: sent(family.parse_family, voiceDays=n), 0, 36_500, "voiceDays"),
    Row(lambda n: sent(family.parse_family, since=n), 0, LARGEST, "since"),
    Row(batch, 1, 128, "reports"),
    Row(lambda n: report(number=n), 1, LARGEST, "number"),
    Row(lambda n: report(time=n), 0, LARGEST, "time"),
    Row(lambda n: abilities.parse_reads({"reads": ["a"] * n}), None, 32, "reads"),
    Row(lambda n: abilities.parse_reads({"reads": ["a" * n]}), None, 32, "reads"),
    Row(lambda n: answer(titles=[{"title": "a"}] * n), None, 2, "titles"),
    Row(lambda n: answer(titles=[{"title": "a" * n}]), 1, 255, "titles[0].title"),
    Row(lambda n: answer(text="a" * n), None, 500, "text"),
    Row(lambda n: times(end="e" * n), 1, 32, "utterance_times.end"),
    Row(lambda n: times(why="e" * n), 1, 32, "utterance_times.why"),
    Row(lambda n: times(seconds={"sent": n}), 0, 600, "utterance_times.seconds"),
    Row(lambda n: segment(segment=n), 0, LARGEST, "voice.segment"),
    Row(lambda n: segment(id=n), 0, LARGEST, "voice.id"),
    Row(lambda n: segment(channel=n), 1, 1, "voice.channel"),
    Row(lambda n: segment(eof=n), 0, 1, "voice.eof"),
    Row(lambda n: voice.pack_frame(b"x" * n, voice.HeaderStyle.SPX, 8000), 1, 255, "frame"),
    Row(lambda n: request(*[("path", "p")] * n), 1, 16, "path"),
    Row(lambda n: request(("path", "p"), *[("query", "q")] * n), None, 16, "query"),
    Row(lambda n: request(("path", "q" * n)), None, 255, "path"),
    Row(lambda n: request(("path", "p"), ("id", "00" * n)), 1, 8, "id"),
    Row(lambda n: request(("path", "p"), ("until", "9" * n)), 1, 14, "until"),
    Row(lambda n: topics.answer_topic("0" * 14, "w" * n), 1, 32, "worker"),
    Row(lambda n: described(min=n, max=n), -LARGEST, LARGEST, "pattern.m"),
    Row(lambda n: described(step=n), 1, LARGEST, "pattern.step"),
    Row(lambda n: value(str(n)), -LARGEST, LARGEST, "n: got"),
    Row(lambda n: keys(**{"sender-id_hex": "00" * n}), 1, 7, "sender-id_hex"),
    Row(lambda n: keys(secret_hex="00" * n), 16, 64, "secret_hex"),
    Row(lambda n: keys(salt_hex="00" * n), None, 64, "salt_hex"),
    Row(lambda n: lan_keys.check_name("a" * n), 1, 32, "name"),
    Row(lambda n: names.check_product("a" * n), 1, 64, "product"),
    Row(lambda n: names.check_product("故" * n), 1, 25, "product"),
    Row(lambda n: framing.encode_frame(b"x" * n), 4, 16_384, "length"),
    Row(lambda n: ready(size=n), 1, 2_097_152, "size"),
]  # fmt: skip


def refusal(row: Row, number: int) -> str:
    try:
        row.read(number)
    except WireError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.names} {row.low} to {row.high}")
def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(row: Row) -> None:
    on = [number for number in (row.low, row.high) if number is not None]
    beside = [row.high + 1, *([] if row.low is None else [row.low - 1])]
    assert [refusal(row, number) for number in on] == [""] * len(on)
    assert [number for number in beside if row.names not in refusal(row, number)] == []


@pytest.mark.parametrize(
    ("name", "value", "low", "high"),
    [
        ("token", "t".__mul__, 1, 249),
        ("serverAddr", lambda n: ("a" * 50 + ".") * 4 + "a" * (n - 204), None, 253),
        ("serverAddr", lambda n: "a" * n + ".example", 1, 63),
        ("coapPort", int, 1, 65_535),
        ("lwm2mPort", int, 0, 65_535),
        ("version", int, 0, LARGEST),
        ("uuid", "0".__mul__, 14, 14),
        ("bindToken", "0".__mul__, 32, 32),
    ],
)
def test_so_does_a_profile(
    profile_source: dict[str, Any],
    name: str,
    value: Callable[[int], object],
    low: int | None,
    high: int,
) -> None:
    def read(number: int) -> object:
        return profile.parse_profile(json.dumps(profile_source | {name: value(number)}))

    row = Row(read, low, high, f"{name}: ")
    test_what_is_on_a_limit_is_taken_and_the_next_is_refused(row)
