"""Runs the store's transactions.

`Database.call` runs one function in one transaction in the caller's thread (commands).
`Database.find` does one of the short look-ups that requests wait for, without a thread (`lookups`).
`Database.read` and `Database.write` run functions for the server, off the event loop: reads in a few
threads, writes one by one in a single thread that commits all waiting writes together, so that many
devices share one fsync. A write's future is done only after its commit.

A database that is temporarily not usable (no connection, locked, full) raises `StoreBusyError`, and
the next call retries (`outage`). A SQLite file on a full disk is opened for reading alone until it
can be written.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from staging.errors import StoreBusyError, StoreFullError
from staging.store import engine, room, schema, taken_back, voice_keys
from staging.store.engine import SQLITE, Trouble
from staging.store.lookups import (
    Lookup,
    NotHereError,
    Reader,
    Row,
    SqliteReader,
)
from staging.store.mark import State, StoreMark
from staging.store.outage import Outage
from staging.store.pipeline import PostgresqlReader
from staging.store.unopened import unopened, without_room

READ_THREADS = 4
# The maximum number of waiting reads: a second or two of look-ups.
READ_QUEUE_LIMIT = 2000
# About two seconds of work on an SD card; writes beyond that are refused, not queued.
WRITE_QUEUE_LIMIT = 2000
# The maximum number of writes in one commit; bounds how long the first of them waits.
WRITE_BATCH_LIMIT = 64

Journal = Callable[[Sequence[taken_back.Line]], None]
"""Keeps lines durably; raises OSError or StagingError."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[Session], Any]
    future: Future[Any]


