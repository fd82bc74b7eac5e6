"""The list of attacks: chosen by name, and one that fails or cannot be tried has not been held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.attack import __main__ as runner
from tools.attack.odd import ROUTES
from tools.attack.site import Attack, Outcome, Site, odd_lines


def test_attacks_are_chosen_by_name() -> None:
    assert runner.choose("") == list(runner.ATTACKS)
    assert [each.name for each in runner.choose("live pages, log-in brake")] == [
        "log-in brake",
        "live pages",
    ]
    with pytest.raises(SystemExit, match="got 'all'"):
        runner.choose("all")
    assert len({each.name for each in runner.ATTACKS}) == len(runner.ATTACKS)


def test_what_cannot_be_tried_is_not_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_site: Site) -> Outcome:
        raise OSError("no network")

    attacks = [
        Attack("one", "see", lambda _site: Outcome(held=True, seen="nothing")),
        Attack("two", "see", fail),
    ]
    rows = runner.attack(Site(tmp_path), attacks)
    assert [row.outcome.held for row in rows] == [True, False]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("held    one: see: nothing")
    assert lines[1].startswith("BROKEN  two: see: could not be tried: OSError: no network")
    assert rows[1].markdown().startswith("| two | see | **broken** | ")


def test_lines_that_no_part_of_the_cloud_wrote_are_found() -> None:
    log = (
        "2026-11-26 10:00:00,000 INFO staging.gateway: device x: registered\n    | Traceback\n"
        "ready api=http://127.0.0.1:1 device=127.0.0.1:2\nforged\n"
    )
    assert odd_lines(log) == ["forged"]


def test_every_route_that_changes_something_is_tried() -> None:
    assert ("POST", "/api/devices/{uuid}/control") in ROUTES
    assert ("GET", "/api/live") not in ROUTES
    assert ("DELETE", "/api/session") not in ROUTES
