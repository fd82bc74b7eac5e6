"""The one dispatch: what it answers whatever the data point does, and what it reports."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest

import resources.dispatch
from machine.errors import RefusedError, UnavailableError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from tests.moved_clock import Since, on_moved_clock
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer, Request
from wire.reports import DESCRIPTION_PATH
from wire.story_points import POWER, VOLUME


class Knob(DataPoint):
    """A volume of 5 that does what the test wants when it is set."""

    description: ClassVar = VOLUME

    def __init__(self, act: Callable[[], Awaitable[None]] | None = None) -> None:
        self.value: Value = 5
        self.act = act
        self.closed = False

    async def get(self) -> Value:
        return self.value

    async def put(self, value: Value) -> None:
        if self.act is not None:
            await self.act()
        self.value = value

    async def close(self) -> None:
        self.closed = True


class Gauge(DataPoint):
    description: ClassVar = POWER

    async def get(self) -> Value:
        return 100


class Reports(list[tuple[str, Value]]):
    async def take(self, name: str, value: Value) -> None:
        self.append((name, value))


def dispatch(knob: Knob | None = None) -> tuple[Dispatch, Reports]:
    reports = Reports()
    return Dispatch([knob or Knob(), Gauge()], reports.take), reports


def put(payload: bytes = b"9", *path: str, method: str = "PUT") -> Request:
    return Request(method, path or ("volume",), payload=payload)


async def test_a_value_is_set_read_and_reported() -> None:
    made, reports = dispatch()
    assert await made.handle(put()) == Answer(Code.CHANGED)
    assert await made.handle(put(b"", method="GET")) == Answer(Code.CONTENT, b"9")
    assert reports == [("volume", 9)]


async def test_the_description_lists_the_points_in_their_order() -> None:
    made, _ = dispatch()
    answer = await made.handle(Request("GET", DESCRIPTION_PATH))
    assert answer.code == Code.CONTENT
    points = json.loads(answer.payload)["resources"]
    assert [point["name"] for point in points] == ["volume", "power"]
    assert (await made.handle(Request("PUT", DESCRIPTION_PATH))).code == Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (put(b"9", "lamp"), Code.NOT_FOUND, '"lamp": no such data point, expected volume, power'),
        (put(b"9", "volume", "x"), Code.NOT_FOUND, '"volume/x": no such data point'),
        (put(b"1", "power"), Code.METHOD_NOT_ALLOWED, 'power: "PUT" not allowed, only GET'),
        (put(method="POST"), Code.METHOD_NOT_ALLOWED, 'volume: "POST" not allowed, only GET, PUT'),
        (put(b"17"), Code.BAD_REQUEST, "volume: got 17, expected an integer from 0 to 16"),
        (put(b"\xff"), Code.BAD_REQUEST, "expected UTF-8 text"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_by_name(
    request_: Request, code: Code, reason: str
) -> None:
    knob = Knob()
    made, reports = dispatch(knob)
    answer = await made.handle(request_)
    assert answer.code == code
    assert reason in answer.text
    assert (knob.value, reports) == (5, [])


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RefusedError("volume: not now"), Code.BAD_REQUEST, "volume: not now"),
        (UnavailableError("volume: no card"), Code.SERVICE_UNAVAILABLE, "volume: no card"),
        (KeyError("secret"), Code.INTERNAL_SERVER_ERROR, "volume: internal error"),
    ],
)
async def test_every_error_of_a_data_point_is_an_answer(
    error: Exception, code: Code, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    made, reports = dispatch(Knob(fail))
    assert await made.handle(put()) == Answer.from_text(code, text)
    assert reports == []
    assert ("the handler failed" in caplog.text) is (code is Code.INTERNAL_SERVER_ERROR)


@on_moved_clock
async def test_a_value_that_nobody_can_read_holds_up_its_reader_for_8_s_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`look` gives the value or none: of the watch and of whoever tells all values at once."""
    caplog.set_level(logging.DEBUG)
    knob, since = Knob(), Since()
    made, _ = dispatch(knob)
    assert (await made.look("volume"), since.seconds) == (5, 0)
    knob.get = asyncio.Event().wait  # type: ignore[method-assign]
    assert await made.look("volume") is None
    assert since.seconds == pytest.approx(8.0, abs=0.6)
    assert "volume cannot be read: volume: no result in 8 s" in caplog.text


