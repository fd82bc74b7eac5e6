"""Who is logged in, over restarts and for how long, and how often a token may be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.local.page.sessions import Sessions, Tries

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ADDRESSES_LIMIT = 256
SESSION_SECONDS = 7_776_000.0
SESSIONS_LIMIT = 16
TRIES = 5
TRY_SECONDS = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1.8e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "page-sessions.json"


@pytest.fixture
def damaged(file: Path, request: pytest.FixtureRequest) -> Path:
    file.write_bytes(request.param)
    return file


def kept(file: Path) -> str:
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_text()


async def test_a_session_lasts_over_a_restart_until_its_end_or_another_token(
    file: Path, clock: Clock
) -> None:
    name = await Sessions(file, clock).open("token")
    assert name not in kept(file)
    again = Sessions(file, clock)
    assert await again.holds(name, "token")
    assert not await again.holds(name, "another")
    assert not await again.holds(name, "")
    assert not await again.holds("", "token")
    clock.now += SESSION_SECONDS
    assert not await again.holds(name, "token")


async def test_one_that_is_closed_is_closed_after_a_restart_too(file: Path, clock: Clock) -> None:
    sessions = Sessions(file, clock)
    name, other = await sessions.open("token"), await sessions.open("token")
    await sessions.close(name)
    await sessions.close("nobody's")
    for each in (sessions, Sessions(file, clock)):
        assert not await each.holds(name, "token")
        assert await each.holds(other, "token")


async def test_the_oldest_ends_when_there_are_too_many(file: Path, clock: Clock) -> None:
    sessions = Sessions(file, clock)
    names = [await sessions.open("token") for _ in range(SESSIONS_LIMIT + 1)]
    assert [await sessions.holds(name, "token") for name in names] == [False] + [True] * SESSIONS_LIMIT  # fmt: skip
    assert len(json.loads(kept(file))["sessions"]) == SESSIONS_LIMIT


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"[]", b'{"sessions": 1}', b'{"sessions": [1]}', b'{"sessions": [{"id": "a", "token": "b"}]}',
     b'{"sessions": [{"id": "a", "token": "b", "until": true}]}',
     b'{"sessions": [{"id": "a", "token": "b", "until": 1' + b"0" * 400 + b"}]}", b"\xff", b"x" * 20_000],
    indirect=True,
)  # fmt: skip
async def test_a_damaged_file_logs_everybody_out_and_no_more(damaged: Path, clock: Clock) -> None:
    file = damaged
    sessions = Sessions(file, clock)
    assert not await sessions.holds("a", "b")
    assert await sessions.holds(await sessions.open("token"), "token")


async def test_a_card_that_takes_nothing_lets_the_family_in_all_the_same(
    tmp_path: Path, clock: Clock
) -> None:
    sessions = Sessions(tmp_path / "no folder" / "file", clock)
    name = await sessions.open("token")
    assert await sessions.holds(name, "token")
    await sessions.close(name)
    assert not await sessions.holds(name, "token")


def test_wrong_tokens_are_few_and_one_more_each_half_minute(clock: Clock) -> None:
    tries = Tries(clock)
    for _ in range(TRIES):
        assert tries.wait("192.168.1.9") == 0
        tries.failed("192.168.1.9")
    assert tries.wait("192.168.1.9") == TRY_SECONDS
    assert tries.wait("192.168.1.10") == 0  # whoever guesses locks nobody else out
    clock.now += TRY_SECONDS
    assert tries.wait("192.168.1.9") == 0


def test_an_ipv6_host_is_its_network(clock: Clock) -> None:
    tries = Tries(clock)
    for n in range(TRIES):
        tries.failed(f"2001:db8::{n}")
    assert tries.wait("2001:db8::ffff") > 0
    assert tries.wait("2001:db8:0:1::1") == 0
    assert tries.wait("fe80::1%eth0") == 0


def test_the_addresses_that_are_remembered_are_bounded(clock: Clock) -> None:
    tries = Tries(clock)
    for n in range(ADDRESSES_LIMIT * 2):
        tries.failed(f"10.0.{n // 256}.{n % 256}")
    assert len(tries._buckets) == ADDRESSES_LIMIT
