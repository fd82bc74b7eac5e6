"""What the cloud says to the ear: answers, which always may come, and the wish to listen, which must be allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.routes import cloud_handler
from agent.voice.cloud import cloud_routes
from agent.voice.ears import Ears
from machine.microphone_switch import MicrophoneSwitch
from resources.dispatch import Dispatch
from tests.agent.test_routes import Updater, ignore
from tests.agent.voice.test_ears import is_listening, make
from wire.abilities import ANSWER_PATH, LISTEN_PATH
from wire.answers import Result, UtteranceAnswer
from wire.codes import Code
from wire.exchange import Answer, Handler, Request


def handler(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> tuple[Handler, Ears, MicrophoneSwitch]:
    ears, switch = make(path, monkeypatch)
    others = cloud_routes(ears, remote=remote)
    updater = Updater()
    handle = cloud_handler(Dispatch([], ignore), updater.take_order, updater.cancel, others)
    return handle, ears, switch


def listen(action: bytes = b"start") -> Request:
    return Request("POST", LISTEN_PATH, payload=action)


@pytest.mark.parametrize(
    ("method", "payload", "code"),
    [
        ("PUT", UtteranceAnswer(10001, Result.DONE).to_payload(), Code.CHANGED),
        ("PUT", b"{}", Code.BAD_REQUEST), ("PUT", b"\xff", Code.BAD_REQUEST),
        ("GET", b"", Code.METHOD_NOT_ALLOWED), ("POST", b"{}", Code.METHOD_NOT_ALLOWED),
    ],
)  # fmt: skip
async def test_an_answer_is_read_even_by_a_machine_that_has_heard_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, payload: bytes, code: Code
) -> None:
    handle, *_ = handler(tmp_path, monkeypatch, remote=False)
    assert (await handle(Request(method, ANSWER_PATH, payload=payload))).code == code


async def test_nobody_far_away_opens_the_microphone_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, ears, _ = handler(tmp_path, monkeypatch, remote=False)
    answer = await handle(listen())
    assert answer.code == Code.FORBIDDEN
    assert "voice.remote_listen" in answer.text
    assert not ears.listens


async def test_the_cloud_begins_and_ends_listening_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, ears, switch = handler(tmp_path, monkeypatch, remote=True)
    async with asyncio.timeout(30):
        assert (await handle(listen(b"cancel"))).text == "it did not listen"
        assert await handle(listen()) == Answer(Code.CHANGED)
        assert is_listening(ears)
        again = await handle(listen())
        assert (again.code, again.text) == (Code.CONFLICT, "listen: the machine is opening already")
        assert await handle(listen(b"cancel")) == Answer(Code.CHANGED, b"cancelled")
        assert not is_listening(ears)
        assert (await handle(listen(b"please"))).code == Code.BAD_REQUEST
        assert (await handle(Request("GET", LISTEN_PATH))).code == Code.METHOD_NOT_ALLOWED
        await switch.set(on=False)
        muted = await handle(listen())
        assert (muted.code, muted.text) == (Code.FORBIDDEN, "listen: muted")


async def test_the_parents_hours_hold_for_the_cloud_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, ears, _ = handler(tmp_path, monkeypatch, remote=True)
    monkeypatch.setattr(ears.gate, "refusal", lambda: "listening: only from 08:00 to 20:00")
    answer = await handle(listen())
    assert answer.code == Code.FORBIDDEN
    assert answer.text == "listen: refused: listening: only from 08:00 to 20:00"
