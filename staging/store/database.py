"""Runs the store's transactions.

`Database.call` runs one function in one transaction in the caller's thread (commands).
`Database.read` and `Database.write` do so for the server, off the event loop: reads in a few
threads, writes one by one in a single thread that commits all waiting writes together, so that many
devices share one fsync. A write's future is done only after its commit.

A database that is temporarily not usable (no connection, locked, full) raises `StoreBusyError`, and
the next call retries.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Engine
from sqlalchemy.exc import PendingRollbackError, SQLAlchemyError
from sqlalchemy.orm import Session

from staging.errors import StagingError, StoreBusyError
from staging.store import engine, schema

READ_THREADS = 4
# The maximum number of waiting reads: a second or two of look-ups.
READ_QUEUE_LIMIT = 2000
# About two seconds of work on an SD card; writes beyond that are refused, not queued.
WRITE_QUEUE_LIMIT = 2000
# The maximum number of writes in one commit; bounds how long the first of them waits.
WRITE_BATCH_LIMIT = 64
# No new attempt for this long after a failed connection: waiting work is refused at once instead of
# spending a connection timeout each, one after the other.
RETRY_SECONDS = 0.5

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
        url = engine.locate(where)
        self.shown = engine.shown(url)
        """The database's name for messages: a path, or a URL without its password."""
        self._url = url
        self._reader = engine.reading_engine(url, READ_THREADS)
        self._writer = engine.writing_engine(url)
        self._outage = _Outage(self.shown)
        try:
            schema.bring_up_to_date(self._reader, url)
        except SQLAlchemyError as error:
            raise StagingError(f"{self.shown}: {engine.reason(error)}") from error
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="store-read")
        self._reading = 0
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WRITE_QUEUE_LIMIT)
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run ``work(session, …)`` in one transaction in this thread; an exception rolls it back.

        Raises:
            StoreBusyError: the database cannot be used now.
        """
        with self._outage.watch(), _session(self._writer) as session, session.begin():
            return work(session, *args, **kw)

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run ``work(session, …)``, which only reads, in one of the reading threads.

        Raises:
            StoreBusyError: too many reads wait already, or the database cannot be used now.
        """
        if self._reading >= READ_QUEUE_LIMIT:
            raise StoreBusyError(f"{READ_QUEUE_LIMIT} reads wait already")

        def job() -> T:
            with _session(self._reader) as session:
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
            raise StoreBusyError(f"{WRITE_QUEUE_LIMIT} writes wait already") from error
        return await asyncio.wrap_future(future)

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
        self._reader.dispose()
        self._writer.dispose()

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
            with self._outage.watch(), _session(self._writer) as session, session.begin():
                done = [
                    (job, result)
                    for job in batch
                    if (result := self._run(session, job)) is not _FAILED
                ]
        except BaseException as error:  # noqa: BLE001  # each caller gets it; none may hang
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        for job, result in done:
            job.future.set_result(result)

    def _run(self, session: Session, job: _Job) -> Any:
        """Run one job in its own savepoint, so that its failure does not affect the others."""
        try:
            with self._outage.watch(), session.begin_nested():
                return job.work(session)
        except Exception as error:  # noqa: BLE001  # raised in the caller that waits for this job
            job.future.set_exception(error)
            return _FAILED


_FAILED = object()


class _Outage:
    """Turns transient errors into `StoreBusyError`, and pauses work after a lost connection."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._until = float("-inf")

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Refuse work during an outage; convert transient errors of the work."""
        if time.monotonic() < self._until:
            raise StoreBusyError(f"{self._shown}: no connection")
        try:
            yield
        except PendingRollbackError as error:
            raise StoreBusyError(f"{self._shown}: the connection was lost") from error
        except SQLAlchemyError as error:
            if not engine.is_transient(error):
                raise
            if engine.is_disconnect(error):
                self._until = time.monotonic() + RETRY_SECONDS
            raise StoreBusyError(f"{self._shown}: {engine.reason(error)}") from error


def _session(bind: Engine) -> Session:
    return Session(bind, expire_on_commit=False)
