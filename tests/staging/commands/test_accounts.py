"""Accounts as commands: their passwords are generated or read from a file, and stored as a hash."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from staging.identity import passwords
from tests.staging.commands.conftest import Command


def test_account(
    command: Command, mistake: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    added = command("account", "add", "家长")
    assert len(added["password"]) == 16
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    stored = b"".join(file.read_bytes() for file in data.glob("cloud.sqlite*"))
    assert b"scrypt$" in stored
    assert added["password"].encode() not in stored
    assert "account 家长: there is one already" in mistake("account", "add", "家长")
    # A user that `token` made gets a password later.
    command("app", "add", "a", "--type", "web")
    command("token", "--app", "1", "--user", "guest")
    assert [a["canLogIn"] for a in command("account", "list")["accounts"]] == [True, False]
    command("account", "add", "guest")
    assert command("account", "password", "guest")["userName"] == "guest"
    assert "account x: there is none" in mistake("account", "password", "x")


def test_a_name_is_any_text_and_found_however_it_is_composed(
    command: Command, mistake: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    command("account", "add", "a\u0308\u3000\U0001f467")
    shown = "ä\u3000\U0001f467"
    assert [a["userName"] for a in command("account", "list")["accounts"]] == [shown]
    assert "there is one already" in mistake("account", "add", shown)
    for spelling in (shown, "a\u0308\u3000\U0001f467"):
        assert command("account", "password", spelling)["userName"] == shown
    assert "name: got" in mistake("account", "add", "a\u202eb")


def test_password_from_a_file(command: Command, mistake: Command, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    assert "password" not in command("account", "add", "a", "--password-file", str(file))
    file.write_text("short\n")
    said = mistake("account", "add", "b", "--password-file", str(file))
    assert "password: got" in said
    assert "short" not in said.replace("8 to 256 characters", "")
    assert "No such file" in mistake("account", "add", "b", "--password-file", "/nowhere")
    for wrong in (b"\xff\xfe", b"a" * 4097):
        file.write_bytes(wrong)
        assert "password: got" in mistake("account", "add", "b", "--password-file", str(file))
        assert "token: got" in mistake("token", "revoke", "--token-file", str(file))


def test_roles_and_what_is_taken_back(
    command: Command, mistake: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    assert command("account", "add", "ada")["role"] == "parent"
    assert command("account", "add", "tom", "--role", "operator")["role"] == "operator"
    assert command("account", "role", "ada", "tester")["role"] == "tester"
    assert command("account", "disable", "ada")["status"] == "DISABLE"
    listed = {
        a["userName"]: (a["role"], a["status"]) for a in command("account", "list")["accounts"]
    }
    assert listed == {"ada": ("tester", "DISABLE"), "tom": ("operator", "ENABLE")}
    assert command("account", "enable", "ada")["status"] == "ENABLE"
    for words in (("disable", "x"), ("enable", "x"), ("role", "x", "tester")):
        assert "account x: there is none" in mistake("account", *words)
    command("app", "add", "a", "--type", "web")
    command("token", "--app", "1", "--user", "ada")
    command("account", "password", "ada")
    assert command("token", "expire", "--user", "ada") == {"expired": 0}
