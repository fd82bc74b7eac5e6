"""The bind token on the machine's disk: whole at every cut, of one profile, and shown wherever a code is shown."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from agent.first.bind_token import FILE_NAME, BindToken, load, shown_profile
from tests.agent.parts import make_profile
from wire.family import Family
from wire.profile import Profile

NEW = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def profile() -> Profile:
    return make_profile(1, "")


def test_a_new_token_is_on_the_disk_and_shown_after_a_restart(
    profile: Profile, tmp_path: Path
) -> None:
    held = BindToken(profile, tmp_path)
    assert held.profile is profile
    held.take(Family(NEW, 5_000))
    assert held.profile.bind_token == NEW
    assert BindToken(profile, tmp_path).profile.bind_token == NEW
    assert shown_profile(profile, tmp_path) == replace(profile, bind_token=NEW)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_family_has_gone_once_also_after_a_clock_that_was_ahead(
    profile: Profile, tmp_path: Path
) -> None:
    held = BindToken(profile, tmp_path)
    told = []
    for since in (5_000, 5_000, 4_000, 6_000):
        told.append(held.is_news(since))
        held.take(Family(None, since))
        held.take(Family(None))  # which tells of none
    assert told == [True, False, True, True]
    assert not BindToken(profile, tmp_path).is_news(6_000)


def test_another_profile_shows_its_own_token(profile: Profile, tmp_path: Path) -> None:
    BindToken(profile, tmp_path).take(Family(NEW))
    newer = replace(profile, bind_token="f" * 32)
    assert shown_profile(newer, tmp_path) is newer
    other = replace(profile, uuid="f" * 14)
    assert shown_profile(other, tmp_path) is other


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"uuid": 5}', b"\xff" * 5000])
def test_a_damaged_file_is_none_and_the_next_token_is_taken(
    profile: Profile, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    held = BindToken(profile, tmp_path)
    assert held.profile is profile
    held.take(Family(NEW))
    assert load(tmp_path, profile).token == NEW


def test_what_the_disk_does_not_take_is_not_shown(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = BindToken(profile, tmp_path)
    held.take(Family(NEW))

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        held.take(Family("f" * 32))
    assert held.profile.bind_token == NEW
    assert load(tmp_path, profile).token == NEW


def test_a_cut_at_each_step_of_writing_leaves_the_old_token_or_the_new_one(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BindToken(profile, tmp_path).take(Family(NEW))
    later = "f" * 32
    seen = set()
    for name in ("open", "fchmod", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, Mock(side_effect=KeyboardInterrupt))
            with contextlib.suppress(KeyboardInterrupt):
                BindToken(profile, tmp_path).take(Family(later))
        seen.add(load(tmp_path, profile).token)
    assert seen <= {NEW, later}


def test_the_file_has_no_other_secret(profile: Profile, tmp_path: Path) -> None:
    BindToken(profile, tmp_path).take(Family(NEW, 1))
    text = (tmp_path / FILE_NAME).read_text()
    assert set(json.loads(text)) == {"uuid", "insteadOf", "token", "since"}
    assert profile.token not in text
    assert profile.bind_token not in text
