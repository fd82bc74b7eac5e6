"""MQTT topics and properties: how requests, answers and reports are written on a broker.

::

    story/{uuid}/up/register       the device registers                          (request)
    story/{uuid}/up/report         a report                                      (request)
    story/{uuid}/up/voice/{shard}  a voice segment; the shard is of the uuid     (no answer)
    story/{uuid}/up/state          online or offline, retained                   (no answer)
    story/{uuid}/up/answer/{who}   the device's answer to the worker ``who``
    story/{uuid}/down/request      a request of the cloud                        (request)
    story/{uuid}/down/answer       the cloud's answer

So a broker needs two rules for a device: it writes below ``story/{uuid}/up`` and reads below
``story/{uuid}/down``. A request has a response topic and correlation data (MQTT 5, section 4.10).
Method, path, query, the answer's code and when to ask again are user properties, one for each part of
a path or query as in CoAP, because a topic cannot hold every path.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from enum import StrEnum

from wire.abilities import MEMBER, Abilities, parse_reads, to_json
from wire.errors import FieldError, WireError, show
from wire.exchange import Answer, Request
from wire.fields import dump_object, get_string, parse_object
from wire.profile import UUID_PATTERN
from wire.records import dataclass

# Voice is shared out by this number, so that one worker gets all segments of an utterance.
SHARDS = 64
# A broker hands a request over at most this late, in seconds: an app does not wait any longer.
REQUEST_EXPIRY = 10
# Parts of a path and of a query; data points have one, reports two.
PARTS_LIMIT = 16
PART_BYTES = 255
# Bytes of correlation data; ours have 8.
CORRELATION_LIMIT = 64
# The member of ``up/state`` and the property of ``up/register`` that name a run of the agent, by which
# two machines with one identity are told apart.
RUN = "run"
# The property of an answer 5.03 that says after how many seconds to ask again.
AGAIN = "again"

# The year 5138, and the length of the CoAP option of the same meaning.
UNTIL_DIGITS = 14

_ID_PATTERN = re.compile(r"([0-9a-f]{2}){1,8}")
_WHO_PATTERN = re.compile(r"[0-9A-Za-z_-]{1,32}")
_CODE_PATTERN = re.compile(r"([0-7])\.([0-2][0-9]|3[01])")
_SECONDS_PATTERN = re.compile(r"[0-9]{1,9}")
_NOT_IN_MQTT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufeff"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE"})

Properties = Sequence[tuple[str, str]]
"""User properties in order; a name may occur more than once."""


class TopicError(WireError):
    """A topic or its properties are not of this protocol."""


class Kind(StrEnum):
    """What a message is, and on which topic it goes."""

    REGISTER = "up/register"
    REPORT = "up/report"
    VOICE = "up/voice"
    STATE = "up/state"
    ANSWER = "up/answer"
    REQUEST = "down/request"
    CLOUD_ANSWER = "down/answer"


_WITH_LAST = frozenset({Kind.VOICE, Kind.ANSWER})


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic: the device, the kind, and of voice the shard, of an answer the worker."""

    uuid: str
    kind: Kind
    last: str = ""

    def __str__(self) -> str:
        end = f"/{self.last}" if self.last else ""
        return f"story/{self.uuid}/{self.kind}{end}"


def shard_of(uuid: str) -> int:
    """Return a device's shard, 0 to SHARDS - 1, the same on both sides."""
    return zlib.crc32(uuid.lower().encode()) % SHARDS


def voice_topic(uuid: str) -> str:
    """Return the topic of a device's voice segments."""
    return str(Topic(uuid, Kind.VOICE, str(shard_of(uuid))))


def answer_topic(uuid: str, who: str) -> str:
    """Return the topic on which a device answers the worker ``who``; raises TopicError."""
    if not _WHO_PATTERN.fullmatch(who):
        raise TopicError(f"worker: got {show(who)}, expected 1 to 32 letters, digits, _ or -")
    return str(Topic(uuid, Kind.ANSWER, who))


def every(kind: Kind, last: str = "") -> str:
    """Return the filter that matches a kind of all devices."""
    return str(Topic("+", kind, last))


def parse_topic(text: str) -> Topic:
    """Parse a topic; raises TopicError."""
    parts = text.split("/")
    if len(parts) not in {4, 5} or parts[0] != "story" or not UUID_PATTERN.fullmatch(parts[1]):
        raise TopicError(f"topic: got {show(text)}, expected story/{{uuid}}/up/… or …/down/…")
    try:
        kind = Kind("/".join(parts[2:4]))
    except ValueError as error:
        expected = ", ".join(Kind)
        raise TopicError(f"topic: got {show(text)}, expected one of {expected}") from error
    last = parts[4] if len(parts) == 5 else ""
    has_last = len(parts) == 5
    if has_last is not (kind in _WITH_LAST) or (has_last and not _WHO_PATTERN.fullmatch(last)):
        raise TopicError(f"topic: got {show(text)}, expected {_form(kind)}")
    if kind is Kind.VOICE and last != str(shard_of(parts[1])):
        raise TopicError(f"topic: got {show(text)}, expected the shard {shard_of(parts[1])}")
    return Topic(parts[1], kind, last)


def _form(kind: Kind) -> str:
    return f"story/{{uuid}}/{kind}" + ("/… and one part more" if kind in _WITH_LAST else "")


