"""Stories from the web: an order's URL becomes a queue of titles, and a title an address for the player.

What the server sends decides what it is: sound plays, a list becomes its titles, anything else is
refused by name. The transfer that was opened to find out is the one that plays.
"""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from base.memory import give_back
from machine.errors import RefusedError, ResourceError, UnavailableError
from resources.online.cache import Cache, key_of
from resources.online.kept_lists import KeptLists
from resources.online.policy import NOT_REACHED, AddressError, Target, parse_target
from resources.online.relay import Relay
from resources.online.stores import InMemory, OnDisk, Store, on_disk, opened
from resources.online.story import Story
from resources.online.upstream import CutError, Facts, Response, StatusError, Upstream
from resources.playing.keys import url_key
from resources.playing.queue import Queue, Track
from wire.entries import Entry, PlaylistError
from wire.media import HEAD_SIZE, find_list
from wire.playlist import LIST_BYTES, Listing, ListKind, find_kind, parse_list
from wire.records import dataclass

# All of an order's requests: within the dispatch's 8 s, and with time left for the player.
ORDER_SECONDS = 6.5
# For the question whether a kept story is still the server's: without a network it plays after this.
CHECK_SECONDS = 1.5
# Lists that one list may name; and the length up to which the first entry is opened to see.
NESTED_LIMIT = 5
SHORT_LIST = 3

# Bytes of a list after which memory is given back; a shorter one leaves little behind.
SMALL_LIST = 128 * 1024

