"""The update order, its events and the order of versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.settings import parse_settings
from release.cli import build_parser as release_parser
from staging.commands.cli import build_parser as cloud_parser
from wire.errors import FieldError, MissingFieldError, WireError
from wire.ota import (
    InstallerKind,
    OtaEvent,
    OtaEventReport,
    OtaOrder,
    OtaState,
    cancel_query,
    order_payload,
    parse_cancel_query,
    parse_event,
    parse_order,
    parse_state,
    state_report,
    version_key,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SIZE_MAX = 68_719_476_736

ORDER: dict[str, Any] = {
    "transaction": "77",
    "version": "4.0.0.2",
    "old_version": "4.0.0.1",
    "url": "https://cloud.example/packages/508",
    "size": 521,
    "signature": "d41d8cd98f00b204e9800998ecf8427e",
}
VERSIONS = st.lists(st.integers(0, 999_999_999), min_size=1, max_size=8)


def payload(inner: object, key: str = "ota") -> bytes:
    return json.dumps({key: inner}).encode()


def joined(parts: list[int]) -> str:
    return ".".join(map(str, parts))


@given(VERSIONS, VERSIONS, st.integers(1, SIZE_MAX), st.text("0123456789abcdef", min_size=32))
def test_an_order_round_trips(new: list[int], old: list[int], size: int, digest: str) -> None:
    order = OtaOrder("77", joined(new), joined(old), "http://h/p?a=1#b", size, digest[:32])
    assert parse_order(order_payload(order)) == order


def test_the_rendered_order_is_the_documents() -> None:
    order = OtaOrder(**ORDER)
    assert json.loads(order_payload(order)) == {"ota": ORDER}
    assert list(json.loads(order_payload(order))["ota"]) == list(ORDER)


@pytest.mark.parametrize("key", ["ota", "", "firmware", "数据"])
def test_the_wrappers_key_is_not_looked_at(key: str) -> None:
    assert parse_order(payload(ORDER, key)) == OtaOrder(**ORDER)


@pytest.mark.parametrize(
    "data",
    [{}, {"a": ORDER, "b": ORDER}, {"ota": [ORDER]}, {"ota": "x"}, {"ota": None}, ORDER],
)
def test_the_wrapper_holds_exactly_one_object(data: object) -> None:
    with pytest.raises(FieldError, match=r"^order: .*expected one object in one object"):
        parse_order(json.dumps(data).encode())


@pytest.mark.parametrize("member", ORDER)
def test_a_missing_member_is_named(member: str) -> None:
    inner = {name: value for name, value in ORDER.items() if name != member}
    with pytest.raises(MissingFieldError) as caught:
        parse_order(payload(inner))
    assert caught.value.field == f"ota.{member}"


@pytest.mark.parametrize("member", ORDER)
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5, ""])
def test_a_member_of_another_type_is_named(member: str, value: object) -> None:
    with pytest.raises(FieldError) as caught:
        parse_order(payload(ORDER | {member: value}))
    assert caught.value.field == f"ota.{member}"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("transaction", "7" * 129),
        ("transaction", "机" * 43),
        ("transaction", "7" * 5000),
        ("transaction", "7\n8"),
        ("transaction", "7\u202e8"),
        ("url", "https://cloud.example/" + "a" * 4096),
        ("version", "v1.0"),
        ("version", "1.0-rc1"),
        ("version", "1..0"),
        ("version", ".1"),
        ("version", "1.0\n"),
        ("version", " 1.0"),
        ("version", "../../etc"),
        ("version", "\N{ARABIC-INDIC DIGIT TWO}.0"),
        ("version", "1.2.3.4.5.6.7.8.9"),
        ("version", "1234567890"),
        ("old_version", "-1"),
        ("url", "ftp://cloud.example/p"),
        ("url", "file:///etc/shadow"),
        ("url", "//cloud.example/p"),
        ("url", "http://"),
        ("url", "http:///p"),
        ("url", "https://[::1/p"),
        ("url", "https://cloud.example:port/p"),
        ("url", "https://cloud.example:65536/p"),
        ("url", "https://cloud.example/a b"),
        ("url", "https://cloud.example/a\u3000b"),
        ("url", "https://cloud.example/a\u202eb"),
        ("url", "https://cloud.example/a\r\nHost: other"),
        ("url", "java\nscript:x"),
        ("size", 0),
        ("size", -1),
        ("size", SIZE_MAX + 1),
        ("size", "521"),
        ("size", 521.0),
        ("signature", "d41d8cd98f00b204e9800998ecf8427"),
        ("signature", "z" * 32),
    ],
)
def test_a_wrong_value_is_named(member: str, value: object) -> None:
    with pytest.raises(FieldError) as caught:
        parse_order(payload(ORDER | {member: value}))
    assert caught.value.field == f"ota.{member}"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("member", "largest", "beyond"),
    [
        ("transaction", "7" * 128, "7" * 129),
        ("url", "http://h/" + "a" * 4087, "http://h/" + "a" * 4088),
        ("size", 68_719_476_736, 68_719_476_737),
        ("version", "123456789.2.3.4.5.6.7.8", "1234567890.2.3.4.5.6.7.8"),
    ],
)
def test_the_largest_value_is_taken_and_the_next_is_not(
    member: str, largest: str | int, beyond: str | int
) -> None:
    assert getattr(parse_order(payload(ORDER | {member: largest})), member) == largest
    with pytest.raises(FieldError):
        parse_order(payload(ORDER | {member: beyond}))


def test_a_digest_in_capitals_is_the_same_digest() -> None:
    order = parse_order(payload(ORDER | {"signature": ORDER["signature"].upper()}))
    assert order.signature == ORDER["signature"]


def test_unknown_members_are_ignored() -> None:
    assert parse_order(payload(ORDER | {"colour": "red"})) == OtaOrder(**ORDER)


def test_forced_is_in_the_order_only_where_it_is_set() -> None:
    order = OtaOrder(**ORDER, forced=True)
    assert json.loads(order_payload(order)) == {"ota": ORDER | {"forced": True}}
    assert parse_order(order_payload(order)) == order
    assert parse_order(payload(ORDER | {"forced": False})) == OtaOrder(**ORDER)
    for value in (1, "true", None):
        with pytest.raises(FieldError, match=r"ota\.forced: got .*, expected true or false"):
            parse_order(payload(ORDER | {"forced": value}))


@pytest.mark.parametrize("transaction", ["7" * 128, "机" * 42, "a b/c=d&e", "7"])
def test_each_transaction_that_is_taken_can_be_cancelled(transaction: str) -> None:
    order = parse_order(payload(ORDER | {"transaction": transaction}))
    (query,) = cancel_query(order.transaction)
    assert len(query.encode()) <= 255  # RFC 7252, 5.10: Uri-Query
    assert parse_cancel_query([query]) == transaction


@pytest.mark.parametrize(
    ("member", "value", "differs"),
    [
        ("version", "4.0.0.3", True),
        ("url", "https://other.example/packages/508", True),
        ("size", 522, True),
        ("signature", "0" * 32, True),
        ("transaction", "78", False),
        ("old_version", "4.0.0.0", False),
        ("signature", ORDER["signature"].upper(), False),
    ],
)
def test_a_fingerprint_tells_orders_of_one_number_apart(
    member: str, value: object, *, differs: bool
) -> None:
    one, other = (parse_order(payload(ORDER | more)) for more in ({}, {member: value}))
    assert (one.fingerprint != other.fingerprint) is differs


def test_the_transaction_of_a_cancellation() -> None:
    assert parse_cancel_query(cancel_query("7=8&é")) == "7=8&é"
    assert parse_cancel_query(["other=1", "transaction=7"]) == "7"
    for query in ([], ["transaction"], ["transaction="], ["Transaction=7"]):
        with pytest.raises(FieldError, match="transaction: missing"):
            parse_cancel_query(query)


def test_versions_in_their_order() -> None:
    ordered = ["0", "0.0.1", "0.9", "0.10", "1", "1.0.1", "1.9", "1.10", "2.0", "10"]
    assert sorted(set(ordered), key=version_key) == ordered


@given(VERSIONS, VERSIONS)
def test_versions_compare_as_numbers_and_trailing_zeros_do_not_count(
    a: list[int], b: list[int]
) -> None:
    width = max(len(a), len(b))
    padded_a, padded_b = a + [0] * (width - len(a)), b + [0] * (width - len(b))
    assert (version_key(joined(a)) < version_key(joined(b))) == (padded_a < padded_b)
    assert (version_key(joined(a)) == version_key(joined(b))) == (padded_a == padded_b)


def test_the_named_field_is_told() -> None:
    with pytest.raises(FieldError, match=r"^manifest\.version: "):
        version_key("x", field="manifest.version")


def test_event_numbers_are_the_documents() -> None:
    assert [int(event) for event in OtaEvent] == [*range(13), *range(30, 39)]
    assert (OtaEvent.BEGIN, OtaEvent.DOWNLOADING, OtaEvent.INSTALLED) == (0, 4, 10)
    assert (OtaEvent.INSTALLING, OtaEvent.REJECT, OtaEvent.CHECKSUM_FAIL) == (7, 12, 31)
    assert [event for event in OtaEvent if event.has_percent] == [4, 7]


@pytest.mark.parametrize(
    "line",
    [
        '{"transaction":"77","event":0}',
        '{"percent":0,"transaction":"77","event":4}',
        '{"transaction":"77","event":6}',
        '{"transaction":"77","event":2}',
        '{"transaction":"77","event":10}',
    ],
)
def test_the_documents_event_log_round_trips_exactly(line: str) -> None:
    report = parse_event(json.loads(line))
    assert json.dumps(report.to_json(), separators=(",", ":")) == line


@pytest.mark.parametrize(
    ("percent", "text"), [(0.0, "0"), (1.0, "1"), (0.5, "0.5"), (0.333, "0.333")]
)
def test_percent_is_written_as_the_document_writes_it(percent: float, text: str) -> None:
    report = OtaEventReport("77", OtaEvent.INSTALLING, percent=percent)
    assert json.dumps(report.to_json()) == (
        '{"percent": ' + text + ', "transaction": "77", "event": 7}'
    )


@given(
    st.sampled_from(OtaEvent),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.floats(0, 1),
)
def test_events_round_trip(event: OtaEvent, description: str, percent: float) -> None:
    report = OtaEventReport("77", event, description, percent if event.has_percent else None)
    assert parse_event(json.loads(json.dumps(report.to_json()))) == report


@pytest.mark.parametrize(
    ("sent", "read"),
    [(-0.5, 0.0), (1.5, 1.0), (0, 0.0), (1, 1.0), (10**400, 1.0), (-(10**400), 0.0)],
)
def test_percent_is_clipped(sent: float, read: float) -> None:
    report = parse_event({"transaction": "1", "event": 4, "percent": sent})
    assert report.percent == read


def test_percent_with_another_event_is_not_read() -> None:
    assert parse_event({"transaction": "1", "event": 5, "percent": "x"}).percent is None


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "ota_event"),
        ({"event": 0}, "ota_event.transaction"),
        ({"transaction": "1"}, "ota_event.event"),
        ({"transaction": "1", "event": 13}, "ota_event.event"),
        ({"transaction": "1", "event": 29}, "ota_event.event"),
        ({"transaction": "1", "event": 39}, "ota_event.event"),
        ({"transaction": "1", "event": True}, "ota_event.event"),
        ({"transaction": "1", "event": "4"}, "ota_event.event"),
        ({"transaction": "1", "event": 4}, "ota_event.percent"),
        ({"transaction": "1", "event": 4, "percent": True}, "ota_event.percent"),
        ({"transaction": "1", "event": 7, "percent": "0.5"}, "ota_event.percent"),
        ({"transaction": 1, "event": 0}, "ota_event.transaction"),
        ({"transaction": "1", "event": 0, "description": 5}, "ota_event.description"),
    ],
)
def test_an_event_that_is_wrong_is_named(value: object, named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_event(value)
    assert caught.value.field == named


@pytest.mark.parametrize("state", OtaState)
def test_states_round_trip(state: OtaState) -> None:
    assert parse_state(state_report("77", state)) == ("77", state)


@pytest.mark.parametrize(
    "value",
    [None, {}, {"transaction": "1", "state": 5}, {"transaction": "", "state": 0}, {"state": 0}],
)
def test_a_state_that_is_wrong_is_refused(value: object) -> None:
    with pytest.raises(WireError, match=r"^ota_state"):
        parse_state(value)


@pytest.mark.parametrize("kind", InstallerKind)
def test_settings_and_both_commands_take_each_kind_of_installer(kind: InstallerKind) -> None:
    assert parse_settings(f'[ota]\ninstaller = "{kind}"\n').ota.installer is kind
    words = ["release", "add", "f", "--version", "1.1.0", "--installer", kind]
    assert cloud_parser().parse_args(words).installer == kind
    words = ["add", "f", "--repo", "r", "--keys", "k", "--product", "p", "--version", "1.1.0"]
    assert release_parser().parse_args([*words, "--installer", kind]).installer == kind
