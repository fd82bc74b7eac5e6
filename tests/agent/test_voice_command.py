"""``story-agent voice`` against the agent's own routes: what a parent reads, and what is ordered."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.family import FamilyRoom
from agent.local import SOCKET_NAME
from agent.local.ledger import ledger_routes
from agent.local.server import LocalServer
from agent.local.sockets import unix_socket
from agent.local.web import Site
from agent.voice.ledger_book import Entry
from tests.agent.parts import make_profile

AT = 1_800_000_000


class Agent:
    """The ledger's routes on a socket, in a thread: the command blocks."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._opened = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._opened.wait(20)

    async def _serve(self) -> None:
        room = FamilyRoom(make_profile(1, ""), self.state, lambda: AT + 60.0)
        ledger = room.ledger
        await ledger.note_days(30)
        await ledger.add(Entry(0, AT, "button", open=4.2, end="nothing"))
        await ledger.add(Entry(0, AT, "word", open=6.0, seconds=1.5, bytes=945, utterance=10_001, end="sent", to="cloud:9001"))  # fmt: skip
        self._server = LocalServer(Site(ledger_routes(room)))
        with unix_socket(self.state / SOCKET_NAME) as bound:
            bound.listen()
            self._loop = asyncio.get_running_loop()
            self._opened.set()
            await self._server.serve([bound])

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(
            self._server.stop
        )  # a loop that nothing else wakes would sleep on
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path)
    yield made
    made.stop()


def voice(agent: Agent, capsys: Any, *words: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it prints."""
    code = main(["voice", *words, "--state", str(agent.state)])
    told = capsys.readouterr()
    return code, told.out + told.err


def test_a_parent_reads_why_and_where_to_and_erases_it(agent: Agent, capsys: Any) -> None:
    code, text = voice(agent, capsys)
    word, button = text.splitlines()
    assert code == 0
    assert word.startswith("2 ")
    assert "the wake word; the microphone was open for 6.0 s; 1.5 s of speech, 945 bytes" in word
    assert "to cloud:9001 [the cloud deletes it on " in word
    assert button.endswith(
        "the talk button; the microphone was open for 4.2 s; no sound left the machine"
    )
    code, text = voice(agent, capsys, "erase", "2")
    assert (code, text.splitlines()[0]) == (0, "1 to be erased")
    assert "1 wait for the cloud" in text
    assert "[waits to be erased: it is done when the cloud is there]" in voice(agent, capsys)[1]
    assert json.loads(voice(agent, capsys, "--json")[1])["entries"][0]["erased"] == "waiting"
    assert voice(agent, capsys, "erase", "all")[1].splitlines()[0] == "1 to be erased"
    zh = voice(agent, capsys, "--lang", "zh")[1]
    assert "听到唤醒词；麦克风开了 6.0 秒" in zh


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("erase",), "got -, expected numbers of list, or all"),
        (("erase", "x"), "got x, expected numbers of list, or all"),
        (("erase", "1", "all"), "got 1 all, expected numbers of list, or all"),
        (("list", "1"), "list takes no numbers"),
        (("erase", "9"), "id: got 9, expected an entry of the ledger"),
    ],
)
def test_what_is_wrong_is_told(
    agent: Agent, capsys: Any, words: tuple[str, ...], told: str
) -> None:
    code, text = voice(agent, capsys, *words)
    assert (code, told in text) == (1, True)
