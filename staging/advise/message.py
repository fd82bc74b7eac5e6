"""One CoAP message, as the advisor writes and reads it: also one that is wrong.

`transport.coap` refuses what a cloud must not work with; here a fault is what is looked for, so it is read as far as it goes and
named in ``faults`` (RFC 7252, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

CON, NON, ACK, RST = range(4)
TYPES = ("CON", "NON", "ACK", "RST")
GET, POST, PUT, DELETE = 1, 2, 3, 4
METHODS = {"GET": GET, "POST": POST, "PUT": PUT, "DELETE": DELETE}
NAMES = {code: name for name, code in METHODS.items()}
URI_PATH, URI_QUERY = 11, 15
# Ours (docs/adr/0033): the deadline of a request, and what names it in each repeat.
UNTIL, REQUEST_ID = 65020, 65052
_MARKER = 0xFF

Options = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message; ``faults`` says in words what is wrong with it, and is empty where nothing is."""

    kind: int
    code: int
    mid: int
    token: bytes = b""
    options: Options = ()
    payload: bytes = b""
    version: int = 1
    faults: tuple[str, ...] = ()

    @property
    def is_request(self) -> bool:
        """Whether it asks for something."""
        return 0 < self.code < 0x20

    @property
    def is_response(self) -> bool:
        """Whether it answers something."""
        return self.code >= 0x40

    @property
    def path(self) -> tuple[str, ...]:
        """The Uri-Path."""
        return self._texts(URI_PATH)

    @property
    def query(self) -> tuple[str, ...]:
        """The Uri-Query."""
        return self._texts(URI_QUERY)

    def _texts(self, number: int) -> tuple[str, ...]:
        return tuple(value.decode(errors="replace") for key, value in self.options if key == number)


def encode(message: Message) -> bytes:
    """Return the bytes of a message, whatever is in it."""
    first = message.version << 6 | message.kind << 4 | len(message.token)
    made = bytearray((first, message.code, *message.mid.to_bytes(2, "big")))
    made += message.token
    last = 0
    for number, value in sorted(message.options, key=lambda option: option[0]):
        delta, more = _nibble(number - last)
        length, rest = _nibble(len(value))
        made.append(delta << 4 | length)
        made += more + rest + value
        last = number
    if message.payload:
        made.append(_MARKER)
        made += message.payload
    return bytes(made)


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")


def decode(data: bytes) -> Message:
    """Read a message as far as it goes."""
    if len(data) < 4:
        return Message(0, 0, 0, version=0, faults=(f"{len(data)} bytes are no header",))
    first, code, mid = data[0], data[1], data[2] << 8 | data[3]
    faults = []
    version, length = first >> 6, first & 15
    if version != 1:
        faults.append(f"version {version}, expected 1")
    if length > 8:
        faults.append(f"a token of {length} bytes, expected at most 8")
    token = data[4 : 4 + length]
    if len(token) < length:
        faults.append("the token is cut short")
    options, payload = _read_body(data, 4 + length, faults)
    if code == 0 and len(data) > 4:
        faults.append("an empty message with content")
    return Message(
        first >> 4 & 3, code, mid, token, options, payload, version, faults=tuple(faults)
    )


def _read_body(data: bytes, at: int, faults: list[str]) -> tuple[Options, bytes]:
    options: list[tuple[int, bytes]] = []
    number = 0
    while at < len(data):
        head = data[at]
        at += 1
        if head == _MARKER:
            if at == len(data):
                faults.append("a payload marker without a payload")
            return tuple(options), data[at:]
        try:
            delta, at = _extended(head >> 4, data, at)
            length, at = _extended(head & 15, data, at)
        except ValueError as error:
            faults.append(str(error))
            break
        number += delta
        if at + length > len(data):
            faults.append(f"option {number} is cut short")
            break
        options.append((number, data[at : at + length]))
        at += length
    return tuple(options), b""


def _extended(nibble: int, data: bytes, at: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, at
    size = {13: 1, 14: 2}.get(nibble, 0)
    if not size or at + size > len(data):
        raise ValueError("a reserved or cut option header")
    value = int.from_bytes(data[at : at + size], "big")
    return value + (13 if size == 1 else 269), at + size


def request(
    method: str, path: tuple[str, ...], payload: bytes = b"", query: tuple[str, ...] = ()
) -> Message:
    """Return a confirmable request without id and token, which the sender gives it."""
    options = [(URI_PATH, part.encode()) for part in path]
    options += [(URI_QUERY, part.encode()) for part in query]
    return Message(CON, METHODS[method], 0, options=tuple(options), payload=payload)


def show(message: Message) -> str:
    """Return a message in one line, without what its payload says."""
    what = NAMES.get(message.code) or f"{message.code >> 5}.{message.code & 31:02}"
    where = "/" + "/".join(message.path) if message.is_request else ""
    size = f" {len(message.payload)} bytes" if message.payload else ""
    return f"{TYPES[message.kind]} {what} {where}{size}".replace("  ", " ")
