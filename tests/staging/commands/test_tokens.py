"""Access tokens as commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.commands import cli
from tests.staging.commands.conftest import Command


def test_a_user_gets_a_token_an_app(command: Command, mistake: Command) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    first = command("token", "--app", app, "--user", "家长")
    second = command("token", "--app", app, "--user", "家长")
    assert list(first) == ["access_token", "expires_in", "accountUuid", "userName"]
    assert (first["userName"], first["expires_in"]) == ("家长", 60 * 24 * 3600)
    assert first["accountUuid"] == second["accountUuid"]
    assert first["access_token"] != second["access_token"]
    (account,) = command("account", "list")["accounts"]
    assert (account["userName"], account["canLogIn"]) == ("家长", False)
    assert "app 9: there is none" in mistake("token", "--app", "9", "--user", "家长")


def test_tokens_are_listed_taken_back_and_expire(
    command: Command, mistake: Command, tmp_path: Path
) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    leaked, kept = (
        command("token", "--app", app, "--user", "家长")["access_token"] for _ in range(2)
    )
    file = tmp_path / "token"
    file.write_text(leaked + "\n")
    assert command("token", "revoke", "--token-file", str(file)) == {"revoked": 1}
    assert "there is no such token" in mistake("token", "revoke", "--token-file", str(file))
    (left,) = command("token", "list", "--user", "家长")["tokens"]
    assert kept not in str(left)
    assert command("token", "expire", "--app", app) == {"expired": 1}
    assert command("token", "expire", "--app", app) == {"expired": 0}
    assert "token revoke: which tokens?" in mistake("token", "revoke")
    assert "account x: there is none" in mistake("token", "expire", "--user", "x")
    assert "token: --app and --user missing" in mistake("token")


def test_what_is_not_there_is_said(command: Command, mistake: Command) -> None:
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    command("token", "--app", app, "--user", "家长")
    for words in (
        ("token", "list", "--app", "99"),
        ("token", "expire", "--app", "99"),
        ("token", "revoke", "--user", "家长", "--app", "99"),
        ("app", "origins", "99"),
        ("app", "unbind", "99"),
        ("strategy", "publish", "99"),
        ("audit", "list", "--device", "00830000000099"),
        ("audit", "list", "--actor", "nobody-99"),
        ("audit", "export", "--csv", "-", "--device", "00830000000099"),
        ("bind-token", "renew", "00830000000099"),
        ("session", "revoke", "nobody-99"),
        ("update", "cancel", "00830000000099"),
        ("heard", "00830000000099"),
    ):
        assert "99: " in mistake(*words), words
    assert command("token", "list", "--app", app)["tokens"]


@pytest.mark.parametrize("number", ["-1", "9" * 40, "1e3", "x"])
def test_an_id_that_no_database_has(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["token", "expire", "--app"], ["strategy", "publish"], ["app", "bind"]):
        with pytest.raises(SystemExit):
            cli.main([*words, number])
        assert "expected" in capsys.readouterr().err
