"""One story being fetched: readers wait for bytes, and one transfer at a time brings them.

The transfer starts where a reader waits and the store has nothing, goes on a little ahead of it, and
begins again by Range where it was cut. A server without ranges sends all again; what is there already
is passed over. Nothing that the store holds is fetched twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from base.backoff import Backoff
from machine.errors import ResourceError, UnavailableError
from resources.online.policy import Target
from resources.online.stores import InMemory, Store, on_disk
from resources.online.upstream import (
    PIECE,
    CircleError,
    CutError,
    Facts,
    Response,
    StatusError,
    Upstream,
)

# Tries in a row that brought nothing, and the seconds before each. Few, since an order must be answered
# in time, and the player asks again itself when it has played what it has (machine.progress).
BACK_OFF = (0.0, 0.3)
# Seconds before a transfer goes on that was cut after a few bytes (fewer than `PIECE`): the first pause, and the longest. One that
# brought more goes on at once.
CUT_FIRST_SECONDS, CUT_MAX_SECONDS = 0.3, 5.0
# A reader that jumps ahead by less than this waits for the transfer instead of a new one.
JUMP = 256 * 1024
# Bytes that a player must have ahead before the limit of the rate counts.
NEED = 512 * 1024
# A failure of what is read ahead is tried again after this.
RETRY_SECONDS = 5.0
# A player closes its connection to seek. What nobody reads any more is fetched no longer than this.
LINGER_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ChangedError(UnavailableError):
    """The server has other bytes than those that were read before."""


class Story:
    """Bytes of one address; `close` it."""

    def __init__(
        self,
        target: Target,
        upstream: Upstream,
        facts: Facts,
        store: Store,
        pending: tuple[Response, int] | None = None,
        *,
        max_rate: int = 0,
        on_change: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetch ``target`` into ``store``.

        Args:
            target: the address as ordered; redirects are followed each time.
            upstream: opens transfers.
            facts: what the server, or the record of the kept story, says.
            store: may hold bytes already.
            pending: a transfer that is open, and the byte that it gives next.
            max_rate: bytes per second of what is read ahead; 0: no limit.
            on_change: called in a thread when the server has other bytes than the store.
            clock: returns monotonic seconds.
        """
        self._target = target
        self._upstream = upstream
        self.facts = facts
        self.size = facts.size
        self._store = store
        self._pending = pending
        self._max_rate = max_rate
        self._on_change = on_change
        self._clock = clock
        self.broke_off = ""
        """Why the last transfer to a player that knows no length ended early; "": it did not."""
        self._want = 0
        self._ahead = store.ahead
        self._readers = 0
        self._failure: ResourceError | None = None
        self._failed_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        # Set and replaced whenever bytes come, and whenever a reader goes on.
        self._came = asyncio.Event()
        self._went = asyncio.Event()

    @property
    def is_read(self) -> bool:
        """Whether a player reads it, or paused while it did."""
        return self._readers > 0

    @property
    def is_idle(self) -> bool:
        """Whether no player reads it, nor was about to in the last seconds, and nothing of it is fetched."""
        waits = self._linger is not None and self._linger.when() > asyncio.get_running_loop().time()
        return not (self._readers or waits or self._task is not None)

    async def read(self, at: int, limit: int = PIECE) -> bytes:
        """Return up to ``limit`` bytes from ``at`` on, b"" at the end; waits for them.

        Raises:
            ResourceError: they cannot be fetched.
        """
        while self.size is None or at < self.size:
            self._want = at
            self._went.set()
            held = self._store.run(at)
            if held and self._clock() - self._failed_at >= RETRY_SECONDS:
                self._failure = None  # of reading ahead: the network may be back
            if held < self._ahead // 2:
                self._ensure_transfer()
            if held:
                try:
                    return await self._store.read(at, limit)
                except OSError as error:
                    await self._lose_store(error)
                    continue
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            await self._came.wait()
        return b""

    async def fetch_all(self) -> None:
        """Fetch what is missing, for later.

        Raises:
            ResourceError: it cannot be fetched or kept, or a player reads it now.
        """
        if self._linger is not None:
            self._linger.cancel()
        while self.size is None or self._store.run(0) < self.size or not self._store.keeps_all:
            if self.size is None or not self._store.keeps_all or self.is_read:
                raise UnavailableError("play: there is no room for it, or it plays now")
            self._want, self._ahead = 0, self.size
            self._ensure_transfer()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            await self._came.wait()
        self._ahead = self._store.ahead

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Note a reader; when the last one has gone, the transfer ends soon."""
        self._readers += 1
        self._ahead = self._store.ahead
        if self._linger is not None:
            self._linger.cancel()
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self.rest(LINGER_SECONDS)

    def rest(self, seconds: float = 0.0) -> None:
        """End the transfer after ``seconds`` unless somebody reads by then."""
        self._linger = asyncio.get_running_loop().call_later(seconds, self._end_transfer)

    async def close(self) -> None:
        """End the transfer, and close the store."""
        if self._linger is not None:
            self._linger.cancel()
        self._drop_pending()
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._store.close()

    def _end_transfer(self) -> None:
        if not self._readers:
            self._drop_pending()
            if self._task is not None:
                self._task.cancel()

    def _drop_pending(self) -> None:
        if self._pending is not None:
            self._pending[0].close()
            self._pending = None

    def _ensure_transfer(self) -> None:
        if self._task is None and self._failure is None and self._goal() is not None:
            self._task = asyncio.create_task(self._fetch())

    def _goal(self) -> int | None:
        """Return the first byte that is missing near the reader, None if none is."""
        gap = self._want + self._store.run(self._want)
        if self.size is not None and gap >= self.size:
            return None
        return gap if gap - self._want < self._ahead else None

    async def _fetch(self) -> None:
        """Transfer what is missing; the failure of the last try is the readers'."""
        tries, pauses = 0, Backoff(CUT_MAX_SECONDS, first=CUT_FIRST_SECONDS)
        try:
            while (at := self._goal()) is not None:
                try:
                    await self._transfer(at)
                except ResourceError as error:
                    brought = self._store.run(at)
                    tries = 0 if brought else tries
                    if tries == len(BACK_OFF) or _is_final(error):
                        _log.warning("play: %s: %s", self._target.shown, _detail(error))
                        self._failure, self._failed_at = error, self._clock()
                        return
                    if brought >= PIECE:
                        pauses.reset()
                    await asyncio.sleep(pauses.next() if 0 < brought < PIECE else BACK_OFF[tries])
                    tries += 1
        finally:
            self._task = None
            self._tell()
            with contextlib.suppress(OSError):
                await self._store.sync()

    async def _transfer(self, at: int) -> None:
        """Fetch from byte ``at`` on until a reader needs something else, or the end."""
        response, place = await self._open(at)
        try:
            while data := await response.read():
                await self._hold(place, data)
                place += len(data)
                self._tell()
                if not await self._goes_on(place, ranges=response.facts.ranges):
                    return
        finally:
            response.close()
        if self.size is None:
            self.size = place
        elif place < self.size:
            raise CutError(f"{place} of {self.size} bytes")

    async def _open(self, at: int) -> tuple[Response, int]:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            if pending[1] == at:
                return pending
            pending[0].close()
        response = await self._upstream.open(self._target, start=at, validator=self.facts.validator)
        old, new = self.facts, response.facts
        if _is_other(old, new):
            response.close()
            await self._begin_anew(new)
        if old.size is None and new.size is not None:
            self.facts, self.size = new, new.size
        # A stream without end goes on where it is now; what has a mark is a story, whoever tells its length.
        is_story = old.size is not None or bool(new.validator)
        return response, response.start if is_story else at

    async def _begin_anew(self, facts: Facts) -> None:
        """Forget the bytes of the old story; the readers fail, and the player asks again."""
        self.facts, self.size = facts, facts.size
        lost, self._store = self._store, InMemory()
        self._ahead = self._store.ahead
        await lost.close()
        if self._on_change is not None:
            await on_disk(self._on_change)
        raise ChangedError("play: the story on the server is another one now")

    async def _hold(self, place: int, data: bytes) -> None:
        if self._store.run(place) >= len(data):
            return  # a server without ranges sends what is there already
        try:
            await self._store.write(place, data, wanted=self._want)
        except OSError as error:
            await self._lose_store(error)
            await self._store.write(place, data, wanted=self._want)

    async def _lose_store(self, error: OSError) -> None:
        """Go on without the disk."""
        _log.warning("play: %s is not kept: %s", self._target.shown, error.strerror or error)
        lost, self._store = self._store, InMemory()
        self._ahead = self._store.ahead
        await lost.close()

    async def _goes_on(self, place: int, *, ranges: bool) -> bool:
        """Return whether the transfer at ``place`` brings what is needed; waits while it is ahead."""
        if self._max_rate and place - self._want > NEED:
            await asyncio.sleep(PIECE / self._max_rate)
        while True:
            want = self._want
            missing = want + self._store.run(want)
            if missing < place or (ranges and missing > place + JUMP):
                # Behind the transfer, or far ahead of it: another one is needed.
                return self.size is not None and missing >= self.size
            if ranges and self._store.run(place):
                return False
            if place - want < self._ahead or (self._store.keeps_all and not ranges):
                return True
            self._went.clear()
            await self._went.wait()

    def _tell(self) -> None:
        came, self._came = self._came, asyncio.Event()
        came.set()


def _is_final(error: ResourceError) -> bool:
    """Return whether trying again is no use."""
    return isinstance(error, ChangedError | CircleError) or (
        isinstance(error, StatusError) and error.status < 500 and error.status != 429
    )


def _is_other(old: Facts, new: Facts) -> bool:
    """Return whether a server has another story than before; of one that has the same mark the length may be told, or not."""
    if old.validator != new.validator:
        return True
    is_told = None not in {old.size, new.size}
    return old.size != new.size and (is_told or not old.validator)


def _detail(error: ResourceError) -> str:
    return str(getattr(error, "detail", error))
