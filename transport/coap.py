"""A strict decoder for CoAP messages (RFC 7252 section 3), used in place of aiocoap's.

aiocoap's decoder stores every option number and content format it has ever seen, copies the rest of
the message at each option, and accepts reserved forms. A peer may send anything, so this decoder
runs in linear time, refuses reserved forms and builds only the options that the product uses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import aiocoap
from aiocoap.message import Direction
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import Type

from wire.codes import Code
from wire.exchange import Answer, Request, Terms

_HEADER = struct.Struct("!BBH")
_VERSION = 1
_TOKEN_MAX = 8
_PAYLOAD_MARKER = 0xFF
# 4.02, in answer to a request alone (RFC 7252 table 6).
_BAD_OPTION = 0x82
# From this on, an option's difference or length goes on in the bytes behind (RFC 7252 section 3.1).
_EXTENDED = 13
# Our own requests have at most eight.
MAX_OPTIONS = 64
# Ours, of the numbers for experiments (RFC 7252 section 12.2): elective, safe to forward and no part
# of a cache key, so that whoever does not know them ignores them (docs/adr/0033).
OPTION_UNTIL = OptionNumber(65020)
OPTION_REQUEST_ID = OptionNumber(65052)
# The options that are read, and their longest values (RFC 7252 table 4, RFC 7959, RFC 7967).
_KEPT: dict[int, int] = {
    OptionNumber.URI_HOST: 255,
    OptionNumber.ETAG: 8,
    OptionNumber.URI_PORT: 2,
    OptionNumber.URI_PATH: 255,
    OptionNumber.URI_QUERY: 255,
    OptionNumber.MAX_AGE: 4,
    OptionNumber.BLOCK2: 3,
    OptionNumber.BLOCK1: 3,
    OptionNumber.SIZE2: 4,
    OptionNumber.SIZE1: 4,
    OptionNumber.NO_RESPONSE: 1,
    OPTION_UNTIL: 8,
    OPTION_REQUEST_ID: 8,
}
# What is read beside them where a server may be observed, or asked by OSCORE (RFC 8613 section 6.1: a byte
# of flags, 5 of the number, a context of up to 1 + 255, and an id of 7, as long as our nonce allows).
DATAGRAM_OPTIONS: Mapping[int, int] = {OptionNumber.OBSERVE: 3, OptionNumber.OSCORE: 255}
_NO_OPTIONS: Mapping[int, int] = {}
# By their numbers: aiocoap's own way to one of them is half of the time that an option takes.
_OPTIONS = {int(number): OptionNumber(number) for number in (*_KEPT, *DATAGRAM_OPTIONS)}
# Critical, but safe to ignore: each resource has only one representation.
_LEFT_OUT = frozenset({OptionNumber.ACCEPT})


class MessageFormatError(ValueError):
    """The bytes are not a CoAP message, or it has an unsupported critical option."""


class CriticalOptionError(MessageFormatError):
    """A message has a critical option that is unknown, or too long."""


def decode_message(
    data: bytes, remote: object, more: Mapping[int, int] = _NO_OPTIONS
) -> aiocoap.Message:
    """Decode one message received from ``remote``; ``more`` has options that are read, and their longest values.

    Options that the product does not use are ignored where RFC 7252 section 5.4.1 allows it.

    Raises:
        CriticalOptionError: an unknown critical option, of which `refuse_option` tells the other side.
        MessageFormatError: a format error, or too many options.
    """
    if len(data) < _HEADER.size:
        raise MessageFormatError(f"{len(data)} bytes are no header")
    first, code, mid = _HEADER.unpack_from(data)
    version, token_length = first >> 6, first & 0x0F
    body = _HEADER.size + token_length
    if version != _VERSION or token_length > _TOKEN_MAX or body > len(data):
        raise MessageFormatError(f"bad header 0x{data[:4].hex()}")
    if not _is_code(code) or (code == 0 and len(data) > _HEADER.size):
        raise MessageFormatError(f"bad code 0x{code:02x} or content after an empty message")
    message = aiocoap.Message(
        code=code, _mtype=Type(first >> 4 & 3), _mid=mid, _token=data[_HEADER.size : body]
    )
    message.remote, message.direction = remote, Direction.INCOMING
    _read_body(message, data, body, more)
    return message


def refuse_option(data: bytes, error: CriticalOptionError) -> bytes | None:
    """Return the answer 4.02 to an undecoded confirmable request (RFC 7252 section 5.4.1), None if ``data`` is none."""
    first, code, _mid = _HEADER.unpack_from(data)
    if Type(first >> 4 & 3) is not Type.CON or not 0 < code < 0x20:
        return None
    head = bytes((_VERSION << 6 | Type.ACK << 4 | first & 0x0F, _BAD_OPTION))
    token_end = _HEADER.size + (first & 0x0F)
    return head + data[2:token_end] + bytes((_PAYLOAD_MARKER,)) + str(error).encode()


def to_request(message: aiocoap.Message) -> Request:
    """Return what a handler sees of a received request: the decoded options, in order."""
    return Request(
        method=str(message.code),
        path=tuple(message.opt.uri_path),
        query=tuple(message.opt.uri_query),
        payload=message.payload,
        until_ms=int.from_bytes(until, "big") if (until := _first(message, OPTION_UNTIL)) else None,
        id=_first(message, OPTION_REQUEST_ID),
    )


def to_answer(message: aiocoap.Message) -> Answer:
    """Return what a sender sees of a received response; of a refusal for now, when to ask again."""
    code, again = int(message.code), None
    if code == Code.SERVICE_UNAVAILABLE and (told := message.opt.get_option(OptionNumber.MAX_AGE)):
        again = int(told[0].value)
    return Answer(code, message.payload, again)


def add_terms(message: aiocoap.Message, terms: Terms) -> None:
    """Add a request's deadline and id to a message to be sent; `to_request` returns them."""
    value = terms.until_ms.to_bytes(8, "big").lstrip(b"\0")
    message.opt.add_option(OPTION_UNTIL.create_option(value=value))
    if terms.id:
        message.opt.add_option(OPTION_REQUEST_ID.create_option(value=terms.id))


