"""The opener of http(s) URLs: what it needs is imported and made when the first one is ordered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from base.clock import TrustedTime
from resources.playing.queue import Queue, Track
from wire.records import dataclass

if TYPE_CHECKING:
    from resources.online.online import Online

# Seconds. What a child orders first goes before the fetching of what is pinned; and the wait after a round: not all
# could be fetched, or a server has another story by now and the one that was kept is left out.
FIRST_SECONDS = 60.0
AGAIN_SECONDS = 900.0
# As in resources.online.cache, which is not imported for a machine that keeps nothing.
PINS = "pins.json"

_URL = re.compile("https?://", re.IGNORECASE)

_log = logging.getLogger(__name__)


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
        self.is_silent: Callable[[], bool] = lambda: False
        """Returns whether no title is on the player, nor about to be."""
        self._made: Online | None = None
        self._pinned = asyncio.Event()

    async def open(self, text: str) -> Queue | None:
        """Return the queue of a URL, None if ``text`` is none; raises RefusedError."""
        return await self._online().open(text) if _URL.match(text) else None

    async def source_for(self, track: Track) -> str:
        """Return the address that the player is given for a track's URL; raises RefusedError."""
        return await self._online().source_for(track)

    def why_cut(self, track: Track) -> str | None:
        """Return why what the player was given of a track ended early, as `Online.why_cut` does; None: it did not."""
        return None if self._made is None or track.is_file else self._made.why_cut(track)

    async def keep(self, url: str, *, pinned: bool) -> None:
        """Keep the story at ``url`` on the disk, or treat it as any other again.

        Raises:
            RefusedError: it is no URL, or no more can be kept.
            UnavailableError: the disk fails.
        """
        await self._online().keep(url, pinned=pinned)
        self._pinned.set()

    async def run(self) -> None:
        """Fetch what is pinned and missing while nothing from the web plays, until cancelled."""
        if not await asyncio.to_thread(_may_be_file, self._settings.folder / PINS):
            await self._pinned.wait()
        while True:
            self._pinned.clear()
            await asyncio.sleep(FIRST_SECONDS)
            is_any = await self._fetch_pinned()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS if is_any else None):
                    await self._pinned.wait()

    async def _fetch_pinned(self) -> bool:
        """Fetch what is missing; return whether to look again: a disk that fails is tried again."""
        try:
            return await self._online().fetch_pinned(is_silent=self.is_silent())
        except OSError as error:
            _log.warning("play: what is pinned cannot be fetched: %s", error)
            return True

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


def _may_be_file(path: Path) -> bool:
    """Return whether there is a file; a folder that cannot be read may hold one."""
    try:
        return path.is_file()
    except OSError:
        return True
