"""The files and the log of a simulated machine's process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.settings import LinkSettings, PlaySettings, Settings, SwitchSettings, load_settings
from resources.announce.settings import Kind, SoundsSettings
from tools.sim.reloading import has_taken
from tools.sim.service import Journal, Kill, often_killed, render_settings


def test_the_settings_file_says_what_differs_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(
        link=LinkSettings(keepalive_seconds=50.0),
        sounds=SoundsSettings(kinds=Kind.NONE),
        switch=SwitchSettings(armed=True),
        play=PlaySettings(media_folder=Path("/srv/media"), allow_networks=("10.0.0.0/8",)),
    )
    file = tmp_path / "agent.toml"
    file.write_text(render_settings(settings), "utf-8")
    assert load_settings(file) == settings
    assert "voice" not in file.read_text("utf-8")
    assert not render_settings(Settings()).strip()


def test_a_log_is_counted_by_the_hour_and_a_secret_in_it_is_found() -> None:
    now = [10.0]
    journal = Journal(lambda: now[0], ["t0ken"])
    journal.begin()
    journal.write("what the board has\n" * 20)
    assert journal.most == 0
    for line in ("one\n", "two\n    | trace\n"):
        journal.write(line)
    now[0] = 3700.0
    journal.write("three\n")
    assert (journal.most, journal.by_process) == (3, 24)
    assert not journal.leaked
    journal.begin()
    assert journal.by_process == 0
    journal.write("profile: t0ken\n")
    assert len(journal.leaked) == 1


def test_settings_are_taken_when_the_agent_works_by_them() -> None:
    settings = Settings()
    machine: Any = SimpleNamespace(settings=settings, is_spoilt=False, agent=None)
    assert has_taken(machine)  # none runs
    machine.agent = SimpleNamespace(_settings=settings)
    assert has_taken(machine)
    machine.settings = replace(settings, link=LinkSettings(keepalive_seconds=45.0))
    assert not has_taken(machine)
    machine.is_spoilt = True
    assert has_taken(machine)  # a file that nobody can read changes nothing


def test_a_version_that_is_killed_five_times_in_one_boot_soon_after_its_starts_may_be_left() -> (
    None
):
    kills = [Kill(1, "1.1.0", 300.0 * number) for number in range(5)]
    assert often_killed(kills) == {"1.1.0"}
    assert not often_killed(kills[:4])
    assert not often_killed([*kills[:4], Kill(2, "1.1.0", 1200.0)])
    assert not often_killed([*kills[:4], Kill(1, "1.0.0", 1200.0)])
    assert not often_killed([*kills[:4], Kill(1, "1.1.0", 1500.0)])
