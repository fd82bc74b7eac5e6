"""Wrong registrations of an address wait; a device that was there before does not."""

from __future__ import annotations

from staging.gateway.registrations import ADDRESS, Registrations
from tests.staging.test_throttle import Clock

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KNOWN_LIMIT = 20_000


UUID, HOME = "0083000000000a", "192.0.2.1"


def test_an_address_waits_and_others_do_not() -> None:
    clock = Clock()
    doors = Registrations(clock)
    for _ in range(ADDRESS.free):
        assert doors.wait(HOME, UUID) == 0
        doors.failed(HOME)
    assert doors.wait(HOME, UUID) == ADDRESS.first
    assert doors.wait("192.0.2.2", UUID) == 0
    clock.now += ADDRESS.first
    assert doors.wait(HOME, UUID) == 0


def test_a_device_that_was_registered_from_there_does_not_wait() -> None:
    doors = Registrations(Clock())
    doors.succeeded(HOME, UUID)
    for _ in range(ADDRESS.free):
        doors.failed(HOME)
    assert doors.wait(HOME, UUID.upper()) == 0
    assert doors.wait(HOME, "0083000000000b") > 0


def test_behind_a_broker_nobody_waits_for_others() -> None:
    doors = Registrations(Clock())
    for _ in range(2 * ADDRESS.free):
        doors.failed("")
    assert doors.wait("", UUID) == 0


def test_devices_are_forgotten_beyond_the_limit() -> None:
    doors = Registrations(Clock())
    for number in range(KNOWN_LIMIT + 1):
        doors.succeeded(HOME, str(number))
    for _ in range(ADDRESS.free):
        doors.failed(HOME)
    assert doors.wait(HOME, "0") > 0
    assert doors.wait(HOME, "1") == 0
