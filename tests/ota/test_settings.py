"""The updater's settings: the folders and the parts that follow from them."""

from __future__ import annotations

from pathlib import Path

from base.clock import TrustedTime
from ota.settings import Hooks, UpdaterSettings
from wire.ota import InstallerKind

STATE = Path("/state")


def make() -> UpdaterSettings:
    return UpdaterSettings(
        product="lamp",
        repository="http://h/",
        root_file=Path("/root.json"),
        state_dir=STATE,
        confirm_timeout=120.0,
        hardware="pi4",
        channel="beta",
        installer=InstallerKind.RAUC,
    )


def test_all_files_of_an_update_are_in_the_state_folder() -> None:
    settings = make()
    paths = {settings.download_dir, settings.time_file, settings.trust().metadata_dir}
    assert paths == {STATE / "ota" / name for name in ("download", "time.json", "metadata")}


def test_one_clock_serves_the_metadata_and_the_download() -> None:
    clock = TrustedTime()
    settings = make().with_clock(clock)
    assert settings.trust().clock is settings.download.web.clock is settings.web.clock is clock


def test_trust_is_told_which_machine_this_is() -> None:
    trust = make().trust()
    told = (trust.product, trust.hardware, trust.channel, trust.installer)
    assert told == ("lamp", "pi4", "beta", InstallerKind.RAUC)


def test_an_agent_that_hands_in_nothing_has_said_nothing() -> None:
    hooks = Hooks()
    assert (hooks.clock, hooks.missing_checks(), hooks.log_lines()) == (
        None,
        "nothing confirmed it",
        [],
    )