_LIST_ENDINGS = (".m3u", ".m3u8", ".pls", ".rss", ".xml")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What is at an address: a story at an address of the relay, or else a list."""

    url: str = ""
    listing: Listing | None = None


class Online:
    """Opens stories and lists on the web; `close` it."""

    def __init__(self, upstream: Upstream, cache: Cache, *, max_rate: int = 0) -> None:
        """Open nothing yet; ``max_rate`` as for `Story`."""
        self._upstream = upstream
        self._cache = cache
        self._max_rate = max_rate
        self._relay = Relay()
        self._lists = KeptLists(cache)

    async def open(self, url: str) -> Queue:
        """Return the queue of a URL: one title, or those of a list.

        Of a list that does not answer, or breaks off, it has the stories that are on the disk.

        Raises:
            RefusedError: the address is not allowed, does not answer, or has no sound.
        """
        try:
            return await self._open(url)
        except (RefusedError, TimeoutError) as error:
            if not _is_away(error):
                raise
            target = parse_target(url)
            if isinstance(error, TimeoutError) and await self._serve_before(target, error):
                return Queue((_track(url, url),))
            entries, missing = await self._lists.find(target)
            if entries:
                note = f"{target.shown}: no answer: {missing} titles that are not kept are left out"
                tracks = tuple(_track(entry.title, entry.url) for entry in entries)
                return Queue(tracks, whole=True, notes=(note,))
            if isinstance(error, TimeoutError):
                raise RefusedError(f"play: no title in {ORDER_SECONDS:g} s") from error
            raise

    async def _open(self, url: str) -> Queue:
        async with asyncio.timeout(ORDER_SECONDS):
            found = await self._find(url)
            if found.listing is None:
                return Queue((_track(url, url),))
            entries = await self._expand(url, found.listing)
        await self._lists.keep(parse_target(url), entries)
        tracks = tuple(_track(entry.title, entry.url) for entry in entries)
        return Queue(tracks, whole=True, notes=_notes(url, found.listing))

    async def source_for(self, track: Track) -> str:
        """Return the address of the relay that the player is given for ``track``.

        Raises:
            RefusedError: it cannot be fetched, or is a list.
        """
        found = await self._find(track.source)
        if found.listing is not None:
            raise RefusedError("play: got a list of titles inside a list, expected sound")
        return found.url

    def why_cut(self, track: Track) -> str | None:
        """Return why the last transfer of ``track`` to the player broke off, if its length is not known; None: it did not.

        A player takes the end of what it is given for the end of such a story.
        """
        served = self._relay.find(key_of(parse_target(track.source)))
        return (served[1].broke_off or None) if served is not None else None

    async def keep(self, url: str, *, pinned: bool) -> None:
        """Pin the story at ``url`` in the cache, or treat it as any other again.

        Raises:
            RefusedError: it is no http(s) URL, its address is not allowed or does not answer, it is no sound
                that can be kept, or no more can be pinned.
            UnavailableError: the disk fails.
        """
        if pinned:
            await self._check_keepable(url)
        try:
            await on_disk(self._cache.pin, url, pinned=pinned)
        except OSError as error:
            raise UnavailableError(f"play: it cannot be kept: {error.strerror}") from error

    async def _check_keepable(self, url: str) -> None:
        """Look at what is there: whoever pins a story must not learn from the log that it never comes."""
        target = parse_target(url)
        key = key_of(target)
        if self._relay.find(key) is not None or await self._is_there(key):
            return
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                response = await self._upstream.open(target)
                try:
                    head = await _read_up_to(response, HEAD_SIZE)
                finally:
                    response.close()
        except AddressError as error:
            _log.info("play: %s", error.detail)
            raise
        except UnavailableError as error:
            raise RefusedError(str(error)) from error
        except TimeoutError as error:
            raise RefusedError(NOT_REACHED) from error
        if find_kind(head[:HEAD_SIZE], response.facts.content_type) is not None:
            raise RefusedError("play: got a list or a page, expected a story to keep")
        self._check_size(response.facts.size)

    async def _is_there(self, key: str) -> bool:
        try:
            return await on_disk(self._cache.has_whole, key)
        except OSError:
            return False

    def _check_size(self, size: int | None) -> None:
        if not size:
            raise RefusedError("play: its server does not tell its size, so it cannot be kept")
        if 0 < self._cache.limit < size:
            raise RefusedError(
                f"play: got a story of {size} bytes, expected at most {self._cache.limit} "
                "(play.cache_bytes)"
            )

    async def fetch_pinned(self, *, is_silent: bool = False) -> bool:
        """Fetch what is pinned and missing; return whether anything is pinned.

        ``is_silent``: no title is on the player, so that what was heard before may make room.
        """
        pinned = await on_disk(self._cache.pinned)
        for url, whole in pinned:
            if not whole:
                if is_silent:
                    await self._relay.forget_idle()
                await self._fetch_pinned(url)
        return bool(pinned)

    async def _fetch_pinned(self, url: str) -> None:
        """Fetch one story whole, unless something plays; why it is not kept is in the log."""
        if self._relay.busy:
            return  # what plays goes first
        target = parse_target(url)
        key = key_of(target)
        try:
            found = await self._find(url)
            served = self._relay.find(key)
            if found.listing is not None or served is None:
                raise RefusedError("play: got a list of titles, expected a story to keep")
            await served[1].fetch_all()
        except ResourceError as error:
            _log.warning("play: %s is not kept yet: %s", target.shown, error)
        finally:
            if not self._relay.busy:
                await self._relay.forget(key)

    async def close(self) -> None:
        """End all transfers."""
        await self._relay.close()

    async def _find(self, url: str) -> Found:
        target = parse_target(url)
        key = key_of(target)
        served = self._relay.find(key)
        if served is not None:
            return Found(served[0])
        kept = await self._find_kept(target, key)
        if kept is not None:
            return Found(await self._serve(key, target, kept.facts, kept.store))
        try:
            return await self._read(key, target, await self._upstream.open(target))
        except (RefusedError, UnavailableError) as error:
            before = await self._serve_before(target, error) if _is_away(error) else None
            if before is not None:
                return Found(before)
            if isinstance(error, AddressError):
                _log.info("play: %s", error.detail)
            if isinstance(error, UnavailableError):  # of one title; the next one may play
                raise RefusedError(str(error)) from error
            raise

    async def _read(self, key: str, target: Target, response: Response) -> Found:
        """Find out what ``response`` is, and go on with it."""
        try:
            head = await _read_up_to(response, HEAD_SIZE)
            kind = find_kind(head[:HEAD_SIZE], response.facts.content_type)
            if not head:
                raise RefusedError("play: the server sent nothing, expected a story")
            if kind is not None:
                return Found(listing=await _read_list(kind, head, response))
            store = await self._new_store(key, response.facts, head)
        except BaseException:
            response.close()
            raise
        pending = (response, len(head))
        return Found(await self._serve(key, target, response.facts, store, pending))

    async def _serve(
        self,
        key: str,
        target: Target,
        facts: Facts,
        store: Store,
        pending: tuple[Response, int] | None = None,
    ) -> str:
        story = Story(
            target, self._upstream, facts, store, pending,
            max_rate=self._max_rate, on_change=lambda: self._cache.drop(key),
        )  # fmt: skip
        try:
            return await self._relay.serve(key, story)
        except BaseException:
            await story.close()
            raise

    async def _serve_before(self, target: Target, error: Exception) -> str | None:
        """Serve the whole story that stays, as it is pinned, though the server has said that it has another one; None: there is none."""
        key = key_of(target)
        kept = await self._find_kept(target, key, asks=False) if await self._is_there(key) else None
        if kept is None:
            return None
        why = str(error) or f"not opened in {ORDER_SECONDS:g} s"
        _log.info("play: %s: the edition before plays: %s", target.shown, why)
        return await self._serve(key, target, kept.facts, kept.store)

    async def _find_kept(self, target: Target, key: str, *, asks: bool = True) -> _KeptStory | None:
        """Return the story that is kept, unless its server, which is asked if ``asks``, has another one by now."""
        try:
            store = await opened(self._cache.find, key)
        except OSError as error:
            _log.warning("play: the kept stories cannot be read: %s", error.strerror)
            return None
        if store is None:
            return None
        record = store.record
        facts = Facts(target, record.content_type, record.size, True, record.validator)
        try:
            is_other = await self._is_other(target, facts) if asks else None
            if not is_other and store.run(0):
                if is_other is False and store.is_outdated:
                    await on_disk(self._cache.settle, key)
                return _KeptStory(facts, store)
        except BaseException:
            await store.close()
            raise
        await store.close()
        await on_disk(self._cache.drop, key)
        return None

    async def _is_other(self, target: Target, facts: Facts) -> bool | None:
        """Return whether the server says that it has another story; None: it does not answer."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                now = await self._upstream.check(target)
        except (ResourceError, TimeoutError):
            return None
        other_size = now.size is not None and now.size != facts.size
        other_mark = bool(now.validator and facts.validator) and now.validator != facts.validator
        return other_size or other_mark

    async def _new_store(self, key: str, facts: Facts, head: bytes) -> Store:
        """Return a store that holds ``head``: the disk if the story can be kept there, else memory."""
        try:
            store = await opened(
                self._cache.begin, key, facts.size or 0, facts.content_type, facts.validator
            )
            if store is not None:
                return await _with_head(store, head)
        except OSError as error:
            _log.warning("play: %s is not kept: %s", facts.target.shown, error.strerror)
        memory = InMemory()
        await memory.write(0, head, wanted=0)
        return memory

    async def _expand(self, url: str, listing: Listing) -> list[Entry]:
        """Return the entries, those that are lists replaced by theirs: one level, no loops."""
        entries: list[Entry] = []
        nested = 0
        for place, entry in enumerate(listing.entries):
            opened_first = place == 0 and len(listing.entries) <= SHORT_LIST
            if nested < NESTED_LIMIT and (_looks_like_list(entry.url) or opened_first):
                nested += 1
                entries += await self._entries_of(entry, url)
            else:
                entries.append(entry)
        return entries

    async def _entries_of(self, entry: Entry, outer: str) -> list[Entry]:
        """Return the entries of the list that ``entry`` is, else the entry."""
        try:
            if key_of(parse_target(entry.url)) == key_of(parse_target(outer)):
                return [entry]  # refused when its turn comes
            found = await self._find(entry.url)
        except ResourceError:
            return [entry]  # told when its turn comes
        return list(found.listing.entries) if found.listing is not None else [entry]


