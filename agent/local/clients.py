"""The clients on the home network that have keys (OSCORE): who they are, and their security contexts.

``story-agent lan`` adds, renews and removes them while the agent runs; a key that is renewed or
removed is refused from then on.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.local.keyring import FOLDER_NAME, Entry, Keyring
from agent.local.sockets import LocalAccessError
from base.tasks import finished
from base.threads import in_thread
from wire.lan_keys import Keys

if TYPE_CHECKING:
    from transport.oscore import ClientContext

EXTRA = (
    "cbor2 or filelock is missing: pip install 'story-agent[oscore]', or set local.oscore_port = 0"
)

_log = logging.getLogger(__name__)


class Clients:
    """The clients of one state folder."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read nothing before `load`; ``clock`` gives seconds."""
        self._keyring = Keyring(state / FOLDER_NAME)
        self._clock = clock
        self._contexts: dict[str, ClientContext] = {}
        self._by_id: dict[bytes, str] = {}
        self._heard: dict[str, float] = {}
        self._faults: dict[str, str] = {}
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys, once more after a failure; raises LocalAccessError."""
        async with self._lock:
            try:
                entries = await asyncio.to_thread(self._keyring.read)
            except OSError as error:
                raise LocalAccessError(f"{FOLDER_NAME}: {error.strerror or error}") from error
            for entry in entries:
                if entry.name not in self._contexts:
                    self._enter(entry)

    def find(self, client_id: bytes) -> ClientContext | None:
        """Return the security context of a client's id, None if nobody has it."""
        name = self._by_id.get(client_id)
        if name is None:
            return None
        return self._contexts[name]

    def heard(self, client_id: bytes) -> None:
        """Note that a client has sent something with its key."""
        if (name := self._by_id.get(client_id)) is not None:
            self._heard[name] = self._clock()

    async def add(self, name: str) -> Keys:
        """Make a new client's keys; raises as `Keyring.add`, and LocalAccessError."""
        return await self._change(name, self._keyring.add)

    async def renew(self, name: str) -> Keys:
        """Replace a client's keys; raises as `Keyring.renew`, and LocalAccessError."""
        return await self._change(name, self._keyring.renew)

    async def remove(self, name: str) -> None:
        """Forget a client; raises as `Keyring.remove`."""
        await finished(self._remove(name))

    def status(self) -> Mapping[str, object]:
        """Return each client's state, for ``status`` and ``story-agent lan list``; no secrets."""
        now = self._clock()
        told: dict[str, object] = {}
        for name in sorted({*self._contexts, *self._faults}):
            if name in self._faults:
                told[name] = {"state": "damaged", "fault": self._faults[name]}
            elif name in self._heard:
                told[name] = {"state": "heard", "seconds": round(now - self._heard[name], 1)}
            else:
                told[name] = {"state": "not heard"}
        return told

    async def _remove(self, name: str) -> None:
        async with self._lock:
            await asyncio.to_thread(self._keyring.remove, name)
            self._leave(name)

    async def _change(self, name: str, make: Callable[[str, frozenset[bytes]], Keys]) -> Keys:
        _import()
        return await finished(self._make(name, make))

    async def _make(self, name: str, make: Callable[[str, frozenset[bytes]], Keys]) -> Keys:
        async with self._lock:
            keys = await asyncio.to_thread(make, name, frozenset(self._by_id))
            self._leave(name)
            self._enter(Entry(name, keys))
            return keys

    def _enter(self, entry: Entry) -> None:
        name, keys = entry.name, entry.keys
        if keys is None:
            if self._faults.get(name) != entry.fault:
                _log.error(
                    "home network: %s cannot be served: %s; story-agent lan renew %s",
                    name, entry.fault, name,
                )  # fmt: skip
            self._faults[name] = entry.fault
            return
        context_of = _import()

        async def reserve(number: int) -> None:
            async with self._lock:
                if self._by_id.get(keys.client_id) != name:  # renewed meanwhile
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
                await in_thread(self._keyring.reserve, name, keys, number)

        self._contexts[name] = context_of(keys, entry.number, reserve)
        self._by_id[keys.client_id] = name

    def _leave(self, name: str) -> None:
        self._faults.pop(name, None)
        self._heard.pop(name, None)
        if (context := self._contexts.pop(name, None)) is not None:
            context.is_revoked = True
            del self._by_id[context.recipient_id]


def _import() -> type[ClientContext]:
    """Return the class of contexts; raises LocalAccessError without the extra."""
    try:
        from transport.oscore import ClientContext  # noqa: PLC0415  # off by default
    except ImportError as error:
        raise LocalAccessError(EXTRA) from error
    return ClientContext
