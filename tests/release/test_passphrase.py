"""Passphrases from a file, from the environment and from the terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from release.errors import ReleaseToolError
from release.keys import KeyRing
from release.passphrase import PASSPHRASE_ENV, Passphrase


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfesecret\n", r"not UTF-8 text \(byte 0\)"),
        (b"secret" * 200, "a passphrase of 1200 bytes, expected at most 1023"),
        (b"\nsecret", "its first line is empty"),
    ],
    ids=["not UTF-8", "too long", "empty"],
)
def test_what_is_no_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    """An error of one line without the passphrase, and no key; from a file and from the environment."""
    file = tmp_path / "passphrase"
    file.write_bytes(data)
    ways = [Passphrase(file)]
    if not data.startswith(b"\n"):
        monkeypatch.setenv(PASSPHRASE_ENV, os.fsdecode(data.strip()))
        ways.append(Passphrase())
    for way in ways:
        with pytest.raises(ReleaseToolError, match=reason) as caught:
            KeyRing(tmp_path / "keys", way).make("root")
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert not (tmp_path / "keys").exists()


def test_a_new_key_is_encrypted_with_what_is_typed(tmp_path: Path) -> None:
    """It is entered twice, for all the keys of a command together, and not again when they are used."""
    asked: list[str] = []

    def typing(*answers: str) -> Passphrase:
        left = list(answers)

        def ask(prompt: str) -> str:
            asked.append(prompt)
            if not left:
                raise EOFError
            return left.pop(0)

        return Passphrase(ask=ask)

    ring = KeyRing(tmp_path / "keys", typing("horse", "horse"))
    keys = {ring.make("root").keyid, ring.make("targets").keyid}
    assert set(ring.signers()) == keys
    assert asked == ["New passphrase for root.pem (nothing: not encrypted): ", "The same again: "]
    for name in ("root", "targets"):
        assert b"ENCRYPTED" in (tmp_path / f"keys/{name}.pem").read_bytes()
    for answers, reason in ((("horse", "hose"), "differ; no key was made"), ((), "was typed")):
        with pytest.raises(ReleaseToolError, match=reason):
            KeyRing(tmp_path / "none", typing(*answers)).make("root")
    assert not (tmp_path / "none").exists()
    KeyRing(tmp_path / "plain", typing("")).make("root")
    assert b"ENCRYPTED" not in (tmp_path / "plain/root.pem").read_bytes()