class Database:
    """The state of one staging cloud; open it once per process."""

    def __init__(self, where: Path | str | URL) -> None:
        """Open a SQLite file (path) or a URL and upgrade its schema.

        Raises:
            StagingError: it is not usable, or its schema is not for this program.
        """
        self._url = url = engine.locate(where)
        self.shown = engine.shown(url)
        """The database's name for messages: a path, or a URL without its password."""
        self.address = url.render_as_string(hide_password=False)
        """Its URL for a process of this cloud's own; it may have a password, so no message shows it."""
        self.is_file = url.get_backend_name() == SQLITE
        """Whether it is a SQLite file."""
        self._outage = Outage(self.shown)
        self.journal: Journal | None = None
        """Takes what a transaction takes back, before its commit; None: nobody keeps that."""
        self.voice_keys: voice_keys.VoiceKeys | None = None
        """What voice is sealed with; None: a copy, which nothing is erased from."""
        self.mark: StoreMark | None = None
        """Tells whether a file lacks what was committed; None: nobody numbers that."""
        self._frozen = False
        self._reader = engine.reading_engine(url, READ_THREADS)
        self._writer = engine.writing_engine(url)
        try:
            self._open()
        except SQLAlchemyError as error:
            self._reader.dispose()
            self._writer.dispose()
            raise without_room(url, error) or unopened(self.shown, error) from error
        self._quick: Reader | None = None
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="store-read")
        self._reading = 0
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WRITE_QUEUE_LIMIT)
        self._thread: threading.Thread | None = None

    def _session(self) -> Session:
        return voice_keys.give(Session(self._reader, expire_on_commit=False), self.voice_keys)

    def _writing(self) -> Session:
        made = taken_back.Writing(self._writer, expire_on_commit=False)
        return voice_keys.give(made, self.voice_keys)

    def _open(self) -> None:
        try:
            schema.bring_up_to_date(self._reader, self._url)
        except SQLAlchemyError as error:
            if engine.trouble_of(error) is not Trouble.FULL or not engine.is_whole_alone(self._url):
                raise
            self._reader.dispose()
            self._reader = engine.frozen_engine(self._url, READ_THREADS)
            schema.check_current(self._reader, self._url)
            self._frozen = True
            self._outage.note(Trouble.FULL, engine.reason(error))

    def _thaw(self) -> None:
        """Open the file again for writing; raises StoreFullError while its disk is full."""
        with self._outage.watch(writes=True):
            reader = engine.reading_engine(self._url, READ_THREADS)
            with reader.connect() as connection:
                schema.version(connection)  # makes the log and its index
        frozen, self._reader, self._frozen = self._reader, reader, False
        frozen.dispose()

    def call(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run ``work(session, …)`` in one transaction in this thread; an exception rolls it back.

        Raises:
            StoreBusyError: the database cannot be used now.
        """
        if self._frozen:
            return self._read(lambda: self._work_frozen(work, *args, **kw))
        with self._outage.watch(writes=True), self._writing() as session:
            with session.begin():
                found = work(session, *args, **kw)
                self._keep_taken_back(session)
                state = None if self.mark is None else self.mark.count(session)
            self._end(session, state)
            return found

    def _keep_taken_back(self, session: Session) -> None:
        """Have the journal keep what the transaction takes back, of which it is then sure that it outlives a backup.

        The keys that go with it are noted as well.

        A commit that fails afterwards leaves lines of what was ordered and not done: after a restoring it is done.

        Raises:
            StoreFullError: the journal's disk does not take it; nothing is taken back.
            StoreBusyError: nor is it where the keys' file cannot be written.
        """
        session.flush()
        going = voice_keys.going(session)
        if going and self.voice_keys is not None:
            self.voice_keys.note_going(going)
        found = taken_back.lines(session)
        if not found or self.journal is None:
            return
        try:
            self.journal(found)
        except OSError as error:
            text = f"what was taken back cannot be noted: {error.strerror}"
            raise StoreFullError(f"{self.shown}: {text}") from error

    def _end(self, session: Session, state: State | None) -> None:
        """Do what follows a commit: ``state`` is its number."""
        if self.mark is not None:
            self.mark.keep(state)
        self._forget_keys(session)

    def _forget_keys(self, session: Session) -> None:
        """Delete the keys of what a commit has deleted; where that fails, `settle_keys` does it."""
        going = voice_keys.going(session)
        if going and self.voice_keys is not None:
            with suppress(StoreBusyError):
                self.voice_keys.forget({mark for mark, _ in going})

    def _work_frozen(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        try:
            with self._session() as session:
                found = work(session, *args, **kw)
                session.flush()
                return found
        except SQLAlchemyError as error:
            if not engine.is_read_only(error):
                raise
            why = room.cause(Path(self.shown).parent)
            raise StoreFullError(f"{self.shown}: cannot be written: {why}") from error

    async def find(self, lookup: Lookup, **values: object) -> Row | None:
        """Return the row that a look-up finds, None if there is none.

        Raises:
            StoreBusyError: the database cannot be used now.
        """
        if self._frozen:
            return await self.read(_find_here, lookup, values)
        if self._quick is None:
            self._quick = SqliteReader(self._url) if self.is_file else PostgresqlReader(self._url)
        try:
            return await self._find(self._quick, lookup, lookup.parameters(values))
        except NotHereError:
            return await self.read(_find_here, lookup, values)

    async def _find(self, reader: Reader, lookup: Lookup, values: dict[str, object]) -> Row | None:
        with self._outage.watch():
            try:
                return await reader.find(lookup, values)
            except engine.driver_errors() as error:
                # The connections may be from before a restart of the database: a new one shows that,
                # made by a thread, whose errors are told apart.
                reader.drop()
                raise NotHereError from error

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run ``work(session, …)``, which only reads, in one of the reading threads.

        Raises:
            StoreBusyError: too many reads wait already, or the database cannot be used now.
        """
        if self._reading >= READ_QUEUE_LIMIT:
            raise self._outage.note(Trouble.BUSY, f"{READ_QUEUE_LIMIT} reads wait already")

        def job() -> T:
            with self._session() as session:
                return work(session, *args, **kw)

        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, job)
        finally:
            self._reading -= 1

    def _read(self, job: Callable[[], T]) -> T:
        with self._outage.watch():
            try:
                return job()
            except SQLAlchemyError as error:
                if not engine.is_disconnect(error):
                    raise
            # The pooled connection was from before a restart of the database, and the pool has now
            # dropped all of those: a new one shows whether the database is back.
            return job()

    async def write(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in the writing thread and return once it is committed.

        Raises:
            StoreBusyError: too many writes wait already, or the database cannot be used now. If the
                connection broke during the commit, the write may or may not be durable.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_jobs, name="store-write")
            self._thread.start()
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait(_Job(lambda session: work(session, *args, **kw), future))
        except queue.Full as error:
            text = f"{WRITE_QUEUE_LIMIT} writes wait already"
            raise self._outage.note(Trouble.BUSY, text) from error
        return await asyncio.wrap_future(future)

    async def settle_keys(self) -> None:
        """End the erasing of keys that a crash or a disk has broken off; raises StoreBusyError."""
        keys = self.voice_keys
        if keys is None:
            return
        noted = await asyncio.to_thread(keys.going)
        if noted:
            await asyncio.to_thread(keys.forget, await self.write(voice_keys.settle))
            await asyncio.to_thread(keys.rewrite)

    def scrub(self) -> None:
        """Take from the database's files what was deleted before, as far as it can be reached; it blocks.

        Raises:
            StoreBusyError: somebody reads or writes; a retry may succeed.
        """
        with self._outage.watch():
            if not engine.scrub(self._url):
                raise StoreBusyError(f"{self.shown}: its log is still being read")

    def close(self) -> None:
        """Finish the queued writes, then close every connection."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        self._pool.shutdown()
        if self._quick is not None:
            self._quick.drop()
        self._reader.dispose()
        self._writer.dispose()
        if self.voice_keys is not None:
            self.voice_keys.close()
        if self.mark is not None:
            self.mark.close()

    def _write_jobs(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            ended = False
            while len(batch) < WRITE_BATCH_LIMIT and not ended:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                ended = job is None
                batch += [job] if job else []
            self._commit([job for job in batch if job.future.set_running_or_notify_cancel()])
            if ended:
                return

    def _commit(self, batch: list[_Job]) -> None:
        done: list[tuple[_Job, Any]] = []
        try:
            if self._frozen:
                self._thaw()
            with self._outage.watch(writes=True), self._writing() as session:
                with session.begin():
                    done = self._run_all(session, batch)
                    self._keep_taken_back(session)
                    state = None if self.mark is None else self.mark.count(session)
                self._end(session, state)
        except BaseException as error:  # noqa: BLE001  # each caller gets it; none may hang
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        for job, result in done:
            job.future.set_result(result)

    def _run_all(self, session: Session, batch: list[_Job]) -> list[tuple[_Job, Any]]:
        """Run the jobs; return those that did not fail, with their results. One alone needs no savepoint: raises its error."""
        if len(batch) == 1:
            result = batch[0].work(session)
            session.flush()
            return [(batch[0], result)]
        found = [(job, self._run(session, job)) for job in batch]
        return [(job, result) for job, result in found if result is not _FAILED]

    def _run(self, session: Session, job: _Job) -> Any:
        """Run one job in its own savepoint, so that its failure does not affect the others.

        Trouble of the database's ends the whole batch: SQLite may have undone all of it already, and what
        would follow then would be committed though its callers are told that it failed.
        """
        noted, going = len(taken_back.lines(session)), len(voice_keys.going(session))
        try:
            with session.begin_nested(), self._outage.watch(writes=True):
                result = job.work(session)
                session.flush()
        except StoreBusyError:
            raise
        except Exception as error:  # raised in the caller that waits for this job
            if isinstance(error.__context__, StoreBusyError):
                raise error.__context__ from error  # the savepoint went with the transaction
            taken_back.keep(session, noted)
            voice_keys.keep_going(session, going)
            job.future.set_exception(error)
            return _FAILED
        return result


_FAILED = object()


def _find_here(session: Session, lookup: Lookup, values: dict[str, object]) -> Row | None:
    """Do a look-up in a thread's transaction."""
    connection = session.connection()
    is_file = connection.dialect.name == SQLITE
    text = lookup.sqlite if is_file else lookup.postgresql
    row = connection.exec_driver_sql(text, lookup.parameters(values)).first()
    return None if row is None else tuple(row)
