"""The request dispatch shared by the cloud link, local CoAP and local HTTP.

The protocols differ only in how they carry a request and its answer (`wire.exchange`), so values
and errors are the same everywhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from machine.errors import RefusedError, UnavailableError
from resources.datapoint import DataPoint
from wire.codes import Code
from wire.datapoints import Method, Value, format_value, parse_value, self_description
from wire.errors import WireError, show
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.reports import DESCRIPTION_PATH

# Seconds; under the cloud's 10 s for a control request, so that the reason still reaches it.
HANDLER_TIMEOUT = 8.0
# Part of the rest of those 10 s; a slow card may take a second to store the report.
CHANGE_TIMEOUT = 1.5

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, Value], Awaitable[None]]


class OrderListener(Protocol):
    """Is told of each order, and of how it was answered."""

    def __call__(self, name: str, text: str, answer: Answer, *, local: bool) -> None:
        """Take an order for the data point ``name``."""


def _ignore(name: str, text: str, answer: Answer, *, local: bool) -> None:
    del name, text, answer, local


class Dispatch:
    """Finds the data point, checks the value, runs the handler and maps errors to codes."""

    def __init__(self, points: Iterable[DataPoint], on_change: ChangeListener) -> None:
        """Serve ``points`` in their order; ``on_change`` is called after each successful PUT."""
        self.points = {point.description.name: point for point in points}
        self._on_change = on_change
        self.on_order: OrderListener = _ignore
        """Called after each request that is no GET."""

    def describe(self) -> dict[str, object]:
        """Return the self-description (open API 3.1), generated from the data points."""
        return self_description(point.description for point in self.points.values())

    async def handle_local(self, request: Request) -> Answer:
        """Answer a request that comes from the machine itself: a button's, or the command line's."""
        return await self.handle(request, local=True)

    async def handle(self, request: Request, *, local: bool = False) -> Answer:
        """Answer a request for a data point or the self-description; the query is ignored.

        Every error is returned as an answer, none is raised. ``local`` as for `handle_local`.
        """
        name = "/".join(request.path)
        if request.path == DESCRIPTION_PATH:
            if request.method != Method.GET:
                return Answer.from_text(Code.METHOD_NOT_ALLOWED, f"{name}: only GET")
            return Answer(Code.CONTENT, dump_object(self.describe()))
        try:
            text = request.payload.decode()
        except UnicodeDecodeError:
            reason = f"{show(name)}: got {show(request.payload)}, expected UTF-8 text"
            return Answer.from_text(Code.BAD_REQUEST, reason)
        return await self.request(request.method, name, text, local=local)

    async def look(self, name: str) -> Value | None:
        """Return the value of the data point ``name``; None, and the log says why, if it cannot be read now."""
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT):
                return await self.points[name].get()
        except Exception as error:  # noqa: BLE001  # as every error of a handler
            _log.debug("%s cannot be read: %s", name, _answer_to(name, error).text)
            return None

    async def request(
        self, method: str, name: str, text: str = "", *, local: bool = False
    ) -> Answer:
        """Read or set the data point ``name``; every error is returned as an answer."""
        answer = await self._answer(method, name, text, local=local)
        if method != Method.GET:
            self.on_order(name, text, answer, local=local)
        return answer

    async def _answer(self, method: str, name: str, text: str, *, local: bool) -> Answer:
        point = self.points.get(name)
        if point is None:
            known = ", ".join(self.points)
            return Answer.from_text(
                Code.NOT_FOUND, f"{show(name)}: no such data point, expected {known}"
            )
        allowed = point.description.methods
        if method not in set(allowed):
            only = ", ".join(allowed)
            return Answer.from_text(
                Code.METHOD_NOT_ALLOWED, f"{name}: {show(method)} not allowed, only {only}"
            )
        if local and method == Method.PUT and (reason := self._check_local(name)):
            return Answer.from_text(Code.FORBIDDEN, reason)
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT):
                answer = await self._run(point, Method(method), text)
        except Exception as error:  # noqa: BLE001  # every error of a handler becomes a code
            return _answer_to(name, error)
        if answer.code is Code.CHANGED:
            await self._report_change(point)
            if local:
                point.note_local()
        return answer

    def _check_local(self, name: str) -> str | None:
        reasons = (point.check_local(name) for point in self.points.values())
        return next((reason for reason in reasons if reason), None)

    @staticmethod
    async def _run(point: DataPoint, method: Method, text: str) -> Answer:
        if method is Method.GET:
            return Answer.from_text(Code.CONTENT, format_value(await point.get()))
        await point.put(parse_value(point.description, text))
        return Answer(Code.CHANGED)

    async def _report_change(self, point: DataPoint) -> None:
        """Report the new value; a failure does not change the request's result."""
        name = point.description.name
        try:
            async with asyncio.timeout(CHANGE_TIMEOUT):
                await self._on_change(name, await point.get())
        except Exception:  # noqa: BLE001  # the value is set even if the report fails
            _log.exception("%s: its change is not reported", name)

    async def close(self) -> None:
        """Close every data point."""
        for point in self.points.values():
            await point.close()


def _answer_to(name: str, error: Exception) -> Answer:
    """Turn a handler's error into an answer; an unexpected one is logged with its traceback."""
    match error:
        case WireError() | RefusedError():
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        case UnavailableError():
            return Answer.from_text(Code.SERVICE_UNAVAILABLE, str(error))
        case TimeoutError():
            return Answer.from_text(
                Code.SERVICE_UNAVAILABLE, f"{name}: no result in {HANDLER_TIMEOUT:g} s"
            )
        case _:
            _log.error("%s: the handler failed", name, exc_info=error)
            return Answer.from_text(Code.INTERNAL_SERVER_ERROR, f"{name}: internal error")
