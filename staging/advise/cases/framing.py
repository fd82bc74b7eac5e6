"""Cases of frames and messages: cut anywhere, many at once, broken, and such as a peer may ignore (framed link only)."""

from __future__ import annotations

from dataclasses import replace

from staging.advise.bench import AbsentError
from staging.advise.cases.link import back
from staging.advise.cases.model import Case
from staging.advise.framed import FramedPeer, frame
from staging.advise.lab import Lab
from staging.advise.message import ACK, CON, NON, Message, encode, request
from staging.advise.peer import ANSWER_SECONDS
from wire.framing import HEADER, MAGIC

# Numbers that mean nothing (RFC 7252 section 5.4.6: odd ones are critical).
UNKNOWN_CRITICAL, UNKNOWN_ELECTIVE = 2055, 2056
# A length that no message has: a gigabyte.
OVER_LONG = 1 << 30
# Seconds until a peer must have given up a stream that cannot be read any more.
BROKEN_SECONDS = 15.0
# Seconds in which a request that is not ignored is answered.
IGNORED_SECONDS = 3.0
# Requests in one record: as much as one record of TLS holds.
IN_A_RECORD = 8


async def frames(lab: Lab) -> None:
    """Send whole messages in every cut."""
    peer = await lab.framed()
    read = request("GET", lab.path)
    await peer.exchange("whole", read)
    await peer.exchange("byte by byte", read, pieces=1)
    await peer.exchange("in pieces", read, pieces=lab.random.randint(2, 11))
    await peer.exchange("non-confirmable", replace(peer.numbered(read), kind=NON))
    await _joined(peer, read, 3, "joined")
    await _joined(peer, read, IN_A_RECORD, "record")
    await _tail(peer, read)


async def _joined(peer: FramedPeer, read: Message, count: int, name: str) -> None:
    """Send several requests in one write."""
    sent = [peer.numbered(read) for _ in range(count)]
    peer.send_bytes(b"".join(frame(encode(each)) for each in sent))
    for number, each in enumerate(sent, 1):
        await peer.expect_sent(f"{name} {number}", each)


async def _tail(peer: FramedPeer, read: Message) -> None:
    """Send a request and half of the next, and the other half when the first is answered."""
    second = peer.numbered(read)
    data = frame(encode(second))
    half = len(data) // 2
    await peer.exchange("before a tail", read, after=data[:half])
    peer.send_bytes(data[half:])
    await peer.expect_sent("tail", second)


async def messages(lab: Lab) -> None:
    """Send what a peer must ignore, refuse or answer once; what ends the connection is not held against what follows."""
    read = request("GET", lab.path)
    peer = await lab.framed()
    await peer.ping("ping")
    peer = await lab.framed()
    peer.send_bytes(frame(b"\x00\x01\x00\x00not CoAP"))
    await peer.exchange("after what is no message", read)
    peer = await lab.framed()
    peer.send(Message(ACK, 0, 0x3FFF))
    peer.send(Message(NON, 0x45, 0x3FFE, b"stray", payload=b"1"))
    await peer.exchange("after stray answers", read)
    for name, option in (
        ("unknown critical option", UNKNOWN_CRITICAL), ("unknown elective option", UNKNOWN_ELECTIVE),
    ):  # fmt: skip
        peer = await lab.framed()
        asked = replace(read, options=(*read.options, (option, b"1")))
        await peer.exchange(name, asked, within=IGNORED_SECONDS)
    for name, token in (("long token", b"12345678"), ("no token", b"")):
        peer = await lab.framed()
        await peer.exchange(name, replace(peer.numbered(read), token=token))


async def over_long(lab: Lab) -> None:
    """Announce a message of a gigabyte."""
    peer = await lab.framed()
    peer.line.write(HEADER.pack(MAGIC, OVER_LONG) + b"\x40\x01\0\1")
    await _broken(lab, peer)


async def wrong_magic(lab: Lab) -> None:
    """Begin a message with another magic."""
    peer = await lab.framed()
    peer.line.write(HEADER.pack(0xDEADBEEF, 4) + encode(Message(CON, 0, 1)))
    await _broken(lab, peer)


async def _broken(lab: Lab, peer: FramedPeer) -> None:
    """Note whether the device ends a stream that nobody can read, or goes on as if nothing were, and comes back."""
    ended = await peer.wait_ended(BROKEN_SECONDS)
    if not ended:
        await peer.ask("afterwards", "GET", lab.path, within=ANSWER_SECONDS / 2)
        await lab.drop()
    lab.trace.seen["ended"] = ended
    try:
        await back(lab, "back")
    except AbsentError:
        lab.trace.seen["back"] = None


COAP = ("coap",)
FIRST = (
    Case("frames", frames, "frames in every cut", quick=True, links=COAP, cuts=False, seconds=1),
    Case(
        "messages",
        messages,
        "messages that a peer ignores",
        quick=True,
        links=COAP,
        cuts=False,
        seconds=7,
    ),
)
CASES = (
    Case("over-long", over_long, "a frame of a gigabyte", quick=True, links=COAP, seconds=2),
    Case("wrong magic", wrong_magic, "a wrong magic", quick=True, links=COAP, seconds=2),
)
