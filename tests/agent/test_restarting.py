"""A restart that waits for a story: by a virtual clock, and with a systemctl that notes its words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from agent.exits import EX_FAILED, EX_OK
from agent.restarting import is_playing, wait_until_still
from resources.playing.events import State

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LONGEST = 3_600.0


class Night:
    """A clock that sleeping moves."""

    def __init__(self, story: float) -> None:
        self.seconds = 0.0
        self.story = story

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def plays(self) -> bool:
        return self.seconds < self.story


@pytest.mark.parametrize(
    ("story", "ended", "waited"),
    [(0, True, 0), (12, True, 15), (LONGEST, True, LONGEST), (1e9, False, LONGEST)],
)
def test_the_restart_waits_for_a_storys_end_but_not_for_ever(
    story: float, waited: float, *, ended: bool
) -> None:
    night = Night(story)
    assert wait_until_still(night.plays, now=night.now, sleep=night.sleep) is ended
    assert night.seconds == waited


@pytest.mark.parametrize("state", list(State))
def test_whatever_is_not_idle_is_a_story(state: State) -> None:
    status = json.dumps({"play": {"state": state.value}}).encode()
    assert is_playing(status) is (state is not State.IDLE)


@pytest.mark.parametrize("status", [b"", b"[]", b"{}", b'{"play": null}', b'{"setup": true}'])
def test_an_agent_without_a_player_plays_nothing(status: bytes) -> None:
    assert not is_playing(status)


@pytest.mark.parametrize(("code", "expected"), [(0, EX_OK), (1, EX_FAILED)])
def test_the_unit_is_restarted_only_if_it_runs(
    code: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\necho denied >&2\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert main(["restart", "--state", str(tmp_path), "--lang", "en"]) == expected
    assert (tmp_path / "words").read_text().split()[1:] == ["try-restart", "story-agent.service"]
    errors = capsys.readouterr().err
    assert ("denied; try: sudo story-agent restart" in errors) is (code != 0)
