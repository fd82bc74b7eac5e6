"""What a twin says and hears on one connection: `tests.staging.advise.twins` has the machine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from staging.advise.message import (
    ACK,
    CON,
    GET,
    NON,
    PUT,
    REQUEST_ID,
    RST,
    UNTIL,
    Message,
    decode,
    encode,
    request,
)
from tests.staging.advise.twin_points import POINTS, TOKEN, UUID, RefusedError
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer
from wire.fields import dump_object
from wire.framing import HEADER, MAGIC, FrameDecoder, FramingError

if TYPE_CHECKING:
    from tests.staging.advise.twins import Twin
    from tests.staging.advise.virtual import VirtualLine

ALIVE_SECONDS, QUIET, PATIENCE, ANSWER = 55.0, 20.0, 7.0, 20.0
BAD_OPTION = 0x82
KNOWN_OPTIONS = frozenset({11, 15, UNTIL, REQUEST_ID})


def framed_of(message: Message) -> bytes:
    data = encode(message)
    return HEADER.pack(MAGIC, len(data)) + data


class Session:
    """One connection of a twin."""

    def __init__(self, twin: Twin, line: VirtualLine) -> None:
        self.twin, self.line = twin, line
        self.bench = twin.bench
        self.registered = self.over = self.refused = False
        self.sulks = 0.0
        self.pings: set[int] = set()
        self.chunk = self.turn = 0
        self.skips = self.starving = False
        self.number = 0
        self.ahead_ms = 0
        self.waiting: dict[bytes, asyncio.Future[Message]] = {}
        self.recent: dict[int, bytes] = {}
        self.mids = itertools.count(0x100)
        self.heard = self.bench.now()
        self.news = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def bad(self, check: str) -> bool:
        return self.twin.bad(check)

    async def run(self) -> None:
        self.tasks = [asyncio.create_task(self.work())]
        try:
            await self.read()
        finally:
            self.over = True
            for task in self.tasks:
                task.cancel()
            if self.bad("reports.cut"):
                self.twin.outbox.clear()
            self.line.leave()

    def end(self) -> None:
        """End the connection after what has come."""
        if not self.over:
            self.over = True
            self.line._down._queue.put_nowait(b"")

    async def read(self) -> None:
        decoder = FrameDecoder()
        while (data := await self.line.recv()) and not self.over:
            await self.twin.awake.wait()
            self.heard = self.bench.now()
            if self.skips or self.starves(data, decoder.pending):
                self.skips = False
                continue
            try:
                messages = list(decoder.feed(data))
            except FramingError as error:
                await self.broken(str(error))
                return
            if messages and decoder.pending and self.bad("frames.tail"):
                decoder, self.skips = FrameDecoder(), True
            self.take_all(messages)
        self.sulk(torn=decoder.pending > 0)

    def starves(self, data: bytes, pending: int) -> bool:
        """Whether a twin that wants a header in one read loses this one, and the rest of its frame."""
        if self.bad("frames.split") and not pending:
            self.starving = len(data) < 8 or (self.starving and len(data) < 20)
        return self.starving

    def take_all(self, messages: list[bytes]) -> None:
        if self.bad("frames.joined") and len(messages) == 3:
            messages = messages[:2]
        if self.bad("frames.record"):
            messages = messages[:4]
        for message in messages:
            if not self.over:
                self.take(decode(message))

    def sulk(self, *, torn: bool) -> None:
        """Stay away for long after an end that it does not expect, where that is the fault."""
        what = "torn" if torn else "reset" if self.line.was_reset else "close"
        if self.twin.bad_in("cuts", f"link.back-after-{what}"):
            self.sulks = 100.0

    async def broken(self, why: str) -> None:
        """End the stream, as it should where it cannot be read."""
        check = "frames.over-long" if "length" in why else "frames.wrong-magic"
        while self.bad(check) and await self.line.recv():
            pass

    # What the cloud says.

    def take(self, message: Message) -> None:
        if message.faults or message.version != 1:
            if self.bad("frames.junk"):
                self.end()
            return
        if message.is_request:
            self.serve(message)
        elif message.is_response or message.kind in {ACK, RST}:
            found = self.waiting.pop(
                message.token if message.is_response else message.mid.to_bytes(2, "big"), None
            )
            if found is not None and not found.done():
                found.set_result(message)
            elif self.bad("frames.strays") and message.mid not in self.pings:
                self.end()
        elif message.kind == CON and not self.bad("frames.ping"):
            self.send(Message(RST, 0, message.mid))

    def serve(self, message: Message) -> None:
        if message.mid in self.recent and not self.bad("frames.once"):
            self.line.send(self.recent[message.mid])
            return
        unknown = [key for key, _ in message.options if key not in KNOWN_OPTIONS]
        if self.refuses(unknown):
            self.answer(message, Answer(BAD_OPTION))
        elif len(message.token) != 3 and self.bad("frames.tokens"):
            self.answer(replace(message, token=b"tok"), Answer(Code.CONTENT))
        elif self.twin.dazed and self.bench.case == "orders":
            self.later(0.0, message, Answer(Code.INTERNAL_SERVER_ERROR))
        elif self.twin.is_stuck():
            pass
        elif not (self.too_many(message) or (message.kind == NON and self.bad("frames.non"))):
            late = 1.5 if self.bad("control.swift") else 0.0
            if self.twin.bad_in("update download", "update.answers") and message.code == GET:
                late = 2.5
            self.later(late, message, self.guarded(message))

    def refuses(self, unknown: list[int]) -> bool:
        """Whether options that it does not know keep it from carrying a request out."""
        if any(key % 2 for key in unknown):
            return not self.bad("frames.critical")
        return bool(unknown) and self.bad("frames.elective")

    def later(self, seconds: float, message: Message, answer: Answer) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.answer, message, answer)
        else:
            self.answer(message, answer)

    def too_many(self, message: Message) -> bool:
        """Whether a twin that cannot take so much at once loses this request."""
        if not self.turn:
            asyncio.get_running_loop().call_soon(self.next_turn)
        self.turn += 1
        return self.bad("control.at-once") and message.code == 1 and self.turn > 12

    def next_turn(self) -> None:
        self.turn = 0

    def answer(self, to: Message, answer: Answer) -> None:
        kind = ACK if to.kind == CON else NON
        mid = to.mid if kind == ACK else next(self.mids)
        token = to.token
        if self.bad("frames.match"):
            mid ^= 1
        if self.bad("answers separately") and kind == ACK:
            self.recent[to.mid] = framed_of(Message(ACK, 0, mid))
            self.line.send(self.recent[to.mid])
            self.line.send(
                framed_of(Message(CON, answer.code, next(self.mids), token, payload=answer.payload))
            )
            return
        data = encode(Message(kind, answer.code, mid, token, payload=answer.payload))
        framed = HEADER.pack(MAGIC, len(data)) + data
        self.recent[to.mid] = framed
        self.line.send(framed)

    def guarded(self, message: Message) -> Answer:
        """Carry a request out in time, and once for each id."""
        options = dict(message.options)
        until = int.from_bytes(options.get(UNTIL, b""), "big")
        if until and "clock_wrong" in self.twin.lacks and self.bad("faults.clock-order"):
            return Answer(Code.SERVICE_UNAVAILABLE, b"too late")
        if until and until < self.bench.wall_ms() and not self.bad("control.late"):
            return Answer(Code.SERVICE_UNAVAILABLE, b"too late")
        key = options.get(REQUEST_ID, b"")
        if key in self.twin.ids and not self.bad("control.once"):
            return self.twin.ids[key]
        answer = self.handle(message)
        if key:
            self.twin.ids[key] = answer
        return answer

    def handle(self, message: Message) -> Answer:
        path = message.path
        if path == ("resource",) and message.code == GET and not self.twin.is_old:
            code = Code.INTERNAL_SERVER_ERROR if self.bad("control.described") else Code.CONTENT
            return Answer(code, dump_object({"resources": POINTS, "report": []}))
        if path == ("newfirmware",):
            return self.twin.update.serve(message)
        name = path[0] if len(path) == 1 else ""
        if name not in self.twin.values:
            return Answer(Code.CONTENT if self.bad("control.unknown") else Code.NOT_FOUND)
        if message.code == GET:
            wrong = self.bad("control.reads") and name == "power"
            return Answer(Code.CONTENT, b"many" if wrong else self.twin.text(name))
        if message.code != PUT or name == "power":
            refusing = "control.read-only" if message.code == PUT else "control.methods"
            return Answer(Code.CHANGED if self.bad(refusing) else Code.METHOD_NOT_ALLOWED)
        return self.put(name, message.payload)

    def put(self, name: str, payload: bytes) -> Answer:
        twin = self.twin
        before = twin.values[name]
        try:
            twin.put(name, payload)
        except RefusedError:
            return Answer(Code.BAD_REQUEST, b"not so")
        if self.bad("control.order") and self.turn > 8:
            twin.values[name] = before
        if twin.values[name] != before:
            self.changed(name)
        return Answer(Code.CHANGED)

    def changed(self, name: str) -> None:
        twin = self.twin
        value = twin.values[name]
        if self.bad("reports.tells"):
            return
        if self.bad("reports.invents-nothing") and name == "volume":
            twin.outbox.append((next(twin.numbers), name, 99))
        if self.bad("reports.types"):
            twin.outbox.append((next(twin.numbers), "power", "much"))
        twin.outbox.append((next(twin.numbers), name, value))
        self.news.set()

    # What the machine says.

    def send(self, message: Message) -> None:
        data = encode(message)
        if self.bad("link.well-formed"):
            data = encode(replace(message, version=0))
        self.line.send(HEADER.pack(MAGIC, len(data)) + data)

    async def ask(self, message: Message, within: float = ANSWER) -> Message | None:
        self.number += 1
        token = self.number.to_bytes(2, "big")
        sent = replace(message, mid=next(self.mids), token=token)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.waiting[token] = future
        self.send(sent)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await future
        return None

    async def work(self) -> None:
        try:
            await self.register()
        except WireError:
            self.end()

    async def register(self) -> None:
        if self.twin.bad_in("register", "link.registers-first"):
            self.send(replace(self.report_of({"alive": 0}), mid=1, token=b"\1"))
        if self.bad("link.waits-for-acceptance"):
            asyncio.get_running_loop().call_later(0.2, self.early)
        if self.twin.bad_in("register", "link.one-connection"):
            self.twin.bench.connect()
        asked = request("POST", ("reg_for_control",), dump_object(self.told()))
        answer = await self.ask(asked, 1e6 if self.bad("link.gives-up-unanswered") else 15.0)
        if answer is None or answer.code != Code.CONTENT:
            self.refusal(0 if answer is None else answer.code)
        elif b"920000000" in answer.payload and self.bad("reports.clock"):
            self.end()
        else:
            await self.accepted()

    def told(self) -> dict[str, object]:
        uuid = UUID[:-1] if self.bad("link.registration-form") else UUID
        return {
            "deviceUUID": uuid,
            "token": "another" if self.bad("link.registration-identity") else TOKEN,
        }

    def refusal(self, code: int) -> None:
        self.refused = code == Code.UNAUTHORIZED
        talks = {
            Code.SERVICE_UNAVAILABLE: "link.waits-when-refused",
            Code.UNAUTHORIZED: "link.bows-to-refusal",
        }
        if code in talks and self.bad(talks[Code(code)]):
            self.early()
        self.end()

    async def accepted(self) -> None:
        self.registered = True
        version = self.twin.version
        told: dict[str, object] = {
            "device_info": {"uuid": UUID, "firmwareVersion": version}
            | ({} if self.twin.is_old else {"reads": ["deadline"]}),
            "package_info": {"product": "story", "os": {"version": version}},
        }
        await self.report(told, 0)
        self.twin.update.booted()
        self.tasks += [asyncio.create_task(self.keep_alive()), asyncio.create_task(self.look())]
        if self.bad("voice.unasked"):
            self.tasks.append(asyncio.create_task(self.overhear()))
        if self.bad("reports.rests"):
            self.tasks.append(asyncio.create_task(self.chatter()))
        await self.deliver()

    def early(self) -> None:
        self.send(replace(self.report_of({"volume": 8}), mid=7, token=b"\7"))

    def report_of(self, data: dict[str, object], number: int = 0) -> Message:
        uuid = "f" * 14 if self.bad("reports.query") and number else UUID
        body: dict[str, object] = {"data": data}
        if number and not self.twin.is_old:
            body |= {"epoch": "0" * 16, "number": number}
        query = (f"deviceUuid={uuid}", f"token={TOKEN}")
        return request("POST", ("v1", "device", "data"), dump_object(body), query)

    async def report(self, data: dict[str, object], number: int) -> int | None:
        """Report; return the answer's code, None without one."""
        answer = await self.ask(self.report_of(data, number))
        return None if answer is None else answer.code

    async def tell(self, data: dict[str, object]) -> None:
        await self.report(data, 0)

    async def deliver(self) -> None:
        twin = self.twin
        while True:
            if twin.bad_in("changed", "reports.order") and len(twin.outbox) == 1:
                await self.swap()
            while twin.outbox:
                await self.deliver_first()
            self.news.clear()
            await self.news.wait()

    async def swap(self) -> None:
        """Wait for a second report, and send it first, numbered as if all were well."""
        outbox = self.twin.outbox
        await asyncio.sleep(9)
        numbers = sorted(each[0] for each in outbox)
        outbox[:] = [
            (number, *each[1:]) for number, each in zip(numbers, reversed(outbox), strict=True)
        ]
        self.twin.fault = ""

    async def deliver_first(self) -> None:
        twin = self.twin
        number, name, value = twin.outbox[0]
        if self.bad("reports.form"):
            await self.report({}, 0)
        if self.bad("reports.same-number") or self.bad("reports.numbers"):
            number = next(twin.numbers) if self.bad("reports.same-number") else 1
        code = await self.report({name: value}, number)
        if code is None:
            self.end()
            await asyncio.sleep(1e6)
        elif code >> 5 == 5:
            await self.after_busy()
        elif code >> 5 == 2 or not self.bad("reports.refused"):
            twin.outbox[:] = [
                each for each in twin.outbox if each[0] != number and each[1:] != (name, value)
            ]
        else:
            await asyncio.sleep(1.0)

    async def after_busy(self) -> None:
        if self.bad("reports.busy"):
            self.twin.outbox.clear()
        await asyncio.sleep(1.0 + self.twin.random.random())

    async def keep_alive(self) -> None:
        seconds = 30.0 if self.bad("link.keepalive") else ALIVE_SECONDS
        value = 1 if self.bad("link.alive-form") else 0
        while True:
            await asyncio.sleep(seconds)
            if await self.report({"alive": value}, 0) is None and not self.bad("link.half-open"):
                self.end()

    async def chatter(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.report({"power": 80}, 0)

    async def overhear(self) -> None:
        """Send voice although nobody asked."""
        while True:
            await asyncio.sleep(1.5)
            if self.bench.case == "speak":
                await self.report({"voice_control": self.twin.voice.segment(7, b"")}, 0)
                return

    async def look(self) -> None:
        """Ask a quiet cloud whether it is there."""
        while True:
            await asyncio.sleep(QUIET)
            if self.bench.now() - self.heard < QUIET or self.bad("link.half-open"):
                continue
            asked = self.bench.now()
            mid = next(self.mids)
            self.pings.add(mid)
            self.send(Message(CON, 0, mid))
            await asyncio.sleep(PATIENCE)
            if self.heard < asked:
                self.end()