def request_properties(request: Request) -> list[tuple[str, str]]:
    """Return the user properties of a request; raises TopicError if it cannot be written."""
    made = [("method", request.method)]
    made += [("path", part) for part in request.path]
    made += [("query", part) for part in request.query]
    if request.until_ms is not None:
        made.append(("until", str(request.until_ms)))
    if request.id:
        made.append(("id", request.id.hex()))
    _check_parts(request.path, "path")
    _check_parts(request.query, "query")
    return made


def parse_request(properties: Properties, payload: bytes) -> Request:
    """Return the request of a message; raises TopicError that names the property.

    Properties of other names are ignored, so that later versions may add some.
    """
    method = _one(properties, "method")
    if method not in _METHODS:
        raise FieldError("method", method, "one of " + ", ".join(sorted(_METHODS)))
    path, query = _all(properties, "path"), _all(properties, "query")
    if not path:
        raise TopicError("path: missing, expected at least one part")
    _check_parts(path, "path")
    _check_parts(query, "query")
    until, key = _all(properties, "until"), _all(properties, "id")
    return Request(
        method,
        path,
        query,
        payload,
        until_ms=_number(_one(properties, "until")) if until else None,
        id=_id(_one(properties, "id")) if key else b"",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= UNTIL_DIGITS):
        raise FieldError("until", text, "milliseconds since 1970")
    return int(text)


def _id(text: str) -> bytes:
    if not _ID_PATTERN.fullmatch(text):
        raise FieldError("id", text, "2 to 16 hexadecimal digits")
    return bytes.fromhex(text)


def answer_properties(code: int, again: int | None = None) -> list[tuple[str, str]]:
    """Return the user properties of an answer with this CoAP code; ``again`` is `wire.exchange.Answer`'s."""
    told = [] if again is None else [(AGAIN, str(again))]
    return [("code", f"{code >> 5}.{code & 0x1F:02d}"), *told]


def parse_answer(properties: Properties, payload: bytes) -> Answer:
    """Return the answer of a message; raises TopicError."""
    code = _one(properties, "code")
    match = _CODE_PATTERN.fullmatch(code)
    if match is None or not 2 <= int(match[1]) <= 5:
        raise TopicError(f"code: got {show(code)}, expected a code such as 2.05")
    again = _all(properties, AGAIN)
    seconds = int(again[0]) if again and _SECONDS_PATTERN.fullmatch(again[0]) else None
    return Answer(int(match[1]) << 5 | int(match[2]), payload, seconds)


def run_properties(run: str) -> list[tuple[str, str]]:
    """Return the user properties of a registration by this run of the agent."""
    return [(RUN, run)]


def parse_run(properties: Properties) -> str:
    """Return the run that a registration names, empty if it names none; raises TopicError."""
    return _check_run(_one(properties, RUN)) if _all(properties, RUN) else ""


def _check_run(text: str) -> str:
    if text and not _WHO_PATTERN.fullmatch(text):
        raise FieldError(RUN, text, "1 to 32 letters, digits, _ or -")
    return text


@dataclass(frozen=True, slots=True)
class State:
    """What a device's topic ``up/state`` holds: whether it is online, and what it reads."""

    online: bool
    reads: Abilities = frozenset()
    run: str = ""
    """A random word of the agent's start, the same until it ends; empty: the device names none."""


def state_payload(state: State) -> bytes:
    """Build the payload of ``up/state``."""
    if not state.online:
        return dump_object({"state": "offline"})
    run = {RUN: state.run} if state.run else {}
    return dump_object({"state": "online", MEMBER: to_json(state.reads), **run})


def parse_state(payload: bytes) -> State:
    """Parse the payload of ``up/state``; an empty one is a cleared topic. Raises WireError."""
    if not payload:
        return State(online=False)
    source = parse_object(payload, "state")
    value = get_string(source, "state")
    if value not in {"online", "offline"}:
        raise FieldError("state", value, "online or offline")
    run = get_string(source, RUN) if RUN in source else ""
    return State(value == "online", parse_reads(source), _check_run(run))


def _one(properties: Properties, name: str) -> str:
    found = _all(properties, name)
    if len(found) != 1:
        raise TopicError(f"{name}: got {len(found)} of them, expected one")
    return found[0]


def _all(properties: Properties, name: str) -> tuple[str, ...]:
    return tuple(value for key, value in properties if key == name)


def _check_parts(parts: Iterable[str], name: str) -> None:
    parts = tuple(parts)
    if len(parts) > PARTS_LIMIT:
        raise TopicError(f"{name}: got {len(parts)} parts, expected at most {PARTS_LIMIT}")
    for part in parts:
        if not _fits(part):
            raise TopicError(
                f"{name}: got {show(part)}, expected at most {PART_BYTES} bytes of text"
            )


def _fits(part: str) -> bool:
    """Return whether a property can hold it.

    A broker may end the connection of who sends a control character, a non-character or a lone
    surrogate (MQTT 5, 1.5.4), and mosquitto does: a device's path must not do that to a worker.
    paho reads no U+FEFF, which MQTT allows.
    """
    try:
        return len(part.encode()) <= PART_BYTES and not _NOT_IN_MQTT.search(part)
    except UnicodeEncodeError:
        return False
