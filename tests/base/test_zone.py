"""The zone in which hours are judged: of the settings, of the variable TZ, of /etc/localtime, and none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from base import zone
from base.local_time import zoned
from wire.errors import FieldError

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()


class Machine:
    """A machine with its own /etc/localtime and variable TZ; the database is the real one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.localtime = folder / "localtime"
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(zone, "LOCALTIME", self.localtime)
        self.given(None)

    def given(self, value: str | None) -> None:
        """Start the process with TZ set to ``value``; None: without it."""
        self._monkeypatch.setattr(zone, "_GIVEN", value)
        if value is None:
            self._monkeypatch.delenv("TZ", raising=False)
        else:
            self._monkeypatch.setenv("TZ", value)

    def link(self, name: str) -> None:
        """Do what ``timedatectl set-timezone`` does."""
        self.localtime.unlink(missing_ok=True)
        self.localtime.symlink_to(zone.ZONES / name)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("TZ", "UTC")  # so that what `use` does to it is undone
    yield Machine(tmp_path, monkeypatch)
    monkeypatch.undo()
    time.tzset()


def hour() -> int:
    return zoned(NOON).hour


def test_the_settings_zone_counts_before_the_machines(machine: Machine) -> None:
    machine.given("America/New_York")
    zone.use("Asia/Shanghai")
    assert (hour(), zone.in_force("Asia/Shanghai")) == (20, zone.Zone("Asia/Shanghai"))
    zone.use("")
    assert (hour(), zone.in_force("")) == (7, zone.Zone("America/New_York"))


@pytest.mark.parametrize("name", ["Asia/Shangai", "../../etc/passwd", "zone.tab", "Asia"])
def test_a_zone_that_is_not_there_leaves_the_machines_own(machine: Machine, name: str) -> None:
    machine.given("America/New_York")
    zone.use(name)
    assert (hour(), zone.in_force(name)) == (7, zone.Zone("America/New_York", name))
    assert not zone.has(name)


def test_the_machines_own_file_is_looked_at_though_the_variable_names_it(machine: Machine) -> None:
    """The C library reads a file that TZ names once, and never again."""
    machine.link("Asia/Shanghai")
    machine.given(f":{machine.localtime}")
    zone.use("")
    assert zone.in_force("") == zone.Zone("Asia/Shanghai")
    assert "TZ" not in os.environ
    machine.link("Europe/Berlin")
    assert zone.in_force("") == zone.Zone("Europe/Berlin")


@pytest.mark.parametrize("spoil", ["missing", "nowhere", "empty", "folder"])
def test_a_machine_without_a_zone_counts_in_utc_and_says_so(machine: Machine, spoil: str) -> None:
    if spoil == "nowhere":
        machine.link("gone")
    elif spoil == "empty":
        machine.localtime.touch()
    elif spoil == "folder":
        machine.localtime.mkdir()
    assert zone.in_force("") == zone.Zone("UTC", str(machine.localtime))
    assert zone.in_force("").is_utc


def test_a_file_that_was_copied_has_no_name(machine: Machine) -> None:
    machine.localtime.write_bytes((zone.ZONES / "Asia/Shanghai").read_bytes())
    assert zone.in_force("").missing == ""
    assert zone.in_force("").name == time.tzname[0]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", zone.Zone("UTC")),
        ("CST-8", zone.Zone("CST-8")),
        (":Europe/Berlin", zone.Zone("Europe/Berlin")),
        ("Nowhere/Land", zone.Zone("UTC", "Nowhere/Land")),
        ("/no/such/file", zone.Zone("UTC", "/no/such/file")),
    ],
)
def test_what_the_variable_may_be(machine: Machine, given: str, found: zone.Zone) -> None:
    machine.given(given)
    assert zone.in_force("") == found


@pytest.mark.parametrize(
    "text", ["", "Asia/../x", "/etc/localtime", "CST-8\n", "亚洲/上海", ":UTC", "a//b"]
)
def test_what_can_be_no_zone_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r"clock\.zone: got .* such as Asia/Shanghai"):
        zone.check_zone(text, "clock.zone")


@pytest.mark.parametrize(
    "name", ["Asia/Shanghai", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+8"]
)
def test_what_can_be_one(name: str) -> None:
    assert zone.check_zone(name, "clock.zone") == name
    assert zone.has(name)


def test_the_rules_of_a_zone() -> None:
    there = zone.of("Asia/Shanghai")
    assert there is not None
    assert datetime.fromtimestamp(NOON, there).hour == 20
    assert zone.of("") is None
    assert zone.of("Asia/Shangai") is None
