"""Topics and properties: what each says, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import WireError
from wire.exchange import Answer, Request
from wire.topics import (
    Kind,
    State,
    Topic,
    TopicError,
    answer_properties,
    answer_topic,
    every,
    parse_answer,
    parse_request,
    parse_run,
    parse_state,
    parse_topic,
    request_properties,
    run_properties,
    shard_of,
    state_payload,
    voice_topic,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SHARDS = 64
PARTS_LIMIT = 16

UUID = "0083000000000a"

TOPICS = [
    (Topic(UUID, Kind.REGISTER), f"story/{UUID}/up/register"),
    (Topic(UUID, Kind.REPORT), f"story/{UUID}/up/report"),
    (Topic(UUID, Kind.STATE), f"story/{UUID}/up/state"),
    (Topic(UUID, Kind.REQUEST), f"story/{UUID}/down/request"),
    (Topic(UUID, Kind.CLOUD_ANSWER), f"story/{UUID}/down/answer"),
    (Topic(UUID, Kind.ANSWER, "worker-1"), f"story/{UUID}/up/answer/worker-1"),
    (Topic(UUID, Kind.VOICE, str(shard_of(UUID))), f"story/{UUID}/up/voice/{shard_of(UUID)}"),
]


@pytest.mark.parametrize(("topic", "text"), TOPICS)
def test_a_topic_and_its_text(topic: Topic, text: str) -> None:
    assert str(topic) == text
    assert parse_topic(text) == topic


@pytest.mark.parametrize(
    "text",
    [
        "",
        "story",
        "story//up/report",
        f"story/{UUID}/up",
        f"story/{UUID}/up/report/",
        f"story/{UUID}/up/report/more",
        f"story/{UUID}/up/answer",
        f"story/{UUID}/up/answer/a b",
        f"story/{UUID}/up/answer/{'x' * 33}",
        f"story/{UUID}/up/voice",
        f"story/{UUID}/up/voice/{(shard_of(UUID) + 1) % SHARDS}",
        f"story/{UUID}/up/voice/0{shard_of(UUID)}",
        f"story/{UUID}/down/report",
        f"story/{UUID}x/up/report",
        f"story/{UUID[:-1]}/up/report",
        "story/+/up/report",
        f"Story/{UUID}/up/report",
        f"/story/{UUID}/up/report",
        f"story/{UUID}/up/report\0",
    ],
)
def test_what_is_no_topic_of_ours(text: str) -> None:
    with pytest.raises(TopicError):
        parse_topic(text)


@pytest.mark.parametrize("who", ["", "a/b", "+", "#", "x" * 33, "员"])
def test_a_worker_whose_name_would_change_the_topic_is_refused(who: str) -> None:
    with pytest.raises(TopicError, match="worker"):
        answer_topic(UUID, who)


@pytest.mark.parametrize("who", ["a", "w-1_B", "x" * 32])
def test_an_answer_goes_to_the_worker_that_asked(who: str) -> None:
    assert answer_topic(UUID, who) == f"story/{UUID}/up/answer/{who}"
    assert parse_topic(answer_topic(UUID, who)).last == who


def test_a_device_has_one_shard_however_its_uuid_is_written() -> None:
    assert shard_of("ABCDEF00000000") == shard_of("abcdef00000000")
    assert voice_topic(UUID).endswith(f"/{shard_of(UUID)}")
    shards = {shard_of(f"{number:014x}") for number in range(2000)}
    assert shards == set(range(SHARDS))


def test_filters_of_all_devices() -> None:
    assert every(Kind.REPORT) == "story/+/up/report"
    assert every(Kind.ANSWER, "w1") == "story/+/up/answer/w1"


PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=60)


@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    st.lists(PARTS, min_size=1, max_size=PARTS_LIMIT),
    st.lists(PARTS, max_size=PARTS_LIMIT),
    st.binary(max_size=64),
    st.none() | st.integers(0, 10**14 - 1),
    st.binary(max_size=8),
)
def test_a_request_comes_back_whole(
    method: str, path: list[str], query: list[str], payload: bytes, until: int | None, key: bytes
) -> None:
    request = Request(method, tuple(path), tuple(query), payload, until, key)
    assert parse_request(request_properties(request), payload) == request


@pytest.mark.parametrize(
    "part",
    [
        "a\0b",
        "\ud800",
        "x" * 256,
        "音" * 86,
        "\n",
        "\x7f",
        "\x9f",
        "\ufdd0",
        "\ufeff",
        "\uffff",
        "\U0010fffe",
    ],
)
def test_a_part_that_no_property_can_hold_is_refused(part: str) -> None:
    with pytest.raises(TopicError, match="path"):
        request_properties(Request("GET", (part,)))
    with pytest.raises(TopicError, match="query"):
        request_properties(Request("GET", ("a",), (part,)))


REQUESTS: list[tuple[list[tuple[str, str]], str]] = [
    ([], "method"),
    ([("method", "GET")], "path"),
    ([("path", "a")], "method"),
    ([("method", "GET"), ("method", "PUT"), ("path", "a")], "method"),
    ([("method", "get"), ("path", "a")], "method"),
    ([("method", "FETCH"), ("path", "a")], "method"),
    ([("method", "GET")] + [("path", "a")] * (PARTS_LIMIT + 1), "path"),
    ([("method", "GET"), ("path", "a")] + [("query", "a")] * (PARTS_LIMIT + 1), "query"),
    ([("method", "GET"), ("path", "a"), ("until", "-1")], "until"),
    ([("method", "GET"), ("path", "a"), ("until", "9" * 15)], "until"),
    ([("method", "GET"), ("path", "a"), ("until", "1"), ("until", "1")], "until"),
    ([("method", "GET"), ("path", "a"), ("id", "0")], "id"),
    ([("method", "GET"), ("path", "a"), ("id", "00" * 9)], "id"),
]


@pytest.mark.parametrize(("properties", "named"), REQUESTS)
def test_what_is_no_request_names_its_property(
    properties: list[tuple[str, str]], named: str
) -> None:
    with pytest.raises(WireError, match=named):
        parse_request(properties, b"")


def test_properties_of_later_versions_are_ignored() -> None:
    properties = [("trace", "x"), ("method", "GET"), ("path", "volume"), ("trace", "y")]
    assert parse_request(properties, b"") == Request("GET", ("volume",))


@given(st.integers(2, 5), st.integers(0, 31), st.binary(max_size=20))
def test_an_answer_comes_back_whole(kind: int, detail: int, payload: bytes) -> None:
    code = kind << 5 | detail
    assert parse_answer(answer_properties(code), payload) == Answer(code, payload)


@pytest.mark.parametrize(
    ("told", "again"),
    [("0", 0), ("10", 10), ("", None), ("-1", None), ("1.5", None), ("9" * 10, None)],
)
def test_when_to_ask_again(told: str, again: int | None) -> None:
    assert parse_answer([("code", "5.03"), ("again", told)], b"").again == again
    if again is not None:
        assert answer_properties(0xA3, again)[1:] == [("again", told)]


@pytest.mark.parametrize("code", ["", "2", "2.5", "2.32", "2.040", "0.01", "1.00", "7.31", "٢.04"])
def test_what_is_no_answer(code: str) -> None:
    with pytest.raises(TopicError, match="code"):
        parse_answer([("code", code)], b"")


@pytest.mark.parametrize(
    "state",
    [
        State(online=False),
        State(online=True),
        State(online=True, reads=frozenset({"a"})),
        State(online=True, run="a1"),
    ],
)
def test_a_state_and_its_payload(state: State) -> None:
    assert parse_state(state_payload(state)) == state


def test_a_cleared_state_is_offline() -> None:
    assert parse_state(b"") == State(online=False)


@pytest.mark.parametrize(
    "payload", [b"online", b"{}", b'{"state": "on"}', b'{"state": 1}', b"\xff", b"[]",
                b'{"state": "online", "reads": "all"}']
)  # fmt: skip
def test_what_is_no_state(payload: bytes) -> None:
    with pytest.raises(WireError):
        parse_state(payload)


@given(
    st.lists(st.tuples(st.sampled_from(["method", "path", "query", "code", "x"]), st.text())),
    st.binary(max_size=40),
    st.text(),
)
def test_no_input_raises_anything_else(
    properties: list[tuple[str, str]], payload: bytes, topic: str
) -> None:
    for parse in (
        lambda: parse_request(properties, payload),
        lambda: parse_answer(properties, payload),
        lambda: parse_topic(topic),
        lambda: parse_state(payload),
    ):
        with contextlib.suppress(WireError):
            parse()


def test_the_voice_of_a_device_goes_to_the_topic_of_its_shard() -> None:
    topic = parse_topic(voice_topic(UUID))
    assert topic == Topic(UUID, Kind.VOICE, str(shard_of(UUID)))


def test_a_registration_names_its_run_or_none() -> None:
    assert parse_run(run_properties("a_B-1")) == "a_B-1"
    assert parse_run(run_properties("")) == ""
    assert parse_run([]) == ""
    for text in ("a b", "x" * 33, "é"):
        with pytest.raises(WireError, match="expected 1 to 32 letters"):
            parse_run([("run", text)])
