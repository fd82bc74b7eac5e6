"""``POST /wake``: over the agent's socket only, and harmless on a machine without a wake word."""

from __future__ import annotations

import json

import pytest

from agent.local.wake import wake_routes
from agent.local.web import Message, Request


class Lent:
    """What `Ears` is to the route."""

    def __init__(
        self, *, on: bool = True, listens: bool = False, reason: str | None = None
    ) -> None:
        self.log: list[str] = []
        self.reason = reason
        self.listens = listens
        self.wake = self if on else None

    def refusal(self) -> str | None:
        return self.reason

    async def pause(self) -> None:
        self.log.append("pause")

    def words_changed(self) -> None:
        self.log.append("again")


async def ask(
    ears: Lent, body: bytes, *, client: tuple[str, int] | None = None
) -> tuple[int, bytes]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/wake",
        "headers": [],
        "client": client,
    }
    (route,) = wake_routes(ears)  # type: ignore[arg-type]
    answer = await route.endpoint(Request(scope, receive))
    return answer.status_code, bytes(answer.body)


@pytest.mark.parametrize("action", ["pause", "again"])
async def test_each_action_reaches_who_listens(action: str) -> None:
    ears = Lent()
    status, body = await ask(ears, action.encode())
    assert (status, json.loads(body)) == (200, {"on": True})
    assert ears.log == [action]


@pytest.mark.parametrize("action", ["pause", "again"])
async def test_without_a_wake_word_nothing_happens(action: str) -> None:
    status, body = await ask(Lent(on=False), action.encode())
    assert (status, json.loads(body)) == (200, {"on": False})


async def test_nobody_takes_the_microphone_from_who_speaks() -> None:
    ears = Lent(listens=True)
    status, _body = await ask(ears, b"pause")
    assert status == 409
    assert ears.log == []


async def test_a_microphone_that_must_stay_closed_is_not_lent() -> None:
    ears = Lent(on=False, reason="listening: quiet hours")
    assert await ask(ears, b"pause") == (403, b"wake: listening: quiet hours\n")
    assert (await ask(ears, b"again"))[0] == 200


async def test_another_action_is_refused_by_name() -> None:
    status, body = await ask(Lent(), b"open")
    assert status == 400
    assert b'got "open"' in body


async def test_a_port_cannot_take_the_microphone() -> None:
    ears = Lent()
    status, _body = await ask(ears, b"pause", client=("127.0.0.1", 5))
    assert status == 403
    assert ears.log == []
