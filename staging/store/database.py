"""The engine, its transactions, and the two doors to them.

`Database.call` runs one function in one transaction right here (commands). `Database.read` and
`Database.write` do so for the server, off the event loop: reads in a few threads, writes one after
the other in a single thread that commits what waits together, so that many devices share one fsync.
A write's future is done only after its commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from staging.errors import StagingError, StoreBusyError
from staging.store.models import Base

# Beside a running server a command waits this long for its turn to write (milliseconds).
BUSY_TIMEOUT_MS = 5000
READ_THREADS = 4
# About two seconds of work on an SD card; what comes on top is refused, not queued.
WRITE_QUEUE_LIMIT = 2000
# Writes that share one commit at most: bounds how long the first of them waits.
WRITE_BATCH_LIMIT = 64

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[Session], Any]
    future: Future[Any]


class Database:
    """One staging cloud's state; open it once a process."""

    def __init__(self, path: Path) -> None:
        """Open the SQLite file, made with all tables if it is new; raises StagingError."""
        self._reader = _engine(path, "BEGIN", READ_THREADS)
        self._writer = _engine(path, "BEGIN IMMEDIATE", 1)
        try:
            with self._writer.begin() as connection:
                Base.metadata.create_all(connection)
        except SQLAlchemyError as error:
            raise StagingError(f"{path}: {_reason(error)}") from error
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="store-read")
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WRITE_QUEUE_LIMIT)
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run ``work(session, …)`` in one transaction in this thread; an exception rolls it back."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            return work(session, *args, **kw)

    async def read(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run ``work(session, …)``, which only reads, in one of the reading threads."""

        def job() -> T:
            with Session(self._reader, expire_on_commit=False) as session:
                return work(session, *args, **kw)

        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    async def write(
        self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs
    ) -> T:
        """Run ``work(session, …)`` in the writing thread and return once it is committed.

        Raises:
            StoreBusyError: too many writes wait already.
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

    def close(self) -> None:
        """Finish the writes that wait, then close every connection."""
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
            with Session(self._writer, expire_on_commit=False) as session, session.begin():
                done = [
                    (job, result) for job in batch if (result := _run(session, job)) is not _FAILED
                ]
        except BaseException as error:  # noqa: BLE001  # each waiting caller gets it; none may hang
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(error)
            return
        for job, result in done:
            job.future.set_result(result)


_FAILED = object()


def _run(session: Session, job: _Job) -> Any:
    """Run one job in a savepoint of its own, so that its failure is not the others'."""
    try:
        with session.begin_nested():
            return job.work(session)
    except Exception as error:  # noqa: BLE001  # handed to the caller that waits for this job
        job.future.set_exception(error)
        return _FAILED


def _engine(path: Path, begin: str, connections: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,  # an error's text goes to the log; tokens are among the parameters
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own transaction handling knows no savepoints; ours is explicit.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
