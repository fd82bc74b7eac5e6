"""The service through systemctl, and the wait until the device is registered, on a clock of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.first.unit import Service, UnitError, ask_status, wait_until_registered

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
POLL_SECONDS = 0.5


class Systemctl:
    """Answers by exit codes."""

    def __init__(self, **codes: int) -> None:
        self.codes = {name.replace("_", "-"): code for name, code in codes.items()}
        self.verbs: list[str] = []
        self.patience: set[float] = set()

    def __call__(self, words: list[str], *, timeout: float, **_: object) -> Any:
        self.verbs.append(words[2])
        self.patience.add(timeout)
        code = self.codes.get(words[2], 0)
        return SimpleNamespace(
            returncode=code, stderr="Failed: Access denied\nmore" if code else ""
        )


def test_a_machine_without_systemd_or_without_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "/bin/systemctl")
    assert not Service(Systemctl(), tmp_path).exists()
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert Service(Systemctl(), tmp_path).exists()
    assert not Service(Systemctl(cat=1), tmp_path).exists()
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert not Service(Systemctl(), tmp_path).exists()


def test_it_is_enabled_and_started_anew_and_a_refusal_has_systemds_words() -> None:
    systemctl = Systemctl(reset_failed=1)
    Service(systemctl).start()
    assert systemctl.verbs == ["enable", "reset-failed", "restart"]
    # A stop has 10 s by itself (TimeoutStopSec), and somebody waits for it.
    assert all(20 <= seconds <= 60 for seconds in systemctl.patience)
    assert not Service(Systemctl(is_active=3)).is_active()
    with pytest.raises(UnitError, match=r"systemctl stop: Failed: Access denied$"):
        Service(Systemctl(stop=4)).stop()

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("systemctl", 40)

    with pytest.raises(UnitError, match="timed out"):
        Service(hang).start()


def test_the_wait_ends_with_the_registration_or_with_its_deadline(tmp_path: Path) -> None:
    now = 0.0
    online = {"uuid": "a", "link": {"state": "online"}}

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def wait(answers: Mapping[float, object]) -> tuple[bool, object]:
        def ask(_state: Path) -> Any:
            return next((answers[at] for at in sorted(answers, reverse=True) if at <= now), None)

        return wait_until_registered(tmp_path, "a", 10, ask, sleep, lambda: now)

    assert wait({2.0: online}) == (True, online)
    assert now == 2.0
    assert wait({0.0: {"uuid": "b", "link": {"state": "online"}}})[0] is False
    assert now == pytest.approx(12, abs=POLL_SECONDS)
    assert wait({}) == (False, None)
    assert wait({0.0: {"link": "odd"}})[0] is False


def test_nobody_answers_without_an_agent(tmp_path: Path) -> None:
    assert ask_status(tmp_path) is None
