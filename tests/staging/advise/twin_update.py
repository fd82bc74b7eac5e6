"""How a twin carries out orders to update: by TUF, with one fault by the name of a check."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from staging.advise.message import DELETE, Message
from staging.advise.tuf import canonical
from tests.staging.advise.twin_points import ROOT_SEED
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer
from wire.ota import OtaOrder, parse_order

if TYPE_CHECKING:
    from tests.staging.advise.twins import Twin

REPOSITORY = "http://advisor/tuf/metadata/"
KEY = Ed25519PrivateKey.from_private_bytes(ROOT_SEED).public_key()
TRIES, CHUNK = 8, 8192


class EndError(Exception):
    """The update ends, with the event in ``args``."""


class Update:
    """The updater of one twin."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.task: asyncio.Task[None] | None = None
        self.done: dict[str, str] = {}
        self.order: OtaOrder | None = None
        self.newest = 0
        self.trusts = True
        self.written: list[bytes] = []
        self.booting: str | None = None

    def bad(self, check: str) -> bool:
        return self.twin.bad(check)

    def tell(self, event: int, **more: object) -> None:
        assert self.order is not None
        if event == 0 and self.bad("update.begins"):
            return
        told = {"transaction": self.order.transaction, "event": event} | more
        self.twin.say("ota_event", told)

    def state(self, state: int) -> None:
        assert self.order is not None
        told = {"transaction": self.order.transaction, "state": state}
        self.twin.say("ota_state", told)

    # Orders.

    def serve(self, message: Message) -> Answer:
        if message.code == DELETE:
            return self.cancel(message.query[0].partition("=")[2])
        return self.take(message.payload)

    def take(self, payload: bytes) -> Answer:
        try:
            order = parse_order(payload)
        except WireError:
            return Answer(Code.CHANGED if self.bad("update.unreadable") else Code.BAD_REQUEST)
        if order.version.startswith("0."):
            return Answer(Code.CHANGED if self.bad("update.older") else Code.BAD_REQUEST)
        if self.done.get(order.transaction) == "installed":
            if self.bad("update.done-once"):
                self.begin(order)
            return Answer(Code.CHANGED)
        if self.runs:
            return self.another(order)
        self.begin(order)
        return Answer(Code.CHANGED)

    @property
    def runs(self) -> bool:
        return self.task is not None and not self.task.done()

    def another(self, order: OtaOrder) -> Answer:
        assert self.order is not None
        if order.transaction == self.order.transaction:
            if self.bad("update.repeat"):
                self.tell(0)
            return Answer(Code.CHANGED)
        if not self.bad("update.second"):
            return Answer(Code.CONFLICT)
        for event in (0, 12):
            self.twin.say("ota_event", {"transaction": order.transaction, "event": event})
        return Answer(Code.CHANGED)

    def begin(self, order: OtaOrder) -> None:
        self.order = order
        self.task = asyncio.create_task(self.carry_out(order))
        self.twin.tasks.add(self.task)

    def cancel(self, transaction: str) -> Answer:
        if self.order is None or self.order.transaction != transaction:
            return Answer(Code.NOT_FOUND)
        if self.runs and self.task is not None and not self.bad("update.cancel"):
            self.task.cancel()
            self.tell(12)
        return Answer(Code.CHANGED)

    async def carry_out(self, order: OtaOrder) -> None:
        if self.bad("update.prompt"):
            await asyncio.sleep(11)
        try:
            self.tell(0)
            self.tell(4, percent=50 if self.twin.bad_in("orders", "update.percent") else 0)
            signed = await self.admitted(order) if self.trusts else None
            content = await self.fetched(order)
            self.check(order, signed, content)
            self.unpack(order, content)
        except EndError as end:
            self.finish(order, int(end.args[0]))

    def finish(self, order: OtaOrder, event: int) -> None:
        case = self.twin.bench.case
        self.tell(event)
        if self.twin.bad_in("orders", "update.one-end") or self.twin.bad_in(
            "update cut", "update.each-ends"
        ):
            self.tell(9)
        if self.twin.bad_in("update disagreeing", "update.stays"):
            self.twin.say("package_info", {"product": "story", "os": {"version": "0.9"}})
        if self.bad("update.goes-on") and case == "orders":
            self.twin.dazed = True
        self.done[order.transaction] = "failed"

    def killed(self) -> None:
        """Be killed: what was under way is told to have failed when the machine is there again."""
        if not self.runs or self.task is None or self.order is None:
            return
        self.task.cancel()
        if not self.bad("faults.update"):
            self.tell(9)

    # Trust.

    async def metadata(self, name: str) -> dict[str, Any]:
        reply, _ = self.twin.bench.fetch(REPOSITORY + name, 0)
        await asyncio.sleep(0.01)
        if reply.status != 200:
            raise EndError(6)
        found: dict[str, Any] = json.loads(reply.body)
        try:
            KEY.verify(bytes.fromhex(found["signatures"][0]["sig"]), canonical(found["signed"]))
        except InvalidSignature:
            if not self.bad("update.forged"):
                raise EndError(8) from None
        signed: dict[str, Any] = found["signed"]
        return signed

    async def admitted(self, order: OtaOrder) -> dict[str, Any]:
        """Return the signed entry of an order's package."""
        signed = await self.metadata("timestamp.json")
        until = datetime.fromisoformat(signed["expires"]).timestamp()
        if until * 1000 < self.twin.bench.wall_ms() and not self.bad("update.frozen"):
            raise EndError(8)
        if signed["version"] < self.newest and not self.bad("update.rolled-back"):
            raise EndError(8)
        self.newest = signed["version"]
        await self.metadata(f"{self.newest}.snapshot.json")
        targets = (await self.metadata(f"{self.newest}.targets.json"))["targets"]
        entry: dict[str, Any] = targets.get(f"story/{order.version}.tar.gz")
        if entry is None:
            raise EndError(12)
        if entry["custom"]["product"] != "story" and not self.bad("update.product"):
            raise EndError(12)
        if entry["length"] != order.size:
            raise EndError(10 if self.bad("update.size") else 12)
        return entry

    def check(self, order: OtaOrder, signed: dict[str, Any] | None, content: bytes) -> None:
        if signed is not None and hashlib.sha256(content).hexdigest() != signed["hashes"]["sha256"]:
            if self.twin.bad_in("update lies", "update.other-bytes"):
                self.state(3)
                self.tell(7, percent=0)
            raise EndError(31)
        if hashlib.md5(content).hexdigest() != order.signature:
            raise EndError(10 if self.bad("update.md5") else 31)

    # The download.

    async def fetched(self, order: OtaOrder) -> bytes:
        here = b""
        self.state(1)
        for _ in range(TRIES):
            part, whole = await self.attempt(order, here)
            here = part
            if whole:
                break
            if self.twin.bad_in("update cut", "update.resumes"):
                here = b""
            await asyncio.sleep(0.8)
        else:
            raise EndError(6)
        self.tell(4, percent=1)
        self.tell(77 if self.twin.bad_in("update download", "update.numbers") else 5)
        self.state(4 if self.bad("update.states") else 2)
        return here

    async def attempt(self, order: OtaOrder, here: bytes) -> tuple[bytes, bool]:
        """Return what is there after one request, and whether it is all of it."""
        url, reply, pace = order.url, None, 0
        for _ in range(182 if self.bad("update.circle") else 5):
            reply, pace = self.twin.bench.fetch(url, len(here))
            await asyncio.sleep(0.25 if self.bad("update.circle") else 0.01)
            if reply.status != 302:
                break
            if self.bad("update.redirect") and "moved" in reply.headers["Location"]:
                raise EndError(6)
            url = f"http://advisor{reply.headers['Location']}"
        assert reply is not None
        if reply.status not in {200, 206}:
            raise EndError(6)
        if reply.headers.get("Content-Type") == "text/html":
            if self.bad("update.page"):
                self.tell(5)
            return here, False
        if reply.status == 200 and int(reply.headers["Content-Length"]) != order.size:
            raise EndError(10 if self.bad("update.too-long") else 8)
        if reply.status == 200 and not (here and self.bad("update.no-ranges")):
            here = b""
        return await self.stream(order, here, reply.body, pace)

    async def stream(
        self, order: OtaOrder, here: bytes, body: bytes, pace: int
    ) -> tuple[bytes, bool]:
        told = 0.0
        for at in range(0, len(body), CHUNK):
            if pace:
                await asyncio.sleep(CHUNK / pace)
            here += body[at : at + CHUNK]
            if pace and self.twin.bench.now() - told > 1:
                told = self.twin.bench.now()
                self.progress(len(here) / order.size)
        return here, len(here) >= order.size

    def progress(self, part: float) -> None:
        if self.bad("update.progress"):
            part = 1 - part
        self.tell(4, percent=min(1.0, round(part, 3)))

    # The installation.

    def unpack(self, order: OtaOrder, content: bytes) -> None:
        self.state(3)
        self.tell(7, percent=0)
        self.written.append(content)
        if not content.startswith(b"good"):
            raise EndError(10 if self.twin.bad_in("update download", "update.damaged") else 30)
        if self.bad("update.installs"):
            raise EndError(9)
        self.state(4)
        self.done[order.transaction] = "installed"
        if not self.bad("update.runs"):
            self.twin.version = order.version
        self.booting = order.transaction
        self.twin.reboot()

    def booted(self) -> None:
        """Tell how an update has ended, after the machine has started again."""
        if self.booting is not None:
            self.booting = None
            self.tell(10)
