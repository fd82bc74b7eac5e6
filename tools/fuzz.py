"""Feeds both wire formats, and every other reader of strangers' bytes, with broken input: ``make fuzz``, or ``python -m tools.fuzz [--inputs N]``.

Each input is made from a good one by flips, cuts, insertions and repeats, or is random. A reader may
refuse it with its own error; anything else is a bug, printed with the input that caused it. Exit code
0 only if there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import traceback
from collections.abc import Callable, Sequence

from tools.amounts import whole
from tools.ending import run_main
from tools.fuzz_http import http_targets
from tools.fuzz_local import local_targets
from tools.fuzz_machine import machine_targets
from tools.fuzz_oscore import oscore_targets
from tools.fuzz_staging import staging_targets
from tools.fuzz_target import Target
from tools.mutations import mutate
from transport.coap import MessageFormatError, decode_message
from wire.exchange import Request
from wire.framing import FrameDecoder, FramingError, encode_frame
from wire.numbered import (
    NumberedReport,
    batch_payload,
    numbered_payload,
    parse_refusals,
    parse_reports,
)
from wire.reports import (
    Credentials,
    parse_alive_answer,
    parse_registration,
    parse_registration_answer,
    registration_answer,
    registration_payload,
)
from wire.topics import (
    Kind,
    State,
    Topic,
    answer_properties,
    parse_answer,
    parse_request,
    parse_state,
    parse_topic,
    request_properties,
    state_payload,
)

UUID = "0083000000000a"
EPOCH = "0123456789abcdef"
SHOWN_BUGS = 5
_GET_VOLUME = bytes.fromhex("4101123401b6") + b"volume"
_GOOD = (
    NumberedReport(1, {"volume": 5}),
    NumberedReport(2, {"音量": "大"}, 1_800_000_000_000, late=True),
)

Properties = list[tuple[str, str]]


def _frames(data: bytes) -> None:
    decoder = FrameDecoder()
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        for _message in decoder.feed(piece):
            pass


def _properties(data: bytes) -> Properties:
    """Read bytes as user properties: lines of ``name value``; names of ours are kept whole."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [(name, value) for name, _, value in (line.partition(" ") for line in lines)]


def _as_lines(properties: Sequence[tuple[str, str]]) -> bytes:
    return "\n".join(f"{name} {value}" for name, value in properties).encode()


_REQUEST = Request("PUT", ("volume",), ("a=b",), b"5", 1_800_000_000_000, b"12345678")
TARGETS = (
    Target("frames", [encode_frame(_GET_VOLUME) * 2], _frames, (FramingError,)),
    *(Target(*each) for each in oscore_targets()),
    Target("CoAP", [_GET_VOLUME], lambda data: decode_message(data, None), (MessageFormatError,)),
    Target("registration", [registration_payload(Credentials(UUID, "token"))], parse_registration),
    Target(
        "registration's answer",
        [registration_answer(1_800_000_000_000, frozenset({"number"}))],
        parse_registration_answer,
    ),
    Target(
        "reports", [numbered_payload(EPOCH, _GOOD[0]), batch_payload(EPOCH, _GOOD)], parse_reports
    ),
    Target("refusals", [b'{"refused": {"1": "why"}}'], parse_refusals),
    Target("answer to alive", [b'{"time_ms": 1800000000000}'], parse_alive_answer),
    Target(
        "topics",
        [str(Topic(UUID, kind)).encode() for kind in Kind],
        lambda data: parse_topic(data.decode("utf-8", "surrogateescape")),
    ),
    Target("states", [state_payload(State(online=True, reads=frozenset({"a"})))], parse_state),
    Target(
        "requests' properties",
        [_as_lines(request_properties(_REQUEST))],
        lambda data: parse_request(_properties(data), data),
    ),
    Target(
        "answers' properties",
        [_as_lines(answer_properties(0x45))],
        lambda data: parse_answer(_properties(data), data),
    ),
    *http_targets(),
    *local_targets(),
    *machine_targets(),
    *staging_targets(),
)


def fuzz(inputs: int, seed: int, tell: Callable[[str], None]) -> int:
    """Read so many inputs, shared out over the readers; return the number of bugs."""
    chance, bugs = random.Random(seed), 0  # noqa: S311  # inputs, not secrets
    for target in TARGETS:
        refused = 0
        for _ in range(inputs // len(TARGETS) + 1):
            data = mutate(chance.choice(target.good), chance)
            try:
                target.read(data)
            except target.errors:
                refused += 1
            except Exception:  # noqa: BLE001  # what this program looks for
                bugs += 1
                if bugs <= SHOWN_BUGS:
                    tell(f"{target.name}: {data!r}\n{traceback.format_exc()}")
        tell(f"{target.name}: {inputs // len(TARGETS) + 1:,} inputs, {refused:,} refused")
    return bugs


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=whole(1), default=1_100_000, metavar="N")
    parser.add_argument(
        "--cloud", type=whole(0), default=0, metavar="N", help="and so many for the cloud's doors"
    )
    parser.add_argument("--seed", type=whole(0), default=int(time.time()))
    options = parser.parse_args()
    started = time.monotonic()
    bugs = fuzz(options.inputs, options.seed, print)
    if options.cloud:
        from tools.fuzz_cloud import fuzz_cloud  # noqa: PLC0415  # the whole cloud

        bugs += asyncio.run(fuzz_cloud(options.cloud, options.seed, print))
    seconds = time.monotonic() - started
    inputs = options.inputs + options.cloud
    print(f"{inputs:,} inputs in {seconds:.0f} s, seed {options.seed}: {bugs} uncaught")
    return 1 if bugs else 0


if __name__ == "__main__":
    run_main(main)
