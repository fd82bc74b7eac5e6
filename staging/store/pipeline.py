"""Look-ups on PostgreSQL from the event loop: all share one connection, on which no look-up waits for the one before.

Each is one prepared statement without a transaction. Those that come in one turn of the loop are sent together, and
answered in their order (libpq's pipeline mode): sixteen requests cost the loop and the server about as many switches as one.
psycopg's own asynchronous connection registers with the loop, waits and unregisters for each statement, which took
longer than the look-up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from staging.store import engine
from staging.store.lookups import Lookup, NotHereError, Row

if TYPE_CHECKING:
    import psycopg
    from psycopg.abc import Transformer
    from psycopg.pq.abc import PGconn, PGresult
    from sqlalchemy import URL

# Look-ups that may wait for their answers: more than requests are served at once.
WAITING_LIMIT = 2000
# Seconds for an answer; the server cancels a statement before.
ANSWER_SECONDS = engine.STATEMENT_TIMEOUT_MS / 1000 + 1


class PostgresqlReader:
    """Looks up on one connection, which is made at the first look-up."""

    def __init__(self, url: URL) -> None:
        """Read the database of ``url``."""
        self._arguments = engine.postgresql_arguments(url)
        self._line: _Line | None = None
        self._opening = asyncio.Lock()

    async def find(self, lookup: Lookup, values: dict[str, object]) -> Row | None:
        """Return the row of a look-up; see `staging.store.lookups.Reader.find`."""
        line = self._line
        if line is None or line.is_over:
            line = await self._open()
        if len(line.waiting) >= WAITING_LIMIT:
            raise NotHereError
        return await line.ask(lookup, values)

    async def _open(self) -> _Line:
        async with self._opening:
            if self._line is None or self._line.is_over:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        self._line = await _connect(self._arguments)
                except TimeoutError as error:
                    raise NotHereError from error
            return self._line

    def drop(self) -> None:
        """Close the connection: it is from before a restart of the database."""
        if self._line is not None:
            self._line.end()
            self._line = None

    async def close(self) -> None:
        """Close the connection."""
        self.drop()


async def _connect(arguments: dict[str, object]) -> _Line:
    import psycopg  # noqa: PLC0415  # of PostgreSQL alone

    made = await psycopg.AsyncConnection.connect(**arguments, autocommit=True)  # type: ignore[arg-type]
    try:
        await made.execute("SET default_transaction_read_only = on")
        # Otherwise each of the first five uses is planned anew, and the statement's plan needs no values.
        await made.execute("SET plan_cache_mode = force_generic_plan")
        return _Line(made)
    except BaseException:
        made.pgconn.finish()
        raise


class _Line:
    """A connection in pipeline mode, and who waits for what comes on it, in order."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        from psycopg import adapt  # noqa: PLC0415  # of PostgreSQL alone

        self._connection = connection  # it would end with the object
        self._pg: PGconn = connection.pgconn
        self._reads: Transformer = adapt.Transformer(connection)
        self._loop = asyncio.get_running_loop()
        self._names: dict[str, bytes] = {}
        self.waiting: deque[tuple[float, asyncio.Future[Row | None]]] = deque()
        """Since when, and for what, in the order of the answers."""
        self._found: PGresult | None = None
        self._is_sending = self.is_over = False
        self._late: asyncio.TimerHandle | None = None
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._socket = self._pg.socket
        self._loop.add_reader(self._socket, self._receive)

    def ask(self, lookup: Lookup, values: dict[str, object]) -> asyncio.Future[Row | None]:
        """Send a look-up with the others of this turn of the loop; its answer is a row or None.

        Raises:
            NotHereError: a text that PostgreSQL does not take; libpq would cut it off.
        """
        text, order = lookup.numbered
        given = [None if (value := values[each]) is None else str(value).encode() for each in order]
        if any(value is not None and b"\0" in value for value in given):
            raise NotHereError
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = f"look_up_{len(self._names)}".encode()
            self._pg.send_prepare(name, text.encode())
        self._pg.send_query_prepared(name, given)
        self._pg.pipeline_sync()  # each is a transaction of its own
        answer: asyncio.Future[Row | None] = self._loop.create_future()
        self.waiting.append((self._loop.time(), answer))
        if not self._is_sending:
            self._is_sending = True
            if (
                len(self.waiting) == 1
            ):  # nobody to send it with: a turn of the loop would be a tenth of its time
                self._send()
            else:
                self._loop.call_soon(self._send)
        if self._late is None:
            self._late = self._loop.call_later(ANSWER_SECONDS, self._end_late)
        return answer

    def _send(self) -> None:
        """Send what is waiting, as far as the server takes it now."""
        if self.is_over:
            return
        try:
            if self._pg.flush():
                self._loop.add_writer(self._socket, self._send)
                return
        except engine.driver_errors() as error:
            self.end(error)
            return
        self._loop.remove_writer(self._socket)
        self._is_sending = False

    def _receive(self) -> None:
        try:
            self._pg.consume_input()
            self._read_all()
        except engine.driver_errors() as error:
            self.end(error)

    def _read_all(self) -> None:
        """Hand out the answers that have come whole. Between two statements libpq says None, and two when all is read."""
        nothing = 0
        while nothing < 2 and not self._pg.is_busy():
            result = self._pg.get_result()
            if result is None:
                nothing += 1
                continue
            nothing = 0
            self._take(result)

    def _take(self, result: PGresult) -> None:
        """Note a look-up's rows; the end of its transaction hands them to who waits. Raises the driver's error."""
        from psycopg import errors, pq  # noqa: PLC0415  # of PostgreSQL alone

        if result.status == pq.ExecStatus.TUPLES_OK:
            self._found = result
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            found, self._found = self._found, None
            _, answer = self.waiting.popleft()
            if not answer.done():  # whoever asked may have gone
                self._answer(answer, found)
        elif result.status != pq.ExecStatus.COMMAND_OK:
            raise errors.error_from_result(result)

    def _answer(self, answer: asyncio.Future[Row | None], found: PGresult | None) -> None:
        try:
            answer.set_result(self._row(found))
        except Exception as error:  # noqa: BLE001  # a row that cannot be read: nobody else would answer who asked for it
            answer.set_exception(_not_here(error))

    def _row(self, found: PGresult | None) -> Row | None:
        if found is None or not found.ntuples:
            return None
        self._reads.set_pgresult(found)
        row: Row | None = self._reads.load_row(0, tuple)
        return row

    def _end_late(self) -> None:
        """End a connection on which nothing is answered any more."""
        self._late = None
        if not self.waiting:
            return
        left = self.waiting[0][0] + ANSWER_SECONDS - self._loop.time()
        if left <= 0:
            self.end()
        else:
            self._late = self._loop.call_later(left, self._end_late)

    def end(self, why: Exception | None = None) -> None:
        """Close the connection; a thread does what is waiting on it, and tells what is wrong."""
        if self.is_over:
            return
        self.is_over = True
        if self._late is not None:
            self._late.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._pg.finish()
        for _, answer in self.waiting:
            if not answer.done():
                answer.set_exception(_not_here(why))
        self.waiting.clear()


def _not_here(why: Exception | None) -> NotHereError:
    error = NotHereError()
    error.__cause__ = why
    return error
