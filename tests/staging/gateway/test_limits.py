"""A device's report has the most keys, bytes and frames that it may have, and is refused with one more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from staging.crowd import Crowd
from staging.gateway.gateway import Limits
from wire.codes import Code
from wire.voice import HeaderStyle, VoiceSegment, pack_frame

pytestmark = pytest.mark.one_database

FRAME = pack_frame(b"x", HeaderStyle.LENGTH32, 8000)


def voice(data: bytes) -> dict[str, Any]:
    return {"voice_control": VoiceSegment(1, 0, 8000, eof=False, voice_data=data).to_json()}


def long_frames(size: int) -> dict[str, Any]:
    """Return a segment of ``size`` bytes, in frames of which the last has what is left."""
    whole = pack_frame(b"x" * 996, HeaderStyle.LENGTH32, 8000)
    count, rest = divmod(size, len(whole))
    return voice(whole * count + pack_frame(b"x" * (rest - 4), HeaderStyle.LENGTH32, 8000))


# What a report has of it, the most, and what a refusal says.
ROWS: list[tuple[Callable[[int], dict[str, Any]], int, str]] = [
    (lambda count: {f"k{number}": number for number in range(count)}, 64, "at most 64"),
    (lambda length: {"k" * length: 1}, 64, "1 to 64 printable characters"),
    (lambda size: {"k": "x" * (size - len('{"k":""}'))}, 32_768, "at most 32768"),
    (lambda frames: voice(FRAME * frames), 50, "at most 50"),
    (long_frames, 16_384, "at most 16384"),
    (lambda number: {"k": number}, 9_223_372_036_854_775_807, "64 bits"),
]  # fmt: skip


async def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(cloud: Any) -> None:
    device = await cloud.register()
    for report, most, says in ROWS:
        assert (await device.report(report(most))).code == Code.CHANGED, says
        refused = await device.report(report(most + 1))
        assert refused.code == Code.BAD_REQUEST
        assert says in refused.text
    assert (await device.report({"": 1})).code == Code.BAD_REQUEST


async def test_a_request_has_64_kib(cloud: Any) -> None:
    device = await cloud.connect()
    answers = [await device.request("POST", ("nothing",), b"x" * n) for n in (65_536, 65_537)]
    assert [answer.code == Code.TOO_LARGE for answer in answers] == [False, True]


def test_5000_connections_are_held_and_no_more() -> None:
    crowd: Crowd[int] = Crowd(Limits().door)
    for number in range(5000):
        assert crowd.arrive(number, str(number), 0) == []
        crowd.speak(number)
        assert crowd.next() == number
        crowd.settle(number)
    assert crowd.arrive(5000, "5000", 0) == [5000]
