"""The server's side of `staging.commands.at_server`: it runs a command for the command line, on its own store.

The command's own function runs, in one of two threads: what it reads is read as for the console, what it writes goes
through the server's one writer. The audit log names whoever typed it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from base.arguments import Parser
from staging.commands import at_server, audited, cli
from staging.commands.asking import ANSWER_LIMIT
from staging.commands.common import Result, TooMuchError
from staging.data_dir import DataDir
from staging.errors import StagingError, StoreBusyError, StoreFaultError
from staging.store import Database, engine
from wire.errors import FieldError
from wire.fields import dump_object, get_string

THREADS = 2
# Of one transaction; shorter than what the command waits for its answer.
STORE_DEADLINE = 20.0
# Of one that has begun by then, of which nobody can say that it will not be done.
END_DEADLINE = 8.0
TOO_LONG = "done; what it would print is too long for the server's answer"
OWN: Mapping[str, object] = {"own": True}
"""The answer that the command must do it itself."""

P = ParamSpec("P")
T = TypeVar("T")


class Runs:
    """Runs commands on the server's store."""

    def __init__(
        self,
        database: Database,
        data: DataDir,
        where: Path | str,
        online: Callable[[], Sequence[int]],
    ) -> None:
        """``where`` is the database as the server was told; ``online`` returns the connected devices' numbers."""
        self._database, self._data, self._where, self._online = database, data, where, online
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="command")

    async def run(self, wanted: Mapping[str, object]) -> Mapping[str, object]:
        """Run a command and return what it prints, why it failed, or `OWN`."""
        words = wanted.get("words")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise FieldError("words", words, "a list of texts")
        given = at_server.Given(self._data.root, None, wanted.get("json") is True, tuple(words))
        database = get_string(wanted, "database", empty=True)
        if given.asked is None or not self._is_mine(database):
            return OWN
        loop = asyncio.get_running_loop()
        opened = _Opened(self._database, loop, reads=given.asked in audited.READS)
        extra = {
            "opened": opened,
            "ran_by": get_string(wanted, "user"),
            "online": self._online() if given.asked == "device list" else (),
        }
        return await loop.run_in_executor(self._pool, self._run, given, extra)

    def _is_mine(self, database: str) -> bool:
        try:
            named = engine.locate(database or self._data.database)
            return named == engine.locate(self._where)
        except StagingError:
            return False

    def _run(self, given: at_server.Given, extra: Mapping[str, object]) -> Mapping[str, object]:
        try:
            options = _parse(given)
            options.data, options.database, options.json = self._data.root, None, given.json
            vars(options).update(extra)
            result: Result = options.run(options)
            note = audited.note(options, result)
        except (TooMuchError, _UnclearError):  # the command line says best what is wrong with it
            return OWN
        except Exception as error:
            if isinstance(error, SQLAlchemyError) and engine.is_read_only(error):
                return OWN  # it makes what it reads, once
            reason = cli.reason_of(error)
            if reason is None:
                raise
            # The language is the asking command's, which is not this process's.
            zh = error.zh if isinstance(error, StoreBusyError | StoreFaultError) else ""
            return {"failed": reason, "failed_zh": zh}
        told = _told(options, result, note)
        # A few bytes for what is around it.
        if len(dump_object(told)) < ANSWER_LIMIT - 100:
            return told
        return OWN if given.asked in audited.READS else _told(options, _too_long(result), note)


def _told(options: argparse.Namespace, result: Result, note: str) -> Mapping[str, object]:
    value, lines = (result.value, []) if options.json else ({}, result.lines)
    return {
        "value": value,
        "lines": lines,
        "code": result.code,
        "json": options.json,
        "note": note,
    }


def _too_long(result: Result) -> Result:
    """Return what is told of a command that must not be done twice for the sake of what it prints."""
    return Result({"done": TOO_LONG}, [TOO_LONG], result.code)


class _UnclearError(Exception):
    """The words are not those of a command."""


class _Parser(Parser):
    """A parser that neither prints nor ends the server."""

    def error(self, message: str) -> NoReturn:
        raise _UnclearError(message)

    def exit(self, _status: int = 0, message: str | None = None) -> NoReturn:
        raise _UnclearError(message)


def _parse(given: at_server.Given) -> argparse.Namespace:
    words: Sequence[str] = given.words
    return cli.build_parser(cli.needed_subjects(words), _Parser).parse_args(words)


class _Opened:
    """What a command uses of a `Database`: one transaction after the other, for which its thread waits."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop, *, reads: bool) -> None:
        self._loop = loop
        self._begin = cast("Callable[..., Any]", database.read if reads else database.write)

    def call(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kw: P.kwargs) -> T:
        """Run ``work(session, …)`` as the server runs its own.

        Raises:
            StoreBusyError: it did not begin within `STORE_DEADLINE`, and does not begin any more.
            StagingError: it began, and did not end within `END_DEADLINE` after that.
        """
        turn = _Turn()

        def take_turn(session: Session) -> T:
            if not turn.take():
                raise StoreBusyError("nobody waits for it any more")
            return work(session, *args, **kw)

        done: Future[T] = asyncio.run_coroutine_threadsafe(self._begin(take_turn), self._loop)
        with contextlib.suppress(TimeoutError):
            return done.result(STORE_DEADLINE)
        if turn.give_up():
            done.cancel()
            raise StoreBusyError(f"the store did not answer within {STORE_DEADLINE:g} s")
        try:
            return done.result(END_DEADLINE)
        except TimeoutError:
            raise StagingError("the store did not end it; look whether it was done") from None


class _Turn:
    """Whether a transaction may begin: it does not once its command has given up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = self._is_given_up = False

    def take(self) -> bool:
        """Begin, or begin again; returns whether it may."""
        with self._lock:
            self._is_taken = not self._is_given_up
            return self._is_taken

    def give_up(self) -> bool:
        """Give up what has not begun; returns whether it had not."""
        with self._lock:
            self._is_given_up = not self._is_taken
            return self._is_given_up
