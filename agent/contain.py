"""Background work whose failure does not end the agent: it is logged, told in ``status``, and begun again.

A story goes on although a battery's file cannot be read, or somebody else has a port of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from agent.local.sockets import LocalAccessError
from base.backoff import Backoff
from transport.errors import TransportError

# Seconds before work is begun again, doubling; a wrong setting must not keep a small board busy.
FIRST_SECONDS, MAX_SECONDS = 1.0, 300.0
# Work that has gone on for so long has no fault any more.
STEADY_SECONDS = 60.0

# What is said in one line; any other error is a bug, whose traceback the log needs.
_EXPECTED = (LocalAccessError, TransportError, OSError)

_log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Containment:
    """Runs work until it returns by itself; each piece has a name of its own."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        """Wait by ``sleep``, seconds, before work that failed is begun again."""
        self._sleep = sleep
        self._faults: dict[str, str] = {}

    @property
    def faults(self) -> Mapping[str, str]:
        """Why which work does not go on, for ``status``."""
        return dict(self._faults)

    async def run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work``, and again when it fails, until it returns or this is cancelled."""
        backoff = Backoff(MAX_SECONDS, first=FIRST_SECONDS)
        loop = asyncio.get_running_loop()

        def steady() -> None:
            backoff.reset()
            self.goes_on(name)

        while True:
            watch = loop.call_later(STEADY_SECONDS, steady)
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the machine plays on
                self._note(name, error)
            else:
                self.goes_on(name)
                return
            finally:
                watch.cancel()
            await self._sleep(backoff.next())

    def goes_on(self, name: str) -> None:
        """Note that a piece of work does what it should; that it could not is forgotten."""
        if self._faults.pop(name, None) is not None:
            _log.info("%s: works again", name)

    def _note(self, name: str, error: Exception) -> None:
        """Log a failure once, and again only if it is another one."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        text = str(error) or type(error).__name__
        if not isinstance(error, _EXPECTED):
            text = f"internal error: {type(error).__name__}"
        if self._faults.get(name) == text:
            return
        self._faults[name] = text
        bug = None if isinstance(error, _EXPECTED) else error
        _log.error("%s: does not work, is tried again: %s", name, text, exc_info=bug)
