"""The opener of http(s) URLs: what it needs is imported and made when the first one is ordered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from base.clock import TrustedTime
from resources.playing.queue import Queue, Track

if TYPE_CHECKING:
    from resources.online.online import Online

_URL = re.compile("https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OnlineSettings:
    """How stories are fetched.

    Attributes:
        folder: where they are kept.
        networks: those of the family's own that stories may come from, as text
            ("192.168.1.0/24").
        cache_bytes: how much is kept; 0: nothing.
        max_rate: bytes per second of what is read ahead of the player; 0: no limit.
        ca_file: PEM file that https servers must chain to; None: the system's store.
    """

    folder: Path
    networks: Sequence[str] = ()
    cache_bytes: int = 0
    max_rate: int = 0
    ca_file: Path | None = None


class WebOpener:
    """Opens stories and lists on the web, for the teller."""

    def __init__(self, settings: OnlineSettings, clock: TrustedTime) -> None:
        """Open nothing yet; ``clock`` judges the dates of certificates."""
        self._settings = settings
        self._clock = clock
        self._made: Online | None = None

    async def open(self, text: str) -> Queue | None:
        """Return the queue of a URL, None if ``text`` is none; raises RefusedError."""
        return await self._online().open(text) if _URL.match(text) else None

    async def source_for(self, track: Track) -> str:
        """Return the address that the player is given for a track's URL; raises RefusedError."""
        return await self._online().source_for(track)

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """End all transfers."""
        if self._made is not None:
            await self._made.close()

    def _online(self) -> Online:
        if self._made is None:
            # An agent that plays what is on its card needs none of it.
            from resources.online.cache import Cache  # noqa: PLC0415
            from resources.online.online import Online  # noqa: PLC0415
            from resources.online.policy import Policy, parse_networks  # noqa: PLC0415
            from resources.online.upstream import Upstream  # noqa: PLC0415

            settings = self._settings
            policy = Policy(parse_networks(settings.networks, "play.allow_networks"))
            upstream = Upstream(policy, self._clock, ca_file=settings.ca_file)
            cache = Cache(settings.folder, settings.cache_bytes)
            self._made = Online(upstream, cache, max_rate=settings.max_rate)
        return self._made
