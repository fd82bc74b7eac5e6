"""What has happened to this machine, for whoever helps later: orders, the link, buttons, reports, starts and ends.

One JSON object a line in ``events.jsonl`` of the state folder, with the time; `story-agent diag` carries it, and
``make replay`` runs it again in the simulation (docs/simulation.md). Bounded: the file before is kept as
``events.old.jsonl``, older ones go. No title, address or free text is in it: a story is "title 3", the third that this
process was asked for. It is written some seconds late and is not synced: a card has no write of its own for each event,
and a power cut may take the last ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from wire.codes import Code, dotted
from wire.exchange import Answer

FILE_NAME, OLD_NAME = "events.jsonl", "events.old.jsonl"
# Bytes at which a file becomes the old one: both are some 4,000 events.
FILE_MAX = 192 * 1024
# Events that wait for the card; a card that takes nothing costs the oldest.
WAITING_MAX = 400
# Seconds in which events gather for one write.
GATHER_SECONDS = 10.0
# Seconds for which the agent's end waits for a card that hangs.
WRITE_SECONDS = 5.0
# Titles that are told apart, and characters of a value.
TITLES_MAX, VALUE_MAX = 500, 80
# Data points whose values are numbers, times and words of ours.
_PLAIN = frozenset({
    "volume", "play_mode", "sleep_timer", "child_lock", "microphone", "volume_limits", "switch",
    "rules", "night",
})  # fmt: skip
_VALUE = re.compile(rf"[a-z0-9 :;_.,-]{{0,{VALUE_MAX}}}")
# Orders for the player; all else that `play` is set to names a story.
_WORDS = frozenset({"stop", "next", "previous", "pause", "resume"})


Asked = TypeVar("Asked")


class EventJournal:
    """The journal of one machine; `run` it, and `close` it at the end."""

    def __init__(self, state: Path, now: Callable[[], float]) -> None:
        """Write into the folder ``state``; ``now`` is the time of day, Unix seconds."""
        self._path, self._old = state / FILE_NAME, state / OLD_NAME
        self._now = now
        self._waiting: deque[str] = deque(maxlen=WAITING_MAX)
        self._lost = 0
        self._some = asyncio.Event()
        self._titles: dict[str, int] = {}
        self._link = ""
        self._writing: asyncio.Task[None] | None = None

    def note(self, what: str, **members: str | int | bool) -> None:
        """Note an event; ``members`` must hold nothing that is secret or the family's."""
        if len(self._waiting) == WAITING_MAX:
            self._lost += 1
        told = {"at": round(self._now(), 2), "what": what, **members}
        self._waiting.append(json.dumps(told))
        self._some.set()

    def note_order(self, name: str, text: str, answer: Answer, *, local: bool) -> None:
        """Note an order for a data point, and its answer's code; of its value what may be told."""
        members: dict[str, str] = {}
        if answer.code is Code.CHANGED and (value := self._value_of(name, text)):
            members["value"] = value
        known = name if answer.code is not Code.NOT_FOUND else "?"
        self.note("order", by="hand" if local else "cloud", name=known, code=dotted(answer.code), **members)  # fmt: skip

    def noting(
        self,
        status: Callable[[], Mapping[str, object]],
        what: str,
        serve: Callable[[Asked], Awaitable[Answer]],
    ) -> Callable[[Asked], Awaitable[Answer]]:
        """Return ``serve`` of the updater; its answers are noted, with the version that ``status`` tells then."""

        async def noted(asked: Asked) -> Answer:
            answer = await serve(asked)
            version = str(status().get("version") or "")[:VALUE_MAX]
            self.note(what, code=dotted(answer.code), version=version)
            return answer

        return noted

    def note_link(self, *, is_up: bool, phase: str = "") -> None:
        """Note that the link is up, or down in ``phase``; the same again is nothing new."""
        now = "up" if is_up else phase
        if now != self._link:
            self._link = now
            self.note("link", up=is_up, **({} if is_up else {"phase": phase}))

    def _value_of(self, name: str, text: str) -> str:
        if name in {"play", "player"}:
            if text in _WORDS:
                return text
            return self._title_of(text) if name == "play" else ""
        return text if name in _PLAIN and _VALUE.fullmatch(text) else ""

    def _title_of(self, text: str) -> str:
        if text not in self._titles and len(self._titles) < TITLES_MAX:
            self._titles[text] = len(self._titles) + 1
        return f"title {self._titles.get(text, 0)}"

    async def run(self) -> None:
        """Write what gathers, until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._some.clear()
            await self.close()

    async def close(self) -> None:
        """Write what waits; a card that does not take it is no fault: it is tried with the next."""
        # A write whose caller was cancelled goes on in its thread: its lines would be written once more.
        if self._writing is not None and not await _is_over(self._writing):
            return
        self._writing = asyncio.create_task(self._write())
        await _is_over(self._writing)

    async def _write(self) -> None:
        lines, lost = list(self._waiting), self._lost
        if not lines:
            return
        is_written = await asyncio.to_thread(self._append, lines, lost)
        if is_written:
            # What came meanwhile may have pushed some of these out: they are written all the same, and not lost.
            for line in lines:
                if self._waiting and self._waiting[0] == line:
                    self._waiting.popleft()
                else:
                    self._lost -= 1
            self._lost -= lost

    def _append(self, lines: Sequence[str], lost: int) -> bool:
        """Append lines in one write; return whether the card took them."""
        if lost:
            lines = [json.dumps({"what": "lost", "count": lost}), *lines]
        try:
            if _size(self._path) > FILE_MAX:
                self._path.replace(self._old)
            # A pipe of that name, on a card that is spoilt, would be waited for.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return True


async def _is_over(writing: asyncio.Task[None]) -> bool:
    """Wait for a write, but not for ever: nothing waits for a card that hangs, for the journal's sake."""
    done, _ = await asyncio.wait([writing], timeout=WRITE_SECONDS)
    return bool(done)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
