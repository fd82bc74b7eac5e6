"""Sentences in the console: the list of a device's outcomes, live notices, and typed sentences.

A stream only notifies the page that there is something new; the page then fetches the list, as it
does for utterances. So a slow browser misses nothing, and a burst of sentences costs it one
request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from staging.console import shapes
from staging.console.call import Call, ConsoleError, text_of
from staging.console.watchers import Watcher
from staging.recognition.service import SENTENCE_LIMIT, Recognition

OUTCOMES_PAGE = 20


async def outcomes(call: Call) -> Response:
    """Return a page of outcomes, newest first, and the ``before`` of the page after it."""
    row, before = call.row, call.query_int("before")
    recognition = call.services.recognition
    if recognition is None:
        return JSONResponse({"recognises": False, "outcomes": [], "next": None})
    recent = recognition.outcomes.recent
    # One more than is shown, to find out whether there is another page.
    since = row.device.family_since
    found = await asyncio.to_thread(recent, row.device.uuid, OUTCOMES_PAGE + 1, before, since)
    shown = [shapes.outcome(entry) for entry in found[:OUTCOMES_PAGE]]
    following = shown[-1]["id"] if len(found) > OUTCOMES_PAGE else None
    return JSONResponse({"recognises": True, "outcomes": shown, "next": following})


async def say(call: Call) -> Response:
    """Carry out a typed sentence and return its outcome, even if the device refused."""
    row, body = call.row, await call.body()
    sentence = text_of(body, "text", limit=SENTENCE_LIMIT)
    if call.services.recognition is None:
        raise ConsoleError(503, "no_recognition", "this server carries out no sentences")
    outcome = await call.services.recognition.say(row.device.uuid, sentence)
    return JSONResponse(shapes.outcome(outcome.to_json()))


@dataclass(slots=True)
class News:
    """Whether a stream must notify its page of outcomes; true at first, for those missed before."""

    waiting: bool

    def take(self) -> bool:
        """Return whether to notify, and reset it."""
        taken, self.waiting = self.waiting, False
        return taken


@contextmanager
def listening(recognition: Recognition | None, watcher: Watcher, uuid: str) -> Iterator[News]:
    """Wake ``watcher`` at each outcome of the device while the block runs."""
    if recognition is None:
        yield News(waiting=False)
        return
    news = News(waiting=True)
    with recognition.outcomes.subscribe(uuid) as feed:

        async def pump() -> None:
            async for _ in feed:
                news.waiting = True
                watcher.note(uuid)

        task = asyncio.create_task(pump())
        try:
            yield news
        finally:
            task.cancel()
