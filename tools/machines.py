"""Simulated machines that take orders to update, for proofs of the cloud: real TLS and frames, no package is fetched.

A machine reconnects when the cloud goes, and sends again what the cloud has not acknowledged, as agents do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from staging.data_dir import Endpoints
from staging.fleet.devices import CoapDevice
from transport.errors import TransportError
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.ota import OtaEvent, OtaOrder, parse_order
from wire.reports import Credentials

# Seconds between two tries to reach the cloud, drawn anew each time.
RETRY = (0.2, 1.0)
# Connections that are opened at once; each costs the cloud a handshake.
HANDSHAKES = 8
# Seconds that a step of an update takes, at least and at most.
STEP = (0.1, 0.4)
_random = random.SystemRandom()


@dataclass(eq=False)
class Machine:
    """One machine."""

    who: Credentials
    version: str = "1.0.0"
    battery: int = 80
    volume: int = 6
    fails: bool = False
    """Whether every version fails on it."""
    slow: float = 1.0
    """How much longer its steps take."""
    seen: list[str] = field(default_factory=list)
    """The transactions of its orders, each as often as it came."""
    ended: list[str] = field(default_factory=list)
    """The transactions whose end the cloud has acknowledged."""
    online: bool = False
    link: CoapDevice | None = None
    work: asyncio.Task[None] | None = None
    order: OtaOrder | None = None
    waiting: list[dict[str, object]] = field(default_factory=list)

    async def answer(self, request: Request) -> Answer:
        """Answer the cloud."""
        path = "/".join(request.path)
        if path == "newfirmware" and request.method == "PUT":
            order = parse_order(request.payload)
            self.seen.append(order.transaction)
            self.order = order
            if self.seen.count(order.transaction) == 1:
                self.work = asyncio.get_running_loop().create_task(self._update(order))
            return Answer(Code.CHANGED)
        if path == "newfirmware" and request.method == "DELETE":
            return self._give_up()
        if path == "volume" and request.method == "PUT":
            self.volume = int(request.payload)
            return Answer(Code.CHANGED)
        values = {"volume": self.volume, "power": self.battery}
        if path in values:
            return Answer(Code.CONTENT, str(values[path]).encode())
        return Answer(Code.NOT_FOUND)

    def _give_up(self) -> Answer:
        if self.work is None or self.work.done():
            return Answer(Code.CONFLICT, b"nothing is under way")
        self.work.cancel()
        if self.order is not None:  # whoever gives an update up reports its end
            self.waiting.append(_event(self.order, OtaEvent.REJECT, None, "cancelled: by an order"))
        return Answer(Code.CHANGED)

    async def _update(self, order: OtaOrder) -> None:
        for event, percent in ((OtaEvent.BEGIN, None), (OtaEvent.DOWNLOADING, 0.5), (OtaEvent.INSTALLING, 0.5)):  # fmt: skip
            self.waiting.append(_event(order, event, percent))
            await asyncio.sleep(self.slow * _random.uniform(*STEP))
        if self.fails:
            self.waiting.append(_event(order, OtaEvent.REJECT, None, "not proven within 120 s"))
        else:
            self.waiting.append(_event(order, OtaEvent.INSTALLED, None))
            self.version = order.version
            self.waiting.append(self._running())

    def _running(self) -> dict[str, object]:
        return {"package_info": {"os": {"version": self.version}}}

    async def run(
        self, where: Callable[[], Endpoints], context: ssl.SSLContext, endpoint: FramedEndpoint,
        gate: asyncio.Semaphore,
    ) -> None:  # fmt: skip
        """Be connected, and report, until cancelled."""
        while True:
            self.link = _Answering(self, where(), context, endpoint)
            try:
                async with gate:
                    await self.link.connect()
                await self._report({"power": self.battery})
                await self._report({"volume": self.volume})
                await self._report(self._running())
                self.online = True
                while self.link.connected:
                    await self._send()
            except (OSError, TransportError, TimeoutError):
                pass
            finally:
                self.online = False
                with contextlib.suppress(OSError, TransportError):
                    await self.link.close()
            await asyncio.sleep(_random.uniform(*RETRY))

    async def _send(self) -> None:
        if not self.waiting:
            await asyncio.sleep(STEP[0])
            return
        await self._report(self.waiting[0])
        sent = self.waiting.pop(0)
        told = sent.get("ota_event")
        if isinstance(told, dict) and told["event"] in {OtaEvent.INSTALLED, OtaEvent.REJECT}:
            self.ended.append(str(told["transaction"]))

    async def _report(self, data: dict[str, object]) -> None:
        if self.link is None:
            raise OSError("not connected")
        answer = await self.link.report(data)
        if answer.code >> 5 != 2:
            raise OSError(f"refused: {answer.text}")


class _Answering(CoapDevice):
    """The link of a machine."""

    def __init__(
        self, machine: Machine, where: Endpoints, context: ssl.SSLContext, endpoint: FramedEndpoint
    ) -> None:
        super().__init__(machine.who, where, context, endpoint, machine.answer)


def _event(
    order: OtaOrder, event: OtaEvent, percent: float | None, text: str = ""
) -> dict[str, object]:
    told: dict[str, object] = {"transaction": order.transaction, "event": int(event)}
    if percent is not None:
        told["percent"] = percent
    return {"ota_event": told | ({"description": text} if text else {})}


@contextlib.asynccontextmanager
async def running(
    machines: Sequence[Machine], where: Callable[[], Endpoints], context: ssl.SSLContext
) -> AsyncIterator[None]:
    """Have the machines connected while the block runs."""
    endpoint = await FramedEndpoint.create()
    gate = asyncio.Semaphore(HANDSHAKES)
    tasks = [asyncio.create_task(each.run(where, context, endpoint, gate)) for each in machines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await endpoint.shutdown()
