"""Key files: who may read them, how they are named, encrypted and handed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.errors import ReleaseToolError
from release.keys import KeyRing, read_public_key, write_public_key
from release.passphrase import PASSPHRASE_ENV, Passphrase
from release.repository import Repository
from wire.errors import WireError


def test_keys_are_for_their_owner_alone(repository: Repository, tmp_path: Path) -> None:
    keys = sorted((tmp_path / "keys").iterdir())
    assert [key.name for key in keys] == [
        "root.pem",
        "snapshot.pem",
        "targets.pem",
        "timestamp.pem",
    ]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    keys[3].chmod(0o644)
    with pytest.raises(ReleaseToolError, match="chmod 600"):
        Repository(repository.folder, tmp_path / "keys").refresh()


def test_encrypted_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\nnot this line\n")
    made = KeyRing(tmp_path / "keys", Passphrase(secret)).make("root")
    path = tmp_path / "keys/root.pem"
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(KeyRing(tmp_path / "keys", Passphrase(secret)).signers()) == [made.keyid]
    with pytest.raises(ReleaseToolError, match="is encrypted; give --passphrase-file"):
        KeyRing(tmp_path / "keys").signers()
    monkeypatch.setenv(PASSPHRASE_ENV, "wrong")
    with pytest.raises(ReleaseToolError, match="wrong passphrase") as caught:
        KeyRing(tmp_path / "keys").signers()
    assert "wrong" not in str(caught.value).replace("wrong passphrase", "")
    monkeypatch.setenv(PASSPHRASE_ENV, "correct horse")
    assert list(KeyRing(tmp_path / "keys").signers()) == [made.keyid]
    monkeypatch.delenv(PASSPHRASE_ENV)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "correct horse"

    assert list(KeyRing(tmp_path / "keys", Passphrase(ask=ask)).signers()) == [made.keyid]
    assert asked == ["Passphrase of root.pem: "]


NO_NAMES = ("../out", "", ".", "a/b", "ann.pub", "x" * 65, "ann\n", "\udcff")


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_what_is_no_name_of_a_key(tmp_path: Path, name: str) -> None:
    """A key outside its folder, or one that no command would find again."""
    with pytest.raises(WireError, match="key name: got"):
        KeyRing(tmp_path / "keys").make(name)
    with pytest.raises(WireError, match="key name: got"):
        KeyRing(tmp_path / "keys").adopt_token(name, "label", 2)
    assert not list(tmp_path.iterdir())


def test_names_of_further_keys(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    names = []
    for _number in range(3):
        names.append(ring.free_name("root"))
        ring.make(names[-1])
    assert names == ["root", "root-2", "root-3"]


def test_public_keys_are_handed_over_as_pem(tmp_path: Path) -> None:
    key = KeyRing(tmp_path / "keys").make("ann")
    public = tmp_path / "ann.pub.pem"
    write_public_key(public, key)
    assert read_public_key(public).keyid == key.keyid
    public.write_text("none")
    with pytest.raises(ReleaseToolError, match="not a PEM public key"):
        read_public_key(public)
