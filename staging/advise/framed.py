"""The cloud's end of a framed CoAP connection: frames and messages as they come, and such as no cloud would send."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from dataclasses import replace

from staging.advise.bench import Bench, Line
from staging.advise.message import (
    ACK,
    CON,
    GET,
    NON,
    REQUEST_ID,
    RST,
    UNTIL,
    Message,
    decode,
    encode,
    request,
)
from staging.advise.peer import ANSWER_SECONDS, Peer
from staging.advise.record import ANSWERED, Arrival, Known, Probe, Trace
from wire.exchange import Answer
from wire.framing import HEADER, MAGIC, FrameDecoder, FramingError
from wire.reports import REGISTER_PATH, REPORT_PATH

# As the outcome of a probe: the device reset the exchange (RFC 7252 section 4.2).
RESET = "reset"
BLOCK2, BLOCK1 = 23, 27
CONTINUE = 0x5F
# Blocks of a body: 64 KiB in those of 1,024 bytes.
BLOCKS_LIMIT = 64
# The ids begin far from where a device's own usually do.
FIRST_ID = 0x4000


def frame(message: bytes) -> bytes:
    """Put a message into a frame, whatever its length."""
    return HEADER.pack(MAGIC, len(message)) + message


class FramedPeer(Peer):
    """One framed connection."""

    def __init__(self, bench: Bench, line: Line, known: Known, trace: Trace) -> None:
        super().__init__(bench, line, known, trace)
        self._decoder = FrameDecoder(1 << 20)
        self._mid = FIRST_ID
        self._waiting: dict[bytes, asyncio.Future[Message | None]] = {}
        self._tokens: dict[int, bytes] = {}
        self.responses: list[tuple[float, Message]] = []
        self.resets: list[int] = []
        self.acknowledged: list[int] = []
        """The ids of messages that were acknowledged without an answer, which comes in a message of its own."""
        self._following: int | None = None
        self._bodies: dict[tuple[str, ...], bytes] = {}

    # From the device.

    def take(self, data: bytes) -> None:
        """Read frames."""
        try:
            for each in self._decoder.feed(data):
                self.trace.note_frame(self.bench.now(), "<", each)
                self._message(decode(each))
        except FramingError as error:
            self.trace.faults.append(str(error))
            self.line.close()

    def _message(self, message: Message) -> None:
        self.trace.faults += message.faults
        if message.is_request:
            self._request(message)
        elif message.is_response:
            self._response(message)
        elif message.kind == RST:
            self.resets.append(message.mid)
            self._finish(self._tokens.get(message.mid, b"?"), message)
        elif message.kind == CON:
            self.send(Message(RST, 0, message.mid))
        elif message.kind == ACK:
            self.acknowledged.append(message.mid)

    def _request(self, message: Message) -> None:
        block = _block(message, BLOCK1)
        if block is None:
            self._whole(message)
            return
        number, more = block
        key = (*message.path, *message.query)
        body = (self._bodies.pop(key, b"") if number else b"") + message.payload
        if more and number < BLOCKS_LIMIT:
            self._bodies[key] = body
            option = next(each for each in message.options if each[0] == BLOCK1)
            self.send(Message(ACK, CONTINUE, message.mid, message.token, (option,)))
            return
        self._whole(replace(message, payload=body))

    def _whole(self, message: Message) -> None:
        kinds = {REGISTER_PATH: "register", REPORT_PATH: "report"}
        arrival = Arrival(
            self.bench.now(), self.number, kinds.get(message.path, "other"), message.kind == CON,
            _method(message.code), message.path, message.query, message.payload,
        )  # fmt: skip
        if arrival.kind == "report":
            arrival = self.kind_of_report(arrival)
        answer = self.arrive(arrival)
        if answer is not None:
            self.reply(message, answer)
        else:
            self.held.append(functools.partial(self.reply, message))

    def reply(self, to: Message, answer: Answer) -> None:
        """Answer a request of the device."""
        kind = ACK if to.kind == CON else NON
        mid = to.mid if to.kind == CON else self._next_id()
        options = tuple(each for each in to.options if each[0] == BLOCK1)
        self.send(Message(kind, answer.code, mid, to.token, options, answer.payload))

    def _response(self, message: Message) -> None:
        self.responses.append((self.bench.now(), message))
        if message.kind == CON:
            self.send(Message(ACK, 0, message.mid))
        self._finish(message.token, message)

    def _finish(self, token: bytes, message: Message) -> None:
        waiting = self._waiting.get(token)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def fail_waiting(self) -> None:
        """End the waits for answers."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    # To the device.

    def _next_id(self) -> int:
        self._mid = (self._mid + 1) & 0xFFFF
        return self._mid

    def send(self, message: Message) -> None:
        """Send one message in a frame."""
        self.send_bytes(frame(encode(message)))

    def send_bytes(self, *pieces: bytes) -> None:
        """Send bytes, each piece in a record of its own."""
        self.trace.note_frame(self.bench.now(), ">", b"".join(pieces)[HEADER.size :])
        for piece in pieces:
            self.line.write(piece)

    def numbered(self, message: Message) -> Message:
        """Give a request an id and a token of its own."""
        mid = self._next_id()
        return replace(message, mid=mid, token=b"\xad" + mid.to_bytes(2, "big"))

    async def ask(
        self,
        name: str,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
        *,
        within: float = ANSWER_SECONDS,
        until_ms: int | None = None,
        key: bytes = b"",
    ) -> Probe:
        """Send a request and record its answer."""
        made = request(method, path, payload, query)
        options = list(made.options)
        if until_ms is not None:
            options.append((UNTIL, until_ms.to_bytes(8, "big").lstrip(b"\0")))
        if key:
            options.append((REQUEST_ID, key))
        made = replace(made, options=tuple(options))
        probe = await self.exchange(name, made, within=within)
        return await self._rest(probe, made, within)

    async def _rest(self, probe: Probe, asked: Message, within: float) -> Probe:
        """Fetch the blocks of an answer that has more of them (RFC 7959)."""
        body = probe.payload
        while (following := self._following) is not None and following < BLOCKS_LIMIT:
            option = (BLOCK2, (following << 4 | 6).to_bytes(2, "big").lstrip(b"\0"))
            part = replace(asked, options=(*asked.options, option), payload=b"")
            probe = await self.exchange(probe.name, part, within=within)
            if not probe.ok:
                return probe
            body += probe.payload
        return self.keep(replace(probe, payload=body))

    async def exchange(
        self,
        name: str,
        message: Message,
        *,
        within: float = ANSWER_SECONDS,
        pieces: int = 0,
        after: bytes = b"",
    ) -> Probe:
        """Send a message and record its answer.

        ``pieces``: it is sent in pieces of so many bytes; ``after`` is sent in the same record.
        """
        sent = message if message.mid else self.numbered(message)
        data = frame(encode(sent)) + after
        if pieces:
            self.send_bytes(*(data[at : at + pieces] for at in range(0, len(data), pieces)))
        else:
            self.send_bytes(data)
        return await self.expect(name, sent, within)

    async def expect(self, name: str, sent: Message, within: float = ANSWER_SECONDS) -> Probe:
        """Wait for the answer to a message that is being sent, and record it."""
        since = self.bench.now()
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[sent.token], self._tokens[sent.mid] = waiting, sent.token
        if self.ended.is_set():
            waiting.set_result(None)
        answer: Message | None = None
        self._following = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                answer = await waiting
        del self._waiting[sent.token]
        if answer is None:
            return self.keep(self.lost(name, since))
        seconds = self.bench.now() - since
        block = _block(answer, BLOCK2)
        self._following = block[0] + 1 if block is not None and block[1] else None
        if answer.kind == RST:
            return self.keep(Probe(name, RESET, seconds=seconds))
        echoes = answer.kind != ACK or answer.mid == sent.mid
        return self.keep(
            Probe(name, ANSWERED, answer.code, answer.payload, seconds, echoes, answer.kind)
        )

    async def expect_sent(self, name: str, sent: Message) -> Probe:
        """Record the answer to a message that was sent before, which may have come already."""
        for _at, answer in self.responses:
            if answer.token == sent.token:
                echoes = answer.kind != ACK or answer.mid == sent.mid
                return self.keep(
                    Probe(name, ANSWERED, answer.code, answer.payload, 0.0, echoes, answer.kind)
                )
        return await self.expect(name, sent)

    async def ping(self, name: str, within: float = 5.0) -> Probe:
        """Send an empty CON, which is answered by an RST (RFC 7252 section 4.3)."""
        mid = self._next_id()
        return await self.exchange(name, Message(CON, 0, mid, b""), within=within)


def _block(message: Message, number: int) -> tuple[int, bool] | None:
    """Return a block option's number and whether more follow, None without one."""
    for key, value in message.options:
        if key == number:
            whole = int.from_bytes(value, "big")
            return whole >> 4, bool(whole & 8)
    return None


def _method(code: int) -> str:
    return {GET: "GET", 2: "POST", 3: "PUT", 4: "DELETE"}.get(code, f"0.{code:02}")