def _first(message: aiocoap.Message, number: OptionNumber) -> bytes:
    options = message.opt.get_option(number)
    return bytes(options[0].value) if options else b""


def _is_code(code: int) -> bool:
    return code < 0x20 or 0x40 <= code < 0xC0  # empty and requests; responses 2.xx to 5.xx


def _read_body(message: aiocoap.Message, data: bytes, offset: int, more: Mapping[int, int]) -> None:
    count = 0
    for number, start, end in _iter_options(data, offset):
        count += 1
        if count > MAX_OPTIONS:
            raise MessageFormatError(f"more than {MAX_OPTIONS} options")
        offset = end
        limit = _KEPT.get(number, more.get(number))
        if limit is None or end - start > limit:
            if number % 2 and number not in _LEFT_OUT:
                raise CriticalOptionError(f"critical option {number} is unknown or too long")
            continue
        try:
            known = _OPTIONS.get(number) or OptionNumber(number)
            option = known.create_option(decode=data[start:end])
        except UnicodeDecodeError as error:
            raise MessageFormatError(f"option {number} is not UTF-8 text") from error
        message.opt.add_option(option)
    if offset < len(data):
        if offset + 1 == len(data):
            raise MessageFormatError("a payload marker without a payload")
        message.payload = data[offset + 1 :]


def _iter_options(data: bytes, offset: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and end of each option's value, up to the payload marker."""
    number = 0
    while offset < len(data) and data[offset] != _PAYLOAD_MARKER:
        head = data[offset]
        delta, length, offset = head >> 4, head & 0x0F, offset + 1
        if delta >= _EXTENDED:
            delta, offset = _read_extended(delta, data, offset)
        if length >= _EXTENDED:
            length, offset = _read_extended(length, data, offset)
        number += delta
        if offset + length > len(data):
            raise MessageFormatError(f"option {number} is cut short")
        yield number, offset, offset + length
        offset += length


def _read_extended(nibble: int, data: bytes, offset: int) -> tuple[int, int]:
    size, base = {13: (1, 13), 14: (2, 269)}.get(nibble, (0, 0))
    if not size or offset + size > len(data):
        raise MessageFormatError("a reserved or cut option header")
    return base + int.from_bytes(data[offset : offset + size], "big"), offset + size
