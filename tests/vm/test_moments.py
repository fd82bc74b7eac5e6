"""The moments of the proof's power cuts: the phase of an update, and when to cut."""

from __future__ import annotations

import pytest

from tests.vm.moments import Aim, Event, Signs, Watch, finals, phase_of, spread

BEGIN, DOWNLOADING, COMPLETE = Event(0), Event(4, 0.3), Event(5)
INSTALLING, INSTALLED = Event(7, 0.9), Event(7, 1.0)
LEAVES = "INFO ota.updater: update 1: restarting into 1.1.0\n"
RESTARTS = LEAVES + "[   57.6] reboot: Restarting system with command '0 tryboot'\n"
PROVES = RESTARTS + "INFO ota.updater: update 1 was at trial: TRIAL \n"
EVENTS = (BEGIN, DOWNLOADING, COMPLETE, INSTALLING, INSTALLED)


@pytest.mark.parametrize(
    ("signs", "phase"),
    [
        (Signs(), "check"),
        (Signs([BEGIN]), "check"),
        (Signs([BEGIN, DOWNLOADING]), "download"),
        (Signs([BEGIN, DOWNLOADING, COMPLETE, INSTALLING]), "install"),
        (Signs(EVENTS), "switch"),
        (Signs(EVENTS, LEAVES), "restart"),
        (Signs([BEGIN], LEAVES), "restart"),
        (Signs(EVENTS, RESTARTS), "first boot"),
        (Signs(EVENTS, PROVES), "confirm"),
        (Signs([*EVENTS, Event(10)], PROVES), "over"),
        (Signs([BEGIN, Event(6)]), "over"),
    ],
)
def test_the_phase_is_known_by_what_the_machine_told(signs: Signs, phase: str) -> None:
    assert phase_of(signs) == phase


def test_only_what_ends_an_update_is_final() -> None:
    assert finals([*EVENTS, Event(10), Event(8)]) == [10, 8]


def test_a_cut_waits_for_its_phase_then_for_its_offset() -> None:
    aim, watch = Aim("install", 5.0), Watch()
    watch.look(Signs(), 100.0)
    assert not aim.is_reached(watch, 900.0)
    watch.look(Signs([INSTALLING]), 1000.0)
    assert not aim.is_reached(watch, 1004.0)
    assert aim.is_reached(watch, 1005.0)


def test_a_phase_that_is_over_sooner_is_cut_at_its_end() -> None:
    aim, watch = Aim("install", 5.0), Watch()
    watch.look(Signs([INSTALLING]), 1000.0)
    watch.look(Signs([INSTALLED]), 1001.0)
    assert aim.is_reached(watch, 1001.0)


def test_the_lengths_are_those_of_what_was_seen() -> None:
    watch = Watch()
    for now, signs in enumerate((Signs(), Signs([DOWNLOADING]), Signs([DOWNLOADING, Event(10)]))):
        watch.look(signs, float(now * now))
    assert watch.phase == "over"
    assert watch.lengths() == {"check": 1.0, "download": 3.0}


def test_the_cuts_are_shared_among_all_phases_and_spread_over_each() -> None:
    aims = spread({"check": 2.0, "download": 6.0}, 5)
    offsets = {n: [aim.offset for aim in aims if aim.phase == n] for n in ("check", "download")}
    assert offsets["check"] == pytest.approx([1 / 3, 1.0, 5 / 3])
    assert offsets["download"] == [1.5, 4.5]