async def test_a_data_point_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.dispatch, "HANDLER_TIMEOUT", 0.01)
    knob = Knob(asyncio.Event().wait)  # type: ignore[arg-type]
    answer = await dispatch(knob)[0].handle(put())
    assert answer == Answer.from_text(Code.SERVICE_UNAVAILABLE, "volume: no result in 0.01 s")
    assert knob.value == 5


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("closed"), UnicodeError()])
async def test_a_report_that_fails_does_not_undo_what_was_done(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    async def fail(_name: str, _value: Value) -> None:
        raise error

    knob = Knob()
    assert await Dispatch([knob], fail).handle(put()) == Answer(Code.CHANGED)
    assert knob.value == 9
    assert "volume: its change is not reported" in caplog.text


@on_moved_clock
async def test_a_report_that_hangs_keeps_the_asker_waiting_for_a_second_and_a_half() -> None:
    async def hang(_name: str, _value: Value) -> None:
        await asyncio.Event().wait()

    since = Since()
    assert (await Dispatch([Knob()], hang).handle(put())).code is Code.CHANGED
    assert since.seconds == pytest.approx(1.5)


async def test_each_order_is_told_with_its_answer_and_where_it_came_from() -> None:
    told: list[tuple[str, str, int, bool]] = []

    def note(name: str, text: str, answer: Answer, *, local: bool) -> None:
        told.append((name, text, answer.code, local))

    made, _reports = dispatch()
    await made.handle(put())  # before anybody wants to know
    made.on_order = note
    await made.handle(put(b"", method="GET"))
    await made.handle(put(b"3"))
    await made.handle_local(put(b"17"))
    await made.handle(put(b"1", "lamp"))
    assert told == [
        ("volume", "3", Code.CHANGED, False),
        ("volume", "17", Code.BAD_REQUEST, True),
        ("lamp", "1", Code.NOT_FOUND, False),
    ]


async def test_what_a_data_point_forbids_the_home_is_open_to_the_cloud_and_for_reading() -> None:
    class Lock(Gauge):
        def check_local(self, name: str) -> str | None:
            return "volume: it is night" if name == "volume" else None

    knob = Knob()
    made = Dispatch([knob, Lock()], Reports().take)
    refused = await made.handle_local(put())
    assert refused == Answer.from_text(Code.FORBIDDEN, "volume: it is night")
    assert knob.value == 5
    assert (await made.handle_local(put(b"", method="GET"))).payload == b"5"
    assert (await made.handle_local(put(b"", "power", method="GET"))).payload == b"100"
    assert (await made.handle(put())).code is Code.CHANGED
    assert knob.value == 9


async def test_what_no_protocol_can_carry_is_marked_not_raised() -> None:
    knob = Knob()
    knob.value = "\udcb9"
    answer = await dispatch(knob)[0].handle(put(b"", method="GET"))
    assert answer == Answer(Code.CONTENT, b"?")


async def test_the_end_closes_every_data_point() -> None:
    knob = Knob()
    await dispatch(knob)[0].close()
    assert knob.closed


async def test_a_data_point_without_put_is_never_asked_to_set_anything() -> None:
    with pytest.raises(AssertionError, match="power takes no value"):
        await Gauge().put(1)
    assert Gauge().back_end == "built in"


async def test_an_order_from_home_is_noted_and_one_of_the_cloud_is_not() -> None:
    noted = []

    class Noting(Knob):
        def note_local(self) -> None:
            noted.append(self.value)

    dispatch = Dispatch([Noting()], Reports().take)
    await dispatch.request("PUT", "volume", "3")
    await dispatch.request("GET", "volume", local=True)
    assert noted == []
    await dispatch.request("PUT", "volume", "4", local=True)
    assert noted == [4]
