"""What the agent holds of the family: the bind token that it shows, and the ledger of the child's voice.

The ledger's modules are imported at the first use: a start, and a machine that never listens, pay for none of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.first.bind_token import BindToken
from agent.link import Link
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer, Request
from wire.profile import Profile

if TYPE_CHECKING:
    from agent.voice.ledger import Ledger
    from agent.voice.ledger_book import Entry
    from agent.voice.sender import Utterance
    from agent.voice.session import Session

Forget = Callable[[], Awaitable[object]]
"""Forgets what was heard: the places where stories were left."""

_log = logging.getLogger(__name__)


class FamilyRoom:
    """The family of one machine, as far as the machine knows it."""

    def __init__(
        self,
        profile: Profile,
        state: Path,
        now: Callable[[], float],
        add_secret: Callable[[str], None] = lambda _secret: None,
    ) -> None:
        """Begin with what is in ``state``; ``add_secret`` is told of each bind token that no log may have."""
        self.bind_token = BindToken(profile, state)
        self._state = state
        self._now = now
        self._add_secret = add_secret
        self._ledger: Ledger | None = None
        self._link: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.forget: Forget = _forget_nothing
        """Set by the agent; called when a family has gone."""
        add_secret(self.bind_token.profile.bind_token)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the child's voice."""
        if self._ledger is None:
            from agent.voice.ledger import Ledger  # noqa: PLC0415  # see the module's head

            self._ledger = Ledger(self._state, self._now)
        return self._ledger

    async def handle(self, request: Request) -> Answer:
        """Serve ``PUT /family`` of the cloud (`wire.family`)."""
        from wire.family import parse_family  # noqa: PLC0415  # once in a connection

        if request.method != "PUT":
            return Answer(Code.METHOD_NOT_ALLOWED, b"family: only PUT")
        try:
            family = parse_family(request.payload)
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        if family.bind_token is not None:
            self._add_secret(family.bind_token)
        if family.since is not None and self.bind_token.is_news(family.since):
            # Before it is noted: whatever ends this in between, the cloud's next try does it once more.
            await self.ledger.forget(family.since / 1000)
            await self.forget()
            _log.info("family: it was unbound, what was heard is forgotten")
        try:
            await asyncio.to_thread(self.bind_token.take, family)
        except OSError as error:
            return Answer.from_text(Code.SERVICE_UNAVAILABLE, f"family: {error.strerror}")
        if family.voice_days is not None:
            await self.ledger.note_days(family.voice_days)
        return Answer(Code.CHANGED)

    async def run(self, link: Link) -> None:
        """Have the cloud erase what waits, until cancelled."""
        self._link = link
        await link.registered.wait()
        await self.ledger.run(link)

    def note_session(self, session: Session) -> None:
        """Enter how one time of listening went."""
        from agent.voice.ledger_book import Entry  # noqa: PLC0415  # see the module's head

        self._enter(Entry(
            0, int(self._now() - session.elapsed), session.why, open=round(session.open_seconds, 1),
            seconds=round(session.spoken_seconds, 2), bytes=session.size, utterance=session.id,
            end=session.end, to=self._server(session.id),
        ))  # fmt: skip

    def note_file(self, sent: Utterance) -> None:
        """Enter a sound that came from a file."""
        from agent.voice.ledger_book import Entry  # noqa: PLC0415  # see the module's head
        from wire.family import Why  # noqa: PLC0415

        self._enter(Entry(
            0, int(self._now() - sent.seconds), Why.FILE, seconds=round(sent.seconds, 2),
            bytes=sent.size, utterance=sent.id, end="sent" if sent.whole else "lost", to=self._server(sent.id),
        ))  # fmt: skip

    def _server(self, utterance: int | None) -> str:
        """Return who may have an utterance: also segments that were not acknowledged may have arrived."""
        return "" if utterance is None or self._link is None else self._link.status.server

    def _enter(self, entry: Entry) -> None:
        task = asyncio.create_task(self.ledger.add(entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until all that was entered is on the disk."""
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _forget_nothing() -> None:
    return
