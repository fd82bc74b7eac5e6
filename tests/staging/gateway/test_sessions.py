"""A session and the table of them, without a network: every outcome of a request, and who is told of what."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from staging.errors import (
    AnswerLostError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    StagingError,
)
from staging.gateway.session import Session, Sessions
from staging.store.devices import Identity
from staging.store.effects import AbilitiesSeen
from transport.errors import (
    NotSentError,
    RequestTimeoutError,
    StreamClosedError,
    TransportError,
)
from wire.codes import Code
from wire.exchange import Answer, Terms

UUID = "0083000000000a"
DEADLINE = 30.0


class Line:
    """A connection and its endpoint, which answers from a list or raises what is in it."""

    def __init__(self, *answers: Answer | TransportError) -> None:
        self.answers = list(answers)
        self.gate = asyncio.Event()
        self.gate.set()
        self.resets: list[str] = []
        self.terms: list[Terms | None] = []
        self.watched: list[float] = []

    def close(self, reason: str) -> None:
        raise AssertionError(reason)

    def reset(self, reason: str) -> None:
        self.resets.append(reason)

    async def request(
        self,
        connection: Any,
        /,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        *,
        query: tuple[str, ...] = (),
        deadline: float,
        terms: Terms | None = None,
    ) -> Answer:
        assert (connection, method in {"GET", "PUT"}, path) == (self, True, ("light", "level"))
        assert (payload, query, deadline) == (b"", (), 7.0)
        self.terms.append(terms)
        await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, TransportError):
            raise answer
        return answer

    def watch(self, connection: Any, /, quiet: float) -> None:
        assert connection is self
        self.watched.append(quiet)


def made(line: Line) -> Session:
    return Session(Identity(5, UUID, "secret"), line, line, 7.0, registered_ms=1_000_000)


async def ask(session: Session, method: str = "PUT") -> Answer:
    return await session.request(method, ("light", "level"))


ENDS: list[tuple[TransportError, type[Exception], str]] = [
    (RequestTimeoutError("7 s"), DeviceSilentError, f"sent, no answer: device {UUID} is silent: 7 s"),
    (NotSentError("cut"), DeviceOfflineError, f"device {UUID} went offline: cut"),
    (StreamClosedError("cut"), AnswerLostError, f"sent, no answer: device {UUID} went offline after"),
    (TransportError("odd"), DeviceRejectedError, f"device {UUID}: odd"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "told"), ENDS, ids=lambda one: type(one).__name__)
async def test_what_became_of_a_request_is_told_and_it_waits_no_more(
    error: TransportError, kind: type[Exception], told: str
) -> None:
    line = Line(error)
    session = made(line)
    with pytest.raises(kind) as caught:
        await ask(session)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(told)
    assert session.waiting == 0


@pytest.mark.parametrize(
    ("error", "method", "resets"),
    [
        (RequestTimeoutError("7 s"), "PUT", ["no answer to PUT /light/level"]),
        (RequestTimeoutError("7 s"), "GET", []),
        (NotSentError("cut"), "PUT", []),
        (StreamClosedError("cut"), "PUT", []),
    ],
)
async def test_only_a_put_that_was_not_answered_drops_what_was_sent(
    error: TransportError, method: str, resets: list[str]
) -> None:
    line = Line(error)
    with pytest.raises(Exception, match="device"):
        await ask(made(line), method)
    assert line.resets == resets


async def test_the_seventeenth_request_at_once_is_refused_and_one_after_an_answer_is_not() -> None:
    line = Line(*[Answer(Code.CHANGED)] * 17)
    session = made(line)
    line.gate.clear()
    asked = [asyncio.create_task(ask(session)) for _ in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(DeviceBusyError, match=f"device {UUID}: 16 requests wait already"):
        await ask(session)
    line.gate.set()
    await asyncio.gather(*asked)
    assert (await ask(session)).code == Code.CHANGED


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Code.SERVICE_UNAVAILABLE, b"the sound card is busy"),
        Answer(Code.BAD_REQUEST, b"too late: what a device says of something else"),
        Answer(Code.NOT_FOUND),
    ],
)
async def test_an_error_code_of_the_device_is_its_answer(answer: Answer) -> None:
    assert await ask(made(Line(answer))) is answer


async def test_a_device_that_reads_deadlines_is_given_one_and_orders_have_a_name() -> None:
    line = Line(*[Answer(Code.CHANGED)] * 4)
    session = made(line)
    await ask(session)
    session.note([AbilitiesSeen(frozenset({"deadline"}))])
    for method in ("GET", "PUT", "PUT"):
        await ask(session, method)
    before, *after = line.terms
    assert before is None
    names = [terms.id for terms in after if terms is not None]
    assert [len(name) for name in names] == [0, 8, 8]
    assert names[1] != names[2]
    for terms in after:
        assert terms is not None
        assert 0 <= terms.until_ms - 1_007_000 < 60_000


async def test_a_device_that_answers_questions_is_asked_them_from_then_on() -> None:
    line = Line()
    session = made(line)
    session.note([AbilitiesSeen(frozenset({"deadline"}))])
    assert (line.watched, set(session.abilities)) == ([], {"deadline"})
    session.note([AbilitiesSeen(frozenset({"ping"}))])
    assert (line.watched, set(session.abilities)) == ([21.0], {"ping"})
    session.note([])
    assert session.abilities == {"ping"}


@pytest.mark.parametrize(
    "error",
    [DeviceSilentError("silent"), StagingError("no"), OperationalError("x", {}, Exception("busy"))],
)
async def test_work_in_the_background_that_fails_is_logged_and_forgotten(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    session = made(Line())
    session.spawn(fail())
    (task,) = session.tasks
    await task
    await asyncio.sleep(0)
    assert session.tasks == set()
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert line.getMessage().startswith(f"device {UUID}: ")


async def test_work_in_the_background_ends_with_its_connection() -> None:
    sessions = Sessions()
    line = Line()
    session = made(line)
    sessions.add(session)
    session.spawn(asyncio.Event().wait())  # type: ignore[arg-type]
    (task,) = session.tasks
    assert sessions.remove(line) == UUID
    async with asyncio.timeout(DEADLINE):
        await asyncio.wait([task])
    assert task.cancelled()


def test_who_is_there_is_told_when_it_comes_and_when_the_last_connection_goes() -> None:
    sessions = Sessions()
    told: list[tuple[str, bool, str]] = []
    sessions.changed = lambda session, *, online, reason: told.append(
        (session.identity.uuid, online, reason)
    )
    first, second, stranger = Line(), Line(), Line()
    one, two = made(first), made(second)
    assert sessions.find(UUID) is None
    with pytest.raises(DeviceOfflineError, match=f"device {UUID} is offline"):
        sessions.get(UUID)
    assert sessions.add(one) is None
    assert sessions.ids() == [5]
    assert sessions.add(two) is one
    assert (sessions.on(first), sessions.on(second), sessions.get(UUID)) == (one, two, two)
    assert told == [(UUID, True, "")]
    assert sessions.remove(stranger, "never there") is None
    assert sessions.remove(first, "replaced") is None
    assert (sessions.on(first), sessions.find(UUID)) == (None, two)
    assert sessions.remove(second, "cut") == UUID
    assert sessions.remove(second, "cut again") is None
    assert told == [(UUID, True, ""), (UUID, False, "cut")]
    assert sessions.ids() == []


def test_the_types_of_what_a_device_described() -> None:
    session = made(Line())
    assert session.types == {}
    session.description = {"resources": [{"name": "volume", "type": "int", "uri": "/volume"}]}
    assert session.types == {"volume": "int"}
