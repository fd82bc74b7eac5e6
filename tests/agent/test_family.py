"""What the agent does about its family: a token that is on the disk before the answer, and a family that has gone."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from agent.family import FamilyRoom
from agent.first.bind_token import FILE_NAME, shown_profile
from agent.logs import REDACTED, RedactingFormatter, add_secret
from agent.voice.sender import Utterance
from agent.voice.session import End, Session
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import make_profile
from wire.codes import Code
from wire.exchange import Request
from wire.family import FAMILY_PATH, Family, Why

NEW = "0123456789abcdef0123456789abcdef"
NOW = 1.8e9


def put(family: Family | bytes, method: str = "PUT") -> Request:
    payload = family if isinstance(family, bytes) else family.to_payload()
    return Request(method, FAMILY_PATH, payload=payload)


class House:
    """A machine's family room, and what it was told to forget."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.secrets: list[str] = []
        self.forgotten = 0
        self.room = FamilyRoom(make_profile(1, ""), state, lambda: NOW, self.secrets.append)
        self.room.forget = self.forget

    async def forget(self) -> None:
        self.forgotten += 1

    async def entries(self) -> list[dict[str, Any]]:
        shown: Any = await self.room.ledger.shown()
        return list(shown["entries"])


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_a_new_token_is_on_the_disk_before_it_is_answered(house: House) -> None:
    answer = await house.room.handle(put(Family(NEW, voice_days=30)))
    assert answer.code == Code.CHANGED
    assert shown_profile(make_profile(1, ""), house.state).bind_token == NEW
    assert house.secrets[-1] == NEW
    shown: Any = await house.room.ledger.shown()
    assert shown["days"] == 30


async def test_a_card_that_takes_nothing_is_told_to_the_cloud(tmp_path: Path) -> None:
    house = House(tmp_path / "none")
    answer = await house.room.handle(put(Family(NEW)))
    assert (answer.code, answer.text) == (
        Code.SERVICE_UNAVAILABLE, "family: No such file or directory",
    )  # fmt: skip
    assert house.room.bind_token.profile.bind_token != NEW


async def test_a_family_that_has_gone_is_forgotten_once(house: House) -> None:
    house.room.note_session(Session(End.NOTHING))
    await house.room.close()
    since = int(NOW * 1000) + 5
    for _ in range(2):
        await house.room.handle(put(Family(NEW, since)))
    assert (house.forgotten, await house.entries()) == (1, [])


async def test_a_family_whose_order_is_broken_off_is_forgotten_by_the_next_try(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.room.note_session(Session(End.NOTHING))
    await house.room.close()
    order = put(Family(NEW, int(NOW * 1000) + 5))
    begun, forget = asyncio.Event(), house.room.ledger.forget

    async def hang(_until: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(house.room.ledger, "forget", hang)
    handling = asyncio.create_task(house.room.handle(order))
    await begun.wait()
    handling.cancel()
    await asyncio.wait([handling])
    monkeypatch.setattr(house.room.ledger, "forget", forget)
    await house.room.handle(order)
    assert (house.forgotten, await house.entries()) == (1, [])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (put(b"{"), Code.BAD_REQUEST),
        (put(b'{"bindToken": "x"}'), Code.BAD_REQUEST),
        (put(Family(NEW), "GET"), Code.METHOD_NOT_ALLOWED),
    ],
)
async def test_what_is_no_family_changes_nothing(
    house: House, request_: Request, code: Code
) -> None:
    assert (await house.room.handle(request_)).code == code
    assert not (house.state / FILE_NAME).exists()


async def test_the_ledger_has_each_time_that_the_microphone_was_open(house: House) -> None:
    link = MemoryLink()
    running = asyncio.create_task(house.room.run(link))
    await asyncio.sleep(0)
    heard = Session(
        End.SENT, id=10_001, why=Why.WORD, open_seconds=4.26, spoken_seconds=1.2, size=630,
        elapsed=10.0,
    )  # fmt: skip
    house.room.note_session(heard)
    house.room.note_session(Session(End.CANCELLED, open_seconds=2.0))
    house.room.note_file(Utterance(10_002, 4, 1.0, cut=False, size=99))
    await house.room.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    found = await house.entries()
    told = [(e["why"], e["open"], e["seconds"], e["bytes"], e["utterance"], e["to"]) for e in found]
    assert sorted(told, key=str) == sorted(
        [
            ("word", 4.3, 1.2, 630, 10_001, "memory"),
            ("button", 2.0, 0.0, 0, None, ""),
            ("file", 0.0, 1.0, 99, 10_002, "memory"),
        ],
        key=str,
    )
    first = next(entry for entry in found if entry["why"] == "word")
    assert first["at"] == int(NOW) - 10


def test_a_token_that_was_learned_is_in_no_log_from_then_on() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter("%(message)s", ["old-secret"]))
    logging.getLogger().addHandler(handler)
    try:
        add_secret(NEW)
        record = logging.LogRecord("x", 20, "", 0, "%s and old-secret", (json.dumps(NEW),), None)
        assert handler.format(record) == f'"{REDACTED}" and {REDACTED}'
    finally:
        logging.getLogger().removeHandler(handler)
