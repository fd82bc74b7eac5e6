"""Recording a take of a wake word obeys what closes the microphone: the switch, the parents' rules, the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.local.client import AgentUnreachableError, LocalAnswer
from agent.settings import Settings
from agent.voice import wake_record
from agent.voice.wake_record import LentMicrophone
from audio.vad import BLOCK_BYTES
from machine.button_settings import LightSettings
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.light import Light
from machine.microphone import Take
from resources.announce.settings import Language


class Ear:
    """A microphone that gives quiet blocks without end."""

    made: list[Ear]

    def __init__(self, _back_end: object, light: Light | None = None) -> None:
        self.light, self.is_open = light, False
        self.made.append(self)

    async def keep_open(self, take: Take, _tell: Callable[..., None]) -> None:
        self.is_open = True
        try:
            while True:
                take(bytes(BLOCK_BYTES))
                await asyncio.sleep(0)
        finally:
            self.is_open = False


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> list[Ear]:
    Ear.made = []

    async def silent(*_args: object) -> None:
        return

    monkeypatch.setattr(wake_record, "Microphone", Ear)
    monkeypatch.setattr(ProgramCuePlayer, "play", silent)
    monkeypatch.setattr(wake_record, "SWITCH_SECONDS", 0.001)
    monkeypatch.setattr(wake_record, "TAKE_SECONDS", 0.01)
    return Ear.made


def lent(state: Path, answer: LocalAnswer | None = None, **settings: object) -> LentMicrophone:
    made = LentMicrophone(Settings(**settings), state, Language.ENGLISH)  # type: ignore[arg-type]

    def request(_method: str, _target: str, _body: bytes) -> LocalAnswer:
        if answer is None:
            raise AgentUnreachableError("no agent runs")
        return answer

    made._client.request = request  # type: ignore[method-assign,assignment]
    return made


@pytest.mark.parametrize("answer", [None, LocalAnswer(200, b"{}"), LocalAnswer(404, b"")])
def test_a_take_is_recorded_with_the_light_on(
    tmp_path: Path, ears: list[Ear], answer: LocalAnswer | None
) -> None:
    assert lent(tmp_path, answer, light=LightSettings(led="x")).record()
    (ear,) = ears
    assert ear.light is not None
    assert ear.light.name == "led x"
    assert not ear.is_open


@pytest.mark.parametrize(
    ("answer", "listens"),
    [
        (None, False),
        (LocalAnswer(200, b'{"listening":true}'), True),
        (LocalAnswer(200, b'{"listening":false}'), False),
        (LocalAnswer(404, b"true"), False),
    ],
)
def test_who_gives_the_microphone_back_learns_whether_the_agent_listens(
    tmp_path: Path, answer: LocalAnswer | None, *, listens: bool
) -> None:
    assert lent(tmp_path, answer).give_back() is listens


def test_rules_are_the_agents_business_where_it_lends(tmp_path: Path, ears: list[Ear]) -> None:
    """It has asked them itself, and may know of minutes that a parent has just given."""
    (tmp_path / "listening_rules.json").write_text(
        '{"format":1,"rules":"daily 0","bonus":{},"night":{}}'
    )
    assert lent(tmp_path, LocalAnswer(200, b"{}")).record()
    assert ears


@pytest.mark.parametrize("status", [403, 409])
def test_an_agent_that_says_no_is_obeyed(tmp_path: Path, ears: list[Ear], status: int) -> None:
    with pytest.raises(UnavailableError, match="does not lend the microphone: wake: quiet"):
        lent(tmp_path, LocalAnswer(status, b"wake: quiet hours\n")).record()
    assert not ears


@pytest.mark.parametrize("answer", [None, LocalAnswer(404, b"")])
def test_the_parents_rules_hold_without_an_agent(
    tmp_path: Path, ears: list[Ear], answer: LocalAnswer | None
) -> None:
    (tmp_path / "listening_rules.json").write_text(
        '{"format":1,"rules":"daily 0","bonus":{},"night":{}}'
    )
    with pytest.raises(UnavailableError, match="The parents' rules: listening: "):
        lent(tmp_path, answer).record()
    assert not ears


def test_the_switch_ends_a_take(
    tmp_path: Path, ears: list[Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake_record, "TAKE_SECONDS", 30.0)
    keep_open = Ear.keep_open

    async def turned_off(ear: Ear, take: Take, tell: Callable[..., None]) -> None:
        asyncio.get_running_loop().call_later(0.005, (tmp_path / "microphone-off").touch)
        await keep_open(ear, take, tell)

    monkeypatch.setattr(Ear, "keep_open", turned_off)
    with pytest.raises(UnavailableError, match="The microphone is off"):
        lent(tmp_path, LocalAnswer(200, b"{}")).record()
    (ear,) = ears
    assert not ear.is_open
    with pytest.raises(UnavailableError, match="The microphone is off"):
        lent(tmp_path, LocalAnswer(200, b"{}")).record()
    assert len(ears) == 1
