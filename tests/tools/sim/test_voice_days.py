"""What the simulation finds wrong with the child's voice in its cloud."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from staging.times import now_ms
from tools.sim.voice_days import Order, Row, VoiceTerms, VoiceWatch
from wire.voice import VoiceSegment

KEEP_MS = 60_000
KEY = b"a key of 16 byte"
SOUND = "".join(chr(65 + number % 26) for number in range(400))


def watch() -> VoiceWatch:
    terms = VoiceTerms(1, KEEP_MS, 10.0)
    return VoiceWatch(terms, "0083000000000a", lambda _name: None, is_answered=True)


@pytest.mark.parametrize(
    ("age", "is_gone", "is_broken"),
    [(KEEP_MS + 5000, True, False), (KEEP_MS + 5000, False, True), (KEEP_MS - 5000, True, True), (KEEP_MS - 5000, False, False)],
)  # fmt: skip
def test_what_is_too_old_goes_and_nothing_else(
    age: int,
    is_gone: bool,  # noqa: FBT001
    is_broken: bool,  # noqa: FBT001
) -> None:
    found, now = watch(), now_ms()
    before = {now - age: Row(7, 0, SOUND)}
    found.expired(before, {} if is_gone else before, now)
    assert bool(found.broken) is is_broken


def test_what_is_gone_is_in_no_file_either(tmp_path: Path) -> None:
    found, now = watch(), now_ms()
    (tmp_path / "voice-keys.sqlite").write_bytes(b"..." + KEY + b"...")
    found.expired({now - KEEP_MS - 5000: Row(7, 0, SOUND, KEY)}, {}, now)
    assert found.going == {KEY: 7}
    found.settled(tmp_path, found.going, {})
    assert found.going == {}
    assert found.broken == ["voice-keys.sqlite has the key of utterance 7, which was erased"]


def test_what_is_there_is_sealed(tmp_path: Path) -> None:
    found, rows = watch(), {5: Row(7, 0, SOUND, KEY)}
    for name, data in (("cloud.sqlite", SOUND.encode()[:40]), ("voice-keys.sqlite", KEY)):
        (tmp_path / name).write_bytes(b"..." + data + b"...")
    found.find_in_files(tmp_path, {}, rows)
    assert found.broken == []
    (tmp_path / "cloud.sqlite-wal").write_bytes(b"..." + SOUND.encode() + b"...")
    found.find_in_files(tmp_path, {}, rows)
    assert found.broken == ["cloud.sqlite-wal has voice of utterance 7, which is not sealed"]


@pytest.mark.parametrize("damaged", [(), ("/voice-keys.sqlite",), ("/voice-keys.sqlite-journal",)])
def test_what_has_no_sound_is_found_unless_the_keys_were_damaged(damaged: tuple[str, ...]) -> None:
    found, live = watch(), SimpleNamespace(id=7, segments=1)
    found.damaged = damaged
    found.begin(live)
    segment = VoiceSegment(7, 0, 8000, eof=False, voice_data=b"\x04\0\0\0wave")
    found.say(live, segment)
    mute = Row(7, 0, "")
    found.shown([mute], {5: mute}, 6)
    assert found.broken == ([] if damaged else ["utterance 7 is heard otherwise than it was said"])


@pytest.mark.parametrize(
    ("order", "ts", "utterance", "may", "must"),
    [(Order(1000, (), is_all=True, answered=1100), 900, 7, True, True),
     (Order(1000, (), is_all=True, answered=1100), 1050, 7, True, False),
     (Order(1000, (), is_all=True, answered=1100), 1200, 7, False, False),
     (Order(1000, ((7, 900),), is_all=True, answered=1100), 1200, 7, True, True),
     (Order(1000, (), is_all=True), 1200, 7, True, False),
     (Order(1000, ((7, 900),), answered=1100), 1200, 7, True, True),
     (Order(1000, ((7, 900),), answered=1100), 900, 8, False, False),
     (Order(1000, ((7, 900),)), 900, 7, True, False)],
)  # fmt: skip
def test_what_an_order_is_about(
    order: Order,
    ts: int,
    utterance: int,
    may: bool,  # noqa: FBT001
    must: bool,  # noqa: FBT001
) -> None:
    assert (order.may_have(ts, utterance), order.has(ts, utterance)) == (may, must)


@pytest.mark.parametrize(("sent", "is_broken"), [(1050, False), (1101, True)])
def test_what_was_erased_is_not_heard_any_more(
    sent: int,
    is_broken: bool,  # noqa: FBT001
) -> None:
    found, row = watch(), Row(7, 0, SOUND)
    found.ordered(Order(1000, ((7, 900),), answered=1100))
    found.shown([row], {900: row}, sent)
    assert bool(found.broken) is is_broken
