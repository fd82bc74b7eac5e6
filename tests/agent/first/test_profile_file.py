"""The profile's file: who may read it, what is mended, and that it is written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.first.profile_file import Owner, ProfileFault, find_owner, read_profile, write_profile
from tests.agent.first.parts import UUID, profile_bytes

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PROFILE_MAX = 65_536


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "profile.json"
    made.write_bytes(profile_bytes())
    made.chmod(0o400)
    return made


@pytest.mark.parametrize(
    ("mode", "after", "mended", "told"),
    [
        (0o400, 0o400, False, None),
        (0o440, 0o440, False, None),
        (0o600, 0o600, False, "mode 0600, expected 0400 or 0440"),
        (0o640, 0o640, False, "mode 0640, expected 0400 or 0440"),
        (0o644, 0o640, True, "got mode 0644, expected 0400"),
        (0o604, 0o600, True, "got mode 0604, expected 0400"),
        (0o660, 0o640, True, "got mode 0660, expected 0400"),
        (0o777, 0o740, True, "got mode 0777, expected 0400"),
        (0o401, 0o400, True, "got mode 0401, expected 0400"),
    ],
)
def test_what_others_may_do_is_taken_away_and_told(
    path: Path, mode: int, after: int, mended: int, told: str | None
) -> None:
    path.chmod(mode)
    found = read_profile(path)
    assert found.profile.uuid == UUID
    assert stat.S_IMODE(path.stat().st_mode) == after
    assert found.mended is bool(mended)
    assert (told in found.note) if told and found.note else found.note is told


def test_what_cannot_be_mended_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(0o644)

    def refuse(_path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(
        ProfileFault, match=r"got mode 0644, expected 0400.*not permitted"
    ) as caught:
        read_profile(path)
    assert "chmod 0400" in caught.value.remedy.zh
    # A FAT has no modes, and takes chmod in silence.
    monkeypatch.setattr(Path, "chmod", lambda _path, _mode: None)
    with pytest.raises(ProfileFault, match="its file system has no modes"):
        read_profile(path)


def test_what_cannot_be_read_names_file_cause_and_remedy(path: Path, tmp_path: Path) -> None:
    for content, expected in [
        (b"{", "not JSON"),
        (b"[]", "expected a JSON object"),
        (b"", "not JSON"),
    ]:
        path.chmod(0o600)
        path.write_bytes(content)
        with pytest.raises(ProfileFault, match=expected) as caught:
            read_profile(path)
        assert str(path) in caught.value.cause.zh
    for missing in (tmp_path / "none.json", tmp_path, tmp_path / "pipe"):
        if missing.name == "pipe":
            os.mkfifo(missing)
        with pytest.raises(ProfileFault, match=str(missing)):
            read_profile(missing)
    path.write_bytes(b" " * (PROFILE_MAX + 1))
    with pytest.raises(ProfileFault, match="more than 65536 bytes"):
        read_profile(path)


def test_a_profile_is_written_whole_with_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "profile.json"
    write_profile(path, profile_bytes(), find_owner())
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert read_profile(path).note is None
    before = path.read_bytes()
    # An owner that cannot be given: nothing changes, and no half file stays.
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            write_profile(path, b"{}", Owner(0, 0, "root"))
    else:
        write_profile(path, before, Owner(65534, 65534, "nobody"))
        assert path.stat().st_uid == 65534
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["profile.json"]