@dataclass(frozen=True, slots=True)
class _KeptStory:
    facts: Facts
    store: Store


def _is_away(error: ResourceError | TimeoutError) -> bool:
    """Return whether something does not come for its server's or the network's sake; what is gone, or another thing now, is not that."""
    if isinstance(error, StatusError):
        return error.status >= 500 or error.status == 429
    away = AddressError | UnavailableError | TimeoutError
    return isinstance(error, away) or isinstance(error.__cause__, CutError)


async def _with_head(store: OnDisk, head: bytes) -> Store:
    """Return ``store`` with the first bytes of its story; closed, if it does not take them: raises OSError."""
    try:
        await store.write(0, head, wanted=0)
    except BaseException:
        await store.close()
        raise
    return store


async def _read_up_to(response: Response, size: int) -> bytes:
    """Return the first ``size`` bytes or more, less at the body's end."""
    head = b""
    while len(head) < size and (data := await response.read()):
        head += data
    return head


async def _read_list(kind: ListKind, head: bytes, response: Response) -> Listing:
    """Read the rest of a list up to LIST_BYTES, and close ``response``."""
    data = bytearray(head)
    if kind in {ListKind.M3U, ListKind.PLS, ListKind.FEED}:
        while len(data) <= LIST_BYTES and (more := await response.read()):
            data += more
    response.close()
    base = response.facts.target.url
    try:
        if kind is ListKind.OTHER:
            raise PlaylistError(
                f"got {find_list(head[:HEAD_SIZE])}, expected sound or a list of titles"
            )
        # Two megabytes of XML take a small machine half a second.
        return await asyncio.to_thread(parse_list, kind, bytes(data), base)
    except PlaylistError as error:
        raise RefusedError(f"play: {error}") from None  # its frames hold what was read
    finally:
        if len(data) > SMALL_LIST:
            data.clear()
            await asyncio.to_thread(give_back)


def _looks_like_list(url: str) -> bool:
    return urlsplit(url).path.lower().endswith(_LIST_ENDINGS)


def _notes(url: str, listing: Listing) -> tuple[str, ...]:
    """Return what is told of the entries that were left out, and log it."""
    if not listing.left_out and not listing.cut:
        return ()
    cut = f", and all beyond {LIST_BYTES} bytes" if listing.cut else ""
    note = f"{parse_target(url).shown}: {listing.left_out} entries are left out{cut}"
    _log.warning("play: %s", note)
    return (note,)


def _track(title: str, url: str) -> Track:
    scheme, mark, rest = url.partition("://")
    return Track(title, scheme.lower() + mark + rest, url_key(url))
